package connections

import (
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func serveConsent(s *web.Site) {
	s.Editor(web.Route{Path: op.AskConsent.Route(), Object: web.Tenant, Needs: tenancy.ManageConnections}, showConsent, askConsent)
	s.Handle(web.Route{Method: http.MethodGet, Path: op.ConsentRoute, Object: web.Public}, consentAnswered)
}

func showConsent(v *web.Visit) (web.Page, error) { return consentPage(v, "") }

// consentPage is the page on which consent is asked for; address is where it is given,
// or empty.
func consentPage(v *web.Visit, address string) (web.Page, error) {
	frame, p, err := begin(v, "Admin consent")
	if err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: consentBody(p, address)}, nil
}

// askConsent answers with a page that has the link. The link proves the request,
// so that it is shown this once and is at no address of ours.
func askConsent(v *web.Visit) error {
	address, err := v.Store.BeginConsent(v.R.Context(), v.Actor, v.Tenant.Tenant.ID, v.R.PathValue("connection"))
	if err != nil {
		return err
	}
	p, err := consentPage(v, address)
	if err != nil {
		return err
	}
	return v.ShowOnce(http.StatusOK, p)
}

// consentAnswered is where the provider sends an administrator back to. docs: the
// v2.0 admin consent endpoint answers with tenant and state, or with error.
func consentAnswered(v *web.Visit) error {
	q := v.R.URL.Query()
	problem, said := q.Get("error"), q.Get("error_description")
	if problem != "" {
		problem = op.ConsentProblem(problem, said)
	}
	to, err := v.Store.CompleteConsent(v.R.Context(), q.Get("state"), q.Get("tenant"), problem)
	if err == nil {
		v.Changed(op.Change{}) // whose connection it is, nobody who asks is told
	}
	var foreign *op.FieldError
	answer := op.ConsentGiven()
	switch {
	case errors.Is(err, op.ErrNotFound): // the same as for every address that is not in use
		v.NotFound()
		return nil
	case errors.As(err, &foreign):
		answer = op.ConsentElsewhere()
	case errors.Is(err, op.ErrConflict):
		answer = op.ConsentRefused(q.Get("error"), said, time.Now())
	case err != nil:
		return err
	}
	back := ui.Link{Text: "Open connection", Href: op.ConnectionPath(to.Workspace, to.Tenant, to.Connection)}
	return v.Write(http.StatusOK, consentAnswer(answer, back))
}
