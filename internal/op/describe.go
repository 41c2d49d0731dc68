package op

import (
	"cmp"
	"strings"
	"time"
)

// Label returns the tag of the outcome, such as "Connection busy"; empty for an
// unknown one.
func (o Outcome) Label() string { return outcomes[o].label }

// Ask returns whom to ask, as a sentence; empty when the reader can fix it.
func (f Fix) Ask() string {
	if f.Who == "" || f.Who == you {
		return ""
	}
	return strings.Replace(ask, "{who}", f.Who, 1)
}

// Behind returns next, which says what to do, followed by whom to ask, for surfaces that
// have no separate place for that. It adds nothing that next already says.
func (f *Fix) Behind(next string) string {
	if f == nil || strings.HasPrefix(next, strings.TrimSuffix(f.Ask(), ".")) {
		return next
	}
	return strings.TrimSpace(next + " " + f.Ask())
}

// Describe puts an answer of the gate into words for its reader. It is the only place
// where an answer becomes sentences; surfaces show them unchanged.
func Describe(r Result) Answer {
	if r.outcome == "" { // nothing was decided, and nothing was queued
		r.outcome, r.causes = Blocked, []Cause{{Code: PrecheckUnavailable}}
	}
	causes := r.causes
	if r.hidden && causes[0].Code != ScopeInconsistent { // whose words name no run
		causes = []Cause{{Code: OtherOperationActive}} // the real reason would reveal a run that the reader may not see
	}
	f := r.filler(nil)
	words := outcomes[r.outcome].over(r.variant(causes[0].Code))
	a := Answer{
		Outcome:      r.outcome,
		Operation:    r.facts.Operation,
		Tag:          words.label,
		Title:        f.fill(words.title),
		AttemptID:    r.facts.Attempt,
		Run:          linked(r.run, r.facts.Workspace),
		Holder:       linked(r.holder, r.facts.Workspace),
		HolderHidden: r.hidden,
		Tenant:       r.facts.Tenant,
		Target:       r.facts.Target,
		Queued:       f.fill(words.queued),
		Code:         string(r.outcome),
		CheckedAt:    r.facts.At,
		Replayed:     r.replayed,
	}
	for _, c := range causes {
		a.Reasons = append(a.Reasons, r.explain(c))
	}
	first, others := a.Reasons[0], a.Reasons[1:]
	a.Next = []string{first.Next}
	if r.outcome == ScopeBusy || r.outcome == Blocked || r.replayed {
		a.Code += "/" + string(first.Code)
	}
	var also []string
	for _, e := range others {
		also = append(also, e.Title+".")
	}
	a.Also = strings.Join(also, " ")
	return a
}

// variant returns the words for a reason that replace those of the outcome.
func (r Result) variant(code Reason) text {
	var t text
	switch r.outcome {
	case Accepted:
	case Deduped:
		if r.run.State == Queued {
			t = t.over(dedupedQueued)
		}
		if r.facts.Reader != "" && r.facts.Reader == r.run.Initiator.ID {
			t = t.over(dedupedYours)
		}
		if r.waits(r.run) {
			t = t.over(dedupedWaiting)
		}
	case ScopeBusy:
		t = busy[code]
		if r.waits(r.holder) && code == OtherOperationActive {
			t = t.over(busyWaiting)
		}
		if r.hidden && code == OtherOperationActive {
			t = busyHidden
		}
	case Blocked:
		t = blocker(code)
	}
	if r.replayed {
		t = t.over(replayed)
	}
	if r.facts.Attempt == "" && (r.outcome != Accepted || r.run == nil) {
		t = t.over(preflight[r.outcome])
	}
	return t
}

// waits reports whether a run is waiting for its provider.
func (r Result) waits(run *RunRef) bool {
	return run != nil && run.WaitingUntil != nil && run.WaitingUntil.After(r.facts.At)
}

// blocker returns the words of a blocker, including one that this version doesn't know.
func blocker(code Reason) text {
	if t, ok := blockers[code]; ok {
		return t
	}
	return unknownBlocker
}

// explain puts one reason into words.
func (r Result) explain(c Cause) Explained {
	t := outcomes[r.outcome].over(r.variant(c.Code)).over(variant(c.Code, c.Args))
	f := r.filler(c.Args).with(Args{"code": string(c.Code)})
	if r.replayed {
		c.Code = Replayed
	}
	where := place{"workspace": r.facts.Workspace, "tenant": r.facts.Tenant.Slug}
	if r.facts.Target != nil {
		where["connection"] = r.facts.Target.Slug
	}
	if r.run != nil {
		where["run"] = r.run.Code
	}
	if r.holder != nil {
		where["other_run"] = r.holder.Code
	}
	return Explained{
		Code:   c.Code,
		Phase:  Admission,
		Title:  f.fill(f.pick(t.reason, t.one)),
		Detail: f.fill(f.pick(t.why, t.oneWhy)),
		Next:   f.fill(t.next),
		Fix:    f.fix(t, where, r.facts.MayMend),
	}
}

// filler returns the facts for the sentences of r: those of the answer, and the rest
// from the reason.
func (r Result) filler(args Args) filler {
	facts := r.facts
	known := Args{
		"operation": facts.Operation.Name(),
		"tenant":    facts.Tenant.Name,
		"reference": cmp.Or(facts.Reference, facts.Attempt),
	}
	if facts.Target != nil {
		known["connection"], known["provider"] = facts.Target.Short, facts.Target.Provider
	}
	if r.run != nil {
		known["run"] = r.run.Code
		known["starter"] = r.run.Initiator.Name
		known["started_ago"] = stamp(r.run.StartedAt)
		known["run_state"] = stateInSentence(r.run.State, r.run.Outcome)
		known["until"] = stampOf(r.run.WaitingUntil)
	}
	if r.holder != nil {
		known["other_run"] = r.holder.Code
		known["other_operation"] = r.holder.Operation.Name()
		known["started_for"] = stamp(r.holder.StartedAt)
		known["until"] = stampOf(r.holder.WaitingUntil)
		if args["release_at"] == "" {
			known["release_at"] = stampOf(r.holder.ReleaseAt)
		}
	}
	f := filler{args, facts.At}
	if r.replayed { // the first answer may be a day old, so the time needs its date
		known["checked_at"] = stamp(facts.At)
		f.ref = time.Time{}
	}
	return f.with(known)
}

// fix returns the action that t offers, or whom to ask for it; nil when there is
// nothing to open.
func (f filler) fix(t text, where place, mayMend bool) *Fix {
	if t.who != "" && t.who != anOperator && !mayMend { // the reader is an operator
		return &Fix{Who: f.phrase(t.who)}
	}
	href := where.to(t.action.to)
	if href == "" {
		return nil
	}
	return &Fix{Label: f.fill(t.action.label), Href: href, Who: you}
}

// linked returns a copy of run with its address.
func linked(run *RunRef, workspace string) *RunRef {
	if run == nil {
		return nil
	}
	r := *run
	r.Href = RunPath(workspace, r.Code)
	return &r
}
