package catalogue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Groups is the name of the dataset of the directory's groups and their members.
const Groups = "groups"

var _ = Register(&Definition{
	Kind:    op.DirectoryGroupsSync,
	Version: 1,
	Place:   30,
	Words: op.KindWords{
		Name: "Directory groups sync", Does: "Reads groups and their members from Entra ID.",
		Start: "Start sync", Item: "group", Items: "groups",
	},
	Icon:        "users",
	Capability:  "directory.groups.sync",
	Allows:      "Sync directory groups",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Datasets:    []DatasetInfo{groups},
	Permissions: []Permission{directoryGroups.permission},
	Baseline:    true,
	Blockers:    AllBlockers(),
	Canonical:   canonicalGroupsSync,
	Parameters:  GroupsSyncParameters{},
	Example:     json.RawMessage(`{"full":true}`),
	QueueLimit:  2 * time.Hour,
	RunLimit:    readLimit,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Learns:      true,
	Run:         syncGroups,
})

var groups = DatasetInfo{
	Name:  Groups,
	Title: "Directory groups",
	Tab:   "Groups",
	Lead:  "Groups of {tenant} and their members, as Interlock last read them.",
	Icon:  "users",
	Item:  "group",
	Items: "groups",
	Columns: []Column{
		{Title: "Group"},
		{Title: "Type", Text: groupTypeWords},
		{Title: "Members", Count: true},
		{Title: "Description", Text: func(r Row) string { return textOf(r, "description") }},
	},
	Note:  groupMembership,
	Sort:  []SortKey{ByName},
	Types: groupRowTypes(),
	TypeHelp: `One type only; dynamic: every group whose members a rule chooses. The type of a group stands in its "type", ` +
		`with "dynamic_" before it where a rule chooses the members.`,
	NotRead: Empty{"No groups yet", "Groups appear here once a sync has read them through the default connection."},
	None:    Empty{"The directory has no groups", "The last sync found none."},
	Members: true,
	Facts: []Fact{
		{Title: "Type", Text: groupTypeWords},
		{Title: "Membership", Text: groupMembership},
		{Title: "Rule", Text: func(r Row) string { return textOf(r, "membershipRule") }, Code: true},
		{Title: "Description", Text: func(r Row) string { return textOf(r, "description") }},
	},
}

// groupTypeWords names the type of a group.
func groupTypeWords(r Row) string {
	plain, _ := tenancy.GroupType(r.Type).Plain()
	return plain.Words()
}

// groupMembership tells how a group gets its members.
func groupMembership(r Row) string {
	if _, byRule := tenancy.GroupType(r.Type).Plain(); byRule {
		return "Dynamic"
	}
	return "Assigned"
}

// groupRowTypes are the types that groups can be asked for by.
func groupRowTypes() []RowType {
	var types []RowType
	for _, t := range tenancy.GroupTypes() {
		choice := RowType{Key: string(t), Words: t.Words()}
		for _, stored := range t.Covers() {
			choice.Covers = append(choice.Covers, string(stored))
		}
		types = append(types, choice)
	}
	return types
}

// GroupsSyncParameters are the parameters of directory.groups.sync.
type GroupsSyncParameters struct {
	Full bool `json:"full" doc:"Read every group anew instead of the changes since the last sync." required:"false"`
}

func canonicalGroupsSync(raw json.RawMessage) (json.RawMessage, error) {
	var p GroupsSyncParameters
	if err := DecodeParameters(raw, &p); err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// firstDelta begins a delta round over all groups. The selection is frozen in the
// links that follow from it; docs: $top, $orderby and $expand are refused here.
const firstDelta = "/v1.0/groups/delta?$select=displayName,description,groupTypes,membershipRule,securityEnabled,mailEnabled,members"

// syncGroups reads all groups, or what changed since the last round. When the
// provider does not go on from there, everything is read anew in the same run;
// readers see the old rows until the new ones are complete.
func syncGroups(ctx context.Context, env *Env) error {
	var p GroupsSyncParameters
	if err := json.Unmarshal(env.Parameters, &p); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	known, err := env.Data.Dataset(ctx, Groups)
	if err != nil {
		return err
	}
	if known.Delta != "" && !p.Full {
		err := readGroups(ctx, env, known.Delta)
		if !lostTrack(err, false) {
			return err
		}
		if err := env.Report.Event(ctx, "The provider can't go on from the last sync"); err != nil {
			return err
		}
	}
	err = readGroups(ctx, env, "")
	if lostTrack(err, true) { // a reset in the middle of a full round; once more, and then it is the provider's fault
		err = readGroups(ctx, env, "")
	}
	return err
}

// lostTrack reports whether the provider can't go on from where the round stood.
// A round that goes on from an earlier one is not given up for the code of a
// refusal: docs name several, and observed: any 400 can be one. A link that leads
// to another host was given out before the provider moved.
func lostTrack(err error, full bool) bool {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return false
	}
	refused := pe.Status == http.StatusBadRequest || pe.Status == http.StatusGone
	return pe.Resync || errors.Is(pe, provider.ErrForeignLink) || !full && refused
}

// Changes are held until there are this many, each group and each member being
// one. Of a full round that is about a page. An incremental round should be known
// to its end before it changes what readers see: one that is cut off after that
// means a full one next time.
const (
	heldOfFull        = 5_000
	heldOfIncremental = 100_000
)

// progressEvery is how often a round tells how far it is.
const progressEvery = time.Second

// readGroups makes one round: incremental from a token, full without one.
func readGroups(ctx context.Context, env *Env, from string) error {
	r := newGroupsRound(env, from == "")
	first, event := from, "Reading the changes since the last sync"
	if r.full {
		first, event = firstDelta, "Reading all groups and members"
	}
	if err := env.Report.Event(ctx, event); err != nil {
		return err
	}
	token := ""
	for page, err := range provider.Ahead(ctx, env.Provider, first) {
		if err != nil {
			return err
		}
		if err := r.read(ctx, page.Items); err != nil {
			return err
		}
		token = page.Delta
	}
	if token == "" {
		return &provider.Error{Reason: op.ProviderFault, Note: "the round ended without a delta link", At: time.Now()}
	}
	return r.commit(ctx, token)
}

// groupsRound is one delta round on its way into the dataset. docs: the same
// group comes several times when its members fill more than a page, any page may
// come again, and objects are in no order. So the rule is that what came last
// counts, and reading a page twice changes nothing.
type groupsRound struct {
	env           *Env
	full          bool
	round         Round             // once it has begun
	seen          map[string]bool   // groups that came with their properties
	gone          map[string]bool   // groups that were reported removed
	left          map[memberOf]bool // members that were reported removed
	memberChanges int               //
	flaws         flaws             // of groups
	memberFlaws   flaws             // of members
	told          time.Time         // when progress was told last
	held          groupChanges      // not written yet
}

type memberOf struct{ group, member string }

// groupChanges are changes that were not written yet, each group and member with
// its last state. A group that is gone takes its members along; what came after
// that is in the other two.
type groupChanges struct {
	gone    map[string]bool
	groups  map[string]Row
	members map[string]map[string]memberState // by group and id
	count   int                               // of what came, at least as many as there are
}

type memberState struct {
	of      string // the @odata.type
	removed bool
}

func newGroupChanges() groupChanges {
	return groupChanges{gone: make(map[string]bool), groups: make(map[string]Row), members: make(map[string]map[string]memberState)}
}

func newGroupsRound(env *Env, full bool) *groupsRound {
	return &groupsRound{
		env: env, full: full, held: newGroupChanges(),
		seen: make(map[string]bool), gone: make(map[string]bool), left: make(map[memberOf]bool),
	}
}

func (r *groupsRound) read(ctx context.Context, items []json.RawMessage) error {
	hold := heldOfIncremental
	if r.full {
		hold = heldOfFull
	}
	for _, raw := range items {
		r.take(raw)
		if r.held.count < hold {
			continue
		}
		if err := r.write(ctx); err != nil {
			return err
		}
		if err := r.progress(ctx); err != nil {
			return err
		}
	}
	return r.progress(ctx)
}

// progress tells how many groups have come, now and then.
func (r *groupsRound) progress(ctx context.Context) error {
	if now := r.env.Now(); now.Sub(r.told) >= progressEvery {
		r.told = now
		return r.env.Report.Progress(ctx, op.Counts{Done: int64(len(r.seen))})
	}
	return nil
}

// take holds what one object of the round says.
func (r *groupsRound) take(raw json.RawMessage) {
	g, flaw := parseGroup(raw)
	if g.removed && !flaw.lost() {
		r.remove(g.row.ID)
		return
	}
	r.flaws.add("Group", g.row.ID, g.row.Name, flaw)
	if flaw.lost() {
		return
	}
	// An object that has nothing but members tells of them alone. It must not
	// take the place of the properties that are known already.
	if g.described || r.full && !r.seen[g.row.ID] {
		r.held.groups[g.row.ID] = g.row
		r.seen[g.row.ID] = true
		delete(r.gone, g.row.ID)
	}
	for _, flaw := range g.flaws {
		r.memberFlaws.add("Member of "+cmp.Or(g.row.Name, g.row.ID), "", "", flaw)
	}
	r.held.count += 1 + len(g.members)
	members := r.held.members[g.row.ID]
	if members == nil && len(g.members) > 0 {
		members = make(map[string]memberState, len(g.members))
		r.held.members[g.row.ID] = members
	}
	for _, m := range g.members {
		r.memberChanges++
		members[m.id] = memberState{of: m.of, removed: m.removed}
		if key := (memberOf{g.row.ID, m.id}); m.removed {
			r.left[key] = true
		} else if len(r.left) > 0 {
			delete(r.left, key)
		}
	}
}

// remove takes a group off. docs: reason "changed" is a soft-deleted group,
// "deleted" one that is gone for good; either way it is no longer there, and a
// restored one comes back as new.
func (r *groupsRound) remove(id string) {
	r.held.count++
	r.held.gone[id] = true
	delete(r.held.groups, id)
	delete(r.held.members, id)
	delete(r.seen, id)
	r.gone[id] = true
}

// write writes what is held. The round begins with it.
func (r *groupsRound) write(ctx context.Context) error {
	if r.round == nil {
		round, err := r.env.Data.Begin(ctx, Groups, r.full)
		if err != nil {
			return err
		}
		r.round = round
	}
	held := r.held
	r.held = newGroupChanges()
	if len(held.gone) > 0 {
		if err := r.round.Remove(ctx, slices.Sorted(maps.Keys(held.gone))); err != nil {
			return err
		}
	}
	if len(held.groups) > 0 {
		if err := r.round.Put(ctx, slices.Collect(maps.Values(held.groups))); err != nil {
			return err
		}
	}
	var stay, leave []Member
	for group, members := range held.members {
		for id, state := range members {
			m := Member{Group: group, ID: id, Type: state.of}
			if state.removed {
				leave = append(leave, m)
			} else {
				stay = append(stay, m)
			}
		}
	}
	if len(leave) > 0 {
		if err := r.round.RemoveMembers(ctx, leave); err != nil {
			return err
		}
	}
	if len(stay) == 0 {
		return nil
	}
	return r.round.PutMembers(ctx, stay)
}

// commit shows the round to readers and reports what came.
func (r *groupsRound) commit(ctx context.Context, token string) error {
	if r.full && len(r.seen) == 0 && r.flaws.lost > 0 {
		return r.flaws.first() // nothing can be read: the old rows are worth more
	}
	if err := r.write(ctx); err != nil {
		return err
	}
	lost := r.flaws.lost + r.memberFlaws.lost
	now, err := r.round.Commit(ctx, Committed{Delta: token, Unreadable: lost})
	if err != nil {
		return err
	}
	items := []op.Item{
		r.item("groups", "Groups", now.Count, len(r.seen)+len(r.gone), len(r.gone), r.flaws.lost),
		r.item("members", "Members", now.Members, r.memberChanges, len(r.left), r.memberFlaws.lost),
	}
	for _, item := range slices.Concat(items, r.flaws.items(r.env, "groups", true), r.memberFlaws.items(r.env, "members", true)) {
		if err := r.env.Report.Item(ctx, item); err != nil {
			return err
		}
	}
	return r.env.Report.Progress(ctx, op.Counts{Done: now.Count, Failed: lost, Total: now.Count + lost})
}

// item is the line of groups or members: how many are known now, all of them as of
// this round, how many the round took away, and how many could not be kept.
func (r *groupsRound) item(key, name string, rows int64, changes, removed int, lost int64) op.Item {
	item := op.Item{
		Key:    key,
		Name:   name,
		Result: op.ItemDone,
		Counts: op.Counts{Done: rows, Total: rows},
		Args:   op.Args{"changed": strconv.Itoa(changes), "removed": strconv.Itoa(removed)},
		At:     r.env.Now(),
	}
	switch {
	case lost > 0:
		incomplete(&item, r.env, lost)
	case !r.full && changes == 0:
		item.Result = op.ItemUnchanged
	}
	return item
}

// deltaGroup is a group as a delta round tells of it.
type deltaGroup struct {
	row       Row
	removed   bool
	described bool // it came with properties
	members   []deltaMember
	flaws     []flaw // of its members
}

type deltaMember struct {
	id, of  string
	removed bool
}

// parseGroup reads one object of a round. The row keeps its properties as the
// provider wrote them, without the members.
func parseGroup(raw json.RawMessage) (g deltaGroup, wrong flaw) {
	var properties object
	if err := json.Unmarshal(raw, &properties); err != nil {
		return g, flaw{reason: op.ObjectMalformed}
	}
	members := properties.take("members@delta")
	g.removed = properties.take("@removed") != nil
	for _, p := range properties {
		g.described = g.described || p.name != "id" && !strings.HasPrefix(p.name, "@odata.")
	}
	if g.row, wrong = newRow(properties.raw()); wrong.lost() {
		return g, wrong
	}
	if !g.described {
		wrong = flaw{} // it has no name to tell
	}
	g.row.Type = string(groupType(g.row.Data))
	if members != nil {
		g.members, g.flaws = parseMembers(members)
	}
	return g, wrong
}

// parseMembers reads the members of a group, without those that are none.
func parseMembers(raw json.RawMessage) (members []deltaMember, wrong []flaw) {
	// There are many, and nearly always all of them are as documented: only when
	// one is not, each is looked at.
	var list []struct {
		ID      string          `json:"id"`
		Type    string          `json:"@odata.type"`
		Removed json.RawMessage `json:"@removed"`
	}
	if json.Unmarshal(raw, &list) == nil {
		members = make([]deltaMember, 0, len(list))
		for _, m := range list {
			if usableID(m.ID) {
				members = append(members, deltaMember{id: m.ID, of: clean(m.Type), removed: m.Removed != nil})
			}
		}
		if len(members) == len(list) {
			return members, nil
		}
	}
	var each []json.RawMessage
	if json.Unmarshal(raw, &each) != nil {
		return nil, []flaw{{reason: op.ObjectMalformed}}
	}
	members = members[:0]
	for _, raw := range each {
		row, flaw := newRow(raw)
		if flaw.lost() {
			wrong = append(wrong, flaw)
			continue
		}
		var m struct {
			Removed json.RawMessage `json:"@removed"`
		}
		_ = json.Unmarshal(raw, &m) // it is an object
		members = append(members, deltaMember{id: row.ID, of: row.Type, removed: m.Removed != nil})
	}
	return members, wrong
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
