package catalogue_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestOperationsAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	data := &datatest.Memory{}
	for _, d := range catalogue.All() {
		kind := d.Kind
		parameters := ""
		if d.Input {
			parameters = string(d.Example)
		}
		r, err := run(t, kind, s.Client(t), data, parameters)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, item := range r.Items {
			if item.Result != op.ItemDone {
				t.Errorf("%s: %+v", kind, item)
			}
		}
		if empty := d.Input; r.Counts.Done != r.Counts.Total || (r.Counts.Total == 0) != empty { // the plan and the backup are empty here
			t.Errorf("%s: %+v", kind, r.Counts)
		}
	}
	facts := data.Learnt()[0]
	if facts.Verdict != tenancy.VerificationOK || deref(facts.Consent) != tenancy.ConsentGranted || len(deref(facts.Permissions)) != len(everyRole) {
		t.Errorf("learnt %+v", facts)
	}

	groups, _ := data.Rows(t.Context(), catalogue.Groups)
	if len(groups) != 60 {
		t.Fatalf("%d groups", len(groups))
	}
	before := shown(t, data)
	r, err := run(t, op.DirectoryGroupsSync, s.Client(t), data, "")
	if err != nil || r.Find(t, "groups").Result != op.ItemUnchanged || shown(t, data) != before {
		t.Errorf("nothing changed, and yet %+v, %v", r.Items, err)
	}

	_, err = s.ChangeGroups(t.Context(), directory,
		graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: "New starters", Count: 300},
		graphsim.GroupChange{Op: graphsim.GroupDelete, ID: groups[0].ID},
		graphsim.GroupChange{Op: graphsim.GroupUpdate, ID: groups[1].ID, DisplayName: "Renamed"},
		graphsim.GroupChange{Op: graphsim.GroupAddMembers, ID: groups[2].ID, Count: 7},
		graphsim.GroupChange{Op: graphsim.GroupRemoveMembers, ID: groups[3].ID, Count: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, op.DirectoryGroupsSync, s.Client(t), data, ""); err != nil {
		t.Fatal(err)
	}
	incremental := shown(t, data)
	if !strings.Contains(incremental, "New starters") || strings.Contains(incremental, groups[0].ID) {
		t.Error("the changes did not come")
	}
	if _, err := run(t, op.DirectoryGroupsSync, s.Client(t), data, `{"full":true}`); err != nil {
		t.Fatal(err)
	}
	if full := shown(t, data); full != incremental {
		t.Errorf("a full sync shows\n%s\nthe incremental one\n%s", full, incremental)
	}
}

// TestFaultMatrix: every operation ends as it should, whatever the provider answers.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for _, d := range catalogue.All() {
		if d.Input {
			continue // what it calls depends on its plan or its backup: gate/worker.TestFaultTable makes each of these calls fail
		}
		t.Run(string(d.Kind), func(t *testing.T) {
			t.Parallel()
			operationtest.Faults(t, d)
		})
	}
}

// TestSignInFaults: a sign-in that fails ends every operation, with a reason, before
// anything is read.
func TestSignInFaults(t *testing.T) {
	t.Parallel()
	for _, d := range catalogue.All() {
		t.Run(string(d.Kind), func(t *testing.T) {
			t.Parallel()
			operationtest.SignInFaults(t, d)
		})
	}
}

// TestAutopilotNamesAPermissionThatExists (F4): Intune's refusal lists scopes of which
// the first is obsolete. What is missing is named by our table for the call; who has
// it is told that something else is in the way, and is asked to grant nothing.
func TestAutopilotNamesAPermissionThatExists(t *testing.T) {
	t.Parallel()
	const obsolete, known = "DeviceManagementServiceConfiguration.Read.All", "DeviceManagementServiceConfig.Read.All"
	for _, granted := range []bool{false, true} {
		t.Run(map[bool]string{false: "not granted", true: "granted"}[granted], func(t *testing.T) {
			t.Parallel()
			s := operationtest.Simulate(t, func(spec *graphsim.TenantSpec) {
				if app := &spec.Apps[0]; !granted {
					app.Requested = slices.DeleteFunc(slices.Clone(app.Requested), func(name string) bool {
						return strings.HasPrefix(name, "DeviceManagementServiceConfig.")
					})
				}
			})
			s.Fault(t, graphsim.Fault{
				Path: "/beta/deviceManagement/windowsAutopilotDeploymentProfiles*",
				Action: graphsim.Action{Kind: graphsim.ActForbidden, Message: "Application must have one of the following scopes: " + obsolete + ", " + known +
					" - Operation ID (for customer support): 2f5c1e1a-90a8-4d0e-8d0c-1f3b7f4e9c11 - Activity ID: 6e0b8d52-1f2f-4f2e-b0f1-3a3f9f6f2a10"},
			})
			r, err := run(t, op.InventorySync, s.Client(t), &datatest.Memory{}, `{"types":["windowsAutopilotDeploymentProfiles"]}`)
			if err != nil {
				t.Fatal(err)
			}
			item := r.Find(t, "windowsAutopilotDeploymentProfiles")
			reason := op.PermissionMissing
			if granted {
				reason = op.AccessRefused
			}
			if item.Result != op.ItemFailed || item.Reason != reason || item.Args["permissions"] != known {
				t.Errorf("the item is %s, %s with %v; want %s that names %s", item.Result, item.Reason, item.Args, reason, known)
			}
			// Our own words, before those of the provider, which are marked as such.
			if text, _, _ := strings.Cut(op.DescribeItem(item).Detail, "“"); !strings.Contains(text, known) || strings.Contains(text, obsolete) {
				t.Errorf("the item says %q", text)
			}
		})
	}
}
