package mirror

import (
	"context"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
)

// GroupSizes returns how many members groups of a tenant have, by the ids of the
// groups: at most one page of them. A group without members is left out.
func (m *Mirror) GroupSizes(ctx context.Context, ta access.TenantAccess, connection string, ids []string) (map[string]int64, error) {
	return query.Read(ctx, m.db, "count group members", func(ctx context.Context, tx db.Tx) (map[string]int64, error) {
		c, err := m.source(ctx, tx, ta, connection)
		if err != nil || c == nil || len(ids) == 0 {
			return nil, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return nil, err
		}
		list, err := sizes(ctx, tx, g, ids)
		of := make(map[string]int64, len(list))
		for _, z := range list {
			of[rowID(z.group)] = z.members
		}
		return of, err
	})
}
