package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/journal"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// settle turns the operation's result into the run's next state. The caller's
// transaction holds what was learnt about the connection, the transition, the
// notification and the job.
func (x *execution) settle(ctx context.Context, tx db.Tx, err error) error {
	if lesson := x.lesson(err); lesson != nil {
		if lerr := store.Learn(ctx, tx, x.claim.Connection, *lesson); lerr != nil && !errors.Is(lerr, op.ErrNotFound) {
			return lerr
		}
	}
	c, rerr := ledger.OfRun(ctx, tx, x.claim.RunID)
	if rerr != nil {
		return rerr
	}
	if c == nil || c.Fence != x.claim.Fence {
		return ledger.ErrFenced
	}
	if err == nil { // it is done, even if a cancel came at the last moment
		end, err := x.fromItems(ctx, tx, c)
		if err != nil {
			return err
		}
		return x.end(ctx, tx, c, end)
	}
	if c.State == op.Cancelling {
		if c.CancelReason != "" {
			cause := x.cause(c, c.CancelReason, nil)
			cause.Args["actor"] = c.CancelBy
			return x.end(ctx, tx, c, ledger.End{Outcome: op.RunFailed, Cause: cause})
		}
		return x.end(ctx, tx, c, ledger.End{Outcome: op.RunCancelled})
	}
	if wait, again := x.again(c, err); again {
		return x.requeue(ctx, tx, c, wait)
	}
	reason := x.reason(err)
	if reason == op.InternalFault {
		x.log.ErrorContext(ctx, "operation failed by a fault of ours", "operation", x.def.Kind, "error", err)
	}
	return x.end(ctx, tx, c, ledger.End{Outcome: op.RunFailed, Cause: x.cause(c, reason, err)})
}

// end stores the items that were not reached and ends the run.
func (x *execution) end(ctx context.Context, tx db.Tx, c *ledger.Claim, e ledger.End) error {
	x.mu.Lock()
	left := x.left
	x.mu.Unlock()
	if x.def.Recovery == catalogue.Resume && len(left) > 0 { // items of earlier dispatches stay true
		stored, err := ledger.Keys(ctx, tx, c.RunID)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(slices.Clone(left), func(it op.Item) bool { return stored[it.Key] })
	}
	for _, it := range left {
		if err := ledger.Item(ctx, tx, c.RunID, c.Fence, it); err != nil {
			return err
		}
	}
	return ending.Run(ctx, tx, c, e)
}

// fromItems computes the outcome of a run whose operation returned without an error,
// from the stored items. Items of earlier dispatches count, unless this dispatch began
// from the start. Open steps become items with an unknown result first.
func (x *execution) fromItems(ctx context.Context, tx db.Tx, c *ledger.Claim) (ledger.End, error) {
	if err := ledger.Guard(ctx, tx, c.RunID, c.Fence); err != nil {
		return ledger.End{}, err
	}
	if err := journal.Close(ctx, tx, c); err != nil {
		return ledger.End{}, err
	}
	if x.def.Recovery == catalogue.Again && x.claim.BeganAt != nil { // this is not the first dispatch
		if err := ledger.Forget(ctx, tx, c.RunID, c.Fence); err != nil {
			return ledger.End{}, err
		}
	}
	r, err := ledger.ResultsOf(ctx, tx, c.RunID)
	switch {
	case err != nil:
		return ledger.End{}, err
	case r.Bad == 0:
		return ledger.End{Outcome: op.RunSucceeded}, nil
	case r.Good > 0, r.InDoubt > 0: // a change in doubt may have been made
		return ledger.End{Outcome: op.RunPartial}, nil
	}
	code := r.First.Reason
	switch code { //nolint:exhaustive // reasons of items for which a run has one of its own
	case op.ItemRefused:
		code = op.ProviderRejected
	case op.ChangedSincePreview, op.LeftOutOfPlan, op.DependencyMissing, op.ApprovalWanted:
		code = op.NothingWritten
	}
	cause := x.cause(c, code, nil)
	maps.Copy(cause.Args, r.First.Args)
	cause.Evidence = r.First.Evidence
	return ledger.End{Outcome: op.RunFailed, Cause: cause}, nil
}

// again decides whether the run goes back to the queue, and how it waits there.
func (x *execution) again(c *ledger.Claim, err error) (w ledger.Wait, again bool) {
	w = ledger.Wait{QueueLimit: x.def.QueueLimit, Counts: true}
	resume := x.def.Recovery == catalogue.Resume
	if x.def.Recovery == catalogue.Never {
		return w, false
	}
	if errors.Is(err, errDraining) {
		w.Counts = !resume
		return w, true // our stop is not the run's failure
	}
	var wrong *vault.WrongKeyError
	if errors.As(err, &wrong) {
		w.For = elsewhere
		return w, true // nor is a key that only another node has
	}
	var pe *provider.Error
	temporary := errors.As(err, &pe) && pe.Temporary || db.IsUnavailable(err)
	if !temporary {
		return w, false
	}
	w.For = x.w.cfg.Backoff << (c.Dispatch - 1)
	w.Why = op.InternalFault
	if pe != nil {
		w.Why = pe.Reason
		if pe.RetryAfter > 0 {
			w.For = pe.RetryAfter
		}
		if pe.RetryAfter > 0 && (pe.Reason == op.ProviderThrottled || resume) {
			// The provider says when, or nothing is lost, so this is no failure: only the run's time
			// limit ends it. A provider that always asks for a moment is not asked all the time.
			w.For, w.Counts = max(pe.RetryAfter, x.w.cfg.Backoff), false
		}
	}
	if w.Counts && c.Dispatch >= int64(x.def.MaxDispatch) {
		return w, false
	}
	if c.RunUntil != nil && c.Now.Add(w.For).After(*c.RunUntil) {
		return w, false // it could begin only after its time limit
	}
	return w, true
}

func (x *execution) requeue(ctx context.Context, tx db.Tx, c *ledger.Claim, w ledger.Wait) error {
	fence, err := ledger.Requeue(ctx, tx, c, w)
	if err != nil {
		return err
	}
	if err := x.w.send(ctx, tx, c, fence, w.For); err != nil {
		return err
	}
	if err := queue.Complete(ctx, tx, x.job); err != nil {
		return err
	}
	return ledger.Event(ctx, tx, c.RunID, fence, op.EventWaiting, string(w.Why))
}

// send inserts a job for a queued run with its new fence.
func (w *Worker) send(ctx context.Context, tx db.Tx, c *ledger.Claim, fence int64, wait time.Duration) error {
	var at time.Time
	if wait > 0 {
		at = time.Now().Add(wait)
	}
	job, err := w.queue.Insert(ctx, tx, queue.Args{RunID: c.RunID, Fence: fence}, at)
	if err != nil {
		return err
	}
	return ledger.Sent(ctx, tx, c.RunID, fence, job)
}

// reason returns the run's reason for err.
func (x *execution) reason(err error) op.Reason {
	switch {
	case errors.Is(err, errLimit):
		return op.TimeLimit
	case errors.Is(err, errMayNot):
		return op.AuthorizationLost
	}
	reason, _ := x.refusal(err)
	return reason
}

// refusal returns the reason and the facts of err, as items of the run have them.
func (x *execution) refusal(err error) (op.Reason, op.Args) {
	return catalogue.Refusal(err, x.def.Needed(x.claim.Parameters), x.pinned.Connection.Consent == tenancy.ConsentGranted)
}

// cause returns a reason with the facts that its sentence names and with the provider's
// answer.
func (x *execution) cause(c *ledger.Claim, code op.Reason, err error) *op.Cause {
	conn := x.pinned.Connection
	args := op.Args{
		"connection": c.Target.Short, "tenant": x.pinned.Tenant.Name, "provider": c.Target.Provider,
		"credential_kind": conn.Credential.Words(), "limit": x.def.RunLimit.String(), "reference": c.Code,
		"starter": c.Initiator.Name, "revoked_on": c.Now.Format(time.RFC3339), "checked_at": c.Now.Format(time.RFC3339), "expected_directory": conn.DirectoryID,
	}
	cause := &op.Cause{Code: code, Phase: op.Execution, Args: args}
	if err == nil {
		return cause
	}
	_, facts := x.refusal(err)
	maps.Copy(args, facts)
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return cause
	}
	if pe.RetryAfter > 0 { // by our clock, which decides when it is tried again
		args["retry_at"] = c.Now.Add(pe.RetryAfter).Format(time.RFC3339)
	}
	if pe.RetryAfter == 0 && c.Dispatch >= int64(x.def.MaxDispatch) {
		args["tries"] = strconv.FormatInt(c.Dispatch, 10)
	}
	if pe.RequestID != "" {
		args["provider_request"] = pe.RequestID
	}
	cause.Evidence = pe.Evidence()
	return cause
}

// lesson returns what the run proved about its connection; nil when it proved nothing.
// The next start is judged by it: blocked at once by what is wrong, and not blocked by
// what a successful sign-in has disproved. Of failures, only answers that prove a lasting
// state count. An operation that does not set Learns reports its own findings.
func (x *execution) lesson(err error) *store.Learned {
	if !x.def.Learns {
		return nil
	}
	l := store.Learned{Run: x.claim.RunID, CredentialVersion: x.pinned.Connection.CredentialVersion, AsOf: x.claim.Now}
	x.mu.Lock()
	token := x.token
	x.mu.Unlock()
	learnt := token != nil
	if token != nil {
		good, granted, none := tenancy.CredentialOK, tenancy.ConsentGranted, op.Reason("")
		l.Credential, l.SignIn, l.Directory = &good, &none, &token.Directory
		if token.Directory == x.pinned.Connection.DirectoryID { // permissions in another directory say nothing
			l.Permissions = &token.Roles
			if len(token.Roles) > 0 {
				l.Consent = &granted
			}
		}
	}
	var pe *provider.Error
	if !errors.As(err, &pe) || !pe.Proven {
		if learnt {
			return &l
		}
		return nil
	}
	switch reason := pe.Reason; reason { //nolint:exhaustive // the others prove nothing lasting about the connection
	case op.ConsentMissing:
		gone := tenancy.ConsentMissing // the store turns it into "revoked" if it was granted before
		l.Consent, l.Permissions, learnt = &gone, nil, true
	case op.CredentialUnreadable:
		unreadable := tenancy.CredentialUnreadable
		l.Credential, learnt = &unreadable, true
	case op.TenantMismatch:
		l.Directory, learnt = &pe.Directory, true
	default:
		if catalogue.SignInRefusal(reason) {
			l.SignIn, l.Credential, learnt = &reason, nil, true
		}
	}
	if !learnt {
		return nil
	}
	return &l
}
