package mirror

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
)

// Members lists the members of a group of a dataset by id; [op.ErrNotFound] when
// there is no such group. A member that is itself a group has the name that it was
// read with; the provider tells no names of other members.
func (m *Mirror) Members(ctx context.Context, ta access.TenantAccess, set *catalogue.DatasetInfo, group string, f Filter) ([]Record, string, error) {
	limit, key, err := f.check("members", 1)
	if err != nil {
		return nil, "", err
	}
	if storable(group) != group {
		return nil, "", op.ErrNotFound
	}
	after := []byte{}
	if key != nil {
		after = rowKey(key[0])
	}
	list, err := query.Read(ctx, m.db, "list members", func(ctx context.Context, tx db.Tx) ([]Record, error) {
		generation, err := m.generation(ctx, tx, ta, set, f.Connection)
		if err != nil {
			return nil, err
		}
		if _, err := query.One(ctx, tx, rowsQuery(generation).Add(` AND r.id = %s`, group), scanRecord); err != nil {
			return nil, err
		}
		if f.Query != "" {
			return searchMembers(ctx, tx, generation, group, f.Query, after, limit+1)
		}
		return memberPage(ctx, tx, generation, group, after, limit+1)
	})
	if err != nil {
		return nil, "", err
	}
	for i := range list {
		list[i].Parent = group
	}
	list, next := page.Cut(list, limit, func(r Record) string { return page.Cursor("members", r.ID) })
	return list, next, nil
}

// MemberCounts returns how many members groups of a dataset have, by the ids of the
// groups: at most one page of them. A group without members is left out.
func (m *Mirror) MemberCounts(ctx context.Context, ta access.TenantAccess, set *catalogue.DatasetInfo, connection string, ids []string) (map[string]int64, error) {
	return query.Read(ctx, m.db, "count members", func(ctx context.Context, tx db.Tx) (map[string]int64, error) {
		generation, err := m.generation(ctx, tx, ta, set, connection)
		if err != nil || len(ids) == 0 {
			return nil, err
		}
		list, err := sizes(ctx, tx, generation, ids)
		of := make(map[string]int64, len(list))
		for _, z := range list {
			of[rowID(z.group)] = z.members
		}
		return of, err
	})
}

// generation returns the generation of a dataset with members that readers see; 0
// holds no rows.
func (m *Mirror) generation(ctx context.Context, tx db.Tx, ta access.TenantAccess, set *catalogue.DatasetInfo, connection string) (int64, error) {
	c, err := m.source(ctx, tx, ta, connection)
	if err != nil {
		return 0, err
	}
	stored, err := storedParts(ctx, tx, c, set)
	if err != nil || len(stored) == 0 {
		return 0, err
	}
	return stored[0].generation, nil
}

// membersQuery asks for the members of a group whose ids come after the key after.
func membersQuery(generation int64, group string, after []byte) *query.Query {
	return new(query.Query).Add(`SELECT m.member_id, m.type FROM memberships m WHERE m.generation = %s AND m.group_id = %s AND m.member_id > %s`,
		generation, rowKey(group), after)
}

func scanMember(row db.Row) (Record, error) {
	var key []byte
	var letter string
	if err := row.Scan(&key, &letter); err != nil {
		return Record{}, err
	}
	r := Record{ID: rowID(key), Type: typeOf(letter)}
	// A delta round tells a member's type and id, and nothing else. docs:
	// members@delta of "group: delta".
	properties := struct {
		Type string `json:"@odata.type,omitempty"`
		ID   string `json:"id"`
	}{r.Type, r.ID}
	var err error
	r.Data, err = json.Marshal(properties)
	return r, err
}

// memberPage lists the members of a group whose ids come after the key after.
func memberPage(ctx context.Context, tx db.Tx, generation int64, group string, after []byte, limit int) ([]Record, error) {
	list, err := query.All(ctx, tx, membersQuery(generation, group, after).Add(` ORDER BY m.member_id LIMIT %s`, limit), scanMember)
	if err != nil {
		return nil, err
	}
	return list, nameGroups(ctx, tx, generation, list)
}

// searchMembers is memberPage of the member whose id is search, or else of the
// nested groups whose names contain it.
func searchMembers(ctx context.Context, tx db.Tx, generation int64, group, search string, after []byte, limit int) ([]Record, error) {
	found, err := query.All(ctx, tx, membersQuery(generation, group, after).Add(` AND m.member_id = %s`, rowKey(search)), scanMember)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return found, nameGroups(ctx, tx, generation, found)
	}
	for len(found) < limit {
		// Nested groups are few, and one range of an index.
		some, err := query.All(ctx, tx, nestedQuery(generation, group, after), scanMember)
		if err == nil {
			err = nameGroups(ctx, tx, generation, some)
		}
		if err != nil {
			return nil, err
		}
		for _, r := range some {
			if strings.Contains(page.NameKey(r.Name), strings.ToLower(search)) {
				found = append(found, r)
			}
		}
		if len(some) < batchRows {
			break
		}
		after = rowKey(some[len(some)-1].ID)
	}
	return found[:min(len(found), limit)], nil
}

// nestedQuery asks for the next members that are groups.
func nestedQuery(generation int64, group string, after []byte) *query.Query {
	return membersQuery(generation, group, after).Add(` AND m.type = '`+nested+`' ORDER BY m.member_id LIMIT %s`, batchRows)
}

// nameGroups gives members that are groups the names that their own rows have.
func nameGroups(ctx context.Context, tx db.Tx, generation int64, list []Record) error {
	var ids []string
	for _, r := range list {
		if r.Type == graphType+"group" {
			ids = append(ids, r.ID)
		}
	}
	names := make(map[string]string, len(ids))
	for some := range query.Lists(ids) {
		q := query.Of(`SELECT id, name FROM records WHERE generation = $1 AND id IN (`+query.Placeholders(2, len(some))+`)`,
			append([]any{generation}, some...)...)
		found, err := query.All(ctx, tx, q, func(row db.Row) (r Record, err error) {
			err = row.Scan(&r.ID, &r.Name)
			return r, err
		})
		if err != nil {
			return err
		}
		for _, r := range found {
			names[r.ID] = r.Name
		}
	}
	for i, r := range list {
		if r.Type == graphType+"group" {
			list[i].Name = names[r.ID]
		}
	}
	return nil
}
