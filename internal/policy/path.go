package policy

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Paths in the table name a place in a body by property, with "[]" for all
// elements of a list: "scheduledActionsForRule[].id".

// at calls visit for every object that path leads to the last step of, with the
// name of that step. Places that are missing or of another shape are left out.
func at(v any, path string, visit func(parent map[string]any, name string)) {
	step, rest, more := cut(path)
	name, list := strings.CutSuffix(step, "[]")
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	if !more {
		if _, ok := object[name]; ok {
			visit(object, name)
		}
		return
	}
	if !list {
		at(object[name], rest, visit)
		return
	}
	elements, _ := object[name].([]any)
	for _, e := range elements {
		at(e, rest, visit)
	}
}

// cut splits off the first step of a path. The dot in @odata.type is part of the name.
func cut(path string) (step, rest string, more bool) {
	from := 0
	if strings.HasPrefix(path, "@odata.") {
		from = len("@odata.")
	}
	i := strings.IndexByte(path[from:], '.')
	if i < 0 {
		return path, "", false
	}
	return path[:from+i], path[from+i+1:], true
}

// remove takes away what stands at path.
func remove(v any, path string) {
	at(v, path, func(parent map[string]any, name string) { delete(parent, name) })
}

// get returns the value at path, which must not lead through lists; nil when
// there is none.
func get(v any, path string) (found any) {
	at(v, path, func(parent map[string]any, name string) { found = parent[name] })
	return found
}

// text is the string at path; empty when there is none.
func text(v any, path string) string {
	s, _ := get(v, path).(string)
	return s
}

// objects calls visit for v and every object below it.
func objects(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, below := range v {
			objects(below, visit)
		}
	case []any:
		for _, below := range v {
			objects(below, visit)
		}
	}
}

// sortBy orders a list whose order means nothing: by the text at key, then by the
// whole element.
func sortBy(list []any, key string) {
	if len(list) < 2 {
		return
	}
	type element struct {
		key   string
		value any
	}
	all := make([]element, len(list))
	for i, v := range list {
		all[i].value = v
		if key != "" {
			all[i].key = keyOf(v, key)
		}
	}
	slices.SortStableFunc(all, func(a, b element) int {
		return cmp.Or(strings.Compare(a.key, b.key), compare(a.value, b.value))
	})
	for i, e := range all {
		list[i] = e.value
	}
}

// keyOf is what an element of a set is told by. Without a key it is the canonical
// text of the element.
func keyOf(v any, key string) string {
	if key == "" {
		return string(encode(v))
	}
	var parts []string
	for k := range strings.SplitSeq(key, "+") {
		switch found := get(v, k).(type) {
		case string:
			parts = append(parts, found)
		case json.Number:
			parts = append(parts, found.String())
		}
	}
	return strings.Join(parts, " ")
}

// compare orders any two trees. It stops where they first differ, so that its cost is
// that of the smaller one.
func compare(a, b any) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string)) // equal ranks are equal types
	case json.Number:
		return strings.Compare(a.String(), b.(json.Number).String())
	case bool:
		return cmp.Compare(rank(a), rank(b))
	case concealed:
		return strings.Compare(a.text, b.(concealed).text)
	case []any:
		other := b.([]any)
		return cmp.Or(cmp.Compare(len(a), len(other)), slices.CompareFunc(a, other, compare))
	case map[string]any:
		other := b.(map[string]any)
		if c := cmp.Compare(len(a), len(other)); c != 0 {
			return c
		}
		all := names(a)
		if c := slices.Compare(all, names(other)); c != 0 {
			return c
		}
		for _, name := range all {
			if c := compare(a[name], other[name]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// rank orders the kinds of values.
func rank(v any) int {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 2
		}
		return 1
	case json.Number:
		return 3
	case string:
		return 4
	case concealed:
		return 5
	case []any:
		return 6
	}
	return 7
}

// place is where something stands in a tree. The root has none: it is nil.
type place struct {
	up   *place
	name string // of the property, or what tells the element
	kind kind
}

type kind int

const (
	property kind = iota
	number        // an element told by its number
	keyed         // an element told by what it is about; without a name by its value
)

// Paths that are longer than any policy's are cut, so that a body made to be deep does
// not cost more than its size.
const (
	maxSteps = 64
	maxName  = 200
)

// deep reports whether p is deeper than anything in a policy.
func (p *place) deep() bool {
	n := 0
	for ; p != nil && n <= maxSteps; p = p.up {
		n++
	}
	return n > maxSteps
}

// steps are the places from the root to p, the last maxSteps of them.
func (p *place) steps() (all []*place) {
	for ; p != nil && len(all) < maxSteps; p = p.up {
		all = append(all, p)
	}
	slices.Reverse(all)
	return all
}

// String is the path, such as "rules[2].id".
func (p *place) String() string {
	var b strings.Builder
	for i, step := range p.steps() {
		if i == 0 && step.up != nil {
			b.WriteString("…")
		}
		name := step.name
		if len(name) > maxName {
			name = strings.ToValidUTF8(name[:maxName], "") + "…"
		}
		switch {
		case step.kind != property:
			b.WriteString("[" + name + "]")
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

// schema is the path as the table writes it, such as "rules[].id"; empty for one that is
// too long to be there.
func (p *place) schema() string {
	var b strings.Builder
	for i, step := range p.steps() {
		switch {
		case i == 0 && step.up != nil || i > 20:
			return ""
		case step.kind != property:
			b.WriteString("[]")
		case i > 0:
			b.WriteString("." + step.name)
		default:
			b.WriteString(step.name)
		}
	}
	return b.String()
}

// walk calls visit for v and everything below it, objects by the order of their names.
func walk(v any, at *place, visit func(at *place, v any)) {
	visit(at, v)
	switch v := v.(type) {
	case map[string]any:
		for _, name := range names(v) {
			walk(v[name], &place{at, name, property}, visit)
		}
	case []any:
		for i, e := range v {
			walk(e, &place{at, strconv.Itoa(i), number}, visit)
		}
	}
}

// names are the names in an object, in the order of their bytes.
func names[V any](object map[string]V) []string { return slices.Sorted(maps.Keys(object)) }
