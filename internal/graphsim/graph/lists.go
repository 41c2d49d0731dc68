package graph

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// list serves GET {collection}.
func (s *Service) list(c *wire.Call, col *estate.Collection, q *odata.Query) *wire.Reply {
	if len(q.Expand) > 0 && col.Union != nil {
		return c.QueryError(odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", q.Expand[0].Name, col.Entity))
	}
	pos := q.Skip
	if col.Cosmos && q.SkipToken != "" {
		sealed, err := odata.OpenCosmosToken(q.SkipToken)
		cur := odata.Cursor{}
		if err == nil {
			cur, err = c.Open(sealed, "skip", col.Path)
		}
		if err != nil {
			return c.IntuneError(http.StatusBadRequest, "BadRequest", "Invalid continuation token.")
		}
		pos = cur.Pos
	}
	size := col.First
	if q.Top > 0 {
		size = min(q.Top, col.Page)
	}
	if err := refuseQuery(col, q); err != nil {
		return c.QueryError(err)
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	found := t.Find(col, q)
	pos = min(pos, len(found))
	end := min(pos+size, len(found))
	if c.Empty {
		end = pos
	}
	page := make([]odata.Object, 0, end-pos)
	for _, it := range found[pos:end] {
		o, err := render(c, col, it, q, true)
		if err != nil {
			return c.QueryError(err)
		}
		page = append(page, o)
	}
	var next string
	if end < len(found) || c.Empty {
		options := q.Options()
		switch {
		case col.Cosmos:
			next = c.Link(options, "$skiptoken", odata.Escape(odata.CosmosToken(c.Seal(odata.Cursor{Kind: "skip", Path: col.Path, Pos: end}))))
		default:
			next = c.Link(options, "$skip", strconv.Itoa(end))
			if c.Empty { // the next page starts at the same position, with another URL
				next += "&_=" + c.RequestID
			}
		}
	}
	out := odata.Object{odata.F("@odata.context", c.ContextURL(col.Path, q))}
	if len(q.Select) == 0 && odata.IsIntune(col.Path) { // observed in list answers
		out = append(out, odata.F("@microsoft.graph.tips", "Use $select to choose only the properties your app needs, as this can lead to performance improvements. For example: GET "+col.Path+"?$select=id,displayName"))
	}
	switch {
	case col.Count == estate.CountPage:
		out = append(out, odata.F("@odata.count", len(page)))
	case col.Count == estate.CountZero:
		out = append(out, odata.F("@odata.count", 0))
	case q.Count:
		out = append(out, odata.F("@odata.count", len(found)))
	}
	if next != "" {
		out = append(out, odata.F("@odata.nextLink", next))
	}
	return c.Entity(append(out, odata.F("value", page)))
}

// get serves GET {collection}/{id}.
func (s *Service) get(c *wire.Call, col *estate.Collection, id string, q *odata.Query) *wire.Reply {
	if err := refuseQuery(col, q); err != nil {
		return c.QueryError(err)
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	it := t.Item(col, id)
	if it == nil {
		return itemNotFound(c, col, id)
	}
	o, err := render(c, col, it, q, false)
	if err != nil {
		return c.QueryError(err)
	}
	return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL(col.Path, q)+"/$entity")}, o...))
}

func itemNotFound(c *wire.Call, col *estate.Collection, id string) *wire.Reply {
	if !odata.IsIntune(col.Path) {
		return c.DirectoryNotFound(id)
	}
	return c.IntuneError(http.StatusNotFound, "ResourceNotFound",
		col.Path[strings.LastIndexByte(col.Path, '/')+1:]+" not found: "+id)
}

// render returns an item as in a list (inList) or as in a read of the single item.
func render(c *wire.Call, col *estate.Collection, it *estate.Item, q *odata.Query, inList bool) (odata.Object, error) {
	o := it.Body.With("id", it.ID)
	if it.Body.Index("isAssigned") >= 0 && slices.Contains(col.Navs, "assignments") {
		o = o.With("isAssigned", len(c.Tenant.Nav(col, it, "assignments")) > 0)
	}
	o = o.Without(func(name string) bool {
		switch {
		case name == "@odata.type":
			return !col.Poly
		case inList && slices.Contains(col.Hide, name):
			return true
		}
		return len(q.Select) > 0 && !slices.ContainsFunc(q.Select, func(s string) bool { return strings.EqualFold(s, name) })
	})
	for _, e := range q.Expand {
		i := slices.IndexFunc(col.Navs, func(n string) bool { return strings.EqualFold(n, e.Name) })
		if i < 0 {
			return nil, odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", e.Name, col.Entity)
		}
		options, err := e.Options()
		if err != nil {
			return nil, err
		}
		nav := col.Navs[i]
		values := slices.Clone(c.Tenant.Nav(col, it, nav))
		for j := range values {
			if values[j], err = (nested{c.Tenant, col, nav}).render(values[j], options); err != nil {
				return nil, err
			}
			values[j] = odata.PickFields(values[j], options.Select)
		}
		if values == nil {
			values = []odata.Object{}
		}
		o = append(o,
			odata.F(nav+"@odata.context", fmt.Sprintf("%s/%s/$metadata#%s('%s')/%s", c.Base, c.Version(), col.Path, it.ID, nav)),
			odata.F(nav, values))
	}
	return annotate(c, col, it, o), nil
}

// annotate adds or removes annotations for the requested metadata level.
func annotate(c *wire.Call, col *estate.Collection, it *estate.Item, o odata.Object) odata.Object {
	switch wire.MetadataLevel(c.Header.Get("Accept")) {
	case "none":
		return o.Without(func(n string) bool { return strings.Contains(n, "@odata.") })
	case "full":
		self := fmt.Sprintf("%s('%s')", col.Path, it.ID)
		kind := it.Body.Text("@odata.type")
		if kind == "" {
			kind = "#microsoft.graph." + col.Entity
		}
		full := odata.Object{odata.F("@odata.type", kind), odata.F("@odata.id", self), odata.F("@odata.editLink", self)}
		full = append(full, o.Without(func(n string) bool { return n == "@odata.type" })...)
		for _, nav := range col.Navs {
			link := c.Base + "/" + c.Version() + "/" + self + "/" + nav
			full = append(full, odata.F(nav+"@odata.associationLink", link+"/$ref"), odata.F(nav+"@odata.navigationLink", link))
		}
		return full
	}
	return o
}
