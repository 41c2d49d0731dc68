package restore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Build plans the restore of a set. Equal arguments give equal plans; the order of lists
// does not matter.
//
// It returns an error if the arguments contradict each other: two policies with one id, a
// selection or choice of something that does not exist, two mappings of one object, or a
// target other than the observed one. The error names the item.
func Build(set Set, observed Observed, mappings []Mapping, opts Options) (Plan, error) {
	b, err := newBuilder(set, observed, mappings, opts)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{
		Set: set.ID, SourceDirectory: set.Directory, AsOf: set.AsOf.UTC(), Target: opts.Target, At: observed.At.UTC(),
		Mappings: []Mapping{}, Choices: []Chosen{}, Steps: []Step{}, Warnings: []WarningCode{}, Unread: []Unread{},
	}
	codes := make(map[WarningCode]bool)
	for i, item := range b.items {
		step := b.step(item)
		step.N = i + 1
		if step.Action.Writes() {
			for _, w := range step.Warnings {
				codes[w.Code] = true
			}
		} else {
			step.Needs = nil // there are no calls that need them
		}
		plan.Steps = append(plan.Steps, step)
	}
	plan.Warnings = append(plan.Warnings, slices.Sorted(maps.Keys(codes))...)
	for _, key := range slices.Sorted(maps.Keys(observed.Unread)) {
		plan.Unread = append(plan.Unread, Unread{key, observed.Unread[key]})
	}
	plan.Mappings = append(plan.Mappings, slices.SortedFunc(maps.Keys(b.used), func(x, y Mapping) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Source, y.Source))
	})...)
	for _, key := range slices.SortedFunc(maps.Keys(opts.Choices), compareKeys) {
		plan.Choices = append(plan.Choices, Chosen{key, opts.Choices[key]})
	}
	return plan, nil
}

func compareKeys(a, b Key) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID)) }

// builder holds the arguments of [Build], indexed, and the decisions of earlier steps.
type builder struct {
	set      Set
	observed Observed
	opts     Options
	items    []Item // selected, in execution order
	crosses  bool

	targets  map[string]map[string]policy.Document // by type and id
	known    map[policy.Kind]map[string]string     // names by kind and id
	mappings map[Need]Mapping
	used     map[Mapping]bool
	decided  map[Key]decision
	taken    map[Key]bool // objects of the target that have a step
}

// decision is the outcome of a step, for later steps that refer to its policy.
type decision struct {
	target string // id in the target, if known
	create bool   // the step creates the object
}

func newBuilder(set Set, observed Observed, mappings []Mapping, opts Options) (*builder, error) {
	if observed.Directory != opts.Target.Directory {
		return nil, fmt.Errorf("directory %q was read for a restore into directory %q", observed.Directory, opts.Target.Directory)
	}
	b := &builder{
		set: set, observed: observed, opts: opts, crosses: set.Directory != opts.Target.Directory,
		targets: make(map[string]map[string]policy.Document), known: make(map[policy.Kind]map[string]string),
		mappings: make(map[Need]Mapping), used: make(map[Mapping]bool), decided: make(map[Key]decision), taken: make(map[Key]bool),
	}
	for kind, objects := range observed.Known {
		b.known[kind] = make(map[string]string)
		for _, o := range objects {
			b.known[kind][o.ID] = o.Name
		}
	}
	for _, d := range observed.Items {
		key := d.Type().Key
		if _, twice := b.targets[key][d.ID()]; twice {
			return nil, fmt.Errorf("%s %q was read twice in the target", key, d.ID())
		}
		if b.targets[key] == nil {
			b.targets[key] = make(map[string]policy.Document)
		}
		b.targets[key][d.ID()] = d
		if b.known[policy.Kind(key)] == nil {
			b.known[policy.Kind(key)] = make(map[string]string)
		}
		b.known[policy.Kind(key)][d.ID()] = d.Name()
	}
	for _, m := range mappings {
		if m.SourceDirectory != set.Directory || m.TargetDirectory != opts.Target.Directory {
			continue
		}
		need := Need{m.Kind, m.Source}
		if other, twice := b.mappings[need]; twice && other != m {
			return nil, fmt.Errorf("%s %q is mapped to %q and to %q", m.Kind, m.Source, other.Target, m.Target)
		}
		b.mappings[need] = m
	}
	if err := b.choose(); err != nil {
		return nil, err
	}
	order := make(map[string]int)
	for i, t := range policy.Types() {
		order[t.Key] = i
	}
	slices.SortFunc(b.items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(order[x.Key().Type], order[y.Key().Type]), strings.Compare(x.Policy.Name(), y.Policy.Name()), strings.Compare(x.Policy.ID(), y.Policy.ID()))
	})
	return b, nil
}

// choose fills b.items with the selection, and checks the selection and the choices.
func (b *builder) choose() error {
	all := make(map[Key]Item)
	for _, item := range b.set.Items {
		key := item.Key()
		if other, twice := all[key]; twice {
			return fmt.Errorf("the backup has two policies %s %q: %q and %q", key.Type, key.ID, other.Policy.Name(), item.Policy.Name())
		}
		all[key] = item
	}
	selected := b.opts.Selection
	if selected == nil {
		selected = slices.Collect(maps.Keys(all))
	}
	taken := make(map[Key]bool)
	for _, key := range selected {
		item, ok := all[key]
		if !ok {
			return fmt.Errorf("the backup has no policy %s %q", key.Type, key.ID)
		}
		if !taken[key] {
			taken[key] = true
			b.items = append(b.items, item)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(b.opts.Choices), compareKeys) {
		if !taken[key] {
			return fmt.Errorf("a choice was made for %s %q, which is not selected", key.Type, key.ID)
		}
		if err := b.possible(all[key], b.opts.Choices[key]); err != nil {
			return err
		}
	}
	return nil
}

// step plans one policy.
func (b *builder) step(item Item) Step {
	d, key := item.Policy, item.Key()
	s := Step{Type: key.Type, Source: key.ID, Name: d.Name()}
	if !b.restorable(&s, item) {
		return s
	}
	found := b.identify(&s, item)
	choice := b.opts.Choices[key]

	want := b.resolve(&s, d, choice)
	if d.Type() == policy.Lookup("conditionalAccessPolicies") {
		b.disable(&s, &want, d, found)
	}
	if found.exists {
		s.Target, s.Observed = found.id, found.now.Hash()
		s.Diff = policy.Diff(found.now, want.Over(found.now), nil)
	}
	b.decide(&s, want, found, choice)
	if s.Action.Writes() {
		b.warn(&s, want, found)
	}
	b.decided[key] = decision{target: s.Target, create: s.Action == Create && s.Target == ""}
	return s
}

// decide sets the action of the step and, if it writes, the calls.
func (b *builder) decide(s *Step, want policy.Document, found identity, choice Choice) {
	block := func(action Action, code BlockCode, format string, args ...any) {
		s.Action = action
		s.Blocks = append(s.Blocks, Block{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	root := b.opts.Target.Root
	switch {
	case s.Action != "": // set by identify
	case found.exists && len(found.now.Missing()) > 0:
		block(NotSupported, TargetUnread, "%s", strings.Join(found.now.Missing(), "; "))
	case found.exists && want.Assigned() && !found.now.Assigned():
		block(NotSupported, TargetUnread, "assignments were not read")
	case found.exists && (len(s.Blocks) == 0 || !b.crosses) && want.Over(found.now).Equal(found.now):
		s.Action, s.Blocks = Unchanged, nil // the target refers to the same missing objects
	}
	if s.Action != "" {
		return
	}
	for _, o := range want.Obstacles() {
		block(NotSupported, BlockCode(o.Code), "%s", o.Detail)
	}
	if found.exists {
		for _, path := range want.Fixed(found.now) {
			block(NotSupported, Immutable, "%s", path)
		}
		if wiped := want.Wiped(found.now); len(wiped) > 0 && !choice.Overwrite && s.Action == "" && len(s.Blocks) == 0 {
			block(Conflict, WouldWipe, "%s", strings.Join(wiped, ", "))
		}
	}
	switch {
	case s.Action != "":
	case len(s.Blocks) > 0:
		s.Action = Unresolvable
	case found.exists:
		s.Action = Update
		s.Calls = calls(want.Update(root, found.id, found.now))
		for _, path := range want.Kept(found.now) {
			s.Notes = append(s.Notes, Note{Kept, path})
		}
		if len(s.Calls) == 0 { // all differences are kept
			s.Action = Unchanged
		}
	case found.undelete:
		s.Action, s.Target = Create, found.id
		s.Notes = append(s.Notes, Note{Undeleted, found.id})
		s.Calls = append([]Call{{Method: "POST", Path: want.Type().UndeletePath(found.id)}}, calls(want.Update(root, found.id, policy.Empty(want.Type())))...)
	default:
		s.Action = Create
		s.Calls = calls(want.Create(root))
	}
}

func calls(all []policy.Call) []Call {
	out := make([]Call, len(all))
	for i, c := range all {
		out[i] = Call{c.Method, c.Path, hash(c.Body), c.Body}
	}
	return out
}

// restorable reports whether the item can be compared with the target. If not, it blocks
// the step.
func (b *builder) restorable(s *Step, item Item) bool {
	for _, part := range item.Incomplete {
		s.Blocks = append(s.Blocks, Block{Code: BlockCode(policy.Incomplete), Detail: part})
	}
	for _, o := range item.Policy.Obstacles() {
		if o.Code == policy.BackupOnly || o.Code == policy.Incomplete {
			s.Blocks = append(s.Blocks, Block{Code: BlockCode(o.Code), Detail: o.Detail})
		}
	}
	if why, unread := b.observed.Unread[s.Type]; unread {
		s.Blocks = append(s.Blocks, Block{Code: TargetUnread, Detail: why})
	}
	if len(s.Blocks) > 0 {
		s.Action = NotSupported
		return false
	}
	return true
}
