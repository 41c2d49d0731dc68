package httpx

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
)

// pendingCookie holds the secret of a sign-in that waits for a second factor or a passkey.
// It is not a session: see [access.SecondFactorError].
const pendingCookie = "__Host-interlock-sign-in"

// SetPending sets the cookie of a pending sign-in.
func SetPending(w http.ResponseWriter, secret string) {
	http.SetCookie(w, cookie(pendingCookie, secret, int((10*time.Minute).Seconds())))
}

// ForgetPending deletes the cookie of a pending sign-in.
func ForgetPending(w http.ResponseWriter) { http.SetCookie(w, cookie(pendingCookie, "", -1)) }

// PendingSecret returns the secret of the pending sign-in, or "".
func PendingSecret(r *http.Request) string { return cookieValue(r, pendingCookie) }

// Fresh returns an error unless the sign-in of a is fresh; see [access.RequireFresh].
func (d *Door) Fresh(ctx context.Context, a access.Actor) error {
	return d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error { return access.RequireFresh(ctx, tx, a) })
}

// Confirm makes the sign-in of a fresh; see [access.Factors.Confirm].
func (d *Door) Confirm(ctx context.Context, a access.Actor, p access.Proof) (secret string, err error) {
	return d.factors.Confirm(ctx, d.db, d.limits, a, p)
}

// ConfirmKinds returns the second factors that a can confirm with; empty: the password.
func (d *Door) ConfirmKinds(ctx context.Context, a access.Actor) (kinds []access.FactorKind, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		kinds, err = access.ConfirmKinds(ctx, tx, a)
		return err
	})
	return kinds, err
}

// AskConfirm returns the passkey request for the browser of a; see [access.Factors.AskConfirm].
func (d *Door) AskConfirm(ctx context.Context, a access.Actor) (json.RawMessage, error) {
	return d.factors.AskConfirm(ctx, d.db, a)
}

// Keep seals a form while its sender confirms their sign-in; see [access.Factors.Keep].
func (d *Door) Keep(a access.Actor, path string, values url.Values) (string, error) {
	return d.factors.Keep(a, path, values)
}

// Kept returns the form that Keep sealed.
func (d *Door) Kept(a access.Actor, path, sealed string) (url.Values, error) {
	return d.factors.Kept(a, path, sealed)
}

// WaitingSignIn returns the sign-in that is waiting for a second factor.
func (d *Door) WaitingSignIn(ctx context.Context, pending string) (access.Waiting, error) {
	return access.WaitingSignIn(ctx, d.db, pending)
}

// AskPasskey returns the passkey request of a pending sign-in.
func (d *Door) AskPasskey(ctx context.Context, pending string) (json.RawMessage, error) {
	return d.factors.AskPasskey(ctx, d.db, pending)
}

// FinishSignIn opens the session of a pending sign-in; see [access.Factors.FinishSignIn].
func (d *Door) FinishSignIn(ctx context.Context, pending string, p access.Proof) (secret string, s access.Session, err error) {
	return d.factors.FinishSignIn(ctx, d.db, d.limits, pending, p)
}

// AskAnyPasskey begins a sign-in with only a passkey.
func (d *Door) AskAnyPasskey(ctx context.Context) (pending string, options json.RawMessage, err error) {
	return d.factors.AskAnyPasskey(ctx, d.db)
}

// SignInByPasskey opens a session; see [access.Factors.SignInByPasskey].
func (d *Door) SignInByPasskey(ctx context.Context, in access.PasskeySignIn) (secret string, s access.Session, err error) {
	return d.factors.SignInByPasskey(ctx, d.db, in)
}

// NoPasskeys returns why passkeys are not available here, or nil.
func (d *Door) NoPasskeys() error { return d.factors.NoPasskeys() }

// Security returns the second factors of a; see [access.OwnSecurity].
func (d *Door) Security(ctx context.Context, a access.Actor) (s access.Security, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		s, err = access.OwnSecurity(ctx, tx, a)
		return err
	})
	return s, err
}

// BeginTOTP creates an authenticator app for a; see [access.Factors.BeginTOTP].
func (d *Door) BeginTOTP(ctx context.Context, a access.Actor) (access.Enrolment, error) {
	return d.factors.BeginTOTP(ctx, d.db, a)
}

// WaitingTOTP returns the authenticator app of a that is waiting for its first code.
func (d *Door) WaitingTOTP(ctx context.Context, a access.Actor) (access.Enrolment, error) {
	return d.factors.WaitingTOTP(ctx, d.db, a)
}

// FinishTOTP makes the waiting authenticator app a second factor.
func (d *Door) FinishTOTP(ctx context.Context, a access.Actor, name, code string) (codes []string, err error) {
	return d.factors.FinishTOTP(ctx, d.db, a, name, code)
}

// BeginPasskey returns the request for a new passkey of a.
func (d *Door) BeginPasskey(ctx context.Context, a access.Actor) (json.RawMessage, error) {
	return d.factors.BeginPasskey(ctx, d.db, a)
}

// FinishPasskey stores the new passkey.
func (d *Door) FinishPasskey(ctx context.Context, a access.Actor, name, answer string) (codes []string, err error) {
	return d.factors.FinishPasskey(ctx, d.db, a, name, answer)
}

// RenameFactor renames one of a's second factors.
func (d *Door) RenameFactor(ctx context.Context, a access.Actor, id, name string) error {
	return access.RenameFactor(ctx, d.db, a, id, name)
}

// RemoveFactor removes one of a's second factors.
func (d *Door) RemoveFactor(ctx context.Context, a access.Actor, id string) error {
	return access.RemoveFactor(ctx, d.db, a, id)
}

// NewRecoveryCodes replaces a's recovery codes.
func (d *Door) NewRecoveryCodes(ctx context.Context, a access.Actor) ([]string, error) {
	return d.factors.NewRecoveryCodes(ctx, d.db, a)
}

// ResetFactors removes a member's second factors; see [access.ResetFactors].
func (d *Door) ResetFactors(ctx context.Context, a access.Actor, member string) error {
	return access.ResetFactors(ctx, d.db, a, member)
}

// EndOtherSessions ends all sessions of a but this one.
func (d *Door) EndOtherSessions(ctx context.Context, a access.Actor) error {
	return access.EndOtherSessions(ctx, d.db, a)
}

// Policy returns the sign-in policy of a's workspace.
func (d *Door) Policy(ctx context.Context, a access.Actor) (p access.Policy, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		p, err = access.WorkspacePolicy(ctx, tx, a)
		return err
	})
	return p, err
}

// SetPolicy changes the sign-in policy; see [access.SetPolicy].
func (d *Door) SetPolicy(ctx context.Context, a access.Actor, p access.Policy) error {
	return access.SetPolicy(ctx, d.db, a, p)
}
