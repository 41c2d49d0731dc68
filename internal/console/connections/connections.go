// Package connections holds the pages of connections: the lists, the page of one,
// and the forms that change it.
package connections

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages to the site.
func Serve(s *web.Site) {
	s.Page(web.Route{Path: op.AllConnectionsRoute, Object: web.Workspace, Needs: tenancy.View}, showAll)
	s.Page(web.Route{Path: op.ConnectionsRoute, Object: web.Tenant, Needs: tenancy.View}, showOfTenant)
	s.Page(web.Route{Path: op.ConnectionRoute, Object: web.Tenant, Needs: tenancy.View}, showDetail)
	manage := func(path string) web.Route {
		return web.Route{Path: path, Object: web.Tenant, Needs: tenancy.ManageConnections}
	}
	s.Editor(manage(op.ConnectionNewRoute), showNew, create)
	s.Editor(manage(op.EditConnection.Route()), showEdit, edit)
	s.Editor(manage(op.RotateCredential.Route()), showCredential, rotate)
	serveConsent(s)
	for _, p := range []struct {
		change op.ConnectionChange
		takes  bool // it is destructive
		do     func(context.Context, access.Actor, string, string) (tenancy.Connection, error)
	}{
		{op.EnableConnection, false, s.Store.EnableConnection},
		{op.DefaultConnection, false, s.Store.SetDefaultConnection},
		{op.DisableConnection, true, s.Flow.DisableConnection},
		{op.WithdrawConsent, true, s.Flow.RevokeConsent},
	} {
		r := manage(p.change.Route())
		r.Method = http.MethodPost
		handle := press(p.change, func(ctx context.Context, v *web.Visit, tenant, connection string) (string, error) {
			conn, err := p.do(ctx, v.Actor, tenant, connection)
			return op.ConnectionPath(v.Workspace(), v.Tenant.Tenant.Slug, conn.Slug), err
		})
		if p.takes {
			handle = web.Meant(handle)
		}
		s.Handle(r, handle)
	}
	remove := manage(op.DeleteConnection.Route())
	remove.Method = http.MethodPost
	s.Handle(remove, web.Meant(press(op.DeleteConnection, func(ctx context.Context, v *web.Visit, tenant, connection string) (string, error) {
		return op.ConnectionsPath(v.Workspace(), v.Tenant.Tenant.Slug), s.Flow.DeleteConnection(ctx, v.Actor, tenant, connection)
	})))
}

// told confirms the change that led to a page.
var told = map[op.ConnectionChange]string{
	op.ConnectionNew:     "Connection added. Save a credential, ask for consent, then verify the connection.",
	op.EditConnection:    "Connection changed.",
	op.RotateCredential:  "Credential saved. Verify the connection to try it.",
	op.EnableConnection:  "Connection enabled.",
	op.DefaultConnection: "This is now the tenant's default connection.",
	op.DisableConnection: "Connection disabled.",
	op.WithdrawConsent:   "Consent marked as withdrawn.",
	op.DeleteConnection:  "Connection deleted.",
}

// doneWords confirms the change that led to the page, and says what was tidied up.
func doneWords(v *web.Visit) string {
	said := told[op.ConnectionChange(v.Done())]
	for _, code := range v.R.URL.Query()[tidy] {
		if words := op.Tidied(code).Words(); said != "" && words != "" {
			said += " " + words
		}
	}
	return said
}

// tidied redirects like [web.Visit.Saved], and says what was tidied up in pasted input.
func tidied(v *web.Visit, path, change string, what []op.Tidied) error {
	q := url.Values{web.Done: {change}}
	for _, t := range what {
		q.Add(tidy, string(t))
	}
	return v.GoTo(path + "?" + q.Encode())
}

// tidy is the query parameter that says what was tidied up.
const tidy = "tidied"

// pastedIDs returns what is tidied up in the ids of a form.
func pastedIDs(f url.Values) (what []op.Tidied) {
	for _, name := range []string{"client_id", "directory_id"} {
		_, done := store.Tidy(f.Get(name))
		for _, t := range done {
			if !slices.Contains(what, t) {
				what = append(what, t)
			}
		}
	}
	return what
}

func connectionsLink(v *web.Visit) ui.Link {
	return ui.Link{Text: "Connections", Href: op.ConnectionsPath(v.Workspace(), v.Tenant.Tenant.Slug)}
}

// action is a change made by one button. It returns where to continue.
type action func(ctx context.Context, v *web.Visit, tenant, connection string) (path string, err error)

// press handles a change made by one button. A refusal is shown on the connection's page.
func press(change op.ConnectionChange, do action) func(*web.Visit) error {
	return func(v *web.Visit) error {
		path, err := do(v.R.Context(), v, v.Tenant.Tenant.ID, v.R.PathValue("connection"))
		if err != nil {
			return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) {
				// Starts from this page return to it.
				v.R.URL = &url.URL{Path: op.ConnectionPath(v.Workspace(), v.Tenant.Tenant.Slug, v.R.PathValue("connection"))}
				return detailPage(v, refusal)
			})
		}
		return v.Saved(path, string(change))
	}
}
