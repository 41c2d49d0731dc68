package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestTenants(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		w.connection(w.mei, "kestrel", "second")
		old := w.run(c, nil)
		active := w.run(c, func(r *op.Run) { r.State, r.Outcome = op.Running, "" })
		w.connection(w.mei, "marlow", "third")
		w.exec(`UPDATE connections SET credential_expires_at = interlock_now() + 1000000, rev = rev + 1 WHERE slug = 'third'`)
		w.tenant(w.mei, "Åre Alpine", "are")
		if _, err := w.CreateTenant(ctx, w.mei, store.NewTenant{Name: "Tern Bay", Domain: "tern.example", DirectoryID: guid("tern"), OnboardingStep: "connect"}); err != nil {
			t.Fatal(err)
		}
		if err := w.ArchiveTenant(ctx, w.mei, "are"); err != nil {
			t.Fatal(err)
		}
		w.tenant(w.mei, "bare", "bare")

		for _, tt := range []struct {
			name string
			who  access.Actor
			f    store.TenantFilter
			want string
		}{
			{"all", w.mei, store.TenantFilter{}, "bare kestrel marlow tern-bay are"},
			{"a member of one", w.ana, store.TenantFilter{}, "kestrel"},
			{"another workspace", w.olga, store.TenantFilter{}, "harbour"},
			{"by name", w.mei, store.TenantFilter{Query: "LOGIS"}, "kestrel"},
			{"by name beyond ASCII", w.mei, store.TenantFilter{Query: "ÅRE"}, "are"},
			{"by domain", w.mei, store.TenantFilter{Query: "tern.ex"}, "tern-bay"},
			{"wildcard", w.mei, store.TenantFilter{Query: "%"}, ""},
			{"status", w.mei, store.TenantFilter{Status: tenancy.TenantArchived}, "are"},
			{"ready", w.mei, store.TenantFilter{Readiness: tenancy.ReadyToStart}, "kestrel"},
			{"blocked", w.mei, store.TenantFilter{Readiness: tenancy.NotReady}, "bare"},
			{"needs care", w.mei, store.TenantFilter{Readiness: tenancy.NeedsCare}, "marlow"},
			{"onboarding", w.mei, store.TenantFilter{Readiness: tenancy.BeingOnboarded}, "tern-bay"},
			{"archived", w.mei, store.TenantFilter{Readiness: tenancy.Archived}, "are"},
		} {
			for _, limit := range []int{0, 1, 2} {
				f, got := tt.f, []string(nil)
				f.Limit = limit
				for {
					list, next, err := w.Tenants(ctx, w.scope(tt.who), f)
					if err != nil {
						t.Fatalf("%s: %v", tt.name, err)
					}
					for _, v := range list {
						got = append(got, v.Slug)
					}
					if f.Cursor = next; next == "" {
						break
					}
				}
				if want := strings.Fields(tt.want); !slices.Equal(got, want) {
					t.Errorf("%s by %d: %q, want %q", tt.name, limit, got, want)
				}
			}
		}

		for want, who := range map[string]access.Actor{"bare kestrel marlow tern-bay are": w.mei, "kestrel": w.ana, "harbour": w.olga} {
			names, err := w.TenantNames(ctx, w.scope(who))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range names {
				got = append(got, n.Slug)
			}
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("names for %s: %q, want %q", who.Name(), got, want)
			}
		}

		v, err := w.Tenant(ctx, w.access(w.ana, "kestrel"))
		if err != nil || v.Connections != 2 || v.Default == nil || v.Default.ID != c.ID || v.Default.Name != "first" ||
			v.Active == nil || v.Active.ID != active.ID || v.Active.Href != "/w/lattice/operations/"+active.Code || v.Latest == nil || v.Latest.ID != active.ID {
			t.Errorf("%+v, %v", v, err)
		}
		w.finish(active)
		if v, err := w.Tenant(ctx, w.access(w.ana, "kestrel")); err != nil || v.Active != nil || v.Latest == nil || v.Latest.ID == old.ID {
			t.Errorf("%+v, %v", v, err)
		}
		if v, err := w.Tenant(ctx, w.access(w.mei, "bare")); err != nil || v.Default != nil || len(v.Causes) != 1 || v.Causes[0].Code != op.ConnectionMissing {
			t.Errorf("%+v, %v", v, err)
		}

		_, _, err = w.Tenants(ctx, w.scope(w.mei), store.TenantFilter{Query: "a\x00"})
		wantField(t, err, "q")
		_, _, err = w.Tenants(ctx, w.scope(w.mei), store.TenantFilter{Cursor: "Zm9v"})
		wantErr(t, err, op.ErrBadCursor)
	})
}

func TestCreateAndArchiveTenant(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		good := store.NewTenant{Name: "Old Mill", Domain: "OldMill.example", DirectoryID: strings.ToUpper(guid("mill")), Owner: "Tom"}
		made, err := w.CreateTenant(ctx, w.mei, good)
		if err != nil || made.Slug != "old-mill" || made.Domain != "oldmill.example" || made.DirectoryID != guid("mill") || made.Status != tenancy.TenantActive || w.audited() != "tenant.create" {
			t.Fatalf("%+v, %v", made, err)
		}
		for _, tt := range []struct {
			field  string
			change func(*store.NewTenant)
		}{
			{"name", func(n *store.NewTenant) { n.Name = "" }},
			{"slug", func(*store.NewTenant) {}},
			{"slug", func(n *store.NewTenant) { n.Slug = "A B" }},
			{"domain", func(n *store.NewTenant) { n.Domain = "" }},
			{"directory_id", func(n *store.NewTenant) { n.DirectoryID = "x" }},
			{"owner", func(n *store.NewTenant) { n.Owner = strings.Repeat("o", 121) }},
		} {
			n := good
			tt.change(&n)
			_, err := w.CreateTenant(ctx, w.mei, n)
			wantField(t, err, tt.field)
		}
		_, err = w.CreateTenant(ctx, w.ana, good)
		wantErr(t, err, op.ErrForbidden)
		wantErr(t, w.ArchiveTenant(ctx, w.ana, "kestrel"), op.ErrForbidden)
		wantErr(t, w.ArchiveTenant(ctx, w.olga, "kestrel"), op.ErrNotFound)

		c := w.connection(w.mei, "old-mill", "first")
		run := w.run(c, func(r *op.Run) { r.State, r.Outcome = op.Queued, "" })
		err = w.ArchiveTenant(ctx, w.mei, "old-mill")
		wantErr(t, err, op.ErrConflict)
		if err == nil || !strings.Contains(err.Error(), run.Code) {
			t.Errorf("%v does not name run %s", err, run.Code)
		}
		w.finish(run)
		for range 2 {
			if err := w.ArchiveTenant(ctx, w.mei, "old-mill"); err != nil {
				t.Fatal(err)
			}
		}
		ta := w.access(w.mei, "old-mill")
		if ta.Tenant.Status != tenancy.TenantArchived || ta.Tenant.ArchivedAt == nil || time.Since(*ta.Tenant.ArchivedAt) > time.Minute {
			t.Errorf("%+v", ta.Tenant)
		}
		if v, err := w.Connection(ctx, ta, "first"); err != nil || v.Rev <= c.Rev || v.Readiness != tenancy.Archived {
			t.Errorf("%+v, %v", v, err)
		}
		if err := w.RestoreTenant(ctx, w.mei, "old-mill"); err != nil || w.audited() != "tenant.restore" {
			t.Error(err, w.audited())
		}
		if ta := w.access(w.mei, "old-mill"); ta.Tenant.Status != tenancy.TenantActive || ta.Tenant.ArchivedAt != nil {
			t.Errorf("%+v", ta.Tenant)
		}
		if n := w.count(`SELECT COUNT(*) FROM audit_log WHERE action = 'tenant.archive'`); n != 1 {
			t.Errorf("archived once, on record %d times", n)
		}
	})
}

func TestConnectionList(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		b := w.connection(w.mei, "kestrel", "bb")
		w.connection(w.mei, "kestrel", "aa")
		w.connection(w.mei, "marlow", "cc")
		w.connection(w.olga, "harbour", "dd")
		run := w.run(b, func(r *op.Run) { r.State, r.Outcome = op.Running, "" })
		if _, err := w.DisableConnection(ctx, w.mei, "kestrel", "aa"); err != nil {
			t.Fatal(err)
		}
		list := func(s access.Scope, f store.ConnectionFilter) (got []string) {
			t.Helper()
			for {
				views, next, err := w.Connections(ctx, s, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range views {
					got = append(got, v.Slug)
					if (v.Active != nil) != (v.ID == b.ID) || v.Active != nil && v.Active.Code != run.Code || (v.Readiness == tenancy.ReadyToStart) != (v.Slug != "aa") || v.Tenant.Slug == "" {
						t.Errorf("%+v", v)
					}
				}
				if f.Cursor = next; next == "" {
					return got
				}
			}
		}
		for limit := range 4 {
			if got := list(w.scope(w.mei), store.ConnectionFilter{Limit: limit}); !slices.Equal(got, []string{"aa", "bb", "cc"}) {
				t.Errorf("by %d: %q", limit, got)
			}
		}
		if got := list(w.access(w.mei, "marlow").Scope, store.ConnectionFilter{}); !slices.Equal(got, []string{"cc"}) {
			t.Errorf("%q", got)
		}
		if got := list(w.scope(w.mei), store.ConnectionFilter{Tenant: "kestrel"}); !slices.Equal(got, []string{"aa", "bb"}) {
			t.Errorf("%q", got)
		}
		if got := list(w.scope(w.ana), store.ConnectionFilter{Tenant: "marlow"}); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}

// TestTenantsOfAStatusAreARange: a list of the few archived tenants reads none of
// the many others.
func TestTenantsOfAStatusAreARange(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		w.exec(`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
			SELECT 't' || CAST(10000 + i AS TEXT), $1, 's' || CAST(i AS TEXT), 'N', 'n' || CAST(i AS TEXT), '', '',
			CASE WHEN i % 300 = 0 THEN 'archived' ELSE 'active' END, 0 FROM n`, w.mei.WorkspaceID())
		if _, err := w.SettleReadiness(ctx); err != nil {
			t.Fatal(err)
		}
		w.exec(`ANALYZE`)
		recording := dbtest.Record(d)
		list, _, err := w.Tenants(ctx, w.scope(w.mei), store.TenantFilter{Status: tenancy.TenantArchived})
		if err != nil || len(list) != 10 {
			t.Fatalf("%d tenants, %v", len(list), err)
		}
		for _, s := range recording.Take() {
			cost, err := dbtest.CostOf(ctx, d, s)
			if err != nil {
				t.Fatal(err)
			}
			if cost.Rows > 300 {
				t.Errorf("it looks at %d rows: %s\n%s", cost.Rows, s.SQL, cost.Plan)
			}
		}
	})
}

func TestWithoutAJudgeNothingIsReady(t *testing.T) {
	s := store.New(nil, nil, store.Options{})
	got, causes := s.Readiness(tenancy.Tenant{Status: tenancy.TenantActive}, &tenancy.Connection{Enabled: true}, 1, time.Now())
	if got != tenancy.NotReady || len(causes) != 1 || causes[0].Code != op.PrecheckUnavailable {
		t.Errorf("%s, %v", got, causes)
	}
}
