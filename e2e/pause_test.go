//go:build linux

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestZombies stops a worker's process past its leases while it works on one run of
// each operation. Another node marks the runs as lost, and new runs take the
// connections. When the first worker continues, with the answers that it was waiting
// for, it changes no row and makes no call.
func TestZombies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.Postgres)
	sleeper := w.start(short...)
	slugs := []string{"kestrel", "marlow", "fenwick"}
	places := sleeper.readyTenants(slugs...)
	for _, p := range places {
		w.hold(p)
	}
	var old []op.RunRef
	for i, p := range places {
		old = append(old, sleeper.accepted(p.slug, operations[i]))
	}
	asleep := w.held(places...) // the calls in progress when the worker stops
	sleeper.pause()

	heir := w.start(short...)
	for _, run := range old {
		if r := heir.ended(run.ID); r.Outcome != op.RunLost {
			t.Errorf("run of a worker that is gone ended as %s, want lost", r.Outcome)
		}
	}
	var heirs []op.RunRef
	for i, p := range places {
		heirs = append(heirs, heir.accepted(p.slug, operations[i]))
	}
	eventually(t, "the new runs work", func() bool {
		holds, err := w.control.Holds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(holds) == 2*len(places)
	})

	var before []string
	w.inspect(func(d *db.DB) { before = footprint(t, d, old) })
	calls, err := w.control.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	last := calls[len(calls)-1].Number
	sleeper.resume()
	for _, h := range asleep {
		if _, err := w.control.ReleaseOne(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	// It notices, and writes an event that it came too late.
	for _, run := range old {
		eventually(t, "the woken worker gives run "+run.Code+" up", func() bool {
			lines, err := heir.owner().Timeline(t.Context(), run.ID)
			return err == nil && slices.ContainsFunc(lines.Items, func(l client.Line) bool { return l.Kind == "late" })
		})
	}
	for _, p := range places {
		for _, c := range w.calls(last, p) {
			t.Errorf("the woken worker called %s %s", c.Method, c.Path)
		}
	}
	w.inspect(func(d *db.DB) {
		if after := footprint(t, d, old); !slices.Equal(before, after) {
			t.Errorf("the woken worker changed rows:\n%s\nbecame\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	})
	w.clear()
	for _, run := range heirs {
		if r := heir.ended(run.ID); r.Outcome != op.RunSucceeded {
			t.Errorf("run of the heir ended as %s: %s", r.Outcome, r.Words.Why)
		}
	}
	w.audit("at the end")
}

// TestFrozenWorkerIsBounded stops one of two nodes while it works on many runs,
// probably in the middle of transactions. Their locks block nobody: each run ends one
// lease, one quarantine and one round after its last heartbeat. It does not run beside
// other tests.
func TestFrozenWorkerIsBounded(t *testing.T) {
	w := newWorld(t, db.Postgres)
	intervals := []string{"--lease", "3s", "--heartbeat", "100ms", "--quarantine", "1s"} // and the default round
	frozen := w.start(intervals...)
	var slugs []string
	for i := range 10 {
		slugs = append(slugs, fmt.Sprint("tenant-", i))
	}
	places := frozen.readyTenants(slugs...)
	for _, p := range places {
		w.hold(p)
	}
	var runs []op.RunRef
	for _, p := range places {
		runs = append(runs, frozen.accepted(p.slug, op.InventorySync))
	}
	w.held(places...)
	other := w.start(intervals...)
	time.Sleep(2 * time.Second) // it has seen the heartbeats
	frozen.pause()
	for _, run := range runs {
		if r := other.ended(run.ID); r.Outcome != op.RunLost {
			t.Errorf("run of a frozen worker ended as %s, want lost", r.Outcome)
		}
	}
	w.inspect(func(d *db.DB) {
		// Four seconds, one second for the round, and five more for a slow machine.
		for _, late := range texts(t, d, `SELECT code || ' after ' || (ended_at - seen_at) / 1000 || ' ms' FROM runs
			WHERE outcome = 'lost' AND ended_at - seen_at > 10000000`) {
			t.Errorf("run %s, want lease, quarantine and one round", late)
		}
		t.Logf("the slowest run ended %s ms after its last heartbeat", texts(t, d, `SELECT CAST(MAX(ended_at - seen_at) / 1000 AS TEXT) FROM runs WHERE outcome = 'lost'`)[0])
	})
	frozen.resume()
	w.clear()
	w.audit("at the end")
}

// footprint returns everything in the database about the runs, except events of workers
// that came too late.
func footprint(t *testing.T, d *db.DB, runs []op.RunRef) (rows []string) {
	t.Helper()
	for _, run := range runs {
		for _, sql := range []string{
			`SELECT 'run ' || state || outcome || cause || ' fence ' || fence || ' dispatch ' || dispatch || ' counts ' || done || ' ' || failed || ' ' || total
				|| ' seen ' || COALESCE(seen_at, 0) || ' progress ' || COALESCE(progress_at, 0) || ' ended ' || COALESCE(ended_at, 0) FROM runs WHERE id = $1`,
			`SELECT 'claim ' || scope || ' fence ' || fence FROM run_claims WHERE run_id = $1`,
			`SELECT 'item ' || key || ' ' || result || ' ' || done || ' ' || at FROM run_items WHERE run_id = $1 ORDER BY key`,
			`SELECT 'event ' || seq || ' ' || kind || ' ' || text || ' ' || at FROM run_events WHERE run_id = $1 AND kind <> 'late' ORDER BY seq`,
			`SELECT 'notification ' || id || ' ' || created_at FROM notifications WHERE run_id = $1`,
			`SELECT 'dataset ' || connection_id || name || ' ' || generation || ' ' || staged || ' ' || row_count || ' ' || delta FROM datasets WHERE run_id = $1 ORDER BY 1`,
			`SELECT 'audit ' || seq || ' ' || action || ' ' || data FROM audit_log WHERE object = $1 ORDER BY seq`,
			`SELECT 'report ' || verdict || ' ' || checks || at FROM verification_reports WHERE run_id = $1`,
			`SELECT 'connection ' || c.id || ' rev ' || c.rev || ' ' || c.verification || c.consent || c.permissions FROM connections c JOIN runs r ON r.connection_id = c.id WHERE r.id = $1`,
		} {
			rows = append(rows, texts(t, d, sql, run.ID)...)
		}
	}
	return rows
}

// TestSleeperWakesAlone stops the only process of an SQLite database past its leases
// and continues it. Whether its run continues or is lost, all that is stored of it
// agrees.
func TestSleeperWakesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start(short...)
	p := n.readyTenants("kestrel")[0]
	w.hold(p)
	run := n.accepted(p.slug, op.InventorySync)
	w.held(p)
	n.pause()
	time.Sleep(3500 * time.Millisecond) // more than lease and quarantine: the test is about time passing
	n.resume()
	w.clear()
	if r := n.ended(run.ID); r.Outcome != op.RunSucceeded && r.Outcome != op.RunLost {
		t.Errorf("run ended as %s, want succeeded or lost", r.Outcome)
	}
	if r, err := n.through(p.slug, op.InventorySync); err != nil || r.Outcome != op.RunSucceeded {
		t.Errorf("the next run: %v %s, want succeeded", err, r.Outcome)
	}
	w.audit("at the end")
}
