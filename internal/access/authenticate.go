package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The limits of a session.
const (
	SessionIdle     = 12 * time.Hour     // without a request
	SessionLifetime = 7 * 24 * time.Hour // from the sign-in
)

// touchEvery bounds how often a secret's last use is stored.
const touchEvery = time.Minute

// Prefixes of bearer secrets, by which people and secret scanners recognize them.
const (
	tokenPrefix   = "ilk_"
	sessionPrefix = "ils_"
)

// newSecret returns a bearer secret with at least 128 random bits, and the hash under
// which it is stored. The secret itself is not stored.
func newSecret(prefix string) (secret, hash string) {
	secret = prefix + rand.Text()
	return secret, hashOf(secret)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Authenticate returns the actor of a bearer secret. It returns [ErrUnauthenticated] for
// unknown, expired, idle and revoked secrets, closed accounts and former members alike.
func Authenticate(ctx context.Context, d *db.DB, bearer string) (Actor, error) {
	a, used, idle, err := recognize(ctx, d, bearer)
	if err == nil && idle >= touchEvery {
		// A full or busy database must not refuse a reader: the next request stores it.
		_ = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE tokens SET last_used_at = interlock_now() WHERE id = $1 AND last_used_at = $2`, a.token, used)
			return err
		})
	}
	return a, err
}

// Recognize is [Authenticate] for requests that an open page sends by itself. The secret
// does not count as used, so that an abandoned page keeps no session alive.
func Recognize(ctx context.Context, d *db.DB, bearer string) (Actor, error) {
	a, _, _, err := recognize(ctx, d, bearer)
	return a, err
}

// working are the valid secrets with their people and memberships.
const working = `FROM tokens k
	JOIN users u ON u.id = k.user_id AND u.disabled_at IS NULL
	JOIN workspaces w ON w.id = k.workspace_id
	JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id
	WHERE k.revoked_at IS NULL AND k.expires_at > interlock_now()
	AND (k.idle_micros = 0 OR k.last_used_at + k.idle_micros > interlock_now())`

// recognize also returns when the secret was last used, and how long ago that is.
func recognize(ctx context.Context, d *db.DB, bearer string) (a Actor, used int64, idle time.Duration, err error) {
	var (
		role, denied, only string
		kind               string
		expires, now       int64
	)
	hash := hashOf(bearer)
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT k.id, k.kind, k.expires_at, k.last_used_at, interlock_now(), k.only_caps,
			u.id, u.name, u.email, w.id, w.slug, w.name, m.role, m.denied
			`+working+` AND k.hash = $1`, hash).
			Scan(&a.token, &kind, &expires, &used, &now, &only,
				&a.id, &a.name, &a.email, &a.workspace.ID, &a.workspace.Slug, &a.workspace.Name, &role, &denied)
	})
	if errors.Is(err, db.ErrNoRows) {
		return Actor{}, 0, 0, ErrUnauthenticated
	} else if err != nil {
		return Actor{}, 0, 0, fmt.Errorf("authenticate: %w", err)
	}
	if a.grants, err = grants(role, denied, only); err != nil {
		return Actor{}, 0, 0, err
	}
	a.kind, a.expires, a.role, a.narrowed = TokenKind(kind), db.Time(expires), tenancy.Role(role), only != "[]"
	return a, used, time.Duration(now-used) * time.Microsecond, nil
}

// Credentials are what a person signs in with.
type Credentials struct {
	Email     string
	Password  string
	Workspace string // id or slug; empty: the first of the person's workspaces by name
	Remote    string // address of the peer, without its port
	Device    string // name of the session in its owner's list, up to 80 characters; empty or invalid: "Sign-in"
}

// Session is a session that a sign-in opened.
type Session struct {
	Actor     Actor
	ExpiresAt time.Time // it ends earlier after SessionIdle without a request
}

// SignIn opens a session and returns its bearer secret, which can't be read again. For
// any wrong credentials the error is [ErrUnauthenticated], and unknown accounts cost the
// same work as known ones. When the limits are used up, the error is a [*LimitError] and
// the password is not checked. For a person with a second factor it is a
// [*SecondFactorError]: continue with [Factors.FinishSignIn].
func SignIn(ctx context.Context, d *db.DB, limits Limits, c Credentials) (secret string, s Session, err error) {
	email := strings.ToLower(strings.TrimSpace(c.Email))
	if CheckName("email", email, maxEmail) != nil || len(c.Password) > maxPassword {
		return "", Session{}, ErrUnauthenticated
	}
	spent, err := limits.charge(ctx, d, email, c.Remote)
	if err != nil {
		return "", Session{}, err
	}

	var user, hash string
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return unlessNone(tx.QueryRow(ctx, `SELECT id, password_hash FROM users WHERE email = $1 AND disabled_at IS NULL`, email).Scan(&user, &hash))
	})
	if err != nil {
		return "", Session{}, fmt.Errorf("sign in: %w", err)
	}
	if ok, err := passwordMatches(ctx, c.Password, hash); err != nil {
		return "", Session{}, fmt.Errorf("sign in: %w", err)
	} else if !ok {
		return "", Session{}, ErrUnauthenticated
	}

	who := entrant{User: user, Hash: hash, Workspace: c.Workspace, Device: c.Device}
	var second *SecondFactorError
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		second = nil
		if has, err := hasFactor(ctx, tx, user); err != nil {
			return err
		} else if has {
			if second, err = who.wait(ctx, tx); err != nil {
				return err
			}
			return spent.giveBack(ctx, tx)
		}
		if secret, err = who.open(ctx, tx); err != nil {
			return err
		}
		return spent.refund(ctx, tx)
	})
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return "", Session{}, ErrUnauthenticated
	case err != nil:
		return "", Session{}, fmt.Errorf("sign in: %w", err)
	case second != nil:
		return "", Session{}, second
	}
	return opened(ctx, d, secret)
}

// opened returns the session that was just opened.
func opened(ctx context.Context, d *db.DB, secret string) (string, Session, error) {
	a, err := Authenticate(ctx, d, secret)
	if err != nil {
		return "", Session{}, err
	}
	return secret, Session{Actor: a, ExpiresAt: a.expires}, nil
}

// entrant is a person who has passed the first step of a sign-in.
type entrant struct {
	User      string `json:"user"`
	Hash      string `json:"hash"` // of their password then
	Workspace string `json:"workspace"`
	Device    string `json:"device"`
}

// open opens the session. It returns [ErrUnauthenticated] when the person has no such
// workspace, or when their account or password has changed meanwhile.
func (e entrant) open(ctx context.Context, tx db.Tx) (secret string, err error) {
	if CheckName("device", e.Device, maxTokenName) != nil {
		e.Device = "Sign-in"
	}
	column, ref := Ref(e.Workspace)
	var workspace string
	err = tx.QueryRow(ctx, `SELECT w.id FROM members m JOIN workspaces w ON w.id = m.workspace_id
		JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL AND u.password_hash = $2
		WHERE m.user_id = $1 AND ($3 OR w.`+column+` = $4) ORDER BY w.name, w.id LIMIT 1`,
		e.User, e.Hash, e.Workspace == "", ref).Scan(&workspace)
	if errors.Is(err, db.ErrNoRows) {
		return "", ErrUnauthenticated
	} else if err != nil {
		return "", err
	}
	secret, hash := newSecret(sessionPrefix)
	_, err = tx.Exec(ctx, `INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, created_at, expires_at, idle_micros, last_used_at, proved_at)
		VALUES ($1, $2, 'session', $3, $4, $5, interlock_now(), interlock_now() + $6, $7, interlock_now(), interlock_now())`,
		NewID(), hash, workspace, e.User, e.Device, SessionLifetime.Microseconds(), SessionIdle.Microseconds())
	return secret, err
}

// SignOut ends a's session or token. Every node refuses its secret from the next
// request on.
func SignOut(ctx context.Context, d *db.DB, a Actor) error {
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now() WHERE id = $1 AND revoked_at IS NULL`, a.token)
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}
