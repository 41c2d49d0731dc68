package console

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveSecurity() {
	own := func(method, path string, handle func(*visit) error) {
		c.serve(Route{Method: method, Path: path, Object: Self}, func(v *visit) error {
			if !v.reads() {
				if err := v.form(); err != nil {
					return err
				}
			}
			return handle(v)
		})
	}
	own(http.MethodGet, op.SecurityRoute, func(v *visit) error { return c.security(v, nil) })
	own(http.MethodPost, op.AuthenticatorRoute, c.beginAuthenticator)
	own(http.MethodGet, op.AuthenticatorRoute, func(v *visit) error { return c.authenticator(v, nil) })
	own(http.MethodPost, op.AuthenticatorConfirmRoute, c.confirmAuthenticator)
	own(http.MethodPost, op.PasskeysRoute, func(v *visit) error { return c.newPasskey(v, nil) })
	own(http.MethodPost, op.PasskeysAddRoute, c.addPasskey)
	own(http.MethodPost, op.RecoveryCodesRoute, meant(c.newRecoveryCodes))
	own(http.MethodPost, op.FactorRenameRoute, c.renameFactor)
	own(http.MethodPost, op.FactorRemoveRoute, meant(c.removeFactor))
	own(http.MethodPost, op.SessionsEndRoute, meant(c.endOtherSessions))
	c.editor(Route{Path: op.PolicyRoute, Object: Workspace, Needs: tenancy.ManageMembers}, c.policy, c.setPolicy)
}

// securityDone tells of the change that led to the page.
var securityDone = map[string]string{
	"add":      "Second factor added. Your other sessions have ended.",
	"rename":   "Second factor renamed.",
	"remove":   "Second factor removed. Your other sessions have ended.",
	"sessions": "Your other sessions have ended.",
}

// ownPage answers with a page of the person's own, which no workspace is needed for.
func (v *visit) ownPage(status int, title, lead string, body templ.Component) error {
	frame, err := v.frame(title, "")
	if errors.Is(err, access.ErrFactorRequired) {
		return v.write(status, within(view.Bare(v.actor, title, lead), body))
	} else if err != nil {
		return err
	}
	if title != view.SecurityTitle {
		frame.Crumbs = []view.Link{{Text: view.SecurityTitle, Href: op.SecurityRoute}}
	}
	frame.Lead = lead
	frame.Live = ""
	return v.write(status, within(view.Page(frame), body))
}

// security is the page of what the person proves beside a password; refusal is why
// a change was not made, or nil.
func (c *Console) security(v *visit, refusal *httpx.Problem) error {
	s, err := c.door.Security(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	p := view.SecurityPage{Security: s, Refusal: refusal, NoPasskeys: c.noPasskeys(), Now: time.Now()}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
	} else {
		p.Done = securityDone[v.r.URL.Query().Get(done)]
	}
	return v.ownPage(status, view.SecurityTitle, "How you prove that it's you when you sign in.", view.Security(p))
}

// noPasskeys says why there are no passkeys here; nil: there are.
func (c *Console) noPasskeys() *httpx.Problem {
	if c.door.NoPasskeys() == nil {
		return nil
	}
	return httpx.NewProblem(op.ProblemNoPasskeys, nil)
}

// notMade answers a change of factors that was not made, on the page.
func (c *Console) notMade(v *visit, err error, page func(*visit, *httpx.Problem) error) error {
	var field *op.FieldError
	if errors.As(err, &field) || errors.Is(err, op.ErrConflict) {
		return page(v, v.problem(err))
	}
	return err
}

func (c *Console) beginAuthenticator(v *visit) error {
	if _, err := c.door.BeginTOTP(v.r.Context(), v.actor); err != nil {
		return err
	}
	return v.goTo(op.AuthenticatorRoute)
}

// authenticator is the page of an app that waits for its first code.
func (c *Console) authenticator(v *visit, refusal *httpx.Problem) error {
	e, err := c.door.WaitingTOTP(v.r.Context(), v.actor)
	if errors.Is(err, op.ErrNotFound) || errors.Is(err, access.ErrNotFresh) { // begin again
		return v.goTo(op.SecurityRoute)
	} else if err != nil {
		return err
	}
	form := view.Form{Action: op.AuthenticatorConfirmRoute, Fields: view.AuthenticatorFields(), Refusal: refusal, Values: v.r.PostForm}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
	} else {
		form.Values = url.Values{"name": {"Authenticator app"}}
	}
	return v.ownPage(status, "Add an authenticator app", "", view.Authenticator(e, form))
}

func (c *Console) confirmAuthenticator(v *visit) error {
	f := v.r.PostForm
	codes, err := c.door.FinishTOTP(v.r.Context(), v.actor, f.Get("name"), f.Get("code"))
	if err != nil {
		return c.notMade(v, err, c.authenticator)
	}
	return c.added(v, codes)
}

// added answers a new factor: the first one with recovery codes, at no address.
func (c *Console) added(v *visit, codes []string) error {
	if codes == nil {
		return v.changed(op.SecurityRoute, "add")
	}
	return v.ownPage(http.StatusOK, "Save your recovery codes", securityDone["add"], view.RecoveryCodes(codes))
}

// newPasskey is the page on which the browser is asked for a passkey.
func (c *Console) newPasskey(v *visit, refusal *httpx.Problem) error {
	options, err := c.door.BeginPasskey(v.r.Context(), v.actor)
	if err != nil {
		return err
	}
	form := view.Form{Action: op.PasskeysAddRoute, Fields: view.PasskeyFields(), Refusal: refusal, Values: v.r.PostForm}
	if !form.Values.Has("name") {
		form.Values = url.Values{"name": {device(v.r.Header)}}
	}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Status
	}
	return v.ownPage(status, "Add a passkey", "", view.NewPasskey(string(options), form))
}

func (c *Console) addPasskey(v *visit) error {
	f := v.r.PostForm
	codes, err := c.door.FinishPasskey(v.r.Context(), v.actor, f.Get("name"), f.Get("passkey"))
	if err != nil {
		return c.notMade(v, err, c.newPasskey)
	}
	return c.added(v, codes)
}

func (c *Console) newRecoveryCodes(v *visit) error {
	codes, err := c.door.NewRecoveryCodes(v.r.Context(), v.actor)
	if err != nil {
		return c.notMade(v, err, c.security)
	}
	return v.ownPage(http.StatusOK, "Save your recovery codes", "Your earlier codes don't work any more.", view.RecoveryCodes(codes))
}

func (c *Console) renameFactor(v *visit) error {
	if err := c.door.RenameFactor(v.r.Context(), v.actor, v.r.PathValue("factor"), v.r.PostForm.Get("name")); err != nil {
		return c.notMade(v, err, c.security)
	}
	return v.changed(op.SecurityRoute, "rename")
}

func (c *Console) removeFactor(v *visit) error {
	if err := c.door.RemoveFactor(v.r.Context(), v.actor, v.r.PathValue("factor")); err != nil {
		return c.notMade(v, err, c.security)
	}
	return v.changed(op.SecurityRoute, "remove")
}

func (c *Console) endOtherSessions(v *visit) error {
	if err := c.door.EndOtherSessions(v.r.Context(), v.actor); err != nil {
		return err
	}
	return v.changed(op.SecurityRoute, "sessions")
}

func (c *Console) policy(v *visit) (page, error) { return c.policyPage(v, nil) }

// policyPage is the page of what the workspace requires of its members.
func (c *Console) policyPage(v *visit, refusal *httpx.Problem) (page, error) {
	frame, err := v.frame("Policy", view.Policy)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	frame.Lead = "What " + v.actor.WorkspaceName() + " requires of its members."
	p, err := c.door.Policy(v.r.Context(), v.actor)
	if err != nil {
		return page{}, err
	}
	changed := ""
	if v.r.URL.Query().Has(done) && refusal == nil {
		changed = "Policy changed."
	}
	return page{frame: frame, body: view.PolicyPage(v.workspace(), p, changed, refusal)}, nil
}

func (c *Console) setPolicy(v *visit) error {
	required := v.r.PostForm.Get("second_factor")
	if required != "true" && required != "false" {
		return badForm("second_factor", "must be true or false")
	}
	if err := c.door.SetPolicy(v.r.Context(), v.actor, access.Policy{SecondFactor: required == "true"}); err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.policyPage(v, refusal) })
	}
	return v.changed(op.PolicyPath(v.workspace()), "policy")
}
