package console

import (
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveGroups() {
	c.page(Route{Path: op.GroupsRoute, Object: Tenant, Needs: tenancy.View}, c.groups)
	c.page(Route{Path: op.GroupRoute, Object: Tenant, Needs: tenancy.View}, c.group)
}

func (c *Console) groups(v *visit) (page, error) {
	ctx, t, q := v.r.Context(), v.tenant.Tenant, v.r.URL.Query()
	frame, err := v.frame("Directory groups", view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Title = "Directory groups of " + t.Name
	frame.Crumbs = v.crumbs(v.tenantLink())
	frame.Lead = "Groups of " + t.Name + " and their members, as Interlock last read them."
	frame.Tabs = view.TenantTabs(v.workspace(), t, "Groups")
	rows, next, err := c.store.Groups(ctx, v.tenant, store.DataFilter{Query: q.Get("q"), Type: q.Get("type"), Cursor: q.Get("cursor")})
	if err != nil {
		return page{}, err
	}
	l := view.GroupList{
		Workspace: v.workspace(), Tenant: t.Slug, Query: q.Get("q"), Type: tenancy.GroupType(q.Get("type")), Rows: rows,
		First: v.firstPage(), Next: v.nextPage(next), Now: frame.Now,
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	if l.Sizes, err = c.store.GroupSizes(ctx, v.tenant, "", ids); err != nil {
		return page{}, err
	}
	sets, err := c.store.Datasets(ctx, v.tenant, "")
	if err != nil {
		return page{}, err
	}
	for _, d := range sets {
		if d.Name == catalogue.Groups {
			l.Known = d
			l.Stale = whyStale(d)
		}
	}
	if l.Sync, l.Lacks, l.Answer, err = v.syncNow(op.DirectoryGroupsSync); err != nil {
		return page{}, err
	}
	frame.Actions = view.SyncNow(l.Sync, l.Lacks)
	return page{frame: frame, body: view.GroupsPage(l), parts: view.GroupParts(l), about: op.Change{Tenant: t.ID}}, nil
}

// whyStale tells why the last try to read a dataset kept the older rows; empty
// when it did not.
func whyStale(d store.Dataset) string {
	if d.Stale == "" {
		return ""
	}
	return op.DescribeItem(op.Item{Reason: d.Stale, At: d.AsOf}).Detail
}

// syncNow is the start action of a page of data that came through the tenant's
// default connection: what the reader lacks for it, and the answer to the press
// that led to the page.
func (v *visit) syncNow(kind op.Kind) (s view.Start, lacks string, answer *op.Answer, err error) {
	t, err := v.console.store.Tenant(v.r.Context(), v.tenant)
	if err != nil {
		return s, "", nil, err
	}
	s = v.startOf(t.Slug, kind, "")
	s.Label, s.Main, s.Top = "Sync now", true, true
	if t.Default != nil {
		s.Shown, s.Version = t.Default.ID, t.Default.Version
	}
	if def, err := catalogue.Lookup(kind); err == nil && !v.may(def.Capability) {
		lacks = def.Capability.Words()
	}
	answer, err = v.attempt(t.Tenant)
	if answer != nil && answer.Operation != kind {
		answer = nil
	}
	return s, lacks, answer, err
}

func (c *Console) group(v *visit) (page, error) {
	ctx, t, q := v.r.Context(), v.tenant.Tenant, v.r.URL.Query()
	group, err := c.store.Group(ctx, v.tenant, "", v.r.PathValue("group"))
	if err != nil {
		return page{}, err
	}
	p := view.GroupPage{Workspace: v.workspace(), Tenant: t.Slug, Group: group, Query: q.Get("q"), First: v.firstPage()}
	name := group.Name
	if name == "" {
		name = group.ID
	}
	frame, err := v.frame(name, view.Tenants)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs(v.tenantLink(), view.Link{Text: "Directory groups", Href: op.GroupsPath(v.workspace(), t.Slug)})
	frame.Lead = "Directory group of " + t.Name
	var next string
	if p.Members, next, err = c.store.GroupMembers(ctx, v.tenant, group.ID, store.DataFilter{Query: p.Query, Cursor: q.Get("cursor")}); err != nil {
		return page{}, err
	}
	p.Next = v.nextPage(next)
	return page{frame: frame, body: view.GroupDetail(p)}, nil
}
