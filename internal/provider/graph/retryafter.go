package graph

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxAsked bounds what an answer can ask for: times must stay times. What a run
// says is what the provider asked for, however long; what keeps other calls out is
// bounded by [maxPause].
const maxAsked = 10 * 365 * 24 * time.Hour

// retryAfter returns how long an answer asks to wait: 0 when it does not say, or
// says nothing that makes sense, and [maxAsked] at most. Seconds may have a
// fraction (docs: the sample of the throttling page has 2.128); a date counts from
// the answer's own Date, whose clock need not be ours.
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

// pause returns seconds as a wait, rounded up to the millisecond.
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

// dateOf returns the provider's time of an answer, or now.
func dateOf(h http.Header, now time.Time) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}
