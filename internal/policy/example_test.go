package policy_test

import (
	"encoding/json"
	"fmt"

	"github.com/interlock-dev/interlock/internal/policy"
)

// firewall is a settings catalog policy as a backup holds it.
func firewall(name, choice string) policy.Document {
	d, err := policy.Normalise(policy.Item{
		Type: "configurationPolicies",
		Body: json.RawMessage(`{"id":"41d2","name":"` + name + `","lastModifiedDateTime":"2026-11-01T08:00:00Z","settingCount":1}`),
		Parts: map[string]json.RawMessage{"settings": json.RawMessage(`[{
			"id": "0",
			"settingInstance": {"settingDefinitionId": "firewall_enable", "choiceSettingValue": {"value": "` + choice + `", "children": []}}
		}]`)},
	})
	if err != nil {
		panic(err)
	}
	return d
}

// displayName is what a tenant calls a setting or a choice.
func displayName(id string) string {
	return map[string]string{"firewall_enable": "Enable firewall", "firewall_enable_0": "No", "firewall_enable_1": "Yes"}[id]
}

func ExampleDiff() {
	before, after := firewall("Mac firewall", "firewall_enable_1"), firewall("Mac firewall (test)", "firewall_enable_0")
	for _, change := range policy.Diff(before, after, displayName) {
		fmt.Println(change.Path)
		fmt.Println(" ", change.Name, change.Op)
	}
	// Output:
	// name
	//   Name changed
	// settings[firewall_enable].settingInstance.choiceSettingValue.value
	//   Enable firewall changed
}

// Changes encode as JSON.
func ExampleDiff_json() {
	before, after := firewall("Mac firewall", "firewall_enable_1"), firewall("Mac firewall", "firewall_enable_0")
	text, err := json.MarshalIndent(policy.Diff(before, after, displayName), "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
	// Output:
	// [
	//   {
	//     "path": "settings[firewall_enable].settingInstance.choiceSettingValue.value",
	//     "name": "Enable firewall",
	//     "op": "changed",
	//     "old": "firewall_enable_1",
	//     "new": "firewall_enable_0",
	//     "old_name": "Yes",
	//     "new_name": "No"
	//   }
	// ]
}

func ExampleText() {
	before, after := firewall("Mac firewall", "firewall_enable_1"), firewall("Mac firewall (test)", "firewall_enable_0")
	fmt.Print(policy.Text(policy.Diff(before, after, displayName)))
	// Output:
	// ~ Name: Mac firewall → Mac firewall (test)
	// ~ Enable firewall: Yes → No
}

func ExampleUnified() {
	fmt.Print(policy.Unified(firewall("Mac firewall", "firewall_enable_1"), firewall("Mac firewall", "firewall_enable_0")))
	// Output:
	// diff configurationPolicies/Mac firewall configurationPolicies/Mac firewall
	// --- configurationPolicies/Mac firewall
	// +++ configurationPolicies/Mac firewall
	// @@ -5,7 +5,7 @@
	//        "settingInstance": {
	//          "choiceSettingValue": {
	//            "children": [],
	// -          "value": "firewall_enable_1"
	// +          "value": "firewall_enable_0"
	//          },
	//          "settingDefinitionId": "firewall_enable"
	//        }
}

func ExampleNormalise() {
	d := firewall("Mac firewall", "firewall_enable_1")
	fmt.Println(d.Type().Singular)
	fmt.Println(string(d.Canonical()))
	// Output:
	// Settings catalog policy
	// {"name":"Mac firewall","settings":[{"settingInstance":{"choiceSettingValue":{"children":[],"value":"firewall_enable_1"},"settingDefinitionId":"firewall_enable"}}]}
}
