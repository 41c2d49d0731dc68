package graphsim_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

// graphErrors are calls that must answer an error as it was collected.
var graphErrors = []struct {
	id     string
	path   string
	method string // GET
	roles  []string
	tenant func(*graphsim.TenantSpec)
	fault  *graphsim.Action
	token  func(*sim) string // a good one
	fill   []string
}{
	{id: "auth.token_missing", path: "/v1.0/groups", token: func(*sim) string { return "" }},
	{id: "auth.token_malformed", path: "/v1.0/groups", token: func(*sim) string { return "nonsense" }},
	{id: "auth.token_expired", path: "/v1.0/groups", token: func(s *sim) string {
		tok := s.token()
		if err := s.control.SetClock(s.t.Context(), 2*time.Hour); err != nil {
			s.t.Fatal(err)
		}
		return tok
	}},
	{id: "directory.identity_not_found", path: "/v1.0/groups", token: func(s *sim) string {
		tok := s.token()
		if err := s.control.RemovePrincipal(s.t.Context(), tenantID, appID); err != nil {
			s.t.Fatal(err)
		}
		return tok
	}},
	{id: "directory.forbidden", path: "/v1.0/groups", roles: []string{"Organization.Read.All"}},
	{id: "intune.forbidden_scope", path: "/v1.0/deviceManagement/deviceConfigurations", roles: []string{"DeviceManagementApps.Read.All"}},
	{id: "intune.forbidden_no_app_permissions", path: "/v1.0/deviceManagement/deviceEnrollmentConfigurations", roles: []string{"Group.Read.All"}},
	{id: "intune.tenant_not_provisioned", path: "/v1.0/deviceManagement/managedDevices", tenant: func(s *graphsim.TenantSpec) { s.Intune = false }},
	{id: "intune.no_route", path: "/beta/deviceManagement/deviceCompliancePolicies/some-id/scheduledActionsForRule", fill: []string{"{{id}}", "some-id"}},
	{id: "graph.segment", path: "/v1.0/deviceManagement/configurationPolicies"},
	{id: "directory.not_found", path: "/v1.0/groups/8f4bd7e4-0000-4000-8000-000000000000", fill: []string{"{{id}}", "8f4bd7e4-0000-4000-8000-000000000000"}},
	{id: "graph.method_not_allowed", path: "/beta/deviceManagement/configurationPolicies", method: http.MethodPost},
	{id: "delta.gone", path: "/v1.0/groups/delta", fault: &graphsim.Action{Kind: graphsim.ActResync}},
	{id: "delta.expired", path: "/v1.0/groups/delta", fault: &graphsim.Action{Kind: graphsim.ActSyncState}},
	{id: "throttle.conditional_access", path: "/v1.0/identity/conditionalAccess/policies", fault: &graphsim.Action{Kind: graphsim.ActThrottle}},
	{id: "throttle.intune", path: "/v1.0/deviceManagement/managedDevices", fault: &graphsim.Action{Kind: graphsim.ActThrottle}},
	{id: "transient.503", path: "/v1.0/groups", fault: &graphsim.Action{Kind: graphsim.ActError, Status: 503, RetryAfter: "5"}},
	{id: "transient.504", path: "/v1.0/groups", fault: &graphsim.Action{Kind: graphsim.ActError, Status: 504}},
	{id: "transient.500", path: "/v1.0/deviceManagement/managedDevices", fault: &graphsim.Action{Kind: graphsim.ActError, Status: 500}},
	{id: "transient.502_html", path: "/v1.0/groups", fault: &graphsim.Action{Kind: graphsim.ActError, Status: 502}},
}

// notServed are collected errors that no call to the simulator can bring about, with the reason.
var notServed = map[string]string{
	"auth.token_expired_legacy": "an older wording", "intune.unknownerror_forbidden": "by an error fault with its message",
	"intune.not_found": "the wording differs by service: compared below", "throttle.documented": "by a throttle fault with RetryAfter 2.128",
	"throttle.directory": "TestThrottling", "ca.insufficient_claims": "the service itself answers 401: TestChallenge",
	"intune.model_validation.type": "writing", "intune.model_validation.assignable": "writing", "intune.model_validation.literal": "writing",
	"intune.model_validation.abstract": "writing", "intune.compliance.block_action": "writing", "intune.assign_in_create": "writing",
	"directory.conflict": "writing", "graph.precondition": "writing",
}

// TestGraphErrorsEqualTheCollectedOnes compares status, headers and body with errors collected
// from documentation and issue reports. Intune's inner address differs from call to call.
func TestGraphErrorsEqualTheCollectedOnes(t *testing.T) {
	type collected struct {
		ID      string            `json:"id"`
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    any               `json:"body"`
	}
	var file struct {
		Errors []collected `json:"errors"`
	}
	readShared(t, "examples/errors.json", &file)
	tried := map[string]bool{}
	address := regexp.MustCompile(`Url: https://fef[^"\\]*`)
	for _, tc := range graphErrors {
		tried[tc.id] = true
		t.Run(tc.id, func(t *testing.T) {
			i := slices.IndexFunc(file.Errors, func(e collected) bool { return e.ID == tc.id })
			if i < 0 {
				t.Fatal("not among the collected ones")
			}
			want := file.Errors[i]
			sp := spec()
			if tc.tenant != nil {
				tc.tenant(&sp)
			}
			if tc.roles != nil {
				sp.Apps[0].Roles = tc.roles
			}
			s := start(t, graphsim.Config{}, sp)
			if tc.fault != nil {
				if _, err := s.control.AddFault(t.Context(), graphsim.Fault{Path: "/v1.0/*", Action: *tc.fault}); err != nil {
					t.Fatal(err)
				}
			}
			tok := ""
			if tc.token == nil {
				tok = s.token()
			} else {
				tok = tc.token(s)
			}
			method := http.MethodGet
			if tc.method != "" {
				method = tc.method
			}
			req := s.request(method, tc.path, nil)
			if tok != "" {
				req.Header.Set("Authorization", "Bearer "+tok)
			}
			a, err := s.do(req)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != want.Status {
				t.Fatalf("status %d, want %d: %s", a.status, want.Status, a.body)
			}
			id := a.header.Get("request-id")
			fill := strings.NewReplacer(append([]string{
				"{{request-id}}", id, "{{client-request-id}}", id,
				"https://login.microsoftonline.com", s.URL(), "https://graph.microsoft.com", s.URL(),
			}, tc.fill...)...)
			for name, v := range want.Headers {
				if name == "Content-Type" && strings.HasPrefix(v, "text/html") {
					v = "text/html"
				}
				if got := a.header.Get(name); got != fill.Replace(v) {
					t.Errorf("%s: %q, want %q", name, got, fill.Replace(v))
				}
			}
			if text, ok := want.Body.(string); ok {
				if string(a.body) != text {
					t.Errorf("body %s", a.body)
				}
				return
			}
			body := a.json(t)
			inner, _ := body["error"].(map[string]any)["innerError"].(map[string]any)
			date, _ := inner["date"].(string)
			wanted, err := json.Marshal(want.Body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			w := address.ReplaceAllString(strings.ReplaceAll(fill.Replace(string(wanted)), "{{date}}", date), "Url")
			if g := address.ReplaceAllString(string(got), "Url"); g != w {
				t.Errorf("body:\n got %s\nwant %s", g, w)
			}
		})
	}
	for _, e := range file.Errors {
		if !tried[e.ID] && notServed[e.ID] == "" {
			t.Errorf("%s is neither tried nor explained", e.ID)
		}
	}
}

// TestPermissionsEqualThePublishedOnes asks every readable call of Microsoft's permission
// table once with each accepted permission that the simulator can grant, and once without any.
func TestPermissionsEqualThePublishedOnes(t *testing.T) {
	var calls []struct {
		Method   string   `json:"method"`
		Path     string   `json:"path"`
		Accepted []string `json:"accepted"`
	}
	readShared(t, "permissions/call-permissions.json", &calls)
	s := start(t, graphsim.Config{})
	all := s.token()
	groups, _ := s.all(all, "/v1.0/groups")
	tokens := map[string]string{}
	with := func(role string) string {
		if tokens[role] == "" {
			if err := s.control.SetRoles(t.Context(), tenantID, appID, role); err != nil {
				return "" // one that is not ours to grant
			}
			tokens[role] = s.token()
		}
		return tokens[role]
	}
	// Tools use the Scripts permissions where the table says otherwise or nothing.
	differs := map[string]bool{"/deviceManagement/deviceManagementScripts": true}
	for _, call := range calls {
		if call.Method != http.MethodGet || differs[call.Path] || strings.HasPrefix(call.Path, "/roleManagement") {
			continue
		}
		path := strings.Replace("/beta"+call.Path, "{id}", groups[0]["id"].(string), 1)
		if strings.HasPrefix(call.Path, "/organization/") {
			path = "/beta/organization/" + tenantID
		}
		for _, role := range call.Accepted {
			tok := with(role)
			if tok == "" {
				continue
			}
			if a := s.get(tok, path); a.status == http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, role, a.status)
			}
		}
		for _, role := range []string{"Policy.ReadWrite.ConditionalAccess"} {
			if a := s.get(with(role), path); a.status != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, role, a.status)
			}
		}
	}
}

func TestListStyles(t *testing.T) {
	sp := spec()
	sp.Policies = 0
	s := start(t, graphsim.Config{}, sp)
	tok := s.token()

	t.Run("settings catalogue: encoded twice, count of the page", func(t *testing.T) {
		first := s.ok(tok, "/Beta/deviceManagement/configurationPolicies?$select=id,name&$top=10&$filter=platforms%20eq%20'windows10'")
		link, _ := first["@odata.nextLink"].(string)
		if first["@odata.count"] != 10.0 || !strings.HasPrefix(link, s.URL()+"/Beta/deviceManagement/configurationPolicies?$select=id%2cname&$top=10&$filter=platforms+eq+%27windows10%27&$skiptoken=%255Bcosmosdb%255D") {
			t.Errorf("count %v, link %s", first["@odata.count"], link)
		}
		if want := s.URL() + "/beta/$metadata#deviceManagement/configurationPolicies(id,name)"; first["@odata.context"] != want {
			t.Errorf("context %v", first["@odata.context"])
		}
		items, _ := s.all(tok, link)
		seen := map[string]bool{}
		for _, it := range append(values(first), items...) {
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
		if a := s.get(tok, u.String()); a.status != http.StatusBadRequest {
			t.Errorf("a link that was decoded on the way: %d, want 400", a.status)
		}
	})
	t.Run("apps: count is zero", func(t *testing.T) {
		first := s.ok(tok, "/v1.0/deviceAppManagement/mobileApps?$top=3")
		if first["@odata.count"] != 0.0 || len(values(first)) != 3 || !strings.Contains(first["@odata.nextLink"].(string), "$skip=3") {
			t.Errorf("count %v, link %v", first["@odata.count"], first["@odata.nextLink"])
		}
	})
	t.Run("device configurations: no count, types shown", func(t *testing.T) {
		first := s.ok(tok, "/v1.0/deviceManagement/deviceConfigurations")
		if _, has := first["@odata.count"]; has || values(first)[0]["@odata.type"] == nil {
			t.Errorf("%v", first)
		}
	})
	t.Run("directory: the token style of the directory, with a limit on $top", func(t *testing.T) {
		first := s.ok(tok, "/v1.0/groups?$top=7&$select=displayName")
		link := first["@odata.nextLink"].(string)
		if !strings.HasPrefix(link, s.URL()+"/v1.0/groups?$select=displayName&$top=7&$skiptoken=RFNwd") {
			t.Errorf("link %s", link)
		}
		for path, want := range map[string]int{
			"/v1.0/groups?$top=1000": 400, "/v1.0/groups?$top=0": 400, "/v1.0/groups?$top=x": 400, "/v1.0/groups?$skip=3": 400, "/v1.0/groups?$skiptoken=x": 400,
			"/v1.0/groups?$select=nonsense": 400, "/v1.0/groups?$what=1": 400, "/v1.0/groups?what=1": 200, "/v1.0/groups?$top=1&$top=2": 400,
			"/v1.0/groups?$filter=displayName%20ne%20'x'": 400, "/v1.0/groups?$orderby=createdDateTime": 400, "/v1.0/groups?$filter=displayName": 400,
		} {
			if a := s.get(tok, path); a.status != want {
				t.Errorf("%s: %d, want %d", path, a.status, want)
			}
		}
		a := s.ok(tok, "/v1.0/groups?$filter=displayName%20ne%20'x'&$count=true&$top=2", "ConsistencyLevel", "eventual")
		if a["@odata.count"] != 120.0 {
			t.Errorf("count %v", a["@odata.count"])
		}
	})
	t.Run("settings of a policy come in pages of 25", func(t *testing.T) {
		list, _ := s.all(tok, "/beta/deviceManagement/configurationPolicies")
		longest := slices.MaxFunc(list, func(a, b map[string]any) int { return int(a["settingCount"].(float64) - b["settingCount"].(float64)) })
		path := "/beta/deviceManagement/configurationPolicies('" + longest["id"].(string) + "')"
		first := s.ok(tok, path+"/settings")
		all, _ := s.all(tok, path+"/settings")
		if len(values(first)) != 25 || float64(len(all)) != longest["settingCount"] {
			t.Errorf("%d on the first page, %d of %v in all", len(values(first)), len(all), longest["settingCount"])
		}
		one := s.ok(tok, path+"?$expand=assignments,settings")
		if len(one["settings"].([]any)) != len(all) || one["assignments"] == nil {
			t.Error("the expanded item lacks settings or assignments")
		}
		if plain := s.ok(tok, path); plain["settings"] != nil || plain["assignments"] != nil {
			t.Error("the plain item shows navigation properties")
		}
	})
	t.Run("scripts show their text on a single read only", func(t *testing.T) {
		list, _ := s.all(tok, "/beta/deviceManagement/deviceManagementScripts")
		if list[0]["scriptContent"] != nil || s.ok(tok, "/beta/deviceManagement/deviceManagementScripts/"+list[0]["id"].(string))["scriptContent"] == nil {
			t.Error("content in the list, or not in the item")
		}
	})
	t.Run("union of app policies", func(t *testing.T) {
		list, _ := s.all(tok, "/v1.0/deviceAppManagement/managedAppPolicies")
		for _, it := range list {
			prefix := it["id"].(string)[:2]
			if it["@odata.type"] == nil || prefix != "T_" && prefix != "A_" {
				t.Errorf("%v %v", it["@odata.type"], it["id"])
			}
		}
		ios, _ := s.all(tok, "/v1.0/deviceAppManagement/iosManagedAppProtections")
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
			"/v1.0/servicePrincipals(appId='" + appID + "')":                                                               200,
			"/v1.0/organization/" + tenantID:                                                                               200,
			"/v1.0/organization/8f4bd7e4-0000-4000-8000-00000000":                                                          404,
			"/v1.0/groups/x/owners":                                                                                        404,
		} {
			if a := s.get(tok, path); a.status != want {
				t.Errorf("%s: %d, want %d: %s", path, a.status, want, a.body)
			}
		}
	})
	t.Run("role assignments of the app", func(t *testing.T) {
		me := s.ok(tok, "/v1.0/servicePrincipals(appId='"+appID+"')")
		list, _ := s.all(tok, "/v1.0/servicePrincipals/"+me["id"].(string)+"/appRoleAssignments")
		if len(list) != len(readRoles) {
			t.Errorf("%d assignments, want %d", len(list), len(readRoles))
		}
	})
}

func TestFilters(t *testing.T) {
	s := start(t, graphsim.Config{})
	tok := s.token()
	all, _ := s.all(tok, "/v1.0/groups")
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
		got, _ := s.all(tok, "/v1.0/groups?$filter="+url.QueryEscape(filter))
		if len(got) != want {
			t.Errorf("%s: %d groups, want %d", filter, len(got), want)
		}
	}
	plain := s.ok(tok, "/v1.0/groups?$count=true&$top=1&$filter="+url.QueryEscape("not(startswith(displayName,'DYN-')) and not groupTypes/any()"), "ConsistencyLevel", "eventual")
	if want := count(func(g map[string]any) bool { return len(g["groupTypes"].([]any)) == 0 }); plain["@odata.count"] != float64(want) {
		t.Errorf("%v plain groups, want %d", plain["@odata.count"], want)
	}
	sorted, _ := s.all(tok, "/v1.0/groups?$orderby=displayName%20desc&$top=50")
	if !slices.IsSortedFunc(sorted, func(a, b map[string]any) int {
		return strings.Compare(strings.ToLower(b["displayName"].(string)), strings.ToLower(a["displayName"].(string)))
	}) {
		t.Error("not sorted")
	}
}

func TestEnvelope(t *testing.T) {
	s := start(t, graphsim.Config{})
	tok := s.token()
	a := s.get(tok, "/v1.0/groups?$top=1")
	for name, want := range map[string]string{
		"Content-Type":  "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
		"OData-Version": "4.0", "Strict-Transport-Security": "max-age=31536000", "x-ms-resource-unit": "1", "client-request-id": a.header.Get("request-id"),
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := s.get(tok, "/v1.0/groups?$top=1", "client-request-id", "mine").header.Get("client-request-id"); got != "mine" {
		t.Errorf("client-request-id = %q", got)
	}
	full := values(s.ok(tok, "/beta/deviceManagement/configurationPolicies?$top=1", "Accept", "application/json;odata.metadata=full"))[0]
	if full["@odata.type"] == nil || full["@odata.id"] == nil || full["settings@odata.navigationLink"] == nil {
		t.Errorf("full metadata: %v", full)
	}
	none := values(s.ok(tok, "/beta/deviceManagement/deviceConfigurations?$top=1", "Accept", "application/json;odata.metadata=none"))[0]
	for name := range none {
		if strings.Contains(name, "@odata") {
			t.Errorf("no metadata: %s", name)
		}
	}
	tr := s.Transport()
	tr.DisableCompression = true
	t.Cleanup(tr.CloseIdleConnections)
	req := s.request(http.MethodGet, "/v1.0/groups", nil, "Authorization", "Bearer "+tok, "Accept-Encoding", "gzip")
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
	if err := json.NewDecoder(zr).Decode(&page); err != nil || len(values(page)) != 100 {
		t.Errorf("%v, %d groups", err, len(values(page)))
	}
}

func TestChallenge(t *testing.T) {
	s := start(t, graphsim.Config{})
	old := s.token()
	if err := s.control.PatchApp(t.Context(), tenantID, appID, graphsim.AppPatch{Challenge: true}); err != nil {
		t.Fatal(err)
	}
	a := s.get(old, "/v1.0/groups")
	m := regexp.MustCompile(`error="insufficient_claims", claims="([^"]+)"`).FindStringSubmatch(a.header.Get("WWW-Authenticate"))
	if a.status != http.StatusUnauthorized || m == nil {
		t.Fatalf("%d %q", a.status, a.header.Get("WWW-Authenticate"))
	}
	if b, err := base64.StdEncoding.DecodeString(m[1]); err != nil || !strings.Contains(string(b), `"nbf"`) {
		t.Errorf("claims %s, %v", b, err)
	}
	if a := s.get(s.token(), "/v1.0/groups"); a.status != http.StatusOK {
		t.Errorf("a new token: %d", a.status)
	}
}

func TestTokensOfOthersAreRefused(t *testing.T) {
	s := start(t, graphsim.Config{})
	foreign := start(t, graphsim.Config{StateDir: t.TempDir()}) // other keys
	if a := s.get(foreign.token(), "/v1.0/groups"); a.status != http.StatusUnauthorized {
		t.Errorf("a token signed by another key: %d", a.status)
	}
	idToken := s.get("", "/v1.0/groups", "Authorization", "Basic eDp5")
	if idToken.status != http.StatusUnauthorized {
		t.Errorf("Basic credentials: %d", idToken.status)
	}
}

func TestThrottling(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := start(t, graphsim.Config{Throttle: 0.01, Now: func() time.Time { return now }})
	tok := s.token()
	get := func(path string, n int) (last answer) {
		for range n {
			last = s.get(tok, path)
		}
		return last
	}
	if a := get("/v1.0/deviceManagement/managedDevices?$top=1", 10); a.status != http.StatusOK {
		t.Fatalf("within the limit: %d", a.status)
	}
	a := get("/v1.0/deviceManagement/managedDevices?$top=1", 1)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("over the limit: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	a = get("/v1.0/groups", 51)
	if a.status != http.StatusTooManyRequests || a.header.Get("x-ms-throttle-scope") != "Tenant_Application/ReadWrite/"+appID+"/"+tenantID ||
		a.header.Get("x-ms-throttle-information") != "ResourceUnitLimitExceeded" {
		t.Errorf("directory: %d %v", a.status, a.header)
	}
	a = get("/v1.0/identity/conditionalAccess/policies", 2)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "" {
		t.Errorf("conditional access: %d, Retry-After %q, want none", a.status, a.header.Get("Retry-After"))
	}
	if err := s.control.SetClock(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if a := get("/v1.0/deviceManagement/managedDevices?$top=1", 1); a.status != http.StatusOK {
		t.Errorf("in the next window: %d", a.status)
	}
}

func TestBatch(t *testing.T) {
	s := start(t, graphsim.Config{})
	tok := s.token()
	batch := func(body string, zip bool) answer {
		t.Helper()
		var b bytes.Buffer
		header := []string{"Authorization", "Bearer " + tok, "Content-Type", "application/json"}
		if zip {
			zw := gzip.NewWriter(&b)
			_, _ = zw.Write([]byte(body))
			_ = zw.Close()
			header = append(header, "Content-Encoding", "gzip")
		} else {
			b.WriteString(body)
		}
		a, err := s.do(s.request(http.MethodPost, "/v1.0/$batch", &b, header...))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if _, err := s.control.AddFault(t.Context(), graphsim.Fault{Path: "/v1.0/deviceManagement/*", Action: graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "10"}}); err != nil {
		t.Fatal(err)
	}
	a := batch(`{"requests": [
		{"id": "1", "method": "GET", "url": "/groups?$top=1"},
		{"id": "2", "method": "GET", "url": "deviceManagement/deviceConfigurations"},
		{"id": "3", "method": "DELETE", "url": "/groups/0e226165-c685-41ce-8bfc-df8360ab325d"},
		{"id": "4", "dependsOn": ["3"], "method": "GET", "url": "/groups"},
		{"id": "5", "method": "GET", "url": "/beta/organization"},
		{"id": "6", "method": "POST", "url": "/groups", "body": {}},
		{"id": "7", "method": "GET", "url": "/$batch"},
		{"id": "8", "method": "GET", "url": "https://elsewhere.example/groups"}]}`, true)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	responses, _ := a.json(t)["responses"].([]any)
	got := map[string]float64{}
	for _, r := range responses {
		r := r.(map[string]any)
		got[r["id"].(string)] = r["status"].(float64)
		if r["id"] == "2" && r["headers"].(map[string]any)["Retry-After"] != "10" {
			t.Errorf("headers of the throttled part: %v", r["headers"])
		}
	}
	want := map[string]float64{"1": 200, "2": 429, "3": 405, "4": 424, "5": 200, "6": 400, "7": 400, "8": 400}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(`{"id": "%d", "method": "GET", "url": "/groups"}`, i))
	}
	for name, body := range map[string]string{
		"21 requests":  `{"requests": [` + strings.Join(many, ",") + `]}`,
		"same id":      `{"requests": [{"id": "a", "method": "GET", "url": "/groups"}, {"id": "A", "method": "GET", "url": "/groups"}]}`,
		"no id":        `{"requests": [{"method": "GET", "url": "/groups"}]}`,
		"no JSON":      `{`,
		"nothing":      `{}`,
		"later depend": `{"requests": [{"id": "1", "dependsOn": ["2"], "method": "GET", "url": "/groups"}, {"id": "2", "method": "GET", "url": "/groups"}]}`,
	} {
		if a := batch(body, false); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := batch(strings.Repeat("x", 5<<20), false); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 5 MiB: %d", a.status)
	}
	if a := batch(strings.Repeat("x", 5<<20), true); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that unpacks to 5 MiB: %d", a.status)
	}
	if a := s.get(tok, "/v1.0/$batch"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
}

func TestMembers(t *testing.T) {
	s := start(t, graphsim.Config{})
	tok := s.token()
	groups, _ := s.all(tok, "/v1.0/groups")
	kinds := map[any]int{}
	for _, g := range groups[:60] {
		path := "/v1.0/groups/" + g["id"].(string)
		list, _ := s.all(tok, path+"/members?$top=999")
		ids := map[any]bool{}
		for _, m := range list {
			kinds[m["@odata.type"]]++
			if ids[m["id"]] {
				t.Fatalf("member %v of %v comes twice", m["id"], g["displayName"])
			}
			ids[m["id"]] = true
		}
		devices, _ := s.all(tok, path+"/members/microsoft.graph.device")
		users, _ := s.all(tok, path+"/transitiveMembers/microsoft.graph.user")
		if len(devices)+len(users) != len(list) {
			t.Errorf("%d devices and %d users of %d members", len(devices), len(users), len(list))
		}
	}
	if kinds["#microsoft.graph.user"] == 0 || kinds["#microsoft.graph.device"] == 0 {
		t.Errorf("kinds of members: %v", kinds)
	}
	one := s.ok(tok, "/v1.0/groups('"+groups[41]["id"].(string)+"')?$expand=members")
	if n := len(one["members"].([]any)); n != 20 {
		t.Errorf("%d expanded members, want 20", n)
	}
	if _, err := s.control.ChangeGroups(t.Context(), tenantID, graphsim.GroupChange{Op: graphsim.GroupDelete, ID: groups[0]["id"].(string)}); err != nil {
		t.Fatal(err)
	}
	if a := s.get(tok, "/v1.0/groups/"+groups[0]["id"].(string)); a.status != http.StatusNotFound {
		t.Errorf("a deleted group: %d", a.status)
	}
}

// TestSameSpecSameTenant reads one tenant from two servers.
func TestSameSpecSameTenant(t *testing.T) {
	read := func(seed uint64) string {
		s := start(t, graphsim.Config{Seed: seed})
		tok := s.token()
		var b strings.Builder
		for _, path := range []string{"/v1.0/groups?$top=999", "/beta/deviceManagement/configurationPolicies", "/v1.0/deviceManagement/managedDevices", "/v1.0/deviceAppManagement/mobileApps"} {
			list, _ := s.all(tok, path)
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
