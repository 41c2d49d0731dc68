package graph_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestFilters(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	all, _ := s.All(tok, "/v1.0/groups")
	count := func(keep func(g map[string]any) bool) int {
		n := 0
		for _, g := range all {
			if keep(g) {
				n++
			}
		}
		return n
	}
	has := func(g map[string]any, kind string) bool { return slices.Contains(g["groupTypes"].([]any), any(kind)) }
	name := all[3]["displayName"].(string)
	for filter, want := range map[string]int{
		"displayName eq '" + name + "'":                                            1,
		"displayName eq '" + strings.ToUpper(name) + "'":                           1,
		"startswith(displayName,'DYN-')":                                           count(func(g map[string]any) bool { return strings.HasPrefix(g["displayName"].(string), "DYN-") }),
		"groupTypes/any(c:c eq 'Unified')":                                         count(func(g map[string]any) bool { return has(g, "Unified") }),
		"mailEnabled eq true and securityEnabled eq false":                         count(func(g map[string]any) bool { return g["mailEnabled"] == true }),
		"mailEnabled eq true or groupTypes/any(t:t eq 'DynamicMembership')":        count(func(g map[string]any) bool { return has(g, "Unified") || has(g, "DynamicMembership") }),
		"id in ('" + all[0]["id"].(string) + "', '" + all[1]["id"].(string) + "')": 2,
		"(membershipRule eq null)":                                                 count(func(g map[string]any) bool { return g["membershipRule"] == nil }),
		"createdDateTime ge 2000-01-01T00:00:00Z":                                  120,
		"createdDateTime lt 2000-01-01T00:00:00Z":                                  0,
		"displayName eq 'it''s not there'":                                         0,
	} {
		got, _ := s.All(tok, "/v1.0/groups?$filter="+url.QueryEscape(filter))
		if len(got) != want {
			t.Errorf("%s: %d groups, want %d", filter, len(got), want)
		}
	}
	plain := s.OK(tok, "/v1.0/groups?$count=true&$top=1&$filter="+url.QueryEscape("not(startswith(displayName,'DYN-')) and not groupTypes/any()"), "ConsistencyLevel", "eventual")
	if want := count(func(g map[string]any) bool { return len(g["groupTypes"].([]any)) == 0 }); plain["@odata.count"] != float64(want) {
		t.Errorf("%v plain groups, want %d", plain["@odata.count"], want)
	}
	sorted, _ := s.All(tok, "/v1.0/groups?$orderby=displayName%20desc&$top=50")
	if !slices.IsSortedFunc(sorted, func(a, b map[string]any) int {
		return strings.Compare(strings.ToLower(b["displayName"].(string)), strings.ToLower(a["displayName"].(string)))
	}) {
		t.Error("not sorted")
	}
}

func TestEnvelope(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	a := s.Get(tok, "/v1.0/groups?$top=1")
	for name, want := range map[string]string{
		"Content-Type":  "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
		"OData-Version": "4.0", "Strict-Transport-Security": "max-age=31536000", "x-ms-resource-unit": "1", "client-request-id": a.Header.Get("request-id"),
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := s.Get(tok, "/v1.0/groups?$top=1", "client-request-id", "mine").Header.Get("client-request-id"); got != "mine" {
		t.Errorf("client-request-id = %q", got)
	}
	full := simtest.Values(s.OK(tok, "/beta/deviceManagement/configurationPolicies?$top=1", "Accept", "application/json;odata.metadata=full"))[0]
	if full["@odata.type"] == nil || full["@odata.id"] == nil || full["settings@odata.navigationLink"] == nil {
		t.Errorf("full metadata: %v", full)
	}
	none := simtest.Values(s.OK(tok, "/beta/deviceManagement/deviceConfigurations?$top=1", "Accept", "application/json;odata.metadata=none"))[0]
	for name := range none {
		if strings.Contains(name, "@odata") {
			t.Errorf("no metadata: %s", name)
		}
	}
	tr := s.Transport()
	tr.DisableCompression = true
	t.Cleanup(tr.CloseIdleConnections)
	req := s.Request(http.MethodGet, "/v1.0/groups", nil, "Authorization", "Bearer "+tok, "Accept-Encoding", "gzip")
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	zr, err := gzip.NewReader(res.Body)
	if res.Header.Get("Content-Encoding") != "gzip" || err != nil {
		t.Fatalf("not compressed: %v", err)
	}
	var page map[string]any
	if err := json.NewDecoder(zr).Decode(&page); err != nil || len(simtest.Values(page)) != 100 {
		t.Errorf("%v, %d groups", err, len(simtest.Values(page)))
	}
}

func TestChallenge(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	old := s.Token()
	if err := s.API.PatchApp(t.Context(), simtest.TenantID, simtest.AppID, graphsim.AppPatch{Challenge: true}); err != nil {
		t.Fatal(err)
	}
	a := s.Get(old, "/v1.0/groups")
	m := regexp.MustCompile(`error="insufficient_claims", claims="([^"]+)"`).FindStringSubmatch(a.Header.Get("WWW-Authenticate"))
	if a.Status != http.StatusUnauthorized || m == nil {
		t.Fatalf("%d %q", a.Status, a.Header.Get("WWW-Authenticate"))
	}
	if b, err := base64.StdEncoding.DecodeString(m[1]); err != nil || !strings.Contains(string(b), `"nbf"`) {
		t.Errorf("claims %s, %v", b, err)
	}
	if a := s.Get(s.Token(), "/v1.0/groups"); a.Status != http.StatusOK {
		t.Errorf("a new token: %d", a.Status)
	}
}

func TestTokensOfOthersAreRefused(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	foreign := simtest.Start(t, graphsim.Config{StateDir: t.TempDir()}) // other keys
	if a := s.Get(foreign.Token(), "/v1.0/groups"); a.Status != http.StatusUnauthorized {
		t.Errorf("a token signed by another key: %d", a.Status)
	}
	idToken := s.Get("", "/v1.0/groups", "Authorization", "Basic eDp5")
	if idToken.Status != http.StatusUnauthorized {
		t.Errorf("Basic credentials: %d", idToken.Status)
	}
}

// TestSameSpecSameTenant reads one tenant from two servers.
func TestSameSpecSameTenant(t *testing.T) {
	read := func(seed uint64) string {
		s := simtest.Start(t, graphsim.Config{Seed: seed})
		tok := s.Token()
		var b strings.Builder
		for _, path := range []string{"/v1.0/groups?$top=999", "/beta/deviceManagement/configurationPolicies", "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceAppManagement/mobileApps"} {
			list, _ := s.All(tok, path)
			text, err := json.Marshal(list)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
		return b.String()
	}
	one, again, other := read(1), read(1), read(2)
	if one != again {
		t.Error("the same seed gives another tenant")
	}
	if one == other {
		t.Error("another seed gives the same tenant")
	}
}
