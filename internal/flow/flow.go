// Package flow changes what several packages keep, in one transaction, and will
// start many operations for one request. It stands above the gate: it begins work
// with [gate.Gate.Start] only, and stops it with the gate's control moves.
package flow

import (
	"context"
	"fmt"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Flow changes connections together with their runs and data. It is safe for
// concurrent use.
type Flow struct {
	db    *db.DB
	store *store.Store
	gate  *gate.Gate
}

// New returns a flow on d.
func New(d *db.DB, st *store.Store, g *gate.Gate) *Flow { return &Flow{db: d, store: st, gate: g} }

// DisableConnection keeps operations from using a connection, and stops the run
// that works on it: the run makes no further call at the provider once this has
// returned. A run that is still queued ends when a worker takes it up: as blocked or,
// if it has changed something before, as failed. A connection that is disabled already
// stays as it is.
func (f *Flow) DisableConnection(ctx context.Context, a access.Actor, tenantRef, ref string) (tenancy.Connection, error) {
	return query.Write(ctx, f.db, "disable connection", func(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
		c, err := f.store.LockConnection(ctx, tx, a, tenantRef, ref)
		if err != nil {
			return tenancy.Connection{}, err
		}
		if c.Enabled {
			if err := f.gate.StopConnection(ctx, tx, c.ID, a.Person(), op.ConnectionDisabled); err != nil {
				return tenancy.Connection{}, err
			}
		}
		return c.Disable(ctx, tx)
	})
}

// RevokeConsent notes that an administrator of the directory withdrew consent, and
// stops the run that works on the connection, as DisableConnection does.
func (f *Flow) RevokeConsent(ctx context.Context, a access.Actor, tenantRef, ref string) (tenancy.Connection, error) {
	return query.Write(ctx, f.db, "revoke consent", func(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
		c, err := f.store.LockConnection(ctx, tx, a, tenantRef, ref)
		if err != nil {
			return tenancy.Connection{}, err
		}
		if c.Consent != tenancy.ConsentRevoked {
			if err := f.gate.StopConnection(ctx, tx, c.ID, a.Person(), op.ConsentRevoked); err != nil {
				return tenancy.Connection{}, err
			}
		}
		return c.RevokeConsent(ctx, tx)
	})
}

// DeleteConnection removes a connection with its credential and what was read
// through it. Runs keep naming it. While a run holds it, it is [op.ErrConflict].
func (f *Flow) DeleteConnection(ctx context.Context, a access.Actor, tenantRef, ref string) error {
	err := f.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		c, err := f.store.LockConnection(ctx, tx, a, tenantRef, ref)
		if err != nil {
			return err
		}
		if err := mirror.Drop(ctx, tx, c.ID); err != nil {
			return err
		}
		return c.Delete(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("delete connection: %w", err)
	}
	return nil
}
