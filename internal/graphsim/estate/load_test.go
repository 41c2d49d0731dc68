package estate_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadedPoliciesAreServedInTheShapeOfTheService(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "policies/index.json", `[
		{"file": "policies/export.json", "collection": "deviceManagement/configurationPolicies"},
		{"file": "policies/template.json", "collection": "deviceManagement/deviceCompliancePolicies"},
		{"file": "policies/list.json", "collection": "deviceManagement/deviceConfigurations"},
		{"file": "policies/none.json", "collection": "deviceManagement/nothingWeServe"},
		{"file": "../outside.json", "collection": "deviceManagement/deviceConfigurations"}]`)
	writeFile(t, dir, "policies/export.json", "\xef\xbb\xbf"+`{"@odata.context": "x", "@odata.type": "#microsoft.graph.deviceManagementConfigurationPolicy", "@odata.id": "x",
		"id": "11111111-2222-4333-8444-555555555555", "name": "Exported < & >", "platforms@odata.type": "#microsoft.graph.x", "platforms": "macOS", "settingCount": 7,
		"templateReference": {"@odata.type": "#microsoft.graph.deviceManagementConfigurationPolicyTemplateReference", "templateFamily@odata.type": "#x", "templateFamily": "none"},
		"settings@odata.context": "x", "settings": [{"id": "0", "settingInstance": {"@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance", "settingDefinitionId": "a"}}],
		"assignments": [], "#microsoft.graph.assign": {"target": "x"}}`)
	writeFile(t, dir, "policies/template.json", `{"@odata.type": "microsoft.graph.iosCompliancePolicy", "displayName": "Template",
		"scheduledActionsForRule": [{"ruleName": null, "scheduledActionConfigurations": [{"actionType": "block"}]}]}`)
	writeFile(t, dir, "policies/list.json", `[1, 2]`)
	writeFile(t, dir, "directory/groups.json", `{"groups": [{"displayName": "From the file", "membershipRule": "(device.x -eq 1)"}]}`)
	s := simtest.Start(t, graphsim.Config{DataDir: dir})
	tok := s.Token()

	list, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies?$filter=name%20eq%20'exported%20%3C%20%26%20%3E'")
	if len(list) != 1 {
		t.Fatalf("%d exported policies", len(list))
	}
	p := list[0]
	for name := range p {
		if strings.Contains(name, "@") || strings.HasPrefix(name, "#") || name == "settings" || name == "assignments" {
			t.Errorf("the list shows %q", name)
		}
	}
	if p["settingCount"] != 1.0 || p["id"] == "11111111-2222-4333-8444-555555555555" {
		t.Errorf("settingCount %v, id %v: want the real count, and an id of the tenant's own", p["settingCount"], p["id"])
	}
	if ref := p["templateReference"].(map[string]any); len(ref) != 1 {
		t.Errorf("templateReference = %v", ref)
	}
	settings := simtest.Values(s.OK(tok, "/beta/deviceManagement/configurationPolicies('"+p["id"].(string)+"')/settings"))
	if len(settings) != 1 || settings[0]["settingInstance"].(map[string]any)["@odata.type"] == nil {
		t.Errorf("settings = %v", settings)
	}
	raw := s.Get(tok, "/beta/deviceManagement/configurationPolicies/"+p["id"].(string))
	if !strings.Contains(string(raw.Body), `"Exported < & >"`) {
		t.Errorf("text is not answered as it was loaded: %s", raw.Body)
	}
	compliance := simtest.Values(s.OK(tok, "/v1.0/deviceManagement/deviceCompliancePolicies?$filter=displayName%20eq%20'Template'&$expand=scheduledActionsForRule($expand=scheduledActionConfigurations)"))
	if len(compliance) != 1 || compliance[0]["@odata.type"] != "#microsoft.graph.iosCompliancePolicy" || compliance[0]["lastModifiedDateTime"] == nil {
		t.Fatalf("compliance = %v", compliance)
	}
	rule := compliance[0]["scheduledActionsForRule"].([]any)[0].(map[string]any)
	if len(rule["scheduledActionConfigurations"].([]any)) != 1 {
		t.Errorf("rule = %v", rule)
	}
	if g := simtest.Values(s.OK(tok, "/v1.0/groups?$top=1"))[0]; g["displayName"] != "From the file" || g["membershipRule"] == nil {
		t.Errorf("group = %v", g)
	}
}

// TestBadIndexIsRefused: without an index the kinds of the files are unknown.
func TestBadIndexIsRefused(t *testing.T) {
	for name, text := range map[string]string{"cut off": `{`, "another shape": `{"policies":[]}`} {
		dir := t.TempDir()
		writeFile(t, dir, "policies/index.json", text)
		if _, err := graphsim.New(graphsim.Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "policies/index.json") {
			t.Errorf("%s: error %v does not name the index", name, err)
		}
	}
	if _, err := graphsim.New(graphsim.Config{DataDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("no index: %v", err)
	}
}

// utf16le returns text as some exports encode it.
func utf16le(text string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// TestEveryFileIsReadOrNamed: each file of a data folder is served, or reported with its
// name and the reason.
func TestEveryFileIsReadOrNamed(t *testing.T) {
	const configurations = `"collection": "deviceManagement/deviceConfigurations"`
	dir := t.TempDir()
	writeFile(t, dir, "policies/index.json", `[
		{"file": "policies/utf16.json", `+configurations+`},
		{"file": "policies/array.json", `+configurations+`},
		{"file": "policies/answer.json", `+configurations+`},
		{"file": "policies/cut.json", `+configurations+`},
		{"file": "policies/cut16.json", `+configurations+`},
		{"file": "policies/empty.json", `+configurations+`},
		{"file": "policies/gone.json", `+configurations+`},
		{"file": "policies/other.json", "collection": "deviceManagement/nothingWeServe"},
		{"file": "../outside.json", `+configurations+`},
		{"file": "policies/default.json", "collection": "deviceManagement/roleScopeTags"},
		{"file": "policies/tag.json", "collection": "deviceManagement/roleScopeTags"}]`)
	writeFile(t, dir, "policies/utf16.json", utf16le(`{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"Zwölf"}`))
	writeFile(t, dir, "policies/array.json", `[{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"First"}, 7, {"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"Third"}]`)
	writeFile(t, dir, "policies/answer.json", `{"@odata.context":"x","value":[{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"Listed"}]}`)
	writeFile(t, dir, "policies/cut.json", `{"displayName":"Cut`)
	writeFile(t, dir, "policies/cut16.json", utf16le(`{"displayName":"Cut"}`)[:21])
	writeFile(t, dir, "policies/empty.json", `[]`)
	writeFile(t, dir, "policies/other.json", `{}`)
	writeFile(t, dir, "policies/default.json", `{"displayName":"Default","isBuiltIn":true}`)
	writeFile(t, dir, "policies/tag.json", `{"displayName":"Branch"}`)
	writeFile(t, dir, "policies/stray.json", `{}`)
	writeFile(t, dir, "examples/recorded/odd.json", `[]`)
	writeFile(t, dir, "directory/groups.json", `{"groups": [`)
	s := simtest.Start(t, graphsim.Config{DataDir: dir})

	got := s.Data()
	reasons := map[string]string{}
	for _, l := range got.LeftOut {
		reasons[l.File] = l.Reason
	}
	for file, part := range map[string]string{
		"policies/array.json#1": "is not an object", "policies/cut.json": "is cut off", "policies/cut16.json": "is cut off", "policies/empty.json": "empty list",
		"policies/gone.json": "is not there", "policies/other.json": "is not served", "../outside.json": "outside of the folder",
		"policies/default.json": "default scope tag", "policies/stray.json": "is not in policies/index.json",
		"examples/recorded/odd.json": "can't be read", "directory/groups.json": "is cut off",
	} {
		if !strings.Contains(reasons[file], part) {
			t.Errorf("%s is left out for %q, want %q", file, reasons[file], part)
		}
		delete(reasons, file)
	}
	if len(reasons) != 0 || got.Policies != 5 || got.Groups != 0 {
		t.Errorf("%d policies, %d groups, and left out without reason: %v", got.Policies, got.Groups, reasons)
	}
	tok := s.Token()
	var names []string
	list, _ := s.All(tok, "/beta/deviceManagement/deviceConfigurations")
	for _, p := range list {
		names = append(names, p["displayName"].(string))
	}
	for _, want := range []string{"Zwölf", "First", "Third", "Listed"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not served: %q", want, names)
		}
	}
	ids := map[any]bool{}
	tags, _ := s.All(tok, "/beta/deviceManagement/roleScopeTags")
	for _, tag := range tags {
		if tag["id"] == "" || tag["id"] == nil || ids[tag["id"]] {
			t.Errorf("scope tag %v has no id of its own", tag)
		}
		ids[tag["id"]] = true
	}
	if len(tags) < 2 || !ids["0"] {
		t.Errorf("%d scope tags", len(tags))
	}
}

// TestRealPolicies loads the reference exports and recordings.
func TestRealPolicies(t *testing.T) {
	simtest.Shared(t, "policies/index.json")
	one, two := simtest.Spec(), simtest.Spec()
	one.Policies = 0
	two.Policies, two.ID, two.Domain = 0, "11111111-aaaa-4bbb-8ccc-000000000004", "fabrikam.example"
	s := simtest.Start(t, graphsim.Config{DataDir: simtest.SharedData}, one, two)
	tok := s.Token()
	count := map[string]int{}
	ids := map[string]bool{}
	for _, col := range estate.CollectionList {
		list, _ := s.All(tok, "/beta/"+col.Path)
		count[col.Path] = len(list)
		for _, it := range list {
			if col.Path != "deviceAppManagement/managedAppPolicies" && ids[it["id"].(string)] {
				t.Errorf("%s: id %v comes twice", col.Path, it["id"])
			}
			ids[it["id"].(string)] = true
		}
	}
	t.Log(count)
	for path, least := range map[string]int{
		"deviceManagement/configurationPolicies": 220, "deviceManagement/deviceConfigurations": 120, "deviceManagement/deviceCompliancePolicies": 50,
		"identity/conditionalAccess/policies": 14, "deviceAppManagement/managedAppPolicies": 15, "deviceManagement/deviceHealthScripts": 1,
	} {
		if count[path] < least {
			t.Errorf("%s: %d items, want at least %d", path, count[path], least)
		}
	}
	a := s.Post("/"+two.ID+"/oauth2/v2.0/token", simtest.Credentials())
	other, _ := a.JSON(t)["access_token"].(string)
	list, _ := s.All(other, "/beta/deviceManagement/configurationPolicies")
	if len(list) != count["deviceManagement/configurationPolicies"] || ids[list[0]["id"].(string)] {
		t.Error("the other tenant has other policies, or the same ids")
	}
}
