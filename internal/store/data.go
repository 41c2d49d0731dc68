package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Names of the datasets that readers know.
const (
	groups    = "groups"
	inventory = "inventory/" // and the type
)

// DataFilter narrows what was read from a tenant's directory. The zero filter
// shows the first page of what came through the default connection.
type DataFilter struct {
	Connection string // id or slug; empty: the tenant's default
	Query      string // part of the name; of members: of a nested group's name, or a whole id
	Type       string // of inventory, such as "deviceConfigurations", or one of [tenancy.GroupTypes]; empty: every type
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// InventoryRecord is an object of the inventory.
type InventoryRecord struct {
	Kind string `json:"kind"` // the type of inventory that it was read as
	Record
}

// Groups lists the directory groups of a tenant by name. A connection that is
// named and not the tenant's own is [op.ErrNotFound]; without a default
// connection there are none.
func (s *Store) Groups(ctx context.Context, ta access.TenantAccess, f DataFilter) ([]Record, string, error) {
	types := tenancy.GroupType(f.Type).Covers()
	if f.Type != "" && types == nil {
		return nil, "", &op.FieldError{Field: "type", Detail: "must be one of " + listed(tenancy.GroupTypes())}
	}
	return s.records(ctx, ta, f, types...)
}

// listed is a list as sentences have it.
func listed[T ~string](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}

// GroupMembers lists the members of a group by id; [op.ErrNotFound] when there is
// no such group. The directory tells no names of members; one that is a group
// itself has the name that it was read with.
func (s *Store) GroupMembers(ctx context.Context, ta access.TenantAccess, group string, f DataFilter) ([]Record, string, error) {
	limit, key, err := f.check("members", 1)
	if err != nil {
		return nil, "", err
	}
	if _, err := s.Group(ctx, ta, f.Connection, group); err != nil {
		return nil, "", err
	}
	after := []byte{}
	if key != nil {
		after = rowKey(key[0])
	}
	list, err := read(ctx, s, "list group members", func(ctx context.Context, tx db.Tx) ([]Record, error) {
		c, err := s.source(ctx, tx, ta, f.Connection)
		if err != nil || c == nil {
			return nil, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return nil, err
		}
		names := groupNames{c.ID, g}
		if f.Query != "" {
			return searchMembers(ctx, tx, names, g, group, f.Query, after, limit+1)
		}
		return memberPage(ctx, tx, names, g, group, after, limit+1)
	})
	if err != nil {
		return nil, "", err
	}
	for i := range list {
		list[i].Parent = group
	}
	list, next := cut(list, limit, func(r Record) string { return cursor("members", r.ID) })
	return list, next, nil
}

// Group returns one directory group.
func (s *Store) Group(ctx context.Context, ta access.TenantAccess, connection, group string) (Record, error) {
	if storable(group) != group {
		return Record{}, op.ErrNotFound
	}
	return read(ctx, s, "group", func(ctx context.Context, tx db.Tx) (Record, error) {
		c, err := s.source(ctx, tx, ta, connection)
		if err != nil {
			return Record{}, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return Record{}, err
		}
		return one(ctx, tx, recordsQuery(c, groups, g).add(` AND r.id = %s`, group), scanRecord)
	})
}

// records lists groups by name; types narrow them.
func (s *Store) records(ctx context.Context, ta access.TenantAccess, f DataFilter, types ...tenancy.GroupType) ([]Record, string, error) {
	limit, key, err := f.check(groups, 2)
	if err != nil {
		return nil, "", err
	}
	list, err := read(ctx, s, "list groups", func(ctx context.Context, tx db.Tx) ([]Record, error) {
		c, err := s.source(ctx, tx, ta, f.Connection)
		if err != nil {
			return nil, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return nil, err
		}
		if len(types) == 0 {
			return all(ctx, tx, recordsQuery(c, groups, g).page(f.Query, key, limit+1), scanRecord)
		}
		// Each type is one range of an index, in the order of names.
		var list []Record
		for _, t := range types {
			some, err := all(ctx, tx, groupsQuery(c, g, t).page(f.Query, key, limit+1), scanRecord)
			if err != nil {
				return nil, err
			}
			list = append(list, some...)
		}
		slices.SortFunc(list, func(a, b Record) int {
			return cmp.Or(strings.Compare(nameKey(a.Name), nameKey(b.Name)), strings.Compare(a.ID, b.ID))
		})
		return list, nil
	})
	if err != nil {
		return nil, "", err
	}
	list, next := cut(list, limit, func(r Record) string { return cursor(groups, nameKey(r.Name), r.ID) })
	return list, next, nil
}

// Inventory lists what the inventory of a tenant holds, by type and name.
func (s *Store) Inventory(ctx context.Context, ta access.TenantAccess, f DataFilter) ([]InventoryRecord, string, error) {
	limit, key, err := f.check("inventory", 3)
	if err != nil {
		return nil, "", err
	}
	list, err := read(ctx, s, "list inventory", func(ctx context.Context, tx db.Tx) ([]InventoryRecord, error) {
		c, err := s.source(ctx, tx, ta, f.Connection)
		if err != nil {
			return nil, err
		}
		sets, err := datasets(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		var list []InventoryRecord
		// Each type is one range of the index; a page spans as many as it needs.
		for _, d := range sets {
			kind, ok := strings.CutPrefix(d.Name, inventory)
			if !ok || f.Type != "" && kind != f.Type || key != nil && kind < key[0] {
				continue
			}
			var place []string
			if key != nil && kind == key[0] {
				place = key[1:]
			}
			g, err := generationOf(ctx, tx, c, d.Name)
			if err != nil {
				return nil, err
			}
			rows, err := all(ctx, tx, recordsQuery(c, d.Name, g).page(f.Query, place, limit+1-len(list)), scanRecord)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				list = append(list, InventoryRecord{Kind: kind, Record: r})
			}
			if len(list) > limit {
				break
			}
		}
		return list, nil
	})
	if err != nil {
		return nil, "", err
	}
	list, next := cut(list, limit, func(r InventoryRecord) string { return cursor("inventory", r.Kind, nameKey(r.Name), r.ID) })
	return list, next, nil
}

// Datasets tells how far each dataset of a connection is, by name. The types of
// the inventory are the ones whose names begin with "inventory/".
func (s *Store) Datasets(ctx context.Context, ta access.TenantAccess, connection string) ([]Dataset, error) {
	return read(ctx, s, "list datasets", func(ctx context.Context, tx db.Tx) ([]Dataset, error) {
		c, err := s.source(ctx, tx, ta, connection)
		if err != nil {
			return nil, err
		}
		return datasets(ctx, tx, c)
	})
}

// source resolves the connection through which data came; nil when none was
// named and there is no default.
func (s *Store) source(ctx context.Context, tx db.Tx, ta access.TenantAccess, ref string) (*tenancy.Connection, error) {
	r, err := s.Resolve(ctx, tx, ta, ref)
	return r.Connection, err
}

func datasets(ctx context.Context, tx db.Tx, c *tenancy.Connection) ([]Dataset, error) {
	if c == nil {
		return nil, nil
	}
	q := new(query)
	q.add(`SELECT `+datasetColumns+` FROM datasets d WHERE d.connection_id = %s`, c.ID)
	list, err := all(ctx, tx, q, scanDataset)
	slices.SortFunc(list, func(a, b Dataset) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// generationOf returns the generation that readers see; 0 holds no rows.
func generationOf(ctx context.Context, tx db.Tx, c *tenancy.Connection, dataset string) (g int64, err error) {
	if c == nil {
		return 0, nil
	}
	err = tx.QueryRow(ctx, `SELECT generation FROM datasets WHERE connection_id = $1 AND name = $2`, c.ID, dataset).Scan(&g)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return g, err
}

// recordsQuery asks for the rows of a dataset.
func recordsQuery(c *tenancy.Connection, dataset string, generation int64) *query {
	return rowsQuery(c, generation).add(` AND r.dataset = %s AND r.parent = ''`, dataset)
}

// groupsQuery asks for the groups of one type. Their index holds groups only: a
// planner finds it by literal SQL, and not by a parameter.
func groupsQuery(c *tenancy.Connection, generation int64, of tenancy.GroupType) *query {
	return rowsQuery(c, generation).add(` AND r.dataset = 'groups' AND r.type = %s`, string(of))
}

func rowsQuery(c *tenancy.Connection, generation int64) *query {
	id := ""
	if c != nil {
		id = c.ID
	}
	return new(query).add(`SELECT r.id, r.parent, r.name, r.type, r.modified_at, r.data FROM records r
		WHERE r.connection_id = %s AND r.generation = %s`, id, generation)
}

// page ends a query for rows.
func (q *query) page(search string, key []string, limit int) *query {
	if search != "" {
		q.add(` AND r.name_key LIKE %s ESCAPE '\'`, contains(search))
	}
	if key != nil {
		q.add(` AND (r.name_key, r.id) > (%s, %s)`, key[0], key[1])
	}
	return q.add(` ORDER BY r.name_key, r.id LIMIT %s`, limit)
}

func scanRecord(row db.Row) (Record, error) {
	var r Record
	var data string
	err := row.Scan(&r.ID, &r.Parent, &r.Name, &r.Type, &r.ModifiedAt, &data)
	r.Data = json.RawMessage(data)
	return r, err
}

// check returns the size of the page and where it begins.
func (f DataFilter) check(kind string, keys int) (limit int, key []string, err error) {
	if limit, err = pageSize(f.Limit); err != nil {
		return 0, nil, err
	}
	if err := checkQuery(f.Query); err != nil {
		return 0, nil, err
	}
	key, err = after(kind, f.Cursor, keys)
	return limit, key, err
}
