package restore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/policy"
)

// identity is the counterpart of a policy in the target.
type identity struct {
	exists   bool
	id       string
	now      policy.Document // if it exists
	undelete bool            // id names a deleted object
}

// identify finds the counterpart of an item: the object with the same id in the same
// directory, else the mapped object, else the operator's choice. Objects with the same
// name and deleted objects are only candidates: without a choice the step is a conflict.
func (b *builder) identify(s *Step, item Item) identity {
	d, key := item.Policy, item.Key()
	there := b.targets[key.Type]
	free := func(id string) bool {
		if b.taken[Key{key.Type, id}] {
			s.Action = Conflict
			s.Blocks = append(s.Blocks, Block{Code: TargetTaken, Detail: fmt.Sprintf("%s %q is the target of an earlier step", s.Type, id)})
			return false
		}
		b.taken[Key{key.Type, id}] = true
		return true
	}
	found := func(id string) identity {
		now, read := there[id]
		switch {
		case !free(id):
			return identity{}
		case !read:
			s.Action = NotSupported
			s.Blocks = append(s.Blocks, Block{Code: TargetUnread, Detail: fmt.Sprintf("%s %q was not read", s.Type, id)})
		}
		return identity{exists: read, id: id, now: now}
	}
	kind := policy.Kind(key.Type)
	if name := d.DefaultName(); name != "" {
		for _, id := range sorted(there) {
			if now := there[id]; now.DefaultName() == name && now.Entity() == d.Entity() {
				return found(id)
			}
		}
		s.Action = NotSupported
		s.Blocks = append(s.Blocks, Block{Code: NoDefault, Detail: name})
		return identity{}
	}
	if id, mapped := b.recorded(key); id != "" {
		if mapped {
			b.used[b.mappings[Need{kind, key.ID}]] = true
		}
		return found(id)
	}
	candidates, deleted := b.candidates(item)
	switch choice := b.opts.Choices[key]; {
	case choice.Target != "":
		return found(choice.Target)
	case choice.Undelete != "":
		return identity{id: choice.Undelete, undelete: free(choice.Undelete)}
	case choice.New, d.BuiltIn(), len(candidates)+len(deleted) == 0: // every tenant has its own of what the service made
		for _, c := range candidates {
			s.Beside = append(s.Beside, c.ID)
		}
		return identity{}
	}
	s.Action = Conflict
	if len(candidates) > 0 {
		s.Blocks = append(s.Blocks, Block{Code: NameTaken, Detail: fmt.Sprintf("%d of that name", len(candidates))})
	}
	if len(deleted) > 0 {
		s.Blocks = append(s.Blocks, Block{Code: DeletedThere, Detail: fmt.Sprintf("%d deleted", len(deleted))})
	}
	s.Candidates = append(deleted, candidates...)
	return identity{}
}

// candidates returns the objects in the target with the item's name, and the deleted
// objects with its name or id.
func (b *builder) candidates(item Item) (there, deleted []Object) {
	key, name := item.Key(), item.Policy.Name()
	for _, id := range sorted(b.known[policy.Kind(key.Type)]) {
		if other := b.known[policy.Kind(key.Type)][id]; Named(other, name) {
			there = append(there, Object{id, other})
		}
	}
	for _, d := range b.observed.Deleted {
		if d.Type == key.Type && (Named(d.Name, name) || d.ID == key.ID && !b.crosses) && undeletable(d) {
			deleted = append(deleted, Object{d.ID, d.Name})
		}
	}
	slices.SortFunc(deleted, func(x, y Object) int { return strings.Compare(x.ID, y.ID) })
	return there, deleted
}

// undeletable reports whether a plan may restore a deleted object. A conditional access
// policy returns in its old state, which must not be enabled.
func undeletable(d Deleted) bool {
	t := policy.Lookup(d.Type)
	return t != nil && t.UndeletePath(d.ID) != "" && (d.Type != "conditionalAccessPolicies" || d.State == "disabled")
}

// Named reports whether two names differ in case and white space only.
func Named(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// recorded returns the object in the target that has the same id in the same directory,
// or that the id is mapped to; empty if there is none.
func (b *builder) recorded(key Key) (id string, mapped bool) {
	kind := policy.Kind(key.Type)
	if _, same := b.known[kind][key.ID]; same && !b.crosses {
		return key.ID, false
	}
	target := b.mappings[Need{kind, key.ID}].Target
	if _, there := b.known[kind][target]; there {
		return target, true
	}
	return "", false
}

// certain says why the counterpart of an item is certain; empty if it is not.
func (b *builder) certain(item Item) string {
	if item.Policy.DefaultName() != "" {
		return "it is a default of the service"
	}
	switch id, mapped := b.recorded(item.Key()); {
	case mapped:
		return fmt.Sprintf("it is mapped to %q", id)
	case id != "":
		return "the target has the object with its id"
	}
	return ""
}

// possible returns an error for a choice that is not among the candidates, and for one
// that would be ignored because the counterpart is certain.
func (b *builder) possible(item Item, c Choice) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("the choice for %s %q: %s", item.Key().Type, item.Policy.Name(), fmt.Sprintf(format, args...))
	}
	chosen := 0
	for _, is := range []bool{c.Target != "", c.New, c.Undelete != ""} {
		if is {
			chosen++
		}
	}
	if chosen > 1 {
		return refuse("it can be updated, created anew or brought back, and not two of these")
	}
	if why := b.certain(item); why != "" && chosen > 0 {
		return refuse("there is nothing to choose: %s", why)
	}
	there, deleted := b.candidates(item)
	is := func(id string) func(Object) bool { return func(o Object) bool { return o.ID == id } }
	if c.Target != "" && !slices.ContainsFunc(there, is(c.Target)) {
		return refuse("%q is no candidate", c.Target)
	}
	if c.Undelete != "" && !slices.ContainsFunc(deleted, is(c.Undelete)) {
		return refuse("%q is no deleted object that can be brought back", c.Undelete)
	}
	return nil
}
