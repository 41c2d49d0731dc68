// Package ending is the one place where runs end. One transaction holds the state
// transition, the journal's open steps, the job, the notification of the person who
// started the run, and the audit record.
package ending

import (
	"context"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/journal"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/notify"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
)

// Run ends the holder of c. It returns [ledger.ErrFenced] or [ledger.ErrMoved] when c is
// out of date.
func Run(ctx context.Context, tx db.Tx, c *ledger.Claim, e ledger.End) error {
	if err := ledger.Finish(ctx, tx, c, e); err != nil {
		return err
	}
	if err := journal.Close(ctx, tx, c); err != nil {
		return err
	}
	changed, err := journal.Any(ctx, tx, c.RunID)
	if err != nil {
		return err
	}
	if changed { // previews of restores that are older than this are stale
		if err := plans.Wrote(ctx, tx, c.Tenant, c.RunID); err != nil {
			return err
		}
	}
	if c.JobID != 0 {
		if err := queue.Complete(ctx, tx, c.JobID); err != nil {
			return err
		}
	}
	if err := notify.Initiator(ctx, tx, c.Workspace, c.Tenant, c.Initiator.ID, c.RunID); err != nil {
		return err
	}
	// Lists of tenants read the outcome of the newest run from the tenant's row.
	if _, err := tx.Exec(ctx, `UPDATE tenants SET latest_run = $2, latest_outcome = $3 WHERE id = $1 AND latest_run < $2`,
		c.Tenant, c.RunID, string(e.Outcome)); err != nil {
		return err
	}
	data := map[string]any{"operation": c.Operation, "outcome": e.Outcome, "fence": c.Fence}
	if e.Cause != nil {
		data["reason"] = e.Cause.Code
	}
	if e.By != "" {
		data["by"] = e.By
	}
	return access.Audit(ctx, tx, c.Workspace, access.Entry{Action: "run.finished", Object: c.RunID, Data: data})
}

// Stopped ends a queued run that may not begin or continue: as blocked or, when an
// earlier dispatch changed something at the provider, as failed.
func Stopped(ctx context.Context, tx db.Tx, c *ledger.Claim, why *op.Cause) error {
	changed, err := journal.Any(ctx, tx, c.RunID)
	if err != nil {
		return err
	}
	e := ledger.End{Outcome: op.RunBlocked, Cause: why}
	if changed {
		e.Outcome = op.RunFailed
	}
	return Run(ctx, tx, c, e)
}

// Gone settles a run whose worker is gone, if its heartbeat has not moved since c was
// read. A run whose operation can resume goes back to the queue and continues where its
// journal ends. Any other run is lost, and so is one that was being cancelled or has
// used up its dispatches or its time.
func Gone(ctx context.Context, tx db.Tx, q *queue.Queue, c *ledger.Claim) (resumed bool, err error) {
	def, err := catalogue.Lookup(c.Operation)
	if err != nil || !Resumes(c) { // unknown: a newer node accepted the run
		return false, Lost(ctx, tx, c)
	}
	fence, err := ledger.Requeue(ctx, tx, c, ledger.Wait{QueueLimit: def.QueueLimit, Counts: true})
	if err != nil {
		return false, err
	}
	if err := ledger.Still(ctx, tx, c); err != nil {
		return false, err
	}
	job, err := q.Insert(ctx, tx, queue.Args{RunID: c.RunID, Fence: fence}, time.Time{})
	if err != nil {
		return false, err
	}
	if err := ledger.Sent(ctx, tx, c.RunID, fence, job); err != nil {
		return false, err
	}
	if err := queue.Discard(ctx, tx, c.JobID); err != nil {
		return false, err
	}
	return true, ledger.Event(ctx, tx, c.RunID, fence, op.EventWaiting, "")
}

// Resumes reports whether [Gone] would send the run again.
func Resumes(c *ledger.Claim) bool {
	def, err := catalogue.Lookup(c.Operation)
	return err == nil && def.Recovery == catalogue.Resume && c.State == op.Running && !c.Released() &&
		c.Dispatch < int64(def.MaxDispatch) && (c.RunUntil == nil || c.Now.Before(*c.RunUntil))
}

// Lost ends a run whose worker is gone, if its heartbeat has not moved since c was read.
func Lost(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	if err := ledger.Still(ctx, tx, c); err != nil {
		return err
	}
	return Run(ctx, tx, c, ledger.End{Outcome: op.RunLost})
}

// Healed removes a claim that no living run holds. It returns [ledger.ErrFenced] when
// there is nothing left to heal.
func Healed(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	workspace, err := ledger.Heal(ctx, tx, c)
	if err != nil {
		return err
	}
	return access.Audit(ctx, tx, workspace, access.Entry{Action: "scope.healed", Object: c.Connection, Data: map[string]string{"run": c.RunID}})
}
