package tenants

import (
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

func showNew(v *web.Visit) (web.Page, error) { return newForm(v, nil) }

func newForm(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, err := v.Frame("Add a tenant", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()
	frame.Lead = "A customer, or a part of your own company, that has a Microsoft Entra directory."
	form := ui.Form{Action: op.TenantNewPath(v.Workspace()), Fields: fields(), Values: v.R.PostForm, Refusal: refusal}
	return web.Page{Frame: frame, Body: ui.FormCard("tf", "Tenant", "You add its connection next.", form, "Add tenant", op.TenantsPath(v.Workspace()))}, nil
}

func create(v *web.Visit) error {
	f := v.R.PostForm
	t, err := v.Store.CreateTenant(v.R.Context(), v.Actor, store.NewTenant{
		Name: f.Get("name"), Slug: f.Get("slug"), Domain: f.Get("domain"), DirectoryID: f.Get("directory_id"), Owner: f.Get("owner"),
	})
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return newForm(v, refusal) })
	}
	return v.GoTo(op.ConnectionNewPath(v.Workspace(), t.Slug))
}

// fields are the fields of a new tenant.
func fields() []ui.Field {
	return []ui.Field{
		{Name: "name", Label: "Name", Hint: "For example “Kestrel Logistics”.", Max: 120},
		{Name: "slug", Label: "URL name", Hint: "Lower-case letters, digits and hyphens. Leave blank to generate it from the name.", Max: 63, Optional: true},
		{Name: "domain", Label: "Domain", Hint: "The main domain in Microsoft Entra, for example “kestrel.example”.", Max: 253},
		{Name: "directory_id", Label: "Directory (tenant) ID", Hint: "A GUID, shown on the Overview page of the Microsoft Entra admin center.", Max: 36},
		{Name: "owner", Label: "Owner", Hint: "Who to ask about this tenant.", Max: 120, Optional: true},
	}
}
