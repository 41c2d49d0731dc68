package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// Each fault at each point of a transfer: whatever Write answers is true.
func TestEveryFaultAtEveryPointIsAnsweredTruly(t *testing.T) {
	transfer := func(ctx context.Context, tx db.Tx) error {
		var from int64
		if err := tx.QueryRow(ctx, "SELECT amount FROM accounts WHERE id = 'from'").Scan(&from); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE accounts SET amount = $1 WHERE id = 'from'", from-1); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE accounts SET amount = amount + 1 WHERE id = 'to'")
		return err
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE accounts (id TEXT PRIMARY KEY, amount BIGINT NOT NULL)",
			"INSERT INTO accounts (id, amount) VALUES ('from', 1000), ('to', 0)")
		moved := int64(0)
		for _, fault := range []db.Fault{db.Unavailable, db.Busy, db.Timeout, db.ExecuteAndTimeout} {
			for n := 1; ; n++ {
				faults := db.FaultAt(n, fault)
				err := d.WithFaults(faults).Write(t.Context(), transfer)
				d.WithFaults(nil)
				hits := faults.Hits()
				if len(hits) == 0 {
					if err != nil {
						t.Fatalf("no fault, and yet: %v", err)
					}
					moved++
					break // all points tried
				}
				at := hits[0].Point

				total := one[int64](t, d, "SELECT CAST(SUM(amount) AS BIGINT) FROM accounts")
				to := one[int64](t, d, "SELECT amount FROM accounts WHERE id = 'to'")
				if total != 1000 {
					t.Fatalf("%v at %s: half a transfer", fault, at.Op)
				}
				done := to == moved+1
				moved = to

				// Write tries again by itself when asked to, and when nothing has begun.
				wantErr := fault != db.Busy && at.Op != db.OpBegin
				wantUnknown := wantErr && at.Op == db.OpCommit
				wantDone := !wantErr || fault == db.ExecuteAndTimeout && at.Op == db.OpCommit
				if (err != nil) != wantErr || errors.Is(err, db.ErrOutcomeUnknown) != wantUnknown || done != wantDone {
					t.Errorf("%v at %s: done %v, error %v", fault, at.Op, done, err)
				}
				if err != nil && !db.IsUnavailable(err) {
					t.Errorf("%v at %s: %v is not called unavailable", fault, at.Op, err)
				}
			}
		}
	})
}

func TestSeededFaultsRepeat(t *testing.T) {
	d := dbtest.New(t, db.SQLite)
	play := func(seed uint64) []string {
		faults := db.SeededFaults(seed, map[db.Fault]float64{db.Timeout: 0.2, db.ExecuteAndTimeout: 0.1})
		d.WithFaults(faults)
		defer d.WithFaults(nil)
		for range 50 {
			_ = d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error { // failing is its purpose
				_, err := tx.Exec(ctx, "SELECT 1")
				return err
			})
		}
		var log []string
		for _, h := range faults.Hits() {
			log = append(log, fmt.Sprintf("%v@%d", h.Fault, h.Point.N))
		}
		return log
	}
	first := play(1)
	if len(first) < 20 {
		t.Errorf("only %d faults", len(first))
	}
	if again := play(1); !slices.Equal(first, again) {
		t.Errorf("seed 1 gave %v and %v", first, again)
	}
	if other := play(2); slices.Equal(first, other) {
		t.Error("seeds 1 and 2 gave the same faults")
	}
}

// A caller that swallows the error of a statement that failed commits nothing.
func TestFaultCannotBeSwallowed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE x (id TEXT)")
		d.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if p.Op == db.OpExec {
				return db.ExecuteAndTimeout
			}
			return db.NoFault
		}))
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO x (id) VALUES ('a')") // the mistake
			return nil
		})
		d.WithFaults(nil)
		if !db.IsUnavailable(err) || errors.Is(err, db.ErrOutcomeUnknown) {
			t.Errorf("got %v, want a known outage", err)
		}
		if n := one[int64](t, d, "SELECT COUNT(*) FROM x"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}
