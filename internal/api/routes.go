package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Base is the path below which all routes lie.
const Base = "/api/v1"

// Route is one row of the table of routes: what it is, and who may use it. There
// is no other way to serve an operation of the API, and nobody comes past the
// row: see [server.admit].
type Route struct {
	ID      string // operation id in the document
	Method  string
	Path    string // below [Base]
	Object  Object
	Needs   tenancy.Capability // empty: none beyond seeing the object
	Summary string             // one line for the document
	Success int                // HTTP status of a success; 0: 200

	// Conflicts says that the state of the object may refuse the request: 409.
	Conflicts bool
	// Link says that a one-time link lets in, which may be no good: 404.
	Link bool
	// Stream says that the answer goes on. A program that reads it comes back by
	// itself, so that asking for it is no use of its session.
	Stream bool
}

// Routes is the table of routes.
type Routes []Route

// Object is what a route is about. Who may not see it gets a 404.
type Object string

// The objects of routes.
const (
	Public     Object = "public"     // no sign-in is asked
	Self       Object = "self"       // who asks
	Workspace  Object = "workspace"  // the workspace of who asks, and lists over what they see in it
	Tenant     Object = "tenant"     // {tenant}: id or slug
	Connection Object = "connection" // {connection}, id or slug, of {tenant}
	Run        Object = "run"        // {run}: id or code
	Attempt    Object = "attempt"    // {attempt}: id
)

// ByOperation stands for the capability that the operation in the request names.
const ByOperation tenancy.Capability = "(of the operation)"

// Pattern returns method and path as the router has them.
func (r Route) Pattern() string { return r.Method + " " + Base + r.Path }

// asksFresh reports whether the route asks for a fresh sign-in.
func (r Route) asksFresh() bool {
	return r.Method != http.MethodGet && r.Object != Public && access.AsksFresh(r.Needs, r.Path)
}

// serve puts a row into the table and its handler behind it.
func serve[I, O any](s *server, r Route, handle func(context.Context, *I) (*O, error)) {
	s.routes = append(s.routes, r)
	o := huma.Operation{
		OperationID:   r.ID,
		Method:        r.Method,
		Path:          Base + r.Path,
		Summary:       r.Summary,
		Tags:          []string{strings.Split(r.Path, "/")[1]},
		DefaultStatus: r.Success,
		Responses:     r.refusals(),
		Middlewares:   huma.Middlewares{s.admit(r), strict(takesBody[I]())},
		MaxBodyBytes:  maxBody,
		// The framework's own limit of 5 s goes on when the body has arrived, and takes
		// the context of whatever waits longer than that, as for a locked database.
		BodyReadTimeout: bodyWithin,
	}
	if r.Object != Public {
		o.Security = []map[string][]string{{bearer: {}}}
	}
	switch r.Needs {
	case "":
	case ByOperation:
		o.Description = "Needs the capability of the operation."
	default:
		o.Description = "Needs the capability “" + r.Needs.Words() + "” (`" + string(r.Needs) + "`)."
	}
	if r.asksFresh() {
		o.Description = strings.TrimSpace(o.Description + " Needs a session with a sign-in from the last 15 minutes; see confirm-session. API tokens can't do this.")
	}
	huma.Register(s.huma, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, refuse(ctx, err)
		}
		return out, nil
	})
}

// refusals are the problems that a route may answer with.
func (r Route) refusals() map[string]*huma.Response {
	codes := []int{
		http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if r.Object != Public {
		codes = append(codes, http.StatusForbidden, http.StatusNotFound)
	}
	if r.Link {
		codes = append(codes, http.StatusNotFound)
	}
	if r.Method == http.MethodGet {
		codes = append(codes, http.StatusBadRequest)
	} else {
		codes = append(codes, http.StatusRequestEntityTooLarge)
	}
	if r.Conflicts {
		codes = append(codes, http.StatusConflict)
	}
	answers := make(map[string]*huma.Response, len(codes))
	for _, code := range codes {
		answers[strconv.Itoa(code)] = problemResponse(code)
	}
	return answers
}

func problemResponse(code int) *huma.Response {
	return &huma.Response{
		Description: http.StatusText(code),
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
	}
}

// close answers what the table has no row for: 404 for a path, and 405 for a
// method of a path, to those who may see the object there.
func (s *server) close() {
	byPath := make(map[string][]Route)
	for _, r := range s.routes {
		byPath[r.Path] = append(byPath[r.Path], r)
	}
	for path, rows := range byPath {
		var allow []string
		for _, r := range rows {
			allow = append(allow, r.Method)
			if r.Method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
		slices.Sort(allow)
		see := Route{Path: path, Object: rows[0].Object}
		s.mux.Handle(Base+path, httpx.Handler(func(w http.ResponseWriter, r *http.Request) error {
			if _, err := s.enter(r, see); err != nil {
				return err
			}
			return httpx.MethodNotAllowed(allow...)
		}))
	}
	s.mux.Handle("/api/", httpx.Handler(func(_ http.ResponseWriter, r *http.Request) error {
		if _, err := s.enter(r, Route{Object: Self}); err != nil {
			return err
		}
		return httpx.NotFound()
	}))
}
