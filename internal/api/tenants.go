package api

import (
	"context"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveTenants() {
	serve(s, Route{
		ID: "list-tenants", Method: http.MethodGet, Path: "/tenants", Object: Workspace, Needs: tenancy.View,
		Summary: "List the tenants that you may see, by name",
	}, s.tenants)
	serve(s, Route{
		ID: "get-tenant", Method: http.MethodGet, Path: "/tenants/{tenant}", Object: Tenant, Needs: tenancy.View,
		Summary: "Get a tenant with its readiness",
	}, s.tenant)
	serve(s, Route{
		ID: "create-tenant", Method: http.MethodPost, Path: "/tenants", Object: Workspace, Needs: tenancy.ManageTenants, Success: http.StatusCreated,
		Summary: "Add a tenant",
	}, s.createTenant)
	serve(s, Route{
		ID: "archive-tenant", Method: http.MethodPost, Path: "/tenants/{tenant}/archive", Object: Tenant, Needs: tenancy.ManageTenants, Conflicts: true,
		Summary: "Archive a tenant, which makes it read-only",
	}, s.archiveTenant)
	serve(s, Route{
		ID: "restore-tenant", Method: http.MethodPost, Path: "/tenants/{tenant}/restore", Object: Tenant, Needs: tenancy.ManageTenants,
		Summary: "Restore a tenant from the archive",
	}, s.restoreTenant)
}

// TenantID names the tenant of a route.
type TenantID struct {
	Tenant string `path:"tenant" doc:"Id or name."`
}

// TenantDetail is a tenant with what blocks work on it.
type TenantDetail struct {
	store.TenantView
	Blockers []Blocker `json:"blockers" nullable:"false" doc:"What blocks operations, the most important first."`
	Age                // of its default connection
}

// Blocker is one thing that blocks work on a connection.
type Blocker struct {
	Code  op.Reason `json:"code"`
	Title string    `json:"title"`
	Fix   *op.Fix   `json:"fix"`
}

func (s *server) tenants(ctx context.Context, in *struct {
	Query     string               `query:"q" maxLength:"200" doc:"Part of the name or the domain."`
	Status    tenancy.TenantStatus `query:"status"`
	Readiness tenancy.Readiness    `query:"readiness"`
	Paging
},
) (*list[TenantDetail], error) {
	v := at(ctx)
	tenants, next, err := s.store.Tenants(ctx, v.scope, store.TenantFilter{
		Query: in.Query, Status: in.Status, Readiness: in.Readiness, Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	return page(each(tenants, v.tenantDetail), next), nil
}

func (s *server) createTenant(ctx context.Context, in *struct {
	Body struct {
		Name           string `json:"name" minLength:"1" maxLength:"120"`
		Slug           string `json:"slug,omitempty" maxLength:"63" doc:"Unique in the workspace. Default: generated from the name."`
		Domain         string `json:"domain" minLength:"1" maxLength:"253"`
		DirectoryID    string `json:"directory_id" doc:"GUID."`
		Owner          string `json:"owner,omitempty" maxLength:"120" doc:"Who to ask about this tenant."`
		OnboardingStep string `json:"onboarding_step,omitempty" maxLength:"63" doc:"Current step of its onboarding. Left out: the tenant is active immediately."`
	} `nameHint:"CreateTenant"`
},
) (*one[TenantDetail], error) {
	v := at(ctx)
	t, err := s.store.CreateTenant(ctx, v.actor, store.NewTenant(in.Body))
	if err != nil {
		return nil, err
	}
	if v.tenant, err = s.door.Tenant(ctx, v.actor, t.ID, tenancy.View); err != nil {
		return nil, err
	}
	return s.tenant(ctx, nil)
}

func (s *server) archiveTenant(ctx context.Context, in *TenantID) (*one[TenantDetail], error) {
	v := at(ctx)
	if err := s.store.ArchiveTenant(ctx, v.actor, v.tenant.Tenant.ID); err != nil {
		return nil, err
	}
	return s.tenant(ctx, in)
}

func (s *server) restoreTenant(ctx context.Context, in *TenantID) (*one[TenantDetail], error) {
	v := at(ctx)
	if err := s.store.RestoreTenant(ctx, v.actor, v.tenant.Tenant.ID); err != nil {
		return nil, err
	}
	return s.tenant(ctx, in)
}

func (s *server) tenant(ctx context.Context, _ *TenantID) (*one[TenantDetail], error) {
	v := at(ctx)
	t, err := s.store.Tenant(ctx, v.tenant)
	if err != nil {
		return nil, err
	}
	return &one[TenantDetail]{Body: v.tenantDetail(t)}, nil
}

func (v *visit) tenantDetail(t store.TenantView) TenantDetail {
	return TenantDetail{TenantView: t, Blockers: v.blockers(op.Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name}, t.Default, t.Causes), Age: ageOf(t.Default)}
}

// blockers describes causes in the words of an answer to a start.
func (v *visit) blockers(t op.Tenant, c *tenancy.Connection, causes []op.Cause) []Blocker {
	if len(causes) == 0 {
		return []Blocker{}
	}
	facts := op.Facts{Workspace: v.actor.WorkspaceSlug(), Tenant: t, At: time.Now(), MayMend: v.mayMend(), Reader: v.actor.ID()}
	if c != nil {
		target := store.TargetOf(*c)
		facts.Target = &target
	}
	answer := op.Describe(op.BlockedResult(facts, causes, nil))
	return each(answer.Reasons, func(e op.Explained) Blocker { return Blocker{Code: e.Code, Title: e.Title, Fix: e.Fix} })
}
