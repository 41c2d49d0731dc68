//go:build linux

package e2e_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestBurst sends 64 starts at one moment on one connection: first of the same
// operation, then of all operations; on PostgreSQL to two nodes. Exactly one is
// accepted, every other answer names its run, and there is one job.
func TestBurst(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		nodes := []*node{w.start()}
		p := nodes[0].readyTenants("kestrel")[0]
		if engine == db.Postgres {
			nodes = append(nodes, w.start())
		}
		for round, mixed := range []bool{false, true, false, true} {
			burst(t, w, nodes, p, round, mixed)
		}
		w.audit("at the end")
	})
}

func burst(t *testing.T, w *world, nodes []*node, p place, round int, mixed bool) {
	t.Helper()
	const presses = 64
	w.hold(p)
	var before [3]int64
	w.inspect(func(d *db.DB) { before = made(t, d) })

	answers := make([]press, presses)
	gun := make(chan struct{})
	var wg sync.WaitGroup
	for i := range presses {
		kind := op.InventorySync
		if mixed {
			kind = operations[i%len(operations)]
		}
		wg.Go(func() {
			<-gun
			var err error
			n := nodes[i%len(nodes)]
			answers[i], err = rawStart(t.Context(), n.url, w.owner.token, p.slug, key(), map[string]any{"operation": kind})
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(gun)
	wg.Wait()

	var run *op.RunRef
	for _, a := range answers {
		if a.answer.Outcome != op.Accepted {
			continue
		}
		if run != nil {
			t.Fatalf("round %d: runs %s and %s were both accepted", round, run.Code, a.answer.Run.Code)
		}
		run = a.answer.Run
	}
	if run == nil {
		t.Fatalf("round %d: nothing was accepted", round)
	}
	for i, a := range answers {
		named := a.answer.Run
		want := http.StatusAccepted
		switch a.answer.Outcome {
		case op.Accepted:
		case op.Deduped:
			want = http.StatusOK
		case op.ScopeBusy:
			want, named = http.StatusConflict, a.answer.Holder
		case op.Blocked:
			named = nil
		}
		if a.status != want || named == nil || named.ID != run.ID {
			t.Errorf("round %d, press %d: status %d, %s %+v, want one that names run %s", round, i, a.status, a.answer.Code, a.problem, run.Code)
		}
		if !mixed && a.answer.Outcome == op.ScopeBusy {
			t.Errorf("round %d, press %d: %s, want deduped", round, i, a.answer.Code)
		}
	}
	w.inspect(func(d *db.DB) {
		after := made(t, d)
		if want := [3]int64{before[0] + 1, before[1] + 1, before[2] + 1}; after != want {
			t.Errorf("round %d: runs, jobs and accepted attempts went from %v to %v, want one more of each", round, before, after)
		}
	})
	w.clear()
	if r := nodes[0].ended(run.ID); r.Outcome != op.RunSucceeded {
		t.Errorf("round %d: the run ended as %s: %s", round, r.Outcome, r.Words.Why)
	}
}

// made counts runs, jobs and accepted attempts.
func made(t *testing.T, d *db.DB) [3]int64 {
	t.Helper()
	return [3]int64{
		number(t, d, `SELECT COUNT(*) FROM runs`),
		number(t, d, `SELECT COUNT(*) FROM river_job`),
		number(t, d, `SELECT COUNT(*) FROM start_attempts WHERE outcome = 'accepted'`),
	}
}
