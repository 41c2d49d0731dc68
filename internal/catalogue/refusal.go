package catalogue

import (
	"context"
	"errors"
	"maps"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// signIn takes a token and makes sure that it opens the tenant's own directory
// and everything that needs asks for. Every operation but the verification
// begins with it, before it reads or writes anything: what the gate judged was a
// stored fact, and the token is the truth.
func signIn(ctx context.Context, env *Env, needs []Permission) error {
	token, err := env.Provider.Token(ctx)
	if err != nil {
		return err
	}
	learnt := Facts{Verdict: tenancy.VerificationMissing}
	var refusal *provider.Error
	switch missing := Missing(needs, token.Roles); {
	case token.Directory != env.Directory:
		learnt.Directory = &token.Directory
		refusal = &provider.Error{Reason: op.TenantMismatch, Message: "the token is for directory " + token.Directory}
	case len(token.Roles) == 0:
		return &provider.Error{Reason: op.ConsentMissing, Message: "the token carries no permissions"}
	case len(missing) > 0:
		learnt.Permissions = &token.Roles
		refusal = &provider.Error{Reason: op.PermissionMissing, Permissions: missing}
	default:
		return nil
	}
	if err := env.Data.Learn(ctx, learnt); err != nil {
		return err
	}
	return refusal
}

// refused returns what err means in the middle of a run, and stores what it says
// of the connection, so that the next press is told at once. The gate admitted
// the run with consent given: consent that is missing now was withdrawn.
func refused(ctx context.Context, env *Env, err error) error {
	var pe *provider.Error
	if !errors.As(err, &pe) || pe.Temporary {
		return err
	}
	facts := Facts{Verdict: tenancy.VerificationMissing}
	switch pe.Reason { //nolint:exhaustive // what else a provider says is not about the connection
	case op.ConsentMissing, op.ConsentRevoked:
		withdrawn := *pe
		withdrawn.Reason = op.ConsentRevoked
		err = &withdrawn
		facts.Consent = new(tenancy.ConsentRevoked)
	case op.CredentialInvalid:
		facts.Credential = new(tenancy.CredentialInvalid)
	default:
		return err
	}
	if lost := env.Data.Learn(ctx, facts); lost != nil {
		return lost
	}
	return err
}

// endsRun reports whether an error of one call makes further calls pointless: the
// connection is refused as a whole, the provider gives no answer or asks for a
// long wait, or the run itself is over. What is left is about that call alone.
func endsRun(err error) bool {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return true
	}
	switch pe.Reason { //nolint:exhaustive // everything else is about the call
	case op.PermissionMissing, op.ProviderRejected, op.ItemRefused:
		return false
	case op.ProviderUnreachable:
		return pe.Status == 0
	default:
		return true
	}
}

// unlicensed reports whether the tenant does not have the service at all.
func unlicensed(err error) bool {
	var pe *provider.Error
	return errors.As(err, &pe) && pe.Unlicensed
}

// told returns reason and facts of a call's error for one item. Whatever the
// provider refused without a reason of ours is told in its own words.
func told(env *Env, err error, needs Permission) (op.Reason, op.Args) {
	args := names(env)
	reason := provider.Classify(err)
	var pe *provider.Error
	if errors.As(err, &pe) {
		maps.Copy(args, pe.Args())
	}
	switch {
	case reason == op.ProviderRejected:
		reason = op.ItemRefused
	case reason == op.PermissionMissing && args["permissions"] == "":
		args["permissions"], args["count"] = needs.AnyOf[0], "1"
	}
	return reason, args
}

// names are the facts that any sentence about the run's connection may need.
func names(env *Env) op.Args {
	return op.Args{
		"provider":   env.Run.Target.Provider,
		"connection": env.Run.Target.Short,
		"tenant":     env.Run.Tenant.Name,
	}
}
