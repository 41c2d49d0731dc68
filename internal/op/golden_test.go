package op

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// at is the moment of every answer in the tests.
var at = time.Date(2026, 11, 23, 14, 2, 31, 0, time.UTC)

func before(d time.Duration) *time.Time {
	t := at.Add(-d)
	return &t
}

// press returns the facts of one start request, for a reader who may change connections.
func press() Facts {
	target := target()
	return Facts{
		Attempt: "01k4pz", Workspace: "lattice", Operation: InventorySync, Target: &target,
		Tenant: Tenant{ID: "t1", Slug: "kestrel", Name: "Kestrel Logistics"},
		At:     at, MayMend: true, Reference: "req-71c0", Reader: "ana",
	}
}

func target() Target {
	return Target{
		ConnectionID: "pc_7q2mxa", Slug: "primary", Version: 7, Provider: "Microsoft 365", Short: "Kestrel primary",
		Name: "Microsoft 365 · Kestrel primary", Directory: "8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2",
	}
}

// holder is Tom's run, which started two minutes ago.
func holder() RunRef {
	return RunRef{
		ID: "r2", Code: "K7QM2X", Operation: DirectoryGroupsSync, State: Running,
		Initiator: Person{ID: "tom", Name: "Tom Okafor"}, StartedAt: *before(2 * time.Minute), ReleaseAt: before(-90 * time.Second),
	}
}

func aRun(state State, outcome RunOutcome, cause *Cause) Run {
	return Run{
		ID: "r1", Code: "9D41TB", Workspace: "lattice", Operation: InventorySync, State: state, Outcome: outcome, Cause: cause,
		Tenant: Tenant{ID: "t1", Slug: "kestrel", Name: "Kestrel Logistics"}, Target: target(),
		Initiator: Person{ID: "ana", Name: "Ana Ruiz"}, Counts: Counts{Done: 212, Failed: 2, Total: 1530}, MayMend: true,
		AcceptedAt: *before(30 * time.Minute), BeganAt: before(29 * time.Minute), LastSeenAt: before(3 * time.Minute),
		ProgressAt: before(12 * time.Minute),
	}
}

// facts are the facts that causes carry.
func facts() Args {
	day := func(n int) string { return stamp(*before(time.Duration(n) * 24 * time.Hour)) }
	return Args{
		"approvers": "Mei Tan,Tom Okafor", "warnings": "conditional_access,widens_audience", "previewed_at": stamp(*before(40 * time.Minute)), "detail": "the backup has no policy",
		"actor": "Mei Tan", "archived_on": day(40), "changed_at": stamp(*before(5 * time.Minute)), "checked_at": stamp(*before(7 * time.Minute)),
		"answer": "page", "clock_difference": "2h0m0s", "provider_code": "AADSTS7000999", "status": "503",
		"actual_directory": "51ae77c0-11d2-4b02-8a55-90f3c2aa07bc", "expected_directory": "8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2",
		"count": "2", "credential_kind": "certificate", "differences": "types: apps instead of devices", "disabled_on": day(1),
		"duration": "2m0s", "expired_on": day(3), "last_seen": stamp(*before(9 * time.Minute)), "limit": "2h0m0s", "look": "Assignment filters, Windows 11", "max_age": "168h0m0s",
		"needed": "Corporate devices", "part": "apps", "paths": "description, settings[3]",
		"note": "the lorry is leaving", "opened_on": day(2), "owner": "Mei Tan", "permissions": "Group.Read.All,DeviceManagementApps.Read.All",
		"provider_message": "Insufficient privileges to complete the operation.", "reference": "req-71c0", "release_at": stamp(*before(-time.Minute)),
		"retry_at": stamp(*before(-4 * time.Minute)), "revoked_on": day(5), "shown_connection": "Kestrel backup", "step": "verify",
		"verification_reason": string(ConsentMissing), "verified_ago": stamp(*before(3 * time.Hour)), "verified_on": day(20), "waited": "2h1m5s",
	}
}

// TestGolden shows every text as people read it, with all facts and with none. Read the
// difference before you run it with -update.
func TestGolden(t *testing.T) {
	var b strings.Builder
	answer := func(name string, r Result) {
		a := Describe(r)
		fmt.Fprintf(&b, "== %s [%s]\n[%s] %s\nWhy   ", name, a.Code, a.Tag, a.Title)
		for _, e := range a.Reasons {
			fmt.Fprintf(&b, "%s. %s\nNext  %s\n%s", e.Title, e.Detail, e.Next, fixLine(e.Fix))
		}
		if a.Also != "" {
			fmt.Fprintf(&b, "Also  %s\n", a.Also)
		}
		fmt.Fprintf(&b, "Queued %s\n\n", a.Queued)
	}
	run := func(name string, r Run) {
		w := DescribeRun(r, at)
		fmt.Fprintf(&b, "== %s [%s]\n(%s) %s\nWhy   %s. %s\nNext  %s\n%s\n", name, w.Code, w.Pill, w.Title, w.Reason, w.Why, w.Next, fixLine(w.Fix))
	}
	joined := holder()
	joined.Operation = InventorySync
	queued, yours := joined, joined
	queued.State = Queued
	yours.Initiator.ID = "ana"
	other := holder()

	answer("accepted", AcceptedResult(press(), joined))
	answer("deduped", DedupedResult(press(), joined))
	answer("deduped, queued", DedupedResult(press(), queued))
	answer("deduped, yours", DedupedResult(press(), yours))
	answer("replayed", AcceptedResult(press(), queued).Replay(joined))
	for _, code := range constants(t, "Reason") {
		if _, ok := busy[Reason(code)]; ok {
			answer("busy", BusyResult(press(), Cause{Code: Reason(code), Args: facts()}, &other))
		}
	}
	answer("busy, hidden", BusyResult(press(), Cause{Code: HolderStalled, Args: facts()}, nil))
	var all []Cause
	for _, code := range append(constants(t, "Reason"), "quota_reached") {
		if _, ok := blockers[Reason(code)]; !ok && code != "quota_reached" {
			continue
		}
		c := Cause{Code: Reason(code), Args: facts()}
		all = append(all, c)
		answer("blocked", BlockedResult(press(), []Cause{c}, nil))
		bare := press()
		bare.Target = nil
		answer("blocked, reader may not mend it, nothing known", BlockedResult(bare.may(false), []Cause{{Code: Reason(code)}}, nil))
	}
	answer("blocked by everything", BlockedResult(press(), all, nil))
	one := facts()
	one["count"] = "1"
	one["permissions"] = "Group.Read.All"
	answer("one default missing", BlockedResult(press(), []Cause{{Code: ConnectionDefaultMissing, Args: one}, {Code: PermissionMissing, Args: one}}, nil))
	answer("the same connection, edited", BlockedResult(press(), []Cause{{Code: TargetChanged, Args: Args{"edited": "true"}}}, nil))
	for _, code := range slices.Sorted(maps.Keys(stale)) {
		args := facts()
		args["stale"] = code
		answer("stale, "+code, BlockedResult(press(), []Cause{{Code: PreviewStale, Args: args}}, nil))
	}
	answer("nothing was decided", Result{})

	nobody := press()
	nobody.Attempt = ""
	answer("preflight, ready", Result{outcome: Accepted, facts: nobody, causes: []Cause{{Code: Reason(Accepted)}}})
	answer("preflight, same operation is active", DedupedResult(nobody, joined))
	answer("preflight, busy", BusyResult(nobody, Cause{Code: HolderCancelling}, &other))
	answer("preflight, blocked", BlockedResult(nobody, []Cause{{Code: ConsentMissing}}, nil))

	cause := func(code string) *Cause { return &Cause{Code: Reason(code), Args: facts()} }
	for _, s := range constants(t, "State") {
		run("run", aRun(State(s), "", nil))
	}
	r := aRun(Running, "", nil)
	r.Stalled = true
	run("run, stalled", r)
	r = aRun(Running, "", nil)
	r.WaitingUntil, r.WaitingFor = before(-2*time.Minute), ProviderThrottled
	run("run, waiting", r)
	r.Counts = Counts{Done: 1}
	run("run, waiting, total not known", r)
	r = aRun(Cancelling, "", nil)
	r.Ended = &Ending{By: "Mei Tan", Begun: true}
	run("run, cancelling", r)
	run("run, cancelling because of", aRun(Cancelling, "", cause("connection_disabled")))
	for _, o := range constants(t, "RunOutcome") {
		r := aRun(Finished, RunOutcome(o), nil)
		r.Ended, r.EndedAt = &Ending{By: "Mei Tan", Begun: true}, before(time.Minute)
		if RunOutcome(o) == RunLost {
			r.Ended = nil
		}
		run("run", r)
	}
	r = aRun(Finished, RunCancelled, nil)
	r.BeganAt, r.Ended = nil, &Ending{By: "Mei Tan"}
	run("run, cancelled in line", r)
	r = aRun(Finished, RunLost, nil)
	r.Ended = &Ending{By: "Mei Tan", Note: "the lorry is leaving", Begun: true}
	run("run, released", r)
	r = aRun(Finished, RunFailed, cause("provider_rejected"))
	r.Counts = Counts{}
	run("failed before any item", r)
	for _, code := range append(constants(t, "Reason"), "quota_reached") {
		_, isStopped := stopped[Reason(code)]
		_, isBlocker := blockers[Reason(code)]
		if isStopped || isBlocker || code == "quota_reached" {
			run("blocked before the run", aRun(Finished, RunBlocked, cause(code)))
		}
		if _, ok := discontinued[Reason(code)]; ok {
			run("failed after it had changed something", aRun(Finished, RunFailed, cause(code)))
		}
		if _, isFailure := failures[Reason(code)]; isFailure || isBlocker || code == "quota_reached" {
			run("failed", aRun(Finished, RunFailed, cause(code)))
			fmt.Fprintf(&b, "Item  %s\n\n", DescribeItem(Item{Reason: Reason(code), Args: facts(), At: at}).Detail)
		}
	}
	varied := func(name string, code Reason, without []string, with Args) {
		args := facts()
		maps.Copy(args, with)
		for _, w := range without {
			delete(args, w)
		}
		run("failed, "+name, aRun(Finished, RunFailed, &Cause{Code: code, Args: args}))
		fmt.Fprintf(&b, "Item  %s\n\n", DescribeItem(Item{Reason: code, Args: args, At: at}).Detail)
	}
	varied("the provider says that it expired", CredentialExpired, []string{"expired_on"}, Args{"provider_said": "true"})
	varied("without words", AccessRefused, []string{"provider_message"}, nil)
	varied("without words", SignInRefused, []string{"provider_message"}, nil)
	varied("without a number", SignInRefused, []string{"provider_code"}, nil)
	varied("with what was found", ProviderFault, nil, Args{"fault": "the links of the list go in a circle"})
	varied("by nobody knows how much", ClockSkew, []string{"clock_difference"}, nil)
	varied("again and again, without a time", ProviderThrottled, []string{"retry_at"}, Args{"tries": "3"})
	varied("without a time", ProviderThrottled, []string{"retry_at"}, nil)
	varied("without words", ProviderRejected, []string{"provider_message"}, nil)
	waits, joins := other, joined
	waits.WaitingUntil, joins.WaitingUntil = before(-24*time.Hour), before(-15*time.Minute)
	answer("busy, the holder waits", BusyResult(press(), Cause{Code: OtherOperationActive}, &waits))
	answer("deduped, the run waits", DedupedResult(press(), joins))
	for _, code := range []Reason{ItemRefused, NotLicensed, ItemNotReached, WriteInDoubt, ChangedSincePreview, LeftOutOfPlan, DependencyMissing, NotAssigned, PartNotWritten, NotAsSent, ApprovalWanted, ObjectMalformed, ObjectWithoutID, ObjectWithoutName, ObjectTwice, ObjectIncomplete, ObjectAdded, ObjectChanged, ObjectRemoved, ListIncomplete} {
		fmt.Fprintf(&b, "== item [%s]\n%s\n\n", code, DescribeItem(Item{Reason: code, Args: facts(), At: at}).Detail)
	}
	for _, code := range slices.Sorted(maps.Keys(consentAnswers)) {
		a := ConsentRefused(code, "", at)
		if code == "given" {
			a = ConsentGiven()
		}
		fmt.Fprintf(&b, "== consent [%s]\n%s\n%s\n%s\n\n", code, a.Title, a.Why, a.Next)
	}
	for _, changed := range []bool{false, true} {
		fmt.Fprintf(&b, "== age, changed since: %t\n%s\n%s\n\n", changed, Age(nil, changed, at), Age(before(29*24*time.Hour), changed, at))
	}
	for _, l := range (&Evidence{
		Call: "GET /v1.0/organization", Status: 403, Code: "AccessDenied", Text: "No.", Note: "it is a page",
		RequestID: "r", ClientRequestID: "c", CorrelationID: "k", At: at,
	}).Lines() {
		fmt.Fprintf(&b, "%s: %s\n", l.Label, l.Value)
	}
	for _, p := range constants(t, "Problem") {
		all := []Args{nil, {
			"operation": string(InventorySync), "tenant": "Kestrel Logistics", "role": "Viewer", "capability": "Run syncs", "idle": "1h0m0s",
			"limit": "1000", "retry_after": "12s", "fields": "operation,parameters.types", "reference": "req-71c0", "minutes": "5",
			"last_seen": stamp(at), "field": "parameters.types", "detail": "must be a list",
		}}
		if Problem(p) == ProblemForbidden {
			all = append(all, Args{"tenant": "Kestrel Logistics", "role": "Viewer", "capability": "Run syncs"})
		}
		for _, args := range all {
			title, why, next := Problem(p).Words(args)
			fmt.Fprintf(&b, "== problem %s [%d]\n%s\n%s\n%s\n\n", p, Problem(p).HTTPStatus(), title, why, next)
			if t, w, n := Problem(p).PageWords(args); t != title || w != why || n != next {
				fmt.Fprintf(&b, "== problem %s [%d], as a page\n%s\n%s\n%s\n\n", p, Problem(p).HTTPStatus(), t, w, n)
			}
		}
	}

	got := b.String()
	for i, line := range strings.Split(got, "\n") {
		for _, bad := range append([]string{"{", "}", "..", " .", " ,"}, forbiddenWords...) {
			if !strings.HasPrefix(line, "==") && strings.Contains(strings.ToLower(line), bad) { // codes may be called anything
				t.Errorf("line %d has %q: %s", i+1, bad, line)
			}
		}
	}
	golden := filepath.Join("testdata", "words.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range gotLines {
			if i >= len(wantLines) || gotLines[i] != wantLines[i] {
				t.Fatalf("%s:%d is no longer what is said:\n got %s", golden, i+1, gotLines[i])
			}
		}
		t.Fatalf("%s is longer than what is said", golden)
	}
}

func (f Facts) may(mend bool) Facts {
	f.MayMend = mend
	return f
}

func fixLine(f *Fix) string {
	switch {
	case f == nil:
		return ""
	case f.Href == "":
		return fmt.Sprintf("      %s\n", f.Ask())
	}
	return fmt.Sprintf("      [%s] %s\n", f.Label, f.Href)
}
