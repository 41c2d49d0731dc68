package policy

import (
	"cmp"
	"slices"
	"strings"
)

// Comparison is one policy that differs between two sets of policies.
type Comparison struct {
	Type     string   `json:"type"`
	ID       string   `json:"id"` // in the newer set, or in the older one if the policy was removed
	Name     string   `json:"name"`
	How      Op       `json:"how"`
	Modified string   `json:"modified,omitempty"` // when it was changed, as the service wrote it; empty if it doesn't say, or if the policy was removed
	Changes  []Change `json:"changes,omitempty"`  // of a policy that was changed
	Unified  string   `json:"-"`                  // the same as a unified diff
}

// Compare returns the policies in which two sets differ, in restore order and by name. It
// is empty exactly if the sets hold equal policies. A policy is the same in both if it has
// the same id, or else the same name and no other of its type has that: an upload or a set
// of another tenant has ids of its own.
//
// Secrets are compared but not shown.
func Compare(before, after []Document, names Names) []Comparison {
	other := counterparts(before, after)
	var all []Comparison
	found := make(map[int]bool)
	for i, d := range after {
		j, ok := other[i]
		if !ok {
			all = append(all, comparison(d, Added, nil, Unified(Empty(d.t), d)))
			continue
		}
		found[j] = true
		if !before[j].Equal(d) {
			all = append(all, comparison(d, Changed, Diff(before[j], d, names), Unified(before[j], d)))
		}
	}
	for j, d := range before {
		if !found[j] {
			all = append(all, comparison(d, Removed, nil, Unified(d, Empty(d.t))))
		}
	}
	slices.SortStableFunc(all, func(a, b Comparison) int {
		return cmp.Or(Lookup(a.Type).Order-Lookup(b.Type).Order, cmp.Compare(a.Type, b.Type), cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return all
}

func comparison(d Document, how Op, changes []Change, unified string) Comparison {
	c := Comparison{Type: d.t.Key, ID: d.id, Name: d.Name(), How: how, Changes: changes, Unified: unified}
	if how != Removed {
		c.Modified = d.Modified()
	}
	return c
}

// counterparts are the indexes of the policies of before that those of after were.
func counterparts(before, after []Document) map[int]int {
	all, taken := make(map[int]int), make(map[int]bool)
	pair := func(key func(Document) string) {
		old, now := make(map[string][]int), make(map[string][]int)
		for j, d := range before {
			if k := key(d); !taken[j] && k != "" {
				old[d.t.Key+"/"+k] = append(old[d.t.Key+"/"+k], j)
			}
		}
		for i, d := range after {
			if _, ok := all[i]; !ok && key(d) != "" {
				now[d.t.Key+"/"+key(d)] = append(now[d.t.Key+"/"+key(d)], i)
			}
		}
		for k, is := range now {
			if js := old[k]; len(is) == 1 && len(js) == 1 {
				all[is[0]], taken[js[0]] = js[0], true
			}
		}
	}
	pair(func(d Document) string { return strings.ToLower(d.id) })
	pair(Document.Name)
	return all
}

// NamesIn returns the names that policies give: their own, by their ids, and those of the
// settings and choices of the settings catalog, where the tenant gave them. The first name
// of an id counts.
func NamesIn(policies ...Document) Names {
	known := make(map[string]string)
	add := func(id, name string) {
		if _, ok := known[id]; !ok && id != "" && name != "" {
			known[id] = name
		}
	}
	for _, d := range policies {
		add(d.id, d.Name())
		for id, name := range d.names {
			add(id, name)
		}
		settings, _ := d.raw["settings"].([]any)
		for _, s := range settings {
			definitions, _ := get(s, "settingDefinitions").([]any)
			for _, definition := range definitions {
				add(text(definition, "id"), text(definition, "displayName"))
				options, _ := get(definition, "options").([]any)
				for _, o := range options {
					add(text(o, "itemId"), text(o, "displayName"))
				}
			}
		}
	}
	return func(id string) string { return known[id] }
}
