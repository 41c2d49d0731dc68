package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const tokens = "/w/lattice/tokens"

// TestTokens: a token's secret is told once, it works, and it stops to work when
// it is revoked.
func TestTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ana := w.browser(w.Operator)
		form := ana.get(tokens).want(http.StatusOK)
		made := ana.press(form, "main form:has(#name)", "name", "Nightly report", "ttl", "30", "only", string(tenancy.View)).want(http.StatusOK)
		secret := made.page.Find("#secret").AttrOr("value", "")
		a, err := access.Authenticate(t.Context(), w.DB, secret)
		if err != nil || !a.Grants().Has(tenancy.View) || a.Grants().Has("inventory.sync") {
			t.Fatalf("the secret proves %v, %v", a.Grants().List(), err)
		}
		page := ana.get(tokens).want(http.StatusOK)
		if strings.Contains(string(page.body), secret) {
			t.Error("the secret is shown a second time")
		}
		page.says("#tokens", "Nightly report Only: View the workspace")
		page.says("#sessions", "This one")
		if n := page.page.Find("#sessions form").Length(); n != 0 {
			t.Error("the session in use can be ended here by mistake")
		}

		revoke := page.page.Find("#tokens tr:contains('Nightly report') form").AttrOr("action", "")
		ana.send(http.MethodPost, revoke, url.Values{}).want(http.StatusUnprocessableEntity)
		w.browser(w.Second).send(http.MethodPost, revoke, url.Values{"sure": {"yes"}}).want(http.StatusNotFound)
		ana.send(http.MethodPost, revoke, url.Values{"sure": {"yes"}}).leads(tokens + "?done=revoke")
		if _, err := access.Authenticate(t.Context(), w.DB, secret); err == nil {
			t.Error("the token works after it was revoked")
		}

		wrong := ana.press(form, "main form:has(#name)", "ttl", "30", "only", string(tenancy.ManageMembers)).want(http.StatusUnprocessableEntity)
		wrong.says("#name-error", "Must not be empty.")
		ana.press(form, "main form:has(#name)", "name", "x", "ttl", "4000").want(http.StatusUnprocessableEntity).says("#ttl-error", "Must be from one minute to 365 days.")
		ana.press(form, "main form:has(#name)", "name", "x", "ttl", "30", "only", string(tenancy.ManageMembers)).want(http.StatusUnprocessableEntity).
			says("#only-error", "Is a capability that you do not have here.")
	})
}

// TestSessionsAreToldApart: each is called by the browser that it was opened in,
// whatever that says of itself, and tells when it was last used.
func TestSessionsAreToldApart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.account("Pia Lund", "pia@lattice.example")
		form := url.Values{"email": {"pia@lattice.example"}, "password": {password}}
		in := func(agent string) *browser {
			t.Helper()
			a := w.stranger().send(http.MethodPost, "/sign-in", form, "User-Agent", agent)
			a.leads("/")
			return &browser{w: w, secret: a.cookie.Value}
		}
		phone := in("Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1")
		in("<script>alert(1)</script>" + strings.Repeat("x", 5000))
		in("\xff\xfe \u202eevil")
		here := in("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0")
		w.Exec(`UPDATE tokens SET last_used_at = last_used_at - 7200000000, created_at = created_at - 7200000000 WHERE name = 'Safari on iPhone'`)

		page := here.get(tokens).want(http.StatusOK)
		var names []string
		page.page.Find("#sessions tr b").Each(func(_ int, s *goquery.Selection) { names = append(names, s.Text()) })
		if want := []string{"Firefox on Windows", "Browser", "Browser", "Safari on iPhone"}; !slices.Equal(names, want) {
			t.Errorf("sessions are %q, want %q", names, want)
		}
		page.says("#sessions tr:contains('Firefox on Windows')", "This one")
		page.says("#sessions tr:contains('Safari on iPhone') [data-label='Last used']", "2 hours ago")
		page.says("#sessions tr:contains('Safari on iPhone')", "Signed in ")
		if strings.Contains(string(page.body), "alert(1)") {
			t.Error("the page repeats what a browser says of itself")
		}

		path, sure := page.form("#sessions tr:contains('Safari on iPhone') form")
		here.send(http.MethodPost, path, sure).leads(tokens)
		phone.get("/").want(http.StatusUnauthorized)
		if got := here.get(tokens).want(http.StatusOK).text("#sessions"); strings.Contains(got, "iPhone") {
			t.Errorf("sessions are %s", got)
		}

		// In another workspace the session is still the same browser's.
		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) SELECT $1, id, 'viewer', 0 FROM users WHERE email = 'pia@lattice.example'`, w.Other)
		there := here.send(http.MethodPost, "/workspaces", url.Values{"workspace": {"northgate"}})
		there.leads("/w/northgate")
		here.secret = there.cookie.Value
		here.get("/w/northgate/tokens").want(http.StatusOK).says("#sessions tr", "Firefox on Windows")
	})
}

// TestSessionsCanBeEnded (S9): a session that is ended elsewhere is over at its
// next request.
func TestSessionsCanBeEnded(t *testing.T) {
	w := onOne(t, Deps{})
	here, there := w.browser(w.Operator), w.browser(w.Operator)
	page := here.get(tokens)
	path, form := page.form("#sessions form")
	here.send(http.MethodPost, path, form).leads(tokens)
	there.get(tokens).want(http.StatusUnauthorized)
	here.get(tokens).want(http.StatusOK)
}
