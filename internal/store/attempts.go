package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Attempt is the record of one start request, or of several identical requests that
// were refused within a few seconds.
type Attempt struct {
	ID         string
	Workspace  string // slug
	Tenant     op.Tenant
	Operation  op.Kind
	Actor      op.Person
	Surface    op.Surface
	Outcome    op.Outcome
	Causes     []op.Cause
	RunID      string     // of the run that was made or joined; else empty
	HolderID   string     // of the run that was in the way; else empty
	Seen       *op.RunRef // that run or holder as it was at the decision; nil: hidden from the actor
	Target     *op.Target // nil: no connection could be resolved
	Parameters json.RawMessage
	RequestID  string
	At, LastAt time.Time // of the first and the last press
	Presses    int64
}

// attemptFrom are the tables of attempts, up to the reader's first condition. See
// runTables for the joins.
const attemptFrom = ` FROM start_attempts a CROSS JOIN tenants t CROSS JOIN workspaces w WHERE t.id = a.tenant_id AND w.id = a.workspace_id AND `

const attemptColumns = `a.id, w.slug, t.id, t.slug, t.name, a.operation, a.actor_id, a.actor, a.surface, a.outcome, a.causes,
	COALESCE(a.run_id, ''), COALESCE(a.holder_id, ''), a.seen, a.target, a.parameters, a.request_id, a.at, a.last_at, a.presses`

func scanAttempt(row db.Row) (Attempt, error) {
	var a Attempt
	var operation, surface, outcome, causes, seen, target, parameters string
	var at, last int64
	err := row.Scan(&a.ID, &a.Workspace, &a.Tenant.ID, &a.Tenant.Slug, &a.Tenant.Name, &operation, &a.Actor.ID, &a.Actor.Name, &surface, &outcome, &causes,
		&a.RunID, &a.HolderID, &seen, &target, &parameters, &a.RequestID, &at, &last, &a.Presses)
	if err != nil {
		return Attempt{}, err
	}
	a.Operation, a.Surface, a.Outcome = op.Kind(operation), op.Surface(surface), op.Outcome(outcome)
	a.Parameters, a.At, a.LastAt = json.RawMessage(parameters), db.Time(at), db.Time(last)
	if err := decode("causes", causes, &a.Causes); err != nil {
		return Attempt{}, err
	}
	if err := decode("run of the attempt", seen, &a.Seen); err != nil {
		return Attempt{}, err
	}
	err = decode("target", target, &a.Target)
	return a, err
}

// Result returns the answer to the request as reader sees it, with reader's grants in
// the attempt's tenant. A run that was in the way belongs to that tenant, so that the
// reader of the attempt may open it. A run that was hidden from the actor stays hidden.
func (a Attempt) Result(reader access.Actor, grants tenancy.Grants) op.Result {
	f := op.Facts{
		Attempt: a.ID, Workspace: a.Workspace, Operation: a.Operation, Tenant: a.Tenant, Target: a.Target, At: a.At,
		MayMend: grants.Has(tenancy.ManageConnections), Reference: a.RequestID, Reader: reader.ID(),
	}
	switch a.Outcome {
	case op.Accepted, op.Deduped:
		if a.Seen == nil {
			break
		}
		if a.Outcome == op.Accepted {
			return op.AcceptedResult(f, *a.Seen)
		}
		return op.DedupedResult(f, *a.Seen)
	case op.ScopeBusy:
		if len(a.Causes) == 0 {
			break
		}
		return op.BusyResult(f, a.Causes[0], a.Seen)
	case op.Blocked:
	}
	return op.BlockedResult(f, a.Causes, a.Seen)
}

// AttemptIn returns an attempt in the caller's transaction.
func (s *Store) AttemptIn(ctx context.Context, tx db.Tx, scope access.Scope, id string) (Attempt, error) {
	column, value := access.Ref(id)
	if column != "id" {
		value = ""
	}
	q := new(query.Query)
	q.Add(`SELECT ` + attemptColumns + attemptFrom + scope.WhereOne(q.Bind, "a.workspace_id", "a.tenant_id", "a.id", value))
	a, err := query.One(ctx, tx, q, scanAttempt)
	if err != nil {
		return Attempt{}, fmt.Errorf("attempt: %w", err)
	}
	return a, nil
}

// Attempt returns the record of a start request.
func (s *Store) Attempt(ctx context.Context, scope access.Scope, id string) (Attempt, error) {
	return query.Read(ctx, s.db, "read", func(ctx context.Context, tx db.Tx) (Attempt, error) {
		return s.AttemptIn(ctx, tx, scope, id)
	})
}

// AttemptFilter narrows a list of attempts. The zero filter shows the newest of all.
type AttemptFilter struct {
	Tenant    string // id or slug
	Operation op.Kind
	Outcome   op.Outcome
	Actor     string // user id, or "me" for the scope's member
	Run       string // id or code of the run that was made or joined
	Cursor    string
	Limit     int // 1 to 200; 0: 50
}

// Attempts lists the start requests in the scope, newest first.
func (s *Store) Attempts(ctx context.Context, scope access.Scope, f AttemptFilter) ([]Attempt, string, error) {
	limit, err := page.Size(f.Limit)
	if err != nil {
		return nil, "", err
	}
	attempts, err := query.Read(ctx, s.db, "list attempts", func(ctx context.Context, tx db.Tx) ([]Attempt, error) {
		l, err := attemptsList(ctx, tx, scope, f)
		if err != nil {
			return nil, err
		}
		return newest(ctx, tx, l, limit+1, scanAttempt)
	})
	if err != nil {
		return nil, "", err
	}
	attempts, next := page.Cut(attempts, limit, func(a Attempt) string { return page.Cursor("attempts", a.ID) })
	return attempts, next, nil
}

// outcomes of start requests, each a range of the indexes by tenant and by operation.
var allOutcomes = []span{{text: `a.outcome = 'accepted'`}, {text: `a.outcome = 'deduped'`}, {text: `a.outcome = 'scope_busy'`}, {text: `a.outcome = 'blocked'`}}

func attemptsList(ctx context.Context, tx db.Tx, scope access.Scope, f AttemptFilter) (list, error) {
	l := list{rows: `SELECT ` + attemptColumns + attemptFrom, table: "start_attempts a", alias: "a", scope: scope}
	key, err := page.After("attempts", f.Cursor, 1)
	if err != nil {
		return list{}, err
	}
	tenant, err := tenantOf(ctx, tx, scope, f.Tenant)
	if err != nil {
		return list{}, err
	}
	if f.Actor == "me" {
		f.Actor = scope.UserID()
	}
	if tenant != "" {
		l.where(` AND a.tenant_id = %s`, tenant)
	}
	if f.Operation != "" {
		l.where(` AND a.operation = %s`, string(f.Operation))
	}
	if f.Outcome != "" {
		l.where(` AND a.outcome = %s`, string(f.Outcome))
	}
	if f.Actor != "" {
		l.where(` AND a.actor_id = %s`, f.Actor)
	}
	if f.Run != "" {
		run, err := runID(ctx, tx, scope, f.Run)
		if err != nil {
			return list{}, err
		}
		l.where(` AND a.run_id = %s`, run)
	}
	if key != nil {
		l.where(` AND a`+byID+` < %s`, key[0])
	}
	l.seen, l.ofPerson = tenant+f.Run != "", f.Actor != ""
	l.eachTenant = !l.seen && !l.ofPerson
	if f.Outcome == "" && f.Run == "" && (l.seen || l.ofPerson || f.Operation != "" || scope.Some()) {
		l.spans = allOutcomes
	}
	return l, nil
}
