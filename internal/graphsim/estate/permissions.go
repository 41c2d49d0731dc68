package estate

import (
	"slices"
)

// AppRoleIDs holds the application permissions of Microsoft Graph that the simulator can grant,
// with their app role ids (source: permissions reference of Microsoft Graph,
// permissions-descriptions.json).
var AppRoleIDs = map[string]string{
	"Application.Read.All":                        "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
	"DeviceManagementApps.Read.All":               "7a6ee1e7-141e-4cec-ae74-d9db155731ff",
	"DeviceManagementApps.ReadWrite.All":          "78145de6-330d-4800-a6ce-494ff2d33d07",
	"DeviceManagementConfiguration.Read.All":      "dc377aa6-52d8-4e23-b271-2a7ae04cedf3",
	"DeviceManagementConfiguration.ReadWrite.All": "9241abd9-d0e6-425a-bd4f-47ba86e767a4",
	"DeviceManagementManagedDevices.Read.All":     "2f51be20-0bb4-4fed-bf7b-db946066c75e",
	"DeviceManagementRBAC.Read.All":               "58ca0d9a-1575-47e1-a3cb-007ef2e4583b",
	"DeviceManagementRBAC.ReadWrite.All":          "e330c4f0-4170-414e-a55a-2f022ec2b57b",
	"DeviceManagementScripts.Read.All":            "c7a5be92-2b3d-4540-8a67-c96dcaae8b43",
	"DeviceManagementScripts.ReadWrite.All":       "9255e99d-faf5-445e-bbf7-cb71482737c4",
	"DeviceManagementServiceConfig.Read.All":      "06a5fe6d-c49d-46a7-b082-56b1b14103c7",
	"DeviceManagementServiceConfig.ReadWrite.All": "5ac13192-7ace-4fcf-b828-1a26f28068ee",
	"Directory.Read.All":                          "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
	"Group.Read.All":                              "5b567255-7703-4780-807c-7be8301ae99b",
	"Group.ReadBasic.All":                         "07d67222-3a10-4d3b-9ddc-b8aa43198a00",
	"GroupMember.Read.All":                        "98830695-27a2-44f7-8c18-0c3ebc9698f6",
	"LicenseAssignment.Read.All":                  "e2f98668-2877-4f38-a2f4-8202e0717aa1",
	"Organization.Read.All":                       "498476ce-e0fe-48b0-b801-37ba7e2685c6",
	"Policy.Read.All":                             "246dd0d5-5bd0-4def-940b-0421030a5b68",
	"Policy.ReadWrite.AuthenticationMethod":       "29c18626-4985-4dcd-85c0-193eef327366",
	"Policy.ReadWrite.ConditionalAccess":          "01c0a623-fc9b-48e9-b794-0756f8e8f067",
}

// KnownRoles returns the application permissions that can be granted, sorted.
func KnownRoles() []string {
	names := make([]string, 0, len(AppRoleIDs))
	for n := range AppRoleIDs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Intune returns the read and write permissions of areas of Intune.
func Intune(areas ...string) []string {
	var roles []string
	for _, a := range areas {
		roles = append(roles, "DeviceManagement"+a+".Read.All", "DeviceManagement"+a+".ReadWrite.All")
	}
	return roles
}
