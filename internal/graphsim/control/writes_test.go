package control_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

const (
	filtersPath = "deviceManagement/assignmentFilters"
	filters     = "/beta/" + filtersPath
	oneFilter   = `{"displayName":"A","platform":"iOS","rule":"r"}`
)

// named returns the filters with a name, as a list shows them.
func named(s *simtest.Sim, token, name string) (found []map[string]any) {
	s.T.Helper()
	all, _ := s.All(token, filters)
	for _, f := range all {
		if f["displayName"] == name {
			found = append(found, f)
		}
	}
	return found
}

func TestWritesUnderFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		action  graphsim.Action
		status  int // of the response; 0: none
		created int
	}{
		"the answer is lost":        {graphsim.Action{Kind: graphsim.ActDrop}, 0, 1},
		"a timeout after the write": {graphsim.Action{Kind: graphsim.ActErrorAfter}, http.StatusGatewayTimeout, 1},
		"an error after the write":  {graphsim.Action{Kind: graphsim.ActErrorAfter, Status: 502}, http.StatusBadGateway, 1},
		"an error before the write": {graphsim.Action{Kind: graphsim.ActError, Status: 504}, http.StatusGatewayTimeout, 0},
		"a write without effect":    {graphsim.Action{Kind: graphsim.ActDiscard}, http.StatusCreated, 0},
		"a page of a gateway":       {graphsim.Action{Kind: graphsim.ActPage}, http.StatusForbidden, 0},
		"throttled":                 {graphsim.Action{Kind: graphsim.ActThrottle}, http.StatusTooManyRequests, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
			tok := s.Token()
			fault(s, graphsim.Fault{Method: "POST", Path: filters, Times: 1, Action: tc.action})
			a, err := s.Do(s.Request(http.MethodPost, filters, strings.NewReader(oneFilter), "Authorization", "Bearer "+tok))
			if a.Status != tc.status || (err == nil) != (tc.status != 0) {
				t.Errorf("%v, status %d, want %d", err, a.Status, tc.status)
			}
			if n := len(named(s, tok, "A")); n != tc.created || s.Written(filtersPath).Created != tc.created {
				t.Errorf("%d filters, counted %+v, want %d", n, s.Written(filtersPath), tc.created)
			}
		})
	}
}

// TestDiscardedWrites shows that no kind of write has an effect, although each says so.
func TestDiscardedWrites(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	tok := s.Token()
	id, _ := s.Send(tok, http.MethodPost, filters, oneFilter).JSON(t)["id"].(string)
	const policies = "/beta/deviceManagement/configurationPolicies"
	policy := simtest.Values(s.OK(tok, policies+"?$top=1"))[0]["id"].(string)
	before := s.OK(tok, policies+"/"+policy+"?$expand=assignments,settings")
	const access = "/v1.0/identity/conditionalAccess/policies"
	condition := simtest.Values(s.OK(tok, access))[0]["id"].(string)
	fault(s, graphsim.Fault{Path: "*", Action: graphsim.Action{Kind: graphsim.ActDiscard}})
	written := s.Written(filtersPath)
	if a := s.Send(tok, http.MethodPatch, filters+"/"+id, `{"displayName":"B"}`); a.Status != http.StatusOK || a.JSON(t)["displayName"] != "B" {
		t.Errorf("PATCH: %d %s", a.Status, a.Body)
	}
	if a := s.Send(tok, http.MethodDelete, filters+"/"+id, ""); a.Status != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", a.Status, a.Body)
	}
	if a := s.Send(tok, http.MethodDelete, access+"/"+condition, ""); a.Status != http.StatusNoContent {
		t.Errorf("DELETE of a policy with a bin: %d %s", a.Status, a.Body)
	}
	if a := s.Send(tok, http.MethodPost, policies+"/"+policy+"/assign", `{"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`); a.Status != http.StatusOK {
		t.Errorf("assign: %d %s", a.Status, a.Body)
	}
	if a := s.Send(tok, http.MethodPut, policies+"/"+policy, `{"name":"B","roleScopeTagIds":["0"]}`); a.Status != http.StatusNoContent {
		t.Errorf("PUT: %d %s", a.Status, a.Body)
	}
	if got := s.OK(tok, filters+"/"+id); got["displayName"] != "A" || s.Written(filtersPath) != written {
		t.Errorf("%v, %+v", got, s.Written(filtersPath))
	}
	after := s.OK(tok, policies+"/"+policy+"?$expand=assignments,settings")
	if after["name"] != before["name"] || len(after["settings"].([]any)) != len(before["settings"].([]any)) || after["lastModifiedDateTime"] != before["lastModifiedDateTime"] {
		t.Errorf("%v, before %v", after, before)
	}
	s.OK(tok, access+"/"+condition)
	if gone := simtest.Values(s.OK(tok, "/beta/identity/conditionalAccess/deletedItems/policies")); len(gone) != 0 {
		t.Errorf("deleted items: %v", gone)
	}
}

func TestAcceptedWritesTakeEffectLater(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	tok, ctx := s.Token(), t.Context()
	id := fault(s, graphsim.Fault{Method: "POST", Path: filters, Action: graphsim.Action{Kind: graphsim.ActAccepted}})
	if a := s.Send(tok, http.MethodPost, filters, oneFilter); a.Status != http.StatusAccepted || len(a.Body) != 0 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if n := len(named(s, tok, "A")); n != 0 {
		t.Errorf("%d filters before the release", n)
	}
	holds, err := s.API.Holds(ctx)
	if err != nil || len(holds) != 1 || holds[0].Fault != id || holds[0].Path != filters {
		t.Fatalf("%v %+v", err, holds)
	}
	if n, err := s.API.Release(ctx, id); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if n := len(named(s, tok, "A")); n != 1 {
		t.Errorf("%d filters after the release", n)
	}
	clearFaults(s)
	fault(s, graphsim.Fault{Method: "POST", Path: filters, Action: graphsim.Action{Kind: graphsim.ActAccepted, DelayMS: 1}})
	if a := s.Send(tok, http.MethodPost, filters, oneFilter); a.Status != http.StatusAccepted {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	waitFor(t, func() int { return len(named(s, tok, "A")) }, func(n int) bool { return n == 2 })
}

// TestPartsOfABatchRunSideBySide holds the parts of a batch: each is on its way, except the one that
// depends on another.
func TestPartsOfABatchRunSideBySide(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok, ctx := s.Token(), t.Context()
	id := fault(s, graphsim.Fault{Path: "/v1.0/groups", Action: graphsim.Action{Kind: graphsim.ActHold}})
	r := s.Request(http.MethodPost, "/v1.0/$batch", strings.NewReader(`{"requests": [
		{"id": "1", "method": "GET", "url": "/groups?$top=1"}, {"id": "2", "method": "GET", "url": "/groups?$top=2"}, {"id": "3", "method": "GET", "url": "/groups?$top=3"},
		{"id": "4", "method": "GET", "url": "/groups?$top=4", "dependsOn": ["1", "2"]}]}`), "Authorization", "Bearer "+tok)
	answers := make(chan simtest.Answer, 1)
	go func() {
		a, err := s.Do(r)
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}()
	held := func(n int) {
		t.Helper()
		waitFor(t, func() int {
			h, err := s.API.Holds(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return len(h)
		}, func(have int) bool { return have == n })
	}
	called := func() int {
		calls, err := s.API.Calls(ctx, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range calls {
			if c.Path == "/v1.0/groups" {
				n++
			}
		}
		return n
	}
	held(3)
	if n := called(); n != 3 {
		t.Errorf("%d parts were called before those that they depend on", n)
	}
	release := func(want int) {
		t.Helper()
		if n, err := s.API.Release(ctx, id); n != want || err != nil {
			t.Fatalf("released %d, want %d, %v", n, want, err)
		}
	}
	release(3)
	held(1)
	release(1)
	a := <-answers
	if list, _ := a.JSON(t)["responses"].([]any); a.Status != http.StatusOK || len(list) != 4 || called() != 4 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestBatchesCountByTheirParts shows that a batch itself uses nothing of a limit.
func TestBatchesCountByTheirParts(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	s := simtest.Start(t, graphsim.Config{Throttle: 1, Now: func() time.Time { return now }})
	tok := s.Token()
	s.Send(tok, http.MethodPost, "/v1.0/$batch", `{"requests": [{"id": "1", "method": "GET", "url": "/deviceManagement/managedDevices"}, {"id": "2", "method": "GET", "url": "/deviceManagement/managedDevices"}]}`)
	st, err := s.API.Throttle(t.Context())
	if err != nil || st.Scale != 1 || len(st.Usage) != 2 {
		t.Fatalf("%v %+v", err, st)
	}
	for _, u := range st.Usage {
		if u.Limit != "Intune" || u.Used != 2 || u.Writes || u.Tenant != simtest.TenantID || u.LeftMS <= 0 || u.LeftMS > u.WindowMS {
			t.Errorf("%+v", u)
		}
	}
}
