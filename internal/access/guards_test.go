package access_test

import (
	"errors"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestAnyEndIsEnough: a disabled account, a revoked session and one that has expired
// each authorize nothing by themselves. The product does the first two together.
func TestAnyEndIsEnough(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		h.member("ana", tenancy.Operator, nil)
		_, ana := h.signIn("ana@lattice.example")
		for what, change := range map[string]struct{ end, undo string }{
			"a disabled account":            {`UPDATE users SET disabled_at = 1 WHERE id = $1`, `UPDATE users SET disabled_at = NULL WHERE id = $1`},
			"a revoked session":             {`UPDATE tokens SET revoked_at = 1 WHERE user_id = $1`, `UPDATE tokens SET revoked_at = NULL WHERE user_id = $1`},
			"a session that is out of date": {`UPDATE tokens SET expires_at = expires_at - 900000000000000 WHERE user_id = $1`, `UPDATE tokens SET expires_at = expires_at + 900000000000000 WHERE user_id = $1`},
		} {
			if _, err := h.authorize(ana, "kestrel", tenancy.View); err != nil {
				t.Fatalf("before %s: %v", what, err)
			}
			h.exec(change.end, ana.ID())
			if _, err := h.authorize(ana, "kestrel", tenancy.View); !errors.Is(err, op.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", what, err)
			}
			h.exec(change.undo, ana.ID())
		}
	})
}
