package worker

import (
	"context"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
)

// TestTheLineIsFoundWithoutHistory counts what a look through the queue reads when
// the jobs of some runs were lost, beside few and beside many runs that have ended:
// a few thousand are where PostgreSQL is tempted to merge along a primary key.
func TestTheLineIsFoundWithoutHistory(t *testing.T) {
	const line, lost = 300, 120
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := gatetest.New(t, d)
		for _, ended := range []int{3_000, 20_000} {
			s.Wipe()
			fillLine(s, line, ended)
			s.Exec(`DELETE FROM river_job WHERE id <= $1`, lost)
			s.Analyze()
			recording := dbtest.Record(d)
			var astray []ledger.Astray
			err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
				astray, err = ledger.AllAstray(ctx, tx, lineBatch)
				return err
			})
			if err != nil || len(astray) != lost {
				t.Fatalf("%d runs have lost their jobs, %v; want %d", len(astray), err, lost)
			}
			for _, st := range recording.Take() {
				cost, err := dbtest.CostOf(t.Context(), d, st)
				if err != nil {
					t.Fatal(err)
				}
				if most := int64(4 * line); cost.Rows > most {
					t.Errorf("beside %d ended runs it looks at %d rows, at most %d are fine: %.300s\n%s", ended, cost.Rows, most, st.SQL, cost.Plan)
				}
			}
		}
	})
}
