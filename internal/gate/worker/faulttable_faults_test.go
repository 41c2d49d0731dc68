//go:build faults

package worker

import (
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestFaultsTable fills the whole table of docs/faults.md and compares it, on SQLite; in
// the short form each third row.
func TestFaultsTable(t *testing.T) {
	every := 1
	if testing.Short() && !*update {
		every = 3
	}
	var mu sync.Mutex
	tables := map[string]map[string][2]string{}
	t.Run("columns", func(t *testing.T) {
		for i, c := range faultColumns {
			t.Run(c.title, func(t *testing.T) {
				t.Parallel()
				rows := faultRows(t, dbtest.New(t, db.SQLite), c, func(n int, _ operationtest.Fault) bool { return n%every == i%every })
				mu.Lock()
				defer mu.Unlock()
				tables[c.title] = rows
			})
		}
	})
	if *update {
		writeFaultTable(t, tables)
		return
	}
	want := documented(t)
	for _, c := range faultColumns {
		compareFaults(t, want[c.title], tables[c.title])
		if len(want[c.title]) != len(c.faults()) {
			t.Errorf("%s: docs/faults.md has %d rows, want %d", c.title, len(want[c.title]), len(c.faults()))
		}
	}
	if len(want) != len(faultColumns) {
		t.Errorf("docs/faults.md has %d sections, want %d", len(want), len(faultColumns))
	}
}
