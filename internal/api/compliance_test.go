package api

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// TestComplianceHistory: the snapshots come page by page, newest first, each as counts
// with its time, so that a trend can be drawn; a connection to another directory has its
// own.
func TestComplianceHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, connection := w.ready("kestrel")
		first := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
		w.Write(func(ctx context.Context, tx db.Tx) error {
			for i := range 5 {
				m := mirror.Moment{At: first.AddDate(0, 0, i), Complete: i != 3, Counts: catalogue.ComplianceCounts{Compliant: int64(20 + i), Noncompliant: int64(9 - i), Remediated: 1}}
				if err := mirror.KeepMoment(ctx, tx, mirror.Key{Tenant: tenant, Connection: connection, Run: fmt.Sprint("run-", i)}, m); err != nil {
					return err
				}
			}
			return nil
		})
		var got []string
		for cursor, pages := "", 1; ; pages++ {
			var p Page[ComplianceMoment]
			w.get(w.Viewer, "/tenants/kestrel/compliance/history?limit=2"+cursor).want(http.StatusOK, &p)
			for _, m := range p.Items {
				got = append(got, fmt.Sprintf("%s %s %v: %d of %d, %d failing", m.Run, m.At.Format(time.DateOnly), m.Complete, m.Counts.Compliant, m.Devices, m.Counts.Noncompliant))
			}
			if p.Next == nil {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			cursor = "&cursor=" + *p.Next
		}
		want := []string{
			"run-4 2026-11-05 true: 24 of 30, 5 failing", "run-3 2026-11-04 false: 23 of 30, 6 failing", "run-2 2026-11-03 true: 22 of 30, 7 failing",
			"run-1 2026-11-02 true: 21 of 30, 8 failing", "run-0 2026-11-01 true: 20 of 30, 9 failing",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the history is %q, want %q", got, want)
		}
		w.Exec(`UPDATE connections SET directory_id = '11111111-2222-4333-8444-555555555555' WHERE id = $1`, connection)
		var p Page[ComplianceMoment]
		if w.get(w.Viewer, "/tenants/kestrel/compliance/history").want(http.StatusOK, &p); len(p.Items) != 0 {
			t.Errorf("another directory has %+v", p.Items)
		}
		w.get(w.Viewer, "/tenants/kestrel/compliance/history?connection=elsewhere").problem(http.StatusNotFound, "not_found")
		w.get(w.Viewer, "/tenants/kestrel/compliance/history?limit=201").problem(http.StatusUnprocessableEntity, "field")
		w.get(w.Viewer, "/tenants/kestrel/compliance/history?cursor=x").problem(http.StatusBadRequest, "cursor")
		w.get(w.Outsider, "/tenants/kestrel/compliance/history").problem(http.StatusNotFound, "not_found")
	})
}
