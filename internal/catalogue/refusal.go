package catalogue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// RunError ends a run as failed, whatever its items are, for a reason that is not a
// refusal of the provider. Reason is a failure that package op has words for; Args are the
// facts of its sentence.
type RunError struct {
	Reason op.Reason
	Args   op.Args
}

// Error returns the reason and its facts, for the log.
func (e *RunError) Error() string { return fmt.Sprintf("%s %v", e.Reason, e.Args) }

// endsRun reports whether an error of one call makes further calls pointless: the
// connection is refused as a whole, the provider gives no answer or asks for a
// long wait, or the run itself is over. What is left is about that call alone.
func endsRun(err error) bool {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return true
	}
	switch pe.Reason { //nolint:exhaustive // everything else is about the connection, or the provider as a whole
	case op.PermissionMissing, op.AccessRefused, op.NotLicensed, op.ProviderRejected, op.ItemRefused, op.ProviderFault:
		return false
	default:
		return true
	}
}

// faulty reports whether the provider answered with a fault that may pass.
func faulty(err error) bool {
	var pe *provider.Error
	return errors.As(err, &pe) && pe.Reason == op.ProviderFault && pe.Temporary
}

// notApplicable reports whether the tenant does not have the service that was
// asked for at all, for want of a licence. That is nobody's failure: every
// operation tells such an item as [op.ItemNotApplicable], a verification such a
// check as [CheckNotApplicable], and counts neither.
func notApplicable(err error) bool {
	var pe *provider.Error
	return errors.As(err, &pe) && pe.Unlicensed
}

// Refusal returns the reason why a run or one of its calls failed and the facts for its
// sentence. The reason contradicts no stored fact. needs are the permissions of the call; consented
// says whether consent had been given when the run began.
func Refusal(err error, needs []Permission, consented bool) (op.Reason, op.Args) {
	var ours *RunError
	if errors.As(err, &ours) {
		return ours.Reason, ours.Args
	}
	reason, args := provider.Classify(err), make(op.Args)
	var pe *provider.Error
	if errors.As(err, &pe) {
		maps.Copy(args, pe.Args())
	}
	switch {
	case reason == op.ConsentMissing && consented:
		return op.ConsentRevoked, args // it was there
	case reason == op.PermissionMissing && pe.Granted != nil && len(needs) > 0:
		missing := Missing(needs, pe.Granted)
		if len(missing) == 0 { // it has what the call needs: something else is in the way
			reason, missing = op.AccessRefused, granted(needs, pe.Granted)
		}
		args["permissions"], args["count"] = strings.Join(missing, listed), strconv.Itoa(len(missing))
	case reason == op.PermissionMissing && pe.Status != 0 && len(needs) > 0:
		// Our table, which is dated, goes before a list in the provider's text: that
		// has had obsolete names.
		missing := Missing(needs, nil)
		args["permissions"], args["count"] = strings.Join(missing, listed), strconv.Itoa(len(missing))
	}
	return reason, args
}

// granted returns by which names the needs are satisfied.
func granted(needs []Permission, roles []string) (names []string) {
	for _, n := range needs {
		if i := slices.IndexFunc(n.AnyOf, func(name string) bool { return slices.Contains(roles, name) }); i >= 0 {
			names = append(names, n.AnyOf[i])
		}
	}
	return names
}

// told returns reason, facts and evidence of a call's error for one item. Whatever
// the provider refused without a reason of ours is told in its own words.
func told(env *Env, err error, needs Permission) (op.Reason, op.Args, *op.Evidence) {
	reason, args := Refusal(err, []Permission{needs}, env.Consented)
	maps.Copy(args, names(env))
	if reason == op.ProviderRejected {
		reason = op.ItemRefused
	}
	var pe *provider.Error
	if errors.As(err, &pe) {
		return reason, args, pe.Evidence()
	}
	return reason, args, nil
}

// names are the facts that any sentence about the run's connection may need.
func names(env *Env) op.Args {
	return op.Args{
		"provider":           env.Run.Target.Provider,
		"connection":         env.Run.Target.Short,
		"tenant":             env.Run.Tenant.Name,
		"credential_kind":    env.CredentialKind,
		"expected_directory": env.Directory,
	}
}
