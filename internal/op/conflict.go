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
}

// Conflict returns a [*ConflictError] with a formatted public text.
func Conflict(format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...)}
}

// ConflictBecause is [Conflict] with a cause, which people don't see.
func ConflictBecause(cause error, format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...), Cause: cause}
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
