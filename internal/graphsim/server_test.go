package graphsim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

const (
	tenantID = "11111111-aaaa-4bbb-8ccc-000000000001"
	appID    = "22222222-aaaa-4bbb-8ccc-000000000002"
	secret   = "canary~secret.value"
)

var readRoles = []string{
	"Organization.Read.All", "Group.Read.All", "DeviceManagementConfiguration.Read.All", "DeviceManagementApps.Read.All", "DeviceManagementManagedDevices.Read.All",
	"DeviceManagementServiceConfig.Read.All", "DeviceManagementScripts.Read.All", "DeviceManagementRBAC.Read.All", "Policy.Read.All", "Application.Read.All",
}

// sim is a running simulator, by default with one consented tenant.
type sim struct {
	*graphsim.Server
	t       *testing.T
	http    *http.Client
	control *graphsim.Control
}

func spec() graphsim.TenantSpec {
	return graphsim.TenantSpec{
		ID: tenantID, DisplayName: "Contoso", Domain: "contoso.example", Intune: true, Groups: 120, Policies: 60, Devices: 12, MobileApps: 8,
		Apps: []graphsim.AppSpec{{
			AppID: appID, Name: "Interlock", Secrets: []graphsim.Secret{{Value: secret}}, Requested: readRoles, Consented: true,
			RedirectURIs: []string{"https://app.example/callback"},
		}},
	}
}

func start(t *testing.T, cfg graphsim.Config, specs ...graphsim.TenantSpec) *sim {
	t.Helper()
	srv, err := graphsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(specs) == 0 {
		specs = []graphsim.TenantSpec{spec()}
	}
	for _, s := range specs {
		if err := srv.AddTenant(s); err != nil {
			t.Fatal(err)
		}
	}
	tr := srv.Transport()
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		srv.Close()
	})
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &sim{Server: srv, t: t, http: &http.Client{Transport: tr, CheckRedirect: noRedirect}, control: srv.Control()}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body as an object.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, a.body)
	}
	return m
}

func (s *sim) do(req *http.Request) (answer, error) {
	res, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, err
}

func (s *sim) request(method, path string, body io.Reader, header ...string) *http.Request {
	s.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = s.URL() + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// get reads a Graph address with a token, or without when it is empty.
func (s *sim) get(token, path string, header ...string) answer {
	s.t.Helper()
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	a, err := s.do(s.request(http.MethodGet, path, nil, header...))
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return a
}

// ok reads a Graph address that must answer 200.
func (s *sim) ok(token, path string, header ...string) map[string]any {
	s.t.Helper()
	a := s.get(token, path, header...)
	if a.status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	return a.json(s.t)
}

func (s *sim) post(path string, form url.Values, header ...string) answer {
	s.t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	a, err := s.do(s.request(http.MethodPost, path, strings.NewReader(form.Encode()), header...))
	if err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	return a
}

// credentials is a good token request with changes: pairs of name and value, an empty value takes it out.
func credentials(change ...string) url.Values {
	v := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {secret}, "scope": {"https://graph.microsoft.com/.default"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
		if change[i+1] == "" {
			v.Del(change[i])
		}
	}
	return v
}

func (s *sim) tokenAnswer(change ...string) answer {
	s.t.Helper()
	return s.post("/"+tenantID+"/oauth2/v2.0/token", credentials(change...))
}

func (s *sim) token() string {
	s.t.Helper()
	a := s.tokenAnswer()
	tok, _ := a.json(s.t)["access_token"].(string)
	if a.status != http.StatusOK || tok == "" {
		s.t.Fatalf("token: %d %s", a.status, a.body)
	}
	return tok
}

func values(m map[string]any) []map[string]any {
	list, _ := m["value"].([]any)
	out := make([]map[string]any, len(list))
	for i := range list {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

// all follows the next links of a list, verbatim, and returns its items and the last page.
func (s *sim) all(token, path string) (items []map[string]any, last map[string]any) {
	s.t.Helper()
	for path != "" {
		last = s.ok(token, path)
		items = append(items, values(last)...)
		path, _ = last["@odata.nextLink"].(string)
	}
	return items, last
}

func errorOf(t *testing.T, a answer) (code, message string) {
	t.Helper()
	e, _ := a.json(t)["error"].(map[string]any)
	code, _ = e["code"].(string)
	message, _ = e["message"].(string)
	return code, message
}

func TestFirstCalls(t *testing.T) {
	s := start(t, graphsim.Config{})
	tok := s.token()
	org := values(s.ok(tok, "/v1.0/organization?$select=id,displayName,verifiedDomains"))
	if len(org) != 1 || org[0]["id"] != tenantID || org[0]["displayName"] != "Contoso" || len(org[0]) != 3 {
		t.Errorf("organization = %v", org)
	}
	groups, _ := s.all(tok, "/v1.0/groups?$top=50")
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
		"name":   {ID: tenantID},
		"domain": {ID: tenantID, DisplayName: "x", Domain: "no spaces"},
		"app":    {ID: tenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: "x"}}},
		"role":   {ID: tenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: appID, Requested: []string{"Everything.All"}}}},
		"pem":    {ID: tenantID, DisplayName: "x", Apps: []graphsim.AppSpec{{AppID: appID, Certificates: []string{"x"}}}},
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
	sp := spec()
	sp.Groups = 0
	if err := srv.AddTenant(sp); err != nil {
		b.Fatal(err)
	}
	s := &sim{Server: srv, http: &http.Client{Transport: srv.Transport()}}
	read := func(req *http.Request, err error) map[string]any {
		if err != nil {
			b.Fatal(err)
		}
		a, err := s.do(req)
		if err != nil || a.status != http.StatusOK {
			b.Fatalf("%v, %d %s", err, a.status, a.body)
		}
		var m map[string]any
		if err := json.Unmarshal(a.body, &m); err != nil {
			b.Fatal(err)
		}
		return m
	}
	login, err := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL()+"/"+tenantID+"/oauth2/v2.0/token", strings.NewReader(credentials().Encode()))
	if err == nil {
		login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	token, _ := read(login, err)["access_token"].(string)
	pages := 0
	for b.Loop() {
		pages = 0
		for next := srv.URL() + deltaPath; next != ""; pages++ {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, next, nil)
			if err == nil {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			next, _ = read(req, err)["@odata.nextLink"].(string)
		}
	}
	b.ReportMetric(float64(pages), "pages")
}
