package console

import (
	"context"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveSettings() {
	c.page(Route{Path: op.TenantSettingsRoute, Object: Tenant, Needs: tenancy.View}, c.settings)
	manage := func(path string) Route {
		return Route{Method: http.MethodPost, Path: path, Object: Tenant, Needs: tenancy.ManageTenants}
	}
	c.serve(manage(op.TenantArchiveRoute), meant(c.moveTenant("archive", c.store.ArchiveTenant)))
	c.serve(manage(op.TenantRestoreRoute), c.moveTenant("restore", c.store.RestoreTenant))
}

// settingsDone tells of the change that led to the page.
var settingsDone = map[string]string{
	"archive": "The tenant was archived.",
	"restore": "The tenant was brought back.",
}

func (c *Console) settings(v *visit) (page, error) { return c.settingsPage(v, nil) }

func (c *Console) settingsPage(v *visit, refusal *httpx.Problem) (page, error) {
	t := v.tenant.Tenant
	frame, err := v.frame("Settings", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Title = "Settings of " + t.Name
	frame.Crumbs = v.crumbs(v.tenantLink())
	frame.Lead = "Tenant details."
	frame.Tabs = view.TenantTabs(v.workspace(), t, "Settings")
	done := settingsDone[v.r.URL.Query().Get(done)]
	return page{frame: frame, body: view.TenantSettings(v.workspace(), t, v.may(tenancy.ManageTenants), done, refusal)}, nil
}

// moveTenant puts a tenant into the archive, or takes it out.
func (c *Console) moveTenant(change string, move func(context.Context, access.Actor, string) error) func(*visit) error {
	return func(v *visit) error {
		if err := move(v.r.Context(), v.actor, v.tenant.Tenant.ID); err != nil {
			return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.settingsPage(v, refusal) })
		}
		return v.changed(op.TenantSettingsPath(v.workspace(), v.tenant.Tenant.Slug), change)
	}
}
