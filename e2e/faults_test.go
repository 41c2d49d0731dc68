//go:build linux && faults

package e2e_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
)

// times returns how often to do something: the number in the environment variable, else
// the short or the full one.
func times(t *testing.T, name string, short, full int) int {
	t.Helper()
	if v := os.Getenv(name); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("%s: %q is not a number from 1", name, v)
		}
		return n
	}
	if testing.Short() {
		return short
	}
	return full
}

// TestFaultsKill is TestKill at full length.
func TestFaultsKill(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) { killOften(t, engine, times(t, "KILLS", 3, 500)) })
}

// TestFaultsProvider is TestProviderFaults with every fault on both engines.
func TestFaultsProvider(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		all := troubles()
		if testing.Short() {
			all = all[:2]
		}
		meetTroubles(t, engine, all)
	})
}

// TestFaultsRollingRestart is TestRollingRestart at full length.
func TestFaultsRollingRestart(t *testing.T) { rollOver(t, times(t, "RESTARTS", 2, 100)) }

// TestFaultsDatabaseCrashes is TestDatabaseCrashes at full length.
func TestFaultsDatabaseCrashes(t *testing.T) { crashOften(t, times(t, "CRASHES", 1, 200)) }
