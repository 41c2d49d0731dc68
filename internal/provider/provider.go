// Package provider is the port to providers: what an operation may ask of one, and how
// a failed call is reported by our own reasons. Package provider/graph implements it for
// Microsoft 365.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Client reads from one tenant, through one connection with one version of its
// credential, on behalf of one run. Every method returns an [*Error] when the provider
// refuses the call or can't be reached. Calls end within the run's lease. A client is
// safe for concurrent use.
type Client interface {
	// Discover checks that the sign-in service answers and knows the directory.
	Discover(ctx context.Context) error
	// Token signs in and returns the claims of the token, none of which is secret. A
	// token for another application than the connection's is an error.
	Token(ctx context.Context) (Token, error)
	// Get reads one object. path is relative to the provider's root and contains the
	// version, such as "/v1.0/organization?$select=id".
	Get(ctx context.Context, path string) (json.RawMessage, error)
	// Page reads one page of a list. next is a path as for Get, or the link of an earlier
	// page, which is sent verbatim.
	Page(ctx context.Context, next string) (Page, error)
	// Batch makes many reads in few calls, up to 20 in one. Each path is as for Get or Page.
	// It returns one result for each path, in the order of paths: a read that is refused
	// has an error of its own and does not affect the others. An error of Batch itself
	// means that there is no result: the run is over, the sign-in failed, or the provider
	// refused a whole call. Reads that are throttled or that meet a fault of the provider are
	// repeated by themselves, within the limits of Get.
	Batch(ctx context.Context, paths []string) ([]Result, error)
}

// Token holds the claims of an access token that we use.
type Token struct {
	Directory string   // tid: the directory's GUID, lower case
	ClientID  string   // appid
	Roles     []string // consented application permissions; without consent the sign-in succeeds and this is empty
	ExpiresOn time.Time
}

// Page is one page of a list. A page may be empty and still have a Next.
type Page struct {
	Items []json.RawMessage
	Next  string // link to the next page, to be sent verbatim; empty on the last page
	Delta string // link to the next delta round; set on the last page of a delta round
}

// Error is a call that the provider refused, or that got no answer. The provider's own
// text and what Interlock found wrong are separate fields, so that no sentence quotes one
// as the other.
type Error struct {
	Reason op.Reason

	// Proven says that the answer proves a lasting state of the connection, which may be
	// stored and block later starts. Known error numbers of the sign-in service do; any
	// other answer may be a fault of the provider.
	Proven bool

	Permissions []string      // missing permissions, by the name to ask for
	Granted     []string      // of a refused access: the roles of the token; nil: not known
	Directory   string        // of tenant_mismatch: the GUID of the other directory
	Skew        time.Duration // of clock_skew: difference of the clocks; 0: not known

	Call    string        // method and path, without query, such as "GET /v1.0/organization"
	Status  int           // HTTP status; 0 when there was no answer
	Form    op.AnswerForm // of an answer that is not in the provider's usual form
	Code    string        // the provider's own code, such as "Authorization_RequestDenied" or "AADSTS7000222"
	Message string        // the provider's own text, redacted, at most 300 characters; may be empty
	Note    string        // what Interlock found wrong, as a clause; may be empty

	RetryAfter time.Duration // how long the provider asked to wait; 0: it did not say
	Temporary  bool          // a later try may succeed
	Doubtful   bool          // of a change: it may have been made; see [Doubtful]
	Resync     bool          // the delta token is no longer valid: read everything again
	Unlicensed bool          // the tenant does not have the service

	RequestID     string    // the provider's id of the call
	ClientID      string    // client-request-id of the call
	CorrelationID string    // of the sign-in service
	At            time.Time // the provider's date, else ours

	Silence time.Duration // of provider_unreachable: time since the first of the unanswered calls
	Err     error
}

// Error describes the call and the answer. It contains no secret.
func (e *Error) Error() string {
	s := fmt.Sprintf("provider: %s", e.Reason)
	if e.Call != "" {
		s += ": " + e.Call
	}
	if e.Status != 0 {
		s += fmt.Sprintf(": HTTP %d %s", e.Status, e.Code)
	}
	for _, text := range []string{e.Message, e.Note} {
		if text != "" {
			s += ": " + text
		}
	}
	if e.Doubtful {
		s += ": the change may have been made"
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Evidence returns what is stored of the answer; nil when no call was made.
func (e *Error) Evidence() *op.Evidence {
	if e.Call == "" && e.Status == 0 {
		return nil
	}
	return &op.Evidence{
		Call: e.Call, Status: e.Status, Code: e.Code, Text: e.Message, Note: e.Note,
		RequestID: e.RequestID, ClientRequestID: e.ClientID, CorrelationID: e.CorrelationID, At: e.At,
	}
}

// Unwrap returns the error of the transport, or nil.
func (e *Error) Unwrap() error { return e.Err }

// Args returns the facts that sentences about e need, by placeholder name.
func (e *Error) Args() op.Args {
	args := make(op.Args)
	for name, value := range map[string]string{
		"provider_message": e.Message, "provider_code": e.Code, "fault": e.Note, "answer": string(e.Form), "actual_directory": e.Directory,
	} {
		if value != "" {
			args[name] = value
		}
	}
	if e.Status != 0 {
		args["status"] = strconv.Itoa(e.Status)
	}
	if e.Reason == op.CredentialExpired {
		args["provider_said"] = "true" // the date of expiry is not known
	}
	if e.Skew >= time.Second {
		args["clock_difference"] = e.Skew.Round(time.Second).String()
	}
	if len(e.Permissions) > 0 {
		args["permissions"] = strings.Join(e.Permissions, ",")
		args["count"] = strconv.Itoa(len(e.Permissions))
	}
	if e.RetryAfter > 0 {
		args["retry_at"] = e.At.Add(e.RetryAfter).UTC().Format(time.RFC3339) // by the provider's clock
	}
	if e.Silence >= time.Second { // sentences count seconds
		args["duration"] = e.Silence.String()
	}
	return args
}

// Classify returns the reason of an error: that of an [*Error], time_limit for a passed
// deadline, and internal_fault for anything else.
func Classify(err error) op.Reason {
	var pe *Error
	switch {
	case errors.As(err, &pe):
		return pe.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return op.TimeLimit
	default:
		return op.InternalFault
	}
}
