//go:build faults

package worker

import "testing"

// TestFaultsEveryPairInterleaved is [TestEveryPairInterleaved] with every pair.
func TestFaultsEveryPairInterleaved(t *testing.T) { interleaveAll(t, 0, 1) }

// TestFaultsEveryPairInterrupted is [TestEveryPairInterleaved] with both sides
// interrupted, at each pair of points; in the short form at each ninth.
func TestFaultsEveryPairInterrupted(t *testing.T) {
	if testing.Short() {
		interleaveAll(t, 9, 1)
		return
	}
	interleaveAll(t, 1, 1)
}

// TestFaultsJournalInterrupted is [TestJournalInterleaved] with both sides interrupted.
func TestFaultsJournalInterrupted(t *testing.T) {
	if testing.Short() {
		interleaveWrites(t, 9)
		return
	}
	interleaveWrites(t, 1)
}

// TestFaultsWritesSurviveTheDatabase is [TestWritesSurviveTheDatabase] with two toys and
// a fault at every point.
func TestFaultsWritesSurviveTheDatabase(t *testing.T) { surviveTheDatabase(t, 1, "a", "b") }
