package ui

import (
	"regexp"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/op"
)

// Counted returns a number with its noun.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return op.Number(int64(n)) + " " + many
}

// OnPage returns the number of rows of a list. first and next are the addresses of other
// pages.
func OnPage(n int, one, many, first, next string) string {
	if first == "" && next == "" {
		return Counted(n, one, many)
	}
	return Counted(n, one, many) + " on this page"
}

// Upper returns words with a capital first letter.
func Upper(words string) string {
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// Whole rounds down to days above two days, else to minutes.
func Whole(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	if d > 2*day {
		return d.Truncate(day)
	}
	return d.Truncate(time.Minute)
}

// Dashed returns a name in the form for element ids.
func Dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

// Stamp returns a time in RFC 3339.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// wordEnd is where a name such as "DeviceManagementApps.Read.All" may break.
var wordEnd = regexp.MustCompile(`([a-z])([A-Z.])`)

// Breakable is a name without spaces, which breaks between its words on a narrow screen.
func Breakable(name string) templ.Component {
	return templ.Raw(wordEnd.ReplaceAllString(templ.EscapeString(name), "$1<wbr>$2"))
}

// Cut shortens a text to 120 characters.
func Cut(text string) string {
	const limit = 120
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
