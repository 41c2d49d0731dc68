package catalogue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var _ = Register(&Definition{
	Kind:    PolicyRestore,
	Version: 1,
	Place:   70,
	Words: op.KindWords{
		Name: "Policy restore", Does: "Writes policies from a backup to the tenant.",
		Start: "Start restore", Item: "policy", Items: "policies",
	},
	Icon:       "back",
	Capability: "policy.restore",
	Allows:     "Restore policies",
	Roles:      []tenancy.Role{tenancy.Owner},
	Optional:   restorePermissions,
	Blockers:   AllBlockers(),
	Requires:   restoreRequires,
	Canonical:  canonicalRestore,
	Confirm:    confirmRestore,
	Parameters: RestoreParameters{},
	Input:      true,
	Example:    restoreExample,
	QueueLimit: 2 * time.Hour,
	RunLimit:   12 * time.Hour, // a provider that throttles makes a large restore long
	CallLimit:  30 * time.Second,

	MaxDispatch: 5,
	Recovery:    Resume,
	SignsIn:     true,
	Learns:      true,
	Run:         executeRestore,
})

// atOnce is how many policies are restored at the same time. The provider takes five
// changes a second, and a policy needs about six calls.
const atOnce = 8

// restoring is one dispatch of a restore.
type restoring struct {
	env     *Env
	plan    restore.Plan
	earlier map[string]Recorded // by step key

	mu      sync.Mutex
	counts  op.Counts
	reached map[int]bool            // steps of the plan that have an item
	created map[restore.Need]string // ids of the objects that the run created
	lists   map[string]collection   // by type: what is there now
	stop    error                   // why no further step begins
}

// executeRestore makes the calls of a plan, and no others. Types that refer to others come
// after them. It continues where the journal of an earlier dispatch ends.
func executeRestore(ctx context.Context, env *Env) error {
	in, err := ParseRestore(env.Parameters)
	if err != nil {
		return err
	}
	plan, err := env.Plans.Plan(ctx, in.Plan)
	if err != nil {
		return fmt.Errorf("the plan of the restore: %w", err)
	}
	if plan.Target.Directory != env.Directory || plan.Target.Tenant != env.Run.Tenant.ID {
		return errors.New("the plan is for another tenant or directory")
	}
	if err := plan.Allowed(); err != nil {
		return err
	}
	r := &restoring{
		env: env, plan: plan, earlier: make(map[string]Recorded), reached: make(map[int]bool),
		created: make(map[restore.Need]string), lists: make(map[string]collection), counts: op.Counts{Total: int64(len(plan.Steps))},
	}
	steps, err := env.Journal.Steps(ctx)
	if err != nil {
		return err
	}
	for _, s := range steps {
		r.earlier[s.Key] = s
	}
	for _, s := range plan.Steps {
		r.remember(s)
	}
	err = r.run(ctx)
	if err != nil {
		r.notReached()
	}
	return err
}

// remember notes what earlier dispatches created for a step.
func (r *restoring) remember(s restore.Step) {
	if s.Action != restore.Create || s.Target != "" {
		return
	}
	if rec := r.earlier[stepKey(s, 0)]; rec.State == StepDone {
		if id := keptID(rec.Kept); id != "" {
			r.created[needOf(s)] = id
		}
	}
}

func (r *restoring) run(ctx context.Context) error {
	for _, s := range r.plan.Steps {
		if !s.Action.Writes() {
			if err := r.tell(ctx, s, leftOut(s)); err != nil {
				return err
			}
		}
	}
	for _, wave := range waves(r.plan.Steps) {
		if err := r.wave(ctx, wave); err != nil {
			return err
		}
	}
	return nil
}

// waves splits the writing steps by the restore order of their types. A type refers only
// to types of earlier waves.
func waves(steps []restore.Step) (all [][]restore.Step) {
	last := 0
	for _, s := range steps {
		if !s.Action.Writes() {
			continue
		}
		order := policy.Lookup(s.Type).Order
		if len(all) == 0 || order != last {
			all, last = append(all, nil), order
		}
		all[len(all)-1] = append(all[len(all)-1], s)
	}
	return all
}

// chains splits a wave into steps that must follow each other. Policies of the same type
// and name do, because a policy whose creation is in doubt is looked for by its name. So
// do all of conditional access, which takes one change a second, and the configurations of
// enrollment, which have an order among themselves.
func chains(wave []restore.Step) (all [][]restore.Step) {
	at := make(map[string]int)
	for _, s := range wave {
		key := s.Type
		if !strings.HasPrefix(policy.Lookup(s.Type).Path, "identity/") && s.Type != "deviceEnrollmentConfigurations" {
			key += "\n" + strings.ToLower(strings.Join(strings.Fields(s.Name), " "))
		}
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key], all = i, append(all, nil)
		}
		all[i] = append(all[i], s)
	}
	return all
}

// wave executes the steps of a wave, some at a time. After an error no further step
// begins; those that have begun are finished first.
func (r *restoring) wave(ctx context.Context, wave []restore.Step) error {
	todo := make(chan []restore.Step)
	var working sync.WaitGroup
	for range min(atOnce, len(wave)) {
		working.Go(func() {
			for chain := range todo {
				for _, s := range chain {
					if r.stopped() == nil {
						r.halt(r.step(ctx, s))
					}
				}
			}
		})
	}
	for _, chain := range chains(wave) {
		todo <- chain
	}
	close(todo)
	working.Wait()
	return r.stopped()
}

func (r *restoring) stopped() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}

// halt keeps the first error.
func (r *restoring) halt(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil {
		r.stop = err
	}
}

// count notes that a step has an item, and reports the progress.
func (r *restoring) count(ctx context.Context, s restore.Step, result op.ItemResult, whole bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached[s.N] = true
	switch {
	case result == op.ItemNotSupported:
		r.counts.Total--
	case whole && slices.Contains([]op.ItemResult{op.ItemCreated, op.ItemUpdated, op.ItemUnchanged}, result):
		r.counts.Done++
	default:
		r.counts.Failed++
	}
	return r.env.Report.Progress(ctx, r.counts)
}

// tell stores the item of a step that makes no further call.
func (r *restoring) tell(ctx context.Context, s restore.Step, item op.Item) error {
	item.At = r.env.Now()
	if item.Reason != "" {
		item.Args = both(names(r.env), item.Args)
	}
	if err := r.env.Report.Item(ctx, item); err != nil {
		return err
	}
	return r.count(ctx, s, item.Result, item.Counts.Failed == 0)
}

// untried reports whether the first call of a step was not made in any dispatch.
func untried(first Recorded) bool {
	return first.State == "" || first.State == StepNotMade && first.Tries == 0
}

// notReached names the policies that this dispatch did not come to. Policies that an
// earlier dispatch has begun have an item.
func (r *restoring) notReached() {
	var items []op.Item
	for _, s := range r.plan.Steps {
		if !untried(r.earlier[stepKey(s, 0)]) || r.reached[s.N] {
			continue
		}
		item := itemOf(s, op.ItemSkipped)
		item.Reason, item.At = op.ItemNotReached, r.env.Now()
		items = append(items, item)
	}
	r.env.Report.NotReached(items)
}
