package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// answer is the answer to one attempt.
type answer struct {
	service  service
	call     string // method and path, without query
	status   int
	header   http.Header
	body     []byte // without a byte order mark
	refused  bool   // by its status, or by an error in the body of a success
	clientID string // client-request-id of the attempt
	at       time.Time
}

// text returns the body as valid UTF-8.
func (a *answer) text() []byte { return bytes.ToValidUTF8(a.body, []byte("\ufffd")) }

// classify returns the error of a refused call. This file and signin.go are the only ones
// that interpret statuses, codes and texts of the provider.
func classify(a answer) *provider.Error {
	e := &provider.Error{
		Call:       a.call,
		Status:     a.status,
		Form:       formOf(a.body),
		RetryAfter: retryAfter(a.header, a.at),
		RequestID:  a.header.Get("request-id"),
		ClientID:   a.clientID,
		At:         dateOf(a.header, a.at),
	}
	if a.service == login {
		e.RequestID = a.header.Get("x-ms-request-id")
		signInRefusal(e, a)
	} else {
		graphRefusal(e, a.body)
	}
	// A provider that says when to retry is busy, not faulty.
	if e.Reason == op.ProviderFault && e.RetryAfter > 0 {
		e.Reason = op.ProviderThrottled
	}
	e.Temporary = e.Temporary || e.Reason == op.ProviderFault || e.Reason == op.ProviderThrottled
	if !e.Temporary {
		e.RetryAfter = 0
	}
	return e
}

// formOf returns the form of a body that is not the provider's JSON; else empty.
func formOf(body []byte) op.AnswerForm {
	switch body = bytes.TrimSpace(body); {
	case len(body) == 0:
		return op.AnswerEmpty
	case json.Valid(body):
		return ""
	case body[0] == '<':
		return op.AnswerPage
	default:
		return op.AnswerText
	}
}

// graphRules map refusals of Graph to reasons; the first that matches counts. A zero
// field matches everything. Texts are the last resort, where nothing else tells cases
// apart.
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

	// observed: Intune with 400, conditional access with 403 AccessDenied or
	// Forbidden, reports with a code of their own.
	{text: "Request not applicable to target tenant", reason: op.NotLicensed, unlicensed: true},
	{text: "tenant is not licensed for this feature", reason: op.NotLicensed, unlicensed: true},
	{code: "Authentication_RequestFromNonPremiumTenantOrB2CTenant", reason: op.NotLicensed, unlicensed: true},

	{code: "Authorization_IdentityNotFound", reason: op.ConsentMissing},
	{text: "does not have application permissions configured", reason: op.ConsentMissing},
	{code: "Authorization_RequestDenied", reason: op.PermissionMissing},
	{code: "Forbidden", reason: op.PermissionMissing}, // Intune wraps it in UnknownError, with 401 or 403

	// A refused token does not condemn the credential; only the sign-in service does.
	// observed: Graph refused every token for two hours, "Signing key is invalid"
	// (msgraph-sdk-dotnet-core issue 222).
	{status: http.StatusUnauthorized, reason: op.ProviderFault},
	{status: http.StatusForbidden, reason: op.PermissionMissing},

	{status: http.StatusTooManyRequests, reason: op.ProviderThrottled},
	{code: "TooManyRequests", reason: op.ProviderThrottled},
	{code: "ServiceUnavailable", reason: op.ProviderFault},
	{code: "InternalServerError", reason: op.ProviderFault},
	{status: http.StatusRequestTimeout, reason: op.ProviderFault},
}

var scopeList = regexp.MustCompile(`one of the following scopes: ([A-Za-z.,\- ]+)`)

func graphRefusal(e *provider.Error, body []byte) {
	if (e.Form == op.AnswerPage || e.Form == op.AnswerText) && e.Status != http.StatusTooManyRequests {
		e.Reason = op.ProviderFault // Graph refuses in JSON: this comes from something in front of it
		return
	}
	e.Code, e.Message = graphError(body)
	e.Reason = op.ProviderRejected
	if e.Status >= 500 {
		e.Reason = op.ProviderFault
	}
	for _, r := range graphRules {
		if (r.code == "" || strings.EqualFold(r.code, e.Code)) && (r.text == "" || strings.Contains(e.Message, r.text)) &&
			(r.status == 0 || r.status == e.Status) {
			e.Reason, e.Resync, e.Unlicensed = r.reason, r.resync, r.unlicensed
			break
		}
	}
	if m := scopeList.FindStringSubmatch(e.Message); m != nil && e.Reason == op.PermissionMissing {
		// Any permission of the list would do; the first one is the read permission. The
		// operation's own list takes precedence: Graph has named obsolete permissions.
		first, _, _ := strings.Cut(m[1], ",")
		e.Permissions = []string{strings.TrimSpace(first)}
	}
}

// maxNested is how many levels of errors inside an error's text are read.
const maxNested = 4

// graphError returns code and text of an error body. Intune's text is a JSON document,
// which may contain another one; the innermost has the details.
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
