package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
		if err != nil || !a.Grants().Has(tenancy.View) || a.Grants().Has(tenancy.SyncInventory) {
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
