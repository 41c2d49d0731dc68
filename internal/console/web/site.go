// Package web is what every page of the console stands on: who visits and what they
// may see, the table of routes, how a page keeps up with what it shows, how forms are
// read, and how errors are answered. It knows no page: features add theirs to a [Site].
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
	"github.com/interlock-dev/interlock/internal/store"
)

// Rooms are what pages ask, and what they change things through.
type Rooms struct {
	Door   *httpx.Door
	Store  *store.Store
	Mirror *mirror.Mirror
	Gate   *gate.Gate
	Flow   *flow.Flow
}

// Config is what a site is made of.
type Config struct {
	Rooms
	Feed    *httpx.Feed    // nil: pages look for changes by themselves only
	Holders *httpx.Holders // of streams; nil: the site's own
	Budgets httpx.Budgets
}

// Intervals are those of streams.
type Intervals struct {
	Pulse    time.Duration // between signs of life for the script
	Beat     time.Duration // between those that a reader sees
	Settle   time.Duration // for which a change waits for others
	Freshest time.Duration // between a change and the first look without one
	Refresh  time.Duration // between two looks without a change, at last
}

// Site is the pages of the console. Features add their routes before it serves.
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

// New returns a site with the one route that belongs to all pages: their stream.
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

// HandleFunc serves what is no page, and stands in no table.
func (s *Site) HandleFunc(pattern string, handle http.HandlerFunc) { s.mux.HandleFunc(pattern, handle) }

// NotFound answers for every address that is not in use.
func (s *Site) NotFound(w http.ResponseWriter, r *http.Request) {
	v := s.visit(w, r, Route{})
	if actor, err := s.Door.Session(r.Context(), httpx.SessionSecret(r)); err == nil {
		v.Actor = actor
	}
	v.refuse(httpx.NotFound())
}

// Piece answers the script of a page with a problem that no route was asked about. The
// answer to a start button stands in that button's place.
func (s *Site) Piece(w http.ResponseWriter, r *http.Request, p *httpx.Problem) {
	r.SetPathValue("operation", path.Base(r.URL.Path)) // of op.StartRoute; elsewhere it does no harm
	s.visit(w, r, Route{}).tellProblem(p)
}

// Changed wakes the streams that show what changed.
func (s *Site) Changed(c op.Change) { s.feed.Changed(c) }

// Looks returns how many looks the open streams share now.
func (s *Site) Looks() int { return s.looks.len() }

func (s *Site) visit(w http.ResponseWriter, r *http.Request, route Route) *Visit {
	return &Visit{Rooms: s.Rooms, site: s, W: w, R: r, Route: route}
}
