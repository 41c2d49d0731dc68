package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestMembers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		list, err := w.Members(ctx, w.mei)
		if err != nil || len(list) != 3 || list[0].Name != "ana" || len(list[0].Tenants) != 1 || list[0].Tenants[0].Slug != "kestrel" || list[1].Role != tenancy.Owner || !list[2].AllTenants {
			t.Errorf("%+v, %v", list, err)
		}
		for _, a := range []access.Actor{w.ana, w.vic} {
			_, err := w.Members(ctx, a)
			wantErr(t, err, op.ErrForbidden)
		}
		_, err = w.Member(ctx, w.mei, w.olga.ID())
		wantErr(t, err, op.ErrNotFound)
		_, err = w.Member(ctx, w.olga, w.mei.ID())
		wantErr(t, err, op.ErrNotFound)
		_, err = w.Member(ctx, w.mei, "ana")
		wantErr(t, err, op.ErrNotFound)

		for _, tt := range []struct {
			field string
			m     access.Membership
		}{
			{"role", access.Membership{Role: "king", AllTenants: true}},
			{"role", access.Membership{}},
			{"denied[0]", access.Membership{Role: tenancy.Viewer, Denied: []tenancy.Capability{"x"}}},
			{"denied", access.Membership{Role: tenancy.Owner, AllTenants: true, Denied: []tenancy.Capability{tenancy.ManageMembers}}},
			{"all_tenants", access.Membership{Role: tenancy.Owner, Tenants: []string{"kestrel"}}},
			{"tenants", access.Membership{Role: tenancy.Viewer, AllTenants: true, Tenants: []string{"kestrel"}}},
			{"tenants", access.Membership{Role: tenancy.Viewer, Tenants: make([]string, 1001)}},
			{"tenants[1]", access.Membership{Role: tenancy.Viewer, Tenants: []string{"kestrel", "harbour"}}}, // another workspace's
			{"tenants[0]", access.Membership{Role: tenancy.Viewer, Tenants: []string{w.harbour}}},
			{"tenants[0]", access.Membership{Role: tenancy.Viewer, Tenants: []string{"nowhere"}}},
			{"tenants[0]", access.Membership{Role: tenancy.Viewer, Tenants: []string{""}}},
		} {
			_, _, err := access.Invite(ctx, d, w.mei, "tom@example.com", tt.m)
			wantField(t, err, tt.field)
			_, err = w.ChangeMember(ctx, w.mei, w.ana.ID(), whole(tt.m))
			wantField(t, err, tt.field)
		}
		if w.count(`SELECT COUNT(*) FROM invitations WHERE ended_at IS NULL`) != 0 {
			t.Error("a refused invitation is open")
		}

		// What is not named stays.
		everything, no := true, []tenancy.Capability{"directory.groups.sync"}
		m, err := w.ChangeMember(ctx, w.mei, w.ana.ID(), store.MemberChange{Denied: &no})
		if err != nil || m.AllTenants || len(m.Tenants) != 1 || m.Role != tenancy.Operator || len(m.Denied) != 1 || w.audited() != "member.change" {
			t.Errorf("%+v, %v", m, err)
		}
		m, err = w.ChangeMember(ctx, w.mei, w.ana.ID(), store.MemberChange{AllTenants: &everything})
		if err != nil || !m.AllTenants || len(m.Tenants) != 0 || m.Role != tenancy.Operator || len(m.Denied) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
		w.access(w.ana, "marlow") // at her next request
		some := []string{"marlow", w.marlow, "kestrel"}
		m, err = w.ChangeMember(ctx, w.mei, w.ana.ID(), store.MemberChange{Tenants: &some})
		if err != nil || m.AllTenants || len(m.Tenants) != 2 || m.Tenants[0].Slug != "kestrel" || len(m.Denied) != 1 {
			t.Errorf("%+v, %v", m, err)
		}
		_, err = w.ChangeMember(ctx, w.mei, w.olga.ID(), role(tenancy.Viewer))
		wantErr(t, err, op.ErrNotFound)

		// The last owner stays.
		_, err = w.ChangeMember(ctx, w.mei, w.mei.ID(), role(tenancy.Viewer))
		wantErr(t, err, op.ErrConflict)
		wantErr(t, w.RemoveMember(ctx, w.mei, w.mei.ID()), op.ErrConflict)
		wantErr(t, w.DisableUser(ctx, w.mei, w.mei.ID()), op.ErrConflict)
		tom := w.add("tom", access.Membership{Role: tenancy.Owner, AllTenants: true})
		if err := w.DisableUser(ctx, w.mei, tom); err != nil {
			t.Fatal(err)
		}
		wantErr(t, w.RemoveMember(ctx, w.mei, w.mei.ID()), op.ErrConflict) // Tom could not sign in
		if err := w.EnableUser(ctx, w.mei, tom); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ChangeMember(ctx, w.mei, w.mei.ID(), role(tenancy.Viewer)); err != nil {
			t.Error(err)
		}
		_, err = w.Members(ctx, w.mei)
		wantErr(t, err, op.ErrForbidden)
	})
}

func role(r tenancy.Role) store.MemberChange { return store.MemberChange{Role: &r} }

// whole is a change that names everything.
func whole(m access.Membership) store.MemberChange {
	return store.MemberChange{Role: &m.Role, Denied: &m.Denied, AllTenants: &m.AllTenants, Tenants: &m.Tenants}
}

// TestNobodyGivesOrTakesWhatTheyLack: an owner without a capability neither gives
// it, nor changes, removes, closes, opens or resets somebody who has it.
func TestNobodyGivesOrTakesWhatTheyLack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		without := []tenancy.Capability{tenancy.ReleaseConnections}
		bobID := w.add("bob", access.Membership{Role: tenancy.Owner, AllTenants: true, Denied: without})
		bob := w.signIn("bob")
		beyond := func(what string, err error) {
			t.Helper()
			var be *access.BeyondError
			if !errors.As(err, &be) || len(be.Missing) != 1 || be.Missing[0] != tenancy.ReleaseConnections || !errors.Is(err, op.ErrForbidden) {
				t.Errorf("%s: %v, want that it is beyond his access", what, err)
			}
		}
		owner := tenancy.Owner
		none := []tenancy.Capability{}
		records := w.count(`SELECT COUNT(*) FROM audit_log`)
		_, _, err := access.Invite(ctx, d, bob, "new@example.com", access.Membership{Role: tenancy.Owner, AllTenants: true})
		beyond("invite an owner", err)
		_, err = w.ChangeMember(ctx, bob, w.vic.ID(), store.MemberChange{Role: &owner})
		beyond("promote a viewer", err)
		_, err = w.ChangeMember(ctx, bob, bobID, store.MemberChange{Denied: &none})
		beyond("give it to himself", err)
		_, err = w.ChangeMember(ctx, bob, w.mei.ID(), role(tenancy.Viewer))
		beyond("demote an owner", err)
		_, err = w.ChangeMember(ctx, bob, w.mei.ID(), store.MemberChange{Denied: &without})
		beyond("take it from an owner", err)
		beyond("remove an owner", w.RemoveMember(ctx, bob, w.mei.ID()))
		beyond("close an owner's account", w.DisableUser(ctx, bob, w.mei.ID()))
		_, _, err = access.ResetLink(ctx, d, bob, w.mei.ID())
		beyond("reset an owner's password", err)
		link, open, err := access.Invite(ctx, d, w.mei, "new@example.com", access.Membership{Role: tenancy.Owner, AllTenants: true})
		if err != nil {
			t.Fatal(err)
		}
		beyond("revoke an owner's invitation", access.RevokeInvitation(ctx, d, bob, open.ID))
		if _, err := access.OpenInvitation(ctx, d, link); err != nil {
			t.Error(err)
		}
		if err := w.DisableUser(ctx, w.mei, w.add("una", access.Membership{Role: tenancy.Owner, AllTenants: true})); err != nil {
			t.Fatal(err)
		}
		var una string
		w.write(func(ctx context.Context, tx db.Tx) error {
			return tx.QueryRow(ctx, `SELECT id FROM users WHERE name = 'una'`).Scan(&una)
		})
		beyond("open an owner's account", w.EnableUser(ctx, bob, una))
		if n := w.count(`SELECT COUNT(*) FROM audit_log WHERE actor = 'bob'`); n != 1 { // that he joined
			t.Errorf("%d records of Bob, %d before", n, records)
		}

		// What he has he gives.
		if _, err := w.ChangeMember(ctx, bob, w.vic.ID(), store.MemberChange{Role: &owner, Denied: &without}); err != nil {
			t.Error(err)
		}
		if err := w.RemoveMember(ctx, bob, w.vic.ID()); err != nil {
			t.Error(err)
		}
	})
}

// TestMembersChangeByPeopleOnly: neither a token nor a sign-in of long ago changes
// who is a member, whatever it may do otherwise.
func TestMembersChangeByPeopleOnly(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		all := map[string]func(access.Actor) error{
			"change": func(a access.Actor) error {
				_, err := w.ChangeMember(ctx, a, w.vic.ID(), role(tenancy.Owner))
				return err
			},
			"remove":  func(a access.Actor) error { return w.RemoveMember(ctx, a, w.vic.ID()) },
			"disable": func(a access.Actor) error { return w.DisableUser(ctx, a, w.vic.ID()) },
			"enable":  func(a access.Actor) error { return w.EnableUser(ctx, a, w.vic.ID()) },
			"reset":   func(a access.Actor) error { _, _, err := access.ResetLink(ctx, d, a, w.vic.ID()); return err },
			"invite": func(a access.Actor) error {
				_, _, err := access.Invite(ctx, d, a, "x@example.com", access.Membership{Role: tenancy.Owner, AllTenants: true})
				return err
			},
			"revoke": func(a access.Actor) error { return access.RevokeInvitation(ctx, d, a, access.NewID()) },
		}
		for _, only := range [][]tenancy.Capability{nil, {tenancy.ManageMembers}, {tenancy.View, tenancy.ManageMembers}} {
			secret, _, err := access.CreateToken(ctx, d, w.mei, "program", time.Hour, only)
			if err != nil {
				t.Fatal(err)
			}
			program, err := access.Authenticate(ctx, d, secret)
			if err != nil {
				t.Fatal(err)
			}
			for what, do := range all {
				if err := do(program); !errors.Is(err, access.ErrNoSession) {
					t.Errorf("%s by a token with %q: %v", what, only, err)
				}
			}
		}
		w.exec(`UPDATE tokens SET proved_at = interlock_now() - $1`, access.FreshFor.Microseconds()+1)
		for what, do := range all {
			if err := do(w.mei); !errors.Is(err, access.ErrNotFresh) {
				t.Errorf("%s by a sign-in of long ago: %v", what, err)
			}
		}
	})
}

func TestRemovedAndDisabledPeopleAreOutAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		session := func(name string) string {
			secret, _, err := access.SignIn(ctx, d, access.Limits{}, access.Credentials{Email: name + "@example.com", Password: password})
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		ana, vic := session("ana"), session("vic")
		if err := w.RemoveMember(ctx, w.mei, w.ana.ID()); err != nil {
			t.Fatal(err)
		}
		if w.audited() != "member.remove" {
			t.Error(w.audited())
		}
		if err := w.DisableUser(ctx, w.mei, w.vic.ID()); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{ana, vic} {
			_, err := access.Authenticate(ctx, d, secret)
			wantErr(t, err, access.ErrUnauthenticated)
		}
		wantErr(t, w.RemoveMember(ctx, w.mei, w.ana.ID()), op.ErrNotFound)
		// Their old sessions don't come back with them.
		if err := w.EnableUser(ctx, w.mei, w.vic.ID()); err != nil {
			t.Fatal(err)
		}
		_, err := access.Authenticate(ctx, d, vic)
		wantErr(t, err, access.ErrUnauthenticated)

		w.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.olga.WorkspaceID(), w.vic.ID())
		wantErr(t, w.DisableUser(ctx, w.mei, w.vic.ID()), op.ErrConflict) // not this workspace's alone
	})
}

// TestRemovalLeavesRuns: runs that a removed member started continue. The
// re-check of the gate blocks what has not begun.
func TestRemovalLeavesRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		run := w.run(w.connection(w.mei, "kestrel", "first"), func(r *op.Run) {
			r.State, r.Outcome, r.Initiator = op.Running, "", w.ana.Person()
		})
		if err := w.RemoveMember(t.Context(), w.mei, w.ana.ID()); err != nil {
			t.Fatal(err)
		}
		if r, err := w.Run(t.Context(), w.scope(w.mei), run.Code); err != nil || r.State != op.Running {
			t.Errorf("the run is %s, %v", r.State, err)
		}
	})
}

// TestTwoOwnersAtOnce interleaves the changes of two owners statement by statement.
// One of them comes first: what both change of somebody else holds, and who has lost
// the right meanwhile acts on nothing.
func TestTwoOwnersAtOnce(t *testing.T) {
	url := dbtest.URL(t, db.Postgres)
	first, second := dbtest.Open(t, db.Config{URL: url}), dbtest.Open(t, db.Config{URL: url})
	w := newWorld(t, first)
	owner := access.Membership{Role: tenancy.Owner, AllTenants: true}
	id, una := w.add("tom", owner), w.add("una", owner)
	tom, other, ctx := w.signIn("tom"), store.New(second, w.root, store.Options{}), t.Context()
	begin := func() {
		w.write(func(ctx context.Context, tx db.Tx) error {
			for user, m := range map[string]access.Membership{
				w.mei.ID(): owner, id: owner, una: owner, w.ana.ID(): {Role: tenancy.Operator, Tenants: []string{"kestrel"}},
			} {
				if err := access.SetMembership(ctx, tx, w.mei.WorkspaceID(), user, m); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, `UPDATE users SET disabled_at = NULL`)
			return err
		})
		w.exec(`UPDATE tokens SET revoked_at = NULL`)
	}

	t.Run("change one member", func(t *testing.T) {
		no, tenants := []tenancy.Capability{"directory.groups.sync"}, []string{"marlow"}
		dbtest.EachStep(t, first, second, begin, func() error {
			_, err := w.ChangeMember(ctx, w.mei, w.ana.ID(), store.MemberChange{Denied: &no})
			return err
		}, func() error {
			_, err := other.ChangeMember(ctx, tom, w.ana.ID(), store.MemberChange{Tenants: &tenants})
			return err
		}, func(t *testing.T, a, b error) {
			m, err := w.Member(ctx, w.mei, w.ana.ID())
			if a != nil || b != nil || err != nil || len(m.Denied) != 1 || len(m.Tenants) != 1 || m.Tenants[0].Slug != "marlow" {
				t.Errorf("%v, %v: she is %+v, %v", a, b, m, err)
			}
		})
	})
	for what, take := range map[string]func(s *store.Store, by access.Actor, id string) error{
		"demote": func(s *store.Store, by access.Actor, id string) error {
			_, err := s.ChangeMember(ctx, by, id, role(tenancy.Viewer))
			return err
		},
		"remove":  func(s *store.Store, by access.Actor, id string) error { return s.RemoveMember(ctx, by, id) },
		"disable": func(s *store.Store, by access.Actor, id string) error { return s.DisableUser(ctx, by, id) },
	} {
		for _, others := range []int64{0, 1} { // with a third owner, being the last one refuses nobody
			t.Run(fmt.Sprintf("%s each other beside %d", what, others), func(t *testing.T) {
				dbtest.EachStep(t, first, second, func() {
					begin()
					if others == 0 {
						w.exec(`UPDATE members SET role = 'viewer' WHERE user_id = $1`, una)
					}
				}, func() error { return take(w.Store, w.mei, id) }, func() error { return take(other, tom, w.mei.ID()) },
					func(t *testing.T, a, b error) {
						left := w.count(`SELECT COUNT(*) FROM members m JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
							WHERE m.workspace_id = $1 AND m.role = 'owner'`, w.mei.WorkspaceID())
						if (a == nil) == (b == nil) || left != 1+others {
							t.Errorf("%v, %v: %d owners are left", a, b, left)
						}
						if err := errors.Join(a, b); !errors.Is(err, op.ErrForbidden) && !errors.Is(err, op.ErrNotFound) {
							t.Errorf("the second is refused with %v", err)
						}
					})
			})
		}
	}
}
