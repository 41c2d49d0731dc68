package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveMembers() {
	members := func(path string) Route { return Route{Path: path, Object: Workspace, Needs: tenancy.ManageMembers} }
	c.editor(members(op.MembersRoute), c.members, c.addMember)
	c.editor(members(op.MemberRoute), c.member, c.changeMember)
	for _, p := range []struct {
		change op.MemberChange
		takes  bool // something away
		do     func(context.Context, access.Actor, string) error
	}{
		{op.EnableMember, false, c.store.EnableUser},
		{op.DisableMember, true, c.store.DisableUser},
		{op.RemoveMember, true, c.store.RemoveMember},
	} {
		r := members(p.change.Route())
		r.Method = http.MethodPost
		handle := func(v *visit) error {
			if err := p.do(v.r.Context(), v.actor, v.r.PathValue("member")); err != nil {
				return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.memberPage(v, refusal) })
			}
			return v.changed(op.MembersPath(v.workspace()), string(p.change))
		}
		if p.takes {
			handle = meant(handle)
		}
		c.serve(r, handle)
	}
}

// membersDone tells of the change that led to the list.
var membersDone = map[string]string{
	"add":                    "The member was added.",
	"change":                 "The member was changed.",
	string(op.EnableMember):  "The account was opened.",
	string(op.DisableMember): "The account was closed.",
	string(op.RemoveMember):  "The member was removed.",
}

func (c *Console) members(v *visit) (page, error) {
	return c.memberList(v, view.Form{Values: url.Values{"role": {string(tenancy.Operator)}, "all_tenants": {"true"}}})
}

func (c *Console) memberList(v *visit, form view.Form) (page, error) {
	frame, err := v.frame("Members", view.Members)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	frame.Lead = "Who works in " + v.actor.WorkspaceName() + ", and what they see and may do."
	l := view.MemberList{Workspace: v.workspace(), Reader: v.actor.ID(), New: form, Done: membersDone[v.r.URL.Query().Get(done)]}
	if l.Members, err = c.store.Members(v.r.Context(), v.actor); err != nil {
		return page{}, err
	}
	tenants, err := v.tenantOptions()
	if err != nil {
		return page{}, err
	}
	l.New.Action, l.New.Fields = op.MembersPath(v.workspace()), append(view.AccountFields(), view.MembershipFields(tenants)...)
	return page{frame: frame, body: view.MembersPage(l)}, nil
}

// membershipOf reads what a form says that a member sees and may do.
func membershipOf(f url.Values) store.Membership {
	m := store.Membership{Role: tenancy.Role(f.Get("role")), AllTenants: f.Get("all_tenants") != "false"}
	if !m.AllTenants {
		m.Tenants = f["tenants"]
	}
	for _, name := range f["denied"] {
		m.Denied = append(m.Denied, tenancy.Capability(name))
	}
	return m
}

func (c *Console) addMember(v *visit) error {
	f := v.r.PostForm
	_, err := c.store.AddMember(v.r.Context(), v.actor, access.NewUser{Email: f.Get("email"), Name: f.Get("name"), Password: f.Get("password")}, membershipOf(f))
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) {
			return c.memberList(v, view.Form{Values: f, Refusal: refusal})
		})
	}
	return v.changed(op.MembersPath(v.workspace()), "add")
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
	frame.Crumbs = append(v.crumbs()[:1], view.Link{Text: "Members", Href: op.MembersPath(v.workspace())})
	frame.Lead = m.Email
	tenants, err := v.tenantOptions()
	if err != nil {
		return page{}, err
	}
	form := view.Form{
		Action: op.MemberPath(v.workspace(), m.ID), Fields: view.MembershipFields(tenants), Refusal: refusal, Values: v.r.PostForm,
	}
	if !form.Values.Has("role") { // nothing was typed
		form.Values = url.Values{"role": {string(m.Role)}, "all_tenants": {strconv.FormatBool(m.AllTenants)}}
		for _, t := range m.Tenants {
			form.Values.Add("tenants", t.Slug)
		}
		for _, capability := range m.Denied {
			form.Values.Add("denied", string(capability))
		}
	}
	return page{frame: frame, body: view.MemberPage(v.workspace(), m, form)}, nil
}

func (c *Console) changeMember(v *visit) error {
	if _, err := c.store.ChangeMember(v.r.Context(), v.actor, v.r.PathValue("member"), membershipOf(v.r.PostForm)); err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.memberPage(v, refusal) })
	}
	return v.changed(op.MembersPath(v.workspace()), "change")
}
