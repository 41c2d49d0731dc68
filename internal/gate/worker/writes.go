package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/journal"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/provider"
)

// changes is what an execution is changing at the provider. The execution's mutex
// guards it.
type changes struct {
	intended map[string]provider.Change // by step: intended in this dispatch, not written yet
	begun    map[string]bool            // items that have begun and are not finished
	stop     error                      // why no further item may begin; nil: items may begin
}

// atOnce reports whether a stop may cut off an item that has begun: the run is lost, or
// its connection may not be used any more.
func atOnce(stop error) bool { return errors.Is(stop, errLost) || errors.Is(stop, errClosed) }

// halt stops the execution: at once, or after the items that have begun, because the
// result of a change that is cut off is not known. It reports whether the execution was
// stopped at once.
func (x *execution) halt(stop error) bool {
	x.mu.Lock()
	if x.changes.stop == nil {
		x.changes.stop = stop
	}
	busy := len(x.changes.begun) > 0
	x.mu.Unlock()
	if busy && !atOnce(stop) {
		return false
	}
	x.cancel(stop)
	return true
}

// begin notes that a step of the item begins. fresh reports whether it is the item's
// first step in this dispatch.
func (x *execution) begin(item string) (fresh bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if fresh = !x.changes.begun[item]; fresh && x.changes.stop != nil {
		return false, x.changes.stop
	}
	if x.changes.begun == nil {
		x.changes.begun, x.changes.intended = map[string]bool{}, map[string]provider.Change{}
	}
	x.changes.begun[item] = true
	return fresh, nil
}

// finished notes that an item is finished, and stops the execution if it was the last
// item that a stop waited for.
func (x *execution) finished(item string) {
	x.mu.Lock()
	delete(x.changes.begun, item)
	stop := x.changes.stop
	busy := len(x.changes.begun) > 0
	x.mu.Unlock()
	if stop != nil && !busy {
		x.cancel(stop)
	}
}

// inItem reports whether an item has begun and is not finished.
func (x *execution) inItem() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.changes.begun) > 0
}

// record runs fn, which compares the fence, in a transaction.
func (x *execution) record(ctx context.Context, fn func(context.Context, db.Tx) error) error {
	err := x.w.db.Write(ctx, fn)
	if errors.Is(err, ledger.ErrFenced) {
		x.cancel(errLost)
		return errLost
	}
	return err
}

// journaling implements [catalogue.Journal] for one dispatch.
type journaling struct{ x *execution }

// Intend implements [catalogue.Journal].
func (j journaling) Intend(ctx context.Context, s catalogue.Step) error {
	x := j.x
	if x.def.Recovery == catalogue.Again {
		return fmt.Errorf("operation %s is made again from the start when it is cut off, so it can't change anything", x.def.Kind)
	}
	fresh, err := x.begin(s.Item)
	if err != nil {
		return err
	}
	var stop error
	err = x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := journal.Intend(ctx, tx, x.claim.RunID, x.claim.Fence, s); err != nil {
			return err
		}
		c, err := ledger.OfRun(ctx, tx, x.claim.RunID)
		if err != nil {
			return err
		}
		// A cancel takes the same lock, so it comes either before or after the intent.
		if stop = x.stopped(c); stop != nil && (fresh || atOnce(stop)) {
			return stop
		}
		if !fresh {
			return nil
		}
		may, err := access.StillMay(ctx, tx, x.claim.Workspace, x.claim.Initiator.ID, x.claim.Tenant, x.def.Capability)
		if err == nil && !may {
			stop = errMayNot
			err = stop
		}
		return err
	})
	if err != nil {
		if fresh {
			x.finished(s.Item)
		}
		if stop != nil && errors.Is(err, stop) {
			x.halt(stop)
		}
		return err
	}
	x.mu.Lock()
	x.changes.intended[s.Key] = s.Change
	x.mu.Unlock()
	return nil
}

// Settle implements [catalogue.Journal].
func (j journaling) Settle(ctx context.Context, key string, s catalogue.Settled) error {
	x := j.x
	err := x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		return journal.Settle(ctx, tx, x.claim.RunID, x.claim.Fence, key, s)
	})
	if err != nil {
		return err
	}
	x.w.cfg.Changed(x.claim.Change())
	if !s.More {
		x.finished(s.Item.Key)
	}
	return nil
}

// Steps implements [catalogue.Journal].
func (j journaling) Steps(ctx context.Context) (all []catalogue.Recorded, err error) {
	err = j.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		all, err = journal.Steps(ctx, tx, j.x.claim.RunID)
		return err
	})
	return all, err
}

// writing implements [catalogue.Writer] for one dispatch.
type writing struct {
	x      *execution
	writer provider.Writer // nil: the client only reads
}

// Write implements [catalogue.Writer].
func (w writing) Write(ctx context.Context, key string) (provider.Answer, error) {
	x := w.x
	x.mu.Lock()
	change, ok := x.changes.intended[key]
	delete(x.changes.intended, key)
	x.mu.Unlock()
	switch {
	case !ok:
		return provider.Answer{}, fmt.Errorf("step %s was not intended, or was written already: nothing was sent", key)
	case w.writer == nil:
		return provider.Answer{}, fmt.Errorf("step %s: the client of this connection can't write", key)
	}
	a, err := w.writer.Write(ctx, change)
	if err == nil || provider.Doubtful(err) {
		return a, err
	}
	// If this fails, the step stays open and is looked for before it is sent again.
	if nerr := x.record(context.WithoutCancel(ctx), func(ctx context.Context, tx db.Tx) error {
		return journal.NotMade(ctx, tx, x.claim.RunID, x.claim.Fence, key)
	}); nerr != nil {
		x.log.WarnContext(ctx, "could not note that a change was not made", "step", key, "error", nerr)
	}
	return provider.Answer{}, err
}
