package store_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func to[T any](v T) *T { return &v }

func TestLearn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		c := w.connection(w.mei, "kestrel", "first")
		learn := func(name string, l store.Learned, rises bool) {
			t.Helper()
			before := c.Rev
			w.write(func(ctx context.Context, tx db.Tx) error { return store.Learn(ctx, tx, c.ID, l) })
			v, err := w.Connection(t.Context(), w.access(w.mei, "kestrel"), "first")
			if err != nil {
				t.Fatal(err)
			}
			if c = v.Connection; (c.Rev > before) != rises {
				t.Errorf("%s: rev %d -> %d, want a rise: %v", name, before, c.Rev, rises)
			}
		}
		good := store.Learned{
			Run: access.NewID(), Checks: json.RawMessage(`[{"key":"token"}]`), Verdict: tenancy.VerificationOK,
			Consent: to(tenancy.ConsentGranted), Credential: to(tenancy.CredentialOK), Directory: to(guid("first")), Permissions: to([]string{"B", "A", "B"}),
		}
		learn("everything is good", good, true)
		if c.Consent != tenancy.ConsentGranted || c.ConsentAt == nil || c.CredentialState != tenancy.CredentialOK || c.CredentialCheckedAt == nil ||
			c.ActualDirectoryID != guid("first") || !slices.Equal(c.Permissions, []string{"A", "B"}) || c.PermissionsAt == nil ||
			c.Verification != tenancy.VerificationOK || c.VerifiedAt == nil {
			t.Errorf("%+v", c)
		}
		consented, verified := *c.ConsentAt, *c.VerifiedAt
		learn("the same again", good, false)
		if !c.ConsentAt.Equal(consented) || !c.VerifiedAt.After(verified) {
			t.Errorf("consent known since %s, was %s; verified at %s, was %s", c.ConsentAt, consented, c.VerifiedAt, verified)
		}
		verified = *c.VerifiedAt
		learn("inconclusive", store.Learned{Checks: json.RawMessage(`[]`), Verdict: tenancy.VerificationMissing}, false)
		if c.Verification != tenancy.VerificationOK || !c.VerifiedAt.Equal(verified) {
			t.Errorf("the last good verdict is gone: %+v", c)
		}
		learn("nothing", store.Learned{}, false)
		learn("fewer permissions", store.Learned{Permissions: to([]string{"A"})}, true)
		learn("no permissions", store.Learned{Permissions: to([]string(nil))}, true)
		if c.Permissions == nil {
			t.Error("no permissions are null")
		}
		learn("failed", store.Learned{Verdict: tenancy.VerificationFailed, Reason: op.CredentialInvalid, Credential: to(tenancy.CredentialInvalid)}, true)
		if c.VerificationReason != string(op.CredentialInvalid) {
			t.Errorf("%+v", c)
		}
		learn("another directory", store.Learned{Directory: to(guid("elsewhere"))}, true)
		learn("ok again", store.Learned{Verdict: tenancy.VerificationOK, Credential: to(tenancy.CredentialOK)}, true)
		if c.VerificationReason != "" {
			t.Errorf("%+v", c)
		}
		learn("about a credential that was replaced", store.Learned{Credential: to(tenancy.CredentialInvalid), CredentialVersion: 7}, false)
		if c.CredentialState != tenancy.CredentialOK {
			t.Errorf("%+v", c)
		}

		w.exec(`UPDATE connections SET deleted_at = 1 WHERE id = $1`, c.ID)
		err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error { return store.Learn(ctx, tx, c.ID, good) })
		wantErr(t, err, op.ErrNotFound)
	})
}

func TestConsentThatIsGoneWasWithdrawn(t *testing.T) {
	d := dbtest.New(t, db.SQLite)
	w := newWorld(t, d)
	c := w.connection(w.mei, "kestrel", "first")
	for _, tt := range []struct{ before, seen, want tenancy.Consent }{
		{tenancy.ConsentUnknown, tenancy.ConsentMissing, tenancy.ConsentMissing},
		{tenancy.ConsentMissing, tenancy.ConsentMissing, tenancy.ConsentMissing},
		{tenancy.ConsentPending, tenancy.ConsentMissing, tenancy.ConsentPending},
		{tenancy.ConsentGranted, tenancy.ConsentMissing, tenancy.ConsentRevoked},
		{tenancy.ConsentRevoked, tenancy.ConsentMissing, tenancy.ConsentRevoked},
		{tenancy.ConsentRevoked, tenancy.ConsentGranted, tenancy.ConsentGranted},
		{tenancy.ConsentPending, tenancy.ConsentGranted, tenancy.ConsentGranted},
	} {
		w.exec(`UPDATE connections SET consent = $1`, string(tt.before))
		w.write(func(ctx context.Context, tx db.Tx) error {
			return store.Learn(ctx, tx, c.ID, store.Learned{Consent: &tt.seen})
		})
		v, err := w.Connection(t.Context(), w.access(w.mei, "kestrel"), "first")
		if err != nil || v.Consent != tt.want {
			t.Errorf("%s seen as %s became %s, %v; want %s", tt.before, tt.seen, v.Consent, err, tt.want)
		}
	}
}

func TestVerificationReport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		c := w.connection(w.mei, "kestrel", "first")
		ta := w.access(w.vic, "kestrel")
		_, err := w.Verification(ctx, ta, "")
		wantErr(t, err, op.ErrNotFound)
		run := w.run(c, func(r *op.Run) { r.Operation = op.ConnectionVerify })
		w.write(func(ctx context.Context, tx db.Tx) error {
			return store.Learn(ctx, tx, c.ID, store.Learned{Run: run.ID, Checks: json.RawMessage(`[1]`), Verdict: tenancy.VerificationFailed, Reason: op.ConsentMissing})
		})
		r, err := w.Verification(ctx, ta, "")
		if err != nil || string(r.Checks) != `[1]` || r.Verdict != tenancy.VerificationFailed || r.Reason != op.ConsentMissing ||
			r.Run == nil || r.Run.Code != run.Code || r.Connection.Short != "first" || time.Since(r.At) > time.Minute {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = w.Verification(ctx, w.access(w.olga, "harbour"), c.ID)
		wantErr(t, err, op.ErrNotFound)
	})
}
