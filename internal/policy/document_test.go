package policy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
)

func TestNormalise(t *testing.T) {
	for _, tt := range []struct {
		name, key, body, want string
	}{
		{
			"what the service sets goes, at the top level only", "deviceConfigurations",
			`{"id":"1","version":3,"createdDateTime":"x","@odata.type":"#microsoft.graph.windows10CustomConfiguration","inner":{"id":"2","version":4,"createdDateTime":"y"}}`,
			`{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","inner":{"createdDateTime":"y","id":"2","version":4}}`,
		},
		{
			"annotations go at any depth, the type of an object and bindings stay", "deviceConfigurations",
			`{"@odata.context":"c","a@odata.type":"t","@odata.type":"microsoft.graph.x","#microsoft.graph.assign":{},"@microsoft.graph.tips":"t","b":[{"@odata.id":"i","@odata.type":"#microsoft.graph.y","c@odata.bind":"z"}]}`,
			`{"@odata.type":"#microsoft.graph.x","b":[{"@odata.type":"#microsoft.graph.y","c@odata.bind":"z"}]}`,
		},
		{
			"the type of a collection with one type is not kept", "configurationPolicies",
			`{"@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"n"}`, `{"name":"n"}`,
		},
		{
			"numbers keep their digits", "deviceConfigurations",
			`{"a":1.0,"b":12345678901234567890,"c":1e2,"d":-0,"e":0.1000}`, `{"a":1.0,"b":12345678901234567890,"c":1e2,"d":-0,"e":0.1000}`,
		},
		{
			"text keeps its letters", "deviceConfigurations",
			`{"a":"<b> & \u00e9 \ud83d\ude00 \/ \\ud800"}`, `{"a":"<b> & é 😀 / \\ud800"}`,
		},
		{
			"sets are sorted, lists are not", "conditionalAccessPolicies",
			`{"conditions":{"users":{"includeUsers":["b","a"]}},"sessionControls":{"list":["b","a"]}}`,
			`{"conditions":{"users":{"includeUsers":["a","b"]}},"sessionControls":{"list":["b","a"]}}`,
		},
		{
			"of a strength only the id is the policy's own", "conditionalAccessPolicies",
			`{"grantControls":{"operator":"OR","authenticationStrength":{"id":"1","displayName":"MFA","allowedCombinations":[]}}}`,
			`{"grantControls":{"authenticationStrength":{"id":"1"},"operator":"OR"}}`,
		},
		{
			"resilience defaults that are on are not told", "conditionalAccessPolicies",
			`{"conditions":{"deviceStates":{}},"sessionControls":{"disableResilienceDefaults":false}}`, `{"conditions":{},"sessionControls":{}}`,
		},
		{
			"resilience defaults that are off are", "conditionalAccessPolicies",
			`{"sessionControls":{"disableResilienceDefaults":true}}`, `{"sessionControls":{"disableResilienceDefaults":true}}`,
		},
		{
			"only IP locations are trusted", "namedLocations",
			`{"@odata.type":"#microsoft.graph.countryNamedLocation","isTrusted":true}`, `{"@odata.type":"#microsoft.graph.countryNamedLocation"}`,
		},
		{
			"trust of an IP location stays", "namedLocations",
			`{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":true}`, `{"@odata.type":"#microsoft.graph.ipNamedLocation","isTrusted":true}`,
		},
		{
			"of twins the new one stays", "windowsAutopilotDeploymentProfiles",
			`{"locale":"de-DE","language":"de-DE","enableWhiteGlove":true}`, `{"enableWhiteGlove":true,"locale":"de-DE"}`,
		},
		{
			"settings are ordered by definition, children too, collections are not", "configurationPolicies",
			`{"settings":[{"id":"0","settingInstance":{"settingDefinitionId":"b","choiceSettingValue":{"children":[{"settingDefinitionId":"y"},{"settingDefinitionId":"x"}]}}},{"id":"1","settingInstance":{"settingDefinitionId":"a","simpleSettingCollectionValue":[{"value":2},{"value":1}]}}]}`,
			`{"settings":[{"settingInstance":{"settingDefinitionId":"a","simpleSettingCollectionValue":[{"value":2},{"value":1}]}},{"settingInstance":{"choiceSettingValue":{"children":[{"settingDefinitionId":"x"},{"settingDefinitionId":"y"}]},"settingDefinitionId":"b"}}]}`,
		},
		{
			"assignments: targets, direct ones, once", "configurationPolicies",
			`{"assignments":[
				{"id":"x","source":"direct","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g2","deviceAndAppManagementAssignmentFilterId":"00000000-0000-0000-0000-000000000000","deviceAndAppManagementAssignmentFilterType":"none"}},
				{"id":"y","source":"policySets","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g3"}},
				{"id":"z","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g2"}},
				{"id":"e","target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"g1","deviceAndAppManagementAssignmentFilterId":"f","deviceAndAppManagementAssignmentFilterType":"include"}}]}`,
			`{"assignments":[{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"g1"}},{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g2"}}]}`,
		},
		{
			"a filter is one with an id and a type", "configurationPolicies",
			`{"assignments":[
				{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g1","deviceAndAppManagementAssignmentFilterId":"00000000-0000-0000-0000-000000000000","deviceAndAppManagementAssignmentFilterType":"include"}},
				{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g2","deviceAndAppManagementAssignmentFilterId":"f","deviceAndAppManagementAssignmentFilterType":"none"}},
				{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g3","deviceAndAppManagementAssignmentFilterId":null}},
				{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g4","deviceAndAppManagementAssignmentFilterId":"f","deviceAndAppManagementAssignmentFilterType":"exclude"}}]}`,
			`{"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g1"}},{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g2"}},{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g3"}},` +
				`{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","deviceAndAppManagementAssignmentFilterId":"f","deviceAndAppManagementAssignmentFilterType":"exclude","groupId":"g4"}}]}`,
		},
		{
			"a remediation's assignment says when it runs", "deviceHealthScripts",
			`{"assignments":[{"id":"x","runRemediationScript":true,"runSchedule":{"interval":1},"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`,
			`{"assignments":[{"runRemediationScript":true,"runSchedule":{"interval":1},"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`,
		},
		{"no assignments are not unknown ones", "configurationPolicies", `{"assignments":[]}`, `{"assignments":[]}`},
		{"what can't be assigned has none", "roleScopeTags", `{"assignments":[],"displayName":"n"}`, `{"displayName":"n"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(of(t, tt.key, tt.body).Canonical()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestParts: what was read apart counts, not the first page that stands in the object.
func TestParts(t *testing.T) {
	d := normalise(t, policy.Item{
		Type: "configurationPolicies", ID: "p1",
		Body:        json.RawMessage(`{"id":"other","name":"n","settingCount":2,"settings":[]}`),
		Parts:       map[string]json.RawMessage{"settings": json.RawMessage(`[{"id":"0","settingInstance":{"settingDefinitionId":"a"}},{"id":"1","settingInstance":{"settingDefinitionId":"b"}}]`)},
		Assignments: json.RawMessage(`[]`),
	})
	if want := `{"assignments":[],"name":"n","settings":[{"settingInstance":{"settingDefinitionId":"a"}},{"settingInstance":{"settingDefinitionId":"b"}}]}`; string(d.Canonical()) != want {
		t.Errorf("got %s, want %s", d.Canonical(), want)
	}
	if d.ID() != "p1" || d.Name() != "n" || !d.Assigned() || len(d.Missing()) != 0 {
		t.Errorf("id %q, name %q, assigned %t, missing %v", d.ID(), d.Name(), d.Assigned(), d.Missing())
	}
}

func TestNormaliseRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, tt := range []struct {
		name string
		item policy.Item
		is   error
		says string
	}{
		{"too large", policy.Item{Body: json.RawMessage(`{"displayName":"` + strings.Repeat("x", policy.MaxBytes) + `"}`)}, policy.ErrTooLarge, `deviceConfigurations "p1": is larger than 10 MiB`},
		{"too large in all", policy.Item{Body: json.RawMessage(`{"displayName":"n"}`), Assignments: json.RawMessage(strings.Repeat(" ", policy.MaxBytes))}, policy.ErrTooLarge, `"p1": is larger than 10 MiB`},
		{"too deep", policy.Item{Body: json.RawMessage(deep(policy.MaxDepth + 1))}, policy.ErrTooDeep, `"p1": is nested deeper than 1000 levels`},
		{"far too deep", policy.Item{Body: json.RawMessage(strings.Repeat("[", 5<<20))}, policy.ErrTooDeep, `"p1": is nested`},
		{"cut off", policy.Item{Body: json.RawMessage(`{"displayName":"n"`)}, policy.ErrInvalid, `"p1": is not valid JSON: it is cut off`},
		{"nothing", policy.Item{}, policy.ErrInvalid, "it is cut off"},
		{"no object", policy.Item{Body: json.RawMessage(`[]`)}, policy.ErrInvalid, "it is not an object"},
		{"two values", policy.Item{Body: json.RawMessage(`{} {}`)}, policy.ErrInvalid, "more than one value"},
		{"a name twice", policy.Item{Body: json.RawMessage(`{"a":{"b":1,"b":2}}`)}, policy.ErrInvalid, `"b" stands twice`},
		{"no UTF-8", policy.Item{Body: json.RawMessage("{\"a\":\"\xff\"}")}, policy.ErrInvalid, "not UTF-8"},
		{"the first half of a pair", policy.Item{Body: json.RawMessage(`{"a":"\ud800"}`)}, policy.ErrInvalid, "half of a surrogate pair stands alone"},
		{"the second half of a pair", policy.Item{Body: json.RawMessage(`{"a":"\\\uDFFF"}`)}, policy.ErrInvalid, "half of a surrogate pair stands alone"},
		{"two first halves", policy.Item{Body: json.RawMessage(`{"a":"\ud83d\ud83d\ude00"}`)}, policy.ErrInvalid, "half of a surrogate pair stands alone"},
		{"unknown type", policy.Item{Type: "wishes", Body: json.RawMessage(`{}`)}, nil, `wishes "p1": there is no policy type "wishes"`},
		{"unknown part", policy.Item{Body: json.RawMessage(`{}`), Parts: map[string]json.RawMessage{"pages": nil}}, nil, `the type has no part "pages"`},
		{"a part that is cut off", policy.Item{Type: "configurationPolicies", Body: json.RawMessage(`{"name":"n"}`), Parts: map[string]json.RawMessage{"settings": json.RawMessage(`[`)}}, policy.ErrInvalid, `configurationPolicies "n": settings: is not valid JSON`},
		{"assignments that are no list", policy.Item{Body: json.RawMessage(`{"displayName":"Ring 1","assignments":{}}`)}, policy.ErrInvalid, `"Ring 1": is not valid JSON: assignments is not a list`},
		{"an assignment without a target", policy.Item{Body: json.RawMessage(`{"assignments":[{"id":"x"}]}`)}, policy.ErrInvalid, "assignment 0 has no target"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.item.ID = "p1"
			if tt.item.Type == "" {
				tt.item.Type = "deviceConfigurations"
			}
			_, err := policy.Normalise(tt.item)
			var item *policy.ItemError
			if !errors.As(err, &item) || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error of the item that says %q", err, tt.says)
			}
		})
	}
	if _, err := policy.Normalise(policy.Item{Type: "deviceConfigurations", Body: json.RawMessage(deep(policy.MaxDepth))}); err != nil {
		t.Errorf("at the limit of depth: %v", err)
	}
}

func TestObstacles(t *testing.T) {
	block := `"scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":0}]}]`
	for _, tt := range []struct {
		name, key, body string
		want            policy.ObstacleCode // empty: none
	}{
		{"a complete policy", "deviceCompliancePolicies", `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"n",` + block + `}`, ""},
		{"no action that blocks", "deviceCompliancePolicies", `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"n"}`, policy.NotAccepted},
		{"no kind", "deviceCompliancePolicies", `{"displayName":"n",` + block + `}`, policy.NotAccepted},
		{"no name", "deviceCompliancePolicies", `{"@odata.type":"#microsoft.graph.iosCompliancePolicy",` + block + `}`, policy.NotAccepted},
		{"a type that is backed up only", "intents", `{"displayName":"n"}`, policy.BackupOnly},
		{"a kind that is backed up only", "deviceEnrollmentConfigurations", `{"@odata.type":"#microsoft.graph.deviceEnrollmentNotificationConfiguration","displayName":"n"}`, policy.BackupOnly},
		{"a kind of another collection", "deviceEnrollmentConfigurations", `{"@odata.type":"#microsoft.graph.deviceEnrollmentPlatformRestriction","displayName":"n"}`, policy.NotAccepted},
		{"a built-in role", "roleDefinitions", `{"displayName":"n","isBuiltIn":true,"rolePermissions":[]}`, policy.OfService},
		{"a built-in strength", "authenticationStrengths", `{"displayName":"n","policyType":"builtIn","combinationConfigurations":[]}`, policy.OfService},
		{"a strength of one's own", "authenticationStrengths", `{"displayName":"n","policyType":"custom","combinationConfigurations":[]}`, ""},
		{"the default scope tag", "roleScopeTags", `{"id":"0","displayName":"Default"}`, policy.OfService},
		{"a remediation by Microsoft", "deviceHealthScripts", `{"displayName":"n","isGlobalScript":true,"detectionScriptContent":"x"}`, policy.OfService},
		{"an enrollment default can be changed", "deviceEnrollmentConfigurations", `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","id":"1_DefaultLimit","displayName":"n"}`, ""},
		{"settings that are fewer than were counted", "configurationPolicies", `{"name":"n","settingCount":2,"settings":[{"settingInstance":{"settingDefinitionId":"a"}}]}`, policy.Incomplete},
		{"settings that may not have been read", "configurationPolicies", `{"name":"n","settings":[]}`, policy.Incomplete},
		{"settings that are text", "configurationPolicies", `{"name":"n","settings":"x"}`, policy.Incomplete},
		{"settings that are an object", "configurationPolicies", `{"name":"n","settings":{}}`, policy.Incomplete},
		{"a setting that is null", "configurationPolicies", `{"name":"n","settings":[null]}`, policy.Incomplete},
		{"settings of which there are none", "configurationPolicies", `{"name":"n","settingCount":0,"settings":[]}`, ""},
		{"apps that are null", "iosManagedAppProtections", `{"displayName":"n","apps":null}`, policy.Incomplete},
		{"no settings", "configurationPolicies", `{"name":"n"}`, policy.NotAccepted},
		{"messages that were not read", "notificationMessageTemplates", `{"displayName":"n"}`, policy.Incomplete},
		{"no script", "deviceShellScripts", `{"displayName":"n"}`, policy.NotAccepted},
		{"a country without a way to find it", "namedLocations", `{"@odata.type":"#microsoft.graph.countryNamedLocation","displayName":"n"}`, policy.NotAccepted},
		{"an encrypted custom setting", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"n","omaSettings":[{"isEncrypted":true,"value":"ref"}]}`, policy.SecretMasked},
		{"a key of asterisks", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","preSharedKey":"******"}`, policy.SecretMasked},
		{"a key of two asterisks", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","preSharedKey":"**"}`, policy.SecretMasked},
		{"a key of bullets", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","preSharedKey":"••••"}`, policy.SecretMasked},
		{"a key that is no string", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","preSharedKey":["x"]}`, policy.SecretMasked},
		{"asterisks where no secret is known", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","wifi":{"preSharedKey":"●●"}}`, policy.SecretMasked},
		{"a wildcard", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","hosts":["*"]}`, ""},
		{"a key in plain text", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","preSharedKey":"hunter2"}`, ""},
		{"an encrypted setting of the catalog", "configurationPolicies", `{"name":"n","settings":[{"settingInstance":{"settingDefinitionId":"a","simpleSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationSecretSettingValue","value":"token","valueState":"encryptedValueToken"}}}]}`, policy.SecretMasked},
		{"a value that was not told", "deviceConfigurations", `{"@odata.type":"#microsoft.graph.iosWiFiConfiguration","displayName":"n","wiFiSecurityType":"unknownFutureValue"}`, policy.UnknownValue},
		{"an imported ADMX file", "groupPolicyConfigurations", `{"displayName":"n","policyConfigurationIngestionType":"custom","definitionValues":[]}`, policy.ImportedADMX},
		{"all devices for app protection", "iosManagedAppProtections", `{"displayName":"n","apps":[],"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`, policy.NotAssignable},
		{"a group twice", "configurationPolicies", `{"name":"n","settingCount":0,"settings":[],"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g"}},{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"g"}}]}`, policy.NotAssignable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := of(t, tt.key, tt.body).Obstacles()
			switch {
			case tt.want == "" && len(all) > 0:
				t.Errorf("got %v, want none", all)
			case tt.want != "" && (len(all) != 1 || all[0].Code != tt.want || (all[0].Detail == "") != (tt.want == policy.OfService)):
				t.Errorf("got %v, want one of %s", all, tt.want)
			}
		})
	}
}

func TestWidens(t *testing.T) {
	target := func(kind, group, filter string) string {
		return `{"target":{"@odata.type":"#microsoft.graph.` + kind + `","groupId":"` + group + `","deviceAndAppManagementAssignmentFilterId":"` + filter + `","deviceAndAppManagementAssignmentFilterType":"include"}}`
	}
	in, out := target("groupAssignmentTarget", "g1", ""), target("exclusionGroupAssignmentTarget", "g2", "")
	filtered, all := target("groupAssignmentTarget", "g1", "f1"), target("allDevicesAssignmentTarget", "", "")
	assigned := func(list ...string) string { return `{"assignments":[` + strings.Join(list, ",") + `]}` }
	users := func(s string) string { return `{"conditions":{"users":{` + s + `}}}` }
	for _, tt := range []struct {
		name, key, old, new string
		want                bool
	}{
		{"the same", "configurationPolicies", assigned(in, out), assigned(out, in), false},
		{"a group more", "configurationPolicies", assigned(out), assigned(in, out), true},
		{"a group less", "configurationPolicies", assigned(in, out), assigned(out), false},
		{"an exclusion less", "configurationPolicies", assigned(in, out), assigned(in), true},
		{"an exclusion more", "configurationPolicies", assigned(in), assigned(in, out), false},
		{"a filter less", "configurationPolicies", assigned(filtered), assigned(in), true},
		{"all devices", "configurationPolicies", assigned(), assigned(all), true},
		{"assignments that are not written", "configurationPolicies", assigned(in, out), `{}`, false},
		{"a group of a condition more", "conditionalAccessPolicies", users(`"includeGroups":["a"]`), users(`"includeGroups":["a","b"]`), true},
		{"a group of a condition less", "conditionalAccessPolicies", users(`"includeGroups":["a","b"]`), users(`"includeGroups":["b"]`), false},
		{"an excluded role less", "conditionalAccessPolicies", users(`"excludeRoles":["a"]`), users(``), true},
		{"all users", "conditionalAccessPolicies", users(`"includeUsers":["a"]`), users(`"includeUsers":["All"]`), true},
		{"no longer all users", "conditionalAccessPolicies", users(`"includeUsers":["All"]`), users(`"includeUsers":["None"]`), false},
		{"guests too", "conditionalAccessPolicies", users(`"includeUsers":["u1"]`), users(`"includeUsers":["u1","GuestsOrExternalUsers"]`), true},
		{"guests no longer", "conditionalAccessPolicies", users(`"includeUsers":["u1","GuestsOrExternalUsers"]`), users(`"includeUsers":["u1"]`), false},
		{"excluded guests less", "conditionalAccessPolicies", users(`"excludeUsers":["GuestsOrExternalUsers"]`), users(``), true},
		{"kinds of guests more", "conditionalAccessPolicies", users(``), users(`"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"internalGuest"}`), true},
		{"kinds of guests less", "conditionalAccessPolicies", users(`"includeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"internalGuest"}`), users(`"includeGuestsOrExternalUsers":null`), false},
		{"excluded kinds of guests less", "conditionalAccessPolicies", users(`"excludeGuestsOrExternalUsers":{"guestOrExternalUserTypes":"internalGuest"}`), users(``), true},
		{"who is told about a device", "deviceCompliancePolicies", `{}`, `{"scheduledActionsForRule":[{"scheduledActionConfigurations":[{"notificationMessageCCList":["g"]}]}]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := of(t, tt.key, tt.new).Widens(of(t, tt.key, tt.old)); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestDefinitionValuesThatAreNoObjects: they are reported and not written.
func TestDefinitionValuesThatAreNoObjects(t *testing.T) {
	for _, values := range []string{`["x"]`, `[null]`, `[[]]`} {
		d := of(t, "groupPolicyConfigurations", `{"displayName":"n","definitionValues":`+values+`}`)
		if got := d.Missing(); len(got) != 1 || got[0] != "definitionValues[0] is not an object" {
			t.Errorf("%s: missing is %v", values, got)
		}
		d.Create("")
	}
}

// TestHashTellsTypes: the same text in another type is another policy.
func TestHashTellsTypes(t *testing.T) {
	if of(t, "deviceShellScripts", `{}`).Hash() == of(t, "deviceManagementScripts", `{}`).Hash() {
		t.Error("two types have one hash")
	}
}

// TestSubstitute: values are replaced, names and parts of values are not.
func TestSubstitute(t *testing.T) {
	got, err := policy.Substitute([]byte(`{"b":["x","xx"], "x":{"a":"x","n":1.0}}`), map[string]string{"x": "\"new\""})
	if want := `{"b":["\"new\"","xx"],"x":{"a":"\"new\"","n":1.0}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := policy.Substitute([]byte(`{`), nil); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("got %v, want %v", err, policy.ErrInvalid)
	}
}

// TestDeep: a body made to be deep costs what its size costs, in everything that is
// done with it. Were it the square of that, this test would not end.
func TestDeep(t *testing.T) {
	name := strings.Repeat("n", 150)
	level := `{"@odata.type":"#microsoft.graph.deviceManagementConfigurationReferenceSettingValue","value":"unknownFutureValue","` + name + `":1,"children":[{"settingDefinitionId":"same"},{"settingDefinitionId":"same","` + name + `":`
	make := func(end string) policy.Document {
		const levels = policy.MaxDepth/3 - 10
		return of(t, "configurationPolicies", `{"name":"n","x":`+strings.Repeat(level, levels)+end+strings.Repeat("}]}", levels)+"}")
	}
	a, b := make("1"), make("2")
	if a.Equal(b) || len(policy.Diff(a, b, people)) != 1 || policy.Unified(a, b) == "" {
		t.Error("the difference at the end is not found")
	}
	if len(a.References()) == 0 || len(a.Obstacles()) == 0 || len(a.Secrets()) != 0 {
		t.Error("what is in it is not found")
	}
	a.Rewrite(func(r policy.Reference) (string, bool) { return r.ID, true })
	a.Create("")
	a.Update("", "1", b)
}
