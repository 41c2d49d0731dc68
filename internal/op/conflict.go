package op

import (
	"errors"
	"fmt"
)

// ConflictError says why the current state doesn't allow a change. It is an
// [ErrConflict]. People see only Public; Cause is for the log.
type ConflictError struct {
	Public string // a sentence without its full stop
	Cause  error  // nil: none
	Next   string // what to do, a sentence; empty: to check the state and try again
}

// Conflict returns a [*ConflictError] with a formatted public text.
func Conflict(format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...)}
}

// ConflictBecause is [Conflict] with a cause, which people don't see.
func ConflictBecause(cause error, format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...), Cause: cause}
}

// ConflictThen is [Conflict] with what to do next, a sentence.
func ConflictThen(next, format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...), Next: next}
}

// Error returns the public text and the cause, for the log.
func (e *ConflictError) Error() string {
	if e.Cause == nil {
		return e.Public
	}
	return e.Public + ": " + e.Cause.Error()
}

// Unwrap makes it an [ErrConflict] and an instance of its cause.
func (e *ConflictError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrConflict}
	}
	return []error{ErrConflict, e.Cause}
}

// NextAfterConflict returns what to do after err, an [ErrConflict]; empty when nothing
// but to check the state and try again is known.
func NextAfterConflict(err error) string {
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return conflict.Next
	}
	return ""
}

// PublicConflict returns the text that people see for err, an [ErrConflict]. An error
// without a public text only says that something changed.
func PublicConflict(err error) string {
	var conflict *ConflictError
	var earlier *EarlierError
	switch {
	case errors.As(err, &conflict):
		return conflict.Public
	case errors.As(err, &earlier):
		return earlier.Error()
	}
	return "it has changed meanwhile"
}
