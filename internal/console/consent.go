package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveConsent() {
	c.editor(Route{Path: op.AskConsent.Route(), Object: Tenant, Needs: tenancy.ManageConnections}, c.consentPage, c.askConsent)
	c.serve(Route{Method: http.MethodGet, Path: op.ConsentRoute, Object: Public}, c.consentAnswered)
}

func (c *Console) consentPage(v *visit) (page, error) { return c.consent(v, "") }

// consent is the page on which consent is asked for; address is where it is given,
// or empty.
func (c *Console) consent(v *visit, address string) (page, error) {
	frame, p, err := v.connectionPage("Admin consent")
	if err != nil {
		return page{}, err
	}
	return page{frame: frame, body: view.ConsentPage(p, address)}, nil
}

// askConsent answers with a page that has the link. The link proves the request,
// so that it is shown this once and is at no address of ours.
func (c *Console) askConsent(v *visit) error {
	address, err := c.store.BeginConsent(v.r.Context(), v.actor, v.tenant.Tenant.ID, v.r.PathValue("connection"))
	if err != nil {
		return err
	}
	p, err := c.consent(v, address)
	if err != nil {
		return err
	}
	return v.showOnce(http.StatusOK, p)
}

// consentAnswered is where the provider sends an administrator back to. docs: the
// v2.0 admin consent endpoint answers with tenant and state, or with error.
func (c *Console) consentAnswered(v *visit) error {
	q := v.r.URL.Query()
	problem, said := q.Get("error"), q.Get("error_description")
	if problem != "" {
		problem = op.ConsentProblem(problem, said)
	}
	to, err := c.store.CompleteConsent(v.r.Context(), q.Get("state"), q.Get("tenant"), problem)
	if err == nil {
		c.feed.Changed(op.Change{}) // whose connection it is, nobody who asks is told
	}
	var foreign *op.FieldError
	answer := op.ConsentGiven()
	switch {
	case errors.Is(err, op.ErrNotFound): // the same as for every address that is not in use
		c.notFound(v.w, v.r)
		return nil
	case errors.As(err, &foreign):
		answer = op.ConsentElsewhere()
	case errors.Is(err, op.ErrConflict):
		answer = op.ConsentRefused(q.Get("error"), said, time.Now())
	case err != nil:
		return err
	}
	back := view.Link{Text: "Open connection", Href: op.ConnectionPath(to.Workspace, to.Tenant, to.Connection)}
	return v.write(http.StatusOK, view.ConsentAnswer(answer, back))
}
