//go:build faults

package worker

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestFaultsRestoreSurvivesADeadWorker kills a restore at each point of each of its calls.
func TestFaultsRestoreSurvivesADeadWorker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { survives(t, d, usualPoints()) })
}
