package ui

import (
	"strings"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// result is what the one result component shows, slot by slot: of an answer of
// the gate, of a run, and of the notice of a run's end.
type result struct {
	id      string
	look    Look
	idle    bool            // no work was done: the edge is striped
	alert   bool            // it is read aloud at once: the press was not looked at
	badge   templ.Component // tag of an answer, pill of a run; nil: none
	kick    string          // what it is about, beside the badge
	title   string
	reason  string
	why     string
	next    string
	also    string
	ask     string
	actions []action
	again   string // id of the form that "Start again" sends; empty: none
	facts   []fact
	compact bool
	top     bool // it stands right below the page's heading
	focus   bool // it answers the press that led to this page
}

type action struct {
	text, href string
	main       bool
}

type fact struct {
	name, text string
	code       bool
}

// Start is one start action of a page: its form, and where its answer goes.
type Start struct {
	Workspace  string // slug
	Tenant     string // slug
	Kind       op.Kind
	Key        string // idempotency key, new for each rendering
	Connection string // id; empty: the tenant's default
	Shown      string // id of the connection that the page shows as the one to be used
	Version    int64  // of that connection, as shown
	Parameters string // JSON; empty: the operation's defaults
	Back       string // address of the page, for browsers without script
	Notice     bool   // the answer goes to the notices: there is no room beside the button
	Small      bool
	Main       bool   // the button is the main one of its page
	Top        bool   // its answer stands right below the page's heading
	Label      string // of the button; empty: the operation's own
	About      string // what tells the button from others of the page; empty: the operation's name
}

// id is common to the elements of one start action.
func (s Start) id() string {
	id := Dashed(string(s.Kind))
	if s.Connection != "" {
		id += "-" + s.Connection
	}
	return id
}

func (s Start) form() string { return "start-" + s.id() }

// Slot is the id of the element that the answer takes the place of.
func (s Start) Slot() string { return "answer-" + s.id() }

// target is what htmx puts the answer into, and how.
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

// ofAnswer fills the result from an answer of the gate to s.
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

// ofProblem fills the result from a problem with a press on s, which the gate did not
// look at. signIn leads to where the person has to sign in first, or is empty.
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

// ofRun fills the result from a run's own words.
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

// ofNotice fills the result from the notification of a run's end.
func ofNotice(n op.Notice, r op.Run) result {
	out := ofRun(r)
	out.id, out.kick, out.compact, out.facts = "notice-"+n.ID, r.Tenant.Name+" · run "+n.RunCode, true, nil
	out.actions = []action{{text: "Open run " + n.RunCode, href: n.Href}}
	return out
}

// fix offers the reader what mends it, or says whom to ask.
func (r *result) fix(f *op.Fix, main bool) {
	switch {
	case f == nil:
	case f.Href != "":
		r.actions = append(r.actions, action{text: f.Label, href: f.Href, main: main})
	case f.Behind(r.next) != r.next: // else the next step says it already
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
