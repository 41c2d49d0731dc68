package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// done is the query parameter that says which change led to a page.
const done = "done"

// changed answers a change with the page at path, which tells of it.
func (v *visit) changed(path, change string) error {
	return v.goTo(path + "?" + url.Values{done: {change}}.Encode())
}

// unsaved answers a change that could not be made, for what was typed or because
// of the state of things, with the page that it was asked for on. Any other error
// stays one.
func (v *visit) unsaved(err error, build func(*httpx.Problem) (page, error)) error {
	var field *op.FieldError
	var beyond *access.BeyondError
	if !errors.As(err, &field) && !errors.As(err, &beyond) && !errors.Is(err, op.ErrConflict) {
		return err
	}
	problem := v.problem(err)
	p, err := build(problem)
	if err != nil {
		return err
	}
	return v.showOnce(problem.Status, p)
}

// showOnce answers a form with a page that is at no address of its own, so that it
// can't live.
func (v *visit) showOnce(status int, p page) error {
	p.frame.Live = ""
	return v.write(status, within(view.Page(p.frame), p.body))
}

// errUnsure is returned for a change that takes something away and was not asked
// for by the form that says so.
var errUnsure = &op.FieldError{Field: "sure", Detail: "must be yes for a change that can't be taken back"}

// sure returns an error unless the form says that its change is meant.
func (v *visit) sure() error {
	if err := v.form(); err != nil {
		return err
	}
	if v.r.PostFormValue("sure") != "yes" {
		return errUnsure
	}
	return nil
}

// editor serves a form: its page, and what becomes of it.
func (c *Console) editor(r Route, show func(*visit) (page, error), take func(*visit) error) {
	c.page(r, show)
	r.Method = http.MethodPost
	c.serve(r, func(v *visit) error {
		if err := v.form(); err != nil {
			return err
		}
		return take(v)
	})
}
