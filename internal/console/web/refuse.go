package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// refuse answers an error with a page, or by script with a piece of one in the place of
// the expected answer.
func (v *Visit) refuse(err error) {
	var other elsewhere
	switch {
	case v.watches(): // a stream is never redirected
	case errors.Is(err, errSignedOut) && v.Reads():
		_ = v.GoTo(signInPath(v.R.URL.RequestURI()))
		return
	case errors.Is(err, access.ErrFactorRequired) && v.Reads():
		_ = v.GoTo(op.SecurityRoute)
		return
	case errors.As(err, &other) && v.Reads():
		_ = v.GoTo(op.WorkspacesRoute + "?" + url.Values{"in": {other.workspace}, "next": {v.R.URL.RequestURI()}}.Encode())
		return
	}
	p := v.Problem(err)
	httpx.Of(v.R.Context()).Failed(v.R.Context(), p, err)
	v.tellProblem(p)
}

// tellProblem answers with the page of a problem, or with a piece of one.
func (v *Visit) tellProblem(p *httpx.Problem) {
	if err := v.WriteProblem(p, v.refusal(p)); err != nil {
		p.Write(v.W)
	}
}

// WriteProblem answers with content and with the status and headers of p, such as
// Retry-After. nil p: status 200.
func (v *Visit) WriteProblem(p *httpx.Problem, content templ.Component) error {
	if p == nil {
		return v.Write(http.StatusOK, content)
	}
	for name, values := range p.GetHeaders() {
		v.W.Header()[name] = values
	}
	return v.Write(p.Status, content)
}

// Reads reports whether the request is a GET or HEAD.
func (v *Visit) Reads() bool {
	return v.R.Method == http.MethodGet || v.R.Method == http.MethodHead
}

// Problem returns err as a problem with its words and status.
func (v *Visit) Problem(err error) *httpx.Problem {
	var reused *gate.KeyReusedError
	switch {
	case errors.Is(err, access.ErrUnauthenticated), errors.Is(err, errSignedOut):
		httpx.ForgetSession(v.W)
		return httpx.NewProblem(op.ProblemSessionEnded, op.Args{"idle": access.SessionIdle.String()})
	case errors.As(err, &elsewhere{}), errors.Is(err, ErrStale):
		return httpx.NewProblem(op.ProblemFormStale, nil)
	case errors.As(err, &reused):
		return httpx.NewProblem(op.ProblemKeyReused, op.Args{"fields": strings.Join(reused.Fields, ",")})
	case errors.Is(err, op.ErrBadCursor):
		return httpx.NewProblem(op.ProblemCursor, nil)
	case errors.Is(err, httpx.ErrCrossSite):
		p := httpx.NewProblem(op.ProblemFormStale, nil)
		p.Status, p.Code, p.Title = http.StatusForbidden, "cross_site", "This form came from another site"
		p.Detail = "Interlock only accepts forms from its own pages. Nothing was changed."
		p.Next = "Open the page in Interlock and submit the form again."
		return p
	}
	return httpx.Explain(err, httpx.Of(v.R.Context()).ID).ForPage()
}

// refusal returns the page of a problem, or by script a piece of one.
func (v *Visit) refusal(p *httpx.Problem) templ.Component {
	signIn := ""
	if p.Code == string(op.ProblemSessionEnded) {
		signIn = signInPath(v.from())
	}
	switch {
	case v.HTMX():
		_ = v.Form() // without a readable form the defaults name the place
		return ui.Refused(v.Pressed(), p, signIn)
	case signIn != "":
		return ui.SessionEnded(p, signIn)
	}
	on := ui.Link{Text: "Go to tenants", Href: op.TenantsPath(v.Workspace())}
	switch {
	case v.Actor.ID() == "":
		on = ui.Link{Text: "Go to sign-in", Href: "/sign-in"}
	case p.Code == string(op.ProblemFactorMissing):
		on = ui.Link{Text: "Go to Security", Href: op.SecurityRoute}
	case p.Status == http.StatusForbidden && v.Tenant.Tenant.ID != "":
		on = ui.Link{Text: "Back to " + v.Tenant.Tenant.Name, Href: op.TenantPath(v.Workspace(), v.Tenant.Tenant.Slug)}
	case p.Status >= http.StatusInternalServerError && v.Reads():
		return ui.Refusal(v.Actor, p, ui.Link{Text: "Reload"}, on)
	}
	return ui.Refusal(v.Actor, p, on)
}

// from returns the page that the request came from, to return to after a sign-in; empty
// when it is unknown.
func (v *Visit) from() string {
	if v.Reads() {
		return v.R.URL.RequestURI()
	}
	if back := LocalPath(v.R.PostFormValue("back")); back != "" {
		return back
	}
	if u, err := url.Parse(v.R.Referer()); err == nil && u.Host == v.R.Host {
		return LocalPath(u.RequestURI())
	}
	return ""
}

// signInPath returns the address of the sign-in page that continues at next.
func signInPath(next string) string {
	if next = LocalPath(next); next == "" || next == "/" {
		return "/sign-in"
	}
	return "/sign-in?" + url.Values{"next": {next}}.Encode()
}

// maxPath is the size limit of an address to continue at, in bytes.
const maxPath = 2000

// LocalPath returns s when it is a path on this host, with its query; else "", also for
// anything that a browser could read as another host.
func LocalPath(s string) string {
	if len(s) > maxPath || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return ""
	}
	u, err := url.Parse(s) // rejects control characters, which browsers drop
	if err != nil || u.Host != "" || u.Scheme != "" {
		return ""
	}
	path := u.EscapedPath()
	if strings.HasPrefix(path, "//") {
		return ""
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path
}

// BadForm returns the error of an invalid form field.
func BadForm(field, detail string) error {
	return &op.FieldError{Field: field, Detail: detail}
}
