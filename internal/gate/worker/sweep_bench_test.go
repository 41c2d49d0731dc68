package worker

import (
	"context"
	"flag"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/provider"
)

var expiredFlag = flag.Int("expired", 20_000, "runs that BenchmarkSweep finds expired")

// BenchmarkSweep tells how many expired runs go in a second, each with an item, a
// line of its timeline, an attempt and a notification, and how long a small write
// of somebody else takes meanwhile.
//
//	go test ./internal/gate/worker -run '^$' -bench Sweep -benchtime 1x -expired 1000000
func BenchmarkSweep(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				d := dbtest.New(b, engine)
				world := gatetest.New(b, d)
				world.Fill(gatetest.History{Runs: *expiredFlag, Expired: *expiredFlag, Tenants: 50})
				if err := d.Analyze(b.Context()); err != nil {
					b.Fatal(err)
				}
				w, err := New(d, world.Store, Config{
					Logger: slog.New(slog.DiscardHandler), Connect: func(Connect) (provider.Client, error) { return nil, context.Canceled },
				})
				if err != nil {
					b.Fatal(err)
				}
				ctx, stop := context.WithCancel(b.Context())
				waits := make(chan []time.Duration)
				go func() { waits <- smallWrites(ctx, d) }()
				b.StartTimer()
				began := time.Now()
				if err := w.sweep(b.Context()); err != nil {
					b.Fatal(err)
				}
				took := time.Since(began)
				b.StopTimer()
				stop()
				writes := <-waits
				slices.Sort(writes)
				b.ReportMetric(float64(*expiredFlag)/took.Seconds(), "runs/s")
				b.ReportMetric(float64(writes[len(writes)/2].Microseconds())/1000, "write-p50-ms")
				b.ReportMetric(float64(writes[len(writes)*99/100].Microseconds())/1000, "write-p99-ms")
			}
		})
	}
}

// smallWrites writes to one row every few milliseconds until ctx ends and returns
// how long each took.
func smallWrites(ctx context.Context, d *db.DB) (took []time.Duration) {
	for ctx.Err() == nil {
		began := time.Now()
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE connections SET rev = rev WHERE slug = 'big'`)
			return err
		})
		if err == nil {
			took = append(took, time.Since(began))
		}
		time.Sleep(5 * time.Millisecond)
	}
	return took
}
