// Package stored gives the prerequisites of operations the stored facts of a connection.
// The gate and the worker's recheck judge by the same facts.
package stored

import (
	"context"
	"errors"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Facts are the stored facts of a connection, read in a transaction. Facts implements
// [catalogue.Stored].
type Facts struct {
	Tx         db.Tx
	Connection string // id
}

// Dataset implements [catalogue.Stored].
func (f Facts) Dataset(ctx context.Context, name string) (catalogue.Dataset, error) {
	d, err := mirror.DatasetOf(ctx, f.Tx, mirror.Key{Connection: f.Connection, Name: name})
	if err != nil {
		return catalogue.Dataset{}, err
	}
	return Known(d), nil
}

// Known returns a dataset as operations see it.
func Known(d mirror.Dataset) catalogue.Dataset {
	return catalogue.Dataset{
		AsOf: d.AsOf, Count: d.Count, Members: d.Members, Unreadable: d.Unreadable, Delta: d.Delta, DeltaAt: d.DeltaAt,
	}
}

// Plan implements [catalogue.Stored].
func (f Facts) Plan(ctx context.Context, tenant, hash string) (catalogue.StoredPlan, error) {
	return plans.Facts(ctx, f.Tx, tenant, hash)
}

// Approvers implements [catalogue.Stored].
func (f Facts) Approvers(ctx context.Context, tenant string, except ...string) ([]string, error) {
	return plans.Approvers(ctx, f.Tx, tenant, except...)
}

// Backup implements [catalogue.Stored].
func (f Facts) Backup(ctx context.Context, workspace, person, id string) (bool, error) {
	set, err := backup.Find(ctx, f.Tx, workspace, id)
	if errors.Is(err, op.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return access.StillMay(ctx, f.Tx, workspace, person, set.Tenant, tenancy.ViewBackups)
}
