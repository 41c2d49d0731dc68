package db_test

import (
	"fmt"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// TestGroupTypesOfOldRows: groups that were read before their types were kept have
// them after the migration; other rows are left alone.
func TestGroupTypesOfOldRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		execute(t, d, "DROP INDEX records_group_type", "DELETE FROM goose_db_version WHERE version_id >= 2")
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
			{"group_members", `{"id":"j","securityEnabled":true}`, "#microsoft.graph.group"},
		}
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
