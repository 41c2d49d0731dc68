// Package console is the web console: pages rendered on the server for the people
// who start operations, and watch what becomes of them. A browser proves its
// person by the cookie of a session; bearer secrets are never looked at. Every
// page is whole without script; with it answers appear in place and pages live.
package console

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/store"
)

// Deps are what the console stands on.
type Deps struct {
	Door    *httpx.Door
	Store   *store.Store
	Gate    *gate.Gate
	Feed    *httpx.Feed    // nil: pages look for changes by themselves only
	Holders *httpx.Holders // of streams; nil: the console's own
	Budgets httpx.Budgets
	Proxies []netip.Prefix
	Demo    func() []view.DemoUser // who can sign in to a demo; nil: it is none
	Logger  *slog.Logger           // nil: the default one

	Simulated bool // a simulator stands in for the provider, which every page says
}

// maxForm is the limit of a form, in bytes.
const maxForm = 64 << 10

// Console is the handler of every page.
type Console struct {
	http.Handler
	door   *httpx.Door
	store  *store.Store
	gate   *gate.Gate
	feed   *httpx.Feed
	starts *httpx.Budget // nil: no limit

	holders *httpx.Holders
	streams *httpx.Streams
	looks   looks

	demo func() []view.DemoUser

	mux    *http.ServeMux
	routes Routes

	// Intervals of streams.
	pulse    time.Duration // between signs of life for the script
	beat     time.Duration // between those that a reader sees
	settle   time.Duration // for which a change waits for others
	freshest time.Duration // between a change and the first look without one
	refresh  time.Duration // between two looks without a change, at last
}

// New returns the console.
func New(d Deps) *Console {
	c := &Console{
		door: d.Door, store: d.Store, gate: d.Gate, feed: d.Feed, demo: d.Demo, mux: http.NewServeMux(), starts: d.Budgets.Starts,
		streams: d.Budgets.Streams, holders: d.Holders,
		pulse: 2 * time.Second, beat: 15 * time.Second, settle: 500 * time.Millisecond, freshest: 5 * time.Second, refresh: 2 * time.Minute,
	}
	if c.feed == nil {
		c.feed = &httpx.Feed{}
	}
	if c.holders == nil {
		c.holders = httpx.NewHolders(c.door, c.feed)
	}
	if c.demo == nil {
		c.demo = func() []view.DemoUser { return nil }
	}
	c.serveSessions()
	c.serveTenants()
	c.serveRuns()
	c.serveNotifications()
	c.serveConnections()
	c.serveGroups()
	c.serveAttempts()
	c.serveInventory()
	c.serveSettings()
	c.serveTokens()
	c.serveMembers()
	c.serveAccount()
	c.serveLinks()
	c.serveSecurity()
	c.serveLive()
	c.mux.HandleFunc(assets.Pattern, func(w http.ResponseWriter, r *http.Request) {
		if !assets.Serve(w, r) {
			c.notFound(w, r)
		}
	})
	c.mux.HandleFunc("/", c.notFound)
	pages := guarded(c.mux)
	if d.Simulated {
		pages = simulated(pages)
	}
	c.Handler = httpx.Front{Logger: d.Logger, Proxies: d.Proxies, Requests: d.Budgets.Requests}.Wrap(pages)
	return c
}

// Routes returns the table of routes.
func (c *Console) Routes() Routes { return c.routes }

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
		next.ServeHTTP(w, r.WithContext(view.Simulated(r.Context())))
	})
}

// notFound answers for every address that is not in use.
func (c *Console) notFound(w http.ResponseWriter, r *http.Request) {
	v := &visit{console: c, w: w, r: r}
	if actor, err := c.door.Session(r.Context(), httpx.SessionSecret(r)); err == nil {
		v.actor = actor
	}
	v.refuse(httpx.NotFound())
}

// write answers with a component. It is rendered first, so that a page is whole
// or a fault.
func (v *visit) write(status int, content templ.Component) error {
	var b bytes.Buffer
	if err := content.Render(v.r.Context(), &b); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes()) // the client is gone
	return nil
}

// goTo answers that what was asked for is elsewhere, and to be got from there.
func (v *visit) goTo(path string) error {
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// htmx reports whether the request is for a piece of a page.
func (v *visit) htmx() bool { return v.r.Header.Get("HX-Request") == "true" }

// form reads the form of the request.
func (v *visit) form() error { return v.formUpTo(maxForm) }

// recovered turns a panic of a handler into an error, which has a page and is logged.
func recovered(err *error) {
	fault := recover()
	if fault == nil {
		return
	}
	if e, ok := fault.(error); ok && errors.Is(e, http.ErrAbortHandler) {
		panic(fault)
	}
	*err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
}
