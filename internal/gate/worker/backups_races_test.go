package worker

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
)

// building is the set that the run is building in every situation with a worker.
var building = backup.Key{Set: "00000000-0000-7000-8000-0000000000b1"}

// backingUp is what a worker does with a backup. None of it may take effect once another
// has ended the run or taken it over.
func backingUp() []action {
	step := func(name string, do func(context.Context, backupRound) error) action {
		return action{name, []situation{isRunning, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
			x := r.execution(a)
			key := backup.Key{Workspace: x.claim.Workspace, Tenant: x.claim.Tenant, Set: building.Set}
			err := do(ctx, backupRound{x, key})
			r.mu.Lock()
			over := r.answered[a.other]
			r.mu.Unlock()
			if err == nil && over {
				r.wrong("%s took effect after the answer to %s", a.name, a.other)
			}
			return err
		}}
	}
	return []action{
		step("put", func(ctx context.Context, b backupRound) error {
			return b.Put(ctx, []catalogue.BackupItem{{
				Policy: policy.Item{Type: "assignmentFilters", ID: "f", Body: json.RawMessage(`{"id":"f"}`)}, Name: "f",
			}})
		}),
		step("commit", func(ctx context.Context, b backupRound) error {
			_, err := b.Commit(ctx, []catalogue.BackupType{{Type: "assignmentFilters"}})
			return err
		}),
	}
}

// backupRules count what must never be stored of backups.
var backupRules = []raceRule{
	{"a set whose items don't add up", `SELECT COUNT(*) FROM backup_sets s WHERE s.items <> (SELECT COUNT(*) FROM backup_items i WHERE i.set_id = s.id)`},
	{"a part without its content", `SELECT COUNT(*) FROM backup_parts p WHERE NOT EXISTS (SELECT 1 FROM backup_blobs b WHERE b.workspace_id = p.workspace_id AND b.hash = p.hash)`},
}

// TestBackupsInterleaved lets a worker that adds to a backup, or completes it, meet the
// release and the takeover of its run, statement by statement. Afterwards the old worker
// changes nothing.
func TestBackupsInterleaved(t *testing.T) {
	var all []meeting
	for _, a := range backingUp() {
		for _, b := range actions {
			for _, s := range a.in {
				if b.name == "release" && s == isRunning || b.name == "reap" && s == isExpired {
					all = append(all, meeting{a, b, s})
				}
			}
		}
	}
	tables := []string{"backup_sets", "backup_items", "backup_parts", "backup_blobs"}
	kept = append(kept, tables...)
	t.Cleanup(func() {
		kept = slices.DeleteFunc(kept, func(table string) bool { return slices.Contains(tables, table) })
	})
	interleave(t, all, 0, 1, func(t *testing.T) *ring {
		t.Helper()
		r := newRing(t, op.InventorySync, func(p db.Point) bool { return shared(p) || p.Write && strings.Contains(p.SQL, "backup_sets") })
		r.rules = backupRules
		r.prepared = func(x *execution) {
			r.Exec(`DELETE FROM backup_sets`)
			r.Write(func(ctx context.Context, tx db.Tx) error {
				return backup.Begin(ctx, tx, x.claim.Workspace, backup.Set{
					ID: building.Set, Tenant: x.claim.Tenant, Run: x.claim.RunID, Origin: backup.FromRun,
				})
			})
		}
		return r
	})
}

// TestBackupCutOff: a backup whose run ended before it was complete is never visible, and
// the sweep deletes it; that of a run at work stays.
func TestBackupCutOff(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		ids := make(map[string]string)
		for _, slug := range []string{"ended", "working"} {
			s.tenant(slug)
			run := s.start(slug, op.InventorySync)
			ids[slug] = run.ID
			s.Write(func(ctx context.Context, tx db.Tx) error {
				return backup.Begin(ctx, tx, s.Workspace, backup.Set{ID: run.ID, Tenant: slug, Run: run.ID, Origin: backup.FromRun})
			})
			s.Write(func(ctx context.Context, tx db.Tx) error {
				return backup.Put(ctx, tx, backup.Key{Workspace: s.Workspace, Tenant: slug, Set: run.ID}, backup.Pack([]backup.Contents{{
					Item: backup.Item{Type: "assignmentFilters", ID: "f"}, Policy: policy.Item{Body: json.RawMessage(`{"of":"` + slug + `"}`)},
				}}))
			})
		}
		if _, err := s.gate.Cancel(t.Context(), s.Owner, ids["ended"]); err != nil {
			t.Fatal(err)
		}
		if n := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE state = 'kept'`); n != 0 {
			t.Errorf("%d are visible", n)
		}
		if err := s.w.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int64{"backup_sets": 1, "backup_items": 1, "backup_parts": 1, "backup_blobs": 1} {
			if n := s.Int(`SELECT COUNT(*) FROM ` + table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		if n := s.Int(`SELECT COUNT(*) FROM backup_sets WHERE id = $1 AND state = 'building'`, ids["working"]); n != 1 {
			t.Error("the backup in progress is gone")
		}
	})
}
