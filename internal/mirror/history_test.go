package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestHistory: the newest 400 snapshots of a directory stay and come page by page,
// newest first. A run has one snapshot; a connection that replaces another continues the
// history of its directory, and one to another directory has its own.
func TestHistory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		one, two := w.connection("primary"), w.connection("second")
		w.Connection(w.Workspace, w.kestrel, "elsewhere", func(c *tenancy.Connection) { c.Default, c.DirectoryID = false, "11111111-2222-4333-8444-555555555555" })
		elsewhere := "elsewhere"
		start := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
		keep := func(connection string, numbers ...int) {
			t.Helper()
			w.Write(func(ctx context.Context, tx db.Tx) error {
				for _, n := range numbers {
					k := mirror.Key{Workspace: w.Workspace, Tenant: w.kestrel, Connection: connection, Run: fmt.Sprintf("run-%04d", n)}
					err := mirror.KeepMoment(ctx, tx, k, mirror.Moment{
						At: start.Add(time.Duration(n) * time.Hour), Complete: n%2 == 0,
						Counts: catalogue.ComplianceCounts{Compliant: int64(n), Noncompliant: 2},
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		ta := w.access(w.vic, w.kestrel)
		read := func(f mirror.HistoryFilter) (all []mirror.Moment, pages int) {
			t.Helper()
			for {
				list, next, err := w.History(t.Context(), ta, f)
				if err != nil {
					t.Fatal(err)
				}
				all, pages = append(all, list...), pages+1
				if f.Cursor = next; next == "" {
					return all, pages
				}
			}
		}
		if all, _ := read(mirror.HistoryFilter{}); len(all) != 0 {
			t.Errorf("before the first: %+v", all)
		}
		keep(one, 0, 1, 2, 2) // the last run was tried again
		w.Exec(`UPDATE connections SET enabled = FALSE WHERE id = $1`, one)
		w.Exec(`UPDATE connections SET directory_id = (SELECT o.directory_id FROM connections o WHERE o.id = $1) WHERE id = $2`, one, two)
		keep(two, 3)
		all, pages := read(mirror.HistoryFilter{Connection: "second", Limit: 2})
		if len(all) != 4 || pages != 2 {
			t.Fatalf("%d snapshots on %d pages", len(all), pages)
		}
		for i, m := range all {
			n := 3 - i
			if m.Run != fmt.Sprintf("run-%04d", n) || !m.At.Equal(start.Add(time.Duration(n)*time.Hour)) || m.Complete != (n%2 == 0) ||
				m.Counts != (catalogue.ComplianceCounts{Compliant: int64(n), Noncompliant: 2}) || m.Counts.Total() != int64(n)+2 {
				t.Errorf("snapshot %d is %+v", i, m)
			}
		}
		if all, _ := read(mirror.HistoryFilter{Connection: elsewhere}); len(all) != 0 {
			t.Errorf("another directory has %+v", all)
		}
		for n := 4; n < 4+mirror.KeptMoments; n += 50 {
			var some []int
			for i := n; i < min(n+50, 4+mirror.KeptMoments); i++ {
				some = append(some, i)
			}
			keep(two, some...)
		}
		all, _ = read(mirror.HistoryFilter{Connection: two, Limit: 200})
		if len(all) != mirror.KeptMoments || all[0].Run != "run-0403" || all[len(all)-1].Run != "run-0004" {
			t.Errorf("%d snapshots are kept, from %s to %s", len(all), all[len(all)-1].Run, all[0].Run)
		}
		for _, f := range []mirror.HistoryFilter{{Cursor: "x"}, {Limit: 201}, {Connection: "nobody"}} {
			if _, _, err := w.History(t.Context(), ta, f); err == nil {
				t.Errorf("%+v is answered", f)
			}
		}
		_, _, err := w.History(t.Context(), ta, mirror.HistoryFilter{Connection: "nobody"})
		wantErr(t, err, op.ErrNotFound)
	})
}
