package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is one property in which two policies differ.
type Change struct {
	// Path names the property. Elements of a list have their index in brackets, elements of
	// a set their key, as in "settings[device_vendor_…].value".
	Path string `json:"path"`
	Name string `json:"name"` // readable form of the path
	Op   Op     `json:"op"`
	// Old and New are the values; nil if there is none. A secret is shown as [Shown].
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
	// OldName and NewName are the display names of the values, if known.
	OldName string `json:"old_name,omitempty"`
	NewName string `json:"new_name,omitempty"`
	Switch  bool   `json:"switch,omitempty"` // the change turns the policy or a part of it on or off
}

// Op is the kind of a change.
type Op string

// The kinds of changes.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
)

// Names returns the display name of an id: of a setting, a choice, a group or a filter.
// It returns "" for an unknown id. A nil Names knows no names.
type Names func(id string) string

func (n Names) of(id string) string {
	if n == nil {
		return ""
	}
	return n(id)
}

// Diff returns the properties in which two policies of one type differ, ordered by path.
// It is empty exactly if [Document.Equal] is true. Assignments are compared only if both
// are known. Secrets are compared but not shown. Below 64 levels a difference is reported
// as one change of the whole value.
func Diff(a, b Document, names Names) []Change {
	if a.t != b.t {
		return []Change{{Name: "Type", Op: Changed, Old: encode(a.t.Singular), New: encode(b.t.Singular)}}
	}
	if a.Assigned() != b.Assigned() {
		a, b = a.Without("assignments"), b.Without("assignments")
	}
	w := differ{t: a.t, names: names}
	w.values(nil, 0, a.hidden(), b.hidden())
	return w.changes
}

// concealed is a secret in a tree: it compares by its text and encodes as shown.
type concealed struct{ text, shown string }

// MarshalJSON encodes the text that is shown in place of the secret.
func (c concealed) MarshalJSON() ([]byte, error) { return encode(c.shown), nil }

// hidden is a copy of the tree with its secrets concealed.
func (d Document) hidden() map[string]any {
	tree, _ := clone(d.tree).(map[string]any)
	d.t.secrets(tree, func(_ Secret, parent map[string]any, name string) {
		parent[name] = concealed{string(encode(parent[name])), Shown}
	})
	return tree
}

type differ struct {
	t       *Type
	names   Names
	changes []Change
}

// values compares two values at a place.
func (w *differ) values(at *place, depth int, a, b any) {
	if depth < maxSteps {
		switch a := a.(type) {
		case map[string]any:
			if b, ok := b.(map[string]any); ok {
				w.objects(at, depth, a, b)
				return
			}
		case []any:
			if b, ok := b.([]any); ok {
				w.lists(at, depth, a, b)
				return
			}
		}
	}
	if compare(a, b) != 0 {
		w.add(at, Changed, a, b)
	}
}

func (w *differ) objects(at *place, depth int, a, b map[string]any) {
	for _, name := range union(a, b) {
		below := &place{at, name, property}
		old, was := a[name]
		value, is := b[name]
		w.either(below, depth, old, was, value, is)
	}
}

// either compares two values of which one may be missing.
func (w *differ) either(at *place, depth int, a any, inA bool, b any, inB bool) {
	switch {
	case !inA:
		w.add(at, Added, nil, b)
	case !inB:
		w.add(at, Removed, a, nil)
	default:
		w.values(at, depth+1, a, b)
	}
}

// union is the names of two objects, in byte order.
func union(a, b map[string]any) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return names(all)
}

func (w *differ) lists(at *place, depth int, a, b []any) {
	if key, ok := w.set(at); ok {
		old, value := byKeys(a, key), byKeys(b, key)
		for _, k := range union(old, value) {
			below := &place{at, k, keyed}
			if key == "" {
				below.name = "" // the value itself identifies the element
			}
			before, was := old[k]
			after, is := value[k]
			w.either(below, depth, before, was, after, is)
		}
		return
	}
	// Skip what is equal at both ends, so that one inserted element does not change all
	// elements behind it.
	from := 0
	for from < min(len(a), len(b)) && compare(a[from], b[from]) == 0 {
		from++
	}
	tail := 0
	for tail < min(len(a), len(b))-from && compare(a[len(a)-1-tail], b[len(b)-1-tail]) == 0 {
		tail++
	}
	for i := from; i < max(len(a), len(b))-tail; i++ {
		var old, value any
		was, is := i < len(a)-tail, i < len(b)-tail
		if was {
			old = a[i]
		}
		if is {
			value = b[i]
		}
		w.either(&place{at, strconv.Itoa(i), number}, depth, old, was, value, is)
	}
}

// set returns the key of the set at a place, and whether the list there is a set.
func (w *differ) set(at *place) (key string, ok bool) {
	switch path := at.schema(); {
	case path == "assignments":
		return "", true
	case w.t.Settings && path == "settings":
		return "settingInstance.settingDefinitionId", true
	case w.t.Settings && at.name == "children":
		return "settingDefinitionId", true
	default:
		return w.t.set(path)
	}
}

// byKeys is the elements of a set by their keys. A repeated key gets a number.
func byKeys(list []any, key string) map[string]any {
	all := make(map[string]any, len(list))
	times := make(map[string]int)
	for _, v := range list {
		k := keyOf(v, key)
		times[k]++
		for n := times[k]; ; n++ {
			label := k
			if n > 1 {
				label = k + " #" + strconv.Itoa(n)
			}
			if _, taken := all[label]; !taken {
				all[label] = v
				break
			}
		}
	}
	return all
}

func (w *differ) add(at *place, op Op, a, b any) {
	c := Change{Path: at.String(), Name: w.readable(at), Op: op, Switch: slices.Contains(w.t.Switches, at.schema())}
	if op != Added {
		c.Old, c.OldName = encode(a), w.value(a)
	}
	if op != Removed {
		c.New, c.NewName = encode(b), w.value(b)
	}
	w.changes = append(w.changes, c)
}

// value is the display name of a value: of an id, or of the group of an assignment.
func (w *differ) value(v any) string {
	if s, ok := v.(string); ok {
		return w.names.of(s)
	}
	return w.names.of(text(v, "target.groupId"))
}

// wrappers are property names that a readable path through settings leaves out.
var wrappers = []string{
	"settings", "settingInstance", "children", "value", "choiceSettingValue", "choiceSettingCollectionValue", "simpleSettingValue", "simpleSettingCollectionValue",
	"groupSettingValue", "groupSettingCollectionValue",
}

// readable is the readable form of a path: "rules[0].minimumLength" becomes
// "Rules › 1 › Minimum length".
func (w *differ) readable(at *place) string {
	var parts []string
	for _, step := range at.steps() {
		name := step.name
		if len(name) > maxName {
			name = strings.ToValidUTF8(name[:maxName], "") + "…"
		}
		switch {
		case name == "", step.kind == property && w.t.Settings && slices.Contains(wrappers, name):
			continue
		case step.kind == property:
			name = sentence(name)
		case step.kind == number:
			n, _ := strconv.Atoi(name)
			name = strconv.Itoa(n + 1)
		default:
			if known := w.names.of(step.name); known != "" {
				name = known
			}
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, " › ")
}

// sentence splits a property's name into words.
func sentence(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch upper := r >= 'A' && r <= 'Z'; {
		case i == 0:
			b.WriteString(strings.ToUpper(string(r)))
		case upper && (name[i-1] < 'A' || name[i-1] > 'Z'):
			b.WriteString(" " + strings.ToLower(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
