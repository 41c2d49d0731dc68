package estate

import (
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// shelf holds the items of one collection in one tenant. They are built on first use.
type shelf struct {
	once  sync.Once
	build func() []*Item
	items []*Item
}

// Item is an entity: an id, and a body that tenants share.
type Item struct {
	ID string
	*seed

	written time.Time // when this version was written; zero for generated and loaded items
	before  *Item     // the version that late readers still see; nil: none
	gone    bool      // this version is a removal
}

// seed is the shared, immutable part of an item.
type seed struct {
	name string                    // unique in its collection; ids derive from it
	Body odata.Object              // with the id from its file, if any
	navs map[string][]odata.Object // navigation properties

	keep  bool   // the id in the body is the same in every tenant
	under string // of a role assignment: the name of the role definition that lists it
}

// all returns the items. The caller holds the tenant's lock, at least for reading.
func (s *shelf) all() []*Item {
	s.once.Do(func() { s.items = s.build() })
	return s.items
}

// Find returns the items of a collection by $filter and $orderby. The caller holds the tenant's lock.
func (t *Tenant) Find(col *Collection, q *odata.Query) []*Item {
	var all []*Item
	if col.derived != nil {
		all = col.derived(t)
	}
	for _, path := range col.sources() {
		all = append(all, t.listed(path)...)
	}
	if q.Filter == nil && q.OrderBy == nil {
		return all
	}
	found := make([]*Item, 0, len(all))
	for _, it := range all {
		if q.Filter == nil || q.Filter.Matches(it.Body.With("id", it.ID)) {
			found = append(found, it)
		}
	}
	for _, o := range slices.Backward(q.OrderBy) {
		slices.SortStableFunc(found, func(a, b *Item) int {
			n := odata.Compare(a.Body.Value(o.Path), b.Body.Value(o.Path))
			switch {
			case n == 2:
				return 0
			case o.Desc:
				return -n
			}
			return n
		})
	}
	return found
}

// Item returns an item by id, in any case, or nil. The caller holds the tenant's lock.
func (t *Tenant) Item(col *Collection, id string) *Item {
	if col.derived != nil {
		all := col.derived(t)
		if i := slices.IndexFunc(all, func(it *Item) bool { return strings.EqualFold(it.ID, id) }); i >= 0 {
			return all[i]
		}
	}
	for _, path := range col.sources() {
		for _, it := range t.World.shelves[strings.ToLower(path)].all() {
			if !strings.EqualFold(it.ID, id) {
				continue
			}
			if v := it.seen(t.estate.now(), milliseconds(t.lag(path).ItemMS)); v != nil {
				return v
			}
		}
	}
	return nil
}

// Nav returns the value of a navigation property. The caller holds the tenant's lock.
func (t *Tenant) Nav(col *Collection, it *Item, name string) []odata.Object {
	if name == "assignments" {
		it = it.assigned(t.estate.now(), milliseconds(t.lag(col.Path).AssignmentsMS))
	}
	if stored, ok := it.navs[name]; ok {
		return stored
	}
	switch name {
	case "assignments":
		return t.assignments(col, it)
	case "roleAssignments":
		return t.assignmentsOf(it)
	}
	return nil
}

// assignments generates the assignments of an item: exports contain none. They derive from
// the item's id, so that every read returns the same.
func (t *Tenant) assignments(col *Collection, it *Item) []odata.Object {
	h := fnv.New32a()
	_, _ = h.Write([]byte(it.ID)) // never fails
	n := int(h.Sum32() >> 8)
	appPolicy := strings.Contains(strings.ToLower(col.Path), "managedapp") // assigned only to groups (observed by other tools)
	group := func(i int) string {
		if len(t.World.Groups) == 0 {
			return ""
		}
		return t.World.Groups[(n/7+i)%len(t.World.Groups)].ID
	}
	var out []odata.Object
	add := func(kind, groupID string) {
		if groupID == "" && strings.HasSuffix(kind, "roupAssignmentTarget") {
			return
		}
		target := odata.Object{odata.F("@odata.type", "#microsoft.graph."+kind)}
		if groupID != "" {
			target = append(target, odata.F("groupId", groupID))
		}
		var extra odata.Object
		if strings.HasSuffix(col.Path, "mobileApps") {
			extra = odata.Object{odata.F("intent", "required"), odata.F("settings", nil)}
		}
		out = append(out, Assignment(col, it.ID, target, extra))
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

// Assignment returns an assignment of an item as the service returns it. extra holds what it has
// besides its target.
func Assignment(col *Collection, itemID string, target, extra odata.Object) odata.Object {
	key := target.Text("groupId")
	switch strings.TrimPrefix(target.Text("@odata.type"), "#") {
	case "microsoft.graph.allDevicesAssignmentTarget":
		key = "adadadad-808e-44e2-905a-0b7873a8a531" // the same in every tenant
	case "microsoft.graph.allLicensedUsersAssignmentTarget":
		key = "acacacac-9df4-4c7d-9d50-4ef0226f57a9"
	}
	filter, kind := target.Get("deviceAndAppManagementAssignmentFilterId"), target.Text("deviceAndAppManagementAssignmentFilterType")
	if kind == "" || filter == nil {
		filter, kind = odata.Raw(nil), "none"
	}
	out := odata.Object{
		odata.F("@odata.type", "#"+strings.TrimPrefix(target.Text("@odata.type"), "#")),
		odata.F("deviceAndAppManagementAssignmentFilterId", filter),
		odata.F("deviceAndAppManagementAssignmentFilterType", kind),
	}
	for _, f := range target {
		if out.Index(f.Name) < 0 {
			out = append(out, f)
		}
	}
	a := append(odata.Object{odata.F("id", itemID+"_"+key)}, extra...)
	if !col.bare {
		a = append(a, odata.F("source", "direct"), odata.F("sourceId", itemID))
	}
	return append(a, odata.F("target", out))
}

// Assignments returns the newest assignments of an item, whatever readers see. The caller holds
// the tenant's lock.
func (t *Tenant) Assignments(col *Collection, it *Item) []odata.Object {
	if stored, ok := it.navs["assignments"]; ok {
		return stored
	}
	return t.assignments(col, it)
}
