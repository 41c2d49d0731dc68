package graph

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

const (
	directoryPage    = 100
	directoryPageMax = 999
)

// groups serves /groups and everything below it.
func (s *Service) groups(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	switch {
	case len(rest) == 0:
		return s.listGroups(c, q)
	case len(rest) == 1 && strings.EqualFold(rest[0], "delta"):
		return s.groupsDelta(c, q)
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	if len(rest) == 1 && strings.EqualFold(rest[0], "$count") {
		n := 0
		for _, g := range t.World.Groups {
			if g.Alive() && (q.Filter == nil || q.Filter.Matches(t.GroupObject(g))) {
				n++
			}
		}
		return plainCount(c, n)
	}
	g := t.World.ByID[strings.ToLower(rest[0])]
	if g == nil || !g.Alive() {
		return c.DirectoryNotFound(rest[0])
	}
	if len(rest) == 1 {
		o := t.GroupObject(g)
		if name := unknownOfGroup(q.Select); name != "" {
			return c.QueryError(unknownGroupProperty(name))
		}
		o, err := expandMembers(c, odata.PickFields(o, q.Select), g, q)
		if err != nil {
			return c.QueryError(err)
		}
		return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL("groups", q)+"/$entity")}, o...))
	}
	switch nav := strings.ToLower(rest[1]); {
	case nav == "owners" && len(rest) == 2:
		return s.listOwners(c, g, q)
	case (nav == "memberof" || nav == "transitivememberof") && len(rest) == 2: // generated groups are not nested
		return directoryList(c, c.Base+"/"+c.Version()+"/$metadata#directoryObjects", "groups/"+g.ID+"/memberOf", q, 0, 0, directoryPage, nil)
	case nav != "members" && nav != "transitivemembers":
		return c.NoSegment(rest[1])
	case len(rest) == 2:
		return s.listMembers(c, g, "", q)
	case len(rest) == 3 && strings.EqualFold(rest[2], "$count"):
		return plainCount(c, g.MemberCount())
	case len(rest) == 3 && !slices.Contains(castTypes, strings.ToLower(rest[2])):
		return c.GraphError(http.StatusNotFound, "Request_ResourceNotFound", "Resource not found for the segment '"+rest[2]+"'.")
	case len(rest) == 3:
		return s.listMembers(c, g, strings.ToLower(rest[2]), q)
	}
	return c.NoSegment(rest[3])
}

// castTypes are the types to which members can be cast; there is no other, and no $ref to read
// (reported).
var castTypes = []string{"user", "device", "group", "serviceprincipal", "orgcontact", "application"}

func (s *Service) listOwners(c *wire.Call, g *estate.Group, q *odata.Query) *wire.Reply {
	path := "groups/" + g.ID + "/owners"
	pos, size, re := directoryPaging(c, q, path)
	if re != nil {
		return re
	}
	owners := g.Owners()
	return directoryList(c, c.Base+"/"+c.Version()+"/$metadata#directoryObjects", path, q, len(owners), pos, size, func(i int) (odata.Object, error) {
		return odata.PickFields(c.Tenant.MemberObject(owners[i]), q.Select), nil
	})
}

// unknownOfGroup returns the first name that is no property of a group, or "".
func unknownOfGroup(names []string) string {
	for _, name := range names {
		if _, ok := propertyAt(model.Lookup("group"), name); !ok && name != "*" {
			return name
		}
	}
	return ""
}

func unknownGroupProperty(name string) error {
	return odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.group'.", name)
}

// directoryPaging returns position and size of the page that $top and $skiptoken ask for.
func directoryPaging(c *wire.Call, q *odata.Query, path string) (pos, size int, re *wire.Reply) {
	size = directoryPage
	if q.Top > directoryPageMax {
		return 0, 0, c.GraphError(http.StatusBadRequest, "Request_BadRequest",
			fmt.Sprintf("Invalid page size specified: '%d'. Must be between 1 and %d inclusive.", q.Top, directoryPageMax))
	}
	if q.Top > 0 {
		size = q.Top
	}
	if q.Skip > 0 {
		return 0, 0, c.GraphError(http.StatusBadRequest, "Request_BadRequest", "'$skip' is not supported by the service.")
	}
	if q.SkipToken != "" {
		cur, err := c.Open(q.SkipToken, "skip", path)
		if err != nil {
			return 0, 0, c.GraphError(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
		pos = cur.Pos
	}
	return pos, size, nil
}

// directoryList returns a page of a directory collection. show returns item i.
func directoryList(c *wire.Call, context, path string, q *odata.Query, total, pos, size int, show func(i int) (odata.Object, error)) *wire.Reply {
	pos = min(pos, total)
	end := min(pos+size, total)
	if c.Empty {
		end = pos
	}
	page := make([]odata.Object, 0, end-pos)
	for i := pos; i < end; i++ {
		o, err := show(i)
		if err != nil {
			return c.QueryError(err)
		}
		page = append(page, o)
	}
	out := odata.Object{odata.F("@odata.context", context)}
	if q.Count {
		out = append(out, odata.F("@odata.count", total))
	}
	if end < total || c.Empty {
		next := c.Link(q.Options(), "$skiptoken", c.Seal(odata.Cursor{Kind: "skip", Path: path, Pos: end}))
		out = append(out, odata.F("@odata.nextLink", next))
	}
	return c.Entity(append(out, odata.F("value", page)))
}

func (s *Service) listGroups(c *wire.Call, q *odata.Query) *wire.Reply {
	pos, size, re := directoryPaging(c, q, "groups")
	if re != nil {
		return re
	}
	eventual := strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	if re := refuseGroups(c, q, eventual); re != nil {
		return re
	}
	if q.Filter != nil && q.Filter.Advanced && !(eventual && q.Count) || len(q.OrderBy) > 0 && q.Filter != nil && !eventual {
		return c.GraphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property of resource 'Group'.")
	}
	q.Count = q.Count && eventual
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	found := make([]*estate.Group, 0, len(t.World.Groups))
	for _, g := range t.World.Groups {
		if g.Alive() && (q.Filter == nil || q.Filter.Matches(t.GroupObject(g))) && searched(q.Search, g) {
			found = append(found, g)
		}
	}
	for _, o := range slices.Backward(q.OrderBy) {
		if o.Path != "displayName" {
			return c.GraphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Sorting not supported for current query.")
		}
		slices.SortStableFunc(found, func(a, b *estate.Group) int {
			n := strings.Compare(strings.ToLower(a.DisplayName), strings.ToLower(b.DisplayName))
			if o.Desc {
				n = -n
			}
			return n
		})
	}
	if name := unknownOfGroup(q.Select); name != "" {
		return c.QueryError(unknownGroupProperty(name))
	}
	return directoryList(c, c.ContextURL("groups", q), "groups", q, len(found), pos, size, func(i int) (odata.Object, error) {
		return expandMembers(c, odata.PickFields(t.GroupObject(found[i]), q.Select), found[i], q)
	})
}

// expandedMembers is the largest number of members that $expand returns (docs: 20).
const expandedMembers = 20

func expandMembers(c *wire.Call, o odata.Object, g *estate.Group, q *odata.Query) (odata.Object, error) {
	for _, e := range q.Expand {
		if e.Name != "members" {
			return nil, unknownGroupProperty(e.Name)
		}
		list := []odata.Object{}
		for i := range min(g.MemberCount(), expandedMembers) {
			list = append(list, c.Tenant.MemberObject(g.MemberAt(i)))
		}
		o = append(o, odata.F("members", list))
	}
	return o, nil
}

func (s *Service) listMembers(c *wire.Call, g *estate.Group, kind string, q *odata.Query) *wire.Reply {
	path := "groups/" + g.ID + "/members/" + kind
	pos, size, re := directoryPaging(c, q, path)
	if re != nil {
		return re
	}
	t := c.Tenant // locked by groups
	total, at := g.MemberCount(), g.MemberAt
	if kind != "" {
		var some []estate.MemberRef
		for i := range total {
			if m := at(i); strings.EqualFold(t.MemberKind(m), kind) {
				some = append(some, m)
			}
		}
		total, at = len(some), func(i int) estate.MemberRef { return some[i] }
	}
	q.Count = q.Count && strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	context := c.Base + "/" + c.Version() + "/$metadata#directoryObjects"
	return directoryList(c, context, path, q, total, pos, size, func(i int) (odata.Object, error) {
		return odata.PickFields(t.MemberObject(at(i)), q.Select), nil
	})
}
