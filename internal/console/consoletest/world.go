// Package consoletest serves the console on a seeded database for tests. It reads pages
// and sends their forms as a browser does.
package consoletest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/apptest"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// World is the console on the served world, without a worker: runs stay queued.
type World struct {
	*apptest.World
	Console *console.Console
	Site    *web.Site // of the console
	Origin  string    // where browsers reach it, for passkeys; empty: nobody knows

	t    *testing.T
	http *httptest.Server
}

// OnBoth runs fn on both engines.
func OnBoth(t *testing.T, fn func(t *testing.T, w *World)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, NewWorld(t, d, console.Deps{})) })
}

// OnOne runs fn on one engine, where the engine does not matter.
func OnOne(t *testing.T, deps console.Deps) *World {
	t.Helper()
	return NewWorld(t, dbtest.New(t, db.SQLite), deps)
}

// NewWorld serves the console on d.
func NewWorld(t *testing.T, d *db.DB, deps console.Deps) *World {
	t.Helper()
	w := &World{World: apptest.New(t, d, nil), t: t}
	deps.Door, deps.Store, deps.Mirror, deps.Plans, deps.Gate, deps.Flow, deps.Feed = w.Door(access.Limits{}, w.Origin), w.Store, w.Mirror, w.Plans, w.Gate, w.Flow, w.Feed
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	w.Console = console.New(deps)
	w.Site = w.Console.Site
	w.http = httptest.NewServer(w.Console)
	t.Cleanup(func() {
		w.http.CloseClientConnections() // streams never end by themselves
		w.http.Close()
	})
	return w
}

// Limit sets the limits of password tries.
func (w *World) Limit(l access.Limits) {
	w.Site.Door = w.Door(l, w.Origin)
}

// Password is the password of every account.
const Password = gatetest.Password

// Account adds an operator with a password.
func (w *World) Account(name, email string) {
	w.t.Helper()
	w.Join(name, email, Password, tenancy.Operator)
}

// SignedIn signs somebody in with the password.
func (w *World) SignedIn(email string) *Browser {
	w.t.Helper()
	stranger := w.Stranger()
	in := stranger.Press(stranger.Get("/sign-in"), "form", "email", email, "password", Password)
	in.Leads("/")
	return &Browser{w: w, Secret: in.Cookie.Value}
}

// NewOwner adds an owner with a password, and signs them in.
func (w *World) NewOwner(email string) *Browser {
	w.t.Helper()
	w.Join("Ola Berg", email, Password, tenancy.Owner)
	stranger := w.Stranger()
	in := stranger.Press(stranger.Get("/sign-in"), "form.card", "email", email, "password", Password)
	in.Leads("/")
	return &Browser{w: w, Secret: in.Cookie.Value}
}

// Stale makes every sign-in too old for changes that need a fresh one.
func (w *World) Stale() {
	w.Exec(`UPDATE tokens SET proved_at = interlock_now() - $1`, access.FreshFor.Microseconds())
}

// Start starts an operation without the console. It returns the run's id and code.
func (w *World) Start(a access.Actor, tenant string, kind op.Kind) (id, code string) {
	w.t.Helper()
	res, err := w.Gate.Start(w.t.Context(), a, op.Request{Tenant: tenant, Kind: kind, Surface: op.SurfaceAPI})
	if err != nil || res.Run() == nil {
		w.t.Fatalf("%v, %v", res.Outcome(), err)
	}
	return res.Run().ID, res.Run().Code
}

// Working gives a run to a worker, as the ledger would.
func (w *World) Working(run string, done, total int64) {
	w.t.Helper()
	now := time.Now()
	w.Exec(`UPDATE runs SET state = 'running', began_at = $2, seen_at = $2, progress_at = $2, done = $3, total = $4 WHERE id = $1`, run, now.UnixMicro(), done, total)
	w.Exec(`UPDATE run_claims SET lease_until = $2, boot_id = 'test' WHERE run_id = $1`, run, now.Add(time.Minute).UnixMicro())
}

// End ends a run and notifies its initiator.
func (w *World) End(run string, outcome op.RunOutcome, cause string) {
	w.t.Helper()
	w.Exec(`DELETE FROM run_claims WHERE run_id = $1`, run)
	w.Exec(`DELETE FROM river_job`)
	w.Exec(`UPDATE runs SET state = 'finished', outcome = $2, cause = $3, ended_at = interlock_now() WHERE id = $1`, run, string(outcome), cause)
	w.Exec(`UPDATE tenants SET latest_run = $1, latest_outcome = $2 WHERE id = (SELECT r.tenant_id FROM runs r WHERE r.id = $1)`, run, string(outcome))
	w.Exec(`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at)
		SELECT $2, workspace_id, tenant_id, initiator_id, id, interlock_now() FROM runs WHERE id = $1`, run, access.NewID())
	w.Feed.Changed(op.Change{Run: run})
}

// RunAt returns the id of the run at an address.
func (w *World) RunAt(path string) (id string) {
	w.t.Helper()
	r, err := w.Store.Run(w.t.Context(), w.ScopeOf(w.Owner), path[strings.LastIndex(path, "/")+1:])
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

// ScopeOf returns what a can see.
func (w *World) ScopeOf(a access.Actor) access.Scope {
	w.t.Helper()
	s, err := w.Site.Door.Workspace(w.t.Context(), a, tenancy.View)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// ConnectionAt returns the id of the connection at an address.
func (w *World) ConnectionAt(address string) string {
	w.t.Helper()
	return w.Text(`SELECT id FROM connections WHERE slug = $1`, path.Base(address))
}

// Text returns the text that a query selects.
func (w *World) Text(sql string, args ...any) (s string) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(&s)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// Read writes rows into a dataset of a connection, as a run does. Rows with a parent
// become its members.
func (w *World) Read(tenant, connection, dataset string, rows ...mirror.Record) {
	w.t.Helper()
	key := mirror.Key{Workspace: w.Workspace, Tenant: tenant, Connection: connection, Name: dataset, Run: access.NewID()}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		g, err := mirror.BeginRound(ctx, tx, key, true)
		if err != nil {
			return err
		}
		objects := slices.DeleteFunc(slices.Clone(rows), func(r mirror.Record) bool { return r.Parent != "" })
		if err := mirror.PutRows(ctx, tx, key, g, objects); err != nil {
			return err
		}
		var members []mirror.Member
		for _, r := range rows {
			if r.Parent != "" {
				members = append(members, mirror.Member{Group: r.Parent, Member: r.ID, Type: r.Type})
			}
		}
		if err := mirror.PutMembers(ctx, tx, g, members); err != nil {
			return err
		}
		_, err = mirror.CommitRound(ctx, tx, key, g, mirror.Committed{})
		return err
	})
}

// Row returns an object of a dataset, or with a parent a member of it.
func Row(parent, id, name, data string) mirror.Record {
	return mirror.Record{Parent: parent, ID: id, Name: name, Type: "#microsoft.graph.user", Data: json.RawMessage(data)}
}
