// Package dbtest gives every test a fresh, migrated database on each engine.
//
// A test binary migrates one database of each engine when it first needs one, and each
// test gets a copy: a file on SQLite, a clone on PostgreSQL.
//
// The test binary starts one private PostgreSQL server from the installed binaries,
// which ends with the process. If INTERLOCK_TEST_POSTGRES is set to a URL, that server
// is used instead, so that many test binaries can share one: see the command pgserver.
package dbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest/cluster"
)

// Engines returns the engines that every test of stored data runs on.
func Engines() []db.Engine { return []db.Engine{db.SQLite, db.Postgres} }

// Each runs fn as a subtest for each engine, named after it, with a fresh migrated
// database that is closed and dropped at the end.
func Each(t *testing.T, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(string(engine), func(t *testing.T) { fn(t, New(t, engine)) })
	}
}

// New returns a fresh migrated database that is closed and dropped at the end of t.
func New(t testing.TB, engine db.Engine) *db.DB {
	t.Helper()
	return Open(t, db.Config{URL: URL(t, engine)})
}

// Open opens the database of cfg until t ends, with a clock that [SetClockOffset] can
// shift. It migrates the database unless [URL] or [Server] returned it, which hand out
// migrated ones.
func Open(t testing.TB, cfg db.Config) *db.DB {
	t.Helper()
	offset := new(atomic.Int64)
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	offsets.Store(d, offset)
	t.Cleanup(func() {
		offsets.Delete(d)
		if err := d.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	if _, migrated := copies.Load(plain(cfg.URL)); !migrated {
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// copies holds the addresses of the databases that were copied from a template.
var copies sync.Map

// plain returns a URL without its parameters.
func plain(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// URL returns the address of a fresh migrated database, for processes under test. It is
// removed when t ends.
func URL(t testing.TB, engine db.Engine) string {
	t.Helper()
	if engine == db.Postgres {
		return Server(t)
	}
	template, err := sqliteTemplate()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "interlock.db")
	if err := os.WriteFile(file, template, 0o600); err != nil {
		t.Fatal(err)
	}
	copies.Store("sqlite:"+file, true)
	return "sqlite:" + file
}

// sqliteTemplate returns the bytes of a migrated database file.
var sqliteTemplate = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "interlock-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "interlock.db")
	if err := migrate("sqlite:" + file); err != nil {
		return nil, err
	}
	return os.ReadFile(file) // closing moved the write-ahead log into it
})

// migrate migrates a database and closes it.
func migrate(address string) error {
	ctx := context.Background()
	d, err := db.Open(ctx, db.Config{URL: address, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return errors.Join(d.Migrate(ctx), d.Close())
}

// Server returns the URL of a fresh migrated PostgreSQL database. It is dropped when t
// ends, even if someone is still connected.
func Server(t testing.TB) string {
	t.Helper()
	s, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	name := "interlock_test_" + strings.ToLower(rand.Text())
	if err := s.exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+s.template+" STRATEGY FILE_COPY"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	copies.Store(plain(s.database(name)), true)
	return s.database(name)
}

// offsets holds the clock offset of each open SQLite database: *db.DB -> *atomic.Int64.
var offsets sync.Map

// SetClockOffset sets how far interlock_now() on d is ahead of the real time, for all
// its transactions and, on PostgreSQL, for all processes. The product has no such
// switch: on PostgreSQL this replaces the function, on SQLite the clock given to
// db.Open.
func SetClockOffset(t testing.TB, d *db.DB, offset time.Duration) {
	t.Helper()
	if d.Engine() == db.SQLite {
		o, ok := offsets.Load(d)
		if !ok {
			t.Fatal("SetClockOffset: the database was not opened by dbtest")
		}
		o.(*atomic.Int64).Store(int64(offset))
		return
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE OR REPLACE FUNCTION interlock_now() RETURNS BIGINT LANGUAGE sql VOLATILE
			AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + (%d)'`, offset.Microseconds()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// server is the PostgreSQL that this test binary uses.
type server struct {
	url      *url.URL
	template string // a migrated database
}

// startServer starts or finds the server, once. A private one is not stopped: it ends
// with the process.
var startServer = sync.OnceValues(func() (*server, error) {
	ctx := context.Background()
	address := os.Getenv(cluster.Env)
	if address == "" {
		c, err := cluster.Start(ctx)
		if err != nil {
			return nil, err
		}
		address = c.URL()
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", cluster.Env)
	}
	s := &server{url: u, template: "interlock_template_" + strings.ToLower(rand.Text())}
	if err := s.exec(ctx, "CREATE DATABASE "+s.template+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return nil, err
	}
	return s, migrate(s.database(s.template)) // a clone fails while a connection is open
})

// database returns the URL of the server's database of that name.
func (s *server) database(name string) string {
	u := *s.url
	u.Path = "/" + name
	return u.String()
}

func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // its work is done
	_, err = conn.Exec(ctx, sql)
	return err
}
