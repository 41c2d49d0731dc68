package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Keys change while the server works. Each step is a small transaction that leaves
// everything readable, and the database knows how far a rotation is: when a process is
// killed, the next one continues.

// KeyProgress tells how far a change of keys is.
type KeyProgress struct {
	What       string `json:"what"`       // what is resealed now
	Done       int    `json:"done"`       // resealed so far
	Total      int    `json:"total"`      // to reseal, as counted at the beginning
	Unreadable int    `json:"unreadable"` // could not be opened, and were left unchanged
}

// KeyStatus tells what is sealed with which key.
type KeyStatus struct {
	Root       string         `json:"root"`       // id of the root key that seals
	RootKeys   map[string]int `json:"root_keys"`  // by id of a root key: what it has sealed, of those at hand and of others
	Workspaces []DataKey      `json:"workspaces"` // by slug
	Rotating   bool           `json:"rotating"`   // a rotation of the data keys has begun and is not finished
}

// DataKey is the key of a workspace.
type DataKey struct {
	Slug     string `json:"slug"`
	ID       string `json:"id"`       // empty: none of the root keys at hand opens it
	At       int64  `json:"at"`       // when it was made, in microseconds
	Rotating bool   `json:"rotating"` // there is an old key besides it
	Old      int    `json:"old"`      // credentials that it has not sealed
	Sealed   int    `json:"-"`        // credentials in all
	wrapped  string
	id       string
}

// Others returns the ids of the root keys besides the one that seals now, in order.
func (k KeyStatus) Others() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(k.RootKeys)), func(id string) bool { return id == k.Root })
}

// OnOldRoot returns how much is sealed with other root keys than the one that seals now.
func (k KeyStatus) OnOldRoot() (n int) {
	for id, sealed := range k.RootKeys {
		if id != k.Root {
			n += sealed
		}
	}
	return n
}

// KeyStatus reads what is sealed with which key. It opens no secret.
func (s *Store) KeyStatus(ctx context.Context) (KeyStatus, error) {
	if s.root == nil {
		return KeyStatus{}, errors.New("there is no root key")
	}
	k := KeyStatus{Root: s.root.ID(), RootKeys: map[string]int{}}
	for _, id := range s.root.IDs() {
		k.RootKeys[id] = 0
	}
	for _, c := range rootColumns {
		for after := ""; ; {
			rows, err := s.page(ctx, c, after)
			if err != nil {
				return KeyStatus{}, err
			}
			for _, r := range rows {
				k.RootKeys[c.keyOf(r.text)]++
			}
			if len(rows) < batch {
				break
			}
			after = rows[len(rows)-1].id
		}
	}
	var err error
	if k.Workspaces, err = s.dataKeys(ctx); err != nil {
		return KeyStatus{}, err
	}
	for i := range k.Workspaces {
		w := &k.Workspaces[i]
		keys, err := s.openKeyset(w.wrapped)
		var wrong *vault.WrongKeyError
		if errors.As(err, &wrong) {
			continue
		} else if err != nil {
			return KeyStatus{}, fmt.Errorf("workspace %s: %w", w.Slug, err)
		}
		w.ID, w.Rotating = keys.ID(), keys.Rotating()
		w.Old, err = query.Read(ctx, s.db, "credentials", func(ctx context.Context, tx db.Tx) (int, error) {
			return onOldDataKey(ctx, tx, w.id, keys)
		})
		if err != nil {
			return KeyStatus{}, err
		}
	}
	k.Rotating, err = query.Read(ctx, s.db, "rotation", func(ctx context.Context, tx db.Tx) (rotating bool, err error) {
		err = tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM key_rotations`).Scan(&rotating)
		return rotating, err
	})
	return k, err
}

// dataKeys returns the workspaces with their keysets as they are stored.
func (s *Store) dataKeys(ctx context.Context) ([]DataKey, error) {
	return query.Read(ctx, s.db, "data keys", func(ctx context.Context, tx db.Tx) ([]DataKey, error) {
		return query.All(ctx, tx, new(query.Query).Add(`SELECT w.id, w.slug, w.keyset, w.keyset_at,
			(SELECT COUNT(*) FROM connections c JOIN credentials d ON d.connection_id = c.id WHERE c.workspace_id = w.id)
			FROM workspaces w ORDER BY w.slug`), func(row db.Row) (k DataKey, err error) {
			err = row.Scan(&k.id, &k.Slug, &k.wrapped, &k.At, &k.Sealed)
			return k, err
		})
	})
}

// maxPasses bounds how often Rewrap looks for what was sealed meanwhile.
const maxPasses = 10

// Rewrap reseals everything that another root key has sealed with the one that seals
// now, so that the others can be destroyed. If a root key that has sealed something is
// missing, it changes nothing and returns a [*vault.WrongKeyError]. It calls report
// with its progress. With dry it only counts.
func (s *Store) Rewrap(ctx context.Context, dry bool, report func(KeyProgress)) (KeyProgress, error) {
	before, err := s.KeyStatus(ctx)
	if err != nil {
		return KeyProgress{}, err
	}
	p := KeyProgress{Total: before.OnOldRoot()}
	for id, n := range before.RootKeys {
		if n > 0 && !s.root.Has(id) {
			return p, &vault.WrongKeyError{Want: id, Have: s.root.IDs()}
		}
	}
	for pass := 0; !dry && pass < maxPasses; pass++ {
		left := 0
		for _, c := range rootColumns {
			p.What = c.what
			n, err := s.rewrapColumn(ctx, c, &p, report)
			if err != nil {
				return p, fmt.Errorf("rewrap %s: %w", c.what, err)
			}
			left += n
		}
		if left == 0 {
			return p, nil
		}
	}
	if dry {
		return p, nil
	}
	return p, errors.New("rewrap: something is still being sealed by an old root key: another process has a key file in which that key comes first")
}

// rewrapColumn reseals all rows of a column and returns how many had an old key.
func (s *Store) rewrapColumn(ctx context.Context, c rootColumn, p *KeyProgress, report func(KeyProgress)) (found int, err error) {
	for after := ""; ; {
		rows, err := s.page(ctx, c, after)
		if err != nil || len(rows) == 0 {
			return found, err
		}
		after = rows[len(rows)-1].id
		done, err := query.Write(ctx, s.db, "rewrap", func(ctx context.Context, tx db.Tx) (done int, err error) {
			for _, r := range rows {
				if c.keyOf(r.text) == s.root.ID() {
					continue
				}
				sealed, err := c.reseal(s.root, r.id, r.owner, r.text)
				if err != nil {
					return 0, fmt.Errorf("row %s: %w", r.id, err)
				}
				// Unless it has changed since: the next pass looks at it again.
				n, err := tx.Exec(ctx, `UPDATE `+c.table+` SET `+c.column+` = $2 WHERE `+c.id+` = $1 AND `+c.column+` = $3`, r.id, sealed, r.text)
				if err != nil {
					return 0, err
				}
				done += int(n)
			}
			return done, nil
		})
		if err != nil {
			return found, err
		}
		for _, r := range rows {
			if c.keyOf(r.text) != s.root.ID() {
				found++
			}
		}
		p.Done += done
		report(*p)
	}
}

// RotateKeys gives every workspace a new data key, reseals its credentials and
// destroys the old key. If a rotation has begun before, it finishes that one instead.
// A workspace with a credential that can't be opened keeps its old key, and the rotation
// stays unfinished. It calls report with its progress. With dry it only counts.
func (s *Store) RotateKeys(ctx context.Context, dry bool, report func(KeyProgress)) (KeyProgress, error) {
	workspaces, err := s.dataKeys(ctx)
	if err != nil {
		return KeyProgress{}, err
	}
	p := KeyProgress{}
	for _, w := range workspaces {
		p.Total += w.Sealed
	}
	if dry {
		return p, nil
	}
	started, err := query.Write(ctx, s.db, "rotate the data keys", func(ctx context.Context, tx db.Tx) (at int64, err error) {
		if _, err := tx.Exec(ctx, `INSERT INTO key_rotations (one, started_at) VALUES (1, interlock_now()) ON CONFLICT (one) DO NOTHING`); err != nil {
			return 0, err
		}
		err = tx.QueryRow(ctx, `SELECT started_at FROM key_rotations WHERE one = 1`).Scan(&at)
		return at, err
	})
	if err != nil {
		return p, err
	}
	for _, w := range workspaces {
		p.What = w.Slug
		if err := s.rotate(ctx, w.id, started, &p, report); err != nil {
			return p, fmt.Errorf("rotate the data key of workspace %s: %w", w.Slug, err)
		}
	}
	if p.Unreadable > 0 {
		return p, nil
	}
	_, err = query.Write(ctx, s.db, "rotate the data keys", func(ctx context.Context, tx db.Tx) (int64, error) {
		return tx.Exec(ctx, `DELETE FROM key_rotations WHERE one = 1 AND started_at = $1`, started)
	})
	return p, err
}

// rotate replaces the data key of one workspace, if it is from before started.
func (s *Store) rotate(ctx context.Context, workspace string, started int64, p *KeyProgress, report func(KeyProgress)) error {
	err := s.changeKeyset(ctx, workspace, func(_ context.Context, _ db.Tx, keys *vault.Keyset, wrapped string, at int64) (string, error) {
		if keys.Rotating() || at >= started {
			return wrapped, nil
		}
		return s.root.Rotate(wrapped)
	})
	if err != nil {
		return err
	}
	unreadable := p.Unreadable
	for after := ""; ; {
		if after, err = s.rekeyCredentials(ctx, workspace, after, p); err != nil {
			return err
		}
		if after == "" {
			break
		}
		report(*p)
	}
	if p.Unreadable > unreadable {
		return nil
	}
	return s.changeKeyset(ctx, workspace, func(ctx context.Context, tx db.Tx, keys *vault.Keyset, wrapped string, _ int64) (string, error) {
		if !keys.Rotating() {
			return wrapped, nil
		}
		if n, err := onOldDataKey(ctx, tx, workspace, keys); err != nil || n > 0 {
			return "", errors.Join(err, fmt.Errorf("%d credentials are still sealed by the old key", n))
		}
		return s.root.Retire(wrapped)
	})
}

// changeKeyset replaces the stored keyset of a workspace with the result of change,
// under the lock that every sealing takes.
func (s *Store) changeKeyset(ctx context.Context, workspace string,
	change func(ctx context.Context, tx db.Tx, keys *vault.Keyset, wrapped string, at int64) (string, error),
) error {
	_, err := query.Write(ctx, s.db, "data key", func(ctx context.Context, tx db.Tx) (bool, error) {
		var wrapped string
		var at int64
		err := tx.QueryRow(ctx, `UPDATE workspaces SET keyset = keyset WHERE id = $1 RETURNING keyset, keyset_at`, workspace).Scan(&wrapped, &at)
		if err != nil {
			return false, err
		}
		keys, err := s.openKeyset(wrapped)
		if err != nil {
			return false, err
		}
		changed, err := change(ctx, tx, keys, wrapped, at)
		if err != nil || changed == wrapped {
			return false, err
		}
		s.keysets.Delete(wrapped)
		_, err = tx.Exec(ctx, `UPDATE workspaces SET keyset = $2, keyset_at = interlock_now() WHERE id = $1`, workspace, changed)
		return true, err
	})
	return err
}
