package people_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
)

const (
	kestrel  = "/w/lattice/tenants/kestrel"
	tokens   = "/w/lattice/tokens"
	members  = "/w/lattice/members"
	password = consoletest.Password
)

// TestSignIn (S9): each sign-in opens a new session and ends the one before.
func TestSignIn(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Account("Pia Lund", "pia@lattice.example")
		stranger := w.Stranger()
		page := stranger.Get("/sign-in?next=" + url.QueryEscape(kestrel)).Want(http.StatusOK)

		refused := stranger.Press(page, "form", "email", "pia@lattice.example", "password", "wrong").Want(http.StatusUnauthorized)
		refused.Says("[role=alert]", "Couldn't sign in")
		if refused.Cookie != nil || strings.Contains(string(refused.Body), "wrong") {
			t.Error("a refusal opens a session, or shows the password")
		}
		if email := refused.Page.Find("#email").AttrOr("value", ""); email != "pia@lattice.example" {
			t.Errorf("the address has to be typed again: %q", email)
		}

		in := stranger.Press(page, "form", "email", "pia@lattice.example", "password", password)
		in.Leads(kestrel)
		c := in.Cookie
		if c == nil || c.Name != "__Host-interlock" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Fatalf("cookie %+v", c)
		}
		pia := w.With(c.Value)
		pia.Get("/").Leads("/w/lattice/tenants")

		// Signing in again ends the session before: no one's fixed id survives.
		again := pia.Press(page, "form", "email", "pia@lattice.example", "password", password)
		if again.Cookie == nil || again.Cookie.Value == c.Value {
			t.Fatal("the session is the same as before")
		}
		pia.Get("/").Want(http.StatusUnauthorized)

		// After the sign-out the session is over, whoever still has its secret.
		pia.Secret = again.Cookie.Value
		out := pia.Press(pia.Get("/w/lattice/tenants"), "form[action='/sign-out']")
		out.Leads("/sign-in")
		if out.Cookie == nil || out.Cookie.MaxAge >= 0 {
			t.Errorf("the cookie stays: %+v", out.Cookie)
		}
		over := pia.Get("/w/lattice/tenants").Want(http.StatusUnauthorized)
		over.Says("h1", "Your session has ended")
		if strings.Contains(string(over.Body), "Pia") {
			t.Error("the page of an ended session names its person")
		}
	})
}

// TestSignInLeadsOnlyHere: a sign-in only redirects to this host.
func TestSignInLeadsOnlyHere(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Account("Pia Lund", "pia@lattice.example")
	stranger := w.Stranger()
	page := stranger.Get("/sign-in")
	for _, next := range []string{"//evil.example", `/\evil.example`, "https://evil.example/", "/\t/evil.example", "javascript:alert(1)"} {
		to := stranger.Press(page, "form", "email", "pia@lattice.example", "password", password, "next", next).Leads("/")
		if to != "/w/lattice/tenants" {
			t.Errorf("%q leads to %s", next, to)
		}
		if got := stranger.Get("/sign-in?next=" + url.QueryEscape(next)).Page.Find("[name=next]").Length(); got != 0 {
			t.Errorf("%q is kept on the page", next)
		}
	}
}

func TestDemoPeople(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{Demo: func() []console.DemoUser {
		return []console.DemoUser{{Name: "Pia Lund", Role: "operator", Email: "pia@lattice.example", Password: password}}
	}})
	w.Account("Pia Lund", "pia@lattice.example")
	stranger := w.Stranger()
	page := stranger.Get("/sign-in")
	page.Says("main", "Pia Lund, operator")
	page.Says("main", "pia@lattice.example")
	stranger.Press(page, ".checks form").Leads("/w/lattice/tenants")
	if consoletest.OnOne(t, console.Deps{}).Stranger().Get("/sign-in").Page.Find(".checks").Length() != 0 {
		t.Error("a server that is no demo tells of people")
	}
}

// TestWorkspaces: a member of two workspaces can switch, and a link into the other one asks
// first.
func TestWorkspaces(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, w.Operator.ID())
		tenant := w.Tenant(w.Other, "academy", "Academy")
		_ = tenant
		ana := w.Browser(w.Operator)
		page := ana.Get("/workspaces").Want(http.StatusOK)
		page.Says("main", "Lattice Managed IT")
		page.Says("main", "Northgate Schools IT")
		page.Says("main", "1 tenant · Viewer")

		const there = "/w/northgate/tenants/academy"
		ask := ana.Get(ana.Get(there).Leads("/workspaces?in=northgate")).Want(http.StatusOK)
		in := ana.Press(ask, "form[action='/workspaces']")
		in.Leads(there)
		before := *ana
		ana.Secret = in.Cookie.Value
		ana.Get(there).Want(http.StatusOK).Says("h1", "Academy")
		before.Get(there).Want(http.StatusUnauthorized) // the session is a new one

		// A form of the workspace that was left starts nothing.
		stale := ana.Send(http.MethodPost, kestrel+"/start/inventory.sync", url.Values{"key": {web.NewKey(time.Now())}}).Want(http.StatusBadRequest)
		stale.Says("h1", "This form has expired")
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("%d runs", n)
		}
		ana.Send(http.MethodPost, "/workspaces", url.Values{"workspace": {"nowhere"}}).Want(http.StatusNotFound)
		w.Browser(w.Viewer).Send(http.MethodPost, "/workspaces", url.Values{"workspace": {"northgate"}}).Want(http.StatusNotFound)
	})
}

// TestLimitedTriesSayWhen: every page that limits password tries sends Retry-After.
func TestLimitedTriesSayWhen(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Account("Pia Lund", "pia@lattice.example")
	w.Limit(access.Limits{PerAccount: 2, Window: time.Hour})
	pia := w.SignedIn("pia@lattice.example")
	stranger, mei := w.Stranger(), w.Browser(w.Owner)
	member := mei.Get(members).Page.Find("#members a:contains('Pia Lund')").AttrOr("href", "")
	reset := stranger.Get(mei.Press(mei.Get(member), "form[action$='/reset-link']").Want(http.StatusOK).Link(t, "/new-password"))
	for _, page := range []struct {
		name string
		try  func() consoletest.Answer
	}{
		{"sign-in", func() consoletest.Answer {
			return stranger.Press(stranger.Get("/sign-in"), "form", "email", "pia@lattice.example", "password", "wrong")
		}},
		{"reset", func() consoletest.Answer {
			return stranger.Press(reset, "form", "password", "another horse battery")
		}},
		{"password", func() consoletest.Answer {
			return pia.Send(http.MethodPost, op.AccountPasswordRoute, url.Values{"current_password": {"wrong"}, "password": {"another horse battery"}})
		}},
	} {
		var last consoletest.Answer
		for range 4 {
			last = page.try()
		}
		last.Want(http.StatusTooManyRequests)
		if last.Header.Get("Retry-After") == "" {
			t.Errorf("%s does not say when to come back", page.name)
		}
	}
}
