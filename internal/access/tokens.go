package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TokenKind is the kind of a bearer secret.
type TokenKind string

// The kinds of bearer secrets.
const (
	APIToken      TokenKind = "token"   // created by a person for a program
	SignInSession TokenKind = "session" // opened by a sign-in
)

// The limits of a token.
const (
	MaxTokenTTL  = 365 * 24 * time.Hour
	maxTokenName = 80 // characters
)

// Token is a bearer secret as its owner can list it: without the secret.
type Token struct {
	ID         string               `json:"id"`
	Kind       TokenKind            `json:"kind"`
	Name       string               `json:"name"`
	Only       []tenancy.Capability `json:"only"` // empty: everything that the owner may do
	CreatedAt  time.Time            `json:"created_at"`
	ExpiresAt  time.Time            `json:"expires_at"`
	LastUsedAt time.Time            `json:"last_used_at"` // to the minute
	Current    bool                 `json:"current"`      // the one that sent the request
}

// CreateToken creates a token that acts for a in a's workspace and returns its secret,
// which can't be read again. ttl is at most [MaxTokenTTL]. only narrows what the token
// may do; empty: everything that a may do. A token never has more rights than a, and one
// that a token creates expires no later than that token. An invalid value is an
// [*op.FieldError].
func CreateToken(ctx context.Context, d *db.DB, a Actor, name string, ttl time.Duration, only []tenancy.Capability) (secret string, t Token, err error) {
	if err := CheckName("name", name, maxTokenName); err != nil {
		return "", Token{}, err
	}
	if ttl < time.Minute || ttl > MaxTokenTTL {
		return "", Token{}, &op.FieldError{Field: "ttl", Detail: "must be from one minute to 365 days"}
	}
	for i, c := range only {
		if !slices.Contains(tenancy.Capabilities(), c) {
			return "", Token{}, &op.FieldError{Field: fmt.Sprintf("only[%d]", i), Detail: "is not a capability"}
		}
		if !a.grants.Has(c) {
			return "", Token{}, &op.FieldError{Field: fmt.Sprintf("only[%d]", i), Detail: "is a capability that you do not have here"}
		}
	}
	if len(only) == 0 && a.narrowed {
		only = a.grants.List()
	}
	only = slices.Compact(slices.Sorted(slices.Values(only)))
	if only == nil {
		only = []tenancy.Capability{}
	}
	caps, err := json.Marshal(only)
	if err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	var hash string
	secret, hash = newSecret(tokenPrefix)
	t = Token{ID: NewID(), Kind: APIToken, Name: name, Only: only}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ManageOwnTokens); err != nil {
			return err
		}
		latest := int64(1<<63 - 1)
		if a.kind == APIToken {
			latest = db.Micros(a.expires)
		}
		var created, expires int64
		err := tx.QueryRow(ctx, `INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, only_caps, created_at, expires_at, last_used_at)
			VALUES ($1, $2, 'token', $3, $4, $5, $6, interlock_now(),
				CASE WHEN interlock_now() + $7 > $8 THEN CAST($8 AS BIGINT) ELSE interlock_now() + $7 END, interlock_now())
			RETURNING created_at, expires_at`,
			t.ID, hash, a.workspace.ID, a.id, name, string(caps), ttl.Microseconds(), latest).Scan(&created, &expires)
		if err != nil {
			return err
		}
		t.CreatedAt, t.ExpiresAt, t.LastUsedAt = db.Time(created), db.Time(expires), db.Time(created)
		return Audit(ctx, tx, a.workspace.ID, Entry{
			Actor: a.Person(), Action: "token.create", Object: t.ID,
			Data: map[string]any{"name": name, "only": only, "expires_at": t.ExpiresAt},
		})
	})
	if err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	return secret, t, nil
}

// ListTokens returns the actor's own valid tokens and sessions in the workspace, newest
// first.
func ListTokens(ctx context.Context, d *db.DB, a Actor) ([]Token, error) {
	var tokens []Token
	err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		tokens = nil
		if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ManageOwnTokens); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, kind, name, only_caps, created_at, expires_at, last_used_at FROM tokens
			WHERE workspace_id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > interlock_now()
			AND (idle_micros = 0 OR last_used_at + idle_micros > interlock_now()) ORDER BY id DESC`, a.workspace.ID, a.id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Token
			var kind, only string
			var created, expires, used int64
			if err := rows.Scan(&t.ID, &kind, &t.Name, &only, &created, &expires, &used); err != nil {
				return err
			}
			if t.Only, err = capabilities(only); err != nil {
				return err
			}
			t.Kind, t.Current = TokenKind(kind), t.ID == a.token
			t.CreatedAt, t.ExpiresAt, t.LastUsedAt = db.Time(created), db.Time(expires), db.Time(used)
			tokens = append(tokens, t)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return tokens, nil
}

// RevokeToken ends one of the actor's own tokens or sessions. Another person's is
// [op.ErrNotFound], and so is one that is no longer valid.
func RevokeToken(ctx context.Context, d *db.DB, a Actor, id string) error {
	if column, _ := Ref(id); column != "id" {
		return op.ErrNotFound
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ManageOwnTokens); err != nil {
			return err
		}
		// Written so that no index serves the id: only the actor's own rows are read.
		n, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now()
			WHERE (id || '') = $1 AND workspace_id = $2 AND user_id = $3 AND revoked_at IS NULL AND expires_at - interlock_now() > 0`,
			id, a.workspace.ID, a.id)
		if err != nil {
			return err
		}
		if n == 0 {
			return op.ErrNotFound
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "token.revoke", Object: id})
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}
