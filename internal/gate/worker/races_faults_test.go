//go:build faults

package worker

import "testing"

// TestFaultsEveryPairInterrupted is [TestEveryPairInterleaved] with both sides
// interrupted, at each pair of points; in the short form at each ninth.
func TestFaultsEveryPairInterrupted(t *testing.T) {
	if testing.Short() {
		interleaveAll(t, 9)
		return
	}
	interleaveAll(t, 1)
}
