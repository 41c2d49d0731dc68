package console

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// visit is one request of someone, and what they were let in to.
type visit struct {
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	route   Route

	actor  access.Actor
	scope  access.Scope
	tenant access.TenantAccess
	run    op.Run

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
func (v *visit) enter() error {
	x, ctx, r, c := httpx.Of(v.r.Context()), v.r.Context(), v.r, v.console
	x.Route = v.route.Pattern()
	if v.route.Object == Public {
		return nil
	}
	secret := httpx.SessionSecret(r)
	if secret == "" {
		return errSignedOut
	}
	recognize := c.door.Session
	if v.watches() { // the page asks, not the person
		recognize = c.door.Watching
	}
	var err error
	if v.actor, err = recognize(ctx, secret); err != nil {
		return err
	}
	x.Actor = v.actor.ID()
	if v.route.Object == Self {
		return nil
	}
	if err := v.inWorkspace(r.PathValue("workspace")); err != nil {
		return err
	}

	switch v.route.Object {
	case Public, Self:
	case Workspace:
		v.scope, err = c.door.Workspace(ctx, v.actor, v.route.Needs)
		err = v.lacking(err, v.route.Needs, "")
	case Tenant:
		err = v.inTenant(r.PathValue("tenant"), op.Kind(r.PathValue("operation")))
	case Run:
		if v.scope, err = c.door.Workspace(ctx, v.actor, tenancy.View); err != nil {
			return v.lacking(err, tenancy.View, "")
		}
		if v.run, err = c.store.Run(ctx, v.scope, r.PathValue("run")); err != nil {
			return err
		}
		if !v.actor.Grants().Has(v.route.Needs) {
			err = v.forbidden(v.run.Tenant.Name, v.route.Needs, "")
		}
	}
	return err
}

// inWorkspace compares the workspace of the address with that of the session.
func (v *visit) inWorkspace(slug string) error {
	if slug == v.actor.WorkspaceSlug() {
		return nil
	}
	places, err := v.console.door.Workspaces(v.r.Context(), v.actor)
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
func (v *visit) inTenant(ref string, kind op.Kind) (err error) {
	needs := v.route.Needs
	if needs == ByOperation {
		def, err := catalogue.Lookup(kind)
		if err != nil {
			return err
		}
		needs = def.Capability
	}
	v.tenant, err = v.console.door.Tenant(v.r.Context(), v.actor, ref, needs)
	if errors.Is(err, op.ErrForbidden) { // they see it: its page has a name
		v.tenant, _ = v.console.door.Tenant(v.r.Context(), v.actor, ref, tenancy.View)
	}
	return v.lacking(err, needs, kind)
}

// lacking names what a refusal is for.
func (v *visit) lacking(err error, needs tenancy.Capability, kind op.Kind) error {
	if !errors.Is(err, op.ErrForbidden) {
		return err
	}
	return v.forbidden(cmp.Or(v.tenant.Tenant.Name, v.actor.WorkspaceName()), needs, kind)
}

func (v *visit) forbidden(where string, needs tenancy.Capability, kind op.Kind) error {
	return &httpx.Forbidden{Kind: kind, Where: where, Role: string(v.actor.Role()), Capability: needs.Words()}
}

// workspace is the slug that addresses of this visit have.
func (v *visit) workspace() string { return v.actor.WorkspaceSlug() }

// may reports whether the person holds a capability, for showing what they can do.
func (v *visit) may(c tenancy.Capability) bool { return v.actor.Grants().Has(c) }

// again returns the visit anew, as the person is by now. Keys that were minted
// stay: the page has them already.
func (v *visit) again() (*visit, error) {
	next := &visit{console: v.console, w: v.w, r: v.r, route: v.route, keys: maps.Clone(v.keys)}
	return next, next.enter()
}

// watches reports whether the request is for a stream, which the page makes and not
// the person.
func (v *visit) watches() bool {
	return v.route.Path == op.LiveRoute || v.r.URL.Query().Has(live)
}

// described puts a run into words, as the reader may act on it.
func (v *visit) described(r op.Run) op.Run {
	r.MayMend = v.may(tenancy.ManageConnections)
	r.Words = op.DescribeRun(r, time.Now())
	return r
}
