// Package attempts holds the pages of start attempts: every start request and its result.
package attempts

import (
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages to the site.
func Serve(s *web.Site) {
	s.Page(web.Route{Path: op.AttemptsRoute, Object: web.Workspace, Needs: tenancy.View}, showList)
	s.Page(web.Route{Path: op.AttemptRoute, Object: web.Workspace, Needs: tenancy.View}, showAttempt)
}

func showList(v *web.Visit) (web.Page, error) {
	ctx, q := v.R.Context(), v.R.URL.Query()
	frame, err := v.Frame("Start attempts", ui.Attempts)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Monitoring()
	frame.Lead = "Every start request and its result, including refusals."
	tenant, tenantID, err := v.TenantField()
	if err != nil {
		return web.Page{}, err
	}
	l := list{
		Workspace: v.Workspace(), Tenant: tenant, Operation: q.Get("operation"), Outcome: q.Get("outcome"), By: q.Get("by"),
		First: v.FirstPage(), Now: frame.Now,
	}
	found, next, err := v.Store.Attempts(ctx, v.Scope, store.AttemptFilter{
		Tenant: tenantID, Operation: op.Kind(l.Operation), Outcome: op.Outcome(l.Outcome), Actor: l.By, Run: q.Get("run"), Cursor: q.Get("cursor"),
	})
	if err != nil {
		return web.Page{}, err
	}
	l.Next = v.NextPage(next)
	for _, a := range found {
		l.Rows = append(l.Rows, attempted(v, a))
	}
	return web.Page{Frame: frame, Body: listBody(l), Parts: listParts(l)}, nil
}

// attempted returns a start request with its answer, in this reader's words.
func attempted(v *web.Visit, a store.Attempt) row {
	return row{Attempt: a, Answer: op.Describe(a.Result(v.Actor, v.Actor.Grants()))}
}

func showAttempt(v *web.Visit) (web.Page, error) {
	a, err := v.Store.Attempt(v.R.Context(), v.Scope, v.R.PathValue("attempt"))
	if err != nil {
		return web.Page{}, err
	}
	frame, err := v.Frame("Start attempt", ui.Attempts)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = "Start attempt, " + a.Operation.Name()
	frame.Crumbs = append(v.Monitoring(), ui.Link{Text: "Start attempts", Href: op.AttemptsPath(v.Workspace())})
	frame.Lead = a.Operation.Name() + " · " + a.Tenant.Name
	return web.Page{Frame: frame, Body: detailBody(v.Workspace(), attempted(v, a), frame.Now)}, nil
}

// list is the page of all start requests.
type list struct {
	Workspace   string // slug
	Tenant      ui.TenantField
	Operation   string
	Outcome     string
	By          string // "me", or empty: anyone
	Rows        []row
	First, Next string
	Now         time.Time
}

// row is a start request with its answer, in this reader's words.
type row struct {
	store.Attempt
	Answer op.Answer
}

func (l list) filtered() bool { return l.Tenant.Text+l.Operation+l.Outcome+l.By != "" }

// listParts returns the parts of the page that update.
func listParts(l list) []ui.Part {
	return []ui.Part{{ID: "attempt-list", Content: listing(l)}}
}

func outcomeOptions() []ui.Option {
	options := []ui.Option{{Text: "All answers"}}
	for _, o := range []op.Outcome{op.Accepted, op.Deduped, op.ScopeBusy, op.Blocked} {
		options = append(options, ui.Option{Value: string(o), Text: o.Label()})
	}
	return options
}

// pressed says when a start was requested, and how often.
func pressed(a store.Attempt, now time.Time) string {
	if a.Presses > 1 {
		return op.Number(a.Presses) + " times, last " + op.Moment(a.LastAt, now)
	}
	return op.Moment(a.At, now)
}
