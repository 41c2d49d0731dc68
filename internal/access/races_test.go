package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestLinksAtOnce interleaves the use of a one-time link with what makes it no good,
// statement by statement.
func TestLinksAtOnce(t *testing.T) {
	url := dbtest.URL(t, db.Postgres)
	first, second := dbtest.Open(t, db.Config{URL: url}), dbtest.Open(t, db.Config{URL: url})
	h, ctx := newHouse(t, first), t.Context()
	_, mei := h.signIn("mei@lattice.example")
	_, olga := h.signIn("olga@quayside.example")
	h.member("tom", tenancy.Owner, nil)
	h.member("ana", tenancy.Operator, nil)
	_, tom := h.signIn("tom@lattice.example")
	_, ana := h.signIn("ana@lattice.example")
	var link string
	open := func(by access.Actor, email string) func() {
		return func() {
			h.exec(`DELETE FROM members WHERE user_id NOT IN ($1, $2)`, mei.ID(), olga.ID())
			for id, role := range map[string]string{tom.ID(): "owner", ana.ID(): "operator"} {
				h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, $3, 0)`, mei.WorkspaceID(), id, role)
			}
			h.exec(`UPDATE tokens SET revoked_at = NULL`)
			h.exec(`UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE id = $1) WHERE id = $2`, tom.ID(), ana.ID())
			h.exec(`DELETE FROM users WHERE email = 'new@lattice.example'`)
			link = h.invite(by, email, access.Membership{Role: tenancy.Owner, AllTenants: true})
		}
	}
	joined := func(email string) int64 { // the first handle may be held up
		return house{t: t, d: second}.number(`SELECT COUNT(*) FROM members m JOIN users u ON u.id = m.user_id WHERE u.email = $1`, email)
	}
	accept := func(d *db.DB, name string) func() error {
		return func() error {
			_, err := access.Accept(ctx, d, access.Limits{}, access.Acceptance{Link: link, Name: name, Password: password})
			return err
		}
	}

	t.Run("used twice", func(t *testing.T) {
		dbtest.EachStep(t, first, second, open(tom, "new@lattice.example"), accept(first, "One"), accept(second, "Two"), func(t *testing.T, a, b error) {
			// Who comes after finds the link used, or the account made, with the same password.
			if (a == nil) == (b == nil) || joined("new@lattice.example") != 1 {
				t.Errorf("%v, %v: %d members", a, b, joined("new@lattice.example"))
			}
			if err := errors.Join(a, b); !errors.Is(err, access.ErrLink) && !errors.Is(err, access.ErrUnauthenticated) {
				t.Errorf("the second is told %v", err)
			}
		})
	})
	for what, kill := range map[string]func() error{
		"revoked": func() error {
			list, err := access.Invitations(ctx, second, mei)
			if err != nil || len(list) == 0 {
				return err
			}
			return access.RevokeInvitation(ctx, second, mei, list[0].ID)
		},
		"its maker is demoted": func() error {
			return second.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				if _, err := access.Manage(ctx, tx, mei); err != nil {
					return err
				}
				return access.SetMembership(ctx, tx, mei.WorkspaceID(), tom.ID(), viewer)
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			killed := false
			dbtest.EachStep(t, first, second, open(tom, "new@lattice.example"), accept(first, "One"), func() error {
				err := kill()
				killed = err == nil && joined("new@lattice.example") == 0
				return err
			}, func(t *testing.T, a, b error) {
				if killed && a == nil || a != nil && !errors.Is(a, access.ErrLink) || b != nil && !errors.Is(b, op.ErrNotFound) {
					t.Errorf("used with %v, after the other ended with %v: killed %t", a, b, killed)
				}
				if (a == nil) != (joined("new@lattice.example") == 1) {
					t.Errorf("%v: %d members", a, joined("new@lattice.example"))
				}
			})
		})
	}

	// Ana becomes a member of Quayside while an owner of Lattice has a link that resets
	// her password: it never opens Quayside.
	var reset string
	begin := func() {
		open(olga, "ana@lattice.example")()
		var err error
		if reset, _, err = access.ResetLink(ctx, first, mei, ana.ID()); err != nil {
			t.Fatal(err)
		}
	}
	use := func() error { _, err := access.Reset(ctx, first, access.Limits{}, reset, another, ""); return err }
	safe := func(t *testing.T, a, b error) {
		if a == nil && b == nil {
			t.Errorf("the password was reset, and she is a member of %d workspaces", joined("ana@lattice.example"))
		}
		if a != nil && !errors.Is(a, access.ErrLink) || b != nil && !errors.Is(b, access.ErrUnauthenticated) {
			t.Errorf("%v, %v", a, b)
		}
	}
	t.Run("she joins while her password is reset", func(t *testing.T) {
		dbtest.EachStep(t, first, second, begin, use, func() error { _, err := access.Join(ctx, second, ana, link); return err }, safe)
	})
	t.Run("she accepts while her password is reset", func(t *testing.T) {
		dbtest.EachStep(t, first, second, begin, use, accept(second, ""), safe)
	})
	t.Run("her password is reset while she joins", func(t *testing.T) {
		dbtest.EachStep(t, first, second, begin, func() error { _, err := access.Join(ctx, first, ana, link); return err },
			func() error { _, err := access.Reset(ctx, second, access.Limits{}, reset, another, ""); return err },
			func(t *testing.T, a, b error) { safe(t, b, a) })
	})
}
