package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/journal"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
)

// Every move refuses a claim that is not as it was judged, each by each of the
// things that it compares, and changes nothing then.
func TestMovesCompareWhatWasJudged(t *testing.T) {
	by := op.Person{ID: "u", Name: "Mei Tan"}
	moves := []struct {
		name    string
		running bool // of a running run; otherwise of a queued one
		do      func(ctx context.Context, tx db.Tx, c *ledger.Claim, rev int64) error
		state   bool // compares the state
	}{
		{"begin", false, func(ctx context.Context, tx db.Tx, c *ledger.Claim, rev int64) error {
			return ledger.Begin(ctx, tx, c, rev, time.Minute, time.Hour, "boot")
		}, false},
		{"resend", false, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			_, err := ledger.Resend(ctx, tx, c)
			return err
		}, false},
		{"end one in line", false, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return ending.Run(ctx, tx, c, ledger.End{Outcome: op.RunCancelled})
		}, true},
		{"end one at work", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return ending.Run(ctx, tx, c, ledger.End{Outcome: op.RunSucceeded})
		}, true},
		{"lost", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error { return ending.Lost(ctx, tx, c) }, true},
		{"hand back", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			_, err := ledger.Requeue(ctx, tx, c, ledger.Wait{QueueLimit: time.Hour, Counts: true})
			return err
		}, false},
		{"cancel", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return ledger.Cancelling(ctx, tx, c, by.Name, "")
		}, false},
		{"release", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return ledger.Evict(ctx, tx, c, by, "no progress")
		}, true},
		{"beat", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			_, err := ledger.Beat(ctx, tx, c.RunID, c.Fence, time.Minute)
			return err
		}, false},
		{"guard", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return ledger.Guard(ctx, tx, c.RunID, c.Fence)
		}, false},
		{"intend", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return journal.Intend(ctx, tx, c.RunID, c.Fence, toyStep("a"))
		}, false},
		{"note as not made", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return journal.NotMade(ctx, tx, c.RunID, c.Fence, "a/create")
		}, false},
		{"settle a step", true, func(ctx context.Context, tx db.Tx, c *ledger.Claim, _ int64) error {
			return journal.Settle(ctx, tx, c.RunID, c.Fence, "a/create", catalogue.Settled{State: catalogue.StepDone})
		}, false},
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Hour})
		for i, m := range moves {
			slug := fmt.Sprint("tenant-", i)
			conn := s.tenant(slug)
			run := s.start(slug, op.InventorySync)
			if c := s.claim(run.ID); m.running {
				if _, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence}); err != nil {
					t.Fatal(err)
				}
			}
			rev := s.Int(`SELECT rev FROM connections WHERE id = $1`, conn)
			before := s.traces(run.ID)
			refuses := func(what string, want error, spoil func(*ledger.Claim, *int64)) {
				t.Helper()
				c, rev := s.claim(run.ID), rev
				spoil(c, &rev)
				if err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error { return m.do(ctx, tx, c, rev) }); !errors.Is(err, want) {
					t.Fatalf("%s, judged with another %s: %v, want %v", m.name, what, err, want)
				}
				if after := s.traces(run.ID); after != before {
					t.Errorf("%s, judged with another %s, changed\n%s\nto\n%s", m.name, what, before, after)
				}
			}
			refuses("fence", ledger.ErrFenced, func(c *ledger.Claim, _ *int64) { c.Fence-- })
			if m.state {
				refuses("state", ledger.ErrMoved, func(c *ledger.Claim, _ *int64) { c.State = op.Cancelling })
			}
			switch m.name {
			case "begin":
				refuses("revision", ledger.ErrMoved, func(_ *ledger.Claim, rev *int64) { *rev-- })
			case "lost":
				refuses("heartbeat", ledger.ErrFenced, func(c *ledger.Claim, _ *int64) { c.Heartbeat-- })
			case "beat": // of a run that is queued again
				s.Exec(`UPDATE run_claims SET lease_until = NULL WHERE run_id = $1`, run.ID)
				before = s.traces(run.ID)
				refuses("lease", ledger.ErrFenced, func(*ledger.Claim, *int64) {})
			}
			// Those that move out of one state only refuse every other.
			other := map[string]string{"begin": "running", "resend": "running", "hand back": "cancelling", "cancel": "cancelling"}[m.name]
			if other != "" {
				s.Exec(`UPDATE runs SET state = $2 WHERE id = $1`, run.ID, other)
				before = s.traces(run.ID)
				refuses("state", ledger.ErrMoved, func(*ledger.Claim, *int64) {})
			}
		}
	})
}

// traces is all that a move of a run could change.
func (s *shop) traces(run string) (all string) {
	s.t.Helper()
	err := s.DB.Read(s.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT r.state || ' ' || r.outcome || ' ' || CAST(r.fence AS TEXT) || ' ' || r.cancel_by || ' claim ' ||
			COALESCE(CAST(c.fence AS TEXT) || ' ' || CAST(c.heartbeat AS TEXT) || ' ' || c.boot_id || ' ' || CAST(COALESCE(c.lease_until, 0) AS TEXT), 'none') ||
			' of ' || CAST(n.fence AS TEXT) || ' events ' || CAST((SELECT COUNT(*) FROM run_events e WHERE e.run_id = r.id) AS TEXT)
			FROM runs r JOIN connections n ON n.id = r.connection_id LEFT JOIN run_claims c ON c.run_id = r.id WHERE r.id = $1`, run).Scan(&all)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// A claim is healed only while no living run holds it, and that is on record.
func TestHealing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		c := s.claim(run.ID)
		heal := func() error {
			return d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error { return ending.Healed(ctx, tx, c) })
		}
		if err := heal(); !errors.Is(err, ledger.ErrFenced) || s.claim(run.ID) == nil {
			t.Fatalf("a claim with a living run was healed: %v", err)
		}
		s.Exec(`DELETE FROM runs`)
		s.Exec(`DELETE FROM start_attempts`)
		s.deliver(run.ID) // its job finds nothing to begin, and is settled
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_claims`); n != 0 {
			t.Errorf("%d claims, want the house to have freed the one without a run", n)
		}
		if n := s.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'scope.healed' AND workspace_id = $1`, s.Workspace); n != 1 {
			t.Errorf("%d records of the healing, want 1", n)
		}
	})
}

// A run whose claim always fails keeps its time limit in the queue and its tries,
// and ends by our own fault after a bounded number of jobs.
func TestRunThatNobodyCanBeginEnds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		first := s.claim(run.ID)
		target := s.Int(`SELECT LENGTH(target) FROM runs WHERE id = $1`, run.ID)
		jobs := 0
		for ; s.claim(run.ID) != nil && jobs < 50; jobs++ {
			c := s.claim(run.ID)
			if !c.QueueUntil.Equal(first.QueueUntil) {
				t.Fatalf("after %d jobs it may wait until %v, want still %v", jobs, c.QueueUntil, first.QueueUntil)
			}
			if c.Dispatch != 1 {
				t.Fatalf("a job that was lost counts as a try: dispatch %d", c.Dispatch)
			}
			s.Exec(`UPDATE runs SET target = 'no JSON' WHERE id = $1`, run.ID) // the claim fails
			s.w.handle(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
			s.Exec(`UPDATE runs SET target = '{}' WHERE id = $1`, run.ID)
			s.Exec(`UPDATE river_job SET state = 'completed', finalized_at = CURRENT_TIMESTAMP WHERE id = $1`, c.JobID) // as River does
			if err := s.round(); err != nil {
				t.Fatal(err)
			}
		}
		if jobs != maxResends+1 || target == 0 {
			t.Errorf("it ended after %d jobs, want %d", jobs, maxResends+1)
		}
		s.expect(run.ID, "failed/internal_fault")
	})
}

// A second job of a running run is settled, and the run continues.
func TestSecondDeliveryIsSettled(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Hour})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		c := s.claim(run.ID)
		for i, begins := range []bool{true, false} {
			x, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
			if err != nil || (x != nil) != begins {
				t.Errorf("delivery %d begins the run: %v %v, want %v", i+1, x != nil, err, begins)
			}
		}
		if n := s.Int(`SELECT COUNT(*) FROM river_job WHERE finalized_at IS NULL`); n != 0 {
			t.Errorf("%d jobs are not settled", n)
		}
	})
}

// twin is a second node on the database of s, with its own root key or that of s.
func (s *shop) twin(ownKey bool, log *slog.Logger) *Worker {
	s.t.Helper()
	root := s.Root
	if ownKey {
		root = gatetest.New(s.t, dbtest.New(s.t, db.SQLite)).Root
	}
	cfg := s.w.cfg
	cfg.Logger = log
	w, err := New(s.DB, store.New(s.DB, root, store.Options{}), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// A node that can't judge a run, for want of its operation or of the key, leaves it
// in line for one that can, learns nothing from it, and says so once.
func TestRunIsLeftForAnotherNode(t *testing.T) {
	for _, c := range []struct {
		name, sql, back string
		ownKey          bool
	}{
		{"wrong key", ``, ``, true},
		{"unknown operation", `UPDATE runs SET operation = 'backup.restore'`, `UPDATE runs SET operation = 'inventory.sync'`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s := newShop(t, d, Config{})
				s.tenant("kestrel")
				run := s.start("kestrel", op.InventorySync)
				if c.sql != "" {
					s.Exec(c.sql)
				}
				var said strings.Builder
				old := s.twin(c.ownKey, slog.New(slog.NewTextHandler(&said, nil)))
				before, rev := s.claim(run.ID), s.Int(`SELECT SUM(rev) FROM connections`)
				for range 3 {
					if again := old.handle(t.Context(), before.JobID, queue.Args{RunID: run.ID, Fence: before.Fence}); again < elsewhere {
						t.Errorf("its job comes back after %v, want %v at least", again, elsewhere)
					}
					if err := errors.Join(old.reapRound(t.Context()), old.lineRound(t.Context())); err != nil {
						t.Fatal(err)
					}
				}
				after := s.claim(run.ID)
				if after == nil || after.State != op.Queued || after.Fence != before.Fence || after.Dispatch != 1 || after.Resends != 0 {
					t.Fatalf("the run became %+v, want it as it was", after)
				}
				if now := s.Int(`SELECT SUM(rev) FROM connections`); now != rev || s.provider.count() != 0 {
					t.Errorf("the wrong node learnt something (%d, %d) or called the provider", rev, now)
				}
				if n := strings.Count(said.String(), "another node"); n != 1 {
					t.Errorf("it said so %d times, want once:\n%s", n, said.String())
				}
				if c.back != "" {
					s.Exec(c.back)
				}
				s.deliver(run.ID)
				s.expect(run.ID, "succeeded")
			})
		})
	}
}

// The queue brings a job that was put back to the node that can do it, and counts
// no try for it.
func TestJobPutBackReachesTheOtherNode(t *testing.T) {
	s := newShop(t, dbtest.New(t, db.Postgres), Config{Lease: time.Minute})
	s.tenant("kestrel")
	old := s.twin(true, slog.New(slog.DiscardHandler))
	if err := old.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := s.start("kestrel", op.InventorySync)
	put := func() bool {
		return s.Int(`SELECT COUNT(*) FROM river_job WHERE state = 'scheduled' AND attempt = 0`) == 1
	}
	wait(t, "the wrong node puts the job back", put)
	if err := s.w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, "the right node does it", func() bool { return s.ended(run.ID) == "succeeded" })
	for _, w := range []*Worker{old, s.w} {
		if err := w.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	if n := s.Int(`SELECT dispatch FROM runs`); n != 1 {
		t.Errorf("it took %d tries, want 1", n)
	}
}

// wait looks until ok is true.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

// A cancel through another node ends a call that hangs, long before the next
// heartbeat.
func TestCancelReachesACallThatHangs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: 40 * time.Minute}) // a heartbeat every 10 minutes
		s.tenant("kestrel")
		entered := make(chan struct{})
		var once sync.Once
		s.provider.set(nil, func(ctx context.Context) error {
			once.Do(func() { close(entered) })
			<-ctx.Done()
			return ctx.Err()
		})
		if err := s.w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.w.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}()
		run := s.start("kestrel", op.InventorySync)
		<-entered
		if _, err := s.gate.Cancel(t.Context(), s.Owner, run.Code); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		wait(t, "the run ends", func() bool { return s.claim(run.ID) == nil })
		t.Logf("it ended %v after the cancel", time.Since(asked))
		s.expect(run.ID, "cancelled")
	})
}

// Every call has to be over within the operation's own limit for one.
func TestCallsAreBounded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Hour})
		s.tenant("kestrel")
		for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync, op.ConnectionVerify} {
			run := s.start("kestrel", kind)
			c := s.claim(run.ID)
			x, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
			if err != nil {
				t.Fatal(err)
			}
			x.cancel = func(error) {}
			until, err := x.before(t.Context())
			if left := time.Until(until); err != nil || left > x.def.CallLimit || x.def.CallLimit > 30*time.Second || x.def.CallLimit == 0 {
				t.Errorf("a call of %s may take %v, want %v at most, and that 30 s at most: %v", kind, left, x.def.CallLimit, err)
			}
			if err := ledger.Write(t.Context(), d, func(ctx context.Context, tx db.Tx) error { return x.settle(ctx, tx, nil) }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Maintenance makes as many statements for a thousand queued runs as for none.
func TestHouseAsksOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := gatetest.New(t, d)
		w, err := New(d, s.Store, Config{Connect: func(Connect) (provider.Client, error) { return nil, errors.New("not used") }})
		if err != nil {
			t.Fatal(err)
		}
		var statements int
		d.WithSteps(func(_ context.Context, p db.Point) {
			if p.SQL != "" {
				statements++
			}
		})
		count := func() int {
			t.Helper()
			statements = 0
			if err := errors.Join(w.reapRound(t.Context()), w.lineRound(t.Context())); err != nil {
				t.Fatal(err)
			}
			return statements
		}
		none := count()
		d.WithSteps(nil)
		fillLine(s, 1000, 0)
		d.WithSteps(func(_ context.Context, p db.Point) {
			if p.SQL != "" {
				statements++
			}
		})
		if n := count(); n != none || n > 2 {
			t.Errorf("%d statements for 1,000 runs in line, %d for none; want 2", n, none)
		}
		// A look that took long is followed by a pause.
		for due, want := range map[time.Time]int{time.Now().Add(time.Hour): 0, time.Now().Add(-time.Hour): 1} {
			w.lineDue, statements = due, 0
			if err := w.lineWhenDue(t.Context()); err != nil || statements != want {
				t.Errorf("%d statements when the next look is due at %v, want %d: %v", statements, due, want, err)
			}
		}
	})
}
