package worker

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// begunStep is a step that is open in every situation with a worker.
const begunStep = "begun/create"

func toyStep(item string) catalogue.Step {
	return catalogue.Step{
		Key: item + "/create", Item: item, Name: item, Look: "Toys, " + item,
		Change: provider.Change{Method: http.MethodPost, Path: toys, Body: []byte(`{}`)},
	}
}

// writes are what a worker does with the journal.
var writes = []action{
	{"intend", []situation{isRunning, isCancelling, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		x := r.execution(a)
		dbtest.Pause(ctx, "about to begin an item")
		r.mu.Lock()
		stopped := r.answered[a.other] && slices.Contains([]string{"cancel", "release", "disable", "revoke"}, a.kind)
		r.mu.Unlock()
		if err := (journaling{x}).Intend(ctx, toyStep("new")); err != nil {
			return err
		}
		if stopped {
			r.wrong("%s began an item after the answer to %s", a.name, a.other)
		}
		if _, err := x.before(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		r.open = []call{{x.claim.RunID, x.claim.Fence}}
		r.mu.Unlock()
		dbtest.Pause(ctx, "a change at the provider is under way")
		return nil
	}},
	{"settle", []situation{isRunning, isCancelling, isExpired}, func(ctx context.Context, r *ring, a *actor) error {
		return journaling{r.execution(a)}.Settle(ctx, begunStep, catalogue.Settled{
			State: catalogue.StepDone, Item: op.Item{Key: "begun", Name: "begun", Result: op.ItemDone},
		})
	}},
}

// writeRules count what must never be in a journal, besides the auditor's rules.
var writeRules = []raceRule{
	{"a step that is done without its item", `SELECT COUNT(*) FROM run_journal j WHERE j.state = 'done'
		AND NOT EXISTS (SELECT 1 FROM run_items i WHERE i.run_id = j.run_id AND i.key = j.item AND i.result = 'done')`},
	{"an item that is done without its step", `SELECT COUNT(*) FROM run_items i WHERE i.result = 'done'
		AND NOT EXISTS (SELECT 1 FROM run_journal j WHERE j.run_id = i.run_id AND j.item = i.key AND j.state = 'done')`},
	{"a step in doubt that its item does not tell", `SELECT COUNT(*) FROM run_journal j WHERE j.state = 'unknown'
		AND NOT EXISTS (SELECT 1 FROM run_items i WHERE i.run_id = j.run_id AND i.key = j.item AND i.reason = 'write_in_doubt')`},
	{"a run that succeeded with a step in doubt", `SELECT COUNT(*) FROM run_journal j JOIN runs r ON r.id = j.run_id
		WHERE r.outcome = 'succeeded' AND j.state <> 'done'`},
}

// TestJournalInterleaved lets a worker's intent, and its result of an open step, meet
// everything that may happen to the run at the same moment, as
// [TestEveryPairInterleaved] does.
func TestJournalInterleaved(t *testing.T) { interleaveWrites(t, 0) }

func interleaveWrites(t *testing.T, twice int) {
	var all []meeting
	for _, a := range writes {
		for _, b := range actions {
			if !slices.Contains([]string{"finish", "hand back", "cancel", "release", "reap", "disable", "revoke", "start"}, b.name) {
				continue
			}
			for _, s := range a.in {
				// A worker ends a run when its calls are over: one after the other.
				one := a.name == "intend" && (b.name == "finish" || b.name == "hand back")
				if slices.Contains(b.in, s) && !one {
					all = append(all, meeting{a, b, s})
				}
			}
		}
	}
	interleave(t, all, twice, 1, func(t *testing.T) *ring {
		t.Helper()
		r := newRing(t, toysMake, func(p db.Point) bool { return shared(p) || p.Write && strings.Contains(p.SQL, "run_journal") })
		r.rules = writeRules
		r.prepared = func(x *execution) {
			x.cancel, x.log = func(error) {}, x.w.cfg.Logger
			if err := (journaling{x}).Intend(t.Context(), toyStep("begun")); err != nil {
				t.Fatal(err)
			}
		}
		return r
	})
}
