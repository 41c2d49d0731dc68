package db_test

import (
	"context"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestSteps: the hook is called before everything that a transaction does, with
// the caller's context, and of nothing once it is removed.
func TestSteps(t *testing.T) {
	type key struct{}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var ops []db.Op
		d.WithSteps(func(ctx context.Context, p db.Point) {
			if ctx.Value(key{}) != nil {
				ops = append(ops, p.Op)
			}
		})
		ctx := context.WithValue(t.Context(), key{}, true)
		work := func() {
			t.Helper()
			err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				if _, err := tx.Exec(ctx, `UPDATE workspaces SET name = name`); err != nil {
					return err
				}
				var n int64
				return tx.QueryRow(ctx, `SELECT COUNT(*) FROM workspaces`).Scan(&n)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		work()
		if want := []db.Op{db.OpBegin, db.OpExec, db.OpQuery, db.OpCommit}; !slices.Equal(ops, want) {
			t.Errorf("the hook was told of %v, want %v", ops, want)
		}
		d.WithSteps(nil)
		if work(); len(ops) != 4 {
			t.Error("a removed hook was told")
		}
	})
}

// TestPair: a side that waits for a lock of the other is seen to wait and goes on
// when it is free, and two that wait for each other are a deadlock.
func TestPair(t *testing.T) {
	p := dbtest.NewPair(t, func(pt db.Point) bool { return true })
	p.Script(`CREATE TABLE two (id INT PRIMARY KEY, n INT NOT NULL); INSERT INTO two VALUES (1, 0), (2, 0)`)
	change := func(i, first, second int) func(context.Context) {
		return func(ctx context.Context) {
			err := p.Handles[i].Write(ctx, func(ctx context.Context, tx db.Tx) error {
				for _, id := range []int{first, second} {
					if _, err := tx.Exec(ctx, `UPDATE two SET n = n + 1 WHERE id = $1`, id); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	plan := dbtest.Plan{Turns: []int{2, 1 << 20}} // A holds its first row when B begins
	ran := p.Run(t.Context(), plan, [2]func(context.Context){change(0, 1, 2), change(1, 1, 2)})
	if ran.Deadlock || !slices.Contains(ran.Trace, "B  waits for a lock") {
		t.Errorf("rows in one order: deadlock %v\n%s", ran.Deadlock, ran)
	}
	ran = p.Run(t.Context(), plan, [2]func(context.Context){change(0, 1, 2), change(1, 2, 1)})
	if !ran.Deadlock {
		t.Errorf("rows in two orders: no deadlock\n%s", ran)
	}
	if n := one[int64](t, p.Handles[0], `SELECT SUM(n) FROM two`); n != 8 {
		t.Errorf("%d changes, want 8: each side is made again until it is through", n)
	}
}
