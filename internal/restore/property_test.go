package restore_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// drawn makes a small estate: tags, filters, locations, settings and policies that refer
// to one another, by a few ids so that they meet.
func drawn(t *rapid.T, label string) []policy.Document {
	one := func(what string, ids ...string) string { return rapid.SampledFrom(ids).Draw(t, label+" "+what) }
	var all []policy.Document
	seen := make(map[string]bool)
	for i := range rapid.IntRange(0, 8).Draw(t, label+" count") {
		key := one("type", "roleScopeTags", "assignmentFilters", "namedLocations", "reusablePolicySettings", profiles, catalog, access, "notificationMessageTemplates", "deviceHealthScripts", "policySets")
		id := one("id", "1", "2", "3")
		if seen[key+id] {
			continue
		}
		seen[key+id] = true
		name := one("name", "A", "B", "C")
		body := map[string]any{"displayName": name, "x": rapid.IntRange(0, 2).Draw(t, label+" x"), "lastModifiedDateTime": fmt.Sprintf("2026-10-%02dT00:00:00Z", i+1)}
		tags := []string{"0", one("tag", "1", "2", "9")}
		target := func(kind, group string) map[string]any {
			return map[string]any{"target": map[string]any{"@odata.type": "#microsoft.graph." + kind, "groupId": group}}
		}
		assignments := []any{}
		if rapid.Bool().Draw(t, label+" assigned") {
			with := target("groupAssignmentTarget", one("group", "g1", "g2", "gone"))
			inner, _ := with["target"].(map[string]any)
			inner["deviceAndAppManagementAssignmentFilterId"], inner["deviceAndAppManagementAssignmentFilterType"] = one("filter", "1", "2", ""), "include"
			assignments = append(assignments, with, target("exclusionGroupAssignmentTarget", one("excluded", "g3", "gone2")))
		}
		switch key {
		case profiles:
			body["@odata.type"], body["roleScopeTagIds"], body["assignments"] = "#microsoft.graph.windows10CustomConfiguration", tags, assignments
			if rapid.Bool().Draw(t, label+" secret") {
				body["preSharedKey"] = one("key", "****", "plain")
			}
		case catalog:
			delete(body, "displayName")
			body["name"], body["roleScopeTagIds"], body["assignments"] = name, tags, assignments
			body["settings"] = []any{map[string]any{"settingInstance": map[string]any{"settingDefinitionId": "a", "simpleSettingValue": map[string]any{
				"@odata.type": "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue", "value": one("setting", "1", "2"),
			}}}}
		case access:
			body["state"] = one("state", "enabled", "disabled", "enabledForReportingButNotEnforced")
			body["conditions"] = map[string]any{
				"users":     map[string]any{"includeUsers": []string{"All"}, "excludeGroups": []string{one("excluded", "g1", "gone")}},
				"locations": map[string]any{"includeLocations": []string{one("location", "1", "2")}},
			}
		case "namedLocations":
			body["@odata.type"] = "#microsoft.graph.ipNamedLocation"
		case "assignmentFilters":
			body["platform"], body["roleScopeTags"] = one("platform", "iOS", "macOS"), tags
		case "notificationMessageTemplates":
			body["localizedNotificationMessages"] = []any{map[string]any{"id": id, "locale": one("locale", "de", "en"), "subject": name}}
		case "deviceHealthScripts":
			body["detectionScriptContent"], body["isGlobalScript"] = "eA==", rapid.Bool().Draw(t, label+" global")
		}
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		d, err := policy.Normalise(policy.Item{Type: key, ID: id, Body: data})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// drawnWorld is a backup, a target and choices.
func drawnWorld(t *rapid.T) *world {
	w := newWorld(rapid.SampledFrom([]string{here, there}).Draw(t, "directory"))
	for _, d := range drawn(t, "backup") {
		w.set.Items = append(w.set.Items, restore.Item{Policy: d})
	}
	w.observed.Items = drawn(t, "target")
	w.knows(policy.Groups, "g2", "Staff").knows(policy.Groups, "g3", "Guests")
	for _, id := range []string{"1", "2"} {
		if rapid.Bool().Draw(t, "mapped") {
			w.mapped(policy.ScopeTags, id, rapid.SampledFrom([]string{"1", "2", "7"}).Draw(t, "to"))
		}
		if rapid.Bool().Draw(t, "mapped policy") {
			w.mapped(profiles, id, rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "to policy"))
		}
	}
	for _, item := range w.set.Items {
		if rapid.Bool().Draw(t, "choose") {
			c := restore.Choice{
				New: rapid.Bool().Draw(t, "new"), Overwrite: rapid.Bool().Draw(t, "overwrite"), Unassigned: rapid.Bool().Draw(t, "unassigned"),
			}
			w.choose(item.Key().Type, item.Key().ID, c)
			if _, err := restore.Build(w.set, w.observed, w.mappings, w.opts); err != nil && strings.Contains(err.Error(), "there is nothing to choose") {
				c.New = false
				w.choose(item.Key().Type, item.Key().ID, c)
			}
		}
	}
	return w
}

func build(t *rapid.T, w *world) restore.Plan {
	p, err := restore.Build(w.set, w.observed, w.mappings, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlanPromises: what a plan never does, whatever it is made from.
func TestPlanPromises(t *testing.T) {
	wrote := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		p := build(t, w)
		if len(p.Steps) != len(w.set.Items) {
			t.Fatalf("%d steps for %d policies: one was left out in silence", len(p.Steps), len(w.set.Items))
		}
		created := make(map[restore.Need]int) // in which step
		acknowledge := make(map[restore.WarningCode]bool)
		written := make(map[string]bool)
		for i, s := range p.Steps {
			if s.N != i+1 {
				t.Fatalf("step %d has the number %d", i+1, s.N)
			}
			if s.Action.Writes() != (len(s.Calls) > 0) || !s.Action.Writes() && len(s.Needs)+len(s.Warnings) > 0 {
				t.Fatalf("step %d is %s, calls %d times, needs %v and warns of %v", s.N, s.Action, len(s.Calls), s.Needs, s.Warnings)
			}
			if target := s.Type + " " + s.Target; s.Action.Writes() && s.Target != "" {
				if written[target] {
					t.Fatalf("step %d writes %s, which an earlier step writes", s.N, target)
				}
				written[target] = true
			}
			if blocked := s.Action == restore.Conflict || s.Action == restore.Unresolvable || s.Action == restore.NotSupported; blocked != (len(s.Blocks) > 0) {
				t.Fatalf("step %d is %s and has the blocks %v", s.N, s.Action, s.Blocks)
			}
			for _, need := range s.Needs {
				if n := created[need]; n == 0 {
					t.Fatalf("step %d needs %v, which no step before it creates", s.N, need)
				}
				if !slices.ContainsFunc(s.Calls, func(c restore.Call) bool { return slices.Contains(referred(string(c.Body)), need) }) {
					t.Fatalf("step %d needs %v, which no call of it refers to", s.N, need)
				}
			}
			for _, warning := range s.Warnings {
				acknowledge[warning.Code] = true
			}
			for _, c := range s.Calls {
				wrote++
				body := string(c.Body)
				switch {
				case c.Method != "POST" && c.Method != "PATCH" && c.Method != "PUT":
					t.Fatalf("step %d calls %s %s", s.N, c.Method, c.Path)
				case strings.Contains(c.Path, "/groups"):
					t.Fatalf("step %d writes a group: %s", s.N, c.Path)
				case strings.Contains(body, "****"):
					t.Fatalf("step %d sends what stands in place of a secret: %s", s.N, body)
				case s.Type == access && !strings.Contains(body, `"state":"disabled"`):
					t.Fatalf("step %d sends conditional access that is not disabled: %s", s.N, body)
				case strings.Contains(body, `"gone`):
					t.Fatalf("step %d sends a group that is gone: %s", s.N, body)
				}
				for _, need := range referred(body) {
					if !slices.Contains(s.Needs, need) {
						t.Fatalf("step %d refers to %v and does not say that it needs it", s.N, need)
					}
				}
			}
			if s.Action == restore.Create {
				created[restore.Need{Kind: policy.Kind(s.Type), Source: s.Source}] = s.N
			}
		}
		for code := range acknowledge {
			if !slices.Contains(p.Warnings, code) {
				t.Fatalf("the warning %s need not be acknowledged", code)
			}
		}
	})
	if wrote == 0 {
		t.Error("no plan wrote anything: the properties were not tried")
	}
}

// referred are the objects that a body has placeholders for.
func referred(body string) (all []restore.Need) {
	for _, part := range strings.Split(body, `"interlock:created/`)[1:] {
		kind, rest, _ := strings.Cut(part, "/")
		source, _, _ := strings.Cut(rest, `"`)
		all = append(all, restore.Need{Kind: policy.Kind(kind), Source: source})
	}
	return all
}

// TestPlanIsDetermined: the order of what a plan is made from does not count.
func TestPlanIsDetermined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		p := build(t, w)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rng.Shuffle(len(w.set.Items), func(i, j int) { w.set.Items[i], w.set.Items[j] = w.set.Items[j], w.set.Items[i] })
		rng.Shuffle(len(w.observed.Items), func(i, j int) {
			w.observed.Items[i], w.observed.Items[j] = w.observed.Items[j], w.observed.Items[i]
		})
		rng.Shuffle(len(w.mappings), func(i, j int) { w.mappings[i], w.mappings[j] = w.mappings[j], w.mappings[i] })
		if again := build(t, w); again.Hash() != p.Hash() {
			t.Fatalf("another order makes another plan:\n%s\n%s", p.Canonical(), again.Canonical())
		}
	})
}

// TestEqualStatesAreUnchanged: what is already there is not written.
func TestEqualStatesAreUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(here)
		w.observed.Items = drawn(t, "both")
		for _, d := range w.observed.Items {
			w.set.Items = append(w.set.Items, restore.Item{Policy: d})
		}
		p := build(t, w)
		for _, s := range p.Steps {
			if s.Action != restore.Unchanged && s.Type != "policySets" {
				t.Fatalf("%s %s is %s: %v", s.Type, s.Source, s.Action, s.Blocks)
			}
			if len(s.Diff) != 0 {
				t.Fatalf("%s %s is unchanged and differs:\n%s", s.Type, s.Source, policy.Text(s.Diff))
			}
		}
		if p.Applicable() || len(p.Warnings) != 0 {
			t.Fatalf("a plan that does nothing is applicable, or warns of %v", p.Warnings)
		}
	})
}
