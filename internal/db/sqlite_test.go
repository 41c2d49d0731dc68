package db_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

func open(t *testing.T, path string) *db.DB {
	t.Helper()
	return dbtest.Open(t, db.Config{URL: "sqlite:" + path, Patience: 30 * time.Millisecond})
}

// TestMain also serves as the other process that has a database open.
func TestMain(m *testing.M) {
	path := os.Getenv("INTERLOCK_TEST_HOLD")
	if path == "" {
		os.Exit(m.Run())
	}
	if _, err := db.Open(context.Background(), db.Config{URL: "sqlite:" + path}); err != nil {
		os.Stderr.WriteString(err.Error()) //nolint:errcheck // nowhere else to say it
		os.Exit(1)
	}
	os.Stdout.WriteString("held\n") //nolint:errcheck // the reader notices
	select {}
}

func TestFileBelongsToOneProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "interlock.db")
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "INTERLOCK_TEST_HOLD="+path)
	other.Stderr = os.Stderr
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}

	_, err = db.Open(t.Context(), db.Config{URL: "sqlite:" + path})
	var held *db.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v, want a HeldError", err)
	}
	host, _ := os.Hostname()
	if held.PID != other.Process.Pid || held.Host != host || time.Since(held.Since).Abs() > time.Minute {
		t.Errorf("holder %+v, want process %d on %s, just now", held, other.Process.Pid, host)
	}

	// A copy of the folder is another database, whatever its lock file says.
	elsewhere := t.TempDir()
	if err := os.CopyFS(elsewhere, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(elsewhere, "interlock.db"))

	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // "signal: killed"
	open(t, path)
}

func TestFileIsOpenedOnceInAProcess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "interlock.db")
	open(t, path)
	if err := os.Symlink(path, filepath.Join(dir, "alias.db")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"interlock.db", "alias.db"} {
		_, err := db.Open(t.Context(), db.Config{URL: "sqlite:" + filepath.Join(dir, name)})
		var held *db.HeldError
		if !errors.As(err, &held) || held.PID != os.Getpid() {
			t.Errorf("%s: got %v, want a HeldError that names this process", name, err)
		}
	}
}

func TestFileIsItsOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	open(t, filepath.Join(dir, "interlock.db"))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Errorf("%d files, want at least database, log and lock", len(files))
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.Name(), info.Mode().Perm())
		}
	}
}

func TestPathsWithSpecialCharacters(t *testing.T) {
	for _, name := range []string{"a b.db", "a?b.db", "a#b.db", "a%20b.db", "é;&=.db"} {
		path := filepath.Join(t.TempDir(), name)
		open(t, path)
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 {
			t.Errorf("%s: the database is elsewhere: %v", name, err)
		}
	}
}

func TestOpenSaysWhatIsWrongWithTheFile(t *testing.T) {
	tests := map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"not a database": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not an SQLite database"},
		"locked": {func(t *testing.T, path string) { lockFromOutside(t, path, "EXCLUSIVE") }, "is locked by another program"},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is a directory"},
	}
	for label, tt := range tests {
		t.Run(label, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "interlock.db")
			tt.spoil(t, path)
			_, err := db.Open(t.Context(), db.Config{URL: "sqlite:" + path, Patience: 30 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q and the path", err, tt.want)
			}
		})
	}
}

// lockFromOutside opens the file as a program does that does not know our lock
// file, and holds a transaction until unlock is called or t ends.
func lockFromOutside(t *testing.T, path, kind string) (unlock func()) {
	t.Helper()
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() }) //nolint:errcheck // the test is over
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN "+kind); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

func TestLockedFileIsUnavailableAndRecovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "interlock.db")
	d := open(t, path)
	unlock := lockFromOutside(t, path, "IMMEDIATE")
	err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error { return nil })
	if !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	one[int64](t, d, "SELECT 1") // readers are not in the way of a writer
	unlock()
	execute(t, d, "CREATE TABLE x (id TEXT)")
}

func TestFullDiskIsUnavailableAndLeavesNothingHalf(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "interlock.db"))
	execute(t, d, "CREATE TABLE x (id TEXT)")
	limit := func(pages string) {
		if _, err := d.Writer().ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // as small as it is now
	fill := func(ctx context.Context, tx db.Tx) error {
		for range 100 {
			if _, err := tx.Exec(ctx, "INSERT INTO x (id) VALUES ($1)", strings.Repeat("x", 4096)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := d.Write(t.Context(), fill); !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	if n := one[int64](t, d, "SELECT COUNT(*) FROM x"); n != 0 {
		t.Errorf("%d rows of a transaction that failed", n)
	}
	limit("1000000")
	write(t, d, fill)
}

// As when the file system was remounted read-only under the server.
func TestReadOnlyFileIsUnavailableAndRecovers(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "interlock.db"))
	execute(t, d, "CREATE TABLE x (id TEXT)")
	readOnly := func(on string) {
		if _, err := d.Writer().ExecContext(t.Context(), "PRAGMA query_only = "+on); err != nil {
			t.Fatal(err)
		}
	}
	insert := func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO x (id) VALUES ('a')")
		return err
	}
	readOnly("1")
	if err := d.Write(t.Context(), insert); !db.IsUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	readOnly("0")
	write(t, d, insert)
}

func TestCloseFreesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "interlock.db")
	for range 2 {
		d, err := db.Open(t.Context(), db.Config{URL: "sqlite:" + path})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log is left after Close: %v", err)
	}
}
