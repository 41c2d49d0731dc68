package op

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestBlockersBeforeTheRun: at execution a blocker says the same as at the start,
// and that nothing was changed.
func TestBlockersBeforeTheRun(t *testing.T) {
	for code := range blockers {
		start := Describe(BlockedResult(press(), []Cause{{Code: code, Args: facts()}}, nil)).Reasons[0]
		run := DescribeRun(aRun(Finished, RunBlocked, &Cause{Code: code, Args: facts()}), at)
		why, ok := strings.CutSuffix(run.Why, " Nothing was changed in the tenant.")
		if !ok || start.Detail != why || strings.Contains(run.Why, "queued") {
			t.Errorf("%s: at the start %q, before the run %q", code, start.Detail, run.Why)
		}
		if run.Reason != start.Title || run.Next != start.Next || !reflect.DeepEqual(run.Fix, start.Fix) {
			t.Errorf("%s: the run says %+v, the start said %+v", code, run, start)
		}
	}
}

// TestSameReasonWords holds V3: a problem has the same name at the start and in a failure.
func TestSameReasonWords(t *testing.T) {
	for code, words := range failures {
		if b, ok := blockers[code]; ok && (b.reason != words.reason || b.one != words.one) {
			t.Errorf("%s is called %q at the start and %q in a failure", code, b.reason, words.reason)
		}
	}
	for code := range blockers {
		run := DescribeRun(aRun(Finished, RunFailed, &Cause{Code: code, Args: facts()}), at)
		start := Describe(BlockedResult(press(), []Cause{{Code: code, Args: facts()}}, nil)).Reasons[0]
		if run.Reason != start.Title || !strings.HasSuffix(run.Why, "212 of 1,530 items completed before it failed.") || run.Code != "failed/"+string(code) {
			t.Errorf("%s: the run failed with %+v", code, run)
		}
	}
}

func TestDescribeRun(t *testing.T) {
	for _, c := range []struct {
		name, code, why string
		run             func(*Run)
	}{
		{"total not known", "running", "212 items completed.", func(r *Run) { r.Counts = Counts{Done: 212} }},
		{"one item, total not known", "running", "1 item completed.", func(r *Run) { r.Counts = Counts{Done: 1} }},
		{"all items done, total not known", "succeeded", "It took 29 minutes.", func(r *Run) {
			r.State, r.Outcome, r.Counts, r.EndedAt = Finished, RunSucceeded, Counts{Done: 7}, before(0)
		}},
		{"nothing to do", "succeeded", "Kestrel Logistics has none of the requested items.", func(r *Run) { r.State, r.Outcome, r.Counts = Finished, RunSucceeded, Counts{} }},
		{"waiting is over", "running", "212 of 1,530 items completed.", func(r *Run) { r.WaitingUntil = before(time.Second) }},
		{"waiting is not stalled", "waiting/provider_throttled", "It continues automatically at 14:03 UTC. 212 of 1,530 items completed.", func(r *Run) {
			r.Stalled, r.WaitingUntil, r.WaitingFor = true, before(-time.Minute), ProviderThrottled
		}},
		{"waiting in line", "waiting", "It continues automatically at 24 Nov 2026, 14:02 UTC. 212 of 1,530 items completed.", func(r *Run) {
			r.State, r.WaitingUntil = Queued, before(-24*time.Hour)
		}},
		{"cancelling waits for nothing", "cancelling", "The current item finishes first.", func(r *Run) { r.State, r.WaitingUntil = Cancelling, before(-time.Minute) }},
		{"a wedged run that is being cancelled", "stalled", "The run still responds. 212 of 1,530 items completed. It is holding Kestrel primary.", func(r *Run) {
			r.State, r.Stalled = Cancelling, true
		}},
		{"stalled after it waited", "stalled", "The run still responds. 212 of 1,530 items completed. It is holding Kestrel primary.", func(r *Run) {
			r.Stalled, r.WaitingUntil = true, before(time.Minute)
		}},
		{"refused before any item", "failed/provider_rejected", "Microsoft 365 refused a request that the run needs, with no explanation. 212 of 1,530 items completed before it failed.", func(r *Run) {
			r.State, r.Outcome, r.Counts.Failed = Finished, RunFailed, 0
			r.Cause = &Cause{Code: ProviderRejected}
		}},
		{"lost before its first heartbeat", "lost", "212 of 1,530 items completed. Interlock released the connection.", func(r *Run) {
			r.State, r.Outcome, r.LastSeenAt = Finished, RunLost, nil
		}},
		{"failed without a cause", "failed/internal_fault", "Interlock stopped the run because of an internal error. 212 of 1,530 items completed before it failed.", func(r *Run) {
			r.State, r.Outcome = Finished, RunFailed
		}},
		{"a state of a later version", "resting", "The state is resting, which this version can't explain. 212 of 1,530 items completed.", func(r *Run) { r.State = "resting" }},
		{"an outcome of a later version", "skipped", "The state is skipped, which this version can't explain. 212 of 1,530 items completed.", func(r *Run) {
			r.State, r.Outcome = Finished, "skipped"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := aRun(Running, "", nil)
			c.run(&r)
			if w := DescribeRun(r, at); w.Code != c.code || w.Why != c.why {
				t.Errorf("the run is %s: %q\nwant %s: %q", w.Code, w.Why, c.code, c.why)
			}
		})
	}
}

// TestLastSeen: a stalled run counts from its last progress, a lost one from its last heartbeat.
func TestLastSeen(t *testing.T) {
	stalled := aRun(Running, "", nil)
	stalled.Stalled, stalled.WaitingUntil = true, before(time.Minute)
	mute := aRun(Finished, RunLost, nil)
	mute.LastSeenAt = nil
	for _, c := range []struct {
		run  Run
		want string
	}{
		{stalled, "No progress since 13:50 UTC"},
		{aRun(Finished, RunLost, nil), "No update since 13:59 UTC"},
		{mute, "No update since 13:33 UTC"},
	} {
		if got := DescribeRun(c.run, at).Reason; got != c.want {
			t.Errorf("reason is %q, want %q", got, c.want)
		}
	}
}

func TestRunFixIsForItsReader(t *testing.T) {
	r := aRun(Finished, RunFailed, &Cause{Code: ConsentRevoked})
	r.MayMend = false
	if f := DescribeRun(r, at).Fix; f.Ask() != "Ask an administrator of Kestrel Logistics." || f.Href != "" {
		t.Errorf("a reader who may not mend it gets %+v", f)
	}
}

// TestDescribeNotice: the notification says what the run's page says.
func TestDescribeNotice(t *testing.T) {
	r := aRun(Finished, RunFailed, &Cause{Code: ConsentRevoked})
	n := DescribeNotice("n1", r, at, nil)
	want := Notice{
		ID: "n1", RunID: "r1", RunCode: "9D41TB", Href: "/w/lattice/operations/9D41TB", CreatedAt: at,
		Title: "Inventory sync failed",
		Text:  "Admin consent was withdrawn. Microsoft 365 reports that consent for Kestrel primary was withdrawn. 212 of 1,530 items completed before it failed.",
		Next:  "Ask an administrator of Kestrel Logistics to grant consent again.",
		Where: "Kestrel Logistics · run 9D41TB · 14:02 UTC",
	}
	if n != want {
		t.Errorf("the notification is\n%+v\nwant\n%+v", n, want)
	}
	if w := DescribeRun(r, at); n.Title != w.Title || n.Text != w.Reason+". "+w.Why || n.Next != w.Next {
		t.Errorf("the notification %+v and the run %+v differ", n, w)
	}
}

func TestDescribeItem(t *testing.T) {
	for _, c := range []struct {
		item Item
		want string
	}{
		{Item{Result: ItemDone, Counts: Counts{Done: 1186, Total: 1186}}, "1,186 of 1,186"},
		{Item{Result: ItemDone, Counts: Counts{Done: 1186}}, "1,186 of 1,186"},
		{Item{Result: ItemDone, Counts: Counts{Done: 1186}, Args: Args{"changed": "1012", "removed": "3"}}, "1,186 of 1,186, 1,012 changed, 3 removed"},
		{Item{Result: ItemPending}, ""},
		{Item{Result: ItemFailed, Reason: ItemRefused, Args: Args{"provider": "Microsoft 365", "provider_message": "Too\nmany"}}, "Microsoft 365 said: “Too many”."},
		{
			Item{Result: ItemFailed, Reason: PermissionMissing, Args: Args{"provider": "Microsoft 365", "count": "1", "permissions": "Group.Read.All"}},
			"1 permission is missing. The connection doesn't have Group.Read.All.",
		},
		{Item{Result: ItemSkipped, Reason: "lunar_eclipse"}, "The reason code is lunar_eclipse, which this version can't explain."},
	} {
		if got := DescribeItem(c.item); got.Detail != c.want {
			t.Errorf("item %+v is told as %q, want %q", c.item, got.Detail, c.want)
		}
	}
	if got := ItemResult("eaten").Label(); got != "Unknown" {
		t.Errorf("an unknown result is called %q", got)
	}
}
