package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/policy"
)

// Version is a policy as it was in one or more backups in a row.
type Version struct {
	How     policy.Op // against the version before: added, changed or removed
	Set     string    // id of the first backup with it
	AsOf    time.Time // of that backup
	Until   time.Time // of the last backup with it
	Backups int       // how many have it
	Item    Item      // of a removed policy: as it was before
	Changes []policy.Change
}

// occurrence is a policy in one set.
type occurrence struct {
	set  string
	item Item
}

// Versions returns a page of the versions of a policy in the backups of a tenant, the
// newest first, and the cursor of the next page. Backups in which the policy lacks a part
// don't count: nobody knows what changed. It is [op.ErrNotFound] if no backup has the
// policy. Uploads from another directory don't count either. Providers don't say who
// changed a policy; ModifiedAt of the item says when.
func (b *Backups) Versions(ctx context.Context, ta access.TenantAccess, typ, object, cursor string, limit int) ([]Version, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("versions", cursor, 1)
	if err != nil {
		return nil, "", err
	}
	if !possible(typ, object) {
		return nil, "", fmt.Errorf("policy: %w", op.ErrNotFound)
	}
	all, err := query.Read(ctx, b.db, "versions of a policy", func(ctx context.Context, tx db.Tx) ([]Version, error) {
		sets, err := keptOf(ctx, tx, ta.Tenant.ID)
		if err != nil {
			return nil, err
		}
		q := query.Of(`SELECT i.set_id, i.type, i.object_id, i.name, i.modified_at, i.hash, i.missing FROM backup_items i
			WHERE i.tenant_id = $1 AND i.type = $2 AND i.object_id = $3`, ta.Tenant.ID, typ, object)
		found, err := query.All(ctx, tx, q, func(row db.Row) (o occurrence, err error) {
			o.item, err = scanItem(before{row, &o.set})
			return o, err
		})
		if err != nil {
			return nil, err
		}
		sets = slices.DeleteFunc(sets, func(s Set) bool {
			own := ta.Tenant.DirectoryID
			return s.Origin != FromRun && s.Directory != "" && own != "" && !strings.EqualFold(s.Directory, own)
		})
		return versions(sets, typ, found), nil
	})
	if err != nil {
		return nil, "", err
	}
	if all == nil {
		return nil, "", fmt.Errorf("policy %s: %w", typ, op.ErrNotFound)
	}
	from := 0
	if key != nil {
		if from = slices.IndexFunc(all, func(v Version) bool { return v.Set == key[0] }) + 1; from == 0 {
			return nil, "", op.ErrBadCursor // or the rules have removed that backup since
		}
	}
	rows, next := page.Cut(all[from:], limit, func(v Version) string { return page.Cursor("versions", v.Set) })
	for i := range rows {
		if rows[i].How != policy.Changed {
			continue
		}
		if rows[i].Changes, err = b.changes(ctx, ta.Workspace.ID, all[from+i+1], rows[i]); err != nil {
			return nil, "", err
		}
	}
	return rows, next, nil
}

// before is a row with a further column at its beginning.
type before struct {
	db.Row
	first any
}

// Scan implements [db.Row].
func (b before) Scan(dest ...any) error { return b.Row.Scan(append([]any{b.first}, dest...)...) }

// versions makes the versions of a policy of the sets of its tenant, the newest first. It
// is nil if no set has the policy.
func versions(sets []Set, typ string, found []occurrence) []Version {
	has := make(map[string]Item, len(found))
	for _, o := range found {
		has[o.set] = o.item
	}
	slices.SortFunc(sets, func(a, b Set) int { return cmp.Or(a.AsOf.Compare(b.AsOf), strings.Compare(a.ID, b.ID)) })
	var all []Version
	for _, s := range sets {
		item, there := has[s.ID]
		last := Version{How: policy.Removed}
		if len(all) > 0 {
			last = all[len(all)-1]
		}
		next := Version{Set: s.ID, AsOf: s.AsOf, Until: s.AsOf, Backups: 1, Item: item}
		switch {
		case there && len(item.Missing) > 0:
			continue
		case there && last.How != policy.Removed && last.Item.Hash == item.Hash,
			!there && last.How == policy.Removed && len(all) > 0 && s.knows(typ):
			all[len(all)-1].Until = s.AsOf
			all[len(all)-1].Backups++
			continue
		case there && last.How == policy.Removed:
			next.How = policy.Added
		case there:
			next.How = policy.Changed
		case last.How != policy.Removed && s.knows(typ):
			next.How, next.Item = policy.Removed, last.Item
		default:
			continue
		}
		all = append(all, next)
	}
	slices.Reverse(all)
	if all == nil && len(found) > 0 {
		return []Version{} // in no backup with all of its parts
	}
	return all
}

// changes are the properties in which a version differs from the one before.
func (b *Backups) changes(ctx context.Context, workspace string, old, now Version) ([]policy.Change, error) {
	var both [2]policy.Document
	for i, v := range []Version{old, now} {
		c, err := query.Read(ctx, b.db, "version of a policy", func(ctx context.Context, tx db.Tx) (Contents, error) {
			return item(ctx, tx, workspace, v.Set, v.Item.Type, v.Item.ID)
		})
		if errors.Is(err, op.ErrNotFound) {
			return nil, nil // with its backup, meanwhile
		}
		if err != nil {
			return nil, err
		}
		if both[i], err = policy.Normalise(c.Policy); err != nil {
			return nil, fmt.Errorf("version of a policy: %w", err)
		}
	}
	return policy.Diff(both[0], both[1], policy.NamesIn(both[1], both[0])), nil
}

// knows reports whether a policy of a type that is not in the set was not in the tenant.
// Files of an upload can have been left out by anybody.
func (s Set) knows(typ string) bool { return s.Origin == FromRun && s.whole(typ) }
