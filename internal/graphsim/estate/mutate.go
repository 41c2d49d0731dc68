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

// PutItem adds or replaces an entity of a collection and returns its id.
func (t *Tenant) PutItem(path string, body odata.Object) (string, error) {
	col := Collections[strings.ToLower(path)]
	if col == nil || col.Union != nil {
		return "", fmt.Errorf("collection: %q is not one that holds items", path)
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	sh := t.World.shelves[strings.ToLower(path)]
	items := sh.all()
	id := body.Text("id")
	if id == "" {
		id = uuid.NewString()
	}
	sd := &seed{name: id, navs: map[string][]odata.Object{}}
	for _, nav := range col.Navs {
		if raw := body.Get(nav); raw != nil {
			list, err := odata.ParseList(raw)
			if err != nil {
				return "", fmt.Errorf("%s: %w", nav, err)
			}
			sd.navs[nav] = list
		}
	}
	sd.Body = body.Without(func(n string) bool { return slices.Contains(col.Navs, n) }).With("id", id)
	it := &Item{ID: id, seed: sd}
	if i := slices.IndexFunc(items, func(o *Item) bool { return o.ID == id }); i >= 0 {
		items[i] = it
	} else {
		sh.items = append(items, it)
	}
	return id, nil
}

// DeleteItem removes an entity from a collection.
func (t *Tenant) DeleteItem(path, id string) error {
	col := Collections[strings.ToLower(path)]
	if col == nil || col.Union != nil {
		return fmt.Errorf("collection: %q is not one that holds items", path)
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	sh := t.World.shelves[strings.ToLower(path)]
	items := sh.all()
	i := slices.IndexFunc(items, func(o *Item) bool { return strings.EqualFold(o.ID, id) })
	if i < 0 {
		return fmt.Errorf("id: there is no %q in %s", id, col.Path)
	}
	sh.items = slices.Delete(items, i, i+1)
	return nil
}
