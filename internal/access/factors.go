package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/factor"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Factors checks second factors and passkeys.
type Factors struct {
	root     *vault.Root
	passkeys *factor.Passkeys // nil: passkeys are not available
	without  error            // why not
}

// NewFactors returns the factors whose secrets are sealed with root. publicURL is the
// server's address for browsers, which passkeys are bound to; empty: passkeys are not
// available.
func NewFactors(root *vault.Root, publicURL string) *Factors {
	f := &Factors{root: root}
	f.passkeys, f.without = factor.NewPasskeys(publicURL)
	return f
}

// NoPasskeys returns why passkeys are not available; nil: they are. See
// [factor.NewPasskeys].
func (f *Factors) NoPasskeys() error { return f.without }

// FactorKind is the kind of a second factor.
type FactorKind string

// The kinds of second factors.
const (
	TOTP    FactorKind = "totp"    // an authenticator app with codes that change
	Passkey FactorKind = "passkey" // a key of a browser, a phone or a security key
)

// Limits of second factors.
const (
	maxFactors    = 20 // of a person
	maxFactorName = 80 // characters
)

// Factor is a second factor of a person.
type Factor struct {
	ID         string     `json:"id"`
	Kind       FactorKind `json:"kind"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"` // null: never
}

// Security is what a person can sign in with beside the password.
type Security struct {
	Factors       []Factor `json:"factors"`
	RecoveryCodes int64    `json:"recovery_codes"` // unused ones
	RequiredBy    []string `json:"required_by"`    // names of the person's workspaces that require a second factor
}

// FewRecoveryCodes is how many unused recovery codes count as few: the person is warned.
const FewRecoveryCodes = 3

// ErrFactorRequired is returned to a member without a second factor, for everything in a
// workspace that requires one.
var ErrFactorRequired = errors.New("the workspace requires a second factor")

// lacksFactor is the condition that workspace w requires a second factor and member m
// has none.
const lacksFactor = `(w.requires_factor AND NOT EXISTS (SELECT 1 FROM factors f WHERE f.user_id = m.user_id))`

// OwnSecurity returns the second factors of a, oldest first.
func OwnSecurity(ctx context.Context, tx db.Tx, a Actor) (Security, error) {
	s := Security{Factors: []Factor{}, RequiredBy: []string{}}
	rows, err := tx.Query(ctx, `SELECT id, kind, name, created_at, last_used_at FROM factors WHERE user_id = $1 ORDER BY id`, a.id)
	if err != nil {
		return s, fmt.Errorf("second factors: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f Factor
		var kind string
		var created int64
		var used *int64
		if err := rows.Scan(&f.ID, &kind, &f.Name, &created, &used); err != nil {
			return s, fmt.Errorf("second factors: %w", err)
		}
		f.Kind, f.CreatedAt = FactorKind(kind), db.Time(created)
		if used != nil {
			at := db.Time(*used)
			f.LastUsedAt = &at
		}
		s.Factors = append(s.Factors, f)
	}
	if err := rows.Err(); err != nil {
		return s, fmt.Errorf("second factors: %w", err)
	}
	rows.Close()
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL`, a.id).Scan(&s.RecoveryCodes); err != nil {
		return s, fmt.Errorf("second factors: %w", err)
	}
	if s.RequiredBy, err = requiredBy(ctx, tx, a.id); err != nil {
		return s, fmt.Errorf("second factors: %w", err)
	}
	return s, nil
}

// requiredBy returns the names of the person's workspaces that require a second factor.
func requiredBy(ctx context.Context, tx db.Tx, userID string) ([]string, error) {
	names := []string{}
	rows, err := tx.Query(ctx, `SELECT w.name FROM members m JOIN workspaces w ON w.id = m.workspace_id AND w.requires_factor
		WHERE m.user_id = $1 ORDER BY w.name, w.id`, userID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// hasFactor reports whether a person has a second factor.
func hasFactor(ctx context.Context, tx db.Tx, userID string) (has bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM factors WHERE user_id = $1)`, userID).Scan(&has)
	return has, err
}

// changeFactors changes a's own second factors, one change at a time. It needs a fresh
// sign-in. When ends is true, a's other sessions end.
func changeFactors(ctx context.Context, d *db.DB, a Actor, ends bool, change func(context.Context, db.Tx) (Entry, error)) error {
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		if err := lockPerson(ctx, tx, a.id); err != nil {
			return err
		}
		e, err := change(ctx, tx)
		if err != nil {
			return err
		}
		if ends {
			if err := endOtherSessions(ctx, tx, a); err != nil {
				return err
			}
		}
		e.Actor = a.Person()
		return auditPerson(ctx, tx, a.id, e)
	})
}

// lockPerson locks a person's row, so that changes of their factors run one after another.
func lockPerson(ctx context.Context, tx db.Tx, userID string) error {
	_, err := tx.Exec(ctx, `UPDATE users SET disabled_at = disabled_at WHERE id = $1`, userID)
	return err
}

// addFactor stores a factor of a. With the first one it returns recovery codes, which
// can't be read again.
func addFactor(ctx context.Context, tx db.Tx, a Actor, f Factor, columns string, values ...any) (codes []string, err error) {
	var count int64
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM factors WHERE user_id = $1`, a.id).Scan(&count); err != nil {
		return nil, err
	}
	if count >= maxFactors {
		return nil, op.Conflict("you have %d second factors, which is the limit", count)
	}
	args := append([]any{f.ID, a.id, string(f.Kind), f.Name}, values...)
	n, err := tx.Exec(ctx, `INSERT INTO factors (id, user_id, kind, name, created_at, `+columns+`) VALUES ($1, $2, $3, $4, interlock_now(), $5, $6)
		ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, op.Conflict("this factor is registered already")
	}
	if count > 0 {
		return nil, nil
	}
	return newRecoveryCodes(ctx, tx, a.id)
}

func newRecoveryCodes(ctx context.Context, tx db.Tx, userID string) ([]string, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM recovery_codes WHERE user_id = $1`, userID); err != nil {
		return nil, err
	}
	codes := factor.NewRecoveryCodes()
	for _, code := range codes {
		if _, err := tx.Exec(ctx, `INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)`, userID, factor.HashRecoveryCode(code)); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// NewRecoveryCodes replaces the recovery codes of a and returns the new ones, which
// can't be read again. It needs a fresh sign-in. Without a second factor it is
// [op.ErrConflict].
func (f *Factors) NewRecoveryCodes(ctx context.Context, d *db.DB, a Actor) (codes []string, err error) {
	err = changeFactors(ctx, d, a, false, func(ctx context.Context, tx db.Tx) (Entry, error) {
		if has, err := hasFactor(ctx, tx, a.id); err != nil {
			return Entry{}, err
		} else if !has {
			return Entry{}, op.Conflict("recovery codes come with a second factor: add one first")
		}
		codes, err = newRecoveryCodes(ctx, tx, a.id)
		return Entry{Action: "user.recovery_codes"}, err
	})
	if err != nil {
		return nil, fmt.Errorf("new recovery codes: %w", err)
	}
	return codes, nil
}

// RenameFactor renames one of a's second factors. It needs a fresh sign-in.
func RenameFactor(ctx context.Context, d *db.DB, a Actor, id, name string) error {
	if err := CheckName("name", name, maxFactorName); err != nil {
		return err
	}
	err := changeFactors(ctx, d, a, false, func(ctx context.Context, tx db.Tx) (Entry, error) {
		if uuid.Validate(id) != nil { // may be text that no database takes
			return Entry{}, op.ErrNotFound
		}
		n, err := tx.Exec(ctx, `UPDATE factors SET name = $3 WHERE id = $1 AND user_id = $2`, id, a.id, name)
		if err == nil && n == 0 {
			err = op.ErrNotFound
		}
		return Entry{Action: "user.factor_rename", Data: map[string]any{"factor": id, "name": name}}, err
	})
	if err != nil {
		return fmt.Errorf("rename a factor: %w", err)
	}
	return nil
}

// RemoveFactor removes one of a's second factors and ends a's other sessions. It needs a
// fresh sign-in. The recovery codes go with the last factor. Removing the last factor is
// [op.ErrConflict] while one of a's workspaces requires one.
func RemoveFactor(ctx context.Context, d *db.DB, a Actor, id string) error {
	err := changeFactors(ctx, d, a, true, func(ctx context.Context, tx db.Tx) (Entry, error) {
		if uuid.Validate(id) != nil { // may be text that no database takes
			return Entry{}, op.ErrNotFound
		}
		var kind, name string
		err := tx.QueryRow(ctx, `SELECT kind, name FROM factors WHERE id = $1 AND user_id = $2`, id, a.id).Scan(&kind, &name)
		if errors.Is(err, db.ErrNoRows) {
			return Entry{}, op.ErrNotFound
		} else if err != nil {
			return Entry{}, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM factors WHERE id = $1`, id); err != nil {
			return Entry{}, err
		}
		if left, err := hasFactor(ctx, tx, a.id); err != nil {
			return Entry{}, err
		} else if !left {
			names, err := requiredBy(ctx, tx, a.id)
			if err != nil {
				return Entry{}, err
			}
			if len(names) > 0 {
				return Entry{}, op.Conflict("it is your last one, and %s requires a second factor: add another one first", names[0])
			}
			if _, err := tx.Exec(ctx, `DELETE FROM recovery_codes WHERE user_id = $1`, a.id); err != nil {
				return Entry{}, err
			}
		}
		return Entry{Action: "user.factor_remove", Data: map[string]any{"factor": id, "kind": kind, "name": name}}, nil
	})
	if err != nil {
		return fmt.Errorf("remove a factor: %w", err)
	}
	return nil
}

// clearFactors removes a person's second factors and recovery codes, and ends their
// sessions.
func clearFactors(ctx context.Context, tx db.Tx, userID string) error {
	if err := lockPerson(ctx, tx, userID); err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM factors WHERE user_id = $1`,
		`DELETE FROM recovery_codes WHERE user_id = $1`,
		`DELETE FROM ceremonies WHERE user_id = $1`,
		`UPDATE tokens SET revoked_at = interlock_now() WHERE user_id = $1 AND kind = 'session' AND revoked_at IS NULL`,
	} {
		if _, err := tx.Exec(ctx, sql, userID); err != nil {
			return fmt.Errorf("clear second factors: %w", err)
		}
	}
	return nil
}

// ResetFactors removes all second factors of a member of a's workspace who has lost them,
// and ends the member's sessions. The rules are those of [ResetLink].
func ResetFactors(ctx context.Context, d *db.DB, a Actor, userID string) error {
	if column, _ := Ref(userID); column != "id" {
		userID = ""
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		m, err := Manage(ctx, tx, a)
		if err != nil {
			return err
		}
		if userID == a.id {
			return op.Conflict("your own second factors are changed on your Security page")
		}
		if err := mayReset(ctx, tx, a.workspace.ID, userID, m.May); err != nil {
			return err
		}
		if err := clearFactors(ctx, tx, userID); err != nil {
			return err
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "user.factors_reset", Object: userID})
	})
	if err != nil {
		return fmt.Errorf("reset second factors: %w", err)
	}
	return nil
}

// ResetFactorsByAdministrator removes all second factors of the account with an
// address and ends its sessions, for a command on the server. No account is
// [op.ErrNotFound].
func ResetFactorsByAdministrator(ctx context.Context, tx db.Tx, email string) error {
	email, err := checkEmail(email)
	if err != nil {
		return err
	}
	var user string
	if err := tx.QueryRow(ctx, `SELECT id FROM users WHERE email = $1`, email).Scan(&user); err != nil {
		return notFound(err)
	}
	if err := clearFactors(ctx, tx, user); err != nil {
		return err
	}
	return auditPerson(ctx, tx, user, Entry{Actor: Administrator, Action: "user.factors_reset"})
}

// Policy is what a workspace requires of its members.
type Policy struct {
	SecondFactor bool `json:"second_factor"` // members can do nothing in it without one
}

// WorkspacePolicy returns the policy of a's workspace.
func WorkspacePolicy(ctx context.Context, tx db.Tx, a Actor) (p Policy, err error) {
	if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.View); err != nil {
		return Policy{}, err
	}
	err = tx.QueryRow(ctx, `SELECT requires_factor FROM workspaces WHERE id = $1`, a.workspace.ID).Scan(&p.SecondFactor)
	return p, err
}

// SetPolicy changes the policy of a's workspace. It needs [tenancy.ManageMembers] and a
// fresh sign-in. An actor without a second factor can't require one, which would lock
// them out: [op.ErrConflict].
func SetPolicy(ctx context.Context, d *db.DB, a Actor, p Policy) error {
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return err
		}
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		if err := lockPerson(ctx, tx, a.id); err != nil {
			return err
		}
		if has, err := hasFactor(ctx, tx, a.id); err != nil {
			return err
		} else if p.SecondFactor && !has {
			return op.Conflict("you have no second factor yourself: add one first")
		}
		n, err := tx.Exec(ctx, `UPDATE workspaces SET requires_factor = $2 WHERE id = $1 AND requires_factor <> $2`, a.workspace.ID, p.SecondFactor)
		if err != nil || n == 0 {
			return err
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "workspace.policy", Object: a.workspace.ID, Data: p})
	})
	if err != nil {
		return fmt.Errorf("change the policy: %w", err)
	}
	return nil
}

// endOtherSessions ends all sessions of a except the current one.
func endOtherSessions(ctx context.Context, tx db.Tx, a Actor) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now()
		WHERE user_id = $1 AND id <> $2 AND kind = 'session' AND revoked_at IS NULL`, a.id, a.token)
	return err
}

// EndOtherSessions ends all sessions of a, in every workspace, except the current one. API
// tokens stay valid. For an API token it is [ErrNoSession].
func EndOtherSessions(ctx context.Context, d *db.DB, a Actor) error {
	if !a.SignedIn() {
		return ErrNoSession
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := endOtherSessions(ctx, tx, a); err != nil {
			return err
		}
		return auditPerson(ctx, tx, a.id, Entry{Actor: a.Person(), Action: "user.sessions_end"})
	})
	if err != nil {
		return fmt.Errorf("end the other sessions: %w", err)
	}
	return nil
}

// totpPlace is where the secret of an authenticator app belongs.
func totpPlace(userID, factorID string) vault.Place {
	return vault.Place{Owner: userID, Field: "totp", Version: factorID}
}
