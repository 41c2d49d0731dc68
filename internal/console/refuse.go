package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// refuse answers for an error: with a page, or with a piece of one in the place
// of the answer that was asked for.
func (v *visit) refuse(err error) {
	var other elsewhere
	switch {
	case v.watches(): // a stream is not led elsewhere: it is told, and stops
	case errors.Is(err, errSignedOut) && v.reads():
		_ = v.goTo(signInPath(v.r.URL.RequestURI()))
		return
	case errors.Is(err, access.ErrFactorRequired) && v.reads():
		_ = v.goTo(op.SecurityRoute)
		return
	case errors.As(err, &other) && v.reads():
		_ = v.goTo(op.WorkspacesRoute + "?" + url.Values{"in": {other.workspace}, "next": {v.r.URL.RequestURI()}}.Encode())
		return
	}
	httpx.Of(v.r.Context()).Failed(v.r.Context(), err)
	p := v.problem(err)
	for name, values := range p.GetHeaders() {
		v.w.Header()[name] = values
	}
	if err := v.write(p.Status, v.refusal(p)); err != nil {
		p.Write(v.w)
	}
}

func (v *visit) reads() bool {
	return v.r.Method == http.MethodGet || v.r.Method == http.MethodHead
}

// problem is err in words.
func (v *visit) problem(err error) *httpx.Problem {
	var reused *gate.KeyReusedError
	switch {
	case errors.Is(err, access.ErrUnauthenticated), errors.Is(err, errSignedOut):
		httpx.ForgetSession(v.w)
		return httpx.NewProblem(op.ProblemSessionEnded, op.Args{"idle": access.SessionIdle.String()})
	case errors.As(err, &elsewhere{}), errors.Is(err, errStale):
		return httpx.NewProblem(op.ProblemFormStale, nil)
	case errors.As(err, &reused):
		return httpx.NewProblem(op.ProblemKeyReused, op.Args{"fields": strings.Join(reused.Fields, ",")})
	case errors.Is(err, store.ErrBadCursor):
		return httpx.NewProblem(op.ProblemCursor, nil)
	case errors.Is(err, httpx.ErrCrossSite):
		p := httpx.NewProblem(op.ProblemFormStale, nil)
		p.Status, p.Code, p.Title = http.StatusForbidden, "cross_site", "This form came from another site"
		p.Detail = "Interlock takes forms from its own pages only. Nothing was changed."
		p.Next = "Open the page here and send the form again."
		return p
	}
	p := httpx.Explain(err, httpx.Of(v.r.Context()).ID)
	if p.Code == string(op.ProblemFault) { // what Explain says for programs, in the words for pages
		p.Title, p.Detail, p.Next = op.ProblemFault.Words(op.Args{"reference": p.RequestID})
	}
	return p
}

// refusal is the page of a problem, or the piece of one.
func (v *visit) refusal(p *httpx.Problem) templ.Component {
	signIn := ""
	if p.Code == string(op.ProblemSessionEnded) {
		signIn = signInPath(v.from())
	}
	switch {
	case v.htmx():
		return view.Refused(v.pressed(), p, signIn)
	case signIn != "":
		return view.SessionEnded(p, signIn)
	}
	on := view.Link{Text: "Go to tenants", Href: op.TenantsPath(v.workspace())}
	switch {
	case v.actor.ID() == "":
		on = view.Link{Text: "Go to sign-in", Href: "/sign-in"}
	case p.Code == string(op.ProblemFactorMissing):
		on = view.Link{Text: "Go to Security", Href: op.SecurityRoute}
	case p.Status == http.StatusForbidden && v.tenant.Tenant.ID != "":
		on = view.Link{Text: "Back to " + v.tenant.Tenant.Name, Href: op.TenantPath(v.workspace(), v.tenant.Tenant.Slug)}
	case p.Status >= http.StatusInternalServerError && v.reads():
		return view.Refusal(v.actor, p, view.Link{Text: "Reload"}, on)
	}
	return view.Refusal(v.actor, p, on)
}

// from is the page that the request came from: where someone goes on after they
// signed in again.
func (v *visit) from() string {
	if v.reads() {
		return v.r.URL.RequestURI()
	}
	if back := localPath(v.r.PostFormValue("back")); back != "" {
		return back
	}
	if u, err := url.Parse(v.r.Referer()); err == nil && u.Host == v.r.Host {
		return localPath(u.RequestURI())
	}
	return ""
}

// signInPath is the sign-in page that leads on to next.
func signInPath(next string) string {
	if next = localPath(next); next == "" || next == "/" {
		return "/sign-in"
	}
	return "/sign-in?" + url.Values{"next": {next}}.Encode()
}

// maxPath bounds an address to go on at, in bytes.
const maxPath = 2000

// localPath returns a path on this host with its query, or "" for anything that a
// browser could take for another host.
func localPath(s string) string {
	if len(s) > maxPath || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return ""
	}
	u, err := url.Parse(s) // refuses control characters, which browsers drop
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

// badForm says which field of a form can't be used.
func badForm(field, detail string) error {
	return &op.FieldError{Field: field, Detail: detail}
}
