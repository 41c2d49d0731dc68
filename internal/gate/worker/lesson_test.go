package worker

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestOnlyProofsCondemn: what a provider answers is told as it is; later starts are
// blocked only by what an answer proves, and a verification that works heals each
// of them.
func TestOnlyProofsCondemn(t *testing.T) {
	proven := func(r op.Reason) *provider.Error {
		return &provider.Error{Reason: r, Proven: true, Call: "POST /token", Status: 401, Code: "AADSTS1", Message: "no", At: time.Now()}
	}
	unproven := func(r op.Reason) *provider.Error {
		e := proven(r)
		e.Proven = false
		return e
	}
	elsewhere := proven(op.TenantMismatch)
	elsewhere.Directory = "11111111-6a3f-4f53-9a1e-0c9d5b7e91d2"
	access403 := unproven(op.AccessRefused)
	access403.Permissions = []string{"Group.Read.All"}
	for _, tc := range []struct {
		name string
		err  *provider.Error
		want string    // how the run ends
		next op.Reason // what the next start is blocked by; empty: nothing, it is accepted
	}{
		{"consent", proven(op.ConsentMissing), "failed/consent_revoked", op.ConsentRevoked},
		{"wrong secret", proven(op.CredentialInvalid), "failed/credential_invalid", op.CredentialInvalid},
		{"expired secret", proven(op.CredentialExpired), "failed/credential_expired", op.CredentialExpired},
		{"certificate", proven(op.CertificateNotRegistered), "failed/certificate_not_registered", op.CertificateNotRegistered},
		{"disabled", proven(op.ApplicationDisabled), "failed/application_disabled", op.ApplicationDisabled},
		{"conditional access", proven(op.SignInBlocked), "failed/sign_in_blocked", op.SignInBlocked},
		{"resource", proven(op.ResourceNotFound), "failed/resource_not_found", op.ResourceNotFound},
		{"no directory", proven(op.DirectoryNotFound), "failed/directory_not_found", op.DirectoryNotFound},
		{"directory blocked", proven(op.DirectoryUnavailable), "failed/directory_unavailable", op.DirectoryUnavailable},
		{"unreadable", proven(op.CredentialUnreadable), "failed/credential_unreadable", op.CredentialUnreadable},
		{"another directory", elsewhere, "failed/tenant_mismatch", op.TenantMismatch},

		{"consent, unproven", unproven(op.ConsentMissing), "failed/consent_revoked", ""},
		{"wrong secret, unproven", unproven(op.CredentialInvalid), "failed/credential_invalid", ""},
		{"an unknown number", unproven(op.SignInRefused), "failed/sign_in_refused", ""},
		{"clock", unproven(op.ClockSkew), "failed/clock_skew", ""},
		{"consent on its way", unproven(op.ConsentSettling), "failed/consent_settling", ""},
		{"a fault", unproven(op.ProviderFault), "failed/provider_fault", ""},
		{"throttled", unproven(op.ProviderThrottled), "failed/provider_throttled", ""},
		{"unreachable", unproven(op.ProviderUnreachable), "failed/provider_unreachable", ""},
		{"access", access403, "failed/access_refused", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s := newShop(t, d, Config{})
				s.tenant("kestrel")
				run := s.start("kestrel", op.DirectoryGroupsSync)
				c := s.claim(run.ID)
				s.provider.set(tc.err, nil)
				s.deliver(run.ID)
				s.expect(run.ID, tc.want)
				r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
				if err != nil {
					t.Fatal(err)
				}
				if e := r.Evidence; e == nil || e.Call != "POST /token" || e.Status != 401 || e.Code != "AADSTS1" || e.Text != "no" {
					t.Errorf("the run keeps %+v", e)
				}
				if why := op.DescribeRun(r, time.Now()).Why; strings.Contains(why, "not known") || strings.Contains(why, "unknown") {
					t.Errorf("it says %q of what is known", why)
				}
				start := func() op.Result {
					res, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "kestrel", Kind: op.DirectoryGroupsSync, Surface: op.SurfaceAPI})
					if err != nil {
						t.Fatal(err)
					}
					return res
				}
				s.provider.set(nil, nil)
				res := start()
				if tc.next == "" {
					if res.Outcome() != op.Accepted {
						t.Errorf("the next start is blocked: %v", res.Causes())
					}
					return
				}
				if res.Outcome() != op.Blocked || len(res.Causes()) != 1 || res.Causes()[0].Code != tc.next {
					t.Fatalf("the next start is %s %v, want %q", res.Outcome(), res.Causes(), tc.next)
				}
				verify := s.start("kestrel", op.ConnectionVerify)
				s.deliver(verify.ID)
				s.expect(verify.ID, "succeeded")
				if res := start(); res.Outcome() != op.Accepted {
					t.Errorf("after a verification that worked: %s %v", res.Outcome(), res.Causes())
				}
			})
		})
	}
}

// TestASignInThatWorksHeals: whatever was stored and is disproved by a sign-in is
// gone after a run, also after one that fails later; a withdrawal that a person
// noted meanwhile stays.
func TestASignInThatWorksHeals(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		for name, fail := range map[string]error{"it succeeds": nil, "it fails later": &provider.Error{Reason: op.ProviderRejected, Status: 400}} {
			t.Run(name, func(t *testing.T) {
				slug := strings.ReplaceAll(name, " ", "-")
				conn := s.tenant(slug)
				run := s.start(slug, op.DirectoryGroupsSync)
				before := s.provider.count()
				s.provider.set(nil, func(context.Context) error {
					switch s.provider.count() - before {
					case 1: // what somebody believed when the run began
						s.Exec(`UPDATE connections SET consent = 'unknown', permissions = '[]', permissions_at = NULL, actual_directory_id = '',
							credential_state = 'invalid', credential_checked_at = 1, sign_in_refusal = 'application_disabled' WHERE id = $1`, conn)
						return nil
					case 2:
						return nil
					}
					return fail
				})
				s.deliver(run.ID)
				var state, refusal, consent, permissions string
				err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
					return tx.QueryRow(ctx, `SELECT credential_state, sign_in_refusal, consent, permissions FROM connections WHERE id = $1`, conn).
						Scan(&state, &refusal, &consent, &permissions)
				})
				var roles []string
				if err == nil {
					err = json.Unmarshal([]byte(permissions), &roles)
				}
				if err != nil || state != string(tenancy.CredentialOK) || refusal != "" || consent != string(tenancy.ConsentGranted) || len(roles) == 0 {
					t.Errorf("%s: %s %q %s %s, %v", s.ended(run.ID), state, refusal, consent, permissions, err)
				}
			})
		}
		t.Run("withdrawn meanwhile", func(t *testing.T) {
			conn := s.tenant("withdrawn")
			run := s.start("withdrawn", op.DirectoryGroupsSync)
			before := s.provider.count()
			s.provider.set(nil, func(context.Context) error {
				if s.provider.count()-before == 3 {
					s.Exec(`UPDATE connections SET consent = 'revoked', consent_at = interlock_now() WHERE id = $1`, conn)
				}
				return nil
			})
			s.deliver(run.ID)
			s.expect(run.ID, "succeeded")
			res, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "withdrawn", Kind: op.DirectoryGroupsSync, Surface: op.SurfaceAPI})
			if err != nil || res.Outcome() != op.Blocked || res.Causes()[0].Code != op.ConsentRevoked {
				t.Errorf("a withdrawal that was noted while a run worked: %s %v %v", res.Outcome(), res.Causes(), err)
			}
		})
	})
}

// TestEveryRunChecksTheOrganization: a token of the right directory is not enough
// when the provider opens another one.
func TestEveryRunChecksTheOrganization(t *testing.T) {
	const other = "11111111-6a3f-4f53-9a1e-0c9d5b7e91d2"
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		for _, kind := range []op.Kind{op.DirectoryGroupsSync, op.InventorySync, op.ConnectionVerify} {
			t.Run(string(kind), func(t *testing.T) {
				slug := strings.ReplaceAll(string(kind), ".", "-")
				s.tenant(slug)
				run := s.start(slug, kind)
				c := s.claim(run.ID)
				s.provider.setOrganization(other)
				s.deliver(run.ID)
				s.expect(run.ID, "failed/tenant_mismatch")
				r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
				if err != nil {
					t.Fatal(err)
				}
				if why := op.DescribeRun(r, time.Now()).Why; !strings.Contains(why, other) || !strings.Contains(why, r.Target.Directory) {
					t.Errorf("it does not name both directories: %q", why)
				}
			})
		}
	})
}

// TestThrottledSaysForHowLong: a wait that is longer than the run may last ends it
// with the time that the provider asked for, and a wait within is told to whoever
// comes behind.
func TestThrottledSaysForHowLong(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		throttled := func(wait time.Duration) *provider.Error {
			return &provider.Error{Reason: op.ProviderThrottled, Temporary: true, Status: 429, Call: "GET /v1.0/groups/delta", RetryAfter: wait, At: time.Now()}
		}
		s := newShop(t, d, Config{})
		s.tenant("long")
		run := s.start("long", op.DirectoryGroupsSync)
		c := s.claim(run.ID)
		s.provider.set(throttled(24*time.Hour), nil)
		s.deliver(run.ID)
		s.expect(run.ID, "failed/provider_throttled")
		r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, r.Cause.Args["retry_at"])
		if d := time.Until(at); err != nil || d < 23*time.Hour || d > 25*time.Hour {
			t.Errorf("it may be tried again at %v, %v; the provider asked for a day", r.Cause.Args["retry_at"], err)
		}

		s.tenant("short")
		run = s.start("short", op.DirectoryGroupsSync)
		s.provider.set(throttled(10*time.Minute), nil)
		s.deliver(run.ID)
		if got := s.ended(run.ID); got != "queued" {
			t.Fatalf("a run that waits is %s", got)
		}
		res, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "short", Kind: op.InventorySync, Surface: op.SurfaceAPI})
		if err != nil || res.Outcome() != op.ScopeBusy || res.Holder() == nil || res.Holder().WaitingUntil == nil {
			t.Fatalf("behind a run that waits: %s %+v %v", res.Outcome(), res.Holder(), err)
		}
		until := res.Holder().WaitingUntil.UTC().Format("15:04 UTC")
		if a := op.Describe(res.For(s.Operator.ID(), true)); !strings.Contains(a.Reasons[0].Detail, "waits for Microsoft 365 until") || !strings.Contains(a.Reasons[0].Detail, until) {
			t.Errorf("whoever comes behind is told %q, not until %s", a.Reasons[0].Detail, until)
		}

		s.tenant("silent")
		run = s.start("silent", op.DirectoryGroupsSync)
		c = s.claim(run.ID)
		s.provider.set(throttled(0), nil)
		for range 3 {
			s.deliver(run.ID)
		}
		s.expect(run.ID, "failed/provider_throttled")
		if r, err = s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID); err != nil {
			t.Fatal(err)
		}
		if why := op.DescribeRun(r, time.Now()).Why; !strings.Contains(why, "in each of 3 tries and did not say until when") {
			t.Errorf("a provider that never says until when: %q", why)
		}
	})
}
