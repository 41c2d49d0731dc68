package store_test

import (
	"testing"

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
			m     store.Membership
		}{
			{"role", store.Membership{Role: "king", AllTenants: true}},
			{"role", store.Membership{}},
			{"denied[0]", store.Membership{Role: tenancy.Viewer, Denied: []tenancy.Capability{"x"}}},
			{"denied", store.Membership{Role: tenancy.Owner, AllTenants: true, Denied: []tenancy.Capability{tenancy.ManageMembers}}},
			{"all_tenants", store.Membership{Role: tenancy.Owner, Tenants: []string{"kestrel"}}},
			{"tenants", store.Membership{Role: tenancy.Viewer, AllTenants: true, Tenants: []string{"kestrel"}}},
			{"tenants[1]", store.Membership{Role: tenancy.Viewer, Tenants: []string{"kestrel", "harbour"}}}, // another workspace's
			{"tenants[0]", store.Membership{Role: tenancy.Viewer, Tenants: []string{w.harbour}}},
			{"tenants[0]", store.Membership{Role: tenancy.Viewer, Tenants: []string{"nowhere"}}},
		} {
			_, err := w.AddMember(ctx, w.mei, newUser("tom"), tt.m)
			wantField(t, err, tt.field)
			_, err = w.ChangeMember(ctx, w.mei, w.ana.ID(), tt.m)
			wantField(t, err, tt.field)
		}
		_, err = w.AddMember(ctx, w.mei, newUser("ana"), store.Membership{Role: tenancy.Viewer, AllTenants: true})
		wantField(t, err, "email")
		_, err = w.AddMember(ctx, w.ana, newUser("tom"), store.Membership{Role: tenancy.Owner, AllTenants: true})
		wantErr(t, err, op.ErrForbidden)
		if w.count(`SELECT COUNT(*) FROM users WHERE name = 'tom'`) != 0 {
			t.Error("a refused member left an account")
		}

		m, err := w.ChangeMember(ctx, w.mei, w.ana.ID(), store.Membership{Role: tenancy.Operator, AllTenants: true, Denied: []tenancy.Capability{tenancy.SyncGroups}})
		if err != nil || !m.AllTenants || len(m.Tenants) != 0 || len(m.Denied) != 1 || w.audited() != "member.change" {
			t.Errorf("%+v, %v", m, err)
		}
		w.access(w.ana, "marlow") // at her next request
		_, err = w.ChangeMember(ctx, w.mei, w.olga.ID(), store.Membership{Role: tenancy.Viewer})
		wantErr(t, err, op.ErrNotFound)

		// The last owner stays.
		viewer := store.Membership{Role: tenancy.Viewer, AllTenants: true}
		_, err = w.ChangeMember(ctx, w.mei, w.mei.ID(), viewer)
		wantErr(t, err, op.ErrConflict)
		wantErr(t, w.RemoveMember(ctx, w.mei, w.mei.ID()), op.ErrConflict)
		wantErr(t, w.DisableUser(ctx, w.mei, w.mei.ID()), op.ErrConflict)
		tom := w.add("tom", store.Membership{Role: tenancy.Owner, AllTenants: true})
		if err := w.DisableUser(ctx, w.mei, tom); err != nil {
			t.Fatal(err)
		}
		wantErr(t, w.RemoveMember(ctx, w.mei, w.mei.ID()), op.ErrConflict) // Tom could not sign in
		if err := w.EnableUser(ctx, w.mei, tom); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ChangeMember(ctx, w.mei, w.mei.ID(), viewer); err != nil {
			t.Error(err)
		}
		_, err = w.Members(ctx, w.mei)
		wantErr(t, err, op.ErrForbidden)
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

func TestOwnersThatRemoveEachOther(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		for range 3 {
			id := w.add("tom", store.Membership{Role: tenancy.Owner, AllTenants: true})
			tom := w.signIn("tom")
			errs := make(chan error, 2)
			go func() { errs <- w.RemoveMember(ctx, w.mei, id) }()
			go func() { errs <- w.RemoveMember(ctx, tom, w.mei.ID()) }()
			failed := 0
			for range 2 {
				if err := <-errs; err != nil {
					failed++
				}
			}
			owners := w.count(`SELECT COUNT(*) FROM members WHERE workspace_id = $1 AND role = 'owner'`, w.mei.WorkspaceID())
			if owners != 1 || failed != 1 {
				t.Fatalf("%d owners are left, %d removals failed", owners, failed)
			}
			if w.count(`SELECT COUNT(*) FROM members WHERE user_id = $1`, w.mei.ID()) == 0 { // back to the beginning
				w.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'owner', 0)`, w.mei.WorkspaceID(), w.mei.ID())
				w.exec(`DELETE FROM members WHERE user_id = $1`, id)
				w.mei = w.signIn("mei")
			}
			w.exec(`DELETE FROM tokens WHERE user_id = $1`, id)
			w.exec(`DELETE FROM users WHERE id = $1`, id)
		}
	})
}
