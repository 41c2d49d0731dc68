package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/httpx"
)

// served is the OpenAPI document as served, parsed without the code that made it. Every
// answer in every test is checked against it.
type served struct {
	said  map[string]bool // what was reported already
	root  map[string]any
	paths []*regexp.Regexp // of names
	names []string
}

func readDocument(t *testing.T, s *httptest.Server) *served {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+Base+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	d := &served{said: make(map[string]bool)}
	if err := json.NewDecoder(resp.Body).Decode(&d.root); err != nil {
		t.Fatal(err)
	}
	for name := range d.root["paths"].(map[string]any) {
		d.names = append(d.names, name)
	}
	// Paths with fewer variables first: /inventory/types before /inventory/{x}.
	slices.SortFunc(d.names, func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	variable := regexp.MustCompile(`\\\{[^/]+\\\}`)
	for _, name := range d.names {
		d.paths = append(d.paths, regexp.MustCompile("^"+variable.ReplaceAllString(regexp.QuoteMeta(name), "[^/]+")+"$"))
	}
	return d
}

// operation returns the document's entry for a request; nil if there is none.
func (d *served) operation(method, path string) map[string]any {
	path, _, _ = strings.Cut(path, "?")
	for i, p := range d.paths {
		if p.MatchString(path) {
			o, _ := d.root["paths"].(map[string]any)[d.names[i]].(map[string]any)[strings.ToLower(method)].(map[string]any)
			return o
		}
	}
	return nil
}

// check fails t if the document does not promise the answer.
func (d *served) check(t *testing.T, method, path string, a answer) {
	t.Helper()
	o := d.operation(method, path)
	if o == nil || len(a.body) == 0 && method == http.MethodHead {
		return
	}
	promised, ok := o["responses"].(map[string]any)[strconv.Itoa(a.status)].(map[string]any)
	if !ok {
		t.Errorf("%s %s answers %d, of which the document says nothing: %.200s", method, path, a.status, a.body)
		return
	}
	content, _ := promised["content"].(map[string]any)
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if len(content) == 0 && len(a.body) == 0 {
		return
	}
	media, ok := content[kind].(map[string]any)
	if !ok {
		t.Errorf("%s %s answers %d with %s, of which the document says nothing", method, path, a.status, kind)
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var body any
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return
	}
	for _, wrong := range d.against("$", media["schema"].(map[string]any), body) {
		if said := o["operationId"].(string) + wrong; !d.said[said] {
			d.said[said] = true
			t.Errorf("%s %s: %s", method, path, wrong)
		}
	}
}

// against returns how a value differs from a schema. It knows the keywords that the
// document uses, and reports others.
func (d *served) against(at string, schema map[string]any, v any) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, at+" "+fmt.Sprintf(format, args...)) }
	if ref, ok := schema["$ref"].(string); ok {
		target := d.resolve(ref)
		if target == nil {
			return []string{at + " refers to " + ref + ", which is not there"}
		}
		return d.against(at, target, v)
	}
	if options, ok := schema["anyOf"].([]any); ok {
		for _, s := range options {
			if len(d.against(at, s.(map[string]any), v)) == 0 {
				return nil
			}
		}
		say("is none of what it may be: %.100v", v)
		return wrong
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		say("is %v, not one of %v", v, enum)
	}
	if types := list1(schema["type"]); len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return isA(t, v) }) {
		say("is %.60v, not %v", v, types)
		return wrong
	}
	switch v := v.(type) {
	case string:
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				say("is no time: %s", v)
			}
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for i, e := range v {
				wrong = append(wrong, d.against(fmt.Sprintf("%s[%d]", at, i), items, e)...)
			}
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range list1(schema["required"]) {
			if _, ok := v[name]; !ok {
				say("lacks %s", name)
			}
		}
		for name, e := range v {
			if p, ok := properties[name].(map[string]any); ok {
				wrong = append(wrong, d.against(at+"."+name, p, e)...)
			} else if schema["additionalProperties"] == false {
				say("has %s, which the document does not know", name)
			}
		}
	}
	return wrong
}

func (d *served) resolve(ref string) map[string]any {
	var at any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(map[string]any)
		at = m[part]
	}
	m, _ := at.(map[string]any)
	return m
}

// list1 is a keyword that may be one string or several.
func list1(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, s := range v {
			list = append(list, s.(string))
		}
	}
	return list
}

func isA(kind string, v any) bool {
	switch kind {
	case "null":
		return v == nil
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "number":
		_, ok := v.(float64)
		return ok
	case "integer":
		n, ok := v.(float64)
		return ok && n == math.Trunc(n)
	case "array":
		_, ok := v.([]any)
		return ok
	case "object":
		_, ok := v.(map[string]any)
		return ok
	}
	return false
}

func TestDocument(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	d := w.document
	if v, _ := d.root["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		t.Errorf("openapi is %q, want 3.1", v)
	}
	described := 0
	ids := make(map[string]bool)
	for name, item := range d.root["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			described++
			id, _ := o.(map[string]any)["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s has the id %q, which is empty or another's", method, name, id)
			}
			ids[id] = true
			for _, v := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(name, -1) {
				if !hasParameter(o.(map[string]any), v[1]) {
					t.Errorf("%s %s does not describe {%s}", method, name, v[1])
				}
			}
		}
	}
	if len(w.server.routes) != described {
		t.Errorf("%d routes are served and %d described", len(w.server.routes), described)
	}
	for _, r := range w.server.routes {
		o := d.operation(r.Method, Base+r.Path)
		if o == nil {
			t.Errorf("%s is served and not described", r.Pattern())
			continue
		}
		_, secured := o["security"]
		if secured == (r.Object == Public) {
			t.Errorf("%s: whether one has to sign in is described wrongly", r.Pattern())
		}
	}
	walk("#", d.root, func(at string, m map[string]any) {
		if ref, ok := m["$ref"].(string); ok && d.resolve(ref) == nil {
			t.Errorf("%s refers to %s, which is not there", at, ref)
		}
		for keyword := range m {
			if slices.Contains([]string{"allOf", "not", "patternProperties", "if", "prefixItems", "const"}, keyword) && m["type"] != nil {
				t.Errorf("%s uses %s, which these tests do not know", at, keyword)
			}
		}
	})
	for _, text := range []string{"cdn", "unpkg", "/docs"} {
		b, err := json.Marshal(d.root)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("the document speaks of %s", text)
		}
	}
}

func hasParameter(o map[string]any, name string) bool {
	parameters, _ := o["parameters"].([]any)
	return slices.ContainsFunc(parameters, func(p any) bool {
		m := p.(map[string]any)
		return m["name"] == name && m["in"] == "path" && m["required"] == true
	})
}

func walk(at string, v any, visit func(string, map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(at, v)
		for name, e := range v {
			walk(at+"/"+name, e, visit)
		}
	case []any:
		for i, e := range v {
			walk(fmt.Sprintf("%s/%d", at, i), e, visit)
		}
	}
}

// The checks must refuse what is wrong.
func TestDocumentRefuses(t *testing.T) {
	d := &served{root: map[string]any{"components": map[string]any{"schemas": map[string]any{"Named": map[string]any{"type": "string"}}}}}
	schema := map[string]any{
		"type": "object", "additionalProperties": false, "required": []any{"at"},
		"properties": map[string]any{
			"at":    map[string]any{"type": "string", "format": "date-time"},
			"state": map[string]any{"type": "string", "enum": []any{"queued"}},
			"names": map[string]any{"type": []any{"array", "null"}, "items": map[string]any{"$ref": "#/components/schemas/Named"}},
			"run":   map[string]any{"anyOf": []any{map[string]any{"$ref": "#/components/schemas/Named"}, map[string]any{"type": "null"}}},
		},
	}
	for body, good := range map[string]bool{
		`{"at":"2026-11-23T14:02:31Z","state":"queued","names":["a"],"run":null}`: true,
		`{"at":"2026-11-23T14:02:31Z","names":null}`:                              true,
		`{"at":"yesterday"}`: false,
		`{}`:                 false,
		`{"at":"2026-11-23T14:02:31Z","state":"gone"}`:   false,
		`{"at":"2026-11-23T14:02:31Z","names":[1]}`:      false,
		`{"at":"2026-11-23T14:02:31Z","run":{}}`:         false,
		`{"at":"2026-11-23T14:02:31Z","secret":"shown"}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if wrong := d.against("$", schema, v); (len(wrong) == 0) != good {
			t.Errorf("%s: %v", body, wrong)
		}
	}
}
