package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// FreshFor is how long a sign-in counts as fresh. Changes that can lock others out, give
// rights away, approve a restore or take a run away from its worker need a fresh one.
const FreshFor = 15 * time.Minute

var (
	// ErrNotFresh is returned for a change that needs a fresh sign-in, to a session whose
	// last sign-in or confirmation is older than [FreshFor].
	ErrNotFresh = errors.New("the sign-in is not fresh")
	// ErrNoSession is returned for the same to an API token: a token never has a
	// person behind it.
	ErrNoSession = errors.New("an API token can't do this")
)

// What needs a fresh sign-in, on every surface: each change that needs one of the
// capabilities, and each whose address has one of the words as a segment. This is the
// only table: surfaces call [AsksFresh] for all of their routes.
var (
	freshCapabilities = []tenancy.Capability{tenancy.ApproveRestores, tenancy.ManageMembers, tenancy.ReleaseConnections}
	freshSegments     = []string{
		"authenticator", "credential", "factors", "invitations", "passkeys", "password", "policy", "recovery-codes",
	}
)

// AsksFresh reports whether a change needs a fresh sign-in, by the capability that it
// needs and the pattern of its address.
func AsksFresh(needs tenancy.Capability, pattern string) bool {
	if slices.Contains(freshCapabilities, needs) {
		return true
	}
	for segment := range strings.SplitSeq(pattern, "/") {
		if slices.Contains(freshSegments, segment) {
			return true
		}
	}
	return false
}

// RequireFresh returns nil when a has signed in or confirmed within [FreshFor], by the
// database's clock; else [ErrNotFresh] or [ErrNoSession].
func RequireFresh(ctx context.Context, tx db.Tx, a Actor) error {
	if a.kind != SignInSession {
		return ErrNoSession
	}
	var fresh bool
	err := tx.QueryRow(ctx, `SELECT proved_at > interlock_now() - $2 FROM tokens
		WHERE id = $1 AND revoked_at IS NULL AND expires_at > interlock_now()`, a.token, FreshFor.Microseconds()).Scan(&fresh)
	if errors.Is(err, db.ErrNoRows) {
		return ErrUnauthenticated
	} else if err != nil {
		return fmt.Errorf("look at the sign-in: %w", err)
	}
	if !fresh {
		return ErrNotFresh
	}
	return nil
}

// Proof confirms a sign-in: by a code or a passkey for a person with a second factor, by
// the password for others.
type Proof struct {
	Password string
	Code     string // of an authenticator app, or a recovery code
	Passkey  string // answer of a browser to [Factors.AskConfirm] or [Factors.AskPasskey]
	Remote   string // address of the peer, without its port
}

// ConfirmKinds returns the second factors that a can confirm with; none: the password.
func ConfirmKinds(ctx context.Context, tx db.Tx, a Actor) ([]FactorKind, error) {
	return factorKinds(ctx, tx, a.id)
}

// AskConfirm returns the request to a's browser for a passkey that confirms. The passkey
// must verify its user.
func (f *Factors) AskConfirm(ctx context.Context, d *db.DB, a Actor) (options json.RawMessage, err error) {
	if !a.SignedIn() {
		return nil, ErrNoSession
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c := ceremony{id: ofSession(confirmCeremony, a), kind: confirmCeremony, user: a.id}
		if options, c.data.Question, err = f.ask(ctx, tx, a.id, true); err != nil {
			return err
		}
		return c.begin(ctx, tx)
	})
	return options, err
}

// Confirm makes the session of a fresh and returns its new secret; the old secret ends. A
// wrong proof is an [*op.FieldError], and tries count against the limits of sign-in. For
// an API token it is [ErrNoSession].
func (f *Factors) Confirm(ctx context.Context, d *db.DB, limits Limits, a Actor, p Proof) (secret string, err error) {
	if !a.SignedIn() {
		return "", ErrNoSession
	}
	spent, err := limits.charge(ctx, d, a.email, p.Remote)
	if err != nil {
		return "", err
	}
	var hash string
	var second bool
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT password_hash, EXISTS (SELECT 1 FROM factors f WHERE f.user_id = u.id)
			FROM users u WHERE id = $1`, a.id).Scan(&hash, &second)
	})
	if err != nil {
		return "", fmt.Errorf("confirm: %w", err)
	}
	if !second {
		if len(p.Password) > maxPassword {
			return "", wrongPassword
		}
		if ok, err := passwordMatches(ctx, p.Password, hash); err != nil {
			return "", fmt.Errorf("confirm: %w", err)
		} else if !ok {
			return "", wrongPassword
		}
	}
	var wrong error
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if second {
			if wrong, err = f.checkConfirm(ctx, tx, a, p); err != nil || wrong != nil {
				return err
			}
		}
		if secret, err = renew(ctx, tx, a); err != nil {
			return err
		}
		return spent.refund(ctx, tx)
	})
	if err != nil {
		return "", fmt.Errorf("confirm: %w", err)
	}
	return secret, wrong
}

func (f *Factors) checkConfirm(ctx context.Context, tx db.Tx, a Actor, p Proof) (wrong, err error) {
	if p.Passkey == "" {
		return f.check(ctx, tx, a.id, "", p)
	}
	c, err := try(ctx, tx, confirmCeremony, ofSession(confirmCeremony, a))
	if errors.Is(err, errOver) {
		return wrongPasskey, nil
	} else if err != nil {
		return nil, err
	}
	if err := c.end(ctx, tx); err != nil {
		return nil, err
	}
	return f.check(ctx, tx, a.id, c.data.Question, p)
}

// renew gives the session of a a new secret, and records that a has confirmed now.
func renew(ctx context.Context, tx db.Tx, a Actor) (secret string, err error) {
	secret, hash := newSecret(sessionPrefix)
	n, err := tx.Exec(ctx, `UPDATE tokens SET hash = $2, proved_at = interlock_now(), last_used_at = interlock_now()
		WHERE id = $1 AND kind = 'session' AND revoked_at IS NULL AND expires_at > interlock_now()`, a.token, hash)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", ErrUnauthenticated
	}
	return secret, nil
}

// While a person confirms, the page keeps the form that needs it. The form is sealed,
// because it may hold a secret that no page shows.

// keepFor is how long a kept form can be sent.
const keepFor = 15 * time.Minute

type keptForm struct {
	Until  time.Time  `json:"until"`
	Values url.Values `json:"values"`
}

func formPlace(a Actor, path string) vault.Place {
	return vault.Place{Owner: a.token, Field: "form", Version: path}
}

// Keep seals the values of a form that a sent to path.
func (f *Factors) Keep(a Actor, path string, values url.Values) (string, error) {
	text, err := json.Marshal(keptForm{time.Now().Add(keepFor), values})
	if err != nil {
		return "", fmt.Errorf("keep a form: %w", err)
	}
	sealed, err := f.root.Seal(vault.NewSecret(string(text)), formPlace(a, path))
	if err != nil {
		return "", fmt.Errorf("keep a form: %w", err)
	}
	return sealed, nil
}

// Kept returns the values that [Factors.Keep] sealed. Values of another session or path,
// or that are too old, are an [*op.FieldError].
func (f *Factors) Kept(a Actor, path, sealed string) (url.Values, error) {
	var kept keptForm
	secret, err := f.root.Unseal(sealed, formPlace(a, path))
	if err != nil || json.Unmarshal([]byte(secret.Reveal()), &kept) != nil {
		return nil, &op.FieldError{Field: "form", Detail: "is not one that was kept for this page"}
	}
	if time.Now().After(kept.Until) {
		return nil, &op.FieldError{Field: "form", Detail: "was kept for too long"}
	}
	return kept.Values, nil
}
