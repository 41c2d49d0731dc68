package estate

import (
	"slices"
	"time"
)

// change is an entry of a tenant's change log. Its sequence number is its position, from 1.
type change struct {
	at      time.Time
	group   *Group
	whole   bool     // created or restored: all properties and members are new
	fields  []string // properties that changed
	added   []MemberRef
	removed []MemberRef
}

// DeltaItem is one group in a delta round.
type DeltaItem struct {
	Group   *Group
	Removed string // reason, or "" while the group lives
	Fields  []string
	Whole   bool
	Members []MemberChange
	Count   int // of members, if whole: they are read from the group
}

// MemberChange is a member that was added or removed.
type MemberChange struct {
	Member  MemberRef
	Removed bool
}

// MemberCount returns the number of members, or of changes to members, in the item.
func (it *DeltaItem) MemberCount() int {
	if it.Whole {
		return it.Count
	}
	return len(it.Members)
}

// Visible returns the sequence number of the newest change that delta shows at a time. Changes
// within the lag, in milliseconds, are hidden.
func (w *world) Visible(now time.Time, lagMS int) int {
	n := len(w.Changes)
	for n > 0 && now.Sub(w.Changes[n-1].at) < time.Duration(lagMS)*time.Millisecond {
		n--
	}
	return n
}

// State identifies the history up to a sequence number. Zero is the state of the spec, which is the
// same in every process. Later numbers are valid only in the process that wrote them.
func (w *world) State(seq int) string {
	if seq == 0 {
		return w.origin
	}
	return w.log
}

// ChangedItems merges the changes after from, up to and including to, into one item per group.
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
		last := func(m MemberRef, removed bool) { // the last change of a member counts
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
