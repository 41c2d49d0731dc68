package op

import (
	"strings"
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 2, 31, 0, time.UTC)
	for _, tt := range []struct{ got, want string }{
		{Ago(now.Add(-2*time.Minute), now), "2 minutes ago"},
		{Ago(now.Add(time.Hour), now), "just now"},
		{Day(now), "23 Nov 2026"},
		{Moment(now.In(time.FixedZone("", 3600)), now), "14:02:31 UTC"},
		{Moment(now.Add(-24*time.Hour), now), "22 Nov 2026, 14:02:31 UTC"},
		{Span(185 * time.Second), "3 minutes 5 seconds"},
		{Number(1284), "1,284"},
		{Directory("8c4e0000-0000-4000-8000-0000000091d2"), "8c4e…91d2"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestLiveLost: a page that lost its stream says since when in the form in which it
// said that it lives, and with the day: it may have been open for long.
func TestLiveLost(t *testing.T) {
	heard := time.Date(2026, 11, 23, 9, 3, 31, 500, time.FixedZone("CET", 3600))
	_, why, _ := ProblemLiveLost.Words(Args{"last_seen": stamp(heard)})
	if want := "This page last heard from the server at 23 Nov 2026, 08:03:31 UTC."; why != want || !strings.HasSuffix(why, Moment(heard, heard)+".") {
		t.Errorf("says %q, want %q", why, want)
	}
	for _, unknown := range []Args{nil, {"last_seen": "yesterday"}, {"last_seen": stamp(time.Time{})}} {
		if _, why, _ := ProblemLiveLost.Words(unknown); why != "This page last heard from the server at an unknown time." {
			t.Errorf("of %v it says %q", unknown, why)
		}
	}
}
