package worker

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
)

// watch remembers since when each claim's heartbeat counter has not moved, on this
// process's monotonic clock, which does not jump.
type watch struct {
	mu   sync.Mutex
	seen map[string]sight // by run
}

type sight struct {
	fence, heartbeat int64
	since            time.Time
}

func newWatch() *watch { return &watch{seen: map[string]sight{}} }

// look updates the watch with the current claims and forgets those that are gone.
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

// silent returns for how long the heartbeat counter is known not to have moved.
func (w *watch) silent(run string, fence, heartbeat int64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.seen[run]
	if !known || s.fence != fence || s.heartbeat != heartbeat {
		return 0
	}
	return time.Since(s.since)
}

// stopEvery is how often a node checks whether it must stop one of its runs. A person
// who cancels waits this long, plus the current call.
const stopEvery = time.Second

// keepHouse starts the rounds, which run until ctx ends. They don't wait for each other:
// a long queue does not delay the reaper.
func (w *Worker) keepHouse(ctx context.Context) {
	every := func(interval time.Duration, what string, do func(context.Context) error) {
		w.house.Go(func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if err := do(ctx); err != nil && ctx.Err() == nil {
					w.cfg.Logger.WarnContext(ctx, "a housekeeping round failed", "round", what, "error", err)
				}
			}
		})
	}
	every(w.cfg.ReapEvery, "claims with a lease", w.reapRound)
	every(w.cfg.ReapEvery, "queued runs", w.lineWhenDue)
	every(stopEvery, "runs to stop", w.stopRound)
	every(settleEvery, "readiness of tenants", func(ctx context.Context) error {
		_, err := w.store.SettleReadiness(ctx)
		return err
	})
	w.house.Go(func() { w.keepRecords(ctx) })
}

// share limits the cost of checking a long queue to one share-th of a node's time.
const share = 50

// lineWhenDue skips rounds until the last one has used no more than its share.
func (w *Worker) lineWhenDue(ctx context.Context) error {
	if time.Now().Before(w.lineDue) {
		return nil
	}
	return w.lineRound(ctx)
}

// reapRound checks the claims that have a lease.
func (w *Worker) reapRound(ctx context.Context) error {
	claims, err := w.leased(ctx)
	if err != nil {
		return err
	}
	w.watch.look(claims, time.Now())
	for _, c := range claims {
		w.tend(ctx, c, func() (bool, error) {
			if c.State == "" {
				return true, w.heal(ctx, c)
			}
			return w.reap(ctx, c)
		})
	}
	return nil
}

// lineBatch limits how many queued runs one round handles.
const lineBatch = 250

// lineRound checks the claims of queued runs and handles those that need it.
func (w *Worker) lineRound(ctx context.Context) error {
	var astray []ledger.Astray
	begin := time.Now()
	err := w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		astray, err = ledger.AllAstray(ctx, tx, lineBatch)
		return err
	})
	if err != nil {
		return err
	}
	w.lineDue = begin.Add(share * time.Since(begin))
	if len(astray) == lineBatch { // there may be more
		w.lineDue = begin
	}
	var taken []*ledger.Claim
	for _, a := range astray {
		if a.Taken {
			taken = append(taken, a.Claim)
		}
	}
	w.taken.look(taken, time.Now())
	for _, a := range astray {
		w.tend(ctx, a.Claim, func() (bool, error) {
			switch {
			case a.State == "":
				return true, w.heal(ctx, a.Claim)
			case a.Now.After(a.QueueUntil):
				return true, w.expire(ctx, a.Claim)
			case a.Taken && w.taken.silent(a.RunID, a.Fence, a.Heartbeat) < w.cfg.Lease:
				return false, nil // a worker is about to begin it
			}
			return true, w.resend(ctx, a.Claim)
		})
	}
	return nil
}

// tend runs do for one claim. It logs an error, and publishes a change.
func (w *Worker) tend(ctx context.Context, c *ledger.Claim, do func() (changed bool, err error)) {
	changed, err := do()
	switch {
	case errors.Is(err, ledger.ErrFenced), errors.Is(err, ledger.ErrMoved):
		// The run moved on, or another node was faster.
	case err != nil:
		w.cfg.Logger.WarnContext(ctx, "could not handle a claim", "run", c.RunID, "error", err)
	case changed:
		w.cfg.Changed(c.Change())
	}
}

func (w *Worker) leased(ctx context.Context) (claims []*ledger.Claim, err error) {
	err = w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		claims, err = ledger.Leased(ctx, tx)
		return err
	})
	return claims, err
}

// reap settles a run whose worker is gone. Two clocks must agree: by database time the
// lease and the quarantine have passed, and this process has seen no heartbeat for one
// lease. After two silent leases plus the quarantine the database's clock is ignored,
// because it may have jumped back.
func (w *Worker) reap(ctx context.Context, c *ledger.Claim) (bool, error) {
	silent := w.watch.silent(c.RunID, c.Fence, c.Heartbeat)
	expired := c.Now.After(c.Lease.Add(w.cfg.Quarantine))
	if !(expired && silent >= w.cfg.Lease) && silent < 2*w.cfg.Lease+w.cfg.Quarantine {
		return false, nil
	}
	resumed, err := w.gone(ctx, c)
	if err == nil {
		w.cfg.Logger.WarnContext(ctx, "a worker is gone", "run", c.RunID, "operation", c.Operation, "silent", silent, "resumed", resumed)
	}
	return err == nil, err
}

// gone settles a run whose worker is gone: see [ending.Gone].
func (w *Worker) gone(ctx context.Context, c *ledger.Claim) (resumed bool, err error) {
	err = w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		resumed, err = ending.Gone(ctx, tx, w.queue, c)
		return err
	})
	return resumed, err
}

// expire ends a run that waited too long in the queue.
func (w *Worker) expire(ctx context.Context, c *ledger.Claim) error {
	code, args := expired(c)
	return w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ending.Stopped(ctx, tx, c, &op.Cause{Code: code, Phase: op.Execution, Args: args})
	})
}

// maxResends limits how many jobs in a row a queued run may lose. Then it fails by our
// own fault: something keeps every worker from beginning it.
const maxResends = 8

// resend sends a queued run again that no job will begin: its job is settled or lost, or
// was taken by a worker that did not begin the run within a lease.
func (w *Worker) resend(ctx context.Context, c *ledger.Claim) error {
	if c.Resends >= maxResends {
		return w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			return ending.Run(ctx, tx, c, ledger.End{Outcome: op.RunFailed, Cause: &op.Cause{
				Code: op.InternalFault, Phase: op.Execution, Args: op.Args{"connection": c.Target.Short, "reference": c.Code},
			}})
		})
	}
	var wait time.Duration
	if c.Resends > 0 {
		wait = min(time.Second<<c.Resends, time.Minute)
	}
	if c.WaitingUntil != nil {
		wait = max(wait, c.WaitingUntil.Sub(c.Now))
	}
	var fence int64
	err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		if fence, err = ledger.Resend(ctx, tx, c); err != nil {
			return err
		}
		if err := w.send(ctx, tx, c, fence, wait); err != nil {
			return err
		}
		if err := queue.Discard(ctx, tx, c.JobID); err != nil {
			return err
		}
		return ledger.Event(ctx, tx, c.RunID, fence, op.EventResent, "")
	})
	if err == nil {
		w.cfg.Logger.WarnContext(ctx, "the job of a queued run was lost; sent the run again", "run", c.RunID, "fence", fence, "resends", c.Resends+1)
	}
	return err
}

// heal removes a claim that no living run holds.
func (w *Worker) heal(ctx context.Context, c *ledger.Claim) error {
	err := w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return ending.Healed(ctx, tx, c) })
	if err == nil {
		w.cfg.Logger.ErrorContext(ctx, "removed a claim without a living run", "connection", c.Connection, "run", c.RunID)
	}
	return err
}

// attend notes whether this process works on a run.
func (w *Worker) attend(x *execution, works bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if works {
		w.working[x.claim.RunID] = x
	} else {
		delete(w.working, x.claim.RunID)
	}
}

// stopRound stops the executions whose run was cancelled, released or reaped, by this
// or another node, without waiting for their next heartbeat.
func (w *Worker) stopRound(ctx context.Context) error {
	w.mu.Lock()
	mine := maps.Clone(w.working)
	w.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	claims, err := w.leased(ctx)
	if err != nil {
		return err
	}
	current := make(map[string]*ledger.Claim, len(claims))
	for _, c := range claims {
		current[c.RunID] = c
	}
	for run, x := range mine {
		x.heed(current[run])
	}
	return nil
}

// recover handles what an earlier process left behind. On SQLite this process is alone
// on its database: runs that the earlier one worked on resume or are lost, and queued
// runs whose job it had taken are sent again. On PostgreSQL the other process may be
// alive, and leases decide.
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
	claims, err := w.leased(ctx)
	if err != nil {
		return err
	}
	for _, c := range claims {
		switch {
		case c.State == "":
			err = w.heal(ctx, c)
		case c.BootID != w.db.BootID():
			var resumed bool
			if resumed, err = w.gone(ctx, c); err == nil {
				w.cfg.Logger.WarnContext(ctx, "a run of an earlier process was cut off", "run", c.RunID, "operation", c.Operation, "resumed", resumed)
			}
		}
		if err != nil && !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, ledger.ErrMoved) {
			return err
		}
	}
	return w.lineRound(ctx)
}
