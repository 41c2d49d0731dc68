package graphsim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// change is an entry of a tenant's change log. Its sequence number is its place, from 1.
type change struct {
	at      time.Time
	group   *group
	whole   bool     // created or restored: everything is news
	fields  []string // properties that changed
	added   []member
	removed []member
}

const (
	// deltaLife is how long a delta token is good (docs: seven days for directory objects).
	deltaLife = 7 * 24 * time.Hour
	// defaultDeltaPage is the number of groups on a page, memberSlice the members of one group
	// on it: a larger group comes again on the next page. Both are ours; the service names no sizes.
	defaultDeltaPage = 100
	memberSlice      = 1000
	// memberBudget bounds the members of all groups on a page.
	memberBudget = 2000
)

// deltaItem is one group as a round shows it.
type deltaItem struct {
	group   *group
	removed string // reason, or "" while the group lives
	fields  []string
	whole   bool
	members []memberChange
	count   int // of members, when whole: they are read off the group
}

type memberChange struct {
	member  member
	removed bool
}

func (it *deltaItem) memberCount() int {
	if it.whole {
		return it.count
	}
	return len(it.members)
}

// groupsDelta answers /groups/delta: a first round that pages through everything, then rounds of changes.
func (s *Server) groupsDelta(c *call, q *query) *reply {
	if re := c.deltaOptions(q); re != nil {
		return re
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	w := t.world
	cur := cursor{Kind: "skip", Path: "groups/delta", Select: q.sel, Round: &round{Initial: true, To: w.visible(c.at, t.spec.DeltaLagMS)}}
	cur.Round.State = w.state(cur.Round.To)
	if q.filter != nil {
		cur.IDs = q.filter.ids
	}
	latest := false
	switch {
	case q.skipToken != "":
		var re *reply
		if cur, re = c.openRound(q.skipToken, "skip"); re != nil {
			return re
		}
	case q.deltaTok != nil && *q.deltaTok == "latest":
		latest = true
	case q.deltaTok != nil && *q.deltaTok != "":
		from, re := c.openRound(*q.deltaTok, "delta")
		if re != nil {
			return re
		}
		cur = from
		cur.Kind, cur.Pos, cur.Sub = "skip", 0, 0
		to := max(w.visible(c.at, t.spec.DeltaLagMS), from.Round.To)
		cur.Round = &round{From: from.Round.To, To: to, State: w.state(to)}
		cur.Min = strings.Contains(strings.ToLower(c.Header.Get("Prefer")), "return=minimal")
	}
	if len(cur.Select) > 0 {
		if name := unknownSelect(t.groupObject(&group{}), cur.Select, "members"); name != "" {
			return c.queryError(unknownGroupProperty(name))
		}
	}
	if latest {
		return c.roundPage(cur, nil, true)
	}
	page, done := t.cutPage(c, &cur)
	return c.roundPage(cur, page, done)
}

// deltaOptions refuses what delta does not take.
func (c *call) deltaOptions(q *query) *reply {
	refuse := func(option string) *reply {
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "The query option '"+option+"' is not supported for delta queries on resource 'groups'.")
	}
	switch {
	case q.raw.Has("$top"):
		return refuse("$top")
	case len(q.orderBy) > 0:
		return refuse("$orderby")
	case len(q.expand) > 0:
		return refuse("$expand")
	case q.skip > 0:
		return refuse("$skip")
	case q.filter != nil && len(q.filter.ids) == 0:
		return refuse("$filter") // docs: only id eq '...', joined by or
	}
	return nil
}

// openRound reads the token of a round and judges whether it is still good.
func (c *call) openRound(token, kind string) (cursor, *reply) {
	cur, err := c.open(token, kind, "groups/delta")
	if err != nil || cur.Round == nil {
		return cur, c.graphError(http.StatusBadRequest, "Request_BadRequest", "Badly formed token.")
	}
	if c.at.Sub(time.Unix(cur.At, 0)) > deltaLife {
		return cur, c.syncStateNotFound()
	}
	if w := c.tenant.world; cur.Round.To > len(w.changes) || cur.Round.State != w.state(cur.Round.To) {
		return cur, c.resync() // the change log that the token counts in is gone
	}
	return cur, nil
}

func (c *call) syncStateNotFound() *reply {
	return c.graphError(http.StatusBadRequest, "syncStateNotFound", "The sync state generation is not found.")
}

// resync sends the client back to a full round (docs: 410 with a Location that has an empty token).
func (c *call) resync() *reply {
	re := c.graphError(http.StatusGone, "resyncRequired", "Resync required. Replace any local items with the server's version.")
	re.header.Set("Location", c.base+"/"+c.version()+"/groups/delta?$deltatoken=")
	return re
}

// visible is the newest change that delta shows: the log minus the lag.
func (w *world) visible(now time.Time, lagMS int) int {
	n := len(w.changes)
	for n > 0 && now.Sub(w.changes[n-1].at) < time.Duration(lagMS)*time.Millisecond {
		n--
	}
	return n
}

// state names the history behind a sequence number. At zero the tenant is what its spec
// says, in every process; later numbers mean something only in the process that wrote them.
func (w *world) state(seq int) string {
	if seq == 0 {
		return w.origin
	}
	return w.log
}

// cutPage takes the next page of a round and moves cur behind it.
func (t *tenant) cutPage(c *call, cur *cursor) (page []object, done bool) {
	w := t.world
	var items []*deltaItem
	if cur.Round.Initial {
		items = make([]*deltaItem, 0, len(w.groups))
		for _, g := range w.groups {
			// Deleted groups keep their place, or positions would shift between two pages.
			it := &deltaItem{group: g, whole: true, count: g.memberCount()}
			if !g.alive() {
				it = nil
			}
			items = append(items, it)
		}
	} else {
		items = w.changedItems(cur.Round.From, cur.Round.To)
	}
	size := t.spec.DeltaPage
	if size <= 0 {
		size = defaultDeltaPage
	}
	if c.empty {
		return []object{}, false
	}
	budget := memberBudget
	withMembers := len(cur.Select) == 0 || slices.ContainsFunc(cur.Select, func(s string) bool { return strings.EqualFold(s, "members") })
	page = []object{}
	for cur.Pos < len(items) && len(page) < size && budget > 0 {
		it := items[cur.Pos]
		if it == nil || len(cur.IDs) > 0 && !slices.ContainsFunc(cur.IDs, func(id string) bool { return strings.EqualFold(id, it.group.id) }) {
			cur.Pos, cur.Sub = cur.Pos+1, 0
			continue
		}
		from, to := 0, 0
		if withMembers && it.removed == "" {
			from = min(cur.Sub, it.memberCount())
			to = min(from+memberSlice, from+budget, it.memberCount())
			budget -= to - from
		}
		page = append(page, t.deltaObject(it, cur, from, to))
		if withMembers && it.removed == "" && to < it.memberCount() {
			cur.Sub = to // the same object goes on, on the next page
			break
		}
		cur.Pos, cur.Sub = cur.Pos+1, 0
	}
	if c.replayed && len(page) > 0 {
		page = append(page, page[0]) // docs: replays happen
	}
	return page, cur.Pos >= len(items)
}

// deltaObject shows a group of a round with its members from..to.
func (t *tenant) deltaObject(it *deltaItem, cur *cursor, from, to int) object {
	if it.removed != "" {
		return object{{"id", rawJSON(it.group.id)}, {"@removed", rawJSON(object{{"reason", rawJSON(it.removed)}})}}
	}
	o := pickFields(t.groupObject(it.group), cur.Select)
	if cur.Min && !it.whole {
		o = o.without(func(name string) bool { return name != "id" && !slices.Contains(it.fields, name) })
	}
	if to > from {
		members := make([]object, 0, to-from)
		for i := from; i < to; i++ {
			mc := memberChange{}
			if it.whole {
				mc.member = it.group.memberAt(i)
			} else {
				mc = it.members[i]
			}
			m := object{{"@odata.type", rawJSON("#microsoft.graph." + t.memberKind(mc.member))}, {"id", rawJSON(t.memberID(mc.member))}}
			if mc.removed {
				m = append(m, field{"@removed", rawJSON(object{{"reason", rawJSON("deleted")}})})
			}
			members = append(members, m)
		}
		o = append(o, field{"members@delta", rawJSON(members)})
	}
	return o
}

// changedItems folds the changes after from, up to and with to, into one item for each group.
func (w *world) changedItems(from, to int) []*deltaItem {
	byGroup := map[*group]*deltaItem{}
	var items []*deltaItem
	for _, ch := range w.changes[from:to] {
		it := byGroup[ch.group]
		if it == nil {
			it = &deltaItem{group: ch.group}
			byGroup[ch.group] = it
			items = append(items, it)
		}
		it.whole = it.whole || ch.whole
		it.fields = append(it.fields, ch.fields...)
		last := func(m member, removed bool) { // the last word on a member counts
			i := slices.IndexFunc(it.members, func(c memberChange) bool { return c.member == m })
			if i >= 0 {
				it.members = slices.Delete(it.members, i, i+1)
			}
			it.members = append(it.members, memberChange{m, removed})
		}
		for _, m := range ch.added {
			last(m, false)
		}
		for _, m := range ch.removed {
			last(m, true)
		}
	}
	for _, it := range items {
		switch {
		case it.group.purged:
			it.removed = "deleted"
		case !it.group.alive():
			it.removed = "changed"
		case it.whole:
			it.count = it.group.memberCount()
		}
	}
	return items
}

// roundPage is the envelope of a page of a round.
func (c *call) roundPage(cur cursor, page []object, done bool) *reply {
	if page == nil {
		page = []object{}
	}
	ctx := c.base + "/" + c.version() + "/$metadata#groups"
	if len(cur.Select) > 0 {
		shown := slices.DeleteFunc(slices.Clone(cur.Select), func(s string) bool { return strings.EqualFold(s, "members") })
		ctx += "(" + strings.Join(shown, ",") + ")"
	}
	link, name := "", "@odata.nextLink"
	if done {
		cur.Kind, cur.Pos, cur.Sub, cur.Min, name = "delta", 0, 0, false, "@odata.deltaLink"
		link = c.link(nil, "$deltatoken", c.seal(cur))
	} else {
		link = c.link(nil, "$skiptoken", c.seal(cur))
	}
	return c.entity(object{{"@odata.context", rawJSON(ctx)}, {name, rawJSON(link)}, {"value", rawJSON(page)}})
}
