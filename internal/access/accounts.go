package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The limits of an account and a workspace, in characters.
const (
	maxEmail         = 254
	maxPersonName    = 120
	maxWorkspaceName = 120
)

// NewUser is a local account to create.
type NewUser struct {
	Email    string
	Name     string
	Password string // from 12 characters to 512 bytes
}

// NewWorkspace is a workspace to create.
type NewWorkspace struct {
	Slug   string
	Name   string
	Keyset string // data key of the workspace, wrapped by the root key
}

// Account is a checked [NewUser] with a hashed password, ready to be stored. Hashing
// is slow, so it happens outside of transactions.
type Account struct {
	id, email, name, hash string
	disabled              bool
	workspaces            []string
}

// ID returns the id that the account will have.
func (u Account) ID() string { return u.id }

// Email returns the address that the person signs in with.
func (u Account) Email() string { return u.email }

// Name returns the person's name.
func (u Account) Name() string { return u.name }

// Disabled reports whether the account is closed.
func (u Account) Disabled() bool { return u.disabled }

// Workspaces returns the slugs of the person's workspaces; see [Accounts].
func (u Account) Workspaces() []string { return u.workspaces }

// Accounts returns every account, by address. It is for a command on the server, not
// for users: no scope bounds it.
func Accounts(ctx context.Context, d *db.DB) (list []Account, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT u.id, u.email, u.name, u.disabled_at IS NOT NULL, COALESCE(w.slug, '') FROM users u
			LEFT JOIN members m ON m.user_id = u.id LEFT JOIN workspaces w ON w.id = m.workspace_id ORDER BY u.email, w.slug`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u Account
			var workspace string
			if err := rows.Scan(&u.id, &u.email, &u.name, &u.disabled, &workspace); err != nil {
				return err
			}
			if n := len(list); n == 0 || list[n-1].id != u.id {
				list = append(list, u)
			}
			if workspace != "" {
				last := &list[len(list)-1]
				last.workspaces = append(last.workspaces, workspace)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return list, nil
}

// Prepare checks a new account and hashes its password. An invalid value is an
// [*op.FieldError].
func (u NewUser) Prepare(ctx context.Context) (Account, error) {
	email, err := checkEmail(u.Email)
	if err != nil {
		return Account{}, err
	}
	if err := CheckName("name", u.Name, maxPersonName); err != nil {
		return Account{}, err
	}
	if err := checkPassword(u.Password); err != nil {
		return Account{}, err
	}
	hash, err := hashPassword(ctx, u.Password)
	if err != nil {
		return Account{}, err
	}
	return Account{id: NewID(), email: email, name: u.Name, hash: hash}, nil
}

// CreateUser stores an account. An e-mail address that is in use is an
// [*op.FieldError]. The caller checks that the actor may do this.
func CreateUser(ctx context.Context, tx db.Tx, u Account) error {
	n, err := tx.Exec(ctx, `INSERT INTO users (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, interlock_now())
		ON CONFLICT (email) DO NOTHING`, u.id, u.email, u.name, u.hash)
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	if n == 0 {
		return &op.FieldError{Field: "email", Detail: "has an account already"}
	}
	return nil
}

// CreateWorkspace stores a workspace without a member and returns its id. A slug that
// is in use is an [*op.FieldError]. It is for [Bootstrap] and a command on the server.
func CreateWorkspace(ctx context.Context, tx db.Tx, w NewWorkspace, by op.Person) (id string, err error) {
	if err := CheckSlug("workspace", w.Slug); err != nil {
		return "", err
	}
	if err := CheckName("workspace_name", w.Name, maxWorkspaceName); err != nil {
		return "", err
	}
	if w.Keyset == "" {
		return "", errors.New("create workspace: it has no data key")
	}
	id = NewID()
	n, err := tx.Exec(ctx, `INSERT INTO workspaces (id, slug, name, keyset, keyset_at, created_at) VALUES ($1, $2, $3, $4, interlock_now(), interlock_now())
		ON CONFLICT (slug) DO NOTHING`, id, w.Slug, w.Name, w.Keyset)
	if err != nil {
		return "", fmt.Errorf("create workspace: %w", err)
	}
	if n == 0 {
		return "", &op.FieldError{Field: "workspace", Detail: "is in use"}
	}
	return id, Audit(ctx, tx, id, Entry{Actor: by, Action: "workspace.create", Object: id, Data: map[string]any{"slug": w.Slug, "name": w.Name}})
}

// Found stores a workspace with its first owner, whose account exists, and returns its
// id; see [CreateWorkspace].
func Found(ctx context.Context, tx db.Tx, w NewWorkspace, owner Account) (id string, err error) {
	if id, err = CreateWorkspace(ctx, tx, w, op.Person{ID: owner.id, Name: owner.name}); err != nil {
		return "", err
	}
	return id, SetMembership(ctx, tx, id, owner.id, Membership{Role: tenancy.Owner, AllTenants: true})
}

// Bootstrap creates the first workspace and its owner. It works once: when any account
// exists it returns [op.ErrConflict].
func Bootstrap(ctx context.Context, d *db.DB, w NewWorkspace, u NewUser) error {
	account, err := u.Prepare(ctx)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		// The row decides between two bootstraps at the same time.
		first, err := tx.Exec(ctx, `INSERT INTO bootstraps (one, at) VALUES (1, interlock_now()) ON CONFLICT (one) DO NOTHING`)
		if err != nil {
			return err
		}
		var users int64
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM users`).Scan(&users); err != nil {
			return err
		}
		if first == 0 || users > 0 {
			return op.Conflict("there are accounts already")
		}
		if err := CreateUser(ctx, tx, account); err != nil {
			return err
		}
		_, err = Found(ctx, tx, w, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// EndTokens ends every token and session of a person in a workspace; in all of
// them when workspaceID is empty. It is for removing and disabling people.
func EndTokens(ctx context.Context, tx db.Tx, workspaceID, userID string) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now()
		WHERE user_id = $1 AND ($2 = '' OR workspace_id = $2) AND revoked_at IS NULL`, userID, workspaceID)
	if err == nil && workspaceID == "" { // a sign-in that waits for a second factor ends, too
		_, err = tx.Exec(ctx, `DELETE FROM ceremonies WHERE user_id = $1`, userID)
	}
	if err != nil {
		return fmt.Errorf("end tokens: %w", err)
	}
	return nil
}
