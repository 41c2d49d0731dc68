package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Route is one row of the table of routes: its object, and what it needs. Every request
// is checked against its row before its handler runs.
type Route struct {
	Method string
	Path   string // pattern
	Object Object
	Needs  tenancy.Capability // empty: a sign-in is enough
	Own    bool               // it shows or changes only what is the reader's own
}

// Routes is the table of routes.
type Routes []Route

// Object is what a route is about. A reader without access to it gets the same 404 page
// as for an address that doesn't exist.
type Object string

// The objects of routes.
const (
	Public    Object = "public"    // no sign-in needed
	Self      Object = "self"      // the reader, in any workspace
	Workspace Object = "workspace" // {workspace}, or a list of what the reader sees in it
	Tenant    Object = "tenant"    // {tenant}: id or slug
	Run       Object = "run"       // {run}: id or code
)

// ByOperation stands for the capability of the {operation} in the path.
const ByOperation tenancy.Capability = "(of the operation)"

// Pattern returns the route as a pattern of [http.ServeMux].
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// Handle adds a route and its handler.
func (s *Site) Handle(r Route, handle func(*Visit) error) {
	s.routes = append(s.routes, r)
	s.mux.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) {
		v := s.visit(w, req, r)
		if err := v.answer(handle); err != nil {
			v.refuse(err)
		}
		v.tell()
	})
}

// answer admits the visitor and calls the handler.
func (v *Visit) answer(handle func(*Visit) error) (err error) {
	defer recovered(&err)
	if err := httpx.CheckOrigin(v.R); err != nil {
		return err
	}
	if err := v.enter(); err != nil {
		return err
	}
	if answered, err := v.fresh(); answered || err != nil {
		return err
	}
	return handle(v)
}

// Page adds a page, and its stream at the same address with the parameter "live".
func (s *Site) Page(r Route, build func(*Visit) (Page, error)) {
	r.Method = http.MethodGet
	s.Handle(r, func(v *Visit) error {
		if v.R.URL.Query().Has(live) {
			return v.stream(build)
		}
		p, err := build(v)
		if err != nil {
			return err
		}
		if read, err := v.readEnd(p.Ended, p.Frame.Glance.Unread); err != nil {
			return err
		} else if read {
			s.Holders.Check()
			if p.Frame.Glance, err = s.Store.Glance(v.R.Context(), v.Actor); err != nil {
				return err
			}
		}
		return v.show(p)
	})
}

// tell wakes the streams that show what the request may have changed, which includes
// sessions and rights.
func (v *Visit) tell() {
	if v.Reads() {
		return
	}
	v.site.Holders.Check()
	if v.Actor.ID() == "" || v.Route.Object == Self || v.Route.Own {
		return
	}
	tenant := v.Tenant.Tenant.ID
	if tenant == "" {
		tenant = v.Run.Tenant.ID
	}
	v.site.feed.Changed(op.Change{Workspace: v.Actor.WorkspaceID(), Tenant: tenant})
}

// recovered turns a panic of a handler into an error, so that it is logged and has a page.
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
