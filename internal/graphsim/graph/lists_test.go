package graph_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestListStyles(t *testing.T) {
	sp := simtest.Spec()
	sp.Policies = 0
	s := simtest.Start(t, graphsim.Config{}, sp)
	tok := s.Token()

	t.Run("settings catalogue: encoded twice, count of the page", func(t *testing.T) {
		first := s.OK(tok, "/Beta/deviceManagement/configurationPolicies?$select=id,name&$top=10&$filter=platforms%20eq%20'windows10'")
		link, _ := first["@odata.nextLink"].(string)
		if first["@odata.count"] != 10.0 || !strings.HasPrefix(link, s.URL()+"/Beta/deviceManagement/configurationPolicies?$select=id%2cname&$top=10&$filter=platforms+eq+%27windows10%27&$skiptoken=%255Bcosmosdb%255D") {
			t.Errorf("count %v, link %s", first["@odata.count"], link)
		}
		if want := s.URL() + "/beta/$metadata#deviceManagement/configurationPolicies(id,name)"; first["@odata.context"] != want {
			t.Errorf("context %v", first["@odata.context"])
		}
		items, _ := s.All(tok, link)
		seen := map[string]bool{}
		for _, it := range append(simtest.Values(first), items...) {
			if seen[it["id"].(string)] || len(it) != 2 {
				t.Fatalf("item %v comes twice, or has more than was selected", it)
			}
			seen[it["id"].(string)] = true
		}
		if len(seen) < 60 {
			t.Errorf("%d items", len(seen))
		}
		decoded, err := url.QueryUnescape(link)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(decoded)
		if err != nil {
			t.Fatal(err)
		}
		u.RawQuery = u.Query().Encode()
		if a := s.Get(tok, u.String()); a.Status != http.StatusBadRequest {
			t.Errorf("a link that was decoded on the way: %d, want 400", a.Status)
		}
	})
	t.Run("apps: count is zero", func(t *testing.T) {
		first := s.OK(tok, "/v1.0/deviceAppManagement/mobileApps?$top=3")
		if first["@odata.count"] != 0.0 || len(simtest.Values(first)) != 3 || !strings.Contains(first["@odata.nextLink"].(string), "$skip=3") {
			t.Errorf("count %v, link %v", first["@odata.count"], first["@odata.nextLink"])
		}
	})
	t.Run("device configurations: no count, types shown", func(t *testing.T) {
		first := s.OK(tok, "/v1.0/deviceManagement/deviceConfigurations")
		if _, has := first["@odata.count"]; has || simtest.Values(first)[0]["@odata.type"] == nil {
			t.Errorf("%v", first)
		}
	})
	t.Run("directory: the token style of the directory, with a limit on $top", func(t *testing.T) {
		first := s.OK(tok, "/v1.0/groups?$top=7&$select=displayName")
		link := first["@odata.nextLink"].(string)
		if !strings.HasPrefix(link, s.URL()+"/v1.0/groups?$select=displayName&$top=7&$skiptoken=RFNwd") {
			t.Errorf("link %s", link)
		}
		for path, want := range map[string]int{
			"/v1.0/groups?$top=1000": 400, "/v1.0/groups?$top=0": 400, "/v1.0/groups?$top=x": 400, "/v1.0/groups?$skip=3": 400, "/v1.0/groups?$skiptoken=x": 400,
			"/v1.0/groups?$select=nonsense": 400, "/v1.0/groups?$what=1": 400, "/v1.0/groups?what=1": 200, "/v1.0/groups?$top=1&$top=2": 400,
			"/v1.0/groups?$filter=displayName%20ne%20'x'": 400, "/v1.0/groups?$orderby=createdDateTime": 400, "/v1.0/groups?$filter=displayName": 400,
		} {
			if a := s.Get(tok, path); a.Status != want {
				t.Errorf("%s: %d, want %d", path, a.Status, want)
			}
		}
		a := s.OK(tok, "/v1.0/groups?$filter=displayName%20ne%20'x'&$count=true&$top=2", "ConsistencyLevel", "eventual")
		if a["@odata.count"] != 120.0 {
			t.Errorf("count %v", a["@odata.count"])
		}
	})
	t.Run("settings of a policy come in pages of 25", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/configurationPolicies")
		longest := slices.MaxFunc(list, func(a, b map[string]any) int { return int(a["settingCount"].(float64) - b["settingCount"].(float64)) })
		path := "/beta/deviceManagement/configurationPolicies('" + longest["id"].(string) + "')"
		first := s.OK(tok, path+"/settings")
		all, _ := s.All(tok, path+"/settings")
		if len(simtest.Values(first)) != 25 || float64(len(all)) != longest["settingCount"] {
			t.Errorf("%d on the first page, %d of %v in all", len(simtest.Values(first)), len(all), longest["settingCount"])
		}
		one := s.OK(tok, path+"?$expand=assignments,settings")
		if len(one["settings"].([]any)) != len(all) || one["assignments"] == nil {
			t.Error("the expanded item lacks settings or assignments")
		}
		if plain := s.OK(tok, path); plain["settings"] != nil || plain["assignments"] != nil {
			t.Error("the plain item shows navigation properties")
		}
	})
	t.Run("scripts show their text on a single read only", func(t *testing.T) {
		list, _ := s.All(tok, "/beta/deviceManagement/deviceManagementScripts")
		if list[0]["scriptContent"] != nil || s.OK(tok, "/beta/deviceManagement/deviceManagementScripts/"+list[0]["id"].(string))["scriptContent"] == nil {
			t.Error("content in the list, or not in the item")
		}
	})
	t.Run("union of app policies", func(t *testing.T) {
		list, _ := s.All(tok, "/v1.0/deviceAppManagement/managedAppPolicies")
		for _, it := range list {
			prefix := it["id"].(string)[:2]
			if it["@odata.type"] == nil || prefix != "T_" && prefix != "A_" {
				t.Errorf("%v %v", it["@odata.type"], it["id"])
			}
		}
		ios, _ := s.All(tok, "/v1.0/deviceAppManagement/iosManagedAppProtections")
		if len(ios) == 0 || ios[0]["@odata.type"] != nil {
			t.Errorf("a list of one type shows it: %v", ios)
		}
	})
	t.Run("options", func(t *testing.T) {
		for path, want := range map[string]int{
			"/beta/deviceManagement/configurationPolicies?$expand=nonsense":                                                400,
			"/beta/deviceManagement/configurationPolicies?$expand=settings(":                                               400,
			"/beta/deviceManagement/nonsense":                                                                              400,
			"/beta/nonsense":                                                                                               400,
			"/beta/deviceManagement/configurationPolicies/x/nonsense":                                                      400,
			"/beta/deviceManagement/configurationPolicies/x":                                                               404,
			"/beta/deviceManagement/configurationPolicies/x/settings":                                                      404,
			"/beta/identity/conditionalAccess/policies/x":                                                                  404,
			"/beta/deviceAppManagement/managedAppPolicies?$expand=assignments":                                             400,
			"/beta/deviceManagement/configurationPolicies?$skiptoken=x":                                                    400,
			"/beta/deviceAppManagement/mobileApps?$filter=isof('microsoft.graph.win32LobApp')&$orderby=displayName%20desc": 200,
			"/beta/deviceManagement":                                                                                       200,
			"/v1.0/subscribedSkus":                                                                                         200,
			"/v1.0/servicePrincipals":                                                                                      200,
			"/v1.0/servicePrincipals(appId='" + simtest.AppID + "')":                                                       200,
			"/v1.0/organization/" + simtest.TenantID:                                                                       200,
			"/v1.0/organization/8f4bd7e4-0000-4000-8000-00000000":                                                          404,
			"/v1.0/groups/x/owners":                                                                                        404,
		} {
			if a := s.Get(tok, path); a.Status != want {
				t.Errorf("%s: %d, want %d: %s", path, a.Status, want, a.Body)
			}
		}
	})
	t.Run("role assignments of the app", func(t *testing.T) {
		me := s.OK(tok, "/v1.0/servicePrincipals(appId='"+simtest.AppID+"')")
		list, _ := s.All(tok, "/v1.0/servicePrincipals/"+me["id"].(string)+"/appRoleAssignments")
		if len(list) != len(simtest.ReadRoles) {
			t.Errorf("%d assignments, want %d", len(list), len(simtest.ReadRoles))
		}
	})
}

func TestMembers(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	groups, _ := s.All(tok, "/v1.0/groups")
	kinds := map[any]int{}
	for _, g := range groups[:60] {
		path := "/v1.0/groups/" + g["id"].(string)
		list, _ := s.All(tok, path+"/members?$top=999")
		ids := map[any]bool{}
		for _, m := range list {
			kinds[m["@odata.type"]]++
			if ids[m["id"]] {
				t.Fatalf("member %v of %v comes twice", m["id"], g["displayName"])
			}
			ids[m["id"]] = true
		}
		devices, _ := s.All(tok, path+"/members/microsoft.graph.device")
		users, _ := s.All(tok, path+"/transitiveMembers/microsoft.graph.user")
		if len(devices)+len(users) != len(list) {
			t.Errorf("%d devices and %d users of %d members", len(devices), len(users), len(list))
		}
	}
	if kinds["#microsoft.graph.user"] == 0 || kinds["#microsoft.graph.device"] == 0 {
		t.Errorf("kinds of members: %v", kinds)
	}
	one := s.OK(tok, "/v1.0/groups('"+groups[41]["id"].(string)+"')?$expand=members")
	if n := len(one["members"].([]any)); n != 20 {
		t.Errorf("%d expanded members, want 20", n)
	}
	if _, err := s.API.ChangeGroups(t.Context(), simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupDelete, ID: groups[0]["id"].(string)}); err != nil {
		t.Fatal(err)
	}
	if a := s.Get(tok, "/v1.0/groups/"+groups[0]["id"].(string)); a.Status != http.StatusNotFound {
		t.Errorf("a deleted group: %d", a.Status)
	}
}
