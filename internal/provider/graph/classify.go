package graph

import (
	"bytes"
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

// answer is what one attempt brought back.
type answer struct {
	service  service
	status   int
	header   http.Header
	body     []byte // without a byte order mark
	refused  bool   // by its status, or by an error inside of a success
	clientID string // client-request-id of the attempt
	at       time.Time
}

// classify tells a refused call in our words. It is the one place that looks at
// statuses, codes and texts of the provider.
func classify(a answer) *provider.Error {
	e := &provider.Error{
		Status:     a.status,
		RetryAfter: retryAfter(a.header, a.at),
		RequestID:  a.header.Get("request-id"),
		ClientID:   a.clientID,
		At:         dateOf(a.header, a.at),
	}
	if a.service == login {
		e.RequestID = a.header.Get("x-ms-request-id")
		signInRefusal(e, a.body)
	} else {
		graphRefusal(e, a.body)
	}
	// An answer that says when to come back is a busy provider, not an absent one.
	if e.Reason == op.ProviderUnreachable && e.RetryAfter > 0 {
		e.Reason = op.ProviderThrottled
	}
	e.Temporary = e.Temporary || e.Reason == op.ProviderUnreachable || e.Reason == op.ProviderThrottled
	if !e.Temporary {
		e.RetryAfter = 0
	}
	if e.Message == "" {
		e.Message = http.StatusText(a.status)
	}
	return e
}

// signInCodes are the refusals of the sign-in service by AADSTS number. docs:
// Microsoft Entra error codes; the numbers are declared unstable, so one that is
// not here falls to the OAuth error and the status.
var signInCodes = map[int]op.Reason{
	65001:   op.ConsentMissing,      // no consent
	700016:  op.ConsentMissing,      // the application is not known in the directory
	650051:  op.ConsentMissing,      // consent is on its way
	7000215: op.CredentialInvalid,   // wrong secret
	7000222: op.CredentialInvalid,   // expired secret
	7000218: op.CredentialInvalid,   // no credential in the request
	700024:  op.CredentialInvalid,   // assertion outside of its time
	700027:  op.CredentialInvalid,   // certificate is not registered
	7000112: op.CredentialInvalid,   // application is disabled
	9002313: op.CredentialInvalid,   // malformed credential
	53003:   op.CredentialInvalid,   // blocked by conditional access
	50020:   op.CredentialInvalid,   // not a member of the directory
	50076:   op.CredentialInvalid,   // more than the credential is asked for
	50173:   op.CredentialInvalid,   // grant was revoked
	50177:   op.CredentialInvalid,   // not a member of the directory
	700082:  op.CredentialInvalid,   // grant has expired
	90002:   op.TenantMismatch,      // no such directory, or another cloud
	900023:  op.TenantMismatch,      // neither a GUID nor a domain
	5000224: op.TenantMismatch,      // directory was deleted
	90055:   op.ProviderThrottled,   // busy
	90033:   op.ProviderUnreachable, // transient fault
}

// consentOnItsWay is the one refusal of consent that passes by itself. observed:
// half a minute after the consent page at most.
const (
	consentOnItsWay  = 650051
	consentOnItsWait = 30 * time.Second
)

var signInNumber = regexp.MustCompile(`^AADSTS(\d+): `)

func signInRefusal(e *provider.Error, body []byte) {
	var b struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
	}
	_ = json.Unmarshal(body, &b) // a page of a gateway says nothing but its status
	number := 0
	message, _, _ := strings.Cut(b.Description, "\r\n")
	if m := signInNumber.FindStringSubmatch(message); m != nil {
		number, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if len(b.Codes) > 0 {
		number = b.Codes[0]
	}
	e.Message, e.Code = message, b.Error
	if number != 0 {
		e.Code = fmt.Sprintf("AADSTS%d", number)
	}
	reason, known := signInCodes[number]
	switch {
	case known:
		e.Reason = reason
	case e.Status == http.StatusTooManyRequests:
		e.Reason = op.ProviderThrottled
	case e.Status >= 500, b.Error == "temporarily_unavailable":
		e.Reason = op.ProviderUnreachable
	case b.Error == "invalid_client": // RFC 6749: the client could not be authenticated
		e.Reason = op.CredentialInvalid
	default:
		e.Reason = op.ProviderRejected
	}
	if number == consentOnItsWay {
		e.Temporary, e.RetryAfter = true, consentOnItsWait
	}
}

// graphRules are the refusals of Graph; the first that matches counts. A zero
// field matches everything. Texts are the last resort, where the provider has
// nothing else to tell one case from another.
var graphRules = []struct {
	code       string
	text       string
	status     int
	reason     op.Reason
	resync     bool
	unlicensed bool
}{
	{code: "syncStateNotFound", reason: op.ProviderRejected, resync: true},
	{code: "resyncRequired", reason: op.ProviderRejected, resync: true},
	{status: http.StatusGone, reason: op.ProviderRejected, resync: true},

	{text: "Request not applicable to target tenant", reason: op.ProviderRejected, unlicensed: true},

	{code: "Authorization_IdentityNotFound", reason: op.ConsentMissing},
	{text: "does not have application permissions configured", reason: op.ConsentMissing},
	{code: "Authorization_RequestDenied", reason: op.PermissionMissing},
	{code: "Forbidden", reason: op.PermissionMissing}, // Intune wraps it in UnknownError, with 401 or 403
	{code: "insufficient_claims", reason: op.CredentialInvalid},
	{status: http.StatusUnauthorized, reason: op.CredentialInvalid},
	{status: http.StatusForbidden, reason: op.PermissionMissing},

	{status: http.StatusTooManyRequests, reason: op.ProviderThrottled},
	{code: "TooManyRequests", reason: op.ProviderThrottled},
	{code: "ServiceUnavailable", reason: op.ProviderUnreachable},
	{code: "InternalServerError", reason: op.ProviderUnreachable},
	{status: http.StatusRequestTimeout, reason: op.ProviderUnreachable},
}

var scopeList = regexp.MustCompile(`one of the following scopes: ([A-Za-z.,\- ]+)`)

func graphRefusal(e *provider.Error, body []byte) {
	e.Code, e.Message = graphError(body)
	e.Reason = op.ProviderRejected
	if e.Status >= 500 {
		e.Reason = op.ProviderUnreachable
	}
	for _, r := range graphRules {
		if (r.code == "" || strings.EqualFold(r.code, e.Code)) && (r.text == "" || strings.Contains(e.Message, r.text)) &&
			(r.status == 0 || r.status == e.Status) {
			e.Reason, e.Resync, e.Unlicensed = r.reason, r.resync, r.unlicensed
			break
		}
	}
	if m := scopeList.FindStringSubmatch(e.Message); m != nil && e.Reason == op.PermissionMissing {
		// Any one of the list will do; the first is the one that reads.
		first, _, _ := strings.Cut(m[1], ",")
		e.Permissions = []string{strings.TrimSpace(first)}
	}
}

// maxNested is how deep an error may hide inside of an error's text.
const maxNested = 4

// graphError returns code and text of an error body. Intune's text is a JSON
// document of its own, sometimes with another one in it; the innermost says most.
func graphError(body []byte) (code, message string) {
	var b struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Inner   struct {
				Message string `json:"message"`
			} `json:"innerError"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &b) != nil {
		return "", ""
	}
	code, message = b.Error.Code, b.Error.Message
	if message == "" {
		message = b.Error.Inner.Message
	}
	for range maxNested {
		var nested struct{ ErrorCode, Message string }
		if !strings.HasPrefix(message, "{") || json.Unmarshal([]byte(message), &nested) != nil {
			break
		}
		if nested.ErrorCode != "" {
			code = nested.ErrorCode
		}
		message = nested.Message
	}
	message, _, _ = strings.Cut(message, " - Operation ID (")
	return code, message
}

// errorInside reports whether the body of a successful answer is an error.
func errorInside(body []byte) bool {
	var b struct {
		Error json.RawMessage `json:"error"`
	}
	return json.Unmarshal(body, &b) == nil && bytes.HasPrefix(b.Error, []byte("{"))
}
