package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// sensitive are the changes that ask for a fresh sign-in.
var sensitive = []string{
	"POST " + op.RunReleaseRoute,
	"POST " + op.RotateCredential.Route(),
	"POST " + op.InvitationsRoute,
	"POST " + op.InvitationRevokeRoute,
	"POST " + op.ResetMember.Route(),
	"POST " + op.AccountPasswordRoute,
	"POST " + op.AccountJoinRoute,
	"POST " + op.MemberRoute,
	"POST " + op.EnableMember.Route(),
	"POST " + op.DisableMember.Route(),
	"POST " + op.RemoveMember.Route(),
	"POST " + op.ResetFactors.Route(),
	"POST " + op.PolicyRoute,
	"POST " + op.AuthenticatorRoute,
	"POST " + op.AuthenticatorConfirmRoute,
	"POST " + op.PasskeysRoute,
	"POST " + op.PasskeysAddRoute,
	"POST " + op.RecoveryCodesRoute,
	"POST " + op.FactorRenameRoute,
	"POST " + op.FactorRemoveRoute,
}

// owner adds an owner who can sign in with a password, and signs them in.
func (w *world) owner(email string) *browser {
	w.t.Helper()
	w.Join("Ola Berg", email, password, tenancy.Owner)
	stranger := w.stranger()
	in := stranger.press(stranger.get("/sign-in"), "form.card", "email", email, "password", password)
	in.leads("/")
	return &browser{w: w, secret: in.cookie.Value}
}

// stale makes every sign-in one of long ago.
func (w *world) stale() {
	w.Exec(`UPDATE tokens SET proved_at = interlock_now() - $1`, access.FreshFor.Microseconds())
}

// TestFreshRoutes: each change that could lock others out, give rights away or take
// work away asks for a fresh sign-in, and does nothing before. The table of what
// does is held against the routes that must be in it.
func TestFreshRoutes(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	mei := w.browser(w.Owner)
	w.stale()
	before := w.Int(`SELECT COUNT(*) FROM audit_log`)
	seen := 0
	for _, r := range w.console.Routes() {
		if !unsafe(r) || r.Object == web.Public {
			continue
		}
		asks := access.AsksFresh(r.Needs, r.Path)
		if must := slices.Contains(sensitive, r.Pattern()) || r.Needs == tenancy.ManageMembers || r.Needs == tenancy.ReleaseConnections; must && !asks {
			t.Errorf("%s asks for no fresh sign-in", r.Pattern())
		}
		if !asks {
			continue
		}
		seen++
		a := mei.send(r.Method, m.own.path(r), url.Values{"key": {newKeyNow()}, "note": {"because"}, "sure": {"yes"}, "secret": {"s3cret-typed"}})
		if a.status != http.StatusForbidden || a.text("h1") != "Confirm that it's you" {
			t.Errorf("%s: %d %q", r.Pattern(), a.status, a.text("h1"))
		}
		if strings.Contains(string(a.body), "s3cret-typed") {
			t.Errorf("%s shows a secret", r.Pattern())
		}
	}
	if seen < len(sensitive) {
		t.Errorf("%d routes ask for a fresh sign-in, want at least %d", seen, len(sensitive))
	}
	if n := w.Int(`SELECT COUNT(*) FROM audit_log`) - before; n != 0 {
		t.Errorf("%d changes were made", n)
	}
}

// TestConfirm: a press of someone who signed in long ago goes on after they proved
// who they are, with what they typed.
func TestConfirm(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, connection := w.ready("kestrel", nil)
		ola := w.owner("ola@lattice.example")
		w.stale()
		version := func() int64 { return w.Int(`SELECT credential_version FROM connections WHERE id = $1`, connection) }

		const path = kestrel + "/connections/kestrel/credential"
		form := url.Values{"kind": {"secret"}, "secret": {"S~typed-once"}, "expires_at": {"2031-03-31"}}
		asked := ola.send(http.MethodPost, path, form).want(http.StatusForbidden)
		asked.says("main", "This change needs a sign-in from the last 15 minutes")
		if strings.Contains(string(asked.body), "S~typed-once") || version() != 1 {
			t.Fatal("the secret is shown, or the change was made")
		}
		wrong := ola.press(asked, "form", "password", "wrong horse battery").want(http.StatusUnprocessableEntity)
		wrong.says("[role=alert]", "Password is not your password")
		if wrong.cookie != nil || version() != 1 {
			t.Fatal("a wrong password opens something")
		}

		// Elsewhere, or by somebody else, the kept form is worth nothing.
		_, kept := wrong.form("form")
		kept.Set("password", password)
		ola.send(http.MethodPost, "/w/lattice/members/invitations?confirm=1", kept).want(http.StatusBadRequest).says("h1", "This form is out of date")
		pia := w.owner("pia@lattice.example")
		w.stale()
		pia.send(http.MethodPost, path+"?confirm=1", kept).want(http.StatusBadRequest)
		ola.send(http.MethodPost, path+"?confirm=1", url.Values{"password": {password}, "secret": {"S~other"}}).want(http.StatusBadRequest)
		if version() != 1 {
			t.Fatal("the change was made")
		}

		on := ola.press(wrong, "form", "password", password)
		on.leads(kestrel + "/connections/kestrel?done=credential")
		if version() != 2 {
			t.Fatal("the change was not made")
		}
		if day := w.Int(`SELECT credential_expires_at FROM connections WHERE id = $1`, connection); day == 0 {
			t.Error("what was typed beside the secret is lost")
		}
		before := *ola
		before.get("/").want(http.StatusUnauthorized) // the session has a new secret
		ola.secret = on.cookie.Value
		ola.send(http.MethodPost, path, form).leads(kestrel + "/connections/kestrel?done=credential") // it is fresh now
	})
}

// TestConfirmKeepsTheForm: what can't be used is told on the form, filled as it was.
func TestConfirmKeepsTheForm(t *testing.T) {
	w := onOne(t, Deps{})
	w.ready("kestrel", nil)
	ola := w.owner("ola@lattice.example")
	w.stale()
	asked := ola.send(http.MethodPost, kestrel+"/connections/kestrel/credential", url.Values{"kind": {"secret"}, "secret": {""}, "expires_at": {"2031-03-31"}})
	back := ola.press(asked, "form", "password", password).want(http.StatusUnprocessableEntity)
	if got := back.page.Find("#expires_at").AttrOr("value", ""); got != "2031-03-31" {
		t.Errorf("the date has to be typed again: %q", got)
	}
	ola.secret = back.cookie.Value
	ola.get("/").leads("/w/lattice/tenants")
}

// TestConfirmByScript: with script the question takes the place of the page.
func TestConfirmByScript(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	mei := w.browser(w.Owner).withScript()
	w.stale()
	a := mei.send(http.MethodPost, m.own.path(web.Route{Path: op.RunReleaseRoute}), url.Values{"note": {"it hangs"}}).want(http.StatusForbidden)
	if a.header.Get("HX-Retarget") != "body" || a.text("h1") != "Confirm that it's you" {
		t.Errorf("%v\n%s", a.header, a.body)
	}
}

// TestConfirmIsLimited: guesses at the password of an open session count as sign-ins do.
func TestConfirmIsLimited(t *testing.T) {
	w := onOne(t, Deps{})
	m := newMatrix(w)
	ola := w.owner("ola@lattice.example")
	w.limit(access.Limits{PerAccount: 2, Window: access.FreshFor})
	w.stale()
	asked := ola.send(http.MethodPost, m.own.path(web.Route{Path: op.RunReleaseRoute}), url.Values{"note": {"it hangs"}})
	for range 2 {
		ola.press(asked, "form", "password", "wrong horse battery").want(http.StatusUnprocessableEntity)
	}
	last := ola.press(asked, "form", "password", password).want(http.StatusTooManyRequests)
	last.says("[role=alert]", "Too many tries")
	if last.header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
	if wrong := gatetest.Audit(t, w.DB); len(wrong) > 0 {
		t.Error(wrong)
	}
}
