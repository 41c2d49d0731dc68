package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/page"
)

// Key says whose set is written.
type Key struct{ Workspace, Tenant, Set string }

// Begin inserts a set that readers don't see yet. A building set of the same run is left
// to the sweep. The caller compares the run's fence in this transaction, and in those of
// [Put] and [Commit].
func Begin(ctx context.Context, tx db.Tx, workspace string, s Set) error {
	if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE run_id = $1 AND state = 'building' AND run_id <> ''`, s.Run); err != nil {
		return fmt.Errorf("begin a backup: %w", err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
		VALUES ($1, $2, $3, $4, $5, 'building', $6, $7, $8, $9, '[]', $10, 0, 0, 0, $11)`,
		s.ID, workspace, s.Tenant, s.Directory, s.Run, string(s.Origin), s.Tool, s.Layout, db.Micros(s.AsOf), false, false)
	if err != nil {
		return fmt.Errorf("begin a backup: %w", err)
	}
	return nil
}

// Limits of one transaction of [Put], so that it stays far below 50 ms.
const (
	batchItems = 20
	batchBytes = 1 << 20
)

// Batches cuts items into those of one transaction. A larger item is alone in its batch.
func Batches(items []Contents) iter.Seq[[]Contents] {
	return func(yield func([]Contents) bool) {
		start, size := 0, 0
		for i, item := range items {
			n := item.size()
			if i > start && (i-start == batchItems || size+n > batchBytes) {
				if !yield(items[start:i]) {
					return
				}
				start, size = i, 0
			}
			size += n
		}
		if start < len(items) {
			yield(items[start:])
		}
	}
}

// Packed is an item whose contents are compressed, outside of any transaction.
type Packed struct {
	Item
	parts []packedPart
	size  int64
}

type packedPart struct {
	part, hash string
	size       int
	data       []byte
}

// Pack compresses the contents of items.
func Pack(items []Contents) []Packed {
	all := make([]Packed, len(items))
	for i, item := range items {
		all[i].Item = item.Item
		parts := item.parts()
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			data := parts[part]
			all[i].parts = append(all[i].parts, packedPart{part, hashOf(data), len(data), encoder().EncodeAll(data, nil)})
			all[i].size += int64(len(data))
		}
	}
	return all
}

// Put writes items of a building set.
func Put(ctx context.Context, tx db.Tx, k Key, items []Packed) error {
	blobs := make(map[string]packedPart)
	for _, item := range items {
		for _, p := range item.parts {
			blobs[p.hash] = p
		}
	}
	// In one order, so that two backups with equal contents don't wait for each other. The
	// update locks a row against the sweep, which looks for its users after that.
	for _, hash := range slices.Sorted(maps.Keys(blobs)) {
		_, err := tx.Exec(ctx, `INSERT INTO backup_blobs (workspace_id, hash, size, data, used_at) VALUES ($1, $2, $3, $4, interlock_now())
			ON CONFLICT (workspace_id, hash) DO UPDATE SET used_at = excluded.used_at`, k.Workspace, hash, int64(blobs[hash].size), blobs[hash].data)
		if err != nil {
			return fmt.Errorf("back up a content: %w", err)
		}
	}
	var size, incomplete int64
	for _, item := range items {
		if err := put(ctx, tx, k, item); err != nil {
			return fmt.Errorf("back up %s %s: %w", item.Type, item.ID, err)
		}
		size += item.size
		incomplete += int64(min(len(item.Missing), 1))
	}
	n, err := tx.Exec(ctx, `UPDATE backup_sets SET items = items + $2, incomplete = incomplete + $3, size = size + $4 WHERE id = $1 AND state = 'building'`,
		k.Set, int64(len(items)), incomplete, size)
	if err == nil && n == 0 {
		err = fmt.Errorf("set %s is not being built", k.Set)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func put(ctx context.Context, tx db.Tx, k Key, item Packed) error {
	missing := []byte("[]")
	if item.Missing != nil {
		var err error
		if missing, err = json.Marshal(item.Missing); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO backup_items (set_id, type, object_id, tenant_id, name, name_key, modified_at, hash, missing, incomplete)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		k.Set, item.Type, item.ID, k.Tenant, item.Name, page.NameKey(item.Name), item.ModifiedAt, item.Hash, string(missing), len(item.Missing) > 0)
	if err != nil {
		return err
	}
	for _, p := range item.parts {
		_, err := tx.Exec(ctx, `INSERT INTO backup_parts (set_id, type, object_id, part, workspace_id, hash) VALUES ($1, $2, $3, $4, $5, $6)`,
			k.Set, item.Type, item.ID, p.part, k.Workspace, p.hash)
		if err != nil {
			return err
		}
	}
	return nil
}

// Commit makes a set visible, and marks those of the tenant for removal that the keep
// rules no longer keep.
func Commit(ctx context.Context, tx db.Tx, k Key, types []TypeRead) (Set, error) {
	text, err := json.Marshal(types)
	if err != nil {
		return Set{}, fmt.Errorf("commit a backup: %w", err)
	}
	if types == nil {
		text = []byte("[]")
	}
	whole := !slices.ContainsFunc(types, func(t TypeRead) bool { return t.Reason != "" && !t.Absent })
	n, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'kept', types = $2, complete = (incomplete = 0 AND $3) WHERE id = $1 AND state = 'building'`, k.Set, string(text), whole)
	if err == nil && n == 0 {
		err = fmt.Errorf("set %s is not being built", k.Set)
	}
	if err != nil {
		return Set{}, fmt.Errorf("commit a backup: %w", err)
	}
	var now int64
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return Set{}, fmt.Errorf("commit a backup: %w", err)
	}
	if err := expire(ctx, tx, k.Workspace, k.Tenant, db.Time(now)); err != nil {
		return Set{}, err
	}
	return load(ctx, tx, `id = $1`, k.Set)
}

// expire marks the sets of a tenant that its rules no longer keep.
func expire(ctx context.Context, tx db.Tx, workspace, tenant string, now time.Time) error {
	rules, err := rulesOf(ctx, tx, workspace)
	if err != nil {
		return err
	}
	sets, err := keptOf(ctx, tx, tenant)
	if err != nil {
		return err
	}
	for i, kept := range rules.Keep(sets, now) {
		if kept.Kept {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE id = $1 AND pinned = $2`, sets[i].ID, false); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}
