package api

import (
	"context"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveInvitations() {
	serve(s, Route{
		ID: "list-invitations", Method: http.MethodGet, Path: "/invitations", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "List the open invitations to the workspace, newest first",
	}, s.invitations)
	serve(s, Route{
		ID: "invite", Method: http.MethodPost, Path: "/invitations", Object: Workspace, Needs: tenancy.ManageMembers, Success: http.StatusCreated, Conflicts: true,
		Summary: "Create a one-time invitation link; it replaces an open invitation for the same address",
	}, s.invite)
	serve(s, Route{
		ID: "revoke-invitation", Method: http.MethodDelete, Path: "/invitations/{invitation}", Object: Workspace, Needs: tenancy.ManageMembers,
		Success: http.StatusNoContent,
		Summary: "Revoke an open invitation",
	}, s.revokeInvitation)
	serve(s, Route{
		ID: "open-invitation", Method: http.MethodPost, Path: "/join/open", Object: Public, Link: true,
		Summary: "Get the invitation of a link, without accepting it",
	}, s.openInvitation)
	serve(s, Route{
		ID: "accept-invitation", Method: http.MethodPost, Path: "/join", Object: Public, Link: true,
		Summary: "Accept an invitation with the account of its address or a new one; then sign in",
	}, s.acceptInvitation)
	serve(s, Route{
		ID: "join-workspace", Method: http.MethodPost, Path: "/me/invitations", Object: Self,
		Summary: "Accept an invitation with your own account",
	}, s.joinWorkspace)
	serve(s, Route{
		ID: "list-workspaces", Method: http.MethodGet, Path: "/me/workspaces", Object: Self,
		Summary: "List your workspaces, by name",
	}, s.workspaces)
	serve(s, Route{
		ID: "reset-password", Method: http.MethodPost, Path: "/password-reset", Object: Public, Link: true, Success: http.StatusNoContent,
		Summary: "Set a new password with a reset link; all sessions and tokens of the account end",
	}, s.resetPassword)
}

func (s *server) invitations(ctx context.Context, _ *none) (*list[access.Invitation], error) {
	open, err := s.door.Invitations(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return page(open, ""), nil
}

// NewInvitation is an invitation that was just created.
type NewInvitation struct {
	Invitation access.Invitation `json:"invitation"`
	Link       Link              `json:"link"`
}

func (s *server) invite(ctx context.Context, in *struct {
	Body struct {
		Email   string               `json:"email" minLength:"3" maxLength:"254"`
		Role    tenancy.Role         `json:"role"`
		Denied  []tenancy.Capability `json:"denied,omitempty" nullable:"false" doc:"Capabilities of the role that this member lacks."`
		Tenants []string             `json:"tenants,omitempty" nullable:"false" minItems:"1" doc:"Ids or names of the tenants that this member may see. Default: all."`
	} `nameHint:"Invite"`
},
) (*one[NewInvitation], error) {
	b := in.Body
	secret, i, err := s.door.Invite(ctx, at(ctx).actor, b.Email,
		access.Membership{Role: b.Role, Denied: b.Denied, AllTenants: b.Tenants == nil, Tenants: b.Tenants})
	if err != nil {
		return nil, err
	}
	return &one[NewInvitation]{Body: NewInvitation{Invitation: i, Link: Link{Href: op.InvitationPath(secret), ExpiresAt: i.ExpiresAt}}}, nil
}

func (s *server) revokeInvitation(ctx context.Context, in *struct {
	Invitation string `path:"invitation" doc:"Id."`
},
) (*none, error) {
	return nil, s.door.RevokeInvitation(ctx, at(ctx).actor, in.Invitation)
}

// OpenedInvitation is an invitation as the person with its link sees it.
type OpenedInvitation struct {
	Workspace string       `json:"workspace" doc:"URL name of the workspace."`
	Name      string       `json:"name" doc:"Name of the workspace."`
	Email     string       `json:"email" doc:"Address of the invited person."`
	Role      tenancy.Role `json:"role"`
	InvitedBy string       `json:"invited_by"`
	ExpiresAt time.Time    `json:"expires_at"`
}

func opened(i access.Invitation) *one[OpenedInvitation] {
	return &one[OpenedInvitation]{Body: OpenedInvitation{
		Workspace: i.Workspace().Slug, Name: i.Workspace().Name, Email: i.Email, Role: i.Role, InvitedBy: i.InvitedBy.Name, ExpiresAt: i.ExpiresAt,
	}}
}

func (s *server) openInvitation(ctx context.Context, in *struct {
	Body struct {
		Link string `json:"link" minLength:"1" maxLength:"100" writeOnly:"true" doc:"The secret of the link: its parameter \"link\"."`
	} `nameHint:"OpenInvitation"`
},
) (*one[OpenedInvitation], error) {
	i, err := s.door.Invitation(ctx, in.Body.Link)
	if err != nil {
		return nil, err
	}
	return opened(i), nil
}

func (s *server) acceptInvitation(ctx context.Context, in *struct {
	Body struct {
		Link     string `json:"link" minLength:"1" maxLength:"100" writeOnly:"true" doc:"The secret of the link: its parameter \"link\"."`
		Name     string `json:"name,omitempty" maxLength:"120" doc:"Name for a new account. Left out: the address has an account."`
		Password string `json:"password" minLength:"1" maxLength:"512" writeOnly:"true" doc:"Password of the account. For a new account: 12 characters at least."`
	} `nameHint:"AcceptInvitation"`
},
) (*one[OpenedInvitation], error) {
	b := in.Body
	i, err := s.door.Accept(ctx, access.Acceptance{Link: b.Link, Name: b.Name, Password: b.Password, Remote: httpx.Of(ctx).Remote})
	if err != nil {
		return nil, httpx.JoinError(err)
	}
	return opened(i), nil
}

func (s *server) joinWorkspace(ctx context.Context, in *struct {
	Body struct {
		Link string `json:"link" minLength:"1" maxLength:"100" writeOnly:"true" doc:"The secret of the link: its parameter \"link\"."`
	} `nameHint:"JoinWorkspace"`
},
) (*one[OpenedInvitation], error) {
	i, err := s.door.Join(ctx, at(ctx).actor, in.Body.Link)
	if err != nil {
		return nil, err
	}
	return opened(i), nil
}

// Place is a workspace of the signed-in person.
type Place struct {
	tenancy.Workspace
	Role    tenancy.Role `json:"role"`
	Tenants int64        `json:"tenants" doc:"Number of tenants that you may see there."`
}

func (s *server) workspaces(ctx context.Context, _ *none) (*list[Place], error) {
	places, err := s.door.Workspaces(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return page(each(places, func(p access.Place) Place { return Place{p.Workspace, p.Role, p.Tenants} }), ""), nil
}

func (s *server) resetPassword(ctx context.Context, in *struct {
	Body struct {
		Link     string `json:"link" minLength:"1" maxLength:"100" writeOnly:"true" doc:"The secret of the link: its parameter \"link\"."`
		Password string `json:"password" minLength:"1" maxLength:"512" writeOnly:"true"`
	} `nameHint:"ResetPassword"`
},
) (*none, error) {
	_, err := s.door.Reset(ctx, in.Body.Link, in.Body.Password, httpx.Of(ctx).Remote)
	return nil, err
}
