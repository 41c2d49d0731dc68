package op

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestPublicConflict: whatever a conflict wraps and is wrapped by, people are told
// its public text only, and the log everything.
func TestPublicConflict(t *testing.T) {
	cause := errors.New("SQLSTATE 23505 on connections_directory")
	earlier := &EarlierError{By: "Mei Tan", At: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)}
	for _, tt := range []struct {
		err         error
		public, log string
	}{
		{Conflict("run %s holds the connection", "K3M9QX"), "run K3M9QX holds the connection", "run K3M9QX holds the connection"},
		{ConflictBecause(cause, "the run changed"), "the run changed", "the run changed: " + cause.Error()},
		{fmt.Errorf("connection.edit: %w", ConflictBecause(cause, "it is in use")), "it is in use", "connection.edit: it is in use: " + cause.Error()},
		{fmt.Errorf("cancel: %w", earlier), earlier.Error(), "cancel: " + earlier.Error()},
		{fmt.Errorf("commit inventory of 8c4e0d2a: %w", ErrConflict), "it has changed meanwhile", "commit inventory of 8c4e0d2a: conflict"},
	} {
		if got := PublicConflict(tt.err); got != tt.public {
			t.Errorf("people are told %q about %v, want %q", got, tt.err, tt.public)
		}
		if tt.err.Error() != tt.log || !errors.Is(tt.err, ErrConflict) {
			t.Errorf("%q: want %q, a conflict", tt.err, tt.log)
		}
	}
	if !errors.Is(ConflictBecause(cause, "x"), cause) {
		t.Error("the cause is not wrapped")
	}
}
