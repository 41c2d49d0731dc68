package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

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
	c.serve(Route{Method: http.MethodGet, Path: op.SignInSecondRoute, Object: Public}, func(v *visit) error {
		return c.secondFactor(v, localPath(v.r.URL.Query().Get("next")), nil)
	})
	c.serve(Route{Method: http.MethodPost, Path: op.SignInSecondRoute, Object: Public}, c.finishSignIn)
	c.serve(Route{Method: http.MethodPost, Path: op.SignInPasskeyRoute, Object: Public}, c.askPasskey)
	c.serve(Route{Method: http.MethodPost, Path: op.SignInPasskeyFinishRoute, Object: Public}, c.signInByPasskey)
	c.serve(Route{Method: http.MethodPost, Path: "/sign-out", Object: Self}, c.signOut)
	c.serve(Route{Method: http.MethodGet, Path: op.WorkspacesRoute, Object: Self}, c.workspaces)
	c.serve(Route{Method: http.MethodPost, Path: op.WorkspacesRoute, Object: Self}, c.switchTo)
}

func (c *Console) signInPage(v *visit) error {
	return v.write(http.StatusOK, view.SignIn("", localPath(v.r.URL.Query().Get("next")), nil, c.demo(), c.door.NoPasskeys() == nil))
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
	var second *access.SecondFactorError
	switch {
	case errors.As(err, &second):
		httpx.SetPending(v.w, second.Pending)
		to := op.SignInSecondRoute
		if next != "" {
			to += "?" + url.Values{"next": {next}}.Encode()
		}
		return v.goTo(to)
	case errors.Is(err, access.ErrUnauthenticated), errors.As(err, &tries):
		return c.notSignedIn(v, credentials.Email, next, err)
	case err != nil:
		return err
	}
	return c.enter(v, secret, session, next)
}

// notSignedIn answers a sign-in that failed with the page, as it was filled.
func (c *Console) notSignedIn(v *visit, email, next string, err error) error {
	p := httpx.Explain(httpx.SignInError(err), httpx.Of(v.r.Context()).ID)
	for name, values := range p.GetHeaders() {
		v.w.Header()[name] = values
	}
	return v.write(p.Status, view.SignIn(email, next, p, c.demo(), c.door.NoPasskeys() == nil))
}

// enter gives the browser a session that was opened just now, and leads on.
func (c *Console) enter(v *visit, secret string, session access.Session, next string) error {
	ctx := v.r.Context()
	// The session that the browser had before is over: nobody else's stays behind.
	if before, err := c.door.Session(ctx, httpx.SessionSecret(v.r)); err == nil {
		if err := c.door.SignOut(ctx, before); err != nil {
			return err
		}
	}
	if httpx.PendingSecret(v.r) != "" {
		httpx.ForgetPending(v.w)
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

// secondFactor is the page that asks for the second factor of a sign-in; refusal is
// why the last try failed, or nil.
func (c *Console) secondFactor(v *visit, next string, refusal *httpx.Problem) error {
	ctx, pending := v.r.Context(), httpx.PendingSecret(v.r)
	w, err := c.door.WaitingSignIn(ctx, pending)
	if errors.Is(err, access.ErrSignInOver) {
		httpx.ForgetPending(v.w)
		return c.notSignedIn(v, "", next, err)
	} else if err != nil {
		return err
	}
	page := view.SecondFactor{Email: w.Email, Next: next, Form: view.Form{Fields: view.CodeFields(), Refusal: refusal}}
	if slices.Contains(w.Kinds, access.Passkey) && c.door.NoPasskeys() == nil {
		options, err := c.door.AskPasskey(ctx, pending)
		if err != nil {
			return err
		}
		page.Passkey = string(options)
	}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
		for name, values := range refusal.GetHeaders() {
			v.w.Header()[name] = values
		}
	}
	return v.write(status, view.SecondPage(page))
}

func (c *Console) finishSignIn(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	ctx, f := v.r.Context(), v.r.PostForm
	next := localPath(f.Get("next"))
	secret, session, err := c.door.FinishSignIn(ctx, httpx.PendingSecret(v.r), access.Proof{
		Code: f.Get("code"), Passkey: f.Get("passkey"), Remote: httpx.Of(ctx).Remote,
	})
	var wrong *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.As(err, &wrong), errors.As(err, &tries):
		return c.secondFactor(v, next, v.problem(err))
	case errors.Is(err, access.ErrSignInOver):
		httpx.ForgetPending(v.w)
		return c.notSignedIn(v, "", next, err)
	case err != nil:
		return err
	}
	return c.enter(v, secret, session, next)
}

// askPasskey is the page that asks for a passkey of whoever is there.
func (c *Console) askPasskey(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	pending, options, err := c.door.AskAnyPasskey(v.r.Context())
	if err != nil {
		return err
	}
	httpx.SetPending(v.w, pending)
	return v.write(http.StatusOK, view.PasskeyPage(string(options), localPath(v.r.PostFormValue("next"))))
}

func (c *Console) signInByPasskey(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	next := localPath(v.r.PostFormValue("next"))
	secret, session, err := c.door.SignInByPasskey(v.r.Context(), access.PasskeySignIn{
		Pending: httpx.PendingSecret(v.r), Answer: v.r.PostFormValue("passkey"), Device: device(v.r.Header),
	})
	var copied *op.FieldError
	switch {
	case errors.Is(err, access.ErrUnauthenticated):
		httpx.ForgetPending(v.w)
		p := httpx.NewProblem(op.ProblemPasskeyRefused, nil)
		return v.write(p.Status, view.SignIn("", next, p, c.demo(), true))
	case errors.As(err, &copied):
		httpx.ForgetPending(v.w)
		p := v.problem(err)
		return v.write(p.Status, view.SignIn("", next, p, c.demo(), true))
	case err != nil:
		return err
	}
	return c.enter(v, secret, session, next)
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
