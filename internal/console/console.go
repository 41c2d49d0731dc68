// Package console is the web console: pages rendered on the server for the people
// who start operations, and watch what becomes of them. A browser proves its
// person by the cookie of a session; bearer secrets are never looked at. Every
// page is whole without script; with it answers appear in place and pages live.
// Here the site is put together of its features, one folder each.
package console

import (
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/console/attempts"
	"github.com/interlock-dev/interlock/internal/console/connections"
	"github.com/interlock-dev/interlock/internal/console/data"
	"github.com/interlock-dev/interlock/internal/console/notifications"
	"github.com/interlock-dev/interlock/internal/console/people"
	"github.com/interlock-dev/interlock/internal/console/runs"
	"github.com/interlock-dev/interlock/internal/console/tenants"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/store"
)

// Deps are what the console stands on.
type Deps struct {
	Door    *httpx.Door
	Store   *store.Store
	Mirror  *mirror.Mirror
	Gate    *gate.Gate
	Flow    *flow.Flow
	Feed    *httpx.Feed    // nil: pages look for changes by themselves only
	Holders *httpx.Holders // of streams; nil: the console's own
	Budgets httpx.Budgets
	Proxies []netip.Prefix
	Demo    func() []DemoUser // who can sign in to a demo; nil: it is none
	Logger  *slog.Logger      // nil: the default one

	Simulated bool // a simulator stands in for the provider, which every page says
}

// DemoUser is someone who can sign in to a demo.
type DemoUser = people.DemoUser

// Console is the handler of every page.
type Console struct {
	http.Handler
	Site *web.Site // what the pages are routes of
}

// New returns the console.
func New(d Deps) *Console {
	site := web.New(web.Config{
		Rooms: web.Rooms{Door: d.Door, Store: d.Store, Mirror: d.Mirror, Gate: d.Gate, Flow: d.Flow},
		Feed:  d.Feed, Holders: d.Holders, Budgets: d.Budgets,
	})
	people.Serve(site, d.Demo)
	tenants.Serve(site)
	connections.Serve(site)
	data.Serve(site)
	runs.Serve(site)
	attempts.Serve(site)
	notifications.Serve(site)
	site.HandleFunc(assets.Pattern, func(w http.ResponseWriter, r *http.Request) {
		if !assets.Serve(w, r) {
			site.NotFound(w, r)
		}
	})
	pages := guarded(site)
	if d.Simulated {
		pages = simulated(pages)
	}
	return &Console{Site: site, Handler: httpx.Front{Logger: d.Logger, Proxies: d.Proxies, Requests: d.Budgets.Requests, Piece: site.Piece}.Wrap(pages)}
}

// Routes returns the table of routes.
func (c *Console) Routes() web.Routes { return c.Site.Routes() }

// policy is what pages may load and do: nothing inline, nothing from elsewhere.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets what every answer of the console has beyond those of other surfaces.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		// docs: with no-referrer browsers send forms with the origin "null", which
		// can't be told from another site's.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// simulated makes every page say that a simulator stands in for the provider.
func simulated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(ui.Simulated(r.Context())))
	})
}
