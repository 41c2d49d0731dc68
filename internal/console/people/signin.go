package people

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// entrance serves the sign-in pages.
type entrance struct {
	demo func() []DemoUser // users listed on the sign-in page
}

func (e *entrance) serve(s *web.Site) {
	s.Handle(web.Route{Method: http.MethodGet, Path: "/{$}", Object: web.Self}, func(v *web.Visit) error {
		return v.GoTo(op.TenantsPath(v.Workspace()))
	})
	s.Handle(web.Route{Method: http.MethodGet, Path: "/sign-in", Object: web.Public}, e.signInPage)
	s.Handle(web.Route{Method: http.MethodPost, Path: "/sign-in", Object: web.Public}, e.signIn)
	s.Handle(web.Route{Method: http.MethodGet, Path: op.SignInSecondRoute, Object: web.Public}, func(v *web.Visit) error {
		return e.secondFactorPage(v, web.LocalPath(v.R.URL.Query().Get("next")), nil)
	})
	s.Handle(web.Route{Method: http.MethodPost, Path: op.SignInSecondRoute, Object: web.Public}, e.finishSignIn)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.SignInPasskeyRoute, Object: web.Public}, askPasskey)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.SignInPasskeyFinishRoute, Object: web.Public}, e.signInByPasskey)
	s.Handle(web.Route{Method: http.MethodPost, Path: "/sign-out", Object: web.Self}, signOut)
	s.Handle(web.Route{Method: http.MethodGet, Path: op.WorkspacesRoute, Object: web.Self}, workspaces)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.WorkspacesRoute, Object: web.Self}, switchTo)
}

func (e *entrance) signInPage(v *web.Visit) error {
	return v.Write(http.StatusOK, signInBody("", web.LocalPath(v.R.URL.Query().Get("next")), nil, e.demo(), v.Door.NoPasskeys() == nil))
}

func (e *entrance) signIn(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	return e.signInWith(v, access.Credentials{
		Email: v.R.PostFormValue("email"), Password: v.R.PostFormValue("password"),
		Remote: httpx.Of(v.R.Context()).Remote, Device: device(v.R.Header),
	}, web.LocalPath(v.R.PostFormValue("next")))
}

// signInWith opens a session and redirects to next; without it, to the reader's tenants or
// workspaces.
func (e *entrance) signInWith(v *web.Visit, credentials access.Credentials, next string) error {
	ctx := v.R.Context()
	secret, session, err := v.Door.SignIn(ctx, credentials)
	var tries *access.LimitError
	var second *access.SecondFactorError
	switch {
	case errors.As(err, &second):
		httpx.SetPending(v.W, second.Pending)
		to := op.SignInSecondRoute
		if next != "" {
			to += "?" + url.Values{"next": {next}}.Encode()
		}
		return v.GoTo(to)
	case errors.Is(err, access.ErrUnauthenticated), errors.As(err, &tries):
		return e.notSignedIn(v, credentials.Email, next, err)
	case err != nil:
		return err
	}
	return enter(v, secret, session, next)
}

// notSignedIn shows the sign-in page after a failed sign-in, with the address filled in.
func (e *entrance) notSignedIn(v *web.Visit, email, next string, err error) error {
	p := httpx.Explain(httpx.SignInError(err), httpx.Of(v.R.Context()).ID)
	return v.WriteProblem(p, signInBody(email, next, p, e.demo(), v.Door.NoPasskeys() == nil))
}

// enter gives the browser its new session and redirects.
func enter(v *web.Visit, secret string, session access.Session, next string) error {
	ctx := v.R.Context()
	// End the browser's previous session, which may be somebody else's.
	if before, err := v.Door.Session(ctx, httpx.SessionSecret(v.R)); err == nil {
		if err := v.Door.SignOut(ctx, before); err != nil {
			return err
		}
	}
	if httpx.PendingSecret(v.R) != "" {
		httpx.ForgetPending(v.W)
	}
	httpx.SetSession(v.W, secret)
	if next != "" {
		return v.GoTo(next)
	}
	places, err := v.Door.Workspaces(ctx, session.Actor)
	if err != nil {
		return err
	}
	if len(places) > 1 {
		return v.GoTo(op.WorkspacesRoute)
	}
	return v.GoTo(op.TenantsPath(session.Actor.WorkspaceSlug()))
}

func signOut(v *web.Visit) error {
	if err := v.Door.SignOut(v.R.Context(), v.Actor); err != nil {
		return err
	}
	httpx.ForgetSession(v.W)
	return v.GoTo("/sign-in")
}

// workspaces shows the reader's workspaces. With "in" it offers only that one, which the
// requested address belongs to.
func workspaces(v *web.Visit) error {
	places, err := v.Door.Workspaces(v.R.Context(), v.Actor)
	if err != nil {
		return err
	}
	q := v.R.URL.Query()
	return v.Write(http.StatusOK, workspacesBody(v.Actor, places, q.Get("in"), web.LocalPath(q.Get("next"))))
}

func switchTo(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	to := v.R.PostFormValue("workspace")
	if to != v.Workspace() {
		secret, err := v.Door.Switch(v.R.Context(), v.Actor, to)
		if err != nil {
			return err
		}
		httpx.SetSession(v.W, secret)
	}
	if next := web.LocalPath(v.R.PostFormValue("next")); next != "" {
		return v.GoTo(next)
	}
	return v.GoTo(op.TenantsPath(to))
}

// DemoUser is someone who can sign in to a demo.
type DemoUser struct{ Name, Role, Email, Password string }
