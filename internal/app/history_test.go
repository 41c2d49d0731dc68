package app

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Sizes of the history. By hand: go test ./internal/app -run TestNothing -runs 1000000 -tenants 10000
var (
	runsFlag    = flag.Int("runs", 30_000, "runs in the history")
	tenantsFlag = flag.Int("tenants", 3_000, "tenants of the workspace")
)

// TestNothingThatSomebodyWaitsForReadsTheHistory asks for every page, every list
// of the API with each of its filters alone and in pairs, and every stream, as an
// owner and as a member who sees three tenants, and counts what each statement
// looked at, which has nothing to do with how long it took. On SQLite once without
// statistics, as after an installation, and once with them.
//
// Routes, filters and forms are read from the product, so that none is forgotten.
func TestNothingThatSomebodyWaitsForReadsTheHistory(t *testing.T) {
	for _, engine := range dbtest.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			h := newOld(t, dbtest.URL(t, engine))
			if engine == db.SQLite {
				h.everything(t)
			}
			h.Analyze()
			h.everything(t)
			h.presses(t)
			if len(h.costs) < 60 {
				t.Errorf("only %d statements were seen: does the recording work?", len(h.costs))
			}
			h.report(t)
		})
	}
}

// old is Interlock with a long history.
type old struct {
	*gatetest.World
	gatetest.Past

	app          *App
	backup, plan string // of Rare: id and hash

	recording *dbtest.Recording
	costs     map[string]int64 // the highest cost of each statement text
	seen      map[string]bool  // statements with their arguments
	asked     map[string]bool
	sessions  map[string]string // by person
}

func newOld(t testing.TB, database string) *old {
	t.Helper()
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Config{Database: database, Root: root, PublicURL: "https://interlock.example", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &old{World: gatetest.With(t, a.DB, root), app: a, costs: map[string]int64{}}
	h.Past = h.Fill(gatetest.History{Runs: *runsFlag, Tenants: *tenantsFlag, Groups: *runsFlag / 2})
	if _, err := a.Store.SettleReadiness(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.backups(t)
	h.sessions = map[string]string{h.Owner.ID(): h.Session(h.Owner), h.Few.ID(): h.Session(h.Few)}
	return h
}

// backups adds backups: 300 of Rare, ten of each other tenant, each with a policy; and a
// plan of Rare that the operator's preview made.
func (h *old) backups(t testing.TB) {
	t.Helper()
	files := backup.NewFiles(h.DB)
	s, err := files.Upload(t.Context(), h.Owner, h.RareID, archive.Bundle{Tool: archive.Files, Items: []archive.Item{
		{Item: policy.Item{Type: "assignmentFilters", ID: "f1", Body: json.RawMessage(`{"id":"f1","displayName":"Kiosks","rule":"x"}`)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.backup = s.ID
	for _, rows := range []struct {
		tenants string
		n       int
	}{{"t.id = $2 AND t.workspace_id = $3", 300}, {"t.id <> $2 AND t.workspace_id = $3", 10}} {
		// Ids begin with the time: these are older.
		const id = `'0000' || substr(t.id, 5) || substr(CAST(1000 + n.i AS TEXT), 2)`
		numbers := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, rows.n)
		h.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned) `+numbers+`
			SELECT `+id+`, s.workspace_id, t.id, s.directory_id, s.run_id, s.state, s.origin, s.tool, s.layout, s.as_of - n.i, s.types, s.complete, s.items, s.incomplete, s.size, s.pinned
			FROM backup_sets s CROSS JOIN tenants t CROSS JOIN n WHERE s.id = $1 AND `+rows.tenants, s.ID, h.RareID, h.Workspace)
		h.Exec(`INSERT INTO backup_items (set_id, type, object_id, tenant_id, name, name_key, modified_at, hash, missing, incomplete) `+numbers+`
			SELECT `+id+`, i.type, i.object_id, t.id, i.name, i.name_key, i.modified_at, i.hash || CAST(n.i % 40 AS TEXT), i.missing, i.incomplete
			FROM backup_items i CROSS JOIN tenants t CROSS JOIN n WHERE i.set_id = $1 AND `+rows.tenants, s.ID, h.RareID, h.Workspace)
		h.Exec(`INSERT INTO backup_parts (set_id, type, object_id, part, workspace_id, hash) `+numbers+`
			SELECT `+id+`, p.type, p.object_id, p.part, p.workspace_id, p.hash
			FROM backup_parts p CROSS JOIN tenants t CROSS JOIN n WHERE p.set_id = $1 AND `+rows.tenants, s.ID, h.RareID, h.Workspace)
	}
	stored := plans.New(h.DB, h.app.Store)
	packed, err := stored.Pack(plans.Made{Workspace: h.Workspace, Tenant: h.RareID, Run: access.NewID(), Code: "9D41TB", Author: h.Operator.Person()}, restore.Plan{
		Set: s.ID, AsOf: s.AsOf, At: time.Now().UTC(), Target: restore.Target{Tenant: h.RareID, Connection: h.RareConnection, Version: 1, Directory: gatetest.Directory(h.Rare)},
		Mappings: []restore.Mapping{}, Choices: []restore.Chosen{}, Warnings: []restore.WarningCode{}, Unread: []restore.Unread{},
		Steps: []restore.Step{{N: 1, Type: "assignmentFilters", Source: "f1", Name: "Kiosks", Action: restore.Unchanged, Target: "f1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Write(func(ctx context.Context, tx db.Tx) error { return plans.Begin(ctx, tx, packed) })
	for _, b := range packed.Batches() {
		h.Write(b.Put)
	}
	h.Write(func(ctx context.Context, tx db.Tx) error { return plans.Commit(ctx, tx, packed) })
	h.plan = packed.Hash
}

// most is how many rows a statement may look at, and how many pages: a page of a
// list with all that stands in its rows fits, and so does one walk over the names
// of a workspace's tenants. Two walks, or one over the workspace's runs, do not, at
// the sizes above. A page about one tenant may walk over nothing: neither over the
// tenants nor over the runs of a big one. Who searches for a part of a name reads
// names: those of the tenants of a workspace, or of the groups of a directory.
func (h *old) most(path string, s dbtest.Statement) (rows, pages int64) {
	rows, pages = int64(2_500+*tenantsFlag), int64(2_000+*tenantsFlag/4)
	if strings.HasPrefix(path, "/w/lattice/tenants/") {
		rows, pages = 500, 500
	}
	if strings.Contains(s.SQL, " LIKE ") {
		names := int64(*tenantsFlag + *runsFlag/2)
		rows, pages = rows+names, pages+names/4
	}
	return rows, pages
}

// everything requests all that can be read.
func (h *old) everything(t *testing.T) {
	h.seen, h.asked, h.recording = map[string]bool{}, map[string]bool{}, dbtest.Record(h.DB)
	for _, who := range []access.Actor{h.Owner, h.Few} {
		for _, r := range api.New(api.Deps{}).Routes() {
			if r.Method == http.MethodGet {
				h.programs(t, who, r)
			}
		}
		for _, r := range console.New(console.Deps{}).Routes() {
			if r.Method == http.MethodGet {
				h.person(t, who, r, h.Rare)
				if r.Object == web.Tenant {
					h.person(t, who, r, h.Big)
				}
			}
		}
	}
}

// things returns the values of the placeholders of routes, for pages about a tenant,
// whose connection has the same name.
func (h *old) things(tenant string) map[string]string {
	return map[string]string{
		"workspace": "lattice", "tenant": tenant, "connection": tenant, "operation": string(op.InventorySync), "run": h.Run,
		"attempt": h.Refuse, "member": h.Viewer.ID(), "token": access.NewID(), "group": access.NewID(), "object": access.NewID(), "notification": access.NewID(),
		"plan": h.plan, "backup": h.backup, "other": h.backup, "type": "assignmentFilters",
	}
}

var placeholder = regexp.MustCompile(`\{([a-z]+|\$)\}`)

// path fills the placeholders of a route.
func (h *old) path(t *testing.T, pattern, tenant string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(pattern, func(p string) string {
		value, ok := h.things(tenant)[strings.Trim(p, "{}")]
		if !ok && p != "{$}" {
			t.Errorf("%s: what does %s stand for?", pattern, p)
		}
		return url.PathEscape(value)
	})
}

// samples returns values for a filter: common, rare and missing ones.
func (h *old) samples(name string) []string {
	switch name {
	case "tenant":
		return []string{h.Big, h.Rare, "tenant-7", "nobody"}
	case "connection":
		return []string{h.RareConnection}
	case "initiator", "actor":
		return []string{"me", h.Operator.ID(), access.NewID()}
	case "run":
		return []string{h.Run}
	case "since", "until":
		return []string{"2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"}
	case "q":
		return []string{"tenant 9", "z00000", "no such name"}
	case "active", "attention", "unread", "pinned", "incomplete":
		return []string{"true"}
	case "type":
		return []string{"security", "distribution", "mail_enabled_security", "assignmentFilters"}
	case "policy":
		return []string{"f1"}
	case "parameters":
		return []string{"{}"}
	case "after", "limit":
		return []string{"1"}
	case "before":
		return []string{"1000100"}
	}
	return nil
}

// parameter is a parameter in the OpenAPI document.
type parameter struct {
	Name     string
	In       string
	Required bool
	Schema   struct {
		Enum []any
		Ref  string `json:"$ref"`
	}
}

// programs requests a route of the API: without filters, with each of their values,
// with each pair of them, and for the second page.
func (h *old) programs(t *testing.T, who access.Actor, r api.Route) {
	path := api.Base + h.path(t, r.Path, h.Rare)
	var filters [][2]string
	var required url.Values = url.Values{}
	for _, p := range h.parameters(t, r) {
		if p.In != "query" || p.Name == "cursor" {
			continue
		}
		var values []string
		for _, v := range p.Schema.Enum {
			values = append(values, fmt.Sprint(v))
		}
		if values = append(values, h.samples(p.Name)...); len(values) == 0 {
			t.Errorf("%s: no values are known for %q", r.Pattern(), p.Name)
		}
		for _, v := range values {
			filters = append(filters, [2]string{p.Name, v})
		}
		if p.Required {
			required.Set(p.Name, values[0])
		}
	}
	h.ask(t, who, path, required, true)
	for i, f := range filters {
		q := clone(required)
		q.Set(f[0], f[1])
		h.ask(t, who, path, q, false)
		for _, g := range filters[i+1:] {
			if g[0] != f[0] && g[0] != "limit" && f[0] != "limit" {
				q := clone(q)
				q.Set(g[0], g[1])
				h.ask(t, who, path, q, false)
			}
		}
	}
}

func clone(q url.Values) url.Values {
	c := url.Values{}
	for name, v := range q {
		c[name] = slices.Clone(v)
	}
	return c
}

// parameters returns the documented parameters of a route.
func (h *old) parameters(t *testing.T, r api.Route) []parameter {
	t.Helper()
	w := httptest.NewRecorder()
	h.app.server.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, api.Base+"/openapi.json", nil))
	var doc struct {
		Paths      map[string]map[string]struct{ Parameters []parameter }
		Components struct {
			Schemas map[string]struct{ Enum []any }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	o, ok := doc.Paths[api.Base+r.Path]["get"]
	if !ok {
		t.Fatalf("%s is not in the document", r.Pattern())
	}
	for i, p := range o.Parameters {
		if p.Schema.Ref != "" {
			o.Parameters[i].Schema.Enum = doc.Components.Schemas[p.Schema.Ref[strings.LastIndex(p.Schema.Ref, "/")+1:]].Enum
		}
	}
	return o.Parameters
}

// person requests a page and its stream, then what its forms and its links to further
// pages lead to.
func (h *old) person(t *testing.T, who access.Actor, r web.Route, tenant string) {
	path := h.path(t, r.Path, tenant)
	h.ask(t, who, path, url.Values{"live": {"1"}}, false)
	body := h.ask(t, who, path, nil, false)
	page, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	page.Find("form").Each(func(_ int, form *goquery.Selection) {
		if m := form.AttrOr("method", "get"); !strings.EqualFold(m, "get") {
			return
		}
		to, err := url.Parse(form.AttrOr("action", path))
		if err != nil {
			t.Fatal(err)
		}
		form.Find("select[name], input[name]").Each(func(_ int, field *goquery.Selection) {
			name := field.AttrOr("name", "")
			values := h.samples(name)
			field.Find("option").Each(func(_ int, o *goquery.Selection) { values = append(values, o.AttrOr("value", "")) })
			if len(values) == 0 && field.AttrOr("type", "") != "hidden" {
				t.Errorf("%s: no values are known for the field %q", path, name)
			}
			for _, v := range values {
				h.ask(t, who, to.Path, url.Values{name: {v}}, false)
			}
		})
	})
	page.Find("input[hx-get]").Each(func(_ int, field *goquery.Selection) { // requests while one types
		for _, v := range h.samples(field.AttrOr("name", "")) {
			h.ask(t, who, field.AttrOr("hx-get", ""), url.Values{field.AttrOr("name", ""): {v}}, false)
		}
	})
	page.Find("a[href*='cursor='], a[href*='?']").Each(func(_ int, a *goquery.Selection) {
		if to, err := url.Parse(a.AttrOr("href", "")); err == nil && to.Path == path {
			h.ask(t, who, to.Path, to.Query(), false)
		}
	})
}

// ask sends a request and checks its statements. It leaves a stream after the first
// event.
func (h *old) ask(t *testing.T, who access.Actor, path string, q url.Values, more bool) []byte {
	t.Helper()
	address := (&url.URL{Path: path, RawQuery: q.Encode()}).String()
	if h.asked[who.ID()+address] {
		return nil
	}
	h.asked[who.ID()+address] = true
	w := h.send(t, who, http.MethodGet, address, nil)
	if w.Code >= 500 {
		t.Errorf("%s: %d %s", address, w.Code, w.Body)
	}
	h.judge(t, http.MethodGet, address)
	var page struct {
		Next string `json:"next"`
	}
	if more && json.Unmarshal(w.Body.Bytes(), &page) == nil && page.Next != "" {
		q = clone(q)
		q.Set("cursor", page.Next)
		h.ask(t, who, path, q, false)
	}
	return w.Body.Bytes()
}

func (h *old) send(t testing.TB, who access.Actor, method, address string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	secret := h.Bearer(who)
	if !strings.HasPrefix(address, "/api/") {
		secret = h.sessions[who.ID()]
	}
	return h.request(t, secret, method, address, body)
}

func (h *old) request(t testing.TB, secret, method, address string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if strings.HasPrefix(address, "/api/") {
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", http.DetectContentType(body)) // a zip file, or else:
		if !bytes.HasPrefix(body, []byte("PK")) {
			r.Header.Set("Content-Type", "application/json")
		}
		r.Header.Set("Idempotency-Key", access.NewID())
	} else {
		r.Header.Set("Cookie", "__Host-interlock="+secret)
	}
	w := httptest.NewRecorder()
	h.app.server.Handler.ServeHTTP(&impatient{ResponseRecorder: w, leave: cancel}, r)
	return w
}

// impatient is the connection of a reader who leaves a stream after its first event,
// which follows the flush of the header.
type impatient struct {
	*httptest.ResponseRecorder
	leave   func()
	flushed int
}

func (i *impatient) Flush() {
	if i.flushed++; i.flushed > 1 {
		i.leave()
	}
}

// judge checks the statements since the last call.
func (h *old) judge(t *testing.T, method, path string) {
	t.Helper()
	for _, s := range h.recording.Take() {
		key := fmt.Sprint(s.SQL, s.Args)
		if h.seen[key] {
			continue
		}
		h.seen[key] = true
		cost, err := dbtest.CostOf(t.Context(), h.DB, s)
		if err != nil {
			if !s.Write { // a write may not be repeatable
				t.Errorf("%s %s: %s: %v", method, path, s.SQL, err)
			}
			continue
		}
		rows, pages := h.most(path, s)
		h.costs[s.SQL] = max(h.costs[s.SQL], cost.Rows)
		if cost.Rows > rows || cost.Pages > pages {
			t.Errorf("%s %s looks at %d rows, %d pages (at most %d, %d):\n%s\n%v\n%s", method, path, cost.Rows, cost.Pages, rows, pages, s.SQL, s.Args, cost.Plan)
		}
	}
}

// report logs the most expensive statements.
func (h *old) report(t *testing.T) {
	type line struct {
		rows int64
		sql  string
	}
	var lines []line
	for sql, rows := range h.costs {
		lines = append(lines, line{rows, strings.Join(strings.Fields(sql), " ")})
	}
	slices.SortFunc(lines, func(a, b line) int { return int(b.rows - a.rows) })
	for _, l := range lines[:min(len(lines), 12)] {
		t.Logf("%7d rows: %.160s", l.rows, l.sql)
	}
}
