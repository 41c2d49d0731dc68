package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const password = "correct horse battery"

// TestConfirmSession: an old session may do everything but sensitive changes, and those
// too once its person has confirmed who they are. A token never may.
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

// code returns the code of an authenticator app, some steps from now.
func code(t *testing.T, secret string, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSecondFactor: enrol, sign in, confirm, list, rename and remove by the API. Before
// the password was right nothing tells that there is a second factor.
func TestSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.Join("Ola Berg", "ola@lattice.example", password, tenancy.Owner)
		in := func(password, code string) answer {
			body := map[string]string{"email": "ola@lattice.example", "password": password}
			if code != "" {
				body["code"] = code
			}
			return w.ask("", http.MethodPost, "/sign-in", body)
		}
		var s Session
		in(password, "").want(http.StatusOK, &s)
		before := in("wrong horse battery", "123456").problem(http.StatusUnauthorized, "sign_in_refused")

		var app Authenticator
		w.ask(s.Token, http.MethodPost, "/me/authenticator", nil).want(http.StatusOK, &app)
		if !strings.HasPrefix(app.Address, "otpauth://totp/Interlock:ola@lattice.example?secret="+app.Secret) {
			t.Errorf("the address is %s", app.Address)
		}
		const add = "/me/authenticator/confirm"
		w.ask(s.Token, http.MethodPost, add, map[string]string{"name": "Phone", "code": "000000"}).problem(http.StatusUnprocessableEntity, "field")
		var made RecoveryCodes
		w.ask(s.Token, http.MethodPost, add, map[string]string{"name": "Phone", "code": code(t, app.Secret, -1)}).want(http.StatusCreated, &made)
		if len(made.RecoveryCodes) != 10 {
			t.Fatalf("recovery codes %v", made)
		}
		w.ask(s.Token, http.MethodPost, add, map[string]string{"name": "Phone", "code": code(t, app.Secret, 0)}).problem(http.StatusConflict, "conflict")

		after := in("wrong horse battery", "123456").problem(http.StatusUnauthorized, "sign_in_refused")
		before.RequestID, after.RequestID = "", ""
		if before.Title != after.Title || before.Detail != after.Detail || before.Next != after.Next {
			t.Errorf("a second factor shows before the password: %+v, %+v", before, after)
		}
		in(password, "").problem(http.StatusUnauthorized, "second_factor_required")
		in(password, "000000").problem(http.StatusUnprocessableEntity, "field")
		var again Session
		in(password, code(t, app.Secret, 0)).want(http.StatusOK, &again)
		in(password, code(t, app.Secret, 0)).problem(http.StatusUnprocessableEntity, "field")
		in(password, made.RecoveryCodes[0]).want(http.StatusOK)

		var mine access.Security
		w.ask(again.Token, http.MethodGet, "/me/factors", nil).want(http.StatusOK, &mine)
		if len(mine.Factors) != 1 || mine.Factors[0].Name != "Phone" || mine.Factors[0].LastUsedAt == nil || mine.RecoveryCodes != 9 {
			t.Errorf("factors are %+v", mine)
		}
		one := "/me/factors/" + mine.Factors[0].ID
		w.Exec(`UPDATE tokens SET proved_at = 0`)
		w.ask(again.Token, http.MethodDelete, one, nil).problem(http.StatusForbidden, "fresh_sign_in_required")
		w.ask(again.Token, http.MethodPost, "/me/confirm", map[string]string{"password": password}).problem(http.StatusUnprocessableEntity, "field")
		w.ask(again.Token, http.MethodPost, "/me/confirm", map[string]string{"code": code(t, app.Secret, 1)}).want(http.StatusOK, &again)

		w.ask(again.Token, http.MethodPatch, one, map[string]string{"name": "Old phone"}).want(http.StatusOK, &mine)
		if mine.Factors[0].Name != "Old phone" {
			t.Errorf("the name is %q", mine.Factors[0].Name)
		}
		w.ask(again.Token, http.MethodPost, "/me/recovery-codes", nil).want(http.StatusCreated, &made)
		var policy access.Policy
		w.ask(again.Token, http.MethodPut, "/workspace/policy", map[string]bool{"second_factor": true}).want(http.StatusOK, &policy)
		w.get(w.Viewer, "/tenants").problem(http.StatusForbidden, "second_factor_missing")
		w.get(w.Viewer, "/tokens").problem(http.StatusForbidden, "second_factor_missing")
		w.get(w.Viewer, "/me").want(http.StatusOK)
		w.get(w.Viewer, "/me/factors").want(http.StatusOK, &mine)
		if len(mine.RequiredBy) != 1 || mine.RequiredBy[0] != "Lattice Managed IT" {
			t.Errorf("required by %v", mine.RequiredBy)
		}
		w.ask(again.Token, http.MethodDelete, one, nil).problem(http.StatusConflict, "conflict")
		w.ask(again.Token, http.MethodPut, "/workspace/policy", map[string]bool{"second_factor": false}).want(http.StatusOK, &policy)
		w.get(w.Viewer, "/tenants").want(http.StatusOK)
		w.ask(again.Token, http.MethodDelete, one, nil).want(http.StatusNoContent)
		in(password, "").want(http.StatusOK, &s)
		w.ask(again.Token, http.MethodPost, "/me/sessions/end-others", nil).want(http.StatusNoContent)
		w.ask(s.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
		w.ask(again.Token, http.MethodGet, "/me", nil).want(http.StatusOK)

		for _, secret := range append(made.RecoveryCodes, app.Secret, password) {
			if strings.Contains(w.log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
	})
}
