package web

import (
	"errors"
	"net/url"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
)

// TenantField is the field of a list that is narrowed to one tenant, and the id
// that the list is to be asked for: of what the person typed, or of nothing when
// that means no tenant, or several.
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

// Crumbs lead from the tenants of the workspace to a page of one of them.
func (v *Visit) Crumbs(more ...ui.Link) []ui.Link {
	return append([]ui.Link{
		{Text: v.Actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Tenants", Href: op.TenantsPath(v.Workspace())},
	}, more...)
}

// NextPage is the address of the next page of this list; empty without a cursor.
func (v *Visit) NextPage(cursor string) string {
	if cursor == "" {
		return ""
	}
	q := v.R.URL.Query()
	q.Del(live)
	q.Set("cursor", cursor)
	return (&url.URL{Path: v.R.URL.Path, RawQuery: q.Encode()}).String()
}

// FirstPage is the address of the first page of this list; empty on it.
func (v *Visit) FirstPage() string {
	q := v.R.URL.Query()
	if !q.Has("cursor") {
		return ""
	}
	q.Del(live)
	q.Del("cursor")
	return (&url.URL{Path: v.R.URL.Path, RawQuery: q.Encode()}).String()
}

// TenantLink leads to the page of the tenant that the visit is about.
func (v *Visit) TenantLink() ui.Link {
	return ui.Link{Text: v.Tenant.Tenant.Name, Href: op.TenantPath(v.Workspace(), v.Tenant.Tenant.Slug)}
}

// Monitoring leads to the runs of the workspace.
func (v *Visit) Monitoring() []ui.Link {
	return []ui.Link{
		{Text: v.Actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Operations", Href: op.OperationsPath(v.Workspace())},
	}
}
