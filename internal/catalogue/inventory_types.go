package catalogue

// inventoryType is one collection of the provider.
type inventoryType struct {
	key  string // what parameters and items call it; mostly the last part of the path
	name string // as items show it
	path string
	area *area
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

	{"roleScopeTags", "Scope tags", "/beta/deviceManagement/roleScopeTags", intuneRoles},
	{"assignmentFilters", "Assignment filters", "/beta/deviceManagement/assignmentFilters", policies},
	{"roleDefinitions", "Role definitions", "/beta/deviceManagement/roleDefinitions", intuneRoles},
	{"managementConditions", "Locations", "/beta/deviceManagement/managementConditions", policies},
	{"groupPolicyUploadedDefinitionFiles", "Imported ADMX files", "/beta/deviceManagement/groupPolicyUploadedDefinitionFiles", policies},
	{"notificationMessageTemplates", "Notification templates", "/beta/deviceManagement/notificationMessageTemplates", enrollment},
	{"reusablePolicySettings", "Reusable settings", "/beta/deviceManagement/reusablePolicySettings", policies},
	{"deviceComplianceScripts", "Compliance scripts", "/beta/deviceManagement/deviceComplianceScripts", scripts},

	{"configurationPolicies", "Settings catalog", "/beta/deviceManagement/configurationPolicies", policies},
	{"deviceConfigurations", "Device configurations", "/beta/deviceManagement/deviceConfigurations", policies},
	{"deviceCompliancePolicies", "Compliance policies", "/beta/deviceManagement/deviceCompliancePolicies", policies},
	{"compliancePolicies", "Compliance policies for Linux", "/beta/deviceManagement/compliancePolicies", policies},
	{"groupPolicyConfigurations", "Administrative templates", "/beta/deviceManagement/groupPolicyConfigurations", policies},
	{"intents", "Endpoint security (legacy)", "/beta/deviceManagement/intents", policies},

	{"deviceManagementScripts", "Windows scripts", "/beta/deviceManagement/deviceManagementScripts", scripts},
	{"deviceShellScripts", "macOS scripts", "/beta/deviceManagement/deviceShellScripts", scripts},
	{"deviceCustomAttributeShellScripts", "macOS custom attributes", "/beta/deviceManagement/deviceCustomAttributeShellScripts", scripts},
	{"deviceHealthScripts", "Remediations", "/beta/deviceManagement/deviceHealthScripts", scripts},

	{"iosManagedAppProtections", "App protection for iOS", "/beta/deviceAppManagement/iosManagedAppProtections", apps},
	{"androidManagedAppProtections", "App protection for Android", "/beta/deviceAppManagement/androidManagedAppProtections", apps},
	{"windowsManagedAppProtections", "App protection for Windows", "/beta/deviceAppManagement/windowsManagedAppProtections", apps},
	{"targetedManagedAppConfigurations", "App configuration for managed apps", "/beta/deviceAppManagement/targetedManagedAppConfigurations", apps},
	{"mobileAppConfigurations", "App configuration for devices", "/beta/deviceAppManagement/mobileAppConfigurations", apps},

	{"windowsAutopilotDeploymentProfiles", "Autopilot profiles", "/beta/deviceManagement/windowsAutopilotDeploymentProfiles", enrollment},
	{"deviceEnrollmentConfigurations", "Enrollment configurations", "/beta/deviceManagement/deviceEnrollmentConfigurations", enrollment},

	{"windowsFeatureUpdateProfiles", "Feature updates", "/beta/deviceManagement/windowsFeatureUpdateProfiles", policies},
	{"windowsQualityUpdateProfiles", "Quality updates", "/beta/deviceManagement/windowsQualityUpdateProfiles", policies},
	{"windowsDriverUpdateProfiles", "Driver updates", "/beta/deviceManagement/windowsDriverUpdateProfiles", policies},

	{"namedLocations", "Named locations", "/v1.0/identity/conditionalAccess/namedLocations", conditionalAccess},
	{"authenticationStrengths", "Authentication strengths", "/v1.0/identity/conditionalAccess/authenticationStrength/policies", conditionalAccess},
	{"authenticationContexts", "Authentication contexts", "/v1.0/identity/conditionalAccess/authenticationContextClassReferences", conditionalAccess},
	{"conditionalAccessPolicies", "Conditional access", "/v1.0/identity/conditionalAccess/policies", conditionalAccess},

	{"policySets", "Policy sets", "/beta/deviceAppManagement/policySets", apps},
}
