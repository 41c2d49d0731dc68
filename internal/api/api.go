// Package api is the JSON API of Interlock: the routes below /api/v1, and the OpenAPI
// 3.1 document that is generated from them. Callers authenticate with a bearer secret
// only; cookies are ignored.
package api

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
)

// Deps are the dependencies of the API.
type Deps struct {
	Door    *httpx.Door
	Store   *store.Store
	Mirror  *mirror.Mirror
	Plans   *plans.Plans
	Backups *backup.Backups
	Files   *backup.Files
	Gate    *gate.Gate
	Flow    *flow.Flow
	Feed    *httpx.Feed    // nil: streams only poll for changes
	Holders *httpx.Holders // of streams; nil: the API's own
	Budgets httpx.Budgets
	Proxies []netip.Prefix // whose X-Forwarded-For is trusted
	Logger  *slog.Logger   // nil: the default one
}

// Limits of a request: the body in bytes, and the time from its header to the end of
// the answer.
const (
	maxBody    = 1 << 20
	bodyWithin = time.Minute
)

// API is the handler of everything below /api, and of /healthz and /readyz.
type API struct {
	http.Handler
	routes Routes
}

// Routes returns the table of routes.
func (a *API) Routes() Routes { return a.routes }

// server is what the handlers share.
type server struct {
	door    *httpx.Door
	store   *store.Store
	mirror  *mirror.Mirror
	plans   *plans.Plans
	backups *backup.Backups
	files   *backup.Files
	gate    *gate.Gate
	flow    *flow.Flow
	feed    *httpx.Feed
	budgets httpx.Budgets

	holders *httpx.Holders
	streams *httpx.Streams

	mux    *http.ServeMux
	huma   huma.API
	routes Routes

	// Turns, which bound the memory that requests about whole backups take.
	reading, comparing chan struct{}

	// Intervals of event streams.
	beat   time.Duration // between keep-alive comments
	poll   time.Duration // between checks when nothing tells of a change
	settle time.Duration // between two checks, at least
}

// New returns the API.
func New(d Deps) *API {
	s := newServer(d)
	front := httpx.Front{Logger: d.Logger, Proxies: d.Proxies, Requests: d.Budgets.Requests}
	return &API{Handler: front.Wrap(s.mux), routes: s.routes}
}

func newServer(d Deps) *server {
	s := &server{
		door: d.Door, store: d.Store, mirror: d.Mirror, plans: d.Plans, backups: d.Backups, files: d.Files, gate: d.Gate, flow: d.Flow, feed: d.Feed, mux: http.NewServeMux(), budgets: d.Budgets,
		reading: make(chan struct{}, 1), comparing: make(chan struct{}, 2), streams: d.Budgets.Streams, holders: d.Holders,
		beat: 15 * time.Second, poll: 30 * time.Second, settle: 200 * time.Millisecond,
	}
	if s.feed == nil {
		s.feed = &httpx.Feed{}
	}
	if s.holders == nil {
		s.holders = httpx.NewHolders(s.door, s.feed)
	}
	s.huma = humago.New(s.mux, document())
	s.serveSelf()
	s.serveStarts()
	s.serveTenants()
	s.serveConnections()
	s.serveData()
	s.servePlans()
	s.serveBackups()
	s.serveBackupFiles()
	s.serveRuns()
	s.serveAttempts()
	s.serveNotifications()
	s.serveMembers()
	s.serveInvitations()
	s.serveSecurity()
	s.serveAudit()
	s.close()
	s.mux.Handle("GET "+Base+"/openapi.json", s.document())
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, "alive\n") })
	s.mux.Handle("GET /readyz", httpx.Handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := s.door.Ready(r.Context()); err != nil {
			return err
		}
		plain(w, "ready\n")
		return nil
	}))
	return s
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client is gone
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T     `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"Cursor of the next page; null on the last one."`
}

// list is the answer of a route that lists.
type list[T any] struct{ Body Page[T] }

func page[T any](items []T, next string) *list[T] {
	if items == nil {
		items = []T{}
	}
	l := &list[T]{Body: Page[T]{Items: items}}
	if next != "" {
		l.Body.Next = &next
	}
	return l
}

// Paging is the input of a route that lists.
type Paging struct {
	Cursor string `query:"cursor" doc:"The value of next from the previous page."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

// one is the answer of a route that returns one thing.
type one[T any] struct{ Body T }

// none is the input of a route that takes nothing, and the answer of one that returns
// nothing.
type none struct{}

// each applies f to all of list.
func each[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
