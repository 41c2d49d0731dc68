package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// rootColumns lists what the root key seals, and [rekeyCredentials] handles what the
// data key of a workspace seals. A sealed column that is missing here would be lost
// when its key is destroyed; internal/archtest looks for such columns.

// A rootColumn holds texts that the root key has sealed.
type rootColumn struct {
	what   string // in words, for who runs the server
	table  string
	id     string // column that names the row
	column string
	owner  string // SQL of the owner in the text's [vault.Place]
	field  string // of that place; empty: the text is a wrapped keyset, which has no place
}

var rootColumns = []rootColumn{
	{what: "data keys", table: "workspaces", id: "id", column: "keyset", owner: "id"},
	{what: "authenticator apps", table: "factors", id: "id", column: "sealed", owner: "user_id", field: "totp"},
	{what: "plans of restores", table: "plan_bodies", id: "id", column: "sealed", owner: "plan_id", field: planBodies},
	{what: "server secrets", table: "server_secrets", id: "name", column: "sealed", owner: "'server'", field: "secret"},
}

// planBodies is the field of sealed bodies in their [vault.Place].
const planBodies = "bodies"

// keyOf returns the id of the root key that sealed a text.
func (c rootColumn) keyOf(text string) string {
	if c.field == "" {
		return vault.WrappedBy(text)
	}
	return vault.SealedBy(text)
}

// reseal reseals a text with the root key that seals now.
func (c rootColumn) reseal(root *vault.Root, id, owner, text string) (string, error) {
	if c.field == "" {
		return root.Rewrap(text)
	}
	return root.Reseal(text, vault.Place{Owner: owner, Field: c.field, Version: id})
}

// sealedRow is a row of a rootColumn.
type sealedRow struct{ id, owner, text string }

// batch is how many sealed texts one transaction opens and seals: about 10 ms of work.
const batch = 50

// page returns the next rows of the column after the one with the id after. It leaves
// out empty values.
func (s *Store) page(ctx context.Context, c rootColumn, after string) ([]sealedRow, error) {
	return query.Read(ctx, s.db, c.what, func(ctx context.Context, tx db.Tx) ([]sealedRow, error) {
		q := new(query.Query).Add(`SELECT `+c.id+`, `+c.owner+`, `+c.column+` FROM `+c.table+` WHERE `+c.column+` <> '' AND `+c.id+` > %s ORDER BY `+c.id+` LIMIT %s`, after, batch)
		return query.All(ctx, tx, q, func(row db.Row) (r sealedRow, err error) {
			err = row.Scan(&r.id, &r.owner, &r.text)
			return r, err
		})
	})
}

// ServerSecret returns a secret of the installation, and creates it on first use. All
// nodes get the same one.
func (s *Store) ServerSecret(ctx context.Context, name string, make func() vault.Secret) (vault.Secret, error) {
	if s.root == nil {
		return vault.Secret{}, errors.New("there is no root key")
	}
	place := vault.Place{Owner: "server", Field: "secret", Version: name}
	fresh, err := s.root.Seal(make(), place)
	if err != nil {
		return vault.Secret{}, err
	}
	find := new(query.Query).Add(`SELECT sealed FROM server_secrets WHERE name = %s`, name)
	sealed, err := query.Read(ctx, s.db, "server secret", func(ctx context.Context, tx db.Tx) ([]string, error) {
		return query.All(ctx, tx, find, query.ScanText)
	})
	if err == nil && len(sealed) == 0 {
		sealed, err = query.Write(ctx, s.db, "server secret", func(ctx context.Context, tx db.Tx) ([]string, error) {
			_, err := tx.Exec(ctx, `INSERT INTO server_secrets (name, sealed, created_at) VALUES ($1, $2, interlock_now()) ON CONFLICT (name) DO NOTHING`, name, fresh)
			if err != nil {
				return nil, err
			}
			return query.All(ctx, tx, find, query.ScanText)
		})
	}
	if err != nil {
		return vault.Secret{}, err
	}
	return s.root.Unseal(sealed[0], place)
}

// sealedCredential is a row of the credentials of a workspace.
type sealedCredential struct {
	c      tenancy.Connection // with what its place is made of
	sealed string
}

// rekeyCredentials reseals those of the next credentials, after the connection with
// the id after, that an old data key of the workspace has sealed. It returns the last
// id, empty at the end. What can't be opened stays unchanged, and is counted.
func (s *Store) rekeyCredentials(ctx context.Context, workspace, after string, p *KeyProgress) (last string, err error) {
	q := new(query.Query).Add(`SELECT c.id, c.workspace_id, c.tenant_id, d.kind, d.version, d.sealed FROM connections c
		JOIN credentials d ON d.connection_id = c.id WHERE c.workspace_id = %s AND c.id > %s ORDER BY c.id LIMIT %s`, workspace, after, batch)
	rows, err := query.Read(ctx, s.db, "credentials", func(ctx context.Context, tx db.Tx) ([]sealedCredential, error) {
		return query.All(ctx, tx, q, func(row db.Row) (r sealedCredential, err error) {
			var kind string
			err = row.Scan(&r.c.ID, &r.c.WorkspaceID, &r.c.TenantID, &kind, &r.c.CredentialVersion, &r.sealed)
			r.c.Credential = tenancy.CredentialKind(kind)
			return r, err
		})
	})
	if err != nil || len(rows) == 0 {
		return "", err
	}
	var done, unreadable int
	_, err = query.Write(ctx, s.db, "seal credentials anew", func(ctx context.Context, tx db.Tx) (_ bool, err error) {
		done, unreadable = 0, 0
		keys, err := s.lockKeyset(ctx, tx, workspace)
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			if keys.Current(r.sealed) {
				continue
			}
			secret, err := keys.Open(r.sealed, aadOf(r.c))
			if errors.Is(err, vault.ErrUnreadable) {
				unreadable++
				continue
			} else if err != nil {
				return false, err
			}
			sealed, mark, err := seal(keys, r.c, secret)
			if err != nil {
				return false, err
			}
			// Unless it has been replaced or removed since: a later save seals with the new key.
			n, err := tx.Exec(ctx, `UPDATE credentials SET sealed = $4, fingerprint = $5 WHERE connection_id = $1 AND version = $2 AND sealed = $3`,
				r.c.ID, r.c.CredentialVersion, r.sealed, sealed, mark)
			if err != nil {
				return false, err
			}
			done += int(n)
		}
		return true, nil
	})
	if err != nil {
		return "", err
	}
	p.Done += done
	p.Unreadable += unreadable
	return rows[len(rows)-1].c.ID, nil
}

// onOldDataKey counts the credentials of a workspace that keys would not seal now.
func onOldDataKey(ctx context.Context, tx db.Tx, workspace string, keys *vault.Keyset) (int, error) {
	q := new(query.Query).Add(`SELECT substr(d.sealed, 1, %s) FROM connections c JOIN credentials d ON d.connection_id = c.id WHERE c.workspace_id = %s`,
		vault.KeyPrefix, workspace)
	prefixes, err := query.All(ctx, tx, q, query.ScanText)
	if err != nil {
		return 0, err
	}
	prefixes = slices.DeleteFunc(prefixes, keys.Current)
	return len(prefixes), nil
}

// lockKeyset returns the data key of a workspace and locks its row until the
// transaction ends, so that no key is destroyed while it seals something.
func (s *Store) lockKeyset(ctx context.Context, tx db.Tx, workspace string) (*vault.Keyset, error) {
	var wrapped string
	err := tx.QueryRow(ctx, `UPDATE workspaces SET keyset = keyset WHERE id = $1 RETURNING keyset`, workspace).Scan(&wrapped)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return s.openKeyset(wrapped)
}
