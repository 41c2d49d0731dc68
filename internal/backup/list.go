package backup

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Backups lists backups and what is in them, pins them, and changes keep rules. It is safe
// for concurrent use.
type Backups struct{ db *db.DB }

// New returns the backups in d.
func New(d *db.DB) *Backups { return &Backups{d} }

// Summary is a set with its run, and how long it is kept.
type Summary struct {
	Set
	Code string    // of the run; empty for an upload, or for a run that is no longer on record
	By   op.Person // who started the run; zero as Code
	Kept Kept
}

// Filter narrows a list of backups. The zero Filter narrows nothing.
type Filter struct {
	Run        string // id or code
	Origin     Origin
	Pinned     bool // only pinned ones
	Incomplete bool // only incomplete ones
}

const summaryColumns = `SELECT s.id, s.tenant_id, s.directory_id, s.run_id, s.origin, s.tool, s.layout, s.as_of, s.types, s.complete, s.items, s.incomplete, s.size, s.pinned,
		COALESCE(r.code, ''), COALESCE(r.initiator_id, ''), COALESCE(r.initiator, '') FROM backup_sets s LEFT JOIN runs r ON r.id = s.run_id WHERE `

func scanSummary(row db.Row) (s Summary, err error) {
	s.Set, err = scanSet(more{row, []any{&s.Code, &s.By.ID, &s.By.Name}})
	return s, err
}

// more is a row with further columns at its end.
type more struct {
	db.Row
	into []any
}

// Scan implements [db.Row].
func (m more) Scan(dest ...any) error { return m.Row.Scan(append(dest, m.into...)...) }

// List returns a page of the backups of a tenant, the newest first, and the cursor of the
// next page.
func (b *Backups) List(ctx context.Context, ta access.TenantAccess, f Filter, cursor string, limit int) ([]Summary, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("backups", cursor, 1)
	if err != nil {
		return nil, "", err
	}
	if !db.Storable(f.Run) {
		return nil, "", nil // no run has such a code
	}
	rows, err := query.Read(ctx, b.db, "list backups", func(ctx context.Context, tx db.Tx) ([]Summary, error) {
		q := new(query.Query).Add(summaryColumns+`s.tenant_id = %s AND s.state = 'kept'`, ta.Tenant.ID)
		if f.Run != "" {
			q.Add(` AND (s.run_id = %s OR r.code = %s)`, f.Run, f.Run)
		}
		if f.Origin != "" {
			q.Add(` AND s.origin = %s`, string(f.Origin))
		}
		if f.Pinned {
			q.Add(` AND s.pinned`)
		}
		if f.Incomplete {
			q.Add(` AND NOT s.complete`)
		}
		if key != nil {
			q.Add(` AND s.id < %s`, key[0])
		}
		all, err := query.All(ctx, tx, q.Add(` ORDER BY s.id DESC LIMIT %s`, limit+1).PlanAnew(), scanSummary)
		if err != nil {
			return nil, err
		}
		return all, judge(ctx, tx, ta, all)
	})
	if err != nil {
		return nil, "", err
	}
	rows, next := page.Cut(rows, limit, func(s Summary) string { return page.Cursor("backups", s.ID) })
	return rows, next, nil
}

// judge sets how long each of some backups of a tenant is kept, which depends on the
// others.
func judge(ctx context.Context, tx db.Tx, ta access.TenantAccess, some []Summary) error {
	rules, err := rulesOf(ctx, tx, ta.Workspace.ID)
	if err != nil {
		return err
	}
	all, err := keptOf(ctx, tx, ta.Tenant.ID)
	if err != nil {
		return err
	}
	var now int64
	if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
		return err
	}
	kept := make(map[string]Kept, len(all))
	for i, k := range rules.Keep(all, db.Time(now)) {
		kept[all[i].ID] = k
	}
	for i := range some {
		some[i].Kept = kept[some[i].ID]
	}
	return nil
}

// visible returns a set that readers of a tenant see; [op.ErrNotFound] if it is another
// tenant's, or not complete, or removed.
func visible(ctx context.Context, tx db.Tx, tenant, id string) (Set, error) {
	if uuid.Validate(id) != nil {
		return Set{}, fmt.Errorf("backup: %w", op.ErrNotFound)
	}
	return load(ctx, tx, `id = $1 AND tenant_id = $2 AND state = 'kept'`, id, tenant)
}

// summary reads a backup of a tenant; [op.ErrNotFound] if it is not visible, or of another
// tenant.
func summary(ctx context.Context, tx db.Tx, ta access.TenantAccess, id string) (Summary, error) {
	if uuid.Validate(id) != nil {
		return Summary{}, fmt.Errorf("backup: %w", op.ErrNotFound)
	}
	s, err := query.One(ctx, tx, query.Of(summaryColumns+`s.id = $1 AND s.tenant_id = $2 AND s.state = 'kept'`, id, ta.Tenant.ID), scanSummary)
	if err != nil {
		return Summary{}, err
	}
	some := []Summary{s}
	err = judge(ctx, tx, ta, some)
	return some[0], err
}

// Backup returns one backup of a tenant; [op.ErrNotFound] if it is another tenant's.
func (b *Backups) Backup(ctx context.Context, ta access.TenantAccess, id string) (Summary, error) {
	return query.Read(ctx, b.db, "backup", func(ctx context.Context, tx db.Tx) (Summary, error) { return summary(ctx, tx, ta, id) })
}

// ItemFilter narrows a list of items. The zero ItemFilter narrows nothing.
type ItemFilter struct {
	Type       string // key of a policy type
	Search     string // part of the name
	Incomplete bool   // only incomplete ones
}

// Items returns a page of the policies of a backup, by name, and the cursor of the next
// page.
func (b *Backups) Items(ctx context.Context, ta access.TenantAccess, id string, f ItemFilter, cursor string, limit int) ([]Item, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	if f.Type != "" && policy.Lookup(f.Type) == nil {
		return nil, "", &op.FieldError{Field: "type", Detail: fmt.Sprintf("%.60q is not a policy type", f.Type)}
	}
	if err := page.CheckSearch(f.Search); err != nil {
		return nil, "", err
	}
	key, err := page.After("backup items", cursor, 3)
	if err != nil {
		return nil, "", err
	}
	rows, err := query.Read(ctx, b.db, "list the policies of a backup", func(ctx context.Context, tx db.Tx) ([]Item, error) {
		if _, err := visible(ctx, tx, ta.Tenant.ID, id); err != nil {
			return nil, err
		}
		q := new(query.Query).Add(itemColumns+`i.set_id = %s`, id)
		if f.Type != "" {
			q.Add(` AND i.type = %s`, f.Type)
		}
		if f.Search != "" {
			q.Add(` AND i.name_key LIKE %s ESCAPE '\'`, page.Contains(f.Search))
		}
		if f.Incomplete {
			q.Add(` AND i.incomplete`)
		}
		if key != nil {
			q.Add(` AND (i.name_key, i.type, i.object_id) > (%s, %s, %s)`, key[0], key[1], key[2])
		}
		return query.All(ctx, tx, q.Add(` ORDER BY i.name_key, i.type, i.object_id LIMIT %s`, limit+1).PlanAnew(), scanItem)
	})
	if err != nil {
		return nil, "", err
	}
	rows, next := page.Cut(rows, limit, func(i Item) string { return page.Cursor("backup items", page.NameKey(i.Name), i.Type, i.ID) })
	return rows, next, nil
}

// Contents returns one policy of a backup with its contents, secrets included. The caller
// decides what its reader may see of them.
func (b *Backups) Contents(ctx context.Context, ta access.TenantAccess, id, typ, object string) (Contents, error) {
	return query.Read(ctx, b.db, "policy of a backup", func(ctx context.Context, tx db.Tx) (Contents, error) {
		if _, err := visible(ctx, tx, ta.Tenant.ID, id); err != nil {
			return Contents{}, err
		}
		return item(ctx, tx, ta.Workspace.ID, id, typ, object)
	})
}

// item reads a policy of a set; [op.ErrNotFound] if the set doesn't have it.
func item(ctx context.Context, tx db.Tx, workspace, set, typ, object string) (Contents, error) {
	if !possible(typ, object) {
		return Contents{}, fmt.Errorf("policy: %w", op.ErrNotFound)
	}
	i, err := query.One(ctx, tx, query.Of(itemColumns+`i.set_id = $1 AND i.type = $2 AND i.object_id = $3`, set, typ, object), scanItem)
	if err != nil {
		return Contents{}, err
	}
	return one(ctx, tx, workspace, set, i)
}

// Pin pins or unpins a backup, and returns it as it is then. A pinned backup is never
// removed. It needs [catalogue.MayBackUp]; a change leaves a row in the audit trail. An
// archived tenant is [op.ErrConflict].
func (b *Backups) Pin(ctx context.Context, a access.Actor, tenant, id string, pinned bool) (Summary, error) {
	return query.Write(ctx, b.db, "pin the backup", func(ctx context.Context, tx db.Tx) (Summary, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenant, catalogue.MayBackUp)
		if err != nil {
			return Summary{}, err
		}
		if uuid.Validate(id) != nil {
			return Summary{}, fmt.Errorf("backup: %w", op.ErrNotFound)
		}
		n, err := tx.Exec(ctx, `UPDATE backup_sets SET pinned = $3 WHERE id = $1 AND tenant_id = $2 AND state = 'kept' AND pinned <> $3`, id, ta.Tenant.ID, pinned)
		if err != nil {
			return Summary{}, err
		}
		s, err := summary(ctx, tx, ta, id)
		if err != nil || n == 0 {
			return s, err
		}
		action := "backup.unpin"
		if pinned {
			action = "backup.pin"
		}
		return s, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{Actor: a.Person(), Action: action, Object: ta.Tenant.ID, Data: map[string]string{"backup": id}})
	})
}

// Rules returns the keep rules of a's workspace.
func (b *Backups) Rules(ctx context.Context, a access.Actor) (Rules, error) {
	return query.Read(ctx, b.db, "keep rules", func(ctx context.Context, tx db.Tx) (Rules, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View); err != nil {
			return Rules{}, err
		}
		return rulesOf(ctx, tx, a.WorkspaceID())
	})
}

// SetRules changes the keep rules of a's workspace. They apply to a tenant from its next
// backup on. It needs [tenancy.ManageMembers] and a fresh sign-in, since stricter rules
// remove backups; a change leaves a row in the audit trail.
func (b *Backups) SetRules(ctx context.Context, a access.Actor, r Rules) error {
	if err := r.Check(); err != nil {
		return err
	}
	_, err := query.Write(ctx, b.db, "change the keep rules", func(ctx context.Context, tx db.Tx) (bool, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return false, err
		}
		if err := access.RequireFresh(ctx, tx, a); err != nil {
			return false, err
		}
		was, err := rulesOf(ctx, tx, a.WorkspaceID())
		if err != nil || was == r {
			return false, err
		}
		_, err = tx.Exec(ctx, `INSERT INTO backup_rules (workspace_id, newest, daily, monthly) VALUES ($1, $2, $3, $4)
			ON CONFLICT (workspace_id) DO UPDATE SET newest = excluded.newest, daily = excluded.daily, monthly = excluded.monthly`,
			a.WorkspaceID(), int64(r.Newest), int64(r.Daily), int64(r.Monthly))
		if err != nil {
			return false, err
		}
		return true, access.Audit(ctx, tx, a.WorkspaceID(), access.Entry{Actor: a.Person(), Action: "workspace.keep_rules", Object: a.WorkspaceID(), Data: r})
	})
	return err
}

// possible reports whether a set can have a policy of that type and id. No database can
// hold other text.
func possible(typ, object string) bool {
	return policy.Lookup(typ) != nil && db.Storable(object)
}
