package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim/model"
)

var update = flag.Bool("update", false, "write beta.txt from the published type library")

// TestLibraryIsTheOneThatMicrosoftPublishes compares beta.txt with the type library.
func TestLibraryIsTheOneThatMicrosoftPublishes(t *testing.T) {
	raw, err := os.ReadFile("../../../../shared/graph-data/schema/beta-types.json")
	if err != nil {
		t.Skipf("../shared/graph-data is absent: %v", err)
	}
	var source struct {
		Types map[string]struct {
			Base       string
			Properties map[string]struct{ Type string }
		}
		Enums map[string][]string
	}
	if err := json.Unmarshal(raw, &source); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for name, values := range source.Enums {
		lines = append(lines, strings.Join(append([]string{"enum", name}, values...), " "))
	}
	for name, typ := range source.Types {
		base := typ.Base
		if base == "" {
			base = "-"
		}
		var properties []string
		for p, of := range typ.Properties {
			properties = append(properties, p+":"+strings.ReplaceAll(of.Type, " ", ""))
		}
		slices.Sort(properties)
		lines = append(lines, strings.Join(append([]string{"type", name, base}, properties...), " "))
	}
	slices.Sort(lines)
	var want bytes.Buffer
	want.WriteString("# Types and enumerations of Microsoft Graph beta, from @microsoft/microsoft-graph-types-beta (MIT).\n# Written by go test -update; one line each: type NAME BASE PROPERTY:TYPE..., enum NAME VALUE...\n")
	want.WriteString(strings.Join(lines, "\n") + "\n")
	if *update {
		if err := os.WriteFile("beta.txt", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("beta.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want.Bytes()) {
		t.Error("beta.txt differs from the type library: run go test with -update and read the difference")
	}
}

func TestCheck(t *testing.T) {
	const ns = "microsoft.management.services.api"
	deep := strings.Repeat(`{"a":`, 150) + "1" + strings.Repeat("}", 150)
	for name, c := range map[string]struct{ base, body, want string }{
		"what fits":               {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","passcodeMinimumLength":6,"cameraBlocked":true,"displayName":null}`, ""},
		"without the hash":        {"DeviceConfiguration", `{"@odata.type":"microsoft.graph.iosGeneralDeviceConfiguration"}`, ""},
		"an unknown property":     {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","neverHeardOf":{"a":[1]}}`, ""},
		"an annotation":           {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","cameraBlocked@odata.type":"#Edm.Boolean"}`, ""},
		"several flags":           {"NotificationMessageTemplate", `{"brandingOptions":"includeCompanyLogo,includeCompanyName"}`, ""},
		"an unknown type":         {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralX"}`, "A type named 'microsoft.graph.iosGeneralX' could not be resolved by the model."},
		"another base":            {"DeviceCompliancePolicy", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration"}`, "type 'microsoft.management.services.api.iosGeneralDeviceConfiguration' was found, but it is not assignable to the expected type 'microsoft.management.services.api.deviceCompliancePolicy'"},
		"an abstract type":        {"DeviceConfiguration", `{}`, "Cannot create an abstract class."},
		"an abstract type inside": {"DeviceManagementConfigurationPolicy", `{"settings":[{"settingInstance":{"settingDefinitionId":"x"}}]}`, "Cannot create an abstract class."},
		"an unknown type inside":  {"DeviceManagementConfigurationPolicy", `{"settings":[{"settingInstance":{"@odata.type":"#microsoft.graph.nope"}}]}`, "A type named 'microsoft.graph.nope'"},
		"a text for a number":     {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","passcodeMinimumLength":"<enabled/>"}`, "Cannot convert the literal '<enabled/>' to the expected type 'Edm.Int32'."},
		"a number for a text":     {"RoleScopeTag", `{"displayName":5}`, "Cannot convert the literal '5' to the expected type 'Edm.String'."},
		"a text for a boolean":    {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","cameraBlocked":"true"}`, "expected type 'Edm.Boolean'"},
		"no value of the enum":    {"ConditionalAccessPolicy", `{"state":"on"}`, "Cannot convert the literal 'on' to the expected type 'microsoft.management.services.api.conditionalAccessPolicyState'."},
		"an object for a text":    {"RoleScopeTag", `{"displayName":{}}`, "An unexpected 'StartObject' node was found for property named 'displayName'"},
		"a text for an object":    {"ConditionalAccessPolicy", `{"conditions":"all"}`, "A 'StartObject' node was expected"},
		"a text for a list":       {"DeviceConfiguration", `{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","roleScopeTagIds":"0"}`, "A 'StartArray' node was expected"},
		"too deep":                {"RoleScopeTag", `{"neverHeardOf":` + deep + `}`, "maximum recursion depth"},
	} {
		dec := json.NewDecoder(strings.NewReader(c.body))
		dec.UseNumber()
		var v map[string]any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		named, _ := v["@odata.type"].(string)
		typ, err := model.Resolve(named, model.Lookup(c.base), ns)
		if err == nil {
			err = model.Check(typ, v, ns)
		}
		var m *model.Mismatch
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &m) || !strings.Contains(m.Text, c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestAddedTypesAreNotInTheLibrary finds additions that a newer library has itself.
func TestAddedTypesAreNotInTheLibrary(t *testing.T) {
	read := func(name string) map[string]bool {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for line := range strings.Lines(string(b)) {
			if words := strings.Fields(line); len(words) > 2 && (words[0] == "type" || words[0] == "enum") {
				names[words[1]] = true
			}
		}
		return names
	}
	library, added := read("beta.txt"), read("newer.txt")
	if len(library) != 910+447 || len(added) < 10 {
		t.Errorf("%d types in the library, %d added", len(library), len(added))
	}
	for name := range added {
		if library[name] {
			t.Errorf("the library has %s", name)
		}
	}
}

// TestTypesAreWhole finds base types and abstract types that the library does not have.
func TestTypesAreWhole(t *testing.T) {
	for _, name := range []string{"#microsoft.graph.windowsQualityUpdatePolicy", "DeviceCustomAttributeShellScript", "microsoft.graph.operationApprovalPolicy"} {
		if model.Lookup(name) == nil {
			t.Errorf("%s is missing", name)
		}
	}
	ios := model.Lookup("iosGeneralDeviceConfiguration")
	if p, ok := ios.Property("ROLESCOPETAGIDS"); !ok || p.Name != "roleScopeTagIds" || !p.List || !ios.Is(model.Lookup("deviceConfiguration")) {
		t.Errorf("properties of base types: %v %v", p, ok)
	}
}
