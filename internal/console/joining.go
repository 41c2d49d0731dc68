package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// serveLinks serves what one-time links lead to. Their secret is in the query, which
// no log has, and in the body of the forms behind.
func (c *Console) serveLinks() {
	c.serve(Route{Method: http.MethodGet, Path: op.InvitationRoute, Object: Public}, c.invitation)
	c.serve(Route{Method: http.MethodPost, Path: op.InvitationRoute, Object: Public}, c.accept)
	c.serve(Route{Method: http.MethodPost, Path: op.AccountJoinRoute, Object: Self}, c.join)
	c.serve(Route{Method: http.MethodGet, Path: op.ResetRoute, Object: Public}, c.resetPage)
	c.serve(Route{Method: http.MethodPost, Path: op.ResetRoute, Object: Public}, c.reset)
}

func (c *Console) invitation(v *visit) error { return c.joining(v, v.r.URL.Query().Get("link"), nil) }

// joining answers with the page of an invitation; refusal is why it was not accepted,
// or nil.
func (c *Console) joining(v *visit, link string, refusal *httpx.Problem) error {
	ctx := v.r.Context()
	i, err := c.door.Invitation(ctx, link)
	if err != nil {
		return v.deadLink(err)
	}
	reader, err := c.door.Session(ctx, httpx.SessionSecret(v.r))
	if err != nil && !errors.Is(err, access.ErrUnauthenticated) {
		return err
	}
	j := view.Joining{
		Invitation: i, Link: link, Reader: reader, Now: time.Now(),
		New: view.Form{Fields: view.NewAccountFields()}, Known: view.Form{Fields: view.KnownAccountFields()},
	}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
		if v.r.PostForm.Has("new") {
			j.New.Values, j.New.Refusal = v.r.PostForm, refusal
		} else {
			j.Known.Refusal = refusal
		}
	}
	return v.write(status, view.Join(j))
}

// deadLink answers for a link that can't be used.
func (v *visit) deadLink(err error) error {
	if !errors.Is(err, access.ErrLink) {
		return err
	}
	p := v.problem(err)
	return v.write(p.Status, view.DeadLink(p))
}

// accept makes a member of the holder of a link, and signs them in.
func (c *Console) accept(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	f, ctx := v.r.PostForm, v.r.Context()
	s := access.Acceptance{Link: f.Get("link"), Password: f.Get("current"), Remote: httpx.Of(ctx).Remote}
	if f.Has("new") {
		s.Name, s.Password = f.Get("name"), f.Get("password")
		if s.Name == "" {
			return c.joining(v, s.Link, v.problem(badForm("name", "must not be empty")))
		}
	}
	i, err := c.door.Accept(ctx, s)
	var field *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.Is(err, access.ErrLink):
		return v.deadLink(err)
	case errors.Is(err, access.ErrUnauthenticated), errors.As(err, &field), errors.As(err, &tries):
		p := httpx.Explain(httpx.JoinError(err), httpx.Of(ctx).ID)
		for name, values := range p.GetHeaders() {
			v.w.Header()[name] = values
		}
		return c.joining(v, s.Link, p)
	case err != nil:
		return err
	}
	return c.signInWith(v, access.Credentials{
		Email: i.Email, Password: s.Password, Workspace: i.Workspace().Slug, Remote: s.Remote, Device: device(v.r.Header),
	}, op.TenantsPath(i.Workspace().Slug))
}

// join makes the reader a member of one workspace more, and takes them there.
func (c *Console) join(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	i, err := c.door.Join(v.r.Context(), v.actor, v.r.PostForm.Get("link"))
	if err != nil {
		return v.deadLink(err)
	}
	secret, err := c.door.Switch(v.r.Context(), v.actor, i.Workspace().Slug)
	if err != nil {
		return err
	}
	httpx.SetSession(v.w, secret)
	return v.goTo(op.TenantsPath(i.Workspace().Slug))
}

func (c *Console) resetPage(v *visit) error {
	if v.r.URL.Query().Has(done) {
		return v.write(http.StatusOK, view.PasswordSaved())
	}
	return c.newPassword(v, v.r.URL.Query().Get("link"), nil)
}

func (c *Console) newPassword(v *visit, link string, refusal *httpx.Problem) error {
	email, err := c.door.OpenReset(v.r.Context(), link)
	if err != nil {
		return v.deadLink(err)
	}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
	}
	return v.write(status, view.NewPassword(email, link, view.Form{Fields: view.ResetFields(), Refusal: refusal}))
}

// reset sets a password by a link. Who has done so signs in with it.
func (c *Console) reset(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	link, ctx := v.r.PostForm.Get("link"), v.r.Context()
	_, err := c.door.Reset(ctx, link, v.r.PostForm.Get("password"), httpx.Of(ctx).Remote)
	var field *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.Is(err, access.ErrLink):
		return v.deadLink(err)
	case errors.As(err, &field), errors.As(err, &tries):
		return c.newPassword(v, link, v.problem(err))
	case err != nil:
		return err
	}
	return v.changed(op.ResetRoute, "password")
}
