// Package gatetest is the stored world of tests: workspaces with people of every role,
// and tenants with connections in any state of readiness. It writes rows directly, so
// that a test gets at once what takes the product time. Package apptest adds what
// serves requests.
package gatetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// World is a database with workspaces in it.
type World struct {
	DB    *db.DB
	Store *store.Store
	Root  *vault.Root

	// Created by [New].
	Workspace string // id of "lattice"
	Other     string // id of "northgate"

	Owner, Operator, Second, Viewer access.Actor // of lattice
	Outsider                        access.Actor // owner of northgate

	t       testing.TB
	keysets map[string]string // by workspace
	tokens  map[string]string // by user
}

// New returns a world with the workspaces lattice and northgate and their people.
func New(t testing.TB, d *db.DB) *World {
	t.Helper()
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	return With(t, d, root)
}

// With is [New] with the caller's root key.
func With(t testing.TB, d *db.DB, root *vault.Root) *World {
	t.Helper()
	w := Attach(t, d, root)
	w.Workspace, w.Other = w.AddWorkspace("lattice", "Lattice Managed IT"), w.AddWorkspace("northgate", "Northgate Schools IT")
	w.Owner = w.Add(w.Workspace, Person{Name: "Mei Tan", Email: "mei.tan@lattice.example", Role: tenancy.Owner})
	w.Outsider = w.Add(w.Other, Person{Name: "Nora Field", Email: "nora.field@northgate.example", Role: tenancy.Owner})
	w.Operator = w.Member("Ana Ruiz", "ana.ruiz@lattice.example", tenancy.Operator)
	w.Second = w.Member("Tom Okafor", "tom.okafor@lattice.example", tenancy.Operator)
	w.Viewer = w.Member("Jonas Lind", "jonas.lind@lattice.example", tenancy.Viewer)
	return w
}

// Attach returns a world on a database that is empty or that the product has filled.
// root is its root key.
func Attach(t testing.TB, d *db.DB, root *vault.Root) *World {
	t.Helper()
	w := &World{DB: d, Store: store.New(d, root, store.Options{}), Root: root, t: t, keysets: map[string]string{}, tokens: map[string]string{}}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, keyset FROM workspaces`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, keyset string
			if err := rows.Scan(&id, &keyset); err != nil {
				return err
			}
			w.keysets[id] = keyset
		}
		return rows.Err()
	})
	return w
}

// AddWorkspace adds a workspace without people and returns its id.
func (w *World) AddWorkspace(slug, name string) string {
	w.t.Helper()
	keyset, _, err := w.Root.NewKeyset()
	if err != nil {
		w.t.Fatal(err)
	}
	id := access.NewID()
	w.keysets[id] = keyset
	w.Exec(`INSERT INTO workspaces (id, slug, name, keyset, created_at) VALUES ($1, $2, $3, $4, interlock_now())`, id, slug, name, keyset)
	return id
}

// Write runs fn in a transaction and fails the test on an error.
func (w *World) Write(fn func(context.Context, db.Tx) error) {
	w.t.Helper()
	if err := w.DB.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// Exec runs one statement and fails the test on an error.
func (w *World) Exec(sql string, args ...any) {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

// Int returns the number that a query selects.
func (w *World) Int(sql string, args ...any) (n int64) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(&n)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
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

// Tenant adds an active tenant to a workspace and returns its id.
func (w *World) Tenant(workspace, slug, name string) string {
	w.t.Helper()
	id := access.NewID()
	w.Exec(`INSERT INTO tenants (id, workspace_id, slug, name, name_key, domain, directory_id, status, created_at)
		VALUES ($1, $2, $3, $4, lower($4), $5, $6, 'active', interlock_now())`,
		id, workspace, slug, name, slug+".example", Directory(slug))
	return id
}

// Directory returns the directory id of the tenant or connection with that slug.
func Directory(slug string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("gatetest/"+slug)).String()
}

// Connection adds a connection that is ready for every operation, as changed by edit,
// which may be nil, and returns its id. Its directory derives from its slug.
func (w *World) Connection(workspace, tenant, slug string, edit func(*tenancy.Connection)) string {
	w.t.Helper()
	now := time.Now().UTC()
	c := tenancy.Connection{
		ID: access.NewID(), WorkspaceID: workspace, TenantID: tenant, Slug: slug, Name: slug + " primary",
		Provider: "Microsoft 365", Cloud: "global", DirectoryID: Directory(slug), ClientID: uuid.NewString(),
		Enabled: true, Default: true, Version: 1, Rev: 1,
		Credential: tenancy.ClientSecret, CredentialVersion: 1, CredentialState: tenancy.CredentialOK,
		Consent: tenancy.ConsentGranted, ConsentAt: &now, Permissions: catalogue.EveryPermission(), PermissionsAt: &now,
		ActualDirectoryID: Directory(slug), Verification: tenancy.VerificationOK, VerifiedAt: &now,
	}
	if edit != nil {
		edit(&c)
	}
	permissions, err := json.Marshal(c.Permissions)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Exec(`INSERT INTO connections (id, workspace_id, tenant_id, slug, name, name_key, provider, cloud, directory_id, client_id,
			enabled, is_default, version, rev, disabled_by, disabled_at, credential, credential_version, credential_state, credential_expires_at,
			credential_checked_at, consent, consent_at, permissions, permissions_at, actual_directory_id, verification, verification_reason, verified_at, created_at)
		VALUES ($1, $2, $3, $4, $5, lower($5), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, interlock_now())`,
		c.ID, c.WorkspaceID, c.TenantID, c.Slug, c.Name, c.Provider, c.Cloud, c.DirectoryID, c.ClientID,
		c.Enabled, c.Default, c.Version, c.Rev, c.DisabledBy, micros(c.DisabledAt), string(c.Credential), c.CredentialVersion, string(c.CredentialState), micros(c.CredentialExpiresAt),
		micros(c.CredentialCheckedAt), string(c.Consent), micros(c.ConsentAt), string(permissions), micros(c.PermissionsAt), c.ActualDirectoryID,
		string(c.Verification), c.VerificationReason, micros(c.VerifiedAt))
	w.seal(c)
	return c.ID
}

// seal stores a credential that the vault can open.
func (w *World) seal(c tenancy.Connection) {
	w.t.Helper()
	if c.Credential == "" {
		return
	}
	keys, err := w.Root.Open(w.keysets[c.WorkspaceID])
	if err != nil {
		w.t.Fatal(err)
	}
	sealed, err := keys.Seal(vault.NewSecret("s3cret-"+c.Slug), vault.AAD{
		Workspace: c.WorkspaceID, Tenant: c.TenantID, Connection: c.ID, Field: string(c.Credential), Version: c.CredentialVersion,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Exec(`INSERT INTO credentials (connection_id, version, kind, sealed, fingerprint, created_at) VALUES ($1, $2, $3, $4, '', interlock_now())`,
		c.ID, c.CredentialVersion, string(c.Credential), sealed)
}

// OpenCredentials opens every stored credential. It returns how many it opened, and
// what is wrong with the others.
func (w *World) OpenCredentials() (opened int, closed []string) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		opened, closed = 0, nil
		rows, err := tx.Query(ctx, `SELECT c.workspace_id, c.tenant_id, c.id, d.kind, d.version, d.sealed FROM credentials d JOIN connections c ON c.id = d.connection_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var place vault.AAD
			var sealed string
			if err := rows.Scan(&place.Workspace, &place.Tenant, &place.Connection, &place.Field, &place.Version, &sealed); err != nil {
				return err
			}
			keys, err := w.Root.Open(w.keysets[place.Workspace])
			if err == nil {
				_, err = keys.Open(sealed, place)
			}
			if err != nil {
				closed = append(closed, fmt.Sprintf("the credential of connection %s: %v", place.Connection, err))
				continue
			}
			opened++
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return opened, closed
}

func micros(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := t.UnixMicro()
	return &us
}

// Audit returns the broken invariants; none if all hold. It reads the database only,
// and ignores what the code under test says.
func (w *World) Audit() []string {
	w.t.Helper()
	return Audit(w.t, w.DB)
}

// Audit returns the broken invariants of d, whoever has filled it.
func Audit(t testing.TB, d *db.DB) []string {
	t.Helper()
	counts := make([]int64, len(rules))
	dest, parts := make([]any, len(rules)), make([]string, len(rules))
	for i, rule := range rules {
		dest[i], parts[i] = &counts[i], "("+rule.sql+")"
	}
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, "SELECT "+strings.Join(parts, ", ")).Scan(dest...)
	})
	if err != nil {
		t.Fatalf("auditor: %v", err)
	}
	var wrong []string
	for i, rule := range rules {
		if counts[i] != 0 {
			wrong = append(wrong, rule.what)
		}
	}
	return wrong
}

// rules count what must never exist.
var rules = []struct{ what, sql string }{
	{"unfinished runs that share a connection", `SELECT COUNT(*) FROM (SELECT connection_id FROM runs WHERE state <> 'finished' GROUP BY connection_id HAVING COUNT(*) > 1) x`},
	{"unfinished runs without their claim", `SELECT COUNT(*) FROM runs r WHERE r.state <> 'finished' AND NOT EXISTS (SELECT 1 FROM run_claims c WHERE c.run_id = r.id AND c.scope = r.connection_id AND c.fence = r.fence)`},
	{"claims without an unfinished run", `SELECT COUNT(*) FROM run_claims c WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = c.run_id AND r.state <> 'finished')`},
	{"open steps of runs that ended", `SELECT COUNT(*) FROM run_journal j WHERE j.state = 'open' AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = j.run_id AND r.state <> 'finished')`},
	{"settled steps whose item is not stored", `SELECT COUNT(*) FROM run_journal j WHERE j.state IN ('done', 'failed', 'unknown')
			AND NOT EXISTS (SELECT 1 FROM run_items i WHERE i.run_id = j.run_id AND i.key = j.item)`},
	{"accepted attempts without a run", `SELECT COUNT(*) FROM start_attempts a WHERE a.outcome = 'accepted' AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = a.run_id)`},
	{"runs without exactly one accepted attempt", `SELECT COUNT(*) FROM runs r WHERE (SELECT COUNT(*) FROM start_attempts a WHERE a.run_id = r.id AND a.outcome = 'accepted') <> 1`},
	{"refusals that made a run", `SELECT COUNT(*) FROM start_attempts a WHERE a.outcome IN ('blocked', 'scope_busy') AND a.run_id IS NOT NULL`},
	{"deduped attempts that joined nothing", `SELECT COUNT(*) FROM start_attempts a WHERE a.outcome = 'deduped' AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = a.run_id)`},
	{"queued runs without a job", `SELECT COUNT(*) FROM run_claims c JOIN runs r ON r.id = c.run_id WHERE r.state = 'queued' AND NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = c.job_id)`},
	{"finished runs with a waiting job", `SELECT COUNT(*) FROM river_job j WHERE CAST(j.state AS TEXT) IN ('available', 'scheduled', 'retryable', 'pending')
			AND NOT EXISTS (SELECT 1 FROM run_claims c WHERE c.job_id = j.id)`},
	{"notifications of runs that have not ended", `SELECT COUNT(*) FROM notifications n WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = n.run_id AND r.state = 'finished' AND r.initiator_id = n.user_id)`},
	{"ended runs without a notification", `SELECT COUNT(*) FROM runs r WHERE r.state = 'finished' AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.run_id = r.id)`},
	{"accepted runs without an audit record", `SELECT COUNT(*) FROM runs r WHERE NOT EXISTS (SELECT 1 FROM audit_log l WHERE l.object = r.id AND l.action = 'run.accepted')`},
	{"ended runs without an audit record", `SELECT COUNT(*) FROM runs r WHERE r.state = 'finished' AND (SELECT COUNT(*) FROM audit_log l WHERE l.object = r.id AND l.action = 'run.finished') <> 1`},
	{"gaps in the audit trail", `SELECT COUNT(*) FROM audit_heads h WHERE h.seq <> (SELECT COUNT(*) FROM audit_log l WHERE l.workspace_id = h.workspace_id)`},
}

// Wipe removes all runs with everything that belongs to them, and all attempts.
func (w *World) Wipe() {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) error {
		for _, table := range []string{
			"run_claims", "runs", "run_journal", "run_items", "run_events", "start_attempts", "idempotency_keys",
			"notifications", "audit_log", "audit_heads", "river_job",
		} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
}
