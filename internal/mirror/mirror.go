// Package mirror keeps what operations read from a tenant's directory: datasets of
// objects, the rounds that write them, the sweep of what was replaced, and the
// readers of it all. A caller writes with the fence of its run; readers need an
// [access.TenantAccess].
package mirror

import (
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/store"
)

// Mirror reads datasets. It is safe for concurrent use.
type Mirror struct {
	db    *db.DB
	store *store.Store
}

// New returns a mirror on d. st resolves the connections of a tenant.
func New(d *db.DB, st *store.Store) *Mirror { return &Mirror{db: d, store: st} }
