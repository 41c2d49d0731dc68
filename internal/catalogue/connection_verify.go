package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// A verification needs nothing but an existing, enabled connection of an active
// tenant: it is how an operator finds out about everything else. A connection
// without a usable credential is told so by its sign-in check.
//
// The verdict is on the connection: it is reached, signs in to the tenant's own
// directory, with an administrator's consent, and may read the organization.
// Whatever of that fails, fails the run with its reason. Areas that it can't read
// do not: each is a failed check with what is missing, the run is partly
// succeeded, and the gate judges by the permissions that were learnt. What could
// not be found out, because the provider is busy or away, changes no verdict.
var connectionVerify = &Definition{
	Kind:        op.ConnectionVerify,
	Version:     1,
	Capability:  tenancy.VerifyConnections,
	Canonical:   noParameters,
	Parameters:  struct{}{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    10 * time.Minute,
	CallLimit:   15 * time.Second,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         verifyConnection,
}

// noParameters is the canonical form of an operation that takes none.
func noParameters(raw json.RawMessage) (json.RawMessage, error) {
	if err := decodeStrict(raw, &struct{}{}); err != nil {
		return nil, err
	}
	return json.RawMessage("{}"), nil
}

// verifyConnection makes the checks in order. The steps are about the connection
// as a whole and the first that fails ends it; the areas are looked into one by one.
func verifyConnection(ctx context.Context, env *Env) error {
	v := newVerification(env)
	if err := env.Report.Progress(ctx, v.counts); err != nil {
		return err
	}
	failure := v.steps(ctx)
	if failure == nil {
		v.facts.Verdict = tenancy.VerificationOK
		failure = v.areas(ctx)
	}
	var pe *provider.Error
	switch {
	case failure == nil:
	case !errors.As(failure, &pe):
		return failure // the run itself is over, and nothing of it can be written
	case !pe.Temporary:
		v.facts.Verdict, v.facts.Reason = tenancy.VerificationFailed, pe.Reason
	}
	for v.next < len(v.facts.Checks) {
		if err := v.record(ctx, Check{Result: CheckNotReached, Reason: op.ItemNotReached}); err != nil {
			return err
		}
	}
	if err := env.Data.Learn(ctx, v.facts); err != nil {
		return err
	}
	return failure
}

// verification is one on its way through its checks, which are settled in order.
type verification struct {
	env    *Env
	token  provider.Token
	facts  Facts
	counts op.Counts
	next   int // index of the check that is settled next
}

func newVerification(env *Env) *verification {
	checks := []Check{
		{Key: "authority", Name: "Sign-in service"},
		{Key: "sign_in", Name: "Sign-in"},
		{Key: "identity", Name: "Directory"},
		{Key: "consent", Name: "Admin consent"},
		{Key: "organization", Name: "Organization"},
	}
	for _, a := range areas {
		checks = append(checks, Check{Key: "area." + a.key, Name: a.name})
	}
	return &verification{
		env:    env,
		facts:  Facts{Checks: checks, Verdict: tenancy.VerificationMissing},
		counts: op.Counts{Total: int64(len(checks))},
	}
}

// steps makes the checks of the connection as a whole, until one fails. Each
// returns what it found, for the report.
func (v *verification) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) (string, error){
		v.authority, v.signIn, v.identity, v.consent, v.organization,
	} {
		found, err := step(ctx)
		if lost := v.settle(ctx, found, err, organizationRead); lost != nil {
			return lost
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) authority(ctx context.Context) (string, error) {
	return "", v.env.Provider.Discover(ctx)
}

func (v *verification) signIn(ctx context.Context) (string, error) {
	token, err := v.env.Provider.Token(ctx)
	if err != nil {
		return "", err
	}
	v.token = token
	v.facts.Credential = new(tenancy.CredentialOK)
	return "", nil
}

func (v *verification) identity(context.Context) (string, error) {
	v.facts.Directory = &v.token.Directory
	return v.token.Directory, v.own(v.token.Directory)
}

// own returns an error unless the directory is the tenant's.
func (v *verification) own(directory string) error {
	if directory == v.env.Directory {
		return nil
	}
	return &provider.Error{Reason: op.TenantMismatch, Message: "the connection opens directory " + directory}
}

// consent looks at the token. docs: without consent the sign-in succeeds once the
// application is known in the directory, and the token carries no roles.
func (v *verification) consent(context.Context) (string, error) {
	v.facts.Permissions = &v.token.Roles
	if len(v.token.Roles) == 0 {
		return "", &provider.Error{Reason: op.ConsentMissing, Message: "the token carries no permissions"}
	}
	v.facts.Consent = new(tenancy.ConsentGranted)
	return strings.Join(v.token.Roles, ", "), nil
}

// organizationRead is what the last step needs. docs: many permissions open the
// organization; this is the one to ask for.
var organizationRead = Permission{AnyOf: []string{"Organization.Read.All"}, For: "read the organization"}

// organization reads the directory's own entry, which says once more whose it is.
func (v *verification) organization(ctx context.Context) (string, error) {
	raw, err := v.env.Provider.Get(ctx, "/v1.0/organization?$select=id,displayName,verifiedDomains")
	if err != nil {
		return "", err
	}
	var answer struct {
		Value []struct {
			ID   string `json:"id"`
			Name string `json:"displayName"`
		} `json:"value"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return "", unreadable("the organization", err)
	}
	if len(answer.Value) != 1 {
		return "", unreadable("the organization", fmt.Errorf("there are %d", len(answer.Value)))
	}
	return clean(answer.Value[0].Name), v.own(strings.ToLower(answer.Value[0].ID))
}

// areas looks into each part of the provider with the cheapest call there is.
// Every area has a verdict of its own. What would only fail again is not asked:
// the rest of a service that the tenant does not have, and everything once the
// provider is away or asks for a long wait.
func (v *verification) areas(ctx context.Context) error {
	var away, noIntune error
	for _, a := range areas {
		err := away
		if err == nil && a.intune {
			err = noIntune
		}
		if err == nil {
			err = v.area(ctx, a)
		}
		if lost := v.settle(ctx, "", err, a.permission); lost != nil {
			return lost
		}
		switch {
		case err == nil:
		case unlicensed(err):
			noIntune = err
		case endsRun(err) && judge(err) == CheckFailed:
			return err
		case endsRun(err):
			away = err
		}
	}
	return nil
}

// area tells whether an area can be read: first by the roles of the token, as the
// gate does, then by asking.
func (v *verification) area(ctx context.Context, a *area) error {
	if missing := Missing([]Permission{a.permission}, v.token.Roles); len(missing) > 0 {
		return &provider.Error{Reason: op.PermissionMissing, Permissions: missing}
	}
	_, err := v.env.Provider.Page(ctx, a.probe)
	return err
}

// judge returns what an error means for a check. Whatever may be otherwise in a
// minute is no verdict.
func judge(err error) CheckResult {
	var pe *provider.Error
	switch {
	case err == nil:
		return CheckOK
	case errors.As(err, &pe) && pe.Temporary:
		return CheckInconclusive
	default:
		return CheckFailed
	}
}

// settle records how the next check ended, with what was found or what refused
// it, and takes from a refusal what it says of the connection. Its own error means
// that the run is over.
func (v *verification) settle(ctx context.Context, found string, err error, needs Permission) error {
	if err == nil {
		return v.record(ctx, Check{Result: CheckOK, Detail: found})
	}
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return err
	}
	check := Check{Result: judge(err)}
	check.Reason, check.Args = told(v.env, err, needs)
	if check.Result == CheckFailed {
		switch pe.Reason { //nolint:exhaustive // what else a provider says is not about the connection
		case op.ConsentMissing:
			v.facts.Consent = new(tenancy.ConsentMissing)
		case op.CredentialInvalid:
			v.facts.Credential = new(tenancy.CredentialInvalid)
		case op.CredentialUnreadable:
			v.facts.Credential = new(tenancy.CredentialUnreadable)
		case op.TenantMismatch:
			check.Args["expected_directory"] = v.env.Directory
			check.Args["actual_directory"] = v.token.Directory
		}
	}
	return v.record(ctx, check)
}

// record writes the next check down, as a line of the run too.
func (v *verification) record(ctx context.Context, end Check) error {
	check := &v.facts.Checks[v.next]
	v.next++
	check.Result, check.Reason, check.Detail, check.Args = end.Result, end.Reason, end.Detail, end.Args
	item := op.Item{Key: check.Key, Name: check.Name, Reason: check.Reason, Args: check.Args, At: v.env.Now()}
	switch check.Result {
	case CheckOK:
		item.Result = op.ItemDone
		v.counts.Done++
	case CheckFailed:
		item.Result = op.ItemFailed
		v.counts.Failed++
	case CheckInconclusive:
		item.Result = op.ItemUnknown
	case CheckNotReached:
		item.Result = op.ItemSkipped
	}
	if err := v.env.Report.Item(ctx, item); err != nil {
		return err
	}
	return v.env.Report.Progress(ctx, v.counts)
}
