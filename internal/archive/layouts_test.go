package archive_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/policy"
)

// in16 is text in UTF-16, as PowerShell writes it.
func in16(order binary.AppendByteOrder, mark bool, text string) string {
	var out []byte
	if mark {
		out = order.AppendUint16(out, 0xfeff)
	}
	for _, c := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, c)
	}
	return string(out)
}

// quoted is a text as a JSON string.
func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

const catalog = `{"name":"Lock é😀","platforms":"windows10","technologies":"mdm","settings":[{"id":"0","settingInstance":{"settingDefinitionId":"s"}}]}`

// TestEncodings reads one policy in every encoding that tools write.
func TestEncodings(t *testing.T) {
	for name, content := range map[string]string{
		"UTF-8":                    catalog,
		"UTF-8 with a mark":        "\ufeff" + catalog,
		"UTF-16 LE":                in16(binary.LittleEndian, true, catalog),
		"UTF-16 BE":                in16(binary.BigEndian, true, catalog),
		"UTF-16 LE without a mark": in16(binary.LittleEndian, false, catalog),
		"UTF-16 BE without a mark": in16(binary.BigEndian, false, catalog),
		"a list":                   "[" + catalog + "]",
		"text":                     quoted(catalog),
		"text in text":             quoted(quoted(catalog)),
		"an answer":                `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#deviceManagement/configurationPolicies","value":[` + catalog + `]}`,
	} {
		b := took(t, map[string]string{"x.json": content})
		if len(b.Items) != 1 || b.Items[0].Name != "Lock é😀" || string(b.Items[0].Body) != catalog {
			t.Errorf("%s: %q", name, brief(b))
		}
	}
}

// TestLayoutOfIntuneCD reads files as that tool writes them: without ids, in its folders.
func TestLayoutOfIntuneCD(t *testing.T) {
	b := took(t, map[string]string{
		"Settings Catalog/Lock_mdm.json":                                        `{"description":"","name":"Lock","platforms":"windows10","settingCount":1,"technologies":"mdm","templateReference":{"templateId":""},"settings":[{"settingInstance":{"settingDefinitionId":"s"}}],"assignments":[{"intent":"apply","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"g1","groupName":"Staff","groupType":"StaticMembership"}}]}`,
		"Device Configurations/Ring_windowsUpdateForBusinessConfiguration.json": `{"@odata.type":"#microsoft.graph.windowsUpdateForBusinessConfiguration","displayName":"Ring"}`,
		"Scripts/Powershell/Hello.json":                                         `{"displayName":"Hello","enforceSignatureCheck":false,"fileName":"a.ps1","runAsAccount":"system","scriptContent":"QQ=="}`,
		"Scripts/Powershell/Script Data/a.ps1":                                  "A",
		"Scope Tags/Emea.json":                                                  `{"displayName":"Emea","description":""}`,
		"Filters/Ipads.yaml":                                                    "displayName: Ipads",
		"Applications/iOS/App_iosVppApp.json":                                   `{"@odata.type":"#microsoft.graph.iosVppApp","displayName":"App"}`,
	})
	want := []string{
		"Applications/iOS/App_iosVppApp.json has the type iosVppApp, which Interlock does not back up",
		`Device Configurations/Ring_windowsUpdateForBusinessConfiguration.json: deviceConfigurations "Ring"`,
		"Filters/Ipads.yaml is YAML: export as JSON",
		"Scope Tags/Emea.json does not say which type of policy it is",
		`Scripts/Powershell/Hello.json: deviceManagementScripts "Hello"`,
		"Scripts/Powershell/Script Data/a.ps1 is not a JSON file",
		`Settings Catalog/Lock_mdm.json: configurationPolicies "Lock"`,
	}
	if diff := cmp.Diff(want, brief(b)); diff != "" || b.Tool != archive.IntuneCD || b.Directory != "" {
		t.Errorf("%s of %q: -want +got\n%s", b.Tool, b.Directory, diff)
	}
	d, err := policy.Normalise(b.Items[len(b.Items)-1].Item)
	if err != nil || len(d.Assignments()) != 1 || d.Assignments()[0].Group != "g1" {
		t.Errorf("its assignments are %+v, %v", d.Assignments(), err)
	}
	rewritten(t, b)
}

// TestLayoutOfIntuneManagement reads files as that tool writes them: with all links, in
// UTF-16, settings beside the policy, and the tenant's id in its table.
func TestLayoutOfIntuneManagement(t *testing.T) {
	tenant := "0a1b2c3d-1111-2222-3333-444455556666"
	b := took(t, map[string]string{
		"MigrationTable.json":                     in16(binary.LittleEndian, true, `{"TenantId":"`+tenant+`","Organization":"Contoso","Objects":[]}`),
		"CompliancePolicies/Mine.json":            in16(binary.LittleEndian, true, `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#deviceManagement/deviceCompliancePolicies/$entity","@odata.type":"#microsoft.graph.iosCompliancePolicy","@odata.id":"deviceManagement/deviceCompliancePolicies('p1')","id":"p1","displayName":"Mine","description":"of %OrganizationId%"}`),
		"AdministrativeTemplates/T.json":          `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#deviceManagement/groupPolicyConfigurations/$entity","id":"t1","displayName":"T"}`,
		"AdministrativeTemplates/T_Settings.json": `[{"enabled":true,"presentationValues":[{"value":"x","presentation@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/groupPolicyDefinitions('d1')/presentations('q1')","#Presentation_Label":"L"}],"definition@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/groupPolicyDefinitions('d1')"}]`,
		"EndpointSecurity/E.json":                 `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#deviceManagement/intents/$entity","id":"e1","displayName":"E","templateId":"x"}`,
		"EndpointSecurity/E_Settings.json":        "{ \"settings\": [{\"id\":\"1\",\"definitionId\":\"d\",\"valueJson\":\"true\"}]\n}",
		"EndpointSecurity/Gone_Settings.json":     `{"settings":[]}`,
		"Groups/Staff.json":                       `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#groups/$entity","id":"g","displayName":"Staff"}`,
	})
	want := []string{
		`AdministrativeTemplates/T.json: groupPolicyConfigurations "T"`,
		`CompliancePolicies/Mine.json: deviceCompliancePolicies "Mine"`,
		"EndpointSecurity/E.json: intents \"E\"",
		"EndpointSecurity/Gone_Settings.json holds the settings of EndpointSecurity/Gone.json, which was not taken",
		"Groups/Staff.json is of the collection groups, which Interlock does not back up",
	}
	if diff := cmp.Diff(want, brief(b)); diff != "" || b.Tool != archive.IntuneManagement || b.Directory != tenant || b.Tenant != "Contoso" {
		t.Errorf("%s of %q: -want +got\n%s", b.Tool, b.Directory, diff)
	}
	for _, i := range b.Items {
		d, err := policy.Normalise(i.Item)
		if err != nil {
			t.Fatal(err)
		}
		text := string(d.Canonical())
		switch i.ID {
		case "t1":
			if !strings.Contains(text, `"definition":{"id":"d1"}`) || !strings.Contains(text, `"presentation":{"id":"q1"}`) || strings.Contains(text, "bind") {
				t.Errorf("the template is %s", text)
			}
		case "p1":
			if !strings.Contains(text, "of "+tenant) {
				t.Errorf("the tenant's id is not back: %s", text)
			}
		case "e1":
			if !strings.Contains(text, `"definitionId":"d"`) {
				t.Errorf("the settings are missing: %s", text)
			}
		}
	}
	rewritten(t, b)
}

// TestLayoutOfCIPP reads templates: policies as text, names in place of ids, and rows of
// its table.
func TestLayoutOfCIPP(t *testing.T) {
	admin := `{"added":[{"enabled":true,"presentationValues":[],"definition@odata.bind":"https://graph.microsoft.com/beta/deviceManagement/groupPolicyDefinitions('d1')"}],"updated":[],"deletedIds":[]}`
	ca := `{"displayName":"MFA","state":"enabled","conditions":{"users":{"includeUsers":["All"]}},"grantControls":{"operator":"OR","builtInControls":["mfa"]},"LocationInfo":[{"displayName":"Office"}]}`
	template := func(kind, raw string) string {
		return `{"Displayname":"Of the template","Description":"D","RAWJson":` + quoted(raw) + `,"Type":"` + kind + `","GUID":"x"}`
	}
	b := took(t, map[string]string{
		"a.IntuneTemplate.json": template("Catalog", catalog),
		"b.IntuneTemplate.json": template("Admin", admin),
		"c.CATemplate.json":     ca,
		"d.json":                `{"PartitionKey":"IntuneTemplate","RowKey":"r","JSON":` + quoted(template("Catalog", catalog)) + `}`,
		"e.json":                template("windowsQualityUpdatePolicies", `{"displayName":"Hot","approvalSettings":[]}`),
		"f.json":                template("Catalog", "{"),
	})
	want := []string{
		`a.IntuneTemplate.json: configurationPolicies "Lock é😀"`,
		`b.IntuneTemplate.json: groupPolicyConfigurations "Of the template"`,
		"c.CATemplate.json#LocationInfo describes objects that the policy names, without their ids",
		`c.CATemplate.json: conditionalAccessPolicies "MFA"`,
		`d.json: configurationPolicies "Lock é😀"`,
		`e.json: windowsQualityUpdatePolicies "Hot"`,
		"f.json is not valid JSON: unexpected end of JSON input",
	}
	if diff := cmp.Diff(want, brief(b)); diff != "" || b.Tool != archive.CIPP {
		t.Errorf("%s: -want +got\n%s", b.Tool, diff)
	}
	for _, i := range b.Items {
		if i.File == "b.IntuneTemplate.json" && !strings.Contains(string(i.Body), `"definition":{"id":"d1"}`) {
			t.Errorf("the administrative template is %s", i.Body)
		}
	}
	rewritten(t, b)
}

// TestTables shows that tables of two tenants leave the directory unknown.
func TestTables(t *testing.T) {
	one, two := `{"TenantId":"0a1b2c3d-1111-2222-3333-444455556666"}`, `{"TenantId":"0A1B2C3D-1111-2222-3333-444455556667"}`
	for _, c := range []struct{ first, second, want string }{{one, one, "0a1b2c3d-1111-2222-3333-444455556666"}, {one, two, ""}, {`{"TenantId":"contoso"}`, "{", ""}} {
		b := took(t, map[string]string{"a/MigrationTable.json": c.first, "b/MigrationTable.json": c.second, "x.json": catalog})
		if b.Directory != c.want {
			t.Errorf("%s and %s are of %q", c.first, c.second, b.Directory)
		}
	}
}

// TestIDs shows that a policy without an id, or with one that stands for none, gets one by
// its path, and that a settings catalog policy for Linux is none for compliance.
func TestIDs(t *testing.T) {
	linux := `{"name":"L","platforms":"linux","technologies":"linuxMdm","settings":[]`
	b := took(t, map[string]string{
		"a.json": linux + `,"templateReference":{},"id":"00000000-0000-0000-0000-000000000000"}`,
		"b.json": linux + `,"templateReference":{},"id":"00000000-0000-0000-0000-000000000000"}`,
		"c.json": linux + `,"templateReference":{}}`,
		"d.json": linux + "}",
	})
	var got []string
	for _, i := range b.Items {
		if !strings.HasPrefix(i.ID, "file-") {
			t.Errorf("%s has the id %s", i.File, i.ID)
		}
		got = append(got, i.Type)
	}
	want := []string{"configurationPolicies", "configurationPolicies", "configurationPolicies", "compliancePolicies"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// rewritten shows that what was read of another tool's files goes through our own layout,
// byte for byte.
func rewritten(t *testing.T, b archive.Bundle) {
	t.Helper()
	again, err := unzip(write(t, b.Meta, b.Items...))
	if err != nil || len(again.Skipped) > 0 {
		t.Fatalf("%v, %v", again.Skipped, err)
	}
	same(t, b.Items, again.Items)
}
