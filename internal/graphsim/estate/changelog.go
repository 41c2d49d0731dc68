package estate

import (
	"slices"
	"time"
)

// change is an entry of a tenant's change log. Its sequence number is its place, from 1.
type change struct {
	at      time.Time
	group   *Group
	whole   bool     // created or restored: everything is news
	fields  []string // properties that changed
	added   []MemberRef
	removed []MemberRef
}

// DeltaItem is one group as a round shows it.
type DeltaItem struct {
	Group   *Group
	Removed string // reason, or "" while the group lives
	Fields  []string
	Whole   bool
	Members []MemberChange
	Count   int // of members, when whole: they are read off the group
}

// MemberChange is a member that was added or removed.
type MemberChange struct {
	Member  MemberRef
	Removed bool
}

// MemberCount is the number of members, or of changes to them, that the item shows.
func (it *DeltaItem) MemberCount() int {
	if it.Whole {
		return it.Count
	}
	return len(it.Members)
}

// Visible is the newest change that delta shows: the log minus the lag.
func (w *world) Visible(now time.Time, lagMS int) int {
	n := len(w.Changes)
	for n > 0 && now.Sub(w.Changes[n-1].at) < time.Duration(lagMS)*time.Millisecond {
		n--
	}
	return n
}

// State names the history behind a sequence number. At zero the tenant is what its spec
// says, in every process; later numbers mean something only in the process that wrote them.
func (w *world) State(seq int) string {
	if seq == 0 {
		return w.origin
	}
	return w.log
}

// ChangedItems folds the changes after from, up to and with to, into one item for each group.
func (w *world) ChangedItems(from, to int) []*DeltaItem {
	byGroup := map[*Group]*DeltaItem{}
	var items []*DeltaItem
	for _, ch := range w.Changes[from:to] {
		it := byGroup[ch.group]
		if it == nil {
			it = &DeltaItem{Group: ch.group}
			byGroup[ch.group] = it
			items = append(items, it)
		}
		it.Whole = it.Whole || ch.whole
		it.Fields = append(it.Fields, ch.fields...)
		last := func(m MemberRef, removed bool) { // the last word on a member counts
			i := slices.IndexFunc(it.Members, func(c MemberChange) bool { return c.Member == m })
			if i >= 0 {
				it.Members = slices.Delete(it.Members, i, i+1)
			}
			it.Members = append(it.Members, MemberChange{m, removed})
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
		case it.Group.purged:
			it.Removed = "deleted"
		case !it.Group.Alive():
			it.Removed = "changed"
		case it.Whole:
			it.Count = it.Group.MemberCount()
		}
	}
	return items
}
