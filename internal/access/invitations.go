package access

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// LinkLife is how long a one-time link is valid.
const LinkLife = 24 * time.Hour

// maxInvitations bounds the invitations of one workspace that are open at a time.
const maxInvitations = 200

// Prefixes of the secrets in one-time links.
const (
	invitationPrefix = "ili_"
	resetPrefix      = "ilr_"
)

// ErrLink is returned for every invalid one-time link: unknown, used, revoked, expired,
// for another person, or made by a person who could no longer make it. It is the same
// for all of them.
var ErrLink = errors.New("the link can't be used")

// Administrator is the actor of commands on the server.
var Administrator = op.Person{Name: "Server administrator"}

// Invitation is an open invitation to a workspace.
type Invitation struct {
	ID         string               `json:"id"`
	Email      string               `json:"email"`
	Role       tenancy.Role         `json:"role"`
	Denied     []tenancy.Capability `json:"denied"`
	AllTenants bool                 `json:"all_tenants"`
	Tenants    []op.Tenant          `json:"tenants"`    // unless all
	InvitedBy  op.Person            `json:"invited_by"` // without an id: the server's administrator
	CreatedAt  time.Time            `json:"created_at"`
	ExpiresAt  time.Time            `json:"expires_at"`

	workspace tenancy.Workspace
	tenants   []string // ids
}

// Workspace returns the workspace of the invitation.
func (i Invitation) Workspace() tenancy.Workspace { return i.workspace }

func (i Invitation) membership() Membership {
	return Membership{Role: i.Role, Denied: i.Denied, AllTenants: i.AllTenants, Tenants: i.tenants}
}

// Invite invites the person with an address to a's workspace and returns the secret of
// the invitation's link, which can't be read again. An earlier invitation for the address
// ends. It does not tell whether the address has an account. See [Manage] and
// [Manager.May] for what it needs. An invalid value is an [*op.FieldError].
func Invite(ctx context.Context, d *db.DB, a Actor, email string, as Membership) (secret string, i Invitation, err error) {
	if email, err = checkEmail(email); err != nil {
		return "", Invitation{}, err
	}
	if err := as.Check(); err != nil {
		return "", Invitation{}, err
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		m, err := Manage(ctx, tx, a)
		if err != nil {
			return err
		}
		if err := m.May(as.Grants()); err != nil {
			return err
		}
		secret, i, err = invite(ctx, tx, a.workspace.ID, a.Person(), email, as)
		return err
	})
	if err != nil {
		return "", Invitation{}, fmt.Errorf("invite: %w", err)
	}
	return secret, i, nil
}

// InviteOwner invites an owner to the workspace with the id or slug ref. It is for a
// command on the server, when a workspace has no owner. A workspace that does not exist
// is [op.ErrNotFound].
func InviteOwner(ctx context.Context, tx db.Tx, ref, email string) (secret string, err error) {
	if email, err = checkEmail(email); err != nil {
		return "", err
	}
	column, value := Ref(ref)
	var workspace string
	if err := tx.QueryRow(ctx, `SELECT id FROM workspaces WHERE `+column+` = $1`, value).Scan(&workspace); err != nil {
		return "", notFound(err)
	}
	if err := lockWorkspace(ctx, tx, workspace); err != nil {
		return "", err
	}
	secret, _, err = invite(ctx, tx, workspace, Administrator, email, Membership{Role: tenancy.Owner, AllTenants: true})
	return secret, err
}

// invite is called with the workspace locked.
func invite(ctx context.Context, tx db.Tx, workspaceID string, by op.Person, email string, as Membership) (string, Invitation, error) {
	tenants, err := tenantIDs(ctx, tx, workspaceID, as.Tenants)
	if err != nil {
		return "", Invitation{}, err
	}
	var member bool
	var open int64
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND u.email = $2),
		(SELECT COUNT(*) FROM invitations WHERE workspace_id = $1 AND email <> $2 AND ended_at IS NULL AND expires_at > interlock_now())`,
		workspaceID, email).Scan(&member, &open)
	if err != nil {
		return "", Invitation{}, err
	}
	switch {
	case member:
		return "", Invitation{}, &op.FieldError{Field: "email", Detail: "belongs to a member of this workspace"}
	case open >= maxInvitations:
		return "", Invitation{}, op.Conflict("%d invitations are open, and no more can be", open)
	}
	_, err = tx.Exec(ctx, `UPDATE invitations SET ended_at = interlock_now() WHERE workspace_id = $1 AND email = $2 AND ended_at IS NULL`, workspaceID, email)
	if err != nil {
		return "", Invitation{}, err
	}
	secret, hash := newSecret(invitationPrefix)
	id := NewID()
	denied, err := json.Marshal(append([]tenancy.Capability{}, as.Denied...))
	if err != nil {
		return "", Invitation{}, err
	}
	list, err := json.Marshal(tenants)
	if err != nil {
		return "", Invitation{}, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO invitations (id, hash, workspace_id, email, role, denied, all_tenants, tenants, inviter_id, inviter, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, interlock_now(), interlock_now() + $11)`,
		id, hash, workspaceID, email, string(as.Role), string(denied), as.AllTenants, string(list), by.ID, by.Name, LinkLife.Microseconds())
	if err != nil {
		return "", Invitation{}, err
	}
	i, err := invitation(ctx, tx, `i.id = $1`, id)
	if err != nil {
		return "", Invitation{}, err
	}
	as.Tenants = tenants
	return secret, i, Audit(ctx, tx, workspaceID, Entry{Actor: by, Action: "invitation.create", Object: id, Data: map[string]any{"email": email, "as": as}})
}

// Invitations returns the open invitations of a's workspace that are still valid, newest
// first. It needs [tenancy.ManageMembers].
func Invitations(ctx context.Context, d *db.DB, a Actor) (list []Invitation, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ManageMembers); err != nil {
			return err
		}
		list, err = invitations(ctx, tx, `i.workspace_id = $1`, a.workspace.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	return list, nil
}

// RevokeInvitation ends an open invitation of a's workspace. It needs the same rights as
// making it.
func RevokeInvitation(ctx context.Context, d *db.DB, a Actor, id string) error {
	if column, _ := Ref(id); column != "id" {
		id = ""
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		m, err := Manage(ctx, tx, a)
		if err != nil {
			return err
		}
		i, err := invitation(ctx, tx, `i.workspace_id = $1 AND i.id = $2`, a.workspace.ID, id)
		if err != nil {
			return err
		}
		if err := m.May(i.membership().Grants()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE invitations SET ended_at = interlock_now() WHERE id = $1`, i.ID); err != nil {
			return err
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "invitation.revoke", Object: i.ID, Data: map[string]any{"email": i.Email}})
	})
	if err != nil {
		return fmt.Errorf("revoke an invitation: %w", err)
	}
	return nil
}

// OpenInvitation returns the invitation of a link's secret, or [ErrLink].
func OpenInvitation(ctx context.Context, d *db.DB, link string) (i Invitation, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		i, err = invitation(ctx, tx, `i.hash = $1`, hashOf(link))
		return err
	})
	if errors.Is(err, op.ErrNotFound) {
		return Invitation{}, ErrLink
	} else if err != nil {
		return Invitation{}, fmt.Errorf("open an invitation: %w", err)
	}
	return i, nil
}

// invitation returns an open invitation, or [op.ErrNotFound].
func invitation(ctx context.Context, tx db.Tx, where string, args ...any) (Invitation, error) {
	list, err := invitations(ctx, tx, where, args...)
	if err != nil {
		return Invitation{}, err
	}
	if len(list) == 0 {
		return Invitation{}, op.ErrNotFound
	}
	return list[0], nil
}

// invitations returns the open invitations, newest first. An invitation is no longer
// open when its maker could no longer make it.
func invitations(ctx context.Context, tx db.Tx, where string, args ...any) ([]Invitation, error) {
	rows, err := tx.Query(ctx, `SELECT i.id, i.email, i.role, i.denied, i.all_tenants, i.tenants, i.inviter_id, i.inviter, i.created_at, i.expires_at,
		w.id, w.slug, w.name, COALESCE(m.role, ''), COALESCE(m.denied, '[]')
		FROM invitations i JOIN workspaces w ON w.id = i.workspace_id
		LEFT JOIN users u ON u.id = i.inviter_id AND u.disabled_at IS NULL
		LEFT JOIN members m ON m.workspace_id = i.workspace_id AND m.user_id = u.id
		WHERE `+where+` AND i.ended_at IS NULL AND i.expires_at > interlock_now() ORDER BY i.id DESC LIMIT `+strconv.Itoa(maxInvitations), args...)
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	defer rows.Close()
	list := []Invitation{}
	for rows.Next() {
		i := Invitation{Tenants: []op.Tenant{}}
		w := &i.workspace
		var role, denied, tenants, makerRole, makerDenied string
		var created, expires int64
		err := rows.Scan(&i.ID, &i.Email, &role, &denied, &i.AllTenants, &tenants, &i.InvitedBy.ID, &i.InvitedBy.Name, &created, &expires,
			&w.ID, &w.Slug, &w.Name, &makerRole, &makerDenied)
		if err != nil {
			return nil, fmt.Errorf("invitations: %w", err)
		}
		i.Role, i.CreatedAt, i.ExpiresAt = tenancy.Role(role), db.Time(created), db.Time(expires)
		if i.Denied, err = capabilities(denied); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(tenants), &i.tenants); err != nil {
			return nil, fmt.Errorf("stored tenants: %w", err)
		}
		maker, err := grants(makerRole, makerDenied, "[]")
		if err != nil {
			return nil, err
		}
		if i.InvitedBy != Administrator && (!maker.Has(tenancy.ManageMembers) || len(i.membership().Grants().Beyond(maker)) > 0) {
			continue
		}
		list = append(list, i)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	rows.Close()
	return list, nameTenants(ctx, tx, list)
}

// nameTenants fills in the tenants of invitations, by name.
func nameTenants(ctx context.Context, tx db.Tx, list []Invitation) error {
	for n := range list {
		i := &list[n]
		for start := 0; start < len(i.tenants); start += tenantChunk {
			holders, args := padded(i.tenants[start:min(start+tenantChunk, len(i.tenants))], 2)
			rows, err := tx.Query(ctx, `SELECT id, slug, name FROM tenants WHERE workspace_id = $1 AND id IN (`+holders+`) ORDER BY name_key, id`,
				append([]any{i.workspace.ID}, args...)...)
			if err != nil {
				return fmt.Errorf("invitations: %w", err)
			}
			for rows.Next() {
				var t op.Tenant
				if err := rows.Scan(&t.ID, &t.Slug, &t.Name); err != nil {
					rows.Close()
					return fmt.Errorf("invitations: %w", err)
				}
				i.Tenants = append(i.Tenants, t)
			}
			rows.Close()
			if err := rows.Err(); err != nil {
				return fmt.Errorf("invitations: %w", err)
			}
		}
	}
	return nil
}

// Acceptance is what an invited person sends.
type Acceptance struct {
	Link     string
	Name     string // of the new account; empty: the address has an account
	Password string // of the account, or for it
	Remote   string // address of the peer, without its port
}

// Accept makes the holder of an invitation's link a member: with the account of the
// address, if the password is right, or else with a new account, if a name is given. It
// opens no session. An invalid link is [ErrLink]. A wrong password, a missing name, and
// the name of an account that exists with another password are [ErrUnauthenticated], and
// tries count against the limits of sign-in. An invalid value is an [*op.FieldError].
func Accept(ctx context.Context, d *db.DB, limits Limits, s Acceptance) (i Invitation, err error) {
	if s.Name != "" {
		if err := CheckName("name", s.Name, maxPersonName); err != nil {
			return Invitation{}, err
		}
		if err := checkPassword(s.Password); err != nil {
			return Invitation{}, err
		}
	} else if len(s.Password) > maxPassword {
		return Invitation{}, ErrUnauthenticated
	}
	i, bad := OpenInvitation(ctx, d, s.Link)
	if bad != nil && !errors.Is(bad, ErrLink) {
		return Invitation{}, bad
	}
	spent, err := limits.charge(ctx, d, cmp.Or(i.Email, hashOf(s.Link)), s.Remote)
	if err != nil {
		return Invitation{}, err
	}
	if bad != nil {
		return Invitation{}, bad
	}
	u, err := accountFor(ctx, d, i.Email, s)
	if err != nil {
		return Invitation{}, err
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := i.use(ctx, tx, u); err != nil {
			return err
		}
		return spent.refund(ctx, tx)
	})
	if err != nil {
		return Invitation{}, plain("accept an invitation", err)
	}
	return i, nil
}

// found is the account that accepts an invitation.
type found struct {
	Account
	isNew bool
}

// accountFor returns the account of an address if the password is right, or a new one.
// It does the same work in all cases.
func accountFor(ctx context.Context, d *db.DB, email string, s Acceptance) (u found, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		u = found{}
		return unlessNone(tx.QueryRow(ctx, `SELECT id, name, password_hash FROM users WHERE email = $1`, email).Scan(&u.id, &u.name, &u.hash))
	})
	switch {
	case err != nil:
		return found{}, fmt.Errorf("accept an invitation: %w", err)
	case u.id == "" && s.Name != "":
		account, err := NewUser{Email: email, Name: s.Name, Password: s.Password}.Prepare(ctx)
		return found{account, true}, err
	}
	ok, err := passwordMatches(ctx, s.Password, u.hash)
	if err != nil {
		return found{}, fmt.Errorf("accept an invitation: %w", err)
	}
	if !ok {
		return found{}, ErrUnauthenticated
	}
	return u, nil
}

// use makes u a member and ends the invitation, if that is still open.
func (i Invitation) use(ctx context.Context, tx db.Tx, u found) error {
	if err := lockWorkspace(ctx, tx, i.workspace.ID); err != nil {
		return err
	}
	if u.isNew {
		// The account was created meanwhile: the password must be that account's.
		if err := CreateUser(ctx, tx, u.Account); errors.As(err, new(*op.FieldError)) {
			return ErrUnauthenticated
		} else if err != nil {
			return err
		}
	} else if err := lockPerson(ctx, tx, u.id); err != nil {
		return err // locked, so that a reset link sees this membership, or this sees the new password
	}
	open, err := invitation(ctx, tx, `i.id = $1`, i.ID)
	if errors.Is(err, op.ErrNotFound) {
		return ErrLink
	} else if err != nil {
		return err
	}
	// What was compared above must still hold.
	var same, member bool
	err = tx.QueryRow(ctx, `SELECT COUNT(*) > 0, EXISTS (SELECT 1 FROM members WHERE workspace_id = $3 AND user_id = $1)
		FROM users WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL`, u.id, u.hash, i.workspace.ID).Scan(&same, &member)
	if err != nil {
		return err
	}
	if !same {
		return ErrUnauthenticated
	}
	if member {
		return ErrLink
	}
	if err := SetMembership(ctx, tx, i.workspace.ID, u.id, open.membership()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE invitations SET ended_at = interlock_now() WHERE id = $1`, i.ID); err != nil {
		return err
	}
	return Audit(ctx, tx, i.workspace.ID, Entry{
		Actor: op.Person{ID: u.id, Name: u.name}, Action: "member.join", Object: u.id,
		Data: map[string]any{"invitation": i.ID, "email": i.Email, "as": open.membership()},
	})
}

// Join makes a, who is signed in, a member of an invitation's workspace. It needs a fresh
// sign-in. An invalid link, and one for another address, is [ErrLink].
func Join(ctx context.Context, d *db.DB, a Actor, link string) (i Invitation, err error) {
	if i, err = OpenInvitation(ctx, d, link); err != nil {
		return Invitation{}, err
	}
	if i.Email != a.email {
		return Invitation{}, ErrLink
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		// Locked before anything is judged: a reset link that is used meanwhile ends the
		// session, and must not find a person who is in another workspace afterwards.
		if err := lockWorkspace(ctx, tx, i.workspace.ID); err != nil {
			return err
		}
		if err := lockPerson(ctx, tx, a.id); err != nil {
			return err
		}
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		u := found{Account: Account{id: a.id, name: a.name, email: a.email}}
		if err := tx.QueryRow(ctx, `SELECT password_hash FROM users WHERE id = $1`, a.id).Scan(&u.hash); err != nil {
			return err
		}
		return i.use(ctx, tx, u)
	})
	if err != nil {
		return Invitation{}, plain("join a workspace", err)
	}
	return i, nil
}

// plain returns the errors that must look alike without wrapping them.
func plain(what string, err error) error {
	if errors.Is(err, ErrLink) {
		return ErrLink
	}
	if errors.Is(err, ErrUnauthenticated) {
		return ErrUnauthenticated
	}
	return fmt.Errorf("%s: %w", what, err)
}

// checkEmail returns the address as it is stored, or an [*op.FieldError].
func checkEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if err := CheckName("email", email, maxEmail); err != nil {
		return "", err
	}
	if local, domain, ok := strings.Cut(email, "@"); !ok || local == "" || domain == "" || strings.ContainsAny(email, " <>,;") {
		return "", &op.FieldError{Field: "email", Detail: "must be an e-mail address"}
	}
	return email, nil
}

// unlessNone takes no row for an answer: a read that ends well and one that is given
// up are told apart by what they ask of the database.
func unlessNone(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return nil
	}
	return err
}

func notFound(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return op.ErrNotFound
	}
	return err
}

// SweepLinks deletes up to limit links of each kind that can no longer be used, and
// returns how many. It is for a regular task. Their use stays in the audit trail.
func SweepLinks(ctx context.Context, tx db.Tx, limit int64) (swept int64, err error) {
	for _, table := range []string{"invitations", "password_resets"} {
		n, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE id IN (
			SELECT id FROM `+table+` WHERE expires_at <= interlock_now() ORDER BY expires_at LIMIT $1)`, limit)
		if err != nil {
			return 0, fmt.Errorf("sweep links: %w", err)
		}
		swept += n
	}
	return swept, nil
}
