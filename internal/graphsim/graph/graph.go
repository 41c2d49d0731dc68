// Package graph simulates Microsoft Graph: it authorizes a call and serves it from the
// tenant.
package graph

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Service serves calls to Microsoft Graph. It is safe for concurrent use.
type Service struct {
	Seed uint64 // determines the order of batch responses
	// Part serves a request of a batch as a call of its own, subject to log, limits and faults.
	Part func(c *wire.Call, path []string) *wire.Reply
}

// Answer serves a call: it checks token, route, license and permission, then reads the resource.
func (s *Service) Answer(c *wire.Call) *wire.Reply {
	if re := s.checkToken(c); re != nil {
		return re
	}
	path := odata.Segments(c.ResourcePath())
	if len(path) == 0 {
		return c.GraphError(http.StatusBadRequest, "BadRequest", "Empty Payload. JSON content expected.")
	}
	if strings.EqualFold(path[0], "$batch") {
		return s.batch(c)
	}
	return s.Resource(c, path)
}

// checkToken returns the 401 for an unusable token, or nil.
func (s *Service) checkToken(c *wire.Call) *wire.Reply {
	if c.TokenErr != nil {
		return c.Unauthorized("InvalidAuthenticationToken", c.TokenErr.Error(), "")
	}
	t := c.Tenant
	if t == nil {
		return c.IdentityNotFound()
	}
	t.RLock()
	defer t.RUnlock()
	if c.Token.IDType == "user" {
		return nil
	}
	a := t.App(c.AppID)
	switch {
	case a == nil || !a.Consented:
		return c.IdentityNotFound()
	case c.Token.Generation < a.Generation:
		return c.Challenge(a.Granted.Unix())
	}
	return nil
}

// Resource serves a call below the version, by itself or as a part of a batch.
func (s *Service) Resource(c *wire.Call, path []string) *wire.Reply {
	if re := s.compliance(c, path); re != nil {
		return re
	}
	if re := s.people(c, path); re != nil {
		return re
	}
	if len(path) == 5 && strings.EqualFold(path[1], "deviceConfigurations") && strings.EqualFold(path[3], "getOmaSettingPlainTextValue") {
		return s.omaSetting(c, path)
	}
	for n := min(4, len(path)); n >= 2; n-- {
		if col := estate.Collections[strings.ToLower(strings.Join(path[:n], "/"))]; col != nil {
			return s.collectionCall(c, col, path[n:])
		}
	}
	var template string
	var handle func(*wire.Call, []string, *odata.Query) *wire.Reply
	switch head := strings.ToLower(path[0]); {
	case head == "organization":
		template, handle = "organization", s.organization
	case head == "subscribedskus":
		template, handle = "subscribedSkus", s.subscribedSKUs
	case head == "directoryroletemplates":
		template, handle = "directoryRoles", s.directoryRoleTemplates
	case head == "directoryroles":
		template, handle = "directoryRoles", s.directoryRoles
	case head == "serviceprincipals":
		template, handle = "servicePrincipals", s.servicePrincipals
	case head == "groups" && len(path) == 2 && strings.EqualFold(path[1], "delta"):
		template, handle = "groups/delta", s.groups
	case head == "groups" && len(path) > 2:
		template, handle = "groups/{id}/members", s.groups
	case head == "groups" && len(path) == 2:
		template, handle = "groups/{id}", s.groups
	case head == "groups":
		template, handle = "groups", s.groups
	case head == "devicemanagement" && len(path) == 1:
		template, handle = "deviceManagement", s.deviceManagement
	default:
		return c.NoSegment(unknownSegment(path))
	}
	if re := s.admit(c, readRoles[template]); re != nil {
		return re
	}
	q, err := odata.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return c.QueryError(err)
	}
	c.Tenant.Touch()
	re := handle(c, path[1:], q)
	if re.Status == http.StatusOK && !odata.IsIntune(c.ResourcePath()) {
		re.Header.Set("x-ms-resource-unit", strconv.Itoa(ResourceUnits(path, q)))
	}
	return re
}

// unknownSegment returns the first unknown segment.
func unknownSegment(path []string) string {
	prefix := ""
	for _, seg := range path {
		prefix += strings.ToLower(seg)
		known := false
		for p := range estate.Collections {
			known = known || strings.HasPrefix(p, prefix+"/")
		}
		if !known {
			return seg
		}
		prefix += "/"
	}
	return path[len(path)-1]
}

// admit checks license, method and permission, in the order of the service. It returns nil, or the
// error. GET is always allowed, other methods only if they are listed.
func (s *Service) admit(c *wire.Call, need []string, methods ...string) *wire.Reply {
	if re := open(c, append(methods, http.MethodGet)...); re != nil {
		return re
	}
	return authorize(c, need)
}

// open checks license and method.
func open(c *wire.Call, methods ...string) *wire.Reply {
	if odata.IsIntune(c.ResourcePath()) {
		c.Tenant.RLock()
		licensed := c.Tenant.Spec.Intune
		c.Tenant.RUnlock()
		if !licensed {
			return c.GraphError(http.StatusBadRequest, "BadRequest", "Request not applicable to target tenant.")
		}
	}
	if !slices.Contains(methods, c.Method) {
		return c.GraphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	return nil
}

func (s *Service) collectionCall(c *wire.Call, col *estate.Collection, rest []string) *wire.Reply {
	if c.Version() == "v1.0" && !col.V1 {
		return c.NoSegment(col.Path[strings.LastIndexByte(col.Path, '/')+1:])
	}
	if writable[col.Path] != nil && c.Method != http.MethodGet {
		return s.write(c, col, rest)
	}
	if bins[col.Path] != "" && c.Method != http.MethodGet {
		return s.bin(c, col, rest)
	}
	if re := s.admit(c, col.Roles); re != nil {
		return re
	}
	q, err := odata.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return c.QueryError(err)
	}
	c.Tenant.Touch()
	switch len(rest) {
	case 0:
		return s.list(c, col, q)
	case 1:
		return s.get(c, col, rest[0], q)
	}
	return s.navigation(c, col, rest, q)
}

// ResourceUnits returns the cost of a directory call (docs: throttling limits, resource units).
func ResourceUnits(path []string, q *odata.Query) int {
	n := 1
	if len(path) > 0 {
		switch strings.ToLower(path[len(path)-1]) {
		case "members", "subscribedskus":
			n = 3
		case "transitivemembers":
			n = 5
		case "approleassignments":
			n = 2
		}
	}
	if len(q.Select) > 0 {
		n--
	}
	if len(q.Expand) > 0 {
		n++
	}
	if q.Top > 0 && q.Top < 20 {
		n--
	}
	return max(n, 1)
}
