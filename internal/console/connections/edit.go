package connections

import (
	"net/url"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showNew(v *web.Visit) (web.Page, error) {
	return newForm(v, nil, url.Values{"directory_id": {v.Tenant.Tenant.DirectoryID}, "cloud": {tenancy.Clouds()[0].Name}})
}

func newForm(v *web.Visit, refusal *httpx.Problem, values url.Values) (web.Page, error) {
	frame, err := v.Frame("Add a connection", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs(v.TenantLink(), connectionsLink(v))
	frame.Lead = "How Interlock connects to " + v.Tenant.Tenant.Name + "."
	form := ui.Form{
		Action: op.ConnectionNewPath(v.Workspace(), v.Tenant.Tenant.Slug), Fields: fields(true), Values: values, Refusal: refusal,
	}
	return web.Page{Frame: frame, Body: ui.FormCard("cf", "Identity", "You add a credential and ask for consent next.", form, "Add connection", connectionsLink(v).Href)}, nil
}

func create(v *web.Visit) error {
	f := v.R.PostForm
	conn, err := v.Store.CreateConnection(v.R.Context(), v.Actor, v.Tenant.Tenant.ID, store.NewConnection{
		Name: f.Get("name"), Slug: f.Get("slug"), ClientID: f.Get("client_id"), DirectoryID: f.Get("directory_id"), Cloud: f.Get("cloud"),
	})
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return newForm(v, refusal, f) })
	}
	return tidied(v, op.ConnectionPath(v.Workspace(), v.Tenant.Tenant.Slug, conn.Slug), op.ConnectionNew, pastedIDs(f))
}

func showEdit(v *web.Visit) (web.Page, error) { return editForm(v, nil) }

func editForm(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, p, err := begin(v, "Edit")
	if err != nil {
		return web.Page{}, err
	}
	form := ui.Form{
		Action: op.EditConnection.Path(v.Workspace(), p.Tenant.Slug, p.Connection.Slug), Fields: fields(false), Values: v.R.PostForm, Refusal: refusal,
	}
	if refusal == nil {
		conn := p.Connection
		form.Values = url.Values{"name": {conn.Name}, "client_id": {conn.ClientID}, "directory_id": {conn.DirectoryID}, "cloud": {conn.Cloud}}
	}
	return web.Page{Frame: frame, Body: ui.FormCard("cf", "Identity",
		"Changing the application, directory or cloud clears the verification result. You can change them once no run uses the connection.",
		form, "Save", op.ConnectionPath(v.Workspace(), p.Tenant.Slug, p.Connection.Slug))}, nil
}

func edit(v *web.Visit) error {
	value := func(name string) *string {
		text := v.R.PostFormValue(name)
		return &text
	}
	conn, err := v.Store.EditConnection(v.R.Context(), v.Actor, v.Tenant.Tenant.ID, v.R.PathValue("connection"), store.EditConnection{
		Name: value("name"), ClientID: value("client_id"), DirectoryID: value("directory_id"), Cloud: value("cloud"),
	})
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return editForm(v, refusal) })
	}
	return tidied(v, op.ConnectionPath(v.Workspace(), v.Tenant.Tenant.Slug, conn.Slug), string(op.EditConnection), pastedIDs(v.R.PostForm))
}

// fields returns the fields of a connection. Those of a new one include what can't be
// changed later.
func fields(isNew bool) []ui.Field {
	fields := []ui.Field{{Name: "name", Label: "Name", Hint: "For example “Kestrel primary”.", Max: 80}}
	if isNew {
		fields = append(fields, ui.Field{
			Name: "slug", Label: "URL name", Hint: "Lower-case letters, digits and hyphens. Leave blank to generate it from the name.", Max: 63, Optional: true,
		})
	}
	return append(fields,
		ui.Field{Name: "client_id", Label: "Application (client) ID", Hint: "GUID of the app registration in Microsoft Entra.", Max: 80},
		ui.Field{Name: "directory_id", Label: "Directory (tenant) ID", Hint: "GUID of the directory that the connection signs in to.", Max: 80},
		ui.Field{Name: "cloud", Label: "Cloud", Kind: "select", Options: clouds()},
	)
}
