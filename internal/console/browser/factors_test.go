//go:build browser

package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/op"
)

// securityKey adds a virtual authenticator to the tab's browser.
func (b *tab) securityKey() {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
}

func (b *tab) signOut() {
	b.t.Helper()
	b.click(".menu--end summary")
	b.follow(`form[action="/sign-out"] button`)
	b.at("/sign-in")
}

const usePasskey = `form[data-passkey="get"] [data-passkey-ask] button`

// TestBrowserPasskey (S9): a passkey is added, completes a sign-in, replaces the password,
// and confirms a change.
func TestBrowserPasskey(t *testing.T) {
	database := dbtest.URL(t, db.Postgres)
	s, err := open(t.Context(), demo.Config{Addr: "localhost:0", Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	b := s.visit(t)
	b.expect(refused(401), refused(403))
	b.securityKey()
	b.as("owner")
	email := s.user(t, "owner").Email

	b.open(op.SecurityRoute)
	b.follow(`form[action="` + op.PasskeysRoute + `"] button`)
	b.follow(`form[data-passkey="create"] [data-passkey-ask] button`)
	b.says("h1", "Save your recovery codes")
	if codes := strings.Fields(b.text(".codes")); len(codes) != 10 {
		t.Errorf("%d recovery codes", len(codes))
	}
	b.open(op.SecurityRoute)
	b.says("#factors", "Passkey")

	b.signOut()
	b.fillIn(email, s.user(t, "owner").Password)
	b.at(op.SignInSecondRoute)
	before := b.cookie()
	b.follow(usePasskey)
	b.at("/w/")
	if c := b.cookie(); c == nil || before != nil && before.Value == c.Value {
		t.Errorf("the session is that of before: %v", c)
	}

	b.signOut()
	b.follow(`form[action="` + op.SignInPasskeyRoute + `"] button`)
	b.follow(usePasskey)
	b.at("/w/")

	// Much later, a change asks for a confirmation and then continues.
	(&gallery{database: database}).breaks(t, `UPDATE tokens SET proved_at = 1`)
	b.open(op.PolicyPath(workspace))
	b.follow(`form[action="` + op.PolicyPath(workspace) + `"] button`)
	b.says("h1", "Confirm that it's you")
	b.follow(usePasskey)
	b.says("main", "Policy changed.")
	b.says("main", "Required")
}

// TestBrowserSecondFactorWithoutScript (S9): without script, an authenticator app is added
// and used for the next sign-in.
func TestBrowserSecondFactorWithoutScript(t *testing.T) {
	s := onStage(t)
	const email, password = "uma@lattice.example", "correct horse battery"
	s.join(t, "Uma Sand", email, password)
	b := s.visit(t)
	b.expect(refused(401))
	b.script(false)
	b.signIn(email, password)
	b.open(op.SecurityRoute)
	b.follow(`form[action="` + op.AuthenticatorRoute + `"] button`)
	b.at(op.AuthenticatorRoute)
	secret := eval[string](b, `document.getElementById("key").value`)
	if drawn := eval[bool](b, `document.querySelector("svg.qr").getBoundingClientRect().width > 100`); !drawn {
		t.Error("the QR code can't be seen")
	}
	enter := func(steps int, button string) {
		code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		b.do(chromedp.SetValue(chromedp.CSS("#code"), code))
		b.follow(button)
	}
	enter(-1, `form[action="`+op.AuthenticatorConfirmRoute+`"] button`)
	b.says("h1", "Save your recovery codes")
	b.open("/w/" + workspace + "/tenants")
	b.signOut()
	b.fillIn(email, password)
	b.at(op.SignInSecondRoute)
	b.open("/w/" + workspace + "/tenants") // half a sign-in gives no access
	b.at("/sign-in")
	b.open(op.SignInSecondRoute)
	enter(0, "form.card button[type=submit]")
	b.at("/w/")
}
