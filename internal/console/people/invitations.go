package people

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func showInvite(v *web.Visit) (web.Page, error) {
	return inviteForm(v, url.Values{"role": {string(tenancy.Operator)}}, nil)
}

func inviteForm(v *web.Visit, values url.Values, refusal *httpx.Problem) (web.Page, error) {
	frame, err := v.Frame("Invite someone", ui.Members)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = append(v.Crumbs()[:1], membersLink(v))
	g := granting{Form: ui.Form{
		Action: op.InvitationsPath(v.Workspace()), Fields: append([]ui.Field{emailField()}, membershipFields()...),
		Values: values, Refusal: refusal,
	}}
	if err := pick(v, &g); err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: inviteBody(g)}, nil
}

// invite shows the invitation link, on a page that has no address.
func invite(v *web.Visit) error {
	f := v.R.PostForm
	again := func(refusal *httpx.Problem) (web.Page, error) { return inviteForm(v, f, refusal) }
	if searching(f) {
		return showFound(v, again)
	}
	m, err := membershipOf(f)
	if err != nil {
		return v.Unsaved(err, again)
	}
	secret, i, err := v.Door.Invite(v.R.Context(), v.Actor, f.Get("email"), m)
	if err != nil {
		return v.Unsaved(err, again)
	}
	return showLink(v, oneTimeLink{
		Heading: "Invitation created", Lead: "Send this link to " + i.Email + ". Anyone who has it can join in their place.",
		Link: op.InvitationPath(secret), Expires: i.ExpiresAt,
	})
}

func showLink(v *web.Visit, l oneTimeLink) error {
	frame, err := v.Frame(l.Heading, ui.Members)
	if err != nil {
		return err
	}
	frame.Crumbs = append(v.Crumbs()[:1], membersLink(v))
	l.Link, l.Now, l.Back = origin(v)+l.Link, frame.Now, ui.Link{Text: "Back to members", Href: op.MembersPath(v.Workspace())}
	return v.ShowOnce(http.StatusOK, web.Page{Frame: frame, Body: linkBody(l)})
}

// origin returns the origin under which the reader's browser reaches this server.
// [httpx.CheckOrigin] has refused the request if it names another site.
func origin(v *web.Visit) string {
	scheme := "http://"
	if v.R.TLS != nil {
		scheme = "https://"
	}
	return cmp.Or(v.R.Header.Get("Origin"), scheme+v.R.Host)
}

func revokeInvitation(v *web.Visit) error {
	if err := v.Door.RevokeInvitation(v.R.Context(), v.Actor, v.R.PathValue("invitation")); err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return membersPage(v, refusal) })
	}
	return v.Saved(op.MembersPath(v.Workspace()), "revoke")
}

// emailField is the field for the address of the invited person.
func emailField() ui.Field {
	return ui.Field{Name: "email", Label: "Email", Kind: "email", Max: 254, Hint: "The invitation can only be used with this address."}
}

// oneTimeLink is a new link, which is shown only once.
type oneTimeLink struct {
	Heading, Lead string
	Link          string
	Expires       time.Time
	Now           time.Time
	Back          ui.Link
}
