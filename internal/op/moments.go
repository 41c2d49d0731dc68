package op

import (
	"strconv"
	"time"
)

// Ago tells how long before now t was, by the largest unit: "2 minutes ago".
func Ago(t, now time.Time) string { return ago(now.Sub(t)) }

// Day is the date of t in UTC: "3 Mar 2027".
func Day(t time.Time) string { return t.UTC().Format(day) }

// Moment is t in UTC to the second: "14:02:31 UTC", with its date before it when
// that is not today's.
func Moment(t, now time.Time) string {
	const seconds = "15:04:05 UTC"
	t = t.UTC()
	if t.Format(day) == now.UTC().Format(day) {
		return t.Format(seconds)
	}
	return t.Format(day + ", " + seconds)
}

// Span tells a duration by its two largest units, whole seconds at the least.
func Span(d time.Duration) string { return span(d, 2) }

// Number is n with separators between its thousands.
func Number(n int64) string { return thousands(strconv.FormatInt(n, 10)) }

// Directory shows the ends of a directory's GUID, by which people know it again.
func Directory(guid string) string { return short(guid) }
