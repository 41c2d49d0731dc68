package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const password = gatetest.Password

// world is a workspace Lattice with an owner Mei, an operator Ana who sees only
// Kestrel, and a viewer Vic; and a workspace Quayside with its owner Olga.
type world struct {
	*store.Store
	t    *testing.T
	d    *db.DB
	root *vault.Root
	seed *gatetest.World

	keyFile string // with the root key

	mei, ana, vic, olga access.Actor
	kestrel, marlow     string // tenants of Lattice, by id
	harbour             string // tenant of Quayside
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	keyFile := filepath.Join(t.TempDir(), "root.key")
	root, err := vault.CreateRoot(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, d: d, root: root, keyFile: keyFile}
	w.Store = store.New(d, root, store.Options{
		Judge: func(_ tenancy.Tenant, c *tenancy.Connection, count int, _ time.Time) []op.Cause {
			switch {
			case c == nil && count == 0:
				return []op.Cause{{Code: op.ConnectionMissing}}
			case c == nil:
				return []op.Cause{{Code: op.ConnectionDefaultMissing}}
			case !c.Enabled:
				return []op.Cause{{Code: op.ConnectionDisabled}}
			}
			return nil
		},
		ConsentURL: func(c tenancy.Connection, state string) (string, error) {
			return "https://login.example/" + c.DirectoryID + "/adminconsent?state=" + state, nil
		},
	})
	w.seed = gatetest.Attach(t, d, root)
	lattice := w.seed.AddWorkspace("lattice", "lattice")
	w.mei = w.person(lattice, "mei", access.Membership{Role: tenancy.Owner})
	w.olga = w.person(w.seed.AddWorkspace("quayside", "quayside"), "olga", access.Membership{Role: tenancy.Owner})
	w.kestrel, w.marlow = w.tenant(w.mei, "Kestrel Logistics", "kestrel"), w.tenant(w.mei, "Marlow Foods", "marlow")
	w.harbour = w.tenant(w.olga, "Harbour Dental", "harbour")
	w.ana = w.person(lattice, "ana", access.Membership{Role: tenancy.Operator, Tenants: []string{"kestrel"}})
	w.vic = w.person(lattice, "vic", access.Membership{Role: tenancy.Viewer})
	return w
}

// person adds somebody to a workspace, and returns them as who is signed in.
func (w *world) person(workspace, name string, m access.Membership) access.Actor {
	w.t.Helper()
	a := w.seed.Add(workspace, gatetest.Person{Name: name, Email: name + "@example.com", Role: m.Role, Denied: m.Denied, Tenants: m.Tenants})
	return w.seed.Authenticate(w.seed.Session(a))
}

func (w *world) signIn(name string) access.Actor {
	w.t.Helper()
	_, s, err := access.SignIn(w.t.Context(), w.d, access.Limits{}, access.Credentials{Email: name + "@example.com", Password: password})
	if err != nil {
		w.t.Fatalf("sign in %s: %v", name, err)
	}
	return s.Actor
}

func (w *world) tenant(a access.Actor, name, slug string) string {
	w.t.Helper()
	t, err := w.CreateTenant(w.t.Context(), a, store.NewTenant{Name: name, Slug: slug, Domain: slug + ".example", DirectoryID: guid(slug)})
	if err != nil {
		w.t.Fatal(err)
	}
	return t.ID
}

func (w *world) add(name string, m access.Membership) string {
	w.t.Helper()
	link, _, err := access.Invite(w.t.Context(), w.d, w.mei, name+"@example.com", m)
	if err == nil {
		_, err = access.Accept(w.t.Context(), w.d, access.Limits{}, access.Acceptance{Link: link, Name: name, Password: password})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(name).ID()
}

// connection adds a connection of a tenant by its owner.
func (w *world) connection(a access.Actor, tenant, slug string) tenancy.Connection {
	w.t.Helper()
	c, err := w.CreateConnection(w.t.Context(), a, tenant, store.NewConnection{Name: slug, Slug: slug, ClientID: guid("app"), DirectoryID: guid(slug)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// guid is the directory, or whatever else, of that name.
func guid(name string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String() }

// DisableConnection is the store's part of a disable; see package flow.
func (w *world) DisableConnection(ctx context.Context, a access.Actor, tenant, ref string) (tenancy.Connection, error) {
	return w.changed(ctx, a, tenant, ref, store.LockedConnection.Disable)
}

// RevokeConsent is the store's part of a withdrawal of consent.
func (w *world) RevokeConsent(ctx context.Context, a access.Actor, tenant, ref string) (tenancy.Connection, error) {
	return w.changed(ctx, a, tenant, ref, store.LockedConnection.RevokeConsent)
}

// DeleteConnection is the store's part of a removal.
func (w *world) DeleteConnection(ctx context.Context, a access.Actor, tenant, ref string) error {
	_, err := w.changed(ctx, a, tenant, ref, func(l store.LockedConnection, ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
		return tenancy.Connection{}, l.Delete(ctx, tx)
	})
	return err
}

func (w *world) changed(ctx context.Context, a access.Actor, tenant, ref string,
	do func(store.LockedConnection, context.Context, db.Tx) (tenancy.Connection, error),
) (c tenancy.Connection, err error) {
	err = w.d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		l, err := w.LockConnection(ctx, tx, a, tenant, ref)
		if err == nil {
			c, err = do(l, ctx, tx)
		}
		return err
	})
	return c, err
}

func (w *world) write(fn func(context.Context, db.Tx) error) {
	w.t.Helper()
	if err := w.d.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

func (w *world) count(sql string, args ...any) (n int64) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

func (w *world) access(a access.Actor, tenant string) (ta access.TenantAccess) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx db.Tx) (err error) {
		ta, err = access.Authorize(ctx, tx, a, tenant, tenancy.View)
		return err
	})
	return ta
}

func (w *world) scope(a access.Actor) (s access.Scope) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx db.Tx) (err error) {
		s, err = access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
		return err
	})
	return s
}

// audited returns the newest action on record.
func (w *world) audited() (action string) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT action FROM audit_log WHERE workspace_id = $1 ORDER BY seq DESC LIMIT 1`, w.mei.WorkspaceID()).Scan(&action)
	})
	return action
}

// run writes a run of a connection as the ledger would. A run that is not
// finished holds the connection.
func (w *world) run(c tenancy.Connection, edit func(*op.Run)) op.Run {
	w.t.Helper()
	r := op.Run{
		ID: access.NewID(), Operation: op.InventorySync, Surface: op.SurfaceAPI, State: op.Finished, Outcome: op.RunSucceeded,
		Initiator: w.mei.Person(), Fence: 1, Dispatch: 1, AcceptedAt: time.Now(), Target: store.TargetOf(c),
	}
	r.Code = fmt.Sprintf("%06X", w.count(`SELECT COUNT(*) FROM runs`)+0xA00000)
	if edit != nil {
		edit(&r)
	}
	target, _ := json.Marshal(r.Target)
	w.exec(`INSERT INTO runs (id, workspace_id, tenant_id, connection_id, code, operation, surface, state, outcome, fingerprint, parameters, target,
		initiator_id, initiator, fence, dispatch, accepted_at, began_at, progress_at, waiting_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'f', '{}', $10, $11, $12, $13, 1, $14, $15, $16, $17)`,
		r.ID, c.WorkspaceID, c.TenantID, c.ID, r.Code, string(r.Operation), string(r.Surface), string(r.State), string(r.Outcome), string(target),
		r.Initiator.ID, r.Initiator.Name, r.Fence, db.Micros(r.AcceptedAt), micros(r.BeganAt), micros(r.ProgressAt), micros(r.WaitingUntil))
	if r.State != op.Finished {
		lease := db.Micros(time.Now().Add(time.Minute))
		w.exec(`INSERT INTO run_claims (scope, run_id, fingerprint, fence, lease_until, sent_at, workspace_id, tenant_id)
			VALUES ($1, $2, 'f', 1, $3, 0, $4, $5)`, c.ID, r.ID, lease, c.WorkspaceID, c.TenantID)
	} else {
		w.ended(r.ID, r.Outcome)
	}
	return r
}

func (w *world) finish(r op.Run) {
	w.t.Helper()
	w.exec(`DELETE FROM run_claims WHERE run_id = $1`, r.ID)
	w.exec(`UPDATE runs SET state = 'finished', outcome = 'succeeded' WHERE id = $1`, r.ID)
	w.ended(r.ID, op.RunSucceeded)
}

// ended notes the end of a run with its tenant, as the end of a run does.
func (w *world) ended(run string, outcome op.RunOutcome) {
	w.t.Helper()
	w.exec(`UPDATE tenants SET latest_run = $1, latest_outcome = $2 WHERE latest_run < $1 AND id = (SELECT r.tenant_id FROM runs r WHERE r.id = $1)`,
		run, string(outcome))
}

func micros(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := db.Micros(*t)
	return &us
}

// wantField fails unless err names the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var fe *op.FieldError
	if !errors.As(err, &fe) || fe.Field != field {
		t.Errorf("got %v, want an error of the field %s", err, field)
	}
}

// wantErr fails unless err is want.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
