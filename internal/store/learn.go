package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Learned is what a run found out about its connection. A nil or empty field was not
// learned and leaves the stored value unchanged.
type Learned struct {
	Run         string               // id of the run
	Checks      json.RawMessage      // the steps of a verification
	Verdict     tenancy.Verification // missing: inconclusive, the last good verdict stays
	Reason      op.Reason            // of a failed verdict
	Consent     *tenancy.Consent
	Credential  *tenancy.CredentialState
	SignIn      *op.Reason // why the provider refuses the sign-in; empty: it does not
	Directory   *string    // the directory that signed in
	Permissions *[]string  // of the token
	// CredentialVersion is the version that Credential and SignIn are about; 0 is the
	// current one. Facts about a credential that has been replaced are dropped.
	CredentialVersion int64
	// AsOf is the earliest time at which the sign-in can have taken place; zero: just
	// now. Consent that was recorded after it stays unchanged.
	AsOf time.Time
}

// Learn stores what a run found out. It locks the connection's row, and raises its
// revision only when something changed that the gate judges by. Granted consent that
// is now missing counts as withdrawn. A connection that has been deleted is
// [op.ErrNotFound].
func Learn(ctx context.Context, tx db.Tx, connectionID string, l Learned) error {
	c, err := lockConnection(ctx, tx, connectionID)
	if err != nil {
		return fmt.Errorf("learn about the connection: %w", err)
	}
	at, err := now(ctx, tx)
	if err != nil {
		return fmt.Errorf("learn about the connection: %w", err)
	}

	if l.Consent != nil && *l.Consent == tenancy.ConsentGranted && c.ConsentAt != nil && !l.AsOf.IsZero() && c.ConsentAt.After(l.AsOf) {
		l.Consent = nil // a person withdrew it while the run was working
	}
	if l.SignIn != nil && *l.SignIn != "" && aboutCredential(*l.SignIn) {
		refused := tenancy.CredentialInvalid
		l.Credential = &refused
	}
	set := new(query.Query)
	set.Add(`UPDATE connections SET rev = rev + %s, judged_rev = 0`, rises(c, l)) // what is known is newer, at the least
	if l.Consent != nil {
		if next := consentAfter(c.Consent, *l.Consent); next != c.Consent {
			set.Add(`, consent = %s, consent_at = %s`, string(next), db.Micros(at))
		}
	}
	if l.Credential != nil && aboutCurrent(c, l) {
		set.Add(`, credential_state = %s, credential_checked_at = %s`, string(*l.Credential), db.Micros(at))
	}
	if l.SignIn != nil && aboutCurrent(c, l) {
		var refused *int64
		if *l.SignIn != "" {
			at := db.Micros(at)
			refused = &at
		}
		set.Add(`, sign_in_refusal = %s, sign_in_refused_at = %s`, string(*l.SignIn), refused)
	}
	if l.Directory != nil {
		set.Add(`, actual_directory_id = %s`, *l.Directory)
	}
	if l.Permissions != nil {
		permissions, err := json.Marshal(sorted(*l.Permissions))
		if err != nil {
			return fmt.Errorf("learn about the connection: %w", err)
		}
		set.Add(`, permissions = %s, permissions_at = %s`, string(permissions), db.Micros(at))
	}
	if l.decisive() {
		set.Add(`, verification = %s, verification_reason = %s, verified_at = %s`, string(l.Verdict), string(l.reason()), db.Micros(at))
	}
	set.Add(` WHERE id = %s`, connectionID)
	if _, err := tx.Exec(ctx, set.Text(), set.Args()...); err != nil {
		return fmt.Errorf("learn about the connection: %w", err)
	}
	if l.Checks == nil {
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO verification_reports (connection_id, workspace_id, tenant_id, run_id, verdict, reason, checks, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (connection_id) DO UPDATE SET run_id = excluded.run_id, verdict = excluded.verdict, reason = excluded.reason,
			checks = excluded.checks, at = excluded.at`,
		connectionID, c.WorkspaceID, c.TenantID, l.Run, string(l.Verdict), string(l.Reason), string(l.Checks), db.Micros(at))
	if err != nil {
		return fmt.Errorf("store the verification report: %w", err)
	}
	return nil
}

// consentAfter returns the consent to store when a verification has seen it as seen.
func consentAfter(before, seen tenancy.Consent) tenancy.Consent {
	if seen != tenancy.ConsentMissing {
		return seen
	}
	switch before {
	case tenancy.ConsentGranted, tenancy.ConsentRevoked:
		return tenancy.ConsentRevoked
	case tenancy.ConsentPending: // someone is at it
		return tenancy.ConsentPending
	case tenancy.ConsentUnknown, tenancy.ConsentMissing:
	}
	return tenancy.ConsentMissing
}

// decisive reports whether the verification reached a verdict.
func (l Learned) decisive() bool {
	return l.Verdict == tenancy.VerificationOK || l.Verdict == tenancy.VerificationFailed
}

// reason is the reason of a failed verdict.
func (l Learned) reason() op.Reason {
	if l.Verdict == tenancy.VerificationFailed {
		return l.Reason
	}
	return ""
}

// aboutCredential reports whether another credential fixes a refused sign-in.
func aboutCredential(r op.Reason) bool {
	return r == op.CredentialInvalid || r == op.CredentialExpired || r == op.CertificateNotRegistered || r == op.FederationMissing
}

func aboutCurrent(c tenancy.Connection, l Learned) bool {
	return l.CredentialVersion == 0 || l.CredentialVersion == c.CredentialVersion
}

// rises returns by how much the revision grows: 1 when the gate would judge c
// differently after l, else 0.
func rises(c tenancy.Connection, l Learned) int {
	if l.Consent != nil && consentAfter(c.Consent, *l.Consent) != c.Consent ||
		l.Credential != nil && aboutCurrent(c, l) && *l.Credential != c.CredentialState ||
		l.SignIn != nil && aboutCurrent(c, l) && string(*l.SignIn) != c.SignInRefusal ||
		l.Directory != nil && *l.Directory != c.ActualDirectoryID ||
		l.Permissions != nil && (c.PermissionsAt == nil || !slices.Equal(sorted(*l.Permissions), c.Permissions)) ||
		l.decisive() && (l.Verdict != c.Verification || string(l.reason()) != c.VerificationReason) {
		return 1
	}
	return 0
}

// sorted returns the distinct names in order; never nil.
func sorted(names []string) []string {
	out := append([]string{}, names...)
	slices.Sort(out)
	return slices.Compact(out)
}
