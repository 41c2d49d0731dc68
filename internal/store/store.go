// Package store holds the reads and the ordinary writes, one file per aggregate.
// Every read and write needs an [access.Scope], an [access.TenantAccess] or an
// [access.Actor]. What lies outside of it is [op.ErrNotFound], exactly like what does
// not exist. Only package gate starts work.
package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
	"github.com/interlock-dev/interlock/internal/workload"
)

// Options are functions of packages that the store may not import.
type Options struct {
	// Judge returns what is in the way of work on a tenant, by the rules that
	// the gate judges by. connection is the tenant's default, or nil when it has
	// none among its count of connections. nil: nothing is ever ready.
	Judge func(t tenancy.Tenant, connection *tenancy.Connection, count int, now time.Time) []op.Cause

	// Turns returns the times at which Judge may answer differently about an
	// unchanged connection, because something expires. nil: there are none.
	Turns func(c tenancy.Connection) []time.Time

	// ConsentURL returns the provider's page on which an administrator of the
	// connection's directory consents. The provider returns state with its answer.
	// nil: consent can't be requested.
	ConsentURL func(c tenancy.Connection, state string) (string, error)

	// Workload is the identity of this server that connections can sign in with. nil: none.
	Workload *workload.Identity

	// StalledAfter is how long a running run may make no progress before it is
	// shown as stalled. 0 means 5 minutes.
	StalledAfter time.Duration
}

// Store reads and writes everything but runs in progress. It is safe for
// concurrent use.
type Store struct {
	db      *db.DB
	root    *vault.Root
	opts    Options
	keysets sync.Map // wrapped keyset -> *vault.Keyset
}

// New returns a store on d whose credentials are sealed with root.
func New(d *db.DB, root *vault.Root, opts Options) *Store {
	if opts.StalledAfter == 0 {
		opts.StalledAfter = 5 * time.Minute
	}
	return &Store{db: d, root: root, opts: opts}
}

// maybe is an optional stored time.
func maybe(micros *int64) *time.Time {
	if micros == nil {
		return nil
	}
	t := db.Time(*micros)
	return &t
}

// now is the database's time.
func now(ctx context.Context, tx db.Tx) (time.Time, error) {
	var micros int64
	err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&micros)
	return db.Time(micros), err
}

// decode reads a stored JSON text; empty leaves v as it is.
func decode(what, text string, v any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("stored %s: %w", what, err)
	}
	return nil
}
