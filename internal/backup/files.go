package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Files hands out backups as files, takes files as backups, and compares backups. It is
// safe for concurrent use.
type Files struct{ db *db.DB }

// NewFiles returns the files of the backups in d.
func NewFiles(d *db.DB) *Files { return &Files{d} }

// find returns a visible set of a tenant that a may see.
func find(ctx context.Context, tx db.Tx, a access.Actor, tenant, id string, need tenancy.Capability) (access.TenantAccess, Set, error) {
	ta, err := access.Authorize(ctx, tx, a, tenant, need)
	if err != nil {
		return access.TenantAccess{}, Set{}, err
	}
	s, err := visible(ctx, tx, ta.Tenant.ID, id)
	return ta, s, err
}

// Download is a backup that can be written as a zip file.
type Download struct {
	f         *Files
	workspace string
	tenant    string
	set       Set
}

// Download returns a backup of a tenant, with its secrets. It needs
// [tenancy.ExportBackups] and leaves a row in the audit trail.
func (f *Files) Download(ctx context.Context, a access.Actor, tenant, id string) (Download, error) {
	return query.Write(ctx, f.db, "download the backup", func(ctx context.Context, tx db.Tx) (Download, error) {
		ta, s, err := find(ctx, tx, a, tenant, id, tenancy.ExportBackups)
		if err != nil {
			return Download{}, err
		}
		return Download{f, ta.Workspace.ID, ta.Tenant.Name, s}, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{
			Actor: a.Person(), Action: "backup.download", Object: ta.Tenant.ID, Data: map[string]string{"backup": s.ID},
		})
	})
}

// Write writes the zip file. After an error the file is unusable.
func (d Download) Write(ctx context.Context, w io.Writer) error {
	meta := archive.Meta{Set: d.set.ID, Tenant: d.tenant, Directory: d.set.Directory, AsOf: d.set.AsOf, Complete: d.set.Complete}
	for _, t := range d.set.Types {
		meta.Types = append(meta.Types, archive.TypeMeta{Type: t.Type, Complete: t.Reason == "" || t.Absent, Why: string(t.Reason)})
	}
	out := archive.NewWriter(w, meta)
	var n int64
	read := func(fn func(context.Context, db.Tx) error) error { return d.f.db.Read(ctx, fn) }
	for c, err := range walk(read, d.workspace, d.set.ID) {
		if err != nil {
			return err
		}
		if err := out.Add(archive.Item{Item: c.Policy, Name: c.Name, Missing: told(c.Missing)}); err != nil {
			return err
		}
		n++
	}
	if n != d.set.Items {
		return fmt.Errorf("download a backup: %d of %d policies are there: it was removed meanwhile", n, d.set.Items)
	}
	return out.Close()
}

// told are missing parts as a manifest says them.
func told(missing []Missing) (all []string) {
	for _, m := range missing {
		all = append(all, m.String())
	}
	return all
}

// Upload keeps the policies of an archive as a backup of a tenant. It needs
// [tenancy.ExportBackups] and leaves a row in the audit trail. The backup appears as a
// whole or not at all. Its directory is the one that the files name, which need not be
// the tenant's, or empty. An archived tenant is [op.ErrConflict].
func (f *Files) Upload(ctx context.Context, a access.Actor, tenant string, b archive.Bundle) (Set, error) {
	items, err := uploaded(b)
	if err != nil {
		return Set{}, err
	}
	key, err := query.Write(ctx, f.db, "upload a backup", func(ctx context.Context, tx db.Tx) (Key, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenant, tenancy.ExportBackups)
		if err != nil {
			return Key{}, err
		}
		var micros int64
		if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&micros); err != nil {
			return Key{}, err
		}
		asOf, now := b.AsOf, db.Time(micros)
		if asOf.Before(time.Unix(0, 0)) || asOf.After(now) { // unknown, or a fault of whatever wrote it
			asOf = now
		}
		k := Key{Workspace: ta.Workspace.ID, Tenant: ta.Tenant.ID, Set: access.NewID()}
		return k, Begin(ctx, tx, k.Workspace, Set{
			ID: k.Set, Tenant: k.Tenant, Directory: b.Directory, Origin: FromUpload, Tool: string(b.Tool), Layout: fmt.Sprint(b.Layout), AsOf: asOf,
		})
	})
	if err != nil {
		return Set{}, err
	}
	s, err := f.fill(ctx, a, key, items, b)
	if err != nil { // the sweep would find it, an hour later
		drop := f.db.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE backup_sets SET state = 'removed' WHERE id = $1 AND state = 'building'`, key.Set)
			return err
		})
		return Set{}, errors.Join(err, drop)
	}
	return s, nil
}

// fill writes the items of an upload and makes it visible.
func (f *Files) fill(ctx context.Context, a access.Actor, k Key, items []Contents, b archive.Bundle) (Set, error) {
	for some := range Batches(items) {
		packed := Pack(some)
		if err := f.db.Write(ctx, func(ctx context.Context, tx db.Tx) error { return Put(ctx, tx, k, packed) }); err != nil {
			return Set{}, err
		}
	}
	return query.Write(ctx, f.db, "upload a backup", func(ctx context.Context, tx db.Tx) (Set, error) {
		if _, err := access.Authorize(ctx, tx, a, k.Tenant, tenancy.ExportBackups); err != nil {
			return Set{}, err
		}
		s, err := Commit(ctx, tx, k, typesOf(b))
		if err != nil {
			return Set{}, err
		}
		return s, access.Audit(ctx, tx, k.Workspace, access.Entry{
			Actor: a.Person(), Action: "backup.upload", Object: k.Tenant, Data: map[string]any{"backup": s.ID, "policies": s.Items, "tool": s.Tool},
		})
	})
}

// uploaded are the items of an archive as they are stored.
func uploaded(b archive.Bundle) ([]Contents, error) {
	all := make([]Contents, len(b.Items))
	for i, item := range b.Items {
		d, err := policy.Normalise(item.Item)
		if err != nil {
			return nil, fmt.Errorf("upload a backup: %w", err)
		}
		c := Contents{Policy: item.Item, Item: Item{Type: item.Type, ID: item.ID, Name: d.Name(), ModifiedAt: d.Modified(), Hash: d.Hash()}}
		for _, m := range item.Missing {
			part, why, _ := strings.Cut(m, ": ")
			c.Missing = append(c.Missing, Missing{Part: part, Reason: op.ObjectIncomplete, Why: why})
		}
		all[i] = c
	}
	return all, nil
}

// typesOf are the types of an archive. Without a manifest nobody knows which are complete,
// and each is as complete as its files.
func typesOf(b archive.Bundle) (all []TypeRead) {
	at := func(key string) int {
		i := slices.IndexFunc(all, func(t TypeRead) bool { return t.Type == key })
		if i < 0 {
			all, i = append(all, TypeRead{Type: key}), len(all)
		}
		return i
	}
	for _, t := range b.Types {
		if policy.Lookup(t.Type) == nil {
			continue // of another version
		}
		if i := at(t.Type); !t.Complete {
			all[i].Reason = op.ListIncomplete
		}
	}
	for _, item := range b.Items {
		all[at(item.Type)].Items++
	}
	return all
}

// OtherDirectory reports whether directory is another than that of the tenant's default
// connection. An unknown one is not.
func (f *Files) OtherDirectory(ctx context.Context, ta access.TenantAccess, directory string) (bool, error) {
	if directory == "" {
		return false, nil
	}
	return query.Read(ctx, f.db, "find the directory", func(ctx context.Context, tx db.Tx) (bool, error) {
		var own string
		err := tx.QueryRow(ctx, `SELECT directory_id FROM connections WHERE tenant_id = $1 AND is_default AND deleted_at IS NULL`, ta.Tenant.ID).Scan(&own)
		if errors.Is(err, db.ErrNoRows) {
			return false, nil
		}
		return own != "" && !strings.EqualFold(own, directory), err
	})
}

// File returns the file of one policy of a backup as [Download] writes it, with its
// secrets. It needs [tenancy.ExportBackups] and leaves a row in the audit trail. Of a policy
// that was not readable it is what the provider sent.
func (f *Files) File(ctx context.Context, a access.Actor, tenant, id, typ, object string) ([]byte, error) {
	c, err := query.Write(ctx, f.db, "download the policy", func(ctx context.Context, tx db.Tx) (Contents, error) {
		ta, s, err := find(ctx, tx, a, tenant, id, tenancy.ExportBackups)
		if err != nil {
			return Contents{}, err
		}
		c, err := item(ctx, tx, ta.Workspace.ID, s.ID, typ, object)
		if err != nil {
			return Contents{}, err
		}
		return c, access.Audit(ctx, tx, ta.Workspace.ID, access.Entry{
			Actor: a.Person(), Action: "backup.download", Object: ta.Tenant.ID, Data: map[string]string{"backup": s.ID, "policy": typ + "/" + object},
		})
	})
	if err != nil || c.unreadable() {
		return c.Policy.Body, err
	}
	return archive.File(c.Policy)
}
