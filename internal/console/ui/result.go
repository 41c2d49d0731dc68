package ui

import (
	"strings"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// result has the slots of the one result component, which shows an answer to a start, a
// run, or the notice of a run's end.
type result struct {
	id      string
	look    Look
	idle    bool            // no work was done; shown as a striped edge
	alert   bool            // announced at once: the start was not judged
	badge   templ.Component // tag of an answer, pill of a run; nil: none
	kick    string          // subject, beside the badge
	title   string
	reason  string
	why     string
	next    string
	also    string
	ask     string
	actions []action
	again   string // id of the form that "Start again" submits; empty: none
	facts   []fact
	compact bool
	top     bool // directly below the page's heading
	focus   bool // takes the focus: it answers the start that led here
}

type action struct {
	text, href string
	main       bool
}

type fact struct {
	name, text string
	code       bool
}

// Start is a start action: its form, and where its answer goes.
type Start struct {
	Workspace  string // slug
	Tenant     string // slug
	Kind       op.Kind
	Key        string // idempotency key
	Connection string // id; empty: the tenant's default
	Shown      string // id of the connection that the page shows as used
	Version    int64  // of that connection, as shown
	Parameters string // JSON; empty: the operation's defaults
	Back       string // address of the page, for browsers without script
	Notice     bool   // the answer is shown as a notice, for want of room
	Small      bool
	Main       bool   // the button is the page's primary one
	Top        bool   // the answer goes directly below the page's heading
	Label      string // of the button; empty: the operation's own
	About      string // tells the button from others; empty: the operation's name
}

// id is part of the ids of all elements of the action.
func (s Start) id() string {
	id := Dashed(string(s.Kind))
	if s.Connection != "" {
		id += "-" + s.Connection
	}
	return id
}

func (s Start) form() string { return "start-" + s.id() }

// Slot returns the id of the element that the answer replaces.
func (s Start) Slot() string { return "answer-" + s.id() }

// target returns where htmx puts the answer, and how.
func (s Start) target() (selector, swap string) {
	if s.Notice {
		return "#notices", "beforeend"
	}
	return "#" + s.Slot(), "outerHTML"
}

func (s Start) label() string {
	if s.Label != "" {
		return s.Label
	}
	_, verb := glyph(s.Kind)
	return verb
}

func (s Start) about() string {
	if s.About != "" {
		return s.label() + ": " + s.About
	}
	return s.label() + ": " + s.Kind.Name()
}

// ofAnswer returns the result of an answer to s.
func ofAnswer(a op.Answer, s Start) result {
	first := a.Reasons[0]
	r := result{
		id: s.Slot(), look: outcomes[a.Outcome], idle: a.Outcome == op.Blocked || a.Outcome == op.ScopeBusy,
		badge: Tag(a.Outcome), kick: a.Operation.Name(), title: a.Title,
		reason: first.Title, why: first.Detail, next: strings.Join(a.Next, " "), also: a.Also,
		compact: s.Notice, focus: !s.Notice, top: s.Top,
	}
	if s.Notice && a.Target != nil {
		r.kick += " · " + a.Target.Short
	}
	r.fix(first.Fix, a.Outcome == op.Accepted || a.Outcome == op.Blocked)
	queued := fact{name: "Queued", text: a.Queued}
	if s.Notice {
		r.facts = []fact{queued}
		return r
	}
	if a.Outcome == op.ScopeBusy {
		r.again = s.form()
	}
	if a.Target != nil {
		r.facts = append(r.facts, fact{name: "Connection", text: a.Target.Name})
		if connection := op.ConnectionPath(s.Workspace, a.Tenant.Slug, a.Target.Slug); a.Outcome == op.Blocked && !r.leads(connection) {
			r.actions = append(r.actions, action{text: "Open connection", href: connection})
		}
	}
	r.facts = append(r.facts, queued)
	if a.Holder != nil && a.Outcome == op.Blocked {
		r.facts = append(r.facts, fact{name: "In use by", text: a.Holder.Operation.Name() + ", run " + a.Holder.Code})
	}
	r.facts = append(r.facts, fact{name: "Checked", text: op.Moment(a.CheckedAt, a.CheckedAt)}, fact{name: "Code", text: a.Code, code: true})
	return r
}

// ofProblem returns the result of a problem with s: the start was not judged. signIn is
// the address of the sign-in page if a sign-in is needed, else empty.
func ofProblem(p *httpx.Problem, s Start, signIn string) result {
	r := result{
		id: s.Slot(), look: Look{"calm", "slash"}, idle: true, title: p.Title, why: p.Detail, next: p.Next,
		compact: s.Notice, focus: true, top: s.Top, alert: true,
	}
	if signIn != "" {
		r.actions = []action{{text: "Sign in", href: signIn, main: true}}
	}
	return r
}

// ofRun returns the result of a run.
func ofRun(r op.Run) result {
	word, l := LookOf(r.Words.Code)
	out := result{
		id: "outcome", top: true, look: l, idle: word == string(op.RunBlocked), badge: Pill(r.Words), title: r.Words.Title,
		reason: r.Words.Reason, why: r.Words.Why, next: r.Words.Next,
		facts: []fact{
			{name: "Connection", text: r.Target.Name},
			{name: "Work done", text: r.Operation.Work(r.Counts)},
			{name: "Code", text: r.Words.Code, code: true},
		},
	}
	out.fix(r.Words.Fix, true)
	return out
}

// ofNotice returns the result of the notice of a run's end.
func ofNotice(n op.Notice, r op.Run) result {
	out := ofRun(r)
	out.id, out.kick, out.compact, out.facts = "notice-"+n.ID, r.Tenant.Name+" · run "+n.RunCode, true, nil
	out.actions = []action{{text: "Open run " + n.RunCode, href: n.Href}}
	return out
}

// fix adds the button that leads to the remedy, or whom to ask.
func (r *result) fix(f *op.Fix, main bool) {
	switch {
	case f == nil:
	case f.Href != "":
		r.actions = append(r.actions, action{text: f.Label, href: f.Href, main: main})
	case f.Behind(r.next) != r.next: // else the next step says so already
		r.ask = f.Ask()
	}
}

func (r result) leads(href string) bool {
	for _, a := range r.actions {
		if before, _, _ := strings.Cut(a.href, "#"); before == href {
			return true
		}
	}
	return false
}
