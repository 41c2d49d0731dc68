package graph

import (
	"net/http"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
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
	group := model.Lookup("group")
	for _, use := range q.Filter.Uses {
		p, ok := propertyAt(group, use.Path)
		switch name, _, _ := strings.Cut(use.Path, "/"); {
		case !ok:
			return bad("Invalid filter clause: Could not find a property named '" + name + "' on type 'microsoft.graph.group'.")
		case use.Op == "contains":
			return bad("Unsupported or invalid query filter clause specified for property '" + use.Path + "' of resource 'Group'.")
		case use.Op == "endswith" && !eventual:
			return bad("Operator 'endsWith' is not supported because the 'ConsistencyLevel:eventual' header is missing")
		case !fits(p, use):
			return bad("Invalid filter clause: A binary operator with incompatible types was detected for property '" + use.Path + "'.")
		}
	}
	return nil
}

// propertyAt finds a property of a type, or of one that is derived from it, by its path. A part that
// the model does not describe has all properties, which fit everything.
func propertyAt(t *model.Type, path string) (model.Property, bool) {
	name, rest, nested := strings.Cut(path, "/")
	p, ok := t.Anywhere(name)
	if !ok || !nested {
		return p, ok
	}
	if t = model.Lookup(p.Type); t == nil {
		return model.Property{Name: rest, Type: "any"}, true
	}
	return propertyAt(t, rest)
}

// fits reports whether the literal of a comparison has the kind of the property. null fits
// everything.
func fits(p model.Property, use odata.Use) bool {
	if use.Literal == nil || use.Op == "any" || use.Op == "all" || p.List {
		return true
	}
	ok := true
	switch p.Type {
	case "boolean":
		_, ok = use.Literal.(bool)
	case "number":
		_, ok = use.Literal.(float64)
	case "string":
		_, ok = use.Literal.(string)
	default:
		if model.Values(p.Type) != nil {
			_, ok = use.Literal.(string)
		}
	}
	return ok
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

// refuseQuery returns the error for properties that the type of a collection does not have, or that
// are compared with a literal of another kind. The types are those of beta, in v1.0 too.
func refuseQuery(col *estate.Collection, q *odata.Query) error {
	if q.Search != "" {
		return odata.BadQuery("The query parameter '$search' is not supported on this resource.")
	}
	t := model.Lookup(col.Entity)
	unknown := func(path string) bool {
		_, ok := propertyAt(t, path)
		return !ok && path != "*"
	}
	for _, name := range q.Select {
		if unknown(name) {
			return odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, col.Entity)
		}
	}
	for _, o := range q.OrderBy {
		if unknown(o.Path) {
			return odata.BadQuery("Could not find a property named '%s' on type 'microsoft.graph.%s'.", o.Path, col.Entity)
		}
	}
	if q.Filter == nil {
		return nil
	}
	for _, use := range q.Filter.Uses {
		p, ok := propertyAt(t, use.Path)
		switch {
		case !ok:
			return odata.BadQuery("Invalid filter clause: Could not find a property named '%s' on type 'microsoft.graph.%s'.", use.Path, col.Entity)
		case !fits(p, use):
			return odata.BadQuery("Invalid filter clause: A binary operator with incompatible types was detected for property '%s'.", use.Path)
		}
	}
	return nil
}
