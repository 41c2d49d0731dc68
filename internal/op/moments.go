package op

import (
	"strconv"
	"time"
)

// Ago returns the time from t to now in its largest unit, such as "2 minutes ago".
func Ago(t, now time.Time) string { return ago(now.Sub(t)) }

// Day is the date of t in UTC: "3 Mar 2027".
func Day(t time.Time) string { return t.UTC().Format(day) }

// Moment is t in UTC to the second, such as "14:02:31 UTC", with its date in front
// unless that is today.
func Moment(t, now time.Time) string {
	const seconds = "15:04:05 UTC"
	t = t.UTC()
	if t.Format(day) == now.UTC().Format(day) {
		return t.Format(seconds)
	}
	return t.Format(day + ", " + seconds)
}

// Span returns a duration in its two largest units, in whole seconds.
func Span(d time.Duration) string { return span(d, 2) }

// Number is n with thousands separators.
func Number(n int64) string { return thousands(strconv.FormatInt(n, 10)) }

// Directory shortens a directory's GUID to its two ends, enough to recognise it.
func Directory(guid string) string { return short(guid) }
