package newoperation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// exotic is an operation that no tenant is ready for.
func exotic() *catalogue.Definition {
	d := *filtersSync
	d.Kind, d.Capability, d.Datasets = "exotic.sync", "exotic.sync", nil
	d.Permissions = []catalogue.Permission{{AnyOf: []string{"Exotic.Read.All"}, For: "read what nobody grants"}}
	d.Blockers.MaxAge = time.Minute // nor is any verification fresh enough for it
	return &d
}

// connections are in every state that readiness is judged by.
func connections() (list []tenancy.Connection) {
	now := time.Now()
	for _, consent := range []tenancy.Consent{tenancy.ConsentGranted, tenancy.ConsentMissing, tenancy.ConsentPending, tenancy.ConsentRevoked, tenancy.ConsentUnknown} {
		for _, credential := range []tenancy.CredentialState{tenancy.CredentialOK, tenancy.CredentialInvalid, tenancy.CredentialUnreadable} {
			for _, verdict := range []tenancy.Verification{tenancy.VerificationOK, tenancy.VerificationFailed, tenancy.VerificationMissing} {
				for _, roles := range [][]string{nil, {"Group.Read.All"}, catalogue.EveryPermission()} {
					for _, enabled := range []bool{true, false} {
						verified := now.Add(-time.Hour)
						list = append(list, tenancy.Connection{
							ID: "c", Enabled: enabled, Consent: consent, Credential: tenancy.ClientSecret, CredentialState: credential,
							Verification: verdict, VerifiedAt: &verified, Permissions: roles, PermissionsAt: &verified,
						})
					}
				}
			}
		}
	}
	return list
}

// readinessStays: adding an operation changes no tenant's readiness, whatever it asks
// for, and the operation tells itself what it lacks.
func readinessStays(t *testing.T) {
	w := serve(t)
	all, permissions := connections(), catalogue.EveryPermission()
	judged := func() (causes [][]op.Cause, turns [][]time.Time) {
		now := time.Now().Truncate(time.Hour)
		for _, status := range []tenancy.TenantStatus{tenancy.TenantActive, tenancy.TenantOnboarding, tenancy.TenantArchived} {
			for i := range all {
				causes = append(causes, catalogue.JudgeReadiness(tenancy.Tenant{Status: status}, catalogue.Target{Connection: &all[i], Count: 1}, now))
				turns = append(turns, catalogue.Turns(all[i]))
			}
		}
		return causes, turns
	}
	shown := func() map[string]string {
		tenants, err := w.as("owner").Tenants(t.Context(), client.TenantFilter{Paging: client.Paging{Limit: 200}})
		if err != nil || len(tenants.Items) < 13 {
			t.Fatalf("%d tenants, %v", len(tenants.Items), err)
		}
		readiness := make(map[string]string)
		for _, n := range tenants.Items {
			readiness[n.Slug] = n.Readiness
			for _, b := range n.Blockers {
				readiness[n.Slug] += ", " + b.Title
			}
		}
		return readiness
	}
	causesBefore, turnsBefore := judged()
	before := shown()

	def := catalogue.Register(exotic())
	if slices.Equal(permissions, catalogue.EveryPermission()) {
		t.Fatal("the operation asks for nothing new: it proves nothing")
	}
	causesAfter, turnsAfter := judged()
	if diff := cmp.Diff(causesBefore, causesAfter); diff != "" {
		t.Errorf("connections are judged otherwise: %s", diff)
	}
	if diff := cmp.Diff(turnsBefore, turnsAfter); diff != "" {
		t.Errorf("their readiness turns at other moments: %s", diff)
	}
	if diff := cmp.Diff(before, shown()); diff != "" {
		t.Errorf("tenants are ready otherwise: %s", diff)
	}
	good := all[slices.IndexFunc(causesBefore, func(c []op.Cause) bool { return len(c) == 0 })]
	lacks, err := def.Judge(t.Context(), catalogue.Question{
		Tenant: tenancy.Tenant{Status: tenancy.TenantActive}, Target: catalogue.Target{Connection: &good, Count: 1}, Now: time.Now(),
	}, nil)
	if err != nil || !slices.ContainsFunc(lacks, func(c op.Cause) bool {
		return c.Code == op.PermissionMissing && c.Args["permissions"] == "Exotic.Read.All"
	}) {
		t.Errorf("the operation itself says %+v, %v", lacks, err)
	}
	if before["kestrel"] != "ready" {
		t.Errorf("kestrel is %s", before["kestrel"])
	}
}
