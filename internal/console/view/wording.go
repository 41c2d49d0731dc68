package view

import (
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// counted is a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// onPage counts the lines of a list, of which first and next are further pages.
func onPage(n int, one, many, first, next string) string {
	if first == "" && next == "" {
		return counted(n, one, many)
	}
	return counted(n, one, many) + " on this page"
}

// upper is words with a capital at their beginning.
func upper(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// whole is a distance as people say it that is not about to end: in days while
// it lasts longer than two.
func whole(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	if d > 2*day {
		return d.Truncate(day)
	}
	return d.Truncate(time.Minute)
}

// lasted is a duration as people say it.
func lasted(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	return op.Span(d)
}

// took is how long a run that ended has worked.
func took(r op.Run) string { return lasted(r.EndedAt.Sub(*r.BeganAt)) }
