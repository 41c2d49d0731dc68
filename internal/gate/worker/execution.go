package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/stored"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Why an execution stops before its operation is through.
var (
	errLost     = errors.New("the run is no longer ours")
	errStopping = errors.New("the run is being stopped")
	errLimit    = errors.New("the run has reached its time limit")
	errDraining = errors.New("this process is being stopped")
)

// execution is one dispatch of one run in this process.
type execution struct {
	w      *Worker
	def    *catalogue.Definition
	claim  *ledger.Claim // as it was when the run began
	job    int64
	pinned store.Pinned
	log    *slog.Logger
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	changes changes
	left    []op.Item       // which this try did not reach
	token   *provider.Token // once we have signed in
}

// work runs the operation and ends the run.
func (x *execution) work(ctx context.Context) {
	// River's context ends when the process is killed hard; ours ends for a reason.
	run, cancel := context.WithCancelCause(ctx)
	x.cancel = cancel
	var beats sync.WaitGroup
	beats.Go(func() { x.beat(run) })
	x.w.attend(x, true)
	err := x.operate(run)
	x.w.attend(x, false)
	if cause := context.Cause(run); err != nil && cause != nil {
		err = cause // what the operation says then is only an echo
	}
	cancel(nil)
	beats.Wait()
	x.finish(context.WithoutCancel(ctx), err)
}

// operate signs in and runs the operation. A panic is our own fault and ends the
// run as such, not the process.
func (x *execution) operate(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.log.ErrorContext(ctx, "operation panicked", "operation", x.def.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("operation %s panicked", x.def.Kind)
		}
	}()
	credential, none, err := x.credential(ctx)
	if err != nil {
		return err
	}
	client, err := x.w.cfg.Connect(Connect{
		Connection: x.pinned.Connection, Credential: credential, NoCredential: none,
		Interactive: x.def.Interactive, Before: x.before,
	})
	if err != nil {
		return err
	}
	if x.def.SignsIn {
		if err := x.signIn(ctx, client); err != nil {
			return err
		}
	}
	writer, _ := client.(provider.Writer)
	return x.def.Run(ctx, &catalogue.Env{
		Run:        x.view(),
		Directory:  x.pinned.Connection.DirectoryID,
		Domain:     x.pinned.Tenant.Domain,
		Consented:  x.pinned.Connection.Consent == tenancy.ConsentGranted,
		Parameters: x.claim.Parameters,

		CredentialKind: x.pinned.Connection.Credential.Words(),

		Provider: client,
		Data:     data{x},
		Report:   report{x},
		Journal:  journaling{x},
		Writer:   writing{x, writer},
		Now:      time.Now,
	})
}

// signIn gets a token and holds it against what the run was accepted for.
func (x *execution) signIn(ctx context.Context, client provider.Client) error {
	token, err := client.Token(ctx)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.token = &token
	x.mu.Unlock()
	if token.Directory != x.pinned.Connection.DirectoryID {
		return &provider.Error{Reason: op.TenantMismatch, Proven: true, Directory: token.Directory, At: time.Now()}
	}
	if len(token.Roles) == 0 { // the token endpoint calls that a success
		return &provider.Error{Reason: op.ConsentMissing, Proven: true, Note: "the token carries no permissions", At: time.Now()}
	}
	if missing := catalogue.Missing(x.def.Needed(x.claim.Parameters), token.Roles); len(missing) > 0 {
		return &provider.Error{Reason: op.PermissionMissing, Permissions: missing, Granted: token.Roles, At: time.Now()}
	}
	return x.identify(ctx, client)
}

// identify holds the organization that the connection opens against the one that
// the run was accepted for: the token says so, and the provider has to agree. A
// connection that may not read it is known by its token alone.
func (x *execution) identify(ctx context.Context, client provider.Client) error {
	id, _, err := catalogue.Organization(ctx, client)
	var pe *provider.Error
	switch {
	case errors.As(err, &pe) && pe.Reason == op.PermissionMissing:
		return nil
	case err != nil:
		return err
	case id != x.pinned.Connection.DirectoryID:
		return &provider.Error{Reason: op.TenantMismatch, Proven: true, Directory: id, At: time.Now()}
	}
	return nil
}

// view is the run as its operation sees it.
func (x *execution) view() op.Run {
	c := x.claim
	return op.Run{
		ID: c.RunID, Code: c.Code, Operation: c.Operation, Surface: c.Surface, State: op.Running, Target: c.Target,
		Tenant:    op.Tenant{ID: x.pinned.Tenant.ID, Slug: x.pinned.Tenant.Slug, Name: x.pinned.Tenant.Name},
		Initiator: c.Initiator, Parameters: c.Parameters, Dispatch: c.Dispatch, Fence: c.Fence, AcceptedAt: c.AcceptedAt,
		BeganAt: c.BeganAt, // nil in the first dispatch: what is fresher than that is this run's own
	}
}

// beat renews the lease until ctx ends, and ends the execution when the run is no
// longer ours, is being stopped, or has reached its limit.
func (x *execution) beat(ctx context.Context) {
	tick := time.NewTicker(x.w.cfg.Heartbeat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.w.draining:
			if x.def.Recovery != catalogue.Never {
				x.halt(errDraining)
			}
			<-ctx.Done() // what goes on is waited for; a process that is stopped for good leaves it to the reaper
			return
		case <-tick.C:
		}
		c, err := x.renew(ctx)
		switch {
		case errors.Is(err, ledger.ErrFenced):
			x.cancel(errLost)
			return
		case ctx.Err() != nil: // the operation is through
			return
		case err != nil:
			x.log.WarnContext(ctx, "could not renew the lease", "error", err)
			if time.Since(last) > x.w.cfg.Lease {
				x.cancel(errLost) // we can't prove that it is still ours
				return
			}
			continue
		}
		last = time.Now()
		if x.heed(c) {
			return
		}
	}
}

// heed ends the execution when c, the run's claim as it is now, says so: in the middle
// of a call, or after the items that it has begun to change.
func (x *execution) heed(c *ledger.Claim) bool {
	stop := x.stopped(c)
	return stop != nil && x.halt(stop)
}

func (x *execution) renew(ctx context.Context) (c *ledger.Claim, err error) {
	err = x.w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err = ledger.Beat(ctx, tx, x.claim.RunID, x.claim.Fence, x.w.cfg.Lease)
		return err
	})
	return c, err
}

// stopped tells why the execution has to stop; nil to go on.
func (x *execution) stopped(c *ledger.Claim) error {
	switch {
	case c == nil || c.Fence != x.claim.Fence:
		return errLost
	case c.State == op.Cancelling:
		return errStopping
	case c.RunUntil != nil && c.Now.After(*c.RunUntil):
		return errLimit
	}
	return nil
}

// before looks at the run right before a provider call, since the provider can't
// check our fence: no call begins for a run that is not ours, and none outlasts
// the lease, the run's limit or the operation's limit for a call. It is read again each time because a suspended machine stops our
// clock, not the lease.
func (x *execution) before(ctx context.Context) (time.Time, error) {
	if err := context.Cause(ctx); err != nil {
		return time.Time{}, err
	}
	var c *ledger.Claim
	err := x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		c, err = ledger.OfRun(ctx, tx, x.claim.RunID)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if stop := x.stopped(c); stop != nil && x.halt(stop) {
		return time.Time{}, stop
	}
	if c.Lease == nil || c.Lease.Sub(c.Now) < 2*x.w.cfg.CallMargin {
		if c, err = x.renew(ctx); errors.Is(err, ledger.ErrFenced) {
			x.cancel(errLost)
			return time.Time{}, errLost
		} else if err != nil {
			return time.Time{}, err
		}
	}
	left := min(c.Lease.Sub(c.Now)-x.w.cfg.CallMargin, x.def.CallLimit)
	if c.RunUntil != nil && !x.inItem() {
		left = min(left, c.RunUntil.Sub(c.Now))
	}
	return time.Now().Add(left), nil
}

// finish ends the run with what came of it, or hands it back to the queue. It
// tries again while the database is away, until the lease must have run out.
func (x *execution) finish(ctx context.Context, err error) {
	if errors.Is(err, errLost) {
		x.note(ctx, "")
		return
	}
	giveUp := time.Now().Add(x.w.cfg.Lease)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		werr := ledger.Write(ctx, x.w.db, func(ctx context.Context, tx db.Tx) error { return x.settle(ctx, tx, err) })
		switch {
		case werr == nil:
			return
		case errors.Is(werr, ledger.ErrFenced):
			x.note(ctx, summary(err))
			return
		case time.Now().After(giveUp):
			x.log.ErrorContext(ctx, "could not end the run; the reaper will", "error", werr)
			return
		}
		x.log.WarnContext(ctx, "could not end the run; trying again", "error", werr)
		<-time.After(wait) // ctx outlives the process's stop: the lease bounds the waiting
	}
}

// summary is the one word that a late report is kept as.
func summary(err error) op.Reason {
	if err == nil {
		return ""
	}
	return provider.Classify(err)
}

// note keeps the late word of a worker that had lost its run. It changes nothing.
func (x *execution) note(ctx context.Context, late op.Reason) {
	x.log.WarnContext(ctx, "a worker reported for a run that it had lost", "late", late)
	err := x.w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Event(ctx, tx, x.claim.RunID, x.claim.Fence, op.EventLate, string(late))
	})
	if err != nil {
		x.log.WarnContext(ctx, "could not keep the late note", "error", err)
	}
}

// data keeps what the operation read, each write under the run's fence.
type data struct{ x *execution }

// write runs fn in a transaction that begins with the fence.
func (x *execution) write(ctx context.Context, fn func(context.Context, db.Tx) error) error {
	return x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := ledger.Guard(ctx, tx, x.claim.RunID, x.claim.Fence); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

func (x *execution) dataset(name string) mirror.Key {
	return mirror.Key{
		Workspace: x.claim.Workspace, Tenant: x.claim.Tenant, Connection: x.claim.Scope, Name: name, Run: x.claim.RunID,
	}
}

func (d data) Dataset(ctx context.Context, name string) (out catalogue.Dataset, err error) {
	err = d.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		ds, err := mirror.DatasetOf(ctx, tx, d.x.dataset(name))
		out = stored.Known(ds)
		return err
	})
	return out, err
}

func (d data) Begin(ctx context.Context, name string, full bool) (catalogue.Round, error) {
	r := &round{x: d.x, key: d.x.dataset(name)}
	err := d.x.write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		r.generation, err = mirror.BeginRound(ctx, tx, r.key, full)
		return err
	})
	return r, err
}

func (d data) Stale(ctx context.Context, name string, why op.Reason) error {
	return d.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return mirror.MarkStale(ctx, tx, d.x.dataset(name), why)
	})
}

func (d data) Learn(ctx context.Context, f catalogue.Facts) error {
	var checks json.RawMessage
	if len(f.Checks) > 0 {
		var err error
		if checks, err = json.Marshal(f.Checks); err != nil {
			return fmt.Errorf("verification report: %w", err)
		}
	}
	return d.x.learn(ctx, store.Learned{
		Run: d.x.claim.RunID, Checks: checks, Verdict: f.Verdict, Reason: f.Reason,
		Consent: f.Consent, Credential: f.Credential, SignIn: f.SignIn, Directory: f.Directory, Permissions: f.Permissions,
		CredentialVersion: d.x.pinned.Connection.CredentialVersion,
	})
}

// learn stores facts about the connection: its row is locked before the slot, in
// the order in which everybody else takes the two.
func (x *execution) learn(ctx context.Context, l store.Learned) error {
	return x.record(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := store.Learn(ctx, tx, x.claim.Scope, l); err != nil {
			return err
		}
		return ledger.Guard(ctx, tx, x.claim.RunID, x.claim.Fence)
	})
}

type round struct {
	x          *execution
	key        mirror.Key
	generation int64
}

func (r *round) Put(ctx context.Context, rows []catalogue.Row) error {
	out := make([]mirror.Record, len(rows))
	for i, row := range rows {
		out[i] = mirror.Record{ID: row.ID, Name: row.Name, Type: row.Type, ModifiedAt: row.ModifiedAt, Data: row.Data}
	}
	for batch := range mirror.Batches(out) {
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
			return mirror.PutRows(ctx, tx, r.key, r.generation, batch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) Remove(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		var done int
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
			done, err = mirror.RemoveRows(ctx, tx, r.key, r.generation, ids)
			return err
		})
		if err != nil {
			return err
		}
		ids = ids[done:]
	}
	return nil
}

func (r *round) PutMembers(ctx context.Context, members []catalogue.Member) error {
	return r.members(ctx, members, mirror.PutMembers)
}

func (r *round) RemoveMembers(ctx context.Context, members []catalogue.Member) error {
	return r.members(ctx, members, mirror.RemoveMembers)
}

// members does something with members of groups, batch by batch.
func (r *round) members(ctx context.Context, members []catalogue.Member, do func(context.Context, db.Tx, int64, []mirror.Member) error) error {
	list := make([]mirror.Member, len(members))
	for i, m := range members {
		list[i] = mirror.Member{Group: m.Group, Member: m.ID, Type: m.Type}
	}
	for batch := range mirror.MemberBatches(list) {
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return do(ctx, tx, r.generation, batch) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) Commit(ctx context.Context, end catalogue.Committed) (out catalogue.Dataset, err error) {
	err = r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		d, err := mirror.CommitRound(ctx, tx, r.key, r.generation, mirror.Committed{Delta: end.Delta, Unreadable: end.Unreadable})
		out = stored.Known(d)
		return err
	})
	return out, err
}

// report tells readers what the run is doing, each write under its fence.
type report struct{ x *execution }

func (r report) Progress(ctx context.Context, c op.Counts) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Progress(ctx, tx, r.x.claim.RunID, c)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}

func (r report) Item(ctx context.Context, it op.Item) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Item(ctx, tx, r.x.claim.RunID, r.x.claim.Fence, it)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}

func (r report) NotReached(items []op.Item) {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	r.x.left = items
}

func (r report) Event(ctx context.Context, text string) error {
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Event(ctx, tx, r.x.claim.RunID, r.x.claim.Fence, op.EventStep, text)
	})
	r.x.w.cfg.Changed(r.x.claim.Change())
	return err
}

// credential opens what the connection signs in with, or tells why it can't be.
func (x *execution) credential(ctx context.Context) (secret vault.Secret, none op.Reason, err error) {
	if x.pinned.Connection.Credential == "" {
		return secret, op.CredentialMissing, nil
	}
	err = x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		secret, err = x.w.store.Credential(ctx, tx, access.ForRun(x.claim.Workspace, x.claim.Tenant), x.pinned.Connection)
		return err
	})
	var wrong *vault.WrongKeyError
	if errors.As(err, &wrong) { // the key was changed since the run began: for another node to read
		return secret, "", wrong
	}
	if errors.Is(err, store.ErrUnreadable) {
		x.log.ErrorContext(ctx, "a credential can't be read", "connection", x.claim.Scope, "error", err)
		return secret, op.CredentialUnreadable, nil
	}
	return secret, "", err
}
