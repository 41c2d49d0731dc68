package estate

import (
	"fmt"
	"strings"
	"time"
)

// Lag is how long a collection takes to show a write, in milliseconds. The write itself acts
// at once: a second write sees the first.
type Lag struct {
	// ItemMS is the lag of a read by id: a created object is not found, a changed one is as
	// before, a deleted one is still there.
	ItemMS int `json:"itemMs,omitempty"`
	// ListMS is the same for lists.
	ListMS int `json:"listMs,omitempty"`
	// AssignmentsMS is the lag of assignments.
	AssignmentsMS int `json:"assignmentsMs,omitempty"`
}

func (l Lag) longest() time.Duration { return milliseconds(max(l.ItemMS, l.ListMS, l.AssignmentsMS)) }

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// everywhere is the key of the lag of all collections that have none of their own.
const everywhere = "*"

// checkLags returns an error that names the first collection that does not exist, or the first
// negative lag.
func checkLags(lags map[string]Lag) error {
	for path, l := range lags {
		if path != everywhere && Collections[strings.ToLower(path)] == nil {
			return fmt.Errorf("lags: there is no collection %q", path)
		}
		if l.ItemMS < 0 || l.ListMS < 0 || l.AssignmentsMS < 0 {
			return fmt.Errorf("lags: %s is negative", path)
		}
	}
	return nil
}

// lag returns the lag of a collection. The caller holds the lock of t.
func (t *Tenant) lag(path string) Lag {
	for name, l := range t.Spec.Lags {
		if strings.EqualFold(name, path) {
			return l
		}
	}
	return t.Spec.Lags[everywhere]
}

// seen returns the version of an item that a reader sees at a time with a lag, or nil.
func (it *Item) seen(now time.Time, lag time.Duration) *Item {
	for it != nil && now.Sub(it.written) < lag {
		it = it.before
	}
	if it == nil || it.gone {
		return nil
	}
	return it
}

// assigned returns the version whose assignments a reader sees.
func (it *Item) assigned(now time.Time, lag time.Duration) *Item {
	for it.before != nil && now.Sub(it.written) < lag {
		it = it.before
	}
	return it
}

// listed returns the items that a list shows. The caller holds the lock of t.
func (t *Tenant) listed(path string) []*Item {
	all := t.World.shelves[strings.ToLower(path)].all()
	lag, now := milliseconds(t.lag(path).ListMS), t.estate.now()
	plain := true
	for _, it := range all {
		plain = plain && it.seen(now, lag) == it
	}
	if plain {
		return all
	}
	out := make([]*Item, 0, len(all))
	for _, it := range all {
		if v := it.seen(now, lag); v != nil {
			out = append(out, v)
		}
	}
	return out
}
