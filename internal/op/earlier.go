package op

import (
	"fmt"
	"time"
)

// EarlierError tells the second of two people who came first, and when. It is an
// [ErrConflict].
type EarlierError struct {
	Released bool   // else cancelled
	By       string // name of a person
	At       time.Time
}

// Error returns the sentence without its full stop.
func (e *EarlierError) Error() string {
	did := "cancelled"
	if e.Released {
		did = "released"
	}
	return fmt.Sprintf("%s %s this run on %s", e.By, did, Moment(e.At, time.Time{}))
}

// Is makes it an [ErrConflict].
func (e *EarlierError) Is(target error) bool { return target == ErrConflict }
