// Package tenants holds the pages of tenants: the list, the overview, the settings, and
// the form for a new tenant.
package tenants

import (
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages to the site.
func Serve(s *web.Site) {
	s.Page(web.Route{Path: op.TenantsRoute, Object: web.Workspace, Needs: tenancy.View}, showList)
	s.Page(web.Route{Path: op.TenantRoute, Object: web.Tenant, Needs: tenancy.View}, showOverview)
	s.Handle(web.Route{Method: http.MethodGet, Path: op.TenantChoicesRoute, Object: web.Workspace, Needs: tenancy.View}, choices)
	s.Editor(web.Route{Path: op.TenantNewRoute, Object: web.Workspace, Needs: tenancy.ManageTenants}, showNew, create)
	serveSettings(s)
}

func showList(v *web.Visit) (web.Page, error) {
	frame, err := v.Frame("Tenants", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Lead = "Every tenant you manage, and whether operations can start there."
	adds := v.May(tenancy.ManageTenants)
	if adds {
		frame.Actions = addTenant(v.Workspace())
	}
	q := v.R.URL.Query()
	filter := store.TenantFilter{Query: q.Get("q"), Readiness: tenancy.Readiness(q.Get("readiness")), Cursor: q.Get("cursor")}
	if run := q.Get("run"); run == "active" {
		filter.Active = true
	} else {
		filter.Latest = op.RunOutcome(run)
	}
	found, next, err := v.Store.Tenants(v.R.Context(), v.Scope, filter)
	if err != nil {
		return web.Page{}, err
	}
	l := list{
		Workspace: v.Workspace(), Adds: adds, Query: filter.Query, Readiness: q.Get("readiness"), Run: q.Get("run"), Now: frame.Now,
		First: v.FirstPage(), Next: v.NextPage(next),
	}
	for _, t := range found {
		r := row{TenantView: t}
		if blockers := v.Explained(t.Tenant, t.Default, t.Causes, frame.Now); len(blockers) > 0 {
			r.Blocker = blockers[0].Title
		}
		l.Rows = append(l.Rows, r)
	}
	return web.Page{Frame: frame, Body: listBody(l), Parts: listParts(l)}, nil
}

// choices returns the suggestions of the tenant filter.
func choices(v *web.Visit) error {
	found, err := v.Store.TenantChoices(v.R.Context(), v.Scope, v.R.URL.Query().Get("tenant"))
	var field *op.FieldError
	if err != nil && !errors.As(err, &field) { // an invalid text has no suggestions
		return err
	}
	return v.Write(http.StatusOK, ui.TenantOptions(found))
}

// list is the page of all tenants.
type list struct {
	Workspace   string // slug
	Adds        bool   // whether the reader may add one
	Query       string
	Readiness   string
	Run         string
	Rows        []row
	First, Next string // addresses of pages; empty: there is none
	Now         time.Time
}

// row is a tenant with its first blocker, in words.
type row struct {
	store.TenantView
	Blocker string
}

func (l list) filtered() bool { return l.Query+l.Readiness+l.Run != "" }

// listParts returns the parts of the page that update.
func listParts(l list) []ui.Part {
	parts := []ui.Part{{ID: "tenant-list", Content: listing(l), Key: "of"}}
	for _, r := range l.Rows {
		parts[0].Key += " " + r.ID
		parts = append(parts, ui.Part{ID: "tenant-" + r.ID, Content: line(l.Workspace, r, l.Now)})
	}
	return parts
}

// latest returns the active run, else the newest one.
func latest(t store.TenantView) *op.RunRef {
	if t.Active != nil {
		return t.Active
	}
	return t.Latest
}
