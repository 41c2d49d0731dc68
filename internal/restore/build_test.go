package restore_test

import (
	"fmt"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

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
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[]}`).now(t, catalog, "p1", `{"name":"A","settings":[],"settingCount":2}`)
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
		{"the default of another kind is no counterpart", func(t *testing.T) *world {
			const limit = "deviceEnrollmentConfigurations"
			return newWorld(there).backup(t, limit, "a_DefaultX", `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"Default"}`).
				now(t, limit, "b_DefaultX", `{"@odata.type":"#microsoft.graph.windows10EnrollmentCompletionPageConfiguration","displayName":"Default"}`)
		}, `not_supported no_default`},
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
		{"a collection of Configuration Manager belongs to one directory", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"assignments":[{"target":{"@odata.type":"#microsoft.graph.configurationManagerCollectionAssignmentTarget","collectionId":"SMS00014"}}]`))
		}, `unresolvable reference_missing`},
		{"a binding belongs to one directory", func(t *testing.T) *world {
			return newWorld(there).backup(t, profiles, "p1", profile("A", `,"rootCertificatesForServerValidation@odata.bind":["https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations('id')"]`))
		}, `unresolvable reference_missing`},
		{"and is kept there", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"root@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations('id')"`))
		}, `create 
  POST /beta/deviceManagement/deviceConfigurations {"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"A","root@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations('id')"}`},
		{"what looks the same in another directory is not", func(t *testing.T) *world {
			body := profile("A", `,"roleScopeTagIds":["8"]`)
			return newWorld(there).backup(t, profiles, "p1", body).now(t, profiles, "q1", body).mapped(profiles, "p1", "q1")
		}, `unresolvable q1 scope_tag_missing`},
		{"an app that is gone blocks", func(t *testing.T) *world {
			return newWorld(here).backup(t, "mobileAppConfigurations", "p1", `{"@odata.type":"#microsoft.graph.iosMobileAppConfiguration","displayName":"A","targetedMobileApps":["m1"]}`)
		}, `unresolvable reference_missing`},

		// What can't be restored.
		{"a definition value that is no object", func(t *testing.T) *world {
			return newWorld(here).backup(t, "groupPolicyConfigurations", "p1", `{"displayName":"A","definitionValues":["x"]}`)
		}, `not_supported incomplete`},
		{"definition values that are null", func(t *testing.T) *world {
			const templates = "groupPolicyConfigurations"
			return newWorld(here).backup(t, templates, "p1", `{"displayName":"A","definitionValues":null}`).
				now(t, templates, "p1", `{"displayName":"A","definitionValues":[{"id":"v1","enabled":true,"definition":{"id":"d1"},"presentationValues":[]}]}`)
		}, `not_supported incomplete`},
		{"definition values that are text", func(t *testing.T) *world {
			const templates = "groupPolicyConfigurations"
			return newWorld(here).backup(t, templates, "p1", `{"displayName":"A","definitionValues":"x"}`).
				now(t, templates, "p1", `{"displayName":"A","definitionValues":[{"id":"v1","enabled":true,"definition":{"id":"d1"},"presentationValues":[]}]}`)
		}, `not_supported incomplete`},
		{"definition values that are an object", func(t *testing.T) *world {
			const templates = "groupPolicyConfigurations"
			return newWorld(here).backup(t, templates, "p1", `{"displayName":"A","definitionValues":{}}`).
				now(t, templates, "p1", `{"displayName":"A","definitionValues":[{"id":"v1","enabled":true,"definition":{"id":"d1"},"presentationValues":[]}]}`)
		}, `not_supported incomplete`},
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
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[],"roleScopeTagIds":null}`).now(t, catalog, "p1", `{"name":"B","settingCount":0,"settings":[],"roleScopeTagIds":null}`)
		}, `update p1 
  PUT /beta/deviceManagement/configurationPolicies/p1 {"@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"A","roleScopeTagIds":[],"settings":[]}`},
		{"which would wipe what the backup does not know", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[]}`).now(t, catalog, "p1", `{"name":"B","settingCount":0,"settings":[],"newProperty":1,"unset":null}`)
		}, `conflict p1 would_wipe`},
		{"also when nothing else differs", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[]}`).now(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[],"newProperty":1}`)
		}, `conflict p1 would_wipe`},
		{"a part with an action of its own is not wiped", func(t *testing.T) *world {
			const linux = "compliancePolicies"
			return newWorld(here).backup(t, linux, "p1", `{"name":"A","settingCount":0,"settings":[]}`).
				now(t, linux, "p1", `{"name":"B","settingCount":0,"settings":[],"scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block"}]}]}`)
		}, `update p1 
  PUT /beta/deviceManagement/compliancePolicies/p1 {"@odata.type":"#microsoft.graph.deviceManagementCompliancePolicy","name":"A","roleScopeTagIds":[],"settings":[]}`},
		{"null is nothing to wipe", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[]}`).now(t, catalog, "p1", `{"name":"B","settingCount":0,"settings":[],"unset":null}`)
		}, `update p1 
  PUT /beta/deviceManagement/configurationPolicies/p1 {"@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"A","roleScopeTagIds":[],"settings":[]}`},
		{"unless a person says so", func(t *testing.T) *world {
			return newWorld(here).backup(t, catalog, "p1", `{"name":"A","settingCount":0,"settings":[]}`).now(t, catalog, "p1", `{"name":"B","settingCount":0,"settings":[],"newProperty":1}`).choose(catalog, "p1", restore.Choice{Overwrite: true})
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
		{"alone also when the target has properties that the backup does not know", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[]`)).now(t, profiles, "p1", profile("A", `,"newProperty":1,"assignments":[`+include("g1")+`]`))
		}, `update p1 warning:removes_assignments 
  POST /beta/deviceManagement/deviceConfigurations/p1/assign {"assignments":[]}`},
		{"a removal only is written too", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[]`)).now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `update p1 warning:removes_assignments 
  POST /beta/deviceManagement/deviceConfigurations/p1/assign {"assignments":[]}`},
		{"assignments that are null are unknown", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":null`)).now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `unchanged p1`},
		{"unknown assignments are left", func(t *testing.T) *world {
			return newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`))
		}, `unchanged p1`},
		{"Autopilot is assigned one by one, and never less", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.azureADWindowsAutopilotDeploymentProfile","displayName":"A","assignments":[%s]}`
			return newWorld(here).backup(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, include("g1"))).
				now(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, include("g2"))).knows(policy.Groups, "g2", "Others")
		}, `update p1 note:kept warning:widens_audience 
  POST /beta/deviceManagement/windowsAutopilotDeploymentProfiles/p1/assignments ` + include("g1")},
		{"Autopilot keeps its assignments, and does not warn that they are removed", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.azureADWindowsAutopilotDeploymentProfile","displayName":"%s","assignments":[%s]}`
			return newWorld(here).backup(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, "A", "")).
				now(t, "windowsAutopilotDeploymentProfiles", "p1", fmt.Sprintf(body, "B", include("g1")))
		}, `update p1 note:kept 
  PATCH /beta/deviceManagement/windowsAutopilotDeploymentProfiles/p1 {"@odata.type":"#microsoft.graph.azureADWindowsAutopilotDeploymentProfile","displayName":"A"}`},
		{"compliance actions go apart in an update", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A","x":%d,"scheduledActionsForRule":[{"id":"r","scheduledActionConfigurations":[{"id":"s","actionType":"block","gracePeriodHours":%d}]}]}`
			return newWorld(here).backup(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, 1, 24)).now(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, 1, 0))
		}, `update p1 
  POST /beta/deviceManagement/deviceCompliancePolicies/p1/scheduleActionsForRules {"deviceComplianceScheduledActionForRules":[{"scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":24}]}]}`},
		{"and not when they are the same", func(t *testing.T) *world {
			body := `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"%s","scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block"}]}]}`
			return newWorld(here).backup(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, "A")).now(t, "deviceCompliancePolicies", "p1", fmt.Sprintf(body, "B"))
		}, `update p1 
  PATCH /beta/deviceManagement/deviceCompliancePolicies/p1 {"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A"}`},
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
				now(t, "notificationMessageTemplates", "p1", `{"displayName":"A","localizedNotificationMessages":[{"id":"m/7","locale":"en-US","subject":"t"},{"id":"m8","locale":"fr-FR","subject":"u"}]}`)
		}, `update p1 note:kept 
  POST /beta/deviceManagement/notificationMessageTemplates/p1/localizedNotificationMessages {"locale":"de-DE","subject":"x"} 
  PATCH /beta/deviceManagement/notificationMessageTemplates/p1/localizedNotificationMessages/m%2F7 {"locale":"en-US","subject":"s"}`},
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
			return newWorld(here).backup(t, "groupPolicyConfigurations", "p1", `{"displayName":"A","definitionValues":[`+value("1", "d'1", "true")+","+value("2", "d2", "true")+`]}`).
				now(t, "groupPolicyConfigurations", "p1", `{"displayName":"A","definitionValues":[`+value("8", "d2", "false")+","+value("9", "d3", "true")+`]}`)
		}, `update p1 warning:switches_on_or_off 
  POST /beta/deviceManagement/groupPolicyConfigurations/p1/updateDefinitionValues {"added":[{"definition@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d%27%271')","enabled":true,"presentationValues":[{"@odata.type":"#microsoft.graph.groupPolicyPresentationValueText","presentation@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d%27%271')/presentations('pd%27%271')","value":"v"}]}],"deletedIds":["9"],"updated":[{"definition@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d2')","enabled":true,"id":"8","presentationValues":[{"@odata.type":"#microsoft.graph.groupPolicyPresentationValueText","presentation@odata.bind":"https://graph.example/beta/deviceManagement/groupPolicyDefinitions('d2')/presentations('pd2')","value":"v"}]}]}`},
		{"every configuration of a strength is created", func(t *testing.T) *world {
			return newWorld(here).backup(t, "authenticationStrengths", "p1", `{"displayName":"A","policyType":"custom","combinationConfigurations":[{"id":"a","@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateMultiFactor"],"allowedIssuerSkis":["AA"]},{"id":"b","@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateSingleFactor"],"allowedIssuerSkis":["BB"]}]}`)
		}, `create warning:conditional_access 
  POST /v1.0/identity/conditionalAccess/authenticationStrength/policies {"@odata.type":"#microsoft.graph.authenticationStrengthPolicy","displayName":"A"} 
  POST /v1.0/identity/conditionalAccess/authenticationStrength/policies/{id}/combinationConfigurations {"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","allowedIssuerSkis":["AA"],"appliesToCombinations":["x509CertificateMultiFactor"]} 
  POST /v1.0/identity/conditionalAccess/authenticationStrength/policies/{id}/combinationConfigurations {"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","allowedIssuerSkis":["BB"],"appliesToCombinations":["x509CertificateSingleFactor"]}`},
		{"the configuration for the same combinations is changed", func(t *testing.T) *world {
			return newWorld(here).backup(t, "authenticationStrengths", "p1", `{"displayName":"A","policyType":"custom","combinationConfigurations":[{"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateMultiFactor"],"allowedIssuerSkis":["AA"]},{"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateSingleFactor"],"allowedIssuerSkis":["BB"]}]}`).
				now(t, "authenticationStrengths", "p1", `{"displayName":"A","policyType":"custom","combinationConfigurations":[{"id":"b","@odata.type":"microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateSingleFactor"],"allowedIssuerSkis":["XX"]},{"id":"a","@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateMultiFactor"],"allowedIssuerSkis":["AA"]}]}`)
		}, `update p1 warning:conditional_access 
  PATCH /v1.0/identity/conditionalAccess/authenticationStrength/policies/p1/combinationConfigurations/b {"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","allowedIssuerSkis":["BB"],"appliesToCombinations":["x509CertificateSingleFactor"]}`},
		{"two configurations that can't be told apart", func(t *testing.T) *world {
			return newWorld(here).backup(t, "authenticationStrengths", "p1", `{"displayName":"A","policyType":"custom","combinationConfigurations":[{"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateMultiFactor"],"allowedIssuerSkis":["AA"]},{"@odata.type":"#microsoft.graph.x509CertificateCombinationConfiguration","appliesToCombinations":["x509CertificateMultiFactor"],"allowedIssuerSkis":["BB"]}]}`)
		}, `not_supported incomplete`},
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

		{"an object of a derived type keeps it", func(t *testing.T) *world {
			return newWorld(here).backup(t, "assignmentFilters", "p1", `{"@odata.type":"#microsoft.graph.payloadCompatibleAssignmentFilter","displayName":"A","payloadType":"x"}`)
		}, `create 
  POST /beta/deviceManagement/assignmentFilters {"@odata.type":"#microsoft.graph.payloadCompatibleAssignmentFilter","displayName":"A","payloadType":"x"}`},
		{"two names of one type", func(t *testing.T) *world {
			return newWorld(here).backup(t, "roleDefinitions", "p1", `{"@odata.type":"#microsoft.graph.deviceAndAppManagementRoleDefinition","displayName":"A","rolePermissions":[]}`).
				now(t, "roleDefinitions", "p1", `{"@odata.type":"#microsoft.graph.roleDefinition","displayName":"A","rolePermissions":[]}`)
		}, `unchanged p1`},

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
		{"a group of administrators that loses the policy", func(t *testing.T) *world {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`]`)).
				now(t, profiles, "p1", profile("A", `,"assignments":[`+include("g1")+`,`+include("admins")+`]`))
			w.observed.Administrators = []string{"admins"}
			return w
		}, `update p1 warning:affects_administrators 
  POST /beta/deviceManagement/deviceConfigurations/p1/assign {"assignments":[` + include("g1") + `]}`},
		{"an excluded group of administrators", func(t *testing.T) *world {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", `,"assignments":[`+exclude("g1")+`]`)).now(t, profiles, "p1", profile("B", `,"assignments":[`+exclude("g1")+`]`))
			w.observed.Administrators = []string{"g1"}
			return w
		}, `update p1 
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
			step := p.Steps[0]
			for _, b := range step.Blocks {
				if b.Detail == "" {
					t.Errorf("the block %s says nothing", b.Code)
				}
			}
			if kept := len(step.Notes) > 0; step.Action == restore.Unchanged && !kept && len(step.Diff) > 0 || step.Action == restore.Update && len(step.Diff) == 0 {
				t.Errorf("it is %s, and differs in %d properties", step.Action, len(step.Diff))
			}
		})
	}
}

// What the service made is in every directory under the same name: it is no conflict, and
// not restored.
func TestBuiltInOfAnotherDirectory(t *testing.T) {
	p := newWorld(there).
		backup(t, "roleDefinitions", "r1", `{"displayName":"Help Desk Operator","isBuiltIn":true,"rolePermissions":[]}`).
		knows("roleDefinitions", "r9", "Help Desk Operator").
		plan(t)
	if got := said(p.Steps[0]); got != "not_supported built_in" {
		t.Errorf("the step is %q", got)
	}
}

// TestAMappingToAGroupThatIsGone: the block names the reference and the group that it is
// mapped to, whether or not the policy can be restored without it.
func TestAMappingToAGroupThatIsGone(t *testing.T) {
	for code, assignment := range map[restore.BlockCode]string{restore.AssignmentMissing: include("g9"), restore.MappingGone: exclude("g9")} {
		step := newWorld(there).backup(t, profiles, "p1", profile("A", `,"assignments":[`+assignment+`]`)).mapped(policy.Groups, "g9", "g8").plan(t).Steps[0]
		if len(step.Blocks) != 1 || step.Blocks[0].Code != code || step.Blocks[0].Detail != "groups g9 is mapped to g8, which is gone" || step.Name != "A" {
			t.Errorf("%s: %+v", step.Name, step.Blocks)
		}
	}
}
