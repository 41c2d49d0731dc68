package plans

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// Mapping is a recorded mapping.
type Mapping struct {
	ID string `json:"id"`
	restore.Mapping
	How catalogue.MappingSource `json:"how" enum:"same_id,person,restore" doc:"same_id: both objects have the same id; person: a person chose the target; restore: a restore created it."`
	By  op.Person               `json:"by"`
	At  time.Time               `json:"at"`
}

const mappingColumns = `SELECT m.id, m.kind, m.source_directory, m.source, m.target_directory, m.target, m.how, m.by_id, m.by_name, m.at FROM mappings m WHERE `

func scanMapping(row db.Row) (m Mapping, err error) {
	var kind, how string
	var at int64
	err = row.Scan(&m.ID, &kind, &m.SourceDirectory, &m.Source, &m.TargetDirectory, &m.Target, &how, &m.By.ID, &m.By.Name, &at)
	m.Kind, m.How, m.At = policy.Kind(kind), catalogue.MappingSource(how), db.Time(at)
	return m, err
}

// Between returns the mappings of a workspace from one directory to another, by kind and
// source.
func (p *Plans) Between(ctx context.Context, workspace, source, target string) ([]restore.Mapping, error) {
	all, err := query.Read(ctx, p.db, "mappings", func(ctx context.Context, tx db.Tx) ([]Mapping, error) {
		return query.All(ctx, tx, query.Of(mappingColumns+`m.workspace_id = $1 AND m.target_directory = $2 AND m.source_directory = $3 ORDER BY m.kind, m.source`,
			workspace, target, source), scanMapping)
	})
	list := make([]restore.Mapping, len(all))
	for i, m := range all {
		list[i] = m.Mapping
	}
	return list, err
}

// remapped reports whether one of the mappings was changed or removed since it was used.
func remapped(ctx context.Context, tx db.Tx, workspace string, used []restore.Mapping) (bool, error) {
	byKind := make(map[policy.Kind][]restore.Mapping)
	for _, m := range used {
		byKind[m.Kind] = append(byKind[m.Kind], m)
	}
	for kind, used := range byKind {
		sources := make([]string, len(used))
		for i, m := range used {
			sources[i] = m.Source
		}
		recorded := make(map[restore.Mapping]bool)
		for list := range query.Lists(sources) {
			q := query.Of(mappingColumns+`m.workspace_id = $1 AND m.target_directory = $2 AND m.source_directory = $3 AND m.kind = $4 AND m.source IN (`+query.Placeholders(5, len(list))+`)`,
				append([]any{workspace, used[0].TargetDirectory, used[0].SourceDirectory, string(kind)}, list...)...)
			found, err := query.All(ctx, tx, q, scanMapping)
			if err != nil {
				return false, fmt.Errorf("mappings of the plan: %w", err)
			}
			for _, m := range found {
				recorded[m.Mapping] = true
			}
		}
		for _, m := range used {
			if !recorded[m] {
				return true, nil
			}
		}
	}
	return false, nil
}

// Mappings returns a page of the mappings to a tenant's directory, by source directory,
// kind and source, and the cursor of the next page.
func (p *Plans) Mappings(ctx context.Context, ta access.TenantAccess, cursor string, limit int) ([]Mapping, string, error) {
	limit, err := page.Size(limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("mappings", cursor, 3)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, p.db, "list mappings", func(ctx context.Context, tx db.Tx) ([]Mapping, error) {
		q := new(query.Query).Add(mappingColumns+`m.workspace_id = %s AND m.target_directory = %s`, ta.Workspace.ID, ta.Tenant.DirectoryID)
		if key != nil {
			q.Add(` AND (m.source_directory, m.kind, m.source) > (%s, %s, %s)`, key[0], key[1], key[2])
		}
		return query.All(ctx, tx, q.Add(` ORDER BY m.source_directory, m.kind, m.source LIMIT %s`, limit+1), scanMapping)
	})
	if err != nil {
		return nil, "", err
	}
	list, next := page.Cut(list, limit, func(m Mapping) string {
		return page.Cursor("mappings", m.SourceDirectory, string(m.Kind), m.Source)
	})
	return list, next, nil
}

// SetMapping records a mapping to a tenant's directory that a chose. It replaces an
// earlier one of the same object. It needs the capability to preview a restore. A mapping
// that can't be meant is an [*op.FieldError]. An archived tenant is [op.ErrConflict].
func (p *Plans) SetMapping(ctx context.Context, a access.Actor, tenant string, m restore.Mapping) (Mapping, error) {
	if err := catalogue.CheckMapping(m); err != nil {
		return Mapping{}, err
	}
	return query.Write(ctx, p.db, "set a mapping", func(ctx context.Context, tx db.Tx) (Mapping, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenant, catalogue.MayPreview)
		if err != nil {
			return Mapping{}, err
		}
		m.TargetDirectory = ta.Tenant.DirectoryID
		out, err := Map(ctx, tx, ta.Workspace.ID, a.Person(), m, catalogue.MappedByPerson)
		if err != nil {
			return Mapping{}, err
		}
		return out, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{Actor: a.Person(), Action: "mapping.set", Object: out.ID, Data: m})
	})
}

// Map records a mapping.
func Map(ctx context.Context, tx db.Tx, workspace string, by op.Person, m restore.Mapping, how catalogue.MappingSource) (Mapping, error) {
	if m.Source == m.Target {
		how = catalogue.MappedByID
	}
	_, err := tx.Exec(ctx, `INSERT INTO mappings (id, workspace_id, source_directory, kind, source, target_directory, target, how, by_id, by_name, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, interlock_now())
		ON CONFLICT (workspace_id, target_directory, source_directory, kind, source) DO UPDATE
			SET target = excluded.target, how = excluded.how, by_id = excluded.by_id, by_name = excluded.by_name, at = excluded.at`,
		access.NewID(), workspace, m.SourceDirectory, string(m.Kind), m.Source, m.TargetDirectory, m.Target, string(how), by.ID, by.Name)
	if err != nil {
		return Mapping{}, err
	}
	return query.One(ctx, tx, query.Of(mappingColumns+`m.workspace_id = $1 AND m.target_directory = $2 AND m.source_directory = $3 AND m.kind = $4 AND m.source = $5`,
		workspace, m.TargetDirectory, m.SourceDirectory, string(m.Kind), m.Source), scanMapping)
}

// RemoveMapping forgets a mapping to a tenant's directory. It needs the capability to
// preview a restore. It is [op.ErrNotFound] for a mapping to another directory, and
// [op.ErrConflict] in an archived tenant.
func (p *Plans) RemoveMapping(ctx context.Context, a access.Actor, tenant, id string) error {
	if uuid.Validate(id) != nil {
		id = ""
	}
	id = strings.ToLower(id)
	_, err := query.Write(ctx, p.db, "remove a mapping", func(ctx context.Context, tx db.Tx) (bool, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenant, catalogue.MayPreview)
		if err != nil {
			return false, err
		}
		m, err := query.One(ctx, tx, query.Of(mappingColumns+`m.workspace_id = $1 AND m.target_directory = $2 AND m.id = $3`, ta.Workspace.ID, ta.Tenant.DirectoryID, id), scanMapping)
		if err != nil {
			return false, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mappings WHERE id = $1`, id); err != nil {
			return false, err
		}
		return true, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{Actor: a.Person(), Action: "mapping.remove", Object: id, Data: m.Mapping})
	})
	return err
}
