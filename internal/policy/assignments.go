package policy

import (
	"fmt"
	"slices"
	"strings"
)

// docs: the types of an assignment's target.
const (
	targetGroup     = "#microsoft.graph.groupAssignmentTarget"
	targetExclusion = "#microsoft.graph.exclusionGroupAssignmentTarget"
	targetDevices   = "#microsoft.graph.allDevicesAssignmentTarget"
	targetUsers     = "#microsoft.graph.allLicensedUsersAssignmentTarget"
)

// assignments returns the normal form of a list of assignments: their targets and the
// properties that the type keeps. It drops assignments that a policy set made,
// duplicates, filters of exclusions and filters that stand for none.
func (t *Type) assignments(v any) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: assignments is not a list", ErrInvalid)
	}
	all := []any{}
	seen := make(map[string]bool)
	for i, e := range list {
		if source := text(e, "source"); source != "" && source != "direct" {
			continue
		}
		target, ok := get(e, "target").(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: assignment %d has no target", ErrInvalid, i)
		}
		kept := map[string]any{}
		for _, name := range []string{"@odata.type", "groupId", "collectionId"} {
			if v, ok := target[name]; ok && v != nil {
				kept[name] = v
			}
		}
		filter, kind := text(target, filterID), text(target, filterType)
		if filter != "" && filter != noID && kind != "none" && text(target, "@odata.type") != targetExclusion {
			kept[filterID], kept[filterType] = filter, kind
		}
		assignment := map[string]any{"target": kept}
		for _, name := range t.Assign.Keep {
			if v := get(e, name); v != nil {
				assignment[name] = v
			}
		}
		if key := string(encode(assignment)); !seen[key] {
			seen[key] = true
			all = append(all, assignment)
		}
	}
	sortBy(all, "")
	return all, nil
}

const (
	filterID   = "deviceAndAppManagementAssignmentFilterId"
	filterType = "deviceAndAppManagementAssignmentFilterType"
)

// Assignment is one target of a policy.
type Assignment struct {
	Target     string // @odata.type of the target
	Group      string // id; empty for all devices and all users
	Filter     string // id; empty for none
	FilterType string // "include" or "exclude"
}

// Exclusion reports whether the target is excluded.
func (a Assignment) Exclusion() bool { return a.Target == targetExclusion }

// Everybody reports whether the target is all devices or all users.
func (a Assignment) Everybody() bool { return a.Target == targetDevices || a.Target == targetUsers }

// Assignments are the policy's assignments, in the order of the normal form.
func (d Document) Assignments() []Assignment {
	list, _ := d.tree["assignments"].([]any)
	all := make([]Assignment, len(list))
	for i, e := range list {
		target := get(e, "target")
		all[i] = Assignment{text(target, "@odata.type"), text(target, "groupId"), text(target, filterID), text(target, filterType)}
	}
	return all
}

// Misassigned says why the service would refuse the assignments; empty if it would not.
// A group can be assigned only once, and some types accept groups only.
func (d Document) Misassigned() string {
	var groups []string
	for _, a := range d.Assignments() {
		switch {
		case a.Everybody() && d.t.Assign.GroupsOnly:
			return "it is assigned to all devices or all users, and this type takes groups only"
		case a.Group != "" && slices.Contains(groups, a.Group):
			return fmt.Sprintf("group %s is assigned twice", a.Group)
		}
		groups = append(groups, a.Group)
	}
	return ""
}

// Widens reports whether a change from old to d can make the policy apply to more people
// or devices, by its assignments or by the conditions of conditional access. A change of
// a filter counts.
func (d Document) Widens(old Document) bool {
	before, after := old.Assignments(), d.Assignments()
	for _, a := range after {
		if !a.Exclusion() && !slices.Contains(before, a) {
			return true
		}
	}
	for _, a := range before {
		if d.Assigned() && a.Exclusion() && !slices.Contains(after, a) {
			return true
		}
	}
	was, is := old.audience(), d.audience()
	for r := range is {
		if !r.Excluded && !was[r] {
			return true
		}
	}
	for r := range was {
		if r.Excluded && !is[r] {
			return true
		}
	}
	return d.Everybody() && !old.Everybody()
}

// audience are the principals that conditional access includes and excludes, without
// their paths. Words such as "GuestsOrExternalUsers" and the descriptions of guests count
// as principals.
func (d Document) audience() map[Reference]bool {
	all := make(map[Reference]bool)
	for _, ref := range d.t.Refs {
		if !ref.Kind.Principal() || !strings.HasPrefix(ref.Path, "conditions.") {
			continue
		}
		stringsAt(d.tree, "", ref.Path, func(_, id string, _ func(string)) {
			if id != "" && id != "None" {
				all[Reference{Kind: ref.Kind, ID: id, Excluded: ref.Excluded}] = true
			}
		})
	}
	for name, excluded := range map[string]bool{"includeGuestsOrExternalUsers": false, "excludeGuestsOrExternalUsers": true} {
		if guests := get(d.tree, "conditions.users."+name); guests != nil {
			all[Reference{Kind: Users, ID: string(encode(guests)), Excluded: excluded}] = true
		}
	}
	return all
}
