package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Scope is the part of the database that a statement may touch: all tenants that a
// member sees, one of them, or the tenant of a run. The zero Scope is empty.
type Scope struct {
	workspace string
	user      string // empty: a run's
	tenant    string // empty: every tenant that the user sees
	all       bool   // those are all of them
}

// WorkspaceID returns the workspace that the scope lies in.
func (s Scope) WorkspaceID() string { return s.workspace }

// UserID returns the member whose scope it is; empty for a run's.
func (s Scope) UserID() string { return s.user }

// Some reports whether the scope is of a member who sees only some of the
// workspace's tenants.
func (s Scope) Some() bool { return s.user != "" && s.tenant == "" && !s.all }

// Where returns the condition that rows of a table are in the scope, given the names of
// its workspace and tenant columns. The condition includes the membership, so that it
// holds when the statement runs. bind adds an argument to the statement and returns its
// placeholder.
func (s Scope) Where(bind func(any) string, workspaceColumn, tenantColumn string) string {
	return s.where(bind, workspaceColumn, tenantColumn, func(theirs string) string {
		// A list, so that a plan can start at these few tenants.
		return tenantColumn + " IN (SELECT st.tenant_id FROM" + theirs + ")"
	})
}

// WhereEach returns the same condition for a list that is read in its own order and cut
// to a page. It is tested row by row, so that no plan collects and sorts all rows of the
// member's tenants.
func (s Scope) WhereEach(bind func(any) string, workspaceColumn, tenantColumn string) string {
	return s.where(bind, workspaceColumn, tenantColumn, func(theirs string) string {
		return "EXISTS (SELECT 1 FROM" + theirs + " AND st.tenant_id = " + tenantColumn + ")"
	})
}

// WhereOne returns the condition that a row is in the scope and has value in a column
// that identifies it, such as its id. For a member who sees some tenants, the row is
// looked up in each of those by an index on the tenant and that column
//
//	(tenantColumn || '/' || column)
//
// so that no statement touches a row of another tenant, and timing can't tell such a row
// from a missing one.
func (s Scope) WhereOne(bind func(any) string, workspaceColumn, tenantColumn, column, value string) string {
	if !s.Some() || s.workspace == "" {
		return s.Where(bind, workspaceColumn, tenantColumn) + " AND " + column + " = " + bind(value)
	}
	// The value is the first parameter: one plan must serve any value.
	name := bind(value)
	me := " sm.workspace_id = " + bind(s.workspace) + " AND sm.user_id = " + bind(s.user)
	return "(" + tenantColumn + " || '/' || " + column + ") IN (SELECT st.tenant_id || '/' || " + name +
		" FROM members sm JOIN member_tenants st ON st.workspace_id = sm.workspace_id AND st.user_id = sm.user_id WHERE" + me + ")"
}

// where has some make the condition for a member who sees some tenants: theirs
// is where those are read from.
func (s Scope) where(bind func(any) string, workspaceColumn, tenantColumn string, some func(theirs string) string) string {
	if s.workspace == "" || s.user == "" && s.tenant == "" {
		return "FALSE"
	}
	ws := bind(s.workspace)
	where := workspaceColumn + " = " + ws
	if s.user == "" {
		return where + " AND " + tenantColumn + " = " + bind(s.tenant)
	}
	me := " sm.workspace_id = " + ws + " AND sm.user_id = " + bind(s.user)
	const theirs = " member_tenants st ON st.workspace_id = sm.workspace_id AND st.user_id = sm.user_id"
	switch {
	case s.tenant != "":
		tenant := bind(s.tenant)
		return where + " AND " + tenantColumn + " = " + tenant + " AND EXISTS (SELECT 1 FROM members sm LEFT JOIN" + theirs +
			" AND st.tenant_id = " + tenant + " WHERE" + me + " AND (sm.all_tenants OR st.tenant_id IS NOT NULL))"
	case s.all:
		return where + " AND EXISTS (SELECT 1 FROM members sm WHERE" + me + " AND sm.all_tenants)"
	default:
		return where + " AND " + some(" members sm JOIN"+theirs+" WHERE"+me)
	}
}

// ForRun returns the scope of a run's work. It is for the worker: the gate authorized
// the run, and [StillMay] checks it again.
func ForRun(workspaceID, tenantID string) Scope {
	if workspaceID == "" || tenantID == "" {
		return Scope{}
	}
	return Scope{workspace: workspaceID, tenant: tenantID}
}

// TenantAccess is a tenant that an actor was admitted to, and what they may do there.
type TenantAccess struct {
	Tenant    tenancy.Tenant
	Workspace tenancy.Workspace
	Grants    tenancy.Grants
	Scope     Scope
}

// member is the first part of every authorization: the membership of a person whose
// account is open and whose secret is still valid.
const member = ` FROM members m
	JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
	JOIN tokens k ON k.user_id = m.user_id AND k.workspace_id = m.workspace_id
		AND k.id = $3 AND k.revoked_at IS NULL AND k.expires_at > interlock_now()
	JOIN workspaces w ON w.id = m.workspace_id`

// visible is the condition that member m sees tenant t.
const visible = `t.workspace_id = m.workspace_id AND (m.all_tenants OR EXISTS (SELECT 1 FROM member_tenants mt
		WHERE mt.workspace_id = m.workspace_id AND mt.user_id = m.user_id AND mt.tenant_id = t.id))`

// Authorize admits actor a to the tenant with the id or slug ref if a holds need there.
// It reads the rights again, so that a change takes effect at once. A tenant that a may
// not see is [op.ErrNotFound], by the same statement as one that does not exist. Lacking
// need in a visible tenant is [op.ErrForbidden]. An actor without the second factor that
// the workspace requires gets [ErrFactorRequired] for each tenant that they see, here and
// from [AuthorizeWorkspace].
func Authorize(ctx context.Context, tx db.Tx, a Actor, ref string, need tenancy.Capability) (TenantAccess, error) {
	column, value := Ref(ref)
	var (
		ta                 TenantAccess
		role, denied, only string
		status             string
		lacking            bool
		archived           *int64
		created            int64
	)
	t, w := &ta.Tenant, &ta.Workspace
	err := tx.QueryRow(ctx, `SELECT w.id, w.slug, w.name, m.role, m.denied, k.only_caps,
		t.id, t.slug, t.name, t.domain, t.directory_id, t.status, t.onboarding_step, t.owner_name, t.archived_at, t.created_at, `+lacksFactor+
		member+` JOIN tenants t ON `+visible+` WHERE m.workspace_id = $1 AND m.user_id = $2 AND t.`+column+` = $4`,
		a.workspace.ID, a.id, a.token, value).
		Scan(&w.ID, &w.Slug, &w.Name, &role, &denied, &only,
			&t.ID, &t.Slug, &t.Name, &t.Domain, &t.DirectoryID, &status, &t.OnboardingStep, &t.Owner, &archived, &created, &lacking)
	if errors.Is(err, db.ErrNoRows) {
		return TenantAccess{}, op.ErrNotFound
	} else if err != nil {
		return TenantAccess{}, fmt.Errorf("authorize: %w", err)
	}
	if lacking {
		return TenantAccess{}, ErrFactorRequired
	}
	t.WorkspaceID, t.Status, t.CreatedAt = w.ID, tenancy.TenantStatus(status), db.Time(created)
	if archived != nil {
		at := db.Time(*archived)
		t.ArchivedAt = &at
	}
	if ta.Grants, err = grants(role, denied, only); err != nil {
		return TenantAccess{}, err
	}
	if !ta.Grants.Has(need) {
		return TenantAccess{}, op.ErrForbidden
	}
	ta.Scope = Scope{workspace: w.ID, user: a.id, tenant: t.ID}
	return ta, nil
}

// AuthorizeChange is [Authorize] for a change. It is [op.ErrConflict] for an archived
// tenant, which is read-only.
func AuthorizeChange(ctx context.Context, tx db.Tx, a Actor, ref string, need tenancy.Capability) (TenantAccess, error) {
	ta, err := Authorize(ctx, tx, a, ref, need)
	if err != nil {
		return TenantAccess{}, err
	}
	if ta.Tenant.Status == tenancy.TenantArchived {
		return TenantAccess{}, op.Conflict("%s is archived. Archived tenants are read-only", ta.Tenant.Name)
	}
	return ta, nil
}

// AuthorizeWorkspace admits actor a to all tenants of the workspace that a sees, if a
// holds need. It is for lists, and for what belongs to the workspace itself. A former
// member gets [op.ErrNotFound], an actor without need [op.ErrForbidden].
func AuthorizeWorkspace(ctx context.Context, tx db.Tx, a Actor, need tenancy.Capability) (Scope, error) {
	scope, _, err := authorizeWorkspace(ctx, tx, a, need)
	return scope, err
}

// authorizeWorkspace also returns all that a may do.
func authorizeWorkspace(ctx context.Context, tx db.Tx, a Actor, need tenancy.Capability) (Scope, tenancy.Grants, error) {
	var role, denied, only string
	var everything, lacking bool
	err := tx.QueryRow(ctx, `SELECT m.role, m.denied, k.only_caps, m.all_tenants, `+lacksFactor+member+` WHERE m.workspace_id = $1 AND m.user_id = $2`,
		a.workspace.ID, a.id, a.token).Scan(&role, &denied, &only, &everything, &lacking)
	if errors.Is(err, db.ErrNoRows) {
		return Scope{}, tenancy.Grants{}, op.ErrNotFound
	} else if err != nil {
		return Scope{}, tenancy.Grants{}, fmt.Errorf("authorize: %w", err)
	}
	if lacking {
		return Scope{}, tenancy.Grants{}, ErrFactorRequired
	}
	g, err := grants(role, denied, only)
	if err != nil {
		return Scope{}, tenancy.Grants{}, err
	}
	if !g.Has(need) {
		return Scope{}, tenancy.Grants{}, op.ErrForbidden
	}
	return Scope{workspace: a.workspace.ID, user: a.id, all: everything}, g, nil
}

// StillMay reports whether a person holds need in a tenant now. It is checked when their
// run begins; the token that started the run may have ended by then.
func StillMay(ctx context.Context, tx db.Tx, workspaceID, userID, tenantID string, need tenancy.Capability) (bool, error) {
	var role, denied string
	err := tx.QueryRow(ctx, `SELECT m.role, m.denied FROM members m
		JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
		JOIN tenants t ON `+visible+` WHERE m.workspace_id = $1 AND m.user_id = $2 AND t.id = $3`,
		workspaceID, userID, tenantID).Scan(&role, &denied)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("authorize again: %w", err)
	}
	g, err := grants(role, denied, "[]")
	return g.Has(need), err
}
