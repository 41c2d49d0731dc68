package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Member is a person in a workspace.
type Member struct {
	ID         string               `json:"id"` // of the person
	Name       string               `json:"name"`
	Email      string               `json:"email"`
	Role       tenancy.Role         `json:"role"`
	Denied     []tenancy.Capability `json:"denied"` // capabilities of the role that this member lacks
	AllTenants bool                 `json:"all_tenants"`
	Tenants    []op.Tenant          `json:"tenants"` // unless all
	Disabled   bool                 `json:"disabled"`
	CreatedAt  time.Time            `json:"created_at"`
}

// MemberChange is a change of a member. Nil fields stay unchanged.
type MemberChange struct {
	Role       *tenancy.Role
	Denied     *[]tenancy.Capability
	AllTenants *bool
	Tenants    *[]string // ids or slugs; the member sees no others then
}

// on returns m as changed.
func (c MemberChange) on(m Member) access.Membership {
	to := access.Membership{Role: m.Role, Denied: m.Denied, AllTenants: m.AllTenants}
	for _, t := range m.Tenants {
		to.Tenants = append(to.Tenants, t.ID)
	}
	if c.Role != nil {
		to.Role = *c.Role
	}
	if c.Denied != nil {
		to.Denied = *c.Denied
	}
	if c.Tenants != nil {
		to.AllTenants, to.Tenants = false, *c.Tenants
	}
	if c.AllTenants != nil {
		to.AllTenants = *c.AllTenants
		if to.AllTenants && c.Tenants == nil {
			to.Tenants = nil
		}
	}
	return to
}

// Members lists the members of the actor's workspace by name. Like everything in this
// file it needs [tenancy.ManageMembers].
func (s *Store) Members(ctx context.Context, a access.Actor) ([]Member, error) {
	return query.Read(ctx, s.db, "list members", func(ctx context.Context, tx db.Tx) ([]Member, error) {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return nil, err
		}
		return members(ctx, tx, a.WorkspaceID(), "")
	})
}

// Member returns one member of the actor's workspace.
func (s *Store) Member(ctx context.Context, a access.Actor, userID string) (Member, error) {
	return query.Read(ctx, s.db, "member", func(ctx context.Context, tx db.Tx) (Member, error) {
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
	q := new(query.Query)
	q.Add(`SELECT u.id, u.name, u.email, m.role, m.denied, m.all_tenants, u.disabled_at, m.created_at
		FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = %s`, workspaceID)
	if userID != "" {
		q.Add(` AND m.user_id = %s`, userID)
	}
	list, err := query.All(ctx, tx, q.Add(` ORDER BY u.name, u.id`), func(row db.Row) (m Member, err error) {
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
	q = new(query.Query)
	q.Add(`SELECT mt.user_id, t.id, t.slug, t.name FROM member_tenants mt JOIN tenants t ON t.id = mt.tenant_id WHERE mt.workspace_id = %s`, workspaceID)
	if userID != "" {
		q.Add(` AND mt.user_id = %s`, userID)
	}
	_, err = query.All(ctx, tx, q.Add(` ORDER BY t.name_key, t.id`), func(row db.Row) (none struct{}, err error) {
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

// ChangeMember changes what a member may see and do, from their next request on. Only
// the named fields change, even when others change the member at the same time.
// Changing the last owner who can sign in is [op.ErrConflict]. Changing a member who
// has access that the actor lacks, or giving such access, is an [*access.BeyondError].
func (s *Store) ChangeMember(ctx context.Context, a access.Actor, userID string, change MemberChange) (Member, error) {
	return s.changeMember(ctx, a, "member.change", userID, func(ctx context.Context, tx db.Tx, by access.Manager, m Member) (any, error) {
		to := change.on(m)
		if err := to.Check(); err != nil {
			return nil, err
		}
		if err := by.May(to.Grants()); err != nil {
			return nil, err
		}
		if to.Role != tenancy.Owner {
			if err := anotherOwner(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
				return nil, err
			}
		}
		return to, access.SetMembership(ctx, tx, a.WorkspaceID(), m.ID, to)
	})
}

// RemoveMember removes a member from the workspace and ends their sessions and tokens
// in it. Their queued runs are blocked as [op.AuthorizationLost] when a worker takes
// them up; their running runs continue. Removing the last owner who can sign in is
// [op.ErrConflict]. Removing a member who has access that the actor lacks is an
// [*access.BeyondError].
func (s *Store) RemoveMember(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMember(ctx, a, "member.remove", userID, func(ctx context.Context, tx db.Tx, _ access.Manager, m Member) (any, error) {
		if err := anotherOwner(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
			return nil, err
		}
		for _, table := range []string{"member_tenants", "members"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE workspace_id = $1 AND user_id = $2`, a.WorkspaceID(), m.ID); err != nil {
				return nil, err
			}
		}
		return map[string]any{"email": m.Email, "role": m.Role}, access.EndTokens(ctx, tx, a.WorkspaceID(), m.ID)
	})
	return err
}

// DisableUser closes a member's account, and ends its sessions and tokens. It is
// [op.ErrConflict] for an account that is also a member of another workspace, and for
// the last owner who can sign in. Closing the account of a member who has access that
// the actor lacks is an [*access.BeyondError].
func (s *Store) DisableUser(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMember(ctx, a, "user.disable", userID, func(ctx context.Context, tx db.Tx, _ access.Manager, m Member) (any, error) {
		if err := onlyHere(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
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

// EnableUser opens a member's account again. For a member who has access that the
// actor lacks it is an [*access.BeyondError].
func (s *Store) EnableUser(ctx context.Context, a access.Actor, userID string) error {
	_, err := s.changeMember(ctx, a, "user.enable", userID, func(ctx context.Context, tx db.Tx, _ access.Manager, m Member) (any, error) {
		if err := onlyHere(ctx, tx, a.WorkspaceID(), m.ID); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `UPDATE users SET disabled_at = NULL WHERE id = $1`, m.ID)
		return nil, err
	})
	return err
}

// onlyHere returns a conflict for an account that is also a member of another workspace.
func onlyHere(ctx context.Context, tx db.Tx, workspaceID, userID string) error {
	var elsewhere bool
	err := tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM members WHERE user_id = $1 AND workspace_id <> $2`, userID, workspaceID).Scan(&elsewhere)
	if err != nil {
		return err
	}
	if elsewhere {
		return op.Conflict("the account is not this workspace's alone: remove the member instead")
	}
	return nil
}

// changeMember runs fn on a member whom the actor may change, with the workspace
// locked, and records the change; see [access.Manage]. It returns the changed member;
// the zero Member after a removal.
func (s *Store) changeMember(ctx context.Context, a access.Actor, action, userID string,
	fn func(ctx context.Context, tx db.Tx, by access.Manager, m Member) (data any, err error),
) (Member, error) {
	return query.Write(ctx, s.db, action, func(ctx context.Context, tx db.Tx) (Member, error) {
		by, err := access.Manage(ctx, tx, a)
		if err != nil {
			return Member{}, err
		}
		m, err := member(ctx, tx, a.WorkspaceID(), userID)
		if err != nil {
			return Member{}, err
		}
		if err := by.May(tenancy.NewGrants(m.Role, m.Denied, nil)); err != nil {
			return Member{}, err
		}
		data, err := fn(ctx, tx, by, m)
		if err != nil {
			return Member{}, err
		}
		if err := access.Audit(ctx, tx, a.WorkspaceID(), access.Entry{Actor: a.Person(), Action: action, Object: m.ID, Data: data}); err != nil {
			return Member{}, err
		}
		after, err := member(ctx, tx, a.WorkspaceID(), m.ID)
		if errors.Is(err, op.ErrNotFound) {
			return Member{}, nil
		}
		return after, err
	})
}

// anotherOwner returns a conflict when no owner besides userID can sign in.
func anotherOwner(ctx context.Context, tx db.Tx, workspaceID, userID string) error {
	var others bool
	err := tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.workspace_id = $1 AND m.user_id <> $2 AND m.role = 'owner' AND u.disabled_at IS NULL`, workspaceID, userID).Scan(&others)
	if err != nil {
		return err
	}
	if !others {
		return op.ConflictThen("Make another member an owner, then try again.", "it is the last owner who can sign in")
	}
	return nil
}
