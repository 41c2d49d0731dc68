package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// desk is a world with its gate.
type desk struct {
	*gatetest.World
	gate *gate.Gate
	t    *testing.T
}

func newDesk(t *testing.T, d *db.DB, cfg gate.Config) *desk {
	t.Helper()
	w := gatetest.New(t, d)
	cfg.Logger = slog.New(slog.DiscardHandler)
	g, err := gate.New(d, w.Store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{World: w, gate: g, t: t}
}

func (k *desk) start(actor access.Actor, tenant string, kind op.Kind, more ...func(*op.Request)) op.Result {
	k.t.Helper()
	res, err := k.gate.Start(k.t.Context(), actor, request(tenant, kind, more...))
	if err != nil {
		k.t.Fatalf("start %s on %s: %v", kind, tenant, err)
	}
	return res
}

func request(tenant string, kind op.Kind, more ...func(*op.Request)) op.Request {
	req := op.Request{Tenant: tenant, Kind: kind, Surface: op.SurfaceAPI, RequestID: "req-1"}
	for _, m := range more {
		m(&req)
	}
	return req
}

func key(k string) func(*op.Request)        { return func(r *op.Request) { r.Key = k } }
func connection(c string) func(*op.Request) { return func(r *op.Request) { r.Connection = c } }
func parameters(p string) func(*op.Request) {
	return func(r *op.Request) { r.Parameters = json.RawMessage(p) }
}

func (k *desk) clean() {
	k.t.Helper()
	if wrong := k.Audit(); len(wrong) > 0 {
		k.t.Errorf("auditor: %s", strings.Join(wrong, "; "))
	}
}

func want(t *testing.T, res op.Result, outcome op.Outcome, reasons ...op.Reason) {
	t.Helper()
	var got []op.Reason
	for _, c := range res.Causes() {
		got = append(got, c.Code)
	}
	if res.Outcome() != outcome || reasons != nil && !slices.Equal(got, reasons) {
		t.Fatalf("answer is %s %v, want %s %v", res.Outcome(), got, outcome, reasons)
	}
}

func TestAcceptedStartMakesOneRunAndOneJob(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", nil)
		res := k.start(k.Operator, "kestrel", op.InventorySync)
		want(t, res, op.Accepted)
		if run := res.Run(); run == nil || len(run.Code) != 6 || run.State != op.Queued || run.Initiator.ID != k.Operator.ID() {
			t.Errorf("run is %+v", run)
		}
		if target := res.Facts().Target; target == nil || target.ConnectionID != conn {
			t.Errorf("target is %+v, want the default connection %s", target, conn)
		}
		for table, n := range map[string]int64{"runs": 1, "run_claims": 1, "river_job": 1, "start_attempts": 1, "notifications": 0} {
			if got := k.Int(`SELECT COUNT(*) FROM ` + table); got != n {
				t.Errorf("%s has %d rows, want %d", table, got, n)
			}
		}
		k.clean()
	})
}

func TestSameWorkIsDedupedAndOtherWorkIsBusy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		first := k.start(k.Operator, "kestrel", op.InventorySync)

		same := k.start(k.Second, "kestrel", op.InventorySync, parameters(`{}`)) // defaults, written out
		want(t, same, op.Deduped, op.SameOperationActive)
		if same.Run().ID != first.Run().ID {
			t.Errorf("deduped points to %s, want %s", same.Run().ID, first.Run().ID)
		}
		other := k.start(k.Second, "kestrel", op.DirectoryGroupsSync)
		want(t, other, op.ScopeBusy, op.OtherOperationActive)
		if other.Holder() == nil || other.Holder().ID != first.Run().ID || other.Holder().Operation != op.InventorySync {
			t.Errorf("holder is %+v, want the inventory sync", other.Holder())
		}
		choices := k.start(k.Second, "kestrel", op.InventorySync, parameters(`{"types":["mobileApps"]}`))
		want(t, choices, op.ScopeBusy, op.SameOperationDifferentParameters)
		if diff := choices.Causes()[0].Args["differences"]; !strings.Contains(diff, "types") || !strings.Contains(diff, "mobileApps") {
			t.Errorf("differences are %q, want them to name types and mobileApps", diff)
		}
		if n := k.Int(`SELECT COUNT(*) FROM river_job`); n != 1 {
			t.Errorf("%d jobs, want 1", n)
		}
		k.clean()
	})
}

// Every blocker, with the fact that causes it, and all at once in their order.
func TestBlockers(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	long := time.Now().Add(-365 * 24 * time.Hour)
	cases := []struct {
		name string
		edit func(*tenancy.Connection)
		sql  string
		want []op.Reason
	}{
		{"disabled", func(c *tenancy.Connection) { c.Enabled, c.DisabledBy, c.DisabledAt = false, "Mei Tan", &past }, "", []op.Reason{op.ConnectionDisabled}},
		{"no default", func(c *tenancy.Connection) { c.Default = false }, "", []op.Reason{op.ConnectionDefaultMissing}},
		{"archived", nil, `UPDATE tenants SET status = 'archived'`, []op.Reason{op.TenantArchived}},
		{"onboarding", nil, `UPDATE tenants SET status = 'onboarding'`, []op.Reason{op.TenantNotActive}},
		{"identity", func(c *tenancy.Connection) { c.ActualDirectoryID = gatetest.Directory("elsewhere") }, "", []op.Reason{op.TenantMismatch}},
		{"no credential", func(c *tenancy.Connection) { c.Credential = "" }, "", []op.Reason{op.CredentialMissing}},
		{"expired", func(c *tenancy.Connection) { c.CredentialExpiresAt = &past }, "", []op.Reason{op.CredentialExpired}},
		{"unreadable", func(c *tenancy.Connection) { c.CredentialState = tenancy.CredentialUnreadable }, "", []op.Reason{op.CredentialUnreadable}},
		{"refused", func(c *tenancy.Connection) { c.CredentialState = tenancy.CredentialInvalid }, "", []op.Reason{op.CredentialInvalid}},
		{"no consent", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing }, "", []op.Reason{op.ConsentMissing}},
		{"consent opened", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentPending }, "", []op.Reason{op.ConsentPending}},
		{"consent withdrawn", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentRevoked }, "", []op.Reason{op.ConsentRevoked}},
		{"permissions", func(c *tenancy.Connection) { c.Permissions = []string{"Organization.Read.All"} }, "", []op.Reason{op.PermissionMissing}},
		{"never verified", func(c *tenancy.Connection) { c.Verification, c.VerifiedAt = tenancy.VerificationMissing, nil }, "", []op.Reason{op.VerificationMissing}},
		{"verification failed", func(c *tenancy.Connection) {
			c.Verification, c.VerificationReason = tenancy.VerificationFailed, string(op.ProviderRejected)
		}, "", []op.Reason{op.VerificationFailed}},
		{"verification old", func(c *tenancy.Connection) { c.VerifiedAt = &long }, "", []op.Reason{op.VerificationStale}},
		{"many", func(c *tenancy.Connection) {
			c.Enabled, c.Consent, c.CredentialExpiresAt = false, tenancy.ConsentRevoked, &past
			c.ActualDirectoryID, c.Verification, c.VerificationReason = gatetest.Directory("elsewhere"), tenancy.VerificationFailed, string(op.ConsentRevoked)
		}, `UPDATE tenants SET status = 'archived'`, []op.Reason{op.ConnectionDisabled, op.TenantArchived, op.TenantMismatch, op.CredentialExpired, op.ConsentRevoked}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				k := newDesk(t, d, gate.Config{})
				tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
				k.Connection(k.Workspace, tenant, "kestrel", tc.edit)
				if tc.sql != "" {
					k.Exec(tc.sql)
				}
				want(t, k.start(k.Operator, "kestrel", op.InventorySync), op.Blocked, tc.want...)
				for _, table := range []string{"runs", "run_claims", "river_job", "notifications"} {
					if n := k.Int(`SELECT COUNT(*) FROM ` + table); n != 0 {
						t.Errorf("%s has %d rows after a blocked start", table, n)
					}
				}
				k.clean()
			})
		})
	}
}

func TestNoConnectionIsBlocked(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		want(t, k.start(k.Operator, "kestrel", op.ConnectionVerify), op.Blocked, op.ConnectionMissing)
	})
}

// Blockers come before the claim: a connection that is both is blocked, and the
// run that holds it is told beside.
func TestBlockersComeBeforeTheHolder(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", nil)
		run := k.start(k.Operator, "kestrel", op.InventorySync).Run()
		k.Exec(`UPDATE connections SET consent = 'revoked', rev = rev + 1 WHERE id = $1`, conn)
		for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync} {
			res := k.start(k.Second, "kestrel", kind)
			want(t, res, op.Blocked, op.ConsentRevoked)
			if res.Run() != nil || res.Holder() == nil || res.Holder().ID != run.ID {
				t.Errorf("%s: run %v, holder %v; want no run, and the holder told", kind, res.Run(), res.Holder())
			}
		}
		k.clean()
	})
}

// Verification needs only an existing, enabled connection: it is how one finds
// out about everything else.
func TestVerificationIsExemptFromWhatItDiagnoses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		past := time.Now().Add(-time.Hour)
		k.Connection(k.Workspace, tenant, "kestrel", func(c *tenancy.Connection) {
			c.Consent, c.CredentialExpiresAt, c.Permissions = tenancy.ConsentMissing, &past, nil
			c.Verification, c.VerificationReason = tenancy.VerificationFailed, string(op.ConsentMissing)
		})
		want(t, k.start(k.Operator, "kestrel", op.ConnectionVerify), op.Accepted)
	})
}

func TestExplicitConnectionIsUsedAndForeignOnesAreNotThere(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		sandbox := k.Connection(k.Workspace, tenant, "sandbox", func(c *tenancy.Connection) { c.Default = false })
		neighbour := k.Tenant(k.Workspace, "marlow", "Marlow Foods")
		theirs := k.Connection(k.Workspace, neighbour, "marlow", nil)
		abroad := k.Tenant(k.Other, "academy", "Northgate Academy")
		foreign := k.Connection(k.Other, abroad, "academy", nil)

		for _, ref := range []string{sandbox, "sandbox"} {
			res := k.start(k.Operator, "kestrel", op.InventorySync, connection(ref))
			if got := res.Facts().Target.ConnectionID; got != sandbox {
				t.Errorf("start with connection %q uses %s, want %s", ref, got, sandbox)
			}
		}
		missing := func(tenant, conn string, kind op.Kind, actor access.Actor) {
			t.Helper()
			_, err := k.gate.Start(t.Context(), actor, request(tenant, kind, connection(conn)))
			if !errors.Is(err, op.ErrNotFound) {
				t.Errorf("start on %q through %q: %v, want not found", tenant, conn, err)
			}
		}
		missing("kestrel", theirs, op.InventorySync, k.Operator)
		missing("kestrel", foreign, op.InventorySync, k.Operator)
		missing("kestrel", "nowhere", op.InventorySync, k.Operator)
		missing("academy", "", op.InventorySync, k.Operator)
		missing(abroad, "", op.InventorySync, k.Operator)
		missing("kestrel", "", op.Kind("policy.shred"), k.Operator)
		missing("kestrel", "", op.InventorySync, k.Outsider)
		if _, err := k.gate.Start(t.Context(), k.Viewer, request("kestrel", op.InventorySync)); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer's start: %v, want forbidden", err)
		}
		if n := k.Int(`SELECT COUNT(*) FROM start_attempts WHERE actor_id IN ($1, $2)`, k.Viewer.ID(), k.Outsider.ID()); n != 0 {
			t.Errorf("%d refusals of the caller were recorded as attempts", n)
		}
		k.clean()
	})
}

func TestShapeComesAfterCapability(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		bad := request("kestrel", op.InventorySync, parameters(`{"colour":"red"}`))
		var field *op.FieldError
		if _, err := k.gate.Start(t.Context(), k.Operator, bad); !errors.As(err, &field) || field.Field != "parameters.colour" {
			t.Errorf("unknown parameter: %v, want an error that names parameters.colour", err)
		}
		if _, err := k.gate.Start(t.Context(), k.Viewer, bad); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("unknown parameter by a viewer: %v, want forbidden", err)
		}
		long := request("kestrel", op.InventorySync, key(strings.Repeat("k", 201)))
		if _, err := k.gate.Start(t.Context(), k.Operator, long); !errors.As(err, &field) || field.Field != "Idempotency-Key" {
			t.Errorf("long key: %v, want an error that names Idempotency-Key", err)
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", func(c *tenancy.Connection) { c.Consent = tenancy.ConsentMissing })

		// Refusals are not pinned: mending and pressing again works.
		want(t, k.start(k.Operator, "kestrel", op.InventorySync, key("k1")), op.Blocked)
		k.Exec(`UPDATE connections SET consent = 'granted', rev = rev + 1 WHERE id = $1`, conn)
		first := k.start(k.Operator, "kestrel", op.InventorySync, key("k1"))
		want(t, first, op.Accepted)

		again := k.start(k.Operator, "kestrel", op.InventorySync, key("k1"), parameters("null"))
		want(t, again, op.Accepted)
		if !again.Replayed() || again.Run().ID != first.Run().ID || again.Facts().Attempt != first.Facts().Attempt {
			t.Errorf("the same key gave %+v, want the first answer", again)
		}
		// Another person's key of the same name is another key.
		other := k.start(k.Second, "kestrel", op.InventorySync, key("k1"))
		want(t, other, op.Deduped)
		if other.Replayed() {
			t.Error("a key of someone else was replayed")
		}
		_, err := k.gate.Start(t.Context(), k.Operator, request("kestrel", op.DirectoryGroupsSync, key("k1"), connection("kestrel")))
		var reused *gate.KeyReusedError
		if !errors.As(err, &reused) || !slices.Equal(reused.Fields, []string{"connection", "operation", "parameters"}) {
			t.Errorf("the same key for other work: %v, want it to name connection, operation and parameters", err)
		}
		// The replay tells the run's state of now.
		if _, err := k.gate.Cancel(t.Context(), k.Operator, first.Run().ID); err != nil {
			t.Fatal(err)
		}
		after := k.start(k.Operator, "kestrel", op.InventorySync, key("k1"))
		if !after.Replayed() || after.Run().State != op.Finished {
			t.Errorf("replay after the end says %s, want finished", after.Run().State)
		}
		// Authorization comes before replay.
		k.Exec(`DELETE FROM members WHERE user_id = $1`, k.Operator.ID())
		if _, err := k.gate.Start(t.Context(), k.Operator, request("kestrel", op.InventorySync, key("k1"))); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("replay for a removed member: %v, want not found", err)
		}
		k.clean()
	})
}

func TestIdenticalRefusalsCoalesce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", func(c *tenancy.Connection) { c.Enabled = false })
		first := k.start(k.Operator, "kestrel", op.InventorySync)
		again := k.start(k.Operator, "kestrel", op.InventorySync)
		if again.Facts().Attempt != first.Facts().Attempt {
			t.Error("an identical refusal within 10 s got a record of its own")
		}
		if n := k.Int(`SELECT presses FROM start_attempts WHERE id = $1`, first.Facts().Attempt); n != 2 {
			t.Errorf("%d presses on record, want 2", n)
		}
		k.start(k.Second, "kestrel", op.InventorySync)         // someone else
		k.start(k.Operator, "kestrel", op.DirectoryGroupsSync) // something else
		if n := k.Int(`SELECT COUNT(*) FROM start_attempts`); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		dbtest.SetClockOffset(t, d, 11*time.Second)
		k.start(k.Operator, "kestrel", op.InventorySync)
		if n := k.Int(`SELECT COUNT(*) FROM start_attempts`); n != 4 {
			t.Errorf("%d attempts after 11 s, want 4", n)
		}
	})
}

func TestTargetChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", nil)
		shown := func(id string, version int64) func(*op.Request) {
			return func(r *op.Request) { r.ShownConnection, r.ShownVersion = id, version }
		}
		edited := k.start(k.Operator, "kestrel", op.InventorySync, shown(conn, 7))
		want(t, edited, op.Blocked, op.TargetChanged)
		if why := op.Describe(edited).Reasons[0].Detail; !strings.HasPrefix(why, "kestrel primary was edited") {
			t.Errorf("why: %q", why)
		}
		want(t, k.start(k.Operator, "kestrel", op.InventorySync, shown(access.NewID(), 1)), op.Blocked, op.TargetChanged)
		want(t, k.start(k.Operator, "kestrel", op.InventorySync, shown(conn, 1)), op.Accepted)
	})
}

func TestHolderIsHiddenFromThoseWhoMayNotOpenIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		k.start(k.Operator, "kestrel", op.InventorySync)
		k.Exec(`UPDATE members SET denied = '["view"]' WHERE user_id = $1`, k.Second.ID())
		for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync} {
			res := k.start(k.Second, "kestrel", kind)
			want(t, res, op.ScopeBusy)
			if res.Holder() != nil || res.Run() != nil || !res.HolderHidden() {
				t.Errorf("%s names the run to someone who may not open it", kind)
			}
		}
	})
}

func TestPreflightWritesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		look := func(kind op.Kind, outcome op.Outcome) {
			t.Helper()
			res, err := k.gate.Preflight(t.Context(), k.Operator, request("kestrel", kind))
			if err != nil {
				t.Fatal(err)
			}
			want(t, res, outcome)
		}
		look(op.InventorySync, op.Accepted)
		if n := k.Int(`SELECT COUNT(*) FROM start_attempts`) + k.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("a preflight wrote %d rows", n)
		}
		k.start(k.Operator, "kestrel", op.InventorySync)
		look(op.InventorySync, op.Deduped)
		look(op.DirectoryGroupsSync, op.ScopeBusy)
		if n := k.Int(`SELECT COUNT(*) FROM start_attempts`); n != 1 {
			t.Errorf("%d attempts after preflights, want the one of the start", n)
		}
	})
}

// 64 people press at the same instant, for the same and for mixed operations:
// exactly one is accepted and every other answer names that run.
func TestSimultaneousStarts(t *testing.T) {
	const presses = 64
	rounds := 50
	if testing.Short() { // under the race detector
		rounds = 6
	}
	kinds := []op.Kind{op.InventorySync, op.DirectoryGroupsSync, op.ConnectionVerify}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		for round := range rounds {
			results := make([]op.Result, presses)
			errs := make([]error, presses)
			gun := make(chan struct{})
			var wg sync.WaitGroup
			for i := range presses {
				wg.Go(func() {
					actor := []access.Actor{k.Operator, k.Second, k.Owner}[i%3]
					kind := op.InventorySync
					if round%2 == 1 {
						kind = kinds[i%len(kinds)]
					}
					<-gun
					results[i], errs[i] = k.gate.Start(context.WithoutCancel(t.Context()), actor, request("kestrel", kind, key(fmt.Sprint(round, "/", i))))
				})
			}
			close(gun)
			wg.Wait()
			var winner string
			for i, res := range results {
				if errs[i] != nil {
					t.Fatalf("round %d: %v", round, errs[i])
				}
				if res.Outcome() == op.Accepted {
					if winner != "" {
						t.Fatalf("round %d: two starts were accepted", round)
					}
					winner = res.Run().ID
				}
			}
			if winner == "" {
				t.Fatalf("round %d: no start was accepted", round)
			}
			for i, res := range results {
				named := res.Run()
				if res.Outcome() == op.ScopeBusy {
					named = res.Holder()
				}
				if named == nil || named.ID != winner {
					t.Fatalf("round %d: answer %d (%s) names %v, want %s", round, i, res.Outcome(), named, winner)
				}
			}
			if jobs := k.Int(`SELECT COUNT(*) FROM river_job`); jobs != int64(round+1) {
				t.Fatalf("round %d: %d jobs, want %d", round, jobs, round+1)
			}
			if _, err := k.gate.Cancel(t.Context(), k.Owner, winner); err != nil {
				t.Fatal(err)
			}
		}
		k.clean()
	})
}

// A start that is sent after the answer to a disable, a revocation or a removal is
// never accepted, however many starts are under way.
func TestNothingIsAcceptedAfterTheAnswerToADisable(t *testing.T) {
	const rounds, workers = 30, 8
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", nil)
		changes := []struct{ what, off, on, arg string }{
			{"disable", `UPDATE connections SET enabled = FALSE, rev = rev + 1 WHERE id = $1`, `UPDATE connections SET enabled = TRUE, rev = rev + 1 WHERE id = $1`, conn},
			{"revoked consent", `UPDATE connections SET consent = 'revoked', rev = rev + 1 WHERE id = $1`, `UPDATE connections SET consent = 'granted', rev = rev + 1 WHERE id = $1`, conn},
			{"removed member", `UPDATE members SET role = 'viewer' WHERE user_id = $1`, `UPDATE members SET role = 'operator' WHERE user_id = $1`, k.Operator.ID()},
		}
		for round := range rounds {
			change := changes[round%len(changes)]
			var off sync.Map // worker -> whether the answer had come when it pressed
			answered, stop := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			var mu sync.Mutex
			for w := range workers {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						late := false
						select {
						case <-answered:
							late = true
						default:
						}
						res, err := k.gate.Start(context.WithoutCancel(t.Context()), k.Operator, request("kestrel", op.InventorySync))
						if err != nil && !errors.Is(err, op.ErrForbidden) {
							t.Error(err)
							return
						}
						if late && err == nil && res.Outcome() == op.Accepted {
							off.Store(w, true)
						}
						if err == nil && res.Outcome() == op.Accepted {
							mu.Lock()
							if _, err := k.gate.Cancel(context.WithoutCancel(t.Context()), k.Owner, res.Run().ID); err != nil {
								t.Error(err)
							}
							mu.Unlock()
						}
					}
				})
			}
			time.Sleep(5 * time.Millisecond)
			k.Exec(change.off, change.arg)
			close(answered)
			time.Sleep(10 * time.Millisecond)
			close(stop)
			wg.Wait()
			off.Range(func(any, any) bool {
				t.Fatalf("round %d: a start sent after the answer to a %s was accepted", round, change.what)
				return false
			})
			k.Exec(change.on, change.arg)
		}
		k.clean()
	})
}

func TestCancelAndReleaseInLine(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		k.Connection(k.Workspace, tenant, "kestrel", nil)
		run := k.start(k.Operator, "kestrel", op.InventorySync).Run()
		if _, err := k.gate.Cancel(t.Context(), k.Viewer, run.ID); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer cancels: %v, want forbidden", err)
		}
		for _, ref := range []string{run.ID, run.Code, access.NewID(), "ZZZZZZ", "", "'"} {
			if _, err := k.gate.Cancel(t.Context(), k.Outsider, ref); !errors.Is(err, op.ErrNotFound) {
				t.Errorf("an outsider cancels %q: %v, want not found", ref, err)
			}
		}
		var field *op.FieldError
		for _, note := range []string{" x ", strings.Repeat("x", 301), "a\x00b", "two\nlines", "\xff\xfe\xfd"} {
			if _, err := k.gate.Release(t.Context(), k.Owner, run.Code, note); !errors.As(err, &field) || field.Field != "note" {
				t.Errorf("release with the note %q: %v, want an error that names note", note, err)
			}
		}
		if _, err := k.gate.Release(t.Context(), k.Operator, run.Code, "stuck for an hour"); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("an operator releases: %v, want forbidden", err)
		}
		if _, err := k.gate.Cancel(t.Context(), k.Operator, strings.ToLower(run.Code)); err != nil {
			t.Errorf("cancel by code: %v", err)
		}
		if _, err := k.gate.Cancel(t.Context(), k.Operator, run.ID); !errors.Is(err, op.ErrConflict) {
			t.Errorf("cancel after the end: %v, want conflict", err)
		}
		want(t, k.start(k.Operator, "kestrel", op.DirectoryGroupsSync), op.Accepted)
		k.clean()
	})
}

// A claim that no living run holds refuses the start, is healed and put on record.
func TestInconsistentScopeIsHealed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := newDesk(t, d, gate.Config{})
		tenant := k.Tenant(k.Workspace, "kestrel", "Kestrel Logistics")
		conn := k.Connection(k.Workspace, tenant, "kestrel", nil)
		k.Exec(`INSERT INTO run_claims (scope, run_id, fingerprint, fence, sent_at) VALUES ($1, 'gone', 'x', 1, 0)`, conn)
		want(t, k.start(k.Operator, "kestrel", op.InventorySync), op.ScopeBusy, op.ScopeInconsistent)
		want(t, k.start(k.Operator, "kestrel", op.InventorySync), op.Accepted)
		if n := k.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'scope.healed'`); n != 1 {
			t.Errorf("%d audit records of the healing, want 1", n)
		}
		k.clean()
	})
}
