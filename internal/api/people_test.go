package api

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// linkOf is the secret of a one-time link, as its page takes it from the address.
func linkOf(t *testing.T, l Link) string {
	t.Helper()
	u, err := url.Parse(l.Href)
	if err != nil || u.Path != op.InvitationRoute && u.Path != op.ResetRoute || u.Query().Get("link") == "" {
		t.Fatalf("the link is %q, %v", l.Href, err)
	}
	return u.Query().Get("link")
}

// TestTokensChangeNoMembers: neither a token nor a narrowed one gives anybody
// anything, whatever its person may do.
func TestTokensChangeNoMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		records := w.Int(`SELECT COUNT(*) FROM audit_log`)
		one := "/members/" + w.Viewer.ID()
		for _, only := range [][]tenancy.Capability{nil, {tenancy.ManageMembers}} {
			token := w.Token(w.Workspace, w.Owner.ID(), only)
			if only == nil { // not one that SignIn makes a session of
				w.Exec(`UPDATE tokens SET kind = 'token' WHERE id = (SELECT MAX(id) FROM tokens)`)
			}
			for _, c := range []struct{ method, path, body string }{
				{"POST", "/invitations", `{"email":"x@y.example","role":"owner"}`},
				{"DELETE", "/invitations/" + access.NewID(), ``},
				{"PATCH", one, `{"role":"owner"}`},
				{"DELETE", one, ``},
				{"POST", one + "/disable", ``},
				{"POST", one + "/enable", ``},
				{"POST", one + "/reset-link", ``},
				{"POST", "/me/password", `{"current_password":"x","password":"correct horse battery"}`},
				{"POST", "/me/invitations", `{"link":"x"}`},
				{"PATCH", "/me", `{"name":"Somebody"}`},
			} {
				w.ask(token, c.method, c.path, c.body).problem(http.StatusForbidden, "session_required")
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM audit_log`) - records; n != 0 {
			t.Errorf("%d things were changed", n)
		}
	})
}

// TestJoinAnotherWorkspace: somebody who has an account becomes a member of one
// workspace more, signed in or by their password, and nobody else does by their link.
func TestJoinAnotherWorkspace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		invite := func(email string) string {
			t.Helper()
			var invited NewInvitation
			w.post(w.Outsider, "/invitations", map[string]any{"email": email, "role": "viewer"}).want(http.StatusCreated, &invited)
			return linkOf(t, invited.Link)
		}
		link := invite(w.Operator.Email())
		w.post(w.Viewer, "/me/invitations", map[string]string{"link": link}).problem(http.StatusNotFound, "link_unusable")
		w.post(w.Operator, "/me/invitations", map[string]string{"link": link}).want(http.StatusOK)
		w.post(w.Operator, "/me/invitations", map[string]string{"link": link}).problem(http.StatusNotFound, "link_unusable")
		var places Page[Place]
		w.get(w.Operator, "/me/workspaces").want(http.StatusOK, &places)
		if len(places.Items) != 2 || places.Items[1].Slug != "northgate" || places.Items[1].Role != tenancy.Viewer || places.Items[0].Role != tenancy.Operator {
			t.Errorf("workspaces are %+v", places.Items)
		}

		const email = "li@lattice.example"
		w.Join("Li", email, password, tenancy.Operator)
		link = invite(email)
		w.ask("", http.MethodPost, "/join", map[string]string{"link": link, "password": "wrong horse battery"}).problem(http.StatusUnauthorized, "join_refused")
		w.ask("", http.MethodPost, "/join", map[string]string{"link": link, "password": password}).want(http.StatusOK)
		var s Session
		w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": email, "password": password, "workspace": "northgate"}).want(http.StatusOK, &s)
		if s.Person.Workspace.Slug != "northgate" || s.Person.Name != "Li" {
			t.Errorf("signed in as %+v", s.Person)
		}
	})
}

// TestOwnAccount: name and password are changed by their person.
func TestOwnAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const email, other = "li@lattice.example", "another long password"
		id := w.Join("Li", email, password, tenancy.Operator)
		in := func(password string) (s Session) {
			w.ask("", http.MethodPost, "/sign-in", map[string]string{"email": email, "password": password}).want(http.StatusOK, &s)
			return s
		}
		first, second := in(password), in(password)
		var me Me
		w.ask(first.Token, http.MethodPatch, "/me", map[string]string{"name": "Li Wen"}).want(http.StatusOK, &me)
		if me.Name != "Li Wen" {
			t.Errorf("is called %q", me.Name)
		}
		change := func(token, current, to string) answer {
			return w.ask(token, http.MethodPost, "/me/password", map[string]string{"current_password": current, "password": to})
		}
		for field, c := range map[string][2]string{"current_password": {"wrong horse battery", other}, "password": {password, password}} {
			if p := change(first.Token, c[0], c[1]).problem(http.StatusUnprocessableEntity, "field"); p.Errors[0].Field != field {
				t.Errorf("told about %+v, want %s", p.Errors, field)
			}
		}
		change(first.Token, password, other).want(http.StatusNoContent)
		w.ask(first.Token, http.MethodGet, "/me", nil).want(http.StatusOK)
		w.ask(second.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
		in(other)

		// Forgotten: an owner makes a link, by which the person chooses a new one.
		var made Link
		w.post(w.Owner, "/members/"+id+"/reset-link", nil).want(http.StatusCreated, &made)
		reset := func() answer {
			return w.ask("", http.MethodPost, "/password-reset", map[string]string{"link": linkOf(t, made), "password": "a third long password"})
		}
		reset().want(http.StatusNoContent)
		w.ask(first.Token, http.MethodGet, "/me", nil).problem(http.StatusUnauthorized, "signed_out")
		in("a third long password")
		reset().problem(http.StatusNotFound, "link_unusable")
		w.post(w.Owner, "/members/"+w.Owner.ID()+"/reset-link", nil).problem(http.StatusConflict, "conflict")
		w.post(w.Owner, "/members/"+w.Outsider.ID()+"/reset-link", nil).problem(http.StatusNotFound, "not_found")
	})
}

// TestAddressesStayUnknown: bodies, headers and statements of a sign-in, an invitation,
// and an invitation that is accepted with a wrong password are the same, whether the
// address has an account or not.
func TestAddressesStayUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := newMatrix(t, w)
		w.Join("Li", "known@lattice.example", password, tenancy.Operator)
		// What differs between any two answers says nothing about the address.
		own := regexp.MustCompile(`(known|other)@lattice\.example|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|ili_[A-Z2-7]+|[0-9-]+T[0-9:.]+Z|"request_id":"[A-Z2-7]+"`)
		post := func(secret, path string, body map[string]string) recorded {
			r := m.recorded(func() answer { return m.ask(secret, http.MethodPost, path, body) })
			r.body = own.ReplaceAll(r.body, []byte("X"))
			r.header.Del("Content-Length")
			return r
		}
		invite := func(email string) recorded {
			return post(w.Bearer(w.Outsider), "/invitations", map[string]string{"email": email, "role": "viewer"})
		}
		join := func(email string) recorded {
			var invited NewInvitation
			w.post(w.Outsider, "/invitations", map[string]string{"email": email, "role": "viewer"}).want(http.StatusCreated, &invited)
			return post("", "/join", map[string]string{"link": linkOf(t, invited.Link), "password": "wrong horse battery"})
		}
		signIn := func(email string) recorded {
			return post("", "/sign-in", map[string]string{"email": email, "password": "wrong horse battery"})
		}
		for what, c := range map[string]struct {
			ask  func(email string) recorded
			want int
		}{"invite": {invite, http.StatusCreated}, "join": {join, http.StatusUnauthorized}, "sign in": {signIn, http.StatusUnauthorized}} {
			known, other := c.ask("known@lattice.example"), c.ask("other@lattice.example")
			if d := known.differs(other); d != "" || known.status != c.want || len(known.statements) == 0 {
				t.Errorf("%s: %d, %d statements: %s", what, known.status, len(known.statements), d)
			}
		}
	})
}
