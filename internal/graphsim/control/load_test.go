package control_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

const groupOfElsewhere = "6c1d77a5-66b3-4f0e-9f4e-0d2f6a7c1d03"

func document(collection, body string) graphsim.Document {
	return graphsim.Document{Collection: collection, Body: json.RawMessage(body)}
}

// TestLoadByControl puts policies into a running tenant, and takes them out with a reset.
func TestLoadByControl(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	ctx, tok := t.Context(), s.Token()
	const policies = "/beta/deviceManagement/configurationPolicies"
	before, _ := s.All(tok, policies)
	configurations, _ := s.All(tok, "/beta/deviceManagement/deviceConfigurations")
	sum, err := s.API.Load(ctx, simtest.TenantID, graphsim.Data{Documents: []graphsim.Document{
		document("deviceManagement/configurationPolicies", `{"id":"0f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11","name":"Loaded","platforms":"windows10","settings":[{"id":"0"}],
			"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"`+groupOfElsewhere+`"}}]}`),
		document("deviceManagement/roleScopeTags", `{"id":"7","displayName":"Berlin"}`),
		document("deviceManagement/nothing", `{}`),
		document("deviceManagement/intents", `[]`),
	}})
	if err != nil || sum.Policies != 2 || sum.Groups != 1 || len(sum.LeftOut) != 2 || sum.LeftOut[0].File != "documents[2]" {
		t.Fatalf("%v %+v", err, sum)
	}
	after, _ := s.All(tok, policies+"?$expand=assignments,settings")
	if len(after) != 1 || after[0]["name"] != "Loaded" || len(after[0]["settings"].([]any)) != 1 || len(after[0]["assignments"].([]any)) != 1 {
		t.Errorf("%v", after)
	}
	s.OK(tok, "/v1.0/groups/"+groupOfElsewhere)
	if tags, _ := s.All(tok, "/beta/deviceManagement/roleScopeTags"); len(tags) != 2 || tags[0]["id"] != "0" || tags[1]["id"] != "7" {
		t.Errorf("tags %v", tags)
	}
	if others, _ := s.All(tok, "/beta/deviceManagement/deviceConfigurations"); len(others) != len(configurations) {
		t.Errorf("%d device configurations, %d before", len(others), len(configurations))
	}
	if a := s.Send(tok, http.MethodPatch, policies+"/"+after[0]["id"].(string), `{"name":"Changed"}`); a.Status != http.StatusNoContent {
		t.Errorf("PATCH of a loaded policy: %d %s", a.Status, a.Body)
	}
	if err := s.API.ResetTenant(ctx, simtest.TenantID); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.All(tok, policies); len(again) != len(before) {
		t.Errorf("%d policies after the reset, %d before the load", len(again), len(before))
	}
	if _, err := s.API.Load(ctx, simtest.TenantID, graphsim.Data{Documents: []graphsim.Document{document("deviceManagement/nothing", `{}`)}}); err == nil || !strings.Contains(err.Error(), "no document") {
		t.Errorf("nothing to load: %v", err)
	}
	if _, err := s.API.LoadZip(ctx, simtest.TenantID, strings.NewReader("PK")); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("a zip file without a reader: %v", err)
	}
}

func TestZipFilesAreLoaded(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{Unpack: func(file []byte) (*graphsim.Data, error) {
		if string(file) != "PK" {
			return nil, errors.New("no zip file")
		}
		return &graphsim.Data{Documents: []graphsim.Document{document("deviceManagement/assignmentFilters", `{"displayName":"Loaded","rule":"r"}`)}}, nil
	}})
	if sum, err := s.API.LoadZip(t.Context(), simtest.TenantID, strings.NewReader("PK")); err != nil || sum.Policies != 1 {
		t.Errorf("%v %+v", err, sum)
	}
	if n := len(named(s, s.Token(), "Loaded")); n != 1 {
		t.Errorf("%d filters", n)
	}
	if _, err := s.API.LoadZip(t.Context(), simtest.TenantID, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "no zip file") {
		t.Errorf("%v", err)
	}
	large := strings.NewReader(strings.Repeat("x", 64<<20+1))
	if _, err := s.API.LoadZip(t.Context(), simtest.TenantID, large); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("%v", err)
	}
}

func TestPatchItemByControl(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	ctx, tok := t.Context(), s.Token()
	const path = "deviceManagement/deviceConfigurations"
	was := simtest.Values(s.OK(tok, "/beta/"+path+"?$top=1"))[0]
	id := was["id"].(string)
	if err := s.API.PatchItem(ctx, simtest.TenantID, path, id, json.RawMessage(`{"displayName":"By hand","assignments":[]}`)); err != nil {
		t.Fatal(err)
	}
	is := s.OK(tok, "/beta/"+path+"/"+id+"?$expand=assignments")
	if is["displayName"] != "By hand" || is["version"] != was["version"].(float64)+1 || is["lastModifiedDateTime"] == was["lastModifiedDateTime"] || len(is["assignments"].([]any)) != 0 {
		t.Errorf("%v, before %v", is, was)
	}
	if s.Written(path) != (graphsim.Writes{}) {
		t.Errorf("counted as a write through Graph: %+v", s.Written(path))
	}
	for name, tc := range map[string]struct{ path, id, change, want string }{
		"no item":       {path, "nobody", `{}`, "nobody"},
		"no collection": {"deviceManagement/nothing", id, `{}`, "deviceManagement/nothing"},
		"a bad part":    {path, id, `{"assignments":5}`, "assignments"},
	} {
		if err := s.API.PatchItem(ctx, simtest.TenantID, tc.path, tc.id, json.RawMessage(tc.change)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThrottleByControl(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	s := simtest.Start(t, graphsim.Config{Now: func() time.Time { return now }}, simtest.Writer())
	ctx, tok := t.Context(), s.Token()
	create := func() simtest.Answer { return s.Send(tok, http.MethodPost, filters, oneFilter) }
	if a := create(); a.Status != http.StatusCreated {
		t.Fatalf("without limits: %d", a.Status)
	}
	if err := s.API.SetThrottle(ctx, 0.01); err != nil {
		t.Fatal(err)
	}
	if a := create(); a.Status != http.StatusCreated {
		t.Errorf("the first write: %d", a.Status)
	}
	if a := create(); a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
		t.Errorf("the second write: %d", a.Status)
	}
	st, err := s.API.Throttle(ctx)
	if err != nil || st.Scale != 0.01 || len(st.Usage) != 4 {
		t.Fatalf("%v %+v", err, st)
	}
	for _, u := range st.Usage {
		if u.Writes && u.App != "" && (u.Used != 1 || u.Allowed != 1) {
			t.Errorf("%+v", u)
		}
	}
	if err := s.API.SetThrottle(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if a := create(); a.Status != http.StatusCreated {
		t.Errorf("without limits again: %d", a.Status)
	}
	if err := s.API.SetThrottle(ctx, -1); err == nil || !strings.Contains(err.Error(), "scale") {
		t.Errorf("a negative scale: %v", err)
	}
	if a, err := s.Do(s.Request(http.MethodPut, "/_sim/throttle", strings.NewReader(`{}`), "Authorization", "Bearer "+s.ControlToken())); err != nil || a.Status != http.StatusUnprocessableEntity {
		t.Errorf("no scale: %v, %d", err, a.Status)
	}
}
