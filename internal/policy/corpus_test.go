package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/policy"
)

// TestCorpus normalises every public policy: the same bytes at every reading, whatever
// the order of names, and whatever the service adds; nothing that is nested is lost.
func TestCorpus(t *testing.T) {
	all := samples(t)
	if len(all) != 268 {
		t.Fatalf("%d policies are there, want 268", len(all))
	}
	for _, s := range all {
		if s.key == "" {
			continue
		}
		t.Run(s.file, func(t *testing.T) {
			d := normalise(t, s.item)
			again := s.item
			again.Body = d.Canonical()
			if second := normalise(t, again); string(second.Canonical()) != string(d.Canonical()) {
				t.Errorf("its normal form has another normal form:\n%s", policy.Unified(d, second))
			}
			var body map[string]any
			if err := json.Unmarshal(s.item.Body, &body); err != nil {
				t.Fatal(err)
			}
			shuffled := s.item
			shuffled.Body = shuffle(body, rand.New(rand.NewPCG(1, 2)))
			if normalise(t, shuffled).Hash() != d.Hash() {
				t.Error("another order of names has another hash")
			}
			for _, name := range []string{"id", "createdDateTime", "lastModifiedDateTime", "version", "@odata.context", "roleScopeTagIds@odata.type"} {
				body[name] = "changed by the service"
			}
			served := s.item
			served.Body, _ = json.Marshal(body)
			if normalise(t, served).Hash() != d.Hash() {
				t.Error("what the service sets changes the hash")
			}
			body[d.Type().Name] = "another name"
			served.Body, _ = json.Marshal(body)
			other := normalise(t, served)
			if other.Hash() == d.Hash() {
				t.Error("another name has the same hash")
			}
			if changes := policy.Diff(d, d, nil); len(changes) != 0 || policy.Unified(d, d) != "" {
				t.Errorf("it differs from itself: %s", policy.Text(changes))
			}
			if changes := policy.Diff(d, other, nil); len(changes) != 1 || changes[0].Path != d.Type().Name {
				t.Errorf("another name differs in %s", policy.Text(changes))
			}
			if diff := cmp.Diff(own(d.Type(), body), ids(d.Canonical())); diff != "" {
				t.Errorf("nested ids (-in the file, +in the normal form):\n%s", diff)
			}
		})
	}
}

// shuffle writes v with the names of every object in a random order.
func shuffle(v any, rng *rand.Rand) []byte {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		parts := make([]string, len(names))
		for i, name := range names {
			key, _ := json.Marshal(name)
			parts[i] = string(key) + " : " + string(shuffle(v[name], rng))
		}
		return []byte("{\n" + strings.Join(parts, " ,\t") + "}")
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = string(shuffle(e, rng))
		}
		return []byte("[ " + strings.Join(parts, ",") + "]")
	}
	data, _ := json.Marshal(v)
	return data
}

// own counts the nested ids of a body that belong to the policy: those that the table
// does not name as the service's, by their paths.
func own(typ *policy.Type, body map[string]any) map[string]int {
	data, _ := json.Marshal(body)
	all := ids(data)
	for path := range all {
		top, _, _ := strings.Cut(strings.TrimSuffix(path, "[]"), "[")
		top, _, _ = strings.Cut(top, ".")
		drop := slices.Contains(typ.Strip, path) || slices.Contains(typ.Strip, top) || typ.Settings && path == "settings[].id" || top == "assignments"
		if _, superseded := body[typ.Superseded[top]]; superseded {
			drop = true
		}
		if drop {
			delete(all, path)
		}
	}
	return all
}

// ids counts the properties below the top level whose name ends in id or ids, by path.
func ids(data []byte) map[string]int {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		panic(err)
	}
	all := make(map[string]int)
	var walk func(path string, v any, top bool)
	walk = func(path string, v any, top bool) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				if strings.Contains(name, "@") || strings.HasPrefix(name, "#") {
					continue
				}
				at := strings.TrimPrefix(path+"."+name, ".")
				lower := strings.ToLower(name)
				if !top && (strings.HasSuffix(lower, "id") || strings.HasSuffix(lower, "ids")) {
					all[at]++
				}
				walk(at, below, false)
			}
		case []any:
			for _, e := range v {
				walk(path+"[]", e, false)
			}
		}
	}
	walk("", v, true)
	return all
}

// TestCorpusRestorable says how many of the public policies can be restored, and why
// the others can't.
func TestCorpusRestorable(t *testing.T) {
	why := make(map[string]int)
	restorable := 0
	for _, s := range samples(t) {
		if s.key == "" {
			why["no policy type: "+s.collection]++
			continue
		}
		d := normalise(t, s.item)
		obstacles := d.Obstacles()
		if len(obstacles) == 0 {
			restorable++
			continue
		}
		why[fmt.Sprintf("%s: %s: %s", s.key, obstacles[0].Code, obstacles[0].Detail)]++
	}
	want := map[string]int{
		// Apps, and kinds of policy that Microsoft has given up.
		"no policy type: deviceAppManagement/mobileApps":                              29,
		"no policy type: deviceAppManagement/mdmWindowsInformationProtectionPolicies": 2,
		"no policy type: deviceAppManagement/windowsInformationProtectionPolicies":    2,
		"no policy type: deviceManagement/termsAndConditions":                         1,
		// Files that do not hold the whole policy, or a form that is refused today.
		"configurationPolicies: incomplete: settings: 15 of 16 were read":                                                                     1,
		"configurationPolicies: incomplete: settings: 2 of 1 were read":                                                                       1,
		"notificationMessageTemplates: incomplete: localizedNotificationMessages was not read":                                                1,
		"targetedManagedAppConfigurations: incomplete: apps was not read":                                                                     1,
		"deviceCompliancePolicies: not_accepted: a compliance policy needs one action that marks a device noncompliant, and it has 0":         1,
		"roleDefinitions: not_accepted: it has no rolePermissions, the only form of permissions that Microsoft still takes":                   2,
		"deviceEnrollmentConfigurations: not_accepted: #microsoft.graph.deviceEnrollmentPlatformRestriction is not a type of this collection": 1,
		// What v1 backs up only.
		"deviceEnrollmentConfigurations: backup_only: its texts are in message templates of their own, which are not backed up":        3,
		"deviceEnrollmentConfigurations: backup_only: restrictions for all platforms in one object exist only as the tenant's default": 1,
	}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("why not (-want +got):\n%s", diff)
	}
	if restorable != 222 {
		t.Errorf("%d of 268 can be restored, want 222", restorable)
	}
}

// TestRecordedAnswers: what a tenant answered is read without a loss of digits or names.
func TestRecordedAnswers(t *testing.T) {
	for _, name := range []string{"deviceConfigurations", "deviceCompliancePolicies", "configurationPolicies", "groupPolicyConfigurations", "windowsAutopilotDeploymentProfiles"} {
		var answer struct {
			Body struct{ Value []json.RawMessage }
		}
		if err := json.Unmarshal(readShared(t, "examples/recorded/deviceManagement-"+name+".json"), &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Body.Value) == 0 {
			t.Fatalf("%s has no objects", name)
		}
		for _, row := range answer.Body.Value {
			d := normalise(t, policy.Item{Type: name, Body: row})
			if d.ID() == "" || d.Name() == "" {
				t.Errorf("%s: id %q, name %q", name, d.ID(), d.Name())
			}
			for _, a := range d.Assignments() {
				if a.Target == "" {
					t.Errorf("%s: %s has an assignment without a target", name, d.Name())
				}
			}
		}
	}
}
