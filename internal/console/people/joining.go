package people

import (
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// serveLinks adds the pages of one-time links. The secret is in the query, which is never
// logged, and in the bodies of the forms.
func serveLinks(s *web.Site, e *entrance) {
	s.Handle(web.Route{Method: http.MethodGet, Path: op.InvitationRoute, Object: web.Public}, showInvitation)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.InvitationRoute, Object: web.Public}, e.accept)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.AccountJoinRoute, Object: web.Self}, join)
	s.Handle(web.Route{Method: http.MethodGet, Path: op.ResetRoute, Object: web.Public}, resetPage)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.ResetRoute, Object: web.Public}, reset)
}

func showInvitation(v *web.Visit) error { return joinPage(v, v.R.URL.Query().Get("link"), nil) }

// joinPage shows an invitation. refusal is why it was not accepted, or nil.
func joinPage(v *web.Visit, link string, refusal *httpx.Problem) error {
	ctx := v.R.Context()
	i, err := v.Door.Invitation(ctx, link)
	if err != nil {
		return deadLink(v, err)
	}
	reader, err := v.Door.Session(ctx, httpx.SessionSecret(v.R))
	if err != nil && !errors.Is(err, access.ErrUnauthenticated) {
		return err
	}
	j := joining{
		Invitation: i, Link: link, Reader: reader, Now: time.Now(),
		New: ui.Form{Fields: newAccountFields()}, Known: ui.Form{Fields: knownAccountFields()},
	}
	if refusal != nil {
		if v.R.PostForm.Has("new") {
			j.New.Values, j.New.Refusal = v.R.PostForm, refusal
		} else {
			j.Known.Refusal = refusal
		}
	}
	return v.WriteProblem(refusal, joinBody(j))
}

// deadLink answers for a link that is invalid, used or expired.
func deadLink(v *web.Visit, err error) error {
	if !errors.Is(err, access.ErrLink) {
		return err
	}
	p := v.Problem(err)
	return v.WriteProblem(p, deadLinkBody(p))
}

// accept makes the holder of a link a member, and signs them in.
func (e *entrance) accept(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	f, ctx := v.R.PostForm, v.R.Context()
	s := access.Acceptance{Link: f.Get("link"), Password: f.Get("current"), Remote: httpx.Of(ctx).Remote}
	if f.Has("new") {
		s.Name, s.Password = f.Get("name"), f.Get("password")
		if s.Name == "" {
			return joinPage(v, s.Link, v.Problem(web.BadForm("name", "must not be empty")))
		}
	}
	i, err := v.Door.Accept(ctx, s)
	var field *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.Is(err, access.ErrLink):
		return deadLink(v, err)
	case errors.Is(err, access.ErrUnauthenticated), errors.As(err, &field), errors.As(err, &tries):
		return joinPage(v, s.Link, httpx.Explain(httpx.JoinError(err), httpx.Of(ctx).ID))
	case err != nil:
		return err
	}
	return e.signInWith(v, access.Credentials{
		Email: i.Email, Password: s.Password, Workspace: i.Workspace().Slug, Remote: s.Remote, Device: device(v.R.Header),
	}, op.TenantsPath(i.Workspace().Slug))
}

// join makes the reader a member of another workspace, and switches to it.
func join(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	i, err := v.Door.Join(v.R.Context(), v.Actor, v.R.PostForm.Get("link"))
	if err != nil {
		return deadLink(v, err)
	}
	secret, err := v.Door.Switch(v.R.Context(), v.Actor, i.Workspace().Slug)
	if err != nil {
		return err
	}
	httpx.SetSession(v.W, secret)
	return v.GoTo(op.TenantsPath(i.Workspace().Slug))
}

// joining is the page of an invitation.
type joining struct {
	Invitation access.Invitation
	Link       string       // secret of the link, which the forms send
	Reader     access.Actor // zero: nobody is signed in
	New, Known ui.Form      // for a person without and with an account
	Now        time.Time
}

// newAccountFields are the fields for a person without an account.
func newAccountFields() []ui.Field {
	return []ui.Field{
		{Name: "name", Label: "Your name", Hint: "As others see it.", Max: 120, Fill: "name"},
		passwordField("password"),
	}
}

// knownAccountFields are the fields for a person with an account.
func knownAccountFields() []ui.Field {
	return []ui.Field{{Name: "current", Label: "Your password", Kind: "password", Max: 512, Fill: "current-password"}}
}
