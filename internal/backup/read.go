package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// readItems is how many items [Whole] reads with one statement.
const readItems = 50

// Whole returns a set with all contents, as a restore is planned from it. read runs a
// function in a transaction of its own, a few for each set, so that none is long.
func Whole(ctx context.Context, read func(func(context.Context, db.Tx) error) error, workspace string, s Set) (restore.Set, error) {
	set := restore.Set{ID: s.ID, Directory: s.Directory, AsOf: s.AsOf}
	for afterType, afterID := "", ""; ; {
		var all []Contents
		err := read(func(ctx context.Context, tx db.Tx) (err error) {
			all, err = contents(ctx, tx, workspace, s.ID, afterType, afterID)
			return err
		})
		if err != nil || len(all) == 0 {
			return set, err
		}
		for _, c := range all {
			item, err := c.Restorable()
			if err != nil {
				return restore.Set{}, err
			}
			set.Items = append(set.Items, item)
		}
		last := all[len(all)-1]
		afterType, afterID = last.Type, last.ID
	}
}

// Restorable returns the item as a restore uses it. Its parts that are missing, and an
// object that is not usable, make it incomplete.
func (c Contents) Restorable() (restore.Item, error) {
	d, err := policy.Normalise(c.Policy)
	if err != nil {
		return restore.Item{}, fmt.Errorf("backup item: %w", err)
	}
	item := restore.Item{Policy: d}
	for _, m := range c.Missing {
		item.Incomplete = append(item.Incomplete, strings.TrimSuffix(m.Part+": "+m.Why, ": "))
	}
	return item, nil
}

// contents returns the next items of a set with their contents. An item whose object was
// not readable is left out: there is nothing to restore.
func contents(ctx context.Context, tx db.Tx, workspace, set, afterType, afterID string) ([]Contents, error) {
	q := query.Of(itemColumns+`i.set_id = $1 AND (i.type, i.object_id) > ($2, $3) ORDER BY i.type, i.object_id LIMIT $4`, set, afterType, afterID, int64(readItems))
	items, err := query.All(ctx, tx, q, scanItem)
	if err != nil {
		return nil, fmt.Errorf("read a backup: %w", err)
	}
	all := make([]Contents, len(items))
	for i, item := range items {
		if all[i], err = one(ctx, tx, workspace, set, item); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// one reads the contents of an item.
func one(ctx context.Context, tx db.Tx, workspace, set string, item Item) (Contents, error) {
	c := Contents{Item: item, Policy: policy.Item{Type: item.Type, ID: item.ID, Parts: map[string]json.RawMessage{}}}
	type content struct {
		part, hash string
		data       []byte
	}
	q := query.Of(`SELECT p.part, p.hash, b.data FROM backup_parts p JOIN backup_blobs b ON b.workspace_id = $1 AND b.hash = p.hash
		WHERE p.set_id = $2 AND p.type = $3 AND p.object_id = $4 ORDER BY p.part`, workspace, set, item.Type, item.ID)
	all, err := query.All(ctx, tx, q, func(row db.Row) (p content, err error) { return p, row.Scan(&p.part, &p.hash, &p.data) })
	if err != nil {
		return Contents{}, fmt.Errorf("read a backup: %w", err)
	}
	for _, p := range all {
		text, err := unpack(p.data, p.hash)
		if err != nil {
			return Contents{}, fmt.Errorf("backup item %s %s: %w", item.Type, item.ID, err)
		}
		switch p.part {
		case "":
			c.Policy.Body = text
		case assignments:
			c.Policy.Assignments = text
		default:
			c.Policy.Parts[p.part] = text
		}
	}
	return c, nil
}

// Change is a policy that differs between two sets.
type Change struct {
	How    string // added, removed or changed
	Before *Item
	After  *Item
}

// Changes compares the items of two sets by their hashes. Items that are equal are left
// out; items of types that one of the sets did not read are, too.
func Changes(before, after []Item, read func(typ string) bool) (all []Change) {
	key := func(i Item) string { return i.Type + "/" + i.ID }
	old := make(map[string]Item, len(before))
	for _, i := range before {
		old[key(i)] = i
	}
	for _, i := range after {
		was, there := old[key(i)]
		delete(old, key(i))
		switch {
		case !read(i.Type):
		case !there:
			all = append(all, Change{How: "added", After: &i})
		case was.Hash != i.Hash:
			all = append(all, Change{How: "changed", Before: &was, After: &i})
		}
	}
	for _, i := range before {
		if _, left := old[key(i)]; left && read(i.Type) {
			all = append(all, Change{How: "removed", Before: &i})
		}
	}
	slices.SortFunc(all, func(a, b Change) int {
		x, y := a.After, b.After
		if x == nil {
			x = a.Before
		}
		if y == nil {
			y = b.Before
		}
		return strings.Compare(x.Type+"/"+strings.ToLower(x.Name)+"/"+x.ID, y.Type+"/"+strings.ToLower(y.Name)+"/"+y.ID)
	})
	return all
}
