package graph

// writing describes how the items of a collection are written. Sources: the type library and
// documentation of beta, and what tools report; the zero value is the most common behaviour.
type writing struct {
	// all holds permissions that are needed together. nil: one of the write permissions of the
	// collection.
	all      []string
	guard    string            // policy type of Multi Admin Approval that guards the collection
	silent   bool              // PATCH returns 204 instead of the object
	replace  bool              // PUT replaces the object; PATCH takes name and description only
	patch    []string          // the only properties that PATCH takes; nil: all
	readOnly []string          // in addition to those of every type
	fixed    []string          // properties that can't change after the create
	inBody   []string          // navigation properties that a create contains
	required map[string]string // properties that a create needs, with what the service says otherwise
	assign   assigning
	actions  map[string]action
	children map[string]children // navigation properties whose elements are written one by one
	builtIn  builtIn
	bin      string // collection that keeps deleted items
	check    check  // rules of its own
}

// assigning describes how items are assigned.
type assigning struct {
	param  string   // property of the body of the assign action; empty: there is no such action
	groups bool     // no assignment to all devices or all users
	keep   []string // properties of an assignment besides its target
	reply  int      // status; 200 has the assignments, 201 nothing (of a 200), 204 nothing
}

// builtIn recognises the objects that the service made.
type builtIn struct {
	property string // is true or "builtIn" in such an object
	id       string // is the id of the only one
	suffix   string // is part of their ids
	patch    bool   // they can be changed, but not deleted
}

// children describes elements that are written one by one.
type children struct {
	entity string // their type
	key    string // property that is unique among them; empty: none
	change bool   // PATCH changes one
}

// Replies of assign.
const (
	withList   = iota // 200 with the assignments
	withoutAny        // 200 without a body
	noContent         // 204
)

var (
	assigned       = assigning{param: "assignments"}
	assignedApp    = assigning{param: "assignments", groups: true, reply: noContent}
	assignedScript = assigning{param: "deviceManagementScriptAssignments", reply: withoutAny}

	// docs: the permissions are needed together. Creating a policy needs to read applications, too.
	accessRoles   = []string{"Policy.Read.All", "Policy.ReadWrite.ConditionalAccess"}
	accessRolesCA = append([]string{"Application.Read.All"}, accessRoles...)

	appPolicy = writing{
		guard: "appProtectionPolicy", silent: true, inBody: []string{"apps"}, assign: assignedApp,
		readOnly: []string{"deployedAppCount", "deploymentSummary"}, actions: map[string]action{"targetApps": targetApps},
	}
	appConfiguration = writing{
		guard: "appProtectionPolicy", silent: true, inBody: []string{"apps", "settings"}, assign: assignedApp,
		readOnly: []string{"deployedAppCount", "deploymentSummary"}, actions: map[string]action{"targetApps": targetApps, "changeSettings": changeSettings},
	}
	script = writing{guard: "script", assign: assignedScript, required: map[string]string{"scriptContent": "Script content must not be empty."}}
)

// writable holds the collections that can be written, by path.
var writable = map[string]*writing{
	"deviceManagement/configurationPolicies": {
		guard: "configurationPolicy", silent: true, replace: true, inBody: []string{"settings"}, readOnly: []string{"creationSource"},
		fixed: []string{"platforms", "templateReference"}, required: map[string]string{"name": "Policy name must not be empty.", "settings": "Policy settings must not be empty."},
		assign: assigned, check: checkCatalogue,
	},
	"deviceManagement/compliancePolicies": {
		guard: "compliancePolicy", silent: true, replace: true, inBody: []string{"settings", "scheduledActionsForRule"}, readOnly: []string{"creationSource"},
		fixed: []string{"platforms"}, required: map[string]string{"name": "Policy name must not be empty.", "settings": "Policy settings must not be empty."},
		assign: assigned, actions: map[string]action{"setScheduledActions": setScheduledActions}, check: checkCatalogue,
	},
	"deviceManagement/deviceConfigurations": {guard: "configurationPolicy", readOnly: []string{"supportsScopeTags"}, assign: assigned},
	"deviceManagement/deviceCompliancePolicies": {
		guard: "compliancePolicy", inBody: []string{"scheduledActionsForRule"}, assign: assigned,
		actions: map[string]action{"scheduleActionsForRules": scheduleActionsForRules}, check: checkCompliance,
	},
	"deviceManagement/groupPolicyConfigurations": {
		guard: "configurationPolicy", readOnly: []string{"policyConfigurationIngestionType"}, assign: assigned,
		actions: map[string]action{"updateDefinitionValues": updateDefinitionValues},
	},
	"deviceManagement/deviceManagementScripts": &script,
	"deviceManagement/deviceShellScripts":      &script,
	"deviceManagement/deviceCustomAttributeShellScripts": {
		guard: "script", assign: assignedScript, required: script.required, fixed: []string{"customAttributeName", "customAttributeType", "displayName"},
	},
	"deviceManagement/deviceHealthScripts": {
		guard: "script", readOnly: []string{"isGlobalScript", "highestAvailableVersion"}, builtIn: builtIn{property: "isGlobalScript"},
		assign: assigning{param: "deviceHealthScriptAssignments", keep: []string{"runRemediationScript", "runSchedule"}, reply: withoutAny},
	},
	"deviceManagement/deviceComplianceScripts": {guard: "script"}, // observed: assign is refused
	"deviceManagement/deviceEnrollmentConfigurations": {
		guard: "windowsEnrollment", readOnly: []string{"priority", "deviceEnrollmentConfigurationType"}, builtIn: builtIn{suffix: "_Default", patch: true},
		assign: assigning{param: "enrollmentConfigurationAssignments", reply: withoutAny}, actions: map[string]action{"setPriority": setPriority},
	},
	"deviceManagement/windowsAutopilotDeploymentProfiles": {
		guard: "windowsEnrollment", readOnly: []string{"managementServiceAppId"},
		// observed: there is no assign action.
		children: map[string]children{"assignments": {entity: "windowsAutopilotDeploymentProfileAssignment"}},
	},
	"deviceManagement/assignmentFilters": {
		guard: "filter", readOnly: []string{"payloads"}, fixed: []string{"platform"},
		required: map[string]string{"displayName": "The DisplayName field is required.", "rule": "The Rule field is required."},
	},
	"deviceManagement/roleScopeTags": {
		guard: "role", readOnly: []string{"isBuiltIn"}, builtIn: builtIn{property: "isBuiltIn", id: "0"},
		required: map[string]string{"displayName": "The DisplayName field is required."},
	},
	"deviceManagement/roleDefinitions": {
		guard: "role", readOnly: []string{"isBuiltIn", "isBuiltInRoleDefinition"}, builtIn: builtIn{property: "isBuiltIn"},
		required: map[string]string{"displayName": "The DisplayName field is required.", "rolePermissions": "The RolePermissions field is required."},
	},
	"deviceManagement/notificationMessageTemplates": {
		guard: "compliancePolicy", required: map[string]string{"displayName": "The DisplayName field is required."},
		children: map[string]children{"localizedNotificationMessages": {entity: "localizedNotificationMessage", key: "locale", change: true}},
		check:    checkTemplate,
	},
	"deviceManagement/windowsFeatureUpdateProfiles": {
		guard: "configurationPolicy", readOnly: []string{"deployableContentDisplayName", "endOfSupportDate"}, assign: assigning{param: "assignments", reply: withoutAny},
	},
	"deviceManagement/windowsQualityUpdateProfiles": {
		guard: "configurationPolicy", readOnly: []string{"deployableContentDisplayName", "releaseDateDisplayName"}, assign: assigning{param: "assignments", reply: withoutAny},
	},
	"deviceManagement/windowsQualityUpdatePolicies": {guard: "configurationPolicy", assign: assigning{param: "assignments", reply: withoutAny}},
	"deviceManagement/windowsDriverUpdateProfiles": {
		guard: "configurationPolicy", readOnly: []string{"deviceReporting", "newUpdates", "inventorySyncStatus"}, fixed: []string{"approvalType"},
		assign: assigning{param: "assignments", reply: withoutAny},
	},
	"deviceManagement/reusablePolicySettings": {guard: "configurationPolicy", readOnly: []string{"referencingConfigurationPolicyCount"}},

	"deviceAppManagement/iosManagedAppProtections":         &appPolicy,
	"deviceAppManagement/androidManagedAppProtections":     &appPolicy,
	"deviceAppManagement/windowsManagedAppProtections":     &appPolicy,
	"deviceAppManagement/targetedManagedAppConfigurations": &appConfiguration,
	"deviceAppManagement/mobileAppConfigurations":          {guard: "app", assign: assigning{param: "assignments", reply: withoutAny}},

	"identity/conditionalAccess/policies": {
		all: accessRolesCA, silent: true, bin: "identity/conditionalAccess/deletedItems/policies", check: checkAccess,
	},
	"identity/conditionalAccess/namedLocations": {
		all: accessRoles, silent: true, bin: "identity/conditionalAccess/deletedItems/namedLocations", check: checkLocation,
	},
	"identity/conditionalAccess/authenticationStrength/policies": {
		all: accessRoles, silent: true, patch: []string{"displayName", "description"}, readOnly: []string{"policyType", "requirementsSatisfied"},
		builtIn: builtIn{property: "policyType"}, inBody: []string{"combinationConfigurations"},
		actions:  map[string]action{"updateAllowedCombinations": updateAllowedCombinations},
		children: map[string]children{"combinationConfigurations": {entity: "authenticationCombinationConfiguration", change: true}},
		check:    checkStrength,
	},
}
