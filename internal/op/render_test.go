package op

import (
	"strings"
	"testing"
	"time"
)

func TestFill(t *testing.T) {
	for _, c := range []struct{ sentence, value, want string }{
		{"on {seen_on}", "2026-11-22T23:59:59+02:00", "on 22 Nov 2026"},
		{"on {seen_on}", "2026-11-22T01:00:00+02:00", "on 21 Nov 2026"},
		{"on {seen_on}", "yesterday", "on an unknown date"},
		{"at {seen_at}", "2026-11-23T00:00:00Z", "at 00:00 UTC"},
		{"at {seen_at}", "2026-11-22T14:02:31Z", "at 22 Nov 2026, 14:02 UTC"},
		{"at {seen_at}", "2026-11-24T00:30:00+01:00", "at 23:30 UTC"},
		{"changed on {seen_at}", "2026-11-23T10:00:00Z", "changed on 23 Nov 2026, 10:00 UTC"},
		{"since {last_seen}", "2026-11-23T10:00:00.123456Z", "since 10:00 UTC"},
		{"since {last_seen}", "0001-01-01T00:00:00Z", "since an unknown time"},
		{"{x_ago}", "2026-11-23T14:02:31Z", "just now"},
		{"{x_ago}", "2026-11-23T14:05:00Z", "just now"}, // a clock ahead of ours
		{"{x_ago}", "2026-11-23T14:02:30Z", "1 second ago"},
		{"{x_ago}", "2026-11-23T14:01:32Z", "59 seconds ago"},
		{"{x_ago}", "2026-11-23T14:01:31Z", "1 minute ago"},
		{"{x_ago}", "2026-11-23T13:00:00Z", "1 hour ago"},
		{"{x_ago}", "2026-11-20T13:00:00Z", "3 days ago"},
		{"failed {x_ago}", "", "failed at an unknown time"},
		{"for {x_for}", "2026-11-23T14:02:31Z", "for a moment"},
		{"for {x_for}", "2026-11-23T14:02:26Z", "for 5 seconds"},
		{"for {x_for}", "2026-11-20T13:00:00Z", "for 3 days"},
		{"for {x_for}", "", "for some time"},
		{"It took {took}.", "500ms", "It took less than a second."},
		{"It took {took}.", "62s", "It took 1 minute 2 seconds."},
		{"{count} items", "1234567", "1,234,567 items"},
		{"{count} items", "999", "999 items"},
		{"{count} items", "many", "many items"},
		{"run {run}", "204311", "run 204311"}, // a code is no number
		{"{limit}", "60", "60"},
		{"{limit}", "1h30m0s", "1 hour 30 minutes"},
		{"{limit}", "15 minutes", "15 minutes"},
		{"{waited}", "500ms", "0 seconds"},
		{"{max_age}", "168h0m0s", "7 days"},
		{"{actual_directory}", "51ae77c0-11d2-4b02-8a55-90f3c2aa07bc", "51ae77c0-11d2-4b02-8a55-90f3c2aa07bc"},
		{"{actual_directory}", "contoso", "contoso"},
		{"{permissions}", "A", "A"},
		{"{permissions}", "A, B", "A and B"},
		{"{permissions}", "A,,B , C", "A, B and C"},
		{"{permissions}", strings.Repeat("P,", 25), strings.Repeat("P, ", 19) + "P and 5 more"},
		{"{permissions}", " , ", "Not known"},
		{"{verification_reason}", "consent_missing", "admin consent is missing"},
		{"{verification_reason}", "provider_unreachable", "the provider can't be reached"},
		{"{verification_reason}", "permission_missing", "several permissions are missing"},
		{"failed: {verification_reason}", "lunar_eclipse", "failed: not known"},
		{"{actor} did it. {actor} said so to {actor}", "", "Someone did it. Someone said so to someone"},
		{"{actor}", "mei", "mei"},                                       // names keep their letters
		{"{actor} and {tenant}", "{tenant}", "{tenant} and the tenant"}, // values are not filled again
		{"{actor}", "Mei\x00\tTan\r\n\u202ecod\u2069.", "Mei Tan cod."},
		{"{actor}", "M\xffi", "M\uFFFDi"},
		{"{actor}", " \u200e ", "Someone"},
		{"{actor}", strings.Repeat("é", 120), strings.Repeat("é", 120)},
		{"{actor}", strings.Repeat("é", 121), strings.Repeat("é", 119) + "…"},
		{"no end {actor", "x", "no end "},
	} {
		_, rest, _ := strings.Cut(c.sentence, "{")
		name, _, _ := strings.Cut(rest, "}")
		f := filler{Args{name: c.value}, at}
		if got := f.fill(c.sentence); got != c.want {
			t.Errorf("%q with %q is %q, want %q", c.sentence, c.value, got, c.want)
		}
	}
}

// TestWith: what the answer knows goes before what a cause claims, and an empty fact is none.
func TestWith(t *testing.T) {
	args := Args{"tenant": "claimed", "actor": "Mei"}
	f := filler{args, at}.with(Args{"tenant": "Kestrel", "actor": ""})
	if got, want := f.fill("{actor} in {tenant}"), "Mei in Kestrel"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if args["tenant"] != "claimed" {
		t.Error("with wrote into the cause's own facts")
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 61 * time.Second: "1 minute 1 second", time.Hour + time.Second: "1 hour 1 second",
		2 * time.Hour: "2 hours", 36 * time.Hour: "1 day 12 hours", -time.Minute: "0 seconds", 100_000 * 24 * time.Hour: "100,000 days",
	} {
		if got := span(d, 2); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
