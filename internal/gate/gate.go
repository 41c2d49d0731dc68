// Package gate is the start gate: the only way work begins. [Gate.Start] decides
// every start of a provider-backed operation in one database transaction,
// together with the run, its job and the record of the attempt, and answers exactly
// one of accepted, deduped, scope_busy and blocked. It never calls the provider.
package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/gate/internal/stored"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Config holds the gate's intervals. A zero interval means its default.
type Config struct {
	Quarantine time.Duration // how long a connection stays claimed after the lease has expired; 30 s
	StallAfter time.Duration // a running run counts as stalled after this time without progress; 10 min
	Coalesce   time.Duration // identical refusals within this time are one attempt; 10 s
	Logger     *slog.Logger
	// Silent reports that this process saw no heartbeat for one full lease. nil: never.
	// Database time alone settles no run, because a clock that jumps would end a healthy
	// one.
	Silent func(run string, fence, heartbeat int64) bool
	// Changed is called after a commit that changed a run. nil: not called.
	Changed func(op.Change)
}

// Gate decides starts. It is safe for concurrent use.
type Gate struct {
	db    *db.DB
	store *store.Store
	queue *queue.Queue
	cfg   Config
}

// New returns the gate on d, which must be migrated.
func New(d *db.DB, st *store.Store, cfg Config) (*Gate, error) {
	cfg.Quarantine = orElse(cfg.Quarantine, 30*time.Second)
	cfg.StallAfter = orElse(cfg.StallAfter, 10*time.Minute)
	cfg.Coalesce = orElse(cfg.Coalesce, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Silent == nil {
		cfg.Silent = func(string, int64, int64) bool { return false }
	}
	if cfg.Changed == nil {
		cfg.Changed = func(op.Change) {}
	}
	q, err := queue.New(d, queue.Config{Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	return &Gate{db: d, store: st, queue: q, cfg: cfg}, nil
}

func orElse(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}

// KeyReusedError says that an idempotency key was used before with other values.
type KeyReusedError struct{ Fields []string }

// Error names the fields that differ.
func (e *KeyReusedError) Error() string {
	return "idempotency key was used before with other values: " + strings.Join(e.Fields, ", ")
}

// maxRounds limits how often one start is decided again because the holder ended, or the
// connection changed, between two statements.
const maxRounds = 8

// Start decides one start. All four outcomes are answers. Errors are refusals of the
// caller and faults: [op.ErrNotFound], [op.ErrForbidden], [*op.FieldError],
// [*KeyReusedError], or a database error (see [db.IsUnavailable]). After an error nothing
// was queued, except perhaps after [db.ErrOutcomeUnknown]: call Start again with the same
// key to find out.
func (g *Gate) Start(ctx context.Context, actor access.Actor, req op.Request) (op.Result, error) {
	def, err := catalogue.Lookup(req.Kind)
	if err != nil {
		return op.Result{}, err
	}
	// Callers that are refused must not wait for the single writer.
	var canonical json.RawMessage
	err = g.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		canonical, err = g.admitCaller(ctx, tx, actor, req, def)
		return err
	})
	if err != nil {
		return op.Result{}, err
	}

	ids := [2]string{newID(), newID()} // attempt, run: the same in every retry
	var decided *decision              // once decided, blocked is kept across retries
	var res op.Result
	var changed op.Change
	var broken *ledger.Claim
	write := func(ctx context.Context, tx db.Tx) error {
		changed, broken = op.Change{}, nil
		p := press{gate: g, tx: tx, actor: actor, req: req, def: def, canonical: canonical, attempt: ids[0], run: ids[1]}
		if err := p.open(ctx); err != nil {
			return err
		}
		if decided == nil || decided.result.Outcome() != op.Blocked {
			d, err := p.decide(ctx)
			if err != nil {
				return err
			}
			decided = d
		}
		if decided.replayed {
			res = decided.result
			return nil
		}
		if decided.result.Outcome() == op.Accepted {
			changed = op.Change{Workspace: p.ta.Workspace.ID, Tenant: p.ta.Tenant.ID, Run: p.run}
		}
		broken = decided.broken
		res, err = p.record(ctx, decided)
		return err
	}
	for range maxRounds {
		err = g.db.Write(ctx, write)
		var expired *expiredError
		switch {
		case errors.As(err, &expired):
			if err := g.reap(ctx, expired.holder); err != nil {
				return op.Result{}, err
			}
			continue
		case errors.Is(err, errKeyTaken):
			decided = nil // the next round finds the other request's answer
			continue
		}
		break
	}
	if err != nil {
		return op.Result{}, err
	}
	if broken != nil {
		g.heal(ctx, broken)
	}
	if changed.Run != "" {
		g.cfg.Changed(changed)
	}
	return res, nil
}

// expiredError ends a start's transaction because the holder's worker is gone. The holder
// is settled in a transaction of its own: ending a run locks the head of the audit trail,
// and the start would take every other lock after it.
type expiredError struct{ holder *ledger.Claim }

func (e *expiredError) Error() string { return "the holder's lease and quarantine have passed" }

// reap settles the run of an expired claim (see [ending.Gone]), unless its worker is alive
// after all or another node was faster.
func (g *Gate) reap(ctx context.Context, c *ledger.Claim) error {
	err := g.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := ending.Gone(ctx, tx, g.queue, c)
		return err
	})
	if errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrMoved) {
		return nil
	} else if err != nil {
		return err
	}
	g.cfg.Changed(c.Change())
	return nil
}

// heal removes a claim that no living run holds. If it fails, the worker's next round does
// it.
func (g *Gate) heal(ctx context.Context, c *ledger.Claim) {
	err := g.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return ending.Healed(ctx, tx, c) })
	switch {
	case errors.Is(err, ledger.ErrFenced):
	case err != nil:
		g.cfg.Logger.WarnContext(ctx, "could not remove a claim without a living run", "connection", c.Connection, "error", err)
	default:
		g.cfg.Logger.ErrorContext(ctx, "removed a claim without a living run", "connection", c.Connection, "run", c.RunID)
	}
}

// Preflight returns what Start would answer now, and writes nothing. An accepted answer has
// no run.
func (g *Gate) Preflight(ctx context.Context, actor access.Actor, req op.Request) (op.Result, error) {
	def, err := catalogue.Lookup(req.Kind)
	if err != nil {
		return op.Result{}, err
	}
	var res op.Result
	err = g.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		canonical, err := g.admitCaller(ctx, tx, actor, req, def)
		if err != nil {
			return err
		}
		p := press{gate: g, tx: tx, actor: actor, req: req, def: def, canonical: canonical, dry: true}
		if err := p.open(ctx); err != nil {
			return err
		}
		d, err := p.decide(ctx)
		if err != nil {
			return err
		}
		res = d.result
		return nil
	})
	return res, err
}

// admitCaller checks the actor's access, then the shape of the request. It returns the
// canonical parameters.
func (g *Gate) admitCaller(ctx context.Context, tx db.Tx, actor access.Actor, req op.Request, def *catalogue.Definition) (json.RawMessage, error) {
	ta, err := access.Authorize(ctx, tx, actor, req.Tenant, def.Capability)
	if err != nil {
		return nil, err
	}
	if len(req.Key) > maxKey {
		return nil, &op.FieldError{Field: "Idempotency-Key", Detail: fmt.Sprintf("may have %d characters at most, not %d", maxKey, len(req.Key))}
	}
	canonical, err := def.Canonical(req.Parameters)
	if err == nil && def.Confirm != nil {
		err = def.Confirm(canonical, ta.Tenant)
	}
	return canonical, err
}

// maxKey limits an idempotency key, in bytes.
const maxKey = 200

// press is one request to start, inside a transaction.
type press struct {
	gate      *Gate
	tx        db.Tx
	actor     access.Actor
	req       op.Request
	def       *catalogue.Definition
	canonical json.RawMessage
	attempt   string
	run       string
	dry       bool // preflight: nothing may be written

	ta     access.TenantAccess
	now    time.Time
	target store.Resolved
	print  string // fingerprint
}

// decision is an answer with what its attempt row needs.
type decision struct {
	result   op.Result
	replayed bool // the stored answer is returned; no new attempt
	joined   bool // the answer is stored under its key
	holder   *ledger.Claim
	broken   *ledger.Claim // a claim without a living run, to be removed
	print    string
	target   *op.Target
	facts    string
}

// open authorizes the actor in this transaction and reads the database time.
func (p *press) open(ctx context.Context) error {
	ta, err := access.Authorize(ctx, p.tx, p.actor, p.req.Tenant, p.def.Capability)
	if err != nil {
		return err
	}
	var now int64
	if err := p.tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return fmt.Errorf("read the time: %w", err)
	}
	p.ta, p.now = ta, db.Time(now)
	return nil
}

// decide checks in the documented order; the first decisive answer wins.
func (p *press) decide(ctx context.Context) (*decision, error) {
	for range maxRounds {
		if p.req.Key != "" && !p.dry {
			if d, err := p.replay(ctx); d != nil || err != nil {
				return d, err
			}
		}
		if err := p.resolve(ctx); err != nil {
			return nil, err
		}
		holder, err := p.holder(ctx)
		if err != nil {
			return nil, err
		}
		causes, err := p.blockers(ctx)
		if err != nil {
			return nil, err
		}
		if len(causes) > 0 {
			return p.blocked(causes, holder), nil
		}
		if holder != nil {
			return p.held(holder)
		}
		if p.dry {
			return p.decision(op.ReadyResult(p.facts()), nil), nil
		}
		d, err := p.admit(ctx)
		if d != nil || err != nil {
			return d, err
		}
		// The holder ended or the connection changed since they were read: decide again.
	}
	return p.blocked([]op.Cause{{Code: op.PrecheckUnavailable, Phase: op.Admission, Args: op.Args{"reference": p.req.RequestID}}}, nil), nil
}

// resolve chooses the target connection.
func (p *press) resolve(ctx context.Context) error {
	target, err := p.gate.store.Resolve(ctx, p.tx, p.ta, p.req.Connection)
	if err != nil {
		return err
	}
	p.target = target
	id := ""
	if target.Connection != nil {
		id = target.Connection.ID
	}
	p.print = fingerprint(p.def, p.ta.Workspace.ID, p.ta.Tenant.ID, id, p.canonical)
	return nil
}

// blockers returns everything that must be fixed first.
func (p *press) blockers(ctx context.Context) ([]op.Cause, error) {
	c, id := p.target.Connection, ""
	if c != nil {
		id = c.ID
	}
	causes, err := p.def.Judge(ctx, catalogue.Question{
		Tenant: p.ta.Tenant, Target: catalogue.Target{Connection: c, Count: p.target.Count}, Parameters: p.canonical, Phase: op.Admission, Now: p.now,
		Starter: p.actor.ID(),
	}, stored.Facts{Tx: p.tx, Connection: id})
	if err != nil {
		return nil, err
	}
	shown := p.req.ShownConnection
	if c != nil && shown != "" && (shown != c.ID || p.req.ShownVersion != c.Version) {
		changed := op.Cause{Code: op.TargetChanged, Phase: op.Admission, Args: op.Args{"connection": c.Name, "tenant": p.ta.Tenant.Name}}
		switch name := p.target.NameOf(shown); {
		case shown == c.ID:
			changed.Args["edited"] = "true"
		case name != c.Name: // equal names would not tell them apart
			changed.Args["shown_connection"] = name
		}
		at := 0 // after the blockers of the connection itself
		if len(causes) > 0 && causes[0].Code == op.ConnectionDisabled {
			at = 1
		}
		causes = append(causes[:at:at], append([]op.Cause{changed}, causes[at:]...)...)
	}
	return causes, nil
}

// facts returns what every answer to this request carries.
func (p *press) facts() op.Facts {
	f := op.Facts{
		Attempt:   p.attempt,
		Workspace: p.ta.Workspace.Slug,
		Operation: p.def.Kind,
		Tenant:    op.Tenant{ID: p.ta.Tenant.ID, Slug: p.ta.Tenant.Slug, Name: p.ta.Tenant.Name},
		At:        p.now,
		MayMend:   p.ta.Grants.Has(tenancy.ManageConnections),
		Reference: p.req.RequestID,
		Reader:    p.actor.ID(),
	}
	if c := p.target.Connection; c != nil {
		f.Target = TargetOf(*c)
	}
	return f
}

// TargetOf returns a connection as runs and answers name it. Later edits don't change it.
func TargetOf(c tenancy.Connection) *op.Target {
	return &op.Target{
		ConnectionID: c.ID, Slug: c.Slug, Version: c.Version, Provider: c.Provider,
		Short: c.Name, Name: c.FullName(), Directory: c.DirectoryID,
	}
}

// known returns the facts that the decision was based on, with their times, as JSON.
func (p *press) known() string {
	c := p.target.Connection
	if c == nil {
		return "{}"
	}
	b, err := json.Marshal(map[string]any{
		"rev": c.Rev, "enabled": c.Enabled, "consent": c.Consent, "consent_at": c.ConsentAt,
		"credential": c.Credential, "credential_state": c.CredentialState, "credential_expires_at": c.CredentialExpiresAt,
		"permissions_at": c.PermissionsAt, "verification": c.Verification, "verified_at": c.VerifiedAt,
	})
	if err != nil {
		return "{}"
	}
	return string(b)
}

func (p *press) decision(r op.Result, holder *ledger.Claim) *decision {
	return &decision{result: r, holder: holder, print: p.print, target: r.Facts().Target, facts: p.known()}
}

func (p *press) blocked(causes []op.Cause, holder *ledger.Claim) *decision {
	return p.decision(op.BlockedResult(p.facts(), causes, p.visible(holder)), holder)
}

// visible returns a reference to the holder, or nil when the actor may not open it. The
// holder belongs to this tenant, so the right to view the tenant decides.
func (p *press) visible(holder *ledger.Claim) *op.RunRef {
	if holder == nil || !p.ta.Grants.Has(tenancy.View) {
		return nil
	}
	ref := p.ref(holder)
	return &ref
}

func (p *press) ref(c *ledger.Claim) op.RunRef {
	r := op.RunRef{
		ID: c.RunID, Code: c.Code, Operation: c.Operation, State: c.State, Initiator: c.Initiator,
		StartedAt: c.AcceptedAt, LastHeartbeat: c.SeenAt, WaitingUntil: c.WaitingUntil, Href: op.RunPath(p.ta.Workspace.Slug, c.Code),
	}
	if p.expiring(c) {
		at := c.Lease.Add(p.gate.cfg.Quarantine)
		r.ReleaseAt = &at
	}
	return r
}

// expiring reports whether the run's lease has expired, or a person released it.
func (p *press) expiring(c *ledger.Claim) bool {
	return c.Lease != nil && c.Lease.Before(p.now) || c.Released()
}

// holder returns the claim on the target connection; nil when there is none.
func (p *press) holder(ctx context.Context) (*ledger.Claim, error) {
	if p.target.Connection == nil {
		return nil, nil
	}
	return ledger.OfConnection(ctx, p.tx, p.target.Connection.ID)
}

// held answers a start on a connection that is claimed, or returns an [*expiredError].
func (p *press) held(c *ledger.Claim) (*decision, error) {
	busy := func(code op.Reason, args op.Args) (*decision, error) {
		if args == nil {
			args = op.Args{}
		}
		args["connection"], args["tenant"] = p.target.Connection.Name, p.ta.Tenant.Name
		return p.decision(op.BusyResult(p.facts(), op.Cause{Code: code, Phase: op.Admission, Args: args}, p.visible(c)), c), nil
	}
	if c.State == "" { // a claim without a living run: refuse, and heal
		d := p.decision(op.BusyResult(p.facts(), op.Cause{Code: op.ScopeInconsistent, Phase: op.Admission, Args: op.Args{
			"connection": p.target.Connection.Name, "tenant": p.ta.Tenant.Name, "reference": p.req.RequestID,
		}}, nil), nil)
		d.broken = c
		return d, nil
	}
	if p.expiring(c) {
		release := c.Lease.Add(p.gate.cfg.Quarantine)
		switch gone := release.Before(p.now) && p.gate.cfg.Silent(c.RunID, c.Fence, c.Heartbeat); {
		case !gone:
			return busy(op.ScopeQuarantined, op.Args{"release_at": release.UTC().Format(time.RFC3339)})
		case !p.dry:
			return nil, &expiredError{c}
		case !ending.Resumes(c): // a start would end it and be accepted
			return p.decision(op.ReadyResult(p.facts()), nil), nil
		}
	}
	switch {
	case c.State == op.Cancelling:
		return busy(op.HolderCancelling, nil)
	case c.Fingerprint == p.print && c.State != op.Cancelling:
		if ref := p.visible(c); ref != nil {
			d := p.decision(op.DedupedResult(p.facts(), *ref), c)
			d.joined = true
			return d, nil
		}
		// Joining a run that the actor may not open would reveal it.
		return busy(op.OtherOperationActive, nil)
	case c.State == op.Running && c.ProgressAt != nil && p.now.Sub(*c.ProgressAt) > p.gate.cfg.StallAfter:
		return busy(op.HolderStalled, op.Args{"last_seen": c.ProgressAt.UTC().Format(time.RFC3339)})
	case c.Operation == p.def.Kind:
		return busy(op.SameOperationDifferentParameters, op.Args{"differences": differences(p.canonical, c.Parameters)})
	}
	return busy(op.OtherOperationActive, nil)
}

// admit claims the connection. A nil decision means that something changed: decide again.
func (p *press) admit(ctx context.Context) (*decision, error) {
	c := p.target.Connection
	facts := p.facts()
	initiator := op.Person{ID: p.actor.ID(), Name: p.actor.Name()}
	code, fence, got, err := ledger.Admit(ctx, p.tx, ledger.New{
		ID: p.run, Workspace: p.ta.Workspace.ID, Tenant: p.ta.Tenant.ID, Connection: c.ID, Rev: c.Rev,
		Operation: p.def.Kind, Surface: p.req.Surface, Fingerprint: p.print, Parameters: p.canonical,
		Target: *facts.Target, Initiator: initiator, QueueLimit: p.def.QueueLimit,
	})
	if err != nil || got != ledger.Taken {
		return nil, err
	}
	job, err := p.gate.queue.Insert(ctx, p.tx, queue.Args{RunID: p.run, Fence: fence}, time.Time{})
	if err != nil {
		return nil, err
	}
	if err := ledger.Sent(ctx, p.tx, p.run, fence, job); err != nil {
		return nil, err
	}
	d := p.decision(op.AcceptedResult(facts, op.RunRef{
		ID: p.run, Code: code, Operation: p.def.Kind, State: op.Queued, Initiator: initiator,
		StartedAt: p.now, Href: op.RunPath(p.ta.Workspace.Slug, code),
	}), nil)
	d.joined = true
	return d, nil
}

func (p *press) audit(ctx context.Context, action, object string, data any) error {
	return access.Audit(ctx, p.tx, p.ta.Workspace.ID, access.Entry{
		Actor: op.Person{ID: p.actor.ID(), Name: p.actor.Name()}, Action: action, Object: object, Data: data,
	})
}

// newID returns an id that sorts by time. Ids are not secrets.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
