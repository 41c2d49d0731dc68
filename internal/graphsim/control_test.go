package graphsim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

func TestControlNeedsItsToken(t *testing.T) {
	s := start(t, graphsim.Config{ControlToken: "right"})
	for name, tc := range map[string]struct {
		header []string
		path   string
		want   int
	}{
		"none":          {nil, "/_sim/tenants", 401},
		"wrong":         {[]string{"Authorization", "Bearer wrong"}, "/_sim/tenants", 401},
		"a Graph token": {[]string{"Authorization", "Bearer " + s.token()}, "/_sim/tenants", 401},
		"right":         {[]string{"Authorization", "Bearer right"}, "/_sim/tenants", 200},
		"no such path":  {[]string{"Authorization", "Bearer right"}, "/_sim/nothing", 404},
		"no such one":   {[]string{"Authorization", "Bearer right"}, "/_sim/tenants/nobody", 404},
		"bad number":    {[]string{"Authorization", "Bearer right"}, "/_sim/calls?since=x", 422},
	} {
		if a := s.get("", tc.path, tc.header...); a.status != tc.want {
			t.Errorf("%s: %d, want %d", name, a.status, tc.want)
		}
	}
	for name, body := range map[string]string{"unknown field": `{"what": 1}`, "no JSON": `{`} {
		req := s.request(http.MethodPost, "/_sim/faults", strings.NewReader(body), "Authorization", "Bearer right")
		if a, err := s.do(req); err != nil || a.status != http.StatusBadRequest {
			t.Errorf("%s: %v %d", name, err, a.status)
		}
	}
}

func TestTenantsByControl(t *testing.T) {
	s := start(t, graphsim.Config{})
	ctx := t.Context()
	second := spec()
	second.ID, second.Domain, second.DisplayName = "11111111-aaaa-4bbb-8ccc-000000000009", "fabrikam.example", "Fabrikam"
	if err := s.control.PutTenant(ctx, second); err != nil {
		t.Fatal(err)
	}
	clash := second
	clash.ID = "11111111-aaaa-4bbb-8ccc-00000000000a"
	if err := s.control.PutTenant(ctx, clash); err == nil || !strings.Contains(err.Error(), "fabrikam.example") {
		t.Errorf("two tenants with one domain: %v", err)
	}
	list, err := s.control.Tenants(ctx)
	if err != nil || len(list) != 2 || list[1].DisplayName != "Fabrikam" || list[1].Groups != -1 {
		t.Errorf("%v %+v", err, list)
	}
	no, name := false, "Fabrikam Inc."
	if err := s.control.PatchTenant(ctx, second.Domain, graphsim.TenantPatch{Intune: &no, DisplayName: &name}); err != nil {
		t.Fatal(err)
	}
	one, err := s.control.Tenant(ctx, second.ID)
	if err != nil || one.Intune || one.DisplayName != name || one.Groups != 120 || len(one.Apps) != 1 || !one.Apps[0].Consented || one.Apps[0].Secrets != 1 {
		t.Errorf("%v %+v", err, one)
	}
	text, err := json.Marshal(one)
	if err != nil || strings.Contains(string(text), secret) {
		t.Errorf("%v: the state shows a secret: %s", err, text)
	}
	if err := s.control.ResetTenant(ctx, second.ID); err != nil {
		t.Fatal(err)
	}
	if one, err = s.control.Tenant(ctx, second.ID); err != nil || !one.Intune || one.DisplayName != "Fabrikam" {
		t.Errorf("%v, after the reset: %+v", err, one)
	}
	extra := graphsim.AppSpec{AppID: "22222222-aaaa-4bbb-8ccc-000000000005", Name: "Other", Consented: true, Requested: readRoles, Roles: []string{}, Secrets: []graphsim.Secret{{Value: "x", Expires: time.Now().Add(time.Hour)}}}
	if err := s.control.PutApp(ctx, tenantID, extra); err != nil {
		t.Fatal(err)
	}
	a := s.post("/"+tenantID+"/oauth2/v2.0/token", credentials("client_id", extra.AppID, "client_secret", "x"))
	if a.status != http.StatusOK || claimsOf(t, a.json(t)["access_token"].(string))["roles"] != nil {
		t.Errorf("token of the new app, which was granted nothing: %d %s", a.status, a.body)
	}
	if list := values(s.ok(s.token(), "/v1.0/servicePrincipals?$filter=appId%20eq%20'"+extra.AppID+"'")); len(list) != 1 {
		t.Errorf("the new app has %d service principals", len(list))
	}
	if err := s.control.PatchApp(ctx, tenantID, "nobody", graphsim.AppPatch{}); err == nil {
		t.Error("an unknown app can be changed")
	}
}

func TestItemsByControl(t *testing.T) {
	s := start(t, graphsim.Config{})
	ctx, tok := t.Context(), s.token()
	const path = "deviceManagement/configurationPolicies"
	id, err := s.control.PutItem(ctx, tenantID, path, json.RawMessage(`{"name": "Mine", "settingCount": 1, "settings": [{"id": "0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if one := s.ok(tok, "/beta/"+path+"/"+id+"?$expand=settings"); one["name"] != "Mine" || len(one["settings"].([]any)) != 1 {
		t.Errorf("%v", one)
	}
	if _, err := s.control.PutItem(ctx, tenantID, path, json.RawMessage(`{"id": "`+id+`", "name": "Changed"}`)); err != nil {
		t.Fatal(err)
	}
	if one := s.ok(tok, "/beta/"+path+"/"+id); one["name"] != "Changed" {
		t.Errorf("%v", one)
	}
	if err := s.control.DeleteItem(ctx, tenantID, path, id); err != nil {
		t.Fatal(err)
	}
	if a := s.get(tok, "/beta/"+path+"/"+id); a.status != http.StatusNotFound {
		t.Errorf("a deleted item: %d", a.status)
	}
	if err := s.control.DeleteItem(ctx, tenantID, path, id); err == nil {
		t.Error("an item can be deleted twice")
	}
	if _, err := s.control.PutItem(ctx, tenantID, "deviceAppManagement/managedAppPolicies", json.RawMessage(`{}`)); err == nil {
		t.Error("an item can be put into a union")
	}
	if _, err := s.control.PutItem(ctx, tenantID, path, json.RawMessage(`{"settings": {}}`)); err == nil {
		t.Error("settings that are no list pass")
	}
	for name, bad := range map[string]graphsim.GroupChange{
		"there is no group": {Op: graphsim.GroupUpdate, ID: "x"}, "displayName": {Op: graphsim.GroupAdd}, "GUID": {Op: graphsim.GroupAdd, ID: "x", DisplayName: "x"},
	} {
		if _, err := s.control.ChangeGroups(ctx, tenantID, bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	some, _ := s.all(tok, "/v1.0/groups?$top=5")
	if _, err := s.control.ChangeGroups(ctx, tenantID, graphsim.GroupChange{Op: "explode", ID: some[0]["id"].(string)}); err == nil {
		t.Error("an unknown change passes")
	}
	if _, err := s.control.ChangeGroups(ctx, tenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, ID: some[0]["id"].(string), DisplayName: "x"}); err == nil {
		t.Error("a group can be added twice")
	}
}

// TestConcurrentUse reads, changes, faults and resets at once; the race detector judges.
func TestConcurrentUse(t *testing.T) {
	s := start(t, graphsim.Config{Throttle: 1000})
	ctx, tok := t.Context(), s.token()
	var wg sync.WaitGroup
	work := func(f func(i int) error) {
		wg.Go(func() {
			for i := range 15 {
				if err := f(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, path := range []string{"/v1.0/groups", deltaPath, "/beta/deviceManagement/configurationPolicies?$expand=assignments", "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceAppManagement/managedAppPolicies"} {
		work(func(int) error {
			a, err := s.do(s.request(http.MethodGet, path, nil, "Authorization", "Bearer "+tok))
			if err == nil && a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
				return fmt.Errorf("%s: %d %s", path, a.status, a.body)
			}
			return err
		})
	}
	work(func(i int) error {
		_, err := s.control.ChangeGroups(ctx, tenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: fmt.Sprint("Group ", i), Count: 2})
		return err
	})
	work(func(i int) error {
		_, err := s.control.PutItem(ctx, tenantID, "deviceManagement/configurationPolicies", json.RawMessage(fmt.Sprintf(`{"name": "P%d"}`, i)))
		return err
	})
	work(func(int) error { return s.control.SetRoles(ctx, tenantID, appID, readRoles...) })
	work(func(int) error {
		id, err := s.control.AddFault(ctx, graphsim.Fault{Path: "/v1.0/groups", Times: 1, Action: graphsim.Action{Kind: graphsim.ActError, Status: 503}})
		if err != nil {
			return err
		}
		return s.control.ClearFaults(ctx, id)
	})
	work(func(int) error { _, err := s.control.Calls(ctx, 0, ""); return err })
	work(func(i int) error {
		if i%5 == 4 {
			return s.control.ResetTenant(ctx, tenantID)
		}
		_, err := s.control.Tenants(ctx)
		return err
	})
	work(func(int) error {
		if a := s.tokenAnswer(); a.status != http.StatusOK {
			return fmt.Errorf("token: %d %s", a.status, a.body)
		}
		return nil
	})
	wg.Wait()
}
