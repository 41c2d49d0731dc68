package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// hostile are texts that break programs: at the end of a C string, in a database's
// encoding, in a pattern, in a log, in a page.
var hostile = []string{
	"\x00", "a\x00b", "\xff\xfe", "\u202e", "%", `\`, "';--", "{}", "<script>", "../..", "\r\nX: y",
	strings.Repeat("x", 5000), strings.Repeat("💥", 300), "-1", "9223372036854775808", " ",
}

// TestHostileInput puts hostile texts into every query parameter, every body field and
// every path of the document. Each is accepted or refused, and none is a fault.
func TestHostileInput(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		owner := w.Bearer(w.Owner)
		asked := 0
		ask := func(what, method, path string, body any) {
			asked++
			a := m.ask(owner, method, path, body, "Idempotency-Key", "hostile")
			if a.status >= http.StatusInternalServerError {
				t.Errorf("%s: %d %s", what, a.status, a.body)
			}
		}
		for _, r := range m.server.routes {
			if r.ID == "follow-run" || r.ID == "sign-out" {
				continue
			}
			o := m.document.operation(r.Method, Base+r.Path)
			path := m.places[0].at(r.Path)
			parameters, _ := o["parameters"].([]any)
			query := "?" // with what a parameter needs beside it; a name that is not known is refused first
			if slices.ContainsFunc(parameters, func(p any) bool { return p.(map[string]any)["name"] == "operation" }) {
				query = "?operation=inventory.sync&"
			}
			for _, p := range parameters {
				p := p.(map[string]any)
				name, _ := p["name"].(string)
				for _, text := range hostile {
					switch p["in"] {
					case "query":
						ask(r.ID+" "+name, r.Method, path+query+name+"="+url.QueryEscape(text), nil)
					case "path":
						if text != "../.." {
							ask(r.ID+" "+name, r.Method, strings.Replace(m.places[0].at(strings.Replace(r.Path, "{"+name+"}", "HERE", 1)), "HERE", url.PathEscape(text), 1), nil)
						}
					}
				}
			}
			for _, body := range m.bodies(o) {
				ask(r.ID+" "+body, r.Method, path, body)
			}
		}
		t.Logf("%d requests", asked)
	})
}

// bodies returns bodies for an operation: a valid one with one hostile field at a time.
func (m *matrix) bodies(o map[string]any) (out []string) {
	request, _ := o["requestBody"].(map[string]any)
	if request == nil {
		return out
	}
	if _, file := request["content"].(map[string]any)[zipType]; file {
		return []string{"PK"}
	}
	schema := request["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
	if ref, ok := schema["$ref"].(string); ok {
		schema = m.document.resolve(ref)
	}
	right := map[string]any{
		"operation": "inventory.sync", "email": "hostile@lattice.example", "name": "Hostile", "password": "long enough to be one", "role": "viewer",
		"note": "a note", "domain": "hostile.example", "directory_id": guid, "client_id": guid, "secret": "s",
	}
	properties := schema["properties"].(map[string]any)
	base := make(map[string]any)
	for name := range properties {
		if v, ok := right[name]; ok {
			base[name] = v
		}
	}
	add := func(name string, v any) {
		body := maps.Clone(base)
		body[name] = v
		text, err := json.Marshal(body)
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, string(text))
		// Bytes that are no text; Go would replace them.
		if s, ok := v.(string); ok && s == "\xff\xfe" {
			out = append(out, strings.Replace(string(text), `\ufffd\ufffd`, s, 1))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		for _, text := range hostile {
			add(name, text)
			add(name, []any{text})
			add(name, map[string]any{text: text})
		}
		for _, v := range []any{nil, true, 0, -1, 1e300, []any{}, []any{nil}, map[string]any{}, strings.Split(strings.Repeat("[,", 500), ",")} {
			add(name, v)
		}
	}
	return append(out, strings.Repeat("[", 100_000))
}

// TestBodiesHaveOneMeaning sends bodies that two readers could understand differently
// to every changing route. Each is refused, with its field, before the database is
// read: one engine is enough.
func TestBodiesHaveOneMeaning(t *testing.T) {
	w := onOne(t)
	m := newMatrix(t, w)
	routes := 0
	for _, r := range m.server.routes {
		if r.Upload {
			continue // its body is a file
		}
		if r.Method == http.MethodGet {
			continue
		}
		routes++
		send := func(body, field, says string) {
			t.Helper()
			a := m.ask(w.Bearer(w.Owner), r.Method, m.places[0].at(r.Path), body, "Idempotency-Key", "k")
			p := a.problem(http.StatusUnprocessableEntity, "field")
			if !slices.ContainsFunc(p.Errors, func(e httpx.Wrong) bool { return e.Field == field && strings.Contains(e.Detail, says) }) {
				t.Errorf("%s, %.60s: %v, want that %s %s", r.ID, body, p.Errors, field, says)
			}
		}
		name, rest := "", "" // one of the properties, and all of them
		for n, v := range m.right(r) {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			send(`{`+m.without(r, n)+strconv.Quote(n)+`:`+string(text)+`,`+strconv.Quote(n)+`:`+string(text)+`}`, n, "is given twice")
			odd := strings.ToUpper(n[:1]) + n[1:]
			send(`{`+m.without(r, "")+strconv.Quote(odd)+`:`+string(text)+`}`, odd, "is not known here")
			name, rest = n, m.without(r, "")
		}
		send(`{`+rest+`"colour":"red"}`, "colour", "is not known here")
		send(`{`+rest+`"colour":{"deep":[{"x":1,"x":2}]}}`, "colour.deep[0].x", "is given twice")
		send("\xef\xbb\xbf{}", "body", "byte order mark")
		send(`{"colour":"`+"\xff"+`"}`, "body", "UTF-8")
		send(`{} {}`, "body", "has data after the JSON value")
		send(`{"a":`, "body", "cut off")
		send(`{a:1}`, "body", "not valid JSON")
		if name != "" {
			send(`[]`, "body", "must be an object")
		} else {
			send(`[]`, "body", "must be empty")
			send(`"x"`, "body", "must be empty")
		}
		m.ask(w.Bearer(w.Owner), r.Method, m.places[0].at(r.Path), `{"a":"`+strings.Repeat("x", maxBody)+`"}`, "Idempotency-Key", "k").
			problem(http.StatusRequestEntityTooLarge, "too_large")
	}
	if routes < 15 {
		t.Errorf("%d routes were asked", routes)
	}
	if n := w.Int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NOT NULL`); n != 1 { // one of the matrix
		t.Errorf("%d tokens were revoked by what was refused", n)
	}
}

// right returns the properties of a route's body, each with a valid value.
func (m *matrix) right(r Route) map[string]any {
	request, _ := m.document.operation(r.Method, Base+r.Path)["requestBody"].(map[string]any)
	if request == nil {
		return nil
	}
	schema := request["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any)
	if ref, ok := schema["$ref"].(string); ok {
		schema = m.document.resolve(ref)
	}
	out := make(map[string]any)
	for name, p := range schema["properties"].(map[string]any) {
		p := p.(map[string]any)
		if ref, ok := p["$ref"].(string); ok {
			p = m.document.resolve(ref)
		}
		kind, _ := p["type"].(string)
		if several, ok := p["type"].([]any); ok {
			kind, _ = several[0].(string)
		}
		switch values, _ := p["enum"].([]any); {
		case len(values) > 0:
			out[name] = values[0]
		case p["format"] == "date-time":
			out[name] = "2027-01-01T00:00:00Z"
		case kind == "string":
			out[name] = "a value that is long enough"
		case kind == "boolean":
			out[name] = true
		case kind == "integer":
			out[name] = p["minimum"]
		case kind == "array":
			out[name] = []any{}
		default:
			out[name] = map[string]any{}
		}
	}
	return out
}

// without returns a valid body of a route, after its opening brace, without one
// property.
func (m *matrix) without(r Route, name string) string {
	var b strings.Builder
	for n, v := range m.right(r) {
		if n != name {
			text, err := json.Marshal(v)
			if err != nil {
				m.t.Fatal(err)
			}
			b.WriteString(strconv.Quote(n) + ":" + string(text) + ",")
		}
	}
	return b.String()
}

func TestContentTypes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x"} {
			p := w.post(w.Operator, "/tenants/kestrel/starts", `{"operation":"inventory.sync"}`, "Idempotency-Key", "k", "Content-Type", kind).
				problem(http.StatusUnprocessableEntity, "field")
			if p.Errors[0].Field != "Content-Type" {
				t.Errorf("%s is told about %v", kind, p.Errors)
			}
		}
		for key, good := range map[string]bool{"k-1": true, "\xff": false, "k 1": true, "ü": false} {
			a := w.start(w.Operator, "kestrel", key, map[string]any{"operation": op.InventorySync})
			if (a.status < 400) != good || a.status >= 500 {
				t.Errorf("the key %q is answered with %d", key, a.status)
			}
		}
		w.post(w.Operator, "/tenants/kestrel/starts", `{"operation":"inventory.sync"}`, "Idempotency-Key", "k", "Interlock-Surface", "web").
			problem(http.StatusUnprocessableEntity, "field")
		w.start(w.Second, "kestrel", "k-2", `{"operation":"inventory.sync"}`).want(http.StatusOK)
		if n := w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 3 {
			t.Errorf("there are %d attempts", n)
		}
	})
}

func TestHeadEndsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		run := w.accepted(w.Operator, "kestrel", op.InventorySync)
		for _, path := range []string{"/runs/" + run.ID + "/events", "/runs/" + run.ID, "/runs"} {
			if a := w.ask(w.Bearer(w.Viewer), http.MethodHead, path, nil).want(http.StatusOK); len(a.body) != 0 {
				t.Errorf("HEAD %s has a body", path)
			}
		}
	})
}
