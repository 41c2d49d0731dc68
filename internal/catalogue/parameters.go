package catalogue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/strictjson"
)

// NoParameters is the [Definition.Canonical] of an operation that takes none.
func NoParameters(raw json.RawMessage) (json.RawMessage, error) {
	if err := DecodeParameters(raw, &struct{}{}); err != nil {
		return nil, err
	}
	return json.RawMessage("{}"), nil
}

// DecodeParameters decodes the parameters of a start into in, a pointer to a
// struct. Nothing and null leave it as it is. Anything that in can't take is an
// [*op.FieldError] that names the field.
func DecodeParameters(raw json.RawMessage, in any) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if raw[0] != '{' {
		return &op.FieldError{Field: "parameters", Detail: "must be an object"}
	}
	if err := strictjson.Check("parameters", raw); err != nil {
		var field *op.FieldError
		if errors.As(err, &field) && field.Field != "parameters" {
			field.Field = "parameters." + field.Field
		}
		return err
	}
	if name := strictjson.Unknown(raw, in); name != "" {
		return &op.FieldError{Field: "parameters." + name, Detail: "is not a parameter of this operation"}
	}
	if err := json.Unmarshal(raw, in); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return &op.FieldError{Field: "parameters." + te.Field, Detail: "must be " + jsonWords(te.Type) + ", not " + sentWords(te.Value)}
		}
		return &op.FieldError{Field: "parameters", Detail: "is not valid JSON"}
	}
	return nil
}

// jsonWords says in people's words what JSON the type takes.
func jsonWords(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the kinds that parameters are made of
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list of " + listWords(t.Elem())
	case reflect.Pointer:
		return jsonWords(t.Elem())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a whole number"
	}
}

// listWords is [jsonWords] for the elements of a list.
func listWords(t reflect.Type) string {
	words := jsonWords(t)
	several := map[string]string{"a number": "numbers", "a whole number": "whole numbers", "an object": "objects"}
	return cmp.Or(several[words], words)
}

// sentWords says what JSON value was sent, from its kind as encoding/json names it, such as
// "array" or "number 1.5".
func sentWords(value string) string {
	switch kind, _, _ := strings.Cut(value, " "); kind {
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	case "object":
		return "an object"
	default:
		return "a " + value
	}
}
