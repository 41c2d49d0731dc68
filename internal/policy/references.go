package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Reference is an id of another object in a policy.
type Reference struct {
	Kind     Kind
	ID       string
	Path     string // such as "conditions.users.excludeGroups[0]"
	Excluded bool   // the policy excludes the object; without the reference it would apply to more
}

// Assignment reports whether the reference is part of the assignments, which are written
// separately.
func (r Reference) Assignment() bool { return strings.HasPrefix(r.Path, "assignments[") }

const referenceValue = "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue"

// References are the ids of other objects in the policy, ordered by path. Words such as
// "All" and ids that stand for none are not references.
func (d Document) References() []Reference {
	var all []Reference
	d.t.references(d.tree, func(r Reference, _ func(string)) { all = append(all, r) })
	slices.SortFunc(all, func(a, b Reference) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Untranslatable lists the paths of ids that mean something in one directory only and that
// References does not have: collections of Configuration Manager, and bindings to the
// addresses of objects.
func (d Document) Untranslatable() (all []string) {
	walk(d.tree, nil, func(at *place, v any) {
		switch {
		case at == nil || v == nil:
		case strings.HasSuffix(at.name, "@odata.bind"):
			all = append(all, at.String())
		case at.name == "collectionId" && d.t.Assign.Can() && strings.HasPrefix(at.String(), "assignments["):
			all = append(all, at.String())
		}
	})
	return all
}

// Rewrite returns a copy with other ids. to returns the new id of a reference, or false
// to keep the id.
func (d Document) Rewrite(to func(Reference) (string, bool)) Document {
	tree, _ := clone(d.tree).(map[string]any)
	d.t.references(tree, func(r Reference, set func(string)) {
		if id, ok := to(r); ok {
			set(id)
		}
	})
	for _, set := range d.t.sets() { // ids decide the order of elements
		at(tree, set.Path, func(parent map[string]any, name string) {
			if list, ok := parent[name].([]any); ok {
				sortBy(list, set.Key)
			}
		})
	}
	if list, ok := tree["assignments"].([]any); ok {
		sortBy(list, "")
	}
	d.tree, d.text = tree, encode(tree)
	return d
}

// references calls visit for every reference in tree, with a function that replaces the
// id.
func (t *Type) references(tree map[string]any, visit func(Reference, func(string))) {
	for _, ref := range t.Refs {
		stringsAt(tree, "", ref.Path, func(path, id string, set func(string)) {
			if id != "" && !slices.Contains(ref.Words, id) {
				visit(Reference{ref.Kind, id, path, ref.Excluded}, set)
			}
		})
	}
	if t.Settings {
		walk(tree, nil, func(at *place, v any) {
			if object, ok := v.(map[string]any); ok && text(object, "@odata.type") == referenceValue {
				if id := text(object, "value"); id != "" {
					visit(Reference{ReusableSettings, id, at.String() + ".value", false}, func(s string) { object["value"] = s })
				}
			}
		})
	}
	stringsAt(tree, "", "assignments[].target.groupId", func(path, id string, set func(string)) {
		excluded := false
		if list, ok := tree["assignments"].([]any); ok {
			i, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path, "assignments["), "].target.groupId"))
			excluded = text(list[i], "target.@odata.type") == targetExclusion
		}
		visit(Reference{Groups, id, path, excluded}, set)
	})
	stringsAt(tree, "", "assignments[].target."+filterID, func(path, id string, set func(string)) {
		visit(Reference{Filters, id, path, false}, set)
	})
}

// stringsAt calls visit for every string at a path of the table, with the string's own
// path and a function that replaces it.
func stringsAt(v any, here, path string, visit func(path, value string, set func(string))) {
	step, rest, more := cut(path)
	name, list := strings.CutSuffix(step, "[]")
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	here = strings.TrimPrefix(here+"."+name, ".")
	if !list {
		if more {
			stringsAt(object[name], here, rest, visit)
		} else if s, ok := object[name].(string); ok {
			visit(here, s, func(s string) { object[name] = s })
		}
		return
	}
	elements, _ := object[name].([]any)
	for i, e := range elements {
		at := here + "[" + strconv.Itoa(i) + "]"
		if more {
			stringsAt(e, at, rest, visit)
		} else if s, ok := e.(string); ok {
			visit(at, s, func(s string) { elements[i] = s })
		}
	}
}

// Everywhere reports whether an object with that id exists in every directory.
func Everywhere(kind Kind, id string) bool { return slices.Contains(everywhere[kind], id) }
