// Package apptest is the served world of tests: the stored world of package gatetest,
// with the gate, feed, store and sign-in that every surface needs. There is no worker:
// runs stay queued until a test changes them. A surface adds itself, so that its own
// tests can use this package.
package apptest

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// World is what a surface needs.
type World struct {
	*gatetest.World
	Store  *store.Store // as in the product: it judges readiness and requests consent
	Gate   *gate.Gate
	Flow   *flow.Flow
	Mirror *mirror.Mirror
	Plans  *plans.Plans
	Feed   *httpx.Feed

	t testing.TB
}

// New returns the world of [gatetest.New], ready to be served. A nil logger discards.
func New(t testing.TB, d *db.DB, logger *slog.Logger) *World {
	t.Helper()
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	w := &World{World: gatetest.New(t, d), Feed: &httpx.Feed{}, t: t}
	w.Store = store.New(d, w.Root, store.Options{
		Judge: func(t tenancy.Tenant, c *tenancy.Connection, count int, now time.Time) []op.Cause {
			return catalogue.JudgeReadiness(t, catalogue.Target{Connection: c, Count: count}, now)
		},
		ConsentURL: func(c tenancy.Connection, state string) (string, error) {
			return "https://login.example/" + c.DirectoryID + "/adminconsent?state=" + state, nil
		},
	})
	var err error
	if w.Gate, err = gate.New(d, w.Store, gate.Config{Logger: logger, Changed: w.Feed.Changed}); err != nil {
		t.Fatal(err)
	}
	w.Flow, w.Mirror, w.Plans = flow.New(d, w.Store, w.Gate), mirror.New(d, w.Store), plans.New(d, w.Store)
	return w
}

// Door returns a sign-in door with the limits. site is the address that browsers use,
// for passkeys; it may be empty.
func (w *World) Door(limits access.Limits, site string) *httpx.Door {
	return httpx.NewDoor(w.DB, limits, access.NewFactors(w.Root, site))
}

// Ready adds a tenant to lattice with one connection that is ready for every
// operation, as changed by edit, which may be nil.
func (w *World) Ready(slug string, edit func(*tenancy.Connection)) (tenant, connection string) {
	w.t.Helper()
	tenant = w.Tenant(w.Workspace, slug, strings.ToUpper(slug[:1])+slug[1:])
	return tenant, w.Connection(w.Workspace, tenant, slug, edit)
}
