//go:build browser

package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/interlock-dev/interlock/internal/op"
)

// TestBrowserCookie (S9): the session is a cookie of this host that script can't read. A
// sign-in makes a new one, and a sign-out ends it also for a copy.
func TestBrowserCookie(t *testing.T) {
	s := onStage(t)
	b := s.visit(t)
	// Planted before the sign-in, as by someone who knows the machine.
	planted := "ils_PLANTED0000000000000000000"
	yes := true
	call(b, network.SetCookie, network.SetCookieParams{Name: "__Host-interlock", Value: planted, URL: s.URL, Path: "/", Secure: &yes, HTTPOnly: &yes})
	b.as("operator")
	c := b.cookie()
	if c == nil || c.Value == planted || len(c.Value) < 26 {
		t.Fatalf("the session has the cookie %v", c)
	}
	if !c.HTTPOnly || !c.Secure || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || strings.HasPrefix(c.Domain, ".") || !c.Session {
		t.Errorf("the cookie is %+v", c)
	}
	if seen := eval[string](b, `document.cookie`); seen != "" {
		t.Errorf("scripts see the cookie %q", seen)
	}
	if seen := eval[int](b, `localStorage.length + sessionStorage.length`); seen != 0 {
		t.Errorf("%d things are in the browser's storage", seen)
	}
	if status, _ := s.fetch(t, c.Value, op.TenantsPath(workspace)); status != http.StatusOK {
		t.Errorf("the session: status %d", status)
	}
	if status, _ := s.fetch(t, planted, op.TenantsPath(workspace)); status == http.StatusOK {
		t.Error("the planted session was let in")
	}
	// Someone else at the same browser: the first session is over.
	b.as("viewer")
	second := b.cookie()
	if second.Value == c.Value {
		t.Error("a sign-in keeps the session of before")
	}
	if status, _ := s.fetch(t, c.Value, op.TenantsPath(workspace)); status == http.StatusOK {
		t.Error("the session of before was let in after the next sign-in")
	}
	b.click(".menu--end summary")
	b.follow(`form[action="/sign-out"] button`)
	b.at("/sign-in")
	if c := b.cookie(); c != nil {
		t.Errorf("after the sign-out the browser has %v", c)
	}
	if status, _ := s.fetch(t, second.Value, op.TenantsPath(workspace)); status == http.StatusOK {
		t.Error("the session was let in after the sign-out")
	}
}

// fetch requests a page with the secret of a session.
func (s *show) fetch(t *testing.T, secret, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Cookie", "__Host-interlock="+secret)
	}
	return send(t, r)
}

// send sends a request and follows no redirect.
func send(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestBrowserBackAfterSignOut (S9): after a sign-out the back button shows nothing private,
// with and without script.
func TestBrowserBackAfterSignOut(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("script %t", script), func(t *testing.T) {
			b := s.visit(t)
			b.script(script)
			b.as("operator")
			b.open(p.path())
			b.says("h1", p.Name)
			b.open(p.connection())
			b.says("h1", p.Default.Name)
			b.click(".menu--end summary")
			b.follow(`form[action="/sign-out"] button`)
			b.at("/sign-in")
			for range 2 {
				b.back()
				b.until(`document.readyState === "complete" && document.querySelector("h1")`)
				text := eval[string](b, `document.documentElement.textContent`)
				for _, private := range []string{p.Name, p.Default.Name, p.Domain} {
					if strings.Contains(text, private) {
						t.Errorf("the page of before shows %q:\n%s", private, b.seen())
					}
				}
				if b.has("#email"); b.text("h1") != "Sign in" {
					t.Errorf("the page of before is %q", b.text("h1"))
				}
			}
		})
	}
}

// TestBrowserGoesOnInside: a sign-in redirects only to pages of this console.
func TestBrowserGoesOnInside(t *testing.T) {
	s := onStage(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the browser came to another site: %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	host := strings.TrimPrefix(elsewhere.URL, "http://")
	u := s.user(t, "operator")
	b := s.visit(t)
	b.expect(refused(http.StatusNotFound)) // of an address in here that is not in use
	for _, next := range []string{
		elsewhere.URL, "//" + host, `/\` + host, "/\t/" + host, "/%2f%2f" + host, "/.//" + host, "http:" + host, "javascript:alert(1)",
	} {
		call(b, network.ClearBrowserCookies, cdp.Empty{})
		b.open("/sign-in?next=" + url.QueryEscape(next))
		b.fillIn(u.Email, u.Password)
		b.until(`document.readyState === "complete" && !document.getElementById("password")`)
		if at := eval[string](b, `location.origin`); at != s.URL {
			t.Errorf("next=%q leads to %s", next, at)
		}
	}
	// A page in here it does lead to.
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	b.open(op.OperationsPath(workspace) + "?show=active")
	b.at("/sign-in?next=")
	b.fillIn(u.Email, u.Password)
	b.at(op.OperationsPath(workspace) + "?show=active")
}

// TestBrowserForgery (S8, F15): a request of another site's page starts nothing, however the
// browser sends it.
func TestBrowserForgery(t *testing.T) {
	s := onStage(t)
	p := s.ready(t)
	b := s.visit(t).as("operator")
	b.open(p.path())
	// Even with all that the form has, which another site could not know.
	fields := eval[map[string]string](b, `Object.fromEntries(new FormData(document.getElementById("start-inventory-sync")))`)
	var inputs strings.Builder
	for name, value := range fields {
		fmt.Fprintf(&inputs, `<input name=%q value=%q>`, name, value)
	}
	target := s.URL + op.StartPath(workspace, p.Slug, op.InventorySync)
	form := func(attributes string) string {
		return `<form id=f method=post action="` + target + `" ` + attributes + `>` + inputs.String() + `</form>`
	}
	const submit = `<script>document.getElementById("f").submit()</script>`
	pages := map[string]string{
		"/form":        form("") + submit,
		"/plain":       form(`enctype="text/plain"`) + submit,
		"/multipart":   form(`enctype="multipart/form-data"`) + submit,
		"/null":        `<iframe sandbox="allow-scripts allow-forms allow-top-navigation" srcdoc='` + strings.ReplaceAll(form(`target="_top"`)+submit, "'", "&#39;") + `'></iframe>`,
		"/no-referrer": `<meta name=referrer content=no-referrer>` + form("") + submit,
		"/fetch": `<script>fetch("` + target + `", {method: "POST", mode: "no-cors", credentials: "include",
			body: new URLSearchParams(` + quotedMap(fields) + `)}).finally(() => document.title = "sent")</script>`,
		"/get":   `<script>location = "` + target + `?" + new URLSearchParams(` + quotedMap(fields) + `)</script>`,
		"/frame": `<iframe src="` + s.URL + p.path() + `"></iframe>`,
	}
	// The same host at another port is the same site to a browser, which then sends
	// the cookie along; another name for it is another site.
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>evil</title><body>"+pages[r.URL.Path])
	}))
	t.Cleanup(evil.Close)
	for _, origin := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		for path := range pages {
			b := b.beside()
			b.expect("") // it is their console as well
			b.do(chromedp.Navigate(origin + path))
			switch path {
			case "/fetch":
				b.until(`document.title === "sent"`)
			case "/frame":
				b.until(`document.readyState === "complete"`)
				if inside := b.framed(); strings.Contains(inside, p.Name) {
					t.Errorf("%s%s shows our page in its frame", origin, path)
				}
			default:
				b.until(`document.readyState === "complete" && document.title !== "evil"`)
				if got := b.text("h1"); got == "" || strings.Contains(b.text("main"), "queued") {
					t.Errorf("%s%s leads to %s", origin, path, b.seen())
				}
			}
		}
	}
	p.untouched()

	// A request that says nothing of where it comes from.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(encoded(fields)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", "__Host-interlock="+b.cookie().Value)
	if status, body := send(t, r); status != http.StatusForbidden {
		t.Errorf("without Origin and Sec-Fetch-Site: status %d: %s", status, body)
	}
	p.untouched()

	// The same form on its own page does start something: it was not the form.
	b.click("#start-inventory-sync button")
	b.has("#answer-inventory-sync.result")
	if len(p.runs()) != 1 {
		t.Error("the form itself starts nothing")
	}
}

func encoded(fields map[string]string) string {
	v := url.Values{}
	for name, value := range fields {
		v.Set(name, value)
	}
	return v.Encode()
}

func quotedMap(fields map[string]string) string {
	var pairs []string
	for name, value := range fields {
		pairs = append(pairs, quoted(name)+":"+quoted(value))
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// framed is what all frames of the page hold.
func (b *tab) framed() string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, func(ctx context.Context, target *chromedp.Target) (string, error) {
		shot, err := chromedp.Call(ctx, page.CaptureSnapshot, page.CaptureSnapshotParams{})
		return shot.Data, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// TestBrowserNotThere (A1, M5): what doesn't exist and what is another tenant's get the same
// page, byte for byte.
func TestBrowserNotThere(t *testing.T) {
	s := onStage(t)
	foreign := s.user(t, "outsider")
	var theirs struct {
		ID string `json:"id"`
	}
	s.sendAs(t, "outsider", http.MethodGet, "/tenants/northgate-academy", nil, &theirs)
	a, err := s.as(t, "outsider").Start(t.Context(), "northgate-academy", startOf(op.ConnectionVerify))
	if err != nil || a.Run == nil {
		t.Fatalf("%v: %s", err, a.Code)
	}
	b := s.visit(t).as("operator")
	b.expect(refused(http.StatusNotFound))
	page := func(path string) string {
		return eval[string](b, `fetch(`+quoted(path)+`).then(async (r) => r.status + " " + await r.text())`)
	}
	tenants := op.TenantsPath(workspace)
	want := page(tenants + "/nobody")
	if !strings.HasPrefix(want, "404 ") || strings.Contains(want, "nobody") {
		t.Fatalf("a tenant that is not there: %s", want)
	}
	for _, path := range []string{
		tenants + "/northgate-academy", tenants + "/" + theirs.ID, tenants + "/northgate-academy/connections", tenants + "/%00", tenants + "/..%2f",
		op.TenantPath(foreign.Workspace, "northgate-academy"), op.TenantsPath(foreign.Workspace), op.TenantsPath("nowhere"),
		op.RunPath(workspace, a.Run.Code), op.RunPath(workspace, a.Run.ID), op.RunPath(workspace, "ZZZZZZ"), op.RunPath(foreign.Workspace, a.Run.Code),
		op.AttemptPath(workspace, a.AttemptID), op.ConnectionPath(workspace, "kestrel", "nothing"), op.ConnectionPath(workspace, "northgate-academy", "primary"),
		op.OperationsPath(foreign.Workspace), op.NotificationsPath(foreign.Workspace), "/w", "/nowhere", "/w/lattice/nowhere", "/assets/nothing.js",
		op.RunPath(workspace, a.Run.Code) + "?live=1",
	} {
		if got := page(path); got != want {
			t.Errorf("%s differs from a tenant that is not there:\n%s", path, got)
		}
	}
	// A start there is no different, nor is it for a kind that nobody knows.
	start := func(path string) string {
		return eval[string](b, `fetch(`+quoted(path)+`, {method: "POST", body: new URLSearchParams({key: "x"})}).then(async (r) => r.status + " " + await r.text())`)
	}
	for _, path := range []string{
		op.StartPath(workspace, "nobody", op.InventorySync), op.StartPath(workspace, "northgate-academy", op.InventorySync),
		op.StartPath(foreign.Workspace, "northgate-academy", op.InventorySync), op.StartPath(workspace, "kestrel", "no.such"),
		op.RunCancelPath(workspace, a.Run.Code), op.RunReleasePath(workspace, a.Run.Code), op.RunCancelPath(workspace, "ZZZZZZ"),
	} {
		if got := start(path); got != want {
			t.Errorf("POST %s differs from a tenant that is not there:\n%s", path, got)
		}
	}
}
