package catalogue

import (
	"errors"
	"maps"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

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
