package people_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestTokens: a token's secret is shown once. It works until the token is revoked.
func TestTokens(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		ana := w.Browser(w.Operator)
		form := ana.Get(tokens).Want(http.StatusOK)
		made := ana.Press(form, "main form:has(#name)", "name", "Nightly report", "ttl", "30", "only", string(tenancy.View)).Want(http.StatusOK)
		secret := made.Page.Find("#secret").AttrOr("value", "")
		a, err := access.Authenticate(t.Context(), w.DB, secret)
		if err != nil || !a.Grants().Has(tenancy.View) || a.Grants().Has("inventory.sync") {
			t.Fatalf("the secret proves %v, %v", a.Grants().List(), err)
		}
		page := ana.Get(tokens).Want(http.StatusOK)
		if strings.Contains(string(page.Body), secret) {
			t.Error("the secret is shown a second time")
		}
		page.Says("#tokens", "Nightly report Only: View the workspace")
		page.Says("#sessions", "This one")
		if n := page.Page.Find("#sessions form").Length(); n != 0 {
			t.Error("the session in use can be ended here by mistake")
		}

		revoke := page.Page.Find("#tokens tr:contains('Nightly report') form").AttrOr("action", "")
		ana.Send(http.MethodPost, revoke, url.Values{}).Want(http.StatusUnprocessableEntity)
		w.Browser(w.Second).Send(http.MethodPost, revoke, url.Values{"sure": {"yes"}}).Want(http.StatusNotFound)
		ana.Send(http.MethodPost, revoke, url.Values{"sure": {"yes"}}).Leads(tokens + "?done=revoke")
		if _, err := access.Authenticate(t.Context(), w.DB, secret); err == nil {
			t.Error("the token works after it was revoked")
		}

		wrong := ana.Press(form, "main form:has(#name)", "ttl", "30", "only", string(tenancy.ManageMembers)).Want(http.StatusUnprocessableEntity)
		wrong.Says("#name-error", "Must not be empty.")
		ana.Press(form, "main form:has(#name)", "name", "x", "ttl", "4000").Want(http.StatusUnprocessableEntity).Says("#ttl-error", "Must be from one minute to 365 days.")
		ana.Press(form, "main form:has(#name)", "name", "x", "ttl", "30", "only", string(tenancy.ManageMembers)).Want(http.StatusUnprocessableEntity).
			Says("#only-error", "Is a capability that you do not have here.")
	})
}

// TestSessionsAreToldApart: each session has the name of its browser and says when it was
// last used. No header text is shown.
func TestSessionsAreToldApart(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Account("Pia Lund", "pia@lattice.example")
		form := url.Values{"email": {"pia@lattice.example"}, "password": {password}}
		in := func(agent string) *consoletest.Browser {
			t.Helper()
			a := w.Stranger().Send(http.MethodPost, "/sign-in", form, "User-Agent", agent)
			a.Leads("/")
			return w.With(a.Cookie.Value)
		}
		phone := in("Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1")
		in("<script>alert(1)</script>" + strings.Repeat("x", 5000))
		in("\xff\xfe \u202eevil")
		here := in("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0")
		w.Exec(`UPDATE tokens SET last_used_at = last_used_at - 7200000000, created_at = created_at - 7200000000 WHERE name = 'Safari on iPhone'`)

		page := here.Get(tokens).Want(http.StatusOK)
		var names []string
		page.Page.Find("#sessions tr b").Each(func(_ int, s *goquery.Selection) { names = append(names, s.Text()) })
		if want := []string{"Firefox on Windows", "Browser", "Browser", "Safari on iPhone"}; !slices.Equal(names, want) {
			t.Errorf("sessions are %q, want %q", names, want)
		}
		page.Says("#sessions tr:contains('Firefox on Windows')", "This one")
		page.Says("#sessions tr:contains('Safari on iPhone') [data-label='Last used']", "2 hours ago")
		page.Says("#sessions tr:contains('Safari on iPhone')", "Signed in ")
		if strings.Contains(string(page.Body), "alert(1)") {
			t.Error("the page repeats what a browser says of itself")
		}

		path, sure := page.Form("#sessions tr:contains('Safari on iPhone') form")
		here.Send(http.MethodPost, path, sure).Leads(tokens)
		phone.Get("/").Want(http.StatusUnauthorized)
		if got := here.Get(tokens).Want(http.StatusOK).Text("#sessions"); strings.Contains(got, "iPhone") {
			t.Errorf("sessions are %s", got)
		}

		// In another workspace the session is still the same browser's.
		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) SELECT $1, id, 'viewer', 0 FROM users WHERE email = 'pia@lattice.example'`, w.Other)
		there := here.Send(http.MethodPost, "/workspaces", url.Values{"workspace": {"northgate"}})
		there.Leads("/w/northgate")
		here.Secret = there.Cookie.Value
		here.Get("/w/northgate/tokens").Want(http.StatusOK).Says("#sessions tr", "Firefox on Windows")
	})
}

// TestSessionsCanBeEnded (S9): a session ended elsewhere is refused at its next request.
func TestSessionsCanBeEnded(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	here, there := w.Browser(w.Operator), w.Browser(w.Operator)
	page := here.Get(tokens)
	path, form := page.Form("#sessions form")
	here.Send(http.MethodPost, path, form).Leads(tokens)
	there.Get(tokens).Want(http.StatusUnauthorized)
	here.Get(tokens).Want(http.StatusOK)
}
