package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Base is the path prefix of all routes.
const Base = "/api/v1"

// Route is one row of the table of routes: what it is, and who may use it. Every
// operation of the API has a row, and every request passes its checks: see
// [server.admit].
type Route struct {
	ID      string // operation id in the document
	Method  string
	Path    string // below [Base]
	Object  Object
	Needs   tenancy.Capability // empty: only the right to see the object
	Summary string             // one line for the document
	Success int                // HTTP status of a success; 0: 200

	// Conflicts means that the state of the object may refuse the request: 409.
	Conflicts bool
	// Link means that a one-time link authorizes the request; a link that is no good is
	// a 404.
	Link bool
	// Stream means that the answer does not end. Programs reconnect by themselves, so a
	// request does not count as use of its session.
	Stream bool
	// Upload means that the body is a zip file of at most [archive.MaxUpload] bytes.
	Upload bool
	// File is the media type of an answer that is a file; empty: it is JSON.
	File string
}

// Routes is the table of routes.
type Routes []Route

// Object is what a route is about. Callers who may not see it get a 404.
type Object string

// The objects of routes.
const (
	Public     Object = "public"     // needs no sign-in
	Self       Object = "self"       // the caller
	Workspace  Object = "workspace"  // the caller's workspace, and lists of what they see in it
	Tenant     Object = "tenant"     // {tenant}: id or slug
	Connection Object = "connection" // {connection}, id or slug, of {tenant}
	Run        Object = "run"        // {run}: id or code
	Attempt    Object = "attempt"    // {attempt}: id
)

// ByOperation stands for the capability of the operation in the request.
const ByOperation tenancy.Capability = "(of the operation)"

// Pattern returns method and path as the router takes them.
func (r Route) Pattern() string { return r.Method + " " + Base + r.Path }

// asksFresh reports whether the route asks for a fresh sign-in.
func (r Route) asksFresh() bool {
	return r.Method != http.MethodGet && r.Object != Public && access.AsksFresh(r.Needs, r.Path)
}

// serve adds a row to the table and registers its handler.
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
		Middlewares:   huma.Middlewares{s.admit(r)},
		MaxBodyBytes:  maxBody,
		// The framework's own limit of 5 s continues after the body has arrived, and
		// cancels the context of whatever takes longer, such as a wait for a locked
		// database.
		BodyReadTimeout: bodyWithin,
	}
	if r.Upload {
		o.Middlewares = append(o.Middlewares, s.spool)
		o.RequestBody = &huma.RequestBody{
			Required: true, Content: map[string]*huma.MediaType{zipType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
			Description: "At most " + strconv.Itoa(archive.MaxUpload>>20) + " MiB.",
		}
	} else {
		o.Middlewares = append(o.Middlewares, strict(takesBody[I]()))
	}
	if r.File != "" {
		o.Responses[strconv.Itoa(http.StatusOK)] = &huma.Response{
			Description: "The file", Content: map[string]*huma.MediaType{r.File: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		}
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

// refusals returns the problems that a route may answer with.
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

// close answers requests that have no row: 404 for an unknown path, and 405 for another
// method of a known path, to callers who may see its object.
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
