package people

import (
	"errors"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func serveSecurity(s *web.Site) {
	own := func(method, path string, handle func(*web.Visit) error) {
		s.Handle(web.Route{Method: method, Path: path, Object: web.Self}, func(v *web.Visit) error {
			if !v.Reads() {
				if err := v.Form(); err != nil {
					return err
				}
			}
			return handle(v)
		})
	}
	own(http.MethodGet, op.SecurityRoute, func(v *web.Visit) error { return securityPage(v, nil) })
	own(http.MethodPost, op.AuthenticatorRoute, beginAuthenticator)
	own(http.MethodGet, op.AuthenticatorRoute, func(v *web.Visit) error { return authenticatorPage(v, nil) })
	own(http.MethodPost, op.AuthenticatorConfirmRoute, confirmAuthenticator)
	own(http.MethodPost, op.PasskeysRoute, func(v *web.Visit) error { return newPasskeyPage(v, nil) })
	own(http.MethodPost, op.PasskeysAddRoute, addPasskey)
	own(http.MethodPost, op.RecoveryCodesRoute, web.Meant(newRecoveryCodes))
	own(http.MethodPost, op.FactorRenameRoute, renameFactor)
	own(http.MethodPost, op.FactorRemoveRoute, web.Meant(removeFactor))
	own(http.MethodPost, op.SessionsEndRoute, web.Meant(endOtherSessions))
	s.Editor(web.Route{Path: op.PolicyRoute, Object: web.Workspace, Needs: tenancy.ManageMembers}, showPolicy, setPolicy)
}

// securityDone confirms the change that led to the page.
var securityDone = map[string]string{
	"add":      "Second factor added. Your other sessions have ended.",
	"rename":   "Second factor renamed.",
	"remove":   "Second factor removed. Your other sessions have ended.",
	"sessions": "Your other sessions have ended.",
}

// ownPage answers with a page of the reader's own. It works for a reader whom their
// workspace's policy keeps out. refusal is the problem that it shows, or nil.
func ownPage(v *web.Visit, refusal *httpx.Problem, title, lead string, body templ.Component) error {
	frame, err := v.Frame(title, "")
	if errors.Is(err, access.ErrFactorRequired) {
		return v.WriteProblem(refusal, ui.Within(ui.Bare(v.Actor, title, lead), body))
	} else if err != nil {
		return err
	}
	if title != securityTitle {
		frame.Crumbs = []ui.Link{{Text: securityTitle, Href: op.SecurityRoute}}
	}
	frame.Lead = lead
	frame.Live = ""
	return v.WriteProblem(refusal, ui.Within(ui.Page(frame), body))
}

// securityPage is the page of the reader's second factors. refusal is why a change was
// refused, or nil.
func securityPage(v *web.Visit, refusal *httpx.Problem) error {
	s, err := v.Door.Security(v.R.Context(), v.Actor)
	if err != nil {
		return err
	}
	p := security{Security: s, Refusal: refusal, NoPasskeys: noPasskeys(v), Now: time.Now()}
	if refusal == nil {
		p.Done = securityDone[v.Done()]
	}
	return ownPage(v, refusal, securityTitle, "How you prove that it's you when you sign in.", securityBody(p))
}

// noPasskeys returns why passkeys can't be used here; nil: they can.
func noPasskeys(v *web.Visit) *httpx.Problem {
	if v.Door.NoPasskeys() == nil {
		return nil
	}
	return httpx.NewProblem(op.ProblemNoPasskeys, nil)
}

// notMade shows on page why a change was refused. It returns any other error unchanged.
func notMade(v *web.Visit, err error, page func(*web.Visit, *httpx.Problem) error) error {
	var field *op.FieldError
	if errors.As(err, &field) || errors.Is(err, op.ErrConflict) {
		return page(v, v.Problem(err))
	}
	return err
}

func endOtherSessions(v *web.Visit) error {
	if err := v.Door.EndOtherSessions(v.R.Context(), v.Actor); err != nil {
		return err
	}
	return v.Saved(op.SecurityRoute, "sessions")
}

// securityTitle is the title of the page of the reader's second factors.
const securityTitle = "Security"

// security is the page of the reader's second factors.
type security struct {
	access.Security
	NoPasskeys *httpx.Problem // why they can't be used here; nil: they can
	Refusal    *httpx.Problem
	Done       string
	Now        time.Time
}

// must reports whether the reader must add a second factor before they can continue.
func (p security) must() bool { return len(p.Factors) == 0 && len(p.RequiredBy) > 0 }

func (p security) few() bool { return p.RecoveryCodes <= access.FewRecoveryCodes }

func factorKind(k access.FactorKind) string {
	if k == access.Passkey {
		return "Passkey"
	}
	return "Authenticator app"
}
