package people_test

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
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/factor/factortest"
	"github.com/interlock-dev/interlock/internal/op"
)

// code returns what an authenticator app shows, some steps from now.
func code(t *testing.T, secret string, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enrol adds an authenticator app on the pages. It returns its secret and the recovery
// codes.
func enrol(t *testing.T, b *consoletest.Browser) (secret string, codes []string) {
	t.Helper()
	b.Send(http.MethodPost, op.AuthenticatorRoute, url.Values{}).Leads(op.AuthenticatorRoute)
	page := b.Get(op.AuthenticatorRoute).Want(http.StatusOK)
	secret = page.Page.Find("#key").AttrOr("value", "")
	if page.Page.Find("svg.qr path").AttrOr("d", "") == "" {
		t.Error("there is no QR code")
	}
	const form = "form[action='" + op.AuthenticatorConfirmRoute + "']"
	wrong := b.Press(page, form, "code", "000000", "name", "My phone").Want(http.StatusUnprocessableEntity)
	wrong.Says("[role=alert]", "Code is not the code that the app shows now")
	if name := wrong.Page.Find("#name").AttrOr("value", ""); name != "My phone" || wrong.Page.Find("#key").AttrOr("value", "") != secret {
		t.Errorf("the form is filled with %q", name)
	}
	made := b.Press(wrong, form, "code", code(t, secret, -1), "name", "My phone").Want(http.StatusOK)
	made.Says("h1", "Save your recovery codes")
	made.Page.Find(".codes li").Each(func(_ int, s *goquery.Selection) { codes = append(codes, s.Text()) })
	return secret, codes
}

// signIn signs in up to the second factor, and returns the page that asks for it.
func signIn(t *testing.T, w *consoletest.World, email, next string) (*consoletest.Browser, consoletest.Answer) {
	t.Helper()
	path := "/sign-in"
	if next != "" {
		path += "?" + url.Values{"next": {next}}.Encode()
	}
	stranger := w.Stranger()
	waits := stranger.Press(stranger.Get(path), "form.card", "email", email, "password", password)
	to := waits.Leads(op.SignInSecondRoute)
	if waits.Cookie == nil || waits.Cookie.Name != "__Host-interlock-sign-in" || !waits.Cookie.HttpOnly || !waits.Cookie.Secure {
		t.Fatalf("the cookie is %v", waits.Cookie)
	}
	half := w.Stranger()
	half.Pending = waits.Cookie.Value
	return half, half.Get(to).Want(http.StatusOK)
}

// TestSecondFactorSignIn (S9): with a second factor, the password alone gives no access.
func TestSecondFactorSignIn(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		ola := w.NewOwner("ola@lattice.example")
		secret, codes := enrol(t, ola)
		if len(codes) != 10 {
			t.Fatalf("%d recovery codes", len(codes))
		}
		half, asked := signIn(t, w, "ola@lattice.example", kestrel)
		asked.Says("main", "Signing in as ola@lattice.example")

		// Half a sign-in is no session, by whatever cookie it comes.
		for _, b := range []*consoletest.Browser{half, w.With(half.Pending)} {
			if a := b.Get("/w/lattice/tenants"); a.Status == http.StatusOK || strings.Contains(string(a.Body), "Kestrel") {
				t.Errorf("half a sign-in reaches a page: %d", a.Status)
			}
		}
		const form = "form[action='" + op.SignInSecondRoute + "']"
		wrong := half.Press(asked, form, "code", "000000").Want(http.StatusUnprocessableEntity)
		wrong.Says("[role=alert]", "Code is not right, or was used before")
		in := half.Press(wrong, form, "code", code(t, secret, 0))
		in.Leads(kestrel)
		session := in.Cookies["__Host-interlock"]
		if session == nil || session.Value == half.Pending {
			t.Fatalf("the cookies are %v", in.Cookies)
		}
		if c := in.Cookies["__Host-interlock-sign-in"]; c == nil || c.MaxAge >= 0 {
			t.Errorf("the cookie of the half sign-in stays: %v", c)
		}
		w.With(session.Value).Get(kestrel).Want(http.StatusOK)
		half.Press(asked, form, "code", code(t, secret, 1)).Want(http.StatusUnauthorized).Says("[role=alert]", "Start signing in again")
		w.Stranger().Get(op.SignInSecondRoute).Want(http.StatusUnauthorized).Says("[role=alert]", "Start signing in again")

		half, asked = signIn(t, w, "ola@lattice.example", "")
		half.Press(asked, form, "code", codes[0]).Leads("/w/lattice/tenants")
		half, asked = signIn(t, w, "ola@lattice.example", "")
		half.Press(asked, form, "code", codes[0]).Want(http.StatusUnprocessableEntity)

		// A change long after the sign-in asks for a code, not for the password.
		w.Stale()
		stopped := ola.Send(http.MethodPost, op.RecoveryCodesRoute, url.Values{"sure": {"yes"}}).Want(http.StatusForbidden)
		if stopped.Page.Find("#password").Length() != 0 || stopped.Page.Find("#code").Length() != 1 {
			t.Errorf("it asks for something else:\n%s", stopped.Body)
		}
		again := ola.Press(stopped, "form.card", "code", codes[1]).Want(http.StatusOK)
		again.Says("h1", "Save your recovery codes")
	})
}

// TestSecurityPage: second factors are listed, renamed and removed. The page warns when few
// recovery codes are left.
func TestSecurityPage(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		ola := w.NewOwner("ola@lattice.example")
		ola.Get(op.SecurityRoute).Want(http.StatusOK).Says("main", "No second factor yet")
		ola.Get(op.AuthenticatorRoute).Leads(op.SecurityRoute)
		secret, _ := enrol(t, ola)
		page := ola.Get(op.SecurityRoute).Want(http.StatusOK)
		page.Says("#factors", "My phone")
		page.Says("main", "You have 10 left")
		page.Says("main", "Passkeys need the server's public address")
		id := w.Text(`SELECT id FROM factors`)
		ola.Press(page, "form[action='"+op.FactorRenamePath(id)+"']", "name", "").Want(http.StatusUnprocessableEntity).Says("[role=alert]", "Check the request")
		ola.Get(ola.Press(page, "form[action='"+op.FactorRenamePath(id)+"']", "name", "Old phone").Leads(op.SecurityRoute)).Says("#factors", "Old phone")

		w.Exec(`UPDATE recovery_codes SET used_at = 1 WHERE hash > (SELECT MIN(hash) FROM recovery_codes)`)
		ola.Get(op.SecurityRoute).Says("main", "You have only 1 recovery code left")
		ola.Press(page, "form[action='"+op.RecoveryCodesRoute+"']").Want(http.StatusOK)
		ola.Get(op.SecurityRoute).Says("main", "You have 10 left")

		other, asked := signIn(t, w, "ola@lattice.example", "")
		other.Press(asked, "form[action='"+op.SignInSecondRoute+"']", "code", code(t, secret, 0)).Leads("/")
		ola.Press(page, "form[action='"+op.SessionsEndRoute+"']").Leads(op.SecurityRoute)
		if n := w.Int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL AND kind = 'session' AND user_id = (SELECT id FROM users WHERE email = 'ola@lattice.example')`); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
		ola.Send(http.MethodPost, op.FactorRemovePath(id), url.Values{}).Want(http.StatusUnprocessableEntity) // not sure
		ola.Press(page, "form[action='"+op.FactorRemovePath(id)+"']").Leads(op.SecurityRoute)
		ola.Get(op.SecurityRoute).Says("main", "No second factor yet")
		w.Browser(w.Owner).Send(http.MethodPost, op.FactorRemovePath(id), url.Values{"sure": {"yes"}}).Want(http.StatusNotFound)
	})
}

// TestPolicyLeadsToEnrol: where a second factor is required, a member without one is
// redirected to add it, and can do nothing else.
func TestPolicyLeadsToEnrol(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		m := consoletest.NewMatrix(w)
		ola, jonas := w.NewOwner("ola@lattice.example"), w.NewOwner("jonas@lattice.example")
		page := ola.Get("/w/lattice/policy").Want(http.StatusOK)
		ola.Press(page, "form[action='/w/lattice/policy']").Want(http.StatusConflict).Says("[role=alert]", "You have no second factor yourself")
		enrol(t, ola)
		ola.Press(page, "form[action='/w/lattice/policy']").Leads("/w/lattice/policy?done=")
		for _, r := range w.Site.Routes() {
			if r.Object == web.Public || r.Object == web.Self {
				continue
			}
			a := jonas.Send(r.Method, m.Own.Path(r), url.Values{"key": {web.NewKey(time.Now())}, "note": {"because"}, "sure": {"yes"}})
			if consoletest.Unsafe(r) {
				if a.Status != http.StatusForbidden {
					t.Errorf("%s: %d", r.Pattern(), a.Status)
				}
				a.Says("h1", "Add a second factor first")
			} else {
				a.Leads(op.SecurityRoute)
			}
		}
		must := jonas.Get(op.SecurityRoute).Want(http.StatusOK)
		must.Says("main", "Lattice Managed IT requires a second factor. Add one to continue.")
		if must.Page.Find("nav").Length() != 0 {
			t.Error("the page leads into the workspace")
		}
		enrol(t, jonas)
		jonas.Get(kestrel).Want(http.StatusOK)
		id := w.Text(`SELECT f.id FROM factors f JOIN users u ON u.id = f.user_id WHERE u.email = 'jonas@lattice.example'`)
		jonas.Send(http.MethodPost, op.FactorRemovePath(id), url.Values{"sure": {"yes"}}).Want(http.StatusConflict).Says("[role=alert]", "It is your last one")
		ola.Press(ola.Get("/w/lattice/policy"), "form[action='/w/lattice/policy']").Leads("/w/lattice/policy?done=")
		w.Browser(w.Viewer).Get(kestrel).Want(http.StatusOK)
	})
}

// TestPasskeyPages: passkeys are created and used on the pages.
func TestPasskeyPages(t *testing.T) {
	const site = "https://interlock.example"
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Origin = site
		w.Limit(access.Limits{})
		w.Ready("kestrel", nil)
		ola := w.NewOwner("ola@lattice.example")
		rp := virtualwebauthn.RelyingParty{ID: "interlock.example", Name: "Interlock", Origin: site}
		keys := virtualwebauthn.NewAuthenticator()
		get := func(page consoletest.Answer, selector string) string {
			t.Helper()
			o, err := virtualwebauthn.ParseAssertionOptions(page.Page.Find(selector).AttrOr("data-options", ""))
			if err != nil {
				t.Fatalf("%v\n%s", err, page.Body)
			}
			keys.Credentials[0].Counter++
			return virtualwebauthn.CreateAssertionResponse(rp, keys, keys.Credentials[0], *o)
		}

		page := ola.Send(http.MethodPost, op.PasskeysRoute, url.Values{}).Want(http.StatusOK)
		form := "form[action='" + op.PasskeysAddRoute + "']"
		bad := ola.Press(page, form, "passkey", "{}").Want(http.StatusUnprocessableEntity)
		bad.Says("[role=alert]", "Check the request")
		o, err := virtualwebauthn.ParseAttestationOptions(bad.Page.Find(form).AttrOr("data-options", ""))
		if err != nil {
			t.Fatal(err)
		}
		key := factortest.NewPasskey()
		made := virtualwebauthn.CreateAttestationResponse(rp, keys, key, *o)
		keys.Options.UserHandle = []byte(o.UserID)
		keys.AddCredential(key)
		ola.Press(bad, form, "passkey", made, "name", "Laptop").Want(http.StatusOK).Says("h1", "Save your recovery codes")
		ola.Press(bad, form, "passkey", made, "name", "Laptop").Want(http.StatusConflict)

		// As second factor.
		half, asked := signIn(t, w, "ola@lattice.example", kestrel)
		half.Press(asked, "form[data-passkey]", "passkey", get(asked, "form[data-passkey]")).Leads(kestrel)

		// Alone, without an address and a password.
		alone := func(spoil func()) consoletest.Answer {
			stranger := w.Stranger()
			ask := stranger.Press(stranger.Get("/sign-in"), "form[action='"+op.SignInPasskeyRoute+"']", "next", kestrel).Want(http.StatusOK)
			stranger.Pending = ask.Cookie.Value
			a := get(ask, "form[data-passkey]")
			if spoil != nil {
				spoil()
			}
			return stranger.Press(ask, "form[data-passkey]", "passkey", a)
		}
		alone(nil).Leads(kestrel)
		alone(func() { w.Exec(`DELETE FROM ceremonies`) }).Want(http.StatusUnauthorized).Says("[role=alert]", "Couldn't sign in with this passkey")

		// For a change.
		w.Stale()
		stopped := ola.Send(http.MethodPost, op.RecoveryCodesRoute, url.Values{"sure": {"yes"}}).Want(http.StatusForbidden)
		ola.Press(stopped, "form[data-passkey]", "passkey", get(stopped, "form[data-passkey]")).Want(http.StatusOK).Says("h1", "Save your recovery codes")
	})
	w := consoletest.NewWorld(t, dbtest.New(t, db.SQLite), console.Deps{})
	ola := w.NewOwner("ola@lattice.example")
	if ola.Get("/sign-in").Page.Find("form").Length() != 1 {
		t.Error("a server without an address offers passkeys")
	}
	ola.Send(http.MethodPost, op.PasskeysRoute, url.Values{}).Want(http.StatusConflict).Says("h1", "Passkeys aren't available here")
	w.Stranger().Send(http.MethodPost, op.SignInPasskeyRoute, url.Values{}).Want(http.StatusConflict)
}
