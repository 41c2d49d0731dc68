package catalogue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	reader "github.com/interlock-dev/interlock/internal/provider/policies"
	"github.com/interlock-dev/interlock/internal/restore"
)

// step executes one step of the plan. Its error ends the dispatch; whatever concerns this
// policy only is told by its item.
func (r *restoring) step(ctx context.Context, s restore.Step) error {
	if result, whole, ended := r.ended(s); ended {
		return r.count(ctx, s, result, whole)
	}
	if untried(r.earlier[stepKey(s, 0)]) {
		item, err := r.precheck(ctx, s)
		if err != nil {
			return err
		}
		if item != nil {
			return r.tell(ctx, s, *item)
		}
	}
	for i := range s.Calls {
		more, err := r.call(ctx, s, i)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// ended reports whether an earlier dispatch has finished the step, and how.
func (r *restoring) ended(s restore.Step) (result op.ItemResult, whole, ended bool) {
	for i := range s.Calls {
		switch r.earlier[stepKey(s, i)].State {
		case StepFailed, StepUnknown:
			return op.ItemFailed, false, true
		case StepDone:
			if waits(r.earlier[stepKey(s, i)].Kept) {
				return op.ItemPending, false, true
			}
			if i == len(s.Calls)-1 {
				return written(s, len(s.Calls)).Result, !differs(r.earlier[stepKey(s, i)].Kept), true
			}
		case StepOpen, StepNotMade, "":
			return "", false, false
		}
	}
	return "", false, false
}

// precheck compares the target with what the plan observed, right before the first call.
// It returns the item of a step that must not be executed; nil if it may.
func (r *restoring) precheck(ctx context.Context, s restore.Step) (*op.Item, error) {
	for _, need := range s.Needs {
		if r.id(need) == "" {
			item := itemOf(s, op.ItemSkipped)
			item.Reason, item.Args = op.DependencyMissing, op.Args{"needed": r.nameOf(need)}
			return &item, nil
		}
	}
	conflict := itemOf(s, op.ItemConflict)
	conflict.Reason = op.ChangedSincePreview
	if s.Target == "" {
		others, err := r.namesakes(ctx, s, false)
		switch {
		case err != nil:
			return r.unread(s, err)
		case len(others) > 0:
			return &conflict, nil
		}
		return nil, nil
	}
	read, err := reader.One(ctx, r.env.Provider, policy.Lookup(s.Type), s.Target)
	now := ""
	switch {
	case errors.Is(err, reader.ErrNotFound):
	case err != nil:
		return r.unread(s, err)
	case len(read.Missing) > 0:
		return r.unread(s, read.Missing[0].Err)
	default:
		now = read.Policy.Hash()
	}
	if !s.Holds(now) {
		return &conflict, nil
	}
	return nil, nil
}

// unread returns the item of a step whose target can't be read, or the error if it ends
// the dispatch.
func (r *restoring) unread(s restore.Step, err error) (*op.Item, error) {
	if endsRun(err) {
		return nil, err
	}
	item := itemOf(s, op.ItemFailed)
	item.Reason, item.Args, item.Evidence = r.told(s, err)
	return &item, nil
}

// call makes call i of a step and settles it with the item. more reports whether the next
// call follows.
func (r *restoring) call(ctx context.Context, s restore.Step, i int) (more bool, err error) {
	key := stepKey(s, i)
	rec := r.earlier[key]
	if rec.State == StepDone {
		return true, nil
	}
	t := policy.Lookup(s.Type)
	id := s.Target
	if id == "" {
		id = r.id(needOf(s))
	}
	call, err := s.Ready(i, id, r.ids(s.Needs))
	if err != nil {
		return false, err
	}
	change := provider.Change{Method: call.Method, Path: call.Path, Body: call.Body}
	if t.Repeatable(call) {
		change.Repeat = provider.RepeatSafe
	}
	made, err := r.env.Make(ctx, Step{Key: key, Item: itemKey(s), Name: shortened(s.Name), Change: change, Look: where(s)}, rec,
		func(ctx context.Context, intended time.Time) (Sight, error) {
			return r.look(ctx, s, call, id, intended)
		})
	if err != nil {
		return false, err
	}
	last := i == len(s.Calls)-1
	item, settled := written(s, i+1), Settled{State: made.State, Kept: made.Kept, More: !last}
	switch made.State {
	case StepDone:
		if id, err = r.done(ctx, s, call, id, made, &settled); err != nil {
			return false, err
		}
		switch {
		case settled.State == StepUnknown:
			r.doubt(&item, s, call)
		case made.Answer.Status == http.StatusAccepted:
			item.Result, item.Reason, item.Counts, settled.More = op.ItemPending, op.ApprovalWanted, op.Counts{}, false
			settled.Kept = remark(settled.Kept, "waits")
		case last:
			paths, err := r.confirm(ctx, s, id)
			if err != nil {
				return false, err
			}
			if len(paths) > 0 {
				differ(&item, paths)
				settled.Kept = remark(settled.Kept, "differs")
			}
		}
	case StepFailed:
		item = written(s, i)
		settled.More = false
		r.refused(&item, s, made.Err, i > 0)
	case StepUnknown, StepOpen, StepNotMade:
		settled.More = false
		r.doubt(&item, s, call)
	}
	item.At = r.env.Now()
	if item.Reason != "" {
		item.Args = both(names(r.env), item.Args)
	}
	settled.Item = item
	if err := r.env.Journal.Settle(ctx, key, settled); err != nil {
		return false, err
	}
	if settled.More {
		return true, nil
	}
	return false, r.count(ctx, s, item.Result, item.Counts.Failed == 0)
}

// done notes the id of what a create made, and records it as the counterpart of the
// backup's policy. The result is unknown if the answer names no object and none is found.
func (r *restoring) done(ctx context.Context, s restore.Step, call policy.Call, id string, made Made, settled *Settled) (string, error) {
	if !policy.Lookup(s.Type).Creates(call) {
		return id, nil
	}
	if id = keptID(made.Kept); id == "" {
		id = keptID(made.Answer.Body)
	}
	if id == "" && made.Answer.Status != http.StatusAccepted {
		seen, err := r.look(ctx, s, call, "", r.env.Now())
		if err != nil {
			return "", err
		}
		if id = keptID(seen.Kept); id == "" {
			settled.State, settled.More = StepUnknown, false
			return "", nil
		}
	}
	if id == "" {
		return "", nil
	}
	r.mu.Lock()
	r.created[needOf(s)] = id
	r.mu.Unlock()
	settled.Kept = kept(id)
	if r.plan.SourceDirectory == "" { // an upload that does not say where it is from
		return id, nil
	}
	return id, r.env.Plans.Map(ctx, restore.Mapping{
		Kind: policy.Kind(s.Type), SourceDirectory: r.plan.SourceDirectory, Source: s.Source, TargetDirectory: r.env.Directory, Target: id,
	}, MappedByRestore)
}

// doubt makes the item say that nobody knows whether a call was made.
func (r *restoring) doubt(item *op.Item, s restore.Step, call policy.Call) {
	item.Result, item.Reason, item.Counts = op.ItemUnknown, op.WriteInDoubt, op.Counts{}
	item.Args = op.Args{"call": call.Method + " " + call.Path, "look": where(s)}
}

// id is the id of an object that the run created; empty if it did not.
func (r *restoring) id(n restore.Need) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.created[n]
}

func (r *restoring) ids(needs []restore.Need) map[restore.Need]string {
	all := make(map[restore.Need]string)
	for _, n := range needs {
		all[n] = r.id(n)
	}
	return all
}

// nameOf is the name of a policy that another one needs.
func (r *restoring) nameOf(n restore.Need) string {
	for _, s := range r.plan.Steps {
		if needOf(s) == n {
			return shortened(s.Name)
		}
	}
	return n.Source
}
