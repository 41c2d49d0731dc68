package people

import (
	"errors"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

func beginAuthenticator(v *web.Visit) error {
	if _, err := v.Door.BeginTOTP(v.R.Context(), v.Actor); err != nil {
		return err
	}
	return v.GoTo(op.AuthenticatorRoute)
}

// authenticatorPage is the page of an authenticator app that waits for its first code.
func authenticatorPage(v *web.Visit, refusal *httpx.Problem) error {
	e, err := v.Door.WaitingTOTP(v.R.Context(), v.Actor)
	if errors.Is(err, op.ErrNotFound) || errors.Is(err, access.ErrNotFresh) { // begin again
		return v.GoTo(op.SecurityRoute)
	} else if err != nil {
		return err
	}
	form := ui.Form{Action: op.AuthenticatorConfirmRoute, Fields: authenticatorFields(), Refusal: refusal, Values: v.R.PostForm}
	if refusal == nil {
		form.Values = url.Values{"name": {"Authenticator app"}}
	}
	return ownPage(v, refusal, "Add an authenticator app", "", authenticatorBody(e, form))
}

func confirmAuthenticator(v *web.Visit) error {
	f := v.R.PostForm
	codes, err := v.Door.FinishTOTP(v.R.Context(), v.Actor, f.Get("name"), f.Get("code"))
	if err != nil {
		return notMade(v, err, authenticatorPage)
	}
	return added(v, codes)
}

// added answers after a new factor. With the first factor it shows the recovery codes, on
// a page that has no address.
func added(v *web.Visit, codes []string) error {
	if codes == nil {
		return v.Saved(op.SecurityRoute, "add")
	}
	return ownPage(v, nil, "Save your recovery codes", securityDone["add"], recoveryCodesBody(codes))
}

// newPasskeyPage is the page that asks the browser for a new passkey.
func newPasskeyPage(v *web.Visit, refusal *httpx.Problem) error {
	options, err := v.Door.BeginPasskey(v.R.Context(), v.Actor)
	if err != nil {
		return err
	}
	form := ui.Form{Action: op.PasskeysAddRoute, Fields: passkeyFields(), Refusal: refusal, Values: v.R.PostForm}
	if !form.Values.Has("name") {
		form.Values = url.Values{"name": {device(v.R.Header)}}
	}
	return ownPage(v, refusal, "Add a passkey", "", newPasskeyBody(string(options), form))
}

func addPasskey(v *web.Visit) error {
	f := v.R.PostForm
	codes, err := v.Door.FinishPasskey(v.R.Context(), v.Actor, f.Get("name"), f.Get("passkey"))
	if err != nil {
		return notMade(v, err, newPasskeyPage)
	}
	return added(v, codes)
}

func newRecoveryCodes(v *web.Visit) error {
	codes, err := v.Door.NewRecoveryCodes(v.R.Context(), v.Actor)
	if err != nil {
		return notMade(v, err, securityPage)
	}
	return ownPage(v, nil, "Save your recovery codes", "Your earlier codes don't work any more.", recoveryCodesBody(codes))
}

func renameFactor(v *web.Visit) error {
	if err := v.Door.RenameFactor(v.R.Context(), v.Actor, v.R.PathValue("factor"), v.R.PostForm.Get("name")); err != nil {
		return notMade(v, err, securityPage)
	}
	return v.Saved(op.SecurityRoute, "rename")
}

func removeFactor(v *web.Visit) error {
	if err := v.Door.RemoveFactor(v.R.Context(), v.Actor, v.R.PathValue("factor")); err != nil {
		return notMade(v, err, securityPage)
	}
	return v.Saved(op.SecurityRoute, "remove")
}

// authenticatorFields are the fields of a new authenticator app.
func authenticatorFields() []ui.Field {
	return []ui.Field{
		{Name: "name", Label: "Name", Hint: "To tell it apart from others.", Max: 80},
		{Name: "code", Label: "Code", Hint: "The six digits that the app shows now.", Max: 7, Fill: "one-time-code"},
	}
}

// passkeyFields are the fields of a new passkey.
func passkeyFields() []ui.Field {
	return []ui.Field{{Name: "name", Label: "Name", Hint: "To tell it apart from others.", Max: 80}}
}
