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

// confirming is the query parameter of the address that the confirm page sends its
// form to: it is that of the form that waits, which goes on from there.
const confirming = "confirm"

// maxConfirm is the limit of what the confirm page sends, in bytes: a form as it was
// kept, sealed, and a proof.
const maxConfirm = 4 * maxForm

// fresh stops what asks for a fresh sign-in until the person proved who they are. The
// form is kept sealed in the page that asks, and goes on where it was stopped. It
// reports whether the request is answered.
func (v *visit) fresh() (answered bool, err error) {
	if v.reads() || v.route.Object == Public || !access.AsksFresh(v.route.Needs, v.route.Path) {
		return false, nil
	}
	path := v.r.URL.Path
	if !v.r.URL.Query().Has(confirming) {
		err := v.console.door.Fresh(v.r.Context(), v.actor)
		if !errors.Is(err, access.ErrNotFresh) {
			return false, err
		}
		if err := v.form(); err != nil {
			return false, err
		}
		kept, err := v.console.door.Keep(v.actor, path, v.r.PostForm)
		if err != nil {
			return false, err
		}
		return true, v.confirm(kept, httpx.NewProblem(op.ProblemNotFresh, nil), false)
	}
	if err := v.formUpTo(maxConfirm); err != nil {
		return false, err
	}
	form, ctx := v.r.PostForm, v.r.Context()
	values, err := v.console.door.Kept(v.actor, path, form.Get("kept"))
	if err != nil {
		return false, errStale
	}
	secret, err := v.console.door.Confirm(ctx, v.actor, access.Proof{
		Password: form.Get("password"), Code: form.Get("code"), Passkey: form.Get("passkey"), Remote: httpx.Of(ctx).Remote,
	})
	var wrong *op.FieldError
	var tries *access.LimitError
	if errors.As(err, &wrong) || errors.As(err, &tries) {
		return true, v.confirm(form.Get("kept"), v.problem(err), true)
	} else if err != nil {
		return false, err
	}
	httpx.SetSession(v.w, secret)
	v.r.PostForm, v.r.Form = values, values
	v.r.URL.RawQuery = ""
	return false, nil
}

// confirm answers with the page that asks who someone is. tried says that they were
// asked before, and p why that was not enough.
func (v *visit) confirm(kept string, p *httpx.Problem, tried bool) error {
	for name, values := range p.GetHeaders() {
		v.w.Header()[name] = values
	}
	if v.htmx() { // it takes the place of the page, not of the answer
		v.w.Header().Set("HX-Retarget", "body")
		v.w.Header().Set("HX-Reswap", "innerHTML")
	}
	ctx := v.r.Context()
	kinds, err := v.console.door.ConfirmKinds(ctx, v.actor)
	if err != nil {
		return err
	}
	c := view.Confirmation{
		Reader: v.actor, Kept: kept, Problem: p, Back: v.from(),
		Form: view.Form{Action: v.r.URL.Path + "?" + url.Values{confirming: {"1"}}.Encode(), Fields: view.ConfirmFields()},
	}
	if len(kinds) > 0 {
		c.Form.Fields = view.CodeFields()
	}
	if slices.Contains(kinds, access.Passkey) && v.console.door.NoPasskeys() == nil {
		options, err := v.console.door.AskConfirm(ctx, v.actor)
		if err != nil {
			return err
		}
		c.Passkey = string(options)
	}
	if tried {
		c.Form.Refusal = p
	}
	return v.write(p.Status, view.Confirm(c))
}

// formUpTo reads the form of the request, which may be as large as limit.
func (v *visit) formUpTo(limit int64) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, limit)
	err := v.r.ParseForm()
	var large *http.MaxBytesError
	if err == nil || errors.As(err, &large) {
		return err
	}
	return badForm("form", "can't be read")
}
