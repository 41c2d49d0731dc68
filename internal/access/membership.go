package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Membership is what a member of a workspace may see and do.
type Membership struct {
	Role       tenancy.Role         `json:"role"`
	Denied     []tenancy.Capability `json:"denied"` // capabilities of the role that this member lacks
	AllTenants bool                 `json:"all_tenants"`
	Tenants    []string             `json:"tenants"` // ids or slugs, unless all
}

// Grants returns what the membership allows.
func (m Membership) Grants() tenancy.Grants { return tenancy.NewGrants(m.Role, m.Denied, nil) }

// Check returns an [*op.FieldError] for an invalid membership. [SetMembership] checks
// whether its tenants exist.
func (m Membership) Check() error {
	if !slices.Contains(tenancy.Roles(), m.Role) {
		return &op.FieldError{Field: "role", Detail: "must be one of owner, operator, viewer"}
	}
	for i, c := range m.Denied {
		if !slices.Contains(tenancy.Capabilities(), c) {
			return &op.FieldError{Field: fmt.Sprintf("denied[%d]", i), Detail: "is not a capability"}
		}
	}
	switch {
	case m.Role == tenancy.Owner && !m.AllTenants:
		// Owners see members and the audit trail, which name every tenant.
		return &op.FieldError{Field: "all_tenants", Detail: "must be true for an owner"}
	case m.Role == tenancy.Owner && slices.Contains(m.Denied, tenancy.ManageMembers):
		return &op.FieldError{Field: "denied", Detail: "must leave an owner the management of members"}
	case m.AllTenants && len(m.Tenants) > 0:
		return &op.FieldError{Field: "tenants", Detail: "must be empty when the member sees all tenants"}
	case len(m.Tenants) > maxMemberTenants:
		return &op.FieldError{Field: "tenants", Detail: fmt.Sprintf("has %d tenants, at most %d are allowed", len(m.Tenants), maxMemberTenants)}
	}
	return nil
}

// maxMemberTenants bounds the tenants that a member can be confined to.
const maxMemberTenants = 1000

// BeyondError is returned to an actor who would give, change or take away access that
// they lack.
type BeyondError struct{ Missing []tenancy.Capability }

// Error names the capabilities that the actor lacks.
func (e *BeyondError) Error() string { return "beyond one's own access: " + e.Words() }

// Words returns the capabilities in words.
func (e *BeyondError) Words() string {
	words := make([]string, len(e.Missing))
	for i, c := range e.Missing {
		words[i] = "“" + c.Words() + "”"
	}
	return strings.Join(words, ", ")
}

// Unwrap makes it an [op.ErrForbidden].
func (e *BeyondError) Unwrap() error { return op.ErrForbidden }

// Manager is an actor who may change the members of their workspace. It comes from
// [Manage] only, and is valid until the end of that transaction.
type Manager struct {
	actor  Actor
	grants tenancy.Grants
}

// Manage lets actor a change the members of a's workspace and what they may do. It needs
// [tenancy.ManageMembers] and a fresh sign-in: an API token never changes members. It
// locks the workspace until the transaction ends and then reads the rights, so that
// changes of one workspace run one after another.
func Manage(ctx context.Context, tx db.Tx, a Actor) (Manager, error) {
	if err := lockWorkspace(ctx, tx, a.workspace.ID); err != nil {
		return Manager{}, err
	}
	_, grants, err := authorizeWorkspace(ctx, tx, a, tenancy.ManageMembers)
	if err != nil {
		return Manager{}, err
	}
	return Manager{actor: a, grants: grants}, RequireFresh(ctx, tx, a)
}

func lockWorkspace(ctx context.Context, tx db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE workspaces SET name = name WHERE id = $1`, id); err != nil {
		return fmt.Errorf("lock the workspace: %w", err)
	}
	return nil
}

// May returns a [*BeyondError] when g has a capability that the manager lacks: a manager
// can't give such access, nor change or remove a member who has it. Tenants need no such
// rule, because who manages members sees all of them.
func (m Manager) May(g tenancy.Grants) error {
	if missing := g.Beyond(m.grants); len(missing) > 0 {
		return &BeyondError{Missing: missing}
	}
	return nil
}

// SetMembership makes a person a member, or changes what a member may see and do. A
// tenant that the workspace does not have is an [*op.FieldError]. The caller checks that
// the actor may do this.
func SetMembership(ctx context.Context, tx db.Tx, workspaceID, userID string, m Membership) error {
	if err := m.Check(); err != nil {
		return err
	}
	tenants, err := tenantIDs(ctx, tx, workspaceID, m.Tenants)
	if err != nil {
		return err
	}
	denied, err := json.Marshal(append([]tenancy.Capability{}, m.Denied...))
	if err != nil {
		return fmt.Errorf("set membership: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO members (workspace_id, user_id, role, denied, all_tenants, created_at) VALUES ($1, $2, $3, $4, $5, interlock_now())
		ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role, denied = excluded.denied, all_tenants = excluded.all_tenants`,
		workspaceID, userID, string(m.Role), string(denied), m.AllTenants)
	if err != nil {
		return fmt.Errorf("set membership: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM member_tenants WHERE workspace_id = $1 AND user_id = $2`, workspaceID, userID); err != nil {
		return fmt.Errorf("set membership: %w", err)
	}
	for part := range slices.Chunk(tenants, tenantChunk) {
		holders, args := padded(part, 3)
		_, err := tx.Exec(ctx, `INSERT INTO member_tenants (workspace_id, user_id, tenant_id)
			SELECT workspace_id, $2, id FROM tenants WHERE workspace_id = $1 AND id IN (`+holders+`)`,
			append([]any{workspaceID, userID}, args...)...)
		if err != nil {
			return fmt.Errorf("set membership: %w", err)
		}
	}
	return nil
}

// tenantChunk is how many tenants one statement handles. It is fixed, so that there is
// one text of the statement.
const tenantChunk = 100

// padded returns tenantChunk placeholders from $first on and their values.
func padded(values []string, first int) (holders string, args []any) {
	list := make([]string, tenantChunk)
	args = make([]any, tenantChunk)
	for i := range list {
		list[i], args[i] = "$"+strconv.Itoa(first+i), ""
		if i < len(values) {
			args[i] = values[i]
		}
	}
	return strings.Join(list, ", "), args
}

// tenantIDs resolves ids and slugs of tenants, and drops duplicates.
func tenantIDs(ctx context.Context, tx db.Tx, workspaceID string, refs []string) ([]string, error) {
	known := make(map[string]string, 2*len(refs))
	for part := range slices.Chunk(refs, tenantChunk) {
		values := make([]string, len(part))
		for i, ref := range part {
			_, values[i] = Ref(ref)
		}
		holders, args := padded(values, 2)
		rows, err := tx.Query(ctx, `SELECT id, slug FROM tenants WHERE workspace_id = $1 AND (id IN (`+holders+`) OR slug IN (`+holders+`))`,
			append([]any{workspaceID}, args...)...)
		if err != nil {
			return nil, fmt.Errorf("look up tenants: %w", err)
		}
		for rows.Next() {
			var id, slug string
			if err := rows.Scan(&id, &slug); err != nil {
				rows.Close()
				return nil, fmt.Errorf("look up tenants: %w", err)
			}
			known[id], known[slug] = id, id
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("look up tenants: %w", err)
		}
	}
	ids := []string{}
	for i, ref := range refs {
		_, value := Ref(ref)
		id, ok := known[value]
		if !ok {
			return nil, &op.FieldError{Field: fmt.Sprintf("tenants[%d]", i), Detail: "is not a tenant of this workspace"}
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// grantsIn returns what a person may do in a workspace now, and their name. A person who
// can't sign in there is [op.ErrNotFound].
func grantsIn(ctx context.Context, tx db.Tx, workspaceID, userID string) (g tenancy.Grants, err error) {
	var role, denied string
	err = tx.QueryRow(ctx, `SELECT m.role, m.denied FROM members m JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
		WHERE m.workspace_id = $1 AND m.user_id = $2`, workspaceID, userID).Scan(&role, &denied)
	if err != nil {
		return tenancy.Grants{}, notFound(err)
	}
	return grants(role, denied, "[]")
}
