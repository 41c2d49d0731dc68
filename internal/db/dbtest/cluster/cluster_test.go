package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/interlock-dev/interlock/internal/db/dbtest/cluster"
)

// asOwner makes the test binary a process that starts a server, prints its URL
// and waits to be killed.
const asOwner = "INTERLOCK_TEST_CLUSTER_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(asOwner) == "" {
		os.Exit(m.Run())
	}
	c, err := cluster.Start(context.Background())
	if err != nil {
		os.Stderr.WriteString(err.Error()) //nolint:errcheck // nowhere else to say it
		os.Exit(1)
	}
	os.Stdout.WriteString(c.URL() + "\n") //nolint:errcheck // the reader notices
	select {}
}

func TestServerEndsWithItsOwner(t *testing.T) {
	owner := exec.CommandContext(t.Context(), os.Args[0])
	owner.Env = append(os.Environ(), asOwner+"=1")
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // its server is gone by then

	if err := owner.Process.Kill(); err != nil { // kill -9: nothing of the owner can clean up
		t.Fatal(err)
	}
	_ = owner.Wait() // "signal: killed"
	dir := u.Query().Get("host")
	for range 500 {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			if err := conn.Ping(t.Context()); err == nil {
				t.Error("the folder is gone, and the server still answers")
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s still exists after its owner was killed", dir)
}

func TestStop(t *testing.T) {
	c, err := cluster.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.Connect(t.Context(), c.URL()); err == nil {
		t.Error("the server answers after Stop", conn.Close(t.Context()))
	}
}
