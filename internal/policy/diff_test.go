package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
)

// people is what a tenant calls some ids.
func people(id string) string {
	return map[string]string{
		"defender_cloudblocklevel": "Cloud block level", "defender_cloudblocklevel_2": "High", "defender_cloudblocklevel_4": "High plus",
		"g1": "All pilots", "g2": "All staff",
	}[id]
}

func TestDiff(t *testing.T) {
	group := func(id string) string {
		return `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + id + `"}}`
	}
	setting := func(choice string) string {
		return `{"settingInstance":{"settingDefinitionId":"defender_cloudblocklevel","choiceSettingValue":{"value":"` + choice + `","children":[]}}}`
	}
	for _, tt := range []struct {
		name, key, a, b string
		want            string // lines of text
		paths           string
	}{
		{"equal", "deviceConfigurations", `{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1,"id":"2"}`, "", ""},
		{"a value", "deviceConfigurations", `{"passwordMinimumLength":8}`, `{"passwordMinimumLength":12}`, "~ Password minimum length: 8 → 12", "passwordMinimumLength"},
		{"added and removed", "deviceConfigurations", `{"a":1}`, `{"b":null}`, "- A: 1\n+ B: null", "a b"},
		{"null is not zero", "deviceConfigurations", `{"a":null}`, `{"a":0}`, "~ A: null → 0", "a"},
		{"digits", "deviceConfigurations", `{"a":1.0}`, `{"a":1.00}`, "~ A: 1.0 → 1.00", "a"},
		{"another kind of value", "deviceConfigurations", `{"a":[1]}`, `{"a":{"0":1}}`, `~ A: [1] → {"0":1}`, "a"},
		{
			"a set by its values", "conditionalAccessPolicies", `{"conditions":{"users":{"includeGroups":["g1","x"]}}}`, `{"conditions":{"users":{"includeGroups":["x","g2"]}}}`,
			"- Conditions › Users › Include groups: All pilots\n+ Conditions › Users › Include groups: All staff", "conditions.users.includeGroups[] conditions.users.includeGroups[]",
		},
		{
			"a name that reads as the path of a set", "conditionalAccessPolicies", `{"conditions.clientAppTypes":["a","b"]}`, `{"conditions.clientAppTypes":["b","a"]}`,
			"~ Conditions.client app types › 1: a → b\n~ Conditions.client app types › 2: b → a", "conditions.clientAppTypes[0] conditions.clientAppTypes[1]",
		},
		{"a list by its numbers", "deviceConfigurations", `{"l":[{"v":1},{"v":2}]}`, `{"l":[{"v":1},{"v":3}]}`, "~ L › 2 › V: 2 → 3", "l[1].v"},
		{"an element put in before others", "deviceConfigurations", `{"l":["a","b","c"]}`, `{"l":["x","a","b","c"]}`, "+ L › 1: x", "l[0]"},
		{"an element taken from the middle", "deviceConfigurations", `{"l":["a","b","c"]}`, `{"l":["a","c"]}`, "- L › 2: b", "l[1]"},
		{
			"a setting by its definition, with names", "configurationPolicies", `{"settings":[` + setting("defender_cloudblocklevel_2") + `]}`,
			`{"settings":[{"settingInstance":{"settingDefinitionId":"a"}},` + setting("defender_cloudblocklevel_4") + `]}`,
			"+ a: {\"settingInstance\":{\"settingDefinitionId\":\"a\"}}\n~ Cloud block level: High → High plus",
			"settings[a] settings[defender_cloudblocklevel].settingInstance.choiceSettingValue.value",
		},
		{"assignments", "configurationPolicies", `{"assignments":[` + group("g1") + `]}`, `{"assignments":[` + group("g2") + `]}`, "- Assignments: All pilots\n+ Assignments: All staff", "assignments[] assignments[]"},
		{"assignments that one does not know", "configurationPolicies", `{"name":"n"}`, `{"name":"n","assignments":[` + group("g2") + `]}`, "", ""},
		{"a secret", "deviceConfigurations", `{"preSharedKey":"hunter2"}`, `{"preSharedKey":"hunter3"}`, "~ Pre shared key: [secret] → [secret]", "preSharedKey"},
		{
			"a key with brackets and dots", "targetedManagedAppConfigurations", `{"customSettings":[{"name":"a.b[0]","value":"1"}]}`, `{"customSettings":[{"name":"a.b[0]","value":"2"}]}`,
			"~ Custom settings › a.b[0]: 1 → 2", "customSettings[a.b[0]].value",
		},
		{
			"a message by its locale", "notificationMessageTemplates", `{"localizedNotificationMessages":[{"locale":"de","subject":"a"},{"locale":"en","subject":"b"}]}`,
			`{"localizedNotificationMessages":[{"locale":"en","subject":"c"},{"locale":"de","subject":"a"}]}`, "~ Localized notification messages › en › Subject: b → c", "localizedNotificationMessages[en].subject",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := of(t, tt.key, tt.a), of(t, tt.key, tt.b)
			changes := policy.Diff(a, b, people)
			if got := lines(changes); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			var paths []string
			for _, c := range changes {
				paths = append(paths, c.Path)
			}
			if got := strings.Join(paths, " "); got != tt.paths {
				t.Errorf("paths %s, want %s", got, tt.paths)
			}
			if equal := a.Equal(b); equal != (tt.want == "") || (policy.Unified(a, b) == "") != equal {
				t.Errorf("equal %t, unified\n%s", equal, policy.Unified(a, b))
			}
		})
	}
	if changes := policy.Diff(of(t, "deviceConfigurations", `{}`), of(t, "configurationPolicies", `{}`), nil); len(changes) != 1 {
		t.Errorf("two types differ in %v", changes)
	}
}

func TestUnified(t *testing.T) {
	a := of(t, "deviceConfigurations", `{"displayName":"Wi\nFi","preSharedKey":"hunter2","ssid":"one","id":"1"}`)
	b := of(t, "deviceConfigurations", `{"displayName":"WiFi","preSharedKey":"hunter3","ssid":"one","id":"2"}`)
	want := `diff deviceConfigurations/Wi Fi deviceConfigurations/WiFi
--- deviceConfigurations/Wi Fi
+++ deviceConfigurations/WiFi
@@ -1,5 +1,5 @@
 {
-  "displayName": "Wi\nFi",
-  "preSharedKey": "[secret]",
+  "displayName": "WiFi",
+  "preSharedKey": "[another secret]",
   "ssid": "one"
 }
`
	if got := policy.Unified(a, b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestSecretsStayInside: nothing that is shown holds the text of a secret.
func TestSecretsStayInside(t *testing.T) {
	const secret, other = "hunter2-hunter2", "correct-horse"
	for _, tt := range []struct{ key, body string }{
		{"deviceConfigurations", `{"preSharedKey":"SECRET"}`},
		{"deviceConfigurations", `{"omaSettings":[{"isEncrypted":false,"value":5},{"isEncrypted":true,"value":"SECRET"}]}`},
		{"deviceConfigurations", `{"omaSettings":[{"secretReferenceValueId":"1","value":"SECRET"}]}`},
		{"deviceConfigurations", `{"omaSettings":[{"@odata.type":"#microsoft.graph.omaSettingString","isEncrypted":false,"secretReferenceValueId":null,"value":"SECRET"}]}`},
		{"deviceConfigurations", `{"omaSettings":[{"@odata.type":"#microsoft.graph.omaSettingBase64","value":"SECRET"}]}`},
		{"deviceConfigurations", `{"omaSettings":[{"@odata.type":"#microsoft.graph.omaSettingStringXml","value":"SECRET"}]}`},
		{"deviceConfigurations", `{"password":"SECRET","passwordRequired":true,"passwordRequiredType":"alphanumeric"}`},
		{"deviceConfigurations", `{"wifiKey":"SECRET"}`},
		{"deviceConfigurations", `{"servers":[{"proxy":{"ProxyPassword":"SECRET","userRightsCreateToken":{"state":"allowed"}}}]}`},
		{"deviceConfigurations", `{"vpn":{"sharedSecret":"SECRET"}}`},
		{"deviceConfigurations", `{"azureOperationalInsightsWorkspaceKey":"SECRET","keyMaterial":null}`},
		{"deviceConfigurations", `{"payload":"SECRET","payloadName":"office.mobileconfig"}`},
		{"mobileAppConfigurations", `{"settings":[{"appConfigKey":"server","appConfigKeyValue":"mail"},{"appConfigKey":"adminPassword","appConfigKeyValue":"SECRET"}]}`},
		{"configurationPolicies", `{"settings":[{"settingInstance":{"settingDefinitionId":"a","groupSettingCollectionValue":[{"children":[{"settingDefinitionId":"b","simpleSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationSecretSettingValue","value":"SECRET","valueState":"notEncrypted"}}]}]}}]}`},
	} {
		a, b := of(t, tt.key, strings.ReplaceAll(tt.body, "SECRET", secret)), of(t, tt.key, strings.ReplaceAll(tt.body, "SECRET", other))
		empty := of(t, tt.key, `{}`)
		if a.Equal(b) || len(policy.Diff(a, b, nil)) == 0 || policy.Unified(a, b) == "" {
			t.Errorf("%s: another secret is no difference", tt.body)
		}
		data, err := json.Marshal([][]policy.Change{policy.Diff(a, b, nil), policy.Diff(empty, a, nil), policy.Diff(a, empty, nil)})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(data), policy.Text(policy.Diff(a, b, nil)), policy.Unified(a, b), policy.Unified(empty, b), string(a.Masked().Canonical())} {
			if strings.Contains(text, secret) || strings.Contains(text, other) {
				t.Errorf("the secret is shown: %s", text)
			}
		}
		if s := a.Secrets(); len(s) != 1 {
			t.Errorf("%s has the secrets %v", tt.body, s)
		}
		if !strings.Contains(string(a.Canonical()), secret) {
			t.Errorf("the secret is not kept: %s", a.Canonical())
		}
	}
}

// TestRulesAreNoSecrets: what a policy says about secrets is shown.
func TestRulesAreNoSecrets(t *testing.T) {
	d := of(t, "deviceConfigurations", `{
		"passwordRequired":true,"passwordMinimumLength":8,"passwordRequiredType":"alphanumeric","appStoreRequirePassword":true,"preSharedKeyIsSet":true,
		"passwordChangeUrl":"https://example.com","passwordFormatString":"%s","userRightsCreateToken":{"state":"allowed"},"keyMaterial":null,
		"omaSettings":[{"@odata.type":"#microsoft.graph.omaSettingInteger","omaUri":"./a","value":5},{"@odata.type":"#microsoft.graph.omaSettingBoolean","value":true}]}`)
	if s := d.Secrets(); len(s) != 0 || string(d.Masked().Canonical()) != string(d.Canonical()) {
		t.Errorf("masked as secrets: %v in %s", s, d.Masked().Canonical())
	}
}

func TestReferences(t *testing.T) {
	for _, tt := range []struct{ name, key, body, want string }{
		{
			"conditional access", "conditionalAccessPolicies", `{"conditions":{"users":{"includeUsers":["All","u1"],"excludeGroups":["g1"],"includeRoles":["r1"]},"locations":{"includeLocations":["AllTrusted","l1"],"excludeLocations":[]},"applications":{"includeApplications":["Office365","a1"]}},"grantControls":{"authenticationStrength":{"id":"s1"}}}`,
			"applications a1, namedLocations l1, groups g1 excluded, directoryRoles r1, users u1, authenticationStrengths s1",
		},
		{
			"compliance", "deviceCompliancePolicies", `{"roleScopeTagIds":["0","7"],"scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block","notificationTemplateId":"00000000-0000-0000-0000-000000000000"},{"actionType":"notification","notificationTemplateId":"n1","notificationMessageCCList":["g1"]}]}],"deviceCompliancePolicyScript":{"deviceComplianceScriptId":"c1"}}`,
			"deviceComplianceScripts c1, roleScopeTags 0, roleScopeTags 7, groups g1, notificationMessageTemplates n1",
		},
		{
			"a reusable setting, at any depth", "configurationPolicies", `{"settings":[{"settingInstance":{"settingDefinitionId":"a","groupSettingCollectionValue":[{"children":[{"settingDefinitionId":"b","simpleSettingCollectionValue":[{"@odata.type":"#microsoft.graph.deviceManagementConfigurationReferenceSettingValue","value":"rs1"}]}]}]}}]}`,
			"reusablePolicySettings rs1",
		},
		{
			"assignments", "configurationPolicies", `{"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g1","deviceAndAppManagementAssignmentFilterId":"f1","deviceAndAppManagementAssignmentFilterType":"include"}},{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"g2"}},{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`,
			"groups g2 excluded, assignmentFilters f1, groups g1",
		},
		{"apps", "mobileAppConfigurations", `{"targetedMobileApps":["m2","m1"]}`, "mobileApps m1, mobileApps m2"},
		{"scope tags of a filter", "assignmentFilters", `{"roleScopeTags":["3"]}`, "roleScopeTags 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := of(t, tt.key, tt.body)
			var got []string
			for _, r := range d.References() {
				s := string(r.Kind) + " " + r.ID
				if r.Excluded {
					s += " excluded"
				}
				got = append(got, s)
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			same := d.Rewrite(func(policy.Reference) (string, bool) { return "", false })
			if !same.Equal(d) {
				t.Error("a rewrite of nothing changes it")
			}
			other := d.Rewrite(func(r policy.Reference) (string, bool) { return "new-" + r.ID, true })
			for _, r := range other.References() {
				if !strings.HasPrefix(r.ID, "new-") {
					t.Errorf("%s is not rewritten", r.Path)
				}
			}
			if again := normalise(t, policy.Item{Type: tt.key, Body: other.Canonical()}); !again.Equal(other) {
				t.Errorf("what was rewritten is not in its normal form: %s", other.Canonical())
			}
		})
	}
}
