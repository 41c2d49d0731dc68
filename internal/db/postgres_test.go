package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

func TestWriteIsDurableWhateverTheDatabaseSays(t *testing.T) {
	url := dbtest.Server(t)
	d := dbtest.Open(t, db.Config{URL: url})
	name := one[string](t, d, "SELECT current_database()")
	execute(t, d, "ALTER DATABASE "+name+" SET synchronous_commit = off")
	d = dbtest.Open(t, db.Config{URL: url}) // settings of a database apply to new sessions
	if got := one[string](t, d, "SHOW synchronous_commit"); got != "off" {
		t.Fatalf("synchronous_commit is %s outside Write: this test shows nothing", got)
	}
	write(t, d, func(ctx context.Context, tx db.Tx) error {
		var got string
		if err := tx.QueryRow(ctx, "SHOW synchronous_commit").Scan(&got); err != nil {
			return err
		}
		if got != "on" {
			t.Errorf("synchronous_commit is %s inside Write, want on", got)
		}
		return nil
	})
}

func TestReadOnlyServerIsRefused(t *testing.T) {
	url := dbtest.Server(t)
	d := dbtest.Open(t, db.Config{URL: url})
	name := one[string](t, d, "SELECT current_database()")
	execute(t, d, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	_, err := db.Open(t.Context(), db.Config{URL: url})
	if err == nil || !strings.Contains(err.Error(), "is read-only") {
		t.Errorf("got %v, want a refusal that says read-only", err)
	}
}

func TestLostConnectionIsUnavailableAndRecovers(t *testing.T) {
	d := dbtest.New(t, db.Postgres)
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	// All idle connections die, as in a restart: nobody notices.
	const others = `SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`
	one[int64](t, d, others)
	for range 20 {
		one[int64](t, d, "SELECT 1")
	}
}

// A server that lets nobody in can't serve, whatever it says for a reason.
func TestRefusedConnectionIsUnavailable(t *testing.T) {
	d, other := dbtest.New(t, db.Postgres), dbtest.New(t, db.Postgres)
	name := one[string](t, d, "SELECT current_database()")
	execute(t, other, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, "SELECT 1").Scan(new(int64)) })
	if !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestConnectionLostAtTheCommitIsUnknown(t *testing.T) {
	d := dbtest.New(t, db.Postgres)
	execute(t, d, "CREATE TABLE x (id TEXT)",
		// At the commit the server kills the session that commits.
		`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'`,
		"CREATE CONSTRAINT TRIGGER die AFTER INSERT ON x DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()")
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO x (id) VALUES ('a')")
		return err
	})
	if !errors.Is(err, db.ErrOutcomeUnknown) || !db.IsUnavailable(err) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

func TestViolationAtTheCommitIsKnown(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "CREATE TABLE p (id TEXT PRIMARY KEY)",
			"CREATE TABLE c (p TEXT REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)")
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO c (p) VALUES ('nobody')")
			return err
		})
		if err == nil || errors.Is(err, db.ErrOutcomeUnknown) || db.IsUnavailable(err) {
			t.Errorf("got %v, want a violation", err)
		}
		execute(t, d, "INSERT INTO p (id) VALUES ('somebody')")
	})
}

func TestBusyPoolIsUnavailable(t *testing.T) {
	d := dbtest.Open(t, db.Config{URL: dbtest.Server(t), MaxConns: 4, Patience: time.Second})
	var nest func(depth int) error
	nest = func(depth int) error {
		return d.Read(t.Context(), func(context.Context, db.Tx) error {
			if depth == 1 {
				return nil
			}
			return nest(depth - 1)
		})
	}
	if err := nest(4); err != nil {
		t.Errorf("4 of 4 connections: %v", err)
	}
	if err := nest(5); !db.IsUnavailable(err) || !strings.Contains(err.Error(), "no free database connection within 1s") {
		t.Errorf("5 of 4 connections: got %v, want unavailable", err)
	}
}

// A node frozen inside a transaction must not keep its row locks.
func TestRowLockOfAnotherIsWaitedForOnlySoLong(t *testing.T) {
	d := dbtest.Open(t, db.Config{URL: dbtest.Server(t), Patience: time.Second})
	execute(t, d, "CREATE TABLE x (id TEXT)", "INSERT INTO x (id) VALUES ('a')")
	update := func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE x SET id = 'b'")
		return err
	}
	write(t, d, func(ctx context.Context, tx db.Tx) error {
		if err := update(ctx, tx); err != nil {
			return err
		}
		if err := d.Write(t.Context(), update); !db.IsUnavailable(err) {
			t.Errorf("got %v, want unavailable", err)
		}
		return nil
	})
	if got := one[string](t, d, "SHOW idle_in_transaction_session_timeout"); got != "15s" {
		t.Errorf("idle transactions end after %s, want 15s", got)
	}
}

// TestIdleIsConfigured: a node with short leases lets its locks go sooner.
func TestIdleIsConfigured(t *testing.T) {
	d := dbtest.Open(t, db.Config{URL: dbtest.Server(t), Idle: 1500 * time.Millisecond})
	if got := one[string](t, d, "SHOW idle_in_transaction_session_timeout"); got != "1500ms" {
		t.Errorf("idle transactions end after %s, want 1500ms", got)
	}
}
