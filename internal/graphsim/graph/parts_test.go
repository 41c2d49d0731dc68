package graph_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// TestNothingServedIsEmpty lists every collection of a tenant of the standard size. Only what
// Microsoft fills by itself later may be empty.
func TestNothingServedIsEmpty(t *testing.T) {
	sp := simtest.Spec()
	sp.Policies = 0
	s := simtest.Start(t, graphsim.Config{}, sp)
	tok := s.Token()
	for _, path := range []string{
		"deviceManagement/reusablePolicySettings", "deviceManagement/deviceComplianceScripts", "deviceManagement/deviceCustomAttributeShellScripts",
		"deviceManagement/managementConditions", "deviceManagement/groupPolicyUploadedDefinitionFiles", "deviceAppManagement/windowsManagedAppProtections",
		"deviceAppManagement/policySets", "deviceManagement/templates", "deviceManagement/roleAssignments", "deviceManagement/groupPolicyDefinitions",
		"deviceManagement/configurationPolicyTemplates", "deviceManagement/configurationSettings", "deviceManagement/windowsQualityUpdatePolicies",
		"identity/conditionalAccess/authenticationStrength/policies", "identity/conditionalAccess/authenticationContextClassReferences",
		"deviceManagement/termsAndConditions",
	} {
		list, _ := s.All(tok, "/beta/"+path)
		if len(list) == 0 {
			t.Errorf("%s is empty", path)
			continue
		}
		s.OK(tok, "/beta/"+path+"/"+list[0]["id"].(string))
	}
	defaults, custom := 0, 0
	list, _ := s.All(tok, "/beta/deviceManagement/deviceEnrollmentConfigurations")
	for _, it := range list {
		if strings.Contains(it["id"].(string), "_Default") && it["priority"] == 0.0 {
			defaults++
		}
	}
	roles, _ := s.All(tok, "/beta/deviceManagement/roleDefinitions")
	for _, it := range roles {
		if it["isBuiltIn"] == false {
			custom++
		}
	}
	if defaults != 4 || custom != 1 {
		t.Errorf("%d enrollment defaults and %d custom roles, want 4 and 1", defaults, custom)
	}
	for _, empty := range []string{"identity/conditionalAccess/deletedItems/policies", "identity/conditionalAccess/deletedItems/namedLocations", "deviceManagement/operationApprovalPolicies"} {
		if list, _ := s.All(tok, "/beta/"+empty); len(list) != 0 {
			t.Errorf("%s: %v", empty, list)
		}
	}
}

// first returns the first item of a list for which ok is true.
func first(t *testing.T, list []map[string]any, ok func(map[string]any) bool) map[string]any {
	t.Helper()
	for _, it := range list {
		if ok(it) {
			return it
		}
	}
	t.Fatalf("none of %d items is the one that is looked for", len(list))
	return nil
}

func TestNestedParts(t *testing.T) {
	sp := simtest.Spec()
	sp.Policies = 0
	s := simtest.Start(t, graphsim.Config{}, sp)
	tok := s.Token()

	t.Run("administrative templates: two levels, each with its own $expand", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/groupPolicyConfigurations")
		var values []map[string]any
		path := ""
		it := first(t, list, func(it map[string]any) bool {
			path = "/beta/deviceManagement/groupPolicyConfigurations('" + it["id"].(string) + "')/definitionValues"
			values, _ = s.All(tok, path+"?$expand=definition")
			all, _ := s.All(tok, path+"('"+values[0]["id"].(string)+"')/presentationValues")
			return len(all) > 0
		})
		if values[0]["definition"].(map[string]any)["displayName"] == "" || values[0]["presentationValues"] != nil {
			t.Errorf("%v", values[0])
		}
		plain, _ := s.All(tok, path)
		if plain[0]["definition"] != nil || plain[0]["enabled"] != true {
			t.Errorf("without $expand: %v", plain[0])
		}
		shown, _ := s.All(tok, path+"/"+values[0]["id"].(string)+"/presentationValues?$expand=presentation")
		if shown[0]["presentation"].(map[string]any)["label"] == "" || shown[0]["@odata.type"] != "#microsoft.graph.groupPolicyPresentationValueText" {
			t.Errorf("%v", shown[0])
		}
		if one := s.OK(tok, path+"/"+values[0]["id"].(string)+"/definition"); one["id"] != values[0]["definition"].(map[string]any)["id"] {
			t.Errorf("%v", one)
		}
		whole := s.OK(tok, "/beta/deviceManagement/groupPolicyConfigurations/"+it["id"].(string)+"?$expand=definitionValues($expand=definition($select=displayName))")
		d := whole["definitionValues"].([]any)[0].(map[string]any)["definition"].(map[string]any)
		if len(d) != 2 || d["displayName"] == nil {
			t.Errorf("%v", d)
		}
	})
	t.Run("settings name their definitions", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies")
		settings, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies/"+list[0]["id"].(string)+"/settings?$expand=settingDefinitions&$top=1000")
		for _, st := range settings {
			defs := st["settingDefinitions"].([]any)
			inst := st["settingInstance"].(map[string]any)
			d := defs[0].(map[string]any)
			if d["id"] != inst["settingDefinitionId"] || d["displayName"] == "" || d["displayName"] == d["id"] {
				t.Fatalf("%v", d)
			}
			value := inst["choiceSettingValue"].(map[string]any)["value"]
			first(t, objects(d["options"]), func(o map[string]any) bool { return o["itemId"] == value && o["displayName"] != "" })
			if one := s.OK(tok, "/beta/deviceManagement/configurationSettings/"+d["id"].(string)); one["displayName"] != d["displayName"] {
				t.Errorf("%v, want %v", one["displayName"], d["displayName"])
			}
		}
	})
	t.Run("intents list their settings by category", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/intents")
		path := "/beta/deviceManagement/intents/" + list[0]["id"].(string)
		all, _ := s.All(tok, path+"/settings")
		categories, _ := s.All(tok, path+"/categories")
		some, _ := s.All(tok, path+"/categories/"+categories[0]["id"].(string)+"/settings")
		if len(all) == 0 || len(some) != len(all) || categories[0]["settings"] != nil {
			t.Errorf("%v, %v", all, categories)
		}
	})
	t.Run("an encrypted value needs a permission to write", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/deviceConfigurations")
		var secret map[string]any
		it := first(t, list, func(it map[string]any) bool {
			for _, o := range objects(it["omaSettings"]) {
				if o["isEncrypted"] == true {
					secret = o
				}
			}
			return secret != nil
		})
		if secret["value"] != "****" {
			t.Errorf("%v", secret)
		}
		path := "/beta/deviceManagement/deviceConfigurations/" + it["id"].(string) + "/getOmaSettingPlainTextValue(secretReferenceValueId='" + secret["secretReferenceValueId"].(string) + "')"
		if a := s.Get(tok, path); a.Status != http.StatusForbidden {
			t.Errorf("with a permission to read: %d", a.Status)
		}
		roles := append([]string{"DeviceManagementConfiguration.ReadWrite.All"}, simtest.ReadRoles...)
		if err := s.API.PatchApp(t.Context(), simtest.TenantID, simtest.AppID, graphsim.AppPatch{Roles: &roles}); err != nil {
			t.Fatal(err)
		}
		if v, _ := s.OK(s.Token(), path)["value"].(string); !strings.HasPrefix(v, "secret-") {
			t.Errorf("value %q", v)
		}
		if a := s.Get(s.Token(), strings.Replace(path, "='", "='x", 1)); a.Status != http.StatusNotFound {
			t.Errorf("an unknown reference: %d", a.Status)
		}
	})
	t.Run("conditional access refers to what the tenant has", func(t *testing.T) {
		list, _ := s.All(tok, "/v1.0/identity/conditionalAccess/policies")
		groups, locations := 0, 0
		for _, it := range list {
			c := it["conditions"].(map[string]any)
			for _, g := range c["users"].(map[string]any)["excludeGroups"].([]any) {
				s.OK(tok, "/v1.0/groups/"+g.(string))
				groups++
			}
			if where, _ := c["locations"].(map[string]any); where != nil {
				s.OK(tok, "/v1.0/identity/conditionalAccess/namedLocations/"+where["excludeLocations"].([]any)[0].(string))
				locations++
			}
		}
		if groups == 0 || locations == 0 {
			t.Errorf("%d groups and %d locations", groups, locations)
		}
	})
	t.Run("what has no route", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/deviceManagementScripts")
		script := "/beta/deviceManagement/deviceManagementScripts/" + list[0]["id"].(string)
		policies, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies?$top=1")
		policy := "/beta/deviceManagement/configurationPolicies/" + policies[0]["id"].(string)
		for path, want := range map[string]int{
			script + "/assignments": 400, script + "?$expand=assignments": 200, policy + "/settings/none": 404, policy + "/settings/0": 200,
			policy + "/settings/0/settingDefinitions": 200, policy + "/settings/0/nonsense": 400, policy + "/settings?$expand=nonsense": 400, policy + "/settings/0/settingInstance": 400,
		} {
			if a := s.Get(tok, path); a.Status != want {
				t.Errorf("%s: %d, want %d: %s", path, a.Status, want, a.Body)
			}
		}
	})
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	return simtest.Values(map[string]any{"value": list})
}
