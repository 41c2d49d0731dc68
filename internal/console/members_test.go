package console

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const members = "/w/lattice/members"

// TestMembers walks through what an owner does with a member.
func TestMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		w.ready("marlow", nil)
		mei, ana := w.browser(w.Owner), w.browser(w.Operator)
		page := mei.get(members).want(http.StatusOK)
		page.says("#members", "Mei Tan")
		mei.press(page, "main form:has(#email)", "name", "New Person", "email", "new@lattice.example", "password", "correct horse battery",
			"role", "viewer", "all_tenants", "false", "tenants", "kestrel").leads(members + "?done=add")
		mei.get(members).says("#members", "Viewer 1 tenant Kestrel")
		if _, _, err := access.SignIn(t.Context(), w.DB, access.Limits{}, access.Credentials{Email: "new@lattice.example", Password: "correct horse battery"}); err != nil {
			t.Error(err)
		}
		short := mei.press(page, "main form:has(#email)", "name", "Another", "email", "another@lattice.example", "password", "canary").want(http.StatusUnprocessableEntity)
		if got := short.page.Find("#password"); got.AttrOr("value", "") != "" || got.AttrOr("aria-invalid", "") != "true" {
			t.Error("the password is shown, or not told to be wrong")
		}
		if got := short.page.Find("#email").AttrOr("value", ""); got != "another@lattice.example" {
			t.Errorf("the form shows %q", got)
		}

		// What is taken away is gone at the next request.
		one := members + "/" + w.Operator.ID()
		ana.get("/w/lattice/tenants/marlow").want(http.StatusOK)
		mei.press(mei.get(one), "main form[action='"+one+"']", "all_tenants", "false", "tenants", "kestrel", "denied", string(tenancy.SyncInventory)).leads(members)
		ana.get("/w/lattice/tenants/marlow").want(http.StatusNotFound)
		ana.get(kestrel).says(".acts", "Needs “Sync inventory”")
		kept := mei.get(one)
		if kept.page.Find("#tenants-kestrel[checked]").Length() != 1 || kept.page.Find("#tenants-marlow[checked]").Length() != 0 {
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
