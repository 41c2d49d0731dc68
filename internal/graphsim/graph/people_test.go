package graph_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func peopleSim(t *testing.T) (*simtest.Sim, string) {
	t.Helper()
	sp := simtest.Spec()
	sp.Policies = 0
	sp.Apps[0].Requested = append([]string{"User.Read.All", "Device.Read.All", "Directory.Read.All"}, simtest.ReadRoles...)
	s := simtest.Start(t, graphsim.Config{}, sp)
	return s, s.Token()
}

func TestPeople(t *testing.T) {
	s, tok := peopleSim(t)
	users, _ := s.All(tok, "/v1.0/users?$top=999")
	devices, _ := s.All(tok, "/v1.0/devices?$top=999")
	groups, _ := s.All(tok, "/v1.0/groups")
	user, device := users[7], devices[3]
	if len(users) != 2503 || user["userPrincipalName"] == "" || device["operatingSystem"] == nil {
		t.Fatalf("%d users, %v, %v", len(users), user, device)
	}
	if one := s.OK(tok, "/v1.0/users/"+user["userPrincipalName"].(string)+"?$select=id"); one["id"] != user["id"] || len(one) != 2 {
		t.Errorf("by name: %v", one)
	}
	if one := s.OK(tok, "/v1.0/devices/"+device["id"].(string)); one["displayName"] != device["displayName"] {
		t.Errorf("%v", one)
	}
	group := groups[41]["id"].(string)
	members, _ := s.All(tok, "/v1.0/groups/"+group+"/members?$top=999")
	in, _ := s.All(tok, "/v1.0/users/"+members[0]["id"].(string)+"/memberOf")
	first(t, in, func(g map[string]any) bool { return g["id"] == group && g["@odata.type"] == "#microsoft.graph.group" })
	if owners, _ := s.All(tok, "/v1.0/groups/"+group+"/owners"); len(owners) != 1 {
		t.Errorf("owners %v", owners)
	}
	body, err := json.Marshal(map[string]any{"ids": []any{user["id"], group, device["id"], "00000000-0000-4000-8000-000000000000"}, "types": []string{"user", "group"}})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, body []byte) simtest.Answer {
		t.Helper()
		a, err := s.Do(s.Request(http.MethodPost, path, strings.NewReader(string(body)), "Authorization", "Bearer "+tok, "Content-Type", "application/json"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := post("/v1.0/directoryObjects/getByIds", body)
	if got := simtest.Values(a.JSON(t)); len(got) != 2 || got[0]["id"] != user["id"] || got[1]["id"] != group {
		t.Errorf("getByIds: %d %v", a.Status, got)
	}
	many, err := json.Marshal(map[string]any{"ids": make([]string, 1001)})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{many, []byte(`{}`), []byte(`{`)} {
		if a := post("/v1.0/directoryObjects/getByIds", bad); a.Status != http.StatusBadRequest {
			t.Errorf("%.30s: %d", bad, a.Status)
		}
	}
	for path, want := range map[string]int{
		"/v1.0/users/none": 404, "/v1.0/users?$filter=nonsense%20eq%20'x'": 400, "/v1.0/users?$select=nonsense": 400, "/v1.0/users/" + user["id"].(string) + "/nonsense": 400,
		"/v1.0/directoryObjects/" + group: 200, "/v1.0/directoryObjects/none": 404, "/v1.0/groups/$count": 400, "/v1.0/groups/" + group + "/members/$ref": 404,
		"/v1.0/groups/" + group + "/members/microsoft.graph.nonsense": 404, "/v1.0/groups/" + group + "/memberOf": 200, "/v1.0/devices/" + user["id"].(string): 404,
	} {
		if a := s.Get(tok, path); a.Status != want {
			t.Errorf("%s: %d, want %d: %s", path, a.Status, want, a.Body)
		}
	}
	if a := s.Get(tok, "/v1.0/groups/$count", "ConsistencyLevel", "eventual"); string(a.Body) != "120" || a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("count %s", a.Body)
	}
	weak := simtest.Start(t, graphsim.Config{})
	for _, path := range []string{"/v1.0/users", "/v1.0/devices", "/v1.0/directoryObjects/" + group} {
		if a := weak.Get(weak.Token(), path); a.Status != http.StatusForbidden {
			t.Errorf("%s without its permission: %d", path, a.Status)
		}
	}
}

// TestRefusesWhatGraphRefuses sends the typos of a client, which must not pass as an empty list.
func TestRefusesWhatGraphRefuses(t *testing.T) {
	s, tok := peopleSim(t)
	const policies, groups = "/beta/deviceManagement/configurationPolicies?", "/v1.0/groups?"
	for _, tc := range []struct {
		query  string
		want   int
		header bool
		least  int // items of a 200
	}{
		{policies + "$filter=nonsense eq 'x'", 400, false, 0},
		{policies + "$select=id,nonsense", 400, false, 0},
		{policies + "$orderby=nonsense", 400, false, 0},
		{policies + "$filter=isAssigned eq 'true'", 400, false, 0},
		{policies + "$filter=settingCount gt 'x'", 400, false, 0},
		{policies + "$filter=name eq 5", 400, false, 0},
		{policies + "$search=\"x\"", 400, false, 0},
		{policies + "$filter=settingCount gt 0", 200, false, 1},
		{policies + "$filter=technologies has 'mdm'", 200, false, 1},
		{policies + "$filter=technologies has 'appleRemoteManagement,mdm'", 200, false, 1},
		{policies + "$filter=templateReference/templateFamily eq 'none'", 200, false, 1},
		{policies + "$filter=startsWith(name,'win')", 200, false, 1},
		{policies + "$filter=contains(name,'win')", 200, false, 1},
		{"/beta/deviceManagement/assignmentFilters?$filter=platform eq microsoft.graph.devicePlatformType'windows10AndLater'", 200, false, 1},
		{"/beta/deviceManagement/deviceConfigurations?$filter=isof('microsoft.graph.iosGeneralDeviceConfiguration')&$select=id,displayName", 200, false, 1},
		{groups + "$filter=nonsense eq 'x'", 400, false, 0},
		{groups + "$filter=contains(displayName,'SEC')", 400, false, 0},
		{groups + "$filter=contains(displayName,'SEC')&$count=true", 400, true, 0},
		{groups + "$filter=mailEnabled eq 'x'", 400, false, 0},
		{groups + "$filter=mailEnabled eq true", 200, false, 1},
		{groups + "$filter=startsWith(displayName,'SEC')", 200, false, 1},
		{groups + "$filter=endsWith(displayName,'Users')&$count=true", 400, false, 0},
		{groups + "$filter=endsWith(displayName,'Users')&$count=true", 200, true, 1},
		{groups + "$filter=groupTypes/any(c:c eq 'Unified')", 200, false, 1},
		{groups + "$search=\"displayName:SEC\"", 400, false, 0},
		{groups + "$search=\"displayName:SEC\"", 200, true, 1},
	} {
		path, query, _ := strings.Cut(tc.query, "?")
		var parts []string
		for _, p := range strings.Split(query, "&") {
			k, v, _ := strings.Cut(p, "=")
			parts = append(parts, k+"="+url.QueryEscape(v))
		}
		var header []string
		if tc.header {
			header = []string{"ConsistencyLevel", "eventual"}
		}
		a := s.Get(tok, path+"?"+strings.Join(parts, "&"), header...)
		if a.Status != tc.want {
			t.Errorf("%s: %d, want %d: %s", tc.query, a.Status, tc.want, a.Body)
			continue
		}
		if a.Status == 200 && len(simtest.Values(a.JSON(t))) < tc.least {
			t.Errorf("%s: nothing was found", tc.query)
		}
	}
	if _, message := simtest.ErrorOf(t, s.Get(tok, "/v1.0/groups?$count=true&$filter="+url.QueryEscape("endsWith(displayName,'x')"))); message != "Operator 'endsWith' is not supported because the 'ConsistencyLevel:eventual' header is missing" {
		t.Errorf("endsWith: %s", message)
	}
	list := s.OK(tok, "/beta/deviceManagement/configurationPolicies")
	if len(simtest.Values(list)) != 25 || list["@microsoft.graph.tips"] == nil {
		t.Errorf("a first page has %d items, tips %v", len(simtest.Values(list)), list["@microsoft.graph.tips"])
	}
}

// TestBatchTakesBodiesOfReads sends the batch of msgraph-sdk-go, whose GETs have a body.
func TestBatchTakesBodiesOfReads(t *testing.T) {
	s, tok := peopleSim(t)
	body := `{"requests":[{"id":"1","method":"GET","url":"/organization","body":null},{"id":"2","method":"GET","url":"/organization","body":{}},{"id":"3","method":"GET","url":"/organization"}]}`
	a, err := s.Do(s.Request(http.MethodPost, "/v1.0/$batch", strings.NewReader(body), "Authorization", "Bearer "+tok, "Content-Type", "application/json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range objects(a.JSON(t)["responses"]) {
		if r["status"] != 200.0 {
			t.Errorf("%v", r)
		}
	}
}

// The built-in roles of the directory, those that somebody has, and who has them.
func TestDirectoryRoles(t *testing.T) {
	s, tok := peopleSim(t)
	templates, _ := s.All(tok, "/v1.0/directoryRoleTemplates")
	roles, _ := s.All(tok, "/v1.0/directoryRoles?$expand=members")
	if len(templates) < 20 || len(roles) == 0 || len(roles) >= len(templates) {
		t.Fatalf("%d templates, %d roles", len(templates), len(roles))
	}
	for _, role := range roles {
		first(t, templates, func(o map[string]any) bool {
			return o["id"] == role["roleTemplateId"] && o["displayName"] == role["displayName"]
		})
		members, _ := role["members"].([]any)
		if len(members) != 1 {
			t.Fatalf("%v has %d members", role["displayName"], len(members))
		}
		id, _ := members[0].(map[string]any)["id"].(string)
		s.OK(tok, "/v1.0/users/"+id)
	}
	id, _ := roles[0]["id"].(string)
	if one := s.OK(tok, "/v1.0/directoryRoles/"+id); one["members"] != nil || one["id"] != id {
		t.Errorf("one role: %v", one)
	}
	if a := s.Get(tok, "/v1.0/directoryRoles/00000000-0000-4000-8000-000000000000"); a.Status != http.StatusNotFound {
		t.Errorf("an unknown role: %d", a.Status)
	}
	if a := s.Get(tok, "/v1.0/directoryRoles?$select=size"); a.Status != http.StatusBadRequest {
		t.Errorf("an unknown property: %d", a.Status)
	}
	plain := simtest.Start(t, graphsim.Config{})
	for _, path := range []string{"/v1.0/directoryRoles", "/v1.0/directoryRoleTemplates"} {
		if a := plain.Get(plain.Token(), path); a.Status != http.StatusForbidden {
			t.Errorf("%s without permission: %d", path, a.Status)
		}
	}
}
