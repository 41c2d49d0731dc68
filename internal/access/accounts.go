package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// The limits of an account and a workspace, in characters.
const (
	maxEmail         = 254
	maxPersonName    = 120
	maxWorkspaceName = 120
)

// NewUser is a local account to be made.
type NewUser struct {
	Email    string
	Name     string
	Password string // from 12 characters to 512 bytes
}

// NewWorkspace is a workspace to be made.
type NewWorkspace struct {
	Slug   string
	Name   string
	Keyset string // data key of the workspace, wrapped by the root key
}

// Account is a checked [NewUser], ready to be stored; hashing its password took
// its time outside any transaction.
type Account struct {
	id, email, name, hash string
}

// ID returns the id that the account will have.
func (u Account) ID() string { return u.id }

// Prepare checks a new account and hashes its password. Bad values are
// [*op.FieldError].
func (u NewUser) Prepare(ctx context.Context) (Account, error) {
	email := strings.ToLower(strings.TrimSpace(u.Email))
	if err := CheckName("email", email, maxEmail); err != nil {
		return Account{}, err
	}
	if local, domain, ok := strings.Cut(email, "@"); !ok || local == "" || domain == "" || strings.ContainsAny(email, " <>,;") {
		return Account{}, &op.FieldError{Field: "email", Detail: "must be an e-mail address"}
	}
	if err := CheckName("name", u.Name, maxPersonName); err != nil {
		return Account{}, err
	}
	hash, err := hashPassword(ctx, u.Password)
	if err != nil {
		return Account{}, err
	}
	return Account{id: NewID(), email: email, name: u.Name, hash: hash}, nil
}

// CreateUser stores an account. An e-mail address that has one already is an
// [*op.FieldError]. Whether the caller may do this is the caller's business.
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

// CreateWorkspace stores a workspace with its first owner and returns its id. A
// slug that is taken is an [*op.FieldError]. Whether the caller may do this is
// the caller's business: it is for [Bootstrap] and for seeding a demo.
func CreateWorkspace(ctx context.Context, tx db.Tx, w NewWorkspace, owner Account) (id string, err error) {
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
	_, err = tx.Exec(ctx, `INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'owner', interlock_now())`, id, owner.id)
	if err != nil {
		return "", fmt.Errorf("create workspace: %w", err)
	}
	return id, Audit(ctx, tx, id, Entry{
		Actor: op.Person{ID: owner.id, Name: owner.name}, Action: "workspace.create", Object: id,
		Data: map[string]any{"slug": w.Slug, "name": w.Name},
	})
}

// Bootstrap makes the first workspace and its owner. It works once: as soon as
// there is any account it returns [op.ErrConflict].
func Bootstrap(ctx context.Context, d *db.DB, w NewWorkspace, u NewUser) error {
	account, err := u.Prepare(ctx)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		// The row decides between two bootstraps at the same instant.
		first, err := tx.Exec(ctx, `INSERT INTO bootstraps (one, at) VALUES (1, interlock_now()) ON CONFLICT (one) DO NOTHING`)
		if err != nil {
			return err
		}
		var users int64
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM users`).Scan(&users); err != nil {
			return err
		}
		if first == 0 || users > 0 {
			return fmt.Errorf("there are accounts already: %w", op.ErrConflict)
		}
		if err := CreateUser(ctx, tx, account); err != nil {
			return err
		}
		_, err = CreateWorkspace(ctx, tx, w, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// ChangePassword replaces the actor's password and ends all their sessions and
// tokens, this one too, in every workspace. A wrong old password is an
// [*op.FieldError]; tries count as sign-ins do.
func ChangePassword(ctx context.Context, d *db.DB, limits Limits, a Actor, remote, old, replacement string) error {
	spent, err := limits.charge(ctx, d, a.email, remote)
	if err != nil {
		return err
	}
	var hash string
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT password_hash FROM users WHERE id = $1`, a.id).Scan(&hash)
	})
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	if ok, err := passwordMatches(ctx, old, hash); err != nil {
		return fmt.Errorf("change password: %w", err)
	} else if !ok {
		return &op.FieldError{Field: "old_password", Detail: "is not the current password"}
	}
	fresh, err := hashPassword(ctx, replacement)
	if err != nil {
		return err
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3`, a.id, fresh, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("the password was changed meanwhile: %w", op.ErrConflict)
		}
		if err := EndTokens(ctx, tx, "", a.id); err != nil {
			return err
		}
		if err := spent.refund(ctx, tx); err != nil {
			return err
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "user.password", Object: a.id})
	})
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// EndTokens ends every token and session of a person in a workspace; in all of
// them when workspaceID is empty. It is for removing and disabling people.
func EndTokens(ctx context.Context, tx db.Tx, workspaceID, userID string) error {
	_, err := tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now()
		WHERE user_id = $1 AND ($2 = '' OR workspace_id = $2) AND revoked_at IS NULL`, userID, workspaceID)
	if err == nil && workspaceID == "" { // nor does a sign-in that waits for a second factor go on
		_, err = tx.Exec(ctx, `DELETE FROM ceremonies WHERE user_id = $1`, userID)
	}
	if err != nil {
		return fmt.Errorf("end tokens: %w", err)
	}
	return nil
}
