package db_test

import (
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
