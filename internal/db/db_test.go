package db_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// write runs fn in a transaction that must succeed.
func write(t *testing.T, d *db.DB, fn func(context.Context, db.Tx) error) {
	t.Helper()
	if err := d.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// execute runs statements, each in a transaction of its own.
func execute(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, s)
			return err
		})
	}
}

// one reads a single value.
func one[T any](t *testing.T, d *db.DB, query string, args ...any) T {
	t.Helper()
	var v T
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, query, args...).Scan(&v)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func list(ctx context.Context, tx db.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	type name string
	type row struct {
		Text     string
		Named    name
		Number   int64
		Flag     bool
		Bytes    []byte
		MaybeTxt *string
		MaybeNum *int64
		MaybeYes *bool
	}
	word, number, no := "word", int64(-1), false
	rows := map[string]row{
		"zero":    {},
		"full":    {"Zoë ☃ '\"\\%_\n", "n", math.MaxInt64, true, []byte{0, 255, '\''}, &word, &number, &no},
		"least":   {"0", "01", math.MinInt64, false, []byte("{}"), nil, nil, nil},
		"numeric": {"12345678901234567890", "1e3", 1, true, []byte("1"), &word, nil, nil},
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, `CREATE TABLE v (id TEXT PRIMARY KEY, t TEXT NOT NULL, n TEXT NOT NULL, i BIGINT NOT NULL,
			b BOOLEAN NOT NULL, y BYTEA, mt TEXT, mi BIGINT, mb BOOLEAN)`)
		for id, in := range rows {
			write(t, d, func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO v (id,t,n,i,b,y,mt,mi,mb) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
					id, in.Text, in.Named, in.Number, in.Flag, in.Bytes, in.MaybeTxt, in.MaybeNum, in.MaybeYes)
				return err
			})
			var out row
			err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
				return tx.QueryRow(ctx, "SELECT t,n,i,b,y,mt,mi,mb FROM v WHERE id = $1 AND b = $2", id, in.Flag).
					Scan(&out.Text, &out.Named, &out.Number, &out.Flag, &out.Bytes, &out.MaybeTxt, &out.MaybeNum, &out.MaybeYes)
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(in, out); diff != "" {
				t.Errorf("%s: %s", id, diff)
			}
		}
		if n := one[int64](t, d, "SELECT COUNT(*) FROM v WHERE y IS NULL"); n != 1 {
			t.Errorf("%d rows without bytes, want 1: nil bytes are NULL", n)
		}
		var plain string
		err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			return tx.QueryRow(ctx, "SELECT mt FROM v WHERE id = 'least'").Scan(&plain)
		})
		if err == nil {
			t.Error("NULL was scanned into a plain string")
		}
	})
}

func TestEmptyBytesAreNotNull(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE b (y BYTEA)")
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO b (y) VALUES ($1)", []byte{})
			return err
		})
		if n := one[int64](t, d, "SELECT COUNT(*) FROM b WHERE y IS NOT NULL"); n != 1 {
			t.Error("empty bytes became NULL")
		}
	})
}

func TestJSONKeepsItsBytes(t *testing.T) {
	const text = `{"b": 1,  "a":[1.50, null, "é"], "b": 2}`
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE j (data TEXT NOT NULL)")
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO j (data) VALUES ($1)", json.RawMessage(text))
			return err
		})
		if got := one[string](t, d, "SELECT data FROM j WHERE data = $1", text); got != text {
			t.Errorf("got %s", got)
		}
	})
}

func TestArgumentsThatEnginesTakeDifferentlyAreRefused(t *testing.T) {
	type name string
	now := time.Now()
	tests := map[string]struct {
		arg  any
		want string
	}{
		"time":         {now, "argument $2: times are BIGINT microseconds"},
		"time pointer": {&now, "argument $2: times are BIGINT microseconds"},
		"duration":     {time.Second, "argument $2: a duration has no type"},
		"NUL":          {"a\x00b", "argument $2: text contains a NUL"},
		"not UTF-8":    {"a\xffb", "argument $2: text is not valid UTF-8"},
		"named NUL":    {name("\x00"), "argument $2: text contains a NUL"},
		"JSON NUL":     {json.RawMessage("\x00"), "argument $2: text contains a NUL"},
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE r (a TEXT, b TEXT)")
		for label, tt := range tests {
			err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO r (a, b) VALUES ($1, $2)", "x", tt.arg)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", label, err, tt.want)
			}
			if db.IsUnavailable(err) {
				t.Errorf("%s: a caller's mistake was called an outage", label)
			}
		}
	})
}

func TestPlaceholdersGoByNumber(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE p (a TEXT, b TEXT, c TEXT)")
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO p (a, b, c) VALUES ($2, $1, $2)", "one", "two")
			return err
		})
		if got := one[string](t, d, "SELECT a || b || c FROM p WHERE a = $1 AND c = $1", "two"); got != "twoonetwo" {
			t.Errorf("got %s", got)
		}
	})
}

func TestTextIsOrderedByBytesAndPagedByRowValues(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, `CREATE TABLE o (name TEXT NOT NULL, id TEXT NOT NULL)`)
		if d.Engine() == db.Postgres {
			execute(t, d, "DROP TABLE o", `CREATE TABLE o (name TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL)`)
		}
		for _, name := range []string{"é", "b", "B", "a-b", "ab", "Z", "a b", "_", "10", "9"} {
			write(t, d, func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO o (name, id) VALUES ($1, '1'), ($1, '2')", name)
				return err
			})
		}
		var pages []string
		lastName, lastID := "", ""
		for {
			type key struct{ name, id string }
			var page []key
			err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
				page = nil
				rows, err := tx.Query(ctx, "SELECT name, id FROM o WHERE (name, id) > ($1, $2) ORDER BY name, id LIMIT 3", lastName, lastID)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var k key
					if err := rows.Scan(&k.name, &k.id); err != nil {
						return err
					}
					page = append(page, k)
				}
				return rows.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, k := range page {
				pages = append(pages, k.name+k.id)
			}
			lastName, lastID = page[len(page)-1].name, page[len(page)-1].id
		}
		want := strings.Fields("101 102 91 92 B1 B2 Z1 Z2 _1 _2 a_b1 a_b2 a-b1 a-b2 ab1 ab2 b1 b2 é1 é2")
		for i := range want {
			want[i] = strings.Replace(want[i], "a_b", "a b", 1)
		}
		if diff := cmp.Diff(want, pages); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLikeTellsCaseAndNamesItsEscape(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE l (name TEXT NOT NULL)", "INSERT INTO l (name) VALUES ('Sales'), ('sales'), ('sa_es')")
		for pattern, want := range map[string][]string{
			"sa%":    {"sa_es", "sales"},
			"Sa%":    {"Sales"},
			`sa\_es`: {"sa_es"},
			`%\%%`:   nil,
			`sa_es`:  {"sa_es", "sales"},
			`%\\%`:   nil,
		} {
			var got []string
			err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
				got, err = list(ctx, tx, `SELECT name FROM l WHERE name LIKE $1 ESCAPE '\' ORDER BY name`, pattern)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", pattern, diff)
			}
		}
	})
}

// A prepared statement of PostgreSQL gets a generic plan at its sixth run, and
// a predicate with parameters then no longer proves the partial index.
func TestLiteralConflictPredicateSurvivesTheGenericPlan(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE c (scope TEXT, state TEXT)",
			"CREATE UNIQUE INDEX c_active ON c (scope) WHERE state IN ('queued','running')")
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			for i := range 8 {
				n, err := tx.Exec(ctx, `INSERT INTO c (scope, state) VALUES ($1, $2)
					ON CONFLICT (scope) WHERE state IN ('queued','running') DO NOTHING`, "s", "queued")
				if err != nil {
					return fmt.Errorf("run %d: %w", i+1, err)
				}
				if want := int64(max(0, 1-i)); n != want {
					return fmt.Errorf("run %d: %d rows, want %d", i+1, n, want)
				}
			}
			return nil
		})
	})
}

func TestCastParametersInCase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const query = "SELECT CASE WHEN $1 THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END + 1"
		for flag, want := range map[bool]int64{true: 11, false: 21} {
			if got := one[int64](t, d, query, flag, int64(10), int64(20)); got != want {
				t.Errorf("%v: got %d, want %d", flag, got, want)
			}
		}
	})
}

func TestReturningAndRowCounts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE f (id TEXT PRIMARY KEY, n BIGINT NOT NULL)", "INSERT INTO f (id, n) VALUES ('a', 1), ('b', 2)")
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			var n int64
			if err := tx.QueryRow(ctx, "UPDATE f SET n = n + 10 WHERE id = $1 RETURNING n", "a").Scan(&n); err != nil || n != 11 {
				t.Errorf("n = %d, %v", n, err)
			}
			if err := tx.QueryRow(ctx, "UPDATE f SET n = 0 WHERE id = 'none' RETURNING n").Scan(&n); !errors.Is(err, db.ErrNoRows) {
				t.Errorf("got %v, want ErrNoRows", err)
			}
			for _, step := range []struct {
				query string
				rows  int64
			}{
				{"UPDATE f SET n = n", 2},
				{"UPDATE f SET n = 1 WHERE n = -1", 0},
				{"INSERT INTO f (id, n) VALUES ('a', 0) ON CONFLICT DO NOTHING", 0},
				{"INSERT INTO f (id, n) VALUES ('a', 0) ON CONFLICT (id) DO UPDATE SET n = f.n", 1},
				{"INSERT INTO f (id, n) SELECT 'c', 3 WHERE EXISTS (SELECT 1 FROM f WHERE id = 'b')", 1},
				{"INSERT INTO f (id, n) SELECT 'd', 4 WHERE EXISTS (SELECT 1 FROM f WHERE id = 'z')", 0},
				{"DELETE FROM f", 3},
			} {
				got, err := tx.Exec(ctx, step.query)
				if err != nil {
					return err
				}
				if got != step.rows {
					t.Errorf("%s: %d rows, want %d", step.query, got, step.rows)
				}
			}
			return nil
		})
	})
}

func TestUnknownColumnInDoubleQuotesIsAnError(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE q (a TEXT)")
		err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := list(ctx, tx, `SELECT a FROM q WHERE "misspelt" = 'x'`)
			return err
		})
		if err == nil {
			t.Error("an unknown column was taken for a string")
		}
	})
}

func TestForeignKeysHold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE parent (id TEXT PRIMARY KEY)", "CREATE TABLE child (p TEXT NOT NULL REFERENCES parent(id))")
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO child (p) VALUES ('nobody')")
			return err
		})
		if err == nil {
			t.Error("a child without a parent was accepted")
		}
	})
}

func TestClockGoesOnWithinATransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		write(t, d, func(ctx context.Context, tx db.Tx) error {
			var first, second int64
			if err := tx.QueryRow(ctx, "SELECT interlock_now()").Scan(&first); err != nil {
				return err
			}
			time.Sleep(2 * time.Millisecond)
			if err := tx.QueryRow(ctx, "SELECT interlock_now()").Scan(&second); err != nil {
				return err
			}
			if passed := db.Time(second).Sub(db.Time(first)); passed < 2*time.Millisecond {
				t.Errorf("%v passed, want at least 2ms", passed)
			}
			if off := time.Since(db.Time(second)).Abs(); off > time.Minute {
				t.Errorf("the clock is off by %v", off)
			}
			return nil
		})
	})
}

func TestFailedStatementEndsTheTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE u (id TEXT PRIMARY KEY)", "INSERT INTO u (id) VALUES ('taken')")
		for label, violate := range map[string]func(context.Context, db.Tx) error{
			"exec": func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO u (id) VALUES ('taken')")
				return err
			},
			"query row": func(ctx context.Context, tx db.Tx) error {
				var id string
				return tx.QueryRow(ctx, "INSERT INTO u (id) VALUES ('taken') RETURNING id").Scan(&id)
			},
			"query": func(ctx context.Context, tx db.Tx) error {
				_, err := list(ctx, tx, "INSERT INTO u (id) VALUES ('fresh'), ('taken') RETURNING id")
				return err
			},
		} {
			var first, second error
			err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO u (id) VALUES ($1)", "before "+label); err != nil {
					return err
				}
				first = violate(ctx, tx)
				_, second = tx.Exec(ctx, "INSERT INTO u (id) VALUES ($1)", "after "+label)
				return nil // a caller that swallows errors
			})
			if first == nil || second == nil || err == nil {
				t.Errorf("%s: violation %v, next statement %v, Write %v: want errors", label, first, second, err)
			}
			if db.IsUnavailable(err) {
				t.Errorf("%s: a violated constraint was called an outage", label)
			}
		}
		if n := one[int64](t, d, "SELECT COUNT(*) FROM u"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestErrorAndPanicRollBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE e (id TEXT)")
		insert := func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO e (id) VALUES ('x')")
			return err
		}
		boom := errors.New("boom")
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			return errors.Join(insert(ctx, tx), boom)
		})
		if !errors.Is(err, boom) {
			t.Errorf("got %v, want boom", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				_ = insert(ctx, tx)
				panic("boom")
			})
		}()
		ctx, cancel := context.WithCancel(t.Context())
		err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			defer cancel()
			return insert(ctx, tx)
		})
		if !errors.Is(err, context.Canceled) || db.IsUnavailable(err) {
			t.Errorf("got %v, want canceled", err)
		}
		if n := one[int64](t, d, "SELECT COUNT(*) FROM e"); n != 0 {
			t.Errorf("%d rows, want none", n)
		}
		execute(t, d, "INSERT INTO e (id) VALUES ('y')") // the connection is in order again
	})
}

func TestReadIsASnapshotThatCannotWrite(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE s (id TEXT)", "INSERT INTO s (id) VALUES ('a')")
		err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO s (id) VALUES ('b')")
			return err
		})
		if err == nil {
			t.Fatal("Read wrote")
		}
		var counts [2]int64
		err = d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
			for i := range counts {
				if err := tx.QueryRow(ctx, "SELECT COUNT(*) FROM s").Scan(&counts[i]); err != nil {
					return err
				}
				if i == 0 {
					execute(t, d, "INSERT INTO s (id) VALUES ('c')") // with another context: another caller
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if counts != [2]int64{1, 1} {
			t.Errorf("counts %v within one Read, want the same", counts)
		}
	})
}

func TestNestedTransactionIsRefused(t *testing.T) {
	type run func(*db.DB, context.Context, func(context.Context, db.Tx) error) error
	kinds := map[string]run{"Write": (*db.DB).Write, "Read": (*db.DB).Read}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for outer, runOuter := range kinds {
			for inner, runInner := range kinds {
				err := runOuter(d, t.Context(), func(ctx context.Context, _ db.Tx) error {
					return runInner(d, ctx, func(context.Context, db.Tx) error { return nil })
				})
				if !errors.Is(err, db.ErrNested) {
					t.Errorf("%s in %s: got %v, want ErrNested", inner, outer, err)
				}
			}
		}
	})
}

// A nested call with a foreign context can't be told from another caller: it
// ends as unavailable instead of waiting for itself for ever.
func TestNestedWriteWithAnotherContextEnds(t *testing.T) {
	d := dbtest.Open(t, db.Config{URL: dbtest.URL(t, db.SQLite), Patience: 20 * time.Millisecond})
	err := d.Write(t.Context(), func(context.Context, db.Tx) error {
		return d.Write(t.Context(), func(context.Context, db.Tx) error { return nil })
	})
	if !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestConcurrentWritesAllCount(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE n (id TEXT PRIMARY KEY, n BIGINT NOT NULL)", "INSERT INTO n (id, n) VALUES ('a', 0), ('b', 0)")
		const callers, each = 32, 10
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
						for _, id := range []string{"a", "b"} {
							if _, err := tx.Exec(ctx, "UPDATE n SET n = n + 1 WHERE id = $1", id); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := one[int64](t, d, "SELECT CAST(SUM(n) AS BIGINT) FROM n"); n != 2*callers*each {
			t.Errorf("counted %d, want %d", n, 2*callers*each)
		}
	})
}

// Two transactions take two rows in opposite order. PostgreSQL sacrifices one,
// which is run again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	d := dbtest.New(t, db.Postgres)
	execute(t, d, "CREATE TABLE n (id TEXT PRIMARY KEY, n BIGINT NOT NULL)", "INSERT INTO n (id, n) VALUES ('a', 0), ('b', 0)")
	var tries atomic.Int64
	var bothHoldOne sync.WaitGroup
	bothHoldOne.Add(2)
	var wg sync.WaitGroup
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			met := false
			err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				tries.Add(1)
				for _, id := range order {
					if _, err := tx.Exec(ctx, "UPDATE n SET n = n + 1 WHERE id = $1", id); err != nil {
						return err
					}
					if !met {
						met = true
						bothHoldOne.Done()
						bothHoldOne.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tries.Load() < 3 {
		t.Errorf("%d tries: there was no deadlock", tries.Load())
	}
	if n := one[int64](t, d, "SELECT CAST(SUM(n) AS BIGINT) FROM n"); n != 4 {
		t.Errorf("counted %d, want 4", n)
	}
}

func TestMigrateTwiceAndAtTheSameTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := d.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := one[int64](t, d, "SELECT COUNT(*) FROM river_job"); n != 0 {
			t.Errorf("%d jobs in a fresh queue", n)
		}
		execute(t, d, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)")
		if err := d.Migrate(t.Context()); !errors.Is(err, db.ErrNewerSchema) {
			t.Errorf("got %v, want ErrNewerSchema", err)
		}
	})
}

func TestNodesMigrateAnEmptyServerTogether(t *testing.T) {
	url := dbtest.Server(t)
	nodes := make([]*db.DB, 4)
	for i := range nodes {
		d, err := db.Open(t.Context(), db.Config{URL: url, MaxConns: 4, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close() //nolint:errcheck // the test is over
		nodes[i] = d
	}
	execute(t, nodes[0], "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
	var wg sync.WaitGroup
	for _, d := range nodes {
		wg.Go(func() {
			if err := d.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := one[int64](t, nodes[0], "SELECT COUNT(*) FROM goose_db_version WHERE version_id = 1"); n != 1 {
		t.Errorf("the first migration was recorded %d times", n)
	}
}

func TestBootIDIsNewEachTime(t *testing.T) {
	url := dbtest.URL(t, db.SQLite)
	seen := map[string]bool{}
	for range 2 {
		d, err := db.Open(t.Context(), db.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		seen[d.BootID()] = true
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[""] {
		t.Errorf("boot ids %v", seen)
	}
}

func TestTimeHasMicroseconds(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	if got := db.Time(db.Micros(at)); !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	for label, tt := range map[string]struct {
		cfg  db.Config
		want string
	}{
		"no URL":             {db.Config{}, "database URL: want"},
		"unknown engine":     {db.Config{URL: "mysql://h/d"}, "database URL: want"},
		"memory":             {db.Config{URL: "sqlite::memory:"}, "is not the path of a file"},
		"no path":            {db.Config{URL: "sqlite:"}, "is not the path of a file"},
		"no folder":          {db.Config{URL: "sqlite:/nonexistent/x.db"}, "no such file or directory"},
		"negative patience":  {db.Config{URL: "sqlite:x", Patience: -1}, "patience -1ns is negative"},
		"negative conns":     {db.Config{URL: "sqlite:x", MaxConns: -1}, "connections -1 is negative"},
		"too few conns":      {db.Config{URL: "postgres:///x", MaxConns: 2}, "needs at least 4"},
		"no server":          {db.Config{URL: "postgres://u:hunter2@127.0.0.1:1/x"}, "connection refused"},
		"password in errors": {db.Config{URL: "postgres://u:hunter2@h:port/x"}, "database URL"},
	} {
		_, err := db.Open(t.Context(), tt.cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", label, err, tt.want)
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
			t.Errorf("%s: the error tells the password: %v", label, err)
		}
	}
}
