//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestPoliteStop stops a process with SIGTERM in the middle of a run of each operation.
// The runs go back to the queue immediately, and succeed after the restart.
func TestPoliteStop(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		places := n.readyTenants("kestrel", "marlow", "fenwick")
		var runs []op.RunRef
		for i, p := range places {
			w.hold(p)
			runs = append(runs, n.accepted(p.slug, operations[i]))
		}
		w.held(places...)
		n.stop()
		w.inspect(func(d *db.DB) {
			for _, run := range runs {
				if number(t, d, `SELECT COUNT(*) FROM runs WHERE id = $1 AND state = 'queued' AND dispatch = 2`, run.ID) != 1 {
					t.Errorf("run %s of %s did not go back in line", run.Code, run.Operation)
				}
			}
		})
		w.audit("while nobody runs")
		w.clear()
		n = n.again()
		for _, run := range runs {
			if r := n.ended(run.ID); r.Outcome != op.RunSucceeded || r.Dispatch != 2 {
				t.Errorf("run %s of %s ended as %s at dispatch %d, want succeeded at 2: %s", run.Code, run.Operation, r.Outcome, r.Dispatch, r.Words.Why)
			}
		}
		w.audit("at the end")
	})
}

// TestRollingRestart restarts two nodes in turn under load. Nothing accepted is lost,
// nothing is done twice, and the only errors are refused connections.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	rollOver(t, 4)
}

func rollOver(t *testing.T, restarts int) {
	w := newWorld(t, db.Postgres)
	nodes := []*node{w.start(), w.start()}
	var slugs []string
	for i := range 6 {
		slugs = append(slugs, fmt.Sprintf("tenant-%d", i))
	}
	nodes[0].readyTenants(slugs...)
	w.fault(graphsim.Fault{Action: graphsim.Action{Kind: graphsim.ActDelay, DelayMS: 5}})

	ctx, stop := context.WithCancel(t.Context())
	var pressers sync.WaitGroup
	var acked sync.Map
	urls := [2]string{nodes[0].url, nodes[1].url} // a restarted node keeps its address
	for i, slug := range slugs {
		pressers.Go(func() {
			for j := i; ctx.Err() == nil; j++ {
				p, err := rawStart(ctx, urls[j%2], w.owner.token, slug, key(), map[string]any{"operation": operations[j%len(operations)]})
				switch {
				case err != nil: // nobody listens there now
				case p.status >= 500:
					t.Errorf("start on %s: status %d, %+v", slug, p.status, p.problem)
				case p.answer.Run != nil:
					acked.Store(p.answer.Run.ID, true)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for i := range restarts {
		time.Sleep(300 * time.Millisecond) // of work
		nodes[i%2].stop()
		nodes[i%2] = nodes[i%2].again()
	}
	stop()
	pressers.Wait()
	w.clear()
	n := nodes[0]
	eventually(t, "the end of all runs", func() bool {
		active, err := n.owner().Runs(t.Context(), client.RunFilter{Active: true})
		return err == nil && len(active.Items) == 0
	})
	w.audit("at the end")
	w.inspect(func(d *db.DB) {
		named := 0
		acked.Range(func(run, _ any) bool {
			named++
			if number(t, d, `SELECT COUNT(*) FROM runs WHERE id = $1 AND outcome = 'succeeded'`, run) != 1 {
				t.Errorf("run %s was acknowledged and did not succeed", run)
			}
			return true
		})
		if n := number(t, d, `SELECT COUNT(*) FROM runs WHERE outcome <> 'succeeded'`); n > 0 {
			t.Errorf("%d runs did not succeed", n)
		}
		again := number(t, d, `SELECT COUNT(*) FROM runs WHERE dispatch > 1`)
		if again == 0 {
			t.Error("no restart hit a run in its middle: the test proves nothing")
		}
		t.Logf("%d restarts, %d runs were acknowledged, %d of all %d went back in line", restarts, named, again, number(t, d, `SELECT COUNT(*) FROM runs`))
	})
}
