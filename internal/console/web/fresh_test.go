package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const kestrel = "/w/lattice/tenants/kestrel"

// sensitive are changes that must need a fresh sign-in.
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

// TestFreshRoutes: each change that could lock others out, grant rights or stop work needs a
// fresh sign-in, and does nothing before.
func TestFreshRoutes(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	mei := w.Browser(w.Owner)
	w.Stale()
	before := w.Int(`SELECT COUNT(*) FROM audit_log`)
	seen := 0
	for _, r := range w.Site.Routes() {
		if !consoletest.Unsafe(r) || r.Object == web.Public {
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
		a := mei.Send(r.Method, m.Own.Path(r), url.Values{"key": {web.NewKey(time.Now())}, "note": {"because"}, "sure": {"yes"}, "secret": {"s3cret-typed"}})
		if a.Status != http.StatusForbidden || a.Text("h1") != "Confirm that it's you" {
			t.Errorf("%s: %d %q", r.Pattern(), a.Status, a.Text("h1"))
		}
		if strings.Contains(string(a.Body), "s3cret-typed") {
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

// TestConfirm: after the confirmation, a change continues with its original input.
func TestConfirm(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		_, connection := w.Ready("kestrel", nil)
		ola := w.NewOwner("ola@lattice.example")
		w.Stale()
		version := func() int64 { return w.Int(`SELECT credential_version FROM connections WHERE id = $1`, connection) }

		const path = kestrel + "/connections/kestrel/credential"
		form := url.Values{"kind": {"secret"}, "secret": {"S~typed-once"}, "expires_at": {"2031-03-31"}}
		asked := ola.Send(http.MethodPost, path, form).Want(http.StatusForbidden)
		asked.Says("main", "This change needs a sign-in from the last 15 minutes")
		if strings.Contains(string(asked.Body), "S~typed-once") || version() != 1 {
			t.Fatal("the secret is shown, or the change was made")
		}
		wrong := ola.Press(asked, "form", "password", "wrong horse battery").Want(http.StatusUnprocessableEntity)
		wrong.Says("[role=alert]", "Password is not your password")
		if wrong.Cookie != nil || version() != 1 {
			t.Fatal("a wrong password opens something")
		}

		// Elsewhere, or by somebody else, the kept form is worth nothing.
		_, kept := wrong.Form("form")
		kept.Set("password", consoletest.Password)
		ola.Send(http.MethodPost, "/w/lattice/members/invitations?confirm=1", kept).Want(http.StatusBadRequest).Says("h1", "This form has expired")
		pia := w.NewOwner("pia@lattice.example")
		w.Stale()
		pia.Send(http.MethodPost, path+"?confirm=1", kept).Want(http.StatusBadRequest)
		ola.Send(http.MethodPost, path+"?confirm=1", url.Values{"password": {consoletest.Password}, "secret": {"S~other"}}).Want(http.StatusBadRequest)
		if version() != 1 {
			t.Fatal("the change was made")
		}

		on := ola.Press(wrong, "form", "password", consoletest.Password)
		on.Leads(kestrel + "/connections/kestrel?done=credential")
		if version() != 2 {
			t.Fatal("the change was not made")
		}
		if day := w.Int(`SELECT credential_expires_at FROM connections WHERE id = $1`, connection); day == 0 {
			t.Error("what was typed beside the secret is lost")
		}
		before := *ola
		before.Get("/").Want(http.StatusUnauthorized) // the session has a new secret
		ola.Secret = on.Cookie.Value
		ola.Send(http.MethodPost, path, form).Leads(kestrel + "/connections/kestrel?done=credential") // it is fresh now
	})
}

// TestConfirmKeepsTheForm: invalid input is shown on the original form after the
// confirmation.
func TestConfirmKeepsTheForm(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Ready("kestrel", nil)
	ola := w.NewOwner("ola@lattice.example")
	w.Stale()
	asked := ola.Send(http.MethodPost, kestrel+"/connections/kestrel/credential", url.Values{"kind": {"secret"}, "secret": {""}, "expires_at": {"2031-03-31"}})
	back := ola.Press(asked, "form", "password", consoletest.Password).Want(http.StatusUnprocessableEntity)
	if got := back.Page.Find("#expires_at").AttrOr("value", ""); got != "2031-03-31" {
		t.Errorf("the date has to be typed again: %q", got)
	}
	ola.Secret = back.Cookie.Value
	ola.Get("/").Leads("/w/lattice/tenants")
}

// TestConfirmByScript: with script, the confirm page replaces the page.
func TestConfirmByScript(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	mei := w.Browser(w.Owner).WithScript()
	w.Stale()
	a := mei.Send(http.MethodPost, m.Own.Path(web.Route{Path: op.RunReleaseRoute}), url.Values{"note": {"it hangs"}}).Want(http.StatusForbidden)
	if a.Header.Get("HX-Retarget") != "body" || a.Text("h1") != "Confirm that it's you" {
		t.Errorf("%v\n%s", a.Header, a.Body)
	}
}

// TestConfirmIsLimited: password tries on the confirm page count towards the limit of
// sign-ins.
func TestConfirmIsLimited(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	m := consoletest.NewMatrix(w)
	ola := w.NewOwner("ola@lattice.example")
	w.Limit(access.Limits{PerAccount: 2, Window: access.FreshFor})
	w.Stale()
	asked := ola.Send(http.MethodPost, m.Own.Path(web.Route{Path: op.RunReleaseRoute}), url.Values{"note": {"it hangs"}})
	for range 2 {
		ola.Press(asked, "form", "password", "wrong horse battery").Want(http.StatusUnprocessableEntity)
	}
	last := ola.Press(asked, "form", "password", consoletest.Password).Want(http.StatusTooManyRequests)
	last.Says("[role=alert]", "Too many tries")
	if last.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
	if wrong := gatetest.Audit(t, w.DB); len(wrong) > 0 {
		t.Error(wrong)
	}
}
