package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/policy"
)

// told is a line for each policy that differs, with the changes below it.
func told(all []policy.Comparison) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s %s %s %q\n%s", c.How, c.Type, c.ID, c.Name, policy.Text(c.Changes))
	}
	return b.String()
}

// TestCompare shows which policies of two sets differ: by id first, by a name that is
// unique in both next, and not at all by a name that is not.
func TestCompare(t *testing.T) {
	tag := func(id, name, about string) policy.Document {
		return of(t, "assignmentFilters", fmt.Sprintf(`{"id":%q,"displayName":%q,"rule":%q,"platform":"iOS"}`, id, name, about))
	}
	policyOf := func(id, name string) policy.Document {
		return of(t, "configurationPolicies", fmt.Sprintf(`{"id":%q,"name":%q,"settings":[]}`, id, name))
	}
	before := []policy.Document{tag("1", "same", "x"), tag("2", "old name", "x"), tag("3", "moved", "x"), tag("4", "twin", "x"), tag("5", "twin", "y"), tag("6", "gone", "x"), policyOf("1", "P")}
	after := []policy.Document{tag("1", "same", "x"), tag("2", "new name", "x"), tag("33", "moved", "y"), tag("44", "twin", "x"), policyOf("7", "Q"), policyOf("1", "P")}
	want := `removed assignmentFilters 6 "gone"
changed assignmentFilters 33 "moved"
~ Rule: x → y
changed assignmentFilters 2 "new name"
~ Display name: old name → new name
removed assignmentFilters 4 "twin"
added assignmentFilters 44 "twin"
removed assignmentFilters 5 "twin"
added configurationPolicies 7 "Q"
`
	got := policy.Compare(before, after, nil)
	if diff := cmp.Diff(want, told(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, c := range got {
		if !strings.Contains(c.Unified, "\n+") && !strings.Contains(c.Unified, "\n-") {
			t.Errorf("%s has no unified diff: %q", c.Name, c.Unified)
		}
	}
	at := func(when string) policy.Document {
		return of(t, "assignmentFilters", fmt.Sprintf(`{"id":"1","displayName":%q,"rule":"x","platform":"iOS","lastModifiedDateTime":%q}`, when, when))
	}
	old, now := []policy.Document{at("2026-11-01T08:00:00Z")}, []policy.Document{at("2026-11-02T08:00:00Z")}
	for _, c := range []struct {
		before, after []policy.Document
		want          string
	}{{old, now, "2026-11-02T08:00:00Z"}, {nil, now, "2026-11-02T08:00:00Z"}, {old, nil, ""}} {
		if got := policy.Compare(c.before, c.after, nil); len(got) != 1 || got[0].Modified != c.want {
			t.Errorf("changed at %+v, want %q", got, c.want)
		}
	}
	if same := policy.Compare(before, before, nil); len(same) != 0 {
		t.Errorf("a set differs from itself: %s", told(same))
	}
}

// TestNamesIn shows that settings, choices and objects are told by their names where the
// policies give them, and by their ids where not.
func TestNamesIn(t *testing.T) {
	catalog := func(choice, group string) policy.Document {
		return of(t, "configurationPolicies", `{"id":"p","name":"P","settings":[{"id":"0","settingInstance":{"settingDefinitionId":"device_lock","choiceSettingValue":{"value":"device_lock_`+choice+`","children":[]}},
			"settingDefinitions":[{"id":"device_lock","displayName":"Lock","options":[{"itemId":"device_lock_0","displayName":"Off"},{"itemId":"device_lock_1","displayName":"On"}]}]}],
			"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g","deviceAndAppManagementAssignmentFilterId":"`+group+`","deviceAndAppManagementAssignmentFilterType":"include"}}]}`)
	}
	filter := of(t, "assignmentFilters", `{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"x"}`)
	a, b := catalog("0", "f1"), catalog("1", "f1")
	got := policy.Text(policy.Diff(a, b, policy.NamesIn(a, b, filter)))
	if want := "~ Lock: Off → On\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if name := policy.NamesIn(a, b, filter)("f1"); name != "Kiosks" {
		t.Errorf("the filter is %q", name)
	}
	if got := policy.Text(policy.Diff(a, b, policy.NamesIn())); got != "~ device_lock: device_lock_0 → device_lock_1\n" {
		t.Errorf("without names: %q", got)
	}
}
