package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Workspaces returns every workspace. It is for commands on the server, not for users:
// no scope bounds it.
func (s *Store) Workspaces(ctx context.Context) ([]tenancy.Workspace, error) {
	return query.Read(ctx, s.db, "workspaces", func(ctx context.Context, tx db.Tx) ([]tenancy.Workspace, error) {
		return query.All(ctx, tx, new(query.Query).Add(`SELECT id, slug, name FROM workspaces ORDER BY slug`), func(row db.Row) (w tenancy.Workspace, err error) {
			err = row.Scan(&w.ID, &w.Slug, &w.Name)
			return w, err
		})
	})
}

// CheckRoot opens the keyset of every workspace and returns how many there are. If the
// root key does not open one, it returns a [*vault.WrongKeyError] that names both keys.
func (s *Store) CheckRoot(ctx context.Context) (int, error) {
	wrapped, err := query.Read(ctx, s.db, "keysets", func(ctx context.Context, tx db.Tx) ([]string, error) {
		return query.All(ctx, tx, new(query.Query).Add(`SELECT keyset FROM workspaces`), func(row db.Row) (keyset string, err error) {
			err = row.Scan(&keyset)
			return keyset, err
		})
	})
	if err != nil {
		return 0, err
	}
	for _, w := range wrapped {
		if _, err := s.openKeyset(w); err != nil {
			return 0, fmt.Errorf("root key: %w", err)
		}
	}
	return len(wrapped), nil
}

// HoldsKey returns a [*vault.WrongKeyError] when the workspace's data key was wrapped by
// a root key that this process does not have. It compares ids of keys and opens no
// credential.
func (s *Store) HoldsKey(ctx context.Context, tx db.Tx, workspaceID string) error {
	var wrapped string
	if err := tx.QueryRow(ctx, `SELECT keyset FROM workspaces WHERE id = $1`, workspaceID).Scan(&wrapped); err != nil {
		return fmt.Errorf("key of the workspace: %w", err)
	}
	_, err := s.openKeyset(wrapped)
	var wrong *vault.WrongKeyError
	if errors.As(err, &wrong) {
		return wrong
	}
	return nil
}

// SealBodies seals the bodies of the calls of one step of a plan. row names the row that
// holds them.
func (s *Store) SealBodies(bodies vault.Secret, plan, row string) (string, error) {
	if s.root == nil {
		return "", errors.New("there is no root key")
	}
	return s.root.Seal(bodies, vault.Place{Owner: plan, Field: planBodies, Version: row})
}

// UnsealBodies returns what [Store.SealBodies] sealed.
func (s *Store) UnsealBodies(sealed, plan, row string) (vault.Secret, error) {
	if s.root == nil {
		return vault.Secret{}, errors.New("there is no root key")
	}
	return s.root.Unseal(sealed, vault.Place{Owner: plan, Field: planBodies, Version: row})
}
