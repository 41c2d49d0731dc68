package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Writer changes one tenant, through the same connection and on behalf of the same
// run as the [Client] beside it. It is a port of its own: an operation that only
// reads never holds one.
type Writer interface {
	// Write makes one change and returns what the provider answered. It returns an
	// [*Error] when the provider refuses or can't be reached. [Doubtful] tells whether
	// the change may have been made all the same: read the object back then, and do
	// not send the change again before that. A wait of more than some seconds is not
	// waited for: it is an error with Temporary and RetryAfter, and nothing was sent.
	Write(ctx context.Context, c Change) (Answer, error)
}

// Change is one change at the provider.
type Change struct {
	Method string            // POST, PUT, PATCH or DELETE
	Path   string            // relative to the provider's root, with its version, as for [Client.Get]
	Body   json.RawMessage   // sent byte for byte; nil sends none
	Header map[string]string // besides those of every call; Authorization and the like can't be set
	Repeat Repeat
}

// Repeat says what happens when a change is made twice.
type Repeat int

// The kinds of repeat.
const (
	// RepeatDoubtful: a second time may have an effect of its own, as a create has that
	// makes another object of the same name. Such a change is sent again only when it is
	// certain that it was not made.
	RepeatDoubtful Repeat = iota
	// RepeatSafe: twice has the effect of once, as when an object is replaced as a whole.
	// Such a change is tried again as a read is.
	RepeatSafe
)

// Answer is what the provider answered to a change that it made or took on.
type Answer struct {
	Status    int             // 200 to 299; 202: it was taken on and may not be made yet
	Body      json.RawMessage // may be empty
	RequestID string          // the provider's id of the call
	ClientID  string          // client-request-id of the call
	At        time.Time       // the provider's date, else ours
}

// Doubtful reports whether err leaves it open if a change was made: the provider
// gave no answer after the change was sent, or answered with a fault of its own.
func Doubtful(err error) bool {
	var pe *Error
	return errors.As(err, &pe) && pe.Doubtful
}
