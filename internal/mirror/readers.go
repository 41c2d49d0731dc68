package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Names of the datasets that readers know.
const (
	groups    = "groups"
	inventory = "inventory/" // and the type
)

// Filter narrows what was read from a tenant's directory. The zero filter
// shows the first page of what came through the default connection.
type Filter struct {
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
func (m *Mirror) Groups(ctx context.Context, ta access.TenantAccess, f Filter) ([]Record, string, error) {
	types := tenancy.GroupType(f.Type).Covers()
	if f.Type != "" && types == nil {
		return nil, "", &op.FieldError{Field: "type", Detail: "must be one of " + listed(tenancy.GroupTypes())}
	}
	return m.records(ctx, ta, f, types...)
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
func (m *Mirror) GroupMembers(ctx context.Context, ta access.TenantAccess, group string, f Filter) ([]Record, string, error) {
	limit, key, err := f.check("members", 1)
	if err != nil {
		return nil, "", err
	}
	if _, err := m.Group(ctx, ta, f.Connection, group); err != nil {
		return nil, "", err
	}
	after := []byte{}
	if key != nil {
		after = rowKey(key[0])
	}
	list, err := query.Read(ctx, m.db, "list group members", func(ctx context.Context, tx db.Tx) ([]Record, error) {
		c, err := m.source(ctx, tx, ta, f.Connection)
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
	list, next := page.Cut(list, limit, func(r Record) string { return page.Cursor("members", r.ID) })
	return list, next, nil
}

// Group returns one directory group.
func (m *Mirror) Group(ctx context.Context, ta access.TenantAccess, connection, group string) (Record, error) {
	if storable(group) != group {
		return Record{}, op.ErrNotFound
	}
	return query.Read(ctx, m.db, "group", func(ctx context.Context, tx db.Tx) (Record, error) {
		c, err := m.source(ctx, tx, ta, connection)
		if err != nil {
			return Record{}, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return Record{}, err
		}
		return query.One(ctx, tx, recordsQuery(c, groups, g).Add(` AND r.id = %s`, group), scanRecord)
	})
}

// records lists groups by name; types narrow them.
func (m *Mirror) records(ctx context.Context, ta access.TenantAccess, f Filter, types ...tenancy.GroupType) ([]Record, string, error) {
	limit, key, err := f.check(groups, 2)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, m.db, "list groups", func(ctx context.Context, tx db.Tx) ([]Record, error) {
		c, err := m.source(ctx, tx, ta, f.Connection)
		if err != nil {
			return nil, err
		}
		g, err := generationOf(ctx, tx, c, groups)
		if err != nil {
			return nil, err
		}
		if len(types) == 0 {
			return query.All(ctx, tx, paged(recordsQuery(c, groups, g), f.Query, key, limit+1), scanRecord)
		}
		// Each type is one range of an index, in the order of names.
		var list []Record
		for _, t := range types {
			some, err := query.All(ctx, tx, paged(groupsQuery(c, g, t), f.Query, key, limit+1), scanRecord)
			if err != nil {
				return nil, err
			}
			list = append(list, some...)
		}
		slices.SortFunc(list, func(a, b Record) int {
			return cmp.Or(strings.Compare(page.NameKey(a.Name), page.NameKey(b.Name)), strings.Compare(a.ID, b.ID))
		})
		return list, nil
	})
	if err != nil {
		return nil, "", err
	}
	list, next := page.Cut(list, limit, func(r Record) string { return page.Cursor(groups, page.NameKey(r.Name), r.ID) })
	return list, next, nil
}

// Inventory lists what the inventory of a tenant holds, by type and name.
func (m *Mirror) Inventory(ctx context.Context, ta access.TenantAccess, f Filter) ([]InventoryRecord, string, error) {
	limit, key, err := f.check("inventory", 3)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, m.db, "list inventory", func(ctx context.Context, tx db.Tx) ([]InventoryRecord, error) {
		c, err := m.source(ctx, tx, ta, f.Connection)
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
			rows, err := query.All(ctx, tx, paged(recordsQuery(c, d.Name, g), f.Query, place, limit+1-len(list)), scanRecord)
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
	list, next := page.Cut(list, limit, func(r InventoryRecord) string { return page.Cursor("inventory", r.Kind, page.NameKey(r.Name), r.ID) })
	return list, next, nil
}

// Datasets tells how far each dataset of a connection is, by name. The types of
// the inventory are the ones whose names begin with "inventory/".
func (m *Mirror) Datasets(ctx context.Context, ta access.TenantAccess, connection string) ([]Dataset, error) {
	return query.Read(ctx, m.db, "list datasets", func(ctx context.Context, tx db.Tx) ([]Dataset, error) {
		c, err := m.source(ctx, tx, ta, connection)
		if err != nil {
			return nil, err
		}
		return datasets(ctx, tx, c)
	})
}

// source resolves the connection through which data came; nil when none was
// named and there is no default.
func (m *Mirror) source(ctx context.Context, tx db.Tx, ta access.TenantAccess, ref string) (*tenancy.Connection, error) {
	r, err := m.store.Resolve(ctx, tx, ta, ref)
	return r.Connection, err
}

func datasets(ctx context.Context, tx db.Tx, c *tenancy.Connection) ([]Dataset, error) {
	if c == nil {
		return nil, nil
	}
	q := new(query.Query)
	q.Add(`SELECT `+datasetColumns+` FROM datasets d WHERE d.connection_id = %s`, c.ID)
	list, err := query.All(ctx, tx, q, scanDataset)
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
func recordsQuery(c *tenancy.Connection, dataset string, generation int64) *query.Query {
	return rowsQuery(c, generation).Add(` AND r.dataset = %s AND r.parent = ''`, dataset)
}

// groupsQuery asks for the groups of one type. Their index holds groups only: a
// planner finds it by literal SQL, and not by a parameter.
func groupsQuery(c *tenancy.Connection, generation int64, of tenancy.GroupType) *query.Query {
	return rowsQuery(c, generation).Add(` AND r.dataset = 'groups' AND r.type = %s`, string(of))
}

func rowsQuery(c *tenancy.Connection, generation int64) *query.Query {
	id := ""
	if c != nil {
		id = c.ID
	}
	return new(query.Query).Add(`SELECT r.id, r.parent, r.name, r.type, r.modified_at, r.data FROM records r
		WHERE r.connection_id = %s AND r.generation = %s`, id, generation)
}

// paged ends a query for rows.
func paged(q *query.Query, search string, key []string, limit int) *query.Query {
	if search != "" {
		q.Add(` AND r.name_key LIKE %s ESCAPE '\'`, page.Contains(search))
	}
	if key != nil {
		q.Add(` AND (r.name_key, r.id) > (%s, %s)`, key[0], key[1])
	}
	return q.Add(` ORDER BY r.name_key, r.id LIMIT %s`, limit)
}

func scanRecord(row db.Row) (Record, error) {
	var r Record
	var data string
	err := row.Scan(&r.ID, &r.Parent, &r.Name, &r.Type, &r.ModifiedAt, &data)
	r.Data = json.RawMessage(data)
	return r, err
}

// check returns the size of the page and where it begins.
func (f Filter) check(kind string, keys int) (limit int, key []string, err error) {
	if limit, err = page.Size(f.Limit); err != nil {
		return 0, nil, err
	}
	if err := page.CheckSearch(f.Query); err != nil {
		return 0, nil, err
	}
	key, err = page.After(kind, f.Cursor, keys)
	return limit, key, err
}
