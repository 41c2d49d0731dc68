package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Member is a person in a workspace.
type Member struct {
	ID         string               `json:"id"` // of the person
	Name       string               `json:"name"`
	Email      string               `json:"email"`
	Role       tenancy.Role         `json:"role"`
	Denied     []tenancy.Capability `json:"denied"` // of the role, what this member lacks
	AllTenants bool                 `json:"all_tenants"`
	Tenants    []op.Tenant          `json:"tenants"` // unless all
	Disabled   bool                 `json:"disabled"`
	CreatedAt  time.Time            `json:"created_at"`
}

// Membership is what a member may see and do.
type Membership struct {
	Role       tenancy.Role
	Denied     []tenancy.Capability
	AllTenants bool
	Tenants    []string // ids or slugs, unless all
}

// Members lists the members of the actor's workspace by name. It needs
// [tenancy.ManageMembers]; so does everything else here.
func (s *Store) Members(ctx context.Context, a access.Actor) ([]Member, error) {
	return read(ctx, s, "list members", func(ctx context.Context, tx db.Tx) ([]Member, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return nil, err
		}
		return members(ctx, tx, a.WorkspaceID(), "")
	})
}

// Member returns one member of the actor's workspace.
func (s *Store) Member(ctx context.Context, a access.Actor, userID string) (Member, error) {
	return read(ctx, s, "member", func(ctx context.Context, tx db.Tx) (Member, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return Member{}, err
		}
		return member(ctx, tx, a.WorkspaceID(), userID)
	})
}

func member(ctx context.Context, tx db.Tx, workspaceID, userID string) (Member, error) {
	if column, id := access.Ref(userID); column == "id" {
		list, err := members(ctx, tx, workspaceID, id)
		if err != nil || len(list) == 1 {
			return append(list, Member{})[0], err
		}
	}
	return Member{}, op.ErrNotFound
}

// members returns one member, or all when userID is empty.
func members(ctx context.Context, tx db.Tx, workspaceID, userID string) ([]Member, error) {
	q := new(query)
	q.add(`SELECT u.id, u.name, u.email, m.role, m.denied, m.all_tenants, u.disabled_at, m.created_at
		FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = %s`, workspaceID)
	if userID != "" {
		q.add(` AND m.user_id = %s`, userID)
	}
	list, err := all(ctx, tx, q.add(` ORDER BY u.name, u.id`), func(row db.Row) (m Member, err error) {
		var role, denied string
		var disabled *int64
		var created int64
		if err := row.Scan(&m.ID, &m.Name, &m.Email, &role, &denied, &m.AllTenants, &disabled, &created); err != nil {
			return Member{}, err
		}
		m.Role, m.Disabled, m.CreatedAt, m.Tenants = tenancy.Role(role), disabled != nil, db.Time(created), []op.Tenant{}
		err = decode("capabilities", denied, &m.Denied)
		return m, err
	})
	if err != nil {
		return nil, err
	}
	q = new(query)
	q.add(`SELECT mt.user_id, t.id, t.slug, t.name FROM member_tenants mt JOIN tenants t ON t.id = mt.tenant_id WHERE mt.workspace_id = %s`, workspaceID)
	if userID != "" {
		q.add(` AND mt.user_id = %s`, userID)
	}
	_, err = all(ctx, tx, q.add(` ORDER BY t.name_key, t.id`), func(row db.Row) (none struct{}, err error) {
		var user string
		var t op.Tenant
		if err := row.Scan(&user, &t.ID, &t.Slug, &t.Name); err != nil {
			return none, err
		}
		if i := slices.IndexFunc(list, func(m Member) bool { return m.ID == user && !m.AllTenants }); i >= 0 {
			list[i].Tenants = append(list[i].Tenants, t)
		}
		return none, nil
	})
	return list, err
}

// AddMember makes a local account and a member of the actor's workspace of it.
func (s *Store) AddMember(ctx context.Context, a access.Actor, u access.NewUser, as Membership) (Member, error) {
	account, err := u.Prepare(ctx)
	if err != nil {
		return Member{}, err
	}
	return s.changeMembers(ctx, a, "member.add", account.ID(), func(ctx context.Context, tx db.Tx) (any, error) {
		denied, err := as.check()
		if err != nil {
			return nil, err
		}
		if err := access.CreateUser(ctx, tx, account); err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `INSERT INTO members (workspace_id, user_id, role, denied, all_tenants, created_at) VALUES ($1, $2, $3, $4, $5, interlock_now())`,
			a.WorkspaceID(), account.ID(), string(as.Role), denied, as.AllTenants)
		if err != nil {
			return nil, err
		}
		return as, setTenants(ctx, tx, a.WorkspaceID(), account.ID(), as)
	})
}

// ChangeMember changes what a member may see and do, from their next request on.
// The last owner who can sign in stays one: [op.ErrConflict].
func (s *Store) ChangeMember(ctx context.Context, a access.Actor, userID string, to Membership) (Member, error) {
	return s.changeMembers(ctx, a, "member.change", userID, func(ctx context.Context, tx db.Tx) (any, error) {
		m, err := member(ctx, tx, a.WorkspaceID(), userID)
		if err != nil {
			return nil, err
		}
		denied, err := to.check()
		if err != nil {
			return nil, err
		}
		if to.Role != tenancy.Owner {
			if err := anotherOwner(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
				return nil, err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE members SET role = $3, denied = $4, all_tenants = $5 WHERE workspace_id = $1 AND user_id = $2`,
			a.WorkspaceID(), m.ID, string(to.Role), denied, to.AllTenants)
		if err != nil {
			return nil, err
		}
		return to, setTenants(ctx, tx, a.WorkspaceID(), m.ID, to)
	})
}

// RemoveMember takes someone out of the workspace and ends their sessions and
// tokens in it. The last owner who can sign in stays: [op.ErrConflict].
func (s *Store) RemoveMember(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMembers(ctx, a, "member.remove", userID, func(ctx context.Context, tx db.Tx) (any, error) {
		m, err := member(ctx, tx, a.WorkspaceID(), userID)
		if err != nil {
			return nil, err
		}
		if err := anotherOwner(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
			return nil, err
		}
		for _, table := range []string{"member_tenants", "members"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1 AND user_id = $2`, a.WorkspaceID(), m.ID); err != nil {
				return nil, err
			}
		}
		return nil, access.EndTokens(ctx, tx, a.WorkspaceID(), m.ID)
	})
	return err
}

// DisableUser closes a member's account, and ends its sessions and tokens. An
// account that is a member elsewhere too is not this workspace's to close, and
// the last owner who can sign in stays: [op.ErrConflict].
func (s *Store) DisableUser(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMembers(ctx, a, "user.disable", userID, func(ctx context.Context, tx db.Tx) (any, error) {
		m, err := s.ownUser(ctx, tx, a, userID)
		if err != nil {
			return nil, err
		}
		if err := anotherOwner(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE users SET disabled_at = interlock_now() WHERE id = $1 AND disabled_at IS NULL`, m.ID); err != nil {
			return nil, err
		}
		return nil, access.EndTokens(ctx, tx, "", m.ID)
	})
	return err
}

// EnableUser opens a member's account again.
func (s *Store) EnableUser(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMembers(ctx, a, "user.enable", userID, func(ctx context.Context, tx db.Tx) (any, error) {
		m, err := s.ownUser(ctx, tx, a, userID)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE users SET disabled_at = NULL WHERE id = $1`, m.ID)
		return nil, err
	})
	return err
}

// ownUser returns a member whose account belongs to the actor's workspace alone.
func (s *Store) ownUser(ctx context.Context, tx db.Tx, a access.Actor, userID string) (Member, error) {
	m, err := member(ctx, tx, a.WorkspaceID(), userID)
	if err != nil {
		return Member{}, err
	}
	var elsewhere bool
	err = tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM members WHERE user_id = $1 AND workspace_id <> $2`, m.ID, a.WorkspaceID()).Scan(&elsewhere)
	if err != nil {
		return Member{}, err
	}
	if elsewhere {
		return Member{}, fmt.Errorf("the account is not this workspace's alone: remove the member instead: %w", op.ErrConflict)
	}
	return m, nil
}

// changeMembers runs fn with the workspace locked, so that two owners can't
// remove each other, and puts it on record. It returns the member as they are
// then; the zero Member when they are gone.
func (s *Store) changeMembers(ctx context.Context, a access.Actor, action, userID string,
	fn func(ctx context.Context, tx db.Tx) (data any, err error),
) (Member, error) {
	return write(ctx, s, action, func(ctx context.Context, tx db.Tx) (Member, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return Member{}, err
		}
		if err := lockWorkspace(ctx, tx, a.WorkspaceID()); err != nil {
			return Member{}, err
		}
		data, err := fn(ctx, tx)
		if err != nil {
			return Member{}, err
		}
		if err := access.Audit(ctx, tx, a.WorkspaceID(), access.Entry{Actor: a.Person(), Action: action, Object: userID, Data: data}); err != nil {
			return Member{}, err
		}
		m, err := member(ctx, tx, a.WorkspaceID(), userID)
		if errors.Is(err, op.ErrNotFound) {
			return Member{}, nil
		}
		return m, err
	})
}

// anotherOwner refuses when no owner besides userID could sign in.
func anotherOwner(ctx context.Context, tx db.Tx, workspaceID, userID string) error {
	var others bool
	err := tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.workspace_id = $1 AND m.user_id <> $2 AND m.role = 'owner' AND u.disabled_at IS NULL`, workspaceID, userID).Scan(&others)
	if err != nil {
		return err
	}
	if !others {
		return fmt.Errorf("it is the last owner who can sign in: %w", op.ErrConflict)
	}
	return nil
}

// check returns the denied capabilities as they are stored.
func (m Membership) check() (denied string, err error) {
	if !slices.Contains(tenancy.Roles(), m.Role) {
		return "", &op.FieldError{Field: "role", Detail: "must be one of owner, operator, viewer"}
	}
	for i, c := range m.Denied {
		if !slices.Contains(tenancy.Capabilities(), c) {
			return "", &op.FieldError{Field: fmt.Sprintf("denied[%d]", i), Detail: "is not a capability"}
		}
	}
	switch {
	case m.Role == tenancy.Owner && !m.AllTenants:
		// Owners see members and the audit trail, which name every tenant.
		return "", &op.FieldError{Field: "all_tenants", Detail: "must be true for an owner"}
	case m.Role == tenancy.Owner && slices.Contains(m.Denied, tenancy.ManageMembers):
		return "", &op.FieldError{Field: "denied", Detail: "must leave an owner the management of members"}
	case m.AllTenants && len(m.Tenants) > 0:
		return "", &op.FieldError{Field: "tenants", Detail: "must be empty when the member sees all tenants"}
	}
	list, err := json.Marshal(append([]tenancy.Capability{}, m.Denied...))
	return string(list), err
}

// setTenants replaces the tenants that a member sees.
func setTenants(ctx context.Context, tx db.Tx, workspaceID, userID string, m Membership) error {
	if _, err := tx.Exec(ctx, `DELETE FROM member_tenants WHERE workspace_id = $1 AND user_id = $2`, workspaceID, userID); err != nil {
		return err
	}
	for i, ref := range m.Tenants {
		column, value := access.Ref(ref)
		var id string
		err := tx.QueryRow(ctx, `SELECT id FROM tenants WHERE workspace_id = $1 AND `+column+` = $2`, workspaceID, value).Scan(&id)
		if errors.Is(err, db.ErrNoRows) {
			return &op.FieldError{Field: fmt.Sprintf("tenants[%d]", i), Detail: "is not a tenant of this workspace"}
		} else if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)
			ON CONFLICT (workspace_id, user_id, tenant_id) DO NOTHING`, workspaceID, userID, id)
		if err != nil {
			return err
		}
	}
	return nil
}
