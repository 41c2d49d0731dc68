package console

import (
	"errors"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

func (c *Console) serveSessions() {
	c.serve(Route{Method: http.MethodGet, Path: "/{$}", Object: Self}, func(v *visit) error {
		return v.goTo(op.TenantsPath(v.workspace()))
	})
	c.serve(Route{Method: http.MethodGet, Path: "/sign-in", Object: Public}, c.signInPage)
	c.serve(Route{Method: http.MethodPost, Path: "/sign-in", Object: Public}, c.signIn)
	c.serve(Route{Method: http.MethodPost, Path: "/sign-out", Object: Self}, c.signOut)
	c.serve(Route{Method: http.MethodGet, Path: op.WorkspacesRoute, Object: Self}, c.workspaces)
	c.serve(Route{Method: http.MethodPost, Path: op.WorkspacesRoute, Object: Self}, c.switchTo)
}

func (c *Console) signInPage(v *visit) error {
	return v.write(http.StatusOK, view.SignIn("", localPath(v.r.URL.Query().Get("next")), nil, c.demo()))
}

func (c *Console) signIn(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	return c.signInWith(v, access.Credentials{
		Email: v.r.PostFormValue("email"), Password: v.r.PostFormValue("password"),
		Remote: httpx.Of(v.r.Context()).Remote, Device: device(v.r.Header),
	}, localPath(v.r.PostFormValue("next")))
}

// signInWith opens a session and leads on to next; when that is empty, to where the
// person works.
func (c *Console) signInWith(v *visit, credentials access.Credentials, next string) error {
	ctx := v.r.Context()
	secret, session, err := c.door.SignIn(ctx, credentials)
	var tries *access.LimitError
	if errors.Is(err, access.ErrUnauthenticated) || errors.As(err, &tries) {
		p := httpx.Explain(httpx.SignInError(err), httpx.Of(ctx).ID)
		return v.write(p.Status, view.SignIn(credentials.Email, next, p, c.demo()))
	} else if err != nil {
		return err
	}
	// The session that the browser had before is over: nobody else's stays behind.
	if before, err := c.door.Session(ctx, httpx.SessionSecret(v.r)); err == nil {
		if err := c.door.SignOut(ctx, before); err != nil {
			return err
		}
	}
	httpx.SetSession(v.w, secret)
	if next != "" {
		return v.goTo(next)
	}
	places, err := c.door.Workspaces(ctx, session.Actor)
	if err != nil {
		return err
	}
	if len(places) > 1 {
		return v.goTo(op.WorkspacesRoute)
	}
	return v.goTo(op.TenantsPath(session.Actor.WorkspaceSlug()))
}

func (c *Console) signOut(v *visit) error {
	if err := c.door.SignOut(v.r.Context(), v.actor); err != nil {
		return err
	}
	httpx.ForgetSession(v.w)
	return v.goTo("/sign-in")
}

// workspaces lets someone choose among theirs; with "in", only whether to go
// where the address that they came from lies.
func (c *Console) workspaces(v *visit) error {
	places, err := c.door.Workspaces(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	return v.write(http.StatusOK, view.Workspaces(v.actor, places, q.Get("in"), localPath(q.Get("next"))))
}

func (c *Console) switchTo(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	to := v.r.PostFormValue("workspace")
	if to != v.workspace() {
		secret, err := c.door.Switch(v.r.Context(), v.actor, to)
		if err != nil {
			return err
		}
		httpx.SetSession(v.w, secret)
	}
	if next := localPath(v.r.PostFormValue("next")); next != "" {
		return v.goTo(next)
	}
	return v.goTo(op.TenantsPath(to))
}
