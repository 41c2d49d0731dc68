package web

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Visit is one request of someone, and what they were let in to.
type Visit struct {
	Rooms
	W     http.ResponseWriter
	R     *http.Request
	Route Route

	// What the person was let in to, as far as the route is about it.
	Actor  access.Actor
	Scope  access.Scope
	Tenant access.TenantAccess
	Run    op.Run

	site   *Site
	keys   map[string]string // of the start forms, by what they start
	shared bool              // what is built is for all who have the same rights
}

// errSignedOut is returned to someone who brings no session at all.
var errSignedOut = errors.New("not signed in")

// elsewhere is returned for a page in another of the person's own workspaces.
type elsewhere struct{ workspace string }

func (elsewhere) Error() string { return "in another workspace" }

// enter lets the person in to the object of the route, or says why not: first who
// they are, then what they may see, then what they may do.
func (v *Visit) enter() error {
	x, ctx, r := httpx.Of(v.R.Context()), v.R.Context(), v.R
	x.Route = v.Route.Pattern()
	if v.Route.Object == Public {
		return nil
	}
	secret := httpx.SessionSecret(r)
	if secret == "" {
		return errSignedOut
	}
	recognize := v.Door.Session
	if v.watches() { // the page asks, not the person
		recognize = v.Door.Watching
	}
	var err error
	if v.Actor, err = recognize(ctx, secret); err != nil {
		return err
	}
	x.Actor = v.Actor.ID()
	if v.Route.Object == Self {
		return nil
	}
	if err := v.inWorkspace(r.PathValue("workspace")); err != nil {
		return err
	}

	switch v.Route.Object {
	case Public, Self:
	case Workspace:
		v.Scope, err = v.Door.Workspace(ctx, v.Actor, v.Route.Needs)
		err = v.lacking(err, v.Route.Needs, "")
	case Tenant:
		err = v.inTenant(r.PathValue("tenant"), op.Kind(r.PathValue("operation")))
	case Run:
		if v.Scope, err = v.Door.Workspace(ctx, v.Actor, tenancy.View); err != nil {
			return v.lacking(err, tenancy.View, "")
		}
		if v.Run, err = v.Store.Run(ctx, v.Scope, r.PathValue("run")); err != nil {
			return err
		}
		if !v.Actor.Grants().Has(v.Route.Needs) {
			err = v.Forbidden(v.Run.Tenant.Name, v.Route.Needs, "")
		}
	}
	return err
}

// inWorkspace compares the workspace of the address with that of the session.
func (v *Visit) inWorkspace(slug string) error {
	if slug == v.Actor.WorkspaceSlug() {
		return nil
	}
	places, err := v.Door.Workspaces(v.R.Context(), v.Actor)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(places, func(p access.Place) bool { return p.Workspace.Slug == slug }) {
		return elsewhere{slug}
	}
	return op.ErrNotFound
}

// inTenant lets the person in to a tenant, for the operation that the path names
// if it names one.
func (v *Visit) inTenant(ref string, kind op.Kind) (err error) {
	needs := v.Route.Needs
	if needs == ByOperation {
		def, err := catalogue.Lookup(kind)
		if err != nil {
			return err
		}
		needs = def.Capability
	}
	v.Tenant, err = v.Door.Tenant(v.R.Context(), v.Actor, ref, needs)
	if errors.Is(err, op.ErrForbidden) { // they see it: its page has a name
		v.Tenant, _ = v.Door.Tenant(v.R.Context(), v.Actor, ref, tenancy.View)
	}
	return v.lacking(err, needs, kind)
}

// lacking names what a refusal is for.
func (v *Visit) lacking(err error, needs tenancy.Capability, kind op.Kind) error {
	if !errors.Is(err, op.ErrForbidden) {
		return err
	}
	return v.Forbidden(cmp.Or(v.Tenant.Tenant.Name, v.Actor.WorkspaceName()), needs, kind)
}

// Forbidden is the refusal of what needs a capability that the person lacks.
func (v *Visit) Forbidden(where string, needs tenancy.Capability, kind op.Kind) error {
	return &httpx.Forbidden{Kind: kind, Where: where, Role: string(v.Actor.Role()), Capability: needs.Words()}
}

// Workspace is the slug that addresses of this visit have.
func (v *Visit) Workspace() string { return v.Actor.WorkspaceSlug() }

// May reports whether the person holds a capability, for showing what they can do.
func (v *Visit) May(c tenancy.Capability) bool { return v.Actor.Grants().Has(c) }

// again returns the visit anew, as the person is by now. Keys that were minted
// stay: the page has them already.
func (v *Visit) again() (*Visit, error) {
	next := v.site.visit(v.W, v.R, v.Route)
	next.keys = maps.Clone(v.keys)
	return next, next.enter()
}

// watches reports whether the request is for a stream, which the page makes and not
// the person.
func (v *Visit) watches() bool {
	return v.Route.Path == op.LiveRoute || v.R.URL.Query().Has(live)
}

// Described puts a run into words, as the reader may act on it.
func (v *Visit) Described(r op.Run) op.Run {
	r.MayMend = v.May(tenancy.ManageConnections)
	r.Words = op.DescribeRun(r, time.Now())
	return r
}

// Write answers with a component. It is rendered first, so that a page is whole
// or a fault.
func (v *Visit) Write(status int, content templ.Component) error {
	var b bytes.Buffer
	if err := content.Render(v.R.Context(), &b); err != nil {
		return fmt.Errorf("render: %w", err)
	}
	v.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.W.WriteHeader(status)
	_, _ = v.W.Write(b.Bytes()) // the client is gone
	return nil
}

// GoTo answers that what was asked for is elsewhere, and to be got from there.
func (v *Visit) GoTo(path string) error {
	v.W.Header().Set("Location", path)
	v.W.WriteHeader(http.StatusSeeOther)
	return nil
}

// HTMX reports whether the request is for a piece of a page.
func (v *Visit) HTMX() bool { return v.R.Header.Get("HX-Request") == "true" }

// Changed wakes the pages that show what changed.
func (v *Visit) Changed(c op.Change) { v.site.feed.Changed(c) }

// NotFound answers as for every address that is not in use.
func (v *Visit) NotFound() { v.site.NotFound(v.W, v.R) }
