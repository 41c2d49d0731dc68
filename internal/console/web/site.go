// Package web holds what every page of the console needs: the visitor and their access,
// the table of routes, streams, forms, and the answers to errors. It knows no page:
// features add theirs to a [Site].
package web

import (
	"net/http"
	"path"
	"time"

	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
)

// Rooms are the packages that pages read from and write through.
type Rooms struct {
	Door   *httpx.Door
	Store  *store.Store
	Mirror *mirror.Mirror
	Plans  *plans.Plans
	Gate   *gate.Gate
	Flow   *flow.Flow
}

// Config is the configuration of a site.
type Config struct {
	Rooms
	Feed    *httpx.Feed    // nil: pages refresh on their timers only
	Holders *httpx.Holders // of streams; nil: the site makes its own
	Budgets httpx.Budgets
}

// Intervals are the timings of streams.
type Intervals struct {
	Pulse    time.Duration // between heartbeats for the script
	Beat     time.Duration // between updates of the "Live" line
	Settle   time.Duration // how long a change waits for others to join it
	Freshest time.Duration // from a change to the first look without one
	Refresh  time.Duration // longest time between two looks without a change
}

// Site serves the pages of the console. Features add their routes before it serves; then
// it is safe for concurrent use.
type Site struct {
	Rooms
	Intervals Intervals
	Holders   *httpx.Holders

	feed    *httpx.Feed
	budgets httpx.Budgets
	looks   looks
	mux     *http.ServeMux
	routes  Routes
}

// New returns a site with one route, the stream that all pages use.
func New(c Config) *Site {
	s := &Site{
		Rooms: c.Rooms, Holders: c.Holders, feed: c.Feed, budgets: c.Budgets, mux: http.NewServeMux(),
		Intervals: Intervals{Pulse: 2 * time.Second, Beat: 15 * time.Second, Settle: 500 * time.Millisecond, Freshest: 5 * time.Second, Refresh: 2 * time.Minute},
	}
	if s.feed == nil {
		s.feed = &httpx.Feed{}
	}
	if s.Holders == nil {
		s.Holders = httpx.NewHolders(s.Door, s.feed)
	}
	s.serveLive()
	s.mux.HandleFunc("/", s.NotFound)
	return s
}

// ServeHTTP answers with a page.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Routes returns the table of routes.
func (s *Site) Routes() Routes { return s.routes }

// HandleFunc adds a handler that is no page and has no row in the table of routes.
func (s *Site) HandleFunc(pattern string, handle http.HandlerFunc) { s.mux.HandleFunc(pattern, handle) }

// NotFound answers with the page for an address that doesn't exist.
func (s *Site) NotFound(w http.ResponseWriter, r *http.Request) {
	v := s.visit(w, r, Route{})
	if actor, err := s.Door.Session(r.Context(), httpx.SessionSecret(r)); err == nil {
		v.Actor = actor
	}
	v.refuse(httpx.NotFound())
}

// Piece answers a request by script with a problem found before routing. For a start
// button, the answer goes where that button's answers go.
func (s *Site) Piece(w http.ResponseWriter, r *http.Request, p *httpx.Problem) {
	r.SetPathValue("operation", path.Base(r.URL.Path)) // as in op.StartRoute; other routes ignore it
	s.visit(w, r, Route{}).tellProblem(p)
}

// Changed wakes the streams that show what changed.
func (s *Site) Changed(c op.Change) { s.feed.Changed(c) }

// Looks returns how many looks the open streams share.
func (s *Site) Looks() int { return s.looks.len() }

func (s *Site) visit(w http.ResponseWriter, r *http.Request, route Route) *Visit {
	return &Visit{Rooms: s.Rooms, site: s, W: w, R: r, Route: route}
}
