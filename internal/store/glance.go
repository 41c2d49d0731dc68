package store

import (
	"context"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Glance is what the frame of every page shows.
type Glance struct {
	Active     int64 // runs on their way, of the tenants that the reader sees
	Unread     int64 // notifications of the reader's own
	Workspaces []tenancy.Workspace
}

// Glance returns what the frame of a's pages shows, from one snapshot.
func (s *Store) Glance(ctx context.Context, a access.Actor) (Glance, error) {
	return query.Read(ctx, s.db, "glance", func(ctx context.Context, tx db.Tx) (g Glance, err error) {
		scope, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
		if err != nil {
			return Glance{}, err
		}
		// There are as many claims as connections in use; the history of runs is long.
		q := new(query.Query)
		q.Add(`SELECT COUNT(*) FROM run_claims k WHERE ` + scope.Where(q.Bind, "k.workspace_id", "k.tenant_id"))
		if err := tx.QueryRow(ctx, q.Text(), q.Args()...).Scan(&g.Active); err != nil {
			return Glance{}, err
		}
		if g.Unread, err = unread(ctx, tx, scope); err != nil {
			return Glance{}, err
		}
		g.Workspaces, err = access.WorkspaceNames(ctx, tx, a)
		return g, err
	})
}
