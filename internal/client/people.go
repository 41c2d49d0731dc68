package client

import (
	"context"
	"net/http"
)

// Methods that change members, invitations or passwords need a session whose person
// signed in during the last 15 minutes: see [Client.SignIn] and [Client.Confirm]. An
// API token can't call them.

// Members lists the members of the workspace, by name.
func (c *Client) Members(ctx context.Context) (Page[Member], error) {
	return get[Page[Member]](ctx, c, "/members", nil)
}

// ChangeMember changes what a member may see and do.
func (c *Client) ChangeMember(ctx context.Context, id string, change MemberChange) (m Member, err error) {
	return m, c.do(ctx, call{method: http.MethodPatch, path: path("/members/%s", id), in: change, out: &m})
}

// RemoveMember removes somebody from the workspace.
func (c *Client) RemoveMember(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/members/%s", id)})
}

// DisableMember disables a member's account.
func (c *Client) DisableMember(ctx context.Context, id string) (m Member, err error) {
	return m, c.do(ctx, call{method: http.MethodPost, path: path("/members/%s/disable", id), out: &m})
}

// EnableMember enables a member's account again.
func (c *Client) EnableMember(ctx context.Context, id string) (m Member, err error) {
	return m, c.do(ctx, call{method: http.MethodPost, path: path("/members/%s/enable", id), out: &m})
}

// ResetLink creates a link with which a member chooses a new password.
func (c *Client) ResetLink(ctx context.Context, id string) (l Link, err error) {
	return l, c.do(ctx, call{method: http.MethodPost, path: path("/members/%s/reset-link", id), out: &l})
}

// Invitations lists the open invitations to the workspace, newest first.
func (c *Client) Invitations(ctx context.Context) (Page[Invitation], error) {
	return get[Page[Invitation]](ctx, c, "/invitations", nil)
}

// Invite invites somebody to the workspace by a one-time link.
func (c *Client) Invite(ctx context.Context, who Invite) (i NewInvitation, err error) {
	return i, c.do(ctx, call{method: http.MethodPost, path: "/invitations", in: who, out: &i})
}

// RevokeInvitation ends an open invitation.
func (c *Client) RevokeInvitation(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("/invitations/%s", id)})
}

// OpenInvitation returns the invitation behind a link. link is the secret in it.
func (c *Client) OpenInvitation(ctx context.Context, link string) (o Offer, err error) {
	return o, c.do(ctx, call{method: http.MethodPost, path: "/join/open", in: map[string]string{"link": link}, out: &o})
}

// AcceptInvitation makes the invited person a member: with the existing account of the
// address, or with a new one if name is not empty. It opens no session.
func (c *Client) AcceptInvitation(ctx context.Context, link, name, password string) (o Offer, err error) {
	in := map[string]string{"link": link, "password": password}
	if name != "" {
		in["name"] = name
	}
	return o, c.do(ctx, call{method: http.MethodPost, path: "/join", in: in, out: &o})
}

// JoinWorkspace makes the client's person a member, using an invitation's link.
func (c *Client) JoinWorkspace(ctx context.Context, link string) (o Offer, err error) {
	return o, c.do(ctx, call{method: http.MethodPost, path: "/me/invitations", in: map[string]string{"link": link}, out: &o})
}

// ResetPassword sets a password, using a reset link.
func (c *Client) ResetPassword(ctx context.Context, link, password string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/password-reset", in: map[string]string{"link": link, "password": password}})
}

// Workspaces lists the workspaces of the client's person, by name.
func (c *Client) Workspaces(ctx context.Context) (Page[Place], error) {
	return get[Page[Place]](ctx, c, "/me/workspaces", nil)
}

// Rename changes the person's own name.
func (c *Client) Rename(ctx context.Context, name string) (me Me, err error) {
	return me, c.do(ctx, call{method: http.MethodPatch, path: "/me", in: map[string]string{"name": name}, out: &me})
}

// ChangePassword changes the person's own password and ends their other sessions.
func (c *Client) ChangePassword(ctx context.Context, current, password string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/me/password", in: map[string]string{"current_password": current, "password": password}})
}
