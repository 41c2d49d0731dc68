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

// Why an execution stops before its operation has returned.
var (
	errLost     = errors.New("the run is no longer ours")
	errStopping = errors.New("the run is being stopped")
	errClosed   = errors.New("the run's connection may not be used any more")
	errMayNot   = errors.New("the starter of the run may not do this any more")
	errLimit    = errors.New("the run has reached its time limit")
	errDraining = errors.New("this process is being stopped")
)

// execution is one dispatch of one run in this process.
type execution struct {
	w      *Worker
	def    *catalogue.Definition
	claim  *ledger.Claim // as of the begin of this dispatch
	job    int64
	pinned store.Pinned
	log    *slog.Logger
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	changes changes
	left    []op.Item       // items that this dispatch did not reach
	token   *provider.Token // nil before sign-in
}

// work runs the operation and ends the run.
func (x *execution) work(ctx context.Context) {
	// River cancels its context on a hard stop only; ours carries the reason.
	run, cancel := context.WithCancelCause(ctx)
	x.cancel = cancel
	var beats sync.WaitGroup
	beats.Go(func() { x.beat(run) })
	x.w.attend(x, true)
	err := x.operate(run)
	x.w.attend(x, false)
	if cause := context.Cause(run); err != nil && cause != nil {
		err = cause // the operation's own error only repeats it
	}
	cancel(nil)
	beats.Wait()
	x.finish(context.WithoutCancel(ctx), err)
}

// operate signs in and runs the operation. A panic becomes an error of ours and does
// not end the process.
func (x *execution) operate(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.log.ErrorContext(ctx, "operation panicked", "operation", x.def.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("operation %s panicked", x.def.Kind)
		}
	}()
	began := time.Now()
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

		Provider:  client,
		Data:      data{x},
		Snapshots: snapshots{x},
		Backups:   backups{x},
		Report:    report{x},
		Journal:   journaling{x},
		Writer:    writing{x, writer},
		Plans:     planning{x},
		Now:       func() time.Time { return x.claim.Now.Add(time.Since(began)) }, // by the clock of the journal
	})
}

// signIn gets a token and compares it with the run's connection: its directory, and the
// permissions that the operation needs.
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
	if len(token.Roles) == 0 { // the token endpoint reports success all the same
		return &provider.Error{Reason: op.ConsentMissing, Proven: true, Note: "the token carries no permissions", At: time.Now()}
	}
	if missing := catalogue.Missing(x.def.Needed(x.claim.Parameters), token.Roles); len(missing) > 0 {
		return &provider.Error{Reason: op.PermissionMissing, Permissions: missing, Granted: token.Roles, At: time.Now()}
	}
	return x.identify(ctx, client)
}

// identify compares the organization that the provider returns with the connection's
// directory. A connection that may not read the organization passes: its token was
// checked.
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

// view returns the run as its operation sees it.
func (x *execution) view() op.Run {
	c := x.claim
	return op.Run{
		ID: c.RunID, Code: c.Code, Operation: c.Operation, Surface: c.Surface, State: op.Running, Target: c.Target,
		Tenant:    op.Tenant{ID: x.pinned.Tenant.ID, Slug: x.pinned.Tenant.Slug, Name: x.pinned.Tenant.Name},
		Initiator: c.Initiator, Parameters: c.Parameters, Dispatch: c.Dispatch, Fence: c.Fence, AcceptedAt: c.AcceptedAt,
		BeganAt: c.BeganAt, // nil in the first dispatch
	}
}

// finish ends the run or hands it back to the queue. It retries while the database is
// unavailable, for one lease.
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
		<-time.After(wait) // ctx outlives the stop of the process; giveUp ends the loop
	}
}

// summary is the reason that a late report is stored with; empty for success.
func summary(err error) op.Reason {
	if err == nil {
		return ""
	}
	return provider.Classify(err)
}

// note adds an event about a late report to the run's timeline. It changes nothing else.
func (x *execution) note(ctx context.Context, late op.Reason) {
	x.log.WarnContext(ctx, "a worker reported for a run that it had lost", "late", late)
	err := x.w.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ledger.Event(ctx, tx, x.claim.RunID, x.claim.Fence, op.EventLate, string(late))
	})
	if err != nil {
		x.log.WarnContext(ctx, "could not keep the late note", "error", err)
	}
}

// credential returns the connection's secret, or in none why there is no usable one.
func (x *execution) credential(ctx context.Context) (secret vault.Secret, none op.Reason, err error) {
	if x.pinned.Connection.Credential == "" {
		return secret, op.CredentialMissing, nil
	}
	err = x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		secret, err = x.w.store.Credential(ctx, tx, access.ForRun(x.claim.Workspace, x.claim.Tenant), x.pinned.Connection)
		return err
	})
	var wrong *vault.WrongKeyError
	if errors.As(err, &wrong) { // the key was changed since the run began: another node has it
		return secret, "", wrong
	}
	if errors.Is(err, store.ErrUnreadable) {
		x.log.ErrorContext(ctx, "a credential can't be read", "connection", x.claim.Connection, "error", err)
		return secret, op.CredentialUnreadable, nil
	}
	return secret, "", err
}
