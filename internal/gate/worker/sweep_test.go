package worker

import (
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
)

// TestTheHouseReadsLittle: what is old goes, in as many batches as it takes, and
// nothing else does; and from then on no round of the house reads the history in
// search of something to do. As in package app, what a statement looks at is
// counted, without statistics and with them.
func TestTheHouseReadsLittle(t *testing.T) {
	runs, expired := int64(12_000), int64(3_000)
	if testing.Short() { // under the race detector batches are tiny
		expired = 100
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.Fill(gatetest.History{Runs: int(runs), Expired: int(expired), Tenants: 50})
		waiting := s.Int(`SELECT COUNT(*) FROM runs WHERE state <> 'finished'`) // they are old, too, and stay
		if err := s.w.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int64{
			"runs": runs - expired + waiting, "run_items": runs - expired, "run_events": runs - expired + waiting, "notifications": runs - expired,
			"start_attempts WHERE outcome = 'accepted'": runs - expired + waiting, "audit_log": runs,
		} {
			if n := s.Int(`SELECT COUNT(*) FROM ` + table); n != want {
				t.Errorf("%s: %d rows are left, want %d", table, n, want)
			}
		}
		if n, of := s.Int(`SELECT COUNT(*) FROM run_journal`), s.Int(`SELECT COUNT(*) FROM runs WHERE outcome = 'partial'`); n != of || n == 0 {
			t.Errorf("%d steps are left, want one of each of %d runs", n, of)
		}
		if n := s.Int(`SELECT COUNT(*) FROM start_attempts a WHERE a.run_id IS NULL AND a.last_at < interlock_now() - $1`, keepRefusals.Microseconds()); n != 0 {
			t.Errorf("%d refusals are older than they have to be kept", n)
		}
		if d.Engine() == db.SQLite {
			s.looks(t)
		}
		s.Analyze()
		s.looks(t)
	})
}

// looks runs every round of maintenance and counts the rows that each statement reads.
func (s *shop) looks(t *testing.T) {
	t.Helper()
	const most = 1_000
	ctx, recording := t.Context(), dbtest.Record(s.DB)
	s.Exec(`UPDATE connections SET rev = rev + 1 WHERE slug = 'rare'`) // somebody changed one
	for _, err := range []error{s.w.sweep(ctx), s.w.reapRound(ctx), s.w.lineRound(ctx), s.w.stopRound(ctx)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Store.SettleReadiness(ctx); err != nil || n == 0 {
		t.Fatalf("%d tenants were judged, %v", n, err)
	}
	seen := 0
	for _, st := range recording.Take() {
		cost, err := dbtest.CostOf(ctx, s.DB, st)
		if err != nil {
			continue // a write that is not possible twice
		}
		seen++
		if cost.Rows > most {
			t.Errorf("looks at %d rows (at most %d):\n%s\n%v\n%s", cost.Rows, most, st.SQL, st.Args, cost.Plan)
		}
	}
	if seen < 15 {
		t.Errorf("only %d statements were seen", seen)
	}
}

// TestBatches: a batch that took long is followed by a smaller one, a quick one by
// a larger one.
func TestBatches(t *testing.T) {
	for _, tt := range []struct {
		batch int64
		took  time.Duration
		want  int64
	}{
		{100, time.Millisecond, 200},
		{100, batchTime / 2, 100},
		{100, batchTime, 100},
		{100, 2 * batchTime, 50},
		{100, 1000 * batchTime, minBatch},
		{maxBatch, time.Millisecond, maxBatch},
	} {
		if got := nextBatch(tt.batch, tt.took); got != tt.want {
			t.Errorf("after %d rows in %v: %d, want %d", tt.batch, tt.took, got, tt.want)
		}
	}
}
