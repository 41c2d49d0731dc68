package httpx

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Door authenticates callers and authorizes them, so that the surfaces need no database. It
// is safe for concurrent use.
type Door struct {
	db      *db.DB
	limits  access.Limits
	factors *access.Factors
}

// NewDoor returns the door to the accounts in d. limits are the sign-in limits.
func NewDoor(d *db.DB, limits access.Limits, factors *access.Factors) *Door {
	return &Door{db: d, limits: limits, factors: factors}
}

// Bearer returns the bearer secret of a request, or "".
func Bearer(r *http.Request) string {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// Actor returns the person that a bearer secret authenticates, or [access.ErrUnauthenticated].
func (d *Door) Actor(ctx context.Context, secret string) (access.Actor, error) {
	if secret == "" {
		return access.Actor{}, access.ErrUnauthenticated
	}
	return access.Authenticate(ctx, d.db, secret)
}

// Recognized is Actor for checks that a stream makes by itself; see [access.Recognize].
func (d *Door) Recognized(ctx context.Context, secret string) (access.Actor, error) {
	if secret == "" {
		return access.Actor{}, access.ErrUnauthenticated
	}
	return access.Recognize(ctx, d.db, secret)
}

// Standings returns the current rights of the holders of secrets; see [access.Standings].
func (d *Door) Standings(ctx context.Context, tokens []string) (map[string]access.Standing, error) {
	return access.Standings(ctx, d.db, tokens)
}

// Tenant authorizes a for a tenant, by its id or slug; see [access.Authorize].
func (d *Door) Tenant(ctx context.Context, a access.Actor, ref string, need tenancy.Capability) (ta access.TenantAccess, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		ta, err = access.Authorize(ctx, tx, a, ref, need)
		return err
	})
	return ta, err
}

// Workspace authorizes a for the tenants of the workspace that a sees; see
// [access.AuthorizeWorkspace].
func (d *Door) Workspace(ctx context.Context, a access.Actor, need tenancy.Capability) (scope access.Scope, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		scope, err = access.AuthorizeWorkspace(ctx, tx, a, need)
		return err
	})
	return scope, err
}

// SignIn opens a session; see [access.SignIn].
func (d *Door) SignIn(ctx context.Context, c access.Credentials) (secret string, s access.Session, err error) {
	return access.SignIn(ctx, d.db, d.limits, c)
}

// SignOut ends the session or token that a used.
func (d *Door) SignOut(ctx context.Context, a access.Actor) error {
	return access.SignOut(ctx, d.db, a)
}

// CreateToken creates a token that acts for a; see [access.CreateToken].
func (d *Door) CreateToken(ctx context.Context, a access.Actor, name string, ttl time.Duration, only []tenancy.Capability) (string, access.Token, error) {
	return access.CreateToken(ctx, d.db, a, name, ttl, only)
}

// Tokens returns the valid tokens and sessions of a.
func (d *Door) Tokens(ctx context.Context, a access.Actor) ([]access.Token, error) {
	return access.ListTokens(ctx, d.db, a)
}

// RevokeToken ends one of a's own tokens or sessions.
func (d *Door) RevokeToken(ctx context.Context, a access.Actor, id string) error {
	return access.RevokeToken(ctx, d.db, a, id)
}

// Audit returns up to limit records of the audit trail before number before, newest first;
// see [access.AuditTrail].
func (d *Door) Audit(ctx context.Context, a access.Actor, before int64, limit int) (records []access.Record, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		records, err = access.AuditTrail(ctx, tx, a, before, limit)
		return err
	})
	return records, err
}

// Ready returns an error unless the database responds.
func (d *Door) Ready(ctx context.Context) error {
	return d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		var one int64
		return tx.QueryRow(ctx, `SELECT 1`).Scan(&one)
	})
}
