package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveMembers() {
	members := func(path string) Route { return Route{Path: path, Object: Workspace, Needs: tenancy.ManageMembers} }
	c.page(members(op.MembersRoute), c.members)
	c.editor(members(op.InvitationsRoute), c.invitePage, c.invite)
	c.editor(members(op.MemberRoute), c.member, c.changeMember)
	post := func(path string, handle func(*visit) error) {
		r := members(path)
		r.Method = http.MethodPost
		c.serve(r, handle)
	}
	post(op.InvitationRevokeRoute, meant(c.revokeInvitation))
	post(op.ResetMember.Route(), c.resetLink)
	for _, p := range []struct {
		change op.MemberChange
		takes  bool // something away
		do     func(context.Context, access.Actor, string) error
	}{
		{op.EnableMember, false, c.store.EnableUser},
		{op.DisableMember, true, c.store.DisableUser},
		{op.RemoveMember, true, c.store.RemoveMember},
		{op.ResetFactors, true, c.door.ResetFactors},
	} {
		handle := func(v *visit) error {
			if err := p.do(v.r.Context(), v.actor, v.r.PathValue("member")); err != nil {
				return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.memberPage(v, refusal) })
			}
			return v.changed(op.MembersPath(v.workspace()), string(p.change))
		}
		if p.takes {
			handle = meant(handle)
		}
		post(p.change.Route(), handle)
	}
}

// membersDone tells of the change that led to the list.
var membersDone = map[string]string{
	"change":                 "Access was changed.",
	"revoke":                 "The invitation was revoked.",
	string(op.EnableMember):  "The account was opened.",
	string(op.DisableMember): "The account was closed.",
	string(op.RemoveMember):  "The member was removed.",
	string(op.ResetFactors):  "The member's second factors were removed.",
}

func (c *Console) members(v *visit) (page, error) { return c.memberList(v, nil) }

func (c *Console) memberList(v *visit, refusal *httpx.Problem) (page, error) {
	frame, err := v.frame("Members", view.Members)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	frame.Lead = "Who works in " + v.actor.WorkspaceName() + ", and what they can see and do."
	frame.Actions = view.InviteSomeone(v.workspace())
	l := view.MemberList{
		Workspace: v.workspace(), Reader: v.actor.ID(), Refusal: refusal, Done: membersDone[v.r.URL.Query().Get(done)], Now: frame.Now,
	}
	if l.Members, err = c.store.Members(v.r.Context(), v.actor); err != nil {
		return page{}, err
	}
	if l.Invitations, err = c.door.Invitations(v.r.Context(), v.actor); err != nil {
		return page{}, err
	}
	return page{frame: frame, body: view.MembersPage(l)}, nil
}

// membershipOf reads what a form says that a member sees and may do.
func membershipOf(f url.Values) (access.Membership, error) {
	m := access.Membership{Role: tenancy.Role(f.Get("role")), AllTenants: f.Get("all_tenants") != "false"}
	if !m.AllTenants {
		if m.Tenants = f["tenants"]; len(m.Tenants) == 0 {
			return m, badForm("tenants", "must be at least one")
		}
	}
	for _, name := range f["denied"] {
		m.Denied = append(m.Denied, tenancy.Capability(name))
	}
	return m, nil
}

// marks stand for a membership in a form, so that what was changed in it can be told
// from what it only repeats: that, somebody else may have changed meanwhile.
func marks(m access.Membership) view.MembershipMarks {
	var denied []string
	for _, c := range m.Denied {
		denied = append(denied, string(c))
	}
	return view.MembershipMarks{Role: string(m.Role), Tenants: strconv.FormatBool(m.AllTenants) + digest(m.Tenants), Denied: digest(denied)}
}

func digest(list []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(list)), "\n")))
	return hex.EncodeToString(sum[:])
}

// changeOf is what a form changes of what its page showed.
func changeOf(f url.Values, m access.Membership) (change store.MemberChange) {
	now := marks(m)
	if now.Role != f.Get("was_role") {
		change.Role = &m.Role
	}
	if now.Denied != f.Get("was_denied") {
		change.Denied = &m.Denied
	}
	if now.Tenants != f.Get("was_tenants") {
		change.AllTenants, change.Tenants = &m.AllTenants, &m.Tenants
	}
	return change
}

// searching reports whether a form was sent to find tenants: by its button, or with a
// search that was typed and not looked at yet.
func searching(f url.Values) bool {
	query := strings.TrimSpace(f.Get("tenant_query"))
	return f.Has("find") || query != "" && query != f.Get("tenant_found")
}

// foundTenants is how many tenants a search shows.
const foundTenants = 24

// pick fills in the tenants of a form: those chosen, and those that its search finds.
func (v *visit) pick(g *view.Granting) error {
	ctx := v.r.Context()
	chosen := g.Values["tenants"]
	if len(chosen) > 0 {
		options, err := v.tenantOptions()
		if err != nil {
			return err
		}
		for _, o := range options {
			if slices.Contains(chosen, o.Value) {
				g.Tenants.Chosen = append(g.Tenants.Chosen, o)
			}
		}
	}
	g.Tenants.Query = strings.TrimSpace(g.Values.Get("tenant_query"))
	if g.Tenants.Query == "" {
		return nil
	}
	tenants, next, err := v.console.store.Tenants(ctx, v.scope, store.TenantFilter{Query: g.Tenants.Query, Limit: foundTenants})
	if err != nil {
		return err
	}
	g.Tenants.More = next != ""
	for _, t := range tenants {
		if !slices.Contains(chosen, t.Slug) {
			g.Tenants.Found = append(g.Tenants.Found, view.Option{Value: t.Slug, Text: t.Name})
		}
	}
	return nil
}

func (c *Console) invitePage(v *visit) (page, error) {
	return c.inviteForm(v, url.Values{"role": {string(tenancy.Operator)}}, nil)
}

func (c *Console) inviteForm(v *visit, values url.Values, refusal *httpx.Problem) (page, error) {
	frame, err := v.frame("Invite someone", view.Members)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = append(v.crumbs()[:1], v.membersLink())
	g := view.Granting{Form: view.Form{
		Action: op.InvitationsPath(v.workspace()), Fields: append([]view.Field{view.EmailField()}, view.MembershipFields()...),
		Values: values, Refusal: refusal,
	}}
	if err := v.pick(&g); err != nil {
		return page{}, err
	}
	return page{frame: frame, body: view.InvitePage(g)}, nil
}

func (v *visit) membersLink() view.Link {
	return view.Link{Text: "Members", Href: op.MembersPath(v.workspace())}
}

// invite answers with the page that shows the link: it is at no address.
func (c *Console) invite(v *visit) error {
	f := v.r.PostForm
	again := func(refusal *httpx.Problem) (page, error) { return c.inviteForm(v, f, refusal) }
	if searching(f) {
		return v.look(again)
	}
	m, err := membershipOf(f)
	if err != nil {
		return v.unsaved(err, again)
	}
	secret, i, err := c.door.Invite(v.r.Context(), v.actor, f.Get("email"), m)
	if err != nil {
		return v.unsaved(err, again)
	}
	return v.linkPage(view.OneTimeLink{
		Heading: "Invitation created", Lead: "Send this link to " + i.Email + ". Whoever has it can join in their place.",
		Link: op.InvitationPath(secret), Expires: i.ExpiresAt,
	})
}

// look answers a search within a form with the form and what was found.
func (v *visit) look(again func(*httpx.Problem) (page, error)) error {
	p, err := again(nil)
	if err != nil {
		return err
	}
	return v.showOnce(http.StatusOK, p)
}

func (v *visit) linkPage(l view.OneTimeLink) error {
	frame, err := v.frame(l.Heading, view.Members)
	if err != nil {
		return err
	}
	frame.Crumbs = append(v.crumbs()[:1], v.membersLink())
	l.Link, l.Now, l.Back = v.origin()+l.Link, frame.Now, view.Link{Text: "Back to members", Href: op.MembersPath(v.workspace())}
	return v.showOnce(http.StatusOK, page{frame: frame, body: view.LinkPage(l)})
}

// origin is how the reader's own browser reaches this server. It has said so, and the
// request was refused if it named another site; see [httpx.CheckOrigin].
func (v *visit) origin() string {
	scheme := "http://"
	if v.r.TLS != nil {
		scheme = "https://"
	}
	return cmp.Or(v.r.Header.Get("Origin"), scheme+v.r.Host)
}

func (c *Console) revokeInvitation(v *visit) error {
	if err := c.door.RevokeInvitation(v.r.Context(), v.actor, v.r.PathValue("invitation")); err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.memberList(v, refusal) })
	}
	return v.changed(op.MembersPath(v.workspace()), "revoke")
}

func (c *Console) resetLink(v *visit) error {
	member := v.r.PathValue("member")
	secret, expires, err := c.door.ResetLink(v.r.Context(), v.actor, member)
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.memberPage(v, refusal) })
	}
	m, err := c.store.Member(v.r.Context(), v.actor, member)
	if err != nil {
		return err
	}
	return v.linkPage(view.OneTimeLink{
		Heading: "Password reset link created",
		Lead:    "Send this link to " + m.Name + ", and make sure that only they get it: whoever has it can set their password.",
		Link:    op.ResetPath(secret), Expires: expires,
	})
}

func (c *Console) member(v *visit) (page, error) { return c.memberPage(v, nil) }

// memberPage is the page of one member; refusal is why a change that was asked for
// there was not made, or nil.
func (c *Console) memberPage(v *visit, refusal *httpx.Problem) (page, error) {
	m, err := c.store.Member(v.r.Context(), v.actor, v.r.PathValue("member"))
	if err != nil {
		return page{}, err
	}
	frame, err := v.frame(m.Name, view.Members)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = append(v.crumbs()[:1], v.membersLink())
	frame.Lead = m.Email
	held := access.Membership{Role: m.Role, Denied: m.Denied, AllTenants: m.AllTenants}
	for _, t := range m.Tenants {
		held.Tenants = append(held.Tenants, t.Slug)
	}
	g := view.Granting{
		Form: view.Form{Action: op.MemberPath(v.workspace(), m.ID), Fields: view.MembershipFields(), Refusal: refusal, Values: v.r.PostForm},
		Was:  marks(held),
	}
	if g.Values.Has("was_role") { // what was typed, over what was shown then
		g.Was = view.MembershipMarks{Role: g.Values.Get("was_role"), Tenants: g.Values.Get("was_tenants"), Denied: g.Values.Get("was_denied")}
	} else {
		g.Values = url.Values{"role": {string(m.Role)}, "all_tenants": {strconv.FormatBool(m.AllTenants)}, "tenants": held.Tenants}
		for _, capability := range m.Denied {
			g.Values.Add("denied", string(capability))
		}
	}
	if err := v.pick(&g); err != nil {
		return page{}, err
	}
	return page{frame: frame, body: view.MemberPage(v.workspace(), m, g, m.ID == v.actor.ID())}, nil
}

func (c *Console) changeMember(v *visit) error {
	f := v.r.PostForm
	again := func(refusal *httpx.Problem) (page, error) { return c.memberPage(v, refusal) }
	if searching(f) {
		return v.look(again)
	}
	m, err := membershipOf(f)
	if err == nil {
		_, err = c.store.ChangeMember(v.r.Context(), v.actor, v.r.PathValue("member"), changeOf(f, m))
	}
	if err != nil {
		return v.unsaved(err, again)
	}
	return v.changed(op.MembersPath(v.workspace()), "change")
}
