package graphsim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestFirstCalls(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	org := simtest.Values(s.OK(tok, "/v1.0/organization?$select=id,displayName,verifiedDomains"))
	if len(org) != 1 || org[0]["id"] != simtest.TenantID || org[0]["displayName"] != "Contoso" || len(org[0]) != 3 {
		t.Errorf("organization = %v", org)
	}
	groups, _ := s.All(tok, "/v1.0/groups?$top=50")
	if len(groups) != 120 {
		t.Errorf("%d groups, want 120", len(groups))
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := graphsim.New(graphsim.Config{Throttle: -1}); err == nil {
		t.Error("a negative throttle scale passes")
	}
	if _, err := graphsim.New(graphsim.Config{DataDir: t.TempDir()}); err == nil {
		t.Error("an empty data folder passes")
	}
	srv, err := graphsim.New(graphsim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]graphsim.TenantSpec{
		"id":     {ID: "contoso", DisplayName: "x"},
		"name":   {ID: simtest.TenantID},
		"domain": {ID: simtest.TenantID, DisplayName: "x", Domain: "no spaces"},
		"app":    {ID: simtest.TenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: "x"}}},
		"role":   {ID: simtest.TenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: simtest.AppID, Requested: []string{"Everything.All"}}}},
		"pem":    {ID: simtest.TenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: simtest.AppID, Certificates: []string{"x"}}}},
	} {
		if err := srv.AddTenant(bad); err == nil {
			t.Errorf("a tenant with a bad %s passes", name)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := graphsim.Run(ctx, graphsim.Config{PlainHTTP: true}, func(s *graphsim.Server) error {
		if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
			t.Errorf("URL = %q", s.URL())
		}
		cancel()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// BenchmarkDeltaRound reads the first round of a default tenant: 2,000 groups.
func BenchmarkDeltaRound(b *testing.B) {
	srv, err := graphsim.New(graphsim.Config{PlainHTTP: true})
	if err != nil {
		b.Fatal(err)
	}
	if err := srv.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	sp := simtest.Spec()
	sp.Groups = 0
	if err := srv.AddTenant(sp); err != nil {
		b.Fatal(err)
	}
	s := &simtest.Sim{Server: srv, HTTP: &http.Client{Transport: srv.Transport()}}
	read := func(req *http.Request, err error) map[string]any {
		if err != nil {
			b.Fatal(err)
		}
		a, err := s.Do(req)
		if err != nil || a.Status != http.StatusOK {
			b.Fatalf("%v, %d %s", err, a.Status, a.Body)
		}
		var m map[string]any
		if err := json.Unmarshal(a.Body, &m); err != nil {
			b.Fatal(err)
		}
		return m
	}
	login, err := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL()+"/"+simtest.TenantID+"/oauth2/v2.0/token", strings.NewReader(simtest.Credentials().Encode()))
	if err == nil {
		login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	token, _ := read(login, err)["access_token"].(string)
	pages := 0
	for b.Loop() {
		pages = 0
		for next := srv.URL() + simtest.DeltaPath; next != ""; pages++ {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, next, nil)
			if err == nil {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			next, _ = read(req, err)["@odata.nextLink"].(string)
		}
	}
	b.ReportMetric(float64(pages), "pages")
}
