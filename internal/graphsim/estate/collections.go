package estate

import (
	"strings"
)

// Collection describes one Graph collection. Its facts come from recorded responses or the
// published schema, except page sizes and link styles that are marked as assumed.
type Collection struct {
	Path   string // below the version root
	Entity string // type of the items, or their common base type
	V1     bool   // also under /v1.0 (source: v1.0 CSDL of 2026-08, all clouds alike)
	Poly   bool   // items are of derived types and carry @odata.type
	Roles  []string
	Page   int  // items per page, and the largest $top
	Cosmos bool // pages continue with a doubly encoded $skiptoken instead of $skip
	Count  CountKind
	Hide   []string // properties that only a read of a single item returns
	Navs   []string // navigation properties that can be read or expanded
	First  int      // items per page without $top, if that is fewer than Page
	// Nested holds, by navigation property, those navigation properties of its objects that only
	// $expand or a read of their own returns.
	Nested map[string][]string

	derived func(t *Tenant) []*Item // items that follow from others; nil: they are stored
	bare    bool                    // assignments have no source (source: type library of beta)
	Union   []string                // paths of the collections whose items it lists
}

// sources returns the paths of the collections that hold the items.
func (col *Collection) sources() []string {
	if col.Union != nil {
		return col.Union
	}
	return []string{col.Path}
}

// CountKind is the value of @odata.count in a list without $count.
type CountKind int

// The kinds.
const (
	countAbsent CountKind = iota
	CountPage             // the number of items on the page, not in total (recorded)
	CountZero             // always 0 (recorded)
)

// IntunePage is the page size of most Intune lists. It is assumed: 97 items came in one page (recorded).
const IntunePage = 1000

// SettingsPage is the page size of a policy's settings and assignments, and of the settings
// catalogue without $top (observed).
const SettingsPage = 25

// nestedSettings hides the definitions of settings.
var nestedSettings = map[string][]string{"settings": {"settingDefinitions"}}

// CollectionList is the list of collections that the simulator serves.
var CollectionList = []*Collection{
	{Path: "deviceManagement/configurationPolicies", Entity: "deviceManagementConfigurationPolicy", Roles: Intune("Configuration"), Page: 100, First: SettingsPage, Cosmos: true, Count: CountPage, Navs: []string{"assignments", "settings"}, Nested: nestedSettings},
	{Path: "deviceManagement/compliancePolicies", Entity: "deviceManagementCompliancePolicy", Roles: Intune("Configuration"), Navs: []string{"assignments", "settings", "scheduledActionsForRule"}, Nested: map[string][]string{"settings": {"settingDefinitions"}, "scheduledActionsForRule": {"scheduledActionConfigurations"}}},
	{Path: "deviceManagement/deviceConfigurations", Entity: "deviceConfiguration", V1: true, Poly: true, Roles: Intune("Configuration"), Navs: []string{"assignments"}},
	{Path: "deviceManagement/deviceCompliancePolicies", Entity: "deviceCompliancePolicy", V1: true, Poly: true, Roles: Intune("Configuration"), Navs: []string{"assignments", "scheduledActionsForRule"}, Nested: map[string][]string{"scheduledActionsForRule": {"scheduledActionConfigurations"}}},
	{Path: "deviceManagement/groupPolicyConfigurations", Entity: "groupPolicyConfiguration", Roles: Intune("Configuration"), Navs: []string{"assignments", "definitionValues"}, bare: true, Nested: map[string][]string{"definitionValues": {"definition", "presentationValues"}, "definitionValues/presentationValues": {"presentation", "definitionValue"}}},
	{Path: "deviceManagement/groupPolicyUploadedDefinitionFiles", Entity: "groupPolicyUploadedDefinitionFile", Roles: Intune("Configuration")},
	{Path: "deviceManagement/groupPolicyDefinitions", Entity: "groupPolicyDefinition", Roles: Intune("Configuration"), Navs: []string{"presentations"}},
	{Path: "deviceManagement/intents", Entity: "deviceManagementIntent", Roles: Intune("Configuration"), Navs: []string{"assignments", "settings", "categories"}, bare: true, Nested: map[string][]string{"categories": {"settings"}}},
	{Path: "deviceManagement/templates", Entity: "deviceManagementTemplate", Poly: true, Roles: Intune("Configuration"), Navs: []string{"categories"}},
	{Path: "deviceManagement/configurationPolicyTemplates", Entity: "deviceManagementConfigurationPolicyTemplate", Roles: Intune("Configuration"), Navs: []string{"settingTemplates"}, Nested: map[string][]string{"settingTemplates": {"settingDefinitions"}}},
	{Path: "deviceManagement/configurationSettings", Entity: "deviceManagementConfigurationSettingDefinition", Poly: true, Roles: Intune("Configuration"), derived: (*Tenant).definitions},
	{Path: "deviceManagement/managementConditions", Entity: "managementCondition", Poly: true, Roles: Intune("Configuration")},
	// Microsoft's table names no application permission for these scripts; tools use the Scripts permissions.
	{Path: "deviceManagement/deviceManagementScripts", Entity: "deviceManagementScript", Roles: Intune("Scripts"), Hide: []string{"scriptContent"}, Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/deviceShellScripts", Entity: "deviceShellScript", Roles: Intune("Configuration", "ManagedDevices", "Scripts"), Hide: []string{"scriptContent"}, Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/deviceCustomAttributeShellScripts", Entity: "deviceCustomAttributeShellScript", Roles: Intune("Configuration", "ManagedDevices", "Scripts"), Hide: []string{"scriptContent"}, Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/deviceHealthScripts", Entity: "deviceHealthScript", Roles: Intune("Configuration", "Scripts"), Hide: []string{"detectionScriptContent", "remediationScriptContent"}, Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/deviceComplianceScripts", Entity: "deviceComplianceScript", Roles: Intune("Configuration", "ManagedDevices", "Scripts"), Hide: []string{"detectionScriptContent"}, Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/deviceEnrollmentConfigurations", Entity: "deviceEnrollmentConfiguration", V1: true, Poly: true, Roles: Intune("ServiceConfig", "Configuration"), Navs: []string{"assignments"}},
	{Path: "deviceManagement/windowsAutopilotDeploymentProfiles", Entity: "windowsAutopilotDeploymentProfile", Poly: true, Roles: Intune("ServiceConfig"), Navs: []string{"assignments"}},
	{Path: "deviceManagement/assignmentFilters", Entity: "deviceAndAppManagementAssignmentFilter", Roles: Intune("Configuration")},
	{Path: "deviceManagement/roleScopeTags", Entity: "roleScopeTag", Roles: Intune("Configuration", "RBAC")},
	{Path: "deviceManagement/notificationMessageTemplates", Entity: "notificationMessageTemplate", V1: true, Roles: Intune("ServiceConfig"), Navs: []string{"localizedNotificationMessages"}},
	{Path: "deviceManagement/termsAndConditions", Entity: "termsAndConditions", V1: true, Roles: Intune("ServiceConfig"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/windowsFeatureUpdateProfiles", Entity: "windowsFeatureUpdateProfile", Roles: Intune("Configuration"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/windowsQualityUpdateProfiles", Entity: "windowsQualityUpdateProfile", Roles: Intune("Configuration"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/windowsQualityUpdatePolicies", Entity: "windowsQualityUpdatePolicy", Roles: Intune("Configuration"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/windowsDriverUpdateProfiles", Entity: "windowsDriverUpdateProfile", Roles: Intune("Configuration"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceManagement/reusablePolicySettings", Entity: "deviceManagementReusablePolicySetting", Roles: Intune("Configuration"), Navs: []string{"referencingConfigurationPolicies"}},
	{Path: "deviceManagement/operationApprovalPolicies", Entity: "operationApprovalPolicy", Roles: Intune("Configuration", "RBAC")},
	{Path: "deviceManagement/operationApprovalRequests", Entity: "operationApprovalRequest", Roles: Intune("Configuration", "RBAC")},
	{Path: "deviceManagement/roleDefinitions", Entity: "roleDefinition", V1: true, Poly: true, Roles: Intune("RBAC", "Configuration"), Navs: []string{"roleAssignments"}},
	{Path: "deviceManagement/roleAssignments", Entity: "deviceAndAppManagementRoleAssignment", V1: true, Poly: true, Roles: Intune("RBAC", "Configuration"), Navs: []string{"roleScopeTags"}},
	{Path: "deviceManagement/managedDevices", Entity: "managedDevice", V1: true, Roles: Intune("ManagedDevices", "Configuration")},

	{Path: "deviceAppManagement/mobileApps", Entity: "mobileApp", V1: true, Poly: true, Roles: Intune("Apps"), Count: CountZero, Navs: []string{"assignments"}},
	{Path: "deviceAppManagement/iosManagedAppProtections", Entity: "iosManagedAppProtection", V1: true, Roles: Intune("Apps"), Navs: []string{"assignments", "apps"}},
	{Path: "deviceAppManagement/androidManagedAppProtections", Entity: "androidManagedAppProtection", V1: true, Roles: Intune("Apps"), Navs: []string{"assignments", "apps"}},
	{Path: "deviceAppManagement/windowsManagedAppProtections", Entity: "windowsManagedAppProtection", Roles: Intune("Apps"), Navs: []string{"assignments", "apps"}},
	{Path: "deviceAppManagement/targetedManagedAppConfigurations", Entity: "targetedManagedAppConfiguration", V1: true, Roles: Intune("Apps"), Navs: []string{"assignments", "apps", "settings"}, Nested: nestedSettings},
	{Path: "deviceAppManagement/windowsInformationProtectionPolicies", Entity: "windowsInformationProtectionPolicy", V1: true, Roles: Intune("Apps"), Navs: []string{"assignments"}},
	{Path: "deviceAppManagement/mdmWindowsInformationProtectionPolicies", Entity: "mdmWindowsInformationProtectionPolicy", V1: true, Roles: Intune("Apps"), Navs: []string{"assignments"}},
	{Path: "deviceAppManagement/managedAppPolicies", Entity: "managedAppPolicy", V1: true, Poly: true, Roles: Intune("Apps", "Configuration"), Union: []string{
		"deviceAppManagement/androidManagedAppProtections", "deviceAppManagement/iosManagedAppProtections", "deviceAppManagement/windowsManagedAppProtections",
		"deviceAppManagement/targetedManagedAppConfigurations", "deviceAppManagement/windowsInformationProtectionPolicies", "deviceAppManagement/mdmWindowsInformationProtectionPolicies",
	}},
	{Path: "deviceAppManagement/mobileAppConfigurations", Entity: "managedDeviceMobileAppConfiguration", V1: true, Poly: true, Roles: Intune("Apps"), Navs: []string{"assignments"}, bare: true},
	{Path: "deviceAppManagement/policySets", Entity: "policySet", Roles: Intune("Apps"), Navs: []string{"assignments", "items"}},

	{Path: "identity/conditionalAccess/policies", Entity: "conditionalAccessPolicy", V1: true, Roles: []string{"Policy.Read.All"}},
	{Path: "identity/conditionalAccess/namedLocations", Entity: "namedLocation", V1: true, Poly: true, Roles: []string{"Policy.Read.All"}},
	{Path: "identity/conditionalAccess/authenticationStrength/policies", Entity: "authenticationStrengthPolicy", V1: true, Roles: []string{"Policy.Read.All"}, Navs: []string{"combinationConfigurations"}},
	{Path: "identity/conditionalAccess/authenticationContextClassReferences", Entity: "authenticationContextClassReference", V1: true, Roles: []string{"Policy.Read.All"}},
	{Path: "identity/conditionalAccess/deletedItems/policies", Entity: "conditionalAccessPolicy", Roles: []string{"Policy.Read.All"}},
	{Path: "identity/conditionalAccess/deletedItems/namedLocations", Entity: "namedLocation", Poly: true, Roles: []string{"Policy.Read.All"}},
}

// Collections holds the collections by lower-case path.
var Collections = func() map[string]*Collection {
	m := map[string]*Collection{}
	for _, col := range CollectionList {
		if col.Page == 0 {
			col.Page = IntunePage
		}
		if col.First == 0 {
			col.First = col.Page
		}
		m[strings.ToLower(col.Path)] = col
	}
	return m
}()
