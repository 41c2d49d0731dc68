package plans_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

type world struct {
	*gatetest.World
	t          *testing.T
	plans      *plans.Plans
	tenant     string
	connection string
}

func newWorld(t *testing.T, d *db.DB) *world {
	w := &world{World: gatetest.New(t, d), t: t}
	w.plans = plans.New(d, w.Store)
	w.tenant = w.Tenant(w.Workspace, "kestrel", "Kestrel")
	w.connection = w.Connection(w.Workspace, w.tenant, "kestrel", nil)
	return w
}

const secret = `{"value":"p4ssw0rd-<of the tenant>"}`

// plan has n steps; each creates a policy with a secret in its body.
func (w *world) plan(n int) restore.Plan {
	p := restore.Plan{
		Set: access.NewID(), AsOf: time.Now().UTC(), At: time.Now().UTC().Truncate(time.Microsecond), Mappings: []restore.Mapping{}, Choices: []restore.Chosen{},
		Target:   restore.Target{Tenant: w.tenant, Connection: w.connection, Version: 1, Directory: gatetest.Directory("kestrel")},
		Warnings: []restore.WarningCode{restore.ConditionalAccess}, Unread: []restore.Unread{}, Steps: []restore.Step{},
	}
	for i := range n {
		p.Steps = append(p.Steps, restore.Step{N: i + 1, Type: "assignmentFilters", Source: access.NewID(), Name: "Filter", Action: restore.Create, Calls: []restore.Call{
			{Method: "POST", Path: "/beta/deviceManagement/assignmentFilters", Hash: restore.HashOf([]byte(secret)), Body: json.RawMessage(secret)},
		}})
	}
	return p
}

// keep stores a plan of the operator's preview.
func (w *world) keep(p restore.Plan) string {
	w.t.Helper()
	packed, err := w.plans.Pack(plans.Made{Workspace: w.Workspace, Tenant: w.tenant, Run: "r1", Code: "9D41TB", Author: w.Operator.Person()}, p)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Write(func(ctx context.Context, tx db.Tx) error { return plans.Begin(ctx, tx, packed) })
	for _, b := range packed.Batches() {
		w.Write(b.Put)
	}
	w.Write(func(ctx context.Context, tx db.Tx) error { return plans.Commit(ctx, tx, packed) })
	return packed.Hash
}

func (w *world) as(a access.Actor, tenant string) access.TenantAccess {
	w.t.Helper()
	var ta access.TenantAccess
	w.Write(func(ctx context.Context, tx db.Tx) (err error) {
		ta, err = access.Authorize(ctx, tx, a, tenant, tenancy.ViewBackups)
		return err
	})
	return ta
}

func (w *world) take(tenant, hash, run string) (id string, err error) {
	err = w.DB.Write(w.t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
		id, err = plans.Take(ctx, tx, tenant, hash, run)
		return err
	})
	return id, err
}

// TestPlanIsStoredWhole: a plan of many steps comes back with every body, byte for byte;
// nothing of a body is readable in the database; and anything that was changed is noticed.
func TestPlanIsStoredWhole(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		want := w.plan(230)
		hash := w.keep(want)
		if hash != want.Hash() {
			t.Fatal("the stored hash is another one")
		}
		id, err := w.take(w.tenant, hash, "run")
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.plans.Load(t.Context(), id, hash)
		if err != nil || len(got.Steps) != 230 || string(got.Steps[229].Calls[0].Body) != secret || got.Steps[229].N != 230 {
			t.Fatalf("%d steps, %v", len(got.Steps), err)
		}
		if n := w.Int(`SELECT COUNT(*) FROM plan_bodies WHERE sealed LIKE '%p4ssw0rd%'`); n != 0 {
			t.Errorf("%d bodies are readable", n)
		}
		steps, next, err := w.plans.Steps(t.Context(), w.as(w.Viewer, "kestrel"), hash, restore.Create, "", 200)
		if err != nil || len(steps) != 200 || next == "" || steps[0].Calls[0].Body != nil {
			t.Errorf("%d steps, next %q, %v", len(steps), next, err)
		}
		if steps, next, err = w.plans.Steps(t.Context(), w.as(w.Viewer, "kestrel"), hash, restore.Create, next, 200); err != nil || len(steps) != 30 || next != "" || steps[0].N != 201 {
			t.Errorf("%d further steps, %v", len(steps), err)
		}
	})
}

// TestChangedPlansAreNotExecuted: whatever was changed in a stored plan, loading it is an
// error.
func TestChangedPlansAreNotExecuted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		for name, change := range map[string]func(id string){
			"nothing": func(string) {},
			"bodies of another step": func(id string) {
				w.Exec(`UPDATE plan_bodies SET sealed = (SELECT b.sealed FROM plan_bodies b WHERE b.id = $1) WHERE id = $2`, id+"/000001", id+"/000002")
			},
			"other bodies": func(id string) {
				sealed, err := w.Store.SealBodies(bodies(t, `{"value":"changed"}`), id, id+"/000002")
				if err != nil {
					t.Fatal(err)
				}
				w.Exec(`UPDATE plan_bodies SET sealed = $2 WHERE id = $1`, id+"/000002", sealed)
			},
			"one body too many": func(id string) {
				sealed, err := w.Store.SealBodies(bodies(t, secret, secret), id, id+"/000002")
				if err != nil {
					t.Fatal(err)
				}
				w.Exec(`UPDATE plan_bodies SET sealed = $2 WHERE id = $1`, id+"/000002", sealed)
			},
			"no bodies":    func(id string) { w.Exec(`DELETE FROM plan_bodies WHERE id = $1`, id+"/000002") },
			"a step less":  func(id string) { w.Exec(`DELETE FROM plan_steps WHERE plan_id = $1 AND n = 3`, id) },
			"another head": func(id string) { w.Exec(`UPDATE plans SET head = $2 WHERE id = $1`, id, `{"set":"another"}`) },
			"a step twice": func(id string) {
				w.Exec(`INSERT INTO plan_steps (plan_id, n, action, data) SELECT plan_id, 4, action, data FROM plan_steps WHERE plan_id = $1 AND n = 3`, id)
			},
			"the next step": func(id string) {
				w.Exec(`UPDATE plan_steps SET data = (SELECT s.data FROM plan_steps s WHERE s.plan_id = $1 AND s.n = 1) WHERE plan_id = $1 AND n = 3`, id)
			},
		} {
			hash := w.keep(w.plan(3))
			id, err := w.take(w.tenant, hash, "run")
			if err != nil {
				t.Fatal(err)
			}
			change(id)
			switch _, err := w.plans.Load(t.Context(), id, hash); {
			case name == "nothing" && err != nil:
				t.Error(err)
			case name != "nothing" && err == nil:
				t.Errorf("a plan is executed after a change: %s", name)
			case name == "no bodies" && !errors.Is(err, op.ErrNotFound):
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// bodies are the bodies of a step's calls, as they are sealed.
func bodies(t *testing.T, texts ...string) vault.Secret {
	t.Helper()
	list := make([][]byte, len(texts))
	for i, text := range texts {
		list[i] = []byte(text)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return vault.NewSecret(base64.StdEncoding.EncodeToString(b.Bytes()))
}

// TestAPlanIsExecutedByOneRun: of two runs one gets the plan, which may ask again. Plans of
// other tenants, and plans that are not complete yet, don't exist.
func TestAPlanIsExecutedByOneRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		hash := w.keep(w.plan(1))
		other := w.Tenant(w.Workspace, "wren", "Wren")
		if _, err := w.take(other, hash, "run"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a plan of another tenant: %v", err)
		}
		if _, err := w.take(w.tenant, strings.Repeat("0", 64), "run"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a plan that doesn't exist: %v", err)
		}
		for range 2 {
			if _, err := w.take(w.tenant, hash, "run"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.take(w.tenant, hash, "second"); !errors.Is(err, op.ErrConflict) {
			t.Errorf("a second run: %v", err)
		}
		if f := w.facts(hash); !f.Executed {
			t.Error("the run has ended, and the plan counts as unused")
		}
		packed, err := w.plans.Pack(plans.Made{Workspace: w.Workspace, Tenant: w.tenant}, w.plan(1))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(func(ctx context.Context, tx db.Tx) error { return plans.Begin(ctx, tx, packed) })
		if _, err := w.plans.Plan(t.Context(), w.as(w.Owner, "kestrel"), packed.Hash); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a plan that is not complete: %v", err)
		}
	})
}

func (w *world) facts(hash string) (f catalogue.StoredPlan) {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) (err error) {
		f, err = plans.Facts(ctx, tx, w.tenant, hash)
		return err
	})
	return f
}

// TestApprovals: someone with the right, with a fresh sign-in and who is not the author
// approves; the approval counts for nobody's own execution, and ends.
func TestApprovals(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		hash := w.keep(w.plan(1))
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", hash); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("a token: %v", err)
		}
		w.Owner = w.Authenticate(w.Session(w.Owner))
		if err := w.plans.Approve(t.Context(), w.Viewer, "kestrel", hash); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer: %v", err)
		}
		if err := w.plans.Approve(t.Context(), w.Outsider, "kestrel", hash); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a stranger: %v", err)
		}
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", strings.Repeat("0", 64)); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("no plan: %v", err)
		}
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", hash); err != nil {
			t.Fatal(err)
		}
		f := w.facts(hash)
		now := time.Now()
		for name, ok := range map[string]bool{
			"by somebody else":       f.Approved("someone", now),
			"not by oneself":         !f.Approved(w.Owner.ID(), now),
			"not for ever":           !f.Approved("someone", now.Add(25*time.Hour)),
			"recorded in the audit":  w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'restore.approve'`) == 1,
			"others can be asked":    slices.Equal(w.approvers(), []string{"Mei Tan"}),
			"not the one who starts": len(w.approvers(w.Owner.ID())) == 0,
		} {
			if !ok {
				t.Error(name)
			}
		}
		w.Exec(`UPDATE plans SET author_id = $1`, w.Owner.ID())
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", hash); !errors.Is(err, op.ErrConflict) {
			t.Errorf("one's own preview: %v", err)
		}
		if f := w.facts(hash); f.Approved("someone", now) {
			t.Error("the author's approval counts")
		}
		w.Exec(`UPDATE plans SET author_id = 'x', observed_at = observed_at - $1`, (31 * time.Minute).Microseconds())
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", hash); !errors.Is(err, op.ErrConflict) {
			t.Errorf("a stale preview: %v", err)
		}
		w.Exec(`UPDATE tokens SET proved_at = 0`)
		if err := w.plans.Approve(t.Context(), w.Owner, "kestrel", hash); !errors.Is(err, access.ErrNotFresh) {
			t.Errorf("an old sign-in: %v", err)
		}
	})
}

func (w *world) approvers(except ...string) (names []string) {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) (err error) {
		names, err = plans.Approvers(ctx, tx, w.tenant, except...)
		return err
	})
	return names
}

// TestMappings: a mapping is set, replaced, listed and removed, by those who may preview,
// and is recorded with how it was found.
func TestMappings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		source := gatetest.Directory("wren")
		m := restore.Mapping{Kind: policy.Groups, SourceDirectory: source, Source: "g1", Target: "g2"}
		if _, err := w.plans.SetMapping(t.Context(), w.Viewer, "kestrel", m); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer: %v", err)
		}
		for _, target := range []string{"g2", "g3", "g1"} {
			m.Target = target
			if _, err := w.plans.SetMapping(t.Context(), w.Operator, "kestrel", m); err != nil {
				t.Fatal(err)
			}
		}
		list, next, err := w.plans.Mappings(t.Context(), w.as(w.Viewer, "kestrel"), "", 10)
		if err != nil || next != "" || len(list) != 1 || list[0].Target != "g1" || list[0].How != catalogue.MappedByID || list[0].By.Name != "Ana Ruiz" {
			t.Fatalf("%+v, %v", list, err)
		}
		if between, err := w.plans.Between(t.Context(), w.Workspace, source, gatetest.Directory("kestrel")); err != nil || len(between) != 1 || between[0] != list[0].Mapping {
			t.Errorf("%+v, %v", between, err)
		}
		if between, err := w.plans.Between(t.Context(), w.Other, source, gatetest.Directory("kestrel")); err != nil || len(between) != 0 {
			t.Errorf("another workspace finds %+v, %v", between, err)
		}
		var field *op.FieldError
		for _, bad := range []restore.Mapping{
			{Kind: "no kind", Source: "a", Target: "b"},
			{Kind: policy.Groups, Target: "b"},
			{Kind: policy.Groups, Source: "a"},
			{Kind: policy.Groups, Source: "a", Target: strings.Repeat("x", 300)},
			{Kind: policy.Groups, SourceDirectory: "wren", Source: "a", Target: "b"},
		} {
			if _, err := w.plans.SetMapping(t.Context(), w.Operator, "kestrel", bad); !errors.As(err, &field) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		w.Tenant(w.Workspace, "wren", "Wren")
		if err := w.plans.RemoveMapping(t.Context(), w.Operator, "wren", list[0].ID); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a mapping to another tenant: %v", err)
		}
		for i, want := range []error{nil, op.ErrNotFound} {
			if err := w.plans.RemoveMapping(t.Context(), w.Operator, "kestrel", list[0].ID); !errors.Is(err, want) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// TestSweep: bodies go after a day, plans after more than a year, unfinished ones after a
// day; bodies of a plan whose run is active stay.
func TestSweep(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.keep(w.plan(3))
		executing := w.keep(w.plan(2))
		if _, err := w.take(w.tenant, executing, "long"); err != nil {
			t.Fatal(err)
		}
		w.Exec(`INSERT INTO run_claims (scope, run_id, fingerprint, fence, sent_at, workspace_id, tenant_id) VALUES ('c', 'long', '', 1, 0, $1, $2)`, w.Workspace, w.tenant)
		unfinished, err := w.plans.Pack(plans.Made{Workspace: w.Workspace, Tenant: w.tenant}, w.plan(1))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(func(ctx context.Context, tx db.Tx) error { return plans.Begin(ctx, tx, unfinished) })
		sweep := func() {
			for {
				var n int64
				w.Write(func(ctx context.Context, tx db.Tx) (err error) {
					n, err = plans.Sweep(ctx, tx, 2)
					return err
				})
				if n < 2 {
					return
				}
			}
		}
		counts := func() [3]int64 {
			return [3]int64{w.Int(`SELECT COUNT(*) FROM plans`), w.Int(`SELECT COUNT(*) FROM plan_steps`), w.Int(`SELECT COUNT(*) FROM plan_bodies`)}
		}
		for _, c := range []struct {
			age  time.Duration
			want [3]int64
		}{{0, [3]int64{3, 5, 5}}, {25 * time.Hour, [3]int64{2, 5, 2}}, {401 * 24 * time.Hour, [3]int64{}}} {
			dbtest.SetClockOffset(t, d, c.age)
			if sweep(); counts() != c.want {
				t.Errorf("after %v there are %v, want %v", c.age, counts(), c.want)
			}
		}
	})
}
