package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

// deliverAll delivers a run until it has ended, and moves the clock on while it waits.
func (b *branch) deliverAll(run string) (dispatches int) {
	b.t.Helper()
	for b.claim(run) != nil && dispatches < 200 {
		b.deliver(run)
		b.later(time.Minute)
		dispatches++
	}
	return dispatches
}

// The answers of all changes are lost, after they were made or instead: no policy is made
// twice, and the items say what is there.
func TestRestoreReadsBackLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		lost  func(n int, c provider.Change) bool // of the changes, from 1
		made  bool
		want  string
		names []string
		items []string
	}{
		"all, made":           {func(int, provider.Change) bool { return true }, true, "succeeded", usualNames, usualItems},
		"the first, not made": {func(n int, _ provider.Change) bool { return n == 1 }, false, "succeeded", usualNames, usualItems},
		"creates, never made": {
			func(_ int, c provider.Change) bool { return c.Method == http.MethodPost }, false, "partial", usualNames[2:],
			[]string{"00001/assignmentFilters unknown", "00002/configurationPolicies skipped", usualItems[2]},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				b := newBranch(t, d)
				b.usual()
				var mu sync.Mutex
				n := 0
				b.s.onChange(func(_ context.Context, ch provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
					mu.Lock()
					n++
					lost := c.lost(n, ch)
					mu.Unlock()
					if !lost {
						return apply()
					}
					if c.made {
						if _, err := apply(); err != nil {
							return provider.Answer{}, err
						}
					}
					return provider.Answer{}, providertest.Lost(ch)
				})
				run := b.restore()
				b.deliverAll(run.ID)
				b.expect(run.ID, c.want)
				b.has(run.ID, c.names, c.items)
			})
		})
	}
}

// A provider that throttles each change, for an hour in all: the worker is given back each
// time, no change is lost and none is made twice.
func TestRestoreThrottledForAnHour(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		b.usual()
		start := time.Now()
		b.s.onChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
			if b.moved < time.Hour {
				return provider.Answer{}, providertest.Throttled(c, 50*time.Second)
			}
			return apply()
		})
		run := b.restore()
		if n := b.deliverAll(run.ID); n < 60 {
			t.Errorf("%d dispatches", n)
		}
		b.expect(run.ID, "succeeded")
		b.has(run.ID, usualNames, usualItems)
		if time.Since(start) > time.Hour {
			t.Error("the hour was not virtual")
		}
	})
}

// What is not as the preview showed it is not written; the rest goes on.
func TestRestoreWritesNothingThatChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		for name, c := range map[string]struct {
			change func(b *branch)
			items  []string
		}{
			"the target was changed": {func(b *branch) {
				b.s.change("deviceConfigurations", "new-001", func(o map[string]any) { o["description"] = "by somebody" })
			}, []string{usualItems[0], usualItems[1], "00003/deviceConfigurations conflict"}},
			"the target is gone": {func(b *branch) {
				b.s.mu.Lock()
				defer b.s.mu.Unlock()
				delete(b.s.objects["deviceConfigurations"], "new-001")
				b.s.order = nil
			}, []string{usualItems[0], usualItems[1], "00003/deviceConfigurations conflict"}},
			"one of that name has appeared": {func(b *branch) {
				b.s.put(policy.Lookup("assignmentFilters"), map[string]any{"displayName": "TABLETS", "platform": "iOS"})
			}, []string{"00001/assignmentFilters conflict", "00002/configurationPolicies skipped", usualItems[2]}},
		} {
			b.Wipe()
			b.reset()
			b.usual()
			run := b.restore()
			c.change(b)
			b.deliver(run.ID)
			b.expect(run.ID, "partial")
			if got := b.items(run.ID); !slices.Equal(got, c.items) {
				t.Errorf("%s: %q, want %q", name, got, c.items)
			}
			b.later(time.Second)
		}
	})
}

// A policy that was created and can't be assigned says so, and the run is partial.
func TestRestoreSaysWhatIsNotAssigned(t *testing.T) {
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.usual()
	b.s.onChange(func(_ context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error) {
		if strings.HasSuffix(c.Path, "/assign") {
			return provider.Answer{}, &provider.Error{Reason: op.ProviderRejected, Status: 400, Message: "The group does not exist.", Call: "POST assign", At: time.Now()}
		}
		return apply()
	})
	run := b.restore()
	b.deliver(run.ID)
	b.expect(run.ID, "partial")
	b.has(run.ID, usualNames, usualItems)
	if n := b.Int(`SELECT COUNT(*) FROM run_items WHERE reason = 'not_assigned' AND failed = 1 AND evidence LIKE '%The group does not exist.%'`); n != 1 {
		t.Error("the item does not say that the policy is not assigned, and why")
	}
}

// Microsoft's own approval: the change is not made and not repeated, and the item waits.
func TestRestoreWaitsForMicrosoftsApproval(t *testing.T) {
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.backs("assignmentFilters", "f1", filterBody)
	b.s.onChange(func(_ context.Context, c provider.Change, _ func() (provider.Answer, error)) (provider.Answer, error) {
		return provider.Answer{}, &provider.Error{
			Reason: op.ProviderRejected, Status: 400, Message: "Header 'x-msft-approval-justification' is required", Call: "POST filters", At: time.Now(),
		}
	})
	run := b.restore()
	b.deliver(run.ID)
	b.expect(run.ID, "failed/nothing_written")
	b.has(run.ID, nil, []string{"00001/assignmentFilters pending"})
	if b.s.sent() != 1 {
		t.Errorf("%d changes were sent, want 1", b.s.sent())
	}
}

// A change that is accepted and not made yet waits at Microsoft. It is not sent again.
func TestRestoreWaitsForWhatIsAccepted(t *testing.T) {
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.backs("assignmentFilters", "f1", filterBody)
	b.s.onChange(func(context.Context, provider.Change, func() (provider.Answer, error)) (provider.Answer, error) {
		return provider.Answer{Status: http.StatusAccepted, At: time.Now()}, nil
	})
	run := b.restore()
	b.deliver(run.ID)
	b.expect(run.ID, "failed/nothing_written")
	b.has(run.ID, nil, []string{"00001/assignmentFilters pending"})
	if b.s.sent() != 1 {
		t.Errorf("%d changes were sent, want 1", b.s.sent())
	}
}

// What the provider returns differently than it was sent is told.
func TestRestoreReadsBackWhatItWrote(t *testing.T) {
	b := newBranch(t, dbtest.New(t, db.SQLite))
	b.backs("assignmentFilters", "f1", filterBody)
	b.s.onChange(func(_ context.Context, c provider.Change, _ func() (provider.Answer, error)) (provider.Answer, error) {
		var body map[string]any
		if err := json.Unmarshal(c.Body, &body); err != nil {
			return provider.Answer{}, err
		}
		body["rule"] = "(none)"
		id := b.s.put(policy.Lookup("assignmentFilters"), body)
		return provider.Answer{Status: 201, Body: json.RawMessage(fmt.Sprintf(`{"id":%q}`, id)), At: time.Now()}, nil
	})
	run := b.restore()
	b.deliver(run.ID)
	b.expect(run.ID, "partial")
	b.has(run.ID, usualNames[:1], usualItems[:1])
	if got := b.Text(`SELECT reason || args FROM run_items`); !strings.Contains(got, "not_as_sent") || !strings.Contains(got, `"paths":"rule"`) {
		t.Errorf("the item says %s", got)
	}
}

// TestRestorePressedByManyAtOnce: two people press the restore of 100 policies, each twice,
// at the same moment, and two workers take what was accepted. 100 policies are made.
func TestRestorePressedByManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		for i := range 100 {
			b.backs("assignmentFilters", fmt.Sprint("f", i), strings.Replace(filterBody, "Tablets", fmt.Sprintf("Tablets %02d", i), 1))
		}
		plan := b.preview()
		other := b.Member("Ann", "ann@lattice.example", "owner")
		var pressing sync.WaitGroup
		var mu sync.Mutex
		runs := map[string]bool{}
		for _, who := range []int{0, 0, 1, 1} {
			pressing.Go(func() {
				in := b.parameters(plan)
				actor, surface := b.Owner, op.SurfaceAPI
				if who == 1 {
					actor, surface = other, op.SurfaceCLI
				}
				res, err := b.gate.Start(t.Context(), actor, op.Request{Tenant: "kestrel", Kind: catalogue.PolicyRestore, Surface: surface, Parameters: in})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if res.Run() != nil {
					runs[res.Run().ID] = true
				}
			})
		}
		pressing.Wait()
		if len(runs) != 1 {
			t.Fatalf("%d runs", len(runs))
		}
		for run := range runs {
			again := b.delivery(run) // the same job, a second time
			b.deliver(run)
			again()
			b.expect(run, "succeeded")
		}
		if n := len(b.s.names()); n != 100 {
			t.Errorf("%d policies, want 100", n)
		}
		if b.s.sent() != 100 {
			t.Errorf("%d changes, want 100", b.s.sent())
		}
		if res, err := b.press(plan); err != nil || res.Outcome() != op.Blocked {
			t.Errorf("pressed again afterwards: %s %v", res.Outcome(), err)
		}
	})
}

// A starter who loses the right to restore in the middle of a run: what has begun is
// finished, nothing further is written, and what was told before stays true.
func TestRestoreAsksForTheStartersAccess(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBranch(t, d)
		b.usual()
		run := b.restore()
		stops.set("after call 00001/assignmentFilters/1", func() { b.Exec(`DELETE FROM members WHERE user_id = $1`, b.Owner.ID()) })
		b.deliver(run.ID)
		b.expect(run.ID, "failed/authorization_lost")
		b.has(run.ID, []string{usualNames[0], usualNames[2]}, []string{usualItems[0], "00002/configurationPolicies skipped", "00003/deviceConfigurations skipped"})
		if b.s.sent() != 1 {
			t.Errorf("%d changes, want 1", b.s.sent())
		}
	})
}
