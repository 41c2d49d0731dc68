package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
)

// watch remembers since when, on this process's own monotonic clock, each slot's
// heartbeat counter has not moved. A clock that jumps can't fool it.
type watch struct {
	mu    sync.Mutex
	lease time.Duration
	seen  map[string]sight // by run
}

type sight struct {
	fence, heartbeat int64
	since            time.Time
}

func newWatch(lease time.Duration) *watch {
	return &watch{lease: lease, seen: map[string]sight{}}
}

// look takes note of all slots, and forgets those that are gone.
func (w *watch) look(claims []*ledger.Claim, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	still := make(map[string]sight, len(claims))
	for _, c := range claims {
		s, known := w.seen[c.RunID]
		if !known || s.fence != c.Fence || s.heartbeat != c.Heartbeat {
			s = sight{fence: c.Fence, heartbeat: c.Heartbeat, since: now}
		}
		still[c.RunID] = s
	}
	w.seen = still
}

// silent is for how long the counter is known not to have moved.
func (w *watch) silent(run string, fence, heartbeat int64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.seen[run]
	if !known || s.fence != fence || s.heartbeat != heartbeat {
		return 0
	}
	return time.Since(s.since)
}

// sweepEvery is how often old records are looked for.
const sweepEvery = time.Hour

// keepHouse looks through the slots until ctx ends.
func (w *Worker) keepHouse(ctx context.Context) {
	reap := time.NewTicker(w.cfg.ReapEvery)
	defer reap.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			if err := w.sweep(ctx); err != nil {
				w.cfg.Logger.WarnContext(ctx, "could not sweep old records", "error", err)
			}
			continue
		case <-reap.C:
		}
		if err := w.round(ctx); err != nil {
			w.cfg.Logger.WarnContext(ctx, "could not look through the slots", "error", err)
		}
	}
}

// round looks through all slots once.
func (w *Worker) round(ctx context.Context) error {
	claims, err := w.slots(ctx)
	if err != nil {
		return err
	}
	w.watch.look(claims, time.Now())
	for _, c := range claims {
		changed, err := w.tend(ctx, c)
		switch {
		case errors.Is(err, ledger.ErrFenced):
			// It moved on by itself, or another node was quicker.
		case err != nil:
			w.cfg.Logger.WarnContext(ctx, "could not tend a slot", "run", c.RunID, "error", err)
		case changed:
			w.cfg.Changed(c.Change())
		}
	}
	return nil
}

func (w *Worker) slots(ctx context.Context) (claims []*ledger.Claim, err error) {
	err = w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		claims, err = ledger.All(ctx, tx)
		return err
	})
	return claims, err
}

// tend does what one slot needs, if anything.
func (w *Worker) tend(ctx context.Context, c *ledger.Claim) (changed bool, err error) {
	switch {
	case c.State == "":
		return w.heal(ctx, c)
	case c.Lease != nil:
		return w.reap(ctx, c)
	case c.Now.After(c.QueueUntil):
		return w.expire(ctx, c)
	}
	return w.reconcile(ctx, c)
}

// reap ends a run whose worker is gone. Two clocks have to agree: database time
// says that lease and quarantine have passed, and we ourselves have seen no
// heartbeat for a lease. After two silent leases (and the quarantine) the
// database's clock is no longer asked, since it may have jumped back.
func (w *Worker) reap(ctx context.Context, c *ledger.Claim) (bool, error) {
	silent := w.watch.silent(c.RunID, c.Fence, c.Heartbeat)
	expired := c.Now.After(c.Lease.Add(w.cfg.Quarantine))
	if !(expired && silent >= w.cfg.Lease) && silent < 2*w.cfg.Lease+w.cfg.Quarantine {
		return false, nil
	}
	return w.move(ctx, c, func(ctx context.Context, tx db.Tx, now *ledger.Claim) error {
		if now.Heartbeat != c.Heartbeat || now.Lease == nil {
			return ledger.ErrFenced // it lives after all
		}
		w.cfg.Logger.WarnContext(ctx, "a worker is gone; its run is lost", "run", c.RunID, "operation", c.Operation, "silent", silent)
		return ending.Lost(ctx, tx, now)
	})
}

// expire ends a run that waited in line for too long.
func (w *Worker) expire(ctx context.Context, c *ledger.Claim) (bool, error) {
	def, err := catalogue.Lookup(c.Operation)
	if err != nil {
		return false, err
	}
	return w.move(ctx, c, func(ctx context.Context, tx db.Tx, now *ledger.Claim) error {
		code, args := expired(now, def)
		return ending.Run(ctx, tx, now, ledger.End{Outcome: op.RunBlocked, Cause: &op.Cause{Code: code, Phase: op.Execution, Args: args}})
	})
}

// reconcile sends a run in line anew when no job will begin it: its job is
// settled or lost, or was taken by a worker that did not begin it within a lease.
func (w *Worker) reconcile(ctx context.Context, c *ledger.Claim) (bool, error) {
	var life queue.Life
	err := w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		life, err = queue.LifeOf(ctx, tx, c.JobID)
		return err
	})
	if err != nil {
		return false, err
	}
	if life == queue.Waiting || life == queue.Taken && w.watch.silent(c.RunID, c.Fence, c.Heartbeat) < w.cfg.Lease {
		return false, nil
	}
	return w.move(ctx, c, w.resend)
}

func (w *Worker) resend(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	def, err := catalogue.Lookup(c.Operation)
	if err != nil {
		return err
	}
	var wait time.Duration
	if c.WaitingUntil != nil {
		wait = max(0, c.WaitingUntil.Sub(c.Now))
	}
	if err := queue.Discard(ctx, tx, c.JobID); err != nil {
		return err
	}
	fence, err := ledger.Requeue(ctx, tx, c, wait, def.QueueLimit, "")
	if err != nil {
		return err
	}
	if err := w.send(ctx, tx, c, fence, wait); err != nil {
		return err
	}
	w.cfg.Logger.WarnContext(ctx, "the job of a run in line was lost; sent it anew", "run", c.RunID, "fence", fence)
	return ledger.Event(ctx, tx, c.RunID, fence, op.EventResent, "")
}

// move reads the slot again and changes it, in one transaction.
func (w *Worker) move(ctx context.Context, c *ledger.Claim, do func(context.Context, db.Tx, *ledger.Claim) error) (bool, error) {
	err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		now, err := ledger.OfRun(ctx, tx, c.RunID)
		if err != nil {
			return err
		}
		if now == nil || now.Fence != c.Fence || now.State != c.State {
			return ledger.ErrFenced
		}
		return do(ctx, tx, now)
	})
	return err == nil, err
}

// heal frees a scope that no living run holds.
func (w *Worker) heal(ctx context.Context, c *ledger.Claim) (bool, error) {
	var healed bool
	err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		healed, err = ledger.Heal(ctx, tx, c)
		return err
	})
	if healed {
		w.cfg.Logger.ErrorContext(ctx, "a connection was held by no living run; freed it", "connection", c.Scope, "run", c.RunID)
	}
	return healed, err
}

// recover sets right what an earlier process left behind, where this process is
// the only one on its database: runs that it worked on are lost, and runs in line
// whose job it had taken are sent anew. With several nodes the earlier process may
// be alive, and leases decide.
func (w *Worker) recover(ctx context.Context) error {
	if w.db.Engine() != db.SQLite {
		return nil
	}
	err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := queue.DiscardTaken(ctx, tx)
		if n > 0 {
			w.cfg.Logger.InfoContext(ctx, "discarded jobs of an earlier process", "jobs", n)
		}
		return err
	})
	if err != nil {
		return err
	}
	claims, err := w.slots(ctx)
	if err != nil {
		return err
	}
	for _, c := range claims {
		var err error
		switch {
		case c.State == "":
			_, err = w.heal(ctx, c)
		case c.Lease != nil && c.BootID != w.db.BootID():
			_, err = w.move(ctx, c, func(ctx context.Context, tx db.Tx, now *ledger.Claim) error {
				w.cfg.Logger.WarnContext(ctx, "a run of an earlier process is lost", "run", now.RunID, "operation", now.Operation)
				return ending.Lost(ctx, tx, now)
			})
		case c.Lease == nil:
			_, err = w.reconcile(ctx, c)
		}
		if err != nil && !errors.Is(err, ledger.ErrFenced) {
			return err
		}
	}
	return nil
}
