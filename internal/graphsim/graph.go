package graphsim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// version is the API version of the call as the service writes it.
func (c *call) version() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.ToLower(first)
}

func isVersion(segment string) bool {
	return strings.EqualFold(segment, "v1.0") || strings.EqualFold(segment, "beta")
}

// graphCall answers a call to Microsoft Graph: token, route, licence, permission, resource.
func (s *Server) graphCall(c *call) *reply {
	if re := s.checkToken(c); re != nil {
		return re
	}
	path := segments(c.resourcePath())
	if len(path) == 0 {
		return c.graphError(http.StatusBadRequest, "BadRequest", "Empty Payload. JSON content expected.")
	}
	if strings.EqualFold(path[0], "$batch") {
		return s.batch(c)
	}
	return s.resource(c, path)
}

// checkToken decides between the 401 forms. The token itself was read by identify.
func (s *Server) checkToken(c *call) *reply {
	if c.tokenErr != nil {
		return c.unauthorized("InvalidAuthenticationToken", c.tokenErr.Error(), "")
	}
	t := c.tenant
	if t == nil {
		return c.identityNotFound()
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if c.token.IDType == "user" {
		return nil
	}
	a := t.app(c.appID)
	switch {
	case a == nil || !a.Consented:
		return c.identityNotFound()
	case c.token.Generation < a.generation:
		return c.challenge(a.granted.Unix())
	}
	return nil
}

// unauthorized is a 401 with the challenge header of the service; extra is appended to it.
func (c *call) unauthorized(code, message, extra string) *reply {
	re := c.graphError(http.StatusUnauthorized, code, message)
	re.header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", client_id="%s"%s`, c.base, graphAppID, extra))
	return re
}

// challenge asks for a newer token (continuous access evaluation); azcore gets one and retries once by itself.
func (c *call) challenge(notBefore int64) *reply {
	claims := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, notBefore)))
	return c.unauthorized("InvalidAuthenticationToken",
		"Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp",
		`, error="insufficient_claims", claims="`+claims+`"`)
}

// segments splits a resource path. Keys may stand behind a slash or in parentheses, as in
// groups/{id} and groups('{id}') (both recorded); functions lose their empty parentheses
// and their namespace, so that delta, delta() and microsoft.graph.delta() are one.
func segments(path string) []string {
	var out []string
	for _, seg := range strings.Split(path, "/") {
		if seg == "" {
			continue
		}
		name, key, found := strings.Cut(seg, "(")
		if !found || !strings.HasSuffix(key, ")") {
			out = append(out, strings.TrimPrefix(seg, "microsoft.graph."))
			continue
		}
		out = append(out, strings.TrimPrefix(name, "microsoft.graph."))
		if key = strings.TrimSuffix(key, ")"); key == "" {
			continue
		}
		if alt, value, ok := strings.Cut(key, "="); ok { // an alternate key: appId='...'
			out = append(out, alt+"="+strings.Trim(value, "'"))
			continue
		}
		out = append(out, strings.Trim(key, "'"))
	}
	return out
}

// resource answers a call below the version root, alone or as a part of a batch.
func (s *Server) resource(c *call, path []string) *reply {
	for n := min(4, len(path)); n >= 2; n-- {
		if col := collections[strings.ToLower(strings.Join(path[:n], "/"))]; col != nil {
			return s.collectionCall(c, col, path[n:])
		}
	}
	var template string
	var handle func(*call, []string, *query) *reply
	switch head := strings.ToLower(path[0]); {
	case head == "organization":
		template, handle = "organization", s.organization
	case head == "subscribedskus":
		template, handle = "subscribedSkus", s.subscribedSKUs
	case head == "serviceprincipals":
		template, handle = "servicePrincipals", s.servicePrincipals
	case head == "groups" && len(path) == 2 && strings.EqualFold(path[1], "delta"):
		template, handle = "groups/delta", s.groups
	case head == "groups" && len(path) > 2:
		template, handle = "groups/{id}/members", s.groups
	case head == "groups":
		template, handle = "groups", s.groups
	case head == "devicemanagement" && len(path) == 1:
		template, handle = "deviceManagement", s.deviceManagement
	default:
		return c.noSegment(unknownSegment(path))
	}
	if re := s.admit(c, readRoles[template]); re != nil {
		return re
	}
	q, err := parseQuery(c.URL.RawQuery)
	if err != nil {
		return c.queryError(err)
	}
	c.tenant.touch()
	re := handle(c, path[1:], q)
	if re.status == http.StatusOK && !isIntune(c.resourcePath()) {
		re.header.Set("x-ms-resource-unit", strconv.Itoa(resourceUnits(path, q)))
	}
	return re
}

// unknownSegment names the first segment that leads nowhere.
func unknownSegment(path []string) string {
	prefix := ""
	for _, seg := range path {
		prefix += strings.ToLower(seg)
		known := false
		for p := range collections {
			known = known || strings.HasPrefix(p, prefix+"/")
		}
		if !known {
			return seg
		}
		prefix += "/"
	}
	return path[len(path)-1]
}

// admit checks licence, method and permission, in the order in which the service answers them.
func (s *Server) admit(c *call, need []string) *reply {
	if isIntune(c.resourcePath()) {
		c.tenant.mu.RLock()
		licensed := c.tenant.spec.Intune
		c.tenant.mu.RUnlock()
		if !licensed {
			return c.graphError(http.StatusBadRequest, "BadRequest", "Request not applicable to target tenant.")
		}
	}
	if c.Method != http.MethodGet {
		return c.graphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	return c.authorize(need)
}

func (s *Server) collectionCall(c *call, col *collection, rest []string) *reply {
	if c.version() == "v1.0" && !col.v1 {
		return c.noSegment(col.path[strings.LastIndexByte(col.path, '/')+1:])
	}
	if re := s.admit(c, col.roles); re != nil {
		return re
	}
	q, err := parseQuery(c.URL.RawQuery)
	if err != nil {
		return c.queryError(err)
	}
	c.tenant.touch()
	switch len(rest) {
	case 0:
		return s.list(c, col, q)
	case 1:
		return s.get(c, col, rest[0], q)
	case 2:
		return s.navigation(c, col, rest[0], rest[1], q)
	}
	return c.noSegment(rest[2])
}

func (c *call) noSegment(name string) *reply {
	return c.graphError(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+name+"'.")
}

func (c *call) directoryNotFound(id string) *reply {
	return c.graphError(http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

func (c *call) queryError(err error) *reply {
	var oe *odataError
	if !errors.As(err, &oe) {
		return c.graphError(http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	if isIntune(c.resourcePath()) {
		return c.intuneError(http.StatusBadRequest, "BadRequest", oe.msg)
	}
	return c.graphError(http.StatusBadRequest, "BadRequest", oe.msg)
}

// context is the @odata.context of a list: it names the fields that were selected (recorded).
func (c *call) context(path string, q *query) string {
	ctx := c.base + "/" + c.version() + "/$metadata#" + path
	if sel := q.raw.Get("$select"); sel != "" || len(q.expand) > 0 {
		var parts []string
		if sel != "" {
			parts = append(parts, sel)
		}
		for _, e := range q.expand {
			parts = append(parts, e.name+"()")
		}
		ctx += "(" + strings.Join(parts, ",") + ")"
	}
	return ctx
}

// resourceUnits is the cost of a directory call (docs: throttling limits, resource units).
func resourceUnits(path []string, q *query) int {
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
	if len(q.sel) > 0 {
		n--
	}
	if len(q.expand) > 0 {
		n++
	}
	if q.top > 0 && q.top < 20 {
		n--
	}
	return max(n, 1)
}

// pickFields keeps what $select asks for, always with id, in the order of the entity.
func pickFields(o object, sel []string) object {
	if len(sel) == 0 {
		return o
	}
	return o.without(func(name string) bool {
		if name == "id" || strings.HasPrefix(name, "@odata.") {
			return false
		}
		for _, s := range sel {
			if strings.EqualFold(s, name) {
				return false
			}
		}
		return true
	})
}

// unknownSelect names the first selected property that the entity lacks, or "".
func unknownSelect(o object, sel []string, extra ...string) string {
	for _, s := range sel {
		known := s == "*"
		for _, f := range o {
			known = known || strings.EqualFold(f.name, s)
		}
		for _, e := range extra {
			known = known || strings.EqualFold(e, s)
		}
		if !known {
			return s
		}
	}
	return ""
}

// options copies the system options of a request for its page link.
func (q *query) options() url.Values {
	out := url.Values{}
	for k, v := range q.raw {
		if strings.HasPrefix(k, "$") {
			out[k] = v
		}
	}
	return out
}
