package control_test

import (
	"net/http"
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
