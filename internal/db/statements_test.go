package db

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlitedriver "modernc.org/sqlite"
)

// onePrepared is a pool of one connection that keeps its statements.
func onePrepared(t *testing.T) (pool *sql.DB, conn *preparing) {
	t.Helper()
	pool = sql.OpenDB(connector{&sqlitedriver.Driver{}, sqliteDSN(filepath.Join(t.TempDir(), "x.db"), time.Second, nil)})
	pool.SetMaxOpenConns(1)
	c, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		if len(conn.idle) > 0 {
			t.Errorf("%d statements outlive their connection", len(conn.idle))
		}
	})
	if err := c.Raw(func(raw any) error { conn = raw.(*preparing); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`CREATE TABLE x (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`, `INSERT INTO x (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')`} {
		if _, err := pool.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return pool, conn
}

const nameOf = `SELECT name FROM x WHERE id >= $1 ORDER BY id`

func TestStatementsAreKept(t *testing.T) {
	pool, conn := onePrepared(t)
	for id, want := range map[int]string{1: "one", 2: "two", 3: "three"} {
		var name string
		if err := pool.QueryRowContext(t.Context(), nameOf, id).Scan(&name); err != nil || name != want {
			t.Errorf("%d is %q, %v", id, name, err)
		}
	}
	kept := conn.idle[nameOf]
	if kept == nil {
		t.Fatal("the statement is not kept")
	}
	// A text that is run inside its own rows has a statement of its own there.
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryContext(t.Context(), nameOf, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rows.Next() {
		var outer, inner string
		if err := rows.Scan(&outer); err != nil {
			t.Fatal(err)
		}
		if err := tx.QueryRowContext(t.Context(), nameOf, 3).Scan(&inner); err != nil {
			t.Fatal(err)
		}
		got = append(got, outer, inner)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if want := "one three two three three three"; strings.Join(got, " ") != want {
		t.Errorf("rows within rows: %v, want %s", got, want)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
}

// A statement that failed, for a value, for the caller's patience or for a table
// that has changed, does not get in the way of its next use.
func TestStatementsSurviveFailures(t *testing.T) {
	pool, _ := onePrepared(t)
	const insert = `INSERT INTO x (id, name) VALUES ($1, $2)`
	if _, err := pool.ExecContext(t.Context(), insert, 1, "again"); err == nil {
		t.Fatal("an id was taken twice")
	}
	if _, err := pool.ExecContext(t.Context(), insert, 4, "four"); err != nil {
		t.Fatal(err)
	}

	const count = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT COUNT(*) FROM n`
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var n int
	if err := pool.QueryRowContext(brief, count, int64(1)<<40).Scan(&n); err == nil {
		t.Fatal("it counted very far")
	}
	if err := pool.QueryRowContext(t.Context(), count, 7).Scan(&n); err != nil || n != 7 {
		t.Errorf("then it counted to %d, %v", n, err)
	}

	var name string
	if err := pool.QueryRowContext(t.Context(), nameOf, 4).Scan(&name); err != nil || name != "four" {
		t.Fatal(name, err)
	}
	for _, change := range []string{`ALTER TABLE x ADD COLUMN more TEXT`, `DROP TABLE x`, `CREATE TABLE x (name TEXT, id INTEGER)`, `INSERT INTO x (id, name) VALUES (9, 'nine')`} {
		if _, err := pool.ExecContext(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
	if err := pool.QueryRowContext(t.Context(), nameOf, 4).Scan(&name); err != nil || name != "nine" {
		t.Errorf("of the new table: %q, %v", name, err)
	}
}

// What is used again and again stays, however many texts come by once.
func TestStatementsAreBounded(t *testing.T) {
	pool, conn := onePrepared(t)
	ask := func(i int) {
		t.Helper()
		var n int
		if err := pool.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, i)).Scan(&n); err != nil || n != i {
			t.Fatal(n, err)
		}
	}
	ask(-1)
	first := conn.idle[`SELECT -1`].Value.(kept).stmt
	for i := range 2 * maxStatements {
		ask(i)
		ask(-1)
	}
	if len(conn.idle) != maxStatements || conn.used.Len() != maxStatements {
		t.Errorf("%d statements are kept (%d in order), want %d", len(conn.idle), conn.used.Len(), maxStatements)
	}
	if e := conn.idle[`SELECT -1`]; e == nil || e.Value.(kept).stmt != first {
		t.Error("the statement that was used all the time was prepared anew")
	}
	if conn.idle[`SELECT 0`] != nil {
		t.Error("the one that was used first and never again is still there")
	}
}
