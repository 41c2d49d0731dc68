package console

import (
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveAttempts() {
	c.page(Route{Path: op.AttemptsRoute, Object: Workspace, Needs: tenancy.View}, c.attempts)
	c.page(Route{Path: op.AttemptRoute, Object: Workspace, Needs: tenancy.View}, c.attempt)
}

func (c *Console) attempts(v *visit) (page, error) {
	ctx, q := v.r.Context(), v.r.URL.Query()
	frame, err := v.frame("Start attempts", view.Attempts)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.monitoring()
	frame.Lead = "Every answer of the start gate, also those that queued nothing."
	tenant, tenantID, err := v.tenantField()
	if err != nil {
		return page{}, err
	}
	l := view.AttemptList{
		Workspace: v.workspace(), Tenant: tenant, Operation: q.Get("operation"), Outcome: q.Get("outcome"), By: q.Get("by"),
		First: v.firstPage(), Now: frame.Now,
	}
	found, next, err := c.store.Attempts(ctx, v.scope, store.AttemptFilter{
		Tenant: tenantID, Operation: op.Kind(l.Operation), Outcome: op.Outcome(l.Outcome), Actor: l.By, Run: q.Get("run"), Cursor: q.Get("cursor"),
	})
	if err != nil {
		return page{}, err
	}
	l.Next = v.nextPage(next)
	for _, a := range found {
		l.Rows = append(l.Rows, v.attempted(a))
	}
	return page{frame: frame, body: view.AttemptsPage(l), parts: view.AttemptParts(l)}, nil
}

// attempted is a press with its answer, as the reader may see it.
func (v *visit) attempted(a store.Attempt) view.AttemptRow {
	return view.AttemptRow{Attempt: a, Answer: op.Describe(a.Result(v.actor, v.actor.Grants()))}
}

func (v *visit) monitoring() []view.Link {
	return []view.Link{
		{Text: v.actor.WorkspaceName(), Href: op.WorkspacesRoute},
		{Text: "Operations", Href: op.OperationsPath(v.workspace())},
	}
}

func (c *Console) attempt(v *visit) (page, error) {
	a, err := c.store.Attempt(v.r.Context(), v.scope, v.r.PathValue("attempt"))
	if err != nil {
		return page{}, err
	}
	frame, err := v.frame("Start attempt", view.Attempts)
	if err != nil {
		return page{}, err
	}
	frame.Title = "Start attempt, " + a.Operation.Name()
	frame.Crumbs = append(v.monitoring(), view.Link{Text: "Start attempts", Href: op.AttemptsPath(v.workspace())})
	frame.Lead = a.Operation.Name() + " · " + a.Tenant.Name
	return page{frame: frame, body: view.AttemptPage(v.workspace(), v.attempted(a), frame.Now)}, nil
}
