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

// Visit is one request and what its sender has access to.
type Visit struct {
	Rooms
	W     http.ResponseWriter
	R     *http.Request
	Route Route

	// Set as far as the object of the route needs it.
	Actor  access.Actor
	Scope  access.Scope
	Tenant access.TenantAccess
	Run    op.Run

	site   *Site
	keys   map[string]string // idempotency keys of start forms, by what they start
	shared bool              // the page is built for all readers with the same rights
}

// errSignedOut is returned without a session cookie.
var errSignedOut = errors.New("not signed in")

// elsewhere is returned for a page in another workspace of the reader's.
type elsewhere struct{ workspace string }

func (elsewhere) Error() string { return "in another workspace" }

// enter admits the reader to the object of the route, or returns why not. It checks the
// session first, then what they can see, then what they can do.
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
	if v.watches() { // a stream doesn't count as use of the session
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

// inTenant admits the reader to a tenant, with the capability of the operation in the
// path if there is one.
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
	if errors.Is(err, op.ErrForbidden) { // they see the tenant: its name may be shown
		v.Tenant, _ = v.Door.Tenant(v.R.Context(), v.Actor, ref, tenancy.View)
	}
	return v.lacking(err, needs, kind)
}

// lacking adds to a refusal what it is about.
func (v *Visit) lacking(err error, needs tenancy.Capability, kind op.Kind) error {
	if !errors.Is(err, op.ErrForbidden) {
		return err
	}
	return v.Forbidden(cmp.Or(v.Tenant.Tenant.Name, v.Actor.WorkspaceName()), needs, kind)
}

// Forbidden returns the error for a capability that the reader lacks.
func (v *Visit) Forbidden(where string, needs tenancy.Capability, kind op.Kind) error {
	return &httpx.Forbidden{Kind: kind, Where: where, Role: string(v.Actor.Role()), Capability: needs.Words()}
}

// Workspace returns the slug of the reader's workspace.
func (v *Visit) Workspace() string { return v.Actor.WorkspaceSlug() }

// May reports whether the reader has a capability. Use it to decide what to show.
func (v *Visit) May(c tenancy.Capability) bool { return v.Actor.Grants().Has(c) }

// again repeats the admission with the reader's current rights. It keeps the keys, which
// the page has already.
func (v *Visit) again() (*Visit, error) {
	next := v.site.visit(v.W, v.R, v.Route)
	next.keys = maps.Clone(v.keys)
	return next, next.enter()
}

// watches reports whether the request is for a stream: the page makes it, not the reader.
func (v *Visit) watches() bool {
	return v.Route.Path == op.LiveRoute || v.R.URL.Query().Has(live)
}

// Described returns the run with its words for this reader.
func (v *Visit) Described(r op.Run) op.Run {
	r.MayMend = v.May(tenancy.ManageConnections)
	r.Words = op.DescribeRun(r, time.Now())
	return r
}

// Write answers with a component. It renders before it sends, so that an error never
// leaves half a page.
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

// GoTo redirects to path with status 303.
func (v *Visit) GoTo(path string) error {
	v.W.Header().Set("Location", path)
	v.W.WriteHeader(http.StatusSeeOther)
	return nil
}

// HTMX reports whether script asks for a piece of a page.
func (v *Visit) HTMX() bool { return v.R.Header.Get("HX-Request") == "true" }

// Changed wakes the pages that show what changed.
func (v *Visit) Changed(c op.Change) { v.site.feed.Changed(c) }

// NotFound answers with the page for an address that doesn't exist.
func (v *Visit) NotFound() { v.site.NotFound(v.W, v.R) }
