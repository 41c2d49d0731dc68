package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
)

// Claim is one row of run_claims with its run, the holder, as one statement read them.
type Claim struct {
	Connection  string // id
	RunID       string
	Fingerprint string
	Fence       int64
	Lease       *time.Time // nil while queued
	Heartbeat   int64
	BootID      string
	JobID       int64
	SentAt      time.Time
	QueueUntil  time.Time
	Resends     int64     // jobs in a row that were lost before a worker began the run
	Now         time.Time // database time of the read

	// Of the run. State is empty when there is no unfinished run, which is a fault.
	Workspace    string
	Tenant       string
	Code         string
	Operation    op.Kind
	Surface      op.Surface
	State        op.State
	Parameters   json.RawMessage
	Target       op.Target
	Initiator    op.Person
	Dispatch     int64
	Counts       op.Counts
	AcceptedAt   time.Time
	BeganAt      *time.Time
	RunUntil     *time.Time
	SeenAt       *time.Time
	ProgressAt   *time.Time
	WaitingUntil *time.Time
	CancelBy     string
	CancelReason op.Reason
	CancelNote   string
	CancelAt     *time.Time
}

// Released reports whether a person took the run away from its worker. The claim stays
// until the lease and the quarantine have passed.
func (c *Claim) Released() bool { return c.Lease != nil && c.BootID == "" }

// Change names the run to those who follow changes.
func (c *Claim) Change() op.Change {
	return op.Change{Workspace: c.Workspace, Tenant: c.Tenant, Run: c.RunID}
}

const claimColumns = `c.scope, c.run_id, c.fingerprint, c.fence, c.lease_until, c.heartbeat, c.boot_id, c.job_id, c.sent_at, c.queue_until, c.resends, interlock_now(),
	COALESCE(r.workspace_id, ''), COALESCE(r.tenant_id, ''), COALESCE(r.code, ''), COALESCE(r.operation, ''), COALESCE(r.surface, ''),
	COALESCE(r.state, ''), COALESCE(r.parameters, 'null'), COALESCE(r.target, '{}'), COALESCE(r.initiator_id, ''), COALESCE(r.initiator, ''),
	COALESCE(r.dispatch, 0), COALESCE(r.done, 0), COALESCE(r.failed, 0), COALESCE(r.total, 0), COALESCE(r.accepted_at, 0),
	r.began_at, r.run_until, r.seen_at, r.progress_at, r.waiting_until, r.cancel_at,
	COALESCE(r.cancel_by, ''), COALESCE(r.cancel_reason, ''), COALESCE(r.cancel_note, '')`

const claimTables = ` FROM run_claims c LEFT JOIN runs r ON r.id = c.run_id AND r.state <> 'finished'`

// scanClaim reads claimColumns, and further columns into more.
func scanClaim(row db.Row, more ...any) (*Claim, error) {
	var (
		c                                               Claim
		lease, began, until, seen, prog, waitTo, cancel *int64
		sent, now, accepted, queueUntil                 int64
		operation, surface, state, reason               string
		parameters, target                              string
	)
	err := row.Scan(append([]any{
		&c.Connection, &c.RunID, &c.Fingerprint, &c.Fence, &lease, &c.Heartbeat, &c.BootID, &c.JobID, &sent, &queueUntil, &c.Resends, &now,
		&c.Workspace, &c.Tenant, &c.Code, &operation, &surface, &state, &parameters, &target, &c.Initiator.ID, &c.Initiator.Name,
		&c.Dispatch, &c.Counts.Done, &c.Counts.Failed, &c.Counts.Total, &accepted,
		&began, &until, &seen, &prog, &waitTo, &cancel, &c.CancelBy, &reason, &c.CancelNote,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(target), &c.Target); err != nil {
		return nil, fmt.Errorf("target of run %s: %w", c.RunID, err)
	}
	c.Operation, c.Surface, c.State, c.CancelReason = op.Kind(operation), op.Surface(surface), op.State(state), op.Reason(reason)
	c.Parameters = json.RawMessage(parameters)
	c.SentAt, c.Now, c.AcceptedAt, c.QueueUntil = db.Time(sent), db.Time(now), db.Time(accepted), db.Time(queueUntil)
	c.Lease, c.BeganAt, c.RunUntil = maybe(lease), maybe(began), maybe(until)
	c.SeenAt, c.ProgressAt, c.WaitingUntil = maybe(seen), maybe(prog), maybe(waitTo)
	c.CancelAt = maybe(cancel)
	return &c, nil
}

func maybe(micros *int64) *time.Time {
	if micros == nil {
		return nil
	}
	t := db.Time(*micros)
	return &t
}

// OfConnection returns the claim on a connection; nil when there is none.
func OfConnection(ctx context.Context, tx db.Tx, connection string) (*Claim, error) {
	return one(tx.QueryRow(ctx, `SELECT `+claimColumns+claimTables+` WHERE c.scope = $1`, connection))
}

// OfRun returns the claim of a run; nil when the run is finished or does not exist.
func OfRun(ctx context.Context, tx db.Tx, run string) (*Claim, error) {
	return one(tx.QueryRow(ctx, `SELECT `+claimColumns+claimTables+` WHERE c.run_id = $1`, run))
}

func one(row db.Row) (*Claim, error) {
	c, err := scanClaim(row)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the claim: %w", err)
	}
	return c, nil
}

// Leased returns the claims that have a lease: at most as many as all nodes have
// workers, however many runs are queued.
func Leased(ctx context.Context, tx db.Tx) ([]*Claim, error) {
	return list(tx.Query(ctx, `SELECT `+claimColumns+claimTables+` WHERE c.lease_until IS NOT NULL ORDER BY c.scope`))
}

// Astray is the claim of a queued run that no waiting job will begin in time.
type Astray struct {
	*Claim
	Taken bool // a worker took the job and has not begun the run yet
}

// astrayRuns selects the two kinds in separate branches, so that each reads its own
// index once.
const astrayRuns = `SELECT run_id FROM run_claims WHERE lease_until IS NULL AND queue_until < (SELECT interlock_now())
	UNION
	SELECT run_id FROM run_claims x WHERE lease_until IS NULL AND NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = x.job_id AND ` + queue.IsWaiting + `)
	LIMIT $1`

// astrayClaim reads the claim of one run by its id. For many runs in one statement,
// PostgreSQL reads all runs and jobs once there are a few thousand of them.
const astrayClaim = `SELECT ` + claimColumns + `, COALESCE(` + queue.IsTaken + `, FALSE)` + claimTables + `
	LEFT JOIN river_job j ON j.id = c.job_id WHERE c.run_id = $1`

// AllAstray returns up to limit claims of queued runs that waited too long, or whose
// job was taken, settled or lost. (A worker that takes the job of a claim without a run
// settles that job.) It reads queued runs and their jobs, never those that have ended.
func AllAstray(ctx context.Context, tx db.Tx, limit int) (all []Astray, err error) {
	runs, err := query.All(ctx, tx, query.Of(astrayRuns, limit), query.ScanText)
	if err != nil {
		return nil, fmt.Errorf("look through the queue: %w", err)
	}
	for _, run := range runs {
		var a Astray
		if a.Claim, err = scanClaim(tx.QueryRow(ctx, astrayClaim, run), &a.Taken); err != nil {
			return nil, fmt.Errorf("look through the queue: %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}

func list(rows db.Rows, err error) ([]*Claim, error) {
	if err != nil {
		return nil, fmt.Errorf("read the claims: %w", err)
	}
	defer rows.Close()
	var all []*Claim
	for rows.Next() {
		c, err := scanClaim(rows)
		if err != nil {
			return nil, fmt.Errorf("read the claims: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}
