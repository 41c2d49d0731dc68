package graph_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// TestDocumentsKeepTheirIDs loads policies as another program has read them.
func TestDocumentsKeepTheirIDs(t *testing.T) {
	const id, group = "0f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11", "6c1d77a5-66b3-4f0e-9f4e-0d2f6a7c1d03"
	cfg := graphsim.Config{Data: &graphsim.Data{Folder: "a zip file", LeftOut: []graphsim.LeftOut{{File: "z.txt", Reason: "is no policy"}}, Documents: []graphsim.Document{
		{
			Collection: "deviceManagement/configurationPolicies", File: "a.json", ID: id, Body: json.RawMessage(`{"name":"BitLocker","platforms":"windows10","settings":null}`),
			Parts: map[string]json.RawMessage{
				"settings":    json.RawMessage(`[{"id":"0","settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance","settingDefinitionId":"x"}}]`),
				"assignments": json.RawMessage(`[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + group + `"}}]`),
			},
		},
		{Collection: "deviceManagement/configurationPolicies", File: "b.json", ID: "1f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11", Body: json.RawMessage(`{"name":"Not assigned"}`), Parts: map[string]json.RawMessage{"assignments": json.RawMessage(`[]`)}},
		{Collection: "deviceManagement/nonsense", File: "c.json", Body: json.RawMessage(`{}`)},
		{Collection: "deviceManagement/intents", File: "d.json", Body: json.RawMessage(`[]`)},
		{Collection: "deviceManagement/roleScopeTags", File: "e.json", Body: json.RawMessage(`{"id":"0","displayName":"Default"}`)},
		{Collection: "deviceManagement/deviceEnrollmentConfigurations", File: "f.json", Body: json.RawMessage(`{"id":"12345678-5d0e-4a0c-8a51-3a4a3f9b7c11_DefaultLimit"}`)},
	}}}
	sp := simtest.Spec()
	sp.Policies = 0
	s := simtest.Start(t, cfg, sp)
	tok := s.Token()
	list, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies?$expand=assignments,settings")
	if len(list) != 2 || list[0]["id"] != id || list[0]["settingCount"] != 1.0 || len(list[0]["settings"].([]any)) != 1 || len(list[1]["assignments"].([]any)) != 0 {
		t.Errorf("%v", list)
	}
	assigned := objects(list[0]["assignments"])
	if len(assigned) != 1 || assigned[0]["target"].(map[string]any)["groupId"] != group || assigned[0]["id"] == "" {
		t.Errorf("assignments %v", assigned)
	}
	if a := s.Get(tok, "/v1.0/groups/"+group); a.Status != http.StatusOK {
		t.Errorf("the group of an assignment: %d", a.Status)
	}
	d := s.Data()
	var names []string
	for _, l := range d.LeftOut {
		names = append(names, l.File)
	}
	if d.Policies != 2 || d.Groups != 1 || len(names) != 5 || names[0] != "c.json" || names[4] != "z.txt" {
		t.Errorf("%+v", d)
	}
}
