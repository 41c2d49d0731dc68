package graph

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxAsked limits the wait that is read from an answer, so that adding it to a time does
// not overflow. Runs report the wait that the provider asked for; a lane is closed for
// [maxPause] at most.
const maxAsked = 10 * 365 * 24 * time.Hour

// retryAfter returns how long an answer asks to wait: 0 when it does not say so in a valid
// form, and [maxAsked] at most. Seconds may have a fraction (docs: the sample of the
// throttling page has 2.128). A date is relative to the answer's own Date, because the
// clocks may differ.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, ms := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if n, err := strconv.ParseFloat(h.Get(ms), 64); err == nil {
			return pause(n / 1000)
		}
	}
	v := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(v, 64); err == nil || math.IsInf(n, 0) {
		return pause(n)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return pause(at.Sub(dateOf(h, now)).Seconds())
}

// pause converts seconds to a duration, rounded up to the millisecond.
func pause(seconds float64) time.Duration {
	switch {
	case math.IsNaN(seconds), seconds <= 0:
		return 0
	case seconds >= maxAsked.Seconds():
		return maxAsked
	default:
		return time.Duration(math.Ceil(seconds*1000)) * time.Millisecond
	}
}

// dateOf returns the Date of an answer, or now.
func dateOf(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}
