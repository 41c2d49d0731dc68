// Package apptest is the served world of tests: the stored world of package gatetest,
// with the gate, feed, store and sign-in that every surface needs. There is no worker:
// runs stay queued until a test changes them. A surface adds itself, so that its own
// tests can use this package.
package apptest

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/workload"
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

	Backups *backup.Backups
	Files   *backup.Files

	// TokenFile has the token of the server's workload identity, which connections of the
	// workspace lattice may sign in with. It holds [WorkloadToken] at first.
	TokenFile string

	t testing.TB
}

// WorkloadToken is a token of the server's workload identity that has no signature: issuer
// https://issuer.example, subject system:serviceaccount:ops:interlock.
const WorkloadToken = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50Om9wczppbnRlcmxvY2siLCJhdWQiOiJhcGk6Ly9BenVyZUFEVG9rZW5FeGNoYW5nZSJ9.canary"

// New returns the world of [gatetest.New], ready to be served. A nil logger discards.
func New(t testing.TB, d *db.DB, logger *slog.Logger) *World {
	t.Helper()
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	w := &World{World: gatetest.New(t, d), Feed: &httpx.Feed{}, t: t}
	w.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := durable.WriteFile(w.TokenFile, []byte(WorkloadToken), 0o600); err != nil {
		t.Fatal(err)
	}
	identity, err := workload.New(w.TokenFile, []string{"lattice"})
	if err != nil {
		t.Fatal(err)
	}
	w.Store = store.New(d, w.Root, store.Options{
		Workload: identity,
		Judge: func(t tenancy.Tenant, c *tenancy.Connection, count int, now time.Time) []op.Cause {
			return catalogue.JudgeReadiness(t, catalogue.Target{Connection: c, Count: count}, now)
		},
		ConsentURL: func(c tenancy.Connection, state string) (string, error) {
			return "https://login.example/" + c.DirectoryID + "/adminconsent?state=" + state, nil
		},
	})
	if w.Gate, err = gate.New(d, w.Store, gate.Config{Logger: logger, Changed: w.Feed.Changed}); err != nil {
		t.Fatal(err)
	}
	w.Flow, w.Mirror, w.Plans = flow.New(d, w.Store, w.Gate), mirror.New(d, w.Store), plans.New(d, w.Store)
	w.Backups, w.Files = backup.New(d), backup.NewFiles(d)
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

// Backup uploads policies as a backup of a tenant, as a does, and returns its id. The
// policies are of the tenant's directory.
func (w *World) Backup(a access.Actor, tenant string, items ...archive.Item) string {
	w.t.Helper()
	s, err := w.Files.Upload(w.t.Context(), a, tenant, archive.Bundle{Tool: archive.Files, Items: items})
	if err != nil {
		w.t.Fatal(err)
	}
	return s.ID
}
