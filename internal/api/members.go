package api

import (
	"context"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveMembers() {
	serve(s, Route{
		ID: "list-members", Method: http.MethodGet, Path: "/members", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "List the members of the workspace, by name",
	}, s.members)
	serve(s, Route{
		ID: "get-member", Method: http.MethodGet, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "One member",
	}, s.member)
	serve(s, Route{
		ID: "change-member", Method: http.MethodPatch, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers, Conflicts: true,
		Summary: "Change what a member may see and do",
	}, s.changeMember)
	serve(s, Route{
		ID: "remove-member", Method: http.MethodDelete, Path: "/members/{member}", Object: Workspace, Needs: tenancy.ManageMembers,
		Success: http.StatusNoContent, Conflicts: true,
		Summary: "Remove a member; their sessions and tokens in the workspace end",
	}, s.removeMember)
	serve(s, Route{
		ID: "create-reset-link", Method: http.MethodPost, Path: "/members/{member}/reset-link", Object: Workspace, Needs: tenancy.ManageMembers,
		Success: http.StatusCreated, Conflicts: true,
		Summary: "Create a one-time password reset link for a member",
	}, s.resetLink)
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

// MemberID names the member of a route.
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

func (s *server) changeMember(ctx context.Context, in *struct {
	MemberID
	Body struct {
		Role       *tenancy.Role         `json:"role,omitempty" nullable:"false"`
		Denied     *[]tenancy.Capability `json:"denied,omitempty" nullable:"false" doc:"Capabilities of the role that this member lacks."`
		AllTenants *bool                 `json:"all_tenants,omitempty"`
		Tenants    *[]string             `json:"tenants,omitempty" nullable:"false" doc:"Ids or names of the only tenants that this member may see."`
	} `nameHint:"ChangeMember"`
},
) (*one[store.Member], error) {
	m, err := s.store.ChangeMember(ctx, at(ctx).actor, in.Member, store.MemberChange(in.Body))
	if err != nil {
		return nil, err
	}
	return &one[store.Member]{Body: m}, nil
}

// Link is a one-time link that was just created.
type Link struct {
	Href      string    `json:"href" doc:"Link to send to the person. It works once and is shown once."`
	ExpiresAt time.Time `json:"expires_at"`
}

func (s *server) resetLink(ctx context.Context, in *MemberID) (*one[Link], error) {
	secret, expires, err := s.door.ResetLink(ctx, at(ctx).actor, in.Member)
	if err != nil {
		return nil, err
	}
	return &one[Link]{Body: Link{Href: op.ResetPath(secret), ExpiresAt: expires}}, nil
}

func (s *server) removeMember(ctx context.Context, in *MemberID) (*none, error) {
	return nil, s.store.RemoveMember(ctx, at(ctx).actor, in.Member)
}
