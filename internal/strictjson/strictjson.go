// Package strictjson refuses JSON that two parsers could read differently. encoding/json
// keeps the last of two equal names and replaces bytes that are not valid UTF-8.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/interlock-dev/interlock/internal/op"
)

// maxShown is the most bytes of a path that an error shows. The sender chooses the names.
const maxShown = 100

// space is the white space that RFC 8259 allows around a value.
const space = " \t\r\n"

// Check returns an [*op.FieldError] unless data is exactly one JSON value in UTF-8 in
// which no object has the same name twice. The error names the field by its path, such
// as "parameters.types[2]", or uses what for the whole value, such as "body".
func Check(what string, data []byte) error {
	wrong := func(detail string) error { return &op.FieldError{Field: what, Detail: detail} }
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return wrong("begins with a byte order mark: send UTF-8 without one")
	case !utf8.Valid(data):
		return wrong("is not valid UTF-8")
	case len(bytes.Trim(data, space)) == 0:
		return wrong("is missing")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	if err := dec.Decode(&value); errors.Is(err, io.ErrUnexpectedEOF) {
		return wrong("is cut off: the JSON is not complete")
	} else if err != nil {
		return wrong("is not valid JSON: " + err.Error())
	}
	if rest := bytes.Trim(data[dec.InputOffset():], space); len(rest) > 0 {
		return wrong("has data after the JSON value: send one value")
	}
	return walk(json.NewDecoder(bytes.NewReader(value)), what, "")
}

// walk reads one value that is known to be valid JSON. encoding/json limits its depth to
// 10,000.
func walk(dec *json.Decoder, what, path string) error {
	t, err := dec.Token()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch t {
	case json.Delim('{'):
		seen := make(map[string]bool)
		for dec.More() {
			t, err := dec.Token()
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			name, _ := t.(string) // the grammar allows nothing else here
			below := strings.TrimPrefix(path+"."+name, ".")
			if seen[name] {
				return &op.FieldError{Field: shown(below), Detail: "is given twice"}
			}
			seen[name] = true
			if err := walk(dec, what, below); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := walk(dec, what, path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.Token() // the closing bracket
	return err
}

func shown(path string) string {
	if len(path) <= maxShown {
		return path
	}
	return strings.ToValidUTF8(path[:maxShown], "") + "…"
}

// Unknown returns the path of the first name in data, in byte order and at any depth,
// that the type v points to does not have; "" if there is none. The case of names counts,
// although encoding/json ignores it.
func Unknown(data []byte, v any) string {
	return shown(strings.TrimPrefix(unknown(data, reflect.TypeOf(v).Elem(), ""), "."))
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func unknown(data []byte, t reflect.Type, path string) string {
	if reflect.PointerTo(t).Implements(unmarshaler) { // it decodes its names itself, as json.RawMessage does
		return ""
	}
	switch t.Kind() { //nolint:exhaustive // other kinds have no names
	case reflect.Pointer:
		return unknown(data, t.Elem(), path)
	case reflect.Slice:
		var list []json.RawMessage
		if json.Unmarshal(data, &list) != nil {
			return ""
		}
		for i, e := range list {
			if name := unknown(e, t.Elem(), path+"["+strconv.Itoa(i)+"]"); name != "" {
				return name
			}
		}
	case reflect.Struct:
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil {
			return "" // not an object: the decoder reports it
		}
		known := make(map[string]reflect.Type)
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			known[name] = f.Type
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			below, ok := known[name]
			if !ok {
				return path + "." + name
			}
			if name := unknown(object[name], below, path+"."+name); name != "" {
				return name
			}
		}
	}
	return ""
}
