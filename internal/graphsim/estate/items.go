package estate

import (
	"hash/fnv"
	"slices"
	"strings"
	"sync"

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
		all = append(all, t.World.shelves[strings.ToLower(path)].all()...)
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
			if strings.EqualFold(it.ID, id) {
				return it
			}
		}
	}
	return nil
}

// Nav returns the value of a navigation property. The caller holds the tenant's lock.
func (t *Tenant) Nav(col *Collection, it *Item, name string) []odata.Object {
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
		target := odata.Object{
			odata.F("@odata.type", "#microsoft.graph."+kind),
			odata.F("deviceAndAppManagementAssignmentFilterId", nil),
			odata.F("deviceAndAppManagementAssignmentFilterType", "none"),
		}
		key := "adadadad-808e-44e2-905a-0b7873a8a531" // the id of all devices
		switch kind {
		case "allLicensedUsersAssignmentTarget":
			key = "acacacac-9df4-4c7d-9d50-4ef0226f57a9"
		case "groupAssignmentTarget", "exclusionGroupAssignmentTarget":
			key = groupID
			target = append(target, odata.F("groupId", groupID))
		}
		a := odata.Object{odata.F("id", it.ID+"_"+key)}
		if strings.HasSuffix(col.Path, "mobileApps") {
			a = append(a, odata.F("intent", "required"), odata.F("settings", nil))
		}
		if !col.bare {
			a = append(a, odata.F("source", "direct"), odata.F("sourceId", it.ID))
		}
		out = append(out, append(a, odata.F("target", target)))
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
