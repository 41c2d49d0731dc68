package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// who is an actor of the matrix: a secret, and its expected rights.
type who struct {
	name   string
	secret string
	in     bool   // signed in
	fresh  bool   // a session with a recent sign-in
	space  string // id of the workspace
	grants map[tenancy.Capability]bool
	sees   map[string]bool // slugs of tenants
}

// same reports whether an actor is one of many that differ in one capability only.
func (w who) same() bool { return strings.Contains(w.name, " without ") }

func (w who) has(c tenancy.Capability) bool { return w.grants[c] }

// place is one tenant with one object of each kind.
type place struct {
	name                             string // slug of the tenant, or what is wrong with it
	tenant, connection, run, attempt string
	backup                           string // id; empty: a made-up one
}

// matrix is a world with actors and objects in every relation to each other.
type matrix struct {
	*world
	actors  []who
	places  []place // kestrel and wren of lattice, farside of northgate
	nowhere []place // that nobody sees
}

func grantsOf(role tenancy.Role, denied ...tenancy.Capability) map[tenancy.Capability]bool {
	g := make(map[tenancy.Capability]bool)
	for _, c := range role.Capabilities() {
		g[c] = !slices.Contains(denied, c)
	}
	return g
}

func newMatrix(t *testing.T, w *world) *matrix {
	t.Helper()
	m := &matrix{world: w}
	for _, p := range []struct {
		slug, workspace string
		by              access.Actor
	}{{"kestrel", w.Workspace, w.Operator}, {"wren", w.Workspace, w.Operator}, {"farside", w.Other, w.Outsider}} {
		tenant := w.Tenant(p.workspace, p.slug, p.slug)
		connection := w.Connection(p.workspace, tenant, p.slug, nil)
		var started op.Answer
		w.start(p.by, p.slug, "k-"+p.slug, map[string]any{"operation": "inventory.sync"}).want(http.StatusAccepted, &started)
		owner := w.Owner
		if p.workspace == w.Other {
			owner = w.Outsider
		}
		kept := w.Backup(owner, tenant, archive.Item{Item: policy.Item{Type: "assignmentFilters", ID: "f1", Body: json.RawMessage(`{"id":"f1","displayName":"` + p.slug + `"}`)}})
		m.places = append(m.places, place{p.slug, tenant, connection, started.Run.ID, started.AttemptID, kept})
	}
	deleted := w.Connection(w.Workspace, m.places[0].tenant, "deleted", func(c *tenancy.Connection) { c.Default = false })
	w.Exec(`UPDATE connections SET deleted_at = interlock_now(), enabled = FALSE WHERE id = $1`, deleted)
	id := access.NewID()
	m.nowhere = []place{
		{"missing id", id, id, id, id, id},
		{"missing name", "nowhere", "nowhere", "ZZZZZZ", "nowhere", id},
		{"malformed", "%00", "a..b", "'; DROP TABLE runs", "-", "'; DROP TABLE runs"},
		{"too long", strings.Repeat("x", 3000), strings.Repeat("x", 3000), strings.Repeat("9", 3000), strings.Repeat("f", 3000), strings.Repeat("b", 3000)},
		{"deleted", id, deleted, id, id, id},
	}

	all := map[string]bool{"kestrel": true, "wren": true}
	add := func(name, secret string, grants map[tenancy.Capability]bool, sees map[string]bool) {
		m.actors = append(m.actors, who{name, secret, true, true, w.Workspace, grants, sees})
	}
	add("owner", w.Bearer(w.Owner), grantsOf(tenancy.Owner), all)
	add("operator", w.Bearer(w.Operator), grantsOf(tenancy.Operator), all)
	add("viewer", w.Bearer(w.Viewer), grantsOf(tenancy.Viewer), all)
	m.actors = append(m.actors, who{"member of another workspace", w.Bearer(w.Outsider), true, true, w.Other, grantsOf(tenancy.Owner), map[string]bool{"farside": true}})

	member := func(role tenancy.Role, denied tenancy.Capability) access.Actor {
		a := w.Member(string(role), strings.ToLower(rand.Text())+"@lattice.example", role)
		if denied != "" {
			w.Exec(`UPDATE members SET denied = $2 WHERE user_id = $1`, a.ID(), `["`+string(denied)+`"]`)
		}
		return a
	}
	for _, role := range tenancy.Roles() {
		for _, c := range role.Capabilities() {
			add(string(role)+" without "+string(c), w.Bearer(member(role, c)), grantsOf(role, c), all)
		}
	}
	limited := member(tenancy.Operator, "")
	w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, limited.ID())
	w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, limited.ID(), m.places[1].tenant)
	add("operator of another tenant", w.Bearer(limited), grantsOf(tenancy.Operator), map[string]bool{"wren": true})
	narrow := []tenancy.Capability{tenancy.View, "inventory.sync"}
	add("token of narrower scope", w.Token(w.Workspace, w.Owner.ID(), narrow), map[tenancy.Capability]bool{tenancy.View: true, "inventory.sync": true}, all)

	stale := member(tenancy.Owner, "")
	w.SignIn()
	add("owner's token", w.Token(w.Workspace, w.Owner.ID(), nil), grantsOf(tenancy.Owner), all)
	w.Exec(`UPDATE tokens SET proved_at = interlock_now() - $2 WHERE user_id = $1`, stale.ID(), access.FreshFor.Microseconds())
	add("owner who signed in long ago", w.Bearer(stale), grantsOf(tenancy.Owner), all)
	for i := range m.actors {
		m.actors[i].fresh = !slices.Contains([]string{"owner's token", "owner who signed in long ago", "token of narrower scope"}, m.actors[i].name)
	}

	gone := func(name string, sql string) {
		a := member(tenancy.Owner, "")
		w.Exec(sql, a.ID())
		m.actors = append(m.actors, who{name: name, secret: w.Bearer(a)})
	}
	gone("disabled user", `UPDATE users SET disabled_at = interlock_now() WHERE id = $1`)
	gone("expired session", `UPDATE tokens SET expires_at = interlock_now() - 1 WHERE user_id = $1`)
	gone("idle session", `UPDATE tokens SET idle_micros = 1000, last_used_at = interlock_now() - 2000 WHERE user_id = $1`)
	gone("revoked token", `UPDATE tokens SET revoked_at = interlock_now() WHERE user_id = $1`)
	gone("removed member", `DELETE FROM members WHERE user_id = $1`)
	m.actors = append(m.actors, who{name: "anonymous"}, who{name: "made-up token", secret: "ilk_" + rand.Text()})
	return m
}

// at fills the variables of a route's path with the things of a place.
func (p place) at(path string) string {
	r := strings.NewReplacer("{tenant}", url.PathEscape(p.tenant), "{connection}", url.PathEscape(p.connection),
		"{run}", url.PathEscape(p.run), "{attempt}", url.PathEscape(p.attempt),
		"{backup}", url.PathEscape(p.backup), "{other}", url.PathEscape(p.backup), "{type}", "assignmentFilters", "{object}", "f1",
		"{group}", "g-1", "{factor}", access.NewID(), "{invitation}", access.NewID(), "{member}", access.NewID(), "{token}", access.NewID(), "{plan}", strings.Repeat("0", 64), "{mapping}", access.NewID(), "{notification}", access.NewID())
	return Base + r.Replace(path)
}

// expected returns the status that the table of routes demands: 401, 403, 404, or 0 if
// the request must be authorized.
func expected(a who, r Route, seen bool) int {
	needs := r.Needs
	if needs == ByOperation { // the matrix asks for this one
		needs = "inventory.sync"
	}
	// Runs, attempts and connections lie inside what one sees.
	looks := r.Object == Run || r.Object == Attempt || r.Object == Connection
	switch {
	case r.Object == Public:
		return 0
	case !a.in:
		return http.StatusUnauthorized
	case looks && !a.has(tenancy.View) && (r.Object != Connection || seen):
		return http.StatusForbidden
	case !seen:
		return http.StatusNotFound
	case needs != "" && !a.has(needs):
		return http.StatusForbidden
	case r.Object == Workspace && needs == "" && !a.has(tenancy.View):
		return http.StatusForbidden
	case !a.fresh && sensitive(r):
		return http.StatusForbidden
	}
	return 0
}

// sensitive reports whether a route needs a fresh sign-in.
func sensitive(r Route) bool { return slices.Contains(sensitiveIDs, r.ID) }

var sensitiveIDs = []string{
	"approve-plan", "begin-authenticator", "change-member", "change-password", "confirm-authenticator", "create-recovery-codes", "create-reset-link",
	"disable-member", "enable-member", "invite", "join-workspace", "release-run", "remove-factor", "remove-member", "rename-factor", "reset-member-factors",
	"revoke-invitation", "rotate-credential", "set-keep-rules", "set-policy", "set-restore-policy",
}

// harmless sends a request that is authorized but changes nothing: it has an unknown
// field.
func (m *matrix) harmless(a who, r Route, path string) answer {
	m.t.Helper()
	switch r.ID {
	case "start":
		return m.ask(a.secret, r.Method, path, `{"operation":"inventory.sync","no such field":1}`, "Idempotency-Key", "matrix")
	case "preflight":
		path += "?operation=inventory.sync"
	}
	if r.Method == http.MethodGet {
		return m.ask(a.secret, r.Method, path, nil)
	}
	return m.ask(a.secret, r.Method, path, `{"no such field":1}`)
}

// acts reports whether a route changes something whatever its body. For these only
// authorization is tested.
func acts(r Route) bool {
	switch r.ID {
	case "follow-run":
		return true // it would not end
	case "start", "create-token", "create-tenant", "create-connection", "edit-connection", "rotate-credential", "change-member", "release-run", "sign-in",
		"invite", "join-workspace", "open-invitation", "accept-invitation", "reset-password", "change-password", "rename-me",
		"confirm-session", "confirm-authenticator", "rename-factor", "set-policy", "set-mapping", "set-restore-policy", "set-keep-rules", "upload-backup":
		return false
	}
	return r.Method != http.MethodGet
}

// door returns the status of authorization only.
func (m *matrix) door(a who, r Route, path string) int {
	m.t.Helper()
	mux := http.NewServeMux()
	status := 0
	mux.HandleFunc(r.Pattern(), func(_ http.ResponseWriter, req *http.Request) {
		if _, err := m.server.enter(req, r); err != nil {
			status = statusOf(err)
		}
	})
	req := httptest.NewRequestWithContext(m.t.Context(), r.Method, path, nil)
	req.Header.Set("Authorization", "Bearer "+a.secret)
	mux.ServeHTTP(httptest.NewRecorder(), req)
	return status
}

// TestAuthorizationMatrix requests every route as every actor for every object. The
// expected status comes from the table of routes and the registry of capabilities, not
// from the code that decides.
func TestAuthorizationMatrix(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		asked := 0
		for _, r := range m.server.routes {
			objects := m.places
			switch r.Object {
			case Public, Self, Workspace:
				objects = m.places[:1]
			case Tenant, Connection, Run, Attempt:
				objects = slices.Concat(m.places, m.nowhere)
			}
			for _, a := range m.actors {
				for i, p := range objects {
					if a.same() && i > 0 && p.name != "missing id" {
						continue
					}
					if p.name == "deleted" {
						if r.Object != Connection {
							continue
						}
						p.tenant = "kestrel"
					}
					seen := a.sees[p.name] || r.Object == Self || r.Object == Workspace
					want := expected(a, r, seen)
					if p.name == "deleted" && a.in && a.sees["kestrel"] && !a.has(tenancy.View) {
						want = http.StatusForbidden
					}
					path := p.at(r.Path)
					var got int
					if want == 0 && acts(r) {
						got = m.door(a, r, path)
					} else {
						got = m.harmless(a, r, path).status
					}
					asked++
					if !agrees(got, want, r) {
						t.Errorf("%s by %s at %s: %d, want %d", r.Pattern(), a.name, p.name, got, want)
					}
				}
			}
		}
		t.Logf("%d requests over %d routes as %d actors", asked, len(m.server.routes), len(m.actors))
		if n := w.Int(`SELECT COUNT(*) FROM runs WHERE state <> 'queued'`) + w.Int(`SELECT COUNT(*) FROM connections WHERE rev <> 1`); n != 0 {
			t.Errorf("the matrix changed %d rows", n)
		}
	})
}

// agrees reports whether a status is the expected refusal or, if none is expected, no
// refusal of authorization. Objects with made-up ids may be missing.
func agrees(got, want int, r Route) bool {
	if want != 0 {
		return got == want
	}
	switch got {
	case http.StatusUnauthorized:
		return r.Object == Public // a sign-in without an account
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		return false
	case http.StatusNotFound:
		return strings.Contains(r.Path, "{group}") || strings.Contains(r.Path, "{member}") || strings.Contains(r.Path, "{plan}") || r.ID == "get-verification"
	}
	return got < http.StatusInternalServerError
}

// TestMethodsWithoutARoute requests every path with each method that it has no route
// for. The table of routes decides, not the database: one engine is enough.
func TestMethodsWithoutARoute(t *testing.T) {
	w := onOne(t)
	m := newMatrix(t, w)
	byPath := make(map[string][]Route)
	for _, r := range m.server.routes {
		byPath[r.Path] = append(byPath[r.Path], r)
	}
	for path, rows := range byPath {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if slices.ContainsFunc(rows, func(r Route) bool { return r.Method == method || method == "HEAD" && r.Method == "GET" }) {
				continue
			}
			see := Route{Method: method, Path: path, Object: rows[0].Object}
			for _, a := range m.actors {
				if a.same() && a.name != "viewer without view" || !a.in && a.name != "anonymous" {
					continue
				}
				for _, p := range append(m.places[:3:3], m.nowhere[0]) {
					seen := a.sees[p.name] || see.Object == Self || see.Object == Workspace
					want := expected(a, see, seen)
					if see.Object == Tenant && seen && a.in && !a.has(tenancy.View) && method != http.MethodPost {
						want = http.StatusForbidden
					}
					if want == 0 {
						want = http.StatusMethodNotAllowed
					}
					got := m.ask(a.secret, method, p.at(path), nil)
					if got.status != want {
						t.Errorf("%s %s by %s at %s: %d, want %d", method, path, a.name, p.name, got.status, want)
					}
					if allow := got.header.Get("Allow"); (allow != "") != (got.status == http.StatusMethodNotAllowed) {
						t.Errorf("%s %s by %s at %s: %d with Allow %q", method, path, a.name, p.name, got.status, allow)
					}
				}
			}
		}
	}
}

// TestNotYoursIsNotThere (A1, M5): the answer for a foreign object is the answer for a
// missing one, byte by byte, header by header, from the same statements.
func TestNotYoursIsNotThere(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		foreign, missing := m.places[2], m.nowhere[0]
		unknown := m.ask(m.actors[0].secret, http.MethodGet, "/api/v1/no/such/route", nil).want(http.StatusNotFound)
		for _, r := range m.server.routes {
			if r.Object == Public || r.Object == Self || r.Object == Workspace {
				continue
			}
			for _, a := range m.actors {
				if a.space == w.Other || a.same() && strings.HasPrefix(a.name, "owner") {
					continue // to the former it is not foreign
				}
				theirs := m.recorded(func() answer { return m.harmless(a, r, foreign.at(r.Path)) })
				nobodys := m.recorded(func() answer { return m.harmless(a, r, missing.at(r.Path)) })
				if d := theirs.differs(nobodys); d != "" {
					t.Errorf("%s by %s: %s", r.Pattern(), a.name, d)
				}
				if theirs.status == http.StatusNotFound {
					if d := theirs.differs(recorded{answer: unknown, statements: theirs.statements}); d != "" {
						t.Errorf("%s by %s is told from an unknown route: %s", r.Pattern(), a.name, d)
					}
				}
			}
			// A connection, or data through it, of a tenant that one does see.
			if strings.Contains(r.Path, "{connection}") {
				a, mixed, none := m.actors[0], m.places[0], m.places[0]
				mixed.connection, none.connection = foreign.connection, missing.connection
				theirs := m.recorded(func() answer { return m.harmless(a, r, mixed.at(r.Path)) })
				nobodys := m.recorded(func() answer { return m.harmless(a, r, none.at(r.Path)) })
				if d := theirs.differs(nobodys); d != "" || theirs.status != http.StatusNotFound {
					t.Errorf("%s with someone's connection: %d, %s", r.Pattern(), theirs.status, d)
				}
			}
		}
	})
}

// TestForeignIdsElsewhere puts ids of another workspace into query, body, header and
// cursor. They are treated as missing.
func TestForeignIdsElsewhere(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		foreign, missing, owner := m.places[2], m.nowhere[0], m.actors[0]
		outsider := m.actors[slices.IndexFunc(m.actors, func(a who) bool { return a.space == w.Other })]
		get := func(format string) (a, b recorded) {
			ask := func(p place, person string) recorded {
				path := strings.NewReplacer("{tenant}", p.tenant, "{connection}", p.connection, "{run}", p.run, "{person}", person).Replace(format)
				return m.recorded(func() answer { return m.ask(owner.secret, http.MethodGet, path, nil) })
			}
			return ask(foreign, w.Outsider.ID()), ask(missing, access.NewID())
		}
		for _, path := range []string{
			"/runs?tenant={tenant}", "/runs?connection={connection}", "/runs?initiator={person}",
			"/attempts?tenant={tenant}", "/attempts?actor={person}", "/attempts?run={run}",
			"/tenants/kestrel/groups?connection={connection}", "/tenants/kestrel/groups/g-1?connection={connection}",
			"/tenants/kestrel/inventory?connection={connection}", "/tenants/kestrel/inventory/types?connection={connection}",
			"/tenants/kestrel/verification?connection={connection}",
			"/tenants/kestrel/preflight?operation=inventory.sync&connection={connection}",
		} {
			if theirs, nobodys := get(path); theirs.differs(nobodys) != "" {
				t.Errorf("%s: %s", path, theirs.differs(nobodys))
			}
		}
		body := func(connection string) recorded {
			return m.recorded(func() answer {
				return m.ask(owner.secret, http.MethodPost, "/tenants/kestrel/starts",
					map[string]any{"operation": "inventory.sync", "connection": connection}, "Idempotency-Key", "swap")
			})
		}
		if d := body(foreign.connection).differs(body(missing.connection)); d != "" {
			t.Errorf("a start with someone's connection: %s", d)
		}
		member := func(tenant string) recorded {
			return m.recorded(func() answer {
				return m.ask(owner.secret, http.MethodPatch, "/members/"+w.Viewer.ID(), map[string]any{"tenants": []string{tenant}})
			})
		}
		if d := member(foreign.tenant).differs(member(missing.tenant)); d != "" {
			t.Errorf("a member with someone's tenant: %s", d)
		}
		// Another person's key and cursor have no effect.
		w.start(w.Owner, "wren", "k-farside", map[string]any{"operation": "inventory.sync"}).want(http.StatusOK)
		var theirs struct{ Next *string }
		w.Tenant(w.Other, "zenith", "zenith")
		m.ask(outsider.secret, http.MethodGet, "/tenants?limit=1", nil).want(http.StatusOK, &theirs)
		var mine Page[TenantDetail]
		m.ask(owner.secret, http.MethodGet, "/tenants?cursor="+*theirs.Next, nil).want(http.StatusOK, &mine)
		for _, tenant := range mine.Items {
			if tenant.Slug != "kestrel" && tenant.Slug != "wren" {
				t.Errorf("someone's cursor shows %s", tenant.Slug)
			}
		}
	})
}

// TestNothingOfTheOthersIsShown reads everything that two workspaces can read and looks
// for words of the other one.
func TestNothingOfTheOthersIsShown(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		marks := map[string][]string{
			w.Workspace: {"kestrel", "wren", "lattice", w.Operator.ID(), m.places[0].tenant, m.places[0].connection, m.places[0].run, m.places[0].attempt},
			w.Other:     {"farside", "northgate", w.Outsider.ID(), m.places[2].tenant, m.places[2].connection, m.places[2].run, m.places[2].attempt},
		}
		for _, a := range m.actors {
			if !a.in || a.same() {
				continue
			}
			for _, r := range m.server.routes {
				if r.Method != http.MethodGet || r.ID == "follow-run" {
					continue
				}
				for _, p := range m.places {
					got := m.harmless(a, r, p.at(r.Path))
					text := strings.ToLower(string(got.body) + fmt.Sprint(got.header))
					for space, words := range marks {
						for _, word := range words {
							if space != a.space && strings.Contains(text, word) {
								t.Errorf("%s by %s at %s shows %q: %.300s", r.Pattern(), a.name, p.name, word, text)
							}
						}
					}
				}
			}
		}
		limited := m.actors[slices.IndexFunc(m.actors, func(a who) bool { return a.name == "operator of another tenant" })]
		for _, path := range []string{"/tenants", "/runs", "/attempts", "/notifications"} {
			got := m.ask(limited.secret, http.MethodGet, path, nil).want(http.StatusOK)
			if text := string(got.body); strings.Contains(text, m.places[0].tenant) || strings.Contains(text, "kestrel") {
				t.Errorf("%s shows a tenant that its reader does not see: %.300s", path, text)
			}
		}
	})
}

// recorded is an answer with the statements that it took.
type recorded struct {
	answer
	statements []string
}

func (m *matrix) recorded(ask func() answer) recorded {
	m.t.Helper()
	var statements []string
	m.DB.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
		statements = append(statements, fmt.Sprint(p.Op, " ", p.SQL))
		return db.NoFault
	}))
	defer m.DB.WithFaults(nil)
	return recorded{ask(), statements}
}

// differs returns how two answers can be told apart; empty if they can't.
func (r recorded) differs(o recorded) string {
	header := func(h http.Header) http.Header {
		h = maps.Clone(h)
		delete(h, "X-Request-Id") // says nothing but which request it was
		delete(h, "Date")
		return h
	}
	a, b := header(r.header), header(o.header)
	switch {
	case r.status != o.status:
		return fmt.Sprintf("%d and %d", r.status, o.status)
	case string(r.body) != string(o.body):
		return fmt.Sprintf("%s\nand %s", r.body, o.body)
	case !maps.EqualFunc(a, b, slices.Equal[[]string]):
		return fmt.Sprintf("%v\nand %v", a, b)
	case !slices.Equal(r.statements, o.statements):
		return fmt.Sprintf("statements\n%s\nand\n%s", strings.Join(r.statements, "\n"), strings.Join(o.statements, "\n"))
	}
	return ""
}

func statusOf(err error) int {
	w := httptest.NewRecorder()
	explain(w, err)
	_, _ = io.Copy(io.Discard, w.Body)
	return w.Code
}

// Every operation is started through the one route, by its own capability.
func TestEveryOperationNeedsItsCapability(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		for _, d := range catalogue.All() {
			a := w.Member("Denied", strings.ToLower(rand.Text())+"@lattice.example", tenancy.Operator)
			w.Exec(`UPDATE members SET denied = $2 WHERE user_id = $1`, a.ID(), `["`+string(d.Capability)+`"]`)
			p := w.start(a, "kestrel", "k", map[string]any{"operation": d.Kind}).problem(http.StatusForbidden, "forbidden")
			if !strings.Contains(p.Detail, d.Capability.Words()) || !strings.Contains(p.Detail, "Kestrel") || !strings.Contains(p.Title, strings.ToLower(d.Kind.Name()[:1])+d.Kind.Name()[1:]) {
				t.Errorf("%s: %s %s", d.Kind, p.Title, p.Detail)
			}
			w.get(a, "/tenants/kestrel/preflight?operation="+string(d.Kind)).problem(http.StatusForbidden, "forbidden")
		}
		if n := w.Int(`SELECT COUNT(*) FROM start_attempts`); n != 0 {
			t.Errorf("%d refusals were recorded as attempts", n)
		}
	})
}
