package op

import "time"

// Facts are what every answer of the gate carries, whatever its outcome.
type Facts struct {
	Attempt   string // id of the record of the press; empty for a preflight
	Workspace string // slug
	Operation Kind
	Tenant    Tenant
	Target    *Target // nil: no connection could be resolved
	At        time.Time
	MayMend   bool   // whether the reader may change connections here
	Reference string // what to send to support: the request id
	Reader    string // user id of who reads the answer
}

// Result is one answer of the gate. It can only be made by the constructors, so
// that a blocked answer can't carry an accepted run. The zero Result says nothing
// and describes itself as a fault.
type Result struct {
	outcome  Outcome
	facts    Facts
	run      *RunRef
	holder   *RunRef
	hidden   bool
	causes   []Cause
	replayed bool
}

// AcceptedResult is the answer that made run.
func AcceptedResult(f Facts, run RunRef) Result {
	return Result{outcome: Accepted, facts: f, run: &run, causes: []Cause{{Code: Reason(Accepted), Phase: Admission}}}
}

// DedupedResult is the answer that joined run, which was already on its way.
func DedupedResult(f Facts, run RunRef) Result {
	return Result{outcome: Deduped, facts: f, run: &run, causes: []Cause{{Code: SameOperationActive, Phase: Admission}}}
}

// BusyResult is the answer when other work holds the connection. A nil holder
// means that the reader may not open it: the answer says so and nothing else of it.
func BusyResult(f Facts, why Cause, holder *RunRef) Result {
	return Result{outcome: ScopeBusy, facts: f, holder: holder, hidden: holder == nil, causes: []Cause{why}}
}

// BlockedResult is the answer when something has to be mended first. holder is the
// run that is active on the connection, when there is one and the reader may open it.
func BlockedResult(f Facts, causes []Cause, holder *RunRef) Result {
	if len(causes) == 0 { // fail closed: a refusal without a reason is our fault, and says so
		causes = []Cause{{Code: PrecheckUnavailable, Phase: Admission}}
	}
	return Result{outcome: Blocked, facts: f, holder: holder, causes: causes}
}

// Replay returns r as the answer to a press that arrived again with the same
// key: the first answer, with the run's current state.
func (r Result) Replay(run RunRef) Result {
	r.replayed, r.run = true, &run
	return r
}

// For returns r as the given reader sees it.
func (r Result) For(reader string, mayMend bool) Result {
	r.facts.Reader, r.facts.MayMend = reader, mayMend
	return r
}

// Outcome returns which of the four answers it is.
func (r Result) Outcome() Outcome { return r.outcome }

// Facts returns what the answer carries whatever its outcome.
func (r Result) Facts() Facts { return r.facts }

// Run returns the run that was made or joined; nil for the other answers.
func (r Result) Run() *RunRef { return r.run }

// Holder returns the run that holds the connection, when the reader may open it.
func (r Result) Holder() *RunRef { return r.holder }

// HolderHidden reports that a run holds the connection which the reader may not open.
func (r Result) HolderHidden() bool { return r.hidden }

// Causes returns the reasons in order; the first is the one that is shown big.
func (r Result) Causes() []Cause { return r.causes }

// Replayed reports that this answers a press that had been answered before.
func (r Result) Replayed() bool { return r.replayed }

// ReadyResult is what a preflight answers when a start would be accepted now: no
// run exists, and none was made.
func ReadyResult(f Facts) Result {
	return Result{outcome: Accepted, facts: f, causes: []Cause{{Code: Reason(Accepted), Phase: Admission}}}
}

// Recorded returns r with the id of the record of the press.
func (r Result) Recorded(attempt string) Result {
	r.facts.Attempt = attempt
	return r
}
