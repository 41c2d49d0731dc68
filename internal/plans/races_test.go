package plans_test

import (
	"context"
	"errors"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
)

// TestTwoRunsTakeAPlan: of two runs on two nodes, whatever the order of their statements,
// one gets the plan and the other is told so.
func TestTwoRunsTakeAPlan(t *testing.T) {
	url := dbtest.URL(t, db.Postgres)
	first := dbtest.Open(t, db.Config{URL: url})
	second := dbtest.Open(t, db.Config{URL: url})
	w := newWorld(t, second)
	hash := w.keep(w.plan(1))
	take := func(d *db.DB, run string) func() error {
		return func() error {
			return d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				_, err := plans.Take(ctx, tx, w.tenant, hash, run)
				return err
			})
		}
	}
	dbtest.EachStep(t, first, second, func() { w.Exec(`UPDATE plans SET executed_by = ''`) }, take(first, "one"), take(second, "two"), func(t *testing.T, a, b error) {
		if (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), op.ErrConflict) {
			t.Errorf("%v, %v", a, b)
		}
		if by := w.Text(`SELECT executed_by FROM plans`); a == nil && by != "one" || b == nil && by != "two" {
			t.Errorf("%v, %v, and the plan is executed by %s", a, b, by)
		}
	})
}
