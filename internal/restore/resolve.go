package restore

import (
	"fmt"
	"maps"
	"slices"

	"github.com/interlock-dev/interlock/internal/policy"
)

// resolve returns the policy with the ids that its references have in the target. It
// blocks the step for references without a counterpart.
func (b *builder) resolve(s *Step, d policy.Document, choice Choice) policy.Document {
	unassigned := false
	needs := make(map[Need]bool)
	ids := make(map[policy.Reference]string)
	for _, r := range d.References() {
		id, need, code, detail := b.counterpart(r)
		switch {
		case code == "":
			ids[r] = id
			if need {
				needs[Need{r.Kind, r.ID}] = true
			}
		case code == AssignmentMissing && choice.Unassigned:
			unassigned = true
		default:
			s.Blocks = append(s.Blocks, Block{Code: code, Detail: detail, Reference: &r})
		}
	}
	want := d.Rewrite(func(r policy.Reference) (string, bool) {
		id, ok := ids[r]
		return id, ok
	})
	if unassigned {
		want = want.Without("assignments")
		s.Notes = append(s.Notes, Note{Code: NotAssigned})
		needs = make(map[Need]bool)
		for _, r := range d.References() {
			if _, create := b.created(r); create && !r.Assignment() {
				needs[Need{r.Kind, r.ID}] = true
			}
		}
	}
	if b.crosses {
		for _, path := range want.Untranslatable() {
			s.Blocks = append(s.Blocks, Block{Code: ReferenceMissing, Detail: path + " names an object of the other directory"})
		}
	}
	for need := range needs {
		s.Needs = append(s.Needs, need)
	}
	slices.SortFunc(s.Needs, func(x, y Need) int { return compareKeys(Key{string(x.Kind), x.Source}, Key{string(y.Kind), y.Source}) })
	return want
}

// counterpart returns the id that a reference has in the target, or a placeholder and
// need for an object that an earlier step creates. The id stays the same within one
// directory and for kinds with global ids. Without a counterpart it returns a block.
func (b *builder) counterpart(r policy.Reference) (id string, need bool, code BlockCode, detail string) {
	if policy.Everywhere(r.Kind, r.ID) {
		return r.ID, false, "", ""
	}
	if id, create := b.created(r); create {
		return id, true, "", ""
	} else if id != "" {
		return id, false, "", ""
	}
	known := b.known[r.Kind]
	if _, ok := known[r.ID]; ok && (!b.crosses || r.Kind.Global()) {
		return r.ID, false, "", ""
	}
	code = missing(r)
	m, mapped := b.mappings[Need{r.Kind, r.ID}]
	gone := fmt.Sprintf("%s %s is mapped to %s, which is gone", r.Kind, r.ID, m.Target)
	switch _, there := known[m.Target]; {
	case mapped && there:
		b.used[m] = true
		return m.Target, false, "", ""
	case mapped && code == AssignmentMissing: // the policy can be restored without its assignments
		return "", false, code, gone
	case mapped:
		return "", false, MappingGone, gone
	}
	detail = fmt.Sprintf("%s %s at %s", r.Kind, r.ID, r.Path)
	for _, id := range sorted(known) { // observed: some export tools write names instead of ids
		if Named(known[id], r.ID) {
			detail += fmt.Sprintf("; %s has that name", id)
		}
	}
	return "", false, code, detail
}

// created returns what an earlier step decided for the object: its id, or a placeholder
// if the step creates it.
func (b *builder) created(r policy.Reference) (id string, create bool) {
	d := b.decided[Key{string(r.Kind), r.ID}]
	if d.create {
		return Need{r.Kind, r.ID}.placeholder(), true
	}
	return d.target, false
}

// missing returns the block for a reference without a counterpart.
func missing(r policy.Reference) BlockCode {
	switch {
	case r.Excluded && r.Kind.Principal():
		return ExcludedMissing
	case r.Kind == policy.ScopeTags:
		return ScopeTagMissing
	case r.Assignment() && r.Kind == policy.Groups:
		return AssignmentMissing
	default:
		return ReferenceMissing
	}
}

// disable sets a conditional access policy to disabled, unless it is equal to the target.
func (b *builder) disable(s *Step, want *policy.Document, d policy.Document, found identity) {
	state := d.Text("state")
	if state == "disabled" || found.exists && want.Over(found.now).Equal(found.now) {
		return
	}
	*want = want.With("state", "disabled")
	s.Notes = append(s.Notes, Note{StaysDisabled, state})
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
