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
		{EventBegan, "", "Started: access rechecked"},
		{EventStep, "Reading apps", "Reading apps"},
		{EventWaiting, "", "Back in the queue"},
		{EventWaiting, string(ProviderThrottled), "Back in the queue: the provider limits the request rate"},
		{EventWaiting, "no_such_reason", "Back in the queue"},
		{EventResent, "", "Requeued after its place in the queue was lost"},
		{EventCancel, "Mei Tan", "Mei Tan requested cancellation"},
		{EventReleased, "Mei Tan", "Mei Tan released the connection"},
		{EventEnded, string(RunPartial), "Partly succeeded"},
		{EventLate, "", "Late report ignored"},
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
