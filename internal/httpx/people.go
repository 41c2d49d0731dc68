package httpx

import (
	"context"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
)

// Invite invites a person to a's workspace; see [access.Invite].
func (d *Door) Invite(ctx context.Context, a access.Actor, email string, as access.Membership) (secret string, i access.Invitation, err error) {
	return access.Invite(ctx, d.db, a, email, as)
}

// Invitations returns the open invitations of a's workspace; see [access.Invitations].
func (d *Door) Invitations(ctx context.Context, a access.Actor) ([]access.Invitation, error) {
	return access.Invitations(ctx, d.db, a)
}

// RevokeInvitation revokes an open invitation; see [access.RevokeInvitation].
func (d *Door) RevokeInvitation(ctx context.Context, a access.Actor, id string) error {
	return access.RevokeInvitation(ctx, d.db, a, id)
}

// Invitation returns the invitation of a link; see [access.OpenInvitation].
func (d *Door) Invitation(ctx context.Context, link string) (access.Invitation, error) {
	return access.OpenInvitation(ctx, d.db, link)
}

// Accept makes the holder of an invitation's link a member; see [access.Accept].
func (d *Door) Accept(ctx context.Context, s access.Acceptance) (access.Invitation, error) {
	return access.Accept(ctx, d.db, d.limits, s)
}

// Join makes a a member, by the link of an invitation; see [access.Join].
func (d *Door) Join(ctx context.Context, a access.Actor, link string) (access.Invitation, error) {
	return access.Join(ctx, d.db, a, link)
}

// ChangePassword changes a's own password; see [access.ChangePassword].
func (d *Door) ChangePassword(ctx context.Context, a access.Actor, p access.NewPassword) error {
	return access.ChangePassword(ctx, d.db, d.limits, a, p)
}

// Rename changes a's own name; see [access.Rename].
func (d *Door) Rename(ctx context.Context, a access.Actor, name string) error {
	return access.Rename(ctx, d.db, a, name)
}

// ResetLink creates a link with which a member sets a new password; see [access.ResetLink].
func (d *Door) ResetLink(ctx context.Context, a access.Actor, member string) (secret string, expires time.Time, err error) {
	return access.ResetLink(ctx, d.db, a, member)
}

// OpenReset returns the person whose password a link resets; see [access.OpenReset].
func (d *Door) OpenReset(ctx context.Context, link string) (email string, err error) {
	return access.OpenReset(ctx, d.db, link)
}

// Reset sets a password with a link; see [access.Reset].
func (d *Door) Reset(ctx context.Context, link, password, remote string) (email string, err error) {
	return access.Reset(ctx, d.db, d.limits, link, password, remote)
}

// JoinError returns the problem for an error of accepting an invitation. There an
// authentication error is about the typed values, not about the bearer secret.
func JoinError(err error) error {
	if !errors.Is(err, access.ErrUnauthenticated) {
		return err
	}
	return NewProblem(op.ProblemJoinRefused, nil)
}
