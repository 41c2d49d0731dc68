package graph

import (
	"maps"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// organization serves /organization and /organization/{id}.
func (s *Service) organization(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	t := c.Tenant
	t.RLock()
	spec := t.Spec
	t.RUnlock()
	null, none := odata.Raw(nil), odata.Raw([]string{})
	authority := odata.Raw("unknown")
	plans := []odata.Object{}
	if spec.Intune {
		authority = odata.Raw("intune")
		plans = append(plans, odata.Object{
			odata.F("assignedDateTime", estate.Stamp(estate.Epoch)),
			odata.F("capabilityStatus", "Enabled"),
			odata.F("service", "SCO"),
			odata.F("servicePlanId", intunePlanID),
		})
	}
	o := odata.Object{
		odata.F("id", t.ID),
		odata.F("deletedDateTime", null),
		odata.F("businessPhones", []string{"+49 30 901820"}),
		odata.F("city", "Berlin"),
		odata.F("country", null),
		odata.F("countryLetterCode", "DE"),
		odata.F("createdDateTime", estate.Stamp(estate.Epoch)),
		odata.F("defaultUsageLocation", null),
		odata.F("displayName", spec.DisplayName),
		odata.F("isMultipleDataLocationsForServicesEnabled", null),
		odata.F("marketingNotificationEmails", none),
		odata.F("onPremisesLastSyncDateTime", null),
		odata.F("onPremisesSyncEnabled", null),
		odata.F("partnerTenantType", null),
		odata.F("postalCode", null),
		odata.F("preferredLanguage", "en"),
		odata.F("privacyProfile", null),
		odata.F("provisionedPlans", none),
		odata.F("securityComplianceNotificationMails", none),
		odata.F("securityComplianceNotificationPhones", none),
		odata.F("state", null),
		odata.F("street", null),
		odata.F("technicalNotificationMails", none),
		odata.F("tenantType", "AAD"),
		odata.F("mobileDeviceManagementAuthority", authority),
		odata.F("assignedPlans", plans),
		odata.F("verifiedDomains", []odata.Object{{
			odata.F("capabilities", "Email, OfficeCommunicationsOnline"),
			odata.F("isDefault", true),
			odata.F("isInitial", strings.HasSuffix(spec.Domain, ".onmicrosoft.com")),
			odata.F("name", spec.Domain),
			odata.F("type", "Managed"),
		}}),
	}
	if name := odata.UnknownSelect(o, q.Select); name != "" {
		return c.QueryError(odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.organization'.", name))
	}
	o = odata.PickFields(o, q.Select)
	switch {
	case len(rest) == 0:
		return c.Entity(odata.Object{odata.F("@odata.context", c.ContextURL("organization", q)), odata.F("value", []odata.Object{o})})
	case len(rest) == 1 && strings.EqualFold(rest[0], t.ID):
		return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL("organization", q)+"/$entity")}, o...))
	case len(rest) == 1:
		return c.DirectoryNotFound(rest[0])
	}
	return c.NoSegment(rest[1])
}

// intunePlanID is the service plan "Microsoft Intune" (SKU part INTUNE_A).
const intunePlanID = "c1ec4a95-1f05-45b3-a911-aa3fa01094f5"

func (s *Service) subscribedSKUs(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	if len(rest) > 0 {
		return c.NoSegment(rest[0])
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	skus := []odata.Object{}
	if t.Spec.Intune {
		const ems = "efccb6f7-5641-4e0e-bd10-b4976e1bf68e" // Enterprise Mobility + Security E3
		skus = append(skus, odata.PickFields(odata.Object{
			odata.F("accountName", t.Domain),
			odata.F("accountId", t.ID),
			odata.F("appliesTo", "User"),
			odata.F("capabilityStatus", "Enabled"),
			odata.F("consumedUnits", estate.UserCount),
			odata.F("id", t.ID+"_"+ems),
			odata.F("skuId", ems),
			odata.F("skuPartNumber", "EMS"),
			odata.F("prepaidUnits", odata.Object{odata.F("enabled", 3000), odata.F("suspended", 0), odata.F("warning", 0), odata.F("lockedOut", 0)}),
			odata.F("servicePlans", []odata.Object{{
				odata.F("servicePlanId", intunePlanID),
				odata.F("servicePlanName", "INTUNE_A"),
				odata.F("provisioningStatus", "Success"),
				odata.F("appliesTo", "User"),
			}}),
		}, q.Select))
	}
	return c.Entity(odata.Object{odata.F("@odata.context", c.ContextURL("subscribedSkus", q)), odata.F("value", skus)})
}

func (s *Service) deviceManagement(c *wire.Call, _ []string, q *odata.Query) *wire.Reply {
	o := odata.Object{
		odata.F("id", c.Tenant.Derive("deviceManagement", "")),
		odata.F("intuneAccountId", c.Tenant.Derive("intuneAccount", "")),
		odata.F("subscriptionState", "active"),
	}
	return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL("deviceManagement", q)+"/$entity")}, odata.PickFields(o, q.Select)...))
}

// servicePrincipals serves the service principals of the tenant: those of its consented apps and
// that of Microsoft Graph.
func (s *Service) servicePrincipals(c *wire.Call, rest []string, q *odata.Query) *wire.Reply {
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	graphID := t.Derive("servicePrincipal", wire.GraphAppID)
	graphRoles := make([]odata.Object, 0, len(estate.AppRoleIDs))
	for _, name := range estate.KnownRoles() {
		graphRoles = append(graphRoles, odata.Object{
			odata.F("allowedMemberTypes", []string{"Application"}),
			odata.F("description", name),
			odata.F("displayName", name),
			odata.F("id", estate.AppRoleIDs[name]),
			odata.F("isEnabled", true),
			odata.F("origin", "Application"),
			odata.F("value", name),
		})
	}
	all := []odata.Object{principalObject(graphID, wire.GraphAppID, "Microsoft Graph", true, graphRoles)}
	byID := map[string]*estate.App{}
	for _, id := range slices.Sorted(maps.Keys(t.Apps)) {
		a := t.Apps[id]
		if !a.Principal(c.At) {
			continue
		}
		byID[a.ObjectID] = a
		all = append(all, principalObject(a.ObjectID, a.AppID, a.Name, !a.Disabled, []odata.Object{}))
	}
	if name := odata.UnknownSelect(all[0], q.Select); name != "" {
		return c.QueryError(odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.servicePrincipal'.", name))
	}
	if len(rest) == 0 {
		found := []odata.Object{}
		for _, o := range all {
			if q.Filter == nil || q.Filter.Matches(o) {
				found = append(found, odata.PickFields(o, q.Select))
			}
		}
		return c.Entity(odata.Object{odata.F("@odata.context", c.ContextURL("servicePrincipals", q)), odata.F("value", found)})
	}
	var one odata.Object
	for _, o := range all {
		appID, isAlt := strings.CutPrefix(rest[0], "appId=")
		if isAlt && strings.EqualFold(o.Text("appId"), appID) || strings.EqualFold(o.Text("id"), rest[0]) {
			one = o
		}
	}
	switch {
	case one == nil:
		return c.DirectoryNotFound(rest[0])
	case len(rest) == 1:
		return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL("servicePrincipals", q)+"/$entity")}, odata.PickFields(one, q.Select)...))
	case len(rest) == 2 && strings.EqualFold(rest[1], "appRoleAssignments"):
		grants := []odata.Object{}
		if a := byID[one.Text("id")]; a != nil {
			for _, role := range a.Roles {
				grants = append(grants, odata.Object{
					odata.F("id", t.Derive("grant", a.AppID+role)),
					odata.F("deletedDateTime", nil),
					odata.F("createdDateTime", a.Granted.UTC().Format("2006-01-02T15:04:05.0000000Z")),
					odata.F("appRoleId", estate.AppRoleIDs[role]),
					odata.F("principalDisplayName", a.Name),
					odata.F("principalId", a.ObjectID),
					odata.F("principalType", "ServicePrincipal"),
					odata.F("resourceDisplayName", "Microsoft Graph"),
					odata.F("resourceId", graphID),
				})
			}
		}
		return c.Entity(odata.Object{odata.F("@odata.context", c.Base+"/"+c.Version()+"/$metadata#appRoleAssignments"), odata.F("value", grants)})
	}
	return c.NoSegment(rest[1])
}

func principalObject(id, appID, name string, enabled bool, roles []odata.Object) odata.Object {
	return odata.Object{
		odata.F("id", id),
		odata.F("deletedDateTime", nil),
		odata.F("accountEnabled", enabled),
		odata.F("appDisplayName", name),
		odata.F("appId", appID),
		odata.F("displayName", name),
		odata.F("servicePrincipalNames", []string{appID}),
		odata.F("servicePrincipalType", "Application"),
		odata.F("signInAudience", "AzureADMultipleOrgs"),
		odata.F("tags", []string{}),
		odata.F("appRoles", roles),
	}
}
