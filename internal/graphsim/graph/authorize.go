package graph

import (
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// readRoles holds, by path template, the application permissions of which one is needed to read
// a resource (source: permissions of each API call, microsoft-graph-devx-content). Collections
// have their own.
var readRoles = map[string][]string{
	"organization": append(estate.Intune("ServiceConfig", "Configuration"),
		"Directory.Read.All", "Directory.ReadWrite.All", "Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All"),
	"servicePrincipals": {"Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
	// docs: the same for the templates.
	"directoryRoles": {"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All"},
	"subscribedSkus": {"LicenseAssignment.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Organization.Read.All", "Organization.ReadWrite.All"},
	"groups": {
		"Group-NestingSupport.ReadWrite.All", "Group.ReadBasic.All", "Directory.Read.All", "Directory.ReadWrite.All",
		"Group-PreferredDataLocation.ReadWrite.All", "Group.ManageProtection.All", "Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All",
	},
	"groups/{id}": {
		"Group-NestingSupport.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", "Group-PreferredDataLocation.ReadWrite.All", "Group-XTenantIdentitySync.Read.All",
		"Group.ManageProtection.All", "Group.Read.All", "Group.ReadBasic.All", "Group.ReadWrite.All", "GroupMember.Read.All",
	},
	"groups/delta": {
		"Group-NestingSupport.ReadWrite.All", "Group.ReadBasic.All", "Directory.Read.All", "Directory.ReadWrite.All",
		"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All",
	},
	"groups/{id}/members": {
		"GroupMember.ReadBasic.All", "Directory.Read.All", "Group.Read.All", "Group.ReadBasic.All", "Group.ReadWrite.All",
		"GroupMember.Read.All", "GroupMember.ReadWrite.All",
	},
	"deviceManagement": estate.Intune("Apps", "Configuration", "ManagedDevices", "RBAC", "ServiceConfig"),
}

// authorize checks the roles in the token. It returns nil, or the 403.
func authorize(c *wire.Call, need []string) *wire.Reply {
	for _, role := range c.Token.Roles {
		if slices.Contains(need, role) {
			return nil
		}
	}
	if !odata.IsIntune(c.ResourcePath()) {
		return c.GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
	if !slices.ContainsFunc(c.Token.Roles, func(r string) bool { return strings.HasPrefix(r, "DeviceManagement") }) {
		return c.IntuneError(403, "Forbidden", "Application is not authorized to perform this operation as called in app only context but does not have application permissions configured.")
	}
	return c.IntuneError(403, "Forbidden", "Application is not authorized to perform this operation. Application must have one of the following scopes: "+strings.Join(need, ", "))
}
