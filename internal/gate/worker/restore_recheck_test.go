package worker

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// approvedBy stores an approval of every plan.
func (b *branch) approvedBy(a access.Actor) {
	b.t.Helper()
	b.Exec(`INSERT INTO plan_approvals (plan_id, person_id, person, at, expires_at) SELECT id, $1, $2, interlock_now(), interlock_now() + 3600000000 FROM plans`, a.ID(), a.Name())
}

// A restore that was accepted is judged again before its first call (R1, R2, R5). What no
// longer holds blocks it: the provider is not called, and the preview stays unused.
func TestRestoreIsJudgedAgain(t *testing.T) {
	sql := func(text string) func(*branch) { return func(b *branch) { b.Exec(text) } }
	for _, c := range []struct {
		name   string
		before func(*branch) // the start
		after  func(*branch)
		want   string
	}{
		{"nothing", nil, func(*branch) {}, "succeeded"},
		{"the starter's role", nil, sql(`UPDATE members SET role = 'operator' WHERE role = 'owner'`), "blocked/authorization_lost"},
		{"the starter's right", nil, sql(`UPDATE members SET denied = '["policy.restore"]' WHERE role = 'owner'`), "blocked/authorization_lost"},
		{"the starter's sight of the tenant", nil, sql(`UPDATE members SET all_tenants = FALSE`), "blocked/authorization_lost"},
		{"the age of the preview", nil, func(b *branch) { b.later(31 * time.Minute) }, "blocked/preview_stale"},
		{"the connection", nil, sql(`UPDATE connections SET version = version + 1`), "blocked/preview_stale"},
		{"a change of the tenant", nil, sql(`INSERT INTO tenant_writes (tenant_id, run_id, at) SELECT id, 'r', interlock_now() FROM tenants`), "blocked/preview_stale"},
		{"another run of the preview", nil, sql(`UPDATE plans SET executed_by = 'another run'`), "blocked/preview_stale"},
		{"the preview", nil, sql(`DELETE FROM plans`), "blocked/preview_missing"},
		{"the backup", nil, sql(`UPDATE backup_sets SET state = 'removed'`), "blocked/backup_missing"},
		{"consent", nil, sql(`UPDATE connections SET consent = 'revoked'`), "blocked/consent_revoked"},
		{"permission to write", nil, sql(`UPDATE connections SET permissions = '["DeviceManagementConfiguration.Read.All"]'`), "blocked/permission_missing"},
		{"the workspace's policy", nil, sql(`UPDATE workspaces SET restore_approval = TRUE`), "blocked/approval_missing"},
		{"the approval's age", approved, sql(`UPDATE plan_approvals SET expires_at = 1`), "blocked/approval_missing"},
		{"the approver's role", approved, sql(`UPDATE members SET role = 'viewer' WHERE user_id IN (SELECT person_id FROM plan_approvals)`), "blocked/approval_missing"},
		{"nothing, with an approval", approved, func(*branch) {}, "succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				b := newBranch(t, d)
				var signedIn atomic.Int64
				connect := b.w.cfg.Connect
				b.w.cfg.Connect = func(c Connect) (provider.Client, error) {
					signedIn.Add(1)
					return connect(c)
				}
				b.usual()
				plan := b.preview()
				if c.before != nil {
					c.before(b)
				}
				res, err := b.press(plan)
				if err != nil || res.Run() == nil {
					t.Fatalf("start: %s %v %v", res.Outcome(), res.Causes(), err)
				}
				run := res.Run().ID
				c.after(b)
				b.deliver(run)
				b.expect(run, c.want)
				if c.want == "succeeded" {
					b.has(run, usualNames, usualItems)
					return
				}
				if n := signedIn.Load() + int64(b.s.sent()); n != 0 {
					t.Errorf("the provider was called")
				}
				if n := b.Int(`SELECT COUNT(*) FROM plans WHERE executed_by NOT IN ('', 'another run')`) + b.Int(`SELECT COUNT(*) FROM run_journal`); n != 0 {
					t.Error("the preview counts as executed")
				}
			})
		})
	}
}

// approved makes the workspace require an approval, which every plan has.
func approved(b *branch) {
	b.Exec(`UPDATE workspaces SET restore_approval = TRUE WHERE id = $1`, b.Workspace)
	b.approvedBy(b.Member("Ola Berg", "ola.berg@lattice.example", tenancy.Owner))
}

// Between two changes, a restore loses its right to continue by losing its starter's
// access or its connection. Nothing further is written. What the preview was judged by
// does not count any more: each step compares the tenant with what the preview showed.
func TestRestoreIsJudgedBetweenTwoChanges(t *testing.T) {
	stopped := []string{usualItems[0], "00002/configurationPolicies skipped", "00003/deviceConfigurations skipped"}
	sql := func(text string) func(*branch) { return func(b *branch) { b.Exec(text) } }
	for _, c := range []struct {
		name string
		lose func(*branch)
		want string
	}{
		{"role", sql(`UPDATE members SET role = 'operator' WHERE role = 'owner'`), "failed/authorization_lost"},
		{"right", sql(`UPDATE members SET denied = '["policy.restore"]' WHERE role = 'owner'`), "failed/authorization_lost"},
		{"person", sql(`UPDATE users SET disabled_at = 1`), "failed/authorization_lost"},
		{"connection", func(b *branch) {
			if _, err := flow.New(b.DB, b.Store, b.gate).DisableConnection(b.t.Context(), b.Owner, "kestrel", "kestrel"); err != nil {
				b.t.Error(err)
			}
		}, "failed/connection_disabled"},
		{"consent", func(b *branch) {
			if _, err := flow.New(b.DB, b.Store, b.gate).RevokeConsent(b.t.Context(), b.Owner, "kestrel", "kestrel"); err != nil {
				b.t.Error(err)
			}
		}, "failed/consent_revoked"},
		{"policy of the workspace", sql(`UPDATE workspaces SET restore_approval = TRUE`), "succeeded"},
		{"backup", sql(`UPDATE backup_sets SET state = 'removed'`), "succeeded"},
		{"age of the preview", func(b *branch) { b.Exec(`UPDATE plans SET observed_at = 1`) }, "succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				b := newBranch(t, d)
				b.usual()
				run := b.restore()
				stops.set("after settle 00001/assignmentFilters/1", func() { c.lose(b) })
				b.deliver(run.ID)
				b.expect(run.ID, c.want)
				if c.want == "succeeded" {
					b.has(run.ID, usualNames, usualItems)
					return
				}
				if got := b.items(run.ID); !slices.Equal(got, stopped) || b.s.sent() != 1 {
					t.Errorf("%d changes, items %q, want one and %q", b.s.sent(), got, stopped)
				}
			})
		})
	}
}

// A restore that was cut off is judged again before it continues: by its starter's access
// and its connection. It is told to have failed, because it has changed something.
func TestRestoreIsJudgedBeforeItContinues(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"right", `UPDATE members SET denied = '["policy.restore"]' WHERE role = 'owner'`, "failed/authorization_lost"},
		{"connection", `UPDATE connections SET version = version + 1`, "failed/preview_stale"},
		{"directory", `UPDATE connections SET directory_id = 'other', actual_directory_id = 'other'`, "failed/connection_changed"},
		{"permission to write", `UPDATE connections SET permissions = '["DeviceManagementConfiguration.Read.All"]'`, "failed/permission_missing"},
		{"policy of the workspace", `UPDATE workspaces SET restore_approval = TRUE`, "succeeded"},
		{"age of the preview", `UPDATE plans SET observed_at = 1`, "succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				b := newBranch(t, d)
				b.usual()
				run := b.restore()
				wake := b.dies(run.ID, "after settle 00001/assignmentFilters/1")
				b.reap(run.ID)
				b.Exec(c.sql)
				b.deliver(run.ID)
				b.expect(run.ID, c.want)
				if c.want != "succeeded" && b.s.sent() != 1 {
					t.Errorf("%d changes, want the one of before", b.s.sent())
				}
				wake()
			})
		})
	}
}
