package api

import (
	"context"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveMembers() {
	serve(s, Route{
		ID: "list-members", Method: http.MethodGet, Path: "/members", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "The members of the workspace, by name",
	}, s.members)
	serve(s, Route{
		ID: "get-member", Method: http.MethodGet, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "One member",
	}, s.member)
	serve(s, Route{
		ID: "add-member", Method: http.MethodPost, Path: "/members", Object: Workspace, Needs: tenancy.ManageMembers, Success: http.StatusCreated,
		Summary: "Make an account, and a member of it",
	}, s.addMember)
	serve(s, Route{
		ID: "change-member", Method: http.MethodPatch, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers, Conflicts: true,
		Summary: "Change what a member may see and do",
	}, s.changeMember)
	serve(s, Route{
		ID: "remove-member", Method: http.MethodDelete, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers,
		Success: http.StatusNoContent, Conflicts: true,
		Summary: "Take someone out of the workspace; their sessions and tokens in it end",
	}, s.removeMember)
	for _, r := range []struct {
		id, path, summary string
		change            func(context.Context, access.Actor, string) error
	}{
		{"disable-member", "/disable", "Close a member's account; their sessions and tokens end", s.store.DisableUser},
		{"enable-member", "/enable", "Open a member's account again", s.store.EnableUser},
	} {
		serve(s, Route{
			ID: r.id, Method: http.MethodPost, Path: "/members/{member}" + r.path, Object: Workspace, Needs: tenancy.ManageMembers,
			Conflicts: true, Summary: r.summary,
		}, func(ctx context.Context, in *MemberID) (*one[store.Member], error) {
			if err := r.change(ctx, at(ctx).actor, in.Member); err != nil {
				return nil, err
			}
			return s.member(ctx, in)
		})
	}
}

// MemberID is the member that a route is about.
type MemberID struct {
	Member string `path:"member" doc:"Id of the person."`
}

func (s *server) members(ctx context.Context, _ *none) (*list[store.Member], error) {
	members, err := s.store.Members(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return page(members, ""), nil
}

func (s *server) member(ctx context.Context, in *MemberID) (*one[store.Member], error) {
	m, err := s.store.Member(ctx, at(ctx).actor, in.Member)
	if err != nil {
		return nil, err
	}
	return &one[store.Member]{Body: m}, nil
}

func (s *server) addMember(ctx context.Context, in *struct {
	Body struct {
		Email    string               `json:"email" minLength:"3" maxLength:"254"`
		Name     string               `json:"name" minLength:"1" maxLength:"120"`
		Password string               `json:"password" minLength:"12" maxLength:"512" writeOnly:"true"`
		Role     tenancy.Role         `json:"role"`
		Denied   []tenancy.Capability `json:"denied,omitempty" nullable:"false" doc:"Capabilities of the role that this member lacks."`
		Tenants  []string             `json:"tenants,omitempty" nullable:"false" minItems:"1" doc:"Ids or names of the tenants that this member sees; left out: all."`
	} `nameHint:"AddMember"`
},
) (*one[store.Member], error) {
	b := in.Body
	m, err := s.store.AddMember(ctx, at(ctx).actor, access.NewUser{Email: b.Email, Name: b.Name, Password: b.Password},
		store.Membership{Role: b.Role, Denied: b.Denied, AllTenants: b.Tenants == nil, Tenants: b.Tenants})
	if err != nil {
		return nil, err
	}
	return &one[store.Member]{Body: m}, nil
}

func (s *server) changeMember(ctx context.Context, in *struct {
	MemberID
	Body struct {
		Role       tenancy.Role          `json:"role,omitempty"`
		Denied     *[]tenancy.Capability `json:"denied,omitempty" nullable:"false" doc:"Capabilities of the role that this member lacks."`
		AllTenants *bool                 `json:"all_tenants,omitempty"`
		Tenants    *[]string             `json:"tenants,omitempty" nullable:"false" doc:"Ids or names of the tenants that this member sees, and no others."`
	} `nameHint:"ChangeMember"`
},
) (*one[store.Member], error) {
	v := at(ctx)
	m, err := s.store.Member(ctx, v.actor, in.Member)
	if err != nil {
		return nil, err
	}
	to := store.Membership{
		Role: m.Role, Denied: m.Denied, AllTenants: m.AllTenants,
		Tenants: each(m.Tenants, func(t op.Tenant) string { return t.ID }),
	}
	if b := in.Body; b.Role != "" {
		to.Role = b.Role
	}
	if in.Body.Denied != nil {
		to.Denied = *in.Body.Denied
	}
	if in.Body.Tenants != nil {
		to.AllTenants, to.Tenants = false, *in.Body.Tenants
	}
	if in.Body.AllTenants != nil {
		to.AllTenants = *in.Body.AllTenants
		if to.AllTenants && in.Body.Tenants == nil {
			to.Tenants = nil
		}
	}
	m, err = s.store.ChangeMember(ctx, v.actor, in.Member, to)
	if err != nil {
		return nil, err
	}
	return &one[store.Member]{Body: m}, nil
}

func (s *server) removeMember(ctx context.Context, in *MemberID) (*none, error) {
	return nil, s.store.RemoveMember(ctx, at(ctx).actor, in.Member)
}
