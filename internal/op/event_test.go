package op

import (
	"strings"
	"testing"
)

func TestDescribeEvent(t *testing.T) {
	for _, tc := range []struct {
		kind       EventKind
		text, want string
	}{
		{EventAccepted, "", "Accepted: all checks passed"},
		{EventBegan, "", "Began: access was checked again"},
		{EventStep, "Reading apps", "Reading apps"},
		{EventWaiting, "", "Back in line"},
		{EventWaiting, string(ProviderThrottled), "Back in line: the provider asks to slow down"},
		{EventWaiting, "no_such_reason", "Back in line"},
		{EventResent, "", "Sent again, because its place in line was lost"},
		{EventCancel, "Mei Tan", "Mei Tan asked to cancel"},
		{EventReleased, "Mei Tan", "Mei Tan released the connection"},
		{EventEnded, string(RunPartial), "Partly succeeded"},
		{EventLate, "", "A late report came and was not used"},
		{"no_such_kind", "as it is", "as it is"},
	} {
		if got := DescribeEvent(tc.kind, tc.text); got != tc.want {
			t.Errorf("DescribeEvent(%s, %q) = %q, want %q", tc.kind, tc.text, got, tc.want)
		}
	}
	for kind, words := range events {
		for _, word := range forbiddenWords {
			if strings.Contains(strings.ToLower(words), word) {
				t.Errorf("the words of %s say %q", kind, word)
			}
		}
	}
}
