package queue

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// log keeps lines, and counts what somebody wanted to write.
type log struct {
	slog.Handler
	mu     sync.Mutex
	text   bytes.Buffer
	wanted int
}

func newLog() *log {
	l := &log{}
	l.Handler = slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return l
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) Enabled(ctx context.Context, level slog.Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if level == slog.LevelError {
		l.wanted++
	}
	return l.Handler.Enabled(ctx, level)
}

// lines returns what was written with what is in it, and how much was wanted to be.
func (l *log) lines(with string) (lines []string, wanted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, with) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines, l.wanted
}

// TestOutage lets River poll a table that is away: it is said once, and once that
// it is back, and then runs are worked on.
func TestOutage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		worked := make(chan Args, 1)
		l := newLog()
		q, err := New(d, Config{
			Workers: 1, Logger: slog.New(l),
			Handle: func(_ context.Context, _ int64, args Args) time.Duration { worked <- args; return 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := q.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}()
		write := func(fn func(ctx context.Context, tx db.Tx) error) {
			t.Helper()
			if err := d.Write(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		rename := func(from, to string) {
			t.Helper()
			write(func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, `ALTER TABLE `+from+` RENAME TO `+to)
				return err
			})
		}
		until := func(what string, done func() bool) {
			t.Helper()
			for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s: not within 30 s", what)
				}
			}
		}
		const failed, over = "Error fetching jobs", "the queue gets jobs again"
		rename("river_job", "river_job_away")
		until("River fails again and again", func() bool {
			_, wanted := l.lines(failed)
			return wanted >= 10
		})
		rename("river_job_away", "river_job")
		until("it is said to be over", func() bool {
			lines, _ := l.lines(over)
			return len(lines) > 0
		})
		if lines, _ := l.lines(failed); len(lines) != 1 {
			t.Errorf("the outage is said %d times: %q", len(lines), lines)
		}
		write(func(ctx context.Context, tx db.Tx) error {
			_, err := q.Insert(ctx, tx, Args{RunID: "r-1", Fence: 1}, time.Time{})
			return err
		})
		if args := <-worked; args.RunID != "r-1" {
			t.Errorf("worked on %+v", args)
		}
		if lines, _ := l.lines(over); len(lines) != 1 {
			t.Errorf("the end is said %d times: %q", len(lines), lines)
		}
	})
}

// TestOutageIsSaid tells when a failure is said that comes at every poll, and that
// nothing else is lost.
func TestOutageIsSaid(t *testing.T) {
	const (
		failed = "level=ERROR msg=\"producer: Error fetching jobs\" err=away"
		over   = "level=INFO msg=\"the queue gets jobs again\" left_out="
		poll   = 100 * time.Millisecond
	)
	type fetch struct {
		polls int
		well  bool
	}
	for _, c := range []struct {
		name    string
		fetches []fetch // a poll each
		want    []string
	}{
		{"all is well", []fetch{{700, true}}, nil},
		{"one failure", []fetch{{1, false}, {700, true}}, []string{failed, over + "0"}},
		{"half a minute", []fetch{{300, false}, {700, true}}, []string{failed, over + "299"}},
		{"two minutes", []fetch{{1210, false}, {1, true}}, []string{failed, failed + " left_out=599", failed + " left_out=599", over + "9"}},
		{"two, with minutes between", []fetch{{1, false}, {600, true}, {1, false}, {1, true}}, []string{failed, over + "0", failed, over + "0"}},
		{
			"now and then",
			slices.Repeat([]fetch{{1, false}, {1, true}}, 600),
			[]string{failed, over + "0", failed + " left_out=299", over + "0"},
		},
		{"a second one right behind", []fetch{{1, false}, {1, true}, {5, false}, {700, true}}, []string{failed, over + "0", over + "5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog()
				o := &outage{log: slog.New(l)}
				river := slog.New(quiet{l, o})
				var others []string
				for _, f := range c.fetches {
					for range f.polls {
						if f.well {
							o.MetricEmit(t.Context(), &rivertype.HookMetricEmitParams{Metric: &rivertype.JobGetAvailableDurationMetric{}})
							o.MetricEmit(t.Context(), &rivertype.HookMetricEmitParams{Metric: &rivertype.JobGetAvailableCountMetric{}})
						} else {
							river.ErrorContext(t.Context(), "producer: Error fetching jobs", "err", "away")
						}
						time.Sleep(poll)
					}
					river.InfoContext(t.Context(), "progress")
					river.WarnContext(t.Context(), "another")
					others = append(others, "level=WARN msg=another")
				}
				var got []string
				lines, _ := l.lines("")
				for _, line := range lines {
					if len(others) > 0 && line == others[0] {
						others = others[1:]
						continue
					}
					got = append(got, line)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				if len(others) > 0 {
					t.Errorf("%d other lines are lost", len(others))
				}
			})
		})
	}
}
