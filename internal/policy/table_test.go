package policy_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
)

// TestTypes: the table says everything about every type, and once.
func TestTypes(t *testing.T) {
	order := make(map[policy.Kind]int)
	paths, titles := make(map[string]bool), make(map[string]bool)
	for i, typ := range policy.Types() {
		if typ.Key == "" || typ.Singular == "" || typ.Plural == "" || typ.Path == "" || typ.Name == "" || typ.Order == 0 {
			t.Errorf("type %d is not complete: %+v", i, typ)
		}
		if policy.Lookup(typ.Key) != typ {
			t.Errorf("%s is not found by its key, or stands twice", typ.Key)
		}
		if paths[typ.Path] || titles[typ.Plural] || titles[typ.Singular] {
			t.Errorf("%s has the path or a title of another type", typ.Key)
		}
		paths[typ.Path], titles[typ.Plural], titles[typ.Singular] = true, true, true
		if typ.Version != "v1.0" && typ.Version != "beta" {
			t.Errorf("%s has the version %q", typ.Key, typ.Version)
		}
		if strings.HasPrefix(typ.Path, "/") || strings.HasSuffix(typ.Path, "/") {
			t.Errorf("%s has the path %q", typ.Key, typ.Path)
		}
		order[policy.Kind(typ.Key)] = typ.Order
		for _, p := range typ.Parts {
			if writes := p.Create == policy.ByAction || p.Update == policy.ByAction || p.Create == policy.ByDelta; writes != (p.Action != "") {
				t.Errorf("%s: %s has the action %q", typ.Key, p.Key, p.Action)
			}
			if (p.Read == policy.ByExpand) && p.Expand == "" {
				t.Errorf("%s: %s does not say what to expand", typ.Key, p.Key)
			}
		}
		if typ.Entity == "" && typ.Backup == "" && !slices.ContainsFunc(typ.Required, func(r policy.Required) bool { return r.Path == "@odata.type" }) {
			t.Errorf("%s has objects of several types and does not ask for @odata.type", typ.Key)
		}
	}
	// What is referred to is restored before: the order of the table is enough.
	for _, typ := range policy.Types() {
		for _, ref := range typ.Refs {
			if o, ok := order[ref.Kind]; ok && o >= typ.Order {
				t.Errorf("%s has order %d and refers to %s, which has %d", typ.Key, typ.Order, ref.Kind, o)
			}
		}
		if typ.Settings && typ.Key != "reusablePolicySettings" && order[policy.ReusableSettings] >= typ.Order {
			t.Errorf("%s is restored before the reusable settings that it may refer to", typ.Key)
		}
		if typ.Assign.Can() && order[policy.Filters] >= typ.Order {
			t.Errorf("%s is restored before the filters of its assignments", typ.Key)
		}
	}
}

// TestPaths: any id is safe in a path.
func TestPaths(t *testing.T) {
	typ, templates := policy.Lookup("conditionalAccessPolicies"), policy.Lookup("groupPolicyConfigurations")
	for _, tt := range []struct{ got, want string }{
		{typ.ListPath(), "/v1.0/identity/conditionalAccess/policies"},
		{typ.ItemPath("a1"), "/v1.0/identity/conditionalAccess/policies/a1"},
		{typ.ItemPath("a/../b?c"), "/v1.0/identity/conditionalAccess/policies/a%2F..%2Fb%3Fc"},
		{typ.UndeletePath("a1"), "/beta/identity/conditionalAccess/deletedItems/policies/a1/restore"},
		{policy.Lookup("deviceShellScripts").UndeletePath("a1"), ""},
		{policy.Lookup("configurationPolicies").PartPath("a/1", policy.Lookup("configurationPolicies").Parts[0]), "/beta/deviceManagement/configurationPolicies/a%2F1/settings"},
		{
			policy.Lookup("deviceCompliancePolicies").PartPath("a1", policy.Lookup("deviceCompliancePolicies").Parts[0]),
			"/beta/deviceManagement/deviceCompliancePolicies/a1?$expand=scheduledActionsForRule($expand=scheduledActionConfigurations)",
		},
		{templates.PartPath("a1", templates.Parts[0]), "/beta/deviceManagement/groupPolicyConfigurations/a1/definitionValues?$expand=definition"},
		{templates.EachPath("a1", templates.Parts[0], "v1"), "/beta/deviceManagement/groupPolicyConfigurations/a1/definitionValues/v1/presentationValues?$expand=presentation"},
		{templates.AssignmentsPath("a1"), "/beta/deviceManagement/groupPolicyConfigurations/a1/assignments"},
		{policy.Lookup("deviceShellScripts").AssignmentsPath("a1"), "/beta/deviceManagement/deviceShellScripts/a1?$expand=assignments"},
		{policy.Lookup("roleScopeTags").AssignmentsPath("a1"), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

// schema is what Microsoft's TypeScript package of the beta API says of a type.
type schema struct {
	Base       string
	Subtypes   []string
	Properties map[string]struct{ Type string }
}

// TestTableAgainstSchema: every property that the table names exists in the type, as
// far as Microsoft publishes it. A typo would otherwise strip nothing, unseen.
func TestTableAgainstSchema(t *testing.T) {
	var all struct{ Types map[string]schema }
	if err := json.Unmarshal(readShared(t, "schema/beta-types.json"), &all); err != nil {
		t.Fatal(err)
	}
	// Of collections with several types: the base of all of them.
	bases := map[string]string{
		"namedLocations": "NamedLocation", "deviceConfigurations": "DeviceConfiguration", "deviceCompliancePolicies": "DeviceCompliancePolicy",
		"mobileAppConfigurations": "ManagedDeviceMobileAppConfiguration", "windowsAutopilotDeploymentProfiles": "WindowsAutopilotDeploymentProfile",
		"deviceEnrollmentConfigurations": "DeviceEnrollmentConfiguration",
	}
	// Returned by the service and not in the published types.
	unknown := []string{"conditionalAccessPolicies: templateId", "roleScopeTags: permissions"}
	checked, missing := 0, map[string]bool{}
	for _, typ := range policy.Types() {
		name := strings.TrimPrefix(typ.Entity, "#microsoft.graph.")
		if name == "" {
			name = bases[typ.Key]
		}
		if name == "" {
			continue
		}
		entity := strings.ToUpper(name[:1]) + name[1:]
		if _, ok := all.Types[entity]; !ok {
			missing[typ.Key] = true
			continue
		}
		for _, path := range typ.Properties() {
			checked++
			if known := has(all.Types, entity, path); known == slices.Contains(unknown, typ.Key+": "+path) {
				t.Errorf("%s: %s has the property %s: %t", typ.Key, entity, path, known)
			}
		}
	}
	if checked < 150 {
		t.Errorf("%d properties were checked: has the form of the schema changed?", checked)
	}
	if want := []string{"deviceCustomAttributeShellScripts", "windowsQualityUpdatePolicies"}; !slices.Equal(slices.Sorted(maps.Keys(missing)), want) {
		t.Errorf("the schema lacks %v, want %v", slices.Sorted(maps.Keys(missing)), want)
	}
}

// has reports whether a type, a type it is made from, or a type made from it has the
// property at path.
func has(types map[string]schema, name, path string) bool {
	step, rest, more := strings.Cut(path, ".")
	step, _ = strings.CutSuffix(step, "[]")
	if step == "@odata" { // a dot of its own
		return true
	}
	var related []string
	for n := name; n != ""; n = types[n].Base {
		related = append(related, n)
	}
	for _, s := range types[name].Subtypes {
		related = append(related, below(types, s)...)
	}
	for _, n := range related {
		p, ok := types[n].Properties[step]
		if !ok {
			continue
		}
		if !more || has(types, strings.TrimSuffix(p.Type, "[]"), rest) {
			return true
		}
	}
	return false
}

func below(types map[string]schema, name string) []string {
	all := []string{name}
	for _, s := range types[name].Subtypes {
		all = append(all, below(types, s)...)
	}
	return all
}
