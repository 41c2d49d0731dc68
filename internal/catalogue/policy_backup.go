package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	readpolicies "github.com/interlock-dev/interlock/internal/provider/policies"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Without one of the optional permissions the types that need it are left out, each with
// the reason, and the backup says that it is incomplete.
var _ = Register(&Definition{
	Kind:    "policy.backup",
	Version: 1,
	Place:   55,
	Words: op.KindWords{
		Name: "Policy backup", Does: "Saves a copy of the policies in the tenant.",
		Start: "Back up policies", Item: "type", Items: "types",
	},
	Icon:        "box",
	Capability:  MayBackUp,
	Allows:      "Back up policies",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Permissions: []Permission{policies.permission},
	Optional:    otherPermissions(backupTypes(), policies),
	Blockers:    AllBlockers(),
	Canonical:   canonicalPolicyBackup,
	Parameters:  PolicyBackupParameters{},
	Example:     json.RawMessage(`{"types":["configurationPolicies"]}`),
	QueueLimit:  2 * time.Hour,
	RunLimit:    readLimit,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Learns:      true,
	Run:         backUpPolicies,
})

// MayBackUp is the capability to back up policies, and to pin backups.
const MayBackUp tenancy.Capability = "policy.backup"

// backupTypes are the types of policy, in restore order, with their areas.
func backupTypes() []inventoryType {
	var all []inventoryType
	for _, t := range policy.Types() {
		a := policies
		if i := slices.IndexFunc(inventoryTypes, func(it inventoryType) bool { return it.key == t.Key }); i >= 0 {
			a = inventoryTypes[i].area
		}
		all = append(all, inventoryType{t.Key, t.Plural, t.ListPath(), a})
	}
	return all
}

// PolicyBackupParameters are the parameters of policy.backup.
type PolicyBackupParameters struct {
	Types []string `json:"types" doc:"Which types to back up, such as \"configurationPolicies\". Default: [\"all\"]." required:"false"`
}

func canonicalPolicyBackup(raw json.RawMessage) (json.RawMessage, error) {
	p := PolicyBackupParameters{}
	if err := DecodeParameters(raw, &p); err != nil {
		return nil, err
	}
	types, err := canonicalTypes(p.Types, backupTypes())
	if err != nil {
		return nil, err
	}
	return json.Marshal(PolicyBackupParameters{types})
}

// canonicalTypes returns names sorted, or "all". No names mean all; an empty list and an
// unknown name are errors.
func canonicalTypes(names []string, types []inventoryType) ([]string, error) {
	if names == nil {
		return []string{everyType}, nil
	}
	if len(names) == 0 {
		return nil, &op.FieldError{Field: "parameters.types", Detail: "must name at least one type, or be left out for all of them"}
	}
	known := make([]string, len(types))
	for i, t := range types {
		known[i] = t.key
	}
	for i, name := range names {
		if name != everyType && !slices.Contains(known, name) {
			return nil, &op.FieldError{
				Field:  fmt.Sprintf("parameters.types[%d]", i),
				Detail: fmt.Sprintf("%.60q is not a type; the types are %s, %s", name, everyType, strings.Join(known, ", ")),
			}
		}
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if slices.Contains(names, everyType) || len(names) == len(known) {
		return []string{everyType}, nil
	}
	return names, nil
}

// backupRead is one type of a backup as it was read.
type backupRead struct {
	count      int64     // of the policies that were kept
	nameless   int64     // objects that were not, because they have no usable id
	incomplete []op.Item // the lines of both, as far as something is missing
	err        error
}

// backUpPolicies reads several types at the same time. A type that fails keeps the
// policies that were read, and the backup says that the type is incomplete. A refusal of
// the whole connection ends the run without a backup.
func backUpPolicies(ctx context.Context, env *Env) error {
	var p PolicyBackupParameters
	if err := json.Unmarshal(env.Parameters, &p); err != nil {
		return fmt.Errorf("parameters: %w", err)
	}
	types := slices.DeleteFunc(backupTypes(), func(t inventoryType) bool {
		return !slices.Contains(p.Types, everyType) && !slices.Contains(p.Types, t.key)
	})
	counts := op.Counts{Total: int64(len(types))}
	if err := env.Report.Progress(ctx, counts); err != nil {
		return err
	}
	round, err := env.Backups.Begin(ctx, env.Now())
	if err != nil {
		return err
	}
	read := make([]backupRead, len(types))
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(typesAtOnce + 1) // and the one that settles
	done := make([]chan struct{}, len(types))
	for i := range done {
		done[i] = make(chan struct{})
	}
	g.Go(func() error { // the only one that reports: it settles the types in their order while later ones are read
		for i, t := range types {
			if err := env.Report.Event(reading, "Backing up "+t.name); err != nil {
				return err
			}
			select {
			case <-reading.Done():
				return context.Cause(reading)
			case <-done[i]:
			}
			if err := read[i].err; err != nil && endsRun(err) {
				return err // the type is not settled: the run ends, or begins anew
			}
			if err := reportBackedUp(reading, env, t, &read[i], &counts); err != nil {
				return err
			}
		}
		return nil
	})
	for i, t := range types {
		if reading.Err() != nil {
			break
		}
		g.Go(func() error {
			defer close(done[i])
			read[i] = backUpType(reading, env, t, round)
			if err := read[i].err; err != nil && endsRun(err) {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	all := make([]BackupType, len(types))
	for i, t := range types {
		all[i] = BackupType{Type: t.key, Items: read[i].count}
		if read[i].nameless > 0 {
			all[i].Reason = op.ListIncomplete
		}
		if err := read[i].err; err != nil {
			all[i].Reason, _, _ = told(env, err, t.area.permission)
			all[i].Absent = notApplicable(err)
		}
	}
	id, err := round.Commit(ctx, all)
	if err != nil {
		return err
	}
	return env.Report.Event(ctx, "Stored backup "+id)
}

// backUpType reads one type and stores its policies.
func backUpType(ctx context.Context, env *Env, t inventoryType, round BackupRound) (r backupRead) {
	seen := make(map[string]bool)
	var some []BackupItem
	flush := func() error {
		if len(some) == 0 {
			return nil
		}
		err := round.Put(ctx, some)
		some = nil
		return err
	}
	r.err = readpolicies.Named(ctx, env.Provider, policy.Lookup(t.key), func(read readpolicies.Read) error {
		id := read.Item.ID
		if id == "" || seen[id] { // it has no id to be found by, or came twice
			if id == "" {
				r.nameless++
				line := lacking(env, t, read)
				line.Key += fmt.Sprint("#", r.nameless)
				r.incomplete = append(r.incomplete, line)
			}
			return nil
		}
		seen[id] = true
		r.count++
		item := BackupItem{Policy: read.Item, Name: clean(nameOf(read)), Hash: hashOf(read), ModifiedAt: modified(read)}
		for _, m := range read.Missing {
			item.Missing = append(item.Missing, BackupMissing{m.Part, m.Reason, m.Why})
		}
		if len(item.Missing) > 0 {
			r.incomplete = append(r.incomplete, lacking(env, t, read))
		}
		if some = append(some, item); len(some) < 20 {
			return nil
		}
		return flush()
	})
	if r.err == nil || !endsRun(r.err) {
		if err := flush(); err != nil {
			r.err = err
		}
	}
	return r
}

// nameOf, hashOf and modified read a policy that may not be usable as one.
func nameOf(r readpolicies.Read) string {
	if r.Policy.Type() != nil {
		return r.Policy.Name()
	}
	return ""
}

func hashOf(r readpolicies.Read) string {
	if r.Policy.Type() != nil {
		return r.Policy.Hash()
	}
	return ""
}

func modified(r readpolicies.Read) string {
	if r.Policy.Type() != nil {
		return r.Policy.Modified()
	}
	return ""
}

// lacking is the line of a policy that lacks a part.
func lacking(env *Env, t inventoryType, r readpolicies.Read) op.Item {
	m := r.Missing[0]
	item := op.Item{Key: t.key + "/" + r.Item.ID, Name: clean(nameOf(r)), Result: op.ItemFailed, At: env.Now()}
	if item.Name == "" {
		item.Name = strings.TrimSpace(t.name + " " + r.Item.ID)
	}
	item.Name += ": " + m.Part
	item.Reason, item.Args, item.Evidence = told(env, m.Err, t.area.permission)
	if m.Reason == op.ObjectIncomplete || m.Reason == op.ObjectWithoutID { // told by what came, not by a refusal
		item.Reason, item.Args["detail"] = m.Reason, m.Part+": "+m.Why
	}
	return item
}

// reportBackedUp writes the lines of one type: its own, and one for each policy that lacks
// a part, 20 at most.
func reportBackedUp(ctx context.Context, env *Env, t inventoryType, r *backupRead, counts *op.Counts) error {
	came := r.count + r.nameless
	item := op.Item{Key: t.key, Name: t.name, Result: op.ItemDone, Counts: op.Counts{Done: came, Total: came}, At: env.Now()}
	switch lost := int64(len(r.incomplete)); {
	case notApplicable(r.err):
		item.Result = op.ItemNotApplicable
		counts.Total--
	case r.err != nil:
		item.Result = op.ItemFailed
		counts.Failed++
	case lost > 0:
		counts.Failed++
		item.Reason, item.Args = op.ListIncomplete, names(env)
		item.Counts = op.Counts{Done: came - lost, Failed: lost, Total: came}
	default:
		counts.Done++
		if r.count == 0 {
			item.Args = op.Args{"objects": "0"}
		}
	}
	if r.err != nil {
		item.Counts = op.Counts{}
		item.Reason, item.Args, item.Evidence = told(env, r.err, t.area.permission)
	}
	for _, line := range append([]op.Item{item}, r.incomplete[:min(len(r.incomplete), maxFlaws)]...) {
		if err := env.Report.Item(ctx, line); err != nil {
			return err
		}
	}
	return env.Report.Progress(ctx, *counts)
}
