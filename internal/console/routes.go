package console

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Route is one row of the table of routes: what it is about, and who may use it.
// Nobody comes past the row: see [visit.enter].
type Route struct {
	Method string
	Path   string // pattern
	Object Object
	Needs  tenancy.Capability // empty: none beyond being signed in
	Own    bool               // what it shows or changes is the person's own
}

// Routes is the table of routes.
type Routes []Route

// Object is what a route is about. Who may not see it gets the page of what is
// not there.
type Object string

// The objects of routes.
const (
	Public    Object = "public"    // no sign-in is asked
	Self      Object = "self"      // who asks, in whatever workspace
	Workspace Object = "workspace" // {workspace}, and lists over what they see in it
	Tenant    Object = "tenant"    // {tenant}: id or slug
	Run       Object = "run"       // {run}: id or code
)

// ByOperation stands for the capability that the {operation} of the path names.
const ByOperation tenancy.Capability = "(of the operation)"

// Pattern returns method and path as the router has them.
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// serve puts a row into the table and its handler behind it.
func (c *Console) serve(r Route, handle func(*visit) error) {
	c.routes = append(c.routes, r)
	c.mux.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) {
		v := &visit{console: c, w: w, r: req, route: r}
		if err := v.answer(handle); err != nil {
			v.refuse(err)
		}
		v.tell()
	})
}

// answer lets the visitor in and calls the handler.
func (v *visit) answer(handle func(*visit) error) (err error) {
	defer recovered(&err)
	if err := httpx.CheckOrigin(v.r); err != nil {
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

// page serves a page, and its stream of changes at the same address with "live".
func (c *Console) page(r Route, build func(*visit) (page, error)) {
	r.Method = http.MethodGet
	c.serve(r, func(v *visit) error {
		if v.r.URL.Query().Has(live) {
			return v.stream(build)
		}
		p, err := build(v)
		if err != nil {
			return err
		}
		if read, err := v.readEnd(p.ended, p.frame.Glance.Unread); err != nil {
			return err
		} else if read {
			c.holders.Check()
			if p.frame.Glance, err = c.store.Glance(v.r.Context(), v.actor); err != nil {
				return err
			}
		}
		return v.show(p)
	})
}

// tell wakes the streams that show what the request may have changed. Somebody's
// session or rights may be among it.
func (v *visit) tell() {
	if v.reads() {
		return
	}
	v.console.holders.Check()
	if v.actor.ID() == "" || v.route.Object == Self || v.route.Own {
		return
	}
	tenant := v.tenant.Tenant.ID
	if tenant == "" {
		tenant = v.run.Tenant.ID
	}
	v.console.feed.Changed(op.Change{Workspace: v.actor.WorkspaceID(), Tenant: tenant})
}
