package queue

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// quiet drops River's log lines below warnings, and repeats of a failed poll.
type quiet struct {
	slog.Handler
	outage *outage
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// fetchFailed ends River's message when it can't get jobs. observed: that message comes
// with every poll while PostgreSQL is read-only or unavailable, and no other does.
const fetchFailed = ": Error fetching jobs"

// Handle logs r, unless it repeats a recent failure.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasSuffix(r.Message, fetchFailed) {
		left, say := q.outage.failed()
		if !say {
			return nil
		}
		if left > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("left_out", left))
		}
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a), q.outage} }

func (q quiet) WithGroup(n string) slog.Handler { return quiet{q.Handler.WithGroup(n), q.outage} }

// sayEvery is how often a lasting failure is logged.
const sayEvery = time.Minute

// outage tracks whether the queue gets jobs. It learns of every fetch.
type outage struct {
	river.HookDefaults
	log *slog.Logger

	mu   sync.Mutex
	said time.Time // when a failure was last logged
	open bool      // no fetch has succeeded since then
	left int       // failures since then that were not logged
}

// failed counts a failure. It reports whether to log it, and how many failures before it
// were not logged.
func (o *outage) failed() (left int, say bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.said) < sayEvery {
		o.left++
		return 0, false
	}
	left = o.left
	o.said, o.open, o.left = now, true, 0
	return left, true
}

// MetricEmit implements [rivertype.HookMetricEmit]. River reports the duration of every
// successful fetch. When fetches fail only now and then, the recovery is logged no more
// often than the failure.
func (o *outage) MetricEmit(ctx context.Context, p *rivertype.HookMetricEmitParams) {
	if p.Metric.Name() != rivertype.MetricNameJobGetAvailableDuration {
		return
	}
	o.mu.Lock()
	now := time.Now()
	over := o.open || o.left > 0 && now.Sub(o.said) >= sayEvery
	left := o.left
	if over {
		o.open, o.left = false, 0
	}
	o.mu.Unlock()
	if over {
		o.log.InfoContext(ctx, "the queue gets jobs again", "left_out", left)
	}
}
