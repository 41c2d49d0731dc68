package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

const setColumns = `SELECT id, tenant_id, directory_id, run_id, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned FROM backup_sets WHERE `

func scanSet(row db.Row) (s Set, err error) {
	var asOf int64
	var types string
	err = row.Scan(&s.ID, &s.Tenant, &s.Directory, &s.Run, &s.Origin, &s.Tool, &s.Layout, &asOf, &types, &s.Complete, &s.Items, &s.Incomplete, &s.Size, &s.Pinned)
	if err != nil {
		return Set{}, err
	}
	s.AsOf = db.Time(asOf)
	return s, json.Unmarshal([]byte(types), &s.Types)
}

func load(ctx context.Context, tx db.Tx, where string, args ...any) (Set, error) {
	s, err := scanSet(tx.QueryRow(ctx, setColumns+where, args...))
	if errors.Is(err, db.ErrNoRows) {
		return Set{}, fmt.Errorf("backup: %w", op.ErrNotFound)
	}
	return s, err
}

// Find returns a visible set of a workspace, or [op.ErrNotFound]. The caller authorizes
// the reader for the set's tenant.
func Find(ctx context.Context, tx db.Tx, workspace, id string) (Set, error) {
	return load(ctx, tx, `id = $1 AND workspace_id = $2 AND state = 'kept'`, id, workspace)
}

// maxSets is more backups of one tenant than any rules keep.
const maxSets = 2000

// keptOf returns the visible sets of a tenant, newest first.
func keptOf(ctx context.Context, tx db.Tx, tenant string) ([]Set, error) {
	q := query.Of(setColumns+`tenant_id = $1 AND state = 'kept' ORDER BY id DESC LIMIT $2`, tenant, maxSets)
	sets, err := query.All(ctx, tx, q, scanSet)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	return sets, nil
}

const itemColumns = `SELECT i.type, i.object_id, i.name, i.modified_at, i.hash, i.missing FROM backup_items i WHERE `

func scanItem(row db.Row) (i Item, err error) {
	var missing string
	if err := row.Scan(&i.Type, &i.ID, &i.Name, &i.ModifiedAt, &i.Hash, &missing); err != nil {
		return Item{}, err
	}
	return i, json.Unmarshal([]byte(missing), &i.Missing)
}

// Limits of one transaction that reads contents, so that it stays short.
const (
	readItems = 50
	readBytes = 2 << 20 // of contents; a larger item ends its transaction
)

// Whole returns a set with all contents, as a restore is planned from it. A policy that is
// unusable is in it, incomplete. read runs a function in a transaction of its own, several
// for each set, so that none is long.
func Whole(ctx context.Context, read func(func(context.Context, db.Tx) error) error, workspace string, s Set) (restore.Set, error) {
	set := restore.Set{ID: s.ID, Directory: s.Directory, AsOf: s.AsOf}
	for c, err := range walk(read, workspace, s.ID) {
		if err != nil {
			return restore.Set{}, err
		}
		item, err := c.Restorable()
		if err != nil {
			return restore.Set{}, err
		}
		set.Items = append(set.Items, item)
	}
	return set, ctx.Err()
}

// walk returns the items of a set with their contents, ordered by type and id. An error is
// the last.
func walk(read func(func(context.Context, db.Tx) error) error, workspace, set string) iter.Seq2[Contents, error] {
	return func(yield func(Contents, error) bool) {
		for afterType, afterID := "", ""; ; {
			var some []Contents
			err := read(func(ctx context.Context, tx db.Tx) (err error) {
				some, err = contents(ctx, tx, workspace, set, afterType, afterID)
				return err
			})
			if err != nil {
				yield(Contents{}, err)
				return
			}
			if len(some) == 0 {
				return
			}
			for _, c := range some {
				if !yield(c, nil) {
					return
				}
			}
			afterType, afterID = some[len(some)-1].Type, some[len(some)-1].ID
		}
	}
}

// Restorable returns the item as a restore uses it. Its parts that are missing, and an
// object that is not usable, make it incomplete. It fails for a type that this version
// doesn't know.
func (c Contents) Restorable() (restore.Item, error) {
	t := policy.Lookup(c.Type)
	if t == nil {
		return restore.Item{}, fmt.Errorf("backup item %q: there is no policy type %.100q", c.Name, c.Type)
	}
	var item restore.Item
	for _, m := range c.Missing {
		item.Incomplete = append(item.Incomplete, m.String())
	}
	var err error
	if item.Policy, err = policy.Normalise(c.Policy); err == nil {
		return item, nil
	}
	item.Policy = policy.Unread(t, c.ID, c.Name)
	if !c.unreadable() {
		item.Incomplete = append(item.Incomplete, Missing{Part: object, Why: unusable(err)}.String())
	}
	return item, nil
}

// unusable is why an object is no policy, without the name of the object.
func unusable(err error) string {
	var bad *policy.ItemError
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return err.Error()
}

// contents returns the next items of a set with their contents.
func contents(ctx context.Context, tx db.Tx, workspace, set, afterType, afterID string) ([]Contents, error) {
	q := query.Of(itemColumns+`i.set_id = $1 AND (i.type, i.object_id) > ($2, $3) ORDER BY i.type, i.object_id LIMIT $4`, set, afterType, afterID, int64(readItems))
	items, err := query.All(ctx, tx, q, scanItem)
	if err != nil {
		return nil, fmt.Errorf("read a backup: %w", err)
	}
	some, size := make([]Contents, 0, len(items)), 0
	for _, item := range items {
		c, err := one(ctx, tx, workspace, set, item)
		if err != nil {
			return nil, err
		}
		some = append(some, c)
		if size += c.size(); size > readBytes {
			break
		}
	}
	return some, nil
}

// one reads the contents of an item. One that is damaged is a part that is missing.
func one(ctx context.Context, tx db.Tx, workspace, set string, item Item) (Contents, error) {
	c := Contents{Item: item, Policy: policy.Item{Type: item.Type, ID: item.ID, Parts: map[string]json.RawMessage{}}}
	type content struct {
		part, hash string
		data       []byte // nil if it is gone
	}
	q := query.Of(`SELECT p.part, p.hash, b.data FROM backup_parts p LEFT JOIN backup_blobs b ON b.workspace_id = $1 AND b.hash = p.hash
		WHERE p.set_id = $2 AND p.type = $3 AND p.object_id = $4 ORDER BY p.part`, workspace, set, item.Type, item.ID)
	all, err := query.All(ctx, tx, q, func(row db.Row) (p content, err error) { return p, row.Scan(&p.part, &p.hash, &p.data) })
	if err != nil {
		return Contents{}, fmt.Errorf("read a backup: %w", err)
	}
	for _, p := range all {
		text, err := unpack(p.data, p.hash)
		if err != nil {
			if p.part == names { // nothing depends on it
				continue
			}
			c.Missing = append(c.Missing, Missing{Part: cmp.Or(p.part, object), Reason: op.ObjectIncomplete, Why: err.Error()})
			continue
		}
		switch p.part {
		case "":
			c.Policy.Body = text
		case assignments:
			c.Policy.Assignments = text
		case names:
			if err := json.Unmarshal(text, &c.Policy.Names); err != nil {
				c.Policy.Names = nil
			}
		default:
			c.Policy.Parts[p.part] = text
		}
	}
	return c, nil
}
