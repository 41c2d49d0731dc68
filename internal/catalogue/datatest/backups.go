package datatest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// Backups keeps backups in memory. The zero Backups is empty and ready; it is safe for
// concurrent use.
type Backups struct {
	mu   sync.Mutex
	Kept []*Backup // committed, the oldest first
}

// Backup is one backup.
type Backup struct {
	mu    sync.Mutex
	all   *Backups
	ID    string
	AsOf  time.Time
	Items []catalogue.BackupItem
	Types []catalogue.BackupType
}

var _ catalogue.Backups = (*Backups)(nil)

// Begin implements [catalogue.Backups].
func (b *Backups) Begin(ctx context.Context, asOf time.Time) (catalogue.BackupRound, error) {
	return &Backup{all: b, AsOf: asOf}, ctx.Err()
}

// Set implements [catalogue.Backups].
func (b *Backups) Set(ctx context.Context, id string) (restore.Set, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, kept := range b.Kept {
		if kept.ID == id {
			set := restore.Set{ID: id, AsOf: kept.AsOf}
			for _, item := range kept.Items {
				d, err := policy.Normalise(item.Policy)
				if err != nil {
					return restore.Set{}, err
				}
				set.Items = append(set.Items, restore.Item{Policy: d})
			}
			return set, ctx.Err()
		}
	}
	return restore.Set{}, op.ErrNotFound
}

// Put implements [catalogue.BackupRound].
func (b *Backup) Put(ctx context.Context, items []catalogue.BackupItem) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Items = append(b.Items, items...)
	return ctx.Err()
}

// Commit implements [catalogue.BackupRound].
func (b *Backup) Commit(ctx context.Context, types []catalogue.BackupType) (string, error) {
	b.all.mu.Lock()
	defer b.all.mu.Unlock()
	b.ID, b.Types = fmt.Sprintf("backup-%d", len(b.all.Kept)+1), types
	b.all.Kept = append(b.all.Kept, b)
	return b.ID, ctx.Err()
}
