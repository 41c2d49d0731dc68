package graph

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// UserInfo serves the OpenID Connect userinfo endpoint, which is on the Graph host.
func (s *Service) UserInfo(c *wire.Call) *wire.Reply {
	if re := s.checkToken(c); re != nil {
		return re
	}
	if c.Token.IDType != "user" {
		return c.GraphError(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	for n := range estate.UserCount {
		email := c.Tenant.UserName(n)
		if email != c.Token.UniqueName {
			continue
		}
		given, family := estate.PersonName(n)
		return wire.JSONReplyUTF8(http.StatusOK, odata.Object{
			odata.F("sub", c.Token.Subject),
			odata.F("name", given+" "+family),
			odata.F("given_name", given),
			odata.F("family_name", family),
			odata.F("email", email),
			odata.F("picture", c.Base+"/v1.0/me/photo/$value"),
		})
	}
	return c.DirectoryNotFound(c.Token.Subject)
}
