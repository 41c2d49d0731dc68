package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Mismatch is a difference between an object and its type, in the words of the service.
type Mismatch struct{ Text string }

// Error is the text of the service.
func (m *Mismatch) Error() string { return m.Text }

func mismatch(format string, args ...any) error { return &Mismatch{fmt.Sprintf(format, args...)} }

// maxDepth is the deepest nesting of an object that the service reads (docs: OData reader).
const maxDepth = 100

// Resolve returns the type of an object that is sent to a collection of base: the one it
// names by @odata.type, or base. An error is a [*Mismatch]; namespace is that of its text.
func Resolve(odataType string, base *Type, namespace string) (*Type, error) {
	t := base
	if odataType != "" {
		name := strings.TrimPrefix(odataType, "#")
		if t = Lookup(name); t == nil {
			return nil, mismatch("A type named '%s' could not be resolved by the model. When a model is available, each type name must resolve to a valid type.", name)
		}
		if !t.Is(base) {
			return nil, mismatch("An entry with type '%s' was found, but it is not assignable to the expected type '%s'. The type specified in the entry must be equal to either the expected type or a derived type.",
				namespace+"."+wire(t.Name), namespace+"."+wire(base.Name))
		}
	}
	if t.Abstract {
		return nil, mismatch("Cannot create an abstract class.")
	}
	return t, nil
}

// Check compares the properties of an object with its type. It accepts properties that the
// type does not have, null everywhere, and annotations. Numbers in v are json.Number. An error
// is a [*Mismatch]; namespace is that of its text.
func Check(t *Type, v map[string]any, namespace string) error { return checkObject(t, v, namespace, 0) }

func checkObject(t *Type, v map[string]any, namespace string, depth int) error {
	if depth > maxDepth {
		return mismatch("The maximum recursion depth limit was reached. The depth of nested values in a single property cannot exceed %d.", maxDepth)
	}
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names) // the same input gets the same answer
	for _, name := range names {
		p, ok := t.Property(name)
		if !ok || strings.Contains(name, "@") {
			if err := tooDeep(v[name], depth+1); err != nil {
				return err
			}
			continue
		}
		if err := checkProperty(p, v[name], namespace, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// tooDeep checks the depth of a value without a type.
func tooDeep(v any, depth int) error {
	if depth > maxDepth {
		return mismatch("The maximum recursion depth limit was reached. The depth of nested values in a single property cannot exceed %d.", maxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if err := tooDeep(e, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := tooDeep(e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkProperty(p Property, v any, namespace string, depth int) error {
	if v == nil {
		return nil
	}
	if !p.List {
		return checkValue(p, v, namespace, depth)
	}
	list, ok := v.([]any)
	if !ok {
		return mismatch("An unexpected '%s' node was found for property named '%s' when reading from the JSON reader. A 'StartArray' node was expected.", node(v), p.Name)
	}
	for _, e := range list {
		if e == nil {
			continue
		}
		if err := checkValue(p, e, namespace, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(p Property, v any, namespace string, depth int) error {
	if t := Lookup(p.Type); t != nil {
		object, ok := v.(map[string]any)
		if !ok {
			return mismatch("An unexpected '%s' node was found for property named '%s' when reading from the JSON reader. A 'StartObject' node was expected.", node(v), p.Name)
		}
		name, _ := object["@odata.type"].(string)
		nested, err := Resolve(name, t, namespace)
		if err != nil {
			return err
		}
		return checkObject(nested, object, namespace, depth)
	}
	switch v.(type) {
	case map[string]any, []any:
		if p.Type == "string" || p.Type == "number" || p.Type == "boolean" || Values(p.Type) != nil {
			return mismatch("An unexpected '%s' node was found for property named '%s' when reading from the JSON reader. A 'PrimitiveValue' node was expected.", node(v), p.Name)
		}
		return tooDeep(v, depth)
	}
	return literal(p.Type, v, namespace)
}

// literal checks a plain value.
func literal(typ string, v any, namespace string) error {
	var fits bool
	var edm string
	switch typ {
	case "string":
		_, fits = v.(string)
		edm = "Edm.String"
	case "number":
		_, fits = v.(json.Number)
		edm = "Edm.Int32"
	case "boolean":
		_, fits = v.(bool)
		edm = "Edm.Boolean"
	default:
		values := Values(typ)
		if values == nil {
			return nil // a type that the library does not describe
		}
		edm = namespace + "." + wire(typ)
		text, ok := v.(string)
		fits = ok
		for word := range strings.SplitSeq(text, ",") { // several values of a set of flags
			word = strings.TrimSpace(word)
			fits = fits && slices.ContainsFunc(values, func(known string) bool { return strings.EqualFold(known, word) })
		}
	}
	if fits {
		return nil
	}
	return mismatch("Cannot convert the literal '%v' to the expected type '%s'.", v, edm)
}

// node is the JSON reader's name of a kind of value.
func node(v any) string {
	switch v.(type) {
	case map[string]any:
		return "StartObject"
	case []any:
		return "StartArray"
	}
	return "PrimitiveValue"
}
