package store_test

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/store"
)

// TestPagesOfEverySizeAreFewTexts: a text of its own for each size of a page would
// fill the caches of prepared statements.
func TestPagesOfEverySizeAreFewTexts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		const numbers = ` WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 210) `
		w.exec(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters,
			target, initiator_id, initiator, fence, accepted_at)`+numbers+`SELECT 'r' || CAST(1000 + i AS TEXT), $1, $2, $3, CAST(i AS TEXT),
			'inventory.sync', 'api', 'finished', 'failed', '', '{}', '{}', $4, '', 1, 0 FROM n`, c.WorkspaceID, c.TenantID, c.ID, w.ana.ID())
		w.exec(`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at)`+numbers+`
			SELECT 't' || CAST(1000 + i AS TEXT), $1, 's' || CAST(i AS TEXT), 'N', 'n', '', '', 'active', 0 FROM n`, c.WorkspaceID)
		recording, texts := dbtest.Record(d), map[string]bool{}
		for limit := 2; limit <= 200; limit += 3 {
			for _, who := range []access.Actor{w.mei, w.ana} {
				scope := w.scope(who)
				for _, f := range []store.RunFilter{{}, {Operation: "inventory.sync"}, {Attention: true}, {Tenant: "kestrel"}} {
					f.Limit = limit
					list, _, err := w.Runs(ctx, scope, f)
					if err != nil || len(list) != limit {
						t.Fatalf("%d of %d runs, %v", len(list), limit, err)
					}
				}
				if _, _, err := w.Tenants(ctx, scope, store.TenantFilter{Limit: limit}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range recording.Take() {
			texts[s.SQL] = true
		}
		if n := len(texts); n < 10 || n > 60 {
			t.Errorf("lists of 67 sizes are %d texts, want a few dozen", n)
		}
	})
}
