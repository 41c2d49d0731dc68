package worker

import (
	"context"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/restore"
)

// backups keeps policies. Each write compares the run's fence.
type backups struct{ x *execution }

func (b backups) Begin(ctx context.Context, asOf time.Time) (catalogue.BackupRound, error) {
	key := backup.Key{Workspace: b.x.claim.Workspace, Tenant: b.x.claim.Tenant, Set: access.NewID()}
	err := b.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		return backup.Begin(ctx, tx, key.Workspace, backup.Set{
			ID: key.Set, Tenant: key.Tenant, Directory: b.x.pinned.Connection.DirectoryID, Run: b.x.claim.RunID,
			Origin: backup.FromRun, AsOf: asOf,
		})
	})
	return backupRound{b.x, key}, err
}

func (b backups) Set(ctx context.Context, id string) (restore.Set, error) {
	read := func(fn func(context.Context, db.Tx) error) error { return b.x.w.db.Read(ctx, fn) }
	var s backup.Set
	err := read(func(ctx context.Context, tx db.Tx) (err error) {
		s, err = backup.Find(ctx, tx, b.x.claim.Workspace, id)
		return err
	})
	if err != nil {
		return restore.Set{}, err
	}
	return backup.Whole(ctx, read, b.x.claim.Workspace, s)
}

type backupRound struct {
	x   *execution
	key backup.Key
}

func (r backupRound) Put(ctx context.Context, items []catalogue.BackupItem) error {
	all := make([]backup.Contents, len(items))
	for i, item := range items {
		all[i] = backup.Contents{Policy: item.Policy, Item: backup.Item{
			Type: item.Policy.Type, ID: item.Policy.ID, Name: item.Name, ModifiedAt: item.ModifiedAt, Hash: item.Hash,
		}}
		for _, m := range item.Missing {
			all[i].Missing = append(all[i].Missing, backup.Missing(m))
		}
	}
	for some := range backup.Batches(all) {
		packed := backup.Pack(some)
		err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, r.key, packed) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (r backupRound) Commit(ctx context.Context, types []catalogue.BackupType) (string, error) {
	read := make([]backup.TypeRead, len(types))
	for i, t := range types {
		read[i] = backup.TypeRead(t)
	}
	err := r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := backup.Commit(ctx, tx, r.key, read)
		return err
	})
	return r.key.Set, err
}
