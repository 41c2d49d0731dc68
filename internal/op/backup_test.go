package op

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKept(t *testing.T) {
	until := time.Date(2026, 12, 29, 7, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		rules []string
		until time.Time
		want  string
	}{
		{nil, time.Time{}, "No rule keeps it: it is removed with the tenant's next backup."},
		{[]string{"pinned", "daily"}, time.Time{}, "Pinned: kept until someone unpins it."},
		{[]string{"newest"}, time.Time{}, "Kept as long as it is among the newest backups of the tenant."},
		{[]string{"last"}, time.Time{}, "Kept as the newest complete backup of a type of policy."},
		{[]string{"daily"}, until, "Kept until 29 Dec 2026: it is the last backup of its day."},
		{[]string{"monthly", "daily"}, until, "Kept until 29 Dec 2026: it is the last backup of its month."},
	} {
		if got := Kept(c.rules, c.until); got != c.want {
			t.Errorf("%v: %q, want %q", c.rules, got, c.want)
		}
	}
}

// TestUnread: every reason that a backup can have is told in words, with nothing left to
// fill in.
func TestUnread(t *testing.T) {
	codes := []Reason{"of_a_later_version"}
	for _, words := range []map[Reason]text{blockers, failures, items} {
		codes = slices.AppendSeq(codes, maps.Keys(words))
	}
	for _, code := range codes {
		if text := Unread(code); text == "" || strings.ContainsAny(text, "{}") || strings.Contains(text, "%!") {
			t.Errorf("%s: %q", code, text)
		}
	}
	if got := Unread(PermissionMissing); got != "1 permission is missing" {
		t.Errorf("a missing permission: %q", got)
	}
}

func TestNotCompared(t *testing.T) {
	if got := NotCompared(true, []string{"settings", "assignments"}); got != "In the older backup this policy lacks: settings, assignments." {
		t.Errorf("a policy: %q", got)
	}
	if got := NotCompared(false, nil); !strings.HasPrefix(got, "The newer backup doesn't hold all policies of this type.") {
		t.Errorf("a type: %q", got)
	}
}
