package worker

import (
	"context"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/op"
)

// beat renews the lease until ctx ends. It ends the execution when the run is no longer
// ours, is being stopped, or has reached its time limit.
func (x *execution) beat(ctx context.Context) {
	tick := time.NewTicker(x.w.cfg.Heartbeat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.w.draining:
			if x.def.Recovery != catalogue.Never {
				x.halt(errDraining)
			}
			<-ctx.Done() // Stop waits for it; if the process ends first, the reaper settles the run
			return
		case <-tick.C:
		}
		c, err := x.renew(ctx)
		switch {
		case errors.Is(err, ledger.ErrFenced):
			x.cancel(errLost)
			return
		case ctx.Err() != nil: // the operation has returned
			return
		case err != nil:
			x.log.WarnContext(ctx, "could not renew the lease", "error", err)
			if time.Since(last) > x.w.cfg.Lease {
				x.cancel(errLost) // we can't prove that it is still ours
				return
			}
			continue
		}
		last = time.Now()
		if x.heed(c) {
			return
		}
	}
}

// heed stops the execution if c, the run's current claim, demands it: at once, or after
// the items that it is changing. It reports whether the execution was stopped at once.
func (x *execution) heed(c *ledger.Claim) bool {
	stop := x.stopped(c)
	return stop != nil && x.halt(stop)
}

func (x *execution) renew(ctx context.Context) (c *ledger.Claim, err error) {
	err = x.w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err = ledger.Beat(ctx, tx, x.claim.RunID, x.claim.Fence, x.w.cfg.Lease)
		return err
	})
	return c, err
}

// stopped returns why the execution must stop; nil when it may go on.
func (x *execution) stopped(c *ledger.Claim) error {
	switch {
	case c == nil || c.Fence != x.claim.Fence:
		return errLost
	case c.State == op.Cancelling && c.CancelReason != "": // only a change of the connection has a reason
		return errClosed
	case c.State == op.Cancelling:
		return errStopping
	case c.RunUntil != nil && c.Now.After(*c.RunUntil):
		return errLimit
	}
	return nil
}

// before checks the run right before an attempt of a provider call, because the
// provider can't check our fence. It refuses an attempt for a run that is not ours, and
// returns a deadline within the lease, the run's time limit and the operation's limit
// for a call. It reads the claim each time: a suspended machine stops our clock, but not
// the lease. The time that the answer took counts against the deadline: a process that
// stood still meanwhile reads how much of the lease was left then.
func (x *execution) before(ctx context.Context) (time.Time, error) {
	if err := context.Cause(ctx); err != nil {
		return time.Time{}, err
	}
	asked := time.Now()
	var c *ledger.Claim
	err := x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		c, err = ledger.OfRun(ctx, tx, x.claim.RunID)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if stop := x.stopped(c); stop != nil && x.halt(stop) {
		return time.Time{}, stop
	}
	if c.Lease == nil || c.Lease.Sub(c.Now) < 2*x.w.cfg.CallMargin {
		if c, err = x.renew(ctx); errors.Is(err, ledger.ErrFenced) {
			x.cancel(errLost)
			return time.Time{}, errLost
		} else if err != nil {
			return time.Time{}, err
		}
	}
	left := min(c.Lease.Sub(c.Now)-x.w.cfg.CallMargin, x.def.CallLimit)
	if c.RunUntil != nil && !x.inItem() {
		left = min(left, c.RunUntil.Sub(c.Now))
	}
	return asked.Add(left), nil
}
