package graphsim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// graphTime is the form of times that the simulator makes itself.
const graphTime = "2006-01-02T15:04:05Z"

func stamp(t time.Time) string { return t.UTC().Format(graphTime) }

// epoch is when everything generated was made: a fixed day, so that a restart changes nothing.
var epoch = time.Date(2025, time.March, 3, 8, 30, 0, 0, time.UTC)

// organization answers /organization and /organization/{id}.
func (s *Server) organization(c *call, rest []string, q *query) *reply {
	t := c.tenant
	t.mu.RLock()
	spec := t.spec
	t.mu.RUnlock()
	null, none := rawJSON(nil), rawJSON([]string{})
	authority := rawJSON("unknown")
	plans := []object{}
	if spec.Intune {
		authority = rawJSON("intune")
		plans = append(plans, object{
			{"assignedDateTime", rawJSON(stamp(epoch))},
			{"capabilityStatus", rawJSON("Enabled")},
			{"service", rawJSON("SCO")},
			{"servicePlanId", rawJSON(intunePlanID)},
		})
	}
	o := object{
		{"id", rawJSON(t.id)},
		{"deletedDateTime", null},
		{"businessPhones", rawJSON([]string{"+49 30 901820"})},
		{"city", rawJSON("Berlin")},
		{"country", null},
		{"countryLetterCode", rawJSON("DE")},
		{"createdDateTime", rawJSON(stamp(epoch))},
		{"defaultUsageLocation", null},
		{"displayName", rawJSON(spec.DisplayName)},
		{"isMultipleDataLocationsForServicesEnabled", null},
		{"marketingNotificationEmails", none},
		{"onPremisesLastSyncDateTime", null},
		{"onPremisesSyncEnabled", null},
		{"partnerTenantType", null},
		{"postalCode", null},
		{"preferredLanguage", rawJSON("en")},
		{"privacyProfile", null},
		{"provisionedPlans", none},
		{"securityComplianceNotificationMails", none},
		{"securityComplianceNotificationPhones", none},
		{"state", null},
		{"street", null},
		{"technicalNotificationMails", none},
		{"tenantType", rawJSON("AAD")},
		{"mobileDeviceManagementAuthority", authority},
		{"assignedPlans", rawJSON(plans)},
		{"verifiedDomains", rawJSON([]object{{
			{"capabilities", rawJSON("Email, OfficeCommunicationsOnline")},
			{"isDefault", rawJSON(true)},
			{"isInitial", rawJSON(strings.HasSuffix(spec.Domain, ".onmicrosoft.com"))},
			{"name", rawJSON(spec.Domain)},
			{"type", rawJSON("Managed")},
		}})},
	}
	if name := unknownSelect(o, q.sel); name != "" {
		return c.queryError(badQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.organization'.", name))
	}
	o = pickFields(o, q.sel)
	switch {
	case len(rest) == 0:
		return c.entity(object{{"@odata.context", rawJSON(c.context("organization", q))}, {"value", rawJSON([]object{o})}})
	case len(rest) == 1 && strings.EqualFold(rest[0], t.id):
		return c.entity(append(object{{"@odata.context", rawJSON(c.context("organization", q) + "/$entity")}}, o...))
	case len(rest) == 1:
		return c.directoryNotFound(rest[0])
	}
	return c.noSegment(rest[1])
}

// intunePlanID is the service plan "Microsoft Intune" (SKU part INTUNE_A).
const intunePlanID = "c1ec4a95-1f05-45b3-a911-aa3fa01094f5"

func (s *Server) subscribedSKUs(c *call, rest []string, q *query) *reply {
	if len(rest) > 0 {
		return c.noSegment(rest[0])
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	skus := []object{}
	if t.spec.Intune {
		const ems = "efccb6f7-5641-4e0e-bd10-b4976e1bf68e" // Enterprise Mobility + Security E3
		skus = append(skus, pickFields(object{
			{"accountName", rawJSON(t.domain)},
			{"accountId", rawJSON(t.id)},
			{"appliesTo", rawJSON("User")},
			{"capabilityStatus", rawJSON("Enabled")},
			{"consumedUnits", rawJSON(userCount)},
			{"id", rawJSON(t.id + "_" + ems)},
			{"skuId", rawJSON(ems)},
			{"skuPartNumber", rawJSON("EMS")},
			{"prepaidUnits", rawJSON(object{{"enabled", rawJSON(3000)}, {"suspended", rawJSON(0)}, {"warning", rawJSON(0)}, {"lockedOut", rawJSON(0)}})},
			{"servicePlans", rawJSON([]object{{
				{"servicePlanId", rawJSON(intunePlanID)},
				{"servicePlanName", rawJSON("INTUNE_A")},
				{"provisioningStatus", rawJSON("Success")},
				{"appliesTo", rawJSON("User")},
			}})},
		}, q.sel))
	}
	return c.entity(object{{"@odata.context", rawJSON(c.context("subscribedSkus", q))}, {"value", rawJSON(skus)}})
}

func (s *Server) deviceManagement(c *call, _ []string, q *query) *reply {
	o := object{
		{"id", rawJSON(c.tenant.derive("deviceManagement", ""))},
		{"intuneAccountId", rawJSON(c.tenant.derive("intuneAccount", ""))},
		{"subscriptionState", rawJSON("active")},
	}
	return c.entity(append(object{{"@odata.context", rawJSON(c.context("deviceManagement", q) + "/$entity")}}, pickFields(o, q.sel)...))
}

// servicePrincipals answers the principals of the tenant: those of its consented apps and Microsoft Graph's own.
func (s *Server) servicePrincipals(c *call, rest []string, q *query) *reply {
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	graphID := t.derive("servicePrincipal", graphAppID)
	graphRoles := make([]object, 0, len(appRoleIDs))
	for _, name := range knownRoles() {
		graphRoles = append(graphRoles, object{
			{"allowedMemberTypes", rawJSON([]string{"Application"})},
			{"description", rawJSON(name)},
			{"displayName", rawJSON(name)},
			{"id", rawJSON(appRoleIDs[name])},
			{"isEnabled", rawJSON(true)},
			{"origin", rawJSON("Application")},
			{"value", rawJSON(name)},
		})
	}
	all := []object{principalObject(graphID, graphAppID, "Microsoft Graph", true, graphRoles)}
	byID := map[string]*app{}
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		a := t.apps[id]
		if !a.principal(c.at) {
			continue
		}
		byID[a.objectID] = a
		all = append(all, principalObject(a.objectID, a.AppID, a.Name, !a.Disabled, []object{}))
	}
	if name := unknownSelect(all[0], q.sel); name != "" {
		return c.queryError(badQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.servicePrincipal'.", name))
	}
	if len(rest) == 0 {
		found := []object{}
		for _, o := range all {
			if q.filter == nil || q.filter.matches(o) {
				found = append(found, pickFields(o, q.sel))
			}
		}
		return c.entity(object{{"@odata.context", rawJSON(c.context("servicePrincipals", q))}, {"value", rawJSON(found)}})
	}
	var one object
	for _, o := range all {
		appID, isAlt := strings.CutPrefix(rest[0], "appId=")
		if isAlt && strings.EqualFold(o.text("appId"), appID) || strings.EqualFold(o.text("id"), rest[0]) {
			one = o
		}
	}
	switch {
	case one == nil:
		return c.directoryNotFound(rest[0])
	case len(rest) == 1:
		return c.entity(append(object{{"@odata.context", rawJSON(c.context("servicePrincipals", q) + "/$entity")}}, pickFields(one, q.sel)...))
	case len(rest) == 2 && strings.EqualFold(rest[1], "appRoleAssignments"):
		grants := []object{}
		if a := byID[one.text("id")]; a != nil {
			for _, role := range a.Roles {
				grants = append(grants, object{
					{"id", rawJSON(t.derive("grant", a.AppID+role))},
					{"deletedDateTime", rawJSON(nil)},
					{"createdDateTime", rawJSON(a.granted.UTC().Format("2006-01-02T15:04:05.0000000Z"))},
					{"appRoleId", rawJSON(appRoleIDs[role])},
					{"principalDisplayName", rawJSON(a.Name)},
					{"principalId", rawJSON(a.objectID)},
					{"principalType", rawJSON("ServicePrincipal")},
					{"resourceDisplayName", rawJSON("Microsoft Graph")},
					{"resourceId", rawJSON(graphID)},
				})
			}
		}
		return c.entity(object{{"@odata.context", rawJSON(c.base + "/" + c.version() + "/$metadata#appRoleAssignments")}, {"value", rawJSON(grants)}})
	}
	return c.noSegment(rest[1])
}

func principalObject(id, appID, name string, enabled bool, roles []object) object {
	return object{
		{"id", rawJSON(id)},
		{"deletedDateTime", rawJSON(nil)},
		{"accountEnabled", rawJSON(enabled)},
		{"appDisplayName", rawJSON(name)},
		{"appId", rawJSON(appID)},
		{"displayName", rawJSON(name)},
		{"servicePrincipalNames", rawJSON([]string{appID})},
		{"servicePrincipalType", rawJSON("Application")},
		{"signInAudience", rawJSON("AzureADMultipleOrgs")},
		{"tags", rawJSON([]string{})},
		{"appRoles", rawJSON(roles)},
	}
}

// identityNotFound is the 401 of an app without a service principal in the tenant.
func (c *call) identityNotFound() *reply {
	return c.graphError(http.StatusUnauthorized, "Authorization_IdentityNotFound", "The identity of the calling application could not be established.")
}
