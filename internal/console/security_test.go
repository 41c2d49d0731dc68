package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// code is what an authenticator app shows, some steps from now.
func code(t *testing.T, secret string, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enrol adds an authenticator app on the pages, and returns its secret and the
// recovery codes that came with it.
func (b *browser) enrol() (secret string, codes []string) {
	b.w.t.Helper()
	b.send(http.MethodPost, op.AuthenticatorRoute, url.Values{}).leads(op.AuthenticatorRoute)
	page := b.get(op.AuthenticatorRoute).want(http.StatusOK)
	secret = page.page.Find("#key").AttrOr("value", "")
	if page.page.Find("svg.qr path").AttrOr("d", "") == "" {
		b.w.t.Error("there is no QR code")
	}
	const form = "form[action='" + op.AuthenticatorConfirmRoute + "']"
	wrong := b.press(page, form, "code", "000000", "name", "My phone").want(http.StatusUnprocessableEntity)
	wrong.says("[role=alert]", "Code is not the code that the app shows now")
	if name := wrong.page.Find("#name").AttrOr("value", ""); name != "My phone" || wrong.page.Find("#key").AttrOr("value", "") != secret {
		b.w.t.Errorf("the form is filled with %q", name)
	}
	made := b.press(wrong, form, "code", code(b.w.t, secret, -1), "name", "My phone").want(http.StatusOK)
	made.says("h1", "Save your recovery codes")
	made.page.Find(".codes li").Each(func(_ int, s *goquery.Selection) { codes = append(codes, s.Text()) })
	return secret, codes
}

// signIn gets as far as the second factor, and returns the page that asks for it.
func (b *browser) signIn(email, next string) (*browser, answer) {
	b.w.t.Helper()
	path := "/sign-in"
	if next != "" {
		path += "?" + url.Values{"next": {next}}.Encode()
	}
	stranger := b.w.stranger()
	waits := stranger.press(stranger.get(path), "form.card", "email", email, "password", password)
	to := waits.leads(op.SignInSecondRoute)
	if waits.cookie == nil || waits.cookie.Name != "__Host-interlock-sign-in" || !waits.cookie.HttpOnly || !waits.cookie.Secure {
		b.w.t.Fatalf("the cookie is %v", waits.cookie)
	}
	half := b.w.stranger()
	half.pending = waits.cookie.Value
	return half, half.get(to).want(http.StatusOK)
}

// TestSecondFactorSignIn (S9): the password leads to a page that asks for a code, and
// to nothing else.
func TestSecondFactorSignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		ola := w.owner("ola@lattice.example")
		secret, codes := ola.enrol()
		if len(codes) != 10 {
			t.Fatalf("%d recovery codes", len(codes))
		}
		half, asked := ola.signIn("ola@lattice.example", kestrel)
		asked.says("main", "Signing in as ola@lattice.example")

		// Half a sign-in is no session, by whatever cookie it comes.
		for _, b := range []*browser{half, {w: w, secret: half.pending}} {
			if a := b.get("/w/lattice/tenants"); a.status == http.StatusOK || strings.Contains(string(a.body), "Kestrel") {
				t.Errorf("half a sign-in reaches a page: %d", a.status)
			}
		}
		const form = "form[action='" + op.SignInSecondRoute + "']"
		wrong := half.press(asked, form, "code", "000000").want(http.StatusUnprocessableEntity)
		wrong.says("[role=alert]", "Code is not right, or was used before")
		in := half.press(wrong, form, "code", code(t, secret, 0))
		in.leads(kestrel)
		session := in.cookies["__Host-interlock"]
		if session == nil || session.Value == half.pending {
			t.Fatalf("the cookies are %v", in.cookies)
		}
		if c := in.cookies["__Host-interlock-sign-in"]; c == nil || c.MaxAge >= 0 {
			t.Errorf("the cookie of the half sign-in stays: %v", c)
		}
		(&browser{w: w, secret: session.Value}).get(kestrel).want(http.StatusOK)
		half.press(asked, form, "code", code(t, secret, 1)).want(http.StatusUnauthorized).says("[role=alert]", "Start signing in again")
		w.stranger().get(op.SignInSecondRoute).want(http.StatusUnauthorized).says("[role=alert]", "Start signing in again")

		half, asked = ola.signIn("ola@lattice.example", "")
		half.press(asked, form, "code", codes[0]).leads("/w/lattice/tenants")
		half, asked = ola.signIn("ola@lattice.example", "")
		half.press(asked, form, "code", codes[0]).want(http.StatusUnprocessableEntity)

		// A change long after the sign-in asks for a code, not for the password.
		w.stale()
		stopped := ola.send(http.MethodPost, op.RecoveryCodesRoute, url.Values{"sure": {"yes"}}).want(http.StatusForbidden)
		if stopped.page.Find("#password").Length() != 0 || stopped.page.Find("#code").Length() != 1 {
			t.Errorf("it asks for something else:\n%s", stopped.body)
		}
		again := ola.press(stopped, "form.card", "code", codes[1]).want(http.StatusOK)
		again.says("h1", "Save your recovery codes")
	})
}

// TestSecurityPage: second factors are listed, renamed and removed, and few recovery
// codes are told.
func TestSecurityPage(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ola := w.owner("ola@lattice.example")
		ola.get(op.SecurityRoute).want(http.StatusOK).says("main", "No second factor yet")
		ola.get(op.AuthenticatorRoute).leads(op.SecurityRoute)
		secret, _ := ola.enrol()
		page := ola.get(op.SecurityRoute).want(http.StatusOK)
		page.says("#factors", "My phone")
		page.says("main", "You have 10 left")
		page.says("main", "Passkeys need the server's public address")
		id := w.text(`SELECT id FROM factors`)
		ola.press(page, "form[action='"+op.FactorRenamePath(id)+"']", "name", "").want(http.StatusUnprocessableEntity).says("[role=alert]", "This request was not accepted")
		ola.get(ola.press(page, "form[action='"+op.FactorRenamePath(id)+"']", "name", "Old phone").leads(op.SecurityRoute)).says("#factors", "Old phone")

		w.Exec(`UPDATE recovery_codes SET used_at = 1 WHERE hash > (SELECT MIN(hash) FROM recovery_codes)`)
		ola.get(op.SecurityRoute).says("main", "You have only 1 recovery code left")
		ola.press(page, "form[action='"+op.RecoveryCodesRoute+"']").want(http.StatusOK)
		ola.get(op.SecurityRoute).says("main", "You have 10 left")

		other, asked := ola.signIn("ola@lattice.example", "")
		other.press(asked, "form[action='"+op.SignInSecondRoute+"']", "code", code(t, secret, 0)).leads("/")
		ola.press(page, "form[action='"+op.SessionsEndRoute+"']").leads(op.SecurityRoute)
		if n := w.Int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL AND kind = 'session' AND user_id = (SELECT id FROM users WHERE email = 'ola@lattice.example')`); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
		ola.send(http.MethodPost, op.FactorRemovePath(id), url.Values{}).want(http.StatusUnprocessableEntity) // not sure
		ola.press(page, "form[action='"+op.FactorRemovePath(id)+"']").leads(op.SecurityRoute)
		ola.get(op.SecurityRoute).says("main", "No second factor yet")
		w.browser(w.Owner).send(http.MethodPost, op.FactorRemovePath(id), url.Values{"sure": {"yes"}}).want(http.StatusNotFound)
	})
}

// TestPolicyLeadsToEnrol: in a workspace that requires a second factor a member
// without one is led to add one, whatever they ask for, and can do nothing before.
func TestPolicyLeadsToEnrol(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(w)
		ola, jonas := w.owner("ola@lattice.example"), w.owner("jonas@lattice.example")
		page := ola.get("/w/lattice/policy").want(http.StatusOK)
		ola.press(page, "form[action='/w/lattice/policy']").want(http.StatusConflict).says("[role=alert]", "you have no second factor yourself")
		ola.enrol()
		ola.press(page, "form[action='/w/lattice/policy']").leads("/w/lattice/policy?done=")
		for _, r := range w.console.Routes() {
			if r.Object == web.Public || r.Object == web.Self {
				continue
			}
			a := jonas.send(r.Method, m.own.path(r), url.Values{"key": {newKeyNow()}, "note": {"because"}, "sure": {"yes"}})
			if unsafe(r) {
				if a.status != http.StatusForbidden {
					t.Errorf("%s: %d", r.Pattern(), a.status)
				}
				a.says("h1", "Add a second factor first")
			} else {
				a.leads(op.SecurityRoute)
			}
		}
		must := jonas.get(op.SecurityRoute).want(http.StatusOK)
		must.says("main", "Lattice Managed IT requires a second factor. Add one to continue.")
		if must.page.Find("nav").Length() != 0 {
			t.Error("the page leads into the workspace")
		}
		jonas.enrol()
		jonas.get(kestrel).want(http.StatusOK)
		id := w.text(`SELECT f.id FROM factors f JOIN users u ON u.id = f.user_id WHERE u.email = 'jonas@lattice.example'`)
		jonas.send(http.MethodPost, op.FactorRemovePath(id), url.Values{"sure": {"yes"}}).want(http.StatusConflict).says("[role=alert]", "it is your last one")
		ola.press(ola.get("/w/lattice/policy"), "form[action='/w/lattice/policy']").leads("/w/lattice/policy?done=")
		w.browser(w.Viewer).get(kestrel).want(http.StatusOK)
	})
}

// TestPasskeyPages: what the pages ask the browser, and what becomes of its answers.
func TestPasskeyPages(t *testing.T) {
	const site = "https://interlock.example"
	onBoth(t, func(t *testing.T, w *world) {
		w.site = site
		w.limit(access.Limits{})
		w.ready("kestrel", nil)
		ola := w.owner("ola@lattice.example")
		rp := virtualwebauthn.RelyingParty{ID: "interlock.example", Name: "Interlock", Origin: site}
		keys := virtualwebauthn.NewAuthenticator()
		get := func(page answer, selector string) string {
			t.Helper()
			o, err := virtualwebauthn.ParseAssertionOptions(page.page.Find(selector).AttrOr("data-options", ""))
			if err != nil {
				t.Fatalf("%v\n%s", err, page.body)
			}
			keys.Credentials[0].Counter++
			return virtualwebauthn.CreateAssertionResponse(rp, keys, keys.Credentials[0], *o)
		}

		page := ola.send(http.MethodPost, op.PasskeysRoute, url.Values{}).want(http.StatusOK)
		form := "form[action='" + op.PasskeysAddRoute + "']"
		bad := ola.press(page, form, "passkey", "{}").want(http.StatusUnprocessableEntity)
		bad.says("[role=alert]", "This request was not accepted")
		o, err := virtualwebauthn.ParseAttestationOptions(bad.page.Find(form).AttrOr("data-options", ""))
		if err != nil {
			t.Fatal(err)
		}
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		made := virtualwebauthn.CreateAttestationResponse(rp, keys, key, *o)
		keys.Options.UserHandle = []byte(o.UserID)
		keys.AddCredential(key)
		ola.press(bad, form, "passkey", made, "name", "Laptop").want(http.StatusOK).says("h1", "Save your recovery codes")
		ola.press(bad, form, "passkey", made, "name", "Laptop").want(http.StatusConflict)

		// As second factor.
		half, asked := ola.signIn("ola@lattice.example", kestrel)
		half.press(asked, "form[data-passkey]", "passkey", get(asked, "form[data-passkey]")).leads(kestrel)

		// Alone, without an address and a password.
		alone := func(spoil func()) answer {
			stranger := w.stranger()
			ask := stranger.press(stranger.get("/sign-in"), "form[action='"+op.SignInPasskeyRoute+"']", "next", kestrel).want(http.StatusOK)
			stranger.pending = ask.cookie.Value
			a := get(ask, "form[data-passkey]")
			if spoil != nil {
				spoil()
			}
			return stranger.press(ask, "form[data-passkey]", "passkey", a)
		}
		alone(nil).leads(kestrel)
		alone(func() { w.Exec(`DELETE FROM ceremonies`) }).want(http.StatusUnauthorized).says("[role=alert]", "Couldn't sign in with this passkey")

		// For a change.
		w.stale()
		stopped := ola.send(http.MethodPost, op.RecoveryCodesRoute, url.Values{"sure": {"yes"}}).want(http.StatusForbidden)
		ola.press(stopped, "form[data-passkey]", "passkey", get(stopped, "form[data-passkey]")).want(http.StatusOK).says("h1", "Save your recovery codes")
	})
	w := newWorld(t, dbtest.New(t, db.SQLite), Deps{})
	ola := w.owner("ola@lattice.example")
	if ola.get("/sign-in").page.Find("form").Length() != 1 {
		t.Error("a server without an address offers passkeys")
	}
	ola.send(http.MethodPost, op.PasskeysRoute, url.Values{}).want(http.StatusConflict).says("h1", "Passkeys aren't available here")
	w.stranger().send(http.MethodPost, op.SignInPasskeyRoute, url.Values{}).want(http.StatusConflict)
}
