package people

import (
	"errors"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

func resetPage(v *web.Visit) error {
	if v.Done() != "" {
		return v.Write(http.StatusOK, passwordSavedBody())
	}
	return newPasswordPage(v, v.R.URL.Query().Get("link"), nil)
}

func newPasswordPage(v *web.Visit, link string, refusal *httpx.Problem) error {
	email, err := v.Door.OpenReset(v.R.Context(), link)
	if err != nil {
		return deadLink(v, err)
	}
	return v.WriteProblem(refusal, newPasswordBody(email, link, ui.Form{Fields: resetFields(), Refusal: refusal}))
}

// reset sets a new password by a link. It signs nobody in.
func reset(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	link, ctx := v.R.PostForm.Get("link"), v.R.Context()
	_, err := v.Door.Reset(ctx, link, v.R.PostForm.Get("password"), httpx.Of(ctx).Remote)
	var field *op.FieldError
	var tries *access.LimitError
	switch {
	case errors.Is(err, access.ErrLink):
		return deadLink(v, err)
	case errors.As(err, &field), errors.As(err, &tries):
		return newPasswordPage(v, link, v.Problem(err))
	case err != nil:
		return err
	}
	return v.Saved(op.ResetRoute, "password")
}

func passwordField(name string) ui.Field {
	return ui.Field{Name: name, Label: "New password", Hint: "At least 12 characters.", Kind: "password", Max: 512, Fill: "new-password"}
}

// resetFields are what a reset link asks for.
func resetFields() []ui.Field { return []ui.Field{passwordField("password")} }
