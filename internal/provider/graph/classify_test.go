package graph

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// shared reads a file of the reference data, or skips the test.
func shared(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("../../../../shared/graph-data/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the reference data in ../shared/graph-data is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// example is one answer of the reference data.
type example struct {
	ID      string
	Service string
	Status  int
	Headers map[string]string
	Body    json.RawMessage
}

func (e example) answer(s service) answer {
	a := answer{service: s, status: e.Status, header: make(http.Header), body: e.Body, clientID: "ours", at: time.Now()}
	for k, v := range e.Headers {
		a.header.Set(k, v)
	}
	var html string
	if json.Unmarshal(e.Body, &html) == nil {
		a.body = []byte(html)
	}
	return a
}

// verdict is how a refusal is classified.
type verdict struct {
	reason  op.Reason
	flags   string // of: temporary, resync, unlicensed, proven
	missing string
	wait    time.Duration
}

func verdictOf(e *provider.Error) verdict {
	v := verdict{reason: e.Reason, missing: strings.Join(e.Permissions, ","), wait: e.RetryAfter}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"temporary", e.Temporary}, {"resync", e.Resync}, {"unlicensed", e.Unlicensed}, {"proven", e.Proven}} {
		if flag.set {
			v.flags = strings.TrimSpace(v.flags + " " + flag.name)
		}
	}
	return v
}

// Every documented and reported refusal is told right. A new one in the reference
// data fails here until somebody has said what it means.
func TestClassifyGraphExamples(t *testing.T) {
	t.Parallel()
	want := map[string]verdict{
		"auth.token_expired":                  {reason: op.ProviderFault, flags: "temporary"},
		"auth.token_expired_legacy":           {reason: op.ProviderFault, flags: "temporary"},
		"auth.token_missing":                  {reason: op.ProviderFault, flags: "temporary"},
		"auth.token_malformed":                {reason: op.ProviderFault, flags: "temporary"},
		"directory.identity_not_found":        {reason: op.ConsentMissing},
		"directory.forbidden":                 {reason: op.PermissionMissing},
		"intune.forbidden_scope":              {reason: op.PermissionMissing, missing: "DeviceManagementConfiguration.Read.All"},
		"intune.forbidden_no_app_permissions": {reason: op.ConsentMissing},
		"intune.unknownerror_forbidden":       {reason: op.PermissionMissing},
		"intune.tenant_not_provisioned":       {reason: op.NotLicensed, flags: "unlicensed"},
		"intune.model_validation.type":        {reason: op.ProviderRejected},
		"intune.model_validation.assignable":  {reason: op.ProviderRejected},
		"intune.model_validation.literal":     {reason: op.ProviderRejected},
		"intune.model_validation.abstract":    {reason: op.ProviderRejected},
		"intune.compliance.block_action":      {reason: op.ProviderRejected},
		"intune.no_route":                     {reason: op.ProviderRejected},
		"graph.segment":                       {reason: op.ProviderRejected},
		"intune.assign_in_create":             {reason: op.ProviderRejected},
		"intune.not_found":                    {reason: op.ProviderRejected},
		"directory.not_found":                 {reason: op.ProviderRejected},
		"graph.method_not_allowed":            {reason: op.ProviderRejected},
		"directory.conflict":                  {reason: op.ProviderRejected},
		"graph.precondition":                  {reason: op.ProviderRejected},
		"delta.gone":                          {reason: op.ProviderRejected, flags: "resync"},
		"delta.expired":                       {reason: op.ProviderRejected, flags: "resync"},
		"throttle.documented":                 {reason: op.ProviderThrottled, flags: "temporary", wait: 2128 * time.Millisecond},
		"throttle.directory":                  {reason: op.ProviderThrottled, flags: "temporary", wait: 10 * time.Second},
		"throttle.conditional_access":         {reason: op.ProviderThrottled, flags: "temporary"},
		"throttle.intune":                     {reason: op.ProviderThrottled, flags: "temporary"},
		"transient.503":                       {reason: op.ProviderThrottled, flags: "temporary", wait: 5 * time.Second},
		"transient.504":                       {reason: op.ProviderFault, flags: "temporary"},
		"transient.500":                       {reason: op.ProviderFault, flags: "temporary"},
		"transient.502_html":                  {reason: op.ProviderFault, flags: "temporary"},
		"ca.insufficient_claims":              {reason: op.PermissionMissing},
	}
	var file struct{ Errors []example }
	shared(t, "examples/errors.json", &file)
	for _, e := range file.Errors {
		w, known := want[e.ID]
		if !known {
			t.Errorf("nobody has said what %s means", e.ID)
			continue
		}
		delete(want, e.ID)
		got := classify(e.answer(directory))
		if verdictOf(got) != w {
			t.Errorf("%s: %+v, want %+v", e.ID, verdictOf(got), w)
		}
		if got.Message == "" && got.Status < 500 || strings.HasPrefix(got.Message, "{\"") || strings.Contains(got.Message, "Activity ID") {
			t.Errorf("%s: message %q", e.ID, got.Message)
		}
	}
	if len(want) > 0 {
		t.Errorf("no longer in the reference data: %v", slices.Sorted(maps.Keys(want)))
	}
}

func TestClassifySignInExamples(t *testing.T) {
	t.Parallel()
	want := map[string]verdict{
		"AADSTS7000215": {reason: op.CredentialInvalid, flags: "proven"},
		"AADSTS7000222": {reason: op.CredentialExpired, flags: "proven"},
		"AADSTS700016":  {reason: op.ConsentMissing, flags: "proven"},
		"AADSTS90002":   {reason: op.DirectoryNotFound, flags: "proven"},
		"AADSTS900023":  {reason: op.DirectoryNotFound, flags: "proven"},
		"AADSTS65001":   {reason: op.ConsentMissing, flags: "proven"},
		"AADSTS53003":   {reason: op.SignInBlocked, flags: "proven"},
		"AADSTS7000112": {reason: op.ApplicationDisabled, flags: "proven"},
		"AADSTS700027":  {reason: op.CertificateNotRegistered, flags: "proven"},
		"AADSTS500011":  {reason: op.ResourceNotFound, flags: "proven"},
		"AADSTS70011":   {reason: op.SignInRefused},
		"AADSTS7000218": {reason: op.SignInRefused},
		"AADSTS900144":  {reason: op.SignInRefused},
		"AADSTS90055":   {reason: op.ProviderThrottled, flags: "temporary"},
	}
	var file struct{ Errors []example }
	shared(t, "examples/token-endpoint.json", &file)
	for _, e := range file.Errors {
		w, known := want[e.ID]
		if !known {
			t.Errorf("nobody has said what %s means", e.ID)
			continue
		}
		delete(want, e.ID)
		got := classify(e.answer(login))
		if verdictOf(got) != w {
			t.Errorf("%s: %+v, want %+v", e.ID, verdictOf(got), w)
		}
		if got.Code != e.ID || strings.Contains(got.Message, "AADSTS") || strings.Contains(got.Message, "Trace ID") {
			t.Errorf("%s: code %q, message %q", e.ID, got.Code, got.Message)
		}
	}
	if len(want) > 0 {
		t.Errorf("no longer in the reference data: %v", slices.Sorted(maps.Keys(want)))
	}
}

func TestClassifyTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		service service
		status  int
		header  string // "Name: value"
		body    string
		want    verdict
	}{
		{"unknown number, wrong client", login, 401, "", `{"error":"invalid_client","error_codes":[7999999]}`, verdict{reason: op.SignInRefused}},
		{"unknown number", login, 400, "", `{"error":"invalid_request","error_codes":[7999999]}`, verdict{reason: op.SignInRefused}},
		{"no number, wrong client", login, 401, "", `{"error":"invalid_client"}`, verdict{reason: op.CredentialInvalid}},
		{"no number, wrong resource", login, 400, "", `{"error":"invalid_resource"}`, verdict{reason: op.ResourceNotFound}},
		{"no number, wrong tenant", login, 400, "", `{"error":"invalid_tenant"}`, verdict{reason: op.DirectoryNotFound}},
		{"no number, not allowed", login, 400, "", `{"error":"unauthorized_client"}`, verdict{reason: op.ConsentMissing}},
		{"no number, no known error", login, 400, "", `{"error":"odd"}`, verdict{reason: op.SignInRefused}},
		{"no service principal", login, 401, "", `{"error":"invalid_client","error_codes":[7000229]}`, verdict{reason: op.ConsentMissing, flags: "proven"}},
		{"no subscription", login, 400, "", `{"error":"x","error_codes":[650052]}`, verdict{reason: op.ConsentMissing, flags: "proven"}},
		{"decommissioned", login, 400, "", `{"error":"x","error_codes":[5000224]}`, verdict{reason: op.DirectoryUnavailable, flags: "proven"}},
		{"blocked for inactivity", login, 400, "", `{"error":"x","error_codes":[5000225]}`, verdict{reason: op.DirectoryUnavailable, flags: "proven"}},
		{"assertion outside of its time", login, 401, "", `{"error":"invalid_client","error_codes":[700024]}`, verdict{reason: op.ClockSkew}},
		{"the number stands behind other words", login, 400, "", `{"error":"x","error_description":"V2Error: invalid_grant AADSTS5000225: blocked"}`, verdict{reason: op.DirectoryUnavailable, flags: "proven"}},
		{"a page instead of a refusal", login, 403, "", `<html>`, verdict{reason: op.ProviderFault, flags: "temporary"}},
		{"the number is in the text alone", login, 400, "", `{"error":"x","error_description":"AADSTS700016: no\r\nTrace ID: 1"}`, verdict{reason: op.ConsentMissing, flags: "proven"}},
		{"consent on its way", login, 400, "", `{"error":"x","error_codes":[650051]}`, verdict{reason: op.ConsentSettling, flags: "temporary", wait: 30 * time.Second}},
		{"sign-in fault", login, 500, "", `<html>`, verdict{reason: op.ProviderFault, flags: "temporary"}},
		{"sign-in busy", login, 429, "Retry-After: 7", `{}`, verdict{reason: op.ProviderThrottled, flags: "temporary", wait: 7 * time.Second}},
		{"sign-in, a list instead of an object", login, 400, "", `[]`, verdict{reason: op.SignInRefused}},
		{"busy without a body", intune, 429, "", ``, verdict{reason: op.ProviderThrottled, flags: "temporary"}},
		{"bandwidth", intune, 509, "", ``, verdict{reason: op.ProviderFault, flags: "temporary"}},
		{"timeout", intune, 408, "", ``, verdict{reason: op.ProviderFault, flags: "temporary"}},
		{"redirect", directory, 302, "Location: https://elsewhere.example/", ``, verdict{reason: op.ProviderRejected}},
		{"gone, without a word", directory, 410, "", ``, verdict{reason: op.ProviderRejected, flags: "resync"}},
		{"forbidden, without a word", directory, 403, "", ``, verdict{reason: op.PermissionMissing}},
		{"a wait on a refusal means nothing", directory, 400, "Retry-After: 9", `{"error":{"code":"BadRequest"}}`, verdict{reason: op.ProviderRejected}},
		{"busy inside of a success", directory, 200, "", `{"error":{"code":"TooManyRequests","message":"x"}}`, verdict{reason: op.ProviderThrottled, flags: "temporary"}},
		{"something inside of a success", directory, 200, "", `{"error":{"code":"Odd","message":"x"}}`, verdict{reason: op.ProviderRejected}},
		{"a page with 403", directory, 403, "", `<html>Blocked</html>`, verdict{reason: op.ProviderFault, flags: "temporary"}},
		{"no licence, conditional access", conditionalAccess, 403, "", `{"error":{"code":"AccessDenied","message":"Your tenant is not licensed for this feature."}}`, verdict{reason: op.NotLicensed, flags: "unlicensed"}},
		{"no licence, reports", directory, 403, "", `{"error":{"code":"Authentication_RequestFromNonPremiumTenantOrB2CTenant","message":"x"}}`, verdict{reason: op.NotLicensed, flags: "unlicensed"}},
		{"two scopes", intune, 403, "", `{"error":{"code":"Forbidden","message":"Application must have one of the following scopes: A.Read.All, A.ReadWrite.All - Operation ID (x)"}}`, verdict{reason: op.PermissionMissing, missing: "A.Read.All"}},
		{"nested without end", directory, 400, "", `{"error":{"code":"a","message":"` + nest(9) + `"}}`, verdict{reason: op.ProviderRejected}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := answer{service: c.service, status: c.status, header: make(http.Header), body: []byte(c.body), at: time.Now()}
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				a.header.Set(name, value)
			}
			if got := verdictOf(classify(a)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// nest returns the text of an error that is wrapped n times.
func nest(n int) string {
	text := "core"
	for range n {
		raw, _ := json.Marshal(map[string]string{"Message": text})
		text = string(raw)
	}
	quoted, _ := json.Marshal(text)
	return strings.Trim(string(quoted), `"`)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0},
		{"Retry-After: 5", 5 * time.Second},
		{"Retry-After: 2.128", 2128 * time.Millisecond},
		{"Retry-After: 0.0001", time.Millisecond},
		{"Retry-After: 0", 0},
		{"Retry-After: -1", 0},
		{"Retry-After: soon", 0},
		{"Retry-After: NaN", 0},
		{"Retry-After: Inf", maxAsked},
		{"Retry-After: -Inf", 0},
		{"Retry-After: 900", 15 * time.Minute},
		{"Retry-After: 99999999999999999999", maxAsked},
		{"Retry-After: 1e400", maxAsked},
		{"Retry-After: Sun, 22 Nov 2026 14:00:30 GMT", 30 * time.Second},
		{"Retry-After: Sun, 22 Nov 2026 13:00:00 GMT", 0},
		{"Retry-After: Sun, 22 Nov 2099 13:00:00 GMT", maxAsked},
		{"Retry-After: Sun, 22 Nov 2026 16:00:30 GMT|Date: Sun, 22 Nov 2026 16:00:00 GMT", 30 * time.Second}, // its clock is ahead
		{"Retry-After-Ms: 1500", 1500 * time.Millisecond},
		{"X-Ms-Retry-After-Ms: 250|Retry-After: 5", 250 * time.Millisecond},
	} {
		h := make(http.Header)
		for _, line := range strings.Split(c.header, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				h.Set(name, value)
			}
		}
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%s: %s, want %s", c.header, got, c.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("5", "Sun, 22 Nov 2026 16:00:00 GMT")
	f.Add("1e309", "")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if got := retryAfter(h, time.Now()); got < 0 || got > maxAsked {
			t.Errorf("%q: %s", value, got)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add(403, []byte(`{"error":{"code":"Forbidden","message":"{\"Message\":\"x\"}"}}`))
	f.Add(401, []byte(`{"error":"invalid_client","error_codes":[7000215]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, s := range []service{login, directory} {
			if e := classify(answer{service: s, status: status, header: make(http.Header), body: body}); e.Reason == "" {
				t.Errorf("%d %s: no reason", status, body)
			}
		}
	})
}
