// Package stored shows the prerequisites of operations what is stored of a
// connection. The gate and the worker's re-check judge by the same facts.
package stored

import (
	"context"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// Facts are the facts of a connection as a transaction sees them. They are a
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

// Known is a dataset as operations see it.
func Known(d mirror.Dataset) catalogue.Dataset {
	return catalogue.Dataset{
		AsOf: d.AsOf, Count: d.Count, Members: d.Members, Unreadable: d.Unreadable, Delta: d.Delta, DeltaAt: d.DeltaAt,
	}
}
