//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
)

// inspect reads the database from outside. An SQLite file belongs to one process, so
// inspect opens a copy, made while all nodes are stopped.
func (w *world) inspect(fn func(d *db.DB)) {
	w.t.Helper()
	url := w.database
	if w.engine == db.SQLite {
		copied := filepath.Join(w.t.TempDir(), "interlock.db")
		w.still(func() { copyFiles(w.t, strings.TrimPrefix(w.database, "sqlite:"), copied, "", "-wal") })
		url = "sqlite:" + copied
	}
	d := openDatabase(w.t, url)
	defer d.Close() //nolint:errcheck // it was only read
	fn(d)
}

// still runs fn while every node is stopped.
func (w *world) still(fn func()) {
	w.t.Helper()
	for _, n := range w.nodes {
		if inner, n := fn, n; n != nil {
			fn = func() { n.paused(inner) }
		}
	}
	fn()
}

func openDatabase(t *testing.T, url string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{URL: url, Logger: slog.New(slog.DiscardHandler), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// copyFiles copies the files that begin with from and end with one of the endings.
// Missing files are skipped.
func copyFiles(t *testing.T, from, to string, endings ...string) {
	t.Helper()
	for _, ending := range endings {
		if err := copyFile(from+ending, to+ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// audit fails the test for every broken invariant.
func (w *world) audit(when string) {
	w.t.Helper()
	w.inspect(func(d *db.DB) {
		for _, wrong := range gatetest.Audit(w.t, d) {
			w.t.Errorf("%s: %s", when, wrong)
		}
	})
}

// number returns the one number that a query gives.
func number(t *testing.T, d *db.DB, sql string, args ...any) (n int64) {
	t.Helper()
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// texts returns the one text column that a query gives.
func texts(t *testing.T, d *db.DB, sql string, args ...any) (all []string) {
	t.Helper()
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		all = nil
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}
