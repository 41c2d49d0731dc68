//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

const killsInShort = 25

// TestKill kills the process during starts and runs, again and again. Everything
// acknowledged is stored, nothing is stored in part, only living runs hold connections,
// and the first start after each restart gets the right answer.
func TestKill(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) { killOften(t, engine, killsInShort) })
}

func killOften(t *testing.T, engine db.Engine, kills int) {
	w := newWorld(t, engine)
	n := w.start(short...)
	var slugs []string
	for i := range 6 {
		slugs = append(slugs, fmt.Sprintf("tenant-%d", i))
	}
	n.readyTenants(append(slugs, "bystander")...)
	// Slow enough for a kill to hit runs in all of their states.
	w.fault(graphsim.Fault{Action: graphsim.Action{Kind: graphsim.ActDelay, DelayMS: 10}})

	var acked sync.Map // ids of the runs that answers named
	for kill := range kills {
		ctx, stop := context.WithCancel(t.Context())
		cut := make([]pressed, len(slugs)) // starts without an answer
		var pressers sync.WaitGroup
		for i, slug := range slugs {
			pressers.Go(func() { cut[i] = pressUntil(ctx, n, slug, &acked) })
		}
		time.Sleep(time.Duration(5+rand.IntN(300)) * time.Millisecond)
		n.kill()
		stop()
		pressers.Wait()
		w.audit(fmt.Sprintf("after kill %d", kill))

		n = n.again(short...)
		// The bystander is idle: its first start is accepted.
		p, err := rawStart(t.Context(), n.url, w.owner.token, "bystander", key(), map[string]any{"operation": op.ConnectionVerify})
		if err != nil || p.answer.Outcome != op.Accepted {
			t.Fatalf("start right after restart %d: %v, status %d, %s", kill, err, p.status, p.answer.Code)
		}
		acked.Store(p.answer.Run.ID, true)
		// Sending a start again tells what became of one without an answer.
		for _, c := range cut {
			if c.key == "" {
				continue
			}
			p, err := c.again(t.Context(), n)
			if err != nil || p.answer.Outcome == "" || p.answer.Outcome == op.Blocked {
				t.Fatalf("pressing again after restart %d: %v, status %d, %s", kill, err, p.status, p.answer.Code)
			}
			if p.answer.Run != nil {
				acked.Store(p.answer.Run.ID, true)
			}
		}
		if r := n.ended(p.answer.Run.ID); r.Outcome != op.RunSucceeded {
			t.Fatalf("run after restart %d: %s, want succeeded", kill, r.Outcome)
		}
	}
	w.clear()
	eventually(t, "the end of all runs", func() bool {
		active, err := n.owner().Runs(t.Context(), client.RunFilter{Active: true})
		return err == nil && len(active.Items) == 0
	})
	n.kill()
	w.audit("at the end")
	w.inspect(func(d *db.DB) {
		named := 0
		acked.Range(func(run, _ any) bool {
			named++
			if number(t, d, `SELECT COUNT(*) FROM runs WHERE id = $1 AND state = 'finished'`, run) != 1 {
				t.Errorf("run %s was acknowledged and is not there", run)
			}
			return true
		})
		if twice := texts(t, d, `SELECT idem_key FROM start_attempts WHERE outcome = 'accepted' GROUP BY idem_key HAVING COUNT(*) > 1`); len(twice) > 0 {
			t.Errorf("presses that made two runs: %q", twice)
		}
		for _, o := range texts(t, d, `SELECT DISTINCT outcome FROM runs`) {
			if o != string(op.RunSucceeded) && o != string(op.RunLost) {
				t.Errorf("a run ended as %s: a kill makes it lost, and nothing else happened", o)
			}
		}
		lost := number(t, d, `SELECT COUNT(*) FROM runs WHERE outcome = 'lost'`)
		if lost == 0 {
			t.Error("no kill hit a run in its middle: the test proves nothing")
		}
		t.Logf("%d kills, %d runs were acknowledged, %d are there, %d of them lost", kills, named, number(t, d, `SELECT COUNT(*) FROM runs`), lost)
	})
}

// pressed is one start as it was sent.
type pressed struct {
	tenant, key string
	operation   op.Kind
}

func (p pressed) again(ctx context.Context, n *node) (press, error) {
	return rawStart(ctx, n.url, n.w.owner.token, p.tenant, p.key, map[string]any{"operation": p.operation})
}

// pressUntil sends one start after the other and stores the runs that the answers name.
// It returns the start that got no answer.
func pressUntil(ctx context.Context, n *node, slug string, acked *sync.Map) (cut pressed) {
	for i := 0; ctx.Err() == nil; i++ {
		next := pressed{slug, key(), operations[i%len(operations)]}
		p, err := next.again(ctx, n)
		if err != nil {
			return next
		}
		if p.answer.Run != nil {
			acked.Store(p.answer.Run.ID, true)
		}
	}
	return pressed{}
}

// TestRestartTellsWhatIsLost: a single process on its database marks the run that died
// with its predecessor as lost, and frees the connection, before it answers requests.
func TestRestartTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start() // with the default leases, which are too long for the reaper to help
	p := n.readyTenants("kestrel")[0]
	w.hold(p)
	run := n.accepted(p.slug, op.InventorySync)
	w.held(p)
	n.kill()
	w.clear()
	n = n.again()
	if r := n.run(run.ID); r.Outcome != op.RunLost || r.Words.Code != "lost" {
		t.Errorf("run of the process before is %s %s, want lost", r.State, r.Words.Code)
	}
	if r, err := n.through(p.slug, op.InventorySync); err != nil || r.Outcome != op.RunSucceeded {
		t.Errorf("the next run: %v %s, want succeeded", err, r.Outcome)
	}
	w.audit("after the restart")
}
