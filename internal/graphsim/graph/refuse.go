package graph

import (
	"net/http"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// refuseGroups returns the error for options that groups do not support, or nil. eventual
// says that the call has the header ConsistencyLevel: eventual.
func refuseGroups(c *wire.Call, q *odata.Query, eventual bool) *wire.Reply {
	bad := func(text string) *wire.Reply {
		return c.GraphError(http.StatusBadRequest, "Request_UnsupportedQuery", text)
	}
	if q.Search != "" && !eventual {
		return bad("Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
	}
	if q.Filter == nil {
		return nil
	}
	known := (&estate.Tenant{}).GroupObject(&estate.Group{})
	for _, use := range q.Filter.Uses {
		if name, _, _ := strings.Cut(use.Path, "/"); odata.UnknownSelect(known, []string{name}, "members", "owners", "assignedLicenses", "assignedLabels") != "" {
			return bad("Invalid filter clause: Could not find a property named '" + name + "' on type 'microsoft.graph.group'.")
		}
		switch {
		case use.Op == "contains":
			return bad("Unsupported or invalid query filter clause specified for property '" + use.Path + "' of resource 'Group'.")
		case use.Op == "endswith" && !eventual:
			return bad("Operator 'endsWith' is not supported because the 'ConsistencyLevel:eventual' header is missing")
		case !fits(known, use):
			return bad("Invalid filter clause: A binary operator with incompatible types was detected for property '" + use.Path + "'.")
		}
	}
	return nil
}

// fits reports whether the literal of a comparison has the kind of the property in o. null and
// properties without a value fit everything.
func fits(o odata.Object, use odata.Use) bool {
	switch use.Op {
	case "any", "all":
		return true
	}
	switch o.Value(use.Path).(type) {
	case bool:
		_, ok := use.Literal.(bool)
		return ok || use.Literal == nil
	case float64:
		_, ok := use.Literal.(float64)
		return ok || use.Literal == nil
	case string:
		_, ok := use.Literal.(string)
		return ok || use.Literal == nil
	}
	return true
}

// searched reports whether a group matches $search: "property:words", of displayName or
// description, each word at the start of a word (docs). Empty matches all.
func searched(search string, g *estate.Group) bool {
	if search == "" {
		return true
	}
	name, want, ok := strings.Cut(strings.Trim(search, `"`), ":")
	if !ok {
		return false
	}
	text := g.DisplayName
	if !strings.EqualFold(name, "displayName") {
		text = ""
	}
	have := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ' ' || r == '-' })
	for _, w := range strings.Fields(strings.ToLower(want)) {
		found := false
		for _, h := range have {
			found = found || strings.HasPrefix(h, w)
		}
		if !found {
			return false
		}
	}
	return true
}

// refuseQuery returns the error for properties that the items of a collection do not have, or
// that are compared with a literal of another kind. items are what the tenant holds: where
// there are none, nothing is known and nothing refused.
func refuseQuery(col *estate.Collection, q *odata.Query, items []*estate.Item) error {
	if q.Search != "" {
		return odata.BadQuery("The query parameter '$search' is not supported on this resource.")
	}
	if len(items) == 0 || q.Filter == nil && len(q.Select) == 0 && len(q.OrderBy) == 0 {
		return nil
	}
	if !col.Poly { // items of one type are alike
		items = items[:min(len(items), 200)]
	}
	var known odata.Object // each property with a value of it, if one has it
	for _, it := range items {
		for _, f := range it.Body {
			switch i := known.Index(f.Name); {
			case i < 0:
				known = append(known, f)
			case string(known[i].Raw) == "null":
				known[i] = f
			}
		}
	}
	extra := append([]string{"id", "assignments"}, col.Navs...)
	has := func(path string) bool {
		name, _, _ := strings.Cut(path, "/")
		return odata.UnknownSelect(known, []string{name}, extra...) == ""
	}
	for _, name := range q.Select {
		if !has(name) {
			return odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, col.Entity)
		}
	}
	for _, o := range q.OrderBy {
		if !has(o.Path) {
			return odata.BadQuery("Could not find a property named '%s' on type 'microsoft.graph.%s'.", o.Path, col.Entity)
		}
	}
	if q.Filter == nil {
		return nil
	}
	for _, use := range q.Filter.Uses {
		switch {
		case !has(use.Path):
			return odata.BadQuery("Invalid filter clause: Could not find a property named '%s' on type 'microsoft.graph.%s'.", use.Path, col.Entity)
		case !fits(known, use):
			return odata.BadQuery("Invalid filter clause: A binary operator with incompatible types was detected for property '%s'.", use.Path)
		}
	}
	return nil
}
