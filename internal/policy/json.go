package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of one item, in bytes and in levels of nesting. observed: the largest policies
// have half a megabyte and ten levels. A plan nests parts of policies deeper, and
// encoding/json refuses to read more than 10,000 levels.
const (
	MaxBytes = 10 << 20
	MaxDepth = 1_000
)

// Errors for an item that can't be read. [ItemError] wraps them.
var (
	ErrTooLarge = fmt.Errorf("is larger than %d MiB", MaxBytes>>20)
	ErrTooDeep  = fmt.Errorf("is nested deeper than %d levels", MaxDepth)
	ErrInvalid  = errors.New("is not valid JSON")
)

// parse decodes one JSON value to map[string]any, []any, string, json.Number, bool or nil;
// json.Number keeps the digits. It refuses text that is not UTF-8, lone surrogates, which
// the decoder would replace, and an object with the same name twice, which parsers read
// differently.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: the text is not UTF-8", ErrInvalid)
	}
	if loneSurrogate(data) {
		return nil, fmt.Errorf("%w: half of a surrogate pair stands alone", ErrInvalid)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: there is more than one value", ErrInvalid)
	}
	return v, nil
}

// loneSurrogate reports whether an escape such as \ud800 stands without its other half.
func loneSurrogate(data []byte) bool {
	unit := func(i int) rune { // of the escape at i; 0 if there is none
		if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
		if err != nil {
			return 0 // the decoder refuses it
		}
		return rune(n)
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if utf16.IsSurrogate(unit(i)) {
			if utf16.DecodeRune(unit(i), unit(i+6)) == utf8.RuneError {
				return true
			}
			i += 6 // to the other half
		}
		i++ // to what is escaped
	}
	return false
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	token, err := dec.Token()
	if err != nil {
		return nil, invalid(err)
	}
	switch token {
	case json.Delim('{'):
		object := make(map[string]any)
		for dec.More() {
			token, err := dec.Token()
			if err != nil {
				return nil, invalid(err)
			}
			name, _ := token.(string) // the decoder accepts nothing else here
			if _, twice := object[name]; twice {
				return nil, fmt.Errorf("%w: %.100q stands twice in one object", ErrInvalid, name)
			}
			if object[name], err = parseValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = dec.Token()
		return object, invalid(err)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, invalid(err)
	default:
		return token, nil
	}
}

func invalid(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it is cut off", ErrInvalid)
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}

// encode returns the canonical text of a tree: names in byte order, no white space,
// numbers with their original digits.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("policy: a tree that can't be encoded: %v", err)) // every tree comes from parse
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clone returns a deep copy of a tree.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, below := range v {
			out[k] = clone(below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, below := range v {
			out[i] = clone(below)
		}
		return out
	}
	return v
}

// Substitute returns the canonical text of data in which every string value that is a key
// of to is replaced. Names of properties are not replaced.
func Substitute(data []byte, to map[string]string) ([]byte, error) {
	v, err := parse(data)
	if err != nil {
		return nil, err
	}
	return encode(substitute(v, to)), nil
}

func substitute(v any, to map[string]string) any {
	switch v := v.(type) {
	case string:
		if s, ok := to[v]; ok {
			return s
		}
	case []any:
		for i, e := range v {
			v[i] = substitute(e, to)
		}
	case map[string]any:
		for name, e := range v {
			v[name] = substitute(e, to)
		}
	}
	return v
}
