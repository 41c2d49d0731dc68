package flow_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// world is a tenant Kestrel with one connection that is ready.
type world struct {
	*gatetest.World
	*flow.Flow
	t          *testing.T
	gate       *gate.Gate
	connection string
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{World: gatetest.New(t, d), t: t}
	w.connection = w.Connection(w.Workspace, w.Tenant(w.Workspace, "kestrel", "Kestrel Logistics"), "kestrel", nil)
	var err error
	if w.gate, err = gate.New(d, w.Store, gate.Config{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	w.Flow = flow.New(d, w.Store, w.gate)
	return w
}

// start starts a run, which a worker has begun when running is true.
func (w *world) start(running bool) *op.RunRef {
	w.t.Helper()
	res, err := w.gate.Start(w.t.Context(), w.Operator, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceAPI})
	if err != nil || res.Outcome() != op.Accepted {
		w.t.Fatalf("%v, %v", res.Outcome(), err)
	}
	if running {
		w.Exec(`UPDATE run_claims SET lease_until = interlock_now() + 60000000, boot_id = 'b' WHERE run_id = $1`, res.Run().ID)
		w.Exec(`UPDATE runs SET state = 'running', began_at = interlock_now() WHERE id = $1`, res.Run().ID)
	}
	return res.Run()
}

// reopen removes every run and makes the connection ready again.
func (w *world) reopen() {
	w.Wipe()
	w.Exec(`UPDATE connections SET enabled = TRUE, consent = 'granted', rev = rev + 1`)
}

// stopped returns how a run is being stopped: its state, why and by whom.
func (w *world) stopped(run *op.RunRef) (said string) {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT state || ' ' || cancel_reason || ' ' || cancel_by FROM runs WHERE id = $1`, run.ID).Scan(&said)
	})
	return said
}

// closings are the changes that stop the run of a connection.
func (w *world) closings() map[op.Reason]func(context.Context, access.Actor) (tenancy.Connection, error) {
	return map[op.Reason]func(context.Context, access.Actor) (tenancy.Connection, error){
		op.ConnectionDisabled: func(ctx context.Context, a access.Actor) (tenancy.Connection, error) {
			return w.DisableConnection(ctx, a, "kestrel", "kestrel")
		},
		op.ConsentRevoked: func(ctx context.Context, a access.Actor) (tenancy.Connection, error) {
			return w.RevokeConsent(ctx, a, "kestrel", "kestrel")
		},
	}
}

// TestClosingAConnectionStopsItsRun closes a connection while a run works on it,
// and again when it is closed already.
func TestClosingAConnectionStopsItsRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		for why, closing := range w.closings() {
			w.reopen()
			run := w.start(true)
			c, err := closing(t.Context(), w.Owner)
			if err != nil || c.Enabled == (why == op.ConnectionDisabled) || (c.Consent == tenancy.ConsentRevoked) != (why == op.ConsentRevoked) {
				t.Errorf("%s: %+v, %v", why, c, err)
			}
			if got, want := w.stopped(run), "cancelling "+string(why)+" "+w.Owner.Name(); got != want {
				t.Errorf("%s: the run is %q, want %q", why, got, want)
			}
			// What is closed already stops nothing, and is not put on record again.
			w.Exec(`UPDATE runs SET state = 'running', cancel_by = '', cancel_reason = '' WHERE id = $1`, run.ID)
			records := w.Int(`SELECT COUNT(*) FROM audit_log`)
			again, err := closing(t.Context(), w.Owner)
			if err != nil || again.Rev != c.Rev || w.Int(`SELECT COUNT(*) FROM audit_log`) != records {
				t.Errorf("%s again: rev %d -> %d, %v", why, c.Rev, again.Rev, err)
			}
			if got := w.stopped(run); got != "running  " {
				t.Errorf("%s again: the run is %q", why, got)
			}
		}
	})
}

// TestAQueuedRunIsLeftToTheRecheck: a closed connection leaves a queued run in the
// queue, where a worker blocks it.
func TestAQueuedRunIsLeftToTheRecheck(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		for why, closing := range w.closings() {
			w.reopen()
			run := w.start(false)
			if _, err := closing(t.Context(), w.Owner); err != nil {
				t.Fatal(err)
			}
			if got := w.stopped(run); got != "queued  " {
				t.Errorf("%s: the run is %q", why, got)
			}
		}
	})
}

// TestClosingIsOneTransaction fails a closing at each of its points in each way:
// the connection is closed if and only if its run is stopped and the change is on
// record.
func TestClosingIsOneTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		run := w.start(true)
		for why, closing := range w.closings() {
			tried, closed := 0, 0
			for _, fault := range []db.Fault{db.Unavailable, db.Busy, db.Timeout, db.ExecuteAndTimeout} {
				for n := 1; ; n++ {
					w.Exec(`UPDATE connections SET enabled = TRUE, consent = 'granted'`)
					w.Exec(`UPDATE runs SET state = 'running', cancel_by = '', cancel_reason = '' WHERE id = $1`, run.ID)
					records := w.Int(`SELECT COUNT(*) FROM audit_log`)
					f := db.FaultAt(n, fault)
					d.WithFaults(f)
					_, err := closing(t.Context(), w.Owner)
					d.WithFaults(nil)
					is := w.Int(`SELECT COUNT(*) FROM connections WHERE NOT enabled OR consent = 'revoked'`)
					stopped := w.Int(`SELECT COUNT(*) FROM runs WHERE state = 'cancelling' AND cancel_reason = $1`, string(why))
					recorded := w.Int(`SELECT COUNT(*) FROM audit_log`) - records
					if is != stopped || is != recorded {
						t.Errorf("%s, %s at point %d: %d closed, %d stopped, %d on record", why, fault, n, is, stopped, recorded)
					}
					if err == nil && is == 0 {
						t.Errorf("%s, %s at point %d: nothing happened, without an error", why, fault, n)
					}
					closed += int(is)
					if tried++; len(f.Hits()) == 0 {
						break
					}
				}
			}
			if tried < 20 || closed < 4 || closed == tried {
				t.Errorf("%s: %d points were tried, %d of them closed the connection", why, tried, closed)
			}
		}
	})
}

func TestDeleteConnectionDropsItsData(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		key := mirror.Key{Workspace: w.Workspace, Tenant: "t", Connection: w.connection, Name: "groups", Run: access.NewID()}
		w.Write(func(ctx context.Context, tx db.Tx) error {
			g, err := mirror.BeginRound(ctx, tx, key, true)
			if err != nil {
				return err
			}
			if err := mirror.PutRows(ctx, tx, key, g, []mirror.Record{{ID: "g1", Name: "Drivers", Data: []byte(`{}`)}}); err != nil {
				return err
			}
			_, err = mirror.CommitRound(ctx, tx, key, g, mirror.Committed{Delta: "d"})
			return err
		})
		run := w.start(false)
		err := w.DeleteConnection(ctx, w.Owner, "kestrel", "kestrel")
		if !errors.Is(err, op.ErrConflict) || !strings.Contains(err.Error(), run.Code) {
			t.Errorf("a connection that run %s holds: %v", run.Code, err)
		}
		shown := func() int64 { return w.Int(`SELECT COUNT(*) FROM generations WHERE NOT retired`) }
		if shown() != 1 {
			t.Error("a refused removal dropped what was read")
		}
		if _, err := w.gate.Cancel(ctx, w.Owner, run.Code); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteConnection(ctx, w.Owner, "kestrel", "kestrel"); err != nil {
			t.Fatal(err)
		}
		if shown() != 0 {
			t.Error("what was read through the connection is still shown")
		}
		if err := w.DeleteConnection(ctx, w.Owner, "kestrel", "kestrel"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("a second removal: %v", err)
		}
	})
}

func TestWhoMayCloseAConnection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := newWorld(t, d), t.Context()
		for _, tt := range []struct {
			who  access.Actor
			want error
		}{{w.Viewer, op.ErrForbidden}, {w.Operator, op.ErrForbidden}, {w.Outsider, op.ErrNotFound}} {
			for why, closing := range w.closings() {
				if _, err := closing(ctx, tt.who); !errors.Is(err, tt.want) {
					t.Errorf("%s by %s: %v, want %v", why, tt.who.Name(), err, tt.want)
				}
			}
			if err := w.DeleteConnection(ctx, tt.who, "kestrel", "kestrel"); !errors.Is(err, tt.want) {
				t.Errorf("delete by %s: %v, want %v", tt.who.Name(), err, tt.want)
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM connections WHERE enabled AND consent = 'granted' AND deleted_at IS NULL`); n != 1 {
			t.Error("a refused change was made")
		}
	})
}
