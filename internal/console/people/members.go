package people

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func serveMembers(s *web.Site) {
	members := func(path string) web.Route {
		return web.Route{Path: path, Object: web.Workspace, Needs: tenancy.ManageMembers}
	}
	s.Page(members(op.MembersRoute), showMembers)
	s.Editor(members(op.InvitationsRoute), showInvite, invite)
	s.Editor(members(op.MemberRoute), showMember, changeMember)
	post := func(path string, handle func(*web.Visit) error) {
		r := members(path)
		r.Method = http.MethodPost
		s.Handle(r, handle)
	}
	post(op.InvitationRevokeRoute, web.Meant(revokeInvitation))
	post(op.ResetMember.Route(), resetLink)
	for _, p := range []struct {
		change op.MemberChange
		takes  bool // it is destructive
		do     func(context.Context, access.Actor, string) error
	}{
		{op.EnableMember, false, s.Store.EnableUser},
		{op.DisableMember, true, s.Store.DisableUser},
		{op.RemoveMember, true, s.Store.RemoveMember},
		{op.ResetFactors, true, s.Door.ResetFactors},
	} {
		handle := func(v *web.Visit) error {
			if err := p.do(v.R.Context(), v.Actor, v.R.PathValue("member")); err != nil {
				return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return memberPage(v, refusal) })
			}
			return v.Saved(op.MembersPath(v.Workspace()), string(p.change))
		}
		if p.takes {
			handle = web.Meant(handle)
		}
		post(p.change.Route(), handle)
	}
}

// membersDone confirms the change that led to the list.
var membersDone = map[string]string{
	"change":                 "Access changed.",
	"revoke":                 "Invitation revoked.",
	string(op.EnableMember):  "Account opened.",
	string(op.DisableMember): "Account closed.",
	string(op.RemoveMember):  "Member removed.",
	string(op.ResetFactors):  "The member's second factors were removed.",
}

func showMembers(v *web.Visit) (web.Page, error) { return membersPage(v, nil) }

func membersPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, err := v.Frame("Members", ui.Members)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()[:1]
	frame.Lead = "Who works in " + v.Actor.WorkspaceName() + ", and what they can see and do."
	frame.Actions = inviteButton(v.Workspace())
	l := memberList{
		Workspace: v.Workspace(), Reader: v.Actor.ID(), Refusal: refusal, Done: membersDone[v.Done()], Now: frame.Now,
	}
	if l.Members, err = v.Store.Members(v.R.Context(), v.Actor); err != nil {
		return web.Page{}, err
	}
	if l.Invitations, err = v.Door.Invitations(v.R.Context(), v.Actor); err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: membersBody(l)}, nil
}

func membersLink(v *web.Visit) ui.Link {
	return ui.Link{Text: "Members", Href: op.MembersPath(v.Workspace())}
}

func showMember(v *web.Visit) (web.Page, error) { return memberPage(v, nil) }

// memberPage is the page of one member. refusal is why a change was refused, or nil.
func memberPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	m, err := v.Store.Member(v.R.Context(), v.Actor, v.R.PathValue("member"))
	if err != nil {
		return web.Page{}, err
	}
	frame, err := v.Frame(m.Name, ui.Members)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = append(v.Crumbs()[:1], membersLink(v))
	frame.Lead = m.Email
	held := access.Membership{Role: m.Role, Denied: m.Denied, AllTenants: m.AllTenants}
	for _, t := range m.Tenants {
		held.Tenants = append(held.Tenants, t.Slug)
	}
	g := granting{
		Form: ui.Form{Action: op.MemberPath(v.Workspace(), m.ID), Fields: membershipFields(), Refusal: refusal, Values: v.R.PostForm},
		Was:  marks(held),
	}
	if g.Values.Has("was_role") { // the input, compared with what was shown then
		g.Was = membershipMarks{Role: g.Values.Get("was_role"), Tenants: g.Values.Get("was_tenants"), Denied: g.Values.Get("was_denied")}
	} else {
		g.Values = url.Values{"role": {string(m.Role)}, "all_tenants": {strconv.FormatBool(m.AllTenants)}, "tenants": held.Tenants}
		for _, capability := range m.Denied {
			g.Values.Add("denied", string(capability))
		}
	}
	if err := pick(v, &g); err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: memberBody(v.Workspace(), m, g, m.ID == v.Actor.ID())}, nil
}

func changeMember(v *web.Visit) error {
	f := v.R.PostForm
	again := func(refusal *httpx.Problem) (web.Page, error) { return memberPage(v, refusal) }
	if searching(f) {
		return showFound(v, again)
	}
	m, err := membershipOf(f)
	if err == nil {
		_, err = v.Store.ChangeMember(v.R.Context(), v.Actor, v.R.PathValue("member"), changeOf(f, m))
	}
	if err != nil {
		return v.Unsaved(err, again)
	}
	return v.Saved(op.MembersPath(v.Workspace()), "change")
}

func resetLink(v *web.Visit) error {
	member := v.R.PathValue("member")
	secret, expires, err := v.Door.ResetLink(v.R.Context(), v.Actor, member)
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return memberPage(v, refusal) })
	}
	m, err := v.Store.Member(v.R.Context(), v.Actor, member)
	if err != nil {
		return err
	}
	return showLink(v, oneTimeLink{
		Heading: "Password reset link created",
		Lead:    "Send this link to " + m.Name + ", and make sure only they get it: anyone who has it can set their password.",
		Link:    op.ResetPath(secret), Expires: expires,
	})
}

// memberList is the page of a workspace's members and open invitations.
type memberList struct {
	Workspace   string // slug
	Reader      string // id of the reader
	Members     []store.Member
	Invitations []access.Invitation
	Refusal     *httpx.Problem // why an invitation was not revoked, or nil
	Done        string         // confirms a change; empty: none
	Now         time.Time
}
