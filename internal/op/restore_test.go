package op

import (
	"strings"
	"testing"
	"time"
)

// TestARestoreIsMadeAgainByAPreview (R4): no ended restore asks anybody to start it again,
// because its preview was executed. A restore that was blocked before it began still can
// be, and so can other operations.
func TestARestoreIsMadeAgainByAPreview(t *testing.T) {
	now := time.Now()
	ended := func(kind Kind, outcome RunOutcome, code Reason, began *time.Time) RunWords {
		r := Run{Workspace: "lattice", Tenant: Tenant{Slug: "kestrel"}, Operation: kind, State: Finished, Outcome: outcome, BeganAt: began, EndedAt: &now, Counts: Counts{Done: 1, Failed: 1, Total: 2}, MayMend: true}
		if code != "" {
			r.Cause = &Cause{Code: code, Phase: Execution}
		}
		return DescribeRun(r, now)
	}
	asks := func(w RunWords) bool {
		return strings.Contains(strings.ToLower(w.Next), "start again") || w.Fix != nil && strings.Contains(strings.ToLower(w.Fix.Label), "start again")
	}
	var codes []Reason
	for code := range failures {
		codes = append(codes, code)
	}
	for code := range blockers {
		codes = append(codes, code)
	}
	for _, code := range codes {
		if w := ended(PolicyRestore, RunFailed, code, &now); asks(w) {
			t.Errorf("%s says %q, %+v", code, w.Next, w.Fix)
		}
	}
	for outcome := range endings {
		if w := ended(PolicyRestore, outcome, "", &now); asks(w) {
			t.Errorf("%s says %q, %+v", outcome, w.Next, w.Fix)
		}
	}
	if w := ended(PolicyRestore, RunPartial, "", &now); !strings.HasSuffix(w.Next, "then preview the restore again.") {
		t.Errorf("a restore that partly succeeded says %q", w.Next)
	}
	if w := ended(PolicyRestore, RunFailed, ProviderUnreachable, &now); w.Fix == nil || w.Fix.Label != "Preview again" {
		t.Errorf("a restore that failed offers %+v", w.Fix)
	}
	if w := ended(PolicyRestore, RunBlocked, ConsentMissing, nil); w.Next != ended(InventorySync, RunBlocked, ConsentMissing, nil).Next {
		t.Errorf("a restore that did not begin says %q", w.Next)
	}
	if !asks(ended(InventorySync, RunPartial, "", &now)) || !asks(ended(PolicyRestorePreview, RunCancelled, "", &now)) {
		t.Error("other operations can't be started again")
	}
}

// TestPreviewThatSucceeded: its next step is to review the plan; where there is no plan to
// review, and of other operations, nothing is asked.
func TestPreviewThatSucceeded(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		counts Counts
		want   string
	}{
		{PolicyRestorePreview, Counts{Done: 3, Total: 3}, "Review the preview, then have it approved or execute it."},
		{PolicyRestorePreview, Counts{}, "No action needed."},
		{PolicyRestore, Counts{Done: 3, Total: 3}, "No action needed."},
	} {
		r := aRun(Finished, RunSucceeded, nil)
		r.Operation, r.Counts = c.kind, c.counts
		if w := DescribeRun(r, at); w.Next != c.want {
			t.Errorf("%s with %+v: %q", c.kind, c.counts, w.Next)
		}
		if n := DescribeNotice("n1", r, at, nil); n.Next != c.want {
			t.Errorf("the notification of %s: %q", c.kind, n.Next)
		}
	}
}
