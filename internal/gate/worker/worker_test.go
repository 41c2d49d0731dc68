package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

// shop is a world with a gate and a worker whose deliveries the test makes itself.
type shop struct {
	*gatetest.World
	gate     *gate.Gate
	w        *Worker
	provider *fake
	t        *testing.T
}

func newShop(t *testing.T, d *db.DB, cfg Config) *shop {
	t.Helper()
	world := gatetest.New(t, d)
	f := &fake{}
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Connect = func(c Connect) (provider.Client, error) { return &fakeClient{fake: f, connect: c}, nil }
	if cfg.Lease == 0 {
		cfg.Lease = 2 * time.Second
	}
	w, err := New(d, world.Store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(d, world.Store, gate.Config{Quarantine: w.cfg.Quarantine, Silent: w.Silent, Logger: cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{World: world, gate: g, w: w, provider: f, t: t}
}

// tenant adds a tenant with a connection that is ready.
func (s *shop) tenant(slug string) (connection string) {
	s.t.Helper()
	return s.Connection(s.Workspace, s.Tenant(s.Workspace, slug, "Tenant "+slug), slug, nil)
}

func (s *shop) start(tenant string, kind op.Kind) op.RunRef {
	s.t.Helper()
	res, err := s.gate.Start(s.t.Context(), s.Operator, op.Request{Tenant: tenant, Kind: kind, Surface: op.SurfaceAPI})
	if err != nil || res.Outcome() != op.Accepted {
		s.t.Fatalf("start %s on %s: %s %v %v", kind, tenant, res.Outcome(), res.Causes(), err)
	}
	return *res.Run()
}

func (s *shop) claim(run string) *ledger.Claim {
	s.t.Helper()
	var c *ledger.Claim
	err := s.DB.Read(s.t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
		c, err = ledger.OfRun(ctx, tx, run)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// claims returns all of them.
func (s *shop) claims() (all []*ledger.Claim, err error) {
	err = s.DB.Read(s.t.Context(), func(ctx context.Context, tx db.Tx) error {
		var runs []string
		rows, err := tx.Query(ctx, `SELECT run_id FROM run_claims ORDER BY scope`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var run string
			if err := rows.Scan(&run); err != nil {
				return err
			}
			runs = append(runs, run)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		all = nil
		for _, run := range runs {
			c, err := ledger.OfRun(ctx, tx, run)
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// round runs all maintenance once.
func (s *shop) round() error {
	return errors.Join(s.w.reapRound(s.t.Context()), s.w.lineRound(s.t.Context()))
}

// deliver hands the run to the worker as its job would.
func (s *shop) deliver(run string) {
	s.t.Helper()
	s.delivery(run)()
}

// delivery is deliver for a goroutine that is not the test's.
func (s *shop) delivery(run string) func() {
	s.t.Helper()
	c := s.claim(run)
	if c == nil {
		s.t.Fatalf("run %s holds no claim", run)
	}
	return func() { s.w.handle(s.t.Context(), c.JobID, queue.Args{RunID: run, Fence: c.Fence}) }
}

// ended returns how the run ended, as its row says: "outcome/reason".
func (s *shop) ended(run string) string {
	s.t.Helper()
	var state, outcome, cause string
	err := s.DB.Read(s.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT state, outcome, cause FROM runs WHERE id = $1`, run).Scan(&state, &outcome, &cause)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if state != "finished" {
		return state
	}
	var c op.Cause
	if cause != "" {
		if err := json.Unmarshal([]byte(cause), &c); err != nil {
			s.t.Fatal(err)
		}
		return outcome + "/" + string(c.Code)
	}
	return outcome
}

func (s *shop) badItems(run string) (bad string) {
	s.t.Helper()
	err := s.DB.Read(s.t.Context(), func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT key, result, reason, args FROM run_items WHERE run_id = $1 AND result NOT IN ('done', 'created', 'updated') ORDER BY seq`, run)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key, result, reason, args string
			if err := rows.Scan(&key, &result, &reason, &args); err != nil {
				return err
			}
			bad += fmt.Sprintf("%s %s %s %s; ", key, result, reason, args)
		}
		return rows.Err()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return bad
}

func (s *shop) expect(run, want string) {
	s.t.Helper()
	if got := s.ended(run); got != want {
		s.t.Errorf("run ended as %s, want %s; its bad items: %s", got, want, s.badItems(run))
	}
	if wrong := s.Audit(); len(wrong) > 0 {
		s.t.Errorf("auditor: %s", strings.Join(wrong, "; "))
	}
}

// fake is a provider that a test scripts. calls counts what it was asked.
type fake struct {
	mu    sync.Mutex
	calls int
	fail  error                           // what every call answers, when set
	pages error                           // what pages of lists answer, when set
	org   string                          // the organization that is read; empty: the connection's
	hook  func(ctx context.Context) error // runs inside every call
}

func (f *fake) set(fail error, hook func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.hook = fail, hook
}

// setPages makes every page of a list answer err.
func (f *fake) setPages(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages = err
}

func (f *fake) setOrganization(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.org = id
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

type fakeClient struct {
	*fake
	connect Connect
}

func (c *fakeClient) call(ctx context.Context) error {
	if _, err := c.connect.Before(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.calls++
	fail, hook := c.fail, c.hook
	c.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return err
		}
	}
	return fail
}

func (c *fakeClient) Discover(ctx context.Context) error { return c.call(ctx) }

func (c *fakeClient) Token(ctx context.Context) (provider.Token, error) {
	if err := c.call(ctx); err != nil {
		return provider.Token{}, err
	}
	return provider.Token{
		Directory: c.connect.Connection.DirectoryID, ClientID: c.connect.Connection.ClientID,
		Roles: catalogue.EveryPermission(), ExpiresOn: time.Now().Add(time.Hour),
	}, nil
}

func (c *fakeClient) Get(ctx context.Context, path string) (json.RawMessage, error) {
	if err := c.call(ctx); err != nil {
		return nil, err
	}
	if strings.Contains(path, "organization") {
		c.mu.Lock()
		id := cmp.Or(c.org, c.connect.Connection.DirectoryID)
		c.mu.Unlock()
		return json.RawMessage(fmt.Sprintf(`{"value":[{"id":%q,"displayName":"T","verifiedDomains":[]}]}`, id)), nil
	}
	if strings.Contains(path, "/roleAssignments/") { // that of the page below, whole
		return json.RawMessage(`{"id":"1","displayName":"One","settingCount":0}`), nil
	}
	// Whatever is asked for: an object with its expanded parts, an empty list, or counts.
	return json.RawMessage(`{"id":"1","displayName":"One","settingCount":0,"value":[],"assignments":[],"scheduledActionsForRule":[],"compliantDeviceCount":1,"nonCompliantDeviceCount":0,"inGracePeriodCount":0,"errorDeviceCount":0,"conflictDeviceCount":0,"unknownDeviceCount":0,"notApplicableDeviceCount":0,"remediatedDeviceCount":0,"configManagerCount":0,"successCount":1,"failedCount":0}`), nil
}

func (c *fakeClient) Page(ctx context.Context, next string) (provider.Page, error) {
	if err := c.call(ctx); err != nil {
		return provider.Page{}, err
	}
	c.mu.Lock()
	refused := c.pages
	c.mu.Unlock()
	if refused != nil {
		return provider.Page{}, refused
	}
	page := provider.Page{Items: []json.RawMessage{json.RawMessage(`{"id":"1","displayName":"One","settingCount":0}`)}}
	if strings.Contains(next, "organization") {
		page.Items[0] = json.RawMessage(fmt.Sprintf(`{"id":%q,"displayName":"T"}`, c.connect.Connection.DirectoryID))
	}
	if strings.Contains(next, "delta") {
		page.Delta = "https://graph.example/v1.0/groups/delta?$deltatoken=1"
	}
	return page, nil
}

func (c *fakeClient) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	return providertest.Batch(ctx, c, paths)
}

func TestRunSucceeds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		runs := 0
		for _, def := range catalogue.All() {
			if def.Input { // restores have tests of their own
				continue
			}
			run := s.start("kestrel", def.Kind)
			s.deliver(run.ID)
			s.expect(run.ID, "succeeded")
			runs++
		}
		if n := s.Int(`SELECT COUNT(*) FROM notifications WHERE user_id = $1`, s.Operator.ID()); n != int64(runs) {
			t.Errorf("%d notifications to the starter, want one for each run", n)
		}
	})
}

// What was true at the click is looked at again before the provider is touched.
func TestRecheckBlocksBeforeTheProviderIsTouched(t *testing.T) {
	cases := []struct{ name, sql, want string }{
		{"member removed", `DELETE FROM members WHERE role = 'operator'`, "blocked/authorization_lost"},
		{"capability taken", `UPDATE members SET denied = '["inventory.sync"]'`, "blocked/authorization_lost"},
		{"person disabled", `UPDATE users SET disabled_at = 1 WHERE name = 'Ana Ruiz'`, "blocked/authorization_lost"},
		{"connection disabled", `UPDATE connections SET enabled = FALSE`, "blocked/connection_disabled"},
		{"connection removed", `UPDATE connections SET deleted_at = 1`, "blocked/connection_removed"},
		{"directory changed", `UPDATE connections SET directory_id = 'other', actual_directory_id = 'other'`, "blocked/connection_changed"},
		{"consent withdrawn", `UPDATE connections SET consent = 'revoked'`, "blocked/consent_revoked"},
		{"credential refused", `UPDATE connections SET credential_state = 'invalid'`, "blocked/credential_invalid"},
		{"tenant archived", `UPDATE tenants SET status = 'archived'`, "blocked/tenant_archived"},
		{"waited too long", `UPDATE run_claims SET queue_until = 1`, "blocked/expired_in_queue"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s := newShop(t, d, Config{})
				s.tenant("kestrel")
				run := s.start("kestrel", op.InventorySync)
				s.Exec(tc.sql)
				s.deliver(run.ID)
				s.expect(run.ID, tc.want)
				if n := s.provider.count(); n != 0 {
					t.Errorf("%d provider calls were made", n)
				}
			})
		})
	}
}

// A run whose every item was refused failed because the provider refused it: the
// reason of an item is none of a run.
func TestRefusedItemsAreARefusedRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.set(nil, func(context.Context) error {
			if s.provider.count() <= 2 { // signing in goes well, and it is the right directory
				return nil
			}
			return &provider.Error{Reason: op.ProviderRejected, Status: 400, Message: "Bad filter"}
		})
		s.deliver(run.ID)
		s.expect(run.ID, "failed/provider_rejected")
	})
}

// An operation that ends its run as failed for a reason of its own is told with its facts,
// although items were completed, and nothing is tried again.
func TestErrorOfARunIsTold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.set(nil, func(context.Context) error {
			if s.provider.count() <= 3 { // signing in goes well, and so does the first list
				return nil
			}
			return &catalogue.RunError{Reason: op.RestoreRefused, Args: op.Args{"detail": "the backup was removed"}}
		})
		c := s.claim(run.ID)
		s.deliver(run.ID)
		s.expect(run.ID, "failed/restore_refused")
		r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
		if why := op.DescribeRun(r, time.Now()).Why; err != nil || !strings.Contains(why, "can't plan this restore: the backup was removed.") {
			t.Errorf("it says %q, %v", why, err)
		}
	})
}

// A run that fails for want of an answer tells since when there was none, and not
// how long it had worked.
func TestSilenceIsTold(t *testing.T) {
	for silence, want := range map[time.Duration]string{
		62*time.Second + time.Millisecond: "Microsoft 365 didn't respond for 1 minute 2 seconds.",
		0:                                 "Microsoft 365 didn't respond for some time.",
	} {
		dbtest.Each(t, func(t *testing.T, d *db.DB) {
			s := newShop(t, d, Config{})
			s.tenant("kestrel")
			run := s.start("kestrel", op.InventorySync)
			c := s.claim(run.ID)
			s.provider.set(nil, func(context.Context) error {
				switch s.provider.count() {
				case 3:
					dbtest.SetClockOffset(t, d, 5*time.Minute) // it works for long, and gets answers
				case 4:
					return &provider.Error{Reason: op.ProviderUnreachable, Silence: silence}
				}
				return nil
			})
			s.deliver(run.ID)
			s.expect(run.ID, "failed/provider_unreachable")
			r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
			if err != nil {
				t.Fatal(err)
			}
			if words := op.DescribeRun(r, time.Now()); !strings.HasPrefix(words.Why, want) {
				t.Errorf("%q, want %q", words.Why, want)
			}
		})
	}
}

func TestThrottledRunGoesBackInLine(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.DirectoryGroupsSync)
		before := s.claim(run.ID)
		s.provider.set(&provider.Error{Reason: op.ProviderThrottled, Temporary: true, RetryAfter: 90 * time.Second}, nil)
		s.deliver(run.ID)
		after := s.claim(run.ID)
		if after == nil || after.State != op.Queued || after.Fence <= before.Fence || after.Dispatch != 1 || after.Lease != nil {
			t.Fatalf("claim after a throttled run: %+v", after)
		}
		if after.WaitingUntil == nil || after.WaitingUntil.Sub(after.Now) < 80*time.Second {
			t.Errorf("it waits until %v, want about 90 s from now", after.WaitingUntil)
		}
		// Its old delivery is worth nothing any more.
		calls := s.provider.count()
		s.w.handle(t.Context(), before.JobID, queue.Args{RunID: run.ID, Fence: before.Fence})
		if s.provider.count() != calls {
			t.Error("a delivery with an old fence was worked on")
		}
	})
}

// A provider that limits the rate for an hour and says until when uses up none of a run's
// tries: the worker is given back each time, and the run then reads everything. Only the
// run's time limit ends it.
func TestReadingRunThrottledForAnHour(t *testing.T) {
	for _, kind := range []op.Kind{op.InventorySync, op.DirectoryGroupsSync} {
		t.Run(string(kind), func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s := newShop(t, d, Config{})
				s.tenant("kestrel")
				moved := time.Duration(0)
				throttle := func(until, wait time.Duration, run string) {
					s.provider.setPages(&provider.Error{Reason: op.ProviderThrottled, Temporary: true, RetryAfter: wait})
					for until += moved; moved < until && s.claim(run) != nil; {
						s.deliver(run)
						c := s.claim(run)
						if c == nil {
							return
						}
						if c.State != op.Queued || c.Dispatch != 1 || c.Lease != nil || c.WaitingUntil == nil || c.WaitingUntil.Sub(c.Now) < wait-time.Second {
							t.Fatalf("throttled for %s: %+v", moved, c)
						}
						moved += wait
						dbtest.SetClockOffset(t, d, moved)
					}
				}
				run := s.start("kestrel", kind)
				throttle(time.Hour, 5*time.Minute, run.ID)
				s.provider.setPages(nil)
				s.deliver(run.ID)
				s.expect(run.ID, "succeeded")

				run = s.start("kestrel", kind)
				c := s.claim(run.ID)
				throttle(5*time.Hour, 30*time.Minute, run.ID)
				s.expect(run.ID, "failed/provider_throttled")
				r, err := s.Store.Run(t.Context(), access.ForRun(c.Workspace, c.Tenant), run.ID)
				if err != nil {
					t.Fatal(err)
				}
				if why := op.DescribeRun(r, time.Now().Add(moved)).Why; !strings.Contains(why, "which is longer than the run can wait") {
					t.Errorf("throttled past its limit: %q", why)
				}
			})
		})
	}
}

// A consent that is not active yet is waited for, and each time uses up a try: the provider
// may never activate it.
func TestConsentThatSettlesUsesUpTries(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.set(&provider.Error{Reason: op.ConsentSettling, Temporary: true, RetryAfter: 30 * time.Second}, nil)
		for range 3 {
			s.deliver(run.ID)
		}
		s.expect(run.ID, "failed/consent_settling")
	})
}

// A provider that asks for a moment each time is asked again after the usual wait.
func TestShortWaitsAreNotAskedAllTheTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Backoff: 15 * time.Second})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.setPages(&provider.Error{Reason: op.ProviderThrottled, Temporary: true, RetryAfter: time.Millisecond})
		s.deliver(run.ID)
		if c := s.claim(run.ID); c.WaitingUntil == nil || c.WaitingUntil.Sub(c.Now) < 14*time.Second {
			t.Errorf("it waits until %v", c.WaitingUntil)
		}
	})
}

// Items that a try did not reach are reported when the run ends, not while another try may reach them.
func TestNotReachedIsSaidAtTheEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		throttled := &provider.Error{Reason: op.ProviderThrottled, Temporary: true}
		s.provider.setPages(throttled) // signing in goes well, and it is the right directory
		tries := 0
		notReached := func() int64 {
			return s.Int(`SELECT COUNT(*) FROM run_items WHERE run_id = $1 AND reason = $2`, run.ID, string(op.ItemNotReached))
		}
		for s.claim(run.ID) != nil {
			if n := notReached(); n != 0 {
				t.Fatalf("%d items are said not to be reached after %d tries, and the run is in line", n, tries)
			}
			s.deliver(run.ID)
			tries++
		}
		s.expect(run.ID, "failed/provider_throttled")
		if n := notReached(); n == 0 || tries < 2 {
			t.Errorf("%d items are said not to be reached at the end of %d tries", n, tries)
		}
	})
}

func TestCancelStopsARunningRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Heartbeat: 20 * time.Millisecond})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		entered := make(chan struct{})
		var once sync.Once
		s.provider.set(nil, func(ctx context.Context) error {
			once.Do(func() { close(entered) })
			<-ctx.Done()
			return ctx.Err()
		})
		done := make(chan struct{})
		deliver := s.delivery(run.ID)
		go func() { defer close(done); deliver() }()
		<-entered
		if _, err := s.gate.Cancel(t.Context(), s.Owner, run.Code); err != nil {
			t.Fatal(err)
		}
		<-done
		s.expect(run.ID, "cancelled")
	})
}

func TestDisableStopsARunningRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Heartbeat: 20 * time.Millisecond})
		conn := s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.set(nil, func(ctx context.Context) error {
			return s.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				if _, err := tx.Exec(ctx, `UPDATE connections SET enabled = FALSE, rev = rev + 1 WHERE id = $1`, conn); err != nil {
					return err
				}
				return s.gate.StopConnection(ctx, tx, conn, op.Person{Name: "Mei Tan"}, op.ConnectionDisabled)
			})
		})
		s.deliver(run.ID)
		s.expect(run.ID, "failed/connection_disabled")
		if n := s.provider.count(); n != 1 {
			t.Errorf("%d provider calls, want none after the disable", n)
		}
	})
}

// A worker that lost its run changes nothing and makes no call, whatever it does.
func TestZombieChangesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		entered, wake := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.provider.set(nil, func(context.Context) error {
			once.Do(func() { close(entered); <-wake }) // sleeps in its first call
			return nil
		})
		done := make(chan struct{})
		deliver := s.delivery(run.ID)
		go func() { defer close(done); deliver() }()
		<-entered
		c := s.claim(run.ID)
		s.Write(func(ctx context.Context, tx db.Tx) error { // the reaper took it away
			_, err := tx.Exec(ctx, `UPDATE run_claims SET lease_until = 1 WHERE run_id = $1`, run.ID)
			return err
		})
		s.w.cfg.Lease = time.Nanosecond
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		if got := s.ended(run.ID); got != "lost" {
			t.Fatalf("the reaper left the run %s, want lost", got)
		}
		s.w.cfg.Lease = time.Minute
		next := s.start("kestrel", op.DirectoryGroupsSync)
		before := s.Int(`SELECT COUNT(*) FROM run_items`)
		calls := s.provider.count()
		close(wake)
		<-done
		if n := s.provider.count(); n != calls {
			t.Errorf("%d new provider calls by a worker that had lost its run", n-calls)
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_items`); n != before {
			t.Errorf("%d items written with an old fence", n-before)
		}
		if n := s.Int(`SELECT COUNT(*) FROM run_events WHERE run_id = $1 AND kind = 'late' AND fence = $2`, run.ID, c.Fence); n != 1 {
			t.Errorf("%d late notes, want 1", n)
		}
		if s.claim(next.ID) == nil {
			t.Error("the next run lost its claim")
		}
		s.expect(run.ID, "lost")
	})
}

func TestForceRelease(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		entered, wake := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.provider.set(nil, func(context.Context) error {
			once.Do(func() { close(entered); <-wake })
			return nil
		})
		done := make(chan struct{})
		deliver := s.delivery(run.ID)
		go func() { defer close(done); deliver() }()
		<-entered
		if _, err := s.gate.Release(t.Context(), s.Owner, run.Code, "stuck since noon"); err != nil {
			t.Fatal(err)
		}
		res, err := s.gate.Start(t.Context(), s.Operator, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceAPI})
		if err != nil || res.Outcome() != op.ScopeBusy || res.Causes()[0].Code != op.ScopeQuarantined {
			t.Fatalf("a start during the quarantine: %s %v %v", res.Outcome(), res.Causes(), err)
		}
		calls := s.provider.count()
		close(wake)
		<-done
		if n := s.provider.count(); n != calls {
			t.Errorf("%d calls by a worker whose run was released", n-calls)
		}
		dbtest.SetClockOffset(t, d, 2*time.Minute)
		s.w.cfg.Lease = time.Nanosecond
		for range 2 {
			if err := s.round(); err != nil {
				t.Fatal(err)
			}
		}
		s.expect(run.ID, "lost")
		s.start("kestrel", op.InventorySync)
	})
}

// A jump of the database's clock kills no healthy run, and strands none that is dead.
func TestClockJumps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		begin := func() {
			c := s.claim(run.ID)
			if _, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence}); err != nil {
				t.Fatal(err)
			}
		}
		begin()
		dbtest.SetClockOffset(t, d, 2*time.Hour)
		for range 3 {
			if err := s.round(); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.ended(run.ID); got != "running" {
			t.Fatalf("a clock that jumped forward made a healthy run %s", got)
		}
		dbtest.SetClockOffset(t, d, -24*time.Hour)
		s.w.cfg.Lease, s.w.cfg.Quarantine = time.Nanosecond, time.Nanosecond
		for range 2 {
			if err := s.round(); err != nil {
				t.Fatal(err)
			}
		}
		s.expect(run.ID, "lost")
	})
}

func TestReconcilerSendsAnew(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		before := s.claim(run.ID)
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		if c := s.claim(run.ID); c.Fence != before.Fence {
			t.Fatal("a run whose job waits was sent anew")
		}
		s.Exec(`DELETE FROM river_job`)
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		if c := s.claim(run.ID); c.Fence <= before.Fence || c.JobID == before.JobID {
			t.Fatalf("a run without a job was not sent anew: %+v", c)
		}
		s.deliver(run.ID)
		s.expect(run.ID, "succeeded")
	})
}

func TestQueueLimitEndsARunThatNobodyTakes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		dbtest.SetClockOffset(t, d, 3*time.Hour)
		if err := s.round(); err != nil {
			t.Fatal(err)
		}
		s.expect(run.ID, "blocked/expired_in_queue")
	})
}

func TestPanicEndsTheRunNotTheProcess(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.set(nil, func(context.Context) error { panic("nil map") })
		s.deliver(run.ID)
		s.expect(run.ID, "failed/internal_fault")
	})
}

// The run's state machine against random starts, deliveries, crashes, reaping,
// cancelling and force release. The auditor looks at the database after each step.
func TestEveryScheduleKeepsThePromises(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{Lease: time.Minute, Quarantine: 30 * time.Second})
		tenants := []string{"kestrel", "marlow", "alder"}
		for _, slug := range tenants {
			s.tenant(slug)
		}
		kinds := []op.Kind{op.InventorySync, op.DirectoryGroupsSync, op.ConnectionVerify}
		actors := []access.Actor{s.Operator, s.Second, s.Owner}
		rapid.Check(t, func(rt *rapid.T) {
			s.Wipe()
			clock := time.Duration(0)
			dbtest.SetClockOffset(t, d, clock)
			s.w.cfg.Lease = time.Minute
			alive := map[string]*execution{} // runs that a worker of ours works on
			fences := map[string]int64{}
			over := map[string]string{}
			ctx := t.Context()
			pick := func(state ...op.State) *ledger.Claim {
				var some []*ledger.Claim
				claims, err := s.claims()
				if err != nil {
					rt.Fatal(err)
				}
				for _, c := range claims {
					for _, want := range state {
						if c.State == want {
							some = append(some, c)
						}
					}
				}
				if len(some) == 0 {
					rt.Skip("no such run")
				}
				return rapid.SampledFrom(some).Draw(rt, "run")
			}
			ok := func(err error) {
				if err != nil && !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, op.ErrConflict) {
					rt.Fatal(err)
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"start": func(rt *rapid.T) {
					req := op.Request{Tenant: rapid.SampledFrom(tenants).Draw(rt, "tenant"), Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), Surface: op.SurfaceAPI}
					req.Key = rapid.SampledFrom([]string{"", access.NewID()}).Draw(rt, "key")
					res, err := s.gate.Start(ctx, rapid.SampledFrom(actors).Draw(rt, "actor"), req)
					if err != nil {
						rt.Fatal(err)
					}
					switch res.Outcome() {
					case op.Deduped:
						if res.Run() == nil {
							rt.Fatal("deduped without a run")
						}
					case op.ScopeBusy:
						if res.Holder() == nil && !res.HolderHidden() {
							rt.Fatal("busy without a holder")
						}
					case op.Blocked:
						rt.Fatalf("blocked: %v", res.Causes())
					case op.Accepted:
					}
				},
				"deliver": func(rt *rapid.T) {
					c := pick(op.Queued, op.Running)
					fence := c.Fence - rapid.Int64Range(0, 1).Draw(rt, "stale")
					x, err := s.w.claim(ctx, c.JobID, queue.Args{RunID: c.RunID, Fence: fence})
					ok(err)
					if x != nil {
						if fence != c.Fence || c.State != op.Queued {
							rt.Fatal("a stale delivery was worked on")
						}
						x.log = s.w.cfg.Logger
						alive[c.RunID] = x
					}
				},
				"beat": func(rt *rapid.T) {
					c := pick(op.Running, op.Cancelling)
					if x := alive[c.RunID]; x != nil {
						_, err := x.renew(ctx)
						ok(err)
					}
				},
				"settle": func(rt *rapid.T) {
					c := pick(op.Running, op.Cancelling)
					x := alive[c.RunID]
					if x == nil {
						rt.Skip("its worker has crashed")
					}
					how := rapid.SampledFrom([]error{
						nil, errDraining, errLimit, errors.New("fault"),
						&provider.Error{Reason: op.ProviderUnreachable, Temporary: true},
						&provider.Error{Reason: op.ProviderRejected},
					}).Draw(rt, "how")
					ok(s.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { return x.settle(ctx, tx, how) }))
					if rapid.Bool().Draw(rt, "twice") { // a late second word
						err := s.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { return x.settle(ctx, tx, nil) })
						if !errors.Is(err, ledger.ErrFenced) {
							rt.Fatalf("a second end: %v, want to be fenced", err)
						}
					}
				},
				"crash": func(rt *rapid.T) { delete(alive, pick(op.Running, op.Cancelling).RunID) },
				"cancel": func(rt *rapid.T) {
					_, err := s.gate.Cancel(ctx, s.Owner, pick(op.Queued, op.Running, op.Cancelling).RunID)
					ok(err)
				},
				"release": func(rt *rapid.T) {
					_, err := s.gate.Release(ctx, s.Owner, pick(op.Queued, op.Running, op.Cancelling).RunID, "no progress")
					ok(err)
				},
				"lose the job": func(rt *rapid.T) {
					c := pick(op.Queued)
					s.Exec(`DELETE FROM river_job WHERE id = $1`, c.JobID)
					ok(s.round()) // or the auditor would rightly complain
				},
				"time": func(rt *rapid.T) {
					clock += rapid.SampledFrom([]time.Duration{time.Second, 70 * time.Second, time.Hour}).Draw(rt, "passes")
					dbtest.SetClockOffset(t, d, clock)
				},
				"reap": func(rt *rapid.T) {
					s.w.cfg.Lease = time.Duration(rapid.SampledFrom([]int64{1, int64(time.Minute)}).Draw(rt, "silence"))
					ok(s.round())
					s.w.cfg.Lease = time.Minute
				},
				"": func(rt *rapid.T) {
					if wrong := s.Audit(); len(wrong) > 0 {
						rt.Fatalf("auditor: %s", strings.Join(wrong, "; "))
					}
					claims, err := s.claims()
					if err != nil {
						rt.Fatal(err)
					}
					for _, c := range claims {
						if _, ended := over[c.RunID]; ended {
							rt.Fatal("a finished run came back")
						}
						if c.Fence < fences[c.Connection] {
							rt.Fatalf("fence of %s fell from %d to %d", c.Connection, fences[c.Connection], c.Fence)
						}
						fences[c.Connection] = c.Fence
					}
				},
			})
		})
	})
}
