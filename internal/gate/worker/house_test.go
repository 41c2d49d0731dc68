package worker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
)

// With an embedded database the process is alone: what an earlier one worked on
// is lost, and what it had only taken from the queue is sent anew, before
// anything else happens.
func TestRecoveryAfterACrash(t *testing.T) {
	s := newShop(t, dbtest.New(t, db.SQLite), Config{})
	s.tenant("kestrel")
	s.tenant("marlow")
	begun, taken := s.start("kestrel", op.InventorySync), s.start("marlow", op.InventorySync)
	c := s.claim(begun.ID)
	if _, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: begun.ID, Fence: c.Fence}); err != nil {
		t.Fatal(err)
	}
	s.Exec(`UPDATE run_claims SET boot_id = 'of an earlier process' WHERE run_id = $1`, begun.ID)
	s.Exec(`UPDATE river_job SET state = 'running'`)
	before := s.claim(taken.ID)
	if err := s.w.recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := s.claim(taken.ID); after == nil || after.State != op.Queued || after.Fence <= before.Fence {
		t.Errorf("a run whose job an earlier process had taken: %+v, want it in line with a new fence", after)
	}
	s.start("kestrel", op.DirectoryGroupsSync) // its connection is free at once
	s.expect(begun.ID, "lost")
}

// A process that is stopped hands runs that can be made again back, and the next
// process goes on with them.
func TestStopHandsRunsBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute})
		s.tenant("kestrel")
		entered := make(chan struct{})
		var once sync.Once
		s.provider.set(nil, func(ctx context.Context) error {
			once.Do(func() { close(entered) })
			<-ctx.Done()
			return ctx.Err()
		})
		if err := s.w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		run := s.start("kestrel", op.InventorySync)
		<-entered
		err := s.w.Stop(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		c := s.claim(run.ID)
		if c == nil || c.State != op.Queued || c.Dispatch != 2 || c.Lease != nil {
			t.Fatalf("claim after the stop: %+v, want it in line for its second dispatch", c)
		}
		s.provider.set(nil, nil)
		if s.w, err = New(d, s.Store, s.w.cfg); err != nil {
			t.Fatal(err)
		}
		s.deliver(run.ID)
		s.expect(run.ID, "succeeded")
	})
}

func TestSweepKeepsWhatMustBeKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		press := func(key string) {
			t.Helper()
			if _, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceAPI, Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		press("k1")
		run := s.Int(`SELECT COUNT(*) FROM runs`)
		var id string
		s.Write(func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, `SELECT id FROM runs`).Scan(&id) })
		s.deliver(id)
		s.Exec(`UPDATE connections SET enabled = FALSE, rev = rev + 1`)
		press("k2") // refused
		count := func(what string, want map[string]int64) {
			t.Helper()
			if err := s.w.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			for table, n := range want {
				if got := s.Int(`SELECT COUNT(*) FROM ` + table); got != n {
					t.Errorf("%s: %s has %d rows, want %d", what, table, got, n)
				}
			}
		}
		if run != 1 {
			t.Fatal("no run was made")
		}
		count("at once", map[string]int64{"runs": 1, "idempotency_keys": 1, "start_attempts": 2, "notifications": 1})
		dbtest.SetClockOffset(t, d, 25*time.Hour)
		count("after a day", map[string]int64{"runs": 1, "idempotency_keys": 0, "start_attempts": 2, "notifications": 1})
		dbtest.SetClockOffset(t, d, 91*24*time.Hour)
		count("after 91 days", map[string]int64{"runs": 1, "start_attempts": 1, "notifications": 1})
		dbtest.SetClockOffset(t, d, 401*24*time.Hour)
		count("after 401 days", map[string]int64{"runs": 0, "run_items": 0, "run_events": 0, "start_attempts": 0, "notifications": 0})
		// What people prove themselves with: kept for a month behind its end, or as long as it counts.
		dbtest.SetClockOffset(t, d, 0)
		count("back", nil)
		s.Exec(`DELETE FROM tokens`)
		token := func(id string, expires, revoked time.Duration) {
			t.Helper()
			s.Exec(`INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, created_at, expires_at, last_used_at, revoked_at)
				VALUES ($1, $1, 'token', $2, $3, 't', 0, interlock_now() + $4, 0, CASE WHEN $5 = 0 THEN NULL ELSE interlock_now() + $5 END)`,
				id, s.Workspace, s.Owner.ID(), expires.Microseconds(), revoked.Microseconds())
		}
		const days = 24 * time.Hour
		token("good", 300*days, 0)
		token("expired", time.Minute, 0)
		token("revoked", 300*days, time.Minute)
		s.Exec(`INSERT INTO sign_in_budget (subject, failures, since) VALUES ('guess', 3, interlock_now()), ('usual', 0, interlock_now())`)
		s.Exec(`INSERT INTO consent_requests (state_hash, connection_id, actor_id, actor, expires_at)
			SELECT 's', id, '', '', interlock_now() + $1 FROM connections LIMIT 1`, time.Hour.Microseconds())
		s.Exec(`INSERT INTO ceremonies (id, kind, user_id, data, expires_at) VALUES ('c', 'x', '', '{}', interlock_now() + $1)`, time.Minute.Microseconds())
		count("at first", map[string]int64{"tokens": 3, "sign_in_budget": 2, "consent_requests": 1, "ceremonies": 1})
		dbtest.SetClockOffset(t, d, 30*time.Minute)
		count("after half an hour", map[string]int64{"tokens": 3, "sign_in_budget": 2, "consent_requests": 1, "ceremonies": 0})
		dbtest.SetClockOffset(t, d, 25*time.Hour)
		count("after a day", map[string]int64{"tokens": 3, "sign_in_budget": 1, "consent_requests": 0})
		dbtest.SetClockOffset(t, d, 31*days)
		count("after a month", map[string]int64{"tokens": 1, "sign_in_budget": 1})
		dbtest.SetClockOffset(t, d, 91*days)
		count("after three months", map[string]int64{"tokens": 1, "sign_in_budget": 0})
		// The audit trail is never swept.
		if n := s.Int(`SELECT COUNT(*) FROM audit_log`); n == 0 {
			t.Error("the audit trail was swept")
		}
	})
}
