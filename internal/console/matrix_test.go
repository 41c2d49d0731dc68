package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestNotThere (A1, M5): what a member may not see gets the same page, byte for byte, as
// what doesn't exist, on every route and method.
func TestNotThere(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		m := consoletest.NewMatrix(w)
		lim, outsider := w.Browser(m.Limited), w.Browser(w.Outsider)
		nowhere, outside := lim.Get("/no/such/page").Want(http.StatusNotFound).Comparable(), outsider.Get("/no/such/page").Comparable()
		missing := consoletest.Things{"tenant": "nowhere", "run": "ZZZZZZ", "attempt": access.NewID(), "operation": "no.such"}
		same := func(who string, a consoletest.Answer, want, method, path string) {
			t.Helper()
			if got := a.Comparable(); got != want {
				t.Errorf("%s at %s %s gets\n%.400s\nwant\n%.400s", who, method, path, got, want)
			}
		}
		checked := 0
		for _, r := range w.Site.Routes() {
			if r.Object == web.Public || r.Object == web.Self {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
				var form url.Values
				if method != http.MethodGet {
					form = url.Values{"key": {"k"}, "note": {"because"}, "sure": {"yes"}}
				}
				for _, name := range []string{"tenant", "run", "attempt"} {
					if !consoletest.Names(r, name) {
						continue
					}
					for _, x := range []consoletest.Things{m.Own.But(name, m.Foreign[name]), m.Own.But(name, missing[name]), m.Own.But(name, "..%2f")} {
						checked++
						same("a member of another tenant", lim.Send(method, x.Path(r), form), nowhere, method, x.Path(r))
					}
				}
				if consoletest.Names(r, "operation") && method == r.Method {
					x := m.Own.But("operation", missing["operation"])
					same("a member", lim.Send(method, x.Path(r), form), nowhere, method, x.Path(r))
				}
				for _, x := range []consoletest.Things{m.Own, m.Own.But("workspace", "nowhere")} {
					checked++
					same("someone of another workspace", outsider.Send(method, x.Path(r), form), outside, method, x.Path(r))
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

// TestLacking (A2, R5): every route that needs a capability refuses a member without it,
// and names it.
func TestLacking(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		m := consoletest.NewMatrix(w)
		jonas := w.Browser(w.Viewer)
		before := w.Int(`SELECT COUNT(*) FROM audit_log`) + w.Int(`SELECT COUNT(*) FROM start_attempts`)
		checked := 0
		for _, r := range w.Site.Routes() {
			needs := r.Needs
			if needs == web.ByOperation {
				def, err := catalogue.Lookup(op.Kind(m.Own["operation"]))
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
			if consoletest.Unsafe(r) {
				form = url.Values{"key": {web.NewKey(time.Now())}, "note": {"because"}, "sure": {"yes"}}
			}
			a := jonas.Send(r.Method, m.Own.Path(r), form)
			if a.Status != http.StatusForbidden {
				t.Errorf("%s: %d, want 403", r.Pattern(), a.Status)
				continue
			}
			a.Says("main", "(viewer) doesn't include “"+needs.Words()+"”")
			a.Says("main", "Ask a workspace owner")
		}
		if checked < 3 {
			t.Errorf("only %d routes need a capability", checked)
		}
		if after := w.Int(`SELECT COUNT(*) FROM audit_log`) + w.Int(`SELECT COUNT(*) FROM start_attempts`); after != before {
			t.Errorf("%d things were changed", after-before)
		}
	})
}

// TestStrangers: without a sign-in, every page redirects to the sign-in page, and every
// change is refused.
func TestStrangers(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	stranger := w.Stranger()
	token := w.With(w.Bearer(w.Owner)) // a program's
	for _, r := range w.Site.Routes() {
		if r.Object == web.Public {
			continue
		}
		path := m.Own.Path(r)
		if consoletest.Unsafe(r) {
			stranger.Send(r.Method, path, url.Values{}).Want(http.StatusUnauthorized)
			continue
		}
		want := "/sign-in?" + url.Values{"next": {path}}.Encode()
		if path == "/" {
			want = "/sign-in"
		}
		a := stranger.Get(path)
		if r.Path == op.LiveRoute { // a page asks, not a person who could be led
			a.Want(http.StatusUnauthorized)
		} else if a.Status != http.StatusSeeOther || a.Header.Get("Location") != want {
			t.Errorf("%s answers %d and leads to %q, want %s", path, a.Status, a.Header.Get("Location"), want)
		}
		token.Get(path).Want(http.StatusUnauthorized)
	}
	if wrong := w.Audit(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestCrossSite (S8): every route refuses a form of another site.
func TestCrossSite(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	mei := w.Browser(w.Owner)
	state := func() string {
		return fmt.Sprint(w.Int(`SELECT COUNT(*) FROM runs`), w.Int(`SELECT COUNT(*) FROM audit_log`), w.Int(`SELECT COUNT(*) FROM start_attempts`),
			w.Int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL`), w.Int(`SELECT COALESCE(SUM(version), 0) FROM connections WHERE enabled`))
	}
	before := state()
	checked := 0
	for _, r := range w.Site.Routes() {
		if !consoletest.Unsafe(r) {
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
			a := mei.Send(r.Method, m.Own.Path(r), url.Values{"key": {web.NewKey(time.Now())}, "note": {"because"}, "sure": {"yes"}}, header...)
			if a.Status != http.StatusForbidden {
				t.Errorf("%s with %q: %d, want 403", r.Pattern(), header, a.Status)
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

// TestHeaders: every response of the console has the security headers.
func TestHeaders(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	check := func(what string, a consoletest.Answer, cached bool) {
		t.Helper()
		for name, want := range map[string]string{
			"Content-Security-Policy":    console.Policy,
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
		if got := a.Header.Get("Cache-Control"); cached != strings.Contains(got, "immutable") || !cached && got != "no-store" {
			t.Errorf("%s: Cache-Control is %q", what, got)
		}
		if len(a.Body) > 0 && a.Header.Get("Content-Type") == "" {
			t.Errorf("%s: no Content-Type", what)
		}
	}
	for _, b := range []*consoletest.Browser{w.Browser(w.Owner), w.Browser(w.Viewer), w.Browser(w.Outsider), w.Stranger()} {
		for _, r := range w.Site.Routes() {
			if r.Path == "/sign-out" {
				continue
			}
			var form url.Values
			if consoletest.Unsafe(r) {
				form = url.Values{}
			}
			check(r.Pattern(), b.Send(r.Method, m.Own.Path(r), form), false)
		}
		check("nowhere", b.Get("/nowhere"), false)
		check("no asset", b.Get("/assets/0/console.css"), false)
		check("an asset", b.Get(assets.URL("console.css")), true)
	}
}

// TestRoutesNameACapability (A3): view is not enough for a change, and one route starts
// operations.
func TestRoutesNameACapability(t *testing.T) {
	starts := 0
	for _, r := range consoletest.OnOne(t, console.Deps{}).Console.Routes() {
		switch {
		case r.Needs == web.ByOperation:
			starts++
		case r.Needs == "" && (r.Object == web.Public || r.Object == web.Self):
		case !slices.Contains(tenancy.Capabilities(), r.Needs):
			t.Errorf("%s names the capability %q, which tenancy does not know", r.Pattern(), r.Needs)
		case consoletest.Unsafe(r) && r.Needs == tenancy.View && r.Path != op.NotificationsReadRoute: // one's own
			t.Errorf("%s changes something and needs only %q", r.Pattern(), r.Needs)
		}
	}
	if starts != 1 {
		t.Errorf("%d routes start operations, want exactly one", starts)
	}
}
