package op

import "time"

// Facts are common to all answers of the gate.
type Facts struct {
	Attempt   string // id of the stored start request; empty for a preflight
	Workspace string // slug
	Operation Kind
	Tenant    Tenant
	Target    *Target // nil: no connection could be resolved
	At        time.Time
	MayMend   bool   // whether the reader may change connections here
	Reference string // the request id, for support
	Reader    string // user id of the reader
}

// Result is one answer of the gate. Only the constructors can make one, so a blocked
// answer can't hold an accepted run. [Describe] treats the zero Result as a fault.
type Result struct {
	outcome  Outcome
	facts    Facts
	run      *RunRef
	holder   *RunRef
	hidden   bool
	causes   []Cause
	replayed bool
}

// AcceptedResult is the answer that created run.
func AcceptedResult(f Facts, run RunRef) Result {
	return Result{outcome: Accepted, facts: f, run: &run, causes: []Cause{{Code: Reason(Accepted), Phase: Admission}}}
}

// DedupedResult is the answer that joined run, which was already queued or running.
func DedupedResult(f Facts, run RunRef) Result {
	return Result{outcome: Deduped, facts: f, run: &run, causes: []Cause{{Code: SameOperationActive, Phase: Admission}}}
}

// BusyResult is the answer when another run holds the connection. A nil holder means
// that the reader may not see that run; the answer then reveals nothing about it.
func BusyResult(f Facts, why Cause, holder *RunRef) Result {
	return Result{outcome: ScopeBusy, facts: f, holder: holder, hidden: holder == nil, causes: []Cause{why}}
}

// BlockedResult is the answer when something must be fixed first. holder is the run that
// holds the connection; nil when there is none or the reader may not see it.
func BlockedResult(f Facts, causes []Cause, holder *RunRef) Result {
	if len(causes) == 0 { // fail closed: a refusal without a reason is a fault of Interlock
		causes = []Cause{{Code: PrecheckUnavailable, Phase: Admission}}
	}
	return Result{outcome: Blocked, facts: f, holder: holder, causes: causes}
}

// Replay returns r as the answer to a repeated request with the same key: the first
// answer, with the current state of run.
func (r Result) Replay(run RunRef) Result {
	r.replayed, r.run = true, &run
	return r
}

// For returns r for the given reader.
func (r Result) For(reader string, mayMend bool) Result {
	r.facts.Reader, r.facts.MayMend = reader, mayMend
	return r
}

// Outcome returns which of the four answers r is.
func (r Result) Outcome() Outcome { return r.outcome }

// Facts returns the facts that are common to all answers.
func (r Result) Facts() Facts { return r.facts }

// Run returns the run that was created or joined; nil for the other answers.
func (r Result) Run() *RunRef { return r.run }

// Holder returns the run that holds the connection; nil when there is none or the
// reader may not see it.
func (r Result) Holder() *RunRef { return r.holder }

// HolderHidden reports that the connection is held by a run that the reader may not see.
func (r Result) HolderHidden() bool { return r.hidden }

// Causes returns the reasons in order, the most important first.
func (r Result) Causes() []Cause { return r.causes }

// Replayed reports that this answers a repeated request.
func (r Result) Replayed() bool { return r.replayed }

// ReadyResult is the answer of a preflight when a start would be accepted now. It
// creates no run.
func ReadyResult(f Facts) Result {
	return Result{outcome: Accepted, facts: f, causes: []Cause{{Code: Reason(Accepted), Phase: Admission}}}
}

// Recorded returns r with the id of the stored start request.
func (r Result) Recorded(attempt string) Result {
	r.facts.Attempt = attempt
	return r
}
