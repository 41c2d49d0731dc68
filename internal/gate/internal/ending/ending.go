// Package ending is the one place where runs end: the ledger's transition, the
// notification of the person who started it, the queue's job and the audit
// trail, in one transaction.
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
)

// Run ends the run that holds c. It returns [ledger.ErrFenced] or
// [ledger.ErrMoved] when c is not how things are any more.
func Run(ctx context.Context, tx db.Tx, c *ledger.Claim, e ledger.End) error {
	if err := ledger.Finish(ctx, tx, c, e); err != nil {
		return err
	}
	if err := journal.Close(ctx, tx, c); err != nil {
		return err
	}
	if c.JobID != 0 {
		if err := queue.Complete(ctx, tx, c.JobID); err != nil {
			return err
		}
	}
	if err := notify.Initiator(ctx, tx, c.Workspace, c.Tenant, c.Initiator.ID, c.RunID); err != nil {
		return err
	}
	// How the tenant's newest run ended stands with the tenant, for lists of tenants.
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

// Stopped ends a run in line that may not begin, or not go on: as blocked or, when an
// earlier dispatch of it changed something, as failed.
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

// Gone settles a run whose worker is gone: its heartbeat has not moved since c was
// read. A run that can resume is sent again, and goes on where its journal ends; any
// other is lost, and so is one that was being stopped or has used up its tries.
func Gone(ctx context.Context, tx db.Tx, q *queue.Queue, c *ledger.Claim) (resumed bool, err error) {
	def, err := catalogue.Lookup(c.Operation)
	if err != nil || !resumes(c, def) { // a newer node knows the operation, and can't be asked
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

func resumes(c *ledger.Claim, def *catalogue.Definition) bool {
	return def.Recovery == catalogue.Resume && c.State == op.Running && !c.Released() &&
		c.Dispatch < int64(def.MaxDispatch) && (c.RunUntil == nil || c.Now.Before(*c.RunUntil))
}

// Lost ends a run whose worker is gone. Who released it, if someone did, is on the
// run already.
func Lost(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	if err := ledger.Still(ctx, tx, c); err != nil {
		return err
	}
	return Run(ctx, tx, c, ledger.End{Outcome: op.RunLost})
}

// Healed frees a scope that no living run holds. It returns [ledger.ErrFenced]
// when there is nothing to heal any more.
func Healed(ctx context.Context, tx db.Tx, c *ledger.Claim) error {
	workspace, err := ledger.Heal(ctx, tx, c)
	if err != nil {
		return err
	}
	return access.Audit(ctx, tx, workspace, access.Entry{Action: "scope.healed", Object: c.Scope, Data: map[string]string{"run": c.RunID}})
}
