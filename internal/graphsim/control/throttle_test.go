package control_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestThrottling(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := simtest.Start(t, graphsim.Config{Throttle: 0.01, Now: func() time.Time { return now }})
	tok := s.Token()
	get := func(path string, n int) (last simtest.Answer) {
		for range n {
			last = s.Get(tok, path)
		}
		return last
	}
	if a := get("/v1.0/deviceManagement/managedDevices?$top=1", 10); a.Status != http.StatusOK {
		t.Fatalf("within the limit: %d", a.Status)
	}
	a := get("/v1.0/deviceManagement/managedDevices?$top=1", 1)
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
		t.Errorf("over the limit: %d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	a = get("/v1.0/groups", 51)
	if a.Status != http.StatusTooManyRequests || a.Header.Get("x-ms-throttle-scope") != "Tenant_Application/ReadWrite/"+simtest.AppID+"/"+simtest.TenantID ||
		a.Header.Get("x-ms-throttle-information") != "ResourceUnitLimitExceeded" {
		t.Errorf("directory: %d %v", a.Status, a.Header)
	}
	a = get("/v1.0/identity/conditionalAccess/policies", 2)
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "" {
		t.Errorf("conditional access: %d, Retry-After %q, want none", a.Status, a.Header.Get("Retry-After"))
	}
	if err := s.API.SetClock(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if a := get("/v1.0/deviceManagement/managedDevices?$top=1", 1); a.Status != http.StatusOK {
		t.Errorf("in the next window: %d", a.Status)
	}
}

// TestWritesAreThrottled uses up the limits of writes: 100 for an app, and 200 for a tenant, in 20
// seconds, at a twentieth.
func TestWritesAreThrottled(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC) // 13 seconds before the next window
	spec := simtest.Writer()
	for _, id := range []string{"22222222-aaaa-4bbb-8ccc-000000000003", "22222222-aaaa-4bbb-8ccc-000000000004"} {
		other := spec.Apps[0]
		other.AppID = id
		spec.Apps = append(spec.Apps, other)
	}
	s := simtest.Start(t, graphsim.Config{Throttle: 0.05, Now: func() time.Time { return now }}, spec)
	token := func(app int) string {
		tok, _ := s.TokenAnswer("client_id", spec.Apps[app].AppID).JSON(t)["access_token"].(string)
		return tok
	}
	write := func(tok string, n, want int) (last simtest.Answer) {
		t.Helper()
		for range n {
			if last = s.Send(tok, http.MethodPost, filters, oneFilter); last.Status != want {
				t.Fatalf("%d %s, want %d", last.Status, last.Body, want)
			}
		}
		return last
	}
	first, second, third := token(0), token(1), token(2)
	write(first, 5, http.StatusCreated)
	if a := write(first, 1, http.StatusTooManyRequests); a.Header.Get("Retry-After") != "13" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if a := s.Get(first, filters); a.Status != http.StatusOK {
		t.Errorf("a read after the limit of writes: %d", a.Status)
	}
	write(second, 5, http.StatusCreated)
	write(third, 1, http.StatusTooManyRequests) // the limit of the tenant
	if n := s.Written(filtersPath).Created; n != 10 {
		t.Errorf("%d filters created, want 10: what is throttled must have no effect", n)
	}
	batch := `{"requests":[{"id":"1","method":"POST","url":"/deviceManagement/assignmentFilters","headers":{"Content-Type":"application/json"},"body":` + oneFilter + `}]}`
	if a := s.Send(first, http.MethodPost, "/beta/$batch", batch); a.Status != http.StatusOK || !strings.Contains(string(a.Body), `"status":429`) || !strings.Contains(string(a.Body), `"Retry-After":"13"`) {
		t.Errorf("in a batch: %d %s", a.Status, a.Body)
	}
	if err := s.API.SetClock(t.Context(), 13*time.Second); err != nil {
		t.Fatal(err)
	}
	write(first, 5, http.StatusCreated)
	const locations = "/v1.0/identity/conditionalAccess/namedLocations"
	location := `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"A","ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"10.0.0.0/8"}]}`
	for i, want := range []int{http.StatusCreated, http.StatusTooManyRequests} { // one a second, for the tenant
		a := s.Send([]string{first, second}[i], http.MethodPost, locations, location)
		if a.Status != want || a.Header.Get("Retry-After") != "" {
			t.Errorf("conditional access, call %d: %d, Retry-After %q", i, a.Status, a.Header.Get("Retry-After"))
		}
	}
}
