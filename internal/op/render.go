package op

import (
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// longest limits a value that a person or a provider wrote, in characters.
	longest = 120
	// most limits the members of a list.
	most = 20
)

// filler fills the placeholders of sentences. The name of a placeholder decides
// how its value is shown:
//
//   - _on is a day, _at, last_seen and until are a time, heard is a time with its seconds,
//     _ago and _for are the time since; the values are RFC 3339
//   - clock_difference, duration, idle, limit, max_age, retry_after, took and waited may be
//     Go durations ("2h0m0s")
//   - changed, count, done, failed, limit, minutes, removed, total and tries get a
//     thousands separator
//   - items is "3 of 35 items", from done and total; failed_items and failed_objects are
//     the same from failed and total
//   - permissions and fields are comma-separated lists
//   - answered is an HTTP status and the form of the body
//   - verification_reason is a [Reason], shown as its reason words
//
// Everything else is shown as plain text on one line. Surfaces escape it.
type filler struct {
	args Args
	ref  time.Time // now: "ago" counts from it, and times of its day omit the date
}

// with returns f with more facts, which replace those of the same name. An empty
// value is ignored.
func (f filler) with(more Args) filler {
	args := maps.Clone(f.args)
	if args == nil {
		args = Args{}
	}
	for name, value := range more {
		if value != "" {
			args[name] = value
		}
	}
	return filler{args, f.ref}
}

// fill returns the sentences s with their placeholders filled, with neutral words
// for facts that are not known.
func (f filler) fill(s string) string {
	return f.render(s, func(before string) bool { return before == "" || strings.HasSuffix(before, ". ") })
}

// phrase fills words from the middle of a sentence.
func (f filler) phrase(s string) string {
	return f.render(s, func(string) bool { return false })
}

// render fills s. Neutral words and counts get a capital at the start of a sentence.
func (f filler) render(s string, starts func(before string) bool) string {
	return expand(s, func(before, name string) string {
		v := f.value(before, name)
		own := v == "" || isCount(name)
		if v == "" {
			v = neutral(name)
		}
		if own && starts(before) {
			return upperFirst(v)
		}
		return v
	})
}

// value returns the text for a placeholder, or "" when it is not known.
func (f filler) value(before, name string) string {
	switch name {
	case "answered":
		return f.answered()
	case "items":
		return f.count("done", "item", "items")
	case "failed_items":
		return f.count("failed", "item", "items")
	case "failed_objects":
		return f.count("failed", "object", "objects")
	}
	v := clean(f.args[name])
	if v == "" {
		return ""
	}
	switch {
	case strings.HasSuffix(name, "_on"):
		return f.time(v, func(t time.Time) string { return t.Format(day) })
	case strings.HasSuffix(name, "_ago"):
		return f.time(v, func(t time.Time) string { return ago(f.ref.Sub(t)) })
	case strings.HasSuffix(name, "_for"):
		return f.time(v, func(t time.Time) string { return lasting(f.ref.Sub(t)) })
	case name == "heard": // the page may have been open for days
		return f.time(v, func(t time.Time) string { return Moment(t, time.Time{}) })
	case name == "conflict":
		return upperFirst(v)
	case strings.HasSuffix(name, "_at"), name == "last_seen", name == "until":
		return f.time(v, func(t time.Time) string {
			if t.Format(day) == f.ref.UTC().Format(day) && !strings.HasSuffix(before, " on ") {
				return t.Format(clock)
			}
			return t.Format(day + ", " + clock)
		})
	case name == "provider_message": // quoted, before a full stop of the sentence
		return strings.TrimRight(v, ". ")
	case name == "permissions", name == "fields", name == "approvers", name == "warnings":
		return list(f.args[name])
	case name == "verification_reason":
		return f.reason(Reason(v))
	case isNumber(name), isSpan(name):
		if d, err := time.ParseDuration(v); err == nil && isSpan(name) && v != "0" {
			if name == "took" && d < time.Second {
				return "less than a second"
			}
			return span(d, 2)
		}
		return thousands(v)
	}
	return v
}

// count returns part of the total, such as "3 of 35 items", or "3 items" while the
// total is not known.
func (f filler) count(part, one, many string) string {
	n, total := clean(f.args[part]), clean(f.args["total"])
	switch unknown := total == "" || total == "0"; {
	case n == "", unknown && n == "0" && part == "failed":
		return ""
	case unknown && n == "0":
		return "no " + many
	case unknown && n == "1":
		return "1 " + one
	case unknown:
		return thousands(n) + " " + many
	case total == "1":
		return thousands(n) + " of 1 " + one
	}
	return thousands(n) + " of " + thousands(total) + " " + many
}

const (
	day   = "2 Jan 2006"
	clock = "15:04 UTC"
)

// time renders an RFC 3339 time in UTC; "" when v is not one.
func (f filler) time(v string, render func(time.Time) string) string {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil || t.IsZero() {
		return ""
	}
	return render(t.UTC())
}

// reason returns the reason words of r for the middle of a sentence.
func (f filler) reason(r Reason) string {
	t := explained(r)
	words := f.pick(t.reason, t.one)
	if strings.HasPrefix(words, "{") { // a name keeps its capital
		return f.phrase(words)
	}
	return f.phrase(lowerFirst(words))
}

// pick returns one instead of words when the number in words is 1.
func (f filler) pick(words, one string) string {
	for _, number := range []string{"count", "failed", "total"} {
		if one != "" && f.args[number] == "1" && strings.Contains(words, "{"+number+"}") {
			return one
		}
	}
	return words
}

// neutral replaces a fact that is not known.
func neutral(name string) string {
	switch name {
	case "actor", "starter":
		return "someone"
	case "owner":
		return "a workspace owner"
	case "approvers":
		return "someone who can approve restores"
	case "warnings":
		return "see the preview"
	case "tenant", "connection", "provider", "operation":
		return "the " + name
	case "operation_in":
		return "the operation"
	case "credential_kind":
		return "credential"
	case "other_operation":
		return "another operation"
	case "shown_connection":
		return "another connection"
	case "count", "failed", "total":
		return "several"
	case "items", "failed_items":
		return "some items"
	case "failed_objects":
		return "some objects"
	case "field":
		return "a field"
	case "detail":
		return "can't be used"
	case "conflict":
		return "its state doesn't allow it"
	case "step":
		return "current"
	case "duration", "idle", "took", "waited":
		return "some time"
	case "limit":
		return "a set amount"
	case "max_age":
		return "few days"
	case "minutes":
		return "a few"
	case "retry_after":
		return "a minute"
	case "reference":
		return "shown here"
	case "note":
		return "no note"
	case "last_seen", "until", "heard":
		return "an unknown time"
	case "expected_directory":
		return "with this ID"
	case "actual_directory":
		return "another directory"
	case "answered":
		return "no explanation"
	case "provider_code":
		return "no code"
	case "clock_difference":
		return "an unknown time"
	case "fault":
		return "it is not what was requested"
	case "tries":
		return "several"
	}
	switch {
	case strings.HasSuffix(name, "_on"):
		return "an unknown date"
	case strings.HasSuffix(name, "_ago"):
		return "at an unknown time"
	case strings.HasSuffix(name, "_for"):
		return "some time"
	case strings.HasSuffix(name, "_at"):
		return "an unknown time"
	}
	return "not known"
}

func isCount(name string) bool {
	return name == "items" || name == "failed_items" || name == "failed_objects"
}

func isNumber(name string) bool {
	switch name {
	case "changed", "count", "done", "failed", "limit", "minutes", "removed", "total", "tries":
		return true
	}
	return false
}

func isSpan(name string) bool {
	switch name {
	case "clock_difference", "duration", "idle", "limit", "max_age", "retry_after", "took", "waited":
		return true
	}
	return false
}

// stamp is a time as [Args] hold it; "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// stampOf is the stamp of the first known time.
func stampOf(times ...*time.Time) string {
	for _, t := range times {
		if t != nil && !t.IsZero() {
			return stamp(*t)
		}
	}
	return ""
}

// clean returns v as plain text on one line, of at most longest characters. It
// removes control characters and bidirectional controls, which could make a name
// look like a sentence of Interlock's.
func clean(v string) string { return cleaned(v, longest) }

// cleaned is clean with another limit, in characters.
func cleaned(v string, most int) string {
	v = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(v, "\uFFFD"))
	v = strings.Join(strings.Fields(v), " ")
	if utf8.RuneCountInString(v) <= most {
		return v
	}
	return strings.TrimRight(string([]rune(v)[:most-1]), " ") + "…"
}

// short shortens a GUID to its two ends.
func short(guid string) string {
	if len(guid) != 36 {
		return guid
	}
	return guid[:4] + "…" + guid[32:]
}

// list renders comma-separated values as "A, B and C".
func list(v string) string {
	var values []string
	for s := range strings.SplitSeq(v, ",") {
		if s = clean(s); s != "" {
			values = append(values, s)
		}
	}
	if extra := len(values) - most; extra > 0 {
		values = append(values[:most], thousands(strconv.Itoa(extra))+" more")
	}
	last := len(values) - 1
	if last < 1 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:last], ", ") + " and " + values[last]
}

// thousands adds separators to a whole number; other text is returned unchanged.
func thousands(v string) string {
	if _, err := strconv.ParseUint(v, 10, 64); err != nil {
		return v
	}
	for i := len(v) - 3; i > 0; i -= 3 {
		v = v[:i] + "," + v[i:]
	}
	return v
}

// ago returns the time since in its largest unit, such as "2 minutes ago". A time in
// the future counts as now.
func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return span(d, 1) + " ago"
}

// lasting is how long something has lasted, in its largest unit, such as "2 minutes".
func lasting(d time.Duration) string {
	if d < time.Second {
		return "a moment"
	}
	return span(d, 1)
}

// span returns a duration in its largest units, in whole seconds.
func span(d time.Duration, units int) string {
	var told []string
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		n := d / u.length
		d -= n * u.length
		if n == 1 {
			told = append(told, "1 "+u.name)
		} else if n > 1 {
			told = append(told, thousands(strconv.FormatInt(int64(n), 10))+" "+u.name+"s")
		}
	}
	if len(told) == 0 {
		return "0 seconds"
	}
	return strings.Join(told[:min(units, len(told))], " ")
}

func upperFirst(s string) string { return mapFirst(unicode.ToUpper, s) }

func lowerFirst(s string) string { return mapFirst(unicode.ToLower, s) }

func mapFirst(mapping func(rune) rune, s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(mapping(r)) + s[n:]
}
