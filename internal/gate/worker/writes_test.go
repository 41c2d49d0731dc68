package worker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

// workshop is a shop whose provider keeps what is made.
type workshop struct {
	*shop
	fake *providertest.Fake
}

// newWorkshop has no heartbeats, so that a dispatch that is stopped is as good as
// dead, whatever its goroutines do.
func newWorkshop(t *testing.T, d *db.DB) *workshop {
	t.Helper()
	w := &workshop{shop: newShop(t, d, Config{Lease: time.Minute, Heartbeat: time.Hour}), fake: &providertest.Fake{}}
	w.fake.Token = provider.Token{Directory: gatetest.Directory("kestrel"), Roles: catalogue.EveryPermission()}
	w.w.cfg.Connect = func(c Connect) (provider.Client, error) { return w.fake.Client(c.Before), nil }
	w.tenant("kestrel")
	t.Cleanup(func() { stops.set("", nil) })
	return w
}

// make starts a run that makes these toys.
func (w *workshop) make(names ...string) op.RunRef {
	w.t.Helper()
	in, err := json.Marshal(toysInput{names})
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.gate.Start(w.t.Context(), w.Operator, op.Request{Tenant: "kestrel", Kind: toysMake, Surface: op.SurfaceAPI, Parameters: in})
	if err != nil || res.Outcome() != op.Accepted {
		w.t.Fatalf("start: %s %v %v", res.Outcome(), res.Causes(), err)
	}
	return *res.Run()
}

// kill delivers the run and stops the dispatch at a point for good, or until wake is
// called, which returns when the dispatch has ended.
func (w *workshop) kill(run, point string) (wake func()) {
	w.t.Helper()
	stands, wakes, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stops.set(point, func() { close(stands); <-wakes })
	c := w.claim(run)
	go func() {
		defer close(done)
		w.w.handle(context.WithoutCancel(w.t.Context()), c.JobID, queue.Args{RunID: run, Fence: c.Fence})
	}()
	select {
	case <-stands:
	case <-done:
		w.t.Fatalf("the dispatch did not come to %q: %s; bad items: %s", point, w.ended(run), w.badItems(run))
	}
	return func() { close(wakes); <-done }
}

// reap runs a round of maintenance that finds the run's worker gone.
func (w *workshop) reap(run string) {
	w.t.Helper()
	w.Exec(`UPDATE run_claims SET lease_until = 1 WHERE run_id = $1`, run)
	w.w.cfg.Lease = time.Nanosecond
	defer func() { w.w.cfg.Lease = time.Minute }()
	for range 2 { // the first look begins to watch
		if err := w.w.reapRound(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// items are the stored items, as "key result".
func (w *workshop) items(run string) (all []string) {
	w.t.Helper()
	w.rows(`SELECT key || ' ' || result FROM run_items WHERE run_id = $1 ORDER BY key`, &all, run)
	return all
}

// journal is the stored journal, as "step state tries fence".
func (w *workshop) journal(run string) (all []string) {
	w.t.Helper()
	w.rows(`SELECT step || ' ' || state || ' ' || CAST(tries AS TEXT) || ' ' || CAST(fence AS TEXT) FROM run_journal WHERE run_id = $1 ORDER BY seq`, &all, run)
	return all
}

func (w *workshop) rows(sql string, all *[]string, args ...any) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		*all = nil
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			*all = append(*all, s)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// holds fails the test unless the provider has these toys and the run these items.
func (w *workshop) holds(run string, toys, items []string) {
	w.t.Helper()
	if got := w.names(); !slices.Equal(got, toys) {
		w.t.Errorf("the provider has %q, want %q; journal: %q", got, toys, w.journal(run))
	}
	if got := w.items(run); !slices.Equal(got, items) {
		w.t.Errorf("the items are %q, want %q", got, items)
	}
}

// A worker that dies at any point leaves a run that resumes, makes nothing twice and
// ends as if nobody had died. When the dead one wakes up it changes nothing.
func TestWritesSurviveADeadWorker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		for _, point := range points("a", "b") {
			w.Wipe()
			w.fake.Reset()
			run := w.make("a", "b")
			first := w.claim(run.ID)
			wake := w.kill(run.ID, point)
			w.reap(run.ID)
			c := w.claim(run.ID)
			if c == nil || c.State != op.Queued || c.Fence <= first.Fence || c.Dispatch != 2 {
				t.Fatalf("%s: after its worker died the run is %s: %+v", point, w.ended(run.ID), c)
			}
			w.deliver(run.ID)
			w.expect(run.ID, "succeeded")
			w.holds(run.ID, []string{"red a", "red b"}, []string{"a done", "b done"})
			changes, journal := len(w.fake.Changes()), w.journal(run.ID)
			wake()
			if n := len(w.fake.Changes()); n != changes || !slices.Equal(w.journal(run.ID), journal) {
				t.Errorf("%s: the dead worker woke up, made %d changes and left the journal %q, want %q", point, n-changes, w.journal(run.ID), journal)
			}
			w.expect(run.ID, "succeeded")
			w.holds(run.ID, []string{"red a", "red b"}, []string{"a done", "b done"})
			if t.Failed() {
				t.Fatalf("the worker died %s", point)
			}
		}
	})
}

// A worker that was taken for dead and wakes up before its successor begins makes no
// call and records nothing.
func TestWritesNeedTheFence(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		for _, point := range points("a") {
			w.Wipe()
			w.fake.Reset()
			run := w.make("a")
			wake := w.kill(run.ID, point)
			w.reap(run.ID)
			changes, journal, items := len(w.fake.Changes()), w.journal(run.ID), w.items(run.ID)
			wake()
			if n := len(w.fake.Changes()); n != changes || !slices.Equal(w.journal(run.ID), journal) || !slices.Equal(w.items(run.ID), items) {
				t.Fatalf("%s: a worker without the fence made %d changes, left the journal %q (was %q) and the items %q (were %q)",
					point, n-changes, w.journal(run.ID), journal, w.items(run.ID), items)
			}
			w.deliver(run.ID)
			w.expect(run.ID, "succeeded")
			w.holds(run.ID, []string{"red a"}, []string{"a done"})
		}
	})
}

// On an embedded database a new process resumes what an earlier one was doing.
func TestWritesSurviveARestart(t *testing.T) {
	w := newWorkshop(t, dbtest.New(t, db.SQLite))
	run := w.make("a", "b")
	wake := w.kill(run.ID, "after call b/create")
	w.Exec(`UPDATE run_claims SET boot_id = 'another process'`)
	if err := w.w.recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.deliver(run.ID)
	w.expect(run.ID, "succeeded")
	w.holds(run.ID, []string{"red a", "red b"}, []string{"a done", "b done"})
	wake()
}

// A start that finds the worker gone resumes the run and joins it.
func TestStartResumesARunWhoseWorkerIsGone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a")
		wake := w.kill(run.ID, "after call a/create")
		w.Exec(`UPDATE run_claims SET lease_until = 1`)
		w.w.cfg.Lease = time.Nanosecond
		w.w.watch.look([]*ledger.Claim{w.claim(run.ID)}, time.Now().Add(-time.Second))
		in, err := json.Marshal(toysInput{[]string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		req := op.Request{Tenant: "kestrel", Kind: toysMake, Surface: op.SurfaceAPI, Parameters: in}
		if res, err := w.gate.Preflight(t.Context(), w.Operator, req); err != nil || res.Outcome() != op.Deduped {
			t.Errorf("the preflight says %s, want what the start answers: %v", res.Outcome(), err)
		}
		res, err := w.gate.Start(t.Context(), w.Operator, req)
		if err != nil || res.Outcome() != op.Deduped || res.Run().ID != run.ID {
			t.Fatalf("%s %v %v", res.Outcome(), res.Causes(), err)
		}
		w.w.cfg.Lease = time.Minute
		w.deliver(run.ID)
		w.expect(run.ID, "succeeded")
		w.holds(run.ID, []string{"red a"}, []string{"a done"})
		wake()
	})
}

// A worker that was silent and comes back between the look and the move keeps its run.
func TestResumingComparesTheHeartbeat(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a")
		wake := w.kill(run.ID, "after intent a/create")
		c := w.claim(run.ID)
		w.Exec(`UPDATE run_claims SET heartbeat = heartbeat + 1`)
		if _, err := w.w.gone(t.Context(), c); !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("its run was taken away: %v", err)
		}
		wake()
		w.expect(run.ID, "succeeded")
	})
}

// A run that loses its worker again and again ends as lost, and says what it does not
// know.
func TestResumingHasAnEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a")
		var wake []func()
		for range 3 {
			if w.claim(run.ID) == nil {
				t.Fatalf("it ended as %s", w.ended(run.ID))
			}
			w.fake.Reset() // the provider forgets, so that every dispatch creates
			w.Exec(`UPDATE run_journal SET state = 'not_made', tries = 0`)
			wake = append(wake, w.kill(run.ID, "after call a/create"))
			w.reap(run.ID)
		}
		w.expect(run.ID, "lost")
		w.holds(run.ID, []string{"a"}, []string{"a unknown"})
		for _, wake := range wake {
			wake()
		}
		w.holds(run.ID, []string{"a"}, []string{"a unknown"})
	})
}

// loses is a hook that drops the answers to the first n changes to a path, which were
// made or not.
func loses(n int, method string, made bool) providertest.Hook {
	return func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
		if c.Method != method || n == 0 {
			return apply()
		}
		n--
		if made {
			if _, err := apply(); err != nil {
				return provider.Answer{}, err
			}
		}
		return provider.Answer{}, providertest.Lost(c)
	}
}

// A change whose answer is lost is looked for: what is there is done, what is not is
// sent once more, and what can't be told is not known.
func TestLostAnswersAreReadBack(t *testing.T) {
	cases := []struct {
		name        string
		lost        int    // answers, -1: all
		method      string // of the changes
		made        bool   // all the same
		want        string
		toys, items []string
		changes     int
	}{
		{"made, create", 2, http.MethodPost, true, "succeeded", []string{"red a", "red b"}, []string{"a done", "b done"}, 4},
		{"made, paint", 2, http.MethodPut, true, "succeeded", []string{"red a", "red b"}, []string{"a done", "b done"}, 4},
		{"not made", 1, http.MethodPost, false, "succeeded", []string{"red a", "red b"}, []string{"a done", "b done"}, 5},
		{"not made, twice", 2, http.MethodPost, false, "partial", []string{"red b"}, []string{"a unknown", "b done"}, 4},
		{"never made", -1, http.MethodPost, false, "partial", nil, []string{"a unknown", "b unknown"}, 4},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newWorkshop(t, d)
				w.fake.OnChange(loses(tc.lost, tc.method, tc.made))
				run := w.make("a", "b")
				w.deliver(run.ID)
				w.expect(run.ID, tc.want)
				w.holds(run.ID, tc.toys, tc.items)
				if n := len(w.fake.Changes()); n != tc.changes {
					t.Errorf("%d changes were sent, want %d", n, tc.changes)
				}
			})
		})
	}
}

// lateObject loses the first create, which is made only when the returned function is
// called, and answers the second one with the error that refuse returns.
func lateObject(w *workshop, refuse func(provider.Change) error) (appears func()) {
	var late func() (provider.Answer, error)
	n := 0
	w.fake.OnChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
		if c.Method != http.MethodPost {
			return apply()
		}
		switch n++; n {
		case 1:
			late = apply
			return provider.Answer{}, providertest.Lost(c)
		case 2:
			return provider.Answer{}, refuse(c)
		}
		return apply()
	})
	return func() {
		if _, err := late(); err != nil {
			w.t.Error(err)
		}
	}
}

func throttled(c provider.Change) error { return providertest.Throttled(c, 12*time.Minute) }

// A repeat that was refused says nothing about the first try: what the first try made is
// looked for before anything is sent again.
func TestRefusedRepeatKeepsTheDoubt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		appears := lateObject(w, throttled)
		run := w.make("a")
		w.deliver(run.ID)
		appears()
		dbtest.SetClockOffset(t, d, 12*time.Minute)
		w.deliver(run.ID)
		w.expect(run.ID, "succeeded")
		w.holds(run.ID, []string{"red a"}, []string{"a done"})
	})
}

// A repeat that was refused for good does not prove that the first try failed.
func TestRefusedRepeatIsNotAFailure(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		for _, there := range []bool{true, false} {
			w.Wipe()
			w.fake.Reset()
			var appears func()
			appears = lateObject(w, func(provider.Change) error {
				if there {
					appears()
				}
				return &provider.Error{Reason: op.ProviderRejected, Status: 409, Message: "There is one."}
			})
			run := w.make("a")
			w.deliver(run.ID)
			if there {
				w.expect(run.ID, "succeeded")
				w.holds(run.ID, []string{"red a"}, []string{"a done"})
			} else {
				w.expect(run.ID, "partial")
				w.holds(run.ID, nil, []string{"a unknown"})
			}
		}
	})
}

// A run that ends while it waits to repeat a change says that the first try's result is
// not known.
func TestRunThatEndsInDoubtSaysSo(t *testing.T) {
	for want, stop := range map[string]func(w *workshop, run op.RunRef){
		"failed/consent_revoked": func(w *workshop, run op.RunRef) {
			w.Exec(`UPDATE connections SET consent = 'revoked'`)
			w.deliver(run.ID)
		},
		"cancelled": func(w *workshop, run op.RunRef) {
			if _, err := w.gate.Cancel(w.t.Context(), w.Owner, run.Code); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newWorkshop(t, d)
				appears := lateObject(w, throttled)
				run := w.make("a")
				w.deliver(run.ID)
				appears()
				dbtest.SetClockOffset(t, d, 12*time.Minute)
				stop(w, run)
				w.expect(run.ID, want)
				w.holds(run.ID, []string{"a"}, []string{"a unknown"})
			})
		})
	}
}

// A provider that asks a writer to wait for long gets its worker back. The run keeps
// its connection, says until when it waits, uses up no try, and goes on where it
// stopped.
func TestLongWaitGivesTheWorkerBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a", "b", "c")
		const waits = 5 // more than it may be dispatched
		refused := 0
		w.fake.OnChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
			if strings.Contains(string(c.Body), `"b"`) && refused < waits {
				refused++
				return provider.Answer{}, providertest.Throttled(c, 12*time.Minute)
			}
			return apply()
		})
		var passed time.Duration
		fence := int64(0)
		for range waits {
			w.deliver(run.ID)
			c := w.claim(run.ID)
			if c == nil || c.State != op.Queued || c.Lease != nil || c.Dispatch != 1 || c.Fence <= fence {
				t.Fatalf("a run that waits is %s: %+v", w.ended(run.ID), c)
			}
			fence = c.Fence
			if c.WaitingUntil == nil || c.WaitingUntil.Sub(c.Now) < 11*time.Minute {
				t.Fatalf("it waits until %v, want about 12 minutes from now", c.WaitingUntil)
			}
			w.holds(run.ID, []string{"red a"}, []string{"a done"})
			if open := w.Int(`SELECT COUNT(*) FROM run_journal WHERE state = 'open'`); open != 0 {
				t.Fatalf("%d steps are open although nothing was sent", open)
			}
			if at := w.Int(`SELECT COUNT(*) FROM river_job WHERE state = 'scheduled'`); at != 1 {
				t.Fatalf("%d jobs are scheduled, want 1", at)
			}
			res, err := w.gate.Start(t.Context(), w.Operator, op.Request{Tenant: "kestrel", Kind: op.InventorySync, Surface: op.SurfaceAPI})
			if err != nil || res.Outcome() != op.ScopeBusy {
				t.Fatalf("another operation while it waits: %s %v", res.Outcome(), err)
			}
			passed += 12 * time.Minute
			dbtest.SetClockOffset(t, d, passed)
		}
		w.deliver(run.ID)
		w.expect(run.ID, "succeeded")
		w.holds(run.ID, []string{"red a", "red b", "red c"}, []string{"a done", "b done", "c done"})
		if n := len(w.fake.Changes()); n != 6+waits {
			t.Errorf("%d changes were sent, want %d", n, 6+waits)
		}
	})
}

// A wait that ends after the run's time limit is not waited for.
func TestLongWaitEndsAtTheLimit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a", "b")
		w.fake.OnChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
			if strings.Contains(string(c.Body), `"b"`) {
				return provider.Answer{}, providertest.Throttled(c, 5*time.Hour)
			}
			return apply()
		})
		w.deliver(run.ID)
		w.expect(run.ID, "failed/provider_throttled")
		w.holds(run.ID, []string{"red a"}, []string{"a done"})
	})
}

// What was done before a wait is not forgotten: the run's outcome is computed from
// the items of all its dispatches.
func TestOutcomeCountsEarlierDispatches(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a", "b")
		waited := false
		w.fake.OnChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
			switch {
			case strings.Contains(string(c.Body), `"a"`):
				return provider.Answer{}, &provider.Error{Reason: op.ProviderRejected, Status: 400, Message: "bad toy"}
			case !waited:
				waited = true
				return provider.Answer{}, providertest.Throttled(c, time.Hour)
			}
			return apply()
		})
		w.deliver(run.ID)
		w.deliver(run.ID)
		w.expect(run.ID, "partial")
		w.holds(run.ID, []string{"red b"}, []string{"a failed", "b done"})
		if n := len(w.fake.Changes()); n != 4 { // a once, b refused, created and painted
			t.Errorf("%d changes were sent, want 4", n)
		}
	})
}

// A try that began from the start does not answer for what an earlier one reported.
func TestItemsOfATryMadeAgainAreForgotten(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		s.tenant("kestrel")
		run := s.start("kestrel", op.InventorySync)
		s.provider.setPages(&provider.Error{Reason: op.ProviderThrottled, Temporary: true, RetryAfter: time.Second})
		s.deliver(run.ID)
		s.Write(func(ctx context.Context, tx db.Tx) error { // one that the next try will not report
			return ledger.Item(ctx, tx, run.ID, 1, op.Item{Key: "apps/1", Name: "App 1", Result: op.ItemFailed, Reason: op.ObjectMalformed})
		})
		s.provider.setPages(nil)
		s.deliver(run.ID)
		s.expect(run.ID, "succeeded")
		if n := s.Int(`SELECT COUNT(*) FROM run_items WHERE key = 'apps/1'`); n != 0 {
			t.Error("an item of the first try is still told")
		}
	})
}

// A cancel acts between items: the toy that was begun is finished, the next is not
// begun. The house looks at the run at each point and does not cut it off.
func TestCancelActsBetweenItems(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		for _, point := range points("a") {
			w.Wipe()
			w.fake.Reset()
			run := w.make("a", "b")
			stops.set("", nil)
			stops.set(point, func() {
				if _, err := w.gate.Cancel(t.Context(), w.Owner, run.Code); err != nil {
					t.Error(err)
				}
				if err := w.w.stopRound(t.Context()); err != nil {
					t.Error(err)
				}
			})
			w.deliver(run.ID)
			w.expect(run.ID, "cancelled")
			toys, items := []string{"red a"}, []string{"a done"}
			if point == "before intent a/create" {
				toys, items = nil, nil
			}
			w.holds(run.ID, toys, items)
			if t.Failed() {
				t.Fatalf("cancelled %s", point)
			}
		}
	})
}

// A run whose connection was closed makes no further call, not even to finish an item
// that it has begun, and neither does one that somebody had cancelled before.
func TestClosedConnectionStopsWithinAnItem(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		for _, c := range []struct {
			point   string
			reason  op.Reason
			cancel  bool // before the connection is closed
			changes int
			toys    []string
			items   []string
			noticed bool // by maintenance, before the worker looks
		}{
			{point: "after intent a/create", reason: op.ConnectionDisabled, noticed: true},
			{point: "after intent a/create", reason: op.ConsentRevoked},
			{point: "after intent a/create", reason: op.ConnectionDisabled, cancel: true},
			{point: "after call a/create", reason: op.ConnectionDisabled, noticed: true, changes: 1, toys: []string{"a"}, items: []string{"a unknown"}},
			{point: "after settle a/create", reason: op.ConnectionDisabled, changes: 1, toys: []string{"a"}, items: []string{"a failed"}},
			{point: "after intent a/paint", reason: op.ConsentRevoked, changes: 1, toys: []string{"a"}, items: []string{"a failed"}},
		} {
			w.Wipe()
			w.fake.Reset()
			w.Exec(`UPDATE connections SET enabled = TRUE`)
			run := w.make("a", "b")
			conn := w.claim(run.ID).Connection
			stops.set("", nil)
			stops.set(c.point, func() {
				if c.cancel {
					if _, err := w.gate.Cancel(t.Context(), w.Owner, run.Code); err != nil {
						t.Error(err)
					}
				}
				w.Write(func(ctx context.Context, tx db.Tx) error {
					if _, err := tx.Exec(ctx, `UPDATE connections SET enabled = FALSE, rev = rev + 1 WHERE id = $1`, conn); err != nil {
						return err
					}
					return w.gate.StopConnection(ctx, tx, conn, op.Person{Name: "Mei Tan"}, c.reason)
				})
				if c.noticed {
					if err := w.w.stopRound(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
			w.deliver(run.ID)
			w.expect(run.ID, "failed/"+string(c.reason))
			w.holds(run.ID, c.toys, c.items)
			if n := len(w.fake.Changes()); n != c.changes {
				t.Errorf("%d changes, want %d", n, c.changes)
			}
			if t.Failed() {
				t.Fatalf("closed %s: %+v", c.point, c)
			}
		}
	})
}

// The run's time limit acts between items, too, and so does the stop of the process,
// after which another one goes on.
func TestLimitAndStopActBetweenItems(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a", "b")
		stops.set("after intent a/create", func() {
			w.Exec(`UPDATE runs SET run_until = 1`)
			if err := w.w.stopRound(t.Context()); err != nil {
				t.Error(err)
			}
		})
		w.deliver(run.ID)
		w.expect(run.ID, "failed/time_limit")
		w.holds(run.ID, []string{"red a"}, []string{"a done"})

		w.Wipe()
		w.fake.Reset()
		run = w.make("a", "b")
		draining := w.w.draining
		stops.set("after intent a/create", func() {
			x := w.w.working[run.ID]
			close(draining)
			wait(t, "the worker heeds the stop", func() bool { x.mu.Lock(); defer x.mu.Unlock(); return x.changes.stop != nil })
		})
		w.deliver(run.ID)
		c := w.claim(run.ID)
		if c == nil || c.State != op.Queued || c.Dispatch != 1 {
			t.Fatalf("after the stop the run is %s: %+v", w.ended(run.ID), c)
		}
		w.holds(run.ID, []string{"red a"}, []string{"a done"})
		w.w.draining = make(chan struct{})
		w.deliver(run.ID)
		w.expect(run.ID, "succeeded")
		w.holds(run.ID, []string{"red a", "red b"}, []string{"a done", "b done"})
	})
}

// A run that somebody releases in the middle of a change ends as lost, and says of the
// change that its result is not known.
func TestReleaseLeavesOpenStepsUnknown(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a", "b")
		wake := w.kill(run.ID, "after call a/create")
		if _, err := w.gate.Release(t.Context(), w.Owner, run.Code, "stuck since noon"); err != nil {
			t.Fatal(err)
		}
		w.reap(run.ID)
		w.expect(run.ID, "lost")
		w.holds(run.ID, []string{"a"}, []string{"a unknown"})
		var reason string
		var args []string
		w.rows(`SELECT reason || ' ' || args FROM run_items WHERE key = 'a'`, &args)
		reason = strings.Join(args, "")
		if !strings.HasPrefix(reason, string(op.WriteInDoubt)) || !strings.Contains(reason, "Toys, a") {
			t.Errorf("the item is told as %s, want %s and where to look", reason, op.WriteInDoubt)
		}
		wake()
		w.holds(run.ID, []string{"a"}, []string{"a unknown"})
	})
}

// A run that has changed something is never told to have been blocked before it did.
func TestResumedRunThatMayNotGoOnHasFailed(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"consent withdrawn": {`UPDATE connections SET consent = 'revoked'`, "failed/consent_revoked"},
		"member removed":    {`DELETE FROM members WHERE role = 'operator'`, "failed/authorization_lost"},
		"waited too long":   {`UPDATE run_claims SET queue_until = 1`, "failed/expired_in_queue"},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newWorkshop(t, d)
				run := w.make("a", "b")
				wake := w.kill(run.ID, "before intent b/create")
				w.reap(run.ID)
				w.Exec(c.sql)
				w.deliver(run.ID)
				w.expect(run.ID, c.want)
				w.holds(run.ID, []string{"red a"}, []string{"a done"})
				wake()
			})
		})
	}
}

// Nothing is written without an intent of this dispatch, and nothing twice for one.
func TestJournalOrderIsEnforced(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a")
		c := w.claim(run.ID)
		x, err := w.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
		if err != nil {
			t.Fatal(err)
		}
		x.cancel, x.log = func(error) {}, w.w.cfg.Logger
		ctx, j, wr := t.Context(), journaling{x}, writing{x, w.fake.Client(x.before)}
		step := catalogue.Step{Key: "a/create", Item: "a", Name: "a", Look: "Toys, a", Change: provider.Change{Method: "POST", Path: toys, Body: []byte(`{"name":"a"}`)}}
		none := func(what string, err error) {
			t.Helper()
			if err == nil || len(w.fake.Changes()) != 0 {
				t.Errorf("%s: %v, %d changes", what, err, len(w.fake.Changes()))
			}
		}
		_, err = wr.Write(ctx, "a/create")
		none("a write without an intent", err)
		done := catalogue.Settled{State: catalogue.StepDone, Item: op.Item{Key: "a", Name: "a", Result: op.ItemDone}}
		none("a result without an intent", j.Settle(ctx, "a/create", done))
		for name, spoil := range map[string]func(*catalogue.Step){
			"key": func(s *catalogue.Step) { s.Key = "" }, "item": func(s *catalogue.Step) { s.Item = "" }, "look": func(s *catalogue.Step) { s.Look = "" },
			"name": func(s *catalogue.Step) { s.Name = strings.Repeat("x", 501) }, "marker": func(s *catalogue.Step) { s.Marker = make([]byte, 5000) },
		} {
			bad := step
			spoil(&bad)
			err := j.Intend(ctx, bad)
			if none("a step without "+name, err); err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("a bad %s: %v", name, err)
			}
		}
		if n := w.Int(`SELECT COUNT(*) FROM run_journal`) + w.Int(`SELECT COUNT(*) FROM run_items`); n != 0 {
			t.Fatalf("%d rows of what was refused", n)
		}
		if err := j.Intend(ctx, step); err != nil {
			t.Fatal(err)
		}
		if n := w.Int(`SELECT COUNT(*) FROM run_journal WHERE state = 'open' AND tries = 1 AND fence = $1`, c.Fence); n != 1 {
			t.Error("the intent is not on record before the call")
		}
		other := step
		other.Change.Body = []byte(`{"name":"b"}`)
		none("another change under the same key", j.Intend(ctx, other))
		if _, err := wr.Write(ctx, "a/create"); err != nil {
			t.Fatal(err)
		}
		if _, err := wr.Write(ctx, "a/create"); err == nil || len(w.fake.Changes()) != 1 {
			t.Errorf("a second write for one intent: %v, %d changes", err, len(w.fake.Changes()))
		}
		wrong := done
		wrong.Item.Key = "b"
		for what, s := range map[string]catalogue.Settled{"of another item": wrong, "as open": {State: catalogue.StepOpen, Item: done.Item}, "as nothing": {Item: done.Item}} {
			if err := j.Settle(ctx, "a/create", s); err == nil {
				t.Errorf("settled %s", what)
			}
		}
		if err := j.Settle(ctx, "a/create", done); err != nil {
			t.Fatal(err)
		}
		if err := j.Intend(ctx, step); err == nil || !strings.Contains(err.Error(), "settled as done") {
			t.Errorf("a settled step was intended again: %v", err)
		}
		if err := j.Settle(ctx, "a/create", done); err == nil {
			t.Error("a step was settled twice")
		}
		// A change that may have been made is intended once more, and not a third time.
		step.Key = "a/doubt"
		for i, ok := range []bool{true, true, false} {
			if err := j.Intend(ctx, step); (err == nil) != ok {
				t.Errorf("intent %d of a doubtful change: %v", i+1, err)
			}
		}
		x.def = definition(t, op.InventorySync)
		step.Key = "a/again"
		if err := j.Intend(ctx, step); err == nil {
			t.Error("an operation that is made again from the start may write")
		}
	})
}

// A refusal is on record even when the run is being stopped, and a step that was not
// made is not settled as done. An item whose first intent fails has not begun, and the
// time limit does not cut off one that has.
func TestWhatWasNotMadeIsOnRecord(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorkshop(t, d)
		run := w.make("a")
		c := w.claim(run.ID)
		x, err := w.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
		if err != nil {
			t.Fatal(err)
		}
		x.cancel, x.log = func(error) {}, w.w.cfg.Logger
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		j, wr := journaling{x}, writing{x, w.fake.Client(x.before)}
		step := toyStep("a")
		bad := step
		bad.Look = ""
		if err := j.Intend(ctx, bad); err == nil || x.inItem() {
			t.Errorf("an intent that failed (%v) has begun its item: %t", err, x.inItem())
		}
		if err := j.Intend(ctx, step); err != nil || !x.inItem() {
			t.Fatalf("the item has begun: %t, %v", x.inItem(), err)
		}
		w.Exec(`UPDATE runs SET run_until = 1`)
		if until, err := x.before(ctx); err != nil || time.Until(until) < time.Second {
			t.Errorf("a call within an item may last until %v: %v", until, err)
		}
		w.fake.OnChange(func(_ context.Context, c provider.Change, _ func() (provider.Answer, error)) (provider.Answer, error) {
			stop()
			return provider.Answer{}, providertest.Throttled(c, time.Minute)
		})
		if _, err := wr.Write(ctx, step.Key); err == nil {
			t.Error("a refused change has succeeded")
		}
		if n := w.Int(`SELECT COUNT(*) FROM run_journal WHERE state = 'not_made' AND tries = 0`); n != 1 {
			t.Errorf("the refusal is not on record: %q", w.journal(run.ID))
		}
		settled := func(state catalogue.StepState, result op.ItemResult) error {
			return j.Settle(t.Context(), step.Key, catalogue.Settled{State: state, Item: op.Item{Key: "a", Name: "a", Result: result}})
		}
		if err := settled(catalogue.StepDone, op.ItemDone); err == nil {
			t.Error("a step that was not made was settled as done")
		}
		if err := settled(catalogue.StepFailed, op.ItemFailed); err != nil {
			t.Error(err)
		}
	})
}

func definition(t *testing.T, kind op.Kind) *catalogue.Definition {
	t.Helper()
	def, err := catalogue.Lookup(kind)
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// A database that fails during a dispatch, at any point, costs no duplicate and no
// lie: the run resumes and makes each toy once.
func TestWritesSurviveTheDatabase(t *testing.T) { surviveTheDatabase(t, 3, "a") }

// surviveTheDatabase fails each step-th point of a run's first dispatch.
func surviveTheDatabase(t *testing.T, step int, names ...string) {
	var made, done []string
	for _, name := range names {
		made, done = append(made, "red "+name), append(done, name+" done")
	}
	for _, fault := range []db.Fault{db.Unavailable, db.ExecuteAndTimeout} {
		t.Run(fault.String(), func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				w := newWorkshop(t, d)
				w.w.cfg.Backoff = time.Nanosecond
				for n := 1; ; n += step {
					w.Wipe()
					w.fake.Reset()
					run := w.make(names...)
					faults := db.FaultAt(n, fault)
					for dispatches := 0; w.claim(run.ID) != nil && dispatches < 5; dispatches++ {
						c := w.claim(run.ID)
						if c.State != op.Queued { // its worker could not tell that it began
							w.reap(run.ID)
							continue
						}
						d.WithFaults(faults)
						w.w.handle(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
						d.WithFaults(nil)
					}
					if len(faults.Hits()) == 0 {
						t.Logf("%d points", n)
						return // past the last one
					}
					w.expect(run.ID, "succeeded")
					w.holds(run.ID, made, done)
					if t.Failed() {
						t.Fatalf("%s at point %d: %v", fault, n, faults.Hits())
					}
				}
			})
		})
	}
}
