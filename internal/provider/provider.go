// Package provider is the port: what an operation may ask of a provider, and how
// a failed call is told in Interlock's own words. Package provider/graph is its
// one implementation for Microsoft 365.
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

// Client speaks to one tenant through one connection with one version of its
// credential, on behalf of one run. Every method returns an [*Error] when the
// provider refuses or can't be reached. Calls end before the context's deadline,
// which the worker keeps inside the run's lease.
type Client interface {
	// Discover proves that the login authority answers and knows the directory.
	Discover(ctx context.Context) error
	// Token signs in and returns what the token says. Nothing secret is in it. A
	// token of another application than the connection's is an error.
	Token(ctx context.Context) (Token, error)
	// Get reads one object. path is relative to the provider's root and names its
	// version, such as "/v1.0/organization?$select=id".
	Get(ctx context.Context, path string) (json.RawMessage, error)
	// Page reads one page of a list. next is a path as for Get, or a link of an
	// earlier page, which is followed verbatim.
	Page(ctx context.Context, next string) (Page, error)
}

// Token is what an access token says about the connection.
type Token struct {
	Directory string   // tid: the directory's GUID, lower case
	ClientID  string   // appid
	Roles     []string // application permissions that were consented; empty is a success of the token endpoint
	ExpiresOn time.Time
}

// Page is one page of a list. A page may be empty and still have a Next.
type Page struct {
	Items []json.RawMessage
	Next  string // follow verbatim; empty on the last page
	Delta string // set on the last page of a delta round
}

// Error is a call that the provider refused, or that did not reach it. What the
// provider said and what Interlock found wrong are kept apart, so that no sentence
// quotes one as the other.
type Error struct {
	Reason op.Reason // in our words

	// Proven: the answer proves a lasting state of the connection, so that it may
	// be stored and block later starts. A refusal at the token endpoint with a known
	// number is one; whatever else a provider answers may be its own fault.
	Proven bool

	Permissions []string      // what is missing, by the name to ask for
	Granted     []string      // of a refused access: the roles of the token; nil: not known
	Directory   string        // of a tenant_mismatch: the GUID that was met instead of the tenant's
	Skew        time.Duration // of a clock_skew: by how much the clocks differ; 0: not known

	Call    string        // method and path, without query, such as "GET /v1.0/organization"
	Status  int           // HTTP status; 0 when there was no answer
	Form    op.AnswerForm // of an answer that is not in the provider's own form
	Code    string        // the provider's own code, such as "Authorization_RequestDenied" or "AADSTS7000222"
	Message string        // the provider's own text, redacted, at most 300 characters; empty: it said nothing
	Note    string        // what Interlock found wrong, as a clause; empty: nothing beyond the status

	RetryAfter time.Duration // how long the provider asked to wait; 0 when it did not say
	Temporary  bool          // worth another try later
	Doubtful   bool          // of a change: it may have been made all the same; see [Doubtful]
	Resync     bool          // the delta token is no longer good: read everything anew
	Unlicensed bool          // the tenant does not have the service

	RequestID     string    // the provider's id of the call
	ClientID      string    // client-request-id of the call
	CorrelationID string    // of the sign-in service
	At            time.Time // the provider's date, else ours

	Silence time.Duration // of provider_unreachable: for how long the provider had been asked in vain
	Err     error
}

// Error says what was refused, never with a secret.
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

// Evidence returns what is kept of the answer; nil when nothing was called.
func (e *Error) Evidence() *op.Evidence {
	if e.Call == "" && e.Status == 0 {
		return nil
	}
	return &op.Evidence{
		Call: e.Call, Status: e.Status, Code: e.Code, Text: e.Message, Note: e.Note,
		RequestID: e.RequestID, ClientRequestID: e.ClientID, CorrelationID: e.CorrelationID, At: e.At,
	}
}

// Unwrap returns the transport's error, if there was one.
func (e *Error) Unwrap() error { return e.Err }

// Args returns the facts that sentences about e are filled with: with what the
// provider answered and what it said, which permissions are missing, until when it
// asked to wait, for how long it gave no answer, by how much the clocks differ.
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
		args["provider_said"] = "true" // the day is not known from it
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

// Classify returns the reason of an error in our words: that of an [*Error],
// time_limit for a passed deadline, and internal_fault for everything that no
// provider said.
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
