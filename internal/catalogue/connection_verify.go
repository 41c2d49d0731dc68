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

// A verification needs only an enabled connection of a tenant that is not archived,
// since operators use it to find out about everything else. Its sign-in check reports a
// missing or unusable credential.
//
// The verdict is about the connection: the provider answers, the connection signs in to
// the tenant's own directory with admin consent, and it can read the organization. If one
// of these fails, the run fails with that reason. An area that can't be read is a failed
// check that names the missing permission; the run then ends partly succeeded, and the
// gate judges later starts by the permissions found. An area without a licence is not
// applicable, which is not a failure. A provider that is busy, unreachable or faulty
// changes no verdict: only an answer that proves something does.
var _ = Register(&Definition{
	Kind:    op.ConnectionVerify,
	Version: 1,
	Place:   10,
	Words: op.KindWords{
		Name: "Connection verification", Does: "Checks that Interlock can use the connection and has the permissions it needs.",
		Start: "Verify", Item: "check", Items: "checks",
	},
	Icon:        "shield",
	Capability:  "connection.verify",
	Allows:      "Verify connections",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Baseline:    true,
	Canonical:   NoParameters,
	Parameters:  struct{}{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    10 * time.Minute,
	CallLimit:   15 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	Interactive: true,
	OnEach:      true,
	Run:         verifyConnection,
})

// verifyConnection runs the checks in order. The steps concern the whole connection, and
// the first failure ends them; each area is checked on its own.
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
	case pe.Proven:
		v.facts.Verdict = tenancy.VerificationFailed
		v.facts.Reason, _ = Refusal(failure, nil, env.Consented)
	default:
		v.facts.Verdict = tenancy.VerificationMissing
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

// verification is a verification in progress. Its checks are settled in order.
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

// steps runs the checks of the whole connection until one fails. Each step returns what
// it found, for the report.
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
	v.facts.Credential, v.facts.SignIn = new(tenancy.CredentialOK), new(op.Reason)
	return "", nil
}

func (v *verification) identity(context.Context) (string, error) {
	v.facts.Directory = &v.token.Directory
	return v.token.Directory, v.own(v.token.Directory)
}

// own returns an error if directory is not the tenant's.
func (v *verification) own(directory string) error {
	if directory == v.env.Directory {
		return nil
	}
	v.facts.Directory = &directory
	return &provider.Error{Reason: op.TenantMismatch, Proven: true, Directory: directory, At: time.Now()}
}

// consent looks at the token. docs: without consent the sign-in succeeds once the
// application is known in the directory, and the token carries no roles.
func (v *verification) consent(context.Context) (string, error) {
	v.facts.Permissions = &v.token.Roles
	if len(v.token.Roles) == 0 {
		return "", &provider.Error{Reason: op.ConsentMissing, Proven: true, Note: "the token carries no permissions", At: time.Now()}
	}
	v.facts.Consent = new(tenancy.ConsentGranted)
	return strings.Join(v.token.Roles, ", "), nil
}

// organizationRead is what the last step needs. docs: many permissions open the
// organization; this is the one to ask for.
var organizationRead = Permission{AnyOf: []string{"Organization.Read.All"}, For: "read the organization"}

// organization reads the directory's own entry, which says once more whose it is.
func (v *verification) organization(ctx context.Context) (string, error) {
	id, name, err := Organization(ctx, v.env.Provider)
	var pe *provider.Error
	if errors.As(err, &pe) && pe.Reason == op.PermissionMissing {
		needs := []Permission{organizationRead}
		pe.Permissions = Missing(needs, v.token.Roles)
		if pe.Proven = len(pe.Permissions) > 0; !pe.Proven { // the token has it: something else is in the way
			pe.Reason, pe.Permissions = op.AccessRefused, granted(needs, v.token.Roles)
		}
	}
	if err != nil {
		return "", err
	}
	return name, v.own(id)
}

// Organization returns the GUID, in lower case, and the name of the directory that a
// connection signs in to.
func Organization(ctx context.Context, c provider.Client) (id, name string, err error) {
	raw, err := c.Get(ctx, "/v1.0/organization?$select=id,displayName,verifiedDomains")
	if err != nil {
		return "", "", err
	}
	var answer struct {
		Value []struct {
			ID   string `json:"id"`
			Name string `json:"displayName"`
		} `json:"value"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return "", "", unreadable("the organization", err)
	}
	if len(answer.Value) != 1 {
		return "", "", unreadable("the organization", fmt.Errorf("there are %d", len(answer.Value)))
	}
	return strings.ToLower(answer.Value[0].ID), clean(answer.Value[0].Name), nil
}

// areas checks each area with its cheapest call. Each area has its own result. Calls that
// would only fail again are skipped: the other areas of a service that the tenant lacks,
// and all areas once the provider is unreachable or asks for a long wait.
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
		case notApplicable(err) && a.intune:
			noIntune = err
		case notApplicable(err):
		case endsRun(err) && judge(err) == CheckFailed:
			return err
		case endsRun(err):
			away = err
		}
	}
	return nil
}

// area returns an error if an area can't be read. It checks the roles of the token
// first, as the gate does, and then calls the provider.
func (v *verification) area(ctx context.Context, a *area) error {
	if missing := Missing([]Permission{a.permission}, v.token.Roles); len(missing) > 0 {
		return &provider.Error{Reason: op.PermissionMissing, Permissions: missing, Granted: v.token.Roles, At: time.Now()}
	}
	_, err := v.env.Provider.Page(ctx, a.probe)
	var pe *provider.Error
	if errors.As(err, &pe) && pe.Granted == nil {
		pe.Granted = v.token.Roles
	}
	return err
}

// judge returns what an error means for a check. A temporary error is inconclusive.
func judge(err error) CheckResult {
	var pe *provider.Error
	switch {
	case err == nil:
		return CheckOK
	case notApplicable(err):
		return CheckNotApplicable
	case errors.As(err, &pe) && pe.Temporary:
		return CheckInconclusive
	default:
		return CheckFailed
	}
}

// settle records the result of the next check, and keeps what a refusal proves about the
// connection. Its own error means that the run is over.
func (v *verification) settle(ctx context.Context, found string, err error, needs Permission) error {
	if err == nil {
		return v.record(ctx, Check{Result: CheckOK, Detail: found})
	}
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return err
	}
	check := Check{Result: judge(err)}
	check.Reason, check.Args, check.Evidence = told(v.env, err, needs)
	if pe.Proven {
		switch pe.Reason { //nolint:exhaustive // what else is proven is learnt where it is found
		case op.ConsentMissing:
			v.facts.Consent = new(tenancy.ConsentMissing)
		case op.CredentialUnreadable:
			v.facts.Credential = new(tenancy.CredentialUnreadable)
		default:
			if SignInRefusal(pe.Reason) {
				v.facts.SignIn = &pe.Reason
			}
		}
	}
	return v.record(ctx, check)
}

// SignInRefusal reports whether r is stored as the reason why the provider refuses to
// sign a connection in. Missing consent is stored elsewhere.
func SignInRefusal(r op.Reason) bool {
	switch r { //nolint:exhaustive // the others are about something else
	case op.CredentialInvalid, op.CredentialExpired, op.CertificateNotRegistered, op.FederationMissing, op.ApplicationDisabled, op.SignInBlocked,
		op.ResourceNotFound, op.DirectoryNotFound, op.DirectoryUnavailable:
		return true
	}
	return false
}

// record stores the next check and reports it as an item of the run.
func (v *verification) record(ctx context.Context, end Check) error {
	check := &v.facts.Checks[v.next]
	v.next++
	check.Result, check.Reason, check.Detail, check.Args, check.Evidence = end.Result, end.Reason, end.Detail, end.Args, end.Evidence
	item := op.Item{Key: check.Key, Name: check.Name, Reason: check.Reason, Args: check.Args, Evidence: check.Evidence, At: v.env.Now()}
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
	case CheckNotApplicable:
		item.Result = op.ItemNotApplicable
		v.counts.Total--
	}
	if err := v.env.Report.Item(ctx, item); err != nil {
		return err
	}
	return v.env.Report.Progress(ctx, v.counts)
}
