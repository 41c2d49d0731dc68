package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const connectionColumns = `c.id, c.workspace_id, c.tenant_id, c.slug, c.name, c.provider, c.cloud, c.directory_id, c.client_id,
	c.enabled, c.is_default, c.version, c.rev, c.disabled_by, c.disabled_at,
	c.credential, c.credential_version, c.credential_state, c.credential_expires_at, c.credential_checked_at, c.credential_details,
	c.consent, c.consent_at, c.permissions, c.permissions_at, c.actual_directory_id,
	c.verification, c.verification_reason, c.verified_at, c.sign_in_refusal, c.sign_in_refused_at, c.changed_at, c.created_at`

// connectionRow receives connectionColumns.
type connectionRow struct {
	c                                     tenancy.Connection
	credential, state, consent, verdict   string
	permissions, details                  string
	disabled, expires, checked, consented *int64
	permitted, verified, refused, changed *int64
	created                               int64
}

func (r *connectionRow) dest() []any {
	c := &r.c
	return []any{
		&c.ID, &c.WorkspaceID, &c.TenantID, &c.Slug, &c.Name, &c.Provider, &c.Cloud, &c.DirectoryID, &c.ClientID,
		&c.Enabled, &c.Default, &c.Version, &c.Rev, &c.DisabledBy, &r.disabled,
		&r.credential, &c.CredentialVersion, &r.state, &r.expires, &r.checked, &r.details,
		&r.consent, &r.consented, &r.permissions, &r.permitted, &c.ActualDirectoryID,
		&r.verdict, &c.VerificationReason, &r.verified, &c.SignInRefusal, &r.refused, &r.changed, &r.created,
	}
}

func (r *connectionRow) connection() (tenancy.Connection, error) {
	c := r.c
	c.Credential, c.CredentialState = tenancy.CredentialKind(r.credential), tenancy.CredentialState(r.state)
	c.Consent, c.Verification = tenancy.Consent(r.consent), tenancy.Verification(r.verdict)
	c.DisabledAt, c.CredentialExpiresAt, c.CredentialCheckedAt = maybe(r.disabled), maybe(r.expires), maybe(r.checked)
	c.ConsentAt, c.PermissionsAt, c.VerifiedAt = maybe(r.consented), maybe(r.permitted), maybe(r.verified)
	c.SignInRefusedAt, c.ChangedAt = maybe(r.refused), maybe(r.changed)
	c.CreatedAt = db.Time(r.created)
	if err := decode("permissions", r.permissions, &c.Permissions); err != nil {
		return c, err
	}
	err := decode("details of the credential", r.details, &c.CredentialDetails)
	return c, err
}

func scanConnection(row db.Row) (tenancy.Connection, error) {
	var r connectionRow
	if err := row.Scan(r.dest()...); err != nil {
		return tenancy.Connection{}, err
	}
	return r.connection()
}

// connections begins a query for the connections of a scope that are not deleted.
func connections(scope access.Scope) *query.Query {
	q := new(query.Query)
	return q.Add(`SELECT ` + connectionColumns + ` FROM connections c WHERE c.deleted_at IS NULL AND ` +
		scope.Where(q.Bind, "c.workspace_id", "c.tenant_id"))
}

// Resolved is the connection that a start would use.
type Resolved struct {
	Connection *tenancy.Connection // nil: none was named and the tenant has no default
	Count      int                 // connections of the tenant
	Default    bool                // it was not named: it is the default

	names map[string]string
}

// NameOf returns the name of the tenant's connection with that id; empty when there is
// none.
func (r Resolved) NameOf(id string) string { return r.names[id] }

// Resolve finds the connection of the tenant with the id or slug ref, or its default
// when ref is empty. A ref that names no connection of the tenant is
// [op.ErrNotFound]. A tenant without a default is no error.
func (s *Store) Resolve(ctx context.Context, tx db.Tx, ta access.TenantAccess, ref string) (Resolved, error) {
	// One statement for every case. A tenant has a handful of connections.
	list, err := query.All(ctx, tx, connections(ta.Scope).Add(` AND c.tenant_id = %s ORDER BY c.name_key, c.id`, ta.Tenant.ID), scanConnection)
	if err != nil {
		return Resolved{}, fmt.Errorf("resolve the connection: %w", err)
	}
	r := Resolved{Count: len(list), Default: ref == "", names: make(map[string]string, len(list))}
	column, value := access.Ref(ref)
	for i, c := range list {
		r.names[c.ID] = c.Name
		if ref == "" && c.Default || column == "id" && c.ID == value || column == "slug" && c.Slug == value {
			r.Connection = &list[i]
		}
	}
	if ref != "" && r.Connection == nil {
		return Resolved{}, op.ErrNotFound
	}
	return r, nil
}

// Pinned is the connection that a run was accepted for, as it is now, with its tenant.
type Pinned struct {
	Connection tenancy.Connection
	Tenant     tenancy.Tenant
	Removed    bool
	RemovedBy  string // who removed it
}

// Pinned returns the connection that a run was accepted for, even when it has been
// deleted since.
func (s *Store) Pinned(ctx context.Context, tx db.Tx, scope access.Scope, connectionID string) (Pinned, error) {
	q := new(query.Query)
	q.Add(`SELECT `+connectionColumns+`, c.deleted_at, `+tenantColumns+` FROM connections c JOIN tenants t ON t.id = c.tenant_id WHERE `+
		scope.Where(q.Bind, "c.workspace_id", "c.tenant_id")).Add(` AND c.id = %s`, connectionID)
	p, err := query.One(ctx, tx, q, func(row db.Row) (p Pinned, err error) {
		var c connectionRow
		var t tenantRow
		var deleted *int64
		if err := row.Scan(append(append(c.dest(), &deleted), t.dest()...)...); err != nil {
			return Pinned{}, err
		}
		p.Tenant = t.tenant()
		if p.Connection, err = c.connection(); deleted != nil {
			p.Removed, p.RemovedBy = true, p.Connection.DisabledBy
		}
		return p, err
	})
	if err != nil {
		return Pinned{}, fmt.Errorf("pinned connection: %w", err)
	}
	return p, nil
}

// ConnectionView is a connection in a list.
type ConnectionView struct {
	tenancy.Connection
	Tenant    op.Tenant         `json:"tenant"`
	Readiness tenancy.Readiness `json:"readiness"`
	Causes    []op.Cause        `json:"-"`      // what blocks work, the first to fix first
	Active    *op.RunRef        `json:"active"` // the run that holds it
}

// ConnectionFilter narrows a list of connections. The zero filter shows the
// first page of all.
type ConnectionFilter struct {
	Tenant string // id or slug
	Cursor string
	Limit  int // 1 to 200; 0: 50
}

// Connections lists the connections in the scope by name.
func (s *Store) Connections(ctx context.Context, scope access.Scope, f ConnectionFilter) ([]ConnectionView, string, error) {
	limit, err := page.Size(f.Limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("connections", f.Cursor, 2)
	if err != nil {
		return nil, "", err
	}
	type named struct {
		view ConnectionView
		key  string
	}
	list, err := query.Read(ctx, s.db, "list connections", func(ctx context.Context, tx db.Tx) ([]named, error) {
		at, err := now(ctx, tx)
		if err != nil {
			return nil, err
		}
		tenant, err := tenantOf(ctx, tx, scope, f.Tenant)
		if err != nil {
			return nil, err
		}
		q := connectionViews()
		if tenant != "" { // it was found in the scope
			q.Add(`c.tenant_id = %s`, tenant)
		} else {
			q.Add(scope.Where(q.Bind, "c.workspace_id", "c.tenant_id"))
		}
		if key != nil {
			q.Add(` AND (c.name_key, c.id) > (%s, %s)`, key[0], key[1])
		}
		q.Add(` ORDER BY c.name_key, c.id LIMIT %s`, limit+1)
		return query.All(ctx, tx, q, func(row db.Row) (named, error) {
			v, nameKey, err := s.scanView(row, at)
			return named{v, page.Cursor("connections", nameKey, v.ID)}, err
		})
	})
	if err != nil {
		return nil, "", err
	}
	list, next := page.Cut(list, limit, func(n named) string { return n.key })
	views := make([]ConnectionView, len(list))
	for i, n := range list {
		views[i] = n.view
	}
	return views, next, nil
}

// Connection returns the connection of a tenant with the id or slug ref.
func (s *Store) Connection(ctx context.Context, ta access.TenantAccess, ref string) (ConnectionView, error) {
	return query.Read(ctx, s.db, "connection", func(ctx context.Context, tx db.Tx) (ConnectionView, error) {
		at, err := now(ctx, tx)
		if err != nil {
			return ConnectionView{}, err
		}
		id, err := ownConnection(ctx, tx, ta.Tenant.ID, ref)
		if err != nil {
			return ConnectionView{}, err
		}
		q := connectionViews()
		q.Add(ta.Scope.Where(q.Bind, "c.workspace_id", "c.tenant_id")).Add(` AND c.tenant_id = %s AND c.id = %s`, ta.Tenant.ID, id)
		return query.One(ctx, tx, q, func(row db.Row) (ConnectionView, error) {
			v, _, err := s.scanView(row, at)
			return v, err
		})
	})
}

// ownConnection returns the id of the connection of a tenant with the id or slug ref.
// It reads the few connections of the tenant, and so touches no other tenant's.
func ownConnection(ctx context.Context, tx db.Tx, tenantID, ref string) (string, error) {
	type named struct{ id, slug string }
	q := new(query.Query).Add(`SELECT c.id, c.slug FROM connections c WHERE c.tenant_id = %s AND c.deleted_at IS NULL`, tenantID)
	list, err := query.All(ctx, tx, q, func(row db.Row) (n named, err error) {
		err = row.Scan(&n.id, &n.slug)
		return n, err
	})
	if err != nil {
		return "", err
	}
	column, value := access.Ref(ref)
	for _, n := range list {
		if column == "id" && n.id == value || column == "slug" && n.slug == value {
			return n.id, nil
		}
	}
	return "", op.ErrNotFound
}

// connectionViews begins a query whose rows scanView reads. SQLite reads the tables in
// the written order; see runTables.
func connectionViews() *query.Query {
	return new(query.Query).Add(`SELECT ` + connectionColumns + `, c.name_key, ` + tenantColumns + `, ` + refColumns + `
		FROM connections c CROSS JOIN tenants t CROSS JOIN workspaces w
		LEFT JOIN run_claims k ON k.scope = c.id LEFT JOIN runs r ON r.id = k.run_id
		WHERE t.id = c.tenant_id AND w.id = c.workspace_id AND c.deleted_at IS NULL AND `)
}

func (s *Store) scanView(row db.Row, at time.Time) (v ConnectionView, nameKey string, err error) {
	var c connectionRow
	var t tenantRow
	var active refRow
	if err := row.Scan(append(append(append(c.dest(), &nameKey), t.dest()...), active.dest()...)...); err != nil {
		return ConnectionView{}, "", err
	}
	if v.Connection, err = c.connection(); err != nil {
		return ConnectionView{}, "", err
	}
	tenant := t.tenant()
	v.Tenant = op.Tenant{ID: tenant.ID, Slug: tenant.Slug, Name: tenant.Name}
	v.Readiness, v.Causes = s.Readiness(tenant, &v.Connection, 1, at)
	v.Active = active.ref()
	return v, nameKey, nil
}

// nothing is an id that matches no row.
const nothing = "-"

// firstID returns the one id that q finds. It runs before a list, because a plan that
// does not know the id walks the history in search of it. When q finds none, it returns
// [nothing], with which the list is empty.
func firstID(ctx context.Context, tx db.Tx, q *query.Query) (string, error) {
	id, err := query.One(ctx, tx, q, query.ScanText)
	if errors.Is(err, op.ErrNotFound) {
		return nothing, nil
	}
	return id, err
}

// tenantOf returns the id of the tenant in the scope with the id or slug ref; empty
// when ref is empty.
func tenantOf(ctx context.Context, tx db.Tx, scope access.Scope, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	column, value := access.Ref(ref)
	q := new(query.Query)
	q.Add(`SELECT t.id FROM tenants t WHERE `+scope.Where(q.Bind, "t.workspace_id", "t.id")).Add(` AND t.`+column+` = %s`, value)
	return firstID(ctx, tx, q)
}

// connectionOf is tenantOf for a connection. A deleted one is found by its id. tenant is
// the id of the tenant that it must belong to; empty: any.
func connectionOf(ctx context.Context, tx db.Tx, scope access.Scope, tenant, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	column, value := access.Ref(ref)
	q := new(query.Query)
	q.Add(`SELECT c.id FROM connections c WHERE `+scope.Where(q.Bind, "c.workspace_id", "c.tenant_id")).Add(` AND c.`+column+` = %s`, value)
	if column != "id" {
		q.Add(` AND c.deleted_at IS NULL`)
	}
	if tenant != "" {
		q.Add(` AND c.tenant_id = %s`, tenant)
	}
	return firstID(ctx, tx, q)
}

// VerificationReport is what the last verification of a connection found.
type VerificationReport struct {
	Connection op.Target
	Run        *op.RunRef // nil: the run is not kept any more
	Verdict    tenancy.Verification
	Reason     op.Reason
	Checks     []byte // JSON, as the verification wrote it
	At         time.Time
}

// Verification returns the report on the connection of a tenant with the id or
// slug ref, or on its default when ref is empty; [op.ErrNotFound] when there is
// no such connection, or it was never verified.
func (s *Store) Verification(ctx context.Context, ta access.TenantAccess, ref string) (VerificationReport, error) {
	return query.Read(ctx, s.db, "verification report", func(ctx context.Context, tx db.Tx) (VerificationReport, error) {
		r, err := s.Resolve(ctx, tx, ta, ref)
		if err != nil {
			return VerificationReport{}, err
		}
		if r.Connection == nil {
			return VerificationReport{}, op.ErrNotFound
		}
		q := new(query.Query)
		q.Add(`SELECT v.verdict, v.reason, v.checks, v.at, `+refColumns+` FROM verification_reports v
			JOIN workspaces w ON w.id = v.workspace_id LEFT JOIN runs r ON r.id = v.run_id WHERE v.connection_id = %s`, r.Connection.ID)
		return query.One(ctx, tx, q, func(row db.Row) (VerificationReport, error) {
			out := VerificationReport{Connection: TargetOf(*r.Connection)}
			var verdict, reason, checks string
			var at int64
			var run refRow
			if err := row.Scan(append([]any{&verdict, &reason, &checks, &at}, run.dest()...)...); err != nil {
				return VerificationReport{}, err
			}
			out.Verdict, out.Reason, out.Checks = tenancy.Verification(verdict), op.Reason(reason), []byte(checks)
			out.At, out.Run = db.Time(at), run.ref()
			return out, nil
		})
	})
}

// TargetOf returns the connection as runs and answers name it.
func TargetOf(c tenancy.Connection) op.Target {
	return op.Target{
		ConnectionID: c.ID, Slug: c.Slug, Version: c.Version, Provider: c.Provider, Short: c.Name, Name: c.FullName(), Directory: c.DirectoryID,
	}
}

// holder returns the code of the run that holds a connection; empty when it is free.
func holder(ctx context.Context, tx db.Tx, connectionID string) (string, error) {
	var code string
	err := tx.QueryRow(ctx, `SELECT r.code FROM run_claims k JOIN runs r ON r.id = k.run_id WHERE k.scope = $1`, connectionID).Scan(&code)
	if errors.Is(err, db.ErrNoRows) {
		return "", nil
	}
	return code, err
}
