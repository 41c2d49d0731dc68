package op

import (
	"cmp"
	"strconv"
	"time"
)

// DescribeRun puts the state of a run into words, as of now. It never fails: a
// state, outcome or reason that this version doesn't know gets words that say so.
func DescribeRun(r Run, now time.Time) RunWords {
	t, code := r.text(now)
	if r.State == Finished && r.begun() && r.Operation == PolicyRestore {
		t = t.previewed()
	}
	f := r.filler(now)
	return RunWords{
		Pill:   t.label,
		Title:  f.fill(t.title),
		Reason: f.fill(f.pick(t.reason, t.one)),
		Why:    f.fill(f.pick(t.why, t.oneWhy)),
		Next:   f.fill(t.next),
		Fix:    f.fix(t, r.place(), r.MayMend),
		Code:   code,
	}
}

// text returns the words of r's state, and their code.
func (r Run) text(now time.Time) (t text, code string) {
	cause := r.reason()
	switch r.State {
	case Queued, Running, Cancelling:
		switch {
		case r.State != Cancelling && r.WaitingUntil != nil && r.WaitingUntil.After(now):
			return waiting.over(text{reason: explained(r.WaitingFor).reason}), "waiting" + slash(r.WaitingFor)
		case r.Stalled && r.State != Queued:
			return stalled, "stalled"
		case r.State == Cancelling && cause != "": // nobody asked: something was withdrawn
			t := explained(cause)
			return states[Cancelling].over(text{reason: t.reason, one: t.one}), string(Cancelling) + slash(cause)
		}
		return states[r.State], string(r.State)
	case Finished:
		t, ok := endings[r.Outcome]
		if !ok {
			return unclear, string(cmp.Or(r.Outcome, RunOutcome(r.State)))
		}
		switch r.Outcome {
		case RunFailed:
			t = t.over(failure(cause, r.args()))
			if cause == ProviderRejected && r.Counts.Failed == 0 {
				t = t.over(refusedWhole)
				if clean(r.args()["provider_message"]) == "" {
					t = t.over(refusedSilently)
				}
			}
			return t.ending(doneByThen), string(r.Outcome) + slash(cause)
		case RunBlocked:
			return t.over(stop(cause, r.args())).ending(nothingChanged), string(r.Outcome) + slash(cause)
		case RunCancelled:
			if !r.begun() {
				t = t.over(cancelledInLine)
			}
		case RunLost:
			if r.Ended != nil && r.Ended.By != "" {
				t = t.over(released)
			}
		case RunSucceeded:
			switch {
			case r.Counts == (Counts{}):
				t = t.over(succeededEmpty)
			case r.Operation == PolicyRestorePreview:
				t = t.over(previewMade)
			}
		case RunPartial:
		}
		return t, string(r.Outcome)
	}
	return unclear, string(r.State)
}

// stop returns the words of a run that was blocked before it ran.
func stop(code Reason, args Args) text {
	if t, ok := stopped[code]; ok {
		return t
	}
	return blocker(code).over(variant(code, args))
}

// failure returns the words of a failed run. A blocker found during the run has
// the same words as at the start.
func failure(code Reason, args Args) text {
	if t, ok := failures[code]; ok {
		if t.who == "" {
			t.who = blockers[code].who // the same people can fix it as at the start
		}
		return t.over(variant(code, args))
	}
	if t, ok := blockers[code]; ok {
		return t.over(variant(code, args))
	}
	if t, ok := discontinued[code]; ok {
		return t
	}
	return unknownFailure
}

// explained returns the words of a reason, wherever it was found; the zero text for
// an unknown one.
func explained(code Reason) text {
	if t, ok := failures[code]; ok {
		return t
	}
	return blockers[code]
}

// slash returns the suffix of a code that names its reason.
func slash(r Reason) string {
	if r == "" {
		return ""
	}
	return "/" + string(r)
}

// reason returns the reason for r's state; empty when there is nothing to explain. A
// blocked or failed run without a cause counts as a fault of Interlock.
func (r Run) reason() Reason {
	switch {
	case r.Cause != nil && r.Cause.Code != "":
		return r.Cause.Code
	case r.Outcome == RunFailed:
		return InternalFault
	case r.Outcome == RunBlocked:
		return PrecheckUnavailable
	}
	return ""
}

// args are the facts of r's cause.
func (r Run) args() Args {
	if r.Cause == nil {
		return nil
	}
	return r.Cause.Args
}

func (r Run) begun() bool {
	return r.BeganAt != nil || r.Ended != nil && r.Ended.Begun
}

func (r Run) place() place {
	return place{"workspace": r.Workspace, "tenant": r.Tenant.Slug, "connection": r.Target.Slug, "run": r.Code}
}

// filler returns the facts for the sentences of r: those of the run, and the rest
// from its cause.
func (r Run) filler(now time.Time) filler {
	f := filler{ref: now}
	if r.Cause != nil {
		f.args = r.Cause.Args
	}
	total := r.Counts.Total
	if r.Outcome == RunSucceeded {
		total = max(total, r.Counts.Done) // the operation may never have known its total
	}
	f = f.with(Args{
		"operation":  r.Operation.Name(),
		"tenant":     r.Tenant.Name,
		"connection": r.Target.Short,
		"provider":   r.Target.Provider,
		"starter":    r.Initiator.Name,
		"run":        r.Code,
		"done":       number(r.Counts.Done),
		"total":      number(total),
		"failed":     number(r.Counts.Failed),
		"reference":  cmp.Or(f.args["reference"], r.Code),
		"code":       cmp.Or(string(r.reason()), string(r.Outcome), string(r.State)),
	})
	if r.Ended != nil {
		f = f.with(Args{"actor": r.Ended.By, "note": r.Ended.Note})
	}
	if r.BeganAt != nil && r.EndedAt != nil {
		f = f.with(Args{"took": r.EndedAt.Sub(*r.BeganAt).String()})
	}
	if r.State != Finished {
		return f.with(Args{
			"retry_at":  stampOf(r.WaitingUntil),
			"last_seen": stampOf(r.ProgressAt, r.BeganAt, &r.AcceptedAt),
		})
	}
	if r.Outcome == RunLost {
		return f.with(Args{"last_seen": stampOf(r.LastSeenAt, r.BeganAt, &r.AcceptedAt)})
	}
	return f
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// stateInSentence completes "Run K7QM2X is now ...".
func stateInSentence(s State, o RunOutcome) string {
	if words, ok := nowIs[o]; ok {
		return words
	}
	if t, ok := endings[o]; ok {
		return lowerFirst(t.label)
	}
	return lowerFirst(states[s].label)
}

// Label returns the result in words, such as "Unchanged"; "Not known" for an unknown one.
func (r ItemResult) Label() string {
	return cmp.Or(itemResults[r], itemResults[ItemUnknown])
}

// Label returns how the item ended, in words.
func (i Item) Label() string {
	switch i.Reason { //nolint:exhaustive // the others have the label of their result
	case ItemNotReached, ListIncomplete, ObjectAdded, ObjectChanged, ObjectRemoved:
		return items[i.Reason].reason
	}
	if i.Reason == NotLicensed { // however it was stored
		return itemResults[ItemNotApplicable]
	}
	return i.Result.Label()
}

// DescribeItem returns i with its Detail: why it ended as it did, or what it brought.
func DescribeItem(i Item) Item {
	f := filler{i.Args, i.At}.with(Args{
		"code":   string(i.Reason),
		"done":   number(i.Counts.Done),
		"failed": number(i.Counts.Failed),
		"total":  number(max(i.Counts.Total, i.Counts.Done)),
	})
	reason := i.Reason
	if reason == ProviderRejected { // the words of a run, which has items
		reason = ItemRefused
	}
	switch t, ok := items[reason]; {
	case ok:
		i.Detail = f.fill(t.over(variant(reason, i.Args)).why)
	case reason != "":
		i.Detail = f.item(reason)
	case i.Counts == Counts{} && i.Args["objects"] == "0":
		i.Detail = f.fill(cameNone.label)
	case i.Args["added"] != "" && i.Args["changed"] != "" && i.Args["removed"] != "":
		i.Detail = f.fill(cameSince.label)
	case i.Counts == Counts{}:
		i.Detail = ""
	case i.Args["changed"] != "" && i.Args["removed"] != "":
		i.Detail = f.fill(cameChanged.label)
	default:
		i.Detail = f.fill(came.label)
	}
	return i
}

// Unreadable says how many objects of a list could not be stored; empty for none.
func Unreadable(n int64) string {
	if n == 0 {
		return ""
	}
	f := filler{args: Args{"count": number(n)}}
	return f.fill(f.pick(unreadable.label, unreadable.one))
}

// item describes one item by the reason of a run.
func (f filler) item(code Reason) string {
	t := explained(code).over(variant(code, f.args))
	if t.reason == "" {
		return f.fill(unknownItem.why)
	}
	return f.fill(f.pick(t.reason, t.one)) + ". " + f.fill(f.pick(t.why, t.oneWhy))
}

// DescribeNotice returns the notification that r has ended, for the person who
// started it, in the words of the run's page. created is in UTC.
func DescribeNotice(id string, r Run, created time.Time, read *time.Time) Notice {
	w := DescribeRun(r, created)
	f := r.filler(created).with(Args{"created_at": stamp(created)})
	return Notice{
		ID:        id,
		RunID:     r.ID,
		RunCode:   r.Code,
		Href:      RunPath(r.Workspace, r.Code),
		Title:     w.Title,
		Text:      w.Reason + ". " + w.Why,
		Next:      w.Next,
		Where:     f.fill("{tenant} · run {run} · {created_at}"),
		CreatedAt: created,
		ReadAt:    read,
	}
}
