// Package odata parses and writes the parts of Microsoft Graph calls: objects that keep the
// order and bytes of their properties, query options, $filter, resource paths, and the
// tokens and links of pages. It knows nothing of tenants.
package odata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Object is one Graph entity: its properties in the order in which they are sent.
// Values stay raw, so that data from a real export is returned byte for byte.
// A shared object must not change; [Object.With] and [Object.Without] return copies.
type Object []Field

// Field is a property with its value as JSON.
type Field struct {
	Name string
	Raw  json.RawMessage
}

// F returns a property. [Raw] encodes v; a json.RawMessage stays as it is.
func F(name string, v any) Field { return Field{name, Raw(v)} }

// Parse parses a JSON object and keeps the order of its properties.
func Parse(data []byte) (Object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, fmt.Errorf("expected a JSON object, found %v", t)
	}
	var o Object
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("expected a property name")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
		o = append(o, Field{name, Compact(raw)})
	}
	_, err := dec.Token()
	return o, err
}

// Compact returns a copy of raw without white space between tokens.
func Compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return bytes.Clone(b.Bytes())
}

// Index returns the position of a property, or -1.
func (o Object) Index(name string) int {
	return slices.IndexFunc(o, func(f Field) bool { return f.Name == name })
}

// Get returns the raw value of a property, or nil.
func (o Object) Get(name string) json.RawMessage {
	if i := o.Index(name); i >= 0 {
		return o[i].Raw
	}
	return nil
}

// Text returns the value of a string property, or "".
func (o Object) Text(name string) string {
	var s string
	if json.Unmarshal(o.Get(name), &s) != nil {
		return ""
	}
	return s
}

// With returns a copy of o in which name has the value v. An existing property keeps its position.
func (o Object) With(name string, v any) Object {
	out := slices.Clone(o)
	if i := out.Index(name); i >= 0 {
		out[i].Raw = Raw(v)
		return out
	}
	return append(out, Field{name, Raw(v)})
}

// Without returns a copy of o without the properties for which drop returns true.
func (o Object) Without(drop func(name string) bool) Object {
	return slices.DeleteFunc(slices.Clone(o), func(f Field) bool { return drop(f.Name) })
}

// Value decodes the property at a slash-separated path through nested objects. It returns nil
// if a part of the path is missing, as in OData.
func (o Object) Value(path string) any {
	name, rest, nested := strings.Cut(path, "/")
	i := slices.IndexFunc(o, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return nil
	}
	var v any
	if json.Unmarshal(o[i].Raw, &v) != nil {
		return nil
	}
	for nested {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		name, rest, nested = strings.Cut(rest, "/")
		v = m[name]
	}
	return v
}

// Encode writes the object with its properties in order.
func (o Object) Encode() []byte { return o.append(nil) }

func (o Object) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, Raw(f.Name)...)
		dst = append(dst, ':')
		dst = append(dst, f.Raw...)
	}
	return append(dst, '}')
}

// plain reports whether s needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// MarshalJSON keeps the order of the properties.
func (o Object) MarshalJSON() ([]byte, error) { return o.Encode(), nil }

// Raw encodes v as Graph does: it does not escape <, > and &.
func Raw(v any) json.RawMessage {
	switch v := v.(type) {
	case json.RawMessage:
		return v
	case Object:
		return v.Encode()
	case []Object: // a page: encoding/json would parse all of it again
		out := []byte{'['}
		for i, o := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = o.append(out)
		}
		return append(out, ']')
	case string:
		if plain(v) {
			return append(append(append(make([]byte, 0, len(v)+2), '"'), v...), '"')
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null") // only for types that no caller uses, such as channels
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// ParseList parses a JSON array of objects.
func ParseList(data []byte) ([]Object, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return nil, err
	}
	out := make([]Object, 0, len(raws))
	for i, raw := range raws {
		o, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// UnmarshalJSON keeps the order of the properties.
func (o *Object) UnmarshalJSON(data []byte) (err error) {
	*o, err = Parse(data)
	return err
}
