//go:build linux && faults

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/vault"
)

// TestFaultsKeyRotation kills the server, and the command that rotates its data keys,
// during rotations. After each kill every credential can be opened, and the server
// starts and works. In the end the same command finishes the rotation.
func TestFaultsKeyRotation(t *testing.T) {
	const credentials = 600 // a dozen transactions of a rotation
	kills := times(t, "KEY_KILLS", 3, 50)
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		root, err := vault.LoadRoot(w.key)
		if err != nil {
			t.Fatal(err)
		}
		d := openDatabase(t, w.database)
		seed := gatetest.Attach(t, d, root)
		lattice := texts(t, d, `SELECT id FROM workspaces WHERE slug = $1`, workspace)[0]
		for i := range credentials {
			slug := fmt.Sprintf("seeded-%d", i)
			seed.Connection(lattice, seed.Tenant(lattice, slug, slug), slug, nil)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		opened := func(when string) {
			t.Helper()
			w.inspect(func(d *db.DB) {
				opened, closed := gatetest.Attach(t, d, root).OpenCredentials()
				for _, c := range closed {
					t.Errorf("%s: %s", when, c)
				}
				if opened != credentials+1 {
					t.Errorf("%s: %d credentials can be opened, want %d", when, opened, credentials+1)
				}
			})
		}

		n := w.start()
		n.readyTenants("kestrel")
		hit := int64(0)
		for kill := 0; kill < kills || hit == 0 && kill < 20*kills; kill++ { // at least one has to hit
			rotation := launch(t, nil, program, w.onDatabase("key", "rotate")...)
			select {
			case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
			case <-rotation.gone: // it finished earlier
			}
			n.kill()
			rotation.kill()
			w.inspect(func(d *db.DB) { hit += number(t, d, `SELECT COUNT(*) FROM key_rotations`) })
			opened(fmt.Sprintf("after kill %d", kill))
			n = n.again()
			if r, err := n.through("kestrel", op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
				t.Fatalf("after kill %d: %v %s: %s", kill, err, r.Words.Code, r.Words.Why)
			}
		}
		if hit == 0 {
			t.Error("no kill hit a rotation in its middle: the test proves nothing")
		}
		w.admin("", "key", "rotate")
		opened("at the end")
		if k := w.status(); k.Rotating || k.Workspaces[0].Old != 0 {
			t.Errorf("the rotation is not finished: %+v", k)
		}
		if r, err := n.through("kestrel", op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
			t.Errorf("after the rotation: %v %s", err, r.Words.Code)
		}
		t.Logf("%d of some %d kills hit a rotation in its middle", hit, kills)
	})
}
