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

// beat renews the lease until ctx ends, and ends the execution when the run is no
// longer ours, is being stopped, or has reached its limit.
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
			<-ctx.Done() // what goes on is waited for; a process that is stopped for good leaves it to the reaper
			return
		case <-tick.C:
		}
		c, err := x.renew(ctx)
		switch {
		case errors.Is(err, ledger.ErrFenced):
			x.cancel(errLost)
			return
		case ctx.Err() != nil: // the operation is through
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

// heed ends the execution when c, the run's claim as it is now, says so: in the middle
// of a call, or after the items that it has begun to change.
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

// stopped tells why the execution has to stop; nil to go on.
func (x *execution) stopped(c *ledger.Claim) error {
	switch {
	case c == nil || c.Fence != x.claim.Fence:
		return errLost
	case c.State == op.Cancelling:
		return errStopping
	case c.RunUntil != nil && c.Now.After(*c.RunUntil):
		return errLimit
	}
	return nil
}

// before looks at the run right before a provider call, since the provider can't
// check our fence: no call begins for a run that is not ours, and none outlasts
// the lease, the run's limit or the operation's limit for a call. It is read again each time because a suspended machine stops our
// clock, not the lease.
func (x *execution) before(ctx context.Context) (time.Time, error) {
	if err := context.Cause(ctx); err != nil {
		return time.Time{}, err
	}
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
	return time.Now().Add(left), nil
}
