package worker

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

// A worker stands still past its lease, at each point of a call. Its run goes on with
// another worker, which is in the middle of it when the first one wakes up: the first
// makes no further change at the provider and none in the database.
func TestRestoreWorkerWakesBesideItsHeir(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		for _, point := range []string{
			"before intent 00001/assignmentFilters/1", "after intent 00001/assignmentFilters/1",
			"after call 00002/configurationPolicies/1", "before settle 00002/configurationPolicies/2",
		} {
			b.Wipe()
			b.reset()
			b.usual()
			run := b.restore()
			old := b.dies(run.ID, point)
			b.reap(run.ID)
			b.later(time.Minute) // what was sent would have appeared
			heir := b.dies(run.ID, "before settle 00002/configurationPolicies/2")
			sent, items, journal := b.s.sent(), b.items(run.ID), b.journal(run.ID)
			old()
			if n := b.s.sent() - sent; n != 0 {
				t.Errorf("%s: the worker that woke up sent %d changes", point, n)
			}
			if got := b.items(run.ID); !slices.Equal(got, items) {
				t.Errorf("%s: it changed items: %q became %q", point, items, got)
			}
			if got := b.journal(run.ID); !slices.Equal(got, journal) {
				t.Errorf("%s: it changed the journal: %q became %q", point, journal, got)
			}
			heir()
			b.expect(run.ID, "succeeded")
			b.has(run.ID, usualNames, usualItems)
			if t.Failed() {
				t.FailNow()
			}
		}
	})
}

// The answer to a create is lost, and the object is not there. Nothing is sent again
// before the object would have appeared.
func TestRestoreWaitsBeforeItRepeats(t *testing.T) {
	for name, c := range map[string]struct {
		appears time.Duration // after the change; 0: the change was not made
		sent    int
	}{"never made": {0, 2}, "made, and seen after 20 s": {20 * time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				b := newBranch(t, d)
				b.backs("assignmentFilters", "f1", filterBody)
				late := func() {}
				b.s.onChange(func(_ context.Context, ch provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
					b.s.onChange(nil) // the next ones are answered
					if c.appears > 0 {
						late = func() {
							if _, err := apply(); err != nil {
								t.Error(err)
							}
						}
					}
					return provider.Answer{}, providertest.Lost(ch)
				})
				run := b.restore()
				for _, pass := range []time.Duration{0, 10 * time.Second, 15 * time.Second} {
					b.later(pass)
					if b.moved >= c.appears {
						late()
						late = func() {}
					}
					b.deliver(run.ID)
					if n := b.s.sent(); n != 1 {
						t.Fatalf("%v after the change: it was sent %d times", b.moved, n)
					}
				}
				b.later(6 * time.Second) // 31 s
				if b.claim(run.ID) != nil {
					b.deliver(run.ID)
				}
				b.expect(run.ID, "succeeded")
				b.has(run.ID, usualNames[:1], usualItems[:1])
				if n := b.s.sent(); n != c.sent {
					t.Errorf("the change was sent %d times, want %d", n, c.sent)
				}
			})
		})
	}
}

// A run that ends in a later dispatch keeps the items of the earlier ones. A policy of
// which no call was made has an item that says so, whatever was tried.
func TestRestoreKeepsItemsOfEarlierDispatches(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		b.usual()
		b.s.onChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
			if strings.Contains(c.Path, "configurationPolicies") {
				return provider.Answer{}, providertest.Throttled(c, time.Minute)
			}
			return apply()
		})
		run := b.restore()
		b.deliver(run.ID)
		if got := b.items(run.ID); !slices.Contains(got, usualItems[0]) || b.claim(run.ID) == nil {
			t.Fatalf("after the first dispatch: %q", got)
		}
		first := b.Text(`SELECT CAST(at AS TEXT) FROM run_items WHERE key = '00001/assignmentFilters'`)
		b.later(2 * time.Minute)
		stops.set("before intent 00002/configurationPolicies/1", func() { b.Exec(`DELETE FROM members WHERE user_id = $1`, b.Owner.ID()) })
		b.deliver(run.ID)
		b.expect(run.ID, "failed/authorization_lost")
		got := b.items(run.ID)
		if len(got) != 3 || got[0] != usualItems[0] || got[1] != "00002/configurationPolicies skipped" {
			t.Errorf("the items are %q", got)
		}
		if at := b.Text(`SELECT CAST(at AS TEXT) FROM run_items WHERE key = '00001/assignmentFilters'`); at != first {
			t.Error("the item of the first dispatch was written again")
		}
	})
}

// A stored plan that contains what no plan may contain is not executed, not even in part.
func TestRestoreRefusesAForgedPlan(t *testing.T) {
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.usual()
	plan := b.preview()
	last := &plan.Steps[len(plan.Steps)-1]
	last.Calls[0].Method = http.MethodDelete
	b.keep(plan)
	res, err := b.press(plan)
	if err != nil || res.Outcome() != op.Accepted {
		t.Fatalf("%s %v %v", res.Outcome(), res.Causes(), err)
	}
	b.deliver(res.Run().ID)
	b.expect(res.Run().ID, "failed/internal_fault")
	if b.s.sent() != 0 {
		t.Errorf("%d changes were sent", b.s.sent())
	}
	if got := b.s.names(); !slices.Equal(got, usualNames[2:]) {
		t.Errorf("the provider has %q", got)
	}
}
