package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
)

// situation is what the two find when they begin.
type situation string

const (
	isFree       situation = "free"
	isQueued     situation = "queued"
	isRunning    situation = "running"
	isCancelling situation = "cancelling"
	isExpired    situation = "expired" // running, by a worker that is silent past lease and quarantine
)

var everywhere = []situation{isFree, isQueued, isRunning, isCancelling, isExpired}

// action is one of the things that can happen to a run and its connection.
type action struct {
	name string
	in   []situation // where it has something to do
	do   func(context.Context, *ring, *actor) error
}

// actions are all that may happen at the same time.
var actions = []action{
	{"start", everywhere, func(ctx context.Context, r *ring, a *actor) error {
		res, err := a.gate.Start(ctx, r.Operator, op.Request{Tenant: "kestrel", Kind: r.kind, Surface: op.SurfaceAPI, Key: "key-" + a.name})
		if err == nil && (res.Outcome() == op.ScopeBusy || res.Outcome() == op.Deduped) && res.Holder() == nil && res.Run() == nil && !res.HolderHidden() {
			if res.Causes()[0].Code != op.ScopeInconsistent {
				r.wrong("%s was answered %s without a holder", a.name, res.Outcome())
			}
		}
		return err
	}},
	{"claim", []situation{isQueued}, func(ctx context.Context, r *ring, a *actor) error {
		r.Exec(`UPDATE river_job SET state = 'running' WHERE id = $1`, r.job) // the queue has handed it out
		x, err := a.w.claim(ctx, r.job, queue.Args{RunID: r.run, Fence: r.fence})
		if err != nil || x == nil {
			return err
		}
		r.mu.Lock()
		if r.claims++; r.claims > 1 {
			r.faults = append(r.faults, "two workers have begun one run")
		}
		r.mu.Unlock()
		x.log = a.w.cfg.Logger
		return r.calls(ctx, a, x)
	}},
	{"work", []situation{isRunning, isCancelling, isExpired}, func(ctx context.Context, r *ring, a *actor) error { return r.calls(ctx, a, r.execution(a)) }},
	{"finish", []situation{isRunning, isCancelling, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		return r.settle(ctx, a, nil)
	}},
	{"hand back", []situation{isRunning, isCancelling, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		return r.settle(ctx, a, &provider.Error{Reason: op.ProviderThrottled, Temporary: true})
	}},
	{"cancel", []situation{isQueued, isRunning, isCancelling}, func(ctx context.Context, r *ring, a *actor) error {
		_, err := a.gate.Cancel(ctx, r.Owner, r.run)
		return err
	}},
	{"release", []situation{isQueued, isRunning, isCancelling}, func(ctx context.Context, r *ring, a *actor) error {
		_, err := a.gate.Release(ctx, r.Owner, r.run, "by "+a.name)
		return err
	}},
	{"expire", []situation{isQueued}, func(ctx context.Context, r *ring, a *actor) error {
		return a.tend(ctx, r, false, a.w.expire)
	}},
	{"requeue", []situation{isQueued}, func(ctx context.Context, r *ring, a *actor) error {
		return a.tend(ctx, r, false, a.w.resend)
	}},
	{"reap", []situation{isRunning, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		return a.tend(ctx, r, true, func(ctx context.Context, c *ledger.Claim) error {
			_, err := a.w.reap(ctx, c)
			return err
		})
	}},
	{"disable", []situation{isFree, isQueued, isRunning, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		_, err := a.flow.DisableConnection(ctx, r.Owner, "kestrel", r.connection)
		return err
	}},
	{"revoke", []situation{isFree, isQueued, isRunning, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		_, err := a.flow.RevokeConsent(ctx, r.Owner, "kestrel", r.connection)
		return err
	}},
	{"delete", []situation{isFree, isQueued, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		return a.flow.DeleteConnection(ctx, r.Owner, "kestrel", r.connection)
	}},
}

// ring is a database in which two actions meet, again and again from the same situation.
type ring struct {
	*gatetest.World
	t          *testing.T
	kind       op.Kind
	rules      []raceRule       // besides raceRules
	prepared   func(*execution) // does more with a run that has begun; may be nil
	pair       *dbtest.Pair
	nodes      [2]*node
	connection string

	// Of the situation; empty and nil where there is no run.
	run   string
	job   int64
	fence int64
	begun *execution // of a running run

	mu       sync.Mutex
	open     []call
	claims   int             // that have begun the run
	answered map[string]bool // names of the actors that have their answer, without an error
	faults   []string
}

// node is what one process has.
type node struct {
	flow *flow.Flow
	gate *gate.Gate
	w    *Worker
}

// actor is one side of one schedule.
type actor struct {
	*node
	name  string // of the action, with its side
	other string
	kind  string // of the other action
}

// call is one that a worker has under way when the schedule ends.
type call struct {
	run   string
	fence int64
}

// shared reports whether the other side may see or change what a point is about.
// What only one side can reach (a run's timeline, its items, its record of the
// start) is passed without a stop: it commutes.
func shared(p db.Point) bool {
	switch p.Op {
	case db.OpBegin:
		return true
	case db.OpCommit:
		return p.Write
	case db.OpExec, db.OpQuery:
	}
	if !p.Write { // one snapshot
		return false
	}
	for _, table := range []string{"connections", "run_claims", "runs", "workspaces", "idempotency_keys", "audit_heads"} {
		if strings.Contains(p.SQL, table) {
			return true
		}
	}
	return false
}

func newRing(t *testing.T, kind op.Kind, shared func(db.Point) bool) *ring {
	t.Helper()
	r := &ring{t: t, kind: kind, pair: dbtest.NewPair(t, shared)}
	r.World = gatetest.New(t, r.pair.Handles[0])
	r.connection = r.Connection(r.Workspace, r.Tenant(r.Workspace, "kestrel", "Kestrel Logistics"), "kestrel", nil)
	quiet := slog.New(slog.DiscardHandler)
	for i, d := range r.pair.Handles {
		n := &node{}
		st := store.New(d, r.Root, store.Options{})
		var err error
		// A long lease: nothing here runs out by itself.
		n.w, err = New(d, st, Config{Lease: time.Hour, Logger: quiet, Connect: func(Connect) (provider.Client, error) { return nil, errors.New("not used") }})
		if err != nil {
			t.Fatal(err)
		}
		n.gate, err = gate.New(d, st, gate.Config{Logger: quiet, Silent: n.w.Silent})
		if err != nil {
			t.Fatal(err)
		}
		n.flow = flow.New(d, st, n.gate)
		r.nodes[i] = n
	}
	return r
}

// kept are the tables that a schedule changes, parents first.
var kept = []string{
	"tenants", "connections", "credentials", "datasets", "runs", "run_claims", "run_journal", "run_items", "run_events", "start_attempts",
	"idempotency_keys", "notifications", "audit_log", "audit_heads", "river_job",
}

// prepare makes the situation and keeps a copy of it.
func (r *ring) prepare(s situation) {
	r.t.Helper()
	ctx := r.t.Context()
	r.run, r.job, r.fence, r.begun = "", 0, 0, nil
	n := r.nodes[0]
	if s != isFree {
		res, err := n.gate.Start(ctx, r.Operator, op.Request{Tenant: "kestrel", Kind: r.kind, Surface: op.SurfaceAPI})
		if err != nil || res.Outcome() != op.Accepted {
			r.t.Fatalf("prepare %s: %v %v", s, res.Outcome(), err)
		}
		r.run = res.Run().ID
		c := r.claim()
		r.job, r.fence = c.JobID, c.Fence
	}
	if s == isRunning || s == isExpired || s == isCancelling {
		x, err := n.w.claim(ctx, r.job, queue.Args{RunID: r.run, Fence: r.fence})
		if err != nil || x == nil {
			r.t.Fatalf("prepare %s: %v", s, err)
		}
		r.begun = x
		r.Exec(`UPDATE river_job SET state = 'running'`)
	}
	if r.begun != nil && r.prepared != nil {
		r.prepared(r.begun)
	}
	if s == isCancelling {
		if _, err := n.gate.Cancel(ctx, r.Second, r.run); err != nil {
			r.t.Fatal(err)
		}
	}
	if s == isExpired {
		r.Exec(`UPDATE run_claims SET lease_until = 1`)
	}
	var b strings.Builder
	for _, table := range kept {
		fmt.Fprintf(&b, "DROP TABLE IF EXISTS kept_%[1]s; CREATE TABLE kept_%[1]s AS TABLE %[1]s;", table)
	}
	r.pair.Script(b.String())
}

// forget removes the situation.
func (r *ring) forget() {
	r.Wipe()
}

// restore brings the situation back.
func (r *ring) restore() {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("BEGIN; SET LOCAL synchronous_commit = off;")
	for _, table := range slices.Backward(kept) {
		fmt.Fprintf(&b, "DELETE FROM %s;", table)
	}
	for _, table := range kept {
		fmt.Fprintf(&b, "INSERT INTO %[1]s SELECT * FROM kept_%[1]s;", table)
	}
	b.WriteString("COMMIT")
	r.pair.Script(b.String())
	r.open, r.claims, r.answered, r.faults = nil, 0, map[string]bool{}, nil
	if r.run == "" {
		return
	}
	c := r.claim()
	for _, n := range r.nodes { // both have watched it for long
		n.w.watch.seen = map[string]sight{r.run: {fence: c.Fence, heartbeat: c.Heartbeat, since: time.Now().Add(-2 * time.Hour)}}
	}
}

func (r *ring) claim() (c *ledger.Claim) {
	r.t.Helper()
	err := r.DB.Read(r.t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
		c, err = ledger.OfRun(ctx, tx, r.run)
		return err
	})
	if err != nil || c == nil {
		r.t.Fatalf("claim of run %s: %v %v", r.run, c, err)
	}
	return c
}

func (r *ring) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// execution is the worker's that had begun the run.
func (r *ring) execution(a *actor) *execution {
	b := r.begun
	return &execution{
		w: a.w, def: b.def, claim: b.claim, job: b.job, pinned: b.pinned, log: a.w.cfg.Logger,
		cancel: func(error) {},
	}
}

// calls makes two calls at the provider, as far as the worker lets them begin. The
// second one is still under way when the schedule ends.
func (r *ring) calls(ctx context.Context, a *actor, x *execution) error {
	x.cancel = func(error) {}
	for range 2 {
		r.mu.Lock()
		closed := r.answered[a.other] && (a.kind == "disable" || a.kind == "revoke" || a.kind == "delete")
		r.mu.Unlock()
		if _, err := x.before(ctx); err != nil {
			return err
		}
		if closed {
			r.wrong("%s called the provider after the answer to %s", a.name, a.other)
		}
		r.mu.Lock()
		r.open = []call{{x.claim.RunID, x.claim.Fence}}
		r.mu.Unlock()
		dbtest.Pause(ctx, "a call at the provider is under way")
	}
	return nil
}

func (r *ring) settle(ctx context.Context, a *actor, how error) error {
	x := r.execution(a)
	return ledger.Write(ctx, a.w.db, func(ctx context.Context, tx db.Tx) error { return x.settle(ctx, tx, how) })
}

// tend reads the claim as maintenance does, and then calls do if it is leased, or if it
// is queued.
func (a *actor) tend(ctx context.Context, r *ring, leased bool, do func(context.Context, *ledger.Claim) error) error {
	var c *ledger.Claim
	err := a.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		c, err = ledger.OfRun(ctx, tx, r.run)
		return err
	})
	if err != nil || c == nil || (c.Lease != nil) != leased {
		return err
	}
	return do(ctx, c)
}

// legitimate errors are answers to being second.
func legitimate(err error) bool {
	for _, ok := range []error{nil, ledger.ErrFenced, ledger.ErrMoved, op.ErrConflict, op.ErrNotFound, errLost, errStopping, errClosed} {
		if errors.Is(err, ok) {
			return true
		}
	}
	return false
}

// try goes through one schedule of two actions and returns what went wrong.
func (r *ring) try(a, b action, plan dbtest.Plan) (dbtest.Ran, []string) {
	r.t.Helper()
	r.restore()
	names := [2]string{"A: " + a.name, "B: " + b.name}
	var do [2]func(context.Context)
	for i, act := range []action{a, b} {
		me := &actor{node: r.nodes[i], name: names[i], other: names[1-i], kind: []action{b, a}[i].name}
		do[i] = func(ctx context.Context) {
			err := act.do(ctx, r, me)
			if !legitimate(err) {
				r.wrong("%s: %v", me.name, err)
			}
			r.mu.Lock()
			r.answered[me.name] = err == nil
			r.mu.Unlock()
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	ran := r.pair.Run(ctx, plan, do)
	if ran.Deadlock {
		r.wrong("a deadlock: locks are taken in two orders")
	}
	for _, c := range r.open {
		if r.Int(`SELECT COUNT(*) FROM run_claims WHERE run_id = $1 AND lease_until IS NOT NULL AND (fence = $2 OR boot_id = '')`, c.run, c.fence) != 1 {
			r.wrong("a call is under way without its claim")
		}
	}
	for _, rule := range slices.Concat(raceRules, r.rules) {
		if r.Int(rule.sql) != 0 {
			r.wrong("%s", rule.what)
		}
	}
	r.faults = append(r.faults, r.Audit()...)
	return ran, r.faults
}

type raceRule struct{ what, sql string }

// raceRules count what two actions must never leave, besides the auditor's rules.
var raceRules = []raceRule{
	{"a run works on a connection that is disabled, deleted or without consent", `SELECT COUNT(*) FROM runs r JOIN connections c ON c.id = r.connection_id
		WHERE r.state = 'running' AND (NOT c.enabled OR c.deleted_at IS NOT NULL OR c.consent = 'revoked')`},
	{"an unfinished run on a deleted connection", `SELECT COUNT(*) FROM runs r JOIN connections c ON c.id = r.connection_id
		WHERE r.state <> 'finished' AND c.deleted_at IS NOT NULL`},
	{"a start that was accepted after the connection was closed", `SELECT COUNT(*) FROM audit_log l JOIN runs r ON r.id = l.object
		WHERE l.action = 'run.accepted' AND EXISTS (SELECT 1 FROM audit_log b WHERE b.workspace_id = l.workspace_id AND b.object = r.connection_id
			AND b.seq < l.seq AND b.action IN ('connection.disable', 'connection.consent_revoked', 'connection.delete'))`},
	{"a run in line with a lease, or one at work without", `SELECT COUNT(*) FROM runs r JOIN run_claims c ON c.run_id = r.id
		WHERE (r.state = 'queued') <> (c.lease_until IS NULL)`},
	{"a run that goes on after somebody stopped it", `SELECT COUNT(*) FROM runs r JOIN audit_log l ON l.object = r.id
		WHERE r.state IN ('queued', 'running') AND l.action IN ('run.cancelled', 'run.released')`},
	{"a run that ended well in a dispatch that had not begun", `SELECT COUNT(*) FROM runs r WHERE r.outcome = 'succeeded'
		AND NOT EXISTS (SELECT 1 FROM run_events e WHERE e.run_id = r.id AND e.kind = 'began' AND e.fence = r.fence)`},
	{"a running run whose job waits", `SELECT COUNT(*) FROM runs r JOIN run_claims c ON c.run_id = r.id JOIN river_job j ON j.id = c.job_id
		WHERE r.state IN ('running', 'cancelling') AND CAST(j.state AS TEXT) IN ('available', 'scheduled', 'retryable', 'pending')`},
	{"a run that two people have released", `SELECT COUNT(*) FROM (SELECT object FROM audit_log WHERE action = 'run.released' GROUP BY object HAVING COUNT(*) > 1) x`},
}

// TestEveryPairInterleaved lets every two of the actions meet, each with itself
// too, from each situation in which both have something to do, on two handles of
// one PostgreSQL. In every schedule one side is interrupted once, at each of its
// points. This lane takes each third pair; with the build tag faults it is every pair,
// and both sides are interrupted, at each pair of points.
func TestEveryPairInterleaved(t *testing.T) {
	if testing.Short() { // the race detector's lane looks at memory, not at orders
		interleaveAll(t, 0, 6)
		return
	}
	interleaveAll(t, 0, 3)
}

// interleaveAll goes through the schedules of each every-th meeting: those with one
// interruption or, for twice above zero, each twice-th of those with two.
func interleaveAll(t *testing.T, twice, every int) {
	var all []meeting
	for i, a := range actions {
		for _, b := range actions[i:] {
			for _, s := range everywhere {
				// A worker ends a run when its calls are over: one after the other.
				one := a.name == "work" && (b.name == "finish" || b.name == "hand back")
				if slices.Contains(a.in, s) && slices.Contains(b.in, s) && !one {
					all = append(all, meeting{a, b, s})
				}
			}
		}
	}
	interleave(t, all, twice, every, func(t *testing.T) *ring { return newRing(t, op.InventorySync, shared) })
}

// meeting is two actions that meet in a situation.
type meeting struct {
	a, b action
	in   situation
}

func interleave(t *testing.T, all []meeting, twice, every int, newRing func(*testing.T) *ring) {
	const rings = 2
	var mu sync.Mutex
	var schedules int
	t.Cleanup(func() { t.Logf("%d schedules of %d meetings", schedules, len(all)) })
	for k := range rings {
		t.Run(fmt.Sprint("ring ", k), func(t *testing.T) {
			t.Parallel()
			r := newRing(t)
			for _, s := range everywhere {
				r.prepare(s)
				for i, m := range all {
					if m.in == s && i%rings == k && i/rings%every == 0 {
						n := r.meet(m.a, m.b, m.in, twice)
						mu.Lock()
						schedules += n
						mu.Unlock()
					}
				}
				r.restore()
				r.forget()
			}
		})
	}
}

// meet goes through the schedules of two actions and returns how many there were.
func (r *ring) meet(a, b action, in situation, twice int) (schedules int) {
	r.t.Helper()
	said := map[string]bool{}
	try := func(plan dbtest.Plan) dbtest.Ran {
		schedules++
		ran, wrong := r.try(a, b, plan)
		for _, w := range wrong {
			if !said[w] { // one schedule for each fault is enough to read
				said[w] = true
				r.t.Errorf("%s and %s on a connection that is %s: %s. Schedule %+v:\n%s", a.name, b.name, in, w, plan, ran)
			}
		}
		return ran
	}
	for first := range 2 {
		whole := try(dbtest.Plan{First: first})
		for i := 1; i < whole.Points[first]; i++ {
			if twice == 0 {
				try(dbtest.Plan{First: first, Turns: []int{i, 1 << 20}})
				continue
			}
			for j := 1 + i%twice; ; j += twice {
				ran := try(dbtest.Plan{First: first, Turns: []int{i, j, 1 << 20}})
				if ran.Points[1-first] <= j {
					break
				}
			}
		}
		if a.name == b.name { // the other way round is the same
			break
		}
	}
	return schedules
}
