package store

import (
	"context"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// LockedConnection is a connection whose row the transaction has locked, for an
// actor with [tenancy.ManageConnections]. Package flow changes it together with its
// run and its data. The methods write the connection and then the audit trail, whose
// head is always locked last: call them after all other changes of the transaction.
type LockedConnection struct {
	tenancy.Connection // as it was when it was locked

	actor  access.Actor
	tenant string // slug
}

// LockConnection locks the connection of a tenant with the id or slug ref until the
// transaction ends. A start that is being decided at the same time either came first
// or sees the change. A connection that does not exist or that the actor may not see
// is [op.ErrNotFound]; an actor who may not manage it gets [op.ErrForbidden].
//
// It locks connections of archived tenants, too: their access can be taken away.
func (s *Store) LockConnection(ctx context.Context, tx db.Tx, a access.Actor, tenantRef, ref string) (LockedConnection, error) {
	return s.lock(ctx, tx, a, tenantRef, ref, access.Authorize)
}

type authorize func(context.Context, db.Tx, access.Actor, string, tenancy.Capability) (access.TenantAccess, error)

func (s *Store) lock(ctx context.Context, tx db.Tx, a access.Actor, tenantRef, ref string, authorize authorize) (LockedConnection, error) {
	ta, err := authorize(ctx, tx, a, tenantRef, tenancy.ManageConnections)
	if err != nil {
		return LockedConnection{}, err
	}
	if err := lockWorkspace(ctx, tx, ta.Workspace.ID); err != nil {
		return LockedConnection{}, err
	}
	id, err := ownConnection(ctx, tx, ta.Tenant.ID, ref)
	if err != nil {
		return LockedConnection{}, err
	}
	c, err := lockConnection(ctx, tx, id)
	if err != nil {
		return LockedConnection{}, err
	}
	return LockedConnection{Connection: c, actor: a, tenant: ta.Tenant.Slug}, nil
}

// change checks c and appends what changes to set. It returns what the audit
// record says about the change; nil: nothing more than that it happened.
type change func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (data any, err error)

// save makes a change, puts it on record as action, and returns the connection as
// it is then. When fn appends nothing, nothing changes and nothing is recorded.
func (l LockedConnection) save(ctx context.Context, tx db.Tx, action string, fn change) (tenancy.Connection, error) {
	c := l.Connection
	set := new(query.Query).Add(`UPDATE connections SET rev = rev + 1`)
	unchanged := set.Text()
	data, err := fn(ctx, tx, c, set)
	if err != nil || set.Text() == unchanged {
		return c, err
	}
	set.Add(` WHERE id = %s`, c.ID)
	if _, err := tx.Exec(ctx, set.Text(), set.Args()...); err != nil {
		return tenancy.Connection{}, err
	}
	record := map[string]any{"tenant": l.tenant, "connection": c.Slug}
	if data != nil {
		record["to"] = data
	}
	if err := access.Audit(ctx, tx, c.WorkspaceID, access.Entry{Actor: l.actor.Person(), Action: action, Object: c.ID, Data: record}); err != nil {
		return tenancy.Connection{}, err
	}
	return connectionByID(ctx, tx, c.ID)
}

// Disable keeps operations from using the connection. A connection that is
// disabled already stays as it is.
func (l LockedConnection) Disable(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
	return l.save(ctx, tx, "connection.disable", func(_ context.Context, _ db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if c.Enabled {
			set.Add(`, enabled = FALSE, disabled_by = %s, disabled_at = interlock_now()`, l.actor.Name())
		}
		return nil, nil
	})
}

// RevokeConsent notes that an administrator of the directory withdrew consent. A
// consent that was withdrawn already stays as it is.
func (l LockedConnection) RevokeConsent(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
	return l.save(ctx, tx, "connection.consent_revoked", func(_ context.Context, _ db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if c.Consent != tenancy.ConsentRevoked {
			set.Add(`, consent = 'revoked', consent_at = interlock_now()`)
		}
		return nil, nil
	})
}

// Delete removes the connection, its credential and its verification report. What
// was read through it is left to the caller. Runs keep naming it. While a run holds
// it, it is [op.ErrConflict].
func (l LockedConnection) Delete(ctx context.Context, tx db.Tx) error {
	_, err := l.save(ctx, tx, "connection.delete", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if err := notHeld(ctx, tx, c.ID); err != nil {
			return nil, err
		}
		for _, sql := range []string{
			`DELETE FROM credentials WHERE connection_id = $1`,
			`DELETE FROM consent_requests WHERE connection_id = $1`,
			`DELETE FROM verification_reports WHERE connection_id = $1`,
		} {
			if _, err := tx.Exec(ctx, sql, c.ID); err != nil {
				return nil, err
			}
		}
		set.Add(`, deleted_at = interlock_now(), enabled = FALSE, is_default = FALSE, disabled_by = %s, disabled_at = interlock_now(),
			credential = '', credential_state = '', credential_expires_at = NULL`, l.actor.Name())
		return nil, nil
	})
	return err
}
