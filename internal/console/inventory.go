package console

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveInventory() {
	c.page(Route{Path: op.InventoryRoute, Object: Tenant, Needs: tenancy.View}, c.inventory)
}

func (c *Console) inventory(v *visit) (page, error) {
	ctx, t, q := v.r.Context(), v.tenant.Tenant, v.r.URL.Query()
	frame, err := v.frame("Inventory", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Title = "Inventory of " + t.Name
	frame.Crumbs = v.crumbs(v.tenantLink())
	frame.Lead = "Policies, apps and devices of " + t.Name + ", as Interlock last read them."
	frame.Tabs = view.TenantTabs(v.workspace(), t, "Inventory")
	l := view.InventoryList{
		Workspace: v.workspace(), Tenant: t.Slug, Type: q.Get("type"), Query: q.Get("q"), First: v.firstPage(), Now: frame.Now,
	}
	var next string
	if l.Rows, next, err = c.store.Inventory(ctx, v.tenant, store.DataFilter{Query: l.Query, Type: l.Type, Cursor: q.Get("cursor")}); err != nil {
		return page{}, err
	}
	l.Next = v.nextPage(next)
	sets, err := c.store.Datasets(ctx, v.tenant, "")
	if err != nil {
		return page{}, err
	}
	for _, d := range sets {
		if key, ok := strings.CutPrefix(d.Name, "inventory/"); ok {
			l.Types = append(l.Types, view.InventoryType{Key: key, Count: d.Count, AsOf: d.AsOf, Stale: whyStale(d), Unreadable: op.Unreadable(d.Unreadable)})
		}
	}
	if l.Sync, l.Lacks, l.Answer, err = v.syncNow(op.InventorySync); err != nil {
		return page{}, err
	}
	frame.Actions = view.SyncNow(l.Sync, l.Lacks)
	return page{frame: frame, body: view.InventoryPage(l), parts: view.InventoryParts(l), about: op.Change{Tenant: t.ID}}, nil
}
