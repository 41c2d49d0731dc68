package console

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveRuns() {
	c.page(Route{Path: op.OperationsRoute, Object: Workspace, Needs: tenancy.View}, c.runs)
	c.page(Route{Path: op.RunRoute, Object: Run, Needs: tenancy.View}, c.runPage)
	c.serve(Route{Method: http.MethodPost, Path: op.RunCancelRoute, Object: Run, Needs: tenancy.CancelRuns}, c.cancel)
	c.serve(Route{Method: http.MethodPost, Path: op.RunReleaseRoute, Object: Run, Needs: tenancy.ReleaseConnections}, c.release)
}

func (c *Console) runs(v *visit) (page, error) {
	ctx := v.r.Context()
	frame, err := v.frame("Operations", view.Operations)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = []view.Link{{Text: v.actor.WorkspaceName(), Href: op.WorkspacesRoute}, {Text: "Monitoring"}}
	frame.Lead = "Accepted work only. A start that was blocked or busy never becomes a run; find those under Start attempts."
	q := v.r.URL.Query()
	tenant, tenantID, err := v.tenantField()
	if err != nil {
		return page{}, err
	}
	list := view.RunList{
		Workspace: v.workspace(), Tenant: tenant, Operation: q.Get("operation"), State: q.Get("state"), By: q.Get("by"), Show: q.Get("show"),
		Active: frame.Glance.Active, Now: frame.Now, First: v.firstPage(),
	}
	filter := store.RunFilter{
		Tenant: tenantID, Operation: op.Kind(list.Operation), Initiator: list.By,
		Active: list.Show == "active", Attention: list.Show == "attention", Cursor: q.Get("cursor"),
	}
	if s := op.State(list.State); s == op.Queued || s == op.Running || s == op.Cancelling {
		filter.State = s
	} else {
		filter.Outcome = op.RunOutcome(list.State)
	}
	runs, next, err := c.store.Runs(ctx, v.scope, filter)
	if err != nil {
		return page{}, err
	}
	list.Next = v.nextPage(next)
	for _, r := range runs {
		list.Runs = append(list.Runs, v.described(r))
	}
	return page{frame: frame, body: view.RunsPage(list), parts: view.RunListParts(list)}, nil
}

// tenantOptions are the tenants to choose from.
func (v *visit) tenantOptions() (options []view.Option, err error) {
	tenants, err := v.console.store.TenantNames(v.r.Context(), v.scope)
	for _, t := range tenants {
		options = append(options, view.Option{Value: t.Slug, Text: t.Name})
	}
	return options, err
}

func (c *Console) runPage(v *visit) (page, error) {
	ctx, r := v.r.Context(), v.described(v.run)
	var err error
	// The tenant is entered by the id that the run has: who sees the run sees it.
	if v.tenant, err = c.door.Tenant(ctx, v.actor, r.Tenant.ID, tenancy.View); err != nil {
		return page{}, err
	}
	frame, err := v.frame(r.Operation.Name(), view.Operations)
	if err != nil {
		return page{}, err
	}
	frame.Title = r.Operation.Name() + ", run " + r.Code
	frame.Crumbs = v.monitoring()
	frame.Lead = "Run " + r.Code + " · " + r.Tenant.Name
	p := view.RunPage{
		Run: r, Now: frame.Now, Show: v.r.URL.Query().Get("show"), First: v.firstPage(),
		Cancel:  v.may(tenancy.CancelRuns) && (r.State == op.Queued || r.State == op.Running),
		Release: v.may(tenancy.ReleaseConnections) && (r.Stalled || r.State == op.Cancelling),
	}
	if p.Items, p.MoreHref, err = v.items(r.ID, p.Show == "failed"); err != nil {
		return page{}, err
	}
	if p.Timeline, err = v.timeline(r.ID); err != nil {
		return page{}, err
	}
	if p.Joined, err = c.store.JoinedAttempts(ctx, v.scope, r.ID); err != nil {
		return page{}, err
	}
	def, err := catalogue.Lookup(r.Operation)
	if err != nil { // of another version: it can be looked at
		def = &catalogue.Definition{}
	} else if defaults, err := def.Canonical(nil); err != nil || !bytes.Equal(defaults, r.Parameters) {
		p.Choices = string(r.Parameters)
	}
	if r.State == op.Finished && v.may(def.Capability) {
		again := v.startOf(r.Tenant.Slug, r.Operation, r.Target.ConnectionID)
		again.Label, again.Parameters, again.Top = "Start again", string(r.Parameters), true
		p.Again = &again
		if p.Answer, err = v.attempt(v.tenant.Tenant); err != nil {
			return page{}, err
		}
	}
	frame.State, frame.Actions = view.RunState(r), view.RunActions(p)
	shown := page{
		frame: frame, body: view.RunDetail(p), parts: view.RunParts(p), status: r.Words.Title,
		about: op.Change{Tenant: r.Tenant.ID, Run: r.ID},
	}
	if r.State == op.Finished {
		shown.ended = r
	}
	return shown, nil
}

// items are what became of the items of a run: a page of all, or all that failed.
func (v *visit) items(run string, onlyFailed bool) (described []op.Item, more string, err error) {
	cursor := v.r.URL.Query().Get("cursor")
	for {
		items, next, err := v.console.store.Items(v.r.Context(), v.scope, run, cursor, 0)
		if err != nil {
			return nil, "", err
		}
		for _, i := range items {
			if !onlyFailed || i.Result == op.ItemFailed {
				described = append(described, op.DescribeItem(i))
			}
		}
		if !onlyFailed || next == "" {
			return described, v.nextPage(next), nil
		}
		cursor = next
	}
}

// timelineLines bound what is shown of a timeline: the newest.
const timelineLines = 200

// timeline is what happened in a run, the newest first.
func (v *visit) timeline(run string) ([]store.RunEvent, error) {
	var lines []store.RunEvent
	for after := int64(0); ; {
		more, err := v.console.store.Events(v.r.Context(), v.scope, run, after, timelineLines)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
		lines = lines[max(0, len(lines)-timelineLines):]
		if len(more) < timelineLines {
			slices.Reverse(lines)
			return lines, nil
		}
		after = more[len(more)-1].Seq
	}
}

func (c *Console) cancel(v *visit) error {
	if _, err := c.gate.Cancel(v.r.Context(), v.actor, v.run.ID); err != nil {
		return err
	}
	return v.goTo(op.RunPath(v.workspace(), v.run.Code))
}

func (c *Console) release(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	if _, err := c.gate.Release(v.r.Context(), v.actor, v.run.ID, v.r.PostFormValue("note")); err != nil {
		return err
	}
	return v.goTo(op.RunPath(v.workspace(), v.run.Code))
}
