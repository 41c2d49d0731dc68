//go:build linux

package e2e_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// crawl requests every GET route with a token, with every known value for every
// parameter, and returns all answers with their headers. It takes the routes from the
// API's own document.
func crawl(t *testing.T, address, token string, values map[string][]string) (pages []reply) {
	t.Helper()
	document, err := ask(t.Context(), address, "", http.MethodGet, "/openapi.json", nil)
	if err != nil || document.status != http.StatusOK {
		t.Fatalf("openapi.json: %v, status %d", err, document.status)
	}
	pages = append(pages, document)
	var api struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(document.body, &api); err != nil {
		t.Fatal(err)
	}
	for path, methods := range api.Paths {
		get, ok := methods["get"]
		if !ok || strings.HasSuffix(path, "/events") { // a stream does not end; it carries a run
			continue
		}
		var queries []string
		for _, p := range get.Parameters {
			if p.In == "query" {
				for _, v := range values[p.Name] {
					queries = append(queries, p.Name+"="+url.QueryEscape(v))
				}
			}
		}
		for _, filled := range fill(t, strings.TrimPrefix(path, "/api/v1"), values) {
			for _, query := range append(queries, "") {
				r, err := ask(t.Context(), address, token, http.MethodGet, filled+"?"+query, nil)
				if err != nil {
					t.Fatalf("%s: %v", filled, err)
				}
				if r.status >= 500 {
					t.Errorf("GET %s?%s: status %d %s", filled, query, r.status, r.body)
				}
				pages = append(pages, r)
			}
		}
	}
	return pages
}

var variable = regexp.MustCompile(`\{(\w+)\}`)

// fill puts every known value into every variable of a path.
func fill(t *testing.T, path string, values map[string][]string) []string {
	t.Helper()
	m := variable.FindStringSubmatchIndex(path)
	if m == nil {
		return []string{path}
	}
	name := path[m[2]:m[3]]
	if name == "plan" && len(values[name]) == 0 {
		values = map[string][]string{name: {strings.Repeat("0", 64)}, "tenant": values["tenant"]} // there is none yet
	}
	if len(values[name]) == 0 {
		t.Fatalf("the crawl knows no %s for %s", name, path)
	}
	var filled []string
	for _, v := range values[name] {
		filled = append(filled, fill(t, path[:m[0]]+url.PathEscape(v)+path[m[1]:], values)...)
	}
	return filled
}

// policyZip is a zip file with one policy, for an upload.
func policyZip(t *testing.T, id, name string) io.Reader {
	t.Helper()
	text, err := json.Marshal(map[string]string{"id": id, "displayName": name, "platform": "iOS", "rule": "x"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	f, err := z.Create("policy.json")
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return &out
}

// textOf returns the text of all answers.
func textOf(pages []reply) string {
	var b strings.Builder
	for _, p := range pages {
		for name, vs := range p.header {
			b.WriteString(name + ": " + strings.Join(vs, ", ") + "\n")
		}
		b.Write(p.body)
		b.WriteByte('\n')
	}
	return b.String()
}

// found returns the words that occur in text, in any case.
func found(text string, words []string) (hits []string) {
	text = strings.ToLower(text)
	for _, w := range words {
		if strings.Contains(text, strings.ToLower(w)) {
			hits = append(hits, w)
		}
	}
	slices.Sort(hits)
	return hits
}
