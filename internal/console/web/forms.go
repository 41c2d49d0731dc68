package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// Done is the query parameter that names the change that led to a page.
const Done = "done"

// Done returns the change that led to this page; empty: none.
func (v *Visit) Done() string { return v.R.URL.Query().Get(Done) }

// Saved redirects to path after a change. The page there reads the change with
// [Visit.Done] and confirms it.
func (v *Visit) Saved(path, change string) error {
	return v.GoTo(path + "?" + url.Values{Done: {change}}.Encode())
}

// Unsaved answers a change that was refused because of its input or because of a
// conflict: it shows the page that build makes for the problem. It returns any other
// error unchanged.
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

// ShowOnce answers a form with a page that has no address of its own and therefore no
// stream.
func (v *Visit) ShowOnce(status int, p Page) error {
	p.Frame.Live = ""
	return v.Write(status, whole(p))
}

// errUnsure is returned for a destructive change that was sent without its confirmation.
var errUnsure = &op.FieldError{Field: "sure", Detail: "must be yes for a change that can't be undone"}

// sure returns an error unless the form confirms its change.
func (v *Visit) sure() error {
	if err := v.Form(); err != nil {
		return err
	}
	if v.R.PostFormValue("sure") != "yes" {
		return errUnsure
	}
	return nil
}

// Editor adds a form: show builds its page, take handles what is sent.
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

// Meant wraps the handler of a destructive change, which needs a confirmation.
func Meant(handle func(*Visit) error) func(*Visit) error {
	return func(v *Visit) error {
		if err := v.sure(); err != nil {
			return err
		}
		return handle(v)
	}
}

// maxForm is the size limit of a form, in bytes.
const maxForm = 64 << 10

// Form parses the form of the request into R.PostForm. The limit is 64 KiB.
func (v *Visit) Form() error { return v.formUpTo(maxForm) }

// formUpTo parses the form of the request. limit is in bytes.
func (v *Visit) formUpTo(limit int64) error {
	v.R.Body = http.MaxBytesReader(v.W, v.R.Body, limit)
	err := v.R.ParseForm()
	var large *http.MaxBytesError
	if err == nil || errors.As(err, &large) {
		return err
	}
	return BadForm("form", "can't be read")
}
