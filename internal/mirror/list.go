package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Filter narrows a list of what was read. The zero filter shows the first page of
// what came through the tenant's default connection.
type Filter struct {
	Connection string // id or slug; empty: the tenant's default
	Query      string // part of the name; of members: part of a nested group's name, or a whole id
	Type       string // key of a type or a part of the dataset; empty: all
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// check returns the size of the page and where it begins. kind is the name of the
// list, and keys how many keys its cursor has.
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

// List returns a page of the objects of a dataset, by part and then by name, and
// the cursor of the next page; empty after the last one. A named connection that is
// not the tenant's own is [op.ErrNotFound]; without a default connection there are
// no objects. An unknown type is an [*op.FieldError]; an unknown part is empty.
func (m *Mirror) List(ctx context.Context, ta access.TenantAccess, set *catalogue.DatasetInfo, f Filter) ([]Record, string, error) {
	limit, key, err := f.check(set.Name, 3)
	if err != nil {
		return nil, "", err
	}
	part, types, err := narrow(set, f.Type)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, m.db, "list "+set.Items, func(ctx context.Context, tx db.Tx) ([]Record, error) {
		c, err := m.source(ctx, tx, ta, f.Connection)
		if err != nil {
			return nil, err
		}
		stored, err := storedParts(ctx, tx, c, set)
		if err != nil {
			return nil, err
		}
		var list []Record
		// Each part is one range of an index; a page spans as many as it needs.
		for _, s := range stored {
			if part != "" && s.part != part || key != nil && s.part < key[0] {
				continue
			}
			var place []string
			if key != nil && s.part == key[0] {
				place = key[1:]
			}
			rows, err := byName(ctx, tx, s.generation, types, f.Query, place, limit+1-len(list))
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				r.Part = s.part
				list = append(list, r)
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
	list, next := page.Cut(list, limit, func(r Record) string { return page.Cursor(set.Name, r.Part, page.NameKey(r.Name), r.ID) })
	return list, next, nil
}

// narrow returns the part, or else the types of rows, that a list is narrowed to.
func narrow(set *catalogue.DatasetInfo, to string) (part string, types []string, err error) {
	if to == "" || len(set.Parts) > 0 {
		return to, nil, nil
	}
	if types = set.Covers(to); types != nil {
		return "", types, nil
	}
	keys := make([]string, len(set.Types))
	for i, t := range set.Types {
		keys[i] = t.Key
	}
	return "", nil, &op.FieldError{Field: "type", Detail: "must be one of " + strings.Join(keys, ", ")}
}

// storedPart is a part of a dataset, with the generation that readers see. A dataset
// that has no parts is one part without a name.
type storedPart struct {
	part       string
	generation int64
}

// storedParts returns what is stored of a dataset, in the order of the parts.
func storedParts(ctx context.Context, tx db.Tx, c *tenancy.Connection, set *catalogue.DatasetInfo) ([]storedPart, error) {
	if c == nil {
		return nil, nil
	}
	q := new(query.Query).Add(`SELECT d.name, d.generation FROM datasets d WHERE d.connection_id = %s`, c.ID)
	all, err := query.All(ctx, tx, q, func(row db.Row) (s storedPart, err error) {
		err = row.Scan(&s.part, &s.generation)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	var parts []storedPart
	for _, s := range all {
		var ok bool
		if s.part, ok = set.PartOf(s.part); ok {
			parts = append(parts, s)
		}
	}
	slices.SortFunc(parts, func(a, b storedPart) int { return strings.Compare(a.part, b.part) })
	return parts, nil
}

// byName returns rows of a generation in the order of names, from behind the name
// and id in key. types narrow them: each is one range of an index.
func byName(ctx context.Context, tx db.Tx, generation int64, types []string, search string, key []string, limit int) ([]Record, error) {
	if len(types) == 0 {
		return query.All(ctx, tx, paged(rowsQuery(generation), search, key, limit), scanRecord)
	}
	var list []Record
	for _, t := range types {
		some, err := query.All(ctx, tx, paged(rowsQuery(generation).Add(` AND r.type = %s`, t), search, key, limit), scanRecord)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	slices.SortFunc(list, func(a, b Record) int {
		return cmp.Or(strings.Compare(page.NameKey(a.Name), page.NameKey(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), limit)], nil
}

// Object returns the object of a dataset with that id, of the first part that has
// it; [op.ErrNotFound] when there is none.
func (m *Mirror) Object(ctx context.Context, ta access.TenantAccess, set *catalogue.DatasetInfo, connection, id string) (Record, error) {
	if storable(id) != id {
		return Record{}, op.ErrNotFound
	}
	return query.Read(ctx, m.db, set.Item, func(ctx context.Context, tx db.Tx) (Record, error) {
		c, err := m.source(ctx, tx, ta, connection)
		if err != nil {
			return Record{}, err
		}
		stored, err := storedParts(ctx, tx, c, set)
		if err != nil {
			return Record{}, err
		}
		for _, s := range stored {
			r, err := query.One(ctx, tx, rowsQuery(s.generation).Add(` AND r.id = %s`, id), scanRecord)
			if r.Part = s.part; !errors.Is(err, op.ErrNotFound) {
				return r, err
			}
		}
		return Record{}, op.ErrNotFound
	})
}

// Datasets returns what is known of each stored dataset of a connection, by name.
func (m *Mirror) Datasets(ctx context.Context, ta access.TenantAccess, connection string) ([]Dataset, error) {
	return query.Read(ctx, m.db, "list datasets", func(ctx context.Context, tx db.Tx) ([]Dataset, error) {
		c, err := m.source(ctx, tx, ta, connection)
		if err != nil || c == nil {
			return nil, err
		}
		q := new(query.Query).Add(`SELECT `+datasetColumns+` FROM datasets d WHERE d.connection_id = %s`, c.ID)
		list, err := query.All(ctx, tx, q, scanDataset)
		slices.SortFunc(list, func(a, b Dataset) int { return strings.Compare(a.Name, b.Name) })
		return list, err
	})
}

// source resolves the connection that data came through; nil when none was named
// and there is no default.
func (m *Mirror) source(ctx context.Context, tx db.Tx, ta access.TenantAccess, ref string) (*tenancy.Connection, error) {
	r, err := m.store.Resolve(ctx, tx, ta, ref)
	return r.Connection, err
}

// rowsQuery asks for the rows of a generation.
func rowsQuery(generation int64) *query.Query {
	return new(query.Query).Add(`SELECT r.id, r.name, r.type, r.modified_at, r.data FROM records r WHERE r.generation = %s`, generation)
}

// paged ends a query for rows in the order of names.
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
	err := row.Scan(&r.ID, &r.Name, &r.Type, &r.ModifiedAt, &data)
	r.Data = json.RawMessage(data)
	return r, err
}
