package policy

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// at calls visit for every property that a path of the table leads to, with the object
// that holds the property and the property's name. It skips places that are missing or
// have another shape.
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

// cut splits off the first step of a path. The dot in @odata.type belongs to the name.
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

// remove deletes the properties at path.
func remove(v any, path string) {
	at(v, path, func(parent map[string]any, name string) { delete(parent, name) })
}

// get returns the value at path, which must not lead through lists; nil if there is none.
func get(v any, path string) (found any) {
	at(v, path, func(parent map[string]any, name string) { found = parent[name] })
	return found
}

// text is the string at path; empty if there is none.
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

// sortBy sorts a set by key, then by the whole element.
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

// keyOf returns the values at key of an element; of a list its strings, sorted. Without a key it returns the canonical
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
		case []any:
			var words []string
			for _, e := range found {
				if s, ok := e.(string); ok {
					words = append(words, s)
				}
			}
			slices.Sort(words)
			parts = append(parts, strings.Join(words, ","))
		}
	}
	return strings.Join(parts, " ")
}

// compare is a total order of trees. It stops at the first difference, so that its cost
// is at most the size of the smaller tree.
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

// rank orders values by their kind.
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

// place is a position in a tree. The root's is nil.
type place struct {
	up   *place
	name string // of a property, or the index or key of an element
	kind kind
}

type kind int

const (
	property kind = iota
	number        // an element of a list, by its index
	keyed         // an element of a set, by its key; the key is empty if the value is the key
)

// Longer paths and names are cut. No real policy has them, and an input that was made to
// be deep must not cost more than its size.
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

// steps are the last maxSteps places on the way from the root to p.
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

// schema is the path in the form of the table, such as "rules[].id"; empty for a path that
// is longer than any in the table, or has a property name that reads as a path.
func (p *place) schema() string {
	var b strings.Builder
	for i, step := range p.steps() {
		_, _, path := cut(step.name)
		switch {
		case i == 0 && step.up != nil || i > 20:
			return ""
		case step.kind == property && (path || strings.ContainsAny(step.name, "[]")):
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

// walk calls visit for v and everything below it, properties in byte order.
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

// names are the names in an object, in byte order.
func names[V any](object map[string]V) []string { return slices.Sorted(maps.Keys(object)) }
