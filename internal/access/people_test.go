package access_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const another = "another long password"

var viewer = access.Membership{Role: tenancy.Viewer, AllTenants: true}

func (h house) invite(by access.Actor, email string, as access.Membership) string {
	h.t.Helper()
	link, _, err := access.Invite(h.t.Context(), h.d, by, email, as)
	if err != nil {
		h.t.Fatal(err)
	}
	return link
}

func (h house) accept(link, name, password string) error {
	_, err := access.Accept(h.t.Context(), h.d, access.Limits{}, access.Acceptance{Link: link, Name: name, Password: password})
	return err
}

func (h house) try(email, password, workspace string) (access.Actor, error) {
	_, s, err := access.SignIn(h.t.Context(), h.d, access.Limits{}, access.Credentials{Email: email, Password: password, Workspace: workspace})
	return s.Actor, err
}

func (h house) number(sql string, args ...any) (n int64) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

// actions are those on record in a workspace, oldest first.
func (h house) actions(workspace string) (list []string) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT a.action FROM audit_log a JOIN workspaces w ON w.id = a.workspace_id WHERE w.slug = $1 ORDER BY a.seq`, workspace)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var action string
			if err := rows.Scan(&action); err != nil {
				return err
			}
			list = append(list, action)
		}
		return rows.Err()
	})
	return list
}

// TestInvitation: a link lets one person in, once, with a password that only they know.
func TestInvitation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		_, mei := h.signIn("mei@lattice.example")
		link := h.invite(mei, " Li@Lattice.example ", access.Membership{Role: tenancy.Operator, Denied: []tenancy.Capability{"directory.groups.sync"}, Tenants: []string{"marlow", "kestrel"}})
		if n := h.number(`SELECT COUNT(*) FROM invitations WHERE hash = $1 OR id = $1`, link); n != 0 || !strings.HasPrefix(link, "ili_") || len(link) < 26 {
			t.Errorf("the link %q is stored, or too short", link)
		}
		open, err := access.Invitations(t.Context(), d, mei)
		if err != nil || len(open) != 1 || open[0].Email != "li@lattice.example" || open[0].InvitedBy != mei.Person() ||
			open[0].ExpiresAt.Sub(open[0].CreatedAt).Round(time.Second) != access.LinkLife || len(open[0].Tenants) != 2 || open[0].Tenants[0].Slug != "kestrel" {
			t.Errorf("%+v, %v", open, err)
		}
		if err := h.accept(link, "Li Wen", password); err != nil {
			t.Fatal(err)
		}
		li, err := h.try("li@lattice.example", password, "")
		if err != nil || li.Name() != "Li Wen" || li.Role() != tenancy.Operator || li.Grants().Has("directory.groups.sync") {
			t.Errorf("%+v, %v", li, err)
		}
		if _, err := h.authorize(li, "kestrel", tenancy.View); err != nil {
			t.Error(err)
		}
		if err := h.accept(link, "Li Wen", password); err != access.ErrLink { //nolint:errorlint // nothing more may be told
			t.Errorf("used twice: %v", err)
		}
		if open, err := access.Invitations(t.Context(), d, mei); err != nil || len(open) != 0 {
			t.Errorf("%+v, %v", open, err)
		}
		_, _, err = access.Invite(t.Context(), d, mei, "LI@lattice.example", viewer)
		var fe *op.FieldError
		if !errors.As(err, &fe) || fe.Field != "email" {
			t.Errorf("a member is invited again: %v", err)
		}
		if got, want := h.actions("lattice"), []string{"workspace.create", "invitation.create", "member.join"}; !slices.Equal(got, want) {
			t.Errorf("on record are %q, want %q", got, want)
		}
	})
}

// TestDeadLinks: a link that is used, expired, revoked, replaced, foreign or made up
// is one answer, and lets nobody in. So is one whose maker could not make it any more.
func TestDeadLinks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := newHouse(t, d), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		h.member("tom", tenancy.Owner, nil)
		_, tom := h.signIn("tom@lattice.example")
		h.member("ana", tenancy.Operator, nil)
		owner := access.Membership{Role: tenancy.Owner, AllTenants: true}
		for what, kill := range map[string]func(link string) string{
			"made up":  func(string) string { return "ili_AAAAAAAAAAAAAAAAAAAAAAAAAA" },
			"empty":    func(string) string { return "" },
			"its hash": func(link string) string { return link + "x" },
			"a reset's": func(string) string {
				secret, _, err := access.ResetLink(ctx, d, mei, h.userID("ana"))
				if err != nil {
					t.Fatal(err)
				}
				return secret
			},
			"expired": func(link string) string { h.exec(`UPDATE invitations SET expires_at = interlock_now()`); return link },
			"revoked": func(link string) string {
				open, err := access.Invitations(ctx, d, mei)
				if err == nil {
					err = access.RevokeInvitation(ctx, d, mei, open[0].ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				return link
			},
			"replaced":             func(link string) string { h.invite(mei, "new@lattice.example", viewer); return link },
			"its maker is removed": func(link string) string { h.exec(`DELETE FROM members WHERE user_id = $1`, tom.ID()); return link },
			"its maker is demoted": func(link string) string {
				h.exec(`UPDATE members SET role = 'operator' WHERE user_id = $1`, tom.ID())
				return link
			},
			"its maker manages nobody any more": func(string) string {
				link := h.invite(tom, "new@lattice.example", viewer) // which an operator has, too
				h.exec(`UPDATE members SET role = 'operator' WHERE user_id = $1`, tom.ID())
				return link
			},
			"its maker has less": func(link string) string {
				h.exec(`UPDATE members SET denied = '["runs.release"]' WHERE user_id = $1`, tom.ID())
				return link
			},
			"its maker's account is closed": func(link string) string {
				h.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, tom.ID())
				return link
			},
		} {
			link := kill(h.invite(tom, "new@lattice.example", owner))
			_, err := access.OpenInvitation(ctx, d, link)
			for doing, err := range map[string]error{
				"open":           err,
				"accept":         h.accept(link, "New", password),
				"without a name": h.accept(link, "", password),
			} {
				if err != access.ErrLink { //nolint:errorlint // nothing more may be told
					t.Errorf("%s, %s: %v", what, doing, err)
				}
			}
			if open, err := access.Invitations(ctx, d, mei); err != nil || what != "replaced" && strings.HasPrefix(what, "its maker") && len(open) != 0 {
				t.Errorf("%s: open are %+v, %v", what, open, err)
			}
			h.exec(`UPDATE users SET disabled_at = NULL`)
			h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'owner', 0)
				ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = 'owner', denied = '[]'`, tom.WorkspaceID(), tom.ID())
		}
		// Signed in, for somebody else's link too.
		_, olga := h.signIn("olga@quayside.example")
		foreign := h.invite(olga, "tom@lattice.example", viewer)
		if _, err := access.Join(ctx, d, mei, foreign); err != access.ErrLink { //nolint:errorlint // nothing more may be told
			t.Errorf("for somebody else: %v", err)
		}
		if _, err := access.Join(ctx, d, tom, foreign); err != nil {
			t.Error(err)
		}
		if _, err := access.Join(ctx, d, tom, foreign); err != access.ErrLink { //nolint:errorlint // nothing more may be told
			t.Errorf("joined twice: %v", err)
		}
		if n := h.number(`SELECT COUNT(*) FROM users WHERE email = 'new@lattice.example'`); n != 0 {
			t.Error("a dead link let somebody in")
		}
	})
}

func (h house) userID(name string) (id string) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM users WHERE name = $1`, name).Scan(&id)
	})
	return id
}

// TestRemovedMembersComeBack: by an invitation, as the same person, with what they did
// before on record.
func TestRemovedMembersComeBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		_, mei := h.signIn("mei@lattice.example")
		h.member("ana", tenancy.Operator, nil)
		_, ana := h.signIn("ana@lattice.example")
		h.exec(`DELETE FROM members WHERE user_id = $1`, ana.ID())
		link := h.invite(mei, "ana@lattice.example", viewer)
		if err := h.accept(link, "", another); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("with a wrong password: %v", err)
		}
		if err := h.accept(link, "Ana", another); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("as somebody new: %v", err)
		}
		if _, err := h.try("ana@lattice.example", password, ""); !bare(err) {
			t.Errorf("before she came back: %v", err)
		}
		if err := h.accept(link, "", password); err != nil {
			t.Fatal(err)
		}
		back, err := h.try("ana@lattice.example", password, "")
		if err != nil || back.ID() != ana.ID() || back.Role() != tenancy.Viewer {
			t.Errorf("%+v, %v", back, err)
		}
		if _, err := access.VerifyAudit(t.Context(), d, mei.WorkspaceID()); err != nil {
			t.Error(err)
		}
	})
}

// TestNobodyLearnsAddresses: whether an address has an account shows in no answer to
// somebody who does not know its password, and the same statements are asked: of a
// sign-in, an invitation, and an invitation that is accepted.
func TestNobodyLearnsAddresses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		h.member("closed", tenancy.Operator, nil)
		h.exec(`UPDATE users SET disabled_at = 1 WHERE name = 'closed'`)
		_, olga := h.signIn("olga@quayside.example")
		asked := func(do func(email string) error, email string) (seen []string) {
			var statements []string
			d.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
				statements = append(statements, fmt.Sprint(p.Op, " ", p.SQL))
				return db.NoFault
			}))
			defer d.WithFaults(nil)
			err := do(email)
			return append([]string{fmt.Sprintf("%v", err)}, statements...)
		}
		limits := access.Limits{PerAccount: 100, PerAddress: 100, Window: time.Hour}
		for what, do := range map[string]func(email string) error{
			"sign in": func(email string) error {
				_, _, err := access.SignIn(t.Context(), d, limits, access.Credentials{Email: email, Password: another, Remote: "192.0.2.1"})
				return err
			},
			"invite": func(email string) error {
				_, _, err := access.Invite(t.Context(), d, olga, email, viewer)
				return err
			},
			"accept with a password": func(email string) error {
				link := h.invite(olga, email, viewer)
				_, err := access.Accept(t.Context(), d, limits, access.Acceptance{Link: link, Password: another, Remote: "192.0.2.1"})
				return err
			},
			"accept with a password that can be none": func(email string) error {
				link := h.invite(olga, email, viewer)
				_, err := access.Accept(t.Context(), d, limits, access.Acceptance{Link: link, Name: "X", Password: "short", Remote: "192.0.2.1"})
				return err
			},
		} {
			nobody := asked(do, "nobody@lattice.example")
			for _, email := range []string{"ana@lattice.example", "closed@lattice.example", "mei@lattice.example"} {
				if somebody := asked(do, email); !slices.Equal(somebody, nobody) {
					t.Errorf("%s as %s:\n%s\nand as nobody:\n%s", what, email, strings.Join(somebody, "\n"), strings.Join(nobody, "\n"))
				}
			}
		}
	})
}

// TestClosedAccountsJoinNothing: not with the right password either.
func TestClosedAccountsJoinNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		h.exec(`UPDATE users SET disabled_at = 1 WHERE name = 'ana'`)
		_, olga := h.signIn("olga@quayside.example")
		if err := h.accept(h.invite(olga, "ana@lattice.example", viewer), "", password); !bare(err) {
			t.Error(err)
		}
	})
}

// TestGuessesAtLinksCount: tries at links and at the passwords behind them are bounded
// as sign-ins are.
func TestGuessesAtLinksCount(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		_, mei := h.signIn("mei@lattice.example")
		h.member("ana", tenancy.Operator, nil)
		h.exec(`DELETE FROM members WHERE user_id = $1`, h.userID("ana"))
		link := h.invite(mei, "ana@lattice.example", viewer)
		limits := access.Limits{PerAccount: 3, PerAddress: 5, Window: 15 * time.Minute}
		accept := func(link, password, remote string) error {
			_, err := access.Accept(t.Context(), d, limits, access.Acceptance{Link: link, Password: password, Remote: remote})
			return err
		}
		limited := func(err error) bool {
			var le *access.LimitError
			return errors.As(err, &le)
		}
		for i := range 3 {
			if err := accept(link, another, fmt.Sprintf("198.51.100.%d", i)); !bare(err) {
				t.Fatal(err)
			}
		}
		if err := accept(link, password, "198.51.100.9"); !limited(err) {
			t.Errorf("the fourth guess at a password: %v", err)
		}
		for i := range 5 {
			if err := accept(fmt.Sprintf("ili_%d", i), another, "203.0.113.1"); err != access.ErrLink { //nolint:errorlint // nothing more may be told
				t.Fatal(err)
			}
		}
		if err := accept("ili_6", another, "203.0.113.1"); !limited(err) {
			t.Errorf("the sixth guess at a link: %v", err)
		}
		if _, err := access.Reset(t.Context(), d, limits, "ilr_7", another, "203.0.113.1"); !limited(err) {
			t.Errorf("at a reset link: %v", err)
		}
		dbtest.SetClockOffset(t, d, 16*time.Minute)
		if err := accept(link, password, "198.51.100.9"); err != nil {
			t.Errorf("the window never ends: %v", err)
		}
	})
}

func TestChangePassword(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := newHouse(t, d), t.Context()
		secret, mei := h.signIn("mei@lattice.example")
		other, _ := h.signIn("mei@lattice.example")
		token, _, err := access.CreateToken(ctx, d, mei, "program", time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		program, err := access.Authenticate(ctx, d, token)
		if err != nil {
			t.Fatal(err)
		}
		change := func(a access.Actor, current, to string) error {
			return access.ChangePassword(ctx, d, access.Limits{}, a, access.NewPassword{Current: current, Password: to})
		}
		for _, tt := range []struct{ current, to, field string }{
			{"not the password", another, "current_password"},
			{strings.Repeat("x", 1000), another, "current_password"},
			{password, "tiny", "password"},
			{password, strings.Repeat("x", 513), "password"},
			{password, password, "password"},
		} {
			var fe *op.FieldError
			if err := change(mei, tt.current, tt.to); !errors.As(err, &fe) || fe.Field != tt.field {
				t.Errorf("%.20q to %.20q: %v, want an error of %s", tt.current, tt.to, err, tt.field)
			}
		}
		if err := change(program, password, another); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("by a token: %v", err)
		}
		if err := change(mei, password, another); err != nil {
			t.Fatal(err)
		}
		if _, err := access.Authenticate(ctx, d, other); !bare(err) {
			t.Error("the other session survived:", err)
		}
		for _, kept := range []string{secret, token} {
			if _, err := access.Authenticate(ctx, d, kept); err != nil {
				t.Error("this session or a token ended:", err)
			}
		}
		if _, err := h.try("mei@lattice.example", password, ""); !bare(err) {
			t.Error("the old password:", err)
		}
		if _, err := h.try("mei@lattice.example", another, ""); err != nil {
			t.Error("the new password:", err)
		}
	})
}

// TestReset: an owner's link sets one password, once, of somebody who is theirs alone,
// as long as the owner could make it anew.
func TestReset(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := newHouse(t, d), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		_, olga := h.signIn("olga@quayside.example")
		h.member("tom", tenancy.Owner, nil)
		h.member("ana", tenancy.Operator, nil)
		session, ana := h.signIn("ana@lattice.example")
		_, tom := h.signIn("tom@lattice.example")
		make1 := func() string {
			t.Helper()
			secret, expires, err := access.ResetLink(ctx, d, tom, ana.ID())
			if err != nil || time.Until(expires) > access.LinkLife {
				t.Fatal(err)
			}
			return secret
		}
		reset := func(link string) error {
			_, err := access.Reset(ctx, d, access.Limits{}, link, another, "")
			return err
		}
		for what, kill := range map[string]func(string) string{
			"made up":         func(string) string { return "ilr_AAAAAAAAAAAAAAAAAAAAAAAAAA" },
			"an invitation's": func(string) string { return h.invite(mei, "new@lattice.example", viewer) },
			"expired": func(link string) string {
				h.exec(`UPDATE password_resets SET expires_at = interlock_now()`)
				return link
			},
			"replaced": func(link string) string { make1(); return link },
			"its maker is demoted": func(link string) string {
				h.exec(`UPDATE members SET role = 'viewer' WHERE user_id = $1`, tom.ID())
				return link
			},
			"its maker is removed": func(link string) string { h.exec(`DELETE FROM members WHERE user_id = $1`, tom.ID()); return link },
			"its maker manages nobody any more": func(link string) string {
				h.exec(`UPDATE members SET role = 'operator' WHERE user_id = $1`, tom.ID()) // who may do all that she may
				return link
			},
			"she has more than its maker": func(link string) string {
				h.exec(`UPDATE members SET denied = '["inventory.sync"]' WHERE user_id = $1`, tom.ID())
				return link
			},
			"she is a member elsewhere, too": func(link string) string {
				h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, olga.WorkspaceID(), ana.ID())
				return link
			},
			"she was removed": func(link string) string { h.exec(`DELETE FROM members WHERE user_id = $1`, ana.ID()); return link },
			"her account is closed": func(link string) string {
				h.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, ana.ID())
				return link
			},
			"she changed it herself": func(link string) string {
				h.exec(`UPDATE password_resets SET ended_at = interlock_now()`)
				return link
			},
		} {
			link := kill(make1())
			if _, err := access.OpenReset(ctx, d, link); err != access.ErrLink { //nolint:errorlint // nothing more may be told
				t.Errorf("%s: opens with %v", what, err)
			}
			if err := reset(link); err != access.ErrLink { //nolint:errorlint // nothing more may be told
				t.Errorf("%s: %v", what, err)
			}
			h.exec(`UPDATE users SET disabled_at = NULL`)
			h.exec(`DELETE FROM members WHERE user_id = $1`, ana.ID())
			for id, role := range map[string]string{tom.ID(): "owner", ana.ID(): "operator"} {
				h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, $3, 0)
					ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = $3, denied = '[]'`, mei.WorkspaceID(), id, role)
			}
		}

		// Whom an owner can't make one for.
		if _, _, err := access.ResetLink(ctx, d, mei, mei.ID()); !errors.Is(err, op.ErrConflict) {
			t.Errorf("for herself: %v", err)
		}
		if _, _, err := access.ResetLink(ctx, d, mei, olga.ID()); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("for somebody else's member: %v", err)
		}
		if _, _, err := access.ResetLink(ctx, d, mei, "ana"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("for no id: %v", err)
		}
		h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, olga.WorkspaceID(), ana.ID())
		if _, _, err := access.ResetLink(ctx, d, mei, ana.ID()); !errors.Is(err, op.ErrConflict) {
			t.Errorf("for a member of two workspaces: %v", err)
		}
		h.exec(`DELETE FROM members WHERE workspace_id = $1 AND user_id = $2`, olga.WorkspaceID(), ana.ID())

		link := make1()
		var fe *op.FieldError
		if _, err := access.Reset(ctx, d, access.Limits{}, link, "tiny", ""); !errors.As(err, &fe) || fe.Field != "password" {
			t.Errorf("with a bad password: %v", err)
		}
		if err := reset(link); err != nil {
			t.Fatal(err)
		}
		if err := reset(link); err != access.ErrLink { //nolint:errorlint // nothing more may be told
			t.Errorf("twice: %v", err)
		}
		if _, err := access.Authenticate(ctx, d, session); !bare(err) {
			t.Errorf("her session: %v", err)
		}
		if _, err := h.try("ana@lattice.example", password, ""); !bare(err) {
			t.Errorf("her old password: %v", err)
		}
		if _, err := h.try("ana@lattice.example", another, ""); err != nil {
			t.Errorf("her new password: %v", err)
		}
		got := h.actions("lattice")
		if want := []string{"user.reset_link", "user.password"}; !slices.Equal(got[len(got)-2:], want) {
			t.Errorf("last on record are %q, want %q", got, want)
		}
	})
}

// TestAdministrator: what the server's own commands make works without an owner, for
// members of any number of workspaces, and is on record in each.
func TestAdministrator(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := newHouse(t, d), t.Context()
		var link string
		h.write(func(ctx context.Context, tx db.Tx) (err error) {
			if _, err := access.CreateWorkspace(ctx, tx, access.NewWorkspace{Slug: "harbour", Name: "Harbour", Keyset: "k"}, access.Administrator); err != nil {
				return err
			}
			link, err = access.InviteOwner(ctx, tx, "harbour", "mei@lattice.example")
			return err
		})
		i, err := access.OpenInvitation(ctx, d, link)
		if err != nil || i.InvitedBy != access.Administrator || i.Role != tenancy.Owner {
			t.Errorf("%+v, %v", i, err)
		}
		if err := h.accept(link, "", password); err != nil {
			t.Fatal(err)
		}
		mei, err := h.try("mei@lattice.example", password, "harbour")
		if err != nil || mei.Role() != tenancy.Owner {
			t.Fatalf("%+v, %v", mei, err)
		}
		h.write(func(ctx context.Context, tx db.Tx) (err error) {
			link, _, err = access.ResetByAdministrator(ctx, tx, " MEI@lattice.example")
			return err
		})
		if email, err := access.Reset(ctx, d, access.Limits{}, link, another, ""); err != nil || email != "mei@lattice.example" {
			t.Errorf("%q, %v", email, err)
		}
		if _, err := h.try("mei@lattice.example", another, "lattice"); err != nil {
			t.Error(err)
		}
		for _, workspace := range []string{"lattice", "harbour"} {
			got := h.actions(workspace)
			if want := []string{"user.reset_link", "user.password"}; !slices.Equal(got[len(got)-2:], want) {
				t.Errorf("last on record in %s are %q, want %q", workspace, got, want)
			}
		}
		err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, _, err := access.ResetByAdministrator(ctx, tx, "nobody@lattice.example")
			return err
		})
		if !errors.Is(err, op.ErrNotFound) {
			t.Errorf("for nobody: %v", err)
		}
		h.exec(`UPDATE password_resets SET expires_at = 1`)
		h.exec(`UPDATE invitations SET expires_at = 1`)
		var swept int64
		h.write(func(ctx context.Context, tx db.Tx) (err error) {
			swept, err = access.SweepLinks(ctx, tx, 10)
			return err
		})
		if swept != 2 || h.number(`SELECT (SELECT COUNT(*) FROM password_resets) + (SELECT COUNT(*) FROM invitations)`) != 0 {
			t.Errorf("%d old links are forgotten", swept)
		}
	})
}
