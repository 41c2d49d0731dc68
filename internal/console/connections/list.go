package connections

import (
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showOfTenant(v *web.Visit) (web.Page, error) {
	t := v.Tenant.Tenant
	frame, err := v.Frame("Connections", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = "Connections of " + t.Name
	frame.Crumbs = v.Crumbs(v.TenantLink())
	frame.Lead = "How Interlock reaches " + t.Name + ". One operation can use a connection at a time."
	frame.Tabs = ui.TenantTabs(v.Workspace(), t, "Connections")
	l, err := readList(v, v.Tenant.Scope, v.Tenant.Tenant.ID, frame.Now)
	if err != nil {
		return web.Page{}, err
	}
	l.Tenant = &t
	if l.Mends && len(l.Rows) > 0 {
		frame.Actions = addConnection(v.Workspace(), t.Slug)
	}
	return web.Page{Frame: frame, Body: listBody(l), Parts: listParts(l), About: op.Change{Tenant: t.ID}}, nil
}

func showAll(v *web.Visit) (web.Page, error) {
	frame, err := v.Frame("Connections", ui.Connections)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()[:1]
	frame.Lead = "How Interlock reaches your tenants. One operation can use a connection at a time."
	l, err := readList(v, v.Scope, "", frame.Now)
	if err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: listBody(l), Parts: listParts(l)}, nil
}

// readList lists the connections in a scope, with the starts on them: those
// of the tenant with an id, or of all tenants when it is empty.
func readList(v *web.Visit, scope access.Scope, tenant string, now time.Time) (list, error) {
	ctx, q := v.R.Context(), v.R.URL.Query()
	found, next, err := v.Store.Connections(ctx, scope, store.ConnectionFilter{Tenant: tenant, Cursor: q.Get("cursor")})
	if err != nil {
		return list{}, err
	}
	l := list{
		Workspace: v.Workspace(), Mends: v.May(tenancy.ManageConnections), Done: doneWords(v),
		First: v.FirstPage(), Next: v.NextPage(next), Now: now,
	}
	for _, conn := range found {
		row := row{ConnectionView: conn}
		t := tenancy.Tenant{ID: conn.Tenant.ID, Slug: conn.Tenant.Slug, Name: conn.Tenant.Name}
		if blockers := v.Explained(t, &conn.Connection, conn.Causes, now); len(blockers) > 0 {
			row.Blocker = blockers[0].Title
		}
		for _, def := range catalogue.All() {
			if !def.OnEach || !conn.Enabled || !v.May(def.Capability) {
				continue
			}
			s := v.StartOf(t.Slug, def.Kind, conn.ID)
			s.Shown, s.Version, s.Notice, s.Small, s.About = conn.ID, conn.Version, true, true, def.Kind.Name()+", "+conn.Name
			s.Main = def.Kind == op.ConnectionVerify && conn.ChangedSince()
			row.Starts = append(row.Starts, s)
		}
		l.Rows = append(l.Rows, row)
	}
	if !q.Has("attempt") {
		return l, nil
	}
	// Without script the answer to a start is shown above the list.
	a, err := v.Store.Attempt(ctx, scope, q.Get("attempt"))
	if errors.Is(err, op.ErrNotFound) || err == nil && a.Target == nil {
		return l, nil
	} else if err != nil {
		return list{}, err
	}
	answer := op.Describe(a.Result(v.Actor, v.Actor.Grants()))
	l.Answer, l.Pressed = &answer, v.StartOf(a.Tenant.Slug, a.Operation, a.Target.ConnectionID)
	l.Pressed.Top = true
	return l, nil
}

// list is the page of a tenant's connections, or of all tenants'.
type list struct {
	Workspace   string          // slug
	Tenant      *tenancy.Tenant // nil: all tenants
	Rows        []row
	Answer      *op.Answer // to the start that led to this page, without script
	Pressed     ui.Start   // that press
	Mends       bool       // whether the reader may manage connections
	Done        string     // what was changed just now; empty: nothing
	First, Next string
	Now         time.Time
}

// row is a connection with the first thing that is in its way, in
// words, and the starts that the list offers on it.
type row struct {
	store.ConnectionView
	Blocker string
	Starts  []ui.Start
}

// listParts are what lives on the page. The start forms do not: their
// keys are renewed by the answers.
func listParts(l list) []ui.Part {
	var parts []ui.Part
	for _, r := range l.Rows {
		parts = append(parts,
			ui.Part{ID: "ready-" + r.ID, Content: rowReadiness(r, l.Now)},
			ui.Part{ID: "use-" + r.ID, Content: inUse("use-"+r.ID, l.Workspace, r.Active, l.Now)},
		)
	}
	return parts
}
