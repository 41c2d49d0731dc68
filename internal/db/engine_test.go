package db

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestServerMustBeFit(t *testing.T) {
	fit := server{version: 150018, fsync: "on", fullPages: "on", encoding: "UTF8", readOnly: "off"}
	for _, tt := range []struct {
		spoil func(*server)
		want  string
	}{
		{func(*server) {}, ""},
		{func(s *server) { s.version = 140012 }, "server version 14 is too old: want 15"},
		{func(s *server) { s.fsync = "off" }, `fsync is "off"`},
		{func(s *server) { s.fullPages = "off" }, `full_page_writes is "off"`},
		{func(s *server) { s.encoding = "LATIN1" }, `encoding is "LATIN1"`},
		{func(s *server) { s.readOnly = "on" }, "is read-only"},
	} {
		s := fit
		tt.spoil(&s)
		if got := fmt.Sprint(s.fit()); !strings.HasPrefix(got, tt.want) || (tt.want == "" && s.fit() != nil) {
			t.Errorf("%+v: got %v, want %q", s, got, tt.want)
		}
	}
}

func TestWriterMustBeDurable(t *testing.T) {
	for mode, ok := range map[string]bool{"OFF": false, "NORMAL": false, "FULL": true, "EXTRA": true} {
		pool, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous("+mode+")")
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close() //nolint:errcheck // the test is over
		if err := checkWriter(t.Context(), pool); (err == nil) != ok {
			t.Errorf("synchronous %s: got %v", mode, err)
		}
	}
	for want, pragma := range map[string]string{
		`journal mode is "memory"`: "journal_mode(MEMORY)",
		"is read-only":             "journal_mode(WAL)&_pragma=query_only(1)",
	} {
		pool, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db")+"?_pragma=synchronous(FULL)&_pragma="+pragma)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close() //nolint:errcheck // the test is over
		if err := checkWriter(t.Context(), pool); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", pragma, err, want)
		}
	}
}

func TestMigrationsOf(t *testing.T) {
	dir := fstest.MapFS{
		"0001_a.sql":          {Data: []byte(`CREATE TABLE a (x TEXT COLLATE "C" NOT NULL)`)},
		"0002_b.sqlite.sql":   {Data: []byte("lite")},
		"0002_b.postgres.sql": {Data: []byte(`pg COLLATE "C"`)},
		"README.md":           {Data: []byte("no migration")},
	}
	for engine, want := range map[Engine]map[string]string{
		SQLite:   {"0001_a.sql": "CREATE TABLE a (x TEXT NOT NULL)", "0002_b.sqlite.sql": "lite"},
		Postgres: {"0001_a.sql": `CREATE TABLE a (x TEXT COLLATE "C" NOT NULL)`, "0002_b.postgres.sql": `pg COLLATE "C"`},
	} {
		got, err := migrationsOf(dir, engine)
		if err != nil {
			t.Fatal(err)
		}
		files := got.(fstest.MapFS)
		if len(files) != len(want) {
			t.Errorf("%s: %d files, want %d", engine, len(files), len(want))
		}
		for name, text := range want {
			if f := files[name]; f == nil || string(f.Data) != text {
				t.Errorf("%s: %s is %v, want %q", engine, name, f, text)
			}
		}
	}
}

func TestErrorClasses(t *testing.T) {
	pg := func(code string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Severity: "ERROR"})
	}
	for _, tt := range []struct {
		err                error
		unavailable, again bool
	}{
		{nil, false, false},
		{ErrNested, false, false},
		{ErrNoRows, false, false},
		{ErrOutcomeUnknown, true, false},
		{unavailable("busy"), true, false},
		{&FaultError{Fault: Busy}, true, true},
		{&FaultError{Fault: Timeout}, true, false},
		{pg("40001"), true, true},
		{pg("40P01"), true, true},
		{pg("53100"), true, false}, // disk full
		{pg("57P01"), true, false},
		{pg("25006"), true, false},
		{pg("08006"), true, false},
		{pg("23505"), false, false}, // unique
		{pg("42601"), false, false}, // syntax
		{pg(""), false, false},
	} {
		if got := IsUnavailable(tt.err); got != tt.unavailable {
			t.Errorf("IsUnavailable(%v) = %v", tt.err, got)
		}
		if got := retryable(tt.err); got != tt.again {
			t.Errorf("retryable(%v) = %v", tt.err, got)
		}
	}
}
