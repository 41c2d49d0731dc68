package store

import (
	"context"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
)

// GroupSizes returns how many members groups of a tenant have, by the ids of the
// groups: at most one page of them. A group without members is left out.
func (s *Store) GroupSizes(ctx context.Context, ta access.TenantAccess, connection string, ids []string) (map[string]int64, error) {
	return read(ctx, s, "count group members", func(ctx context.Context, tx db.Tx) (map[string]int64, error) {
		c, err := s.source(ctx, tx, ta, connection)
		if err != nil || c == nil || len(ids) == 0 {
			return nil, err
		}
		g, err := generationOf(ctx, tx, c, groupMembers)
		if err != nil {
			return nil, err
		}
		q := new(query)
		q.add(`SELECT r.parent, COUNT(*) FROM records r WHERE r.connection_id = %s AND r.dataset = %s AND r.generation = %s AND r.parent IN (`,
			c.ID, groupMembers, g)
		for i, id := range ids {
			if i > 0 {
				q.add(`, `)
			}
			q.add(`%s`, id)
		}
		type size struct {
			group   string
			members int64
		}
		list, err := all(ctx, tx, q.add(`) GROUP BY r.parent`), func(row db.Row) (z size, err error) {
			err = row.Scan(&z.group, &z.members)
			return z, err
		})
		sizes := make(map[string]int64, len(list))
		for _, z := range list {
			sizes[z.group] = z.members
		}
		return sizes, err
	})
}
