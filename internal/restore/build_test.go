package restore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

const (
	here  = "11111111-1111-1111-1111-111111111111" // the directory that was backed up
	there = "22222222-2222-2222-2222-222222222222" // another one
)

var (
	backedUp = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	readAt   = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
)

func doc(t testing.TB, key, id, body string) policy.Document {
	t.Helper()
	d, err := policy.Normalise(policy.Item{Type: key, ID: id, Body: json.RawMessage(body)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// world is the arguments of a plan, which each test bends.
type world struct {
	set      restore.Set
	observed restore.Observed
	mappings []restore.Mapping
	opts     restore.Options
}

// newWorld is a restore into a directory: nothing is in the backup and nothing there,
// but the group g1 and the scope tag 7.
func newWorld(directory string) *world {
	return &world{
		set:      restore.Set{ID: "set1", Directory: here, AsOf: backedUp},
		observed: restore.Observed{Directory: directory, At: readAt, Known: map[policy.Kind][]restore.Object{policy.Groups: {{ID: "g1", Name: "Pilots"}}, policy.ScopeTags: {{ID: "7", Name: "Branch"}}}},
		opts:     restore.Options{Target: restore.Target{Tenant: "t1", Connection: "c1", Version: 3, Directory: directory, Root: "https://graph.example"}, Choices: map[restore.Key]restore.Choice{}},
	}
}

func (w *world) backup(t testing.TB, key, id, body string) *world {
	t.Helper()
	w.set.Items = append(w.set.Items, restore.Item{Policy: doc(t, key, id, body)})
	return w
}

func (w *world) now(t testing.TB, key, id, body string) *world {
	t.Helper()
	w.observed.Items = append(w.observed.Items, doc(t, key, id, body))
	return w
}

func (w *world) mapped(kind policy.Kind, source, target string) *world {
	w.mappings = append(w.mappings, restore.Mapping{Kind: kind, SourceDirectory: here, Source: source, TargetDirectory: w.opts.Target.Directory, Target: target})
	return w
}

func (w *world) knows(kind policy.Kind, id, name string) *world {
	w.observed.Known[kind] = append(w.observed.Known[kind], restore.Object{ID: id, Name: name})
	return w
}

func (w *world) choose(key, id string, c restore.Choice) *world {
	w.opts.Choices[restore.Key{Type: key, ID: id}] = c
	return w
}

func (w *world) plan(t testing.TB) restore.Plan {
	t.Helper()
	p, err := restore.Build(w.set, w.observed, w.mappings, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said is a step in one line: what it does, to what, why not, what it calls.
func said(s restore.Step) string {
	parts := []string{string(s.Action)}
	if s.Target != "" {
		parts = append(parts, s.Target)
	}
	for _, b := range s.Blocks {
		parts = append(parts, string(b.Code))
	}
	for _, n := range s.Notes {
		parts = append(parts, "note:"+string(n.Code))
	}
	for _, w := range s.Warnings {
		parts = append(parts, "warning:"+string(w.Code))
	}
	for _, c := range s.Calls {
		parts = append(parts, "\n  "+c.Method+" "+c.Path+" "+string(c.Body))
	}
	return strings.Join(parts, " ")
}

func include(group string) string {
	return `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + group + `"}}`
}

func exclude(group string) string {
	return `{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"` + group + `"}}`
}

// A custom profile, a settings catalog policy, and one of conditional access.
const (
	profiles = "deviceConfigurations"
	catalog  = "configurationPolicies"
	access   = "conditionalAccessPolicies"
)

func profile(name, rest string) string {
	return `{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"` + name + `"` + rest + `}`
}

func ca(name, state, users string) string {
	return `{"displayName":"` + name + `","state":"` + state + `","conditions":{"users":{` + users + `}}}`
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		name  string
		world func(t *testing.T) *world
		want  string // the step of the first policy
	}{
		// Identity.
		{"nothing there: create", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"x":1,"id":"p1","version":3`))
		}, `create 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A","x":1}`},
		{"the same id: update what differs", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"x":1,"assignments":[]`)).now(t, profiles, "p1", profile("B", `,"x":1,"assignments":[]`))
		}, `update p1 
  PATCH /beta/deviceManagement/deviceConfigurations/p1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A","x":1}`},
		{"equal: unchanged", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"version":1`)).now(t, profiles, "p1", profile("A", `,"version":9`))
		}, `unchanged p1`},
		{"the same id in another directory is no counterpart", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", ""))
		}, `create warning:crosses_directories 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"a recorded mapping", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("B", "")).mapped(profiles, "p1", "q1")
		}, `update q1 warning:crosses_directories 
  PATCH /beta/deviceManagement/deviceConfigurations/q1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"the id counts before the mapping", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("B", "")).now(t, profiles, "p1", profile("A", "")).mapped(profiles, "p1", "q1")
		}, `unchanged p1`},
		{"a mapping to what is gone is none", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).mapped(profiles, "p1", "q1")
		}, `create 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"a name that is taken: a person chooses", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A  b", "")).now(t, profiles, "q1", profile("a B", ""))
		}, `conflict name_taken`},
		{"two of that name", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("A", "")).knows(profiles, "q2", "A")
		}, `conflict name_taken`},
		{"a candidate was chosen", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("a", "")).choose(profiles, "p1", restore.Choice{Target: "q1"})
		}, `update q1 
  PATCH /beta/deviceManagement/deviceConfigurations/q1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"another one was chosen", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("a", "")).choose(profiles, "p1", restore.Choice{New: true})
		}, `create 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"a counterpart that was not read", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).knows(profiles, "p1", "A")
		}, `not_supported target_unread`},
		{"a type that was not read", func(t *testing.T) *world {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", ""))
			w.observed.Unread = map[string]string{profiles: "provider_throttled"}
			return w
		}, `not_supported target_unread`},
		{"assignments there that were not read", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[]`)).now(t, profiles, "p1", profile("A", ""))
		}, `not_supported p1 target_unread`},
		{"a part there that was not read whole", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settings":[]}`).now(t, catalog, "p1", `{"name":"A","settings":[],"settingCount":2}`)
		}, `not_supported p1 target_unread`},
		{"a mapping between other directories is not used", func(t *testing.T) *world {
			w := newWorld(there).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "q1", profile("B", ""))
			w.mappings = []restore.Mapping{{Kind: profiles, SourceDirectory: here, Source: "p1", TargetDirectory: "elsewhere", Target: "q1"}, {Kind: profiles, SourceDirectory: "elsewhere", Source: "p1", TargetDirectory: there, Target: "q1"}}
			return w
		}, `create warning:crosses_directories 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"the default of another directory", func(t *testing.T) *world {
			const limit = "deviceEnrollmentConfigurations"
			body := `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"Default","limit":%d}`
			return newWorld(there).backup(t, limit, "a_DefaultLimit", fmt.Sprintf(body, 5)).now(t, limit, "b_DefaultLimit", fmt.Sprintf(body, 15))
		}, `update b_DefaultLimit warning:crosses_directories 
  PATCH /beta/deviceManagement/deviceEnrollmentConfigurations/b_DefaultLimit {"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"Default","limit":5}`},
		{"a default that is not there", func(t *testing.T) *world {
			return newWorld(there).backup(t, "deviceEnrollmentConfigurations", "a_DefaultLimit", `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"Default"}`)
		}, `not_supported no_default`},

		// Deleted objects.
		{"a deleted object is offered first", func(t *testing.T) *world {
			w := newWorld(here).backup(t, access, "p1", ca("A", "enabled", ""))
			w.observed.Deleted = []restore.Deleted{{Type: access, ID: "p1", Name: "A", State: "disabled"}}
			return w
		}, `conflict deleted_there note:stays_disabled`},
		{"one that would come back enabled is not", func(t *testing.T) *world {
			w := newWorld(here).backup(t, access, "p1", ca("A", "disabled", ""))
			w.observed.Deleted = []restore.Deleted{{Type: access, ID: "p1", Name: "A", State: "enabled"}}
			return w
		}, `create warning:conditional_access 
  POST /v1.0/identity/conditionalAccess/policies {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{}},"displayName":"A","state":"disabled"}`},
		{"bringing it back was chosen", func(t *testing.T) *world {
			w := newWorld(here).backup(t, access, "p1", ca("A", "enabled", "")).choose(access, "p1", restore.Choice{Undelete: "p1"})
			w.observed.Deleted = []restore.Deleted{{Type: access, ID: "p1", Name: "A", State: "disabled"}}
			return w
		}, `create p1 note:stays_disabled note:undeleted warning:conditional_access 
  POST /beta/identity/conditionalAccess/deletedItems/policies/p1/restore  
  PATCH /v1.0/identity/conditionalAccess/policies/p1 {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{}},"displayName":"A","state":"disabled"}`},

		// Conditional access.
		{"conditional access is created disabled", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "enabledForReportingButNotEnforced", `"includeUsers":["All"]`))
		}, `create note:stays_disabled warning:widens_audience warning:conditional_access warning:affects_administrators 
  POST /v1.0/identity/conditionalAccess/policies {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{"includeUsers":["All"]}},"displayName":"A","state":"disabled"}`},
		{"it is updated disabled", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "enabled", "")).now(t, access, "p1", ca("B", "enabled", ""))
		}, `update p1 note:stays_disabled warning:switches_on_or_off warning:conditional_access 
  PATCH /v1.0/identity/conditionalAccess/policies/p1 {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{}},"displayName":"A","state":"disabled"}`},
		{"equal and enabled: it stays enabled", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "enabled", "")).now(t, access, "p1", ca("A", "enabled", ""))
		}, `unchanged p1`},
		{"only off: it stays off", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "enabled", "")).now(t, access, "p1", ca("A", "disabled", ""))
		}, `unchanged p1 note:stays_disabled`},
		{"only on, and was off: it is turned off", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", "")).now(t, access, "p1", ca("A", "enabled", ""))
		}, `update p1 warning:switches_on_or_off warning:conditional_access 
  PATCH /v1.0/identity/conditionalAccess/policies/p1 {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{}},"displayName":"A","state":"disabled"}`},

		// References.
		{"an excluded group that is gone blocks", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["All"],"excludeGroups":["gone"]`))
		}, `unresolvable excluded_missing`},
		{"an excluded user too", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["All"],"excludeUsers":["GuestsOrExternalUsers","gone"]`))
		}, `unresolvable excluded_missing`},
		{"an excluded role that the directory does not have too", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"excludeRoles":["gone"]`))
		}, `unresolvable excluded_missing`},
		{"a role means the same everywhere", func(t *testing.T) *world {
			return newWorld(there).backup(t, access, "p1", ca("A", "disabled", `"excludeRoles":["r1"]`)).knows(policy.DirectoryRoles, "r1", "Global Administrator")
		}, `create warning:conditional_access warning:crosses_directories 
  POST /v1.0/identity/conditionalAccess/policies {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{"excludeRoles":["r1"]}},"displayName":"A","state":"disabled"}`},
		{"an included group of a condition that is gone blocks", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"includeGroups":["gone","g1"]`)).choose(access, "p1", restore.Choice{Unassigned: true})
		}, `unresolvable reference_missing`},
		{"a group of another directory with the same id is another group", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `unresolvable assignment_missing`},
		{"a mapped group", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("g9")+`]`)).mapped(policy.Groups, "g9", "g1")
		}, `create warning:widens_audience warning:crosses_directories 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"} 
  POST /beta/deviceManagement/deviceConfigurations/{id}/assign {"assignments":[` + include("g1") + `]}`},
		{"a mapping to a group that is gone", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"assignments":[`+exclude("g9")+`]`)).mapped(policy.Groups, "g9", "g8")
		}, `unresolvable mapping_gone`},
		{"a group it is assigned to is gone", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("gone")+","+include("g1")+`]`))
		}, `unresolvable assignment_missing`},
		{"created and not assigned, because a person says so", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("gone")+","+include("g1")+`]`)).choose(profiles, "p1", restore.Choice{Unassigned: true})
		}, `create note:not_assigned 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"an excluded group blocks even so", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("gone")+","+exclude("gone2")+`]`)).choose(profiles, "p1", restore.Choice{Unassigned: true})
		}, `unresolvable excluded_missing note:not_assigned`},
		{"a scope tag that is gone blocks", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"roleScopeTagIds":["0","8"]`))
		}, `unresolvable scope_tag_missing`},
		{"the default scope tag is everywhere, others are not", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"roleScopeTagIds":["0","7"]`))
		}, `unresolvable scope_tag_missing`},
		{"a scope tag by its name is suggested only", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"roleScopeTagIds":["branch"]`))
		}, `unresolvable scope_tag_missing`},
		{"what is gone in both is unchanged", func(t *testing.T) *world {
			body := profile("A", `,"roleScopeTagIds":["8"]`)
			return newWorld(here).backup(t, profiles, "p1", body).now(t, profiles, "p1", body)
		}, `unchanged p1`},
		{"an app that is gone blocks", func(t *testing.T) *world {
			return newWorld(here).backup(t, "mobileAppConfigurations", "p1", `{"@odata.type":"#microsoft.graph.iosMobileAppConfiguration","displayName":"A","targetedMobileApps":["m1"]}`)
		}, `unresolvable reference_missing`},

		// What can't be restored.
		{"backed up only", func(t *testing.T) *world {
			return newWorld(here).backup(t, "policySets", "p1", `{"displayName":"A"}`)
		}, `not_supported backup_only`},
		{"incomplete, says the backup", func(t *testing.T) *world {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", ""))
			w.set.Items[0].Incomplete = []string{"assignments: access_refused"}
			return w
		}, `not_supported incomplete`},
		{"incomplete, says the policy", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":3,"settings":[]}`)
		}, `not_supported incomplete`},
		{"a masked secret is never sent", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"omaSettings":[{"isEncrypted":true,"value":"****"}]`))
		}, `not_supported secret_masked`},
		{"but it may be unchanged", func(t *testing.T) *world {
			body := profile("A", `,"omaSettings":[{"isEncrypted":true,"value":"****"}]`)
			return newWorld(here).backup(t, profiles, "p1", body).now(t, profiles, "p1", body)
		}, `unchanged p1`},
		{"a platform can't be changed", func(t *testing.T) *world {
			return newWorld(here).backup(t, "assignmentFilters", "p1", `{"displayName":"A","platform":"iOS"}`).now(t, "assignmentFilters", "p1", `{"displayName":"A","platform":"macOS"}`)
		}, `not_supported p1 immutable`},
		{"and is not sent when something else is", func(t *testing.T) *world {
			return newWorld(here).backup(t, "assignmentFilters", "p1", `{"displayName":"A","platform":"iOS"}`).now(t, "assignmentFilters", "p1", `{"displayName":"B","platform":"iOS"}`)
		}, `update p1 
  PATCH /beta/deviceManagement/assignmentFilters/p1 {"@odata.type":"#microsoft.graph.deviceAndAppManagementAssignmentFilter","displayName":"A"}`},

		// Ways to write.
		{"the settings catalog is replaced whole, with a list of scope tags", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settings":[],"roleScopeTagIds":null}`).now(t, catalog, "p1", `{"name":"B","settings":[],"roleScopeTagIds":null}`)
		}, `update p1 
  PUT /beta/deviceManagement/configurationPolicies/p1 {"@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"A","roleScopeTagIds":[],"settings":[]}`},
		{"which would wipe what the backup does not know", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settings":[]}`).now(t, catalog, "p1", `{"name":"B","settings":[],"newProperty":1,"unset":null}`)
		}, `conflict p1 would_wipe`},
		{"unless a person says so", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settings":[]}`).now(t, catalog, "p1", `{"name":"B","settings":[],"newProperty":1}`).choose(catalog, "p1", restore.Choice{Overwrite: true})
		}, `update p1 
  PUT /beta/deviceManagement/configurationPolicies/p1 {"@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"A","roleScopeTagIds":[],"settings":[]}`},
		{"a PATCH leaves what the backup does not know", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("A", `,"newProperty":1`))
		}, `unchanged p1`},
		{"also when something else is written", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", `,"newProperty":1`))
		}, `update p1 
  PATCH /beta/deviceManagement/deviceConfigurations/p1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"assignments are replaced as a set, alone when they alone differ", func(t *testing.T) *world {
			return newWorld(here).backup(t, "deviceShellScripts", "p1", `{"displayName":"A","scriptContent":"eA==","assignments":[`+include("g1")+`]}`).
				now(t, "deviceShellScripts", "p1", `{"displayName":"A","scriptContent":"eA==","assignments":[`+exclude("g1")+`]}`)
		}, `update p1 warning:widens_audience 
  POST /beta/deviceManagement/deviceShellScripts/p1/assign {"deviceManagementScriptAssignments":[` + include("g1") + `]}`},
		{"a removal only is written too", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[]`)).now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `update p1 
  POST /beta/deviceManagement/deviceConfigurations/p1/assign {"assignments":[]}`},
		{"unknown assignments are left", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `unchanged p1`},
		{"Autopilot is assigned one by one, and never less", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.azureADWindowsAutopilotDeploymentProfile","displayName":"A","assignments":[%s]}`
			return newWorld(here).backup(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, include("g1"))).
				now(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, include("g2"))).knows(policy.Groups, "g2", "Others")
		}, `update p1 note:kept warning:widens_audience 
  POST /beta/deviceManagement/windowsAutopilotDeploymentProfiles/p1/assignments ` + include("g1")},
		{"compliance actions go apart in an update", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A","x":%d,"scheduledActionsForRule":[{"id":"r","scheduledActionConfigurations":[{"id":"s","actionType":"block","gracePeriodHours":%d}]}]}`
			return newWorld(here).backup(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, 1, 24)).now(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, 1, 0))
		}, `update p1 
  POST /beta/deviceManagement/deviceCompliancePolicies/p1/scheduleActionsForRules {"deviceComplianceScheduledActionForRules":[{"scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":24}]}]}`},
		{"and with the object in a create", func(t *testing.T) *world {
			return newWorld(here).backup(t, "deviceCompliancePolicies", "p1", `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A","scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block"}]}]}`)
		}, `create 
  POST /beta/deviceManagement/deviceCompliancePolicies {"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A","scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block"}]}]}`},
		{"messages of a template are made one by one", func(t *testing.T) *world {
			return newWorld(here).backup(t, "notificationMessageTemplates", "p1", `{"displayName":"A","description":"d","defaultLocale":"en-US","localizedNotificationMessages":[{"id":"m1","locale":"en-US","subject":"s"}]}`)
		}, `create 
  POST /beta/deviceManagement/notificationMessageTemplates {"@odata.type":"#microsoft.graph.notificationMessageTemplate","displayName":"A"} 
  POST /beta/deviceManagement/notificationMessageTemplates/{id}/localizedNotificationMessages {"locale":"en-US","subject":"s"}`},
		{"and changed one by one, and never deleted", func(t *testing.T) *world {
			return newWorld(here).backup(t, "notificationMessageTemplates", "p1", `{"displayName":"A","localizedNotificationMessages":[{"locale":"de-DE","subject":"x"},{"locale":"en-US","subject":"s"}]}`).
				now(t, "notificationMessageTemplates", "p1", `{"displayName":"A","localizedNotificationMessages":[{"id":"m7","locale":"en-US","subject":"t"},{"id":"m8","locale":"fr-FR","subject":"u"}]}`)
		}, `update p1 note:kept 
  POST /beta/deviceManagement/notificationMessageTemplates/p1/localizedNotificationMessages {"locale":"de-DE","subject":"x"} 
  PATCH /beta/deviceManagement/notificationMessageTemplates/p1/localizedNotificationMessages/m7 {"locale":"en-US","subject":"s"}`},
		{"what only a DELETE would change is unchanged, and told", func(t *testing.T) *world {
			return newWorld(here).backup(t, "notificationMessageTemplates", "p1", `{"displayName":"A","localizedNotificationMessages":[]}`).
				now(t, "notificationMessageTemplates", "p1", `{"displayName":"A","localizedNotificationMessages":[{"id":"m8","locale":"fr-FR"}]}`)
		}, `unchanged p1 note:kept`},
		{"apps go apart", func(t *testing.T) *world {
			return newWorld(here).backup(t, "iosManagedAppProtections", "T_1", `{"displayName":"A","appGroupType":"selectedPublicApps","apps":[{"id":"x","version":"1","mobileAppIdentifier":{"bundleId":"com.example"}}]}`)
		}, `create 
  POST /beta/deviceAppManagement/iosManagedAppProtections {"@odata.type":"#microsoft.graph.iosManagedAppProtection","appGroupType":"selectedPublicApps","displayName":"A"} 
  POST /beta/deviceAppManagement/iosManagedAppProtections/{id}/targetApps {"appGroupType":"selectedPublicApps","apps":[{"mobileAppIdentifier":{"bundleId":"com.example"}}]}`},
		{"values of an administrative template are added, updated and removed in one call", func(t *testing.T) *world {
			value := func(id, definition, enabled string) string {
				return `{"id":"` + id + `","enabled":` + enabled + `,"definition":{"id":"` + definition + `","displayName":"D"},"presentationValues":[{"@odata.type":"#microsoft.graph.groupPolicyPresentationValueText","id":"pv","value":"v","presentation":{"id":"p` + definition + `"}}]}`
			}
			return newWorld(here).backup(t, "groupPolicyConfigurations", "p1", `{"displayName":"A","definitionValues":[`+value("1", "d1", "true")+","+value("2", "d2", "true")+`]}`).
				now(t, "groupPolicyConfigurations", "p1", `{"displayName":"A","definitionValues":[`+value("8", "d2", "false")+","+value("9", "d3", "true")+`]}`)
		}, `update p1 warning:switches_on_or_off 
  POST /beta/deviceManagement/groupPolicyConfigurations/p1/updateDefinitionValues {"added":[{"definition@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d1')","enabled":true,"presentationValues":[{"@odata.type":"#microsoft.graph.groupPolicyPresentationValueText","presentation@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d1')/presentations('pd1')","value":"v"}]}],"deletedIds":["9"],"updated":[{"definition@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d2')","enabled":true,"id":"8","presentationValues":[{"@odata.type":"#microsoft.graph.groupPolicyPresentationValueText","presentation@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d2')/presentations('pd2')","value":"v"}]}]}`},
		{"combinations of a strength go by their own action", func(t *testing.T) *world {
			body := `{"displayName":"A","policyType":"custom","allowedCombinations":[%s],"combinationConfigurations":[]}`
			return newWorld(here).backup(t, "authenticationStrengths", "p1", fmt.Sprintf(body, `"fido2"`)).now(t, "authenticationStrengths", "p1", fmt.Sprintf(body, `"password"`))
		}, `update p1 warning:conditional_access 
  POST /v1.0/identity/conditionalAccess/authenticationStrength/policies/p1/updateAllowedCombinations {"allowedCombinations":["fido2"]}`},
		{"a priority goes by its own action", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.windows10EnrollmentCompletionPageConfiguration","displayName":"A","priority":%d}`
			return newWorld(here).backup(t, "deviceEnrollmentConfigurations", "p1", fmt.Sprintf(body, 2)).now(t, "deviceEnrollmentConfigurations", "p1", fmt.Sprintf(body, 1))
		}, `update p1 
  POST /beta/deviceManagement/deviceEnrollmentConfigurations/p1/setPriority {"priority":2}`},

		// Warnings.
		{"the target changed after the backup", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", `,"lastModifiedDateTime":"2026-11-05T10:00:00.1234567Z"`))
		}, `update p1 warning:backup_older 
  PATCH /beta/deviceManagement/deviceConfigurations/p1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"and before", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", `,"lastModifiedDateTime":"2026-10-05T10:00:00Z"`))
		}, `update p1 
  PATCH /beta/deviceManagement/deviceConfigurations/p1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"a group of administrators, and approval at Microsoft", func(t *testing.T) *world {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`)).now(t, profiles, "p1", profile("B", `,"assignments":[`+include("g1")+`]`))
			w.observed.Administrators, w.observed.Approval = []string{"g1"}, []string{profiles}
			return w
		}, `update p1 warning:affects_administrators warning:microsoft_approval 
  PATCH /beta/deviceManagement/deviceConfigurations/p1 {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A"}`},
		{"an excluded group that is taken away widens", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["All"]`)).now(t, access, "p1", ca("A", "disabled", `"includeUsers":["All"],"excludeGroups":["g1"]`))
		}, `update p1 warning:widens_audience warning:conditional_access warning:affects_administrators 
  PATCH /v1.0/identity/conditionalAccess/policies/p1 {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{"includeUsers":["All"]}},"displayName":"A","state":"disabled"}`},
		{"one that is added does not", func(t *testing.T) *world {
			return newWorld(here).backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["u"],"excludeGroups":["g1"]`)).now(t, access, "p1", ca("A", "disabled", `"includeUsers":["u"]`)).knows(policy.Users, "u", "U")
		}, `update p1 warning:conditional_access 
  PATCH /v1.0/identity/conditionalAccess/policies/p1 {"@odata.type":"#microsoft.graph.conditionalAccessPolicy","conditions":{"users":{"excludeGroups":["g1"],"includeUsers":["u"]}},"displayName":"A","state":"disabled"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.world(t).plan(t)
			if got := said(p.Steps[0]); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			for _, b := range p.Steps[0].Blocks {
				if b.Detail == "" {
					t.Errorf("the block %s says nothing", b.Code)
				}
			}
		})
	}
}

// TestOneStepATarget: two policies can't be restored over one object.
func TestOneStepATarget(t *testing.T) {
	w := newWorld(here).backup(t, profiles, "p1", profile("A", "")).backup(t, profiles, "p2", profile("B", "")).backup(t, profiles, "p3", profile("C", "")).
		now(t, profiles, "q1", profile("X", "")).mapped(profiles, "p1", "q1").mapped(profiles, "p2", "q1")
	var got []string
	for _, s := range w.plan(t).Steps {
		got = append(got, string(s.Action))
		if s.Action == restore.Conflict && s.Blocks[0].Code != restore.TargetTaken {
			t.Errorf("the conflict is %s", s.Blocks[0].Code)
		}
	}
	if s := strings.Join(got, " "); s != "update conflict create" {
		t.Errorf("got %s", s)
	}

	w = newWorld(here).backup(t, access, "p1", ca("A", "disabled", "")).backup(t, access, "p2", ca("a", "disabled", "")).
		choose(access, "p1", restore.Choice{Undelete: "d1"}).choose(access, "p2", restore.Choice{Undelete: "d1"})
	w.observed.Deleted = []restore.Deleted{{Type: access, ID: "d1", Name: "A", State: "disabled"}}
	if p := w.plan(t); p.Steps[0].Action != restore.Create || p.Steps[1].Action != restore.Conflict {
		t.Errorf("a deleted object is restored twice: %s, %s", said(p.Steps[0]), said(p.Steps[1]))
	}
}

// TestOrder: what others refer to comes first, and its id is filled in when it is known.
func TestOrder(t *testing.T) {
	w := newWorld(there).
		backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["None"]},"locations":{"includeLocations":["l1"]`)).
		backup(t, catalog, "p2", `{"name":"B","roleScopeTagIds":["7"],"settings":[{"settingInstance":{"settingDefinitionId":"a","simpleSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationReferenceSettingValue","value":"s1"}}}],"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget","deviceAndAppManagementAssignmentFilterId":"f1","deviceAndAppManagementAssignmentFilterType":"include"}}]}`).
		backup(t, "reusablePolicySettings", "s1", `{"displayName":"S"}`).
		backup(t, "namedLocations", "l1", `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"L"}`).
		backup(t, "assignmentFilters", "f1", `{"displayName":"F","platform":"iOS"}`).
		backup(t, "roleScopeTags", "7", `{"displayName":"Berlin"}`)
	p := w.plan(t)
	var order []string
	for _, s := range p.Steps {
		order = append(order, s.Source)
	}
	if got, want := strings.Join(order, " "), "7 f1 l1 s1 p2 p1"; got != want {
		t.Fatalf("the order is %s, want %s", got, want)
	}
	if p.Count(restore.Create) != 6 {
		t.Fatalf("%d are created, want 6:\n%s", p.Count(restore.Create), p.Canonical())
	}
	step := p.Steps[4]
	if len(step.Needs) != 3 || len(step.Calls) != 2 {
		t.Fatalf("it needs %v and calls %d times", step.Needs, len(step.Calls))
	}
	created := map[restore.Need]string{
		{Kind: policy.ScopeTags, Source: "7"}: "12", {Kind: policy.Filters, Source: "f1"}: "new-f", {Kind: policy.ReusableSettings, Source: "s1"}: "new-s",
	}
	if _, err := step.Ready(1, "", created); err == nil {
		t.Error("it is assigned before it has an id")
	}
	if _, err := step.Ready(0, "", map[restore.Need]string{}); err == nil {
		t.Error("it is created before what it needs")
	}
	create, err := step.Ready(0, "", created)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"roleScopeTagIds":["12"]`; !strings.Contains(string(create.Body), want) || !strings.Contains(string(create.Body), `"value":"new-s"`) {
		t.Errorf("the body is %s", create.Body)
	}
	assign, err := step.Ready(1, "new/p2", created)
	if err != nil {
		t.Fatal(err)
	}
	if assign.Path != "/beta/deviceManagement/configurationPolicies/new%2Fp2/assign" || !strings.Contains(string(assign.Body), `"deviceAndAppManagementAssignmentFilterId":"new-f"`) {
		t.Errorf("it is assigned by %s %s", assign.Path, assign.Body)
	}

	// Without the filter in the selection its users can't be assigned.
	w.opts.Selection = []restore.Key{{Type: catalog, ID: "p2"}, {Type: "reusablePolicySettings", ID: "s1"}, {Type: "roleScopeTags", ID: "7"}}
	if got, want := said(w.plan(t).Steps[2]), "unresolvable reference_missing"; got != want {
		t.Errorf("without its filter: %s, want %s", got, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		bend func(t *testing.T, w *world)
		says string
	}{
		{"two policies with one id", func(t *testing.T, w *world) { w.backup(t, profiles, "p1", profile("B", "")) }, `the backup has two policies deviceConfigurations "p1": "A" and "B"`},
		{"a selection of nothing", func(_ *testing.T, w *world) { w.opts.Selection = []restore.Key{{Type: profiles, ID: "p9"}} }, `the backup has no policy deviceConfigurations "p9"`},
		{"a choice for what is not selected", func(_ *testing.T, w *world) { w.choose(profiles, "p9", restore.Choice{New: true}) }, `deviceConfigurations "p9", which is not selected`},
		{"a choice of what is no candidate", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Target: "q9"}) }, `"A": "q9" is no candidate`},
		{"a choice of what was not deleted", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Undelete: "q9"}) }, `"A": "q9" is no deleted object`},
		{"two choices", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Target: "q9", New: true}) }, `not two of these`},
		{"two mappings", func(_ *testing.T, w *world) { w.mapped(policy.Groups, "g", "a").mapped(policy.Groups, "g", "b") }, `groups "g" is mapped to "a" and to "b"`},
		{"a target that was read twice", func(t *testing.T, w *world) {
			w.now(t, profiles, "q1", profile("B", "")).now(t, profiles, "q1", profile("C", ""))
		}, `deviceConfigurations "q1" was read twice`},
		{"another directory was read", func(_ *testing.T, w *world) { w.observed.Directory = there }, "was read for a restore into directory"},
		{"bringing back what would be enabled", func(t *testing.T, w *world) {
			w.backup(t, access, "a1", ca("B", "enabled", "")).choose(access, "a1", restore.Choice{Undelete: "a1"})
			w.observed.Deleted = []restore.Deleted{{Type: access, ID: "a1", Name: "B", State: "enabled"}}
		}, `"B": "a1" is no deleted object that can be brought back`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", ""))
			tt.bend(t, w)
			if _, err := restore.Build(w.set, w.observed, w.mappings, w.opts); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error that says %s", err, tt.says)
			}
		})
	}
}

// TestHash: the hash stands for everything that is called and judged, and holds no body.
func TestHash(t *testing.T) {
	base := func(t *testing.T) *world {
		return newWorld(here).backup(t, profiles, "p1", profile("A", `,"preSharedKey":"hunter2-hunter2","assignments":[`+include("g1")+`]`)).now(t, profiles, "p1", profile("B", `,"assignments":[]`))
	}
	plan := base(t).plan(t)
	if strings.Contains(string(plan.Canonical()), "hunter2") {
		t.Errorf("a secret is in the plan: %s", plan.Canonical())
	}
	if !json.Valid(plan.Canonical()) || len(plan.Hash()) != 64 {
		t.Errorf("the canonical form is %s", plan.Canonical())
	}
	for name, bend := range map[string]func(w *world){
		"another connection version": func(w *world) { w.opts.Target.Version++ },
		"another tenant":             func(w *world) { w.opts.Target.Tenant = "t2" },
		"another backup":             func(w *world) { w.set.ID = "set2" },
		"another time of reading":    func(w *world) { w.observed.At = w.observed.At.Add(time.Microsecond) },
		"another secret": func(w *world) {
			w.set.Items[0].Policy = doc(t, profiles, "p1", profile("A", `,"preSharedKey":"another","assignments":[`+include("g1")+`]`))
		},
		"another state of the target": func(w *world) { w.observed.Items[0] = doc(t, profiles, "p1", profile("C", `,"assignments":[]`)) },
		"another choice":              func(w *world) { w.choose(profiles, "p1", restore.Choice{Unassigned: true}) },
		"something that was not read": func(w *world) { w.observed.Unread = map[string]string{"intents": "provider_fault"} },
	} {
		w := base(t)
		bend(w)
		if w.plan(t).Hash() == plan.Hash() {
			t.Errorf("%s has the same hash", name)
		}
	}
	if again := base(t).plan(t); again.Hash() != plan.Hash() {
		t.Error("the same arguments make another plan")
	}
	if !slices.Equal(plan.Warnings, []restore.WarningCode{restore.WidensAudience}) || !plan.Complete() || !plan.Applicable() {
		t.Errorf("warnings %v, complete %t, applicable %t", plan.Warnings, plan.Complete(), plan.Applicable())
	}
}

func TestStale(t *testing.T) {
	plan := newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", "")).plan(t)
	good := restore.Facts{Now: readAt.Add(10 * time.Minute), Connection: "c1", Version: 3, Directory: here, Written: readAt.Add(-time.Second)}
	for _, tt := range []struct {
		name string
		bend func(f *restore.Facts)
		want []restore.Staleness
	}{
		{"fresh", func(*restore.Facts) {}, nil},
		{"never written", func(f *restore.Facts) { f.Written = time.Time{} }, nil},
		{"at its limit", func(f *restore.Facts) { f.Now = readAt.Add(restore.MaxAge) }, nil},
		{"too old", func(f *restore.Facts) { f.Now = readAt.Add(restore.MaxAge + 1) }, []restore.Staleness{restore.Expired}},
		{"from the future", func(f *restore.Facts) { f.Now = readAt.Add(-restore.MaxAge - 1) }, []restore.Staleness{restore.Expired}},
		{"another version", func(f *restore.Facts) { f.Version = 4 }, []restore.Staleness{restore.ConnectionChanged}},
		{"another connection", func(f *restore.Facts) { f.Connection = "c2" }, []restore.Staleness{restore.ConnectionChanged}},
		{"another directory", func(f *restore.Facts) { f.Directory = there }, []restore.Staleness{restore.DirectoryChanged}},
		{"written since", func(f *restore.Facts) { f.Written = readAt.Add(time.Second) }, []restore.Staleness{restore.TenantWritten}},
		{"written at the same moment", func(f *restore.Facts) { f.Written = readAt }, []restore.Staleness{restore.TenantWritten}},
		{"everything", func(f *restore.Facts) {
			*f = restore.Facts{Now: readAt.Add(time.Hour), Written: readAt.Add(time.Minute)}
		},
			[]restore.Staleness{restore.Expired, restore.ConnectionChanged, restore.DirectoryChanged, restore.TenantWritten}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := good
			tt.bend(&facts)
			if got := restore.Stale(plan, facts); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	step := plan.Steps[0]
	if now := doc(t, profiles, "p1", profile("B", `,"version":99`)).Hash(); !step.Holds(now) {
		t.Error("a version alone makes the step stale")
	}
	if step.Holds(doc(t, profiles, "p1", profile("C", "")).Hash()) || step.Holds("") {
		t.Error("a step holds although its target changed")
	}
}
