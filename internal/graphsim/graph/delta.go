package graph

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

const (
	// deltaLife is how long a delta token is valid (docs: seven days for directory objects).
	deltaLife = 7 * 24 * time.Hour
	// defaultDeltaPage is the number of groups per page, memberSlice that of members of one group:
	// a larger group continues on the next page. Both are assumed; the service documents no sizes.
	defaultDeltaPage = 100
	memberSlice      = 1000
	// memberBudget is the largest number of members on a page.
	memberBudget = 2000
)

// groupsDelta serves /groups/delta: a first round of all groups, then rounds of changes.
func (s *Service) groupsDelta(c *wire.Call, q *odata.Query) *wire.Reply {
	if re := deltaOptions(c, q); re != nil {
		return re
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	w := t.World
	cur := odata.Cursor{Kind: "skip", Path: "groups/delta", Select: q.Select, Round: &odata.Round{Initial: true, To: w.Visible(c.At, t.Spec.DeltaLagMS)}}
	cur.Round.State = w.State(cur.Round.To)
	if q.Filter != nil {
		cur.IDs = q.Filter.IDs
	}
	latest := false
	switch {
	case q.SkipToken != "":
		var re *wire.Reply
		if cur, re = openRound(c, q.SkipToken, "skip"); re != nil {
			return re
		}
	case q.DeltaToken != nil && *q.DeltaToken == "latest":
		latest = true
	case q.DeltaToken != nil && *q.DeltaToken != "":
		from, re := openRound(c, *q.DeltaToken, "delta")
		if re != nil {
			return re
		}
		cur = from
		cur.Kind, cur.Pos, cur.Sub = "skip", 0, 0
		to := max(w.Visible(c.At, t.Spec.DeltaLagMS), from.Round.To)
		cur.Round = &odata.Round{From: from.Round.To, To: to, State: w.State(to)}
		cur.Min = strings.Contains(strings.ToLower(c.Header.Get("Prefer")), "return=minimal")
	}
	if len(cur.Select) > 0 {
		if name := unknownOfGroup(cur.Select); name != "" {
			return c.QueryError(unknownGroupProperty(name))
		}
	}
	if latest {
		return roundPage(c, cur, nil, true)
	}
	page, done := cutPage(t, c, &cur)
	return roundPage(c, cur, page, done)
}

// deltaOptions returns the error for options that delta does not support, or nil.
func deltaOptions(c *wire.Call, q *odata.Query) *wire.Reply {
	refuse := func(option string) *wire.Reply {
		return c.GraphError(http.StatusBadRequest, "Request_UnsupportedQuery", "The query option '"+option+"' is not supported for delta queries on resource 'groups'.")
	}
	switch {
	case q.Raw.Has("$top"):
		return refuse("$top")
	case len(q.OrderBy) > 0:
		return refuse("$orderby")
	case len(q.Expand) > 0:
		return refuse("$expand")
	case q.Search != "":
		return refuse("$search")
	case q.Skip > 0:
		return refuse("$skip")
	case q.Filter != nil && len(q.Filter.IDs) == 0:
		return refuse("$filter") // docs: only id eq '...', joined by or
	}
	return nil
}

// openRound opens the token of a round, or returns the error if it is no longer valid.
func openRound(c *wire.Call, token, kind string) (odata.Cursor, *wire.Reply) {
	cur, err := c.Open(token, kind, "groups/delta")
	if err != nil || cur.Round == nil {
		return cur, c.GraphError(http.StatusBadRequest, "Request_BadRequest", "Badly formed token.")
	}
	if c.At.Sub(time.Unix(cur.At, 0)) > deltaLife {
		return cur, c.SyncStateNotFound()
	}
	if w := c.Tenant.World; cur.Round.To > len(w.Changes) || cur.Round.State != w.State(cur.Round.To) {
		return cur, c.Resync() // the change log of the token is gone
	}
	return cur, nil
}

// cutPage returns the next page of a round and moves cur past it. done means it is the last one.
func cutPage(t *estate.Tenant, c *wire.Call, cur *odata.Cursor) (page []odata.Object, done bool) {
	w := t.World
	var items []*estate.DeltaItem
	if cur.Round.Initial {
		items = make([]*estate.DeltaItem, 0, len(w.Groups))
		for _, g := range w.Groups {
			// Deleted groups keep their position; otherwise positions would shift between pages.
			it := &estate.DeltaItem{Group: g, Whole: true, Count: g.MemberCount()}
			if !g.Alive() {
				it = nil
			}
			items = append(items, it)
		}
	} else {
		items = w.ChangedItems(cur.Round.From, cur.Round.To)
	}
	size := t.Spec.DeltaPage
	if size <= 0 {
		size = defaultDeltaPage
	}
	if c.Empty {
		return []odata.Object{}, false
	}
	budget := memberBudget
	withMembers := len(cur.Select) == 0 || slices.ContainsFunc(cur.Select, func(s string) bool { return strings.EqualFold(s, "members") })
	page = []odata.Object{}
	for cur.Pos < len(items) && len(page) < size && budget > 0 {
		it := items[cur.Pos]
		if it == nil || len(cur.IDs) > 0 && !slices.ContainsFunc(cur.IDs, func(id string) bool { return strings.EqualFold(id, it.Group.ID) }) {
			cur.Pos, cur.Sub = cur.Pos+1, 0
			continue
		}
		from, to := 0, 0
		if withMembers && it.Removed == "" {
			from = min(cur.Sub, it.MemberCount())
			to = min(from+memberSlice, from+budget, it.MemberCount())
			budget -= to - from
		}
		page = append(page, deltaObject(t, it, cur, from, to))
		if withMembers && it.Removed == "" && to < it.MemberCount() {
			cur.Sub = to // the same object continues on the next page
			break
		}
		cur.Pos, cur.Sub = cur.Pos+1, 0
	}
	if c.Replayed && len(page) > 0 {
		page = append(page, page[0]) // docs: an object may come more than once
	}
	return page, cur.Pos >= len(items)
}

// deltaObject returns a group of a round with its members from (inclusive) to (exclusive).
func deltaObject(t *estate.Tenant, it *estate.DeltaItem, cur *odata.Cursor, from, to int) odata.Object {
	if it.Removed != "" {
		return odata.Object{odata.F("id", it.Group.ID), odata.F("@removed", odata.Object{odata.F("reason", it.Removed)})}
	}
	o := odata.PickFields(t.GroupObject(it.Group), cur.Select)
	if cur.Min && !it.Whole {
		o = o.Without(func(name string) bool { return name != "id" && !slices.Contains(it.Fields, name) })
	}
	if to > from {
		members := make([]odata.Object, 0, to-from)
		for i := from; i < to; i++ {
			mc := estate.MemberChange{}
			if it.Whole {
				mc.Member = it.Group.MemberAt(i)
			} else {
				mc = it.Members[i]
			}
			m := odata.Object{odata.F("@odata.type", "#microsoft.graph."+t.MemberKind(mc.Member)), odata.F("id", t.MemberID(mc.Member))}
			if mc.Removed {
				m = append(m, odata.F("@removed", odata.Object{odata.F("reason", "deleted")}))
			}
			members = append(members, m)
		}
		o = append(o, odata.F("members@delta", members))
	}
	return o
}

// roundPage returns a page of a round with its next link or delta link.
func roundPage(c *wire.Call, cur odata.Cursor, page []odata.Object, done bool) *wire.Reply {
	if page == nil {
		page = []odata.Object{}
	}
	ctx := c.Base + "/" + c.Version() + "/$metadata#groups"
	if len(cur.Select) > 0 {
		shown := slices.DeleteFunc(slices.Clone(cur.Select), func(s string) bool { return strings.EqualFold(s, "members") })
		ctx += "(" + strings.Join(shown, ",") + ")"
	}
	link, name := "", "@odata.nextLink"
	if done {
		cur.Kind, cur.Pos, cur.Sub, cur.Min, name = "delta", 0, 0, false, "@odata.deltaLink"
		link = c.Link(nil, "$deltatoken", c.Seal(cur))
	} else {
		link = c.Link(nil, "$skiptoken", c.Seal(cur))
	}
	return c.Entity(odata.Object{odata.F("@odata.context", ctx), odata.F(name, link), odata.F("value", page)})
}
