package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/tenancy"
)

const members = "/w/lattice/members"

// link is the one-time link that a page shows, as a path here.
func (a answer) link(t *testing.T, path string) string {
	t.Helper()
	href := a.page.Find("#link").AttrOr("value", "")
	u, err := url.Parse(href)
	if err != nil || u.Host == "" || u.Path != path || u.Query().Get("link") == "" {
		t.Fatalf("the page shows the link %q: %s", href, a.body)
	}
	return u.RequestURI()
}

// TestMembers walks through what an owner does with a member.
func TestMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", nil)
		mei, ana := w.browser(w.Owner), w.browser(w.Operator)
		mei.get(members).want(http.StatusOK).says("#members", "Mei Tan")

		// What is taken away is gone at the next request.
		one := members + "/" + w.Operator.ID()
		ana.get("/w/lattice/tenants/marlow").want(http.StatusOK)
		page := mei.get(one)
		found := mei.press(page, "main form[action='"+one+"']", "all_tenants", "false", "tenant_query", "kes").want(http.StatusOK)
		found.says(".picker", "1 match")
		mei.press(found, "main form[action='"+one+"']", "tenants", "kestrel", "denied", "inventory.sync").leads(members)
		ana.get("/w/lattice/tenants/marlow").want(http.StatusNotFound)
		ana.get(kestrel).says(".acts", "Needs “Sync inventory”")
		kept := mei.get(one)
		if kept.page.Find("#tenants-kestrel[checked]").Length() != 1 || kept.page.Find("#tenants-marlow").Length() != 0 {
			t.Error("the form does not show what holds")
		}

		mei.press(kept, "form[action='"+one+"/disable']").leads(members)
		ana.get(kestrel).want(http.StatusUnauthorized)
		mei.press(mei.get(one), "form[action='"+one+"/enable']").leads(members)
		mei.press(mei.get(one), "form[action='"+one+"/remove']").leads(members)
		mei.get(one).want(http.StatusNotFound)

		self := members + "/" + w.Owner.ID()
		last := mei.press(mei.get(self), "form[action='"+self+"/remove']").want(http.StatusConflict)
		last.says(".errors", "the last owner who can sign in")
	})
}

// TestFormsChangeWhatWasChanged: a page that was open while somebody else changed the
// member takes nothing of that back.
func TestFormsChangeWhatWasChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		mei := w.browser(w.Owner)
		one := members + "/" + w.Operator.ID()
		form := "main form[action='" + one + "']"
		open := mei.get(one)
		mei.press(open, form, "role", "viewer").leads(members)
		wrong := mei.press(open, form, "all_tenants", "false").want(http.StatusUnprocessableEntity) // none chosen
		mei.press(mei.press(wrong, form, "tenant_query", "kestrel").want(http.StatusOK), form, "tenants", "kestrel").leads(members)
		mei.get(members).says("#members", "Viewer 1 tenant Kestrel")
		mei.press(open, form, "denied", "directory.groups.sync").leads(members)
		mei.get(members).says("#members", "Viewer Except: Sync directory groups 1 tenant Kestrel")
	})
}

// TestInvite: an owner creates a link, which is shown once; the person who opens it
// chooses name and password, and is in.
func TestInvite(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", nil)
		mei, stranger := w.browser(w.Owner), w.stranger()
		page := mei.get(mei.get(members).page.Find(".head a[href*=invitations]").AttrOr("href", "")).want(http.StatusOK)
		form := "main form:has(#email)"
		bad := mei.press(page, form, "email", "nobody", "role", "viewer").want(http.StatusUnprocessableEntity)
		if got := bad.page.Find("#email").AttrOr("aria-invalid", ""); got != "true" || bad.page.Find("#role option[selected]").AttrOr("value", "") != "viewer" {
			t.Error("the mistake is not shown, or what was chosen is lost")
		}
		none := mei.press(page, form, "email", "li@lattice.example", "all_tenants", "false", "tenant_query", "zzz").want(http.StatusOK)
		none.says(".picker", "No other tenant matches “zzz”")
		found := mei.press(none, form, "tenant_query", "marlow").want(http.StatusOK)
		again := mei.press(found, form, "tenants", "marlow", "find", "tenants", "tenant_query", "").want(http.StatusOK)
		if again.page.Find("#tenants-marlow[checked]").Length() != 1 || again.page.Find("#email").AttrOr("value", "") != "li@lattice.example" {
			t.Error("what was chosen is lost by a further search")
		}
		link := mei.press(again, form).want(http.StatusOK).link(t, "/invitation")
		listed := mei.get(members)
		listed.says("#invitations", "Operator 1 tenant Marlow")
		if strings.Contains(string(listed.body), link) {
			t.Error("the link is shown twice")
		}

		open := stranger.get(link).want(http.StatusOK)
		open.says("main", "Mei Tan invited li@lattice.example as operator")
		short := stranger.press(open, "form:has(#name)", "name", "Li Wen", "password", "canary").want(http.StatusUnprocessableEntity)
		if got := short.page.Find("#password"); got.AttrOr("value", "") != "" || got.AttrOr("aria-invalid", "") != "true" || short.page.Find("#name").AttrOr("value", "") != "Li Wen" {
			t.Error("the password is shown or not told to be wrong, or the name is lost")
		}
		stranger.press(open, "form:has(#name)", "name", "", "password", password).want(http.StatusUnprocessableEntity)
		stranger.press(open, "form:has(#current)", "current", password).want(http.StatusUnauthorized).says("[role=alert]", "Couldn't join")
		in := stranger.press(open, "form:has(#name)", "name", "Li Wen", "password", password)
		in.leads("/w/lattice/tenants")
		li := &browser{w: w, secret: in.cookie.Value}
		li.get("/w/lattice/tenants/marlow").want(http.StatusOK)
		li.get(kestrel).want(http.StatusNotFound)
		mei.get(members).says("#members", "Li Wen")

		used := stranger.get(link).want(http.StatusNotFound)
		made := stranger.get("/invitation?link=ili_AAAAAAAAAAAAAAAAAAAAAAAAAA").want(http.StatusNotFound)
		if used.comparable() != made.comparable() || stranger.get("/invitation").comparable() != made.comparable() {
			t.Error("a used link is told from one that never was")
		}

		link = mei.press(mei.get(members+"/invitations"), form, "email", "kim@lattice.example").link(t, "/invitation")
		mei.press(mei.get(members), "#invitations form").leads(members + "?done=revoke")
		stranger.get(link).want(http.StatusNotFound)
	})
}

// TestJoin: somebody who is signed in becomes a member of one workspace more by a
// press, and is taken there.
func TestJoin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		nora, ana := w.browser(w.Outsider), w.browser(w.Operator)
		invite := func() string {
			return nora.press(nora.get("/w/northgate/members/invitations"), "main form:has(#email)", "email", w.Operator.Email()).link(t, "/invitation")
		}
		link := invite()
		other := w.browser(w.Viewer).get(link).want(http.StatusOK)
		other.says("main", "You are signed in as "+w.Viewer.Email())
		if other.page.Find("form[action='/account/invitations']").Length() != 0 {
			t.Error("somebody else can join by one press")
		}
		page := ana.get(link).want(http.StatusOK)
		in := ana.press(page, "form[action='/account/invitations']")
		in.leads("/w/northgate/tenants")
		(&browser{w: w, secret: in.cookie.Value}).get("/workspaces").says("main", "Northgate Schools IT")
		w.browser(w.Viewer).send(http.MethodPost, "/account/invitations", url.Values{"link": {"ili_x"}}).want(http.StatusNotFound).says("h1", "This link can't be used")
	})
}

// TestResetLink: a member who forgot the password gets a link from an owner.
func TestResetLink(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		id := w.Join("Pia Lund", "pia@lattice.example", password, tenancy.Operator)
		mei, stranger := w.browser(w.Owner), w.stranger()
		one := members + "/" + id
		link := mei.press(mei.get(one), "form[action='"+one+"/reset-link']").want(http.StatusOK).link(t, "/new-password")
		page := stranger.get(link).want(http.StatusOK)
		page.says("main", "For pia@lattice.example")
		stranger.press(page, "form", "password", "short").want(http.StatusUnprocessableEntity).says("[role=alert]", "needs at least 12 characters")
		to := stranger.press(page, "form", "password", "another long password").leads("/new-password")
		stranger.get(to).want(http.StatusOK).says("h1", "Password saved")
		stranger.get(link).want(http.StatusNotFound)
		stranger.press(stranger.get("/sign-in"), "form", "email", "pia@lattice.example", "password", "another long password").leads("/w/lattice/tenants")

		w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, id)
		mei.press(mei.get(one), "form[action='"+one+"/reset-link']").want(http.StatusConflict).says(".errors", "interlock user reset")
		self := members + "/" + w.Owner.ID()
		if mei.get(self).page.Find("form[action$='/reset-link']").Length() != 0 {
			t.Error("an owner is offered a link for herself")
		}
	})
}

// TestAccount: people change their own name and password.
func TestAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.account("Pia Lund", "pia@lattice.example")
		pia, other := w.signedIn("pia@lattice.example"), w.signedIn("pia@lattice.example")
		page := pia.get("/account").want(http.StatusOK)
		pia.press(page, "form:has(#name)", "name", "").want(http.StatusUnprocessableEntity)
		pia.get(pia.press(page, "form:has(#name)", "name", "Pia Lind").leads("/account")).says(".topbar", "Pia Lind")
		form := "form:has(#current_password)"
		wrong := pia.press(page, form, "current_password", "wrong horse battery", "password", "another long password").want(http.StatusUnprocessableEntity)
		wrong.says("[role=alert]", "Current password is not your password")
		pia.press(page, form, "current_password", password, "password", "another long password").leads("/account?done=password")
		pia.get("/account").want(http.StatusOK)
		other.get("/account").want(http.StatusUnauthorized)
	})
}

// TestBeyondOnesAccess: an owner who lacks something is told so where they asked.
func TestBeyondOnesAccess(t *testing.T) {
	w := onOne(t, Deps{})
	bob := w.Member("Bob", "bob@lattice.example", tenancy.Owner)
	w.Exec(`UPDATE members SET denied = '["runs.release"]' WHERE user_id = $1`, bob.ID())
	b := w.browser(bob)
	b.press(b.get(members+"/invitations"), "main form:has(#email)", "email", "x@lattice.example", "role", "owner").
		want(http.StatusForbidden).says(".errors", "It includes “Release connections”, which you don't have")
	one := members + "/" + w.Owner.ID()
	b.press(b.get(one), "form[action='"+one+"/remove']").want(http.StatusForbidden).says(".errors", "beyond your own access")
}

// TestMembersNeedCapability (A2).
func TestMembersNeedCapability(t *testing.T) {
	w := onOne(t, Deps{})
	ana := w.browser(w.Operator)
	page := ana.get(members).want(http.StatusForbidden)
	page.says("main", "Manage members")
	if n := ana.get("/w/lattice/tenants").page.Find("nav a[href='" + members + "']").Length(); n != 0 {
		t.Error("the menu leads to it")
	}
	ana.send(http.MethodPost, members+"/"+w.Viewer.ID()+"/remove", url.Values{"sure": {"yes"}}).want(http.StatusForbidden)
}
