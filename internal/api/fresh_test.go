package api

import (
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const password = "correct horse battery"

// TestConfirmSession: a session that was opened long ago may do the rest, and
// everything again once its person proved who they are. A token never may.
func TestConfirmSession(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		w.Join("Ola Berg", "ola@lattice.example", password, tenancy.Owner)
		const change = "/tenants/kestrel/connections/kestrel/credential"
		secret := map[string]string{"secret": "s3cret-of-the-test"}
		var s Session
		w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": "ola@lattice.example", "password": password}).want(http.StatusOK, &s)
		w.ask(s.Token, http.MethodPost, change, secret).want(http.StatusOK)

		w.Exec(`UPDATE tokens SET proved_at = interlock_now() - $1`, access.FreshFor.Microseconds())
		p := w.ask(s.Token, http.MethodPost, change, secret).problem(http.StatusForbidden, "fresh_sign_in_required")
		if p.Type != "https://interlock.dev/problems/fresh-sign-in-required" {
			t.Errorf("the type is %s", p.Type)
		}
		w.ask(s.Token, http.MethodPost, "/me/confirm", map[string]string{"password": "wrong horse battery"}).problem(http.StatusUnprocessableEntity, "field")
		w.ask(s.Token, http.MethodPost, change, secret).problem(http.StatusForbidden, "fresh_sign_in_required")

		var renewed Session
		w.ask(s.Token, http.MethodPost, "/me/confirm", map[string]string{"password": password}).want(http.StatusOK, &renewed)
		if renewed.Token == s.Token || !renewed.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("before %v until %v, then %v until %v", s.Token, s.ExpiresAt, renewed.Token, renewed.ExpiresAt)
		}
		w.ask(s.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
		w.ask(renewed.Token, http.MethodPost, change, secret).want(http.StatusOK)

		token := w.Token(w.Workspace, w.Owner.ID(), nil)
		w.ask(token, http.MethodPost, change, secret).problem(http.StatusForbidden, "session_required")
		w.ask(token, http.MethodPost, "/me/confirm", map[string]string{"password": password}).problem(http.StatusForbidden, "session_required")
	})
}
