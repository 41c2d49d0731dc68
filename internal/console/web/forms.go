package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// Done is the query parameter that says which change led to a page.
const Done = "done"

// Done is the change that led to this page; empty: none did.
func (v *Visit) Done() string { return v.R.URL.Query().Get(Done) }

// Saved answers a change with the page at path, which tells of it.
func (v *Visit) Saved(path, change string) error {
	return v.GoTo(path + "?" + url.Values{Done: {change}}.Encode())
}

// Unsaved answers a change that could not be made, for what was typed or because
// of the state of things, with the page that it was asked for on. Any other error
// stays one.
func (v *Visit) Unsaved(err error, build func(*httpx.Problem) (Page, error)) error {
	var field *op.FieldError
	var beyond *access.BeyondError
	if !errors.As(err, &field) && !errors.As(err, &beyond) && !errors.Is(err, op.ErrConflict) {
		return err
	}
	problem := v.Problem(err)
	p, err := build(problem)
	if err != nil {
		return err
	}
	p.Frame.Live = ""
	return v.WriteProblem(problem, whole(p))
}

// ShowOnce answers a form with a page that is at no address of its own, so that it
// can't live.
func (v *Visit) ShowOnce(status int, p Page) error {
	p.Frame.Live = ""
	return v.Write(status, whole(p))
}

// errUnsure is returned for a change that takes something away and was not asked
// for by the form that says so.
var errUnsure = &op.FieldError{Field: "sure", Detail: "must be yes for a change that can't be undone"}

// sure returns an error unless the form says that its change is meant.
func (v *Visit) sure() error {
	if err := v.Form(); err != nil {
		return err
	}
	if v.R.PostFormValue("sure") != "yes" {
		return errUnsure
	}
	return nil
}

// Editor serves a form: its page, and what becomes of it.
func (s *Site) Editor(r Route, show func(*Visit) (Page, error), take func(*Visit) error) {
	s.Page(r, show)
	r.Method = http.MethodPost
	s.Handle(r, func(v *Visit) error {
		if err := v.Form(); err != nil {
			return err
		}
		return take(v)
	})
}

// Meant guards a change that takes something away.
func Meant(handle func(*Visit) error) func(*Visit) error {
	return func(v *Visit) error {
		if err := v.sure(); err != nil {
			return err
		}
		return handle(v)
	}
}

// maxForm is the limit of a form, in bytes.
const maxForm = 64 << 10

// Form reads the form of the request.
func (v *Visit) Form() error { return v.formUpTo(maxForm) }

// formUpTo reads the form of the request, which may be as large as limit.
func (v *Visit) formUpTo(limit int64) error {
	v.R.Body = http.MaxBytesReader(v.W, v.R.Body, limit)
	err := v.R.ParseForm()
	var large *http.MaxBytesError
	if err == nil || errors.As(err, &large) {
		return err
	}
	return BadForm("form", "can't be read")
}
