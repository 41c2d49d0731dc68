package worker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/internal/journal"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// tokenClient is a fake provider that signs in with a given token.
type tokenClient struct {
	*fakeClient
	token provider.Token
}

func (c *tokenClient) Token(context.Context) (provider.Token, error) { return c.token, nil }

// TestSignInIsHeldAgainstTheConnection: a run stops before it reads anything when its
// token is for another directory, or carries no permissions.
func TestSignInIsHeldAgainstTheConnection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		for slug, tc := range map[string]struct {
			spoil func(*provider.Token)
			want  string
		}{
			"elsewhere": {func(k *provider.Token) { k.Directory = "11111111-6a3f-4f53-9a1e-0c9d5b7e91d2" }, "failed/tenant_mismatch"},
			"without":   {func(k *provider.Token) { k.Roles = nil }, "failed/consent_revoked"},
		} {
			s.w.cfg.Connect = func(c Connect) (provider.Client, error) {
				k := provider.Token{
					Directory: c.Connection.DirectoryID, ClientID: c.Connection.ClientID,
					Roles: catalogue.EveryPermission(), ExpiresOn: time.Now().Add(time.Hour),
				}
				tc.spoil(&k)
				return &tokenClient{&fakeClient{fake: s.provider, connect: c}, k}, nil
			}
			s.tenant(slug)
			before := s.provider.count()
			run := s.start(slug, op.InventorySync)
			s.deliver(run.ID)
			s.expect(run.ID, tc.want)
			if n := s.provider.count() - before; n != 0 {
				t.Errorf("%s: %d calls after the token, want none", slug, n)
			}
		}
	})
}

// TestQuarantineOutlastsTheLease: a run whose worker is silent keeps its connection
// until the quarantine has passed as well, since a call may still be on its way.
func TestQuarantineOutlastsTheLease(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute, Quarantine: time.Hour})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		c := s.claim(run.ID)
		if _, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence}); err != nil {
			t.Fatal(err)
		}
		rounds := func() {
			t.Helper()
			for range 2 {
				if err := s.round(); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.w.cfg.Lease = time.Nanosecond // this process has watched for long enough
		dbtest.SetClockOffset(t, d, time.Minute+30*time.Minute)
		rounds()
		if got := s.ended(run.ID); got != "running" {
			t.Fatalf("within the quarantine the run is %s, want running", got)
		}
		dbtest.SetClockOffset(t, d, time.Minute+time.Hour+time.Second)
		rounds()
		s.expect(run.ID, "lost")
	})
}

// TestLeaseThatCannotBeRenewedStopsTheWork: a worker that can't renew its lease stops
// by itself when the lease has passed. Another may have the run by then.
func TestLeaseThatCannotBeRenewedStopsTheWork(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: 400 * time.Millisecond})
		s.tenant("kestrel")
		var away atomic.Bool
		s.w.db = d.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
			if away.Load() && strings.Contains(p.SQL, "heartbeat = heartbeat + 1") {
				return db.Unavailable
			}
			return db.NoFault
		}))
		run := s.start("kestrel", op.InventorySync)
		stopped := make(chan error, 1)
		s.provider.set(nil, func(ctx context.Context) error {
			away.Store(true)
			select {
			case <-ctx.Done():
				select {
				case stopped <- context.Cause(ctx):
				default:
				}
				return ctx.Err()
			case <-time.After(30 * time.Second): // by then the lease has passed many times
				return nil
			}
		})
		s.deliver(run.ID)
		select {
		case cause := <-stopped:
			if !errors.Is(cause, errLost) {
				t.Errorf("the work was stopped by %v, want %v", cause, errLost)
			}
		default:
			t.Error("a worker that could not renew its lease went on working")
		}
	})
}

// TestLateAnswerGivesNoMoreTime: the deadline of a call counts from when the lease was
// asked for. A process that stands still before it reads the answer has no time left.
func TestLateAnswerGivesNoMoreTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		c := s.claim(run.ID)
		x, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
		if err != nil {
			t.Fatal(err)
		}
		var began time.Time // the last transaction
		d.WithSteps(func(_ context.Context, p db.Point) {
			if p.Op == db.OpBegin {
				began = time.Now()
			}
		})
		for name, since := range map[string]time.Duration{"read": 0, "renewed": 55 * time.Second} {
			dbtest.SetClockOffset(t, d, since)
			until, err := x.before(t.Context())
			if latest := began.Add(x.def.CallLimit); err != nil || until.After(latest) {
				t.Errorf("%s: the call may take %v longer than its limit: %v", name, until.Sub(latest), err)
			}
		}
		d.WithSteps(nil)
	})
}

// TestSweepKeepsUnfinishedRuns: however old a run is, it stays with its key until it
// has ended.
func TestSweepKeepsUnfinishedRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		res, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceAPI, Key: "k"})
		if err != nil || res.Outcome() != op.Accepted {
			t.Fatalf("%s %v", res.Outcome(), err)
		}
		dbtest.SetClockOffset(t, d, 10*365*24*time.Hour)
		if err := s.w.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"runs", "run_claims", "idempotency_keys", "start_attempts"} {
			if n := s.Int(`SELECT COUNT(*) FROM ` + table); n != 1 {
				t.Errorf("%s has %d rows, want 1", table, n)
			}
		}
	})
}

// TestJournalComparesTheFence: each write of the journal refuses another fence and
// changes nothing then.
func TestJournalComparesTheFence(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Hour})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		c := s.claim(run.ID)
		step := catalogue.Step{Key: "a/create", Item: "a", Name: "a", Look: "Toys, a", Change: provider.Change{Method: "POST", Path: "/toys", Body: []byte(`{}`)}}
		done := catalogue.Settled{State: catalogue.StepDone, Item: op.Item{Key: "a", Name: "a", Result: op.ItemDone}}
		write := func(fn func(ctx context.Context, tx db.Tx) error) error { return d.Write(t.Context(), fn) }
		intend := func(fence int64) error {
			return write(func(ctx context.Context, tx db.Tx) error { return journal.Intend(ctx, tx, run.ID, fence, step) })
		}
		if err := intend(c.Fence - 1); !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("intend: %v, want ErrFenced", err)
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_journal`); n != 0 {
			t.Errorf("%d steps were intended with another fence", n)
		}
		if err := intend(c.Fence); err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func(ctx context.Context, tx db.Tx) error{
			"not made": func(ctx context.Context, tx db.Tx) error {
				return journal.NotMade(ctx, tx, run.ID, c.Fence-1, step.Key)
			},
			"settle": func(ctx context.Context, tx db.Tx) error {
				return journal.Settle(ctx, tx, run.ID, c.Fence-1, step.Key, done)
			},
		} {
			if err := write(do); !errors.Is(err, ledger.ErrFenced) {
				t.Errorf("%s: %v, want ErrFenced", what, err)
			}
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_journal WHERE state = 'open'`); n != 1 {
			t.Errorf("%d open steps, want 1", n)
		}
	})
}
