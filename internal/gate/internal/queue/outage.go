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

// quiet lowers River's chatter: its errors concern us, its progress does not, and
// what it says at every poll is said once.
type quiet struct {
	slog.Handler
	outage *outage
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// fetchFailed ends what River says when it gets no jobs. observed: that, and
// nothing else, comes with every poll while PostgreSQL is read-only or away.
const fetchFailed = ": Error fetching jobs"

// Handle writes r, unless it repeats what was said.
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

// sayEvery is how often a failure that goes on is said.
const sayEvery = time.Minute

// outage is a time in which the queue gets no jobs. It is told of every fetch.
type outage struct {
	river.HookDefaults
	log *slog.Logger

	mu   sync.Mutex
	said time.Time // the last failure that was said
	open bool      // since then no fetch went well
	left int       // failures that were left out since then
}

// failed counts a failure, and reports whether to say it, and how many were left
// out before it.
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

// MetricEmit implements [rivertype.HookMetricEmit]. River gives the duration of
// every fetch that went well. A fetch that fails now and then is no more often
// said to be well than to fail.
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
