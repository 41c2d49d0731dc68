package api

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/strictjson"
)

// takesBody reports whether requests of the type I have a body.
func takesBody[I any]() bool {
	t := reflect.TypeFor[I]()
	if t.Kind() != reflect.Struct {
		return false
	}
	_, ok := t.FieldByName("Body")
	return ok
}

// strict refuses a body that two readers could understand differently, and any body of
// a route that takes none. The framework's schema check, which follows, refuses unknown
// names.
func strict(takes bool) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(hc)
		if err := checkBody(r, takes); err != nil {
			refuse(r.Context(), err).Write(w)
			return
		}
		next(hc)
	}
}

func checkBody(r *http.Request, takes bool) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	body, err := whole(r)
	if err != nil {
		return err
	}
	switch {
	case len(body) > maxBody:
		return &http.MaxBytesError{Limit: maxBody}
	case takes && (!isJSON(r) || len(body) == 0):
		return nil // the framework refuses it
	case takes:
		return strictjson.Check("body", body)
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	if err := strictjson.Check("body", body); err != nil {
		return err
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return &op.FieldError{Field: "body", Detail: "must be empty"}
	}
	if name := strictjson.Unknown(body, &struct{}{}); name != "" {
		return &op.FieldError{Field: name, Detail: "is not known here"}
	}
	return nil
}

// errBroken is for a body that ended early.
var errBroken = &op.FieldError{Field: "body", Detail: "did not arrive completely"}

func isJSON(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // empty if it is not a media type
	return kind == "" || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// whole reads the body of a request, up to one byte more than allowed, and leaves it
// readable.
func whole(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, errBroken
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
