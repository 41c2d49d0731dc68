package graph

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// roleTemplates are built-in roles of the directory. Their ids are the same in every tenant
// (docs: Microsoft Entra built-in roles; these are some of them).
var roleTemplates = []struct{ id, name string }{
	{"62e90394-69f5-4237-9190-012177145e10", "Global Administrator"},
	{"e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator"},
	{"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator"},
	{"194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator"},
	{"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator"},
	{"3a2c62db-5318-420d-8d74-23affee5d9d5", "Intune Administrator"},
	{"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "Application Administrator"},
	{"158c047a-c907-4556-b7ef-446551a6b5f7", "Cloud Application Administrator"},
	{"fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator"},
	{"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"},
	{"966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator"},
	{"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"},
	{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator"},
	{"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator"},
	{"b0f54661-2d74-4c50-afa3-1ec803f12efe", "Billing Administrator"},
	{"44367163-eba1-44c3-98af-f5787879f96a", "Dynamics 365 Administrator"},
	{"11648597-926c-4cf3-9c36-bcebb0ba8dcc", "Power Platform Administrator"},
	{"17315797-102d-40b4-93e0-432062caca18", "Compliance Administrator"},
	{"e6d1a23a-da11-4be4-9570-befc86d067a7", "Compliance Data Administrator"},
	{"d29b2b05-8046-44ba-8758-1e26182fcf32", "Directory Synchronization Accounts"},
	{"5d6b6bb7-de71-4623-b4af-96380a352509", "Security Reader"},
	{"f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader"},
	{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers"},
}

// activeRoles is how many of them a tenant has activated: somebody has each.
const activeRoles = 4

// directoryRoleTemplates serves the list of the built-in roles.
func (s *Service) directoryRoleTemplates(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	all := make([]odata.Object, 0, len(roleTemplates))
	for _, t := range roleTemplates {
		all = append(all, odata.Object{
			odata.F("id", t.id), odata.F("deletedDateTime", nil), odata.F("description", t.name), odata.F("displayName", t.name),
		})
	}
	return roleList(c, "directoryRoleTemplates", rest, q, all)
}

// directoryRoles serves the list of the activated roles, with their members when it is
// expanded by them (docs: a role is activated once somebody has it).
func (s *Service) directoryRoles(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	all := make([]odata.Object, 0, activeRoles)
	for i, role := range roleTemplates[:activeRoles] {
		o := odata.Object{
			odata.F("id", t.Derive("directoryRole", role.id)), odata.F("deletedDateTime", nil), odata.F("description", role.name),
			odata.F("displayName", role.name), odata.F("roleTemplateId", role.id),
		}
		if strings.Contains(strings.ToLower(c.URL.RawQuery), "members") {
			o = append(o, odata.F("members", []odata.Object{t.MemberObject(estate.MemberRef(i))}))
		}
		all = append(all, o)
	}
	return roleList(c, "directoryRoles", rest, q, all)
}

// roleList serves a whole list, or one of it.
func roleList(c *wire.Call, path string, rest []string, q *odata.Query, all []odata.Object) *wire.Reply {
	if name := odata.UnknownSelect(all[0], q.Select); name != "" {
		return c.QueryError(unknownProperty(name, strings.TrimSuffix(path, "s")))
	}
	found := []odata.Object{}
	for _, o := range all {
		if len(rest) == 1 && strings.EqualFold(o.Text("id"), rest[0]) {
			return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL(path, q)+"/$entity")}, odata.PickFields(o, q.Select)...))
		}
		if q.Filter == nil || q.Filter.Matches(o) {
			found = append(found, odata.PickFields(o, q.Select))
		}
	}
	switch len(rest) {
	case 0:
		return c.Entity(odata.Object{odata.F("@odata.context", c.ContextURL(path, q)), odata.F("value", found)})
	case 1:
		return c.DirectoryNotFound(rest[0])
	}
	return c.NoSegment(rest[1])
}
