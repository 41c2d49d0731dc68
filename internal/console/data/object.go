package data

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
)

// object is the page of one row and its members.
type object struct {
	dataset
	Workspace, Tenant string // slugs
	Row               catalogue.Row
	Query             string
	List              []catalogue.Row // members
	First, Next       string
}

func (d dataset) showObject(v *web.Visit) (web.Page, error) {
	ctx, t, q := v.R.Context(), v.Tenant.Tenant, v.R.URL.Query()
	r, err := v.Mirror.Object(ctx, v.Tenant, d.DatasetInfo, "", v.R.PathValue("object"))
	if err != nil {
		return web.Page{}, err
	}
	o := object{dataset: d, Workspace: v.Workspace(), Tenant: t.Slug, Row: rowOf(r), Query: q.Get("q"), First: v.FirstPage()}
	frame, err := v.Frame(named(o.Row), ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs(v.TenantLink(), ui.Link{Text: d.Title, Href: op.DatasetPath(v.Workspace(), t.Slug, d.Name)})
	frame.Lead = ui.Upper(d.Item) + " of " + t.Name
	members, next, err := v.Mirror.Members(ctx, v.Tenant, d.DatasetInfo, r.ID, mirror.Filter{Query: o.Query, Cursor: q.Get("cursor")})
	if err != nil {
		return web.Page{}, err
	}
	for _, m := range members {
		o.List = append(o.List, rowOf(m))
	}
	o.Next = v.NextPage(next)
	return web.Page{Frame: frame, Body: objectBody(o)}, nil
}

func (o object) path() string { return op.ObjectPath(o.Workspace, o.Tenant, o.Name, o.Row.ID) }

// typeWords names the type of an object, such as "#microsoft.graph.servicePrincipal".
func typeWords(r catalogue.Row) string {
	name := r.Type[strings.LastIndex(r.Type, ".")+1:]
	switch name {
	case "":
		return "Not known"
	case "servicePrincipal":
		return "Service principal"
	case "orgContact":
		return "Contact"
	}
	return ui.Upper(name)
}
