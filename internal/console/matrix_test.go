package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// things are what the placeholders of routes stand for.
type things map[string]string

var placeholder = regexp.MustCompile(`\{([a-z]+|\$)\}`)

// path fills a route.
func (x things) path(r web.Route) string {
	return placeholder.ReplaceAllStringFunc(r.Path, func(p string) string {
		name := strings.Trim(p, "{}")
		if value, ok := x[name]; ok || name == "$" { // which stands for the end
			return url.PathEscape(value)
		}
		return access.NewID()
	})
}

// but returns x with one thing exchanged; a tenant's or a run's own parts are
// looked for in the exchanged one.
func (x things) but(name, value string) things {
	other := maps.Clone(x)
	other[name] = value
	return other
}

func unsafe(r web.Route) bool { return r.Method != http.MethodGet }

func names(r web.Route, placeholder string) bool {
	return strings.Contains(r.Path, "{"+placeholder+"}")
}

// matrix is a world with a tenant that Ana sees, one that she does not, and one
// of another workspace, each with a run that is in line.
type matrix struct {
	*world
	own, foreign things
	limited      access.Actor // an operator who sees one tenant
}

func newMatrix(w *world) matrix {
	w.t.Helper()
	m := matrix{world: w, limited: w.Member("Lim Ited", "lim@lattice.example", tenancy.Operator)}
	kestrel, _ := w.ready("kestrel", nil)
	w.ready("marlow", nil)
	w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, m.limited.ID())
	w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, m.limited.ID(), kestrel)
	m.own, m.foreign = m.things("kestrel"), m.things("marlow")
	return m
}

// things of a tenant, with a run.
func (m matrix) things(tenant string) things {
	m.t.Helper()
	res, err := m.gate.Start(m.t.Context(), m.Owner, op.Request{Tenant: tenant, Kind: op.InventorySync, Surface: op.SurfaceWeb})
	if err != nil || res.Outcome() != op.Accepted {
		m.t.Fatalf("%v, %v", res.Outcome(), err)
	}
	return things{
		"workspace": "lattice", "tenant": tenant, "connection": tenant, "operation": string(op.InventorySync),
		"run": res.Run().Code, "attempt": res.Facts().Attempt, "token": m.Owner.TokenID(),
	}
}

// comparable is an answer without what differs between any two.
func (a answer) comparable() string {
	h := a.header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	return fmt.Sprintf("%d %v\n%s", a.status, h, a.body)
}

// TestNotThere (A1, M5): what someone may not see and what does not exist are the
// same page, byte for byte, on every route and verb.
func TestNotThere(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(w)
		lim, outsider := w.browser(m.limited), w.browser(w.Outsider)
		nowhere, outside := lim.get("/no/such/page").want(http.StatusNotFound).comparable(), outsider.get("/no/such/page").comparable()
		missing := things{"tenant": "nowhere", "run": "ZZZZZZ", "attempt": access.NewID(), "operation": "no.such"}
		same := func(who string, a answer, want, method, path string) {
			t.Helper()
			if got := a.comparable(); got != want {
				t.Errorf("%s at %s %s gets\n%.400s\nwant\n%.400s", who, method, path, got, want)
			}
		}
		checked := 0
		for _, r := range w.console.Routes() {
			if r.Object == web.Public || r.Object == web.Self {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
				var form url.Values
				if method != http.MethodGet {
					form = url.Values{"key": {"k"}, "note": {"because"}, "sure": {"yes"}}
				}
				for _, name := range []string{"tenant", "run", "attempt"} {
					if !names(r, name) {
						continue
					}
					for _, x := range []things{m.own.but(name, m.foreign[name]), m.own.but(name, missing[name]), m.own.but(name, "..%2f")} {
						checked++
						same("a member of another tenant", lim.send(method, x.path(r), form), nowhere, method, x.path(r))
					}
				}
				if names(r, "operation") && method == r.Method {
					x := m.own.but("operation", missing["operation"])
					same("a member", lim.send(method, x.path(r), form), nowhere, method, x.path(r))
				}
				for _, x := range []things{m.own, m.own.but("workspace", "nowhere")} {
					checked++
					same("someone of another workspace", outsider.send(method, x.path(r), form), outside, method, x.path(r))
				}
			}
		}
		if checked < 50 {
			t.Errorf("only %d requests were made", checked)
		}
		if strings.Contains(nowhere, "kestrel") || strings.Contains(nowhere, "Kestrel") {
			t.Error("the page names something")
		}
	})
}

// TestLacking (A2, R5): a member without the capability is refused on every route
// that needs one, and told which.
func TestLacking(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(w)
		jonas := w.browser(w.Viewer)
		before := w.Int(`SELECT COUNT(*) FROM audit_log`) + w.Int(`SELECT COUNT(*) FROM start_attempts`)
		checked := 0
		for _, r := range w.console.Routes() {
			needs := r.Needs
			if needs == web.ByOperation {
				def, err := catalogue.Lookup(op.Kind(m.own["operation"]))
				if err != nil {
					t.Fatal(err)
				}
				needs = def.Capability
			}
			if needs == "" || w.Viewer.Grants().Has(needs) {
				continue
			}
			checked++
			var form url.Values
			if unsafe(r) {
				form = url.Values{"key": {newKeyNow()}, "note": {"because"}, "sure": {"yes"}}
			}
			a := jonas.send(r.Method, m.own.path(r), form)
			if a.status != http.StatusForbidden {
				t.Errorf("%s: %d, want 403", r.Pattern(), a.status)
				continue
			}
			a.says("main", "(viewer) does not include “"+needs.Words()+"”")
			a.says("main", "Ask a workspace owner")
		}
		if checked < 3 {
			t.Errorf("only %d routes need a capability", checked)
		}
		if after := w.Int(`SELECT COUNT(*) FROM audit_log`) + w.Int(`SELECT COUNT(*) FROM start_attempts`); after != before {
			t.Errorf("%d things were changed", after-before)
		}
	})
}

// TestStrangers: who is not signed in is led to sign in and back, and changes nothing.
func TestStrangers(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	stranger := w.stranger()
	token := &browser{w: w, secret: w.Bearer(w.Owner)} // a program's
	for _, r := range w.console.Routes() {
		if r.Object == web.Public {
			continue
		}
		path := m.own.path(r)
		if unsafe(r) {
			stranger.send(r.Method, path, url.Values{}).want(http.StatusUnauthorized)
			continue
		}
		want := "/sign-in?" + url.Values{"next": {path}}.Encode()
		if path == "/" {
			want = "/sign-in"
		}
		a := stranger.get(path)
		if r.Path == op.LiveRoute { // a page asks, not a person who could be led
			a.want(http.StatusUnauthorized)
		} else if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("%s answers %d and leads to %q, want %s", path, a.status, a.header.Get("Location"), want)
		}
		token.get(path).want(http.StatusUnauthorized)
	}
	if wrong := w.Audit(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestCrossSite (S8): a form of another site does nothing, on any route.
func TestCrossSite(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	mei := w.browser(w.Owner)
	state := func() string {
		return fmt.Sprint(w.Int(`SELECT COUNT(*) FROM runs`), w.Int(`SELECT COUNT(*) FROM audit_log`), w.Int(`SELECT COUNT(*) FROM start_attempts`),
			w.Int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL`), w.Int(`SELECT COALESCE(SUM(version), 0) FROM connections WHERE enabled`))
	}
	before := state()
	checked := 0
	for _, r := range w.console.Routes() {
		if !unsafe(r) {
			continue
		}
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.interlock.example"},
			{"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			{"Sec-Fetch-Site", "", "Origin", "null"},
			{"Sec-Fetch-Site", ""},
		} {
			checked++
			a := mei.send(r.Method, m.own.path(r), url.Values{"key": {newKeyNow()}, "note": {"because"}, "sure": {"yes"}}, header...)
			if a.status != http.StatusForbidden {
				t.Errorf("%s with %q: %d, want 403", r.Pattern(), header, a.status)
			}
		}
	}
	if after := state(); after != before {
		t.Errorf("something was changed: %s, then %s", before, after)
	}
	if checked < 20 {
		t.Errorf("only %d requests were made", checked)
	}
}

// TestHeaders: every answer of the console has the headers that bind browsers.
func TestHeaders(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	check := func(what string, a answer, cached bool) {
		t.Helper()
		for name, want := range map[string]string{
			"Content-Security-Policy":    policy,
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
		if got := a.header.Get("Cache-Control"); cached != strings.Contains(got, "immutable") || !cached && got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", what, got)
		}
		if len(a.body) > 0 && a.header.Get("Content-Type") == "" {
			t.Errorf("%s: no Content-Type", what)
		}
	}
	for _, b := range []*browser{w.browser(w.Owner), w.browser(w.Viewer), w.browser(w.Outsider), w.stranger()} {
		for _, r := range w.console.Routes() {
			if r.Path == "/sign-out" {
				continue
			}
			var form url.Values
			if unsafe(r) {
				form = url.Values{}
			}
			check(r.Pattern(), b.send(r.Method, m.own.path(r), form), false)
		}
		check("nowhere", b.get("/nowhere"), false)
		check("no asset", b.get("/assets/0/console.css"), false)
		check("an asset", b.get(assets.URL("console.css")), true)
	}
}

// TestRoutesNameACapability (A3): who only sees a thing changes nothing, and
// starts have one door.
func TestRoutesNameACapability(t *testing.T) {
	starts := 0
	for _, r := range onOne(t, Deps{}).console.Routes() {
		switch {
		case r.Needs == web.ByOperation:
			starts++
		case r.Needs == "" && (r.Object == web.Public || r.Object == web.Self):
		case !slices.Contains(tenancy.Capabilities(), r.Needs):
			t.Errorf("%s names the capability %q, which tenancy does not know", r.Pattern(), r.Needs)
		case unsafe(r) && r.Needs == tenancy.View && r.Path != op.NotificationsReadRoute: // one's own
			t.Errorf("%s changes something and needs only %q", r.Pattern(), r.Needs)
		}
	}
	if starts != 1 {
		t.Errorf("%d routes start operations, want exactly one", starts)
	}
}
