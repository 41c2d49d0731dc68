package web

import (
	"errors"
	"net/url"
	"slices"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// confirming is the query parameter that marks a form sent by the confirm page. It goes
// to the address of the change that waits for the confirmation.
const confirming = "confirm"

// maxConfirm is the size limit, in bytes, of what the confirm page sends: the sealed
// form of the change, and a proof.
const maxConfirm = 4 * maxForm

// fresh holds back a change that needs a fresh sign-in and shows the confirm page. The
// form of the change is sealed into that page; after the confirmation the change
// continues with it. fresh reports whether it has answered the request.
func (v *Visit) fresh() (answered bool, err error) {
	if v.Reads() || v.Route.Object == Public || !access.AsksFresh(v.Route.Needs, v.Route.Path) {
		return false, nil
	}
	path := v.R.URL.Path
	if !v.R.URL.Query().Has(confirming) {
		err := v.Door.Fresh(v.R.Context(), v.Actor)
		if !errors.Is(err, access.ErrNotFresh) {
			return false, err
		}
		if err := v.Form(); err != nil {
			return false, err
		}
		kept, err := v.Door.Keep(v.Actor, path, v.R.PostForm)
		if err != nil {
			return false, err
		}
		return true, v.confirm(kept, httpx.NewProblem(op.ProblemNotFresh, nil), false)
	}
	if err := v.formUpTo(maxConfirm); err != nil {
		return false, err
	}
	form, ctx := v.R.PostForm, v.R.Context()
	values, err := v.Door.Kept(v.Actor, path, form.Get("kept"))
	if err != nil {
		return false, ErrStale
	}
	secret, err := v.Door.Confirm(ctx, v.Actor, access.Proof{
		Password: form.Get("password"), Code: form.Get("code"), Passkey: form.Get("passkey"), Remote: httpx.Of(ctx).Remote,
	})
	var wrong *op.FieldError
	var tries *access.LimitError
	if errors.As(err, &wrong) || errors.As(err, &tries) {
		return true, v.confirm(form.Get("kept"), v.Problem(err), true)
	} else if err != nil {
		return false, err
	}
	httpx.SetSession(v.W, secret)
	v.R.PostForm, v.R.Form = values, values
	v.R.URL.RawQuery = ""
	return false, nil
}

// confirm shows the page that asks for a fresh sign-in. p says why; tried says that p is
// about a confirmation that failed.
func (v *Visit) confirm(kept string, p *httpx.Problem, tried bool) error {
	if v.HTMX() { // it replaces the page, not the answer
		v.W.Header().Set("HX-Retarget", "body")
		v.W.Header().Set("HX-Reswap", "innerHTML")
	}
	ctx := v.R.Context()
	kinds, err := v.Door.ConfirmKinds(ctx, v.Actor)
	if err != nil {
		return err
	}
	c := confirmation{
		Reader: v.Actor, Kept: kept, Problem: p, Back: v.from(),
		Form: ui.Form{Action: v.R.URL.Path + "?" + url.Values{confirming: {"1"}}.Encode(), Fields: confirmFields()},
	}
	if len(kinds) > 0 {
		c.Form.Fields = ui.CodeFields()
	}
	if slices.Contains(kinds, access.Passkey) && v.Door.NoPasskeys() == nil {
		options, err := v.Door.AskConfirm(ctx, v.Actor)
		if err != nil {
			return err
		}
		c.Passkey = string(options)
	}
	if tried {
		c.Form.Refusal = p
	}
	return v.WriteProblem(p, confirmBody(c))
}
