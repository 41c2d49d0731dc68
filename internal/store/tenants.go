package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const tenantColumns = `t.id, t.workspace_id, t.slug, t.name, t.domain, t.directory_id, t.status, t.onboarding_step, t.owner_name, t.archived_at, t.created_at`

// tenantRow receives tenantColumns.
type tenantRow struct {
	t        tenancy.Tenant
	status   string
	archived *int64
	created  int64
}

func (r *tenantRow) dest() []any {
	t := &r.t
	return []any{&t.ID, &t.WorkspaceID, &t.Slug, &t.Name, &t.Domain, &t.DirectoryID, &r.status, &t.OnboardingStep, &t.Owner, &r.archived, &r.created}
}

func (r *tenantRow) tenant() tenancy.Tenant {
	t := r.t
	t.Status, t.ArchivedAt, t.CreatedAt = tenancy.TenantStatus(r.status), maybe(r.archived), db.Time(r.created)
	return t
}

// TenantView is a tenant in a list.
type TenantView struct {
	tenancy.Tenant
	Readiness   tenancy.Readiness   `json:"readiness"`
	Causes      []op.Cause          `json:"-"`           // what blocks work, the first to fix first
	Connections int                 `json:"connections"` // how many it has
	Default     *tenancy.Connection `json:"default_connection"`
	Active      *op.RunRef          `json:"active"` // the newest run in progress
	Latest      *op.RunRef          `json:"latest"` // the newest run
}

// TenantFilter narrows a list of tenants. The zero filter shows the first page of all.
type TenantFilter struct {
	Query     string // part of name or domain
	Status    tenancy.TenantStatus
	Readiness tenancy.Readiness
	Latest    op.RunOutcome // how the newest run ended
	Active    bool          // a run is in progress
	Cursor    string
	Limit     int // 1 to 200; 0: 50
}

// Tenants lists the tenants in the scope by name.
func (s *Store) Tenants(ctx context.Context, scope access.Scope, f TenantFilter) ([]TenantView, string, error) {
	limit, err := page.Size(f.Limit)
	if err != nil {
		return nil, "", err
	}
	if err := page.CheckSearch(f.Query); err != nil {
		return nil, "", err
	}
	key, err := page.After("tenants", f.Cursor, 2)
	if err != nil {
		return nil, "", err
	}
	var next string
	views, err := query.Read(ctx, s.db, "list tenants", func(ctx context.Context, tx db.Tx) ([]TenantView, error) {
		next = ""
		at, err := now(ctx, tx)
		if err != nil {
			return nil, err
		}
		var found []tenantFound
		// The stored readiness finds the tenants, and each is judged again here. The few
		// whose readiness has changed may need another batch.
		for batch, place := limit+1, key; len(found) <= limit; batch = page.MaxSize {
			more, err := s.tenantBatch(ctx, tx, tenantsQuery(scope, f, place, batch, at), at)
			if err != nil {
				return nil, err
			}
			for _, t := range more {
				if f.Readiness == "" || t.Readiness == f.Readiness {
					found = append(found, t)
				}
			}
			if len(more) < batch {
				break
			}
			place = more[len(more)-1].key
		}
		if len(found) > limit {
			found = found[:limit]
			next = page.Cursor("tenants", found[limit-1].key...)
		}
		return s.withRuns(ctx, tx, found)
	})
	return views, next, err
}

// TenantNames returns every tenant in the scope, by name, as choices of a form.
func (s *Store) TenantNames(ctx context.Context, scope access.Scope) ([]op.Tenant, error) {
	return query.Read(ctx, s.db, "names of tenants", func(ctx context.Context, tx db.Tx) ([]op.Tenant, error) {
		q := new(query.Query)
		q.Add(`SELECT t.id, t.slug, t.name FROM tenants t WHERE ` + scope.Where(q.Bind, "t.workspace_id", "t.id") + ` ORDER BY t.name_key, t.id`)
		return query.All(ctx, tx, q, func(row db.Row) (t op.Tenant, err error) {
			return t, row.Scan(&t.ID, &t.Slug, &t.Name)
		})
	})
}

// maxChoices bounds the choices that are offered.
const maxChoices = 20

// TenantChoices returns the first 20 tenants in the scope, by name, whose name or
// slug contains part.
func (s *Store) TenantChoices(ctx context.Context, scope access.Scope, part string) ([]op.Tenant, error) {
	if err := page.CheckSearch(part); err != nil {
		return nil, err
	}
	return query.Read(ctx, s.db, "tenants to choose from", func(ctx context.Context, tx db.Tx) ([]op.Tenant, error) {
		pattern := page.Contains(part)
		return tenantsLike(ctx, tx, scope, maxChoices, `(t.name_key LIKE %s ESCAPE '\' OR t.slug LIKE %s ESCAPE '\')`, pattern, pattern)
	})
}

// maxNamed bounds the tenants that a message names.
const maxNamed = 3

// FindTenant returns the tenant in the scope that text names: by its id, slug or name,
// or by a part of them that no other tenant has. A text that names none or several is
// an [*op.FieldError] that says so.
func (s *Store) FindTenant(ctx context.Context, scope access.Scope, text string) (op.Tenant, error) {
	if err := page.CheckSearch(text); err != nil {
		return op.Tenant{}, err
	}
	return query.Read(ctx, s.db, "find a tenant", func(ctx context.Context, tx db.Tx) (op.Tenant, error) {
		column, value := access.Ref(text)
		pattern := page.Contains(text)
		for _, try := range []span{
			{`t.` + column + ` = %s`, []any{value}},
			{`t.name_key = %s`, []any{page.NameKey(text)}},
			{`(t.name_key LIKE %s ESCAPE '\' OR t.slug LIKE %s ESCAPE '\')`, []any{pattern, pattern}},
		} {
			found, err := tenantsLike(ctx, tx, scope, maxChoices+1, try.text, try.args...)
			if err != nil || len(found) == 1 {
				return append(found, op.Tenant{})[0], err
			}
			if len(found) > 1 {
				return op.Tenant{}, &op.FieldError{Field: "tenant", Detail: severalTenants(text, found)}
			}
		}
		return op.Tenant{}, &op.FieldError{Field: "tenant", Detail: fmt.Sprintf("“%s” is no tenant that you can see", text)}
	})
}

func severalTenants(text string, found []op.Tenant) string {
	count := strconv.Itoa(len(found))
	if len(found) > maxChoices {
		count = "more than " + strconv.Itoa(maxChoices)
	}
	var names []string
	for _, t := range found[:min(len(found), maxNamed)] {
		names = append(names, t.Name+" ("+t.Slug+")")
	}
	return fmt.Sprintf("“%s” fits %s tenants, such as %s", text, count, strings.Join(names, ", "))
}

// tenantsLike returns the first tenants in the scope, by name, that meet a condition.
func tenantsLike(ctx context.Context, tx db.Tx, scope access.Scope, limit int, condition string, args ...any) ([]op.Tenant, error) {
	q := new(query.Query)
	q.Add(`SELECT t.id, t.slug, t.name FROM tenants t WHERE `+scope.Where(q.Bind, "t.workspace_id", "t.id")+` AND `).
		Add(condition, args...).Add(tenantOrder, limit)
	return query.All(ctx, tx, q, func(row db.Row) (t op.Tenant, err error) {
		return t, row.Scan(&t.ID, &t.Slug, &t.Name)
	})
}

// Tenant returns the tenant of ta as lists show it.
func (s *Store) Tenant(ctx context.Context, ta access.TenantAccess) (TenantView, error) {
	return query.Read(ctx, s.db, "tenant", func(ctx context.Context, tx db.Tx) (TenantView, error) {
		at, err := now(ctx, tx)
		if err != nil {
			return TenantView{}, err
		}
		q := new(query.Query) // without an order, so that no plan walks all tenants in search of it
		q.Add(tenantRows + ta.Scope.Where(q.Bind, "t.workspace_id", "t.id"))
		found, err := s.tenantBatch(ctx, tx, q, at)
		if err != nil {
			return TenantView{}, err
		}
		views, err := s.withRuns(ctx, tx, found)
		if err != nil {
			return TenantView{}, err
		}
		if len(views) == 0 {
			return TenantView{}, op.ErrNotFound
		}
		return views[0], nil
	})
}

// tenantFound is a tenant whose runs are not read yet.
type tenantFound struct {
	TenantView
	key            []string // of the list
	active, latest string   // run ids
}

// tenantRows are what tenantBatch reads, up to the conditions.
const tenantRows = `SELECT ` + tenantColumns + `, t.name_key,
	(SELECT COUNT(*) FROM connections n WHERE n.tenant_id = t.id AND n.deleted_at IS NULL),
	(SELECT d.id FROM connections d WHERE d.tenant_id = t.id AND d.is_default AND d.deleted_at IS NULL),
	(SELECT MAX(k.run_id) FROM run_claims k WHERE k.workspace_id = t.workspace_id AND k.tenant_id = t.id),
	(SELECT r.id FROM runs r WHERE r.tenant_id = t.id ORDER BY r` + byID + ` DESC LIMIT 1)
	FROM tenants t WHERE `

const tenantOrder = ` ORDER BY t.name_key, t.id LIMIT %s`

func tenantsQuery(scope access.Scope, f TenantFilter, key []string, limit int, at time.Time) *query.Query {
	q := new(query.Query)
	q.Add(tenantRows)
	var where span
	and := func(text string, args ...any) {
		where.text += ` AND ` + text
		where.args = append(where.args, args...)
	}
	if f.Query != "" {
		pattern := page.Contains(f.Query)
		and(`(t.name_key LIKE %s ESCAPE '\' OR t.domain LIKE %s ESCAPE '\')`, pattern, pattern)
	}
	if f.Status != "" {
		and(`t.status = %s`, string(f.Status))
	}
	if f.Latest != "" { // of the newest run, which must have ended
		and(`t.latest_outcome = %s AND NOT EXISTS (SELECT 1 FROM run_claims k
			WHERE k.workspace_id = t.workspace_id AND k.tenant_id = t.id AND k.run_id > t.latest_run)`, string(f.Latest))
	}
	if f.Active {
		and(`t.id IN (SELECT k.tenant_id FROM run_claims k WHERE k.workspace_id = %s)`, scope.WorkspaceID())
	}
	if key != nil {
		and(`(t.name_key, t.id) > (%s, %s)`, key[0], key[1])
	}
	if f.Readiness == "" {
		return q.Add(scope.Where(q.Bind, "t.workspace_id", "t.id")).Add(where.text, where.args...).Add(tenantOrder, limit)
	}
	in := func(workspace, tenant string) string { return scope.Where(q.Bind, workspace, tenant) }
	q.Add(`t.id IN (SELECT * FROM (SELECT t.id FROM tenants t WHERE `+in("t.workspace_id", "t.id")).Add(where.text, where.args...).
		Add(` AND t.readiness = %s`, string(f.Readiness)).Add(tenantOrder+`) part`, limit)
	// Few tenants are out of date. PostgreSQL expects many: with an order and a limit it
	// would look for them in the whole list, so they have neither.
	q.Add(` UNION ALL SELECT t.id FROM tenants t WHERE `+in("t.workspace_id", "t.id")).Add(` AND `+overdue, db.Micros(at))
	q.Add(` UNION ALL SELECT c.tenant_id FROM connections c WHERE ` + in("c.workspace_id", "c.tenant_id") + ` AND ` + unjudged)
	return q.Add(`)`).Add(where.text, where.args...).Add(tenantOrder, limit)
}

// tenantBatch runs a tenantsQuery and judges what it finds.
func (s *Store) tenantBatch(ctx context.Context, tx db.Tx, q *query.Query, at time.Time) ([]tenantFound, error) {
	defaults := make(map[string]*tenancy.Connection)
	found, err := query.All(ctx, tx, q, func(row db.Row) (f tenantFound, err error) {
		var t tenantRow
		var nameKey string
		var standard, active, latest *string
		if err := row.Scan(append(t.dest(), &nameKey, &f.Connections, &standard, &active, &latest)...); err != nil {
			return tenantFound{}, err
		}
		f.Tenant = t.tenant()
		f.key = []string{nameKey, f.ID}
		if standard != nil {
			f.Default = &tenancy.Connection{ID: *standard}
			defaults[*standard] = f.Default
		}
		if active != nil {
			f.active = *active
		}
		if latest != nil {
			f.latest = *latest
		}
		return f, nil
	})
	if err != nil {
		return nil, err
	}
	if len(defaults) > 0 {
		q := new(query.Query)
		q.Add(`SELECT ` + connectionColumns + ` FROM connections c WHERE c.id IN `).In(keys(defaults))
		list, err := query.All(ctx, tx, q, scanConnection)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			*defaults[c.ID] = c
		}
	}
	for i := range found {
		f := &found[i]
		f.Readiness, f.Causes = s.Readiness(f.Tenant, f.Default, f.Connections, at)
	}
	return found, nil
}

// withRuns fills in the active and latest runs of the tenants.
func (s *Store) withRuns(ctx context.Context, tx db.Tx, found []tenantFound) ([]TenantView, error) {
	named := make(map[string]*op.RunRef)
	for _, f := range found {
		named[f.active], named[f.latest] = nil, nil
	}
	delete(named, "")
	if len(named) > 0 {
		q := new(query.Query)
		q.Add(`SELECT ` + refColumns + ` FROM runs r JOIN workspaces w ON w.id = r.workspace_id WHERE r.id IN `).In(keys(named))
		refs, err := query.All(ctx, tx, q, func(row db.Row) (*op.RunRef, error) {
			var r refRow
			err := row.Scan(r.dest()...)
			return r.ref(), err
		})
		if err != nil {
			return nil, err
		}
		for _, r := range refs {
			named[r.ID] = r
		}
	}
	views := make([]TenantView, len(found))
	for i, f := range found {
		f.Active, f.Latest = named[f.active], named[f.latest]
		views[i] = f.TenantView
	}
	return views, nil
}

func keys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	return list
}

// Limits of a tenant, in characters.
const (
	maxTenantName = 120
	maxDomain     = 253
)

// NewTenant is a tenant to create.
type NewTenant struct {
	Name           string // up to 120 characters
	Slug           string // unique in the workspace; empty: derived from the name
	Domain         string
	DirectoryID    string // GUID
	Owner          string // who to ask about it; may be empty
	OnboardingStep string // not empty: onboarding continues at this step
}

// CreateTenant adds a tenant to the actor's workspace. The actor needs
// [tenancy.ManageTenants]. An invalid value is an [*op.FieldError].
func (s *Store) CreateTenant(ctx context.Context, a access.Actor, n NewTenant) (tenancy.Tenant, error) {
	t := tenancy.Tenant{
		ID: access.NewID(), WorkspaceID: a.WorkspaceID(), Slug: n.Slug, Name: n.Name, Domain: strings.ToLower(n.Domain),
		DirectoryID: tidyID(n.DirectoryID), Status: tenancy.TenantActive, OnboardingStep: n.OnboardingStep, Owner: n.Owner,
	}
	if t.OnboardingStep != "" {
		t.Status = tenancy.TenantOnboarding
	}
	if t.Slug == "" {
		t.Slug = slugOf(n.Name)
	}
	return query.Write(ctx, s.db, "create tenant", func(ctx context.Context, tx db.Tx) (tenancy.Tenant, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageTenants); err != nil {
			return tenancy.Tenant{}, err
		}
		if err := checkTenant(t); err != nil {
			return tenancy.Tenant{}, err
		}
		if t.Slug == op.TenantNew {
			return tenancy.Tenant{}, &op.FieldError{Field: "slug", Detail: "must not be " + op.TenantNew + ": that is the address of the page that adds one"}
		}
		var created int64
		err := tx.QueryRow(ctx, `INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, onboarding_step, owner_name, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, interlock_now()) ON CONFLICT (workspace_id, slug) DO NOTHING RETURNING created_at`,
			t.ID, t.WorkspaceID, t.Slug, t.Name, page.NameKey(t.Name), t.Domain, t.DirectoryID, string(t.Status), t.OnboardingStep, t.Owner).Scan(&created)
		if errors.Is(err, db.ErrNoRows) {
			return tenancy.Tenant{}, &op.FieldError{Field: "slug", Detail: "is in use in this workspace"}
		} else if err != nil {
			return tenancy.Tenant{}, err
		}
		t.CreatedAt = db.Time(created)
		return t, access.Audit(ctx, tx, t.WorkspaceID, access.Entry{Actor: a.Person(), Action: "tenant.create", Object: t.ID, Data: map[string]any{
			"tenant": t.Slug, "name": t.Name, "domain": t.Domain, "directory_id": t.DirectoryID, "status": t.Status,
		}})
	})
}

// ArchiveTenant makes a tenant read-only. It is [op.ErrConflict] while a run holds one
// of its connections.
func (s *Store) ArchiveTenant(ctx context.Context, a access.Actor, ref string) error {
	return s.moveTenant(ctx, a, ref, tenancy.TenantArchived)
}

// RestoreTenant brings a tenant back from the archive.
func (s *Store) RestoreTenant(ctx context.Context, a access.Actor, ref string) error {
	return s.moveTenant(ctx, a, ref, tenancy.TenantActive)
}

func (s *Store) moveTenant(ctx context.Context, a access.Actor, ref string, to tenancy.TenantStatus) error {
	action, archived := "tenant.restore", `NULL`
	if to == tenancy.TenantArchived {
		action, archived = "tenant.archive", `interlock_now()`
	}
	_, err := query.Write(ctx, s.db, action, func(ctx context.Context, tx db.Tx) (none struct{}, err error) {
		ta, err := access.Authorize(ctx, tx, a, ref, tenancy.ManageTenants)
		if err != nil {
			return none, err
		}
		if err := lockWorkspace(ctx, tx, ta.Workspace.ID); err != nil {
			return none, err
		}
		// Locks the connections' rows, as does every change that the gate judges by.
		if _, err := tx.Exec(ctx, `UPDATE connections SET rev = rev + 1 WHERE tenant_id = $1 AND deleted_at IS NULL`, ta.Tenant.ID); err != nil {
			return none, err
		}
		var code *string
		err = tx.QueryRow(ctx, `SELECT MIN(r.code) FROM connections c JOIN run_claims k ON k.scope = c.id JOIN runs r ON r.id = k.run_id
			WHERE c.tenant_id = $1`, ta.Tenant.ID).Scan(&code)
		if err != nil {
			return none, err
		}
		if code != nil && to == tenancy.TenantArchived {
			return none, op.ConflictThen("Try again when run "+*code+" ends.", "run %s is on its way", *code)
		}
		n, err := tx.Exec(ctx, `UPDATE tenants SET status = $2, archived_at = `+archived+` WHERE id = $1 AND (status = 'archived') <> ($2 = 'archived')`,
			ta.Tenant.ID, string(to))
		if err != nil || n == 0 {
			return none, err
		}
		return none, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{
			Actor: a.Person(), Action: action, Object: ta.Tenant.ID, Data: map[string]any{"tenant": ta.Tenant.Slug},
		})
	})
	return err
}

func checkTenant(t tenancy.Tenant) error {
	if err := access.CheckName("name", t.Name, maxTenantName); err != nil {
		return err
	}
	if err := access.CheckSlug("slug", t.Slug); err != nil {
		return err
	}
	if err := access.CheckName("domain", t.Domain, maxDomain); err != nil {
		return err
	}
	if err := checkGUID("directory_id", t.DirectoryID); err != nil {
		return err
	}
	if t.Owner != "" {
		if err := access.CheckName("owner", t.Owner, maxTenantName); err != nil {
			return err
		}
	}
	if t.OnboardingStep != "" {
		return access.CheckName("onboarding_step", t.OnboardingStep, maxTenantName)
	}
	return nil
}
