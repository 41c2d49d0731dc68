package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestReadinessIsKeptAsItIsJudged makes every kind of change of what readiness is
// judged by, in any order, and lets time pass. After each step tenants are found
// by their readiness as it is judged now; and after a round of the house what is
// kept with each tenant is what is judged.
func TestReadinessIsKeptAsItIsJudged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		w.Store = store.New(d, w.root, store.Options{
			Judge: func(t tenancy.Tenant, c *tenancy.Connection, count int, now time.Time) []op.Cause {
				return catalogue.JudgeReadiness(t, catalogue.Target{Connection: c, Count: count}, now)
			},
			Turns: catalogue.Turns,
		})
		tenants := []string{"kestrel", "marlow", "third"}
		w.tenant(w.mei, "Third", "third")
		var offset time.Duration
		const seed = 7
		random := rand.New(rand.NewPCG(seed, 0))
		pick := func(n int) int { return random.IntN(n) }

		all := func(f store.TenantFilter) []store.TenantView {
			t.Helper()
			list, next, err := w.Tenants(ctx, w.scope(w.mei), f)
			if err != nil || next != "" {
				t.Fatal(next, err)
			}
			return list
		}
		check := func(step string) {
			t.Helper()
			judged := map[tenancy.Readiness][]string{}
			for _, v := range all(store.TenantFilter{}) {
				judged[v.Readiness] = append(judged[v.Readiness], v.Slug)
			}
			for _, r := range []tenancy.Readiness{tenancy.ReadyToStart, tenancy.NotReady, tenancy.NeedsCare, tenancy.BeingOnboarded, tenancy.Archived} {
				var found []string
				for _, v := range all(store.TenantFilter{Readiness: r}) {
					found = append(found, v.Slug)
				}
				if !slices.Equal(found, judged[r]) {
					t.Fatalf("%s: by %q %q are found, want %q", step, r, found, judged[r])
				}
			}
		}
		kept := func(step string) {
			t.Helper()
			if _, err := w.SettleReadiness(ctx); err != nil {
				t.Fatal(err)
			}
			if n, err := w.SettleReadiness(ctx); n != 0 || err != nil {
				t.Fatalf("%s: the house would judge %d again, %v", step, n, err)
			}
			for _, v := range all(store.TenantFilter{}) {
				if n := w.count(`SELECT COUNT(*) FROM tenants WHERE id = $1 AND readiness = $2`, v.ID, string(v.Readiness)); n != 1 {
					t.Fatalf("%s: %s is judged %q, and something else is kept", step, v.Slug, v.Readiness)
				}
			}
		}
		made := 0
		connection := func(tenant string) (ref string, found bool) {
			t.Helper()
			list, _, err := w.Connections(ctx, w.scope(w.mei), store.ConnectionFilter{Tenant: tenant})
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				return "", false
			}
			return list[pick(len(list))].ID, true
		}
		learn := func(id string, l store.Learned) error {
			l.Run = "r"
			return d.Write(ctx, func(ctx context.Context, tx db.Tx) error { return store.Learn(ctx, tx, id, l) })
		}
		granted, missing := tenancy.ConsentGranted, tenancy.ConsentMissing
		good, bad := tenancy.CredentialOK, tenancy.CredentialInvalid
		enough, few := []string{}, []string{"Organization.Read.All"}
		for _, def := range catalogue.All() {
			for _, p := range def.Permissions {
				enough = append(enough, p.AnyOf[0])
			}
		}
		changes := []struct {
			name string
			do   func(tenant, c string) error
		}{
			{"disable", func(tn, c string) error { _, err := w.DisableConnection(ctx, w.mei, tn, c); return err }},
			{"enable", func(tn, c string) error { _, err := w.EnableConnection(ctx, w.mei, tn, c); return err }},
			{"default", func(tn, c string) error { _, err := w.SetDefaultConnection(ctx, w.mei, tn, c); return err }},
			{"edit", func(tn, c string) error {
				to := guid(string(rune('a' + pick(3))))
				_, err := w.EditConnection(ctx, w.mei, tn, c, store.EditConnection{ClientID: &to})
				return err
			}},
			{"credential", func(tn, c string) error {
				ends := time.Now().Add(offset + time.Duration(1+pick(40))*24*time.Hour)
				n, err := store.ClientSecret("a-secret-of-some-length", &ends)
				if err != nil {
					return err
				}
				_, err = w.RotateCredential(ctx, w.mei, tn, c, n)
				return err
			}},
			{"revoke", func(tn, c string) error { _, err := w.RevokeConsent(ctx, w.mei, tn, c); return err }},
			{"delete", func(tn, c string) error {
				if pick(3) > 0 {
					return nil
				}
				return w.DeleteConnection(ctx, w.mei, tn, c)
			}},
			{"verified", func(_, c string) error {
				return learn(c, store.Learned{Verdict: tenancy.VerificationOK, Consent: &granted, Credential: &good, Permissions: &enough})
			}},
			{"verified again", func(_, c string) error { return learn(c, store.Learned{Verdict: tenancy.VerificationOK}) }},
			{"failed", func(_, c string) error {
				return learn(c, store.Learned{Verdict: tenancy.VerificationFailed, Reason: op.ConsentMissing, Consent: &missing})
			}},
			{"refused", func(_, c string) error { return learn(c, store.Learned{Credential: &bad}) }},
			{"less permitted", func(_, c string) error { return learn(c, store.Learned{Permissions: &few}) }},
		}
		pass := func(by time.Duration) {
			t.Helper()
			offset += by
			dbtest.SetClockOffset(t, d, offset)
			w.exec(`UPDATE tokens SET expires_at = interlock_now() + 1000000000000, last_used_at = interlock_now()`)
		}
		check("at first")
		// The same verdict again: the gate judges as before, but for the age of it.
		c := w.connection(w.mei, "third", "first")
		secret, err := store.ClientSecret("a-secret-of-some-length", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.RotateCredential(ctx, w.mei, "third", c.ID, secret); err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"verified", "verified again"} {
			err := learn(c.ID, store.Learned{Verdict: tenancy.VerificationOK, Consent: &granted, Credential: &good, Permissions: &enough})
			if err != nil {
				t.Fatal(err)
			}
			kept(step)
			if v := all(store.TenantFilter{Readiness: tenancy.ReadyToStart}); len(v) != 1 || v[0].Slug != "third" {
				t.Fatalf("%s: ready are %+v", step, v)
			}
			pass(31 * 24 * time.Hour)
			check("the verification is old")
			kept("the verification is old")
		}
		for i := range 150 {
			tenant := tenants[pick(len(tenants))]
			step, err := "", error(nil)
			switch c, found := connection(tenant); {
			case !found || pick(12) == 0:
				made++
				step = "create"
				name := "c" + string(rune('a'+made%26)) + string(rune('a'+made/26))
				_, err = w.CreateConnection(ctx, w.mei, tenant, store.NewConnection{Name: name, Slug: name, ClientID: guid("app"), DirectoryID: guid(name)})
			case pick(10) == 0:
				step = "time"
				pass(time.Duration(1+pick(20)) * 24 * time.Hour)
			case pick(15) == 0:
				step = "archive or restore"
				if err = w.ArchiveTenant(ctx, w.mei, tenant); err == nil {
					check(step)
					err = w.RestoreTenant(ctx, w.mei, tenant)
				}
			default:
				change := changes[pick(len(changes))]
				step, err = change.name, change.do(tenant, c)
			}
			var fe *op.FieldError
			if err != nil && !errors.Is(err, op.ErrConflict) && !errors.As(err, &fe) {
				t.Fatalf("%s: %v", step, err)
			}
			check(step)
			if i%3 == 0 {
				kept(step)
			}
		}
	})
}
