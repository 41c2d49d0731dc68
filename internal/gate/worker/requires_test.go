package worker

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// TestRecheckJudgesPrerequisites: what an operation requires, and what its parameters
// need, is judged again in the transaction that begins the run.
func TestRecheckJudgesPrerequisites(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		c := s.claim(s.start("kestrel", op.InventorySync).ID)
		def, err := catalogue.Lookup(op.InventorySync)
		if err != nil {
			t.Fatal(err)
		}
		judged := func(change func(*catalogue.Definition)) (cause *op.Cause) {
			t.Helper()
			changed := *def
			change(&changed)
			s.Write(func(ctx context.Context, tx db.Tx) error {
				var err error
				var p store.Pinned
				p, cause, err = s.w.recheck(ctx, tx, c, &changed)
				if cause == nil && p.Connection.ID != c.Connection {
					t.Errorf("the run would begin on %q", p.Connection.ID)
				}
				return err
			})
			return cause
		}
		requires := func(d *catalogue.Definition) {
			d.Requires = func(ctx context.Context, q catalogue.Question, f catalogue.Stored) ([]op.Cause, error) {
				if string(q.Parameters) != string(c.Parameters) || q.Phase != op.Execution {
					t.Errorf("asked about %s in the phase %s", q.Parameters, q.Phase)
				}
				read, err := f.Dataset(ctx, catalogue.Groups)
				if err != nil || !read.AsOf.IsZero() {
					return nil, err
				}
				return []op.Cause{{Code: "groups_unread"}}, nil
			}
		}
		if cause := judged(func(*catalogue.Definition) {}); cause != nil {
			t.Errorf("a run that may begin is blocked by %s", cause.Code)
		}
		if cause := judged(requires); cause == nil || cause.Code != "groups_unread" || cause.Phase != op.Execution || cause.Args["connection"] == "" {
			t.Errorf("without its prerequisite the run is blocked by %+v", cause)
		}
		s.Exec(`INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, as_of, run_id) VALUES ($1, 'groups', $2, $3, 0, interlock_now(), $4)`,
			c.Connection, c.Workspace, c.Tenant, c.RunID)
		if cause := judged(requires); cause != nil {
			t.Errorf("with its prerequisite the run is blocked by %s", cause.Code)
		}
		cause := judged(func(d *catalogue.Definition) {
			d.Needs = func(json.RawMessage) []catalogue.Permission {
				return []catalogue.Permission{{AnyOf: []string{"Exotic.Read.All"}, For: "read what nobody grants"}}
			}
		})
		if cause == nil || cause.Code != op.PermissionMissing || cause.Args["permissions"] != "Exotic.Read.All" {
			t.Errorf("without what its parameters need the run is blocked by %+v", cause)
		}
	})
}
