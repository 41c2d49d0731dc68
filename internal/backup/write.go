package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/page"
)

// Key says whose set is written.
type Key struct{ Workspace, Tenant, Set string }

// Begin inserts a set that readers don't see yet. A building set of the same run is left
// to the sweep. The caller compares the run's fence in this transaction, and in those of
// [Put] and [Commit].
func Begin(ctx context.Context, tx db.Tx, workspace string, s Set) error {
	if s.Run != "" {
		if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE run_id = $1 AND state = 'building'`, s.Run); err != nil {
			return fmt.Errorf("begin a backup: %w", err)
		}
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

// maxText limits names and other texts about an item, in characters. The contents have all
// of them.
const maxText = 300

// tidy returns at most maxText characters of a text, without control characters, which
// PostgreSQL does not store.
func tidy(s string) string {
	n := 0
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || n == maxText {
			return -1
		}
		n++
		return c
	}, s)
}

// Pack compresses the contents of items.
func Pack(items []Contents) []Packed {
	all := make([]Packed, len(items))
	for i, item := range items {
		all[i].Item = item.Item
		all[i].Name, all[i].ModifiedAt = tidy(item.Name), tidy(item.ModifiedAt)
		all[i].Missing = nil
		for _, m := range item.Missing {
			all[i].Missing = append(all[i].Missing, Missing{tidy(m.Part), m.Reason, tidy(m.Why)})
		}
		parts := item.parts()
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			data := parts[part]
			all[i].parts = append(all[i].parts, packedPart{part, hashOf(data), len(data), encoder().EncodeAll(data, nil)})
			all[i].size += int64(len(data))
		}
	}
	return all
}

// Statements that write several rows. The update of a content locks its row against the
// sweep, which looks for its users after that.
var (
	putContents = query.ManyRows(`INSERT INTO backup_blobs (workspace_id, used_at, hash, size, data) VALUES `, `($1, interlock_now()`, 1, 3,
		` ON CONFLICT (workspace_id, hash) DO UPDATE SET used_at = excluded.used_at`)
	putItems = query.ManyRows(`INSERT INTO backup_items (set_id, tenant_id, type, object_id, name, name_key, modified_at, hash, missing, incomplete) VALUES `, `($1, $2`, 2, 8, ``)
	putParts = query.ManyRows(`INSERT INTO backup_parts (set_id, workspace_id, type, object_id, part, hash) VALUES `, `($1, $2`, 2, 4, ``)
)

// many writes rows, as few statements as possible.
func many(ctx context.Context, tx db.Tx, text func(int) string, shared []any, rows [][]any) error {
	for n := range query.Sizes(len(rows)) {
		args := slices.Clone(shared)
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if _, err := tx.Exec(ctx, text(n), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// Put writes items of a building set.
func Put(ctx context.Context, tx db.Tx, k Key, items []Packed) error {
	blobs := make(map[string]packedPart)
	var all, parts [][]any
	var size, incomplete int64
	for _, item := range items {
		missing := []byte("[]")
		if item.Missing != nil {
			var err error
			if missing, err = json.Marshal(item.Missing); err != nil {
				return fmt.Errorf("back up %s %s: %w", item.Type, item.ID, err)
			}
		}
		incomplete += int64(min(len(item.Missing), 1))
		all = append(all, []any{item.Type, item.ID, item.Name, page.NameKey(item.Name), item.ModifiedAt, item.Hash, string(missing), len(item.Missing) > 0})
		for _, p := range item.parts {
			blobs[p.hash] = p
			parts = append(parts, []any{item.Type, item.ID, p.part, p.hash})
		}
		size += item.size
	}
	var contents [][]any
	for _, hash := range slices.Sorted(maps.Keys(blobs)) { // in one order, so that two backups with equal contents don't wait for each other
		contents = append(contents, []any{hash, int64(blobs[hash].size), blobs[hash].data})
	}
	err := many(ctx, tx, putContents, []any{k.Workspace}, contents)
	if err == nil {
		err = many(ctx, tx, putItems, []any{k.Set, k.Tenant}, all)
	}
	if err == nil {
		err = many(ctx, tx, putParts, []any{k.Set, k.Workspace}, parts)
	}
	if err != nil {
		return fmt.Errorf("back up: %w", err)
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

// expireMost is how many sets one commit marks for removal. Stricter rules can concern
// hundreds: the next commits mark the rest.
const expireMost = 50

// expire marks the sets of a tenant that its rules no longer keep, the oldest first.
func expire(ctx context.Context, tx db.Tx, workspace, tenant string, now time.Time) error {
	rules, err := rulesOf(ctx, tx, workspace)
	if err != nil {
		return err
	}
	sets, err := keptOf(ctx, tx, tenant)
	if err != nil {
		return err
	}
	marked := 0
	for i, kept := range slices.Backward(rules.Keep(sets, now)) {
		if kept.Kept {
			continue
		}
		if marked++; marked > expireMost {
			break
		}
		if _, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE id = $1 AND pinned = $2`, sets[i].ID, false); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}
