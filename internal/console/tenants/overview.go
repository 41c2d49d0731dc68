package tenants

import (
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// recentRuns is how many runs a tenant's page shows.
const recentRuns = 6

func showOverview(v *web.Visit) (web.Page, error) {
	ctx, ta := v.R.Context(), v.Tenant
	t, err := v.Store.Tenant(ctx, ta)
	if err != nil {
		return web.Page{}, err
	}
	frame, err := v.Frame(t.Name, ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()
	frame.State, frame.Lead = state(t, frame.Now), t.Domain+" · directory "+op.Directory(t.DirectoryID)
	frame.Tabs = ui.TenantTabs(v.Workspace(), t.Tenant, "Overview")
	p := overview{Workspace: v.Workspace(), Tenant: t, Now: frame.Now}
	if p.Actions, err = v.StartActions(t.Tenant, t.Default, false, t.Active); err != nil {
		return web.Page{}, err
	}
	if p.Report, err = v.Report(t.Tenant, t.Default, t.Causes, frame.Now); err != nil {
		return web.Page{}, err
	}
	runs, _, err := v.Store.Runs(ctx, ta.Scope, store.RunFilter{Tenant: ta.Tenant.ID, Limit: recentRuns})
	if err != nil {
		return web.Page{}, err
	}
	for _, r := range runs {
		p.Recent = append(p.Recent, v.Described(r))
	}
	return web.Page{Frame: frame, Body: overviewBody(p), Parts: overviewParts(p), About: op.Change{Tenant: ta.Tenant.ID}}, nil
}

// overview is the overview of one tenant.
type overview struct {
	Workspace string // slug
	Tenant    store.TenantView
	Actions   []ui.StartAction
	Report    ui.Report
	Recent    []op.Run
	Now       time.Time
}

// overviewParts returns the parts of the page that update.
func overviewParts(p overview) []ui.Part {
	parts := []ui.Part{
		{ID: "tenant-state", Content: state(p.Tenant, p.Now)},
		{ID: "verification", Content: ui.VerificationCard(p.Report)},
		{ID: "recent", Content: recent(p)},
	}
	return append(parts, ui.StartParts(p.Workspace, p.Actions, p.Now)...)
}
