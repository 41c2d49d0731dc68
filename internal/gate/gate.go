// Package gate is the start gate: the only way work begins. [Gate.Start] decides
// every start of a provider-backed operation in one database transaction,
// together with the run, its job and the record of the press, and answers
// exactly one of accepted, deduped, scope_busy and blocked. It never calls the
// provider.
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

// Config holds the gate's intervals. The zero of each means its default.
type Config struct {
	Quarantine time.Duration // how long a scope stays shut after its lease; 30 s
	StallAfter time.Duration // without progress, a living run counts as stalled; 10 min
	Coalesce   time.Duration // identical refusals within it are one attempt; 10 s
	Logger     *slog.Logger
	// Silent reports that this process has itself watched a slot for a lease
	// without seeing its heartbeat counter move. nil: never. Database time alone
	// does not free a slot, or a clock that jumps would kill a healthy run.
	Silent func(run string, fence, heartbeat int64) bool
	// Changed is called after a commit that changed a run. nil: nobody listens.
	Changed func(op.Change)
}

// Gate decides starts. It is safe for concurrent use.
type Gate struct {
	db    *db.DB
	store *store.Store
	queue *queue.Queue
	cfg   Config
}

// New returns the gate on d. Its tables must be there.
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

// KeyReusedError says that an idempotency key came before with other values.
type KeyReusedError struct{ Fields []string }

// Error names the fields that differ.
func (e *KeyReusedError) Error() string {
	return "idempotency key was used before with other values: " + strings.Join(e.Fields, ", ")
}

// maxRounds bounds how often one start is decided again because the scope's
// holder ended, or the connection changed, between two statements.
const maxRounds = 8

// Start decides one start. All four outcomes are answers; errors are refusals of
// the caller and faults: [op.ErrNotFound], [op.ErrForbidden], [*op.FieldError],
// [*KeyReusedError], or what the database says (see [db.IsUnavailable]). After an
// error nothing was queued, except after [db.ErrOutcomeUnknown]: ask again with
// the same key to learn it.
func (g *Gate) Start(ctx context.Context, actor access.Actor, req op.Request) (op.Result, error) {
	def, err := catalogue.Lookup(req.Kind)
	if err != nil {
		return op.Result{}, err
	}
	// Refusals of the caller must not queue for the one writer.
	var canonical json.RawMessage
	err = g.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		canonical, err = g.admitCaller(ctx, tx, actor, req, def)
		return err
	})
	if err != nil {
		return op.Result{}, err
	}

	ids := [2]string{newID(), newID()} // attempt, run: the same in every try
	var decided *decision              // a decided blocked stays, whatever a retry would see
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
			decided = nil // by the next try the other press with this key has its answer
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

// expiredError ends a start's transaction because the scope's holder is gone. It
// is reaped in a transaction of its own: the end of a run takes the audit trail's
// head, and a start that went on from there would take every other lock after it.
type expiredError struct{ holder *ledger.Claim }

func (e *expiredError) Error() string { return "the holder's lease and quarantine have passed" }

// reap ends the run of an expired holder, unless it lives after all or someone
// else was quicker.
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

// heal removes a slot that no living run holds. When it fails the next round of
// the house does it.
func (g *Gate) heal(ctx context.Context, c *ledger.Claim) {
	err := g.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return ending.Healed(ctx, tx, c) })
	switch {
	case errors.Is(err, ledger.ErrFenced):
	case err != nil:
		g.cfg.Logger.WarnContext(ctx, "could not free a connection that no living run holds", "connection", c.Scope, "error", err)
	default:
		g.cfg.Logger.ErrorContext(ctx, "a connection was held by no living run; freed it", "connection", c.Scope, "run", c.RunID)
	}
}

// Preflight returns what Start would answer now, and writes nothing. An accepted
// answer carries no run.
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

// admitCaller refuses callers and shapes, in that order.
func (g *Gate) admitCaller(ctx context.Context, tx db.Tx, actor access.Actor, req op.Request, def *catalogue.Definition) (json.RawMessage, error) {
	if _, err := access.Authorize(ctx, tx, actor, req.Tenant, def.Capability); err != nil {
		return nil, err
	}
	if len(req.Key) > maxKey {
		return nil, &op.FieldError{Field: "Idempotency-Key", Detail: fmt.Sprintf("may have %d characters at most, not %d", maxKey, len(req.Key))}
	}
	return def.Canonical(req.Parameters)
}

// maxKey bounds an idempotency key, in bytes.
const maxKey = 200

// press is one start on its way through a transaction.
type press struct {
	gate      *Gate
	tx        db.Tx
	actor     access.Actor
	req       op.Request
	def       *catalogue.Definition
	canonical json.RawMessage
	attempt   string
	run       string
	dry       bool // nothing may be written

	ta     access.TenantAccess
	now    time.Time
	target store.Resolved
	print  string // fingerprint
}

// decision is an answer with what its record needs.
type decision struct {
	result   op.Result
	replayed bool // the first answer stands; no new attempt
	joined   bool // the press is pinned to its key
	holder   *ledger.Claim
	broken   *ledger.Claim // a slot without a living run, to be healed
	print    string
	target   *op.Target
	facts    string
}

// open authorizes the press in this transaction and reads database time.
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

// decide goes through the order of the decision; the first decisive answer wins.
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
		// The holder ended, or the connection changed, since it was read: decide again.
	}
	return p.blocked([]op.Cause{{Code: op.PrecheckUnavailable, Phase: op.Admission, Args: op.Args{"reference": p.req.RequestID}}}, nil), nil
}

// resolve pins the target connection.
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

// blockers returns everything that has to be mended first.
func (p *press) blockers(ctx context.Context) ([]op.Cause, error) {
	c, id := p.target.Connection, ""
	if c != nil {
		id = c.ID
	}
	causes, err := p.def.Judge(ctx, catalogue.Question{
		Tenant: p.ta.Tenant, Target: catalogue.Target{Connection: c, Count: p.target.Count}, Parameters: p.canonical, Phase: op.Admission, Now: p.now,
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
		case name != c.Name: // two of one name can't be told apart by it
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

// facts are what every answer to this press carries.
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

// TargetOf freezes a connection as runs and answers name it.
func TargetOf(c tenancy.Connection) *op.Target {
	return &op.Target{
		ConnectionID: c.ID, Slug: c.Slug, Version: c.Version, Provider: c.Provider,
		Short: c.Name, Name: c.FullName(), Directory: c.DirectoryID,
	}
}

// known is what the decision rested on and since when, for the record.
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

// visible names a holder to the actor, or nil when the actor may not open it: the
// run belongs to a connection of this very tenant, so that being allowed to look
// at the tenant decides.
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

// expiring reports that nobody works on the run any more: its lease has run out,
// or someone released it.
func (p *press) expiring(c *ledger.Claim) bool {
	return c.Lease != nil && c.Lease.Before(p.now) || c.Released()
}

// holder reads the slot of the target's scope; nil when it is free.
func (p *press) holder(ctx context.Context) (*ledger.Claim, error) {
	if p.target.Connection == nil {
		return nil, nil
	}
	return ledger.OfScope(ctx, p.tx, p.target.Connection.ID)
}

// held answers a start on a scope that is taken, or returns an [*expiredError].
func (p *press) held(c *ledger.Claim) (*decision, error) {
	busy := func(code op.Reason, args op.Args) (*decision, error) {
		if args == nil {
			args = op.Args{}
		}
		args["connection"], args["tenant"] = p.target.Connection.Name, p.ta.Tenant.Name
		return p.decision(op.BusyResult(p.facts(), op.Cause{Code: code, Phase: op.Admission, Args: args}, p.visible(c)), c), nil
	}
	if c.State == "" { // a slot without a living run: fail closed, and heal
		d := p.decision(op.BusyResult(p.facts(), op.Cause{Code: op.ScopeInconsistent, Phase: op.Admission, Args: op.Args{
			"connection": p.target.Connection.Name, "tenant": p.ta.Tenant.Name, "reference": p.req.RequestID,
		}}, nil), nil)
		d.broken = c
		return d, nil
	}
	if p.expiring(c) {
		release := c.Lease.Add(p.gate.cfg.Quarantine)
		if release.Before(p.now) && p.gate.cfg.Silent(c.RunID, c.Fence, c.Heartbeat) {
			if p.dry { // a start would free it and go on
				return p.decision(op.ReadyResult(p.facts()), nil), nil
			}
			return nil, &expiredError{c}
		}
		return busy(op.ScopeQuarantined, op.Args{"release_at": release.UTC().Format(time.RFC3339)})
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
		// Joining a run that one may not open would tell of it.
		return busy(op.OtherOperationActive, nil)
	case c.State == op.Running && c.ProgressAt != nil && p.now.Sub(*c.ProgressAt) > p.gate.cfg.StallAfter:
		return busy(op.HolderStalled, op.Args{"last_seen": c.ProgressAt.UTC().Format(time.RFC3339)})
	case c.Operation == p.def.Kind:
		return busy(op.SameOperationDifferentParameters, op.Args{"differences": differences(p.canonical, c.Parameters)})
	}
	return busy(op.OtherOperationActive, nil)
}

// admit takes the scope. A nil decision means that the world has moved: decide again.
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

// newID returns an id for a row. Ids are not secrets.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
