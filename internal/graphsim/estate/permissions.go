package estate

import (
	"slices"
)

// AppRoleIDs holds the application permissions of Microsoft Graph that the simulator can grant:
// all that a call accepts which it serves. Their app role ids are from the permissions reference (source:
// permissions-descriptions.json).
var AppRoleIDs = map[string]string{
	"Agreement.Read.All":                                      "2f3e6f8c-093b-4c57-a58b-ba5ce494a169",
	"Application.Read.All":                                    "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
	"Application.ReadWrite.All":                               "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
	"Application.ReadWrite.OwnedBy":                           "18a4783c-866b-4cc7-a460-3d5e5662c884",
	"AuditLog.Read.All":                                       "b0afded3-3588-46d8-8b3d-9842eff778da",
	"Device.Read.All":                                         "7438b122-aefc-4978-80ed-43db9fcc7715",
	"Device.ReadWrite.All":                                    "1138cb37-bd11-4084-a2b7-9f71582aeddb",
	"DeviceManagementApps.Read.All":                           "7a6ee1e7-141e-4cec-ae74-d9db155731ff",
	"DeviceManagementApps.ReadWrite.All":                      "78145de6-330d-4800-a6ce-494ff2d33d07",
	"DeviceManagementConfiguration.Read.All":                  "dc377aa6-52d8-4e23-b271-2a7ae04cedf3",
	"DeviceManagementConfiguration.ReadWrite.All":             "9241abd9-d0e6-425a-bd4f-47ba86e767a4",
	"DeviceManagementManagedDevices.PrivilegedOperations.All": "5b07b0dd-2377-4e44-a38d-703f09a0dc3c",
	"DeviceManagementManagedDevices.Read.All":                 "2f51be20-0bb4-4fed-bf7b-db946066c75e",
	"DeviceManagementManagedDevices.ReadWrite.All":            "243333ab-4d21-40cb-a475-36241daa0842",
	"DeviceManagementRBAC.Read.All":                           "58ca0d9a-1575-47e1-a3cb-007ef2e4583b",
	"DeviceManagementRBAC.ReadWrite.All":                      "e330c4f0-4170-414e-a55a-2f022ec2b57b",
	"DeviceManagementScripts.Read.All":                        "c7a5be92-2b3d-4540-8a67-c96dcaae8b43",
	"DeviceManagementScripts.ReadWrite.All":                   "9255e99d-faf5-445e-bbf7-cb71482737c4",
	"DeviceManagementServiceConfig.Read.All":                  "06a5fe6d-c49d-46a7-b082-56b1b14103c7",
	"DeviceManagementServiceConfig.ReadWrite.All":             "5ac13192-7ace-4fcf-b828-1a26f28068ee",
	"Directory.Read.All":                                      "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
	"Directory.ReadWrite.All":                                 "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
	"Group-NestingSupport.ReadWrite.All":                      "b4c7d8e9-f2a5-4b6c-9d8e-1f2a3b4c5d6e",
	"Group-PreferredDataLocation.ReadWrite.All":               "603ce4e3-fb05-4b63-91ba-729bb1dca667",
	"Group-XTenantIdentitySync.Read.All":                      "35b96aac-d839-4362-abd4-7381f2b27ccd",
	"Group.Create":                                            "bf7b1a76-6e77-406b-b258-bf5c7720e98f",
	"Group.ManageProtection.All":                              "60f8cea0-2476-45c9-ab18-70e79e60ad14",
	"Group.Read.All":                                          "5b567255-7703-4780-807c-7be8301ae99b",
	"Group.ReadBasic.All":                                     "07d67222-3a10-4d3b-9ddc-b8aa43198a00",
	"Group.ReadWrite.All":                                     "62a82d76-70ea-41e2-9197-370581804d09",
	"GroupMember.Read.All":                                    "98830695-27a2-44f7-8c18-0c3ebc9698f6",
	"GroupMember.ReadBasic.All":                               "8222c640-cae5-4860-8d11-b32cfad95e03",
	"GroupMember.ReadWrite.All":                               "dbaae8cf-10b5-4b86-a4a1-f871c94c6695",
	"LicenseAssignment.Read.All":                              "e2f98668-2877-4f38-a2f4-8202e0717aa1",
	"Organization.Read.All":                                   "498476ce-e0fe-48b0-b801-37ba7e2685c6",
	"Organization.ReadWrite.All":                              "292d869f-3427-49a8-9dab-8c70152b74e9",
	"Policy.Read.All":                                         "246dd0d5-5bd0-4def-940b-0421030a5b68",
	"Policy.Read.ConditionalAccess":                           "37730810-e9ba-4e46-b07e-8ca78d182097",
	"Policy.ReadWrite.AuthenticationMethod":                   "29c18626-4985-4dcd-85c0-193eef327366",
	"Policy.ReadWrite.ConditionalAccess":                      "01c0a623-fc9b-48e9-b794-0756f8e8f067",
	"RoleManagement.Read.All":                                 "c7fbd983-d9aa-4fa7-84b8-17382c103bc4",
	"RoleManagement.Read.Directory":                           "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
	"RoleManagement.ReadWrite.Directory":                      "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
	"User.Read.All":                                           "df021288-bdef-4463-88db-98f22de89214",
	"User.ReadBasic.All":                                      "97235f07-e226-4f63-ace3-39588e11d3a1",
	"User.ReadWrite.All":                                      "741f803b-c850-494e-b5df-cde7c675a1ca",
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
