package catalogue

// area is a part of the provider that one permission opens. Permissions change
// over time, so they are data: docs: the accepted application permissions of
// each call in Microsoft's permissions reference, as of September 2026.
type area struct {
	key        string
	name       string // as checks name it
	permission Permission
	probe      string // the cheapest call that needs the permission
	intune     bool   // needs an Intune licence
}

var (
	directoryGroups = &area{
		key:  "groups",
		name: "Groups and members",
		permission: Permission{
			For: "read groups and their members",
			AnyOf: []string{
				"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All", "Group.ReadBasic.All",
				"Directory.Read.All", "Directory.ReadWrite.All",
			},
		},
		probe: "/v1.0/groups?$top=1",
	}
	policies = &area{
		key:  "policies",
		name: "Policies",
		permission: Permission{
			For:   "read policies",
			AnyOf: []string{"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All"},
		},
		probe:  "/beta/deviceManagement/configurationPolicies?$top=1",
		intune: true,
	}
	devices = &area{
		key:  "devices",
		name: "Devices",
		permission: Permission{
			For: "read devices",
			AnyOf: []string{
				"DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All",
				"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All",
			},
		},
		probe:  "/v1.0/deviceManagement/managedDevices?$top=1",
		intune: true,
	}
	apps = &area{
		key:  "apps",
		name: "Apps",
		permission: Permission{
			For:   "read apps and app policies",
			AnyOf: []string{"DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All"},
		},
		probe:  "/v1.0/deviceAppManagement/mobileApps?$top=1",
		intune: true,
	}
	enrollment = &area{
		key:  "enrollment",
		name: "Enrollment",
		permission: Permission{
			For:   "read enrollment settings and templates",
			AnyOf: []string{"DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All"},
		},
		probe:  "/beta/deviceManagement/windowsAutopilotDeploymentProfiles?$top=1",
		intune: true,
	}
	// observed: Microsoft's reference has no application permission for
	// deviceManagementScripts; tools read them with this one.
	scripts = &area{
		key:  "scripts",
		name: "Scripts",
		permission: Permission{
			For:   "read scripts",
			AnyOf: []string{"DeviceManagementScripts.Read.All", "DeviceManagementScripts.ReadWrite.All"},
		},
		probe:  "/beta/deviceManagement/deviceHealthScripts?$top=1",
		intune: true,
	}
	intuneRoles = &area{
		key:  "roles",
		name: "Roles and scope tags",
		permission: Permission{
			For:   "read role definitions and scope tags",
			AnyOf: []string{"DeviceManagementRBAC.Read.All", "DeviceManagementRBAC.ReadWrite.All"},
		},
		probe:  "/beta/deviceManagement/roleDefinitions?$top=1",
		intune: true,
	}
	conditionalAccess = &area{
		key:  "conditionalAccess",
		name: "Conditional access",
		permission: Permission{
			For:   "read conditional access policies",
			AnyOf: []string{"Policy.Read.All"},
		},
		probe: "/v1.0/identity/conditionalAccess/policies", // without $top: a page of this list has no link to the next (observed)
	}
)

// areas are what a verification looks into, in the order in which it reports them.
var areas = []*area{directoryGroups, devices, policies, apps, enrollment, scripts, intuneRoles, conditionalAccess}
