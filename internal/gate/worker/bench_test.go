package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// eachEngine is dbtest.Each for benchmarks.
func eachEngine(b *testing.B, fn func(b *testing.B, d *db.DB)) {
	for _, e := range dbtest.Engines() {
		b.Run(string(e), func(b *testing.B) { fn(b, dbtest.New(b, e)) })
	}
}

// BenchmarkPickup measures from the answer to a start until its run begins, one
// start at a time on an idle process. Promised: p99 of 60 ms on SQLite, which
// polls, and 5 ms on PostgreSQL, which notifies.
func BenchmarkPickup(b *testing.B) {
	eachEngine(b, func(b *testing.B, d *db.DB) {
		s, began := running(b, d)
		var waits []time.Duration
		for i := 0; b.Loop(); i++ {
			slug := fmt.Sprint("tenant-", i)
			s.Connection(s.Workspace, s.Tenant(s.Workspace, slug, slug), slug, nil)
			time.Sleep(time.Duration(i%7) * 9 * time.Millisecond) // not in step with the poll
			if _, err := s.gate.Start(b.Context(), s.Operator, op.Request{Tenant: slug, Kind: op.ConnectionVerify, Surface: op.SurfaceAPI}); err != nil {
				b.Fatal(err)
			}
			answered := time.Now()
			waits = append(waits, max(0, (<-began).Sub(answered)))
		}
		slices.Sort(waits)
		b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(0, "ns/op")
	})
}

// running is a started worker whose runs only tell when they began.
func running(b *testing.B, d *db.DB) (*shop, <-chan time.Time) {
	b.Helper()
	world := gatetest.New(b, d)
	began := make(chan time.Time, 64)
	w, err := New(d, world.Store, Config{Connect: func(Connect) (provider.Client, error) {
		began <- time.Now()
		return nil, &provider.Error{Reason: op.ProviderRejected}
	}})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gate.New(d, world.Store, gate.Config{Silent: w.Silent})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return &shop{World: world, gate: g, w: w}, began
}

// BenchmarkStart measures accepted and refused starts against the least that an
// accepted start must do, two inserts and a commit, on the same machine in the
// same minute: the ratio is what is compared, not the seconds.
func BenchmarkStart(b *testing.B) {
	const callers = 8
	eachEngine(b, func(b *testing.B, d *db.DB) {
		s := gatetest.New(b, d)
		g, err := gate.New(d, s.Store, gate.Config{})
		if err != nil {
			b.Fatal(err)
		}
		const tenants = 400
		slugs := make([]string, tenants)
		for i := range slugs {
			slugs[i] = fmt.Sprint("tenant-", i)
			s.Connection(s.Workspace, s.Tenant(s.Workspace, slugs[i], slugs[i]), slugs[i], nil)
		}
		s.Exec(`CREATE TABLE floor_runs (id TEXT PRIMARY KEY, x TEXT NOT NULL)`)
		s.Exec(`CREATE TABLE floor_jobs (id TEXT PRIMARY KEY, x TEXT NOT NULL)`)
		start := func(i int) error {
			_, err := g.Start(b.Context(), s.Operator, op.Request{Tenant: slugs[i], Kind: op.InventorySync, Surface: op.SurfaceAPI})
			return err
		}
		rate := func(do func(i int) error) float64 {
			begin := time.Now()
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := c; i < tenants; i += callers {
						if err := do(i); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			return tenants / time.Since(begin).Seconds()
		}
		for b.Loop() {
			floor := rate(func(int) error {
				return d.Write(b.Context(), func(ctx context.Context, tx db.Tx) error {
					for _, table := range []string{"floor_runs", "floor_jobs"} {
						if _, err := tx.Exec(ctx, `INSERT INTO `+table+` (id, x) VALUES ($1, 'x')`, access.NewID()); err != nil {
							return err
						}
					}
					return nil
				})
			})
			s.Wipe()
			accepted := rate(start)
			refused := rate(start) // all of them are on their way now
			b.ReportMetric(accepted, "accepted/s")
			b.ReportMetric(refused, "deduped/s")
			b.ReportMetric(floor, "floor/s")
			b.ReportMetric(accepted/floor, "accepted/floor")
			b.ReportMetric(refused/floor, "deduped/floor")
		}
	})
}

// BenchmarkHouse measures a round of maintenance with 100,000 queued runs, all of
// them well, among 300,000 that have ended: first as the database is after a
// burst, then with its statistics. Promised: a second at most.
func BenchmarkHouse(b *testing.B) {
	const line, ended = 100_000, 300_000
	eachEngine(b, func(b *testing.B, d *db.DB) {
		s := gatetest.New(b, d)
		w, err := New(d, s.Store, Config{Connect: func(Connect) (provider.Client, error) { return nil, errors.New("not used") }})
		if err != nil {
			b.Fatal(err)
		}
		fillLine(s, line, ended)
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				s.Exec(`ANALYZE`)
			}
			b.Run(fmt.Sprint("analyzed=", analyzed), func(b *testing.B) {
				for b.Loop() {
					if err := errors.Join(w.reapRound(b.Context()), w.lineRound(b.Context())); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/round")
			})
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_claims`); n != line {
			b.Errorf("%d runs in line after the rounds, want %d", n, line)
		}
	})
}

// fillLine writes queued runs with their jobs, and finished runs.
func fillLine(s *gatetest.World, line, ended int) {
	available, completed := `'available'`, `'completed'`
	if s.DB.Engine() == db.Postgres {
		available, completed = available+`::river_job_state`, completed+`::river_job_state`
	}
	for _, sql := range []string{
		`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters, target,
				initiator_id, initiator, fence, accepted_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT 'run-' || i, 'w', 't', 'c-' || i, 'c' || i, 'inventory.sync', 'api', CASE WHEN i <= $2 THEN 'queued' ELSE 'finished' END,
				CASE WHEN i <= $2 THEN '' ELSE 'succeeded' END, 'f', '{}', '{"name":"Microsoft 365 · Tenant primary"}', 'u', 'Ana Ruiz', 1,
				interlock_now() FROM n`,
		`INSERT INTO river_job (id, args, kind, max_attempts, state, finalized_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT i, '{}', 'run', 1, CASE WHEN i <= $2 THEN ` + available + ` ELSE ` + completed + ` END,
				CASE WHEN i <= $2 THEN NULL ELSE CURRENT_TIMESTAMP END FROM n`,
	} {
		s.Exec(sql, line+ended, line)
	}
	s.Exec(`INSERT INTO run_claims (scope, run_id, fingerprint, fence, job_id, sent_at, queue_until)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		SELECT 'c-' || i, 'run-' || i, 'f', 1, i, interlock_now(), interlock_now() + 7200000000 FROM n`, line)
}

// BenchmarkIdle measures what two idle nodes cost PostgreSQL with 5,000 runs in
// line: CPU time of the server's processes for this database, in percent of one
// core. The runs wait for their time, or for the nodes' only workers, which hang.
func BenchmarkIdle(b *testing.B) {
	for _, busy := range []bool{false, true} {
		b.Run(map[bool]string{false: "scheduled", true: "workers busy"}[busy], func(b *testing.B) {
			address := dbtest.Server(b)
			d := dbtest.Open(b, db.Config{URL: address})
			s := gatetest.New(b, d)
			fillLine(s, 5000, 0)
			if !busy {
				s.Exec(`UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour'`)
			}
			hang := make(chan struct{})
			b.Cleanup(func() { close(hang) })
			for range 2 {
				w, err := New(dbtest.Open(b, db.Config{URL: address}), s.Store, Config{Workers: 1, Drain: time.Second, Connect: func(Connect) (provider.Client, error) {
					<-hang
					return nil, errors.New("not used")
				}})
				if err != nil {
					b.Fatal(err)
				}
				if busy { // their handlers hang before they claim: the runs are made up
					q, err := queue.New(w.db, queue.Config{Workers: 1, Logger: slog.New(slog.DiscardHandler), Handle: func(context.Context, int64, queue.Args) time.Duration {
						<-hang
						return 0
					}})
					if err != nil {
						b.Fatal(err)
					}
					w.queue = q
				}
				if err := w.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = w.Stop(context.Background()) })
			}
			time.Sleep(3 * time.Second) // elections and first looks
			for b.Loop() {
				before := serverCPU(b, s)
				begin := time.Now()
				time.Sleep(20 * time.Second)
				b.ReportMetric(100*(serverCPU(b, s)-before).Seconds()/time.Since(begin).Seconds(), "%core")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// serverCPU is the CPU time of the processes that serve this database, which has to
// be on this machine.
func serverCPU(b *testing.B, s *gatetest.World) (total time.Duration) {
	b.Helper()
	var pids string
	s.Write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'`).Scan(&pids)
	})
	for _, pid := range strings.Fields(pids) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			b.Fatalf("the server is not on this machine: %v", err)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
		for _, f := range fields[12:14] { // utime, stime
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}
