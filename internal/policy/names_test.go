package policy_test

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/policy"
)

// TestTakeNames: the definitions go out of the settings and leave every other byte; the
// names of ids that the settings do not have are left out.
func TestTakeNames(t *testing.T) {
	const definitions = `"settingDefinitions" : [ {"id":"lock","displayName":"Lock","options":[{"itemId":"lock_0","displayName":"Off"},{"itemId":"lock_1","displayName":"On"}]},
		{"id":"lock_sub","displayName":"Sub"},{"id":"elsewhere","displayName":"Elsewhere"},{"id":7,"options":[7]},7,{"id":"lock","displayName":""}]`
	const instance = `"settingInstance": { "settingDefinitionId":"lock","choiceSettingValue":{"value":"lock_1","children":[{"settingDefinitionId":"lock_sub"}]} }`
	for _, c := range []struct{ settings, want string }{
		{`[ {"id":"0", ` + instance + ` , ` + definitions + ` } , {"id":"1"}]`, `[{"id":"0", ` + instance + ` },{"id":"1"}]`},
		{`[{` + definitions + ` , ` + instance + `}]`, `[{ ` + instance + `}]`},
		{`[{"a":1,` + definitions + `,` + instance + `,"b":{"settingDefinitions":[1]}}]`, `[{"a":1,` + instance + `,"b":{"settingDefinitions":[1]}}]`},
	} {
		got, names, err := policy.TakeNames(json.RawMessage(c.settings))
		if err != nil || string(got) != c.want {
			t.Errorf("left is\n%s, want\n%s, %v", got, c.want, err)
		}
		if diff := cmp.Diff(map[string]string{"lock": "Lock", "lock_1": "On", "lock_sub": "Sub"}, maps.Clone(names)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	for _, settings := range []string{`[{` + definitions + `}]`, `[{}]`, `[]`, `[7,"x",null]`, `[{"settingDefinitions":7}]`} {
		got, names, err := policy.TakeNames(json.RawMessage(settings))
		if err != nil || len(names) != 0 || !json.Valid(got) {
			t.Errorf("%s: %s, %v, %v", settings, got, names, err)
		}
	}
	for _, settings := range []string{`{}`, `[`, `[{"a":1,"a":2}]`, ``} {
		if _, _, err := policy.TakeNames(json.RawMessage(settings)); !errors.Is(err, policy.ErrInvalid) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// TestNamesOfAnItem: the names that were read with a policy are told, and are no part of
// it.
func TestNamesOfAnItem(t *testing.T) {
	of := func(choice string, names map[string]string) policy.Document {
		return normalise(t, policy.Item{Type: "configurationPolicies", Names: names, Body: json.RawMessage(
			`{"id":"p","name":"P","settings":[{"settingInstance":{"settingDefinitionId":"lock","choiceSettingValue":{"value":"lock_` + choice + `"}}}]}`)})
	}
	before, after := of("0", map[string]string{"lock": "Lock", "lock_0": "Off"}), of("1", map[string]string{"lock": "Lock the device", "lock_1": "On"})
	if got := policy.Text(policy.Diff(before, after, policy.NamesIn(after, before))); got != "~ Lock the device: Off → On\n" {
		t.Errorf("the change is %q", got)
	}
	if a, b := of("0", nil), before; a.Hash() != b.Hash() || !a.Equal(b) {
		t.Error("names change the policy")
	}
}
