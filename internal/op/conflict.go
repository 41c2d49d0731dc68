package op

import (
	"errors"
	"fmt"
)

// ConflictError says why the state of a thing does not allow a change. It is an
// [ErrConflict]. People are told Public and nothing else; Cause is for the log.
type ConflictError struct {
	Public string // a sentence without its full stop
	Cause  error  // nil: Public says it all
}

// Conflict returns a [*ConflictError] whose public text has that format.
func Conflict(format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...)}
}

// ConflictBecause is [Conflict] with a cause, which people are not told.
func ConflictBecause(cause error, format string, args ...any) error {
	return &ConflictError{Public: fmt.Sprintf(format, args...), Cause: cause}
}

// Error is for the log: the public text and the cause.
func (e *ConflictError) Error() string {
	if e.Cause == nil {
		return e.Public
	}
	return e.Public + ": " + e.Cause.Error()
}

// Unwrap makes it an [ErrConflict], and what its cause is.
func (e *ConflictError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrConflict}
	}
	return []error{ErrConflict, e.Cause}
}

// PublicConflict returns what people are told about err, an [ErrConflict]. Of an
// error without a public text they are told that something changed, and no more.
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
