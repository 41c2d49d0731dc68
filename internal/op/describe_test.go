package op

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestDescribeBlocked(t *testing.T) {
	causes := []Cause{
		{Code: ConsentRevoked, Phase: Admission, Args: Args{"revoked_on": "2026-11-22T09:00:00Z"}},
		{Code: CredentialExpired, Phase: Admission, Args: Args{"credential_kind": "client secret", "expired_on": "2026-11-01T00:00:00Z"}},
		{Code: PermissionMissing, Phase: Admission, Args: Args{"count": "2", "permissions": "Group.Read.All, User.Read.All"}},
	}
	other := holder()
	a := Describe(BlockedResult(press(), causes, &other))
	for _, c := range []struct{ slot, got, want string }{
		{"tag", a.Tag, "Blocked"},
		{"title", a.Title, "Inventory sync did not start"},
		{"reason", a.Reasons[0].Title, "Admin consent was withdrawn"},
		{"why", a.Reasons[0].Detail, "Consent for Kestrel primary was withdrawn on 22 Nov 2026."},
		{"next", strings.Join(a.Next, "|"), "Ask an administrator of Kestrel Logistics to grant consent again."},
		{"also", a.Also, "Credential has expired. 2 permissions are missing."},
		{"queued", a.Queued, "Nothing"},
		{"code", a.Code, "blocked/consent_revoked"},
		{"link", a.Reasons[0].Fix.Href, "/w/lattice/tenants/kestrel/connections/primary/consent"},
		{"holder", a.Holder.Href, "/w/lattice/operations/K7QM2X"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.slot, c.got, c.want)
		}
	}
	if a.Run != nil {
		t.Errorf("a blocked answer has the run %+v", a.Run)
	}
	if len(a.Reasons) != 3 || a.Reasons[2].Code != PermissionMissing || a.Reasons[2].Next == "" {
		t.Errorf("reasons are %+v, want all three in words", a.Reasons)
	}
}

// TestWhoMends holds P4: a link for readers who can fix it, else whom to ask.
func TestWhoMends(t *testing.T) {
	for code, words := range blockers {
		for _, mayMend := range []bool{true, false} {
			f := Describe(BlockedResult(press().may(mayMend), []Cause{{Code: code}}, nil)).Reasons[0].Fix
			if f == nil {
				t.Errorf("%s: no fix", code)
				continue
			}
			ask := !mayMend && words.who != "" && words.who != anOperator
			switch {
			case ask && (f.Href != "" || f.Label != "" || f.Who == you || f.Ask() != "Ask "+f.Who+"."):
				t.Errorf("%s: a reader who may not mend it gets %+v", code, *f)
			case !ask && (f.Href == "" || f.Label == "" || f.Who != you || f.Ask() != ""):
				t.Errorf("%s: a reader who may mend it gets %+v", code, *f)
			}
		}
	}
}

// TestHiddenHolder: a reader who may not see the holder learns nothing about it, not even
// its state.
func TestHiddenHolder(t *testing.T) {
	var want Answer
	for code := range busy {
		if code == ScopeInconsistent {
			continue
		}
		a := Describe(BusyResult(press(), Cause{Code: code, Args: facts()}, nil))
		if want.Outcome == "" {
			want = a
		}
		if !reflect.DeepEqual(a, want) {
			t.Errorf("%s tells something:\n got %+v\nwant %+v", code, a, want)
		}
	}
	if want.Holder != nil || !want.HolderHidden || want.Reasons[0].Fix != nil || want.Code != "scope_busy/other_operation_active" {
		t.Errorf("the hidden holder shows: %+v", want)
	}
	a := Describe(BusyResult(press(), Cause{Code: ScopeInconsistent}, nil))
	if a.Code != "scope_busy/scope_inconsistent" || !a.HolderHidden {
		t.Errorf("records that disagree are told as %+v", a)
	}
}

// TestUnknownReason holds V5.
func TestUnknownReason(t *testing.T) {
	a := Describe(BlockedResult(press(), []Cause{{Code: "lunar_eclipse"}}, nil))
	if want := "The reason code is lunar_eclipse, which this version can't explain."; a.Reasons[0].Detail != want {
		t.Errorf("why is %q, want %q", a.Reasons[0].Detail, want)
	}
	other := holder()
	a = Describe(BusyResult(press(), Cause{Code: "lunar_eclipse"}, &other))
	if a.Reasons[0].Title != "Connection is in use" || a.Code != "scope_busy/lunar_eclipse" {
		t.Errorf("an unknown reason of a busy connection is told as %+v", a)
	}
	f := press()
	f.Operation = "lunar.sync"
	if a := Describe(AcceptedResult(f, other)); a.Title != "The operation is queued" {
		t.Errorf("title of an unknown operation is %q", a.Title)
	}
}

func TestZeroResultQueuesNothing(t *testing.T) {
	a := Describe(Result{})
	if a.Outcome != Blocked || a.Reasons[0].Code != PrecheckUnavailable || a.Queued != "Nothing" || a.Run != nil {
		t.Errorf("the zero result is told as %+v", a)
	}
}

// TestConstructorsDoNotMix: an answer has only what its outcome allows, and other packages
// can't build it in another way.
func TestConstructorsDoNotMix(t *testing.T) {
	for i := range reflect.TypeFor[Result]().NumField() {
		if f := reflect.TypeFor[Result]().Field(i); f.IsExported() {
			t.Errorf("Result.%s can be set from outside", f.Name)
		}
	}
	run := holder()
	for _, c := range []struct {
		r                   Result
		outcome             Outcome
		run, holder, hidden bool
	}{
		{AcceptedResult(press(), run), Accepted, true, false, false},
		{DedupedResult(press(), run), Deduped, true, false, false},
		{BusyResult(press(), Cause{Code: OtherOperationActive}, &run), ScopeBusy, false, true, false},
		{BusyResult(press(), Cause{Code: OtherOperationActive}, nil), ScopeBusy, false, false, true},
		{BlockedResult(press(), nil, nil), Blocked, false, false, false},
		{BlockedResult(press(), nil, &run), Blocked, false, true, false},
	} {
		a := Describe(c.r)
		if a.Outcome != c.outcome || (a.Run != nil) != c.run || (a.Holder != nil) != c.holder || a.HolderHidden != c.hidden {
			t.Errorf("%s is told as %+v", c.outcome, a)
		}
	}
}

// TestPreflight: a preflight starts, joins and queues nothing, and says so.
func TestPreflight(t *testing.T) {
	nobody := press()
	nobody.Attempt = ""
	run := holder()
	if a := Describe(AcceptedResult(nobody, run)); a.Title != "Inventory sync is queued" {
		t.Errorf("a run that exists is told as %q", a.Title)
	}
	for _, r := range []Result{
		{outcome: Accepted, facts: nobody, causes: []Cause{{Code: Reason(Accepted)}}},
		DedupedResult(nobody, run),
		BusyResult(nobody, Cause{Code: OtherOperationActive}, &run),
		BlockedResult(nobody, []Cause{{Code: ConsentMissing}}, nil),
	} {
		a := Describe(r)
		told := a.Title + ". " + a.Reasons[0].Detail
		if a.Queued != "Nothing" || strings.Contains(told, "did not start") || strings.Contains(told, "Your start") || strings.Contains(told, "queued") {
			t.Errorf("%s: %q, queued: %s", a.Code, told, a.Queued)
		}
	}
}

// TestYours: only the person who started the run reads "You started it".
func TestYours(t *testing.T) {
	for _, c := range []struct {
		reader, initiator string
		yours             bool
	}{{"ana", "ana", true}, {"ana", "tom", false}, {"", "", false}, {"", "tom", false}} {
		f, run := press(), holder()
		f.Reader, run.Initiator.ID = c.reader, c.initiator
		why := Describe(DedupedResult(f, run)).Reasons[0].Detail
		if got := strings.HasPrefix(why, "You started it"); got != c.yours {
			t.Errorf("reader %q, initiator %q: %q", c.reader, c.initiator, why)
		}
	}
}

func TestDescribeChangesNothing(t *testing.T) {
	other := holder()
	args := facts()
	r := BusyResult(press(), Cause{Code: HolderStalled, Args: args}, &other)
	first := Describe(r)
	if !reflect.DeepEqual(first, Describe(r)) {
		t.Error("the same answer is told in two ways")
	}
	if !reflect.DeepEqual(args, facts()) || other.Href != "" {
		t.Errorf("Describe wrote into what it was given: %v, %q", args, other.Href)
	}
}

// FuzzDescribe: whatever people, providers and later versions write, every slot is filled
// with plain text.
func FuzzDescribe(f *testing.F) {
	for n := range byte(8) {
		f.Add(n, "credential_expired", "inventory.sync", "Kestrel", "expired_on", "2026-11-01T00:00:00Z", at.Unix())
		f.Add(n, "lunar_eclipse", "", "{tenant}", "count", "1", int64(-1))
		f.Add(n, "permission_missing", "x", "\u202eabc\x00\xff", "permissions", ",,a,"+strings.Repeat("b", 300), int64(1<<40))
	}
	f.Fuzz(func(t *testing.T, n byte, code, kind, name, key, value string, unix int64) {
		facts := Facts{
			Workspace: name, Operation: Kind(kind), Tenant: Tenant{Slug: name, Name: name}, At: time.Unix(unix, 0),
			Target: &Target{Slug: name, Short: name, Provider: name}, MayMend: n%2 == 0, Reader: name,
		}
		run := RunRef{Code: name, Operation: Kind(kind), State: State(code), Outcome: RunOutcome(code), Initiator: Person{ID: name, Name: name}, StartedAt: facts.At}
		cause := Cause{Code: Reason(code), Args: Args{key: value}}
		r := []Result{
			{},
			AcceptedResult(facts, run), DedupedResult(facts, run), DedupedResult(facts, run).Replay(run), BusyResult(facts, cause, &run),
			BusyResult(facts, cause, nil), BlockedResult(facts, []Cause{cause, cause}, &run), BlockedResult(facts, nil, nil),
		}[n%8]
		a := Describe(r)
		if outcomes[a.Outcome].label == "" || a.Tag == "" || len(a.Next) != 1 || len(a.Reasons) == 0 {
			t.Fatalf("no answer: %+v", a)
		}
		if utf8.RuneCountInString(a.Title) > 60 {
			t.Errorf("title is too long: %q", a.Title)
		}
		texts := []string{a.Title, a.Also, a.Queued, a.Next[0]}
		for _, e := range a.Reasons {
			if e.Title == "" || e.Detail == "" || e.Next == "" {
				t.Errorf("a slot is empty: %+v", e)
			}
			texts = append(texts, e.Title, e.Detail, e.Next)
		}
		w := DescribeRun(Run{
			Code: name, Operation: Kind(kind), State: []State{Queued, Running, Cancelling, Finished, State(code)}[n%5], Outcome: RunOutcome(code),
			Cause: &cause, Stalled: n%3 == 0, Counts: Counts{Done: unix}, Ended: &Ending{By: name, Note: value},
		}, facts.At)
		item := DescribeItem(Item{Reason: Reason(code), Args: cause.Args})
		title, why, next := Problem(code).Words(cause.Args)
		texts = append(texts, w.Title, w.Reason, w.Why, w.Next, w.Pill, w.Code, item.Detail, title, why, next)
		for i, s := range texts[:len(texts)-4] {
			if s == w.Code { // codes are shown as they are
				continue
			}
			if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) || !utf8.ValidString(s) {
				t.Errorf("text %d is no plain line: %q", i, s)
			}
			if !strings.ContainsAny(code+name+value, "{}") && strings.ContainsAny(s, "{}") {
				t.Errorf("text %d has a hole: %q", i, s)
			}
		}
		if slices.Contains([]string{w.Title, w.Reason, w.Why, w.Next, w.Pill, title, why, next}, "") {
			t.Errorf("a slot is empty: %+v, %q %q %q", w, title, why, next)
		}
	})
}

func TestBehind(t *testing.T) {
	admin := &Fix{Who: "an administrator of Kestrel"}
	for _, tc := range []struct {
		fix        *Fix
		next, want string
	}{
		{nil, "Wait.", "Wait."},
		{&Fix{Who: you, Label: "Fix"}, "Wait.", "Wait."},
		{admin, "Start again.", "Start again. Ask an administrator of Kestrel."},
		{admin, "Ask an administrator of Kestrel to grant consent.", "Ask an administrator of Kestrel to grant consent."},
	} {
		if got := tc.fix.Behind(tc.next); got != tc.want {
			t.Errorf("%q behind %q, want %q", got, tc.next, tc.want)
		}
	}
}

// TestWork: the completed items of a run, in the words of its operation.
func TestWork(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		c    Counts
		want string
	}{
		{InventorySync, Counts{}, "None"},
		{InventorySync, Counts{Total: 35}, "0 of 35 types"},
		{InventorySync, Counts{Done: 1, Total: 35}, "1 of 35 types"},
		{InventorySync, Counts{Done: 35, Total: 35}, "35 types"},
		{ConnectionVerify, Counts{Done: 12, Failed: 1, Total: 13}, "12 of 13 checks"},
		{DirectoryGroupsSync, Counts{Done: 803, Total: 1284}, "803 of 1,284 groups"},
		{DirectoryGroupsSync, Counts{Done: 1, Total: 1}, "1 group"},
		{DirectoryGroupsSync, Counts{Done: 1}, "1 group"},
		{DirectoryGroupsSync, Counts{Total: 1}, "0 of 1 group"},
		{DirectoryGroupsSync, Counts{Done: 2000}, "2,000 groups"},
		{"of.a.later.version", Counts{Done: 1, Total: 2}, "1 of 2 items"},
	} {
		if got := tt.kind.Work(tt.c); got != tt.want {
			t.Errorf("%s %+v: %q, want %q", tt.kind, tt.c, got, tt.want)
		}
	}
}
