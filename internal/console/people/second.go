package people

import (
	"errors"
	"net/http"
	"slices"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// secondFactorPage asks for the second factor of a sign-in. refusal is why the last try
// failed, or nil.
func (e *entrance) secondFactorPage(v *web.Visit, next string, refusal *httpx.Problem) error {
	ctx, pending := v.R.Context(), httpx.PendingSecret(v.R)
	w, err := v.Door.WaitingSignIn(ctx, pending)
	if errors.Is(err, access.ErrSignInOver) {
		httpx.ForgetPending(v.W)
		return e.notSignedIn(v, "", next, err)
	} else if err != nil {
		return err
	}
	page := secondFactor{Email: w.Email, Next: next, Form: ui.Form{Fields: ui.CodeFields(), Refusal: refusal}}
	if slices.Contains(w.Kinds, access.Passkey) && v.Door.NoPasskeys() == nil {
		options, err := v.Door.AskPasskey(ctx, pending)
		if err != nil {
			return err
		}
		page.Passkey = string(options)
	}
	return v.WriteProblem(refusal, secondBody(page))
}

func (e *entrance) finishSignIn(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	ctx, f := v.R.Context(), v.R.PostForm
	next := web.LocalPath(f.Get("next"))
	secret, session, err := v.Door.FinishSignIn(ctx, httpx.PendingSecret(v.R), access.Proof{
		Code: f.Get("code"), Passkey: f.Get("passkey"), Remote: httpx.Of(ctx).Remote,
	})
	var wrong *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.As(err, &wrong), errors.As(err, &tries):
		return e.secondFactorPage(v, next, v.Problem(err))
	case errors.Is(err, access.ErrSignInOver):
		httpx.ForgetPending(v.W)
		return e.notSignedIn(v, "", next, err)
	case err != nil:
		return err
	}
	return enter(v, secret, session, next)
}

// askPasskey shows the page for a sign-in with a passkey alone.
func askPasskey(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	pending, options, err := v.Door.AskAnyPasskey(v.R.Context())
	if err != nil {
		return err
	}
	httpx.SetPending(v.W, pending)
	return v.Write(http.StatusOK, passkeyBody(string(options), web.LocalPath(v.R.PostFormValue("next"))))
}

func (e *entrance) signInByPasskey(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	next := web.LocalPath(v.R.PostFormValue("next"))
	secret, session, err := v.Door.SignInByPasskey(v.R.Context(), access.PasskeySignIn{
		Pending: httpx.PendingSecret(v.R), Answer: v.R.PostFormValue("passkey"), Device: device(v.R.Header),
	})
	var copied *op.FieldError
	switch {
	case errors.Is(err, access.ErrUnauthenticated):
		httpx.ForgetPending(v.W)
		p := httpx.NewProblem(op.ProblemPasskeyRefused, nil)
		return v.WriteProblem(p, signInBody("", next, p, e.demo(), true))
	case errors.As(err, &copied):
		httpx.ForgetPending(v.W)
		p := v.Problem(err)
		return v.WriteProblem(p, signInBody("", next, p, e.demo(), true))
	case err != nil:
		return err
	}
	return enter(v, secret, session, next)
}

// secondFactor asks for the second factor of a sign-in.
type secondFactor struct {
	Email   string
	Passkey string // options for the browser; empty: no passkey can be used
	Form    ui.Form
	Next    string
}
