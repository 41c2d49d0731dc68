package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// SignedIn reports whether the actor's secret is a session, and not an API token.
func (a Actor) SignedIn() bool { return a.kind == SignInSession }

// Place is a workspace of a person, with their role there.
type Place struct {
	Workspace tenancy.Workspace
	Role      tenancy.Role
	Tenants   int64 // that they see
}

// of are the tables of a person's workspaces, in the order of names.
const of = ` FROM members m
	JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
	JOIN tokens k ON k.user_id = m.user_id AND k.id = $2 AND k.revoked_at IS NULL AND k.expires_at > interlock_now()
	JOIN workspaces w ON w.id = m.workspace_id
	WHERE m.user_id = $1 ORDER BY w.name, w.id`

// WorkspaceNames returns the workspaces of a, by name. Every page asks for it.
func WorkspaceNames(ctx context.Context, tx db.Tx, a Actor) ([]tenancy.Workspace, error) {
	rows, err := tx.Query(ctx, `SELECT w.id, w.slug, w.name`+of, a.id, a.token)
	if err != nil {
		return nil, fmt.Errorf("names of workspaces: %w", err)
	}
	defer rows.Close()
	var list []tenancy.Workspace
	for rows.Next() {
		var w tenancy.Workspace
		if err := rows.Scan(&w.ID, &w.Slug, &w.Name); err != nil {
			return nil, fmt.Errorf("names of workspaces: %w", err)
		}
		list = append(list, w)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("names of workspaces: %w", err)
	}
	return list, nil
}

// Workspaces returns the workspaces of a, by name, and counts their tenants.
func Workspaces(ctx context.Context, tx db.Tx, a Actor) ([]Place, error) {
	rows, err := tx.Query(ctx, `SELECT w.id, w.slug, w.name, m.role,
		(SELECT COUNT(*) FROM tenants t WHERE `+visible+`)`+of, a.id, a.token)
	if err != nil {
		return nil, fmt.Errorf("list workspaces: %w", err)
	}
	defer rows.Close()
	var places []Place
	for rows.Next() {
		var p Place
		var role string
		if err := rows.Scan(&p.Workspace.ID, &p.Workspace.Slug, &p.Workspace.Name, &role, &p.Tenants); err != nil {
			return nil, fmt.Errorf("list workspaces: %w", err)
		}
		p.Role = tenancy.Role(role)
		places = append(places, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list workspaces: %w", err)
	}
	return places, nil
}

// Switch ends a's session and opens one in another workspace of a, the one with the id or
// slug ref. The new session expires when the old one would have. It is [op.ErrNotFound]
// for a workspace that is not a's, and for an actor without a session.
func Switch(ctx context.Context, d *db.DB, a Actor, ref string) (secret string, err error) {
	column, value := Ref(ref)
	secret, hash := newSecret(sessionPrefix)
	id := NewID()
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var workspace string
		err := tx.QueryRow(ctx, `SELECT w.id FROM members m
			JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
			JOIN tokens k ON k.user_id = m.user_id AND k.id = $2 AND k.kind = 'session' AND k.revoked_at IS NULL AND k.expires_at > interlock_now()
			JOIN workspaces w ON w.id = m.workspace_id
			WHERE m.user_id = $1 AND w.`+column+` = $3`, a.id, a.token, value).Scan(&workspace)
		if errors.Is(err, db.ErrNoRows) {
			return op.ErrNotFound
		} else if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, created_at, expires_at, idle_micros, last_used_at, proved_at)
			SELECT $1, $2, k.kind, $3, k.user_id, k.name, interlock_now(), k.expires_at, k.idle_micros, interlock_now(), k.proved_at FROM tokens k WHERE k.id = $4`,
			id, hash, workspace, a.token)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now() WHERE id = $1 AND revoked_at IS NULL`, a.token)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("switch the workspace: %w", err)
	}
	return secret, nil
}
