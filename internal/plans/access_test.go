package plans_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestPlansOfOneTenant: a list has the plans of its tenant that are complete, and narrows
// to one run. The parameters of a preview are those of its run, as long as it is kept.
func TestPlansOfOneTenant(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		first, second := w.keep(w.plan(1)), w.keep(w.plan(1))
		w.Exec(`INSERT INTO runs (id, code, workspace_id, tenant_id, connection_id, operation, surface, state, fingerprint, parameters, target, initiator_id, initiator, fence, accepted_at, outcome, ended_at)
			VALUES ('r1', '9D41TB', $1, $2, $3, 'policy.restore.preview', 'api', 'finished', '', '{"backup":"b"}', '{}', '', '', 1, 1, 'succeeded', 1)`, w.Workspace, w.tenant, w.connection)
		w.Exec(`UPDATE plans SET run_id = 'r2', run_code = 'ZZZZZZ' WHERE hash = $1`, second)
		other := w.Tenant(w.Workspace, "wren", "Wren")
		w.keep(w.plan(2))
		w.Exec(`UPDATE plans SET tenant_id = $1 WHERE hash NOT IN ($2, $3)`, other, first, second)
		w.keep(w.plan(3))
		w.Exec(`UPDATE plans SET ready = FALSE WHERE hash NOT IN ($1, $2) AND tenant_id = $3`, first, second, w.tenant)
		for run, want := range map[string][]string{"": {second, first}, "9d41tb": {first}, "ZZZZZZ": nil, "none": nil} {
			list, next, err := w.plans.List(t.Context(), w.as(w.Viewer, "kestrel"), run, "", 10)
			var got []string
			for _, s := range list {
				got = append(got, s.Hash)
			}
			if err != nil || next != "" || !slices.Equal(got, want) {
				t.Errorf("of run %q: %.8v %v, want %.8v", run, got, err, want)
			}
		}
		if asked, err := w.plans.Asked(t.Context(), w.as(w.Viewer, "kestrel"), first); err != nil || string(asked) != `{"backup":"b"}` {
			t.Errorf("%s, %v", asked, err)
		}
		if asked, err := w.plans.Asked(t.Context(), w.as(w.Viewer, "wren"), first); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("of another tenant: %s, %v", asked, err)
		}
		if asked, err := w.plans.Asked(t.Context(), w.as(w.Viewer, "kestrel"), second); !errors.Is(err, op.ErrNotFound) || asked != nil {
			t.Errorf("of a run that is not kept: %s, %v", asked, err)
		}
	})
}

// TestPolicy: owners with a fresh sign-in change what their own workspace requires.
func TestPolicy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		hash := w.keep(w.plan(1))
		owner, operator := w.Authenticate(w.Session(w.Owner)), w.Authenticate(w.Session(w.Operator))
		on := plans.Policy{Approval: true}
		if err := w.plans.SetPolicy(t.Context(), operator, on); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("an operator: %v", err)
		}
		w.Exec(`UPDATE tokens SET proved_at = 1`)
		if err := w.plans.SetPolicy(t.Context(), owner, on); !errors.Is(err, access.ErrNotFresh) {
			t.Errorf("an old sign-in: %v", err)
		}
		w.Exec(`UPDATE tokens SET proved_at = interlock_now()`)
		if err := w.plans.SetPolicy(t.Context(), owner, on); err != nil {
			t.Fatal(err)
		}
		if got, err := w.plans.Policy(t.Context(), w.Viewer); err != nil || got != on || !w.facts(hash).MustApprove {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := w.plans.Policy(t.Context(), w.Outsider); err != nil || got.Approval {
			t.Errorf("another workspace: %+v, %v", got, err)
		}
	})
}

// TestApprovers: those who may approve are named, by name and five at most, except the
// author and the starter, and those who were disabled or lost the right.
func TestApprovers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		disabled, denied := w.Member("Abe", "abe@lattice.example", tenancy.Owner), w.Member("Bea", "bea@lattice.example", tenancy.Owner)
		w.Exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, disabled.ID())
		w.Exec(`UPDATE members SET denied = '["restore.approve"]' WHERE user_id = $1`, denied.ID())
		if got := w.approvers(); !slices.Equal(got, []string{"Mei Tan"}) {
			t.Errorf("%q", got)
		}
		for i := range 6 {
			w.Member(fmt.Sprintf("Owner %d", i), fmt.Sprintf("owner%d@lattice.example", i), tenancy.Owner)
		}
		if got := w.approvers(w.Owner.ID()); !slices.Equal(got, []string{"Owner 0", "Owner 1", "Owner 2", "Owner 3", "Owner 4"}) {
			t.Errorf("%q", got)
		}
	})
}

// TestMappingsOfOneWorkspace: two workspaces can have tenants with the same directory.
// Neither sees or removes the other's mappings, and a plan counts only those of its own.
func TestMappingsOfOneWorkspace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.Exec(`UPDATE tenants SET directory_id = $2 WHERE id = $1`, w.Tenant(w.Other, "farside", "Farside"), gatetest.Directory("kestrel"))
		m := restore.Mapping{Kind: policy.Groups, SourceDirectory: gatetest.Directory("wren"), Source: "g1", TargetDirectory: gatetest.Directory("kestrel"), Target: "g2"}
		plan := w.plan(1)
		plan.SourceDirectory, plan.Mappings = m.SourceDirectory, []restore.Mapping{m}
		if err := func() error { _, err := w.plans.SetMapping(t.Context(), w.Outsider, "farside", m); return err }(); err != nil {
			t.Fatal(err)
		}
		hash := w.keep(plan)
		if !w.facts(hash).Remapped {
			t.Error("another workspace's mapping counts")
		}
		own, err := w.plans.SetMapping(t.Context(), w.Operator, "kestrel", m)
		if err != nil {
			t.Fatal(err)
		}
		if w.facts(hash).Remapped {
			t.Error("the plan's mapping is there, and it counts as changed")
		}
		list, _, err := w.plans.Mappings(t.Context(), w.as(w.Outsider, "farside"), "", 10)
		if err != nil || len(list) != 1 || list[0].ID == own.ID {
			t.Errorf("%+v, %v", list, err)
		}
		if err := w.plans.RemoveMapping(t.Context(), w.Outsider, "farside", own.ID); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("removed by another workspace: %v", err)
		}
		for _, change := range []restore.Mapping{{Kind: m.Kind, SourceDirectory: m.SourceDirectory, Source: m.Source, Target: "g3"}, m} {
			if _, err := w.plans.SetMapping(t.Context(), w.Operator, "kestrel", change); err != nil || w.facts(hash).Remapped != (change.Target == "g3") {
				t.Errorf("mapped to %s: changed %v, %v", change.Target, w.facts(hash).Remapped, err)
			}
		}
		if err := w.plans.RemoveMapping(t.Context(), w.Operator, "kestrel", own.ID); err != nil || !w.facts(hash).Remapped {
			t.Errorf("removed: changed %v, %v", w.facts(hash).Remapped, err)
		}
	})
}
