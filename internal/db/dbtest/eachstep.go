package dbtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
)

// maxSteps bounds the statements of the first function of [EachStep].
const maxSteps = 100

// EachStep runs one and two at the same time, again and again: one, on the handle
// first, waits before its first statement, then before its second, and so on, until
// two has ended or waits for a lock. first and second are handles on one PostgreSQL
// database. begin prepares each run; after is told how the two ended. Use [Pair] where
// both sides have to wait in turn.
func EachStep(t *testing.T, first, second *db.DB, begin func(), one, two func() error, after func(t *testing.T, a, b error)) {
	t.Helper()
	last := false
	for n := 1; !last; n++ {
		if n > maxSteps {
			t.Fatalf("the first function has more than %d statements", maxSteps)
		}
		begin()
		reached, proceed := make(chan struct{}), make(chan struct{})
		first.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if p.N == n {
				close(reached)
				<-proceed
			}
			return db.NoFault
		}))
		a, b := make(chan error, 1), make(chan error, 1)
		go func() { a <- one() }()
		select {
		case <-reached:
		case err := <-a: // it has no statement n
			a <- err
			last = true
		}
		go func() { b <- two() }()
		if !last {
			settles(t, second, b)
		}
		close(proceed)
		errA, errB := <-a, <-b
		first.WithFaults(nil)
		t.Run(fmt.Sprintf("before statement %d", n), func(t *testing.T) { after(t, errA, errB) })
	}
}

// settles waits until done holds something, or a connection to d's database waits
// for a lock.
func settles(t *testing.T, d *db.DB, done <-chan error) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(done) == 0 && !lockWaits(t, d) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			return
		}
	}
}

// lockWaits reports whether any connection to d's database waits for a lock.
func lockWaits(t *testing.T, d *db.DB) (is bool) {
	t.Helper()
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&is)
	})
	if err != nil {
		t.Fatal(err)
	}
	return is
}
