package estate

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// assignedRoles holds the role assignments of every tenant, by the name of the assigned built-in
// role.
var assignedRoles = []struct{ role, name, description string }{
	{"Help Desk Operator", "Service desk", "First-line support for all devices."},
	{"Policy and Profile manager", "Policy owners", "Who maintains policies."},
	{"Read Only Operator", "Auditors", ""},
}

// roleAssignments generates the role assignments of a tenant, each to one of its groups with the
// default scope tag (docs: deviceAndAppManagementRoleAssignment).
func (t *Tenant) roleAssignments(col *Collection, groups []*Group) []*Item {
	if len(groups) == 0 {
		return nil
	}
	tag := fixedSeeds()["devicemanagement/rolescopetags"][0].Body
	out := make([]*Item, len(assignedRoles))
	for i, a := range assignedRoles {
		members := []string{groups[i%len(groups)].ID}
		sd := &seed{
			name: a.name,
			Body: odata.Object{
				odata.F("@odata.type", "#microsoft.graph.deviceAndAppManagementRoleAssignment"),
				odata.F("displayName", a.name),
				described(a.description),
				odata.F("scopeMembers", members),
				odata.F("scopeType", "resourceScope"),
				odata.F("resourceScopes", members),
				odata.F("members", members),
			},
			navs:  map[string][]odata.Object{"roleScopeTags": {tag}},
			under: a.role,
		}
		out[i] = &Item{ID: t.itemID(col, sd), seed: sd}
	}
	return out
}

// assignmentsOf returns the assignments of a role definition as its navigation property lists
// them. The caller holds the tenant's lock.
func (t *Tenant) assignmentsOf(role *Item) (list []odata.Object) {
	for _, it := range t.World.shelves[strings.ToLower("deviceManagement/roleAssignments")].all() {
		if it.under != "" && it.under == role.Body.Text("displayName") {
			list = append(list, it.Body.With("id", it.ID))
		}
	}
	return list
}
