package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// signInCodes are the refusals of the sign-in service by AADSTS number. Each proves a
// lasting state, unless passes is set. Microsoft may change the numbers; an unknown one is
// reported as sign_in_refused, with the number.
//
// docs: Microsoft Entra authentication and authorization error codes, as of
// September 2026; what that page does not have was observed, with the place.
// Numbers that only the sign-in of a person gets (50020, 50076, 50177, 700082) are left
// out: we sign in as an application.
var signInCodes = map[int]struct {
	reason op.Reason
	passes bool // it may change within a minute, so nothing lasting is proven
}{
	65001:   {reason: op.ConsentMissing},           // no consent was given
	650052:  {reason: op.ConsentMissing},           // the tenant has no service principal for what is asked for
	650051:  {op.ConsentSettling, true},            // the service principal is being made. observed: gone within half a minute
	700016:  {reason: op.ConsentMissing},           // the application is not known in the directory
	7000229: {reason: op.ConsentMissing},           // it has no service principal there. observed: 401 invalid_client (SaaS-Accelerator issue 830)
	7000215: {reason: op.CredentialInvalid},        // wrong secret. observed: 401
	7000222: {reason: op.CredentialExpired},        // expired secret. observed: 401
	700027:  {reason: op.CertificateNotRegistered}, // the assertion's key is not registered, or its signature is wrong
	70021:   {reason: op.FederationMissing},        // no federated credential matches the token
	700211:  {reason: op.FederationMissing},        // none has its issuer. observed: 401, with the two below (azure-workload-identity)
	700212:  {reason: op.FederationMissing},        // none has its audience
	700213:  {reason: op.FederationMissing},        // none has its subject
	7000112: {reason: op.ApplicationDisabled},      //
	53003:   {reason: op.SignInBlocked},            // conditional access
	500011:  {reason: op.ResourceNotFound},         // the resource is not in the directory: wrong cloud as a rule
	90002:   {reason: op.DirectoryNotFound},        // no such directory, or another cloud
	900023:  {reason: op.DirectoryNotFound},        // neither a GUID nor a domain
	5000224: {reason: op.DirectoryUnavailable},     // decommissioned (microsoft-authentication-library-for-dotnet issue 5251)
	5000225: {reason: op.DirectoryUnavailable},     // blocked for inactivity. docs: inactive tenants
	700024:  {op.ClockSkew, true},                  // the assertion is outside of its time
	90055:   {op.ProviderThrottled, true},          // busy
	90033:   {op.ProviderFault, true},              // transient fault
}

// oauthErrors are the refusals without a number, by the error code of RFC 6749. They prove
// nothing: other services than Entra send them too.
var oauthErrors = map[string]op.Reason{
	"invalid_client":          op.CredentialInvalid, // the client could not be authenticated
	"invalid_resource":        op.ResourceNotFound,
	"invalid_tenant":          op.DirectoryNotFound,
	"unauthorized_client":     op.ConsentMissing, // the client may not ask for this
	"temporarily_unavailable": op.ProviderFault,
}

// settlingWait is how long to wait for a consent that has not taken effect yet.
const settlingWait = 30 * time.Second

var signInNumber = regexp.MustCompile(`\bAADSTS(\d{1,9})\b:? ?`)

// signInRefusal fills e from a refusal of the sign-in service. The number is in error_codes,
// in the text, or in both.
func signInRefusal(e *provider.Error, a answer) {
	var b struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
		Trace       string `json:"trace_id"`
		Correlation string `json:"correlation_id"`
	}
	_ = json.Unmarshal(a.body, &b) // the page of a gateway has only its status
	message, _, _ := strings.Cut(b.Description, "\r\n")
	number := 0
	if m := signInNumber.FindStringSubmatchIndex(message); m != nil {
		number, _ = strconv.Atoi(message[m[2]:m[3]])
		message = message[:m[0]] + message[m[1]:]
	}
	if len(b.Codes) > 0 {
		number = b.Codes[0]
	}
	e.Message, e.Code, e.CorrelationID = strings.TrimSpace(message), b.Error, b.Correlation
	if b.Trace != "" {
		e.RequestID = b.Trace
	}
	if number != 0 {
		e.Code = fmt.Sprintf("AADSTS%d", number)
	}
	known, ok := signInCodes[number]
	byName, named := oauthErrors[b.Error]
	switch {
	case ok:
		e.Reason, e.Proven = known.reason, !known.passes
	case e.Status == http.StatusTooManyRequests:
		e.Reason = op.ProviderThrottled
	case e.Status >= 500, e.Form != "":
		e.Reason = op.ProviderFault
	case number != 0: // an unknown one
		e.Reason = op.SignInRefused
	case named:
		e.Reason = byName
	default:
		e.Reason = op.SignInRefused
	}
	switch e.Reason { //nolint:exhaustive // only these two need more
	case op.ConsentSettling:
		e.Temporary, e.RetryAfter = true, settlingWait
	case op.ClockSkew:
		e.Skew = skew(a)
	}
}

// skew returns the difference between the provider's clock and ours, by the Date of its
// answer; 0 when there is none, or when it is less than a minute.
func skew(a answer) time.Duration {
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return 0
	}
	if d := theirs.Sub(a.at).Abs(); d >= time.Minute {
		return d
	}
	return 0
}
