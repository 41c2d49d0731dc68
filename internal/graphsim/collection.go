package graphsim

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// collection is what the simulator knows about one Graph collection. Page sizes and link
// styles that no recording shows are marked; everything else was seen in recorded answers
// or stands in the published schema.
type collection struct {
	path   string // below the version root
	entity string // type of its items, or their common base
	v1     bool   // also under /v1.0 (source: v1.0 CSDL of 2026-08, all clouds alike)
	poly   bool   // items are of derived types and carry @odata.type
	roles  []string
	page   int  // items on a page, and the largest $top
	cosmos bool // continuation by a doubly encoded $skiptoken instead of $skip
	count  countKind
	hide   []string // properties that only a single item shows
	navs   []string // navigation properties that can be read or expanded
	bare   bool     // assignments have no source (source: type library of beta)
	union  []string // read from these collections instead
}

// sources are the paths of the collections that hold the items.
func (col *collection) sources() []string {
	if col.union != nil {
		return col.union
	}
	return []string{col.path}
}

// countKind says what @odata.count of a list holds when nobody asked for it.
type countKind int

const (
	countAbsent countKind = iota
	countPage             // items on this page, not in total (recorded)
	countZero             // 0 although there are items (recorded)
)

// intunePage is the page size of most Intune lists: 97 items came in one page (recorded); the limit is assumed.
const intunePage = 1000

// settingsPage is the page size of a policy's settings (observed by other tools).
const settingsPage = 25

var collectionList = []*collection{
	{path: "deviceManagement/configurationPolicies", entity: "deviceManagementConfigurationPolicy", roles: intune("Configuration"), page: 100, cosmos: true, count: countPage, navs: []string{"assignments", "settings"}},
	{path: "deviceManagement/compliancePolicies", entity: "deviceManagementCompliancePolicy", roles: intune("Configuration"), navs: []string{"assignments", "settings", "scheduledActionsForRule"}},
	{path: "deviceManagement/deviceConfigurations", entity: "deviceConfiguration", v1: true, poly: true, roles: intune("Configuration"), navs: []string{"assignments"}},
	{path: "deviceManagement/deviceCompliancePolicies", entity: "deviceCompliancePolicy", v1: true, poly: true, roles: intune("Configuration"), navs: []string{"assignments", "scheduledActionsForRule"}},
	{path: "deviceManagement/groupPolicyConfigurations", entity: "groupPolicyConfiguration", roles: intune("Configuration"), navs: []string{"assignments", "definitionValues"}, bare: true},
	{path: "deviceManagement/groupPolicyUploadedDefinitionFiles", entity: "groupPolicyUploadedDefinitionFile", roles: intune("Configuration")},
	{path: "deviceManagement/intents", entity: "deviceManagementIntent", roles: intune("Configuration"), navs: []string{"assignments", "settings"}, bare: true},
	{path: "deviceManagement/templates", entity: "deviceManagementTemplate", poly: true, roles: intune("Configuration")},
	{path: "deviceManagement/managementConditions", entity: "managementCondition", roles: intune("Configuration")},
	// Microsoft's table names no application permission for these scripts; tools use the Scripts permissions.
	{path: "deviceManagement/deviceManagementScripts", entity: "deviceManagementScript", roles: intune("Scripts"), hide: []string{"scriptContent"}, navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/deviceShellScripts", entity: "deviceShellScript", roles: intune("Configuration", "ManagedDevices", "Scripts"), hide: []string{"scriptContent"}, navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/deviceCustomAttributeShellScripts", entity: "deviceCustomAttributeShellScript", roles: intune("Configuration", "ManagedDevices", "Scripts"), hide: []string{"scriptContent"}, navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/deviceHealthScripts", entity: "deviceHealthScript", roles: intune("Configuration", "Scripts"), hide: []string{"detectionScriptContent", "remediationScriptContent"}, navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/deviceComplianceScripts", entity: "deviceComplianceScript", roles: intune("Configuration", "ManagedDevices", "Scripts"), hide: []string{"detectionScriptContent"}, navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/deviceEnrollmentConfigurations", entity: "deviceEnrollmentConfiguration", v1: true, poly: true, roles: intune("ServiceConfig", "Configuration"), navs: []string{"assignments"}},
	{path: "deviceManagement/windowsAutopilotDeploymentProfiles", entity: "windowsAutopilotDeploymentProfile", poly: true, roles: intune("ServiceConfig"), navs: []string{"assignments"}},
	{path: "deviceManagement/assignmentFilters", entity: "deviceAndAppManagementAssignmentFilter", roles: intune("Configuration")},
	{path: "deviceManagement/roleScopeTags", entity: "roleScopeTag", roles: intune("Configuration", "RBAC")},
	{path: "deviceManagement/notificationMessageTemplates", entity: "notificationMessageTemplate", v1: true, roles: intune("ServiceConfig"), navs: []string{"localizedNotificationMessages"}},
	{path: "deviceManagement/termsAndConditions", entity: "termsAndConditions", v1: true, roles: intune("ServiceConfig"), navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/windowsFeatureUpdateProfiles", entity: "windowsFeatureUpdateProfile", roles: intune("Configuration"), navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/windowsQualityUpdateProfiles", entity: "windowsQualityUpdateProfile", roles: intune("Configuration"), navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/windowsDriverUpdateProfiles", entity: "windowsDriverUpdateProfile", roles: intune("Configuration"), navs: []string{"assignments"}, bare: true},
	{path: "deviceManagement/reusablePolicySettings", entity: "deviceManagementReusablePolicySetting", roles: intune("Configuration")},
	{path: "deviceManagement/roleDefinitions", entity: "roleDefinition", v1: true, poly: true, roles: intune("RBAC", "Configuration"), navs: []string{"roleAssignments"}},
	{path: "deviceManagement/roleAssignments", entity: "deviceAndAppManagementRoleAssignment", v1: true, poly: true, roles: intune("RBAC", "Configuration")},
	{path: "deviceManagement/managedDevices", entity: "managedDevice", v1: true, roles: intune("ManagedDevices", "Configuration")},

	{path: "deviceAppManagement/mobileApps", entity: "mobileApp", v1: true, poly: true, roles: intune("Apps"), count: countZero, navs: []string{"assignments"}},
	{path: "deviceAppManagement/iosManagedAppProtections", entity: "iosManagedAppProtection", v1: true, roles: intune("Apps"), navs: []string{"assignments", "apps"}},
	{path: "deviceAppManagement/androidManagedAppProtections", entity: "androidManagedAppProtection", v1: true, roles: intune("Apps"), navs: []string{"assignments", "apps"}},
	{path: "deviceAppManagement/windowsManagedAppProtections", entity: "windowsManagedAppProtection", roles: intune("Apps"), navs: []string{"assignments", "apps"}},
	{path: "deviceAppManagement/targetedManagedAppConfigurations", entity: "targetedManagedAppConfiguration", v1: true, roles: intune("Apps"), navs: []string{"assignments", "apps"}},
	{path: "deviceAppManagement/windowsInformationProtectionPolicies", entity: "windowsInformationProtectionPolicy", v1: true, roles: intune("Apps"), navs: []string{"assignments"}},
	{path: "deviceAppManagement/mdmWindowsInformationProtectionPolicies", entity: "mdmWindowsInformationProtectionPolicy", v1: true, roles: intune("Apps"), navs: []string{"assignments"}},
	{path: "deviceAppManagement/managedAppPolicies", entity: "managedAppPolicy", v1: true, poly: true, roles: intune("Apps", "Configuration"), union: []string{
		"deviceAppManagement/androidManagedAppProtections", "deviceAppManagement/iosManagedAppProtections", "deviceAppManagement/windowsManagedAppProtections",
		"deviceAppManagement/targetedManagedAppConfigurations", "deviceAppManagement/windowsInformationProtectionPolicies", "deviceAppManagement/mdmWindowsInformationProtectionPolicies",
	}},
	{path: "deviceAppManagement/mobileAppConfigurations", entity: "managedDeviceMobileAppConfiguration", v1: true, poly: true, roles: intune("Apps"), navs: []string{"assignments"}, bare: true},
	{path: "deviceAppManagement/policySets", entity: "policySet", roles: intune("Apps"), navs: []string{"assignments"}},

	{path: "identity/conditionalAccess/policies", entity: "conditionalAccessPolicy", v1: true, roles: []string{"Policy.Read.All"}},
	{path: "identity/conditionalAccess/namedLocations", entity: "namedLocation", v1: true, poly: true, roles: []string{"Policy.Read.All"}},
	{path: "identity/conditionalAccess/authenticationStrength/policies", entity: "authenticationStrengthPolicy", v1: true, roles: []string{"Policy.Read.All"}},
	{path: "identity/conditionalAccess/authenticationContextClassReferences", entity: "authenticationContextClassReference", v1: true, roles: []string{"Policy.Read.All"}},
}

// collections finds a collection by its lower-case path.
var collections = func() map[string]*collection {
	m := map[string]*collection{}
	for _, col := range collectionList {
		if col.page == 0 {
			col.page = intunePage
		}
		m[strings.ToLower(col.path)] = col
	}
	return m
}()

// shelf holds the items of one collection in one tenant, built on first touch.
type shelf struct {
	once  sync.Once
	build func() []*item
	items []*item
}

// item is an entity: a body that tenants share, and the id that is its own.
type item struct {
	id string
	*seed
}

// seed is the shared, immutable part of an item.
type seed struct {
	name string              // tells seeds of a collection apart; ids derive from it
	body object              // with the id it was loaded with, if any
	navs map[string][]object // navigation properties
}

// all returns the items. The caller holds the tenant's lock, for reading at least.
func (s *shelf) all() []*item {
	s.once.Do(func() { s.items = s.build() })
	return s.items
}

// list answers GET {collection}.
func (s *Server) list(c *call, col *collection, q *query) *reply {
	if len(q.expand) > 0 && col.union != nil {
		return c.queryError(badQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", q.expand[0].name, col.entity))
	}
	pos := q.skip
	if col.cosmos && q.skipToken != "" {
		sealed, err := openCosmosToken(q.skipToken)
		cur := cursor{}
		if err == nil {
			cur, err = c.open(sealed, "skip", col.path)
		}
		if err != nil {
			return c.intuneError(http.StatusBadRequest, "BadRequest", "Invalid continuation token.")
		}
		pos = cur.Pos
	}
	size := col.page
	if q.top > 0 {
		size = min(q.top, col.page)
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	found := t.find(col, q)
	pos = min(pos, len(found))
	end := min(pos+size, len(found))
	if c.empty {
		end = pos
	}
	page := make([]object, 0, end-pos)
	for _, it := range found[pos:end] {
		o, err := c.render(col, it, q, true)
		if err != nil {
			return c.queryError(err)
		}
		page = append(page, o)
	}
	var next string
	if end < len(found) || c.empty {
		options := q.options()
		switch {
		case col.cosmos:
			next = c.link(options, "$skiptoken", escape(cosmosToken(c.seal(cursor{Kind: "skip", Path: col.path, Pos: end}))))
		default:
			next = c.link(options, "$skip", strconv.Itoa(end))
			if c.empty { // the page after an empty one starts where the empty one did, at another address
				next += "&_=" + c.requestID
			}
		}
	}
	out := object{{"@odata.context", rawJSON(c.context(col.path, q))}}
	switch {
	case col.count == countPage:
		out = append(out, field{"@odata.count", rawJSON(len(page))})
	case col.count == countZero:
		out = append(out, field{"@odata.count", rawJSON(0)})
	case q.count:
		out = append(out, field{"@odata.count", rawJSON(len(found))})
	}
	if next != "" {
		out = append(out, field{"@odata.nextLink", rawJSON(next)})
	}
	return c.entity(append(out, field{"value", rawJSON(page)}))
}

// find applies $filter and $orderby. The caller holds the tenant's lock.
func (t *tenant) find(col *collection, q *query) []*item {
	var all []*item
	for _, path := range col.sources() {
		all = append(all, t.world.shelves[strings.ToLower(path)].all()...)
	}
	if q.filter == nil && q.orderBy == nil {
		return all
	}
	found := make([]*item, 0, len(all))
	for _, it := range all {
		if q.filter == nil || q.filter.matches(it.body.with("id", it.id)) {
			found = append(found, it)
		}
	}
	for _, o := range slices.Backward(q.orderBy) {
		slices.SortStableFunc(found, func(a, b *item) int {
			n := compare(a.body.value(o.path), b.body.value(o.path))
			switch {
			case n == 2:
				return 0
			case o.desc:
				return -n
			}
			return n
		})
	}
	return found
}

// get answers GET {collection}/{id}.
func (s *Server) get(c *call, col *collection, id string, q *query) *reply {
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	it := t.item(col, id)
	if it == nil {
		return c.itemNotFound(col, id)
	}
	o, err := c.render(col, it, q, false)
	if err != nil {
		return c.queryError(err)
	}
	return c.entity(append(object{{"@odata.context", rawJSON(c.context(col.path, q) + "/$entity")}}, o...))
}

func (t *tenant) item(col *collection, id string) *item {
	for _, path := range col.sources() {
		for _, it := range t.world.shelves[strings.ToLower(path)].all() {
			if strings.EqualFold(it.id, id) {
				return it
			}
		}
	}
	return nil
}

func (c *call) itemNotFound(col *collection, id string) *reply {
	if !isIntune(col.path) {
		return c.directoryNotFound(id)
	}
	return c.intuneError(http.StatusNotFound, "ResourceNotFound",
		col.path[strings.LastIndexByte(col.path, '/')+1:]+" not found: "+id)
}

// navigation answers GET {collection}/{id}/{nav}.
func (s *Server) navigation(c *call, col *collection, id, nav string, q *query) *reply {
	i := slices.IndexFunc(col.navs, func(n string) bool { return strings.EqualFold(n, nav) })
	if i < 0 {
		return c.noSegment(nav)
	}
	nav = col.navs[i]
	if nav == "scheduledActionsForRule" { // observed: only $expand reaches it
		return c.graphError(http.StatusBadRequest, "No method match route template",
			fmt.Sprintf("No OData route exists that match template ~/singleton/navigation/key/navigation with http verb GET for request /DeviceConfiguration_2204/StatelessDeviceConfigurationFEService/%s('%s')/%s.", col.path, id, nav))
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	it := t.item(col, id)
	if it == nil {
		return c.itemNotFound(col, id)
	}
	all := t.nav(col, it, nav)
	size := intunePage
	if nav == "settings" {
		size = settingsPage
	}
	if q.top > 0 {
		size = min(size, q.top)
	}
	pos := min(q.skip, len(all))
	end := min(pos+size, len(all))
	out := object{{"@odata.context", rawJSON(fmt.Sprintf("%s/%s/$metadata#%s('%s')/%s", c.base, c.version(), col.path, it.id, nav))}}
	if nav == "settings" {
		out = append(out, field{"@odata.count", rawJSON(end - pos)})
	}
	if end < len(all) {
		options := url.Values{}
		if q.top > 0 {
			options.Set("$top", strconv.Itoa(q.top))
		}
		out = append(out, field{"@odata.nextLink", rawJSON(c.link(options, "$skip", strconv.Itoa(end)))})
	}
	page := all[pos:end]
	if page == nil {
		page = []object{}
	}
	return c.entity(append(out, field{"value", rawJSON(page)}))
}

// nav reads a navigation property. The caller holds the tenant's lock.
func (t *tenant) nav(col *collection, it *item, name string) []object {
	if stored, ok := it.navs[name]; ok {
		return stored
	}
	if name == "assignments" {
		return t.assignments(col, it)
	}
	return nil
}

// render shows an item as a list does (inList) or as a read of the single item does.
func (c *call) render(col *collection, it *item, q *query, inList bool) (object, error) {
	o := it.body.with("id", it.id)
	if it.body.index("isAssigned") >= 0 && slices.Contains(col.navs, "assignments") {
		o = o.with("isAssigned", len(c.tenant.nav(col, it, "assignments")) > 0)
	}
	o = o.without(func(name string) bool {
		switch {
		case name == "@odata.type":
			return !col.poly
		case inList && slices.Contains(col.hide, name):
			return true
		}
		return len(q.sel) > 0 && !slices.ContainsFunc(q.sel, func(s string) bool { return strings.EqualFold(s, name) })
	})
	for _, e := range q.expand {
		i := slices.IndexFunc(col.navs, func(n string) bool { return strings.EqualFold(n, e.name) })
		if i < 0 {
			return nil, badQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", e.name, col.entity)
		}
		nested, err := e.options()
		if err != nil {
			return nil, err
		}
		nav := col.navs[i]
		values := c.tenant.nav(col, it, nav)
		if nav == "scheduledActionsForRule" && len(nested.expand) == 0 {
			values = slices.Clone(values)
			for j, v := range values { // the actions themselves need their own $expand (observed)
				values[j] = v.without(func(n string) bool { return strings.HasPrefix(n, "scheduledActionConfigurations") })
			}
		}
		if values == nil {
			values = []object{}
		}
		o = append(o,
			field{nav + "@odata.context", rawJSON(fmt.Sprintf("%s/%s/$metadata#%s('%s')/%s", c.base, c.version(), col.path, it.id, nav))},
			field{nav, rawJSON(values)})
	}
	return c.annotate(col, it, o), nil
}

// annotate adds or takes away what the asked level of metadata says.
func (c *call) annotate(col *collection, it *item, o object) object {
	switch metadataLevel(c.Header.Get("Accept")) {
	case "none":
		return o.without(func(n string) bool { return strings.Contains(n, "@odata.") })
	case "full":
		self := fmt.Sprintf("%s('%s')", col.path, it.id)
		kind := it.body.text("@odata.type")
		if kind == "" {
			kind = "#microsoft.graph." + col.entity
		}
		full := object{{"@odata.type", rawJSON(kind)}, {"@odata.id", rawJSON(self)}, {"@odata.editLink", rawJSON(self)}}
		full = append(full, o.without(func(n string) bool { return n == "@odata.type" })...)
		for _, nav := range col.navs {
			link := c.base + "/" + c.version() + "/" + self + "/" + nav
			full = append(full, field{nav + "@odata.associationLink", rawJSON(link + "/$ref")}, field{nav + "@odata.navigationLink", rawJSON(link)})
		}
		return full
	}
	return o
}

// assignments makes up the assignments of an item: exports don't contain any. They
// follow from the item's id, so that they are the same at every read.
func (t *tenant) assignments(col *collection, it *item) []object {
	h := fnv.New32a()
	_, _ = h.Write([]byte(it.id)) // never fails
	n := int(h.Sum32() >> 8)
	appPolicy := strings.Contains(strings.ToLower(col.path), "managedapp") // groups only (observed by other tools)
	group := func(i int) string {
		if len(t.world.groups) == 0 {
			return ""
		}
		return t.world.groups[(n/7+i)%len(t.world.groups)].id
	}
	var out []object
	add := func(kind, groupID string) {
		if groupID == "" && strings.HasSuffix(kind, "roupAssignmentTarget") {
			return
		}
		target := object{
			{"@odata.type", rawJSON("#microsoft.graph." + kind)},
			{"deviceAndAppManagementAssignmentFilterId", rawJSON(nil)},
			{"deviceAndAppManagementAssignmentFilterType", rawJSON("none")},
		}
		key := "adadadad-808e-44e2-905a-0b7873a8a531" // the id that stands for all devices
		switch kind {
		case "allLicensedUsersAssignmentTarget":
			key = "acacacac-9df4-4c7d-9d50-4ef0226f57a9"
		case "groupAssignmentTarget", "exclusionGroupAssignmentTarget":
			key = groupID
			target = append(target, field{"groupId", rawJSON(groupID)})
		}
		a := object{{"id", rawJSON(it.id + "_" + key)}}
		if strings.HasSuffix(col.path, "mobileApps") {
			a = append(a, field{"intent", rawJSON("required")}, field{"settings", rawJSON(nil)})
		}
		if !col.bare {
			a = append(a, field{"source", rawJSON("direct")}, field{"sourceId", rawJSON(it.id)})
		}
		out = append(out, append(a, field{"target", rawJSON(target)}))
	}
	switch n % 5 {
	case 0: // not assigned
	case 1:
		if !appPolicy {
			add("allDevicesAssignmentTarget", "")
			break
		}
		add("groupAssignmentTarget", group(0))
	case 2:
		if !appPolicy {
			add("allLicensedUsersAssignmentTarget", "")
			break
		}
		add("groupAssignmentTarget", group(0))
	case 3:
		add("groupAssignmentTarget", group(0))
	default:
		add("groupAssignmentTarget", group(0))
		add("exclusionGroupAssignmentTarget", group(1))
	}
	return out
}
