package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
)

// runTables are the tables of runs, with the names of their tenants and workspaces
// and the claims of unfinished runs.
//
// SQLite reads tables of a CROSS JOIN in the written order. Otherwise it may start at
// the workspace or the tenant and read all of its runs. PostgreSQL treats it like any
// other join.
const runTables = ` runs r CROSS JOIN tenants t CROSS JOIN workspaces w LEFT JOIN run_claims k ON k.run_id = r.id
	WHERE t.id = r.tenant_id AND w.id = r.workspace_id`

const runColumns = `r.id, r.code, w.slug, t.id, t.slug, t.name, r.operation, r.surface, r.state, r.outcome, r.cause, r.target,
	r.initiator_id, r.initiator, r.parameters, r.done, r.failed, r.total, r.dispatch, r.fence,
	r.accepted_at, r.began_at, r.ended_at, r.seen_at, r.progress_at, r.waiting_until, r.waiting_for,
	r.cancel_by, r.cancel_note, k.lease_until, interlock_now()`

func (s *Store) scanRun(row db.Row) (op.Run, error) {
	var (
		r                                     op.Run
		operation, surface, state, outcome    string
		cause, target, parameters, waitingFor string
		cancelBy, cancelNote                  string
		began, ended, seen, progress, waiting *int64
		lease                                 *int64
		accepted, at                          int64
	)
	err := row.Scan(&r.ID, &r.Code, &r.Workspace, &r.Tenant.ID, &r.Tenant.Slug, &r.Tenant.Name, &operation, &surface, &state, &outcome, &cause, &target,
		&r.Initiator.ID, &r.Initiator.Name, &parameters, &r.Counts.Done, &r.Counts.Failed, &r.Counts.Total, &r.Dispatch, &r.Fence,
		&accepted, &began, &ended, &seen, &progress, &waiting, &waitingFor, &cancelBy, &cancelNote, &lease, &at)
	if err != nil {
		return op.Run{}, err
	}
	r.Operation, r.Surface, r.State, r.Outcome = op.Kind(operation), op.Surface(surface), op.State(state), op.RunOutcome(outcome)
	r.Parameters, r.WaitingFor = json.RawMessage(parameters), op.Reason(waitingFor)
	r.AcceptedAt, r.BeganAt, r.EndedAt = db.Time(accepted), maybe(began), maybe(ended)
	r.LastSeenAt, r.ProgressAt, r.WaitingUntil = maybe(seen), maybe(progress), maybe(waiting)
	if err := decode("target", target, &r.Target); err != nil {
		return op.Run{}, err
	}
	if err := decode("cause", cause, &r.Cause); err != nil {
		return op.Run{}, err
	}
	if r.Cause != nil {
		r.Evidence = r.Cause.Evidence
	}
	if r.State == op.Cancelling || r.Outcome == op.RunCancelled || r.Outcome == op.RunLost {
		r.Ended = &op.Ending{By: cancelBy, Note: cancelNote, Begun: r.BeganAt != nil}
	}
	r.Stalled = (r.State == op.Running || r.State == op.Cancelling) &&
		lease != nil && *lease > at && // after the lease the run is lost, not stalled
		(waiting == nil || *waiting <= at) &&
		progress != nil && at-*progress > s.opts.StalledAfter.Microseconds()
	return r, nil
}

// refColumns are the columns that name the run r, which may be NULL.
const refColumns = `w.slug, r.id, r.code, r.operation, r.state, r.outcome, r.initiator_id, r.initiator, r.accepted_at, r.seen_at, r.waiting_until`

// refRow receives refColumns.
type refRow struct {
	workspace                                                 string
	id, code, operation, state, outcome, starter, starterName *string
	accepted, seen, waiting                                   *int64
}

func (r *refRow) dest() []any {
	return []any{&r.workspace, &r.id, &r.code, &r.operation, &r.state, &r.outcome, &r.starter, &r.starterName, &r.accepted, &r.seen, &r.waiting}
}

// ref returns the run; nil when there is none.
func (r *refRow) ref() *op.RunRef {
	if r.id == nil {
		return nil
	}
	return &op.RunRef{
		ID: *r.id, Code: *r.code, Operation: op.Kind(*r.operation), State: op.State(*r.state), Outcome: op.RunOutcome(*r.outcome),
		Initiator: op.Person{ID: *r.starter, Name: *r.starterName}, StartedAt: db.Time(*r.accepted), LastHeartbeat: maybe(r.seen),
		WaitingUntil: maybe(r.waiting), Href: op.RunPath(r.workspace, *r.code),
	}
}

// RefOf returns the reference to a run for a reader who may open it.
func RefOf(r op.Run) op.RunRef {
	return op.RunRef{
		ID: r.ID, Code: r.Code, Operation: r.Operation, State: r.State, Outcome: r.Outcome, Initiator: r.Initiator,
		StartedAt: r.AcceptedAt, LastHeartbeat: r.LastSeenAt, WaitingUntil: r.WaitingUntil, Href: op.RunPath(r.Workspace, r.Code),
	}
}

// whereRun appends the condition that r is the run with the id or code ref in the
// scope. A ref that is neither matches no run.
func whereRun(q *query.Query, scope access.Scope, ref string) *query.Query {
	if column, value := access.Ref(ref); column == "id" {
		return q.Add(scope.WhereOne(q.Bind, "r.workspace_id", "r.tenant_id", "r.id", value))
	}
	code := strings.ToUpper(ref)
	if len(code) != 6 || strings.ContainsFunc(code, func(c rune) bool { return !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z') }) {
		code = ""
	}
	return q.Add(scope.WhereOne(q.Bind, "r.workspace_id", "r.tenant_id", "r.code", code))
}

// runByRef returns a query for the id of the run with the id or code ref in the scope.
func runByRef(scope access.Scope, ref string) *query.Query {
	q := new(query.Query)
	return whereRun(q.Add(`SELECT r.id FROM runs r WHERE `), scope, ref)
}

// runID runs runByRef for a filter; [nothing] when there is no such run.
func runID(ctx context.Context, tx db.Tx, scope access.Scope, ref string) (string, error) {
	return firstID(ctx, tx, runByRef(scope, ref))
}

// RunIn returns the run with the id or code ref, in the caller's transaction.
func (s *Store) RunIn(ctx context.Context, tx db.Tx, scope access.Scope, ref string) (op.Run, error) {
	q := new(query.Query)
	whereRun(q.Add(`SELECT `+runColumns+` FROM`+runTables+` AND `), scope, ref)
	r, err := query.One(ctx, tx, q, s.scanRun)
	if err != nil {
		return op.Run{}, fmt.Errorf("run: %w", err)
	}
	return r, nil
}

// FindRun returns the ids of the run with the id or code ref and of its tenant, in
// the caller's transaction.
func (s *Store) FindRun(ctx context.Context, tx db.Tx, scope access.Scope, ref string) (id, tenant string, err error) {
	q := whereRun(new(query.Query).Add(`SELECT r.id, r.tenant_id FROM runs r WHERE `), scope, ref)
	_, err = query.One(ctx, tx, q, func(row db.Row) (bool, error) { return true, row.Scan(&id, &tenant) })
	return id, tenant, err
}

// Run returns the run with the id or code ref; the case of a code does not matter.
// The caller fills in its Words.
func (s *Store) Run(ctx context.Context, scope access.Scope, ref string) (op.Run, error) {
	return query.Read(ctx, s.db, "read", func(ctx context.Context, tx db.Tx) (op.Run, error) {
		return s.RunIn(ctx, tx, scope, ref)
	})
}

// RunFilter narrows a list of runs. The zero filter shows the newest of all.
type RunFilter struct {
	Tenant     string // id or slug
	Connection string // id; or slug, with Tenant
	Operation  op.Kind
	State      op.State
	Outcome    op.RunOutcome
	Initiator  string    // user id, or "me" for the scope's member
	Active     bool      // not finished
	Attention  bool      // ended badly or is stalled
	Since      time.Time // accepted then or later
	Until      time.Time // accepted before
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// Runs lists the runs in the scope, newest first. The caller fills in their Words.
func (s *Store) Runs(ctx context.Context, scope access.Scope, f RunFilter) ([]op.Run, string, error) {
	limit, err := page.Size(f.Limit)
	if err != nil {
		return nil, "", err
	}
	runs, err := query.Read(ctx, s.db, "list runs", func(ctx context.Context, tx db.Tx) ([]op.Run, error) {
		l, err := s.runsList(ctx, tx, scope, f)
		if err != nil {
			return nil, err
		}
		return newest(ctx, tx, l, limit+1, s.scanRun)
	})
	if err != nil {
		return nil, "", err
	}
	runs, next := page.Cut(runs, limit, func(r op.Run) string { return page.Cursor("runs", r.ID) })
	return runs, next, nil
}

// The states of runs as ranges of the indexes by state. The values are literals, so
// that the planner sees them.
var (
	activeRuns = []span{
		{text: `r.state = 'queued' AND r.outcome = ''`}, {text: `r.state = 'running' AND r.outcome = ''`}, {text: `r.state = 'cancelling' AND r.outcome = ''`},
	}
	attentionRuns = []span{
		{text: `r.state = 'finished' AND r.outcome = 'failed'`},
		{text: `r.state = 'finished' AND r.outcome = 'partial'`},
		{text: `r.state = 'finished' AND r.outcome = 'blocked'`},
		{text: `r.state = 'finished' AND r.outcome = 'lost'`},
	}
	finishedRuns = append([]span{
		{text: `r.state = 'finished' AND r.outcome = 'succeeded'`}, {text: `r.state = 'finished' AND r.outcome = 'cancelled'`},
	}, attentionRuns...)
	allRuns = append(slices.Clone(activeRuns), finishedRuns...)
)

// stalledRuns are the ranges of running runs that make no progress.
func (s *Store) stalledRuns() span {
	return span{`r.state = 'running' AND r.outcome = '' AND r.progress_at < interlock_now() - %s
		AND (r.waiting_until IS NULL OR r.waiting_until <= interlock_now())`, []any{s.opts.StalledAfter.Microseconds()}}
}

// clockSlack is the tolerated difference between the clock that made a run's id and
// the database's clock, which sets its time of acceptance.
const clockSlack = 48 * time.Hour

func (s *Store) runsList(ctx context.Context, tx db.Tx, scope access.Scope, f RunFilter) (list, error) {
	l := list{rows: `SELECT ` + runColumns + ` FROM` + runTables + ` AND `, table: "runs r", alias: "r", scope: scope}
	key, err := page.After("runs", f.Cursor, 1)
	if err != nil {
		return list{}, err
	}
	if column, _ := access.Ref(f.Connection); f.Connection != "" && column == "slug" && f.Tenant == "" {
		return list{}, &op.FieldError{Field: "connection", Detail: "is a name that is unique in a tenant only: add the tenant, or give the connection's id"}
	}
	tenant, err := tenantOf(ctx, tx, scope, f.Tenant)
	if err != nil {
		return list{}, err
	}
	connection, err := connectionOf(ctx, tx, scope, tenant, f.Connection)
	if err != nil {
		return list{}, err
	}
	if f.Initiator == "me" {
		f.Initiator = scope.UserID()
	}
	if connection != "" { // it belongs to the tenant
		l.where(` AND r.connection_id = %s`, connection)
	} else if tenant != "" {
		l.where(` AND r.tenant_id = %s`, tenant)
	}
	if f.Operation != "" {
		l.where(` AND r.operation = %s`, string(f.Operation))
	}
	if f.State != "" {
		l.where(` AND r.state = %s`, string(f.State))
	}
	if f.State != "" && f.State != op.Finished { // only finished runs have an outcome
		l.where(` AND r.outcome = ''`)
	}
	if f.Outcome != "" { // the indexes begin with the state
		l.where(` AND r.state = 'finished' AND r.outcome = %s`, string(f.Outcome))
	}
	if f.Initiator != "" {
		l.where(` AND r.initiator_id = %s`, f.Initiator)
	}
	// Ids sort by time: they bound what is read, and the stored time decides.
	if !f.Since.IsZero() {
		l.where(` AND r.accepted_at >= %s AND r`+byID+` >= %s`, db.Micros(f.Since), access.FirstID(f.Since.Add(-clockSlack)))
	}
	if !f.Until.IsZero() {
		l.where(` AND r.accepted_at < %s AND r`+byID+` < %s`, db.Micros(f.Until), access.FirstID(f.Until.Add(clockSlack)))
	}
	if key != nil {
		l.where(` AND r`+byID+` < %s`, key[0])
	}

	l.seen, l.ofPerson = tenant+connection != "", f.Initiator != ""
	l.eachTenant = !l.seen && !l.ofPerson
	switch {
	case f.Active && f.Attention: // only stalled runs are both
		l.spans = []span{s.stalledRuns()}
	case f.Active:
		l.spans = activeRuns
	case f.Attention:
		l.spans = append(slices.Clone(attentionRuns), s.stalledRuns())
	case f.State == op.Finished && f.Outcome == "":
		l.spans = finishedRuns
	case f.State+op.State(f.Outcome) != "" || tenant+connection != "" && f.Operation == "":
	case f.Initiator != "" || f.Operation != "" && (l.seen || !scope.Some()):
		l.spans = allRuns // the state is the next column of the indexes by person and by operation
	}
	return l, nil
}

// LastRuns returns, for each of the kinds, the newest run on a tenant that succeeded,
// wholly or partly; connection is an id that narrows them to one connection, or empty.
// A kind without such a run is left out. It takes two statements, however many kinds
// there are. The runs' Words are for the caller to make.
func (s *Store) LastRuns(ctx context.Context, ta access.TenantAccess, connection string, kinds []op.Kind) (map[op.Kind]op.Run, error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	of := span{` AND r.tenant_id = %s`, []any{ta.Tenant.ID}}
	if connection != "" {
		// Without the tenant, or PostgreSQL may intersect the index of the connection with
		// that of the tenant, and read all of both. The rows found are of the tenant below.
		of = span{` AND r.connection_id = %s`, []any{connection}}
	}
	return query.Read(ctx, s.db, "last runs", func(ctx context.Context, tx db.Tx) (map[op.Kind]op.Run, error) {
		// Each kind and outcome is one end of one range of an index.
		q := new(query.Query).Add(`WITH kinds(operation) AS (VALUES (%s)`, string(kinds[0]))
		for _, k := range kinds[1:] {
			q.Add(`,(%s)`, string(k))
		}
		q.Add(`)`)
		for i, outcome := range []string{"succeeded", "partial"} { // literal, so that the planner knows them
			if i > 0 {
				q.Add(` UNION ALL`)
			}
			q.Add(` SELECT COALESCE((SELECT r.id FROM runs r WHERE r.operation = k.operation AND r.state = 'finished' AND r.outcome = '`+outcome+`'`).
				Add(of.text, of.args...).Add(` ORDER BY r` + byID + ` DESC LIMIT 1), '') FROM kinds k`)
		}
		ids, err := query.All(ctx, tx, q, query.ScanText)
		if err != nil {
			return nil, err
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" }) // with a long list PostgreSQL reads the tenant's runs
		if len(ids) == 0 {
			return nil, nil
		}
		q = new(query.Query).Add(`SELECT `+runColumns+` FROM`+runTables+` AND r.tenant_id = %s AND r.id IN `, ta.Tenant.ID).In(ids)
		runs, err := query.All(ctx, tx, q, s.scanRun)
		last := make(map[op.Kind]op.Run, len(kinds))
		for _, r := range runs {
			if before, ok := last[r.Operation]; !ok || r.AcceptedAt.After(before.AcceptedAt) {
				last[r.Operation] = r
			}
		}
		return last, err
	})
}

// Items returns the items of a run's results in the order in which they were first
// reported. The caller fills in their Detail.
func (s *Store) Items(ctx context.Context, scope access.Scope, runRef, cur string, limit int) ([]op.Item, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	seq, err := page.AfterNumber("items", cur)
	if err != nil {
		return nil, "", err
	}
	items, err := ofRun(ctx, s, scope, runRef, "list items", func(q *query.Query, run string) {
		q.Add(`SELECT i.seq, i.key, i.name, i.result, i.done, i.failed, i.total, i.reason, i.args, i.evidence, i.at FROM run_items i
			WHERE i.run_id = %s AND i.seq > %s ORDER BY i.seq LIMIT %s`, run, seq, limit+1)
	}, func(row db.Row) (op.Item, error) {
		var i op.Item
		var result, reason, args, evidence string
		var at int64
		err := row.Scan(&i.Seq, &i.Key, &i.Name, &result, &i.Counts.Done, &i.Counts.Failed, &i.Counts.Total, &reason, &args, &evidence, &at)
		if err != nil {
			return op.Item{}, err
		}
		i.Result, i.Reason, i.At = op.ItemResult(result), op.Reason(reason), db.Time(at)
		if err := decode("evidence", evidence, &i.Evidence); err != nil {
			return op.Item{}, err
		}
		err = decode("item", args, &i.Args)
		return i, err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := page.Cut(items, limit, func(i op.Item) string { return page.Cursor("items", fmt.Sprint(i.Seq)) })
	return items, next, nil
}

// RunEvent is one line of a run's timeline.
type RunEvent struct {
	Seq  int64        `json:"seq"`
	At   time.Time    `json:"at"`
	Kind op.EventKind `json:"kind"`
	Text string       `json:"text"` // in words
}

// Events returns up to limit lines (1 to 200; 0: 50) of a run's timeline, from the
// one behind the line numbered after.
func (s *Store) Events(ctx context.Context, scope access.Scope, runRef string, after int64, limit int) ([]RunEvent, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, err
	}
	return ofRun(ctx, s, scope, runRef, "list events", func(q *query.Query, run string) {
		q.Add(`SELECT e.seq, e.at, e.kind, e.text FROM run_events e WHERE e.run_id = %s AND e.seq > %s ORDER BY e.seq LIMIT %s`, run, after, limit)
	}, func(row db.Row) (RunEvent, error) {
		var e RunEvent
		var at int64
		var kind, text string
		err := row.Scan(&e.Seq, &at, &kind, &text)
		e.At, e.Kind = db.Time(at), op.EventKind(kind)
		e.Text = op.DescribeEvent(e.Kind, text)
		return e, err
	})
}

// JoinedAttempts returns the first 200 start requests that joined a run.
func (s *Store) JoinedAttempts(ctx context.Context, scope access.Scope, runRef string) ([]Attempt, error) {
	return ofRun(ctx, s, scope, runRef, "list joined attempts", func(q *query.Query, run string) {
		q.Add(`SELECT `+attemptColumns+attemptFrom+`a.run_id = %s AND a.outcome = 'deduped' ORDER BY a`+byID+` LIMIT %s`, run, page.MaxSize)
	}, scanAttempt)
}

// ofRun lists what belongs to a run in the scope; [op.ErrNotFound] for another run.
func ofRun[T any](ctx context.Context, s *Store, scope access.Scope, runRef, what string,
	build func(q *query.Query, run string), scan func(db.Row) (T, error),
) ([]T, error) {
	return query.Read(ctx, s.db, what, func(ctx context.Context, tx db.Tx) ([]T, error) {
		run, err := query.One(ctx, tx, runByRef(scope, runRef), query.ScanText)
		if err != nil {
			return nil, err
		}
		q := new(query.Query)
		build(q, run)
		return query.All(ctx, tx, q, scan)
	})
}
