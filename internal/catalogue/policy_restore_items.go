package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/restore"
)

// maxItemName is the longest name of an item, in bytes. It leaves room for the type in
// sentences that say where to look.
const maxItemName = 300

// itemOf is the item of a step. Its key begins with the step's number in the plan.
func itemOf(s restore.Step, result op.ItemResult) op.Item {
	return op.Item{Key: itemKey(s), Name: shortened(s.Name), Result: result}
}

func itemKey(s restore.Step) string { return fmt.Sprintf("%05d/%s", s.N, s.Type) }

// stepKey is the key of call i of a step in the journal.
func stepKey(s restore.Step, i int) string { return fmt.Sprintf("%s/%d", itemKey(s), i+1) }

func shortened(name string) string {
	if len(name) <= maxItemName {
		return name
	}
	name = name[:maxItemName]
	for !utf8.ValidString(name) {
		name = name[:len(name)-1]
	}
	return name + "…"
}

// where says where people look for a policy.
func where(s restore.Step) string {
	return policy.Lookup(s.Type).Plural + ", " + shortened(s.Name)
}

// needOf is what other steps need if they refer to the policy of s.
func needOf(s restore.Step) restore.Need {
	return restore.Need{Kind: policy.Kind(s.Type), Source: s.Source}
}

// leftOut is the item of a step that the plan makes no call for.
func leftOut(s restore.Step) op.Item {
	item := itemOf(s, op.ItemNotSupported)
	item.Reason = op.LeftOutOfPlan
	switch s.Action {
	case restore.Unchanged:
		item.Result, item.Reason = op.ItemUnchanged, ""
	case restore.Conflict:
		item.Result = op.ItemConflict
	case restore.Unresolvable:
		item.Result = op.ItemUnresolvable
	case restore.NotSupported, restore.Create, restore.Update:
	}
	return item
}

// written is the item of a step of which the calls before done were made.
func written(s restore.Step, done int) op.Item {
	item := itemOf(s, op.ItemUpdated)
	if s.Action == restore.Create {
		item.Result = op.ItemCreated
	}
	t := policy.Lookup(s.Type)
	var parts []string
	onlyAssignments := true
	for _, c := range s.Calls[done:] {
		part, assigns := t.Writes(policy.Call{Method: c.Method, Path: c.Path})
		onlyAssignments = onlyAssignments && assigns
		if len(parts) == 0 || parts[len(parts)-1] != part {
			parts = append(parts, part)
		}
	}
	switch {
	case len(parts) == 0:
	case onlyAssignments:
		item.Reason, item.Counts = op.NotAssigned, op.Counts{Failed: 1}
	default:
		item.Reason, item.Counts, item.Args = op.PartNotWritten, op.Counts{Failed: int64(len(parts))}, op.Args{"part": strings.Join(parts, listed)}
	}
	return item
}

// refused makes item tell why the provider refused a call. written says that the policy
// was changed before.
func (r *restoring) refused(item *op.Item, s restore.Step, err error, written bool) {
	reason, args, evidence := r.told(s, err)
	item.Evidence = evidence
	if approval(err) {
		item.Result, item.Reason, item.Args = op.ItemPending, op.ApprovalWanted, args
		return
	}
	if written { // the item says what is missing, the evidence why
		item.Args = both(args, item.Args)
		return
	}
	item.Result, item.Reason, item.Args = op.ItemFailed, reason, args
}

// told returns reason, facts and evidence of an error of one call for the item of a step.
func (r *restoring) told(s restore.Step, err error) (op.Reason, op.Args, *op.Evidence) {
	reason, args := Refusal(err, writePermissions(s.Type), r.env.Consented)
	if reason == op.ProviderRejected {
		reason = op.ItemRefused
	}
	var pe *provider.Error
	if errors.As(err, &pe) {
		return reason, args, pe.Evidence()
	}
	return reason, args, nil
}

// approval reports whether the provider refused a change because another administrator
// has to approve it. docs and observed: multi admin approval answers 400, in older texts
// 403, and names a header.
func approval(err error) bool {
	var pe *provider.Error
	return errors.As(err, &pe) && strings.Contains(strings.ToLower(pe.Message), "x-msft-approval-justification")
}

// both returns the facts of a and b.
func both(a, b op.Args) op.Args {
	a = maps.Clone(a)
	maps.Copy(a, b)
	return a
}

// kept and keptID are what the journal keeps of a create.
func kept(id string) json.RawMessage {
	data, _ := json.Marshal(map[string]string{"id": id}) // strings can't fail
	return data
}

func keptID(kept json.RawMessage) string {
	var k struct{ ID string }
	_ = json.Unmarshal(kept, &k) // what can't be read has no id
	return k.ID
}
