package control_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// TestWritesShowLate writes to a tenant whose reads lag: 2 seconds by id, 5 in lists, 9 for
// assignments.
func TestWritesShowLate(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := simtest.Start(t, graphsim.Config{Now: func() time.Time { return start }}, simtest.Writer())
	tok, ctx := s.Token(), t.Context()
	lags := map[string]graphsim.Lag{"*": {ItemMS: 2000, ListMS: 5000}, "deviceManagement/configurationPolicies": {AssignmentsMS: 9000}}
	if err := s.API.PatchTenant(ctx, simtest.TenantID, graphsim.TenantPatch{Lags: &lags}); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) {
		t.Helper()
		if err := s.API.SetClock(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	id, _ := s.Send(tok, http.MethodPost, filters, oneFilter).JSON(t)["id"].(string)
	one := filters + "/" + id
	sees := func(when string, item string, list ...string) {
		t.Helper()
		a, name := s.Get(tok, one), ""
		if a.Status == http.StatusOK {
			name, _ = a.JSON(t)["displayName"].(string)
		}
		if name != item {
			t.Errorf("%s: a read of the item shows %q, want %q", when, name, item)
		}
		var names []string
		for _, n := range []string{"A", "B"} {
			for range named(s, tok, n) {
				names = append(names, n)
			}
		}
		if strings.Join(names, ",") != strings.Join(list, ",") {
			t.Errorf("%s: the list shows %v, want %v", when, names, list)
		}
	}
	sees("just created", "")
	at(2 * time.Second)
	sees("after 2 seconds", "A")
	if a := s.Send(tok, http.MethodPatch, one, `{"displayName":"B"}`); a.Status != http.StatusOK {
		t.Errorf("a change before lists show the filter: %d", a.Status)
	}
	sees("just changed", "A")
	at(4 * time.Second)
	sees("2 seconds after the change", "B")
	at(6 * time.Second)
	sees("6 seconds after the create", "B", "A")
	at(7 * time.Second)
	sees("5 seconds after the change", "B", "B")
	if a := s.Send(tok, http.MethodDelete, one, ""); a.Status != http.StatusNoContent {
		t.Errorf("DELETE: %d", a.Status)
	}
	sees("just deleted", "B", "B")
	if a := s.Send(tok, http.MethodDelete, one, ""); a.Status != http.StatusNotFound {
		t.Errorf("the same DELETE: %d, want 404: a write sees all writes", a.Status)
	}
	at(9 * time.Second)
	sees("2 seconds after the removal", "", "B")
	at(12 * time.Second)
	sees("5 seconds after the removal", "")

	const policies = "/beta/deviceManagement/configurationPolicies"
	policy := policies + "/" + simtest.Values(s.OK(tok, policies+"?$top=1"))[0]["id"].(string)
	assigned := func() string {
		t.Helper()
		text, err := json.Marshal(simtest.Values(s.OK(tok, policy+"/assignments")))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := assigned()
	if a := s.Send(tok, http.MethodPost, policy+"/assign", `{"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}},{"target":{"@odata.type":"#microsoft.graph.allLicensedUsersAssignmentTarget"}}]}`); a.Status != http.StatusOK {
		t.Fatalf("assign: %d %s", a.Status, a.Body)
	}
	at(21*time.Second - 1)
	if got := assigned(); got != before {
		t.Errorf("before 9 seconds are over: %s, want %s", got, before)
	}
	at(21 * time.Second)
	if got := assigned(); got == before || !strings.Contains(got, "allLicensedUsers") || !strings.Contains(got, "allDevices") {
		t.Errorf("after 9 seconds: %s", got)
	}
	for name, bad := range map[string]map[string]graphsim.Lag{
		"there is no collection": {"deviceManagement/nothing": {ItemMS: 1}}, "is negative": {"*": {ListMS: -1}},
	} {
		if err := s.API.PatchTenant(ctx, simtest.TenantID, graphsim.TenantPatch{Lags: &bad}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
