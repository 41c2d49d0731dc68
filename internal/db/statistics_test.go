package db_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestAnalyze: a table that was never looked at gets statistics, as rows in it
// are, and one that has grown much gets new ones.
func TestAnalyze(t *testing.T) {
	const fill = `INSERT INTO users (id, email, name, password_hash, created_at) WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT 'u' || CAST(i AS TEXT), 'e' || CAST(i AS TEXT), 'n', '', 0 FROM n`
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		known := func() int64 {
			t.Helper()
			if d.Engine() == db.Postgres {
				return one[int64](t, d, `SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'users'`)
			}
			if one[int64](t, d, `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'`) == 0 {
				return -1
			}
			return one[int64](t, d, `SELECT COALESCE(MAX(CAST(substr(stat, 1, instr(stat, ' ')) AS BIGINT)), -1) FROM sqlite_stat1 WHERE tbl = 'users'`)
		}
		if n := known(); n != -1 {
			t.Fatalf("of an empty table %d rows are known", n)
		}
		execute(t, d, fmt.Sprintf(fill, 1, 1000))
		for range 2 { // the second time has nothing to do
			if err := d.Analyze(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := known(); n < 500 || n > 2000 {
				t.Fatalf("of 1,000 rows %d are known", n)
			}
		}
		if d.Engine() == db.Postgres {
			return // autovacuum's
		}
		execute(t, d, fmt.Sprintf(fill, 1001, 30_000))
		if err := d.Analyze(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := known(); n < 15_000 || n > 60_000 {
			t.Errorf("of 30,000 rows %d are known", n)
		}
	})
}

// TestPlanAnew: a list that asks for a plan of its own gets it each time; others
// share one plan from the sixth run on.
func TestPlanAnew(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const count = `SELECT COUNT(*) FROM users u WHERE u.id = $1`
		ask := func(args ...any) error {
			return d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
				var n int64
				return tx.QueryRow(ctx, count, args...).Scan(&n)
			})
		}
		if err := ask("nobody", db.PlanAnew); err == nil {
			t.Error("a hint behind the arguments was taken")
		}
		for range 8 {
			if err := ask(db.PlanAnew, "nobody"); err != nil {
				t.Fatal(err)
			}
		}
		kept := func() (n int64) {
			if d.Engine() == db.SQLite {
				return 0
			}
			return one[int64](t, d, `SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT COUNT(*) FROM users%' AND generic_plans + custom_plans > 0`)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d plans are kept of a statement that is planned anew", n)
		}
		if err := ask("nobody"); err != nil {
			t.Fatal(err)
		}
		if n := kept(); d.Engine() == db.Postgres && n != 1 {
			t.Errorf("%d plans are kept of a statement that shares one: does the test look?", n)
		}
	})
}
