package web

import (
	"errors"
	"net/url"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
)

// TenantField returns the tenant filter of a list, and the id to filter by. The id is
// empty without a filter, and of no tenant when the text matches none or several.
func (v *Visit) TenantField() (f ui.TenantField, id string, err error) {
	f = ui.TenantField{Workspace: v.Workspace(), Text: strings.TrimSpace(v.R.URL.Query().Get("tenant"))}
	if f.Text != "" {
		var t op.Tenant
		var wrong *op.FieldError
		switch t, err = v.Store.FindTenant(v.R.Context(), v.Scope, f.Text); {
		case err == nil:
			f.Text, id = t.Slug, t.ID
		case errors.As(err, &wrong):
			f.Problem, id = wrong.Detail, access.NewID()
		default:
			return f, "", err
		}
	}
	f.Choices, err = v.Store.TenantChoices(v.R.Context(), v.Scope, "")
	return f, id, err
}

// Crumbs returns the breadcrumbs from the workspace to its tenants, followed by more.
func (v *Visit) Crumbs(more ...ui.Link) []ui.Link {
	return append([]ui.Link{
		{Text: v.Actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Tenants", Href: op.TenantsPath(v.Workspace())},
	}, more...)
}

// NextPage returns the address of this list's next page; empty without a cursor.
func (v *Visit) NextPage(cursor string) string {
	if cursor == "" {
		return ""
	}
	q := v.R.URL.Query()
	q.Del(live)
	q.Set("cursor", cursor)
	return (&url.URL{Path: v.R.URL.Path, RawQuery: q.Encode()}).String()
}

// FirstPage returns the address of this list's first page; empty on that page.
func (v *Visit) FirstPage() string {
	q := v.R.URL.Query()
	if !q.Has("cursor") {
		return ""
	}
	q.Del(live)
	q.Del("cursor")
	return (&url.URL{Path: v.R.URL.Path, RawQuery: q.Encode()}).String()
}

// TenantLink returns a link to the tenant of the visit.
func (v *Visit) TenantLink() ui.Link {
	return ui.Link{Text: v.Tenant.Tenant.Name, Href: op.TenantPath(v.Workspace(), v.Tenant.Tenant.Slug)}
}

// Monitoring returns the breadcrumbs of pages about runs and start attempts.
func (v *Visit) Monitoring() []ui.Link {
	return []ui.Link{
		{Text: v.Actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Operations", Href: op.OperationsPath(v.Workspace())},
	}
}
