package policy_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/policy"
)

// keys are types of every kind: with sets, with settings, with parts, with neither.
var keys = []string{"conditionalAccessPolicies", "configurationPolicies", "deviceCompliancePolicies", "notificationMessageTemplates", "deviceConfigurations", "windowsAutopilotDeploymentProfiles"}

// bodies draws an object whose names the tables know, and others.
func bodies() *rapid.Generator[map[string]any] {
	names := rapid.SampledFrom([]string{
		"id", "name", "displayName", "settings", "children", "settingInstance", "settingDefinitionId", "conditions", "users", "includeUsers", "excludeGroups",
		"scheduledActionsForRule", "scheduledActionConfigurations", "actionType", "localizedNotificationMessages", "locale", "language", "roleScopeTagIds", "a", "b", "@odata.type", "x@odata.context",
		"preSharedKey", "omaSettings", "value",
	})
	leaf := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"a", "b", "block", "de", ""}), func(s string) any { return s }),
		rapid.Map(rapid.IntRange(0, 3), func(n int) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	)
	var value func(depth int) *rapid.Generator[any]
	object := func(depth int) *rapid.Generator[map[string]any] { return rapid.MapOfN(names, value(depth), 0, 5) }
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Map(rapid.Deferred(func() *rapid.Generator[map[string]any] { return object(depth - 1) }), func(o map[string]any) any { return o }),
			rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) }), 0, 3), func(l []any) any { return l }),
		)
	}
	return object(5)
}

// document draws a document; its type is given.
func document(t *rapid.T, key string) (policy.Document, map[string]any) {
	body := bodies().Draw(t, "body")
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Normalise(policy.Item{Type: key, Body: data})
	if err != nil {
		t.Fatal(err)
	}
	return d, body
}

// TestNormalFormIsOne: the order of names does not count, and the normal form of a
// normal form is itself.
func TestNormalFormIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(keys).Draw(t, "type")
		d, body := document(t, key)
		shuffled, err := policy.Normalise(policy.Item{Type: key, Body: shuffle(body, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))})
		if err != nil {
			t.Fatal(err)
		}
		if shuffled.Hash() != d.Hash() {
			t.Fatalf("the order of names counts:\n%s\n%s", d.Canonical(), shuffled.Canonical())
		}
		again, err := policy.Normalise(policy.Item{Type: key, Body: d.Canonical()})
		if err != nil {
			t.Fatal(err)
		}
		if string(again.Canonical()) != string(d.Canonical()) {
			t.Fatalf("a normal form has another:\n%s\n%s", d.Canonical(), again.Canonical())
		}
	})
}

// TestDiffIsEmptyForEqualOnly: in both directions, and in every form.
func TestDiffIsEmptyForEqualOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(keys).Draw(t, "type")
		a, _ := document(t, key)
		b, _ := document(t, key)
		there, back := policy.Diff(a, b, nil), policy.Diff(b, a, nil)
		if equal := a.Equal(b); equal != (len(there) == 0) || equal != (len(back) == 0) || equal != (policy.Unified(a, b) == "") {
			t.Fatalf("equal %t, %d and %d changes:\n%s\n%s", equal, len(there), len(back), a.Canonical(), b.Canonical())
		}
		if len(there) != len(back) {
			t.Fatalf("%d changes one way, %d the other:\n%s\n%s", len(there), len(back), a.Canonical(), b.Canonical())
		}
		if len(policy.Diff(a, a, nil)) != 0 {
			t.Fatal("a policy differs from itself")
		}
	})
}

func FuzzNormalise(f *testing.F) {
	f.Add("configurationPolicies", []byte(`{"name":"n","settings":[{"id":"0","settingInstance":{"settingDefinitionId":"a"}}],"assignments":[{"target":{"groupId":"g"}}]}`))
	f.Add("conditionalAccessPolicies", []byte(`{"conditions":{"users":{"includeUsers":["All"]}},"grantControls":{"authenticationStrength":{"id":"1"}}}`))
	f.Add("deviceConfigurations", []byte(`{"@odata.type":"microsoft.graph.x","omaSettings":[{"isEncrypted":true,"value":"*"}],"n":-1.5e+300}`))
	f.Add("groupPolicyConfigurations", []byte(`{"definitionValues":[{"definition":{"id":"1"},"presentationValues":[{"presentation":{"id":"2"}}]}]}`))
	f.Fuzz(func(t *testing.T, key string, body []byte) {
		d, err := policy.Normalise(policy.Item{Type: key, ID: "p", Body: body})
		if err != nil {
			var item *policy.ItemError
			if !errors.As(err, &item) {
				t.Fatalf("%v does not name the item", err)
			}
			return
		}
		again, err := policy.Normalise(policy.Item{Type: key, ID: "p", Body: d.Canonical()})
		if err != nil || again.Hash() != d.Hash() {
			t.Fatalf("%s\n%s\n%v", d.Canonical(), again.Canonical(), err)
		}
		d.References()
		d.Secrets()
		d.Obstacles()
		d.Create("https://graph.example")
		d.Update("https://graph.example", "p", again)
	})
}

func FuzzDiff(f *testing.F) {
	f.Add("configurationPolicies", []byte(`{"settings":[{"settingInstance":{"settingDefinitionId":"a"}}]}`), []byte(`{"settings":[{"settingInstance":{"settingDefinitionId":"b"}}]}`))
	f.Add("targetedManagedAppConfigurations", []byte(`{"customSettings":[{"name":"[","value":"1"}]}`), []byte(`{"customSettings":[{"name":"[","value":"2"},{"name":"["}]}`))
	f.Add("deviceConfigurations", []byte(`{"a":[1,2,3]}`), []byte(`{"a":[2,3],"preSharedKey":"x"}`))
	f.Fuzz(func(t *testing.T, key string, one, two []byte) {
		a, err1 := policy.Normalise(policy.Item{Type: key, Body: one})
		b, err2 := policy.Normalise(policy.Item{Type: key, Body: two})
		if err1 != nil || err2 != nil {
			return
		}
		changes := policy.Diff(a, b, func(id string) string { return strings.ToUpper(id) })
		if (len(changes) == 0) != a.Equal(b) || (policy.Unified(a, b) == "") != a.Equal(b) {
			t.Fatalf("equal %t, %d changes:\n%s\n%s", a.Equal(b), len(changes), a.Canonical(), b.Canonical())
		}
		if strings.Count(policy.Text(changes), "\n") != len(changes) {
			t.Fatalf("%d changes in the text %q", len(changes), policy.Text(changes))
		}
	})
}
