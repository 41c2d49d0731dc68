// Package ledger holds the SQL that creates runs and changes their state. Every
// transition is a compare-and-set on what the caller judged: the fence of the claim,
// the state of the run and, where readiness was judged, the revision of the
// connection. A claim (a row of run_claims) exists exactly while its run is
// unfinished: it gives the run its connection. Only database times are compared.
//
// Locks are taken in one order: connection, claim, run, job, and last the head of the
// audit trail.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

var (
	// ErrFenced is returned when the claim has another fence, or is gone. The caller no
	// longer has the run and must change nothing.
	ErrFenced = errors.New("ledger: the run has another fence or is finished")
	// ErrMoved is returned when the fence is the same but the state of the run or the
	// revision of the connection is not what was judged. Judge again, as [Write] does.
	ErrMoved = errors.New("ledger: the run or its connection changed since it was judged")
)

// maxRounds limits how often [Write] runs its function.
const maxRounds = 8

// Write runs fn in a transaction, and runs it again while it returns [ErrMoved]. fn
// must read what it judges inside that transaction.
func Write(ctx context.Context, d *db.DB, fn func(context.Context, db.Tx) error) (err error) {
	for range maxRounds {
		if err = d.Write(ctx, fn); !errors.Is(err, ErrMoved) {
			break
		}
	}
	return err
}

// New is a run that the gate wants to admit.
type New struct {
	ID, Workspace, Tenant, Connection string
	Rev                               int64 // of the connection, as it was judged
	Operation                         op.Kind
	Surface                           op.Surface
	Fingerprint                       string
	Parameters                        json.RawMessage // canonical, nothing secret
	Target                            op.Target
	Initiator                         op.Person
	QueueLimit                        time.Duration
}

// Admission is the result of [Admit].
type Admission int

// The admissions.
const (
	Taken Admission = iota // the run exists and holds the connection
	Held                   // another run holds the connection
	Moved                  // the connection changed since it was judged
)

// Admit claims the connection for a new run and creates the run, or returns why it
// can't. It updates the connection's row first. That locks out a concurrent disable or
// revocation, fails when one was committed since the connection was judged, and draws
// the fence. When the connection is held, the drawn fence is not used; gaps are fine.
func Admit(ctx context.Context, tx db.Tx, n New) (code string, fence int64, a Admission, err error) {
	err = tx.QueryRow(ctx, `UPDATE connections SET fence = fence + 1
		WHERE id = $1 AND workspace_id = $2 AND rev = $3 AND deleted_at IS NULL RETURNING fence`,
		n.Connection, n.Workspace, n.Rev).Scan(&fence)
	if errors.Is(err, db.ErrNoRows) {
		return "", 0, Moved, nil
	} else if err != nil {
		return "", 0, 0, fmt.Errorf("lock the connection: %w", err)
	}
	took, err := tx.Exec(ctx, `INSERT INTO run_claims (scope, run_id, fingerprint, fence, sent_at, workspace_id, tenant_id, queue_until)
		VALUES ($1, $2, $3, $4, interlock_now(), $5, $6, interlock_now() + $7) ON CONFLICT (scope) DO NOTHING`,
		n.Connection, n.ID, n.Fingerprint, fence, n.Workspace, n.Tenant, n.QueueLimit.Microseconds())
	if err != nil {
		return "", 0, 0, fmt.Errorf("claim the connection: %w", err)
	}
	if took == 0 {
		return "", 0, Held, nil
	}
	target, err := json.Marshal(n.Target)
	if err != nil {
		return "", 0, 0, fmt.Errorf("freeze the target: %w", err)
	}
	for range 16 {
		code = newCode()
		made, err := tx.Exec(ctx, `INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface,
			state, fingerprint, parameters, target, initiator_id, initiator, fence, accepted_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10, $11, $12, $13, interlock_now())
			ON CONFLICT (workspace_id, code) DO NOTHING`,
			n.ID, n.Workspace, n.Tenant, n.Connection, code, string(n.Operation), string(n.Surface),
			n.Fingerprint, string(n.Parameters), string(target), n.Initiator.ID, n.Initiator.Name, fence)
		if err != nil {
			return "", 0, 0, fmt.Errorf("create the run: %w", err)
		}
		if made == 1 {
			return code, fence, Taken, Event(ctx, tx, n.ID, fence, op.EventAccepted, "")
		}
	}
	return "", 0, 0, errors.New("create the run: no free code in 16 tries")
}

// newCode returns six random characters of Crockford's base32, which has no letters
// that look like digits. A code reveals nothing about other runs.
func newCode() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b[:])
}

// Sent records which job carries the run's fence.
func Sent(ctx context.Context, tx db.Tx, run string, fence, job int64) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET job_id = $3, sent_at = interlock_now() WHERE run_id = $1 AND fence = $2`, run, fence, job))
}

// Begin moves the holder of c from queued to running and starts its lease, if the
// connection still has the revision that was judged. A later disable or revocation
// finds a running run and stops it. limit is how long the run may work in all, over
// all its dispatches; it counts from the first Begin.
func Begin(ctx context.Context, tx db.Tx, c *Claim, rev int64, lease, limit time.Duration, boot string) error {
	err := moved(tx.Exec(ctx, `UPDATE connections SET rev = rev WHERE id = $1 AND rev = $2 AND deleted_at IS NULL`, c.Connection, rev))
	if err != nil {
		return err
	}
	err = fenced(tx.Exec(ctx, `UPDATE run_claims SET lease_until = interlock_now() + $3, heartbeat = heartbeat + 1, boot_id = $4, resends = 0
		WHERE run_id = $1 AND fence = $2`, c.RunID, c.Fence, lease.Microseconds(), boot))
	if err != nil {
		return err
	}
	err = moved(tx.Exec(ctx, `UPDATE runs SET state = 'running', began_at = COALESCE(began_at, interlock_now()),
		run_until = COALESCE(run_until, interlock_now() + $2), seen_at = interlock_now(), progress_at = interlock_now(),
		waiting_until = NULL, waiting_for = '' WHERE id = $1 AND state = 'queued'`, c.RunID, limit.Microseconds()))
	if err != nil {
		return err
	}
	return Event(ctx, tx, c.RunID, c.Fence, op.EventBegan, "")
}

// Beat renews the lease and returns the current claim.
func Beat(ctx context.Context, tx db.Tx, run string, fence int64, lease time.Duration) (*Claim, error) {
	err := fenced(tx.Exec(ctx, `UPDATE run_claims SET lease_until = interlock_now() + $3, heartbeat = heartbeat + 1
		WHERE run_id = $1 AND fence = $2 AND lease_until IS NOT NULL`, run, fence, lease.Microseconds()))
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET seen_at = interlock_now() WHERE id = $1`, run); err != nil {
		return nil, fmt.Errorf("note the heartbeat: %w", err)
	}
	return OfRun(ctx, tx, run)
}

// Guard locks the claim for the rest of the transaction, or returns [ErrFenced]. Every
// transaction that writes data of a run begins with it.
func Guard(ctx context.Context, tx db.Tx, run string, fence int64) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = fence WHERE run_id = $1 AND fence = $2`, run, fence))
}

// Still locks the claim if its heartbeat counter has not moved since c was read: a
// silent worker may have come back. It does not compare the fence; [Finish] or
// [Requeue] in the same transaction does.
func Still(ctx context.Context, tx db.Tx, c *Claim) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = fence WHERE run_id = $1 AND heartbeat = $2`, c.RunID, c.Heartbeat))
}

// Wait says how a run goes back to the queue.
type Wait struct {
	For        time.Duration // the run does not begin earlier than this; 0: at once
	Why        op.Reason     // what it waits for; may be empty
	QueueLimit time.Duration // how long it may stay in the queue after that
	Counts     bool          // the dispatch that ends counts towards the operation's MaxDispatch
}

// Requeue moves the holder of c from running to queued and gives it a new fence. It
// keeps its connection.
func Requeue(ctx context.Context, tx db.Tx, c *Claim, w Wait) (fence int64, err error) {
	limit := c.Now.Add(w.For + w.QueueLimit)
	if fence, err = toQueue(ctx, tx, c, limit, 0); err != nil {
		return 0, err
	}
	var until *int64
	if w.For > 0 {
		at := c.Now.Add(w.For).UnixMicro()
		until = &at
	}
	tries := 0
	if w.Counts {
		tries = 1
	}
	return fence, moved(tx.Exec(ctx, `UPDATE runs SET state = 'queued', fence = $2, dispatch = dispatch + $5,
		waiting_until = $3, waiting_for = $4 WHERE id = $1 AND state = 'running'`,
		c.RunID, fence, until, string(w.Why), tries))
}

// Resend gives the queued holder of c a new fence, for a job that replaces a lost one.
// The time limit in the queue, what the run waits for and the number of its dispatches
// stay as they are.
func Resend(ctx context.Context, tx db.Tx, c *Claim) (fence int64, err error) {
	if fence, err = toQueue(ctx, tx, c, c.QueueUntil, c.Resends+1); err != nil {
		return 0, err
	}
	return fence, moved(tx.Exec(ctx, `UPDATE runs SET fence = $2 WHERE id = $1 AND state = 'queued'`, c.RunID, fence))
}

// toQueue gives the claim a new fence and no worker. The run may stay in the queue
// until the given time.
func toQueue(ctx context.Context, tx db.Tx, c *Claim, until time.Time, resends int64) (fence int64, err error) {
	if fence, err = nextFence(ctx, tx, c); err != nil {
		return 0, err
	}
	return fence, fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = $3, lease_until = NULL, boot_id = '', job_id = 0,
		sent_at = interlock_now(), resends = $4, queue_until = $5 WHERE run_id = $1 AND fence = $2`,
		c.RunID, c.Fence, fence, resends, db.Micros(until)))
}

// Evict takes the run away from its worker at once, by a fence that no job carries.
// The connection stays claimed until the lease has expired: a call of the old worker
// may be in flight until then.
func Evict(ctx context.Context, tx db.Tx, c *Claim, by op.Person, note string) error {
	fence, err := nextFence(ctx, tx, c)
	if err != nil {
		return err
	}
	err = fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = $3, boot_id = '' WHERE run_id = $1 AND fence = $2`, c.RunID, c.Fence, fence))
	if err != nil {
		return err
	}
	err = moved(tx.Exec(ctx, `UPDATE runs SET state = 'cancelling', fence = $2, cancel_by = $3, cancel_note = $4, cancel_at = interlock_now()
		WHERE id = $1 AND state = $5`, c.RunID, fence, by.Name, note, string(c.State)))
	if err != nil {
		return err
	}
	return Event(ctx, tx, c.RunID, fence, op.EventReleased, by.Name)
}

// nextFence draws a fence. It locks the connection before the claim, as Admit does.
func nextFence(ctx context.Context, tx db.Tx, c *Claim) (fence int64, err error) {
	err = tx.QueryRow(ctx, `UPDATE connections SET fence = fence + 1 WHERE id = $1 RETURNING fence`, c.Connection).Scan(&fence)
	if err != nil {
		return 0, fmt.Errorf("draw a fence: %w", err)
	}
	return fence, nil
}

// Cancelling moves the holder of c from running to cancelling. Its worker notices
// within a second. by is a person's name; reason is set when a change of the connection
// stops the run, which overrules a cancel by a person.
func Cancelling(ctx context.Context, tx db.Tx, c *Claim, by string, reason op.Reason) error {
	if err := Guard(ctx, tx, c.RunID, c.Fence); err != nil {
		return err
	}
	err := moved(tx.Exec(ctx, `UPDATE runs SET state = 'cancelling', cancel_by = $2, cancel_reason = $3, cancel_at = interlock_now()
		WHERE id = $1 AND (state = 'running' OR state = 'cancelling' AND $3 <> '' AND COALESCE(cancel_reason, '') = '')`,
		c.RunID, by, string(reason)))
	if err != nil {
		return err
	}
	return Event(ctx, tx, c.RunID, c.Fence, op.EventCancel, by)
}

// End is how a run ends.
type End struct {
	Outcome op.RunOutcome
	Cause   *op.Cause // nil when the outcome needs no reason
	By      string    // who cancelled or released it
	Note    string
}

// Finish ends the holder of c and removes the claim.
func Finish(ctx context.Context, tx db.Tx, c *Claim, e End) error {
	if err := fenced(tx.Exec(ctx, `DELETE FROM run_claims WHERE run_id = $1 AND fence = $2`, c.RunID, c.Fence)); err != nil {
		return err
	}
	cause := ""
	if e.Cause != nil {
		b, err := json.Marshal(e.Cause)
		if err != nil {
			return fmt.Errorf("cause of run %s: %w", c.RunID, err)
		}
		cause = string(b)
	}
	by := ""
	if e.By != "" {
		by = `, cancel_by = $5, cancel_note = $6, cancel_at = interlock_now()`
	}
	args := []any{c.RunID, string(c.State), string(e.Outcome), cause}
	if e.By != "" {
		args = append(args, e.By, e.Note)
	}
	err := moved(tx.Exec(ctx, `UPDATE runs SET state = 'finished', outcome = $3, cause = $4, ended_at = interlock_now(),
		waiting_until = NULL, waiting_for = ''`+by+` WHERE id = $1 AND state = $2`, args...))
	if err != nil {
		return err
	}
	return Event(ctx, tx, c.RunID, c.Fence, op.EventEnded, string(e.Outcome))
}

// Heal removes a claim whose run is missing or finished, and returns the workspace of
// its connection. It returns [ErrFenced] when the claim has a living run, or is gone.
func Heal(ctx context.Context, tx db.Tx, c *Claim) (workspace string, err error) {
	err = fenced(tx.Exec(ctx, `DELETE FROM run_claims WHERE scope = $1 AND run_id = $2
		AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = $2 AND runs.state <> 'finished')`, c.Connection, c.RunID))
	if err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT workspace_id FROM connections WHERE id = $1`, c.Connection).Scan(&workspace)
	return workspace, err
}

// fenced returns [ErrFenced] when a statement changed no row.
func fenced(rows int64, err error) error {
	if err != nil {
		return err
	}
	if rows == 0 {
		return ErrFenced
	}
	return nil
}

// moved returns [ErrMoved] when a statement changed no row.
func moved(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrMoved
	}
	return err
}
