// Package simtest starts a simulator for a test and reads from it as a client does.
package simtest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

// The tenant of [Spec], its app and the app's secret.
const (
	TenantID = "11111111-aaaa-4bbb-8ccc-000000000001"
	AppID    = "22222222-aaaa-4bbb-8ccc-000000000002"
	Secret   = "canary~secret.value"
)

// ReadRoles holds the application permissions of the app.
var ReadRoles = []string{
	"Organization.Read.All", "Group.Read.All", "DeviceManagementConfiguration.Read.All", "DeviceManagementApps.Read.All", "DeviceManagementManagedDevices.Read.All",
	"DeviceManagementServiceConfig.Read.All", "DeviceManagementScripts.Read.All", "DeviceManagementRBAC.Read.All", "Policy.Read.All", "Application.Read.All",
}

// Sim is a running simulator, by default with one consented tenant.
type Sim struct {
	*graphsim.Server
	T    *testing.T
	HTTP *http.Client
	API  *graphsim.Control
}

// Spec returns a small tenant with one consented app.
func Spec() graphsim.TenantSpec {
	return graphsim.TenantSpec{
		ID: TenantID, DisplayName: "Contoso", Domain: "contoso.example", Intune: true, Groups: 120, Policies: 60, Devices: 12, MobileApps: 8,
		Apps: []graphsim.AppSpec{{
			AppID: AppID, Name: "Interlock", Secrets: []graphsim.Secret{{Value: Secret}}, Requested: ReadRoles, Consented: true,
			RedirectURIs: []string{"https://app.example/callback"},
		}},
	}
}

// WriteRoles holds the application permissions to write what the simulator lets be written.
var WriteRoles = []string{
	"DeviceManagementConfiguration.ReadWrite.All", "DeviceManagementApps.ReadWrite.All", "DeviceManagementServiceConfig.ReadWrite.All",
	"DeviceManagementScripts.ReadWrite.All", "DeviceManagementRBAC.ReadWrite.All", "Policy.ReadWrite.ConditionalAccess",
}

// Writer is the tenant of [Spec], whose app may write, too.
func Writer() graphsim.TenantSpec {
	spec := Spec()
	spec.Apps[0].Requested = append(slices.Clone(ReadRoles), WriteRoles...)
	return spec
}

// Start starts a simulator with the given tenants, or with that of [Spec]. It stops when the test
// ends.
func Start(t *testing.T, cfg graphsim.Config, specs ...graphsim.TenantSpec) *Sim {
	t.Helper()
	srv, err := graphsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(specs) == 0 {
		specs = []graphsim.TenantSpec{Spec()}
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
	return &Sim{Server: srv, T: t, HTTP: &http.Client{Transport: tr, CheckRedirect: noRedirect}, API: srv.Control()}
}

// Answer is a complete response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON decodes the body as an object.
func (a Answer) JSON(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.Body, &m); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, a.Body)
	}
	return m
}

// Do sends a request. It does not follow redirects.
func (s *Sim) Do(req *http.Request) (Answer, error) {
	res, err := s.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, body}, err
}

// Request returns a request to a path or URL. header holds names and values in turn.
func (s *Sim) Request(method, path string, body io.Reader, header ...string) *http.Request {
	s.T.Helper()
	if strings.HasPrefix(path, "/") {
		path = s.URL() + path
	}
	req, err := http.NewRequestWithContext(s.T.Context(), method, path, body)
	if err != nil {
		s.T.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// Get reads a Graph URL, with a token unless it is empty.
func (s *Sim) Get(token, path string, header ...string) Answer {
	s.T.Helper()
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	a, err := s.Do(s.Request(http.MethodGet, path, nil, header...))
	if err != nil {
		s.T.Fatalf("GET %s: %v", path, err)
	}
	return a
}

// Send sends a JSON body with a token. header holds names and values in turn.
func (s *Sim) Send(token, method, path, body string, header ...string) Answer {
	s.T.Helper()
	header = append([]string{"Authorization", "Bearer " + token, "Content-Type", "application/json"}, header...)
	a, err := s.Do(s.Request(method, path, strings.NewReader(body), header...))
	if err != nil {
		s.T.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// Written returns what was written to a collection of [TenantID], such as
// deviceManagement/assignmentFilters.
func (s *Sim) Written(collection string) graphsim.Writes {
	s.T.Helper()
	state, err := s.API.Tenant(s.T.Context(), TenantID)
	if err != nil {
		s.T.Fatal(err)
	}
	return state.Writes[collection]
}

// OK reads a Graph URL that must return 200.
func (s *Sim) OK(token, path string, header ...string) map[string]any {
	s.T.Helper()
	a := s.Get(token, path, header...)
	if a.Status != http.StatusOK {
		s.T.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
	}
	return a.JSON(s.T)
}

// Post posts a form.
func (s *Sim) Post(path string, form url.Values, header ...string) Answer {
	s.T.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	a, err := s.Do(s.Request(http.MethodPost, path, strings.NewReader(form.Encode()), header...))
	if err != nil {
		s.T.Fatalf("POST %s: %v", path, err)
	}
	return a
}

// Credentials returns a valid token request with changes: pairs of name and value. An empty value
// removes the field.
func Credentials(change ...string) url.Values {
	v := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {AppID}, "client_secret": {Secret}, "scope": {"https://graph.microsoft.com/.default"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		v.Set(change[i], change[i+1])
		if change[i+1] == "" {
			v.Del(change[i])
		}
	}
	return v
}

// TokenAnswer requests a token with [Credentials].
func (s *Sim) TokenAnswer(change ...string) Answer {
	s.T.Helper()
	return s.Post("/"+TenantID+"/oauth2/v2.0/token", Credentials(change...))
}

// Token returns an access token of the app of [Spec].
func (s *Sim) Token() string {
	s.T.Helper()
	a := s.TokenAnswer()
	tok, _ := a.JSON(s.T)["access_token"].(string)
	if a.Status != http.StatusOK || tok == "" {
		s.T.Fatalf("token: %d %s", a.Status, a.Body)
	}
	return tok
}

// Values returns the items of a list.
func Values(m map[string]any) []map[string]any {
	list, _ := m["value"].([]any)
	out := make([]map[string]any, len(list))
	for i := range list {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

// All follows the next links of a list, verbatim, and returns its items and the last page.
func (s *Sim) All(token, path string) (items []map[string]any, last map[string]any) {
	s.T.Helper()
	for path != "" {
		last = s.OK(token, path)
		items = append(items, Values(last)...)
		path, _ = last["@odata.nextLink"].(string)
	}
	return items, last
}

// ErrorOf returns code and message of a Graph error.
func ErrorOf(t *testing.T, a Answer) (code, message string) {
	t.Helper()
	e, _ := a.JSON(t)["error"].(map[string]any)
	code, _ = e["code"].(string)
	message, _ = e["message"].(string)
	return code, message
}

// DeltaPath is the path of a delta round of groups with their members.
const DeltaPath = "/v1.0/groups/delta?$select=displayName,description,members"

// ClaimsOf returns the payload of a token without verifying it.
func ClaimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// SharedData is the folder of reference data beside the repository, relative to a package of the
// simulator.
const SharedData = "../../../../shared/graph-data"

// Shared returns the path of a reference data file. It skips the test if the file is absent.
func Shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(SharedData, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("../shared/graph-data is absent: %v", err)
	}
	return path
}

// ReadShared decodes a JSON file of the reference data.
func ReadShared(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
