package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveSelf() {
	serve(s, Route{
		ID: "sign-in", Method: http.MethodPost, Path: "/sign-in", Object: Public,
		Summary: "Sign in; the secret of the session is the bearer token for further requests",
	}, s.signIn)
	serve(s, Route{
		ID: "sign-out", Method: http.MethodPost, Path: "/sign-out", Object: Self, Success: http.StatusNoContent,
		Summary: "End the session or token of this request",
	}, s.signOut)
	serve(s, Route{
		ID: "confirm-session", Method: http.MethodPost, Path: "/me/confirm", Object: Self,
		Summary: "Confirm your identity; returns a new secret for the session and ends the old one",
	}, s.confirm)
	serve(s, Route{
		ID: "get-me", Method: http.MethodGet, Path: "/me", Object: Self,
		Summary: "Get your name, workspace, role and capabilities",
	}, s.me)
	serve(s, Route{
		ID: "rename-me", Method: http.MethodPatch, Path: "/me", Object: Self,
		Summary: "Change your own name; needs a session",
	}, s.rename)
	serve(s, Route{
		ID: "change-password", Method: http.MethodPost, Path: "/me/password", Object: Self, Success: http.StatusNoContent, Conflicts: true,
		Summary: "Change your own password; your other sessions end",
	}, s.changePassword)
	serve(s, Route{
		ID: "list-tokens", Method: http.MethodGet, Path: "/tokens", Object: Self, Needs: tenancy.ManageOwnTokens,
		Summary: "List your active tokens and sessions",
	}, s.tokens)
	serve(s, Route{
		ID: "create-token", Method: http.MethodPost, Path: "/tokens", Object: Self, Needs: tenancy.ManageOwnTokens, Success: http.StatusCreated,
		Summary: "Create a token that acts for you; its secret is shown once",
	}, s.createToken)
	serve(s, Route{
		ID: "revoke-token", Method: http.MethodDelete, Path: "/tokens/{token}", Object: Self, Needs: tenancy.ManageOwnTokens, Success: http.StatusNoContent,
		Summary: "Revoke one of your tokens or sessions",
	}, s.revokeToken)
}

// Me is the signed-in person.
type Me struct {
	ID           string               `json:"id"`
	Name         string               `json:"name"`
	Email        string               `json:"email"`
	Workspace    tenancy.Workspace    `json:"workspace"`
	Role         tenancy.Role         `json:"role"`
	Capabilities []tenancy.Capability `json:"capabilities" nullable:"false" doc:"Those of your role, without your exceptions and the limits of the token."`
}

func person(a access.Actor) Me {
	p := Me{
		ID: a.ID(), Name: a.Name(), Email: a.Email(), Role: a.Role(), Capabilities: a.Grants().List(),
		Workspace: tenancy.Workspace{ID: a.WorkspaceID(), Slug: a.WorkspaceSlug(), Name: a.WorkspaceName()},
	}
	if p.Capabilities == nil {
		p.Capabilities = []tenancy.Capability{}
	}
	return p
}

func (s *server) me(ctx context.Context, _ *none) (*one[Me], error) {
	return &one[Me]{Body: person(at(ctx).actor)}, nil
}

func (s *server) rename(ctx context.Context, in *struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"120"`
	} `nameHint:"RenameMe"`
},
) (*one[Me], error) {
	v := at(ctx)
	if err := s.door.Rename(ctx, v.actor, in.Body.Name); err != nil {
		return nil, err
	}
	var err error
	if v.actor, err = s.door.Actor(ctx, v.secret); err != nil {
		return nil, err
	}
	return s.me(ctx, nil)
}

func (s *server) changePassword(ctx context.Context, in *struct {
	Body struct {
		Current  string `json:"current_password" minLength:"1" maxLength:"512" writeOnly:"true"`
		Password string `json:"password" minLength:"1" maxLength:"512" writeOnly:"true" doc:"The new password: 12 characters at least."`
	} `nameHint:"ChangePassword"`
},
) (*none, error) {
	return nil, s.door.ChangePassword(ctx, at(ctx).actor,
		access.NewPassword{Current: in.Body.Current, Password: in.Body.Password, Remote: httpx.Of(ctx).Remote})
}

// Session is a session that was just opened.
type Session struct {
	Token     string    `json:"token" doc:"Send it as \"Authorization: Bearer ...\". It is told this once."`
	ExpiresAt time.Time `json:"expires_at" doc:"It ends earlier, after 12 hours without a request."`
	Person    Me        `json:"person"`
}

func (s *server) signIn(ctx context.Context, in *struct {
	Surface string `header:"Interlock-Surface" enum:"api,cli" doc:"Name of the device, shown in your list of sessions. Default: api."`
	Body    struct {
		Email     string `json:"email" minLength:"1" maxLength:"254"`
		Password  string `json:"password" minLength:"1" maxLength:"512"`
		Workspace string `json:"workspace,omitempty" doc:"Id or name. Default: your first workspace."`
		Code      string `json:"code,omitempty" maxLength:"64" writeOnly:"true" doc:"Code from your authenticator app, or a recovery code. Without it, an account with a second factor gets 401 second_factor_required."`
	} `nameHint:"SignIn"`
},
) (*one[Session], error) {
	device := "API"
	if op.Surface(in.Surface) == op.SurfaceCLI {
		device = "Command line"
	}
	secret, session, err := s.door.SignIn(ctx, access.Credentials{
		Email: in.Body.Email, Password: in.Body.Password, Workspace: in.Body.Workspace, Remote: httpx.Of(ctx).Remote, Device: device,
	})
	var second *access.SecondFactorError
	if errors.As(err, &second) && in.Body.Code != "" {
		secret, session, err = s.door.FinishSignIn(ctx, second.Pending, access.Proof{Code: in.Body.Code, Remote: httpx.Of(ctx).Remote})
	}
	if err != nil {
		return nil, httpx.SignInError(err)
	}
	return &one[Session]{Body: Session{Token: secret, ExpiresAt: session.ExpiresAt, Person: person(session.Actor)}}, nil
}

func (s *server) confirm(ctx context.Context, in *struct {
	Body struct {
		Password string `json:"password,omitempty" maxLength:"512" writeOnly:"true" doc:"Your password, if you have no second factor."`
		Code     string `json:"code,omitempty" maxLength:"64" writeOnly:"true" doc:"Code from your authenticator app, or a recovery code."`
	} `nameHint:"Confirm"`
},
) (*one[Session], error) {
	a := at(ctx).actor
	secret, err := s.door.Confirm(ctx, a, access.Proof{Password: in.Body.Password, Code: in.Body.Code, Remote: httpx.Of(ctx).Remote})
	if err != nil {
		return nil, err
	}
	return &one[Session]{Body: Session{Token: secret, ExpiresAt: a.ExpiresAt(), Person: person(a)}}, nil
}

func (s *server) signOut(ctx context.Context, _ *none) (*none, error) {
	return nil, s.door.SignOut(ctx, at(ctx).actor)
}

func (s *server) tokens(ctx context.Context, _ *none) (*list[access.Token], error) {
	tokens, err := s.door.Tokens(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return page(tokens, ""), nil
}

// NewToken is a token that was just created.
type NewToken struct {
	Secret string       `json:"secret" doc:"It is shown once."`
	Token  access.Token `json:"token"`
}

// defaultTTL is the lifetime of a token for which none is given.
const defaultTTL = 90 * 24 * time.Hour

func (s *server) createToken(ctx context.Context, in *struct {
	Body struct {
		Name string               `json:"name" minLength:"1" maxLength:"80" doc:"What it is for."`
		TTL  int64                `json:"ttl_seconds,omitempty" minimum:"60" maximum:"31536000" doc:"How long it is valid. Default: 90 days."`
		Only []tenancy.Capability `json:"only,omitempty" nullable:"false" doc:"Limit the token to these capabilities. Default: everything you can do, now and later."`
	} `nameHint:"CreateToken"`
},
) (*one[NewToken], error) {
	ttl := time.Duration(in.Body.TTL) * time.Second
	if ttl == 0 {
		ttl = defaultTTL
	}
	secret, token, err := s.door.CreateToken(ctx, at(ctx).actor, in.Body.Name, ttl, in.Body.Only)
	if err != nil {
		return nil, err
	}
	return &one[NewToken]{Body: NewToken{Secret: secret, Token: token}}, nil
}

func (s *server) revokeToken(ctx context.Context, in *struct {
	Token string `path:"token" doc:"Id."`
},
) (*none, error) {
	return nil, s.door.RevokeToken(ctx, at(ctx).actor, in.Token)
}
