package app

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// BenchmarkPages asks for the pages that people look at most, through the whole
// handler, and tells their median, their 99th percentile, and how many times the
// median of a bare select by primary key, on the same database in the same run,
// the median is.
//
//	go test ./internal/app -run '^$' -bench Pages -benchtime 300x -runs 1000000 -tenants 10000
func BenchmarkPages(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			h := newOld(b, dbtest.URL(b, engine))
			began := time.Now()
			if err := h.DB.Analyze(b.Context()); err != nil {
				b.Fatal(err)
			}
			if engine == db.Postgres { // as autovacuum would within a minute
				err := h.DB.Write(b.Context(), func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Exec(ctx, `ANALYZE`)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.Logf("%d runs, %d tenants; missing statistics took %v", *runsFlag, *tenantsFlag, time.Since(began))
			bare := h.quantiles(b, 300, func() {
				err := h.DB.Read(b.Context(), func(ctx context.Context, tx db.Tx) error {
					var code string
					return tx.QueryRow(ctx, `SELECT code FROM runs WHERE id = (SELECT latest_run FROM tenants WHERE id = $1)`, h.BigID).Scan(&code)
				})
				if err != nil {
					b.Fatal(err)
				}
			})
			for _, p := range []struct{ name, path string }{
				{"operations", "/w/lattice/operations"},
				{"operations-queued", "/w/lattice/operations?state=queued"},
				{"operations-rare-tenant", "/w/lattice/operations?tenant=rare"},
				{"tenant", "/w/lattice/tenants/" + h.Big},
				{"tenants", "/w/lattice/tenants"},
				{"tenants-blocked", "/w/lattice/tenants?readiness=blocked"},
				{"tenants-failed", "/w/lattice/tenants?run=lost"},
				{"notifications", "/w/lattice/notifications"},
				{"attempts", "/w/lattice/operations/attempts"},
			} {
				for who, actor := range map[string]struct{ name string }{h.Owner.ID(): {"owner"}, h.Few.ID(): {"few"}} {
					b.Run(p.name+"/"+actor.name, func(b *testing.B) {
						a := h.Owner
						if who == h.Few.ID() {
							a = h.Few
						}
						q := h.quantiles(b, b.N, func() {
							if w := h.send(b, a, http.MethodGet, p.path, nil); w.Code != http.StatusOK && w.Code != http.StatusNotFound {
								b.Fatalf("%s: %d", p.path, w.Code)
							}
						})
						b.ReportMetric(float64(q[0].Microseconds())/1000, "p50-ms")
						b.ReportMetric(float64(q[1].Microseconds())/1000, "p99-ms")
						b.ReportMetric(float64(q[0])/float64(bare[0]), "x-select")
					})
				}
			}
		})
	}
}

// quantiles runs fn n times, after a few uncounted runs, and returns the median and the
// 99th percentile.
func (h *old) quantiles(b *testing.B, n int, fn func()) [2]time.Duration {
	b.Helper()
	for range 3 {
		fn()
	}
	b.ResetTimer()
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		fn()
		took[i] = time.Since(began)
	}
	b.StopTimer()
	slices.Sort(took)
	return [2]time.Duration{took[n/2], took[n*99/100]}
}
