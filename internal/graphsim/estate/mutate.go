package estate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// GroupChange changes one group. The change appears in the next delta round.
type GroupChange struct {
	Op GroupOp `json:"op"`
	ID string  `json:"id,omitempty"` // of the group; empty: generated for [GroupAdd]

	DisplayName string `json:"displayName,omitempty"`
	Description string `json:"description,omitempty"`
	Rule        string `json:"rule,omitempty"` // membership rule; makes an added group dynamic

	Members []Member `json:"members,omitempty"`
	// Count is a number of generated users to add or remove, in addition to Members.
	Count int `json:"count,omitempty"`
}

// Member is a group member by id. Kind is user, device or group; empty means user.
type Member struct {
	ID   string `json:"id"`
	Kind string `json:"kind,omitempty"`
}

// GroupOp is the kind of a [GroupChange].
type GroupOp string

// The changes to groups.
const (
	GroupAdd           GroupOp = "add"
	GroupUpdate        GroupOp = "update"
	GroupDelete        GroupOp = "delete"  // soft delete: delta returns the reason "changed"
	GroupRestore       GroupOp = "restore" // undoes a soft delete
	GroupPurge         GroupOp = "purge"   // permanent: delta returns the reason "deleted"
	GroupAddMembers    GroupOp = "addMembers"
	GroupRemoveMembers GroupOp = "removeMembers"
)

// ApplyGroups applies changes in order and returns the id of each group. It stops at the first
// invalid change; earlier changes remain.
func (t *Tenant) ApplyGroups(changes []GroupChange, now time.Time) ([]string, error) {
	t.Touch()
	t.Lock()
	defer t.Unlock()
	ids := make([]string, 0, len(changes))
	for i, ch := range changes {
		id, err := t.applyGroup(ch, now)
		if err != nil {
			return ids, fmt.Errorf("changes[%d]: %w", i, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (t *Tenant) applyGroup(ch GroupChange, now time.Time) (string, error) {
	w := t.World
	g := w.ByID[strings.ToLower(ch.ID)]
	if ch.Op == GroupAdd {
		return t.addGroup(ch, g, now)
	}
	if g == nil || g.purged {
		return "", fmt.Errorf("id: there is no group %q", ch.ID)
	}
	entry := change{at: now, group: g}
	switch ch.Op {
	case GroupUpdate:
		if ch.DisplayName != "" {
			g.DisplayName, entry.fields = ch.DisplayName, append(entry.fields, "displayName")
		}
		if ch.Description != "" {
			g.description, entry.fields = ch.Description, append(entry.fields, "description")
		}
	case GroupDelete:
		g.deleted = now
	case GroupRestore:
		g.deleted, entry.whole = time.Time{}, true
	case GroupPurge:
		g.deleted, g.purged = now, true
	case GroupAddMembers:
		g.explicit()
		for _, m := range t.membersFor(ch, g, true) {
			if !slices.Contains(g.members, m) {
				g.members, entry.added = append(g.members, m), append(entry.added, m)
			}
		}
	case GroupRemoveMembers:
		g.explicit()
		for _, m := range t.membersFor(ch, g, false) {
			if i := slices.Index(g.members, m); i >= 0 {
				g.members, entry.removed = slices.Delete(g.members, i, i+1), append(entry.removed, m)
			}
		}
	case GroupAdd: // above
	default:
		return "", fmt.Errorf("op: %q is not a change to a group", ch.Op)
	}
	w.Changes = append(w.Changes, entry)
	return g.ID, nil
}

func (t *Tenant) addGroup(ch GroupChange, existing *Group, now time.Time) (string, error) {
	if existing != nil {
		return "", fmt.Errorf("id: a group %q exists", ch.ID)
	}
	if ch.DisplayName == "" {
		return "", fmt.Errorf("displayName is empty")
	}
	id := strings.ToLower(ch.ID)
	if id == "" {
		id = uuid.NewString()
	} else if _, err := uuid.Parse(id); err != nil {
		return "", fmt.Errorf("id: %q is not a GUID", ch.ID)
	}
	w := t.World
	g := &Group{
		ord: len(w.Groups), ID: id, DisplayName: ch.DisplayName, description: ch.Description, rule: ch.Rule,
		created: now.Truncate(time.Second), members: []MemberRef{},
	}
	g.members = t.membersFor(ch, g, true)
	w.Groups, w.ByID[id] = append(w.Groups, g), g
	w.Changes = append(w.Changes, change{at: now, group: g, whole: true})
	return id, nil
}

// membersFor returns the members of a change: the named ones, then Count generated users that
// are not in the group yet, or the last Count members to remove.
func (t *Tenant) membersFor(ch GroupChange, g *Group, adding bool) []MemberRef {
	out := []MemberRef{}
	for _, m := range ch.Members {
		out = append(out, t.reference(m))
	}
	if !adding {
		n := min(ch.Count, len(g.members))
		return append(out, g.members[len(g.members)-n:]...)
	}
	for n, added := MemberRef(0), 0; added < ch.Count && n < UserCount; n++ {
		if !slices.Contains(g.members, n) && !slices.Contains(out, n) {
			out, added = append(out, n), added+1
		}
	}
	return out
}

// reference returns the generated user or device with an id, or adds a foreign member.
func (t *Tenant) reference(m Member) MemberRef {
	id := strings.ToLower(m.ID)
	for i, f := range t.World.foreign {
		if f.id == id {
			return foreignMember | MemberRef(i)
		}
	}
	for n := range MemberRef(UserCount) {
		if t.MemberID(n) == id {
			return n
		}
	}
	for n := range MemberRef(defaultDevices) {
		if t.MemberID(n|deviceMember) == id {
			return n | deviceMember
		}
	}
	kind := m.Kind
	if kind == "" {
		kind = "user"
	}
	t.World.foreign = append(t.World.foreign, foreign{id, kind})
	return foreignMember | MemberRef(len(t.World.foreign)-1)
}

// PutItem adds or replaces an entity of a collection and returns its id. It does what the service
// would not: it checks nothing, and readers see it at once.
func (t *Tenant) PutItem(path string, body odata.Object) (string, error) {
	return t.administer(path, body.Text("id"), func(col *Collection, old *Item) (Draft, error) {
		d := Draft{ID: body.Text("id"), Navs: map[string][]odata.Object{}, of: old}
		if d.ID == "" {
			d.ID = uuid.NewString()
		}
		d.Body = body.With("id", d.ID)
		return d, nil
	})
}

// PatchItem changes properties of an entity as an administrator does in the portal: readers see
// it at once, its version grows, and its time of change is now.
func (t *Tenant) PatchItem(path, id string, change odata.Object, now time.Time) error {
	_, err := t.administer(path, id, func(col *Collection, old *Item) (Draft, error) {
		if old == nil {
			return Draft{}, fmt.Errorf("%w: there is no %q in %s", ErrNotThere, id, path)
		}
		d := t.Edit(col, old)
		for _, f := range change {
			if f.Name != "id" {
				d.Body = d.Body.With(f.Name, f.Raw)
			}
		}
		d.Body = Touched(d.Body, now)
		return d, nil
	})
	return err
}

// administer stores what change makes of an item; nil stands for none. Navigation properties in
// its body replace those of the item.
func (t *Tenant) administer(path, id string, change func(*Collection, *Item) (Draft, error)) (string, error) {
	col := Collections[strings.ToLower(path)]
	if col == nil || col.Union != nil {
		return "", fmt.Errorf("collection: %q is not one that holds items", path)
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	d, err := change(col, t.Latest(col, id))
	if err != nil {
		return "", err
	}
	for _, nav := range col.Navs {
		if raw := d.Body.Get(nav); raw != nil {
			list, err := odata.ParseList(raw)
			if err != nil {
				return "", fmt.Errorf("%s: %w", nav, err)
			}
			d.Navs[nav] = list
		}
	}
	d.Body = d.Body.Without(func(n string) bool { return slices.Contains(col.Navs, n) })
	t.Commit(col, d, time.Time{})
	return d.ID, nil
}

// DeleteItem removes an entity from a collection. Readers see it at once.
func (t *Tenant) DeleteItem(path, id string) error {
	col := Collections[strings.ToLower(path)]
	if col == nil || col.Union != nil {
		return fmt.Errorf("collection: %q is not one that holds items", path)
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	it := t.Latest(col, id)
	if it == nil {
		return fmt.Errorf("id: there is no %q in %s", id, col.Path)
	}
	t.Remove(col, it, time.Time{})
	return nil
}

// writtenFormat is the format of times that the service sets: up to seven digits of a second
// (recorded).
const writtenFormat = "2006-01-02T15:04:05.0000000Z"

// WrittenAt returns a time as the service writes it into what a call changes.
func WrittenAt(now time.Time) string { return now.UTC().Format(writtenFormat) }

// Touched returns a body after a change: its version and its time of change, if it has them, are new.
func Touched(body odata.Object, now time.Time) odata.Object {
	for _, stamp := range []string{"lastModifiedDateTime", "modifiedDateTime"} {
		if body.Index(stamp) >= 0 {
			body = body.With(stamp, WrittenAt(now))
			break
		}
	}
	switch version := body.Value("version").(type) {
	case float64: // grows by one with every write (recorded)
		body = body.With("version", int(version)+1)
	case string:
		if strings.HasPrefix(version, `"`) { // app policies: an ETag in quotes (recorded)
			body = body.With("version", `"`+uuid.NewString()+`"`)
		}
	}
	return body
}
