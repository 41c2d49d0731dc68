// Package console is the web console: pages, rendered on the server, for the people who
// start operations and follow them. A session cookie identifies the reader; bearer
// tokens are ignored. Every page works without script. With script, answers appear in
// place and open pages update. This package assembles the features, one folder each.
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
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
)

// Deps are the console's dependencies and settings.
type Deps struct {
	Door    *httpx.Door
	Store   *store.Store
	Mirror  *mirror.Mirror
	Plans   *plans.Plans
	Gate    *gate.Gate
	Flow    *flow.Flow
	Feed    *httpx.Feed    // nil: pages refresh on their timers only
	Holders *httpx.Holders // of streams; nil: the console makes its own
	Budgets httpx.Budgets
	Proxies []netip.Prefix
	Demo    func() []DemoUser // users listed on the sign-in page of a demo; nil: this is no demo
	Logger  *slog.Logger      // nil: the default one

	Simulated bool // the provider is a simulator; every page says so
}

// DemoUser is someone who can sign in to a demo.
type DemoUser = people.DemoUser

// Console serves every page. It is safe for concurrent use.
type Console struct {
	http.Handler
	Site *web.Site
}

// New returns the console.
func New(d Deps) *Console {
	site := web.New(web.Config{
		Rooms: web.Rooms{Door: d.Door, Store: d.Store, Mirror: d.Mirror, Plans: d.Plans, Gate: d.Gate, Flow: d.Flow},
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

// policy is the Content-Security-Policy of pages: nothing inline, nothing from other
// origins.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets the headers that only pages need.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		// docs: with no-referrer, browsers send forms with Origin "null", which looks like
		// a form of another site.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// simulated makes every page say that the provider is a simulator.
func simulated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(ui.Simulated(r.Context())))
	})
}
