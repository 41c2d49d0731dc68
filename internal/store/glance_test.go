package store_test

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

func TestGlance(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		kestrel, marlow := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "marlow", "second")
		living := func(r *op.Run) { r.State, r.Outcome = op.Running, "" }
		w.run(kestrel, living)
		w.run(marlow, living)
		var ended op.Run
		for _, a := range []access.Actor{w.mei, w.ana} {
			ended = w.run(kestrel, nil)
			w.exec(`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at) VALUES ($1, $2, $3, $4, $5, 5)`,
				access.NewID(), kestrel.WorkspaceID, kestrel.TenantID, a.ID(), ended.ID)
		}
		glance := func(a access.Actor) store.Glance {
			t.Helper()
			g, err := w.Glance(ctx, a)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		if g := glance(w.mei); g.Active != 2 || g.Unread != 1 || len(g.Workspaces) != 1 || g.Workspaces[0].Slug != "lattice" {
			t.Errorf("mei sees %+v", g)
		}
		if g := glance(w.ana); g.Active != 1 || g.Unread != 1 || len(g.Workspaces) != 1 {
			t.Errorf("ana, who sees one tenant of two, sees %+v", g)
		}
		if g := glance(w.olga); g.Active != 0 || g.Unread != 0 || g.Workspaces[0].Slug != "quayside" {
			t.Errorf("olga of another workspace sees %+v", g)
		}
		if err := w.ReadNotificationOf(ctx, w.mei, ended.ID); err != nil { // ana's
			t.Fatal(err)
		}
		if mei, ana := glance(w.mei), glance(w.ana); mei.Unread != 1 || ana.Unread != 1 {
			t.Errorf("after mei read that of ana's run: %d and %d unread, want 1 and 1", mei.Unread, ana.Unread)
		}
		if err := w.ReadNotifications(ctx, w.mei); err != nil {
			t.Fatal(err)
		}
		if mei, ana := glance(w.mei), glance(w.ana); mei.Unread != 0 || ana.Unread != 1 {
			t.Errorf("after mei read hers: %d and %d unread, want 0 and 1", mei.Unread, ana.Unread)
		}
		if err := w.ReadNotificationOf(ctx, w.ana, ended.ID); err != nil {
			t.Fatal(err)
		}
		if ana := glance(w.ana); ana.Unread != 0 {
			t.Errorf("after ana read hers: %d unread", ana.Unread)
		}
		_, err := w.Glance(ctx, access.Actor{})
		wantErr(t, err, op.ErrNotFound)
		wantErr(t, w.ReadNotifications(ctx, access.Actor{}), op.ErrNotFound)
	})
}

func TestTenantsByTheirRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		kestrel, marlow := w.connection(w.mei, "kestrel", "first"), w.connection(w.mei, "marlow", "second")
		w.run(kestrel, func(r *op.Run) { r.State, r.Outcome = op.Running, "" })
		w.run(marlow, func(r *op.Run) { r.Outcome = op.RunFailed })
		for _, tt := range []struct {
			filter store.TenantFilter
			want   string
		}{
			{store.TenantFilter{Active: true}, "kestrel"},
			{store.TenantFilter{Latest: op.RunFailed}, "marlow"},
			{store.TenantFilter{Latest: op.RunSucceeded}, ""},
		} {
			list, _, err := w.Tenants(ctx, w.scope(w.mei), tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, v := range list {
				got += v.Slug
			}
			if got != tt.want {
				t.Errorf("%+v lists %q, want %q", tt.filter, got, tt.want)
			}
		}
	})
}
