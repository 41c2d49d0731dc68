package estate

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Writes counts what was written to a collection since the tenant was added or reset, by calls
// to Graph. Each change counts once, also if its response is lost.
type Writes struct {
	Created  int `json:"created,omitempty"`
	Updated  int `json:"updated,omitempty"`  // also by actions that change a part
	Assigned int `json:"assigned,omitempty"` // calls that changed the assignments
	Deleted  int `json:"deleted,omitempty"`
}

// Draft is the next version of an item, before it is committed.
type Draft struct {
	ID   string
	Body odata.Object
	Navs map[string][]odata.Object // navigation properties that can be written

	of *Item // nil: a new item
}

// Latest returns the newest version of an item, whatever readers see, or nil. The caller holds
// the lock of t.
func (t *Tenant) Latest(col *Collection, id string) *Item {
	for _, it := range t.World.shelves[strings.ToLower(col.Path)].all() {
		if !it.gone && strings.EqualFold(it.ID, id) {
			return it
		}
	}
	return nil
}

// Has reports whether a collection holds an item with that id. The caller holds the lock of t.
func (t *Tenant) Has(path, id string) bool {
	return t.Latest(Collections[strings.ToLower(path)], id) != nil
}

// HasGroup reports whether a group exists. The caller holds the lock of t.
func (t *Tenant) HasGroup(id string) bool {
	g := t.World.ByID[strings.ToLower(id)]
	return g != nil && g.Alive()
}

// Edit returns a draft of an item. The caller holds the lock of t.
func (t *Tenant) Edit(col *Collection, it *Item) Draft {
	d := Draft{ID: it.ID, Body: it.Body.With("id", it.ID), Navs: map[string][]odata.Object{}, of: it}
	for name, list := range it.navs {
		d.Navs[name] = list
	}
	if slices.Contains(col.Navs, "assignments") && d.Navs["assignments"] == nil { // those that derive from the id
		d.Navs["assignments"] = t.Assignments(col, it)
	}
	return d
}

// New returns a draft of a new item with what the service sets.
func (t *Tenant) New(col *Collection, body odata.Object, navs map[string][]odata.Object, now time.Time) Draft {
	id, at := newID(col, body), WrittenAt(now)
	switch col.Entity {
	case "notificationMessageTemplate", "deviceManagementIntent":
		body = body.With("lastModifiedDateTime", at)
	case "roleDefinition", "roleScopeTag": // have no times
	case "conditionalAccessPolicy", "namedLocation", "authenticationStrengthPolicy":
		body = body.With("createdDateTime", at).With("modifiedDateTime", at)
	default:
		body = body.With("createdDateTime", at).With("lastModifiedDateTime", at)
	}
	for _, nav := range col.Navs {
		if nav != "roleAssignments" && navs[nav] == nil { // roleAssignments are found by the role
			navs[nav] = []odata.Object{}
		}
	}
	return Draft{ID: id, Body: fill(col, body, &seed{navs: navs}).With("id", id), Navs: navs}
}

// newID returns an id in the form of the collection (recorded).
func newID(col *Collection, body odata.Object) string {
	id := uuid.NewString()
	switch {
	case strings.HasSuffix(col.Path, "roleScopeTags"): // numbers
		return strconv.FormatUint(uint64(uuid.MustParse(id).ID()%1_000_000+1), 10)
	case strings.Contains(col.Path, "ManagedAppProtections"):
		return "T_" + id
	case strings.Contains(col.Path, "targetedManagedAppConfigurations"):
		return "A_" + id
	case strings.HasSuffix(col.Path, "deviceEnrollmentConfigurations"):
		kind := strings.TrimPrefix(body.Text("@odata.type"), "#microsoft.graph.")
		switch kind {
		case "windows10EnrollmentCompletionPageConfiguration":
			return id + "_Windows10EnrollmentCompletionPageConfiguration"
		case "deviceEnrollmentPlatformRestrictionConfiguration":
			return id + "_SinglePlatformRestriction"
		case "deviceEnrollmentLimitConfiguration":
			return id + "_Limit"
		}
	}
	return id
}

// Preview returns a draft as an item, without storing it.
func Preview(d Draft) *Item {
	sd := &seed{name: d.ID, Body: d.Body, navs: d.Navs}
	if d.of != nil {
		sd.name, sd.under = d.of.name, d.of.under
	}
	return &Item{ID: d.ID, seed: sd}
}

// Commit stores a draft as the newest version. It returns the item. The caller holds the lock
// of t.
func (t *Tenant) Commit(col *Collection, d Draft, now time.Time) *Item {
	it := Preview(d)
	it.written = now
	t.put(col, it, d.of)
	return it
}

// Adopt stores a draft of an item of another collection, which readers see at once. The caller
// holds the lock of t.
func (t *Tenant) Adopt(col *Collection, d Draft) {
	d.of = nil
	t.Commit(col, d, time.Time{})
}

// Remove deletes an item. The caller holds the lock of t.
func (t *Tenant) Remove(col *Collection, it *Item, now time.Time) {
	t.put(col, &Item{ID: it.ID, seed: it.seed, written: now, gone: true}, it)
}

// put places a version on its shelf, in the place of the one before. Versions and removals that
// no reader can see any more are dropped.
func (t *Tenant) put(col *Collection, it, before *Item) {
	lag := t.lag(col.Path).longest()
	sh := t.World.shelves[strings.ToLower(col.Path)]
	items := slices.Clone(sh.all()) // readers keep what they have
	if before != nil && lag > 0 {
		if it.written.Sub(before.written) >= lag {
			before.before = nil
		}
		it.before = before
	}
	switch i := slices.Index(items, before); {
	case before != nil && i >= 0:
		items[i] = it
	default:
		items = append(items, it)
	}
	sh.items = slices.DeleteFunc(items, func(o *Item) bool { return o.gone && it.written.Sub(o.written) >= lag })
}

// Count counts writes to a collection. The caller holds the lock of t.
func (t *Tenant) Count(col *Collection, add Writes) {
	w := t.World.writes[col.Path]
	w.Created, w.Updated, w.Assigned, w.Deleted = w.Created+add.Created, w.Updated+add.Updated, w.Assigned+add.Assigned, w.Deleted+add.Deleted
	t.World.writes[col.Path] = w
}
