package data

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showGroups(v *web.Visit) (web.Page, error) {
	ctx, t, q := v.R.Context(), v.Tenant.Tenant, v.R.URL.Query()
	frame, err := v.Frame("Directory groups", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = "Directory groups of " + t.Name
	frame.Crumbs = v.Crumbs(v.TenantLink())
	frame.Lead = "Groups of " + t.Name + " and their members, as Interlock last read them."
	frame.Tabs = ui.TenantTabs(v.Workspace(), t, "Groups")
	rows, next, err := v.Mirror.Groups(ctx, v.Tenant, mirror.Filter{Query: q.Get("q"), Type: q.Get("type"), Cursor: q.Get("cursor")})
	if err != nil {
		return web.Page{}, err
	}
	l := groupPage{
		Workspace: v.Workspace(), Tenant: t.Slug, Query: q.Get("q"), Type: tenancy.GroupType(q.Get("type")), Rows: rows,
		First: v.FirstPage(), Next: v.NextPage(next), Now: frame.Now,
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	if l.Sizes, err = v.Mirror.GroupSizes(ctx, v.Tenant, "", ids); err != nil {
		return web.Page{}, err
	}
	sets, err := v.Mirror.Datasets(ctx, v.Tenant, "")
	if err != nil {
		return web.Page{}, err
	}
	for _, d := range sets {
		if d.Name == catalogue.Groups {
			l.Known = d
			l.Stale = whyStale(d)
		}
	}
	if l.Sync, l.Lacks, l.Answer, err = syncNow(v, op.DirectoryGroupsSync); err != nil {
		return web.Page{}, err
	}
	frame.Actions = syncButton(l.Sync, l.Lacks)
	return web.Page{Frame: frame, Body: groupsBody(l), Parts: groupParts(l), About: op.Change{Tenant: t.ID}}, nil
}

// whyStale tells why the last try to read a dataset kept the older rows; empty
// when it did not.
func whyStale(d mirror.Dataset) string {
	if d.Stale == "" {
		return ""
	}
	return op.DescribeItem(op.Item{Reason: d.Stale, At: d.AsOf}).Detail
}

// syncNow is the start action of a page of data that came through the tenant's
// default connection: what the reader lacks for it, and the answer to the press
// that led to the page.
func syncNow(v *web.Visit, kind op.Kind) (s ui.Start, lacks string, answer *op.Answer, err error) {
	t, err := v.Store.Tenant(v.R.Context(), v.Tenant)
	if err != nil {
		return s, "", nil, err
	}
	s = v.StartOf(t.Slug, kind, "")
	s.Label, s.Main, s.Top = "Sync now", true, true
	if t.Default != nil {
		s.Shown, s.Version = t.Default.ID, t.Default.Version
	}
	if def, err := catalogue.Lookup(kind); err == nil && !v.May(def.Capability) {
		lacks = def.Capability.Words()
	}
	answer, err = v.Attempted(t.Tenant)
	if answer != nil && answer.Operation != kind {
		answer = nil
	}
	return s, lacks, answer, err
}

func showGroup(v *web.Visit) (web.Page, error) {
	ctx, t, q := v.R.Context(), v.Tenant.Tenant, v.R.URL.Query()
	group, err := v.Mirror.Group(ctx, v.Tenant, "", v.R.PathValue("group"))
	if err != nil {
		return web.Page{}, err
	}
	p := oneGroup{Workspace: v.Workspace(), Tenant: t.Slug, Group: group, Query: q.Get("q"), First: v.FirstPage()}
	name := group.Name
	if name == "" {
		name = group.ID
	}
	frame, err := v.Frame(name, ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs(v.TenantLink(), ui.Link{Text: "Directory groups", Href: op.GroupsPath(v.Workspace(), t.Slug)})
	frame.Lead = "Directory group of " + t.Name
	var next string
	if p.Members, next, err = v.Mirror.GroupMembers(ctx, v.Tenant, group.ID, mirror.Filter{Query: p.Query, Cursor: q.Get("cursor")}); err != nil {
		return web.Page{}, err
	}
	p.Next = v.NextPage(next)
	return web.Page{Frame: frame, Body: groupBody(p)}, nil
}

// groupPage is the page of a tenant's directory groups.
type groupPage struct {
	Workspace, Tenant string // slugs
	Sync              ui.Start
	Lacks             string // words of the capability to sync that the reader lacks; empty: none
	Answer            *op.Answer
	Known             mirror.Dataset // how far the groups are
	Stale             string         // why the last sync kept the older ones; empty: it did not
	Query             string
	Type              tenancy.GroupType // empty: all
	Rows              []mirror.Record
	Sizes             map[string]int64 // members, by group
	First, Next       string
	Now               time.Time
}

// groupParts are what lives on the page: the list, whenever it was read anew.
func groupParts(l groupPage) []ui.Part {
	return []ui.Part{{ID: "group-list", Content: groupList(l), Key: "as of " + l.Known.AsOf.String() + l.Stale}}
}

// oneGroup is one group.
type oneGroup struct {
	Workspace, Tenant string // slugs
	Group             mirror.Record
	Query             string
	Members           []mirror.Record
	First, Next       string
}

// groupTypes are the choices of the filter.
func groupTypes() []ui.Option {
	options := []ui.Option{{Text: "All types"}}
	for _, t := range tenancy.GroupTypes() {
		options = append(options, ui.Option{Value: string(t), Text: t.Words()})
	}
	return options
}

// groupType is the type of a group, and how members come into it.
func groupType(r mirror.Record) (words, membership string) {
	t, byRule := tenancy.GroupType(r.Type).Plain()
	if byRule {
		return t.Words(), "Dynamic"
	}
	return t.Words(), "Assigned"
}

// properties are what else is shown of a group. docs: the group resource type.
type properties struct {
	Description    string `json:"description"`
	MembershipRule string `json:"membershipRule"`
}

// propertiesOf reads a group's properties; those that can't be read are left out.
func propertiesOf(r mirror.Record) (g properties) {
	_ = json.Unmarshal(r.Data, &g) // what came is shown as far as it can be
	return g
}

// typeWords names the type of an object, such as "#microsoft.graph.servicePrincipal".
func typeWords(r mirror.Record) string {
	name := r.Type[strings.LastIndex(r.Type, ".")+1:]
	switch name {
	case "":
		return "Not known"
	case "servicePrincipal":
		return "Service principal"
	case "orgContact":
		return "Contact"
	}
	return ui.Upper(name)
}

// named is the name of an object, or its id when it came without one.
func named(r mirror.Record) string {
	if r.Name == "" {
		return r.ID
	}
	return r.Name
}
