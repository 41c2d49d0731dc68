// Package cluster starts a private PostgreSQL server from the installed binaries, for
// tests. The server listens on a Unix socket in a temporary folder only, keeps the
// durable default settings, and ends with the process that started it, however that
// ends.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env is the environment variable with the URL of a server to use instead of starting
// one.
const Env = "INTERLOCK_TEST_POSTGRES"

// Cluster is a running server.
type Cluster struct {
	url   string
	life  *os.File // the server stops when this end of a pipe is closed
	ended chan struct{}
}

// supervise runs initdb and then the server. When the server or standard input ends
// (the parent has closed it or died), it stops the server and removes the folder. It
// stops it immediately: there is nothing to save, and a clean shutdown in the middle of
// a recovery never ends (observed on PostgreSQL 15).
const supervise = `
exec 3<&0
PATH="$2:$PATH"
initdb -D data -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions && {
	postgres -D data -k "$1" -c listen_addresses= -c max_connections=200 &
	server=$!
	{ read -r _ <&3; kill -QUIT $server; } &
	reader=$!
	wait $server
	kill $reader
}
rm -rf "$1"
`

const startTimeout = 60 * time.Second

// Start starts a server. If PostgreSQL is not installed, the error names the Debian
// package.
func Start(ctx context.Context) (*Cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent(), "interlock-postgres-")
	if err != nil {
		return nil, fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer log.Close() //nolint:errcheck // only read
	input, life, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer input.Close() //nolint:errcheck // the child has its own copy

	cmd := exec.Command("/bin/sh", "-c", supervise, "sh", dir, bin) //nolint:noctx // ends with its input, not with ctx
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, input, log, log
	if err = detach(cmd, dir); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), life.Close(), os.RemoveAll(dir))
	}
	q := url.Values{"host": {dir}, "user": {"postgres"}}
	c := &Cluster{
		url:   "postgres:///postgres?" + q.Encode(),
		life:  life,
		ended: make(chan struct{}),
	}
	go func() {
		_ = cmd.Wait() // the log says how it ended
		close(c.ended)
	}()
	if err := c.ready(ctx); err != nil {
		err = errors.Join(fmt.Errorf("PostgreSQL did not start: %w", err), c.Stop())
		text, _ := io.ReadAll(io.NewSectionReader(log, 0, 1<<16)) // without a log, the error alone is returned
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return c, nil
}

// URL returns the address of the server's maintenance database.
func (c *Cluster) URL() string { return c.url }

// Stop stops the server and waits until its folder is gone.
func (c *Cluster) Stop() error {
	if err := c.life.Close(); err != nil {
		return err
	}
	<-c.ended
	return nil
}

func (c *Cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.ended:
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// parent returns the folder for the server's files: in memory if there is room, where
// creating and dropping a database takes a tenth of the time. It is never TMPDIR, since
// the path of a socket must fit into 107 bytes.
func parent() string {
	const enough = 2 << 30 // 1 GiB of log and some dozens of databases of 10 MiB
	if free("/dev/shm") >= enough {
		return "/dev/shm"
	}
	return "/tmp"
}

// binaries returns the folder of the newest installed server.
func binaries() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // where Debian keeps versions side by side
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: apt-get install postgresql, or set " + Env)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // no number: oldest
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// unprivileged returns the user to run the server as; PostgreSQL refuses to run as
// root.
func unprivileged() (uid, gid uint32, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		id, err1 := strconv.ParseUint(u.Uid, 10, 32)
		group, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return uint32(id), uint32(group), nil
		}
	}
	return 0, 0, errors.New("PostgreSQL can't run as root, and there is no user postgres or nobody")
}
