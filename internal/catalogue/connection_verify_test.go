package catalogue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// tokenOf returns a sign-in that works, for a directory and roles.
func tokenOf(tid string, roles ...string) func() (provider.Token, error) {
	return func() (provider.Token, error) { return provider.Token{Directory: tid, Roles: roles}, nil }
}

func refuse(err error) func() (provider.Token, error) {
	return func() (provider.Token, error) { return provider.Token{}, err }
}

// without returns every role but one.
func without(role string) []string {
	var roles []string
	for _, r := range everyRole {
		if r != role {
			roles = append(roles, r)
		}
	}
	return roles
}

func onPath(part string, err error) func(string) (provider.Page, error) {
	return func(next string) (provider.Page, error) {
		if strings.Contains(next, part) {
			return provider.Page{}, err
		}
		return provider.Page{}, nil
	}
}

func TestVerification(t *testing.T) {
	t.Parallel()
	const (
		healthy = "done 13, unchanged 0, failed 0, skipped 0, unknown 0"
		other   = "11111111-6a3f-4f53-9a1e-0c9d5b7e91d2"
	)
	for _, c := range []struct {
		name       string
		fake       fake
		reason     op.Reason // of the run's error; empty: none
		results    string
		checks     map[string]op.Reason // the checks that did not pass, but those not reached
		verdict    tenancy.Verification
		consent    tenancy.Consent         // empty: not learnt
		credential tenancy.CredentialState // empty: not learnt
		signIn     op.Reason               // why the sign-in is refused; empty: it is not, or that was not learnt
		directory  string                  // empty: not learnt
		roles      int                     // -1: not learnt
	}{
		{
			name: "everything works", results: healthy, verdict: tenancy.VerificationOK,
			consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK, directory: directory, roles: len(everyRole),
		},
		{
			name:   "no such directory",
			fake:   fake{discover: func() error { return refusal(op.DirectoryNotFound) }},
			reason: op.DirectoryNotFound, results: "done 0, unchanged 0, failed 1, skipped 12, unknown 0",
			checks:  map[string]op.Reason{"authority": op.DirectoryNotFound},
			verdict: tenancy.VerificationFailed, signIn: op.DirectoryNotFound, roles: -1,
		},
		{
			name:   "authority away",
			fake:   fake{discover: away},
			reason: op.ProviderUnreachable, results: "done 0, unchanged 0, failed 0, skipped 12, unknown 1",
			checks:  map[string]op.Reason{"authority": op.ProviderUnreachable},
			verdict: tenancy.VerificationMissing, roles: -1,
		},
		{
			name:   "sign-in throttled",
			fake:   fake{token: refuse(throttled())},
			reason: op.ProviderThrottled, results: "done 1, unchanged 0, failed 0, skipped 11, unknown 1",
			checks:  map[string]op.Reason{"sign_in": op.ProviderThrottled},
			verdict: tenancy.VerificationMissing, roles: -1,
		},
		{
			name:   "no credential",
			fake:   fake{token: refuse(refusal(op.CredentialMissing))},
			reason: op.CredentialMissing, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.CredentialMissing},
			verdict: tenancy.VerificationFailed, roles: -1,
		},
		{
			name:   "credential can't be opened",
			fake:   fake{token: refuse(refusal(op.CredentialUnreadable))},
			reason: op.CredentialUnreadable, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.CredentialUnreadable},
			verdict: tenancy.VerificationFailed, credential: tenancy.CredentialUnreadable, roles: -1,
		},
		{
			name:   "credential refused",
			fake:   fake{token: refuse(refusal(op.CredentialInvalid))},
			reason: op.CredentialInvalid, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.CredentialInvalid},
			verdict: tenancy.VerificationFailed, signIn: op.CredentialInvalid, roles: -1,
		},
		{
			name:   "credential refused, as nobody can prove",
			fake:   fake{token: refuse(&provider.Error{Reason: op.CredentialInvalid, Status: 401})},
			reason: op.CredentialInvalid, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.CredentialInvalid},
			verdict: tenancy.VerificationMissing, roles: -1,
		},
		{
			name:   "the clock is wrong",
			fake:   fake{token: refuse(&provider.Error{Reason: op.ClockSkew, Status: 401, Skew: 2 * time.Hour})},
			reason: op.ClockSkew, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.ClockSkew},
			verdict: tenancy.VerificationMissing, roles: -1,
		},
		{
			name:   "consent never given",
			fake:   fake{token: refuse(refusal(op.ConsentMissing))},
			reason: op.ConsentMissing, results: "done 1, unchanged 0, failed 1, skipped 11, unknown 0",
			checks:  map[string]op.Reason{"sign_in": op.ConsentMissing},
			verdict: tenancy.VerificationFailed, consent: tenancy.ConsentMissing, roles: -1,
		},
		{
			name:   "another directory",
			fake:   fake{token: tokenOf(other, everyRole...)},
			reason: op.TenantMismatch, results: "done 2, unchanged 0, failed 1, skipped 10, unknown 0",
			checks:  map[string]op.Reason{"identity": op.TenantMismatch},
			verdict: tenancy.VerificationFailed, credential: tenancy.CredentialOK, directory: other, roles: -1,
		},
		{
			name:   "a token without roles",
			fake:   fake{token: tokenOf(directory)},
			reason: op.ConsentMissing, results: "done 3, unchanged 0, failed 1, skipped 9, unknown 0",
			checks:  map[string]op.Reason{"consent": op.ConsentMissing},
			verdict: tenancy.VerificationFailed, consent: tenancy.ConsentMissing, credential: tenancy.CredentialOK,
			directory: directory, roles: 0,
		},
		{
			name:   "the organization can't be read",
			fake:   fake{get: func(string) (string, error) { return "", refusal(op.PermissionMissing) }},
			reason: op.AccessRefused, results: "done 4, unchanged 0, failed 1, skipped 8, unknown 0",
			checks:  map[string]op.Reason{"organization": op.AccessRefused}, // the token has what it takes
			verdict: tenancy.VerificationMissing, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name: "the organization is not granted",
			fake: fake{
				token: tokenOf(directory, without("Organization.Read.All")...),
				get:   func(string) (string, error) { return "", refusal(op.PermissionMissing) },
			},
			reason: op.PermissionMissing, results: "done 4, unchanged 0, failed 1, skipped 8, unknown 0",
			checks:  map[string]op.Reason{"organization": op.PermissionMissing},
			verdict: tenancy.VerificationFailed, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole) - 1,
		},
		{
			name: "the organization can't be read by anybody",
			fake: fake{get: func(string) (string, error) {
				return "", &provider.Error{Reason: op.ProviderFault, Status: 401, Temporary: true, Note: "it refused a new token"}
			}},
			reason: op.ProviderFault, results: "done 4, unchanged 0, failed 0, skipped 8, unknown 1",
			checks:  map[string]op.Reason{"organization": op.ProviderFault},
			verdict: tenancy.VerificationMissing, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:   "the organization is another one",
			fake:   fake{get: func(string) (string, error) { return `{"value":[{"id":"` + other + `"}]}`, nil }},
			reason: op.TenantMismatch, results: "done 4, unchanged 0, failed 1, skipped 8, unknown 0",
			checks:  map[string]op.Reason{"organization": op.TenantMismatch},
			verdict: tenancy.VerificationFailed, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: other, roles: len(everyRole),
		},
		{
			name:   "no organization",
			fake:   fake{get: func(string) (string, error) { return `{"value":[]}`, nil }},
			reason: op.ProviderFault, results: "done 4, unchanged 0, failed 1, skipped 8, unknown 0",
			checks:  map[string]op.Reason{"organization": op.ProviderFault},
			verdict: tenancy.VerificationMissing, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:    "groups not granted",
			fake:    fake{token: tokenOf(directory, without("Group.Read.All")...)},
			results: "done 12, unchanged 0, failed 1, skipped 0, unknown 0",
			checks:  map[string]op.Reason{"area.groups": op.PermissionMissing},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole) - 1,
		},
		{
			name:    "granted, and refused all the same",
			fake:    fake{page: onPath("conditionalAccess", refusal(op.PermissionMissing))},
			results: "done 12, unchanged 0, failed 1, skipped 0, unknown 0",
			checks:  map[string]op.Reason{"area.conditionalAccess": op.AccessRefused},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:    "no Intune",
			fake:    fake{page: onPath("device", noIntune())},
			results: "done 7, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 6",
			checks: map[string]op.Reason{
				"area.devices": op.NotLicensed, "area.policies": op.NotLicensed, "area.apps": op.NotLicensed,
				"area.enrollment": op.NotLicensed, "area.scripts": op.NotLicensed, "area.roles": op.NotLicensed,
			},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:    "no licence for conditional access",
			fake:    fake{page: onPath("conditionalAccess", noIntune())},
			results: "done 12, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 1",
			checks:  map[string]op.Reason{"area.conditionalAccess": op.NotLicensed},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:    "one area has a fault",
			fake:    fake{page: onPath("mobileApps", faulty())},
			results: "done 12, unchanged 0, failed 0, skipped 0, unknown 1",
			checks:  map[string]op.Reason{"area.apps": op.ProviderFault},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:    "throttled among the areas",
			fake:    fake{page: onPath("deviceHealthScripts", throttled())},
			results: "done 10, unchanged 0, failed 0, skipped 0, unknown 3",
			checks: map[string]op.Reason{
				"area.scripts": op.ProviderThrottled, "area.roles": op.ProviderThrottled, "area.conditionalAccess": op.ProviderThrottled,
			},
			verdict: tenancy.VerificationOK, consent: tenancy.ConsentGranted, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
		{
			name:   "consent withdrawn among the areas",
			fake:   fake{page: onPath("mobileApps", refusal(op.ConsentMissing))},
			reason: op.ConsentMissing, results: "done 8, unchanged 0, failed 1, skipped 4, unknown 0",
			checks:  map[string]op.Reason{"area.apps": op.ConsentMissing},
			verdict: tenancy.VerificationFailed, consent: tenancy.ConsentMissing, credential: tenancy.CredentialOK,
			directory: directory, roles: len(everyRole),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := &datatest.Memory{}
			r, err := run(t, op.ConnectionVerify, &c.fake, data, "")
			if got := reasonOf(err); got != c.reason {
				t.Errorf("the run ended with %q (%v), want %q", got, err, c.reason)
			}
			if got := r.Results(); got != c.results {
				t.Errorf("items: %s; want %s", got, c.results)
			}
			if len(data.Learnt()) != 1 {
				t.Fatalf("learnt %d times", len(data.Learnt()))
			}
			f := data.Learnt()[0]
			if f.Verdict != c.verdict {
				t.Errorf("verdict %q, want %q", f.Verdict, c.verdict)
			}
			if f.Verdict == tenancy.VerificationFailed && f.Reason != c.reason {
				t.Errorf("verdict's reason %q, want %q", f.Reason, c.reason)
			}
			if got := deref(f.Consent); got != c.consent {
				t.Errorf("consent %q, want %q", got, c.consent)
			}
			if got := deref(f.Credential); got != c.credential {
				t.Errorf("credential %q, want %q", got, c.credential)
			}
			if got := deref(f.SignIn); got != c.signIn {
				t.Errorf("the refusal of the sign-in %q, want %q", got, c.signIn)
			}
			if got := deref(f.Directory); got != c.directory {
				t.Errorf("directory %q, want %q", got, c.directory)
			}
			roles := -1
			if f.Permissions != nil {
				roles = len(*f.Permissions)
			}
			if roles != c.roles {
				t.Errorf("%d roles learnt, want %d", roles, c.roles)
			}
			checkChecks(t, r, f.Checks, c.checks)
		})
	}
}

// checkChecks compares the report with its items, and the checks that did not
// pass with what they should say.
func checkChecks(t *testing.T, r *operationtest.Report, checks []catalogue.Check, want map[string]op.Reason) {
	t.Helper()
	for _, check := range checks {
		item := r.Find(t, check.Key)
		if item.Name != check.Name || item.Reason != check.Reason || item.Name == "" {
			t.Errorf("check %+v is item %+v", check, item)
		}
		switch check.Result {
		case catalogue.CheckOK:
			if check.Reason != "" || want[check.Key] != "" {
				t.Errorf("%s passed: %+v", check.Key, check)
			}
		case catalogue.CheckFailed, catalogue.CheckInconclusive, catalogue.CheckNotApplicable:
			if check.Reason != want[check.Key] {
				t.Errorf("%s: %q, want %q", check.Key, check.Reason, want[check.Key])
			}
			if check.Args["provider"] == "" || check.Reason == op.PermissionMissing && check.Args["permissions"] == "" {
				t.Errorf("%s lacks facts for its sentence: %v", check.Key, check.Args)
			}
		case catalogue.CheckNotReached:
			if check.Reason != op.ItemNotReached {
				t.Errorf("%s: %+v", check.Key, check)
			}
		default:
			t.Errorf("%s: unknown result %q", check.Key, check.Result)
		}
	}
}

// An area without its role, or without its licence, costs no call: the token, or
// the area before it, has told already.
func TestVerificationAsksNothingTwice(t *testing.T) {
	t.Parallel()
	f := &fake{token: tokenOf(directory, "Organization.Read.All"), page: func(string) (provider.Page, error) { return provider.Page{}, nil }}
	if _, err := run(t, op.ConnectionVerify, f, &datatest.Memory{}, ""); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.calls, " "); got != "discover token /v1.0/organization?$select=id,displayName,verifiedDomains" {
		t.Errorf("calls: %s", got)
	}
	f = &fake{page: onPath("device", noIntune())}
	if _, err := run(t, op.ConnectionVerify, f, &datatest.Memory{}, ""); err != nil {
		t.Fatal(err)
	}
	if got := len(f.calls); got != 6 { // the first Intune area answers for the others
		t.Errorf("%d calls: %v", got, f.calls)
	}
}

// TestLostRunsStopAtOnce: a run that lost its connection stops wherever it is, and
// writes nothing more.
func TestLostRunsStopAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range catalogue.All() {
		late := 0
		if d.Kind == op.InventorySync {
			late = 1 // what begins the next type was on its way
		}
		operationtest.LostRuns(t, d, func() provider.Client {
			return &fake{page: func(string) (provider.Page, error) {
				return provider.Page{Items: objects(`{"id":"a","displayName":"A"}`), Delta: "delta"}, nil
			}}
		}, late)
	}
}

func reasonOf(err error) op.Reason {
	if err == nil {
		return ""
	}
	return provider.Classify(err)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
