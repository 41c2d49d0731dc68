package tenants

import (
	"context"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func serveSettings(s *web.Site) {
	s.Page(web.Route{Path: op.TenantSettingsRoute, Object: web.Tenant, Needs: tenancy.View}, showSettings)
	manage := func(path string) web.Route {
		return web.Route{Method: http.MethodPost, Path: path, Object: web.Tenant, Needs: tenancy.ManageTenants}
	}
	s.Handle(manage(op.TenantArchiveRoute), web.Meant(move("archive", s.Store.ArchiveTenant)))
	s.Handle(manage(op.TenantRestoreRoute), move("restore", s.Store.RestoreTenant))
}

// settingsDone confirms the change that led to the page.
var settingsDone = map[string]string{
	"archive": "Tenant archived.",
	"restore": "Tenant brought back.",
}

func showSettings(v *web.Visit) (web.Page, error) { return settingsPage(v, nil) }

func settingsPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	t := v.Tenant.Tenant
	frame, err := v.Frame("Settings", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = "Settings of " + t.Name
	frame.Crumbs = v.Crumbs(v.TenantLink())
	frame.Lead = "Tenant details."
	frame.Tabs = ui.TenantTabs(v.Workspace(), t, "Settings")
	done := settingsDone[v.Done()]
	return web.Page{Frame: frame, Body: settingsBody(v.Workspace(), t, v.May(tenancy.ManageTenants), done, refusal)}, nil
}

// move archives a tenant, or brings it back.
func move(change string, move func(context.Context, access.Actor, string) error) func(*web.Visit) error {
	return func(v *web.Visit) error {
		if err := move(v.R.Context(), v.Actor, v.Tenant.Tenant.ID); err != nil {
			return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return settingsPage(v, refusal) })
		}
		return v.Saved(op.TenantSettingsPath(v.Workspace(), v.Tenant.Tenant.Slug), change)
	}
}
