package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestControlNeedsItsToken(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{ControlToken: "right"})
	for name, tc := range map[string]struct {
		header []string
		path   string
		want   int
	}{
		"none":          {nil, "/_sim/tenants", 401},
		"wrong":         {[]string{"Authorization", "Bearer wrong"}, "/_sim/tenants", 401},
		"a Graph token": {[]string{"Authorization", "Bearer " + s.Token()}, "/_sim/tenants", 401},
		"right":         {[]string{"Authorization", "Bearer right"}, "/_sim/tenants", 200},
		"no such path":  {[]string{"Authorization", "Bearer right"}, "/_sim/nothing", 404},
		"no such one":   {[]string{"Authorization", "Bearer right"}, "/_sim/tenants/nobody", 404},
		"bad number":    {[]string{"Authorization", "Bearer right"}, "/_sim/calls?since=x", 422},
	} {
		if a := s.Get("", tc.path, tc.header...); a.Status != tc.want {
			t.Errorf("%s: %d, want %d", name, a.Status, tc.want)
		}
	}
	for name, body := range map[string]string{"unknown field": `{"what": 1}`, "no JSON": `{`} {
		req := s.Request(http.MethodPost, "/_sim/faults", strings.NewReader(body), "Authorization", "Bearer right")
		if a, err := s.Do(req); err != nil || a.Status != http.StatusBadRequest {
			t.Errorf("%s: %v %d", name, err, a.Status)
		}
	}
}

func TestTenantsByControl(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	ctx := t.Context()
	second := simtest.Spec()
	second.ID, second.Domain, second.DisplayName = "11111111-aaaa-4bbb-8ccc-000000000009", "fabrikam.example", "Fabrikam"
	if err := s.API.PutTenant(ctx, second); err != nil {
		t.Fatal(err)
	}
	clash := second
	clash.ID = "11111111-aaaa-4bbb-8ccc-00000000000a"
	if err := s.API.PutTenant(ctx, clash); err == nil || !strings.Contains(err.Error(), "fabrikam.example") {
		t.Errorf("two tenants with one domain: %v", err)
	}
	list, err := s.API.Tenants(ctx)
	if err != nil || len(list) != 2 || list[1].DisplayName != "Fabrikam" || list[1].Groups != -1 {
		t.Errorf("%v %+v", err, list)
	}
	no, name := false, "Fabrikam Inc."
	if err := s.API.PatchTenant(ctx, second.Domain, graphsim.TenantPatch{Intune: &no, DisplayName: &name}); err != nil {
		t.Fatal(err)
	}
	one, err := s.API.Tenant(ctx, second.ID)
	if err != nil || one.Intune || one.DisplayName != name || one.Groups != 120 || len(one.Apps) != 1 || !one.Apps[0].Consented || one.Apps[0].Secrets != 1 {
		t.Errorf("%v %+v", err, one)
	}
	text, err := json.Marshal(one)
	if err != nil || strings.Contains(string(text), simtest.Secret) {
		t.Errorf("%v: the state shows a secret: %s", err, text)
	}
	if err := s.API.ResetTenant(ctx, second.ID); err != nil {
		t.Fatal(err)
	}
	if one, err = s.API.Tenant(ctx, second.ID); err != nil || !one.Intune || one.DisplayName != "Fabrikam" {
		t.Errorf("%v, after the reset: %+v", err, one)
	}
	extra := graphsim.AppSpec{AppID: "22222222-aaaa-4bbb-8ccc-000000000005", Name: "Other", Consented: true, Requested: simtest.ReadRoles, Roles: []string{}, Secrets: []graphsim.Secret{{Value: "x", Expires: time.Now().Add(time.Hour)}}}
	if err := s.API.PutApp(ctx, simtest.TenantID, extra); err != nil {
		t.Fatal(err)
	}
	a := s.Post("/"+simtest.TenantID+"/oauth2/v2.0/token", simtest.Credentials("client_id", extra.AppID, "client_secret", "x"))
	if a.Status != http.StatusOK || simtest.ClaimsOf(t, a.JSON(t)["access_token"].(string))["roles"] != nil {
		t.Errorf("token of the new app, which was granted nothing: %d %s", a.Status, a.Body)
	}
	if list := simtest.Values(s.OK(s.Token(), "/v1.0/servicePrincipals?$filter=appId%20eq%20'"+extra.AppID+"'")); len(list) != 1 {
		t.Errorf("the new app has %d service principals", len(list))
	}
	if err := s.API.PatchApp(ctx, simtest.TenantID, "nobody", graphsim.AppPatch{}); err == nil {
		t.Error("an unknown app can be changed")
	}
}

func TestItemsByControl(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	ctx, tok := t.Context(), s.Token()
	const path = "deviceManagement/configurationPolicies"
	id, err := s.API.PutItem(ctx, simtest.TenantID, path, json.RawMessage(`{"name": "Mine", "settingCount": 1, "settings": [{"id": "0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if one := s.OK(tok, "/beta/"+path+"/"+id+"?$expand=settings"); one["name"] != "Mine" || len(one["settings"].([]any)) != 1 {
		t.Errorf("%v", one)
	}
	if _, err := s.API.PutItem(ctx, simtest.TenantID, path, json.RawMessage(`{"id": "`+id+`", "name": "Changed"}`)); err != nil {
		t.Fatal(err)
	}
	if one := s.OK(tok, "/beta/"+path+"/"+id); one["name"] != "Changed" {
		t.Errorf("%v", one)
	}
	if err := s.API.DeleteItem(ctx, simtest.TenantID, path, id); err != nil {
		t.Fatal(err)
	}
	if a := s.Get(tok, "/beta/"+path+"/"+id); a.Status != http.StatusNotFound {
		t.Errorf("a deleted item: %d", a.Status)
	}
	if err := s.API.DeleteItem(ctx, simtest.TenantID, path, id); err == nil {
		t.Error("an item can be deleted twice")
	}
	if _, err := s.API.PutItem(ctx, simtest.TenantID, "deviceAppManagement/managedAppPolicies", json.RawMessage(`{}`)); err == nil {
		t.Error("an item can be put into a union")
	}
	if _, err := s.API.PutItem(ctx, simtest.TenantID, path, json.RawMessage(`{"settings": {}}`)); err == nil {
		t.Error("settings that are no list pass")
	}
	for name, bad := range map[string]graphsim.GroupChange{
		"there is no group": {Op: graphsim.GroupUpdate, ID: "x"}, "displayName": {Op: graphsim.GroupAdd}, "GUID": {Op: graphsim.GroupAdd, ID: "x", DisplayName: "x"},
	} {
		if _, err := s.API.ChangeGroups(ctx, simtest.TenantID, bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	some, _ := s.All(tok, "/v1.0/groups?$top=5")
	if _, err := s.API.ChangeGroups(ctx, simtest.TenantID, graphsim.GroupChange{Op: "explode", ID: some[0]["id"].(string)}); err == nil {
		t.Error("an unknown change passes")
	}
	if _, err := s.API.ChangeGroups(ctx, simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, ID: some[0]["id"].(string), DisplayName: "x"}); err == nil {
		t.Error("a group can be added twice")
	}
}

// TestConcurrentUse reads, writes, changes, loads, injects faults and resets at once, for the race
// detector.
func TestConcurrentUse(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{Throttle: 1000}, simtest.Writer())
	ctx, tok := t.Context(), s.Token()
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
	for _, path := range []string{"/v1.0/groups", simtest.DeltaPath, "/beta/deviceManagement/configurationPolicies?$expand=assignments", "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceAppManagement/managedAppPolicies"} {
		work(func(int) error {
			a, err := s.Do(s.Request(http.MethodGet, path, nil, "Authorization", "Bearer "+tok))
			if err == nil && a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
				return fmt.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
			return err
		})
	}
	work(func(i int) error {
		_, err := s.API.ChangeGroups(ctx, simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: fmt.Sprint("Group ", i), Count: 2})
		return err
	})
	work(func(i int) error {
		_, err := s.API.PutItem(ctx, simtest.TenantID, "deviceManagement/configurationPolicies", json.RawMessage(fmt.Sprintf(`{"name": "P%d"}`, i)))
		return err
	})
	send := func(method, path, body string, want ...int) (simtest.Answer, error) {
		a, err := s.Do(s.Request(method, path, strings.NewReader(body), "Authorization", "Bearer "+tok, "Content-Type", "application/json"))
		if err == nil && !slices.Contains(want, a.Status) {
			err = fmt.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
		}
		return a, err
	}
	work(func(int) error {
		a, err := send(http.MethodPost, filters, oneFilter, http.StatusCreated)
		if err != nil {
			return err
		}
		one := filters + "/" + a.JSON(t)["id"].(string)
		if _, err := send(http.MethodPatch, one, `{"displayName":"B"}`, http.StatusOK, http.StatusNotFound); err != nil { // 404: reset in between
			return err
		}
		_, err = send(http.MethodDelete, one, "", http.StatusNoContent, http.StatusNotFound)
		return err
	})
	work(func(int) error {
		_, err := send(http.MethodPost, "/beta/$batch", `{"requests":[
			{"id":"1","method":"POST","url":"/deviceManagement/assignmentFilters","headers":{"Content-Type":"application/json"},"body":`+oneFilter+`},
			{"id":"2","method":"GET","url":"/deviceManagement/assignmentFilters"},
			{"id":"3","method":"GET","url":"/deviceManagement/configurationPolicies?$expand=settings","dependsOn":["1"]}]}`, http.StatusOK)
		return err
	})
	work(func(i int) error {
		if i%5 == 0 {
			_, err := s.API.Load(ctx, simtest.TenantID, graphsim.Data{Documents: []graphsim.Document{document("deviceManagement/intents", `{"displayName":"Loaded"}`)}})
			return err
		}
		return s.API.SetThrottle(ctx, 1000+float64(i))
	})
	work(func(int) error { _, err := s.API.Throttle(ctx); return err })
	work(func(int) error { return s.API.SetRoles(ctx, simtest.TenantID, simtest.AppID, simtest.ReadRoles...) })
	work(func(int) error {
		id, err := s.API.AddFault(ctx, graphsim.Fault{Path: "/v1.0/groups", Times: 1, Action: graphsim.Action{Kind: graphsim.ActError, Status: 503}})
		if err != nil {
			return err
		}
		return s.API.ClearFaults(ctx, id)
	})
	work(func(int) error { _, err := s.API.Calls(ctx, 0, ""); return err })
	work(func(i int) error {
		if i%5 == 4 {
			return s.API.ResetTenant(ctx, simtest.TenantID)
		}
		_, err := s.API.Tenants(ctx)
		return err
	})
	work(func(int) error {
		if a := s.TokenAnswer(); a.Status != http.StatusOK {
			return fmt.Errorf("token: %d %s", a.Status, a.Body)
		}
		return nil
	})
	wg.Wait()
}
