package catalogue

import "github.com/interlock-dev/interlock/internal/policy"

// inventoryType is one collection of the provider.
type inventoryType struct {
	key  string // in parameters and items; mostly the last part of the path
	name string // as items show it
	path string
	area *area
}

// ofPolicies is the collection of a type of policy, which the table of package policy
// names.
func ofPolicies(key string, a *area) inventoryType {
	t := policy.Lookup(key)
	return inventoryType{t.Key, t.Plural, t.ListPath(), a}
}

// InventoryName names a type of the inventory for people; its key when this
// version does not know it.
func InventoryName(key string) string {
	for _, t := range inventoryTypes {
		if t.key == key {
			return t.name
		}
	}
	return key
}

// inventoryTypes are the collections of an inventory, in the order in which they
// are read. docs: beta where v1.0 lacks the collection or most of its types
// (v1.0 schema of August 2026). Lists come without $select: the entities of most
// collections are polymorphic, and their rows are kept as the provider wrote them.
var inventoryTypes = []inventoryType{
	{"managedDevices", "Devices", "/v1.0/deviceManagement/managedDevices", devices},
	{"mobileApps", "Apps", "/v1.0/deviceAppManagement/mobileApps", apps},

	ofPolicies("roleScopeTags", intuneRoles),
	ofPolicies("assignmentFilters", policies),
	ofPolicies("roleDefinitions", intuneRoles),
	ofPolicies("managementConditions", policies),
	ofPolicies("groupPolicyUploadedDefinitionFiles", policies),
	ofPolicies("notificationMessageTemplates", enrollment),
	ofPolicies("reusablePolicySettings", policies),
	ofPolicies("deviceComplianceScripts", scripts),

	ofPolicies("configurationPolicies", policies),
	ofPolicies("deviceConfigurations", policies),
	ofPolicies("deviceCompliancePolicies", policies),
	ofPolicies("compliancePolicies", policies),
	ofPolicies("groupPolicyConfigurations", policies),
	ofPolicies("intents", policies),

	ofPolicies("deviceManagementScripts", scripts),
	ofPolicies("deviceShellScripts", scripts),
	ofPolicies("deviceCustomAttributeShellScripts", scripts),
	ofPolicies("deviceHealthScripts", scripts),

	ofPolicies("iosManagedAppProtections", apps),
	ofPolicies("androidManagedAppProtections", apps),
	ofPolicies("windowsManagedAppProtections", apps),
	ofPolicies("targetedManagedAppConfigurations", apps),
	ofPolicies("mobileAppConfigurations", apps),

	ofPolicies("windowsAutopilotDeploymentProfiles", enrollment),
	ofPolicies("deviceEnrollmentConfigurations", enrollment),

	ofPolicies("windowsFeatureUpdateProfiles", policies),
	ofPolicies("windowsQualityUpdateProfiles", policies),
	ofPolicies("windowsDriverUpdateProfiles", policies),

	ofPolicies("namedLocations", conditionalAccess),
	ofPolicies("authenticationStrengths", conditionalAccess),
	ofPolicies("authenticationContexts", conditionalAccess),
	ofPolicies("conditionalAccessPolicies", conditionalAccess),

	ofPolicies("policySets", apps),
}
