//go:build linux

package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest/cluster"
	"github.com/interlock-dev/interlock/internal/op"
)

const crashesInShort = 3

// TestDatabaseCrashes crashes PostgreSQL during starts: a kill of one of its processes
// makes the server discard its memory and recover from its log. Everything acknowledged
// is stored, nothing is stored in part, callers are told that the database is
// unavailable, and the same request sent again tells what became of it.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	crashOften(t, crashesInShort)
}

func crashOften(t *testing.T, crashes int) {
	server, err := cluster.Start(t.Context()) // not the shared one: it would crash for all
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := newWorldAt(t, db.Postgres, server.URL(), t.TempDir())
	n := w.start(short...)
	slugs := []string{"stopper"}
	for i := range 6 {
		slugs = append(slugs, fmt.Sprintf("tenant-%d", i))
	}
	n.readyTenants(slugs...)

	var acked sync.Map
	ctx, stop := context.WithCancel(t.Context())
	var pressers sync.WaitGroup
	for _, slug := range slugs[1:] {
		pressers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				next := pressed{slug, key(), operations[i%len(operations)]}
				for ctx.Err() == nil {
					p, err := next.again(ctx, n)
					if err != nil {
						break // the test is over
					}
					if p.status < 500 {
						if p.answer.Run != nil {
							acked.Store(p.answer.Run.ID, true)
						}
						break
					}
					if p.status != http.StatusServiceUnavailable {
						t.Errorf("start on %s: status %d, %+v", slug, p.status, p.problem)
					}
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	for range crashes {
		time.Sleep(300 * time.Millisecond) // of work
		crash(t, w.database)
		eventually(t, "starts are answered after the crash", func() bool {
			p, err := rawStart(t.Context(), n.url, w.owner.token, "stopper", key(), map[string]any{"operation": op.ConnectionVerify})
			return err == nil && p.status < 500
		})
	}
	stop()
	pressers.Wait()
	eventually(t, "the end of all runs", func() bool {
		active, err := n.owner().Runs(t.Context(), client.RunFilter{Active: true})
		return err == nil && len(active.Items) == 0
	})
	w.audit("at the end")
	w.inspect(func(d *db.DB) {
		named := 0
		acked.Range(func(run, _ any) bool {
			named++
			if number(t, d, `SELECT COUNT(*) FROM runs WHERE id = $1`, run) != 1 {
				t.Errorf("run %s was acknowledged and is not there", run)
			}
			return true
		})
		t.Logf("%d crashes, %d runs were acknowledged, %d are there", crashes, named, number(t, d, `SELECT COUNT(*) FROM runs`))
		if named == 0 {
			t.Error("nothing was acknowledged: the test proves nothing")
		}
	})
}

// crash kills the PostgreSQL process that serves us.
func crash(t *testing.T, database string) {
	t.Helper()
	var d *db.DB
	eventually(t, "the database lets us in", func() bool { // it may still recover from the last crash
		var err error
		d, err = db.Open(t.Context(), db.Config{URL: database, Logger: slog.New(slog.DiscardHandler)})
		return err == nil
	})
	defer d.Close() //nolint:errcheck // its server process is gone
	if err := syscall.Kill(int(number(t, d, `SELECT pg_backend_pid()`)), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
