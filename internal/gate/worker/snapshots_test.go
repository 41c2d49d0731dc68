package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// snapshotParts are the stored datasets of a snapshot in these tests.
var snapshotParts = []string{"compliance/devices", "compliance/policies"}

// snapshotRun is an execution of compliance.snapshot that has begun.
func (s *shop) snapshotRun(tenant string) *execution {
	s.t.Helper()
	run := s.start(tenant, "compliance.snapshot")
	c := s.claim(run.ID)
	x, err := s.w.claim(s.t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
	if err != nil || x == nil {
		s.t.Fatalf("claim: %v", err)
	}
	x.cancel = func(error) {}
	return x
}

// ends finishes a run of these tests.
func (s *shop) ends(x *execution) {
	s.t.Helper()
	x.finish(s.t.Context(), nil)
	if s.claim(x.claim.RunID) != nil {
		s.t.Fatal("the run has not ended")
	}
}

// parts reads rows with these ids into new rounds, one for each part.
func parts(t *testing.T, x *execution, ids ...string) (all []catalogue.SnapshotPart) {
	t.Helper()
	for _, name := range snapshotParts {
		r, err := data{x}.Begin(t.Context(), name, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if err := r.Put(t.Context(), []catalogue.Row{{ID: id, Name: id, Data: []byte(`{}`)}}); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, catalogue.SnapshotPart{Round: r})
	}
	return all
}

// shown is what readers see of the parts and of the history: "rows at time, ..., moments to the newest".
func (s *shop) shown(x *execution) (text string) {
	s.t.Helper()
	for _, name := range snapshotParts {
		d, err := data{x}.Dataset(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		rows, err := data{x}.Rows(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		text += fmt.Sprintf("%d of %d at %d, ", len(rows), d.Count, d.AsOf.UnixMicro())
	}
	return text + fmt.Sprint(s.Int(`SELECT COUNT(*) FROM compliance_history`), " moments to ", s.Int(`SELECT COALESCE(MAX(at), 0) FROM compliance_history`))
}

// A snapshot's parts and its counts become visible in one step, as of the moment when it
// began; a snapshot that can't be kept as a whole changes nothing, and so does a run that
// has lost its connection.
func TestSnapshotsAreKeptTogether(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		x := s.snapshotRun("kestrel")
		at, err := snapshots{x}.Begin(t.Context())
		if err != nil || time.Since(at).Abs() > time.Hour {
			t.Fatalf("began at %v, %v", at, err)
		}
		all := parts(t, x, "a", "b")
		if got, want := s.shown(x), "0 of 0 at -62135596800000000, 0 of 0 at -62135596800000000, 0 moments to 0"; got != want {
			t.Fatalf("before it is kept, readers see %q", got)
		}
		counts := &catalogue.ComplianceCounts{Compliant: 2}
		sets, err := snapshots{x}.Keep(t.Context(), catalogue.Snapshot{At: at, Parts: all, Complete: true, Counts: counts})
		if err != nil || len(sets) != 2 || sets[0].Count != 2 || !sets[1].AsOf.Equal(at) {
			t.Fatalf("kept %+v, %v", sets, err)
		}
		first := fmt.Sprintf("2 of 2 at %[1]d, 2 of 2 at %[1]d, 1 moments to %[1]d", at.UnixMicro())
		if got := s.shown(x); got != first {
			t.Fatalf("readers see %q, want %q", got, first)
		}

		// The same run keeps another one: its moment takes the place of the first.
		later := at.Add(time.Second)
		if _, err := (snapshots{x}).Keep(t.Context(), catalogue.Snapshot{At: later, Parts: parts(t, x, "a"), Counts: counts}); err != nil {
			t.Fatal(err)
		}
		second := fmt.Sprintf("1 of 1 at %[1]d, 1 of 1 at %[1]d, 1 moments to %[1]d", later.UnixMicro())
		if got := s.shown(x); got != second {
			t.Fatalf("after a second try readers see %q, want %q", got, second)
		}
		s.ends(x)

		// The last part can't be committed, because another round took its place.
		x = s.snapshotRun("kestrel")
		all = parts(t, x, "c")
		if _, err := (data{x}).Begin(t.Context(), snapshotParts[1], true); err != nil {
			t.Fatal(err)
		}
		if _, err := (snapshots{x}).Keep(t.Context(), catalogue.Snapshot{At: later.Add(time.Second), Parts: all, Counts: counts}); err == nil {
			t.Error("a snapshot is kept without one of its parts")
		}
		if got := s.shown(x); got != second {
			t.Errorf("half of a snapshot is visible: %q, want %q", got, second)
		}

		// The run has lost its connection.
		all = parts(t, x, "d")
		s.Exec(`UPDATE run_claims SET fence = fence + 1 WHERE run_id = $1`, x.claim.RunID)
		if _, err := (snapshots{x}).Keep(t.Context(), catalogue.Snapshot{At: later.Add(time.Second), Parts: all, Counts: counts}); !errors.Is(err, errLost) {
			t.Errorf("a run that is lost keeps a snapshot: %v", err)
		}
		if got := s.shown(x); got != second {
			t.Errorf("a run that is lost shows %q, want %q", got, second)
		}
	})
}

// The history has 400 moments at most: a new one takes the place of the oldest. A
// snapshot without counts adds none.
func TestSnapshotsKeepTheirHistory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		connection := s.tenant("kestrel")
		x := s.snapshotRun("kestrel")
		at, err := snapshots{x}.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Write(func(ctx context.Context, tx db.Tx) error {
			for i := range mirror.KeptMoments {
				k := mirror.Key{Tenant: x.claim.Tenant, Connection: connection, Run: fmt.Sprintf("old-%03d", i)}
				if err := mirror.KeepMoment(ctx, tx, k, mirror.Moment{At: at.Add(time.Duration(i-mirror.KeptMoments) * time.Hour)}); err != nil {
					return err
				}
			}
			return nil
		})
		keep := func(counts *catalogue.ComplianceCounts) string {
			t.Helper()
			if _, err := (snapshots{x}).Keep(t.Context(), catalogue.Snapshot{At: at, Complete: true, Counts: counts}); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(s.Int(`SELECT COUNT(*) FROM compliance_history`), " from ", s.Text(`SELECT run_id FROM compliance_history ORDER BY at LIMIT 1`))
		}
		if got := keep(nil); got != "400 from old-000" {
			t.Errorf("without counts there are %s", got)
		}
		if got := keep(&catalogue.ComplianceCounts{Compliant: 7, Error: 1}); got != "400 from old-001" {
			t.Errorf("there are %s, want 400 without the oldest", got)
		}
		if got := s.Text(`SELECT counts FROM compliance_history WHERE run_id = $1`, x.claim.RunID); got != `{"compliant":7,"noncompliant":0,"in_grace_period":0,"error":1,"conflict":0,"unknown":0,"not_applicable":0,"remediated":0,"config_manager":0}` {
			t.Errorf("the counts are %s", got)
		}
	})
}
