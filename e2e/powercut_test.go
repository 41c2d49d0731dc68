//go:build linux && faults

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestFaultsPowerCut cuts the power in the middle of starts. A kill can't: what a
// process wrote survives it in the kernel's memory. Here the database lies on a
// file system in an image; everything stands still, the image is copied as it is,
// which has no more than what was synchronised, and the copy is mounted as a
// machine does that comes up again. Every acknowledged start is there.
//
// With the syncs of the log struck out, those at commits as by synchronous=NORMAL
// and those at checkpoints too, the same harness sees starts get lost: it can tell.
func TestFaultsPowerCut(t *testing.T) {
	cuts := times(t, "POWER_CUTS", 5, 20)
	if lost := cutPower(t, cuts, false); lost != 0 {
		t.Errorf("%d acknowledged starts were lost", lost)
	}
	if lost := cutPower(t, cuts, true); lost == 0 {
		t.Error("without syncs nothing was lost: the harness can't see a power cut")
	}
}

// cutPower returns how many acknowledged starts were lost in all cuts.
func cutPower(t *testing.T, cuts int, lazy bool) (lost int) {
	t.Helper()
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	must(t, nil, "", "truncate", "-s", "64M", image)
	must(t, nil, "", "mkfs.ext4", "-q", image)
	defer mountImage(t, image, disk)()
	w := newWorldAt(t, db.SQLite, "sqlite:"+filepath.Join(disk, "interlock.db"), dir)
	n := w.start("--workers", "1")
	defer n.kill() // before its disk goes away
	slugs := []string{"stopper"}
	for i := range 8 {
		slugs = append(slugs, fmt.Sprintf("tenant-%d", i))
	}
	places := n.readyTenants(slugs...)
	// The only worker is busy: all other runs stay queued, and cancelling them
	// frees their connections for the next start.
	w.hold(places[0])
	n.accepted(places[0].slug, op.InventorySync)
	w.held(places[0])
	must(t, nil, "", "sync", "-f", disk)
	if lazy {
		tr := n.strace("-P", filepath.Join(disk, "interlock.db-wal"), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:retval=0")
		defer tr.detach()
	}

	var acked sync.Map
	ctx, stop := context.WithCancel(t.Context())
	var pressers sync.WaitGroup
	defer pressers.Wait()
	defer stop()
	for _, p := range places[1:] {
		pressers.Go(func() {
			for ctx.Err() == nil {
				p, err := rawStart(ctx, n.url, w.owner.token, p.slug, key(), map[string]any{"operation": op.InventorySync})
				if err != nil || p.answer.Outcome != op.Accepted {
					continue
				}
				acked.Store(p.answer.Run.ID, true)
				_, _ = n.owner().Cancel(ctx, p.answer.Run.ID) // if it comes too late, the next start is deduped
			}
		})
	}
	total := 0
	for cut := range cuts {
		time.Sleep(200 * time.Millisecond) // of work
		copied := filepath.Join(dir, "copy")
		known := map[string]bool{}
		n.paused(func() {
			// An answer that is not received when everything stops does not count.
			acked.Range(func(run, _ any) bool { known[run.(string)] = true; return true })
			must(t, nil, "", "cp", "--sparse=always", image, copied)
		})
		missing, damage := afterCut(t, copied, filepath.Join(dir, fmt.Sprintf("after-%d", cut)), known)
		if !lazy && len(damage) > 0 {
			t.Errorf("after the cut: %s", strings.Join(damage, "; "))
		}
		lost += missing
		total = len(known)
		t.Logf("lazy %v, cut %d: %d starts were acknowledged, %d are lost %s", lazy, cut, total, missing, strings.Join(damage, "; "))
	}
	if total == 0 {
		t.Error("nothing was acknowledged: the test proves nothing")
	}
	return lost
}

// afterCut mounts what the power cut left, and returns how many of the known runs are
// missing, and what else is wrong.
func afterCut(t *testing.T, image, disk string, known map[string]bool) (missing int, damage []string) {
	t.Helper()
	defer mountImage(t, image, disk)()
	file := filepath.Join(disk, "interlock.db")
	if _, err := os.Stat(file); err != nil {
		return len(known), []string{err.Error()}
	}
	d, err := db.Open(t.Context(), db.Config{URL: "sqlite:" + file})
	if err != nil {
		return len(known), []string{err.Error()}
	}
	defer d.Close() //nolint:errcheck // it was only read
	there := map[string]bool{}
	err = d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		var found string
		if err := tx.QueryRow(ctx, `PRAGMA integrity_check`).Scan(&found); err != nil {
			return err
		}
		if found != "ok" {
			return errors.New("the file is damaged")
		}
		return nil
	})
	if err != nil {
		return len(known), []string{err.Error()}
	}
	for _, run := range texts(t, d, `SELECT id FROM runs`) {
		there[run] = true
	}
	for run := range known {
		if !there[run] {
			missing++
		}
	}
	return missing, gatetest.Audit(t, d)
}

// mountImage mounts a file system from its image and returns what unmounts it.
func mountImage(t *testing.T, image, disk string) (unmount func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a power cut takes root, to mount the image of a disk")
	}
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, nil, "", "mount", "-o", "loop", image, disk)
	return func() { must(t, nil, "", "umount", "-l", disk) }
}
