package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Writer makes changes in one tenant, through the same connection and on behalf of the
// same run as the [Client] that implements it too. It is safe for concurrent use.
type Writer interface {
	// Write makes one change and returns the provider's answer. It returns an [*Error]
	// when the provider refuses the change or can't be reached. If the error is
	// [Doubtful], the change may have been made: read the object back before you send the
	// change again. Write does not wait long (20 s for Microsoft 365): for longer waits
	// it returns an error with Temporary and RetryAfter, and the change was not made.
	Write(ctx context.Context, c Change) (Answer, error)
}

// Change is one change at the provider.
type Change struct {
	Method string            // POST, PUT, PATCH or DELETE
	Path   string            // relative to the provider's root, with the version, as for [Client.Get]
	Body   json.RawMessage   // sent byte for byte; nil: no body
	Header map[string]string // further headers; those that the client sets itself are refused
	Repeat Repeat
}

// Repeat says whether a change may be made twice.
type Repeat int

// The kinds of repeat.
const (
	// RepeatDoubtful: a second time may have another effect. A create, for example, makes
	// a second object of the same name. The client sends such a change again only when it
	// is certain that the change was not made.
	RepeatDoubtful Repeat = iota
	// RepeatSafe: twice has the same effect as once, as when an object is replaced as a
	// whole. The client retries such a change as it retries a read.
	RepeatSafe
)

// Answer is the provider's answer to a change that it made or accepted.
type Answer struct {
	Status    int             // 200 to 299; 202: accepted, perhaps not made yet
	Body      json.RawMessage // may be empty
	RequestID string          // the provider's id of the call
	ClientID  string          // client-request-id of the call
	At        time.Time       // the provider's date, else ours
}

// Doubtful reports whether err leaves open if a change was made: after the change was
// sent, the provider gave no answer, or answered with a fault of its own.
func Doubtful(err error) bool {
	var pe *Error
	return errors.As(err, &pe) && pe.Doubtful
}
