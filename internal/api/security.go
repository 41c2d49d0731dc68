package api

import (
	"context"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveSecurity() {
	serve(s, Route{
		ID: "get-factors", Method: http.MethodGet, Path: "/me/factors", Object: Self,
		Summary: "List your second factors, with the number of recovery codes left",
	}, s.factors)
	serve(s, Route{
		ID: "begin-authenticator", Method: http.MethodPost, Path: "/me/authenticator", Object: Self,
		Summary: "Get the secret for a new authenticator app; confirm it with a code to add it",
	}, s.beginAuthenticator)
	serve(s, Route{
		ID: "confirm-authenticator", Method: http.MethodPost, Path: "/me/authenticator/confirm", Object: Self, Success: http.StatusCreated, Conflicts: true,
		Summary: "Add the new authenticator app with a code from it; your other sessions end",
	}, s.confirmAuthenticator)
	serve(s, Route{
		ID: "create-recovery-codes", Method: http.MethodPost, Path: "/me/recovery-codes", Object: Self, Success: http.StatusCreated, Conflicts: true,
		Summary: "Replace your recovery codes, which are shown once",
	}, s.recoveryCodes)
	serve(s, Route{
		ID: "rename-factor", Method: http.MethodPatch, Path: "/me/factors/{factor}", Object: Self,
		Summary: "Rename one of your second factors",
	}, s.renameFactor)
	serve(s, Route{
		ID: "remove-factor", Method: http.MethodDelete, Path: "/me/factors/{factor}", Object: Self, Success: http.StatusNoContent, Conflicts: true,
		Summary: "Remove one of your second factors; your other sessions end",
	}, s.removeFactor)
	serve(s, Route{
		ID: "end-other-sessions", Method: http.MethodPost, Path: "/me/sessions/end-others", Object: Self, Success: http.StatusNoContent,
		Summary: "End all your other sessions, in every workspace; API tokens keep working",
	}, s.endOtherSessions)
	serve(s, Route{
		ID: "reset-member-factors", Method: http.MethodDelete, Path: "/members/{member}/factors", Object: Workspace, Needs: tenancy.ManageMembers,
		Success: http.StatusNoContent, Conflicts: true,
		Summary: "Remove all second factors of a member; their sessions end",
	}, s.resetFactors)
	serve(s, Route{
		ID: "get-policy", Method: http.MethodGet, Path: "/workspace/policy", Object: Workspace, Needs: tenancy.View,
		Summary: "Get the sign-in policy of the workspace",
	}, s.policy)
	serve(s, Route{
		ID: "set-policy", Method: http.MethodPut, Path: "/workspace/policy", Object: Workspace, Needs: tenancy.ManageMembers, Conflicts: true,
		Summary: "Change the sign-in policy of the workspace",
	}, s.setPolicy)
}

// FactorID names the second factor of a route.
type FactorID struct {
	Factor string `path:"factor" doc:"Id."`
}

func (s *server) factors(ctx context.Context, _ *none) (*one[access.Security], error) {
	security, err := s.door.Security(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &one[access.Security]{Body: security}, nil
}

// Authenticator is a new authenticator app that waits for its first code.
type Authenticator struct {
	Secret  string `json:"secret" doc:"In base32, to type into the app. Valid for ten minutes."`
	Address string `json:"address" format:"uri" doc:"Content of a QR code for the app."`
}

func (s *server) beginAuthenticator(ctx context.Context, _ *none) (*one[Authenticator], error) {
	e, err := s.door.BeginTOTP(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &one[Authenticator]{Body: Authenticator(e)}, nil
}

// RecoveryCodes are codes that replace lost second factors.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes" nullable:"false" doc:"Each works once. They are shown once. Empty: your existing codes are kept."`
}

func codes(list []string, err error) (*one[RecoveryCodes], error) {
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []string{}
	}
	return &one[RecoveryCodes]{Body: RecoveryCodes{list}}, nil
}

func (s *server) confirmAuthenticator(ctx context.Context, in *struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"80" doc:"Your name for it."`
		Code string `json:"code" minLength:"6" maxLength:"7" doc:"The code that the app shows."`
	} `nameHint:"ConfirmAuthenticator"`
},
) (*one[RecoveryCodes], error) {
	return codes(s.door.FinishTOTP(ctx, at(ctx).actor, in.Body.Name, in.Body.Code))
}

func (s *server) recoveryCodes(ctx context.Context, _ *none) (*one[RecoveryCodes], error) {
	return codes(s.door.NewRecoveryCodes(ctx, at(ctx).actor))
}

func (s *server) renameFactor(ctx context.Context, in *struct {
	FactorID
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"80"`
	} `nameHint:"RenameFactor"`
},
) (*one[access.Security], error) {
	if err := s.door.RenameFactor(ctx, at(ctx).actor, in.Factor, in.Body.Name); err != nil {
		return nil, err
	}
	return s.factors(ctx, nil)
}

func (s *server) removeFactor(ctx context.Context, in *FactorID) (*none, error) {
	return nil, s.door.RemoveFactor(ctx, at(ctx).actor, in.Factor)
}

func (s *server) endOtherSessions(ctx context.Context, _ *none) (*none, error) {
	return nil, s.door.EndOtherSessions(ctx, at(ctx).actor)
}

func (s *server) resetFactors(ctx context.Context, in *MemberID) (*none, error) {
	return nil, s.door.ResetFactors(ctx, at(ctx).actor, in.Member)
}

func (s *server) policy(ctx context.Context, _ *none) (*one[access.Policy], error) {
	p, err := s.door.Policy(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &one[access.Policy]{Body: p}, nil
}

func (s *server) setPolicy(ctx context.Context, in *struct {
	Body struct {
		SecondFactor bool `json:"second_factor" doc:"Whether members need a second factor. You must have one to require it."`
	} `nameHint:"SetPolicy"`
},
) (*one[access.Policy], error) {
	if err := s.door.SetPolicy(ctx, at(ctx).actor, access.Policy(in.Body)); err != nil {
		return nil, err
	}
	return s.policy(ctx, nil)
}
