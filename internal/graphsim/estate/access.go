package estate

import (
	"encoding/json"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// conditionalAccess returns the seeds as items. Generated ones refer to groups and named
// locations of the tenant: every second excludes a group, every third a location.
func (t *Tenant) conditionalAccess(col *Collection, seeds []*seed, groups []*Group) []*Item {
	items := t.items(col, seeds)
	locations := t.World.shelves["identity/conditionalaccess/namedlocations"].all()
	for i, it := range items {
		if !strings.HasPrefix(it.name, "generated ") {
			continue
		}
		body := it.Body
		if i%2 == 0 && len(groups) > 0 {
			body = withIn(body, "conditions", "users", "excludeGroups", []string{groups[i%len(groups)].ID})
		}
		if i%3 == 0 && len(locations) > 0 {
			where := odata.Object{odata.F("includeLocations", []string{"All"}), odata.F("excludeLocations", []string{locations[i%len(locations)].ID})}
			body = withIn(body, "conditions", "", "locations", where)
		}
		items[i] = &Item{ID: it.ID, seed: &seed{name: it.name, Body: body, navs: it.navs}}
	}
	return items
}

// withIn returns body with a value in a nested object: body.outer.inner.name, or body.outer.name
// if inner is empty.
func withIn(body odata.Object, outer, inner, name string, v any) odata.Object {
	nested := func(raw json.RawMessage) odata.Object {
		o, err := odata.Parse(raw)
		if err != nil {
			return odata.Object{} // it is null
		}
		return o
	}
	o := nested(body.Get(outer))
	if inner == "" {
		return body.With(outer, o.With(name, v))
	}
	return body.With(outer, o.With(inner, nested(o.Get(inner)).With(name, v)))
}
