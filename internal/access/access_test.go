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
	_ "github.com/interlock-dev/interlock/internal/catalogue" // the operations bring capabilities
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const password = gatetest.Password

// house is a workspace Lattice with the tenants Kestrel and Marlow, and a
// workspace Quayside with the tenant Harbour.
type house struct {
	t    *testing.T
	d    *db.DB
	seed *gatetest.World
}

func newHouse(t *testing.T, d *db.DB) house {
	t.Helper()
	err := access.Bootstrap(t.Context(), d,
		access.NewWorkspace{Slug: "lattice", Name: "Lattice", Keyset: "k"},
		access.NewUser{Email: "mei@lattice.example", Name: "Mei Tan", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	other, err := access.NewUser{Email: "olga@quayside.example", Name: "Olga Berg", Password: password}.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	h := house{t, d, gatetest.Attach(t, d, root)}
	h.write(func(ctx context.Context, tx db.Tx) error {
		if err := access.CreateUser(ctx, tx, other); err != nil {
			return err
		}
		_, err := access.Found(ctx, tx, access.NewWorkspace{Slug: "quayside", Name: "Quayside", Keyset: "k"}, other)
		return err
	})
	h.tenant("lattice", "kestrel")
	h.tenant("lattice", "marlow")
	h.tenant("quayside", "harbour")
	return h
}

func (h house) write(fn func(context.Context, db.Tx) error) {
	h.t.Helper()
	if err := h.d.Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h house) exec(sql string, args ...any) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

func (h house) tenant(workspace, slug string) {
	h.t.Helper()
	h.seed.Tenant(h.seed.Text(`SELECT id FROM workspaces WHERE slug = $1`, workspace), slug, slug)
}

// member adds a person to Lattice. No tenants means all of them.
func (h house) member(name string, role tenancy.Role, denied []tenancy.Capability, tenants ...string) {
	h.t.Helper()
	h.seed.AddAccount(h.seed.Text(`SELECT id FROM workspaces WHERE slug = 'lattice'`),
		gatetest.Person{Name: name, Email: name + "@lattice.example", Role: role, Denied: denied, Tenants: tenants})
}

func (h house) signIn(email string) (string, access.Actor) {
	h.t.Helper()
	secret, s, err := access.SignIn(h.t.Context(), h.d, access.Limits{}, access.Credentials{Email: email, Password: password, Remote: "192.0.2.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return secret, s.Actor
}

func (h house) authorize(a access.Actor, tenant string, need tenancy.Capability) (ta access.TenantAccess, err error) {
	err = h.d.Read(h.t.Context(), func(ctx context.Context, tx db.Tx) error {
		ta, err = access.Authorize(ctx, tx, a, tenant, need)
		return err
	})
	return ta, err
}

func (h house) idOf(slug string) (id string) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM tenants WHERE slug = $1`, slug).Scan(&id)
	})
	return id
}

func TestBootstrapOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const n = 4
		errs := make(chan error, n)
		for i := range n {
			go func() {
				errs <- access.Bootstrap(t.Context(), d,
					access.NewWorkspace{Slug: fmt.Sprintf("w%d", i), Name: "W", Keyset: "k"},
					access.NewUser{Email: fmt.Sprintf("u%d@example.com", i), Name: "U", Password: password})
			}()
		}
		done := 0
		for range n {
			switch err := <-errs; {
			case err == nil:
				done++
			case !errors.Is(err, op.ErrConflict):
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d of %d bootstraps at once went through, want 1", done, n)
		}
	})
}

func TestBootstrapOnlyWhereNobodyIs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		u, err := access.NewUser{Email: "a@b.example", Name: "A", Password: password}.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		house{t: t, d: d}.write(func(ctx context.Context, tx db.Tx) error { return access.CreateUser(ctx, tx, u) })
		err = access.Bootstrap(t.Context(), d,
			access.NewWorkspace{Slug: "lattice", Name: "Lattice", Keyset: "k"}, access.NewUser{Email: "c@d.example", Name: "C", Password: password})
		if !errors.Is(err, op.ErrConflict) {
			t.Error(err)
		}
	})
}

func TestBootstrapRefusesBadInput(t *testing.T) {
	d := dbtest.New(t, db.SQLite)
	w := access.NewWorkspace{Slug: "lattice", Name: "Lattice", Keyset: "k"}
	u := access.NewUser{Email: "a@b.example", Name: "A", Password: password}
	for _, tt := range []struct {
		field  string
		change func(*access.NewWorkspace, *access.NewUser)
	}{
		{"email", func(_ *access.NewWorkspace, u *access.NewUser) { u.Email = "nobody" }},
		{"email", func(_ *access.NewWorkspace, u *access.NewUser) { u.Email = strings.Repeat("a", 250) + "@b.example" }},
		{"name", func(_ *access.NewWorkspace, u *access.NewUser) { u.Name = "" }},
		{"name", func(_ *access.NewWorkspace, u *access.NewUser) { u.Name = "a\x00b" }},
		{"password", func(_ *access.NewWorkspace, u *access.NewUser) { u.Password = "short" }},
		{"password", func(_ *access.NewWorkspace, u *access.NewUser) { u.Password = strings.Repeat("x", 513) }},
		{"workspace", func(w *access.NewWorkspace, _ *access.NewUser) { w.Slug = "Lattice IT" }},
		{"workspace", func(w *access.NewWorkspace, _ *access.NewUser) { w.Slug = access.NewID() }},
		{"workspace_name", func(w *access.NewWorkspace, _ *access.NewUser) { w.Name = " " }},
	} {
		bw, bu := w, u
		tt.change(&bw, &bu)
		err := access.Bootstrap(t.Context(), d, bw, bu)
		var fe *op.FieldError
		if !errors.As(err, &fe) || fe.Field != tt.field {
			t.Errorf("%+v %q: %v, want an error of the field %s", bw, bu.Email, err, tt.field)
		}
	}
	if err := access.Bootstrap(t.Context(), d, w, u); err != nil {
		t.Error("refused attempts used up the only one:", err)
	}
}

// bare reports whether err is access.ErrUnauthenticated and tells nothing more.
func bare(err error) bool {
	return errors.Is(err, access.ErrUnauthenticated) && err.Error() == access.ErrUnauthenticated.Error()
}

func TestSecretsThatNoLongerWorkLookAlike(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		h.member("ana", tenancy.Operator, nil)
		secret, a := h.signIn("ana@lattice.example")
		token, made, err := access.CreateToken(ctx, d, a, "ci", time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		works := func(secret string, want bool) {
			t.Helper()
			got, err := access.Authenticate(ctx, d, secret)
			switch {
			case want && (err != nil || got.ID() != a.ID() || got.WorkspaceSlug() != "lattice" || got.Role() != tenancy.Operator):
				t.Errorf("authenticate: %+v, %v", got, err)
			case !want && (!bare(err) || got.ID() != ""):
				t.Errorf("authenticate: %+v, %v, want the bare ErrUnauthenticated", got, err)
			}
		}
		works(secret, true)
		works(token, true)
		for _, bad := range []string{"", "ilk_", "ilk_" + strings.Repeat("A", 26), strings.ToLower(token), token + "\n", "\x00\xff"} {
			works(bad, false)
		}

		dbtest.SetClockOffset(t, d, 59*time.Minute)
		works(token, true)
		dbtest.SetClockOffset(t, d, 61*time.Minute)
		works(token, false)
		works(secret, true) // and moves its idle limit
		dbtest.SetClockOffset(t, d, 12*time.Hour+30*time.Minute)
		works(secret, true)
		dbtest.SetClockOffset(t, d, 25*time.Hour)
		works(secret, false)
		dbtest.SetClockOffset(t, d, 0)

		h.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, a.ID())
		works(token, false)
		works(secret, false)
		h.exec(`UPDATE users SET disabled_at = NULL`)
		works(token, true)
		h.exec(`DELETE FROM members WHERE user_id = $1`, a.ID())
		works(token, false)
		h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'operator', 0)`, a.WorkspaceID(), a.ID())
		works(token, true)

		if err := access.RevokeToken(ctx, d, a, made.ID); err != nil {
			t.Fatal(err)
		}
		works(token, false)
		if err := access.RevokeToken(ctx, d, a, made.ID); !errors.Is(err, op.ErrNotFound) {
			t.Error("revoked twice:", err)
		}
		if err := access.SignOut(ctx, d, a); err != nil {
			t.Fatal(err)
		}
		works(secret, false)
		if _, err := access.ListTokens(ctx, d, a); !errors.Is(err, op.ErrNotFound) {
			t.Error("an actor whose session has ended lists tokens:", err)
		}
	})
}

func TestOnlyHashesAreStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		secret, a := h.signIn("mei@lattice.example")
		token, _, err := access.CreateToken(t.Context(), d, a, "ci", time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(token, "ilk_") || !strings.HasPrefix(secret, "ils_") {
			t.Errorf("secrets %.4s, %.4s", token, secret)
		}
		h.write(func(ctx context.Context, tx db.Tx) error {
			for _, column := range []string{"id", "hash", "name", "only_caps"} {
				var n int
				err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM tokens WHERE `+column+` LIKE $1 ESCAPE '\' OR `+column+` LIKE $2 ESCAPE '\'`,
					"%"+token[4:]+"%", "%"+secret[4:]+"%").Scan(&n)
				if err != nil || n != 0 {
					t.Errorf("column %s holds a secret %d times, %v", column, n, err)
				}
			}
			return nil
		})
	})
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		secret, _ := h.signIn("mei@lattice.example")
		used := func() (at int64) {
			h.write(func(ctx context.Context, tx db.Tx) error {
				return tx.QueryRow(ctx, `SELECT last_used_at FROM tokens`).Scan(&at)
			})
			return at
		}
		authenticate := func() {
			if _, err := access.Authenticate(t.Context(), d, secret); err != nil {
				t.Fatal(err)
			}
		}
		first := used()
		dbtest.SetClockOffset(t, d, 30*time.Second)
		if authenticate(); used() != first {
			t.Error("written again within the minute")
		}
		dbtest.SetClockOffset(t, d, 90*time.Second)
		if authenticate(); used() == first {
			t.Error("not written after a minute")
		}
	})
}

func TestTokensNeverReachFurtherThanTheirMaker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		h.member("ana", tenancy.Operator, []tenancy.Capability{"inventory.sync"})
		_, ana := h.signIn("ana@lattice.example")
		_, mei := h.signIn("mei@lattice.example")

		for _, tt := range []struct {
			field string
			name  string
			ttl   time.Duration
			only  []tenancy.Capability
		}{
			{"name", "", time.Hour, nil},
			{"name", strings.Repeat("n", 81), time.Hour, nil},
			{"ttl", "ci", 0, nil},
			{"ttl", "ci", -time.Hour, nil},
			{"ttl", "ci", 366 * 24 * time.Hour, nil},
			{"only[1]", "ci", time.Hour, []tenancy.Capability{tenancy.View, "rule.the.world"}},
			{"only[0]", "ci", time.Hour, []tenancy.Capability{tenancy.ManageMembers}}, // not of the role
			{"only[0]", "ci", time.Hour, []tenancy.Capability{"inventory.sync"}},      // denied
		} {
			_, _, err := access.CreateToken(ctx, d, ana, tt.name, tt.ttl, tt.only)
			var fe *op.FieldError
			if !errors.As(err, &fe) || fe.Field != tt.field {
				t.Errorf("%+v: %v", tt, err)
			}
		}

		narrow := []tenancy.Capability{tenancy.View, tenancy.ManageOwnTokens}
		secret, first, err := access.CreateToken(ctx, d, ana, "narrow", time.Hour, narrow)
		if err != nil {
			t.Fatal(err)
		}
		byToken, err := access.Authenticate(ctx, d, secret)
		if err != nil {
			t.Fatal(err)
		}
		secret, second, err := access.CreateToken(ctx, d, byToken, "child", 24*time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		if second.ExpiresAt.After(first.ExpiresAt) {
			t.Errorf("the child lives until %s, its maker until %s", second.ExpiresAt, first.ExpiresAt)
		}
		child, err := access.Authenticate(ctx, d, secret)
		if err != nil || !slices.Equal(child.Grants().List(), []tenancy.Capability{tenancy.ManageOwnTokens, tenancy.View}) {
			t.Errorf("the child may %v, %v", child.Grants().List(), err)
		}
		if _, err := h.authorize(child, "kestrel", "directory.groups.sync"); !errors.Is(err, op.ErrForbidden) {
			t.Error("a narrowed token starts a sync:", err)
		}
		if _, err := h.authorize(ana, "kestrel", "directory.groups.sync"); err != nil {
			t.Error(err)
		}

		if err := access.RevokeToken(ctx, d, mei, first.ID); !errors.Is(err, op.ErrNotFound) {
			t.Error("someone else's token was revoked:", err)
		}
		list, err := access.ListTokens(ctx, d, child)
		if err != nil || len(list) != 3 || !list[0].Current || list[0].ID != second.ID || list[2].Kind != access.SignInSession {
			t.Errorf("list: %+v, %v", list, err)
		}
	})
}

func TestAuthorize(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, []tenancy.Capability{"runs.cancel"}, "kestrel")
		h.member("vic", tenancy.Viewer, nil)
		_, mei := h.signIn("mei@lattice.example")
		_, ana := h.signIn("ana@lattice.example")
		_, vic := h.signIn("vic@lattice.example")
		_, olga := h.signIn("olga@quayside.example")
		var nobody access.Actor

		kestrel, marlow, harbour := h.idOf("kestrel"), h.idOf("marlow"), h.idOf("harbour")
		for _, tt := range []struct {
			who    access.Actor
			tenant string
			need   tenancy.Capability
			want   error
		}{
			{mei, "kestrel", tenancy.ManageConnections, nil},
			{mei, kestrel, tenancy.ManageConnections, nil},
			{mei, strings.ToUpper(kestrel), tenancy.View, nil},
			{mei, "Kestrel", tenancy.View, nil},
			{mei, "harbour", tenancy.View, op.ErrNotFound},
			{mei, harbour, tenancy.View, op.ErrNotFound},
			{mei, access.NewID(), tenancy.View, op.ErrNotFound},
			{mei, "nowhere", tenancy.View, op.ErrNotFound},
			{mei, "", tenancy.View, op.ErrNotFound},
			{mei, "a\x00b", tenancy.View, op.ErrNotFound},
			{mei, "\xff", tenancy.View, op.ErrNotFound},
			{mei, "kestrel' OR '1'='1", tenancy.View, op.ErrNotFound},
			{mei, "%", tenancy.View, op.ErrNotFound},
			{ana, "kestrel", "directory.groups.sync", nil},
			{ana, "kestrel", tenancy.CancelRuns, op.ErrForbidden},
			{ana, "kestrel", tenancy.ManageConnections, op.ErrForbidden},
			{ana, "kestrel", "", op.ErrForbidden},
			{ana, "marlow", tenancy.View, op.ErrNotFound},
			{ana, marlow, tenancy.View, op.ErrNotFound},
			{ana, marlow, tenancy.CancelRuns, op.ErrNotFound}, // not forbidden: she must not learn that it exists
			{vic, "marlow", tenancy.View, nil},
			{vic, "marlow", "directory.groups.sync", op.ErrForbidden},
			{olga, "kestrel", tenancy.View, op.ErrNotFound},
			{olga, kestrel, tenancy.View, op.ErrNotFound},
			{nobody, "kestrel", tenancy.View, op.ErrNotFound},
			{nobody, kestrel, tenancy.View, op.ErrNotFound},
		} {
			ta, err := h.authorize(tt.who, tt.tenant, tt.need)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%s at %q for %q: %v, want %v", tt.who.Name(), tt.tenant, tt.need, err, tt.want)
			}
			if (err == nil) != (ta.Tenant.ID != "") || (err == nil) == (ta.Scope == access.Scope{}) {
				t.Errorf("%s at %q: %+v with %v", tt.who.Name(), tt.tenant, ta, err)
			}
		}

		// What was taken away is gone although the actor was authenticated before.
		h.exec(`UPDATE members SET denied = '["directory.groups.sync"]' WHERE user_id = $1`, ana.ID())
		if _, err := h.authorize(ana, "kestrel", "directory.groups.sync"); !errors.Is(err, op.ErrForbidden) {
			t.Error("denied meanwhile:", err)
		}
		h.exec(`UPDATE tokens SET revoked_at = 1 WHERE id = $1`, vic.TokenID())
		if _, err := h.authorize(vic, "marlow", tenancy.View); !errors.Is(err, op.ErrNotFound) {
			t.Error("revoked meanwhile:", err)
		}
		h.exec(`DELETE FROM members WHERE user_id = $1`, ana.ID())
		if _, err := h.authorize(ana, "kestrel", tenancy.View); !errors.Is(err, op.ErrNotFound) {
			t.Error("removed meanwhile:", err)
		}
	})
}

// recorder notes the statements that pass through it, with their arguments' types.
type recorder struct {
	db.Tx
	seen []string
}

func (r *recorder) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	r.seen = append(r.seen, sql)
	return r.Tx.Exec(ctx, sql, args...)
}

func (r *recorder) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	r.seen = append(r.seen, sql)
	return r.Tx.Query(ctx, sql, args...)
}

func (r *recorder) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	r.seen = append(r.seen, sql)
	return r.Tx.QueryRow(ctx, sql, args...)
}

func TestForeignAndMissingRunTheSameStatements(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		_, mei := h.signIn("mei@lattice.example")
		statements := func(ref string) (seen []string) {
			_ = d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
				r := &recorder{Tx: tx}
				if _, err := access.Authorize(ctx, r, mei, ref, tenancy.View); !errors.Is(err, op.ErrNotFound) {
					t.Errorf("%s: %v", ref, err)
				}
				seen = r.seen
				return nil
			})
			return seen
		}
		for _, pair := range [][2]string{{h.idOf("harbour"), access.NewID()}, {"harbour", "nowhere"}, {"harbour", "no such/thing"}} {
			foreign, missing := statements(pair[0]), statements(pair[1])
			if len(foreign) != 1 || !slices.Equal(foreign, missing) {
				t.Errorf("%s ran %q,\n%s ran %q", pair[0], foreign, pair[1], missing)
			}
		}
	})
}

func TestStillMay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil, "kestrel")
		_, ana := h.signIn("ana@lattice.example")
		may := func(tenant string, need tenancy.Capability, want bool) {
			t.Helper()
			id := h.idOf(tenant)
			h.write(func(ctx context.Context, tx db.Tx) error {
				got, err := access.StillMay(ctx, tx, ana.WorkspaceID(), ana.ID(), id, need)
				if got != want {
					t.Errorf("%s at %s: %v, want %v", need, tenant, got, want)
				}
				return err
			})
		}
		may("kestrel", "directory.groups.sync", true)
		may("kestrel", tenancy.ManageConnections, false)
		may("marlow", "directory.groups.sync", false)
		may("harbour", tenancy.View, false)
		if err := access.SignOut(t.Context(), d, ana); err != nil {
			t.Fatal(err)
		}
		may("kestrel", "directory.groups.sync", true) // the starter of a run may sign out
		h.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, ana.ID())
		may("kestrel", "directory.groups.sync", false)
	})
}

func TestScope(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Viewer, nil, "kestrel")
		h.member("vic", tenancy.Viewer, nil)           // what others see
		h.member("tom", tenancy.Viewer, nil, "marlow") // is not what one sees oneself
		_, mei := h.signIn("mei@lattice.example")
		_, ana := h.signIn("ana@lattice.example")
		scopeOf := func(a access.Actor) (s access.Scope) {
			h.write(func(ctx context.Context, tx db.Tx) (err error) {
				s, err = access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
				return err
			})
			return s
		}
		one, err := h.authorize(mei, "marlow", tenancy.View)
		if err != nil {
			t.Fatal(err)
		}
		anaHere, err := h.authorize(ana, "kestrel", tenancy.View)
		if err != nil {
			t.Fatal(err)
		}
		all, some := scopeOf(mei), scopeOf(ana)
		sees := func(name string, s access.Scope, want ...string) {
			t.Helper()
			var args []any
			where := s.Where(func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }, "t.workspace_id", "t.id")
			var got []string
			h.write(func(ctx context.Context, tx db.Tx) error {
				got = nil
				rows, err := tx.Query(ctx, `SELECT t.slug FROM tenants t WHERE `+where+` ORDER BY t.slug`, args...)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var slug string
					if err := rows.Scan(&slug); err != nil {
						return err
					}
					got = append(got, slug)
				}
				return rows.Err()
			})
			if !slices.Equal(got, want) {
				t.Errorf("%s sees %q, want %q", name, got, want)
			}
		}
		sees("the zero scope", access.Scope{})
		sees("the owner", all, "kestrel", "marlow")
		sees("the owner in one tenant", one.Scope, "marlow")
		sees("a member of one tenant", some, "kestrel")
		sees("a member of one tenant in it", anaHere.Scope, "kestrel")
		sees("a run", access.ForRun(mei.WorkspaceID(), h.idOf("kestrel")), "kestrel")
		sees("a run of another workspace", access.ForRun(mei.WorkspaceID(), h.idOf("harbour")))
		sees("a run without a tenant", access.ForRun(mei.WorkspaceID(), ""))
		sees("a run without a workspace", access.ForRun("", h.idOf("kestrel")))
		h.exec(`DELETE FROM member_tenants WHERE user_id = $1`, ana.ID())
		sees("a member whose tenant was taken away", some)
		sees("a member in the tenant that was taken away", anaHere.Scope)
		h.exec(`DELETE FROM members WHERE user_id = $1`, mei.ID())
		sees("a former owner", all)
		sees("a former owner in one tenant", one.Scope)
	})
}

func TestSignIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		try := func(email, password, workspace string) error {
			_, _, err := access.SignIn(t.Context(), d, access.Limits{}, access.Credentials{Email: email, Password: password, Workspace: workspace})
			return err
		}
		for _, tt := range []struct {
			email, password, workspace string
			ok                         bool
		}{
			{"ana@lattice.example", password, "", true},
			{" Ana@Lattice.example ", password, "lattice", true},
			{"ana@lattice.example", password + " ", "", false},
			{"ana@lattice.example", "", "", false},
			{"ana@lattice.example", strings.Repeat("x", 10_000), "", false},
			{"ana@lattice.example", password, "quayside", false},
			{"ana@lattice.example", password, "nowhere", false},
			{"nobody@lattice.example", password, "", false},
			{"", password, "", false},
			{"a\x00\xff", password, "", false},
		} {
			err := try(tt.email, tt.password, tt.workspace)
			if tt.ok && err != nil || !tt.ok && !bare(err) {
				t.Errorf("%q %.20q %q: %v, want ok=%v", tt.email, tt.password, tt.workspace, err, tt.ok)
			}
		}
		h.exec(`UPDATE users SET disabled_at = 1 WHERE email = 'ana@lattice.example'`)
		if err := try("ana@lattice.example", password, ""); !bare(err) {
			t.Error("a disabled account:", err)
		}
	})
}

// TestSessionsHaveNames: a session is called by where it was opened, and what can
// be no name is none.
func TestSessionsHaveNames(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		for device, want := range map[string]string{
			"Firefox on Windows":    "Firefox on Windows",
			"<b>":                   "<b>",
			strings.Repeat("é", 80): strings.Repeat("é", 80),
			strings.Repeat("x", 81): "Sign-in",
			"":                      "Sign-in",
			" ":                     "Sign-in",
			"a\x00b":                "Sign-in",
			"a\nb":                  "Sign-in",
			"\xff":                  "Sign-in",
		} {
			_, s, err := access.SignIn(t.Context(), d, access.Limits{}, access.Credentials{Email: "ana@lattice.example", Password: password, Device: device})
			if err != nil {
				t.Fatalf("%.20q: %v", device, err)
			}
			tokens, err := access.ListTokens(t.Context(), d, s.Actor)
			if err != nil {
				t.Fatal(err)
			}
			if !tokens[0].Current || tokens[0].Name != want {
				t.Errorf("%.20q is called %q", device, tokens[0].Name)
			}
		}
	})
}

func TestGuessingIsSlowAndLocksNobodyOut(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		limits := access.Limits{PerAccount: 3, PerAddress: 5, Window: 15 * time.Minute}
		try := func(email, pass, remote string) error {
			_, _, err := access.SignIn(t.Context(), d, limits, access.Credentials{Email: email, Password: pass, Remote: remote})
			return err
		}
		limited := func(err error) bool {
			var le *access.LimitError
			return errors.As(err, &le) && le.RetryAfter > 0 && le.RetryAfter <= limits.Window
		}
		const ana, home = "ana@lattice.example", "192.0.2.1"
		if err := try(ana, password, home); err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // one account, many addresses
			if err := try(ana, "guess number one", fmt.Sprintf("198.51.100.%d", i)); !bare(err) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if err := try(ana, password, "198.51.100.9"); !limited(err) {
			t.Error("the fourth guess, though right, was looked at:", err)
		}
		if err := try(ana, password, home); err != nil {
			t.Error("the owner is locked out at her usual address:", err)
		}
		for range 3 {
			if err := try(ana, "mistyped password", home); !bare(err) {
				t.Fatal(err)
			}
		}
		if err := try(ana, password, home); !limited(err) {
			t.Error("the usual address has no limit of its own:", err)
		}
		for i := range 5 { // many accounts, one address
			if err := try(fmt.Sprintf("user%d@lattice.example", i), "guess", "203.0.113.1"); !bare(err) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		if err := try("mei@lattice.example", password, "203.0.113.1"); !limited(err) {
			t.Error("the address has no limit:", err)
		}
		if err := try("mei@lattice.example", password, "203.0.113.2"); err != nil {
			t.Error("another address suffers:", err)
		}
		dbtest.SetClockOffset(t, d, 16*time.Minute)
		if err := try(ana, password, "198.51.100.9"); err != nil {
			t.Error("the window never ends:", err)
		}
	})
}

// TestLimitsCountIPv6ByNetwork: one subscriber has 2^64 addresses, and no more
// guesses for it.
func TestLimitsCountIPv6ByNetwork(t *testing.T) {
	for _, tt := range []struct{ remote, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2::1", "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"demo", "demo"},
		{"", ""},
	} {
		if got := access.Network(tt.remote); got != tt.want {
			t.Errorf("%q counts as %q, want %q", tt.remote, got, tt.want)
		}
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		newHouse(t, d)
		limits := access.Limits{PerAccount: 100, PerAddress: 3, Window: 15 * time.Minute}
		try := func(pass, remote string) error {
			_, _, err := access.SignIn(t.Context(), d, limits, access.Credentials{Email: "mei@lattice.example", Password: pass, Remote: remote})
			return err
		}
		for i := range 3 {
			if err := try("a wrong password", fmt.Sprintf("2001:db8::%x:1", i)); !bare(err) {
				t.Fatal(err)
			}
		}
		var limit *access.LimitError
		if err := try(password, "2001:db8::abcd:1"); !errors.As(err, &limit) {
			t.Errorf("another address of the /64 has a budget of its own: %v", err)
		}
		if err := try(password, "2001:db8:0:1::1"); err != nil {
			t.Errorf("the neighbour suffers: %v", err)
		}
	})
}

func TestAuditTrailShowsTampering(t *testing.T) {
	for _, tamper := range []string{
		`SELECT 1`,
		`UPDATE audit_log SET data = '{}' WHERE seq = 3`,
		`UPDATE audit_log SET actor = 'Someone else' WHERE seq = 3`,
		`UPDATE audit_log SET at = at + 1 WHERE seq = 3`,
		`UPDATE audit_log SET hash = 'ff' WHERE seq = 5`,
		`DELETE FROM audit_log WHERE seq = 1`,
		`DELETE FROM audit_log WHERE seq = 3`,
		`DELETE FROM audit_log WHERE seq = 5`,
		`DELETE FROM audit_log`,
		`DELETE FROM audit_heads`,
		`UPDATE audit_log SET seq = CASE seq WHEN 3 THEN 40 ELSE 3 END WHERE seq IN (3, 4)`,
		`INSERT INTO audit_log SELECT workspace_id, 6, at, actor_id, actor, action, object, data, hash FROM audit_log WHERE seq = 5`,
	} {
		t.Run(tamper, func(t *testing.T) {
			d := dbtest.New(t, db.SQLite)
			newTrail(t, d)
			exec(t, d, tamper)
			at, err := access.VerifyAudit(t.Context(), d, "w")
			if tamper == `SELECT 1` {
				if err != nil || at.Seq != 5 {
					t.Errorf("an untouched trail: %+v, %v", at, err)
				}
			} else if !errors.Is(err, access.ErrTampered) {
				t.Errorf("%+v, %v", at, err)
			}
		})
	}
}

func newTrail(t *testing.T, d *db.DB) {
	t.Helper()
	for i := range 5 {
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			return access.Audit(ctx, tx, "w", access.Entry{
				Actor: op.Person{ID: "u", Name: "Mei Tan"}, Action: "thing.change", Object: "o", Data: map[string]int{"n": i},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func exec(t *testing.T, d *db.DB, sql string) {
	t.Helper()
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACheckpointShowsACutTail(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		newTrail(t, d)
		kept, err := access.VerifyAudit(t.Context(), d, "w")
		if err != nil {
			t.Fatal(err)
		}
		newTrail(t, d)
		if _, err := access.VerifyAudit(t.Context(), d, "w", kept); err != nil {
			t.Error("a trail that went on:", err)
		}
		exec(t, d, `DELETE FROM audit_log WHERE seq > 4`)
		exec(t, d, `UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)`)
		if _, err := access.VerifyAudit(t.Context(), d, "w"); err != nil {
			t.Error("the chain alone can't show it:", err)
		}
		if _, err := access.VerifyAudit(t.Context(), d, "w", kept); !errors.Is(err, access.ErrTampered) {
			t.Error("a cut tail:", err)
		}
	})
}

func TestAuditHasNoGaps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const writers, each = 8, 5
		errs := make(chan error, writers)
		for range writers {
			go func() {
				var err error
				for i := range each {
					rollBack := errors.New("rolled back")
					e := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
						if err := access.Audit(ctx, tx, "w", access.Entry{Action: "a"}); err != nil {
							return err
						}
						if i%2 == 1 {
							return rollBack
						}
						return nil
					})
					if !errors.Is(e, rollBack) {
						err = errors.Join(err, e)
					}
				}
				errs <- err
			}()
		}
		for range writers {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		at, err := access.VerifyAudit(t.Context(), d, "w")
		if err != nil || at.Seq != writers*3 {
			t.Errorf("%+v, %v", at, err)
		}
	})
}
