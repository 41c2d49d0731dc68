package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var directoryGroupsSync = &Definition{
	Kind:        op.DirectoryGroupsSync,
	Version:     1,
	Capability:  tenancy.SyncGroups,
	Permissions: []Permission{directoryGroups.permission},
	Blockers:    Blockers{Identity: true, Credential: true, Consent: true, Permissions: true, Verification: true, MaxAge: verificationGood},
	Canonical:   canonicalGroupsSync,
	Parameters:  GroupsSyncParameters{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    time.Hour,
	CallLimit:   30 * time.Second,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         syncGroups,
}

// GroupsSyncParameters are the parameters of directory.groups.sync.
type GroupsSyncParameters struct {
	Full bool `json:"full" doc:"Read every group anew instead of the changes since the last sync." required:"false"`
}

func canonicalGroupsSync(raw json.RawMessage) (json.RawMessage, error) {
	var p GroupsSyncParameters
	if err := decodeStrict(raw, &p); err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// firstDelta begins a delta round over all groups. The selection is frozen in the
// links that follow from it; docs: $top, $orderby and $expand are refused here.
const firstDelta = "/v1.0/groups/delta?$select=displayName,description,groupTypes,membershipRule,securityEnabled,mailEnabled,members"

// syncGroups reads all groups, or what changed since the last round. When the
// provider no longer knows the round to go on from, everything is read anew in
// the same run; readers see the old rows until the new ones are complete.
//
// Groups and members are two datasets, committed one after the other, members
// first, and both carry the token of the round they came from. A crash between
// the two commits leaves unequal tokens. The next run then reads everything: to
// go on from the older token over the newer members could miss a member that
// came and went in between.
func syncGroups(ctx context.Context, env *Env) error {
	var p GroupsSyncParameters
	if err := json.Unmarshal(env.Parameters, &p); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	from, err := deltaToken(ctx, env.Data)
	if err != nil {
		return err
	}
	if p.Full {
		from = ""
	}
	if from != "" {
		err := readGroups(ctx, env, from)
		if !lostTrack(err) {
			return err
		}
		if err := env.Report.Event(ctx, "The last sync is too old to go on from"); err != nil {
			return err
		}
	}
	err = readGroups(ctx, env, "")
	if lostTrack(err) { // a reset in the middle of a full round; once more, and then it is the provider's fault
		err = readGroups(ctx, env, "")
	}
	return err
}

// deltaToken returns the token to go on from, or "" to read everything.
func deltaToken(ctx context.Context, data Data) (string, error) {
	groups, err := data.Dataset(ctx, Groups)
	if err != nil {
		return "", err
	}
	members, err := data.Dataset(ctx, GroupMembers)
	if err != nil {
		return "", err
	}
	if groups.Delta != members.Delta {
		return "", nil
	}
	return groups.Delta, nil
}

// lostTrack reports whether the provider can't go on from where the round stood.
// A link that leads to another host was given out before the provider moved.
func lostTrack(err error) bool {
	var pe *provider.Error
	return errors.As(err, &pe) && (pe.Resync || errors.Is(pe, provider.ErrForeignLink))
}

// readGroups makes one round: incremental from a token, full without one.
func readGroups(ctx context.Context, env *Env, from string) error {
	full := from == ""
	first, event := from, "Reading the changes since the last sync"
	if full {
		first, event = firstDelta, "Reading all groups and members"
	}
	if err := env.Report.Event(ctx, event); err != nil {
		return err
	}
	members, err := env.Data.Begin(ctx, GroupMembers, full)
	if err != nil {
		return err
	}
	groups, err := env.Data.Begin(ctx, Groups, full)
	if err != nil {
		return err
	}
	r := &groupsRound{
		env: env, full: full, groups: groups, members: members,
		seen: make(map[string]bool), gone: make(map[string]bool), left: make(map[membership]bool),
	}
	token := ""
	for page, err := range provider.Walk(ctx, env.Provider, first) {
		if err != nil {
			return err
		}
		if err := r.read(ctx, page.Items); err != nil {
			return err
		}
		token = page.Delta
	}
	if token == "" {
		return &provider.Error{Reason: op.ProviderRejected, Message: "the round ended without a delta link"}
	}
	return r.commit(ctx, token)
}

// groupsRound is one delta round on its way into the two datasets. docs: the same
// group comes several times when its members fill more than a page, any page may
// come again, and objects are in no order. So the rule is that what came last
// counts, and reading a page twice changes nothing.
type groupsRound struct {
	env             *Env
	full            bool
	groups, members Round
	seen            map[string]bool     // groups that came with their properties
	gone            map[string]bool     // groups that were reported removed
	left            map[membership]bool // members that were reported removed
	memberChanges   int
}

type membership struct{ group, member string }

// groupsPage is what one page comes to, each key with its last state. A group
// that is gone takes its members along; what came after that is in puts.
type groupsPage struct {
	gone    []string
	groups  map[string]Row
	members map[membership]*Row // nil: removed
}

func (r *groupsRound) read(ctx context.Context, items []json.RawMessage) error {
	page := groupsPage{groups: make(map[string]Row), members: make(map[membership]*Row)}
	for _, raw := range items {
		g, err := parseGroup(raw)
		if err != nil {
			return err
		}
		if g.removed {
			r.remove(&page, g.row.ID)
			continue
		}
		// An object that has nothing but members tells of them alone. It must not
		// take the place of the properties that are known already.
		if g.described || r.full && !r.seen[g.row.ID] {
			page.groups[g.row.ID] = g.row
			r.seen[g.row.ID] = true
			delete(r.gone, g.row.ID)
		}
		for _, m := range g.members {
			key := membership{g.row.ID, m.row.ID}
			r.memberChanges++
			if m.removed {
				page.members[key] = nil
				r.left[key] = true
				continue
			}
			m.row.Parent = g.row.ID
			page.members[key] = &m.row
			delete(r.left, key)
		}
	}
	if err := r.write(ctx, page); err != nil {
		return err
	}
	return r.env.Report.Progress(ctx, op.Counts{Done: int64(len(r.seen))})
}

// remove takes a group off the page. docs: reason "changed" is a soft-deleted
// group, "deleted" one that is gone for good; either way it is no longer there,
// and a restored one comes back as new.
func (r *groupsRound) remove(page *groupsPage, id string) {
	page.gone = append(page.gone, id)
	delete(page.groups, id)
	for key := range page.members {
		if key.group == id {
			delete(page.members, key)
		}
	}
	delete(r.seen, id)
	r.gone[id] = true
}

func (r *groupsRound) write(ctx context.Context, page groupsPage) error {
	if len(page.gone) > 0 {
		if err := r.members.Remove(ctx, "", page.gone); err != nil {
			return err
		}
		if err := r.groups.Remove(ctx, "", page.gone); err != nil {
			return err
		}
	}
	if len(page.groups) > 0 {
		if err := r.groups.Put(ctx, slices.Collect(maps.Values(page.groups))); err != nil {
			return err
		}
	}
	var stay []Row
	leave := make(map[string][]string)
	for key, row := range page.members {
		if row == nil {
			leave[key.group] = append(leave[key.group], key.member)
		} else {
			stay = append(stay, *row)
		}
	}
	for group, ids := range leave {
		if err := r.members.Remove(ctx, group, ids); err != nil {
			return err
		}
	}
	if len(stay) == 0 {
		return nil
	}
	return r.members.Put(ctx, stay)
}

// commit shows the round to readers and reports what came.
func (r *groupsRound) commit(ctx context.Context, token string) error {
	members, err := r.members.Commit(ctx, token)
	if err != nil {
		return err
	}
	groups, err := r.groups.Commit(ctx, token)
	if err != nil {
		return err
	}
	for _, item := range []op.Item{
		r.item("groups", "Groups", groups, len(r.seen)+len(r.gone), len(r.gone)),
		r.item("members", "Members", members, r.memberChanges, len(r.left)),
	} {
		if err := r.env.Report.Item(ctx, item); err != nil {
			return err
		}
	}
	return r.env.Report.Progress(ctx, op.Counts{Done: groups, Total: groups})
}

// item is the line of one dataset: how many rows are known now, all of them as of
// this round, and how many the round took away.
func (r *groupsRound) item(key, name string, rows int64, changes, removed int) op.Item {
	item := op.Item{
		Key:    key,
		Name:   name,
		Result: op.ItemDone,
		Counts: op.Counts{Done: rows, Total: rows},
		Args:   op.Args{"changed": strconv.Itoa(changes), "removed": strconv.Itoa(removed)},
		At:     r.env.Now(),
	}
	if !r.full && changes == 0 {
		item.Result = op.ItemUnchanged
	}
	return item
}

// deltaObject is a group or a member as a delta round tells of it.
type deltaObject struct {
	row       Row
	removed   bool
	described bool // it came with properties
	members   []deltaObject
}

// parseGroup reads one object of a round. The row keeps its properties as the
// provider wrote them, without the members: those are rows of their own.
func parseGroup(raw json.RawMessage) (deltaObject, error) {
	var properties object
	if err := json.Unmarshal(raw, &properties); err != nil {
		return deltaObject{}, unreadable("a group", err)
	}
	members := properties.take("members@delta")
	g, err := parseDelta(properties)
	if err != nil {
		return g, err
	}
	g.row.Type = string(groupType(g.row.Data))
	if members == nil {
		return g, nil
	}
	var list []object
	if err := json.Unmarshal(members, &list); err != nil {
		return deltaObject{}, unreadable("the members of a group", err)
	}
	g.members = make([]deltaObject, len(list))
	for i, properties := range list {
		if g.members[i], err = parseDelta(properties); err != nil {
			return deltaObject{}, err
		}
	}
	return g, nil
}

func parseDelta(properties object) (deltaObject, error) {
	d := deltaObject{removed: properties.take("@removed") != nil}
	for _, p := range properties {
		d.described = d.described || p.name != "id" && !strings.HasPrefix(p.name, "@odata.")
	}
	var err error
	d.row, err = newRow(properties.raw())
	return d, err
}

// groupType tells the type of a group from its properties, as far as they can be
// read. docs: the group resource type, "Group types in Microsoft Entra ID".
func groupType(raw json.RawMessage) (t tenancy.GroupType) {
	var g struct {
		GroupTypes      []string `json:"groupTypes"`
		SecurityEnabled bool     `json:"securityEnabled"`
		MailEnabled     bool     `json:"mailEnabled"`
	}
	_ = json.Unmarshal(raw, &g) // what has another shape than documented is left out
	switch {
	case slices.Contains(g.GroupTypes, "Unified"):
		t = tenancy.Microsoft365Group
	case g.SecurityEnabled && g.MailEnabled:
		t = tenancy.MailSecurityGroup
	case g.SecurityEnabled:
		t = tenancy.SecurityGroup
	case g.MailEnabled:
		t = tenancy.DistributionGroup
	}
	if slices.Contains(g.GroupTypes, "DynamicMembership") {
		return t.ByRule()
	}
	return t
}
