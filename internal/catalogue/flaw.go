package catalogue

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// flaw is what is wrong with one object from the provider; the zero flaw means nothing.
type flaw struct{ reason op.Reason }

// lost reports whether the object can't be stored. An object without a name can: it is
// listed by its id.
func (f flaw) lost() bool { return f.reason == op.ObjectMalformed || f.reason == op.ObjectWithoutID }

// twice is an object that came more than once in one list. The last one is kept.
var twice = flaw{reason: op.ObjectTwice}

// maxFlaws is how many malformed objects of a list get an item of their own.
const maxFlaws = 20

// flaws are the malformed objects of a list. The other objects are stored.
type flaws struct {
	lost   int64 // objects that could not be kept
	listed []flawed
}

type flawed struct {
	name string
	flaw
}

// add notes what is wrong with an object: what it is, and its id and name as far
// as they are known.
func (f *flaws) add(what, id, name string, wrong flaw) {
	if wrong == (flaw{}) {
		return
	}
	if wrong.lost() {
		f.lost++
	}
	if len(f.listed) < maxFlaws {
		if known := cmp.Or(name, id); known != "" {
			what += " " + known
		}
		f.listed = append(f.listed, flawed{what, wrong})
	}
}

// keepable returns the rows of a list's objects that can be kept. came are the ids
// that the list had before, and has then; what is wrong with an object goes to f,
// which calls it what.
func keepable(objects []json.RawMessage, what string, came map[string]bool, f *flaws) []Row {
	rows := make([]Row, 0, len(objects))
	for _, raw := range objects {
		row, flaw := newRow(raw)
		f.add(what, row.ID, row.Name, flaw)
		if flaw.lost() {
			continue
		}
		if came[row.ID] {
			f.add(what, row.ID, row.Name, twice)
		}
		came[row.ID] = true
		rows = append(rows, row)
	}
	return rows
}

// items are the lines of the objects. Those that could not be kept have failed. The
// others are told only when their list was kept.
func (f *flaws) items(env *Env, key string, kept bool) []op.Item {
	var items []op.Item
	for i, o := range f.listed {
		result := op.ItemDone
		if o.lost() {
			result = op.ItemFailed
		} else if !kept {
			continue
		}
		items = append(items, op.Item{Key: key + "/" + strconv.Itoa(i+1), Name: o.name, Result: result, Reason: o.reason, Args: names(env), At: env.Now()})
	}
	return items
}

// first is the error of a list of which nothing could be kept.
func (f *flaws) first() error {
	for _, o := range f.listed {
		if o.lost() {
			return &provider.Error{Reason: op.ProviderFault, Note: "none of the objects that came can be read"}
		}
	}
	return nil
}

// incomplete marks the line of a list of which some objects could not be kept.
func incomplete(item *op.Item, env *Env, lost int64) {
	item.Reason, item.Args = op.ListIncomplete, names(env)
	item.Counts.Failed, item.Counts.Total = lost, item.Counts.Done+lost
}
