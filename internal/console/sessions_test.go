package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func newKeyNow() string { return web.NewKey(time.Now()) }

const password = "correct horse battery"

// account adds someone who can sign in with a password.
func (w *world) account(name, email string) {
	w.t.Helper()
	w.Join(name, email, password, tenancy.Operator)
}

// signedIn is the browser of somebody who signs in with the password.
func (w *world) signedIn(email string) *browser {
	w.t.Helper()
	stranger := w.stranger()
	in := stranger.press(stranger.get("/sign-in"), "form", "email", email, "password", password)
	in.leads("/")
	return &browser{w: w, secret: in.cookie.Value}
}

// TestSignIn (S9): a new session at each sign-in, and no other way in.
func TestSignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.account("Pia Lund", "pia@lattice.example")
		stranger := w.stranger()
		page := stranger.get("/sign-in?next=" + url.QueryEscape(kestrel)).want(http.StatusOK)

		refused := stranger.press(page, "form", "email", "pia@lattice.example", "password", "wrong").want(http.StatusUnauthorized)
		refused.says("[role=alert]", "Couldn't sign in")
		if refused.cookie != nil || strings.Contains(string(refused.body), "wrong") {
			t.Error("a refusal opens a session, or shows the password")
		}
		if email := refused.page.Find("#email").AttrOr("value", ""); email != "pia@lattice.example" {
			t.Errorf("the address has to be typed again: %q", email)
		}

		in := stranger.press(page, "form", "email", "pia@lattice.example", "password", password)
		in.leads(kestrel)
		c := in.cookie
		if c == nil || c.Name != "__Host-interlock" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Fatalf("cookie %+v", c)
		}
		pia := &browser{w: w, secret: c.Value}
		pia.get("/").leads("/w/lattice/tenants")

		// Signing in again ends the session before: no one's fixed id survives.
		again := pia.press(page, "form", "email", "pia@lattice.example", "password", password)
		if again.cookie == nil || again.cookie.Value == c.Value {
			t.Fatal("the session is the same as before")
		}
		pia.get("/").want(http.StatusUnauthorized)

		// After the sign-out the session is over, whoever still has its secret.
		pia.secret = again.cookie.Value
		out := pia.press(pia.get("/w/lattice/tenants"), "form[action='/sign-out']")
		out.leads("/sign-in")
		if out.cookie == nil || out.cookie.MaxAge >= 0 {
			t.Errorf("the cookie stays: %+v", out.cookie)
		}
		over := pia.get("/w/lattice/tenants").want(http.StatusUnauthorized)
		over.says("h1", "Your session has ended")
		if strings.Contains(string(over.body), "Pia") {
			t.Error("the page of an ended session names its person")
		}
	})
}

// TestSignInLeadsOnlyHere: the way on after a sign-in is on this host.
func TestSignInLeadsOnlyHere(t *testing.T) {
	w := onOne(t, Deps{})
	w.account("Pia Lund", "pia@lattice.example")
	stranger := w.stranger()
	page := stranger.get("/sign-in")
	for _, next := range []string{"//evil.example", `/\evil.example`, "https://evil.example/", "/\t/evil.example", "javascript:alert(1)"} {
		to := stranger.press(page, "form", "email", "pia@lattice.example", "password", password, "next", next).leads("/")
		if to != "/w/lattice/tenants" {
			t.Errorf("%q leads to %s", next, to)
		}
		if got := stranger.get("/sign-in?next=" + url.QueryEscape(next)).page.Find("[name=next]").Length(); got != 0 {
			t.Errorf("%q is kept on the page", next)
		}
	}
}

func TestDemoPeople(t *testing.T) {
	w := onOne(t, Deps{Demo: func() []DemoUser {
		return []DemoUser{{Name: "Pia Lund", Role: "operator", Email: "pia@lattice.example", Password: password}}
	}})
	w.account("Pia Lund", "pia@lattice.example")
	stranger := w.stranger()
	page := stranger.get("/sign-in")
	page.says("main", "Pia Lund, operator")
	page.says("main", "pia@lattice.example")
	stranger.press(page, ".checks form").leads("/w/lattice/tenants")
	if onOne(t, Deps{}).stranger().get("/sign-in").page.Find(".checks").Length() != 0 {
		t.Error("a server that is no demo tells of people")
	}
}

// TestSimulatorIsNamed: a page of a server that works with a simulator says so,
// whatever page it is; no page of another server does.
func TestSimulatorIsNamed(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		w := onOne(t, Deps{Simulated: simulated})
		w.ready("kestrel", nil)
		owner := w.browser(w.Owner)
		for path, b := range map[string]*browser{
			"/sign-in": w.stranger(), "/nowhere": w.stranger(), "/workspaces": owner, "/w/lattice/tenants": owner,
			"/w/lattice/tenants/kestrel": owner, "/w/lattice/tenants/none": owner, "/w/lattice/operations": owner, "/w/lattice/members": owner,
		} {
			said := strings.TrimSpace(b.get(path).page.Find("body > aside.simulated").Text())
			if (said == op.Simulated) != simulated {
				t.Errorf("%s, with a simulator: %t: says %q", path, simulated, said)
			}
		}
	}
}

// TestWorkspaces: who is a member of two can go from one to the other, and a link
// into the other one asks first.
func TestWorkspaces(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, w.Operator.ID())
		tenant := w.Tenant(w.Other, "academy", "Academy")
		_ = tenant
		ana := w.browser(w.Operator)
		page := ana.get("/workspaces").want(http.StatusOK)
		page.says("main", "Lattice Managed IT")
		page.says("main", "Northgate Schools IT")
		page.says("main", "1 tenant · Viewer")

		const there = "/w/northgate/tenants/academy"
		ask := ana.get(ana.get(there).leads("/workspaces?in=northgate")).want(http.StatusOK)
		in := ana.press(ask, "form[action='/workspaces']")
		in.leads(there)
		before := *ana
		ana.secret = in.cookie.Value
		ana.get(there).want(http.StatusOK).says("h1", "Academy")
		before.get(there).want(http.StatusUnauthorized) // the session is a new one

		// A form of the workspace that was left starts nothing.
		stale := ana.send(http.MethodPost, kestrel+"/start/inventory.sync", url.Values{"key": {newKeyNow()}}).want(http.StatusBadRequest)
		stale.says("h1", "This form is out of date")
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("%d runs", n)
		}
		ana.send(http.MethodPost, "/workspaces", url.Values{"workspace": {"nowhere"}}).want(http.StatusNotFound)
		w.browser(w.Viewer).send(http.MethodPost, "/workspaces", url.Values{"workspace": {"northgate"}}).want(http.StatusNotFound)
	})
}

// TestLimitedTriesSayWhen: whichever page a password is guessed on, it says when to
// come back.
func TestLimitedTriesSayWhen(t *testing.T) {
	w := onOne(t, Deps{})
	w.account("Pia Lund", "pia@lattice.example")
	w.limit(access.Limits{PerAccount: 2, Window: time.Hour})
	pia := w.signedIn("pia@lattice.example")
	stranger := w.stranger()
	for name, try := range map[string]func() answer{
		"sign-in": func() answer {
			return stranger.press(stranger.get("/sign-in"), "form", "email", "pia@lattice.example", "password", "wrong")
		},
		"password": func() answer {
			return pia.send(http.MethodPost, op.AccountPasswordRoute, url.Values{"current_password": {"wrong"}, "password": {"another horse battery"}})
		},
	} {
		var last answer
		for range 4 {
			last = try()
		}
		last.want(http.StatusTooManyRequests)
		if last.header.Get("Retry-After") == "" {
			t.Errorf("%s does not say when to come back", name)
		}
	}
}
