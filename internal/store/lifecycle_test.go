package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/workload"
)

func TestCreateConnection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		good := store.NewConnection{Name: "Kestrel primary", ClientID: strings.ToUpper(guid("app"))}
		c, err := w.CreateConnection(ctx, w.mei, "kestrel", good)
		if err != nil {
			t.Fatal(err)
		}
		if c.Slug != "kestrel-primary" || !c.Default || !c.Enabled || c.Version != 1 || c.DirectoryID != guid("kestrel") || c.ClientID != guid("app") ||
			c.FullName() != "Microsoft 365 · Kestrel primary" || c.Consent != tenancy.ConsentUnknown || c.Verification != tenancy.VerificationMissing {
			t.Errorf("created %+v", c)
		}
		if got := w.audited(); got != "connection.create" {
			t.Error("audited", got)
		}

		for _, tt := range []struct {
			field  string
			change func(*store.NewConnection)
		}{
			{"name", func(n *store.NewConnection) { n.Name = "" }},
			{"name", func(n *store.NewConnection) { n.Name = strings.Repeat("n", 81) }},
			{"name", func(n *store.NewConnection) { n.Name = "a\nb" }},
			{"slug", func(n *store.NewConnection) { n.Slug = "Not A Slug" }},
			{"slug", func(n *store.NewConnection) { n.Slug, n.Name = "", "日本" }},
			{"slug", func(n *store.NewConnection) { n.Slug, n.Name = "", "New" }}, // the address of the page that adds one
			{"slug", func(*store.NewConnection) {}},                               // in use
			{"cloud", func(n *store.NewConnection) { n.Cloud = "cumulus" }},
			{"directory_id", func(n *store.NewConnection) { n.DirectoryID = "kestrel.example" }},
			{"client_id", func(n *store.NewConnection) { n.ClientID = "urn:uuid:" + guid("app") }},
			{"client_id", func(n *store.NewConnection) { n.ClientID = "00000000-0000-0000-0000-000000000000" }},
			{"client_id", func(n *store.NewConnection) { n.DirectoryID = n.ClientID }},
			{"client_id", func(n *store.NewConnection) { n.ClientID = "" }},
		} {
			n := good
			tt.change(&n)
			_, err := w.CreateConnection(ctx, w.mei, "kestrel", n)
			wantField(t, err, tt.field)
		}

		second := good
		second.Slug = "test-app"
		_, err = w.CreateConnection(ctx, w.mei, "kestrel", second)
		wantErr(t, err, op.ErrConflict) // a second enabled one to the directory
		_, err = w.CreateConnection(ctx, w.mei, "marlow", store.NewConnection{Name: "Sneaky", ClientID: guid("app"), DirectoryID: guid("kestrel")})
		wantErr(t, err, op.ErrConflict) // also in another tenant
		second.Disabled = true
		if c, err := w.CreateConnection(ctx, w.mei, "kestrel", second); err != nil || c.Enabled || c.Default {
			t.Errorf("a disabled second one: %+v, %v", c, err)
		}
		if _, err := w.CreateConnection(ctx, w.olga, "harbour", store.NewConnection{Name: "Other", ClientID: guid("app"), DirectoryID: guid("kestrel")}); err != nil {
			t.Error("workspaces share nothing, not even directories:", err)
		}

		for _, tt := range []struct {
			who    access.Actor
			tenant string
			want   error
		}{
			{w.ana, "kestrel", op.ErrForbidden},
			{w.ana, "marlow", op.ErrNotFound},
			{w.olga, "kestrel", op.ErrNotFound},
			{access.Actor{}, "kestrel", op.ErrNotFound},
		} {
			_, err := w.CreateConnection(ctx, tt.who, tt.tenant, good)
			wantErr(t, err, tt.want)
		}
	})
}

func TestConnectionLifecycle(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		other := w.connection(w.mei, "kestrel", "second")

		// step checks that a change raises the revision, and the version only if asked.
		step := func(name string, versions int64, do func() (tenancy.Connection, error)) tenancy.Connection {
			t.Helper()
			after, err := do()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if after.Rev <= c.Rev || after.Version != c.Version+versions {
				t.Errorf("%s: rev %d -> %d, version %d -> %d", name, c.Rev, after.Rev, c.Version, after.Version)
			}
			if w.audited() != name {
				t.Errorf("%s: audited %s", name, w.audited())
			}
			c = after
			return after
		}
		// still checks that asking again changes nothing and is not on record.
		still := func(do func() (tenancy.Connection, error)) {
			t.Helper()
			records := w.count(`SELECT COUNT(*) FROM audit_log`)
			after, err := do()
			if err != nil || after.Rev != c.Rev || w.count(`SELECT COUNT(*) FROM audit_log`) != records {
				t.Errorf("asked again: rev %d -> %d, %v", c.Rev, after.Rev, err)
			}
		}

		disable := func() (tenancy.Connection, error) { return w.DisableConnection(ctx, w.mei, "kestrel", "first") }
		if got := step("connection.disable", 0, disable); got.Enabled || got.DisabledBy != "mei" || got.DisabledAt == nil {
			t.Errorf("%+v", got)
		}
		still(disable)
		enable := func() (tenancy.Connection, error) { return w.EnableConnection(ctx, w.mei, "kestrel", c.ID) }
		if got := step("connection.enable", 0, enable); !got.Enabled || got.DisabledBy != "" || got.DisabledAt != nil {
			t.Errorf("%+v", got)
		}
		still(enable)

		before := other.Rev
		setDefault := func() (tenancy.Connection, error) { return w.SetDefaultConnection(ctx, w.mei, "kestrel", "second") }
		if got, err := setDefault(); err != nil || !got.Default || got.Rev <= before {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := w.Connection(ctx, w.access(w.mei, "kestrel"), "first"); err != nil || got.Default || got.Rev <= c.Rev {
			t.Errorf("the former default: %+v, %v", got, err)
		} else {
			c = got.Connection
		}

		name := "Renamed"
		w.exec(`UPDATE connections SET consent = 'granted', verification = 'ok' WHERE id = $1`, c.ID)
		step("connection.edit", 1, func() (tenancy.Connection, error) {
			return w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{Name: &name})
		})
		if c.Name != name || c.Consent != tenancy.ConsentGranted || c.Verification != tenancy.VerificationOK {
			t.Errorf("a new name changed what is known: %+v", c)
		}
		still(func() (tenancy.Connection, error) {
			return w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{Name: &name})
		})
		app := guid("another app")
		run := w.run(c, func(r *op.Run) { r.State, r.Outcome = op.Running, "" })
		_, err := w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{ClientID: &app})
		wantErr(t, err, op.ErrConflict)
		if err == nil || !strings.Contains(err.Error(), run.Code) {
			t.Errorf("%v does not name run %s", err, run.Code)
		}
		w.finish(run)
		step("connection.edit", 1, func() (tenancy.Connection, error) {
			return w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{ClientID: &app})
		})
		if c.ClientID != app || c.Consent != tenancy.ConsentUnknown || c.Verification != tenancy.VerificationMissing {
			t.Errorf("another application, and the same is known: %+v", c)
		}
		bad := "nope"
		_, err = w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{Cloud: &bad})
		wantField(t, err, "cloud")
		taken := guid("second")
		_, err = w.EditConnection(ctx, w.mei, "kestrel", "first", store.EditConnection{DirectoryID: &taken})
		wantErr(t, err, op.ErrConflict)

		step("connection.consent_revoked", 0, func() (tenancy.Connection, error) { return w.RevokeConsent(ctx, w.mei, "kestrel", "first") })

		run = w.run(c, func(r *op.Run) { r.State, r.Outcome = op.Queued, "" })
		err = w.DeleteConnection(ctx, w.mei, "kestrel", "first")
		wantErr(t, err, op.ErrConflict)
		if err == nil || !strings.Contains(err.Error(), run.Code) {
			t.Errorf("%v does not name run %s", err, run.Code)
		}
		w.finish(run)
		if err := w.DeleteConnection(ctx, w.mei, "kestrel", "first"); err != nil {
			t.Fatal(err)
		}
		_, err = w.Connection(ctx, w.access(w.mei, "kestrel"), "first")
		wantErr(t, err, op.ErrNotFound)
		wantErr(t, w.DeleteConnection(ctx, w.mei, "kestrel", "first"), op.ErrNotFound)
		if r, err := w.Run(ctx, w.scope(w.mei), run.Code); err != nil || r.Target.Short != "Renamed" {
			t.Errorf("a run of a removed connection: %+v, %v", r, err)
		}
		w.write(func(ctx context.Context, tx db.Tx) error {
			p, err := w.Pinned(ctx, tx, access.ForRun(c.WorkspaceID, c.TenantID), c.ID)
			if err != nil || p.RemovedBy != "mei" || p.Tenant.Slug != "kestrel" {
				t.Errorf("pinned: %+v, %v", p, err)
			}
			return nil
		})
		if again := w.connection(w.mei, "kestrel", "first"); again.ID == c.ID || again.Default {
			t.Errorf("made anew: %+v", again)
		}
		if _, err := access.VerifyAudit(ctx, d, w.mei.WorkspaceID()); err != nil {
			t.Error(err)
		}
	})
}

func TestEveryLifecycleChangeIsForManagersOfThatTenant(t *testing.T) {
	d := dbtest.New(t, db.SQLite)
	w, ctx := newWorld(t, d), t.Context()
	c := w.connection(w.mei, "kestrel", "first")
	secret, err := store.ClientSecret("s3cret", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(a access.Actor, tenant, ref string) error{
		"edit": func(a access.Actor, tenant, ref string) error {
			_, err := w.EditConnection(ctx, a, tenant, ref, store.EditConnection{})
			return err
		},
		"enable": func(a access.Actor, tenant, ref string) error {
			_, err := w.EnableConnection(ctx, a, tenant, ref)
			return err
		},
		"disable": func(a access.Actor, tenant, ref string) error {
			_, err := w.DisableConnection(ctx, a, tenant, ref)
			return err
		},
		"default": func(a access.Actor, tenant, ref string) error {
			_, err := w.SetDefaultConnection(ctx, a, tenant, ref)
			return err
		},
		"credential": func(a access.Actor, tenant, ref string) error {
			_, err := w.RotateCredential(ctx, a, tenant, ref, secret)
			return err
		},
		"consent": func(a access.Actor, tenant, ref string) error {
			_, err := w.BeginConsent(ctx, a, tenant, ref)
			return err
		},
		"revoke": func(a access.Actor, tenant, ref string) error {
			_, err := w.RevokeConsent(ctx, a, tenant, ref)
			return err
		},
		"delete": func(a access.Actor, tenant, ref string) error { return w.DeleteConnection(ctx, a, tenant, ref) },
	} {
		t.Run(name, func(t *testing.T) {
			wantErr(t, do(w.ana, "kestrel", "first"), op.ErrForbidden)
			wantErr(t, do(w.vic, "kestrel", "first"), op.ErrForbidden)
			wantErr(t, do(w.olga, "kestrel", "first"), op.ErrNotFound)
			wantErr(t, do(w.olga, "harbour", c.ID), op.ErrNotFound) // someone else's connection in one's own tenant
			wantErr(t, do(w.mei, "marlow", c.ID), op.ErrNotFound)   // nor of another tenant
			wantErr(t, do(w.mei, "kestrel", "nothing"), op.ErrNotFound)
			wantErr(t, do(w.mei, "kestrel", ""), op.ErrNotFound)
		})
	}
	if got, err := w.Connection(ctx, w.access(w.mei, "kestrel"), "first"); err != nil || got.Rev != c.Rev {
		t.Errorf("refused changes left %+v, %v", got, err)
	}
}

func TestTwoEnablesAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		const n = 4
		for i := range n {
			_, err := w.CreateConnection(ctx, w.mei, "kestrel", store.NewConnection{Name: fmt.Sprintf("c%d", i), ClientID: guid("app"), Disabled: true})
			if err != nil {
				t.Fatal(err)
			}
		}
		errs := make(chan error, n)
		for i := range n {
			go func() {
				_, err := w.EnableConnection(ctx, w.mei, "kestrel", fmt.Sprintf("c%d", i))
				errs <- err
			}()
		}
		enabled := 0
		for range n {
			if err := <-errs; err == nil {
				enabled++
			} else {
				wantErr(t, err, op.ErrConflict)
			}
		}
		if enabled != 1 {
			t.Errorf("%d of %d connections to one directory were enabled", enabled, n)
		}
	})
}

// TestChangesTakeTurns holds the workspace as one change does, and lets others
// that depend on what it sees come meanwhile.
func TestChangesTakeTurns(t *testing.T) {
	d := dbtest.New(t, db.Postgres) // SQLite has one writer anyway
	w := newWorld(t, d)
	w.connection(w.mei, "kestrel", "first")
	for name, change := range map[string]func(context.Context) error{
		"connection": func(ctx context.Context) error {
			_, err := w.DisableConnection(ctx, w.mei, "kestrel", "first")
			return err
		},
		"creation": func(ctx context.Context) error {
			_, err := w.CreateConnection(ctx, w.mei, "kestrel", store.NewConnection{Name: "Another", ClientID: guid("app"), DirectoryID: guid("another")})
			return err
		},
		"member": func(ctx context.Context) error { return w.RemoveMember(ctx, w.mei, w.vic.ID()) },
		"tenant": func(ctx context.Context) error { return w.ArchiveTenant(ctx, w.mei, "marlow") },
	} {
		t.Run(name, func(t *testing.T) {
			w.write(func(ctx context.Context, tx db.Tx) error {
				if _, err := tx.Exec(ctx, `UPDATE workspaces SET name = name WHERE id = $1`, w.mei.WorkspaceID()); err != nil {
					return err
				}
				waiting, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := change(waiting); err == nil {
					t.Error("it did not wait for its turn")
				}
				return nil
			})
			if err := change(t.Context()); err != nil {
				t.Error("when its turn came:", err)
			}
		})
	}
}

func TestCredential(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		w.connection(w.mei, "kestrel", "first")
		w.connection(w.mei, "marlow", "third")
		expires := time.Now().Add(90 * 24 * time.Hour)
		rotate := func(tenant, ref, secret string) tenancy.Connection {
			t.Helper()
			n, err := store.ClientSecret(secret, &expires)
			if err != nil {
				t.Fatal(err)
			}
			c, err := w.RotateCredential(ctx, w.mei, tenant, ref, n)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		open := func(s access.Scope, c tenancy.Connection) (string, error) {
			var text string
			err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
				secret, err := w.Credential(ctx, tx, s, c)
				text = secret.Reveal()
				return err
			})
			return text, err
		}
		w.exec(`UPDATE connections SET credential_state = 'invalid', verification = 'ok'`)
		c := rotate("kestrel", "first", "canary-one")
		if c.Credential != tenancy.ClientSecret || c.CredentialVersion != 1 || c.CredentialState != "" || c.CredentialExpiresAt == nil || c.Verification != tenancy.VerificationOK {
			t.Errorf("%+v", c)
		}
		scope := access.ForRun(c.WorkspaceID, c.TenantID)
		if got, err := open(scope, c); got != "canary-one" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c2 := rotate("kestrel", "first", "canary-two")
		if got, err := open(scope, c); got != "canary-two" || err != nil || c2.CredentialVersion != 2 {
			t.Errorf("after a rotation: %q, %v", got, err)
		}
		if n := w.count(`SELECT COUNT(*) FROM credentials`); n != 1 {
			t.Errorf("%d credentials are kept", n)
		}
		for _, s := range []access.Scope{{}, w.access(w.olga, "harbour").Scope, w.access(w.mei, "marlow").Scope} {
			_, err := open(s, c)
			wantErr(t, err, op.ErrNotFound)
		}

		// A ciphertext that was moved to another connection opens nowhere.
		third := rotate("marlow", "third", "canary-three")
		w.exec(`UPDATE credentials SET sealed = (SELECT d.sealed FROM credentials d WHERE d.connection_id = $1) WHERE connection_id = $2`, c.ID, third.ID)
		_, err := open(access.ForRun(third.WorkspaceID, third.TenantID), third)
		wantErr(t, err, store.ErrUnreadable)
		if strings.Contains(err.Error(), "canary") {
			t.Error("the error tells the secret:", err)
		}
		w.exec(`UPDATE credentials SET version = 9 WHERE connection_id = $1`, c.ID)
		w.exec(`UPDATE connections SET credential_version = 9 WHERE id = $1`, c.ID)
		_, err = open(scope, c)
		wantErr(t, err, store.ErrUnreadable)

		cert, err := store.ClientCertificate(certificate(t, true), "")
		if err != nil {
			t.Fatal(err)
		}
		was := c
		if c, err = w.RotateCredential(ctx, w.mei, "kestrel", "first", cert); err != nil || c.Credential != tenancy.ClientCertificate || c.CredentialExpiresAt == nil {
			t.Fatalf("%+v, %v", c, err)
		}
		if got, err := open(scope, c); !strings.Contains(got, "PRIVATE KEY") || err != nil {
			t.Errorf("certificate: %v", err)
		}
		if d := c.CredentialDetails; len(d.Thumbprint) != 40 || len(d.ThumbprintSHA256) != 64 || d.Thumbprint != strings.ToUpper(d.Thumbprint) {
			t.Errorf("a certificate is shown as %+v", d)
		}
		_, err = open(scope, was)
		wantErr(t, err, op.ErrConflict)

		if err := w.DeleteConnection(ctx, w.mei, "kestrel", "first"); err != nil {
			t.Fatal(err)
		}
		if n := w.count(`SELECT COUNT(*) FROM credentials WHERE connection_id = $1`, c.ID); n != 0 {
			t.Error("a removed connection left its credential")
		}
		if n := w.count(`SELECT COUNT(*) FROM audit_log WHERE data LIKE '%canary%' ESCAPE '\' OR data LIKE '%PRIVATE%' ESCAPE '\'`); n != 0 {
			t.Error("the audit trail holds a secret")
		}
	})
}

func TestBadCredentials(t *testing.T) {
	_, err := store.ClientSecret("", nil)
	wantField(t, err, "secret")
	_, err = store.ClientSecret(strings.Repeat("x", 1025), nil)
	wantField(t, err, "secret")
	_, err = store.ClientCertificate("-----BEGIN CERTIFICATE-----", "")
	wantField(t, err, "certificate")
	_, err = store.ClientCertificate(strings.Repeat("x", 65<<10), "")
	wantField(t, err, "certificate")
	_, err = store.ClientCertificate(certificate(t, false), "")
	wantField(t, err, "certificate")
	one, other := certificate(t, true), certificate(t, true)
	cert, _, _ := strings.Cut(one, "-----BEGIN PRIVATE")
	_, key, _ := strings.Cut(other, "-----BEGIN PRIVATE")
	_, err = store.ClientCertificate(cert+"-----BEGIN PRIVATE"+key, "")
	wantField(t, err, "certificate")
	if _, err := store.ClientCertificate(one, ""); err != nil {
		t.Error(err)
	}
	n, err := store.ClientSecret("canary", nil)
	if text := fmt.Sprintf("%v %+v %#v", n, n, n); err != nil || strings.Contains(text, "canary") {
		t.Error("a credential prints its secret:", text)
	}
}

// certificate returns a certificate and its key in PEM, with an RSA key or not.
func certificate(t *testing.T, isRSA bool) string {
	t.Helper()
	var key any
	var public any
	if isRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func TestConsent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		state := func() string {
			t.Helper()
			address, err := w.BeginConsent(ctx, w.mei, "kestrel", "first")
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			return u.Query().Get("state")
		}
		is := func(want tenancy.Consent, verdict tenancy.Verification) {
			t.Helper()
			got, err := w.Connection(ctx, w.access(w.mei, "kestrel"), "first")
			if err != nil || got.Consent != want || got.Verification != verdict {
				t.Errorf("consent %s, verification %s, %v; want %s, %s", got.Consent, got.Verification, err, want, verdict)
			}
		}
		first := state()
		is(tenancy.ConsentPending, tenancy.VerificationMissing)
		if n := w.count(`SELECT COUNT(*) FROM consent_requests WHERE state_hash = $1`, first); n != 0 {
			t.Error("the state itself is stored")
		}
		for _, bad := range []string{"", "guess", strings.ToLower(first)} {
			_, err := w.CompleteConsent(ctx, bad, c.DirectoryID, "")
			wantErr(t, err, op.ErrNotFound)
		}
		_, err := w.CompleteConsent(ctx, first, guid("elsewhere"), "")
		wantField(t, err, "tenant")
		is(tenancy.ConsentMissing, tenancy.VerificationMissing)
		_, err = w.CompleteConsent(ctx, first, c.DirectoryID, "")
		wantErr(t, err, op.ErrNotFound) // used up

		out, err := w.CompleteConsent(ctx, state(), strings.ToUpper(c.DirectoryID), "")
		if err != nil || out != (store.Consented{Workspace: "lattice", Tenant: "kestrel", Connection: "first"}) {
			t.Errorf("%+v, %v", out, err)
		}
		is(tenancy.ConsentUnknown, tenancy.VerificationMissing)

		// Asking for more permissions takes nothing away from what was granted.
		w.exec(`UPDATE connections SET consent = 'granted', verification = 'ok'`)
		more := state()
		is(tenancy.ConsentGranted, tenancy.VerificationOK)
		_, err = w.CompleteConsent(ctx, more, "", "access_denied")
		wantErr(t, err, op.ErrConflict)
		is(tenancy.ConsentGranted, tenancy.VerificationOK)
		more = state()
		if _, err = w.CompleteConsent(ctx, more, c.DirectoryID, ""); err != nil {
			t.Error(err)
		}
		is(tenancy.ConsentGranted, tenancy.VerificationOK)

		// Withdrawn consent stays withdrawn until the next verification.
		w.exec(`UPDATE connections SET consent = 'revoked', verification = 'ok'`)
		again := state()
		is(tenancy.ConsentRevoked, tenancy.VerificationOK)
		if _, err = w.CompleteConsent(ctx, again, c.DirectoryID, ""); err != nil {
			t.Error(err)
		}
		is(tenancy.ConsentUnknown, tenancy.VerificationMissing)

		late := state()
		dbtest.SetClockOffset(t, d, 61*time.Minute)
		_, err = w.CompleteConsent(ctx, late, c.DirectoryID, "")
		wantErr(t, err, op.ErrNotFound)
		orphan := state()
		w.exec(`UPDATE members SET role = 'viewer' WHERE user_id = $1`, w.mei.ID())
		_, err = w.CompleteConsent(ctx, orphan, c.DirectoryID, "")
		wantErr(t, err, op.ErrNotFound)
	})
}

// A workload identity replaces a secret, which is deleted. Only a workspace that the
// administrator named may use it.
func TestWorkloadIdentity(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		file := filepath.Join(t.TempDir(), "token")
		claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://issuer.example","sub":"interlock","aud":"api://AzureADTokenExchange"}`))
		if err := os.WriteFile(file, []byte("eyJhbGciOiJSUzI1NiJ9."+claims+".canary"), 0o600); err != nil {
			t.Fatal(err)
		}
		identity, err := workload.New(file, []string{"lattice"})
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(d, w.root, store.Options{Workload: identity})
		w.connection(w.mei, "kestrel", "first")
		secret, err := store.ClientSecret("hunter2hunter2", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RotateCredential(ctx, w.mei, "kestrel", "first", secret); err != nil {
			t.Fatal(err)
		}
		n, err := s.WorkloadIdentity(w.mei)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.RotateCredential(ctx, w.mei, "kestrel", "first", n)
		want := tenancy.CredentialDetails{Issuer: "https://issuer.example", Subject: "interlock", Audience: "api://AzureADTokenExchange"}
		if err != nil || c.Credential != tenancy.WorkloadIdentity || c.CredentialVersion != 2 || c.CredentialExpiresAt != nil || c.CredentialDetails != want {
			t.Fatalf("%+v, %v", c, err)
		}
		if n := w.count(`SELECT COUNT(*) FROM credentials`); n != 0 {
			t.Errorf("%d secrets are kept", n)
		}
		err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
			secret, err := s.Credential(ctx, tx, access.ForRun(c.WorkspaceID, c.TenantID), c)
			if secret.Reveal() != "" {
				t.Error("it has a secret")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if n := w.count(`SELECT COUNT(*) FROM audit_log WHERE data LIKE '%canary%'`); n != 0 {
			t.Error("the audit trail holds the token")
		}
		if c, err = s.RotateCredential(ctx, w.mei, "kestrel", "first", secret); err != nil || c.CredentialDetails != (tenancy.CredentialDetails{}) {
			t.Errorf("a secret has the details of the identity: %+v, %v", c.CredentialDetails, err)
		}
		_, err = s.WorkloadIdentity(w.olga) // of another workspace
		wantField(t, err, "workload_identity")
		if s.ServesWorkload(w.olga) || !s.ServesWorkload(w.mei) {
			t.Error("the wrong workspaces may use it")
		}
		_, err = w.WorkloadIdentity(w.mei) // a server without one
		wantField(t, err, "workload_identity")
	})
}
