//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// toldAs matches the two codes for a database in trouble.
var toldAs = regexp.MustCompile(`"code":"(unavailable|outcome_unknown)"`)

// refusedClearly sends starts until the trouble shows. The answer has to be a 503 with
// a problem that names the trouble, and with a Retry-After.
func refusedClearly(t *testing.T, n *node, tenant, trouble string) {
	t.Helper()
	eventually(t, "a start is refused while the database is "+trouble, func() bool {
		r, err := ask(t.Context(), n.url, n.w.owner.token, http.MethodPost, "/tenants/"+tenant+"/starts",
			map[string]any{"operation": op.ConnectionVerify}, "Idempotency-Key", key())
		if err != nil {
			t.Fatal(err)
		}
		if r.status < 500 {
			return false
		}
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" ||
			!strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") || !toldAs.Match(r.body) {
			t.Fatalf("%s: status %d, Retry-After %q, %s", trouble, r.status, r.header.Get("Retry-After"), r.body)
		}
		return true
	})
}

// worksAgain waits until starts work again without help.
func worksAgain(t *testing.T, n *node, tenant, trouble string) {
	t.Helper()
	eventually(t, "all runs of before have ended", func() bool {
		active, err := n.owner().Runs(t.Context(), client.RunFilter{Active: true})
		return err == nil && len(active.Items) == 0
	})
	if r, err := n.through(tenant, op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
		t.Errorf("after the database was %s: %v %s", trouble, err, r.Words.Code)
	}
	n.w.audit("after the database was " + trouble)
}

// alter runs a statement on the server of a PostgreSQL database, through another
// database.
func alter(t *testing.T, other *db.DB, sql string) {
	t.Helper()
	err := other.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDatabaseAway makes a PostgreSQL database unreachable for a running server.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.Postgres)
	n := w.start(short...)
	n.readyTenants("kestrel")
	other := dbtest.New(t, db.Postgres)
	name := strings.TrimPrefix(strings.Split(w.database, "?")[0], "postgres:///")
	alter(t, other, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	alter(t, other, fmt.Sprintf(`SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '%s'`, name))
	refusedClearly(t, n, "kestrel", "away")
	alter(t, other, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
	worksAgain(t, n, "kestrel", "away")
}

// TestDatabaseFails makes SQLite's writes fail for a running server, as a read-only,
// full or broken disk does.
func TestDatabaseFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start(short...)
	n.readyTenants("kestrel")
	file := strings.TrimPrefix(w.database, "sqlite:")
	for code, trouble := range map[string]string{"EROFS": "read-only", "ENOSPC": "full", "EIO": "broken"} {
		tracer := n.strace("-P", file, "-P", file+"-wal", "-e", "trace=pwrite64,ftruncate", "-e", "inject=pwrite64,ftruncate:error="+code)
		refusedClearly(t, n, "kestrel", trouble)
		tracer.detach()
		worksAgain(t, n, "kestrel", trouble)
	}
}

// TestDatabaseLocked holds a lock that every start needs.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		w := newWorld(t, db.Postgres)
		n := w.start(short...)
		n.readyTenants("kestrel")
		d := openDatabase(t, w.database)
		defer d.Close() //nolint:errcheck // its lock is gone
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
			if _, err := tx.Exec(ctx, `LOCK TABLE run_claims IN ACCESS EXCLUSIVE MODE`); err != nil {
				return err
			}
			refusedClearly(t, n, "kestrel", "locked")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		worksAgain(t, n, "kestrel", "locked")
	})
	t.Run("sqlite", func(t *testing.T) {
		w := newWorld(t, db.SQLite)
		n := w.start(short...)
		n.readyTenants("kestrel")
		unlock := lockSQLite(t, strings.TrimPrefix(w.database, "sqlite:"))
		refusedClearly(t, n, "kestrel", "locked")
		unlock()
		worksAgain(t, n, "kestrel", "locked")
	})
}

// lockSQLite takes the writer's lock of a database in WAL mode, as another program
// would. docs: the lock bytes of the WAL-index file start at 120, the writer's is the
// first.
func lockSQLite(t *testing.T, file string) (unlock func()) {
	t.Helper()
	shm, err := os.OpenFile(file+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const writer = 120
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: 0, Start: writer, Len: 1}
	eventually(t, "the writer's lock is free", func() bool {
		return syscall.FcntlFlock(shm.Fd(), syscall.F_SETLK, &lock) == nil
	})
	return func() { _ = shm.Close() } // which releases it
}

// TestDatabaseFull fills the disk of a running server, and frees it again.
func TestDatabaseFull(t *testing.T) {
	t.Parallel()
	disk := mountSmall(t, "8m") // the write-ahead log alone takes 4 MB before it is checkpointed
	w := newWorldAt(t, db.SQLite, "sqlite:"+filepath.Join(disk, "interlock.db"), t.TempDir())
	n := w.start(short...)
	n.readyTenants("kestrel", "marlow")
	for round := range 2 {
		filler := filepath.Join(disk, "filler")
		fillUp(t, filler)
		refusedClearly(t, n, "kestrel", "full")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		worksAgain(t, n, "marlow", fmt.Sprintf("full for the time %d", round+1))
	}
}

// mountSmall mounts a small file system in memory. This requires root.
func mountSmall(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("mount a small file system (that takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillUp fills the disk with one file.
func fillUp(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is only in the way
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// TestStartUpRefuses starts servers with what they must refuse. Each names the problem
// and ends.
func TestStartUpRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		n.readyTenants("kestrel") // so that something is sealed by the key
		refused := func(what, says string, args ...string) {
			t.Helper()
			r := command(t, nil, "", program, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
			if r.code != 1 || !strings.Contains(r.stderr, says) {
				t.Errorf("%s: exit code %d, and says %q; want 1 and %q", what, r.code, r.stderr, says)
			}
		}
		if engine == db.SQLite {
			refused("a second process on one file", fmt.Sprintf("is in use by process %d on host", n.cmd.Process.Pid), w.onDatabase()...)
		}
		n.stop()
		otherKey := filepath.Join(t.TempDir(), "other.key")
		must(t, nil, "a long password\n", program, "bootstrap", "--email", "a@b.example", "--name", "A", "--workspace", "a", "--workspace-name", "A",
			"--database", dbtest.URL(t, engine), "--root-key", otherKey)
		refused("another root key", "root key", "--database", w.database, "--root-key", otherKey)
		text := filepath.Join(t.TempDir(), "text.db")
		if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused("a file that is no database", "is not an SQLite database", "--database", "sqlite:"+text, "--root-key", w.key)
		refused("a folder that is not there", "no such file or directory", "--database", "sqlite:/nowhere/interlock.db", "--root-key", w.key)
		refused("a scheme of another product", "sqlite:", "--database", "mysql://db/interlock", "--root-key", w.key)
		refused("a proxy that is none", `--trust-proxy: "the proxy" is neither an address nor a CIDR`, "--database", w.database, "--root-key", w.key, "--trust-proxy", "the proxy")
		refused("a proxy that is everybody", `"0.0.0.0/0" is every address`, "--database", w.database, "--root-key", w.key, "--trust-proxy", "0.0.0.0/0")
		refused("a proxy that is not named", "set --trust-proxy", "--database", w.database, "--root-key", w.key, "--behind-proxy")
		for _, far := range []string{"https://sim.example:8443", "https://192.0.2.7", "http://[2001:db8::1]:80", "https://localhost.example", "sim"} {
			refused("a simulator elsewhere", "simulator: ", "--database", w.database, "--root-key", w.key, "--simulator", far)
		}
		refused("a limit below nothing", "--starts-per-minute: -1 is below 0", "--database", w.database, "--root-key", w.key, "--starts-per-minute", "-1")
		refused("plain HTTP beyond this machine", "reachable from other machines", "--database", w.database, "--root-key", w.key, "--addr", "0.0.0.0:0")
	})
}
