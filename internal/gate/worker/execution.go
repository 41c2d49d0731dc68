package worker

import (
	"context"
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
