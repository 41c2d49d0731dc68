package ui

import (
	"strconv"
	"strings"
	"time"
)

// Counted is a number of things.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// OnPage counts the lines of a list, of which first and next are further pages.
func OnPage(n int, one, many, first, next string) string {
	if first == "" && next == "" {
		return Counted(n, one, many)
	}
	return Counted(n, one, many) + " on this page"
}

// Upper is words with a capital at their beginning.
func Upper(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// Whole is a distance as people say it that is not about to end: in days while
// it lasts longer than two.
func Whole(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	if d > 2*day {
		return d.Truncate(day)
	}
	return d.Truncate(time.Minute)
}

// Dashed is a name as ids of elements have it.
func Dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

// Stamp is a time as machines read it.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Cut shortens a long text of the provider's.
func Cut(text string) string {
	const limit = 120
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
