package graph_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

const (
	dm      = "/beta/deviceManagement/"
	am      = "/beta/deviceAppManagement/"
	ca      = "/v1.0/identity/conditionalAccess/"
	setting = `{"@odata.type":"#microsoft.graph.deviceManagementConfigurationSetting","settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance","settingDefinitionId":"a","simpleSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationIntegerSettingValue","value":1}}}`
	block   = `"scheduledActionsForRule":[{"ruleName":"r","scheduledActionConfigurations":[{"actionType":"block","gracePeriodHours":0}]}]`
)

// writableTypes holds, for each collection that can be written, a body that creates an object, and
// the parameter of its assign action.
var writableTypes = map[string]struct{ body, assign string }{
	dm + "configurationPolicies":              {`{"name":"A","platforms":"windows10","technologies":"mdm","settings":[` + setting + `]}`, "assignments"},
	dm + "compliancePolicies":                 {`{"name":"A","platforms":"linux","technologies":"linuxMdm","settings":[` + setting + `],` + block + `}`, "assignments"},
	dm + "deviceConfigurations":               {`{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"A"}`, "assignments"},
	dm + "deviceCompliancePolicies":           {`{"@odata.type":"#microsoft.graph.iosCompliancePolicy","displayName":"A",` + block + `}`, "assignments"},
	dm + "groupPolicyConfigurations":          {`{"displayName":"A"}`, "assignments"},
	dm + "deviceManagementScripts":            {`{"displayName":"A","scriptContent":"YQ=="}`, "deviceManagementScriptAssignments"},
	dm + "deviceShellScripts":                 {`{"displayName":"A","scriptContent":"YQ=="}`, "deviceManagementScriptAssignments"},
	dm + "deviceCustomAttributeShellScripts":  {`{"displayName":"A","scriptContent":"YQ=="}`, "deviceManagementScriptAssignments"},
	dm + "deviceHealthScripts":                {`{"displayName":"A","detectionScriptContent":"YQ=="}`, "deviceHealthScriptAssignments"},
	dm + "deviceComplianceScripts":            {`{"displayName":"A","detectionScriptContent":"YQ=="}`, ""},
	dm + "deviceEnrollmentConfigurations":     {`{"@odata.type":"#microsoft.graph.windows10EnrollmentCompletionPageConfiguration","displayName":"A"}`, "enrollmentConfigurationAssignments"},
	dm + "windowsAutopilotDeploymentProfiles": {`{"@odata.type":"#microsoft.graph.azureADWindowsAutopilotDeploymentProfile","displayName":"A"}`, ""},
	dm + "assignmentFilters":                  {`{"displayName":"A","platform":"iOS","rule":"r"}`, ""},
	dm + "roleScopeTags":                      {`{"displayName":"A"}`, ""},
	dm + "roleDefinitions":                    {`{"displayName":"A","rolePermissions":[{"resourceActions":[]}]}`, ""},
	dm + "notificationMessageTemplates":       {`{"displayName":"A"}`, ""},
	dm + "windowsFeatureUpdateProfiles":       {`{"displayName":"A"}`, "assignments"},
	dm + "windowsQualityUpdateProfiles":       {`{"displayName":"A"}`, "assignments"},
	dm + "windowsQualityUpdatePolicies":       {`{"displayName":"A"}`, "assignments"},
	dm + "windowsDriverUpdateProfiles":        {`{"displayName":"A","approvalType":"manual"}`, "assignments"},
	dm + "reusablePolicySettings":             {`{"displayName":"A"}`, ""},
	am + "iosManagedAppProtections":           {`{"displayName":"A"}`, "assignments"},
	am + "androidManagedAppProtections":       {`{"displayName":"A"}`, "assignments"},
	am + "windowsManagedAppProtections":       {`{"displayName":"A"}`, "assignments"},
	am + "targetedManagedAppConfigurations":   {`{"displayName":"A"}`, "assignments"},
	am + "mobileAppConfigurations":            {`{"@odata.type":"#microsoft.graph.iosMobileAppConfiguration","displayName":"A"}`, "assignments"},
	ca + "policies":                           {`{"displayName":"A","state":"disabled","conditions":{"users":{"includeUsers":["All"]}}}`, ""},
	ca + "namedLocations":                     {`{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"A","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"10.0.0.0/8"}]}`, ""},
	ca + "authenticationStrength/policies":    {`{"displayName":"A","allowedCombinations":["fido2"]}`, ""},
}

// TestEveryTypeIsWritten creates, reads, changes, assigns and deletes one object of each collection
// that can be written.
func TestEveryTypeIsWritten(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	token := s.Token()
	do := func(method, path, body string) simtest.Answer { return s.Send(token, method, path, body) }
	group := simtest.Values(s.OK(token, "/v1.0/groups?$top=1"))[0]["id"].(string)
	for path, c := range writableTypes {
		a := do(http.MethodPost, path, c.body)
		var made struct{ ID string }
		if err := json.Unmarshal(a.Body, &made); a.Status != http.StatusCreated || err != nil || made.ID == "" {
			t.Errorf("POST %s: %d %s", path, a.Status, a.Body)
			continue
		}
		one := path + "/" + made.ID
		if a := s.Get(token, one); a.Status != http.StatusOK || strings.Contains(string(a.Body), `"settings":[`) {
			t.Errorf("GET %s: %d %s", one, a.Status, a.Body)
		}
		if a := do(http.MethodPatch, one, strings.Replace(`{"description":"B"}`, "{", named(c.body), 1)); a.Status != http.StatusOK && a.Status != http.StatusNoContent {
			t.Errorf("PATCH %s: %d %s", one, a.Status, a.Body)
		}
		if m := s.OK(token, one); m["description"] != "B" {
			t.Errorf("%s is unchanged: %v", one, m)
		}
		if c.assign != "" {
			target := `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + group + `"}}`
			if a := do(http.MethodPost, one+"/assign", `{"`+c.assign+`":[`+target+`]}`); a.Status != http.StatusOK && a.Status != http.StatusNoContent {
				t.Errorf("assign %s: %d %s", one, a.Status, a.Body)
			}
			if a := do(http.MethodPost, one+"/assign", `{"`+c.assign+`":[`+target+`,`+target+`]}`); a.Status != http.StatusBadRequest {
				t.Errorf("assign %s twice to a group: %d", one, a.Status)
			}
			if list, _ := s.OK(token, one+"?$expand=assignments")["assignments"].([]any); len(list) != 1 {
				t.Errorf("%s has %d assignments, want 1", one, len(list))
			}
		}
		if a := do(http.MethodDelete, one, ""); a.Status != http.StatusNoContent {
			t.Errorf("DELETE %s: %d %s", one, a.Status, a.Body)
		}
		if a := s.Get(token, one); a.Status != http.StatusNotFound {
			t.Errorf("GET %s after its removal: %d", one, a.Status)
		}
	}
}

// named begins an object with the type of another.
func named(body string) string {
	var o struct {
		Type string `json:"@odata.type"`
	}
	if json.Unmarshal([]byte(body), &o) != nil || o.Type == "" {
		return "{"
	}
	return `{"@odata.type":"` + o.Type + `",`
}
