// Package ledger holds the SQL that creates runs and moves their state. Every
// move is a compare-and-set on what was judged: the fence of the slot, the state
// of the run and, where readiness was judged, the revision of the connection. A
// scope's slot (a row of run_claims) exists exactly while its run is not finished.
// Times are compared in database time only.
//
// Locks are taken in one order: connection, slot, run, job, and the head of the
// audit trail last.
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
	// ErrFenced is returned when the run has moved on: another fence holds the
	// scope, or nobody does. Whoever receives it may change nothing any more.
	ErrFenced = errors.New("ledger: the run has another fence or is finished")
	// ErrMoved is returned when the fence is the same and what was judged is not: the
	// state of the run, or the revision of the connection. Judge again ([Write] does).
	ErrMoved = errors.New("ledger: the run or its connection changed since it was judged")
)

// maxRounds bounds how often one change is judged again.
const maxRounds = 8

// Write runs fn in a transaction, and again while what it judged had changed by
// the time it wrote. fn reads what it judges inside.
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

// Admission is what came of trying to take a scope.
type Admission int

// The admissions.
const (
	Taken Admission = iota // the run exists and holds the scope
	Held                   // another run holds the scope
	Moved                  // the connection is not what was judged
)

// Admit takes the scope of n and creates its run, or tells why not. It writes to
// the connection's row first: that locks it against a disable or a revocation
// that is under way, refuses when one came in between, and draws the fence. A
// fence that was drawn in vain leaves a gap, which harms nobody.
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
		return "", 0, 0, fmt.Errorf("take the scope: %w", err)
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

// newCode returns six characters of Crockford's base32, which leaves out the
// letters that are mistaken for digits. It tells nothing about other runs.
func newCode() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b[:])
}

// Sent notes which job carries a run's fence.
func Sent(ctx context.Context, tx db.Tx, run string, fence, job int64) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET job_id = $3, sent_at = interlock_now() WHERE run_id = $1 AND fence = $2`, run, fence, job))
}

// Begin moves the run that holds c from queued to running and starts its lease,
// provided that its connection still has the revision that was judged: whoever
// closes the connection from now on finds a run at work, and stops it. limit
// bounds the whole of its work, over all its dispatches.
func Begin(ctx context.Context, tx db.Tx, c *Claim, rev int64, lease, limit time.Duration, boot string) error {
	err := moved(tx.Exec(ctx, `UPDATE connections SET rev = rev WHERE id = $1 AND rev = $2 AND deleted_at IS NULL`, c.Scope, rev))
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

// Beat renews the lease and returns the slot as it is now.
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

// Guard locks the slot for the rest of the transaction, or returns [ErrFenced].
// Every write of a run's data begins with it.
func Guard(ctx context.Context, tx db.Tx, run string, fence int64) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = fence WHERE run_id = $1 AND fence = $2`, run, fence))
}

// Still locks the slot of a run, provided that its heartbeat has not moved since c
// was read: a worker that was silent may have come back. [Finish], which follows,
// compares the fence.
func Still(ctx context.Context, tx db.Tx, c *Claim) error {
	return fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = fence WHERE run_id = $1 AND heartbeat = $2`, c.RunID, c.Heartbeat))
}

// Wait is how a run goes back in line.
type Wait struct {
	For        time.Duration // it begins again not before this has passed
	Why        op.Reason     // what it waits for; may be empty
	QueueLimit time.Duration // how long it may stay in line after that
	Counts     bool          // the dispatch that ends counts as one of its tries
}

// Requeue hands the running run that holds c back to the queue with a new fence. It
// keeps its claim.
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

// Resend gives the run in line that holds c a new fence, for a job in the place of
// one that was lost. The run has waited all the while: its time limit in the queue
// and what it waits for stay, and it is no further try of the operation's.
func Resend(ctx context.Context, tx db.Tx, c *Claim) (fence int64, err error) {
	if fence, err = toQueue(ctx, tx, c, c.QueueUntil, c.Resends+1); err != nil {
		return 0, err
	}
	return fence, moved(tx.Exec(ctx, `UPDATE runs SET fence = $2 WHERE id = $1 AND state = 'queued'`, c.RunID, fence))
}

// toQueue moves the slot to a new fence without a worker, to wait in line until
// the given time.
func toQueue(ctx context.Context, tx db.Tx, c *Claim, until time.Time, resends int64) (fence int64, err error) {
	if fence, err = nextFence(ctx, tx, c); err != nil {
		return 0, err
	}
	return fence, fenced(tx.Exec(ctx, `UPDATE run_claims SET fence = $3, lease_until = NULL, boot_id = '', job_id = 0,
		sent_at = interlock_now(), resends = $4, queue_until = $5 WHERE run_id = $1 AND fence = $2`,
		c.RunID, c.Fence, fence, resends, db.Micros(until)))
}

// Evict takes the run that holds c away from its worker at once: a new fence that
// nobody carries. The slot stays taken until the lease has run out, because a call
// of the old worker may still be under way until then.
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

// nextFence draws a fence. It locks the connection before the slot, as Admit does.
func nextFence(ctx context.Context, tx db.Tx, c *Claim) (fence int64, err error) {
	err = tx.QueryRow(ctx, `UPDATE connections SET fence = fence + 1 WHERE id = $1 RETURNING fence`, c.Scope).Scan(&fence)
	if err != nil {
		return 0, fmt.Errorf("draw a fence: %w", err)
	}
	return fence, nil
}

// Cancelling moves the running run that holds c to cancelling; its worker sees it
// at its next step. by is a person's name; reason is set when a change of the
// connection stops the run.
func Cancelling(ctx context.Context, tx db.Tx, c *Claim, by string, reason op.Reason) error {
	if err := Guard(ctx, tx, c.RunID, c.Fence); err != nil {
		return err
	}
	err := moved(tx.Exec(ctx, `UPDATE runs SET state = 'cancelling', cancel_by = $2, cancel_reason = $3, cancel_at = interlock_now()
		WHERE id = $1 AND state = 'running'`, c.RunID, by, string(reason)))
	if err != nil {
		return err
	}
	return Event(ctx, tx, c.RunID, c.Fence, op.EventCancel, by)
}

// End is how a run ends.
type End struct {
	Outcome op.RunOutcome
	Cause   *op.Cause // why; nil when the outcome says it all
	By      string    // who cancelled or released it
	Note    string
}

// Finish ends the run that holds c and frees its scope.
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

// Heal removes a slot whose run is missing or finished, and returns the workspace
// of its connection.
func Heal(ctx context.Context, tx db.Tx, c *Claim) (workspace string, err error) {
	err = fenced(tx.Exec(ctx, `DELETE FROM run_claims WHERE scope = $1 AND run_id = $2
		AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = $2 AND runs.state <> 'finished')`, c.Scope, c.RunID))
	if err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT workspace_id FROM connections WHERE id = $1`, c.Scope).Scan(&workspace)
	return workspace, err
}

// fenced turns "no row was changed" into [ErrFenced].
func fenced(rows int64, err error) error {
	if err != nil {
		return err
	}
	if rows == 0 {
		return ErrFenced
	}
	return nil
}

// moved turns "no row was changed" into [ErrMoved].
func moved(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrMoved
	}
	return err
}
