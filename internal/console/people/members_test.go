package people_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestMembers: an owner changes, disables and removes a member.
func TestMembers(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Ready("marlow", nil)
		mei, ana := w.Browser(w.Owner), w.Browser(w.Operator)
		mei.Get(members).Want(http.StatusOK).Says("#members", "Mei Tan")

		// What is taken away is gone at the next request.
		one := members + "/" + w.Operator.ID()
		ana.Get("/w/lattice/tenants/marlow").Want(http.StatusOK)
		page := mei.Get(one)
		found := mei.Press(page, "main form[action='"+one+"']", "all_tenants", "false", "tenant_query", "kes").Want(http.StatusOK)
		found.Says(".picker", "1 match")
		mei.Press(found, "main form[action='"+one+"']", "tenants", "kestrel", "denied", "inventory.sync").Leads(members)
		ana.Get("/w/lattice/tenants/marlow").Want(http.StatusNotFound)
		ana.Get(kestrel).Says(".acts", "Needs “Sync inventory”")
		kept := mei.Get(one)
		if kept.Page.Find("#tenants-kestrel[checked]").Length() != 1 || kept.Page.Find("#tenants-marlow").Length() != 0 {
			t.Error("the form does not show what holds")
		}

		mei.Press(kept, "form[action='"+one+"/disable']").Leads(members)
		ana.Get(kestrel).Want(http.StatusUnauthorized)
		mei.Press(mei.Get(one), "form[action='"+one+"/enable']").Leads(members)
		mei.Press(mei.Get(one), "form[action='"+one+"/remove']").Leads(members)
		mei.Get(one).Want(http.StatusNotFound)

		self := members + "/" + w.Owner.ID()
		last := mei.Press(mei.Get(self), "form[action='"+self+"/remove']").Want(http.StatusConflict)
		last.Says(".errors", "the last owner who can sign in")
	})
}

// TestFormsChangeWhatWasChanged: a form that was open while somebody else changed the member
// doesn't undo that change.
func TestFormsChangeWhatWasChanged(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		mei := w.Browser(w.Owner)
		one := members + "/" + w.Operator.ID()
		form := "main form[action='" + one + "']"
		open := mei.Get(one)
		mei.Press(open, form, "role", "viewer").Leads(members)
		wrong := mei.Press(open, form, "all_tenants", "false").Want(http.StatusUnprocessableEntity) // none chosen
		mei.Press(mei.Press(wrong, form, "tenant_query", "kestrel").Want(http.StatusOK), form, "tenants", "kestrel").Leads(members)
		mei.Get(members).Says("#members", "Viewer 1 tenant Kestrel")
		mei.Press(open, form, "denied", "directory.groups.sync").Leads(members)
		mei.Get(members).Says("#members", "Viewer Except: Sync directory groups 1 tenant Kestrel")
	})
}

// TestInvite: an owner creates a link, which is shown once. Its holder chooses a name and a
// password, and is signed in.
func TestInvite(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		w.Ready("marlow", nil)
		mei, stranger := w.Browser(w.Owner), w.Stranger()
		page := mei.Get(mei.Get(members).Page.Find(".head a[href*=invitations]").AttrOr("href", "")).Want(http.StatusOK)
		form := "main form:has(#email)"
		bad := mei.Press(page, form, "email", "nobody", "role", "viewer").Want(http.StatusUnprocessableEntity)
		if got := bad.Page.Find("#email").AttrOr("aria-invalid", ""); got != "true" || bad.Page.Find("#role option[selected]").AttrOr("value", "") != "viewer" {
			t.Error("the mistake is not shown, or what was chosen is lost")
		}
		none := mei.Press(page, form, "email", "li@lattice.example", "all_tenants", "false", "tenant_query", "zzz").Want(http.StatusOK)
		none.Says(".picker", "No other tenant matches “zzz”")
		found := mei.Press(none, form, "tenant_query", "marlow").Want(http.StatusOK)
		again := mei.Press(found, form, "tenants", "marlow", "find", "tenants", "tenant_query", "").Want(http.StatusOK)
		if again.Page.Find("#tenants-marlow[checked]").Length() != 1 || again.Page.Find("#email").AttrOr("value", "") != "li@lattice.example" {
			t.Error("what was chosen is lost by a further search")
		}
		link := mei.Press(again, form).Want(http.StatusOK).Link(t, "/invitation")
		listed := mei.Get(members)
		listed.Says("#invitations", "Operator 1 tenant Marlow")
		if strings.Contains(string(listed.Body), link) {
			t.Error("the link is shown twice")
		}

		open := stranger.Get(link).Want(http.StatusOK)
		open.Says("main", "Mei Tan invited li@lattice.example as operator")
		short := stranger.Press(open, "form:has(#name)", "name", "Li Wen", "password", "canary").Want(http.StatusUnprocessableEntity)
		if got := short.Page.Find("#password"); got.AttrOr("value", "") != "" || got.AttrOr("aria-invalid", "") != "true" || short.Page.Find("#name").AttrOr("value", "") != "Li Wen" {
			t.Error("the password is shown or not told to be wrong, or the name is lost")
		}
		stranger.Press(open, "form:has(#name)", "name", "", "password", password).Want(http.StatusUnprocessableEntity)
		stranger.Press(open, "form:has(#current)", "current", password).Want(http.StatusUnauthorized).Says("[role=alert]", "Couldn't join")
		in := stranger.Press(open, "form:has(#name)", "name", "Li Wen", "password", password)
		in.Leads("/w/lattice/tenants")
		li := w.With(in.Cookie.Value)
		li.Get("/w/lattice/tenants/marlow").Want(http.StatusOK)
		li.Get(kestrel).Want(http.StatusNotFound)
		mei.Get(members).Says("#members", "Li Wen")

		used := stranger.Get(link).Want(http.StatusNotFound)
		made := stranger.Get("/invitation?link=ili_AAAAAAAAAAAAAAAAAAAAAAAAAA").Want(http.StatusNotFound)
		if used.Comparable() != made.Comparable() || stranger.Get("/invitation").Comparable() != made.Comparable() {
			t.Error("a used link is told from one that never was")
		}

		link = mei.Press(mei.Get(members+"/invitations"), form, "email", "kim@lattice.example").Link(t, "/invitation")
		mei.Press(mei.Get(members), "#invitations form").Leads(members + "?done=revoke")
		stranger.Get(link).Want(http.StatusNotFound)
	})
}

// TestJoin: a signed-in person joins another workspace with one button.
func TestJoin(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		nora, ana := w.Browser(w.Outsider), w.Browser(w.Operator)
		invite := func() string {
			return nora.Press(nora.Get("/w/northgate/members/invitations"), "main form:has(#email)", "email", w.Operator.Email()).Link(t, "/invitation")
		}
		link := invite()
		other := w.Browser(w.Viewer).Get(link).Want(http.StatusOK)
		other.Says("main", "You are signed in as "+w.Viewer.Email())
		if other.Page.Find("form[action='/account/invitations']").Length() != 0 {
			t.Error("somebody else can join by one press")
		}
		page := ana.Get(link).Want(http.StatusOK)
		in := ana.Press(page, "form[action='/account/invitations']")
		in.Leads("/w/northgate/tenants")
		w.With(in.Cookie.Value).Get("/workspaces").Says("main", "Northgate Schools IT")
		w.Browser(w.Viewer).Send(http.MethodPost, "/account/invitations", url.Values{"link": {"ili_x"}}).Want(http.StatusNotFound).Says("h1", "This link can't be used")
	})
}

// TestResetLink: a member who forgot the password gets a link from an owner.
func TestResetLink(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		id := w.Join("Pia Lund", "pia@lattice.example", password, tenancy.Operator)
		mei, stranger := w.Browser(w.Owner), w.Stranger()
		one := members + "/" + id
		link := mei.Press(mei.Get(one), "form[action='"+one+"/reset-link']").Want(http.StatusOK).Link(t, "/new-password")
		page := stranger.Get(link).Want(http.StatusOK)
		page.Says("main", "For pia@lattice.example")
		stranger.Press(page, "form", "password", "short").Want(http.StatusUnprocessableEntity).Says("[role=alert]", "needs at least 12 characters")
		to := stranger.Press(page, "form", "password", "another long password").Leads("/new-password")
		stranger.Get(to).Want(http.StatusOK).Says("h1", "Password saved")
		stranger.Get(link).Want(http.StatusNotFound)
		stranger.Press(stranger.Get("/sign-in"), "form", "email", "pia@lattice.example", "password", "another long password").Leads("/w/lattice/tenants")

		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, id)
		mei.Press(mei.Get(one), "form[action='"+one+"/reset-link']").Want(http.StatusConflict).Says(".errors", "interlock user reset")
		self := members + "/" + w.Owner.ID()
		if mei.Get(self).Page.Find("form[action$='/reset-link']").Length() != 0 {
			t.Error("an owner is offered a link for herself")
		}
	})
}

// TestAccount: people change their own name and password.
func TestAccount(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Account("Pia Lund", "pia@lattice.example")
		pia, other := w.SignedIn("pia@lattice.example"), w.SignedIn("pia@lattice.example")
		page := pia.Get("/account").Want(http.StatusOK)
		pia.Press(page, "form:has(#name)", "name", "").Want(http.StatusUnprocessableEntity)
		pia.Get(pia.Press(page, "form:has(#name)", "name", "Pia Lind").Leads("/account")).Says(".topbar", "Pia Lind")
		form := "form:has(#current_password)"
		wrong := pia.Press(page, form, "current_password", "wrong horse battery", "password", "another long password").Want(http.StatusUnprocessableEntity)
		wrong.Says("[role=alert]", "Current password is not your password")
		pia.Press(page, form, "current_password", password, "password", "another long password").Leads("/account?done=password")
		pia.Get("/account").Want(http.StatusOK)
		other.Get("/account").Want(http.StatusUnauthorized)
	})
}

// TestBeyondOnesAccess: an owner can't grant what they lack, and the form says so.
func TestBeyondOnesAccess(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	bob := w.Member("Bob", "bob@lattice.example", tenancy.Owner)
	w.Exec(`UPDATE members SET denied = '["runs.release"]' WHERE user_id = $1`, bob.ID())
	b := w.Browser(bob)
	b.Press(b.Get(members+"/invitations"), "main form:has(#email)", "email", "x@lattice.example", "role", "owner").
		Want(http.StatusForbidden).Says(".errors", "It includes “Release connections”, which you don't have")
	one := members + "/" + w.Owner.ID()
	b.Press(b.Get(one), "form[action='"+one+"/remove']").Want(http.StatusForbidden).Says(".errors", "beyond your own access")
}

// TestMembersNeedCapability (A2).
func TestMembersNeedCapability(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	ana := w.Browser(w.Operator)
	page := ana.Get(members).Want(http.StatusForbidden)
	page.Says("main", "Manage members")
	if n := ana.Get("/w/lattice/tenants").Page.Find("nav a[href='" + members + "']").Length(); n != 0 {
		t.Error("the menu leads to it")
	}
	ana.Send(http.MethodPost, members+"/"+w.Viewer.ID()+"/remove", url.Values{"sure": {"yes"}}).Want(http.StatusForbidden)
}
