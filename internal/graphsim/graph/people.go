package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// maxIDs is the largest number of ids of getByIds (docs).
const maxIDs = 1000

// Permissions to read people and devices (docs: the page of each call).
var (
	userRoles   = []string{"User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	deviceRoles = []string{"Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	objectRoles = []string{"Directory.Read.All", "Directory.ReadWrite.All"}
)

// people serves users, devices and directory objects; nil when the path is none of them.
func (s *Service) people(c *wire.Call, path []string) *wire.Reply {
	switch head := strings.ToLower(path[0]); {
	case head == "users":
		return s.principals(c, path[1:], "user", userRoles)
	case head == "devices":
		return s.principals(c, path[1:], "device", deviceRoles)
	case head == "directoryobjects" && len(path) == 2 && strings.EqualFold(path[1], "getByIds"):
		return s.getByIDs(c)
	case head == "directoryobjects" && len(path) == 2:
		return s.directoryObject(c, path[1])
	}
	return nil
}

// principals serves users or devices, one of them, and the groups that one is in.
func (s *Service) principals(c *wire.Call, rest []string, kind string, roles []string) *wire.Reply {
	if re := s.admit(c, roles); re != nil {
		return re
	}
	q, err := odata.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return c.QueryError(err)
	}
	t := c.Tenant
	t.Touch()
	t.RLock()
	defer t.RUnlock()
	if len(rest) == 0 {
		return s.listPrincipals(c, kind, q)
	}
	if strings.EqualFold(rest[0], "$count") {
		return plainCount(c, len(t.Principals(kind)))
	}
	m, ok := t.Principal(kind, rest[0])
	if !ok {
		return c.DirectoryNotFound(rest[0])
	}
	o := t.MemberObject(m).Without(func(name string) bool { return name == "@odata.type" })
	switch {
	case len(rest) == 1:
		if name := odata.UnknownSelect(o, q.Select); name != "" {
			return c.QueryError(unknownProperty(name, kind))
		}
		return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL(kind+"s", q)+"/$entity")}, odata.PickFields(o, q.Select)...))
	case len(rest) == 2 && slices.Contains([]string{"memberof", "transitivememberof"}, strings.ToLower(rest[1])):
		return groupsOf(c, kind+"s/"+o.Text("id")+"/memberOf", q, m)
	}
	return c.NoSegment(rest[1])
}

func (s *Service) listPrincipals(c *wire.Call, kind string, q *odata.Query) *wire.Reply {
	path := kind + "s"
	if q.Search != "" {
		return c.QueryError(odata.BadQuery("The query parameter '$search' is not supported on this resource."))
	}
	pos, size, re := directoryPaging(c, q, path)
	if re != nil {
		return re
	}
	t := c.Tenant
	var found []odata.Object
	for _, m := range t.Principals(kind) {
		o := t.MemberObject(m).Without(func(name string) bool { return name == "@odata.type" })
		if len(found) == 0 {
			if name := odata.UnknownSelect(o, q.Select); name != "" {
				return c.QueryError(unknownProperty(name, kind))
			}
			if q.Filter != nil {
				for _, use := range q.Filter.Uses {
					if odata.UnknownSelect(o, []string{use.Path}) != "" {
						return c.QueryError(unknownProperty(use.Path, kind))
					}
				}
			}
		}
		if q.Filter == nil || q.Filter.Matches(o) {
			found = append(found, o)
		}
	}
	q.Count = q.Count && strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	return directoryList(c, c.ContextURL(path, q), path, q, len(found), pos, size, func(i int) (odata.Object, error) {
		return odata.PickFields(found[i], q.Select), nil
	})
}

func unknownProperty(name, kind string) error {
	return odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, kind)
}

// groupsOf returns the groups that have a member. The caller holds the tenant's lock.
func groupsOf(c *wire.Call, path string, q *odata.Query, m estate.MemberRef) *wire.Reply {
	pos, size, re := directoryPaging(c, q, path)
	if re != nil {
		return re
	}
	groups := c.Tenant.GroupsOf(m)
	return directoryList(c, c.Base+"/"+c.Version()+"/$metadata#directoryObjects", path, q, len(groups), pos, size, func(i int) (odata.Object, error) {
		o := c.Tenant.GroupObject(groups[i])
		return append(odata.Object{odata.F("@odata.type", "#microsoft.graph.group")}, odata.PickFields(o, q.Select)...), nil
	})
}

// plainCount serves $count: a number as text, with the header only (docs).
func plainCount(c *wire.Call, n int) *wire.Reply {
	if !strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual") {
		return c.GraphError(http.StatusBadRequest, "Request_BadRequest", "$count is not currently supported.")
	}
	h := http.Header{}
	h.Set("Content-Type", "text/plain")
	h.Set("OData-Version", "4.0")
	return &wire.Reply{Status: http.StatusOK, Header: h, Body: []byte(strconv.Itoa(n))}
}

// object returns a directory object with its type, or nil. The caller holds the tenant's lock.
func object(t *estate.Tenant, id string) odata.Object {
	if g := t.World.ByID[strings.ToLower(id)]; g != nil && g.Alive() {
		return append(odata.Object{odata.F("@odata.type", "#microsoft.graph.group")}, t.GroupObject(g)...)
	}
	for _, kind := range []string{"user", "device"} {
		if m, ok := t.Principal(kind, id); ok {
			return t.MemberObject(m)
		}
	}
	for _, a := range t.Apps {
		if strings.EqualFold(a.ObjectID, id) && a.Consented {
			return append(odata.Object{odata.F("@odata.type", "#microsoft.graph.servicePrincipal")}, principalObject(a.ObjectID, a.AppID, a.Name, !a.Disabled, []odata.Object{})...)
		}
	}
	return nil
}

func (s *Service) directoryObject(c *wire.Call, id string) *wire.Reply {
	if re := s.admit(c, objectRoles); re != nil {
		return re
	}
	t := c.Tenant
	t.Touch()
	t.RLock()
	defer t.RUnlock()
	o := object(t, id)
	if o == nil {
		return c.DirectoryNotFound(id)
	}
	return c.Entity(append(odata.Object{odata.F("@odata.context", c.Base+"/"+c.Version()+"/$metadata#directoryObjects/$entity")}, o...))
}

// getByIDs serves POST directoryObjects/getByIds. It returns the objects that exist (docs).
func (s *Service) getByIDs(c *wire.Call) *wire.Reply {
	if c.Method != http.MethodPost {
		return c.GraphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	if re := s.admit(c, objectRoles, http.MethodPost); re != nil {
		return re
	}
	var in struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	switch err := json.Unmarshal(c.Payload, &in); {
	case err != nil || in.IDs == nil:
		return c.GraphError(http.StatusBadRequest, "Request_BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	case len(in.IDs) > maxIDs:
		return c.GraphError(http.StatusBadRequest, "Request_BadRequest", fmt.Sprintf("Too many ids: %d. At most %d are allowed.", len(in.IDs), maxIDs))
	}
	t := c.Tenant
	t.Touch()
	t.RLock()
	defer t.RUnlock()
	found := []odata.Object{}
	seen := map[string]bool{}
	for _, id := range in.IDs {
		id = strings.ToLower(id)
		o := object(t, id)
		if o == nil || seen[id] {
			continue
		}
		seen[id] = true
		kind := strings.TrimPrefix(o.Text("@odata.type"), "#microsoft.graph.")
		if len(in.Types) == 0 || slices.ContainsFunc(in.Types, func(k string) bool { return strings.EqualFold(k, kind) || strings.EqualFold(k, "directoryObject") }) {
			found = append(found, o)
		}
	}
	return c.Entity(odata.Object{odata.F("@odata.context", c.Base+"/"+c.Version()+"/$metadata#directoryObjects"), odata.F("value", found)})
}
