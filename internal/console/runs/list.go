// Package runs holds the pages of runs, and answers what is done with them: a start,
// a cancel, a release.
package runs

import (
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
	s.Page(web.Route{Path: op.OperationsRoute, Object: web.Workspace, Needs: tenancy.View}, showList)
	s.Page(web.Route{Path: op.RunRoute, Object: web.Run, Needs: tenancy.View}, showRun)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.StartRoute, Object: web.Tenant, Needs: web.ByOperation}, start)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.RunCancelRoute, Object: web.Run, Needs: tenancy.CancelRuns}, cancel)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.RunReleaseRoute, Object: web.Run, Needs: tenancy.ReleaseConnections}, release)
}

func showList(v *web.Visit) (web.Page, error) {
	ctx := v.R.Context()
	frame, err := v.Frame("Operations", ui.Operations)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = []ui.Link{{Text: v.Actor.WorkspaceName(), Href: op.WorkspacesRoute}, {Text: "Monitoring"}}
	frame.Lead = "Accepted work only. A blocked or busy start doesn't create a run: see Start attempts."
	q := v.R.URL.Query()
	tenant, tenantID, err := v.TenantField()
	if err != nil {
		return web.Page{}, err
	}
	l := list{
		Workspace: v.Workspace(), Tenant: tenant, Operation: q.Get("operation"), State: q.Get("state"), By: q.Get("by"), Show: q.Get("show"),
		Active: frame.Glance.Active, Now: frame.Now, First: v.FirstPage(),
	}
	filter := store.RunFilter{
		Tenant: tenantID, Operation: op.Kind(l.Operation), Initiator: l.By,
		Active: l.Show == "active", Attention: l.Show == "attention", Cursor: q.Get("cursor"),
	}
	if s := op.State(l.State); s == op.Queued || s == op.Running || s == op.Cancelling {
		filter.State = s
	} else {
		filter.Outcome = op.RunOutcome(l.State)
	}
	runs, next, err := v.Store.Runs(ctx, v.Scope, filter)
	if err != nil {
		return web.Page{}, err
	}
	l.Next = v.NextPage(next)
	for _, r := range runs {
		l.Runs = append(l.Runs, v.Described(r))
	}
	return web.Page{Frame: frame, Body: listBody(l), Parts: listParts(l)}, nil
}

// list is the page of all runs.
type list struct {
	Workspace string // slug
	Tenant    ui.TenantField
	Operation string
	State     string // a state or an outcome; empty: all
	By        string // "me", or empty: anyone
	Show      string // "active", "attention", or empty: all
	Active    int64
	Runs      []op.Run
	First     string
	Next      string
	Now       time.Time
}

func (l list) filtered() bool { return l.Tenant.Text+l.Operation+l.State+l.By+l.Show != "" }

func stateOptions() []ui.Option {
	options := []ui.Option{{Text: "All states"}}
	for _, s := range []op.State{op.Queued, op.Running, op.Cancelling} {
		options = append(options, ui.Option{Value: string(s), Text: op.DescribeRun(op.Run{State: s}, time.Time{}).Pill})
	}
	for _, o := range []op.RunOutcome{op.RunSucceeded, op.RunPartial, op.RunFailed, op.RunBlocked, op.RunCancelled, op.RunLost} {
		options = append(options, ui.OutcomeOption(o))
	}
	return options
}

// listParts returns the parts of the page that update.
func listParts(l list) []ui.Part {
	parts := []ui.Part{{ID: "run-list", Content: listing(l), Key: "of"}, {ID: "run-chips", Content: quickFilters(l)}}
	for _, r := range l.Runs {
		parts[0].Key += " " + r.Code
		parts = append(parts, ui.Part{ID: "run-" + r.Code, Content: line(r, l.Now)})
	}
	return parts
}
