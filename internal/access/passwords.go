package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// NewPassword is a change of one's own password.
type NewPassword struct {
	Current  string
	Password string
	Remote   string // address of the peer, without its port
}

// ChangePassword replaces the password of a and ends a's other sessions in every
// workspace. The current session and API tokens stay valid. It needs a session. A wrong
// current password is an [*op.FieldError], and tries count against the limits of sign-in.
func ChangePassword(ctx context.Context, d *db.DB, limits Limits, a Actor, p NewPassword) error {
	if !a.SignedIn() {
		return ErrNoSession
	}
	if err := checkPassword(p.Password); err != nil {
		return err
	}
	if p.Password == p.Current {
		return &op.FieldError{Field: "password", Detail: "must differ from the current one"}
	}
	wrong := &op.FieldError{Field: "current_password", Detail: "is not your password"}
	if len(p.Current) > maxPassword {
		return wrong
	}
	spent, err := limits.charge(ctx, d, a.email, p.Remote)
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
	if ok, err := passwordMatches(ctx, p.Current, hash); err != nil {
		return fmt.Errorf("change password: %w", err)
	} else if !ok {
		return wrong
	}
	fresh, err := hashPassword(ctx, p.Password)
	if err != nil {
		return err
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3`, a.id, fresh, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return op.Conflict("the password was changed meanwhile")
		}
		if err := endResets(ctx, tx, a.id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE tokens SET revoked_at = interlock_now() WHERE user_id = $1 AND kind = 'session' AND id <> $2 AND revoked_at IS NULL`, a.id, a.token)
		if err != nil {
			return err
		}
		if err := spent.refund(ctx, tx); err != nil {
			return err
		}
		return auditPerson(ctx, tx, a.id, Entry{Actor: a.Person(), Action: "user.password"})
	})
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// Rename changes the name of a. It needs a session.
func Rename(ctx context.Context, d *db.DB, a Actor, name string) error {
	if !a.SignedIn() {
		return ErrNoSession
	}
	if err := CheckName("name", name, maxPersonName); err != nil {
		return err
	}
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE users SET name = $2 WHERE id = $1`, a.id, name); err != nil {
			return err
		}
		return auditPerson(ctx, tx, a.id, Entry{Actor: a.Person(), Action: "user.rename", Data: map[string]any{"name": name}})
	})
	if err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return nil
}

// auditPerson records a change of a person in the audit trail of each of their
// workspaces.
func auditPerson(ctx context.Context, tx db.Tx, userID string, e Entry) error {
	// In order, so that two of these can't deadlock.
	rows, err := tx.Query(ctx, `SELECT workspace_id FROM members WHERE user_id = $1 ORDER BY workspace_id`, userID)
	if err != nil {
		return err
	}
	defer rows.Close()
	var workspaces []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		workspaces = append(workspaces, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	e.Object = userID
	for _, id := range workspaces {
		if err := Audit(ctx, tx, id, e); err != nil {
			return err
		}
	}
	return nil
}

// ResetLink makes a link by which a member of a's workspace chooses a new password, and
// returns its secret, which can't be read again. An earlier link of the member ends. It
// needs the rights of [Manage]. A member who has access that a lacks is a [*BeyondError].
// It is [op.ErrConflict] for a member of another workspace, so that an owner can't get
// into that one, for a closed account, and for a themselves. A member of another
// workspace only is [op.ErrNotFound].
func ResetLink(ctx context.Context, d *db.DB, a Actor, userID string) (secret string, expires time.Time, err error) {
	if column, _ := Ref(userID); column != "id" {
		userID = ""
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		m, err := Manage(ctx, tx, a)
		if err != nil {
			return err
		}
		if userID == a.id {
			return op.Conflict("your own password is changed on your account page")
		}
		if err := mayReset(ctx, tx, a.workspace.ID, userID, m.May); err != nil {
			return err
		}
		if secret, expires, err = makeReset(ctx, tx, userID, a.workspace.ID, a.id); err != nil {
			return err
		}
		return Audit(ctx, tx, a.workspace.ID, Entry{Actor: a.Person(), Action: "user.reset_link", Object: userID})
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("make a reset link: %w", err)
	}
	return secret, expires, nil
}

// mayReset returns nil when a person's password may be reset for one workspace. may
// judges what the person may do there.
func mayReset(ctx context.Context, tx db.Tx, workspaceID, userID string, may func(tenancy.Grants) error) error {
	var role, denied string
	var disabled, elsewhere bool
	err := tx.QueryRow(ctx, `SELECT m.role, m.denied, u.disabled_at IS NOT NULL,
		EXISTS (SELECT 1 FROM members o WHERE o.user_id = m.user_id AND o.workspace_id <> m.workspace_id)
		FROM members m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND m.user_id = $2`, workspaceID, userID).
		Scan(&role, &denied, &disabled, &elsewhere)
	if err != nil {
		return notFound(err)
	}
	g, err := grants(role, denied, "[]")
	if err != nil {
		return err
	}
	if err := may(g); err != nil {
		return err
	}
	switch {
	case disabled:
		return op.Conflict("the account is closed: open it first")
	case elsewhere:
		return op.Conflict("it isn't this workspace's alone: run “interlock user reset” on the server")
	}
	return nil
}

// ResetByAdministrator makes a reset link for the account with an address. It is for a
// command on the server. Without such an account it is [op.ErrNotFound].
func ResetByAdministrator(ctx context.Context, tx db.Tx, email string) (secret string, expires time.Time, err error) {
	if email, err = checkEmail(email); err != nil {
		return "", time.Time{}, err
	}
	var user string
	if err := tx.QueryRow(ctx, `SELECT id FROM users WHERE email = $1`, email).Scan(&user); err != nil {
		return "", time.Time{}, notFound(err)
	}
	if secret, expires, err = makeReset(ctx, tx, user, "", ""); err != nil {
		return "", time.Time{}, err
	}
	return secret, expires, auditPerson(ctx, tx, user, Entry{Actor: Administrator, Action: "user.reset_link"})
}

func makeReset(ctx context.Context, tx db.Tx, userID, workspaceID, maker string) (secret string, expires time.Time, err error) {
	if err := endResets(ctx, tx, userID); err != nil {
		return "", time.Time{}, err
	}
	secret, hash := newSecret(resetPrefix)
	var until int64
	err = tx.QueryRow(ctx, `INSERT INTO password_resets (id, hash, user_id, workspace_id, maker_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, interlock_now(), interlock_now() + $6) RETURNING expires_at`,
		NewID(), hash, userID, workspaceID, maker, LinkLife.Microseconds()).Scan(&until)
	return secret, db.Time(until), err
}

func endResets(ctx context.Context, tx db.Tx, userID string) error {
	_, err := tx.Exec(ctx, `UPDATE password_resets SET ended_at = interlock_now() WHERE user_id = $1 AND ended_at IS NULL`, userID)
	return err
}

// reset is an open reset link.
type reset struct {
	id, user, name, email, workspace, maker string
}

// openReset returns the reset of a link's secret, or [ErrLink]. A link is invalid when its
// maker could no longer make it.
func openReset(ctx context.Context, tx db.Tx, link string) (r reset, err error) {
	err = tx.QueryRow(ctx, `SELECT r.id, r.user_id, u.name, u.email, r.workspace_id, r.maker_id
		FROM password_resets r JOIN users u ON u.id = r.user_id
		WHERE r.hash = $1 AND r.ended_at IS NULL AND r.expires_at > interlock_now()`, hashOf(link)).
		Scan(&r.id, &r.user, &r.name, &r.email, &r.workspace, &r.maker)
	if errors.Is(err, db.ErrNoRows) {
		return reset{}, ErrLink
	} else if err != nil {
		return reset{}, err
	}
	if r.workspace == "" {
		return r, nil
	}
	maker, err := grantsIn(ctx, tx, r.workspace, r.maker)
	if err == nil && !maker.Has(tenancy.ManageMembers) {
		return reset{}, ErrLink
	}
	if err == nil {
		err = mayReset(ctx, tx, r.workspace, r.user, Manager{grants: maker}.May)
	}
	if errors.Is(err, op.ErrNotFound) || errors.Is(err, op.ErrForbidden) || errors.Is(err, op.ErrConflict) {
		return reset{}, ErrLink
	}
	return r, err
}

// OpenReset returns the address of the account whose password a link's secret resets, or
// [ErrLink].
func OpenReset(ctx context.Context, d *db.DB, link string) (email string, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		r, err := openReset(ctx, tx, link)
		email = r.email
		return err
	})
	if err != nil {
		return "", plain("open a reset link", err)
	}
	return email, nil
}

// Reset sets the password of a link's account, and ends all its sessions and API tokens,
// in every workspace. An invalid link is [ErrLink], and tries count against the limits of
// sign-in. An invalid password is an [*op.FieldError].
func Reset(ctx context.Context, d *db.DB, limits Limits, link, password, remote string) (email string, err error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	email, bad := OpenReset(ctx, d, link)
	if bad != nil && !errors.Is(bad, ErrLink) {
		return "", bad
	}
	spent, err := limits.charge(ctx, d, cmp.Or(email, hashOf(link)), remote)
	if err != nil {
		return "", err
	}
	if bad != nil {
		return "", bad
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var workspace, user string
		err := tx.QueryRow(ctx, `SELECT workspace_id, user_id FROM password_resets WHERE hash = $1`, hashOf(link)).Scan(&workspace, &user)
		if errors.Is(err, db.ErrNoRows) {
			return ErrLink
		} else if err != nil {
			return err
		}
		// Locked, so that a change of rights, a join and another use of the link run before or after.
		if err := lockWorkspace(ctx, tx, workspace); err != nil {
			return err
		}
		if err := lockPerson(ctx, tx, user); err != nil {
			return err
		}
		r, err := openReset(ctx, tx, link)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2 WHERE id = $1`, r.user, hash); err != nil {
			return err
		}
		if err := endResets(ctx, tx, r.user); err != nil {
			return err
		}
		if err := EndTokens(ctx, tx, "", r.user); err != nil {
			return err
		}
		if err := spent.refund(ctx, tx); err != nil {
			return err
		}
		return auditPerson(ctx, tx, r.user, Entry{Actor: op.Person{ID: r.user, Name: r.name}, Action: "user.password", Data: map[string]any{"by": "link"}})
	})
	if err != nil {
		return "", plain("reset a password", err)
	}
	return email, nil
}
