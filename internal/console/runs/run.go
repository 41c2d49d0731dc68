package runs

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showRun(v *web.Visit) (web.Page, error) {
	ctx, r := v.R.Context(), v.Described(v.Run)
	var err error
	// The tenant is entered by the id that the run has: who sees the run sees it.
	if v.Tenant, err = v.Door.Tenant(ctx, v.Actor, r.Tenant.ID, tenancy.View); err != nil {
		return web.Page{}, err
	}
	frame, err := v.Frame(r.Operation.Name(), ui.Operations)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = r.Operation.Name() + ", run " + r.Code
	frame.Crumbs = v.Monitoring()
	frame.Lead = "Run " + r.Code + " · " + r.Tenant.Name
	p := detail{
		Run: r, Now: frame.Now, Show: v.R.URL.Query().Get("show"), First: v.FirstPage(),
		Cancel:  v.May(tenancy.CancelRuns) && (r.State == op.Queued || r.State == op.Running),
		Release: v.May(tenancy.ReleaseConnections) && (r.Stalled || r.State == op.Cancelling),
	}
	if p.Items, p.MoreHref, err = items(v, r.ID, p.Show == "failed"); err != nil {
		return web.Page{}, err
	}
	if p.Timeline, err = events(v, r.ID); err != nil {
		return web.Page{}, err
	}
	if p.Joined, err = v.Store.JoinedAttempts(ctx, v.Scope, r.ID); err != nil {
		return web.Page{}, err
	}
	def, err := catalogue.Lookup(r.Operation)
	if err != nil { // of another version: it can be looked at
		def = &catalogue.Definition{}
	} else if defaults, err := def.Canonical(nil); err != nil || !bytes.Equal(defaults, r.Parameters) {
		p.Choices = string(r.Parameters)
	}
	if p.Again, err = startAgain(v, r, def); err != nil {
		return web.Page{}, err
	}
	if p.Again != nil {
		if p.Answer, err = v.Attempted(v.Tenant.Tenant); err != nil {
			return web.Page{}, err
		}
	}
	frame.State, frame.Actions = state(r), actions(p)
	shown := web.Page{
		Frame: frame, Body: detailBody(p), Parts: detailParts(p), Status: r.Words.Title,
		About: op.Change{Tenant: r.Tenant.ID, Run: r.ID},
	}
	if r.State == op.Finished {
		shown.Ended = r
	}
	return shown, nil
}

// startAgain is the start that the page offers once the run has ended; nil: the reader may
// not start it. A restore is made again by its preview, because a preview is executed
// once.
func startAgain(v *web.Visit, r op.Run, def *catalogue.Definition) (*ui.Start, error) {
	if r.State != op.Finished || !v.May(def.Capability) {
		return nil, nil
	}
	kind, label, parameters := r.Operation.Again(), "Start again", r.Parameters
	if kind != r.Operation {
		in, err := catalogue.ParseRestore(r.Parameters)
		if err != nil {
			return nil, err
		}
		parameters, err = v.Plans.Asked(v.R.Context(), v.Tenant, in.Plan)
		if preview, unknown := catalogue.Lookup(kind); errors.Is(err, op.ErrNotFound) || unknown != nil || !v.May(preview.Capability) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		label = "Preview again"
	}
	again := v.StartOf(r.Tenant.Slug, kind, r.Target.ConnectionID)
	again.Label, again.Parameters, again.Top = label, string(parameters), true
	return &again, nil
}

// items are what became of the items of a run: a page of all, or all that failed.
func items(v *web.Visit, run string, onlyFailed bool) (described []op.Item, more string, err error) {
	cursor := v.R.URL.Query().Get("cursor")
	for {
		items, next, err := v.Store.Items(v.R.Context(), v.Scope, run, cursor, 0)
		if err != nil {
			return nil, "", err
		}
		for _, i := range items {
			if !onlyFailed || i.Result == op.ItemFailed {
				described = append(described, op.DescribeItem(i))
			}
		}
		if !onlyFailed || next == "" {
			return described, v.NextPage(next), nil
		}
		cursor = next
	}
}

// timelineLines bound what is shown of a timeline: the newest.
const timelineLines = 200

// events is what happened in a run, the newest first.
func events(v *web.Visit, run string) ([]store.RunEvent, error) {
	var lines []store.RunEvent
	for after := int64(0); ; {
		more, err := v.Store.Events(v.R.Context(), v.Scope, run, after, timelineLines)
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

// detail is one run.
type detail struct {
	Run      op.Run
	Items    []op.Item        // described
	Show     string           // of the items: "all", "failed", or empty: the first few, failed ones before the others
	First    string           // the first page of items; empty: this is it
	MoreHref string           // further items; empty: none
	Timeline []store.RunEvent // newest first
	Joined   []store.Attempt
	Choices  string    // its parameters, where they are not the operation's defaults
	Cancel   bool      // whether the reader may cancel it now
	Release  bool      // whether the reader may take the connection away from it now
	Again    *ui.Start // nil: it has not ended, or the reader may not start it
	Answer   *op.Answer
	Now      time.Time
}

// again is the start that the page offers once the run has ended, on the same
// connection.
func (p detail) again() ui.Start {
	return ui.Start{Kind: p.Run.Operation.Again(), Connection: p.Run.Target.ConnectionID}
}

// detailParts returns the parts of the page that update.
func detailParts(p detail) []ui.Part {
	return []ui.Part{
		{ID: "run-state", Content: state(p.Run)},
		{ID: "run-actions", Content: actions(p)},
		{ID: "run-top", Content: runTop(p)},
		{ID: "items", Content: runItems(p)},
		{ID: "timeline", Content: timeline(p)},
		{ID: "run-facts", Content: runFacts(p)},
		{ID: "joined", Content: joined(p)},
	}
}

func progressWords(r op.Run) string {
	switch {
	case r.State == op.Queued:
		return r.Words.Title
	case r.Counts.Total == 0 && r.Counts.Done == 0:
		return "Getting ready"
	case r.Counts.Total == 0:
		return r.Operation.Work(r.Counts) + " so far"
	}
	return r.Operation.Work(r.Counts)
}

func percent(c op.Counts) string {
	if c.Total == 0 {
		return ""
	}
	return strconv.FormatInt(min(c.Done, c.Total)*100/c.Total, 10) + "%"
}

// timeLeft guesses from the pace so far, once there is one.
func timeLeft(r op.Run, now time.Time) string {
	if r.State != op.Running || r.BeganAt == nil || r.Counts.Total == 0 || r.Counts.Done*20 < r.Counts.Total {
		return ""
	}
	left := now.Sub(*r.BeganAt) / time.Duration(r.Counts.Done) * time.Duration(max(0, r.Counts.Total-r.Counts.Done))
	if left < time.Minute {
		return "Less than a minute left."
	}
	return "About " + op.Span(left.Round(time.Minute)) + " left."
}

// underWay tells what the number of items, which stands above, does not.
func underWay(p detail) string {
	if ui.IsState(p.Run.Words.Code) && p.Run.State == op.Running {
		return timeLeft(p.Run, p.Now)
	}
	return p.Run.Words.Why + " " + p.Run.Words.Next
}

// briefly is how many items are shown before one asks for more.
const briefly = 10

// shown are the items to show: all of this page, or the first few of them, those
// that failed before the others.
func (p detail) shown() []op.Item {
	if p.Show != "" || p.First != "" || len(p.Items) <= briefly+1 { // "show all" is a line, too
		return p.Items
	}
	failed := func(i op.Item) bool { return lookOfItem(i.Result).Tone == "stop" || i.Result == op.ItemUnknown }
	items := slices.Clone(p.Items)
	slices.SortStableFunc(items, func(a, b op.Item) int {
		switch {
		case failed(a) == failed(b):
			return 0
		case failed(a):
			return -1
		}
		return 1
	})
	return items[:briefly]
}

var results = map[op.ItemResult]ui.Look{
	op.ItemDone:      {Tone: "go", Icon: "check"},
	op.ItemUnchanged: {Tone: "go", Icon: "check"},
	op.ItemFailed:    {Tone: "stop", Icon: "cross"},
	op.ItemSkipped:   {Tone: "calm", Icon: "dash"},
	op.ItemPending:   {Tone: "calm", Icon: "clock"},

	op.ItemCreated:      {Tone: "go", Icon: "check"},
	op.ItemUpdated:      {Tone: "go", Icon: "check"},
	op.ItemConflict:     {Tone: "stop", Icon: "cross"},
	op.ItemUnresolvable: {Tone: "stop", Icon: "cross"},
	op.ItemNotSupported: {Tone: "calm", Icon: "dash"},
	op.ItemUnknown:      {Tone: "busy", Icon: "unlink"},

	op.ItemNotApplicable: {Tone: "calm", Icon: "dash"},
}

func lookOfItem(r op.ItemResult) ui.Look {
	if l, ok := results[r]; ok {
		return l
	}
	return results[op.ItemUnknown]
}
