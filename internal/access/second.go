package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/factor"
	"github.com/interlock-dev/interlock/internal/op"
)

// SecondFactorError is returned for a sign-in with the right password by a person who
// has a second factor. It is not a session and gives no access. It can be finished within
// ten minutes and five tries.
type SecondFactorError struct {
	Pending string       // the secret that finishes it
	Kinds   []FactorKind // of the person's factors; recovery codes work, too
}

// Error says that a second factor is needed.
func (e *SecondFactorError) Error() string { return "a second factor is asked for" }

// ErrSignInOver is returned for a sign-in that can no longer be finished: sign in again.
var ErrSignInOver = errors.New("the sign-in is over")

// pendingPrefix is the prefix of secrets of sign-ins that wait for a second factor.
const pendingPrefix = "ilp_"

// wait stores a sign-in until its second factor comes.
func (e entrant) wait(ctx context.Context, tx db.Tx) (*SecondFactorError, error) {
	kinds, err := factorKinds(ctx, tx, e.User)
	if err != nil {
		return nil, err
	}
	secret, hash := newSecret(pendingPrefix)
	err = ceremony{id: hash, kind: signInCeremony, user: e.User, data: ceremonyData{Entrant: e}}.begin(ctx, tx)
	return &SecondFactorError{Pending: secret, Kinds: kinds}, err
}

func factorKinds(ctx context.Context, tx db.Tx, userID string) (kinds []FactorKind, err error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT kind FROM factors WHERE user_id = $1 ORDER BY kind`, userID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind string
		if err := rows.Scan(&kind); err != nil {
			return nil, err
		}
		kinds = append(kinds, FactorKind(kind))
	}
	return kinds, rows.Err()
}

// Waiting is a sign-in that waits for its second factor.
type Waiting struct {
	Email string
	Kinds []FactorKind
}

// WaitingSignIn returns the sign-in that a secret finishes, or [ErrSignInOver].
func WaitingSignIn(ctx context.Context, d *db.DB, pending string) (w Waiting, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err := look(ctx, tx, signInCeremony, hashOf(pending))
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT email FROM users WHERE id = $1 AND disabled_at IS NULL`, c.user).Scan(&w.Email); err != nil {
			return err
		}
		w.Kinds, err = factorKinds(ctx, tx, c.user)
		return err
	})
	if errors.Is(err, errOver) || errors.Is(err, db.ErrNoRows) {
		err = ErrSignInOver
	}
	return w, err
}

// AskPasskey returns the request to a browser for a passkey that finishes a sign-in.
func (f *Factors) AskPasskey(ctx context.Context, d *db.DB, pending string) (options json.RawMessage, err error) {
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err := look(ctx, tx, signInCeremony, hashOf(pending))
		if err != nil {
			return err
		}
		options, c.data.Question, err = f.ask(ctx, tx, c.user, false)
		if err != nil {
			return err
		}
		return c.keep(ctx, tx)
	})
	if errors.Is(err, errOver) {
		err = ErrSignInOver
	}
	return options, err
}

// ask returns the request for a passkey of a person, and the state that its answer is
// checked against.
func (f *Factors) ask(ctx context.Context, tx db.Tx, userID string, verify bool) (options json.RawMessage, state string, err error) {
	if f.passkeys == nil {
		return nil, "", ErrNoPasskeys
	}
	o, err := owner(ctx, tx, userID)
	if err != nil {
		return nil, "", err
	}
	if len(o.Passkeys) == 0 {
		return nil, "", op.Conflict("you have no passkey")
	}
	q, err := f.passkeys.Ask(o, verify)
	return q.Options, q.State, err
}

// FinishSignIn opens the session of a sign-in that waits for its second factor. A wrong
// proof is an [*op.FieldError]. Tries count against the limits of sign-in, and the fifth
// ends the sign-in: [ErrSignInOver].
func (f *Factors) FinishSignIn(ctx context.Context, d *db.DB, limits Limits, pending string, p Proof) (secret string, s Session, err error) {
	w, err := WaitingSignIn(ctx, d, pending)
	if err != nil {
		return "", Session{}, err
	}
	spent, err := limits.charge(ctx, d, w.Email, p.Remote)
	if err != nil {
		return "", Session{}, err
	}
	var wrong error
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err := try(ctx, tx, signInCeremony, hashOf(pending))
		if err != nil {
			return err
		}
		if wrong, err = f.check(ctx, tx, c.user, c.data.Question, p); err != nil || wrong != nil {
			return err // a wrong try is counted
		}
		if err := c.end(ctx, tx); err != nil {
			return err
		}
		if secret, err = c.data.Entrant.open(ctx, tx); err != nil {
			return err
		}
		return spent.refund(ctx, tx)
	})
	switch {
	case errors.Is(err, errOver), errors.Is(err, ErrUnauthenticated):
		return "", Session{}, ErrSignInOver
	case err != nil:
		return "", Session{}, fmt.Errorf("sign in: %w", err)
	case wrong != nil:
		return "", Session{}, wrong
	}
	return opened(ctx, d, secret)
}

// AskAnyPasskey begins a sign-in by a passkey alone. The secret finishes it.
func (f *Factors) AskAnyPasskey(ctx context.Context, d *db.DB) (pending string, options json.RawMessage, err error) {
	if f.passkeys == nil {
		return "", nil, ErrNoPasskeys
	}
	q, err := f.passkeys.AskAnyone()
	if err != nil {
		return "", nil, err
	}
	pending, hash := newSecret(pendingPrefix)
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		return ceremony{id: hash, kind: passkeyCeremony, data: ceremonyData{Question: q.State}}.begin(ctx, tx)
	})
	if err != nil {
		return "", nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return pending, q.Options, nil
}

// PasskeySignIn is a sign-in with a passkey alone, which has verified its user.
type PasskeySignIn struct {
	Pending string // as [Factors.AskAnyPasskey] returned it
	Answer  string // of the browser
	Device  string // as [Credentials] have it
}

// SignInByPasskey opens a session. For any wrong answer the error is
// [ErrUnauthenticated], except for a passkey that may have been copied.
func (f *Factors) SignInByPasskey(ctx context.Context, d *db.DB, in PasskeySignIn) (secret string, s Session, err error) {
	if f.passkeys == nil {
		return "", Session{}, ErrNoPasskeys
	}
	user, err := factor.OwnerOf(in.Answer)
	if err != nil {
		return "", Session{}, ErrUnauthenticated
	}
	var wrong error
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err := try(ctx, tx, passkeyCeremony, hashOf(in.Pending))
		if err != nil {
			return err
		}
		if err := c.end(ctx, tx); err != nil {
			return err
		}
		e := entrant{User: user, Device: in.Device}
		if err := tx.QueryRow(ctx, `SELECT password_hash FROM users WHERE id = $1 AND disabled_at IS NULL`, user).Scan(&e.Hash); err != nil {
			return err
		}
		if wrong, err = f.check(ctx, tx, user, c.data.Question, Proof{Passkey: in.Answer}); err != nil || wrong != nil {
			return err
		}
		secret, err = e.open(ctx, tx)
		return err
	})
	var field *op.FieldError
	switch {
	case errors.Is(err, errOver), errors.Is(err, db.ErrNoRows), errors.Is(err, ErrUnauthenticated):
		return "", Session{}, ErrUnauthenticated
	case err != nil:
		return "", Session{}, fmt.Errorf("sign in: %w", err)
	case errors.As(wrong, &field) && field == copiedPasskey:
		return "", Session{}, copiedPasskey
	case wrong != nil:
		return "", Session{}, ErrUnauthenticated
	}
	return opened(ctx, d, secret)
}

// What is wrong with a proof.
var (
	wrongPassword = &op.FieldError{Field: "password", Detail: "is not your password"}
	wrongCode     = &op.FieldError{Field: "code", Detail: "is not right, or was used before"}
	wrongPasskey  = &op.FieldError{Field: "passkey", Detail: "did not prove who you are"}
	copiedPasskey = &op.FieldError{Field: "passkey", Detail: "may have been copied, so it was refused; use another second factor or a recovery code, then remove it"}
)

var appCode = regexp.MustCompile(`^[0-9]{3} ?[0-9]{3}$`)

// check checks a proof against a person's second factors. wrong tells why it failed; the
// caller must commit what check has stored about that.
func (f *Factors) check(ctx context.Context, tx db.Tx, userID, question string, p Proof) (wrong, err error) {
	switch code := strings.TrimSpace(p.Code); {
	case p.Passkey != "":
		return f.checkPasskey(ctx, tx, userID, question, p.Passkey)
	case appCode.MatchString(code):
		return f.checkTOTP(ctx, tx, userID, code)
	default:
		return checkRecovery(ctx, tx, userID, code)
	}
}

func (f *Factors) checkTOTP(ctx context.Context, tx db.Tx, userID, code string) (wrong, err error) {
	type app struct{ id, sealed string }
	var apps []app
	rows, err := tx.Query(ctx, `SELECT id, sealed FROM factors WHERE user_id = $1 AND kind = 'totp' ORDER BY id`, userID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a app
		if err := rows.Scan(&a.id, &a.sealed); err != nil {
			return nil, err
		}
		apps = append(apps, a)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	now, err := databaseTime(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, a := range apps {
		secret, err := f.root.Unseal(a.sealed, totpPlace(userID, a.id))
		if err != nil {
			return nil, fmt.Errorf("authenticator app %s: %w", a.id, err)
		}
		step, ok := factor.Step(secret.Reveal(), code, now)
		if !ok {
			continue
		}
		// Each code works once, and none that is older than the last one used.
		n, err := tx.Exec(ctx, `UPDATE factors SET step = $2, last_used_at = interlock_now() WHERE id = $1 AND step < $2`, a.id, step)
		if err != nil || n == 1 {
			return nil, err
		}
	}
	return wrongCode, nil
}

func checkRecovery(ctx context.Context, tx db.Tx, userID, code string) (wrong, err error) {
	n, err := tx.Exec(ctx, `UPDATE recovery_codes SET used_at = interlock_now() WHERE user_id = $1 AND hash = $2 AND used_at IS NULL`,
		userID, factor.HashRecoveryCode(code))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return wrongCode, nil
	}
	var name string
	var left int64
	err = tx.QueryRow(ctx, `SELECT u.name, (SELECT COUNT(*) FROM recovery_codes r WHERE r.user_id = u.id AND r.used_at IS NULL)
		FROM users u WHERE u.id = $1`, userID).Scan(&name, &left)
	if err != nil {
		return nil, err
	}
	return nil, auditPerson(ctx, tx, userID, Entry{
		Actor: op.Person{ID: userID, Name: name}, Action: "user.recovery_code_use", Data: map[string]any{"left": left},
	})
}

func (f *Factors) checkPasskey(ctx context.Context, tx db.Tx, userID, question, answer string) (wrong, err error) {
	if f.passkeys == nil {
		return nil, ErrNoPasskeys
	}
	if question == "" {
		return wrongPasskey, nil
	}
	if err := lockPerson(ctx, tx, userID); err != nil { // its counter only grows
		return nil, err
	}
	o, err := owner(ctx, tx, userID)
	if err != nil {
		return nil, err
	}
	handle, passkey, err := f.passkeys.Check(o, question, answer)
	switch {
	case errors.Is(err, factor.ErrCloned):
		return copiedPasskey, auditPerson(ctx, tx, userID, Entry{
			Actor: op.Person{ID: userID, Name: o.Name}, Action: "user.passkey_copied", Data: map[string]any{"handle": handle},
		})
	case errors.Is(err, factor.ErrPasskey):
		return wrongPasskey, nil
	case err != nil:
		return nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE factors SET passkey = $2, last_used_at = interlock_now() WHERE handle = $1`, handle, passkey)
	return nil, err
}
