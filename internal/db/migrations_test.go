package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestGroupTypesOfOldRows: groups that were read before their types were kept have
// them after the migration; other rows are left alone.
func TestGroupTypesOfOldRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := db.DownTo(t.Context(), d, 1); err != nil {
			t.Fatal(err)
		}
		old := []struct{ dataset, data, want string }{
			{"groups", `{"id":"a","displayName":"A","groupTypes":[],"mailEnabled":false,"securityEnabled":true}`, "security"},
			{"groups", `{"id":"b","groupTypes":["DynamicMembership"],"membershipRule":"x","securityEnabled":true}`, "dynamic_security"},
			{"groups", `{"id":"c","groupTypes":["Unified"],"mailEnabled":true,"securityEnabled":false}`, "microsoft_365"},
			{"groups", `{"id":"d","groupTypes":[ "Unified", "DynamicMembership" ],"mailEnabled":true,"securityEnabled":true}`, "dynamic_microsoft_365"},
			{"groups", `{"id":"e","groupTypes":[],"mailEnabled":true,"securityEnabled":true}`, "mail_enabled_security"},
			{"groups", `{"id":"f","groupTypes":[],"mailEnabled":true,"securityEnabled":false}`, "distribution"},
			{"groups", `{"id":"g"}`, ""},
			{"groups", `{"id":"h","groupTypes":["DynamicMembership"]}`, "dynamic"},
			{"groups", `{"id":"i","displayName":"\"Unified\"","description":"\"securityEnabled\":true","groupTypes":[],"mailEnabled":true}`, "distribution"},
			{"inventory/x", `{"id":"j","securityEnabled":true}`, "#microsoft.graph.group"},
		}
		execute(t, d, `INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, next, run_id) VALUES ('c', 'groups', 'w', 't', 1, 2, 'r')`,
			`INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, next, run_id) VALUES ('c', 'inventory/x', 'w', 't', 1, 2, 'r')`)
		for i, r := range old {
			execute(t, d, fmt.Sprintf(`INSERT INTO records (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, data)
				VALUES ('c', '%s', 1, '', '%d', '', '', '#microsoft.graph.group', '', '%s')`, r.dataset, i, r.data))
		}
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, r := range old {
			if got := one[string](t, d, "SELECT type FROM records WHERE id = $1", fmt.Sprint(i)); got != r.want {
				t.Errorf("%s has type %q, want %q", r.data, got, r.want)
			}
		}
	})
}

// TestMembersOfOldRows: what was read before members had a table of their own is
// still there after the migration, and only that.
func TestMembersOfOldRows(t *testing.T) {
	const guid, other = "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2", "8C4E0D2A-6A3F-4F53-9A1E-0C9D5B7E91D2"
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := db.DownTo(t.Context(), d, 5); err != nil {
			t.Fatal(err)
		}
		dataset := func(connection, name string, generation, rows int, delta string) {
			execute(t, d, fmt.Sprintf(`INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, next, row_count, delta, delta_at, run_id)
				VALUES ('%s', '%s', 'w', 't', %d, 9, %d, '%s', 7, 'r')`, connection, name, generation, rows, delta))
		}
		record := func(connection, name string, generation int, parent, id, of string) {
			execute(t, d, fmt.Sprintf(`INSERT INTO records (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, data)
				VALUES ('%s', '%s', %d, '%s', '%s', '', '', '%s', '', '{}')`, connection, name, generation, parent, id, of))
		}
		dataset("one", "groups", 3, 2, "d")
		dataset("one", "group_members", 5, 4, "d")
		dataset("one", "inventory/x", 3, 1, "")
		dataset("two", "groups", 3, 1, "d1")
		dataset("two", "group_members", 3, 1, "d2") // a crash lay between the two
		dataset("three", "inventory/x", 0, 0, "")   // was never read
		record("one", "groups", 3, "", guid, "security")
		record("one", "groups", 3, "", "x", "security")
		record("one", "groups", 2, "", "older", "security")
		record("one", "group_members", 5, guid, other, "#microsoft.graph.user")
		record("one", "group_members", 5, guid, guid, "#microsoft.graph.group")
		record("one", "group_members", 5, "x", "sixteen bytes ha", "#microsoft.graph.strange")
		record("one", "group_members", 5, "x", strings.Repeat("long ", 9), "")
		record("one", "group_members", 4, "x", "older", "#microsoft.graph.user")
		record("one", "inventory/x", 3, "", "a", "#t")
		record("two", "groups", 3, "", "x", "security")
		record("two", "group_members", 3, "x", "y", "#microsoft.graph.device")
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		var rows, members []string
		err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
			if rows, err = list(ctx, tx, `SELECT d.connection_id || ' ' || d.name || ' ' || r.id FROM records r JOIN datasets d ON d.generation = r.generation
				JOIN generations g ON g.id = d.generation AND g.connection_id = d.connection_id AND g.dataset = d.name ORDER BY 1`); err != nil {
				return err
			}
			found, err := tx.Query(ctx, `SELECT d.connection_id, m.group_id, m.member_id, m.type FROM memberships m JOIN datasets d ON d.generation = m.generation
				ORDER BY 1, 2, 3`)
			if err != nil {
				return err
			}
			defer found.Close()
			members = nil
			for found.Next() {
				var connection, of string
				var group, member []byte
				if err := found.Scan(&connection, &group, &member, &of); err != nil {
					return err
				}
				members = append(members, fmt.Sprintf("%s %x %x %s", connection, group, member, of))
			}
			return found.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"one groups " + guid, "one groups x", "one inventory/x a", "two groups x"}, rows); diff != "" {
			t.Error(diff)
		}
		const g, pad = "8c4e0d2a6a3f4f539a1e0c9d5b7e91d2", "00"
		x := "78" + strings.Repeat(pad, 16)
		if diff := cmp.Diff([]string{
			fmt.Sprintf("one %s %x ", x, strings.Repeat("long ", 9)),
			fmt.Sprintf("one %s %x%s #microsoft.graph.strange", x, "sixteen bytes ha", pad),
			fmt.Sprintf("one %s %x u", g, other),
			fmt.Sprintf("one %s %s g", g, g),
			fmt.Sprintf("two %s 79%s d", x, strings.Repeat(pad, 16)),
		}, members); diff != "" {
			t.Error(diff)
		}
		for query, want := range map[string]int64{
			"SELECT COUNT(*) FROM records": 4,
			"SELECT member_count FROM datasets WHERE connection_id = 'one' AND name = 'groups'":                                 4,
			"SELECT row_count FROM datasets WHERE connection_id = 'one' AND name = 'groups'":                                    2,
			"SELECT CAST(SUM(members) AS BIGINT) FROM group_sizes":                                                              5,
			"SELECT COUNT(*) FROM datasets WHERE name = 'group_members'":                                                        0,
			"SELECT COUNT(*) FROM datasets WHERE connection_id = 'one' AND name = 'groups' AND delta = 'd' AND delta_at = 7":    1,
			"SELECT COUNT(*) FROM datasets WHERE connection_id = 'two' AND name = 'groups' AND delta = '' AND delta_at IS NULL": 1,
		} {
			if got := one[int64](t, d, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
	})
}

// TestRowsKeepWhatTheyAre: a row is found by its generation alone after the
// migration, and by all that it had before when the migration is taken back.
func TestRowsKeepWhatTheyAre(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := db.DownTo(t.Context(), d, 12); err != nil {
			t.Fatal(err)
		}
		execute(t, d, `INSERT INTO generations (id, connection_id, dataset, row_count) VALUES (7, 'one', 'groups', 2), (8, 'two', 'inventory/x', 1)`,
			`INSERT INTO records (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, data) VALUES
				('one', 'groups', 7, '', 'g1', 'Drivers', 'drivers', 'security', '', '{"id":"g1"}'),
				('one', 'groups', 7, '', 'g2', 'Board', 'board', 'dynamic_security', '2026-11-03', '{"id":"g2"}'),
				('two', 'inventory/x', 8, '', 'g1', 'App', 'app', '#t', '', '{}')`)
		rows := func(columns string) (all []string) {
			t.Helper()
			err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
				all, err = list(ctx, tx, `SELECT `+columns+` || generation || id || name || name_key || type || modified_at || data FROM records ORDER BY 1`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		const old = `connection_id || dataset || parent`
		before, same := rows(old), rows(`''`)
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(same, rows(`''`)); diff != "" {
			t.Error(diff)
		}
		if err := db.DownTo(t.Context(), d, 12); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, rows(old)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestTenantsOfOldRuns: slots, notifications and tenants that were there before
// they knew of each other are told by the migration.
func TestTenantsOfOldRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := db.DownTo(t.Context(), d, 3); err != nil {
			t.Fatal(err)
		}
		execute(t, d, `INSERT INTO workspaces (id, slug, name, keyset, created_at) VALUES ('w', 'w', 'W', '', 0)`,
			`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at)
				VALUES ('t', 'w', 't', 'T', 't', '', '', 'active', 0), ('u', 'w', 'u', 'U', 'u', '', '', 'active', 0)`)
		for i, r := range []struct{ state, outcome string }{{"finished", "failed"}, {"finished", "lost"}, {"running", ""}} {
			execute(t, d, fmt.Sprintf(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint,
				parameters, target, initiator_id, initiator, fence, accepted_at, queue_until)
				VALUES ('r%d', 'w', 't', 'c', '%d', 'o', 'api', '%s', '%s', '', '', '', '', '', 1, 0, 0)`, i, i, r.state, r.outcome))
		}
		execute(t, d, `INSERT INTO run_claims (scope, run_id, fingerprint, fence, sent_at) VALUES ('c', 'r2', '', 1, 0)`,
			`INSERT INTO notifications (id, workspace_id, user_id, run_id, created_at) VALUES ('n', 'w', 'u', 'r0', 0)`)
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for sql, want := range map[string]string{
			`SELECT workspace_id || ' ' || tenant_id FROM run_claims`:                "w t",
			`SELECT tenant_id FROM notifications`:                                    "t",
			`SELECT latest_run || ' ' || latest_outcome FROM tenants WHERE id = 't'`: "r1 lost",
			`SELECT latest_run || latest_outcome FROM tenants WHERE id = 'u'`:        "",
			`SELECT CAST(readiness_until AS TEXT) FROM tenants WHERE id = 't'`:       "0",
		} {
			if got := one[string](t, d, sql); got != want {
				t.Errorf("%s gives %q, want %q", sql, got, want)
			}
		}
	})
}

// TestJobsOfAnEarlierQueue: a database that an earlier version of the job queue
// made is brought up to date, and its jobs are kept.
func TestJobsOfAnEarlierQueue(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		newest, err := db.QueueDownTo(t.Context(), d, 6)
		if err != nil {
			t.Fatal(err)
		}
		version := func() int64 {
			return one[int64](t, d, "SELECT CAST(MAX(version) AS BIGINT) FROM river_migration WHERE line = 'main'")
		}
		if got := version(); got != 6 || newest <= 6 {
			t.Fatalf("the queue's schema is at version %d of %d, want 6", got, newest)
		}
		execute(t, d, `INSERT INTO river_job (kind, max_attempts, args) VALUES ('run', 1, '{"run_id":"r","fence":1}')`)
		if err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := version(); got != int64(newest) {
			t.Errorf("the queue's schema is at version %d, want %d", got, newest)
		}
		if got := one[string](t, d, "SELECT kind || ' ' || CAST(state AS TEXT) || ' ' || (args ->> 'run_id') FROM river_job"); got != "run available r" {
			t.Errorf("the job became %q", got)
		}
	})
}
