package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/strictjson"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// visit is one request: who sends it, and the object that they may see.
type visit struct {
	secret     string // their bearer secret; never written anywhere
	head       bool   // the request is a HEAD: the answer is sent without its body
	actor      access.Actor
	scope      access.Scope         // of Workspace, Run and Attempt routes: all that they may see
	tenant     access.TenantAccess  // of Tenant and Connection routes
	connection store.ConnectionView // of Connection routes
	run        op.Run               // of Run routes
	attempt    store.Attempt        // of Attempt routes
}

type visitKey struct{}

// at returns the visit of a handler's context.
func at(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// mayMend reports whether the actor may change connections.
func (v *visit) mayMend() bool { return v.actor.Grants().Has(tenancy.ManageConnections) }

// admit authorizes a request for the object of its route, before any input is read:
// first sign-in (401), then object (404), capability (403), fresh sign-in (403), and
// last the shape of the request (422).
func (s *server) admit(route Route) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(hc)
		v, err := s.enter(r, route)
		if err == nil && route.asksFresh() {
			err = s.door.Fresh(r.Context(), v.actor)
		}
		if err != nil {
			refuse(r.Context(), err).Write(w)
			return
		}
		next(huma.WithValue(hc, visitKey{}, v))
		s.tell(r, v)
	}
}

// tell wakes the streams that show what the request may have changed, including those
// whose reader may have lost a right.
func (s *server) tell(r *http.Request, v *visit) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	s.holders.Check()
	if v.actor.ID() != "" {
		s.feed.Changed(op.Change{Workspace: v.actor.WorkspaceID(), Tenant: cmp.Or(v.tenant.Tenant.ID, v.run.Tenant.ID)})
	}
}

func (s *server) enter(r *http.Request, route Route) (*visit, error) {
	ctx := r.Context()
	x := httpx.Of(ctx)
	if route.Path != "" {
		x.Route = cmp.Or(route.Method, r.Method) + " " + Base + route.Path
	}
	v := &visit{head: r.Method == http.MethodHead}
	if route.Object == Public {
		return v, nil
	}
	v.secret = httpx.Bearer(r)
	var err error
	recognize := s.door.Actor
	if route.Stream {
		recognize = s.door.Recognized
	}
	if v.actor, err = recognize(ctx, v.secret); err != nil {
		return nil, err
	}
	x.Actor = v.actor.ID()

	switch route.Object {
	case Public:
	case Self:
		if route.Needs != "" {
			_, err = s.workspace(ctx, v, route.Needs)
		}
	case Workspace:
		v.scope, err = s.workspace(ctx, v, cmp.Or(route.Needs, tenancy.View))
	case Tenant:
		err = s.enterTenant(r, v, route.Needs)
	case Connection:
		if v.tenant, err = s.door.Tenant(ctx, v.actor, r.PathValue("tenant"), tenancy.View); err != nil {
			return nil, s.lacking(ctx, v, r.PathValue("tenant"), tenancy.View, "", err)
		}
		if v.connection, err = s.store.Connection(ctx, v.tenant, r.PathValue("connection")); err != nil {
			return nil, err
		}
		if route.Needs != "" && !v.tenant.Grants.Has(route.Needs) {
			err = forbidden(v.actor, v.tenant.Tenant.Name, route.Needs, "")
		}
	case Run:
		if v.scope, err = s.workspace(ctx, v, tenancy.View); err != nil {
			return nil, err
		}
		if v.run, err = s.store.Run(ctx, v.scope, r.PathValue("run")); err != nil {
			return nil, err
		}
		if route.Needs != "" && !v.actor.Grants().Has(route.Needs) {
			err = forbidden(v.actor, v.run.Tenant.Name, route.Needs, "")
		}
	case Attempt:
		if v.scope, err = s.workspace(ctx, v, tenancy.View); err != nil {
			return nil, err
		}
		v.attempt, err = s.store.Attempt(ctx, v.scope, r.PathValue("attempt"))
	}
	return v, err
}

// enterTenant authorizes v for the tenant in the path. Where the operation in the
// request decides the capability, an unknown operation is a 404 as well.
func (s *server) enterTenant(r *http.Request, v *visit, needs tenancy.Capability) error {
	var kind op.Kind
	if needs == ByOperation {
		var err error
		if kind, err = askedFor(r); err != nil {
			return err
		}
		needs = ""
		if kind != "" {
			def, err := catalogue.Lookup(kind)
			if err != nil {
				return err
			}
			needs = def.Capability
		}
	}
	var err error
	v.tenant, err = s.door.Tenant(r.Context(), v.actor, r.PathValue("tenant"), cmp.Or(needs, tenancy.View))
	if needs == "" && kind == "" && errors.Is(err, op.ErrForbidden) && r.Method == http.MethodPost {
		return nil // visible; the shape check reports what the request lacks
	}
	return s.lacking(r.Context(), v, r.PathValue("tenant"), cmp.Or(needs, tenancy.View), kind, err)
}

// askedFor returns the operation that a request names in its query or body, and leaves
// the body readable. It returns none if the request is malformed.
func askedFor(r *http.Request) (op.Kind, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return op.Kind(r.URL.Query().Get("operation")), nil
	}
	body, err := whole(r)
	if err != nil {
		return "", err
	}
	var named map[string]json.RawMessage // names are case-sensitive, unlike those of a struct
	var kind op.Kind
	if strictjson.Check("body", body) != nil || json.Unmarshal(body, &named) != nil || json.Unmarshal(named["operation"], &kind) != nil {
		return "", nil
	}
	return kind, nil
}

// workspace authorizes v for everything that they see in their workspace.
func (s *server) workspace(ctx context.Context, v *visit, needs tenancy.Capability) (access.Scope, error) {
	scope, err := s.door.Workspace(ctx, v.actor, needs)
	if errors.Is(err, op.ErrForbidden) {
		err = forbidden(v.actor, v.actor.WorkspaceName(), needs, "")
	}
	return scope, err
}

// lacking adds the tenant's name to a refusal, for those who may see the tenant.
func (s *server) lacking(ctx context.Context, v *visit, ref string, needs tenancy.Capability, kind op.Kind, err error) error {
	if !errors.Is(err, op.ErrForbidden) {
		return err
	}
	name := v.actor.WorkspaceName()
	if ta, err := s.door.Tenant(ctx, v.actor, ref, tenancy.View); err == nil {
		name = ta.Tenant.Name
	}
	return forbidden(v.actor, name, needs, kind)
}

func forbidden(a access.Actor, where string, needs tenancy.Capability, kind op.Kind) error {
	return &httpx.Forbidden{Kind: kind, Where: where, Role: string(a.Role()), Capability: needs.Words()}
}
