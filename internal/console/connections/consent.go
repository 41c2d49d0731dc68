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

// consentPage is the page that asks for consent. address is the consent link, or empty.
func consentPage(v *web.Visit, address string) (web.Page, error) {
	frame, p, err := begin(v, "Admin consent")
	if err != nil {
		return web.Page{}, err
	}
	return web.Page{Frame: frame, Body: consentBody(p, address)}, nil
}

// askConsent shows the consent link. The link is a secret: the page that shows it has no
// address.
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

// consentAnswered handles the redirect from the provider's consent page. docs: the v2.0
// admin consent endpoint redirects with tenant and state, or with error.
func consentAnswered(v *web.Visit) error {
	q := v.R.URL.Query()
	problem, said := q.Get("error"), q.Get("error_description")
	if problem != "" {
		problem = op.ConsentProblem(problem, said)
	}
	to, err := v.Store.CompleteConsent(v.R.Context(), q.Get("state"), q.Get("tenant"), problem)
	if err == nil {
		v.Changed(op.Change{}) // the visitor must not learn whose connection it is
	}
	var foreign *op.FieldError
	answer := op.ConsentGiven()
	switch {
	case errors.Is(err, op.ErrNotFound): // the same page as for an address that doesn't exist
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
