package app

import (
	"testing"
	"time"
)

// The locks of a frozen node are released before its lease and a quarantine are over,
// whatever the lease: a healthy node freezes in the first quarter of it.
func TestFrozenLocksAreShorterThanALease(t *testing.T) {
	for lease, want := range map[time.Duration]time.Duration{
		0: 0, 3 * time.Second: 1500 * time.Millisecond, time.Minute: 15 * time.Second, time.Hour: 15 * time.Second,
	} {
		if got := idle(lease); got != want {
			t.Errorf("with a lease of %v locks are kept for %v, want %v", lease, got, want)
		}
	}
}
