package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestSwitch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		h.member("ana", tenancy.Operator, nil, "kestrel")
		h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at)
			SELECT w.id, u.id, 'viewer', 0 FROM workspaces w, users u WHERE w.slug = 'quayside' AND u.email = 'ana@lattice.example'`)
		first, a := h.signIn("ana@lattice.example")

		var places []access.Place
		h.write(func(ctx context.Context, tx db.Tx) (err error) {
			places, err = access.Workspaces(ctx, tx, a)
			return err
		})
		if len(places) != 2 || places[0].Workspace.Slug != "lattice" || places[0].Tenants != 1 || places[0].Role != tenancy.Operator ||
			places[1].Workspace.Name != "Quayside" || places[1].Tenants != 1 || places[1].Role != tenancy.Viewer {
			t.Errorf("workspaces %+v", places)
		}

		second, err := access.Switch(ctx, d, a, "quayside")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := access.Authenticate(ctx, d, first); !bare(err) {
			t.Errorf("the first session: %v, want that it ended", err)
		}
		b, err := access.Authenticate(ctx, d, second)
		if err != nil || b.WorkspaceSlug() != "quayside" || b.Role() != tenancy.Viewer || !b.SignedIn() {
			t.Errorf("the second session: %+v, %v", b, err)
		}
		if _, err := access.Switch(ctx, d, a, "lattice"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("with a session that ended: %v, want not found", err)
		}

		_, mei := h.signIn("mei@lattice.example")
		for _, ref := range []string{"quayside", "nowhere", ""} {
			if _, err := access.Switch(ctx, d, mei, ref); !errors.Is(err, op.ErrNotFound) {
				t.Errorf("to %q, where she is no member: %v, want not found", ref, err)
			}
		}
		token, _, err := access.CreateToken(ctx, d, b, "program", access.SessionIdle, nil)
		if err != nil {
			t.Fatal(err)
		}
		program, err := access.Authenticate(ctx, d, token)
		if err != nil || program.SignedIn() {
			t.Errorf("a token counts as signed in: %v", err)
		}
		if _, err := access.Switch(ctx, d, program, "lattice"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("with a token: %v, want not found", err)
		}
	})
}

// TestRecognizeKeepsNothingAlive: a session ends idle although a page of it asks
// all the time.
func TestRecognizeKeepsNothingAlive(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		secret, mei := h.signIn("mei@lattice.example")
		for hour := range 12 {
			dbtest.SetClockOffset(t, d, time.Duration(hour)*time.Hour)
			if a, err := access.Recognize(t.Context(), d, secret); err != nil || a.ID() != mei.ID() {
				t.Fatalf("after %d hours: %v", hour, err)
			}
		}
		dbtest.SetClockOffset(t, d, access.SessionIdle+time.Minute)
		if _, err := access.Recognize(t.Context(), d, secret); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("after the idle limit: %v", err)
		}
	})
}
