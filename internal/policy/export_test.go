package policy

import (
	"maps"
	"strings"
)

// Properties are all paths of properties that the table names for the type.
func (t *Type) Properties() (all []string) {
	all = append(append(append(all, t.Strip...), t.Immutable...), t.Switches...)
	for path, keep := range t.Only {
		for _, k := range keep {
			all = append(all, path+"."+k)
		}
	}
	for path := range maps.Keys(t.OnlyFor) {
		all = append(all, path)
	}
	for path := range maps.Keys(t.Defaults) {
		all = append(all, path)
	}
	for old, replacement := range t.Superseded {
		all = append(all, old, replacement)
	}
	for _, s := range t.Sets {
		all = append(all, s.Path)
		for key := range strings.SplitSeq(s.Key, "+") {
			if key != "" && !strings.HasPrefix(key, "@") {
				all = append(all, s.Path+"[]."+key)
			}
		}
	}
	for _, r := range t.Refs {
		all = append(all, strings.TrimSuffix(r.Path, "[]"))
	}
	for _, r := range t.Required {
		all = append(all, r.Path)
	}
	for _, p := range t.Parts {
		all = append(append(all, p.Key), p.With...)
	}
	if p := t.BuiltIn.Property; p != "" {
		all = append(all, p)
	}
	return append(all, t.Name)
}
