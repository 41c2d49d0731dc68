package graphsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// object is one Graph entity: its properties in the order in which they are sent.
// Values stay raw, so that what was loaded from a real export is answered byte for byte.
// An object is immutable once it is shared; change it through with and without.
type object []field

type field struct {
	name string
	raw  json.RawMessage
}

// parseObject reads one JSON object and keeps the order of its properties.
func parseObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, fmt.Errorf("expected a JSON object, found %v", t)
	}
	var o object
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
		o = append(o, field{name, compact(raw)})
	}
	_, err := dec.Token()
	return o, err
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return bytes.Clone(b.Bytes())
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(f field) bool { return f.name == name })
}

// get returns the raw value of a property, or nil.
func (o object) get(name string) json.RawMessage {
	if i := o.index(name); i >= 0 {
		return o[i].raw
	}
	return nil
}

// text returns the value of a string property, or "".
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// with returns a copy of o in which name has the value v, in its old place if it had one.
func (o object) with(name string, v any) object {
	out := slices.Clone(o)
	if i := out.index(name); i >= 0 {
		out[i].raw = rawJSON(v)
		return out
	}
	return append(out, field{name, rawJSON(v)})
}

// without returns a copy of o that lacks the properties for which drop is true.
func (o object) without(drop func(name string) bool) object {
	return slices.DeleteFunc(slices.Clone(o), func(f field) bool { return drop(f.name) })
}

// value decodes the property at path, a slash-separated walk through nested objects. It is
// nil where the walk ends early, as in OData.
func (o object) value(path string) any {
	name, rest, nested := strings.Cut(path, "/")
	i := slices.IndexFunc(o, func(f field) bool { return strings.EqualFold(f.name, name) })
	if i < 0 {
		return nil
	}
	var v any
	if json.Unmarshal(o[i].raw, &v) != nil {
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

// encode writes the object with its properties in order.
func (o object) encode() []byte { return o.append(nil) }

func (o object) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, rawJSON(f.name)...)
		dst = append(dst, ':')
		dst = append(dst, f.raw...)
	}
	return append(dst, '}')
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// MarshalJSON keeps the order of the properties.
func (o object) MarshalJSON() ([]byte, error) { return o.encode(), nil }

// rawJSON encodes v as Graph does, which leaves <, > and & alone.
func rawJSON(v any) json.RawMessage {
	switch v := v.(type) {
	case json.RawMessage:
		return v
	case object:
		return v.encode()
	case []object: // a page: encoding/json would read all of it again
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
		return json.RawMessage("null") // only reached for values that no caller builds, such as channels
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// parseObjects reads a JSON array of objects.
func parseObjects(data []byte) ([]object, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return nil, err
	}
	out := make([]object, 0, len(raws))
	for i, raw := range raws {
		o, err := parseObject(raw)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// UnmarshalJSON keeps the order of the properties.
func (o *object) UnmarshalJSON(data []byte) (err error) {
	*o, err = parseObject(data)
	return err
}
