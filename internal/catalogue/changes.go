package catalogue

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
)

// maxNamed is how many changed objects of a list get an item of their own. All of them
// are counted.
const maxNamed = 50

// changes are the differences of a list from the last sync, by name.
type changes struct {
	known                   bool // there was a sync before
	added, changed, removed []Row
}

// compare returns what changed between two readings of a list, each by id. Spaces and
// the order of objects and properties mean nothing.
func compare(old, now []Row) changes {
	c := changes{known: true}
	before := make(map[string]Row, len(old))
	for _, r := range old {
		before[r.ID] = r
	}
	seen := make(map[string]bool, len(now))
	for _, r := range slices.Backward(now) { // of an object that came twice, the last one is kept
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		was, there := before[r.ID]
		switch {
		case !there:
			c.added = append(c.added, r)
		case !bytes.Equal(sorted(was.Data), sorted(r.Data)):
			c.changed = append(c.changed, r)
		}
	}
	for _, r := range old {
		if !seen[r.ID] {
			c.removed = append(c.removed, r)
		}
	}
	for _, list := range [][]Row{c.added, c.changed, c.removed} {
		slices.SortFunc(list, func(a, b Row) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	}
	return c
}

// sorted returns JSON with its properties in order and without spaces; as it is when it
// is not valid.
func sorted(raw json.RawMessage) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}

// tell adds to the item of a list that was read how many of its objects have changed.
func (c changes) tell(item *op.Item) {
	switch {
	case c.known:
		item.Args = op.Args{
			"added": strconv.Itoa(len(c.added)), "changed": strconv.Itoa(len(c.changed)), "removed": strconv.Itoa(len(c.removed)),
		}
		if len(c.added)+len(c.changed)+len(c.removed) == 0 {
			item.Result = op.ItemUnchanged
		}
	case item.Counts.Done == 0:
		item.Args = op.Args{"objects": "0"}
	}
}

// items are the lines of the objects that changed, up to [maxNamed].
func (c changes) items(env *Env, key string) (items []op.Item) {
	for _, kind := range []struct {
		reason op.Reason
		rows   []Row
	}{{op.ObjectAdded, c.added}, {op.ObjectChanged, c.changed}, {op.ObjectRemoved, c.removed}} {
		for _, r := range kind.rows {
			if len(items) == maxNamed {
				return items
			}
			name := r.Name
			if name == "" {
				name = r.ID
			}
			items = append(items, op.Item{Key: key + "/id/" + r.ID, Name: name, Result: op.ItemDone, Reason: kind.reason, Args: names(env), At: env.Now()})
		}
	}
	return items
}
