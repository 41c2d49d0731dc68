package graph_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// changed returns a body with properties set, or removed where the value is nil.
func changed(t *testing.T, body string, change map[string]any) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatal(err)
	}
	for name, v := range change {
		if o[name] = v; v == nil {
			delete(o, name)
		}
	}
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func nameOf(path string) string {
	if strings.HasSuffix(path, "/configurationPolicies") || strings.HasSuffix(path, "/compliancePolicies") {
		return "name"
	}
	return "displayName"
}

// needed holds, by collection, the properties that a create needs, each with a part of the refusal.
var needed = map[string]map[string]string{
	dm + "configurationPolicies":              {"name": "Policy name must not be empty.", "settings": "Policy settings must not be empty."},
	dm + "compliancePolicies":                 {"name": "Policy name must not be empty.", "settings": "Policy settings must not be empty."},
	dm + "deviceConfigurations":               {"@odata.type": "Cannot create an abstract class."},
	dm + "deviceCompliancePolicies":           {"@odata.type": "Cannot create an abstract class.", "scheduledActionsForRule": "one and only one block scheduled action"},
	dm + "deviceManagementScripts":            {"scriptContent": "Script content must not be empty."},
	dm + "deviceShellScripts":                 {"scriptContent": "Script content must not be empty."},
	dm + "deviceCustomAttributeShellScripts":  {"scriptContent": "Script content must not be empty."},
	dm + "deviceEnrollmentConfigurations":     {"@odata.type": "Cannot create an abstract class."},
	dm + "windowsAutopilotDeploymentProfiles": {"@odata.type": "Cannot create an abstract class."},
	dm + "assignmentFilters":                  {"displayName": "The DisplayName field is required.", "rule": "The Rule field is required."},
	dm + "roleScopeTags":                      {"displayName": "The DisplayName field is required."},
	dm + "roleDefinitions":                    {"displayName": "The DisplayName field is required.", "rolePermissions": "The RolePermissions field is required."},
	dm + "notificationMessageTemplates":       {"displayName": "The DisplayName field is required."},
	am + "mobileAppConfigurations":            {"@odata.type": "Cannot create an abstract class."},
	ca + "policies":                           {"displayName": "1007: ", "state": "1007: ", "conditions": "1007: "},
	ca + "namedLocations":                     {"@odata.type": "Cannot create an abstract class.", "displayName": "1007: ", "ipRanges": "1007: "},
	ca + "authenticationStrength/policies":    {"allowedCombinations": "'allowedCombinations' must not be empty"},
}

// TestWriteRules sends bodies that Graph refuses to each collection, and those that it takes
// although they have properties that nobody knows.
func TestWriteRules(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	token := s.Token()
	for path := range needed {
		if writableTypes[path].body == "" {
			t.Errorf("%s can't be written", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(writableTypes)) {
		c := writableTypes[path]
		intune := !strings.HasPrefix(path, ca)
		model, readOnly := "ModelValidationFailure", "Property 'createdDateTime' is read-only and cannot be set."
		switch {
		case strings.Contains(path, "authenticationStrength"):
			model = "BadRequest"
		case !intune:
			model, readOnly = "BadRequest", "1001: 'createdDateTime' is a readonly field"
		}
		refused := func(what, method, url, body, code, text string) {
			t.Helper()
			a := s.Send(token, method, url, body)
			if gotCode, gotText := simtest.ErrorOf(t, a); a.Status != http.StatusBadRequest || code != "" && gotCode != code || !strings.Contains(gotText, text) {
				t.Errorf("%s %s with %s: %d %s, want %s %q", method, url, what, a.Status, a.Body, code, text)
			}
		}
		bad := func(what string, change map[string]any, code, text string) {
			t.Helper()
			refused(what, http.MethodPost, path, changed(t, c.body, change), code, text)
		}
		bad("an unknown type", map[string]any{"@odata.type": "#microsoft.graph.neverHeardOf"}, model, "A type named 'microsoft.graph.neverHeardOf' could not be resolved by the model.")
		bad("a type of another collection", map[string]any{"@odata.type": "#microsoft.graph.group"}, model, "it is not assignable to the expected type")
		bad("a number for its name", map[string]any{nameOf(path): 5}, model, "Cannot convert the literal '5' to the expected type 'Edm.String'.")
		bad("a read-only property", map[string]any{"createdDateTime": "2001-01-01T00:00:00Z"}, "", readOnly)
		for name, text := range needed[path] {
			bad("no "+name, map[string]any{name: nil}, "", text)
		}
		if c.assign != "" {
			bad("assignments", map[string]any{"assignments": []any{}}, "BadRequest", "The request is invalid.")
		}
		refused("no JSON", http.MethodPost, path, "{", "BadRequest", "Unable to read JSON request payload.")
		refused("nothing", http.MethodPost, path, "", "BadRequest", "Empty Payload. JSON content expected.")
		refused("a name twice", http.MethodPost, path, strings.Replace(c.body, "{", `{"description":"a","description":"b",`, 1), "BadRequest", "Multiple properties with the same name")

		a := s.Send(token, http.MethodPost, path, changed(t, c.body, map[string]any{"neverHeardOf": map[string]any{"a": []int{1}}}))
		if a.Status != http.StatusCreated {
			t.Errorf("POST %s with an unknown property: %d %s", path, a.Status, a.Body)
			continue
		}
		one := path + "/" + a.JSON(t)["id"].(string)
		refused("a read-only property", http.MethodPatch, one, named(c.body)+`"createdDateTime":"2001-01-01T00:00:00Z"}`, "", readOnly)
		refused("a number for its name", http.MethodPatch, one, named(c.body)+`"`+nameOf(path)+`":5}`, model, "Cannot convert the literal '5'")
		if c.assign == "" {
			continue
		}
		assign := func(body, code, text string) {
			t.Helper()
			refused("the body "+body, http.MethodPost, one+"/assign", body, code, text)
		}
		assign(`{"others":[]}`, "ModelValidationFailure", "The parameter 'others' in the request payload is not a valid parameter for the operation 'assign'.")
		assign(`{"`+c.assign+`":[{}]}`, "BadRequest", "An assignment has no target.")
		target := func(kind, more string) string {
			return `{"` + c.assign + `":[{"target":{"@odata.type":"#microsoft.graph.` + kind + `"` + more + `}}]}`
		}
		assign(target("neverHeardOf", ""), "ModelValidationFailure", "could not be resolved by the model")
		assign(target("groupAssignmentTarget", `,"groupId":"nobody"`), "BadRequest", "Invalid GroupId : nobody provided, a valid AADGroupId is expected.")
		if strings.HasPrefix(path, am) && strings.Contains(strings.ToLower(path), "managedapp") {
			assign(target("allDevicesAssignmentTarget", ""), "BadRequest", "can be assigned to groups only")
		} else {
			filter := `"deviceAndAppManagementAssignmentFilterId":"8f4bd7e4-0000-4000-8000-000000000000","deviceAndAppManagementAssignmentFilterType":"include"`
			assign(target("allDevicesAssignmentTarget", ","+filter), "BadRequest", "does not exist")
		}
	}
}

// TestLenientWritesIgnoreReadOnlyProperties sends to each collection what strict tenants refuse.
func TestLenientWritesIgnoreReadOnlyProperties(t *testing.T) {
	spec := simtest.Writer()
	spec.Lenient = true
	s := simtest.Start(t, graphsim.Config{}, spec)
	token := s.Token()
	sent := map[string]any{"id": "mine", "createdDateTime": "2001-01-01T00:00:00Z", "lastModifiedDateTime": "2001-01-01T00:00:00Z"}
	for path, c := range writableTypes {
		a := s.Send(token, http.MethodPost, path, changed(t, c.body, sent))
		made := a.JSON(t)
		if a.Status != http.StatusCreated || made["id"] == "mine" || made["createdDateTime"] == sent["createdDateTime"] || made["lastModifiedDateTime"] == sent["lastModifiedDateTime"] {
			t.Errorf("POST %s: %d %s", path, a.Status, a.Body)
		}
	}
	strict := false
	if err := s.API.PatchTenant(t.Context(), simtest.TenantID, graphsim.TenantPatch{Lenient: &strict}); err != nil {
		t.Fatal(err)
	}
	path := dm + "assignmentFilters"
	if a := s.Send(token, http.MethodPost, path, changed(t, writableTypes[path].body, sent)); a.Status != http.StatusBadRequest {
		t.Errorf("strict again: %d", a.Status)
	}
}

// TestPutReplacesSettings replaces a policy of the settings catalog: what the body lacks is gone.
func TestPutReplacesSettings(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	token := s.Token()
	for _, path := range []string{dm + "configurationPolicies", dm + "compliancePolicies"} {
		body := changed(t, writableTypes[path].body, map[string]any{"description": "before"})
		made := s.Send(token, http.MethodPost, path, body).JSON(t)
		one := path + "/" + made["id"].(string)
		read := func() (map[string]any, int) {
			t.Helper()
			o := s.OK(token, one+"?$expand=settings")
			return o, len(o["settings"].([]any))
		}
		if o, n := read(); n != 1 || o["settingCount"] != 1.0 {
			t.Fatalf("%s: %v", path, o)
		}
		put := func(change map[string]any) simtest.Answer {
			t.Helper()
			return s.Send(token, http.MethodPut, one, changed(t, body, change))
		}
		if a := put(map[string]any{"settings": []any{}, "description": nil, "roleScopeTagIds": nil}); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "RoleScopeTagIds") {
			t.Errorf("%s without scope tags: %d %s", path, a.Status, a.Body)
		}
		if a := put(map[string]any{"platforms": "macOS", "roleScopeTagIds": []string{"0"}}); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "'platforms' can't be changed") {
			t.Errorf("%s with another platform: %d %s", path, a.Status, a.Body)
		}
		if a := put(map[string]any{nameOf(path): "After", "settings": nil, "description": nil, "roleScopeTagIds": []string{"0"}}); a.Status != http.StatusNoContent || len(a.Body) != 0 {
			t.Errorf("PUT %s: %d %s", path, a.Status, a.Body)
		}
		o, n := read()
		if n != 0 || o["settingCount"] != 0.0 || o["name"] != "After" || o["description"] != nil || o["createdDateTime"] != made["createdDateTime"] || o["lastModifiedDateTime"] == made["lastModifiedDateTime"] {
			t.Errorf("%s after a PUT without settings: %v", path, o)
		}
		if a := s.Send(token, http.MethodPatch, one, `{"settings":[]}`); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "Cannot apply PATCH to navigation property 'settings'") {
			t.Errorf("PATCH of settings: %d %s", a.Status, a.Body)
		}
		if a := s.Send(token, http.MethodPatch, one+"/settings/0", `{}`); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "No OData route exists") {
			t.Errorf("PATCH of one setting: %d %s", a.Status, a.Body)
		}
	}
	if a := s.Send(token, http.MethodPut, dm+"deviceConfigurations/x", `{}`); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("PUT of a device configuration: %d", a.Status)
	}
}

// TestBuiltInObjectsStay tries to change and delete what the service made.
func TestBuiltInObjectsStay(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	token := s.Token()
	role := simtest.Values(s.OK(token, dm+"roleDefinitions?$filter=isBuiltIn%20eq%20true"))[0]["id"].(string)
	var limit string
	for _, e := range simtest.Values(s.OK(token, dm+"deviceEnrollmentConfigurations")) {
		if id := e["id"].(string); strings.HasSuffix(id, "_DefaultLimit") {
			limit = id
		}
	}
	for one, patch := range map[string]int{
		dm + "roleScopeTags/0":         http.StatusBadRequest,
		dm + "roleDefinitions/" + role: http.StatusBadRequest,
		ca + "authenticationStrength/policies/00000000-0000-0000-0000-000000000002": http.StatusForbidden,
		dm + "deviceEnrollmentConfigurations/" + limit:                              http.StatusOK,
	} {
		body := `{"description":"B"}`
		if patch == http.StatusOK {
			body = `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","limit":7}`
		}
		if a := s.Send(token, http.MethodPatch, one, body); a.Status != patch {
			t.Errorf("PATCH %s: %d %s", one, a.Status, a.Body)
		}
		if a := s.Send(token, http.MethodDelete, one, ""); a.Status != http.StatusBadRequest && a.Status != http.StatusForbidden {
			t.Errorf("DELETE %s: %d %s", one, a.Status, a.Body)
		}
		s.OK(token, one)
	}
}

// TestReadersWriteNothing sends each kind of write to each collection with permissions to read only.
func TestReadersWriteNothing(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	token := s.Token()
	for path, c := range writableTypes {
		writes := map[string]string{path: http.MethodPost, path + "/x": http.MethodPatch, path + "/x?": http.MethodDelete}
		if c.assign != "" {
			writes[path+"/x/assign"] = http.MethodPost
		}
		if nameOf(path) == "name" {
			writes[path+"/x?$a=b"] = http.MethodPut
		}
		for url, method := range writes {
			a := s.Send(token, method, url, c.body)
			code, text := simtest.ErrorOf(t, a)
			if strings.HasPrefix(path, ca) {
				if a.Status != http.StatusForbidden || code != "Authorization_RequestDenied" {
					t.Errorf("%s %s: %d %s", method, url, a.Status, a.Body)
				}
				continue
			}
			if a.Status != http.StatusForbidden || code != "Forbidden" || !strings.Contains(text, "must have one of the following scopes: DeviceManagement") || strings.Contains(text, ".Read.All") {
				t.Errorf("%s %s: %d %s", method, url, a.Status, a.Body)
			}
		}
	}
}

// TestWritesNeedTheirPermission makes each write of Microsoft's permission table with each accepted
// permission alone, and with all others.
func TestWritesNeedTheirPermission(t *testing.T) {
	var calls []struct {
		Method   string   `json:"method"`
		Path     string   `json:"path"`
		Accepted []string `json:"accepted"`
	}
	simtest.ReadShared(t, "permissions/call-permissions.json", &calls)
	s := simtest.Start(t, graphsim.Config{})
	status := func(method, path string, roles ...string) int {
		t.Helper()
		if err := s.API.SetRoles(t.Context(), simtest.TenantID, simtest.AppID, roles...); err != nil {
			t.Fatal(err)
		}
		return s.Send(s.Token(), method, path, "{}").Status
	}
	tried := 0
	for _, call := range calls {
		path := "/beta" + strings.Replace(call.Path, "{id}", "x", 1)
		switch {
		case call.Method == http.MethodGet, call.Path == "/groups", strings.HasSuffix(call.Path, "/intents"): // read-only here
			continue
		case len(call.Accepted) == 0 && strings.HasSuffix(call.Path, "deviceManagementScripts"): // not in the table; tools use it
			call.Accepted = []string{"DeviceManagementScripts.ReadWrite.All"}
		case len(call.Accepted) == 0:
			call.Accepted = []string{"DeviceManagementConfiguration.ReadWrite.All"}
		}
		tried++
		others := slices.DeleteFunc(append(slices.Clone(simtest.ReadRoles), simtest.WriteRoles...), func(role string) bool { return slices.Contains(call.Accepted, role) })
		// The simulator also takes the Scripts permission for scripts, as Microsoft's newer pages do.
		if strings.Contains(call.Path, "Scripts") {
			others = slices.DeleteFunc(others, func(role string) bool { return role == "DeviceManagementScripts.ReadWrite.All" })
		}
		if got := status(call.Method, path, others...); got != http.StatusForbidden {
			t.Errorf("%s %s with all other permissions: %d", call.Method, path, got)
		}
		if strings.HasPrefix(call.Path, "/identity/") { // all of them together
			for i := range call.Accepted {
				if got := status(call.Method, path, slices.Delete(slices.Clone(call.Accepted), i, i+1)...); got != http.StatusForbidden {
					t.Errorf("%s %s without %s: %d", call.Method, path, call.Accepted[i], got)
				}
			}
			if got := status(call.Method, path, call.Accepted...); got == http.StatusForbidden {
				t.Errorf("%s %s with %v: %d", call.Method, path, call.Accepted, got)
			}
			continue
		}
		for _, role := range call.Accepted {
			if strings.HasSuffix(role, ".Read.All") { // an error of the table: it is a permission to read
				continue
			}
			if got := status(call.Method, path, role); got == http.StatusForbidden {
				t.Errorf("%s %s with %s: %d", call.Method, path, role, got)
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d writes were tried", tried)
	}
}
