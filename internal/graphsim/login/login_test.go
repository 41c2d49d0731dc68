package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestTokenClaims(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	a := s.TokenAnswer("scope", "https://graph.microsoft.com/.default openid offline_access profile", "claims", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, "client_info", "1")
	body := a.JSON(t)
	if a.Status != http.StatusOK || body["token_type"] != "Bearer" || body["expires_in"] != 3599.0 || body["refresh_token"] != nil {
		t.Fatalf("%d %v", a.Status, body)
	}
	c := simtest.ClaimsOf(t, body["access_token"].(string))
	for name, want := range map[string]any{
		"aud": "https://graph.microsoft.com", "tid": simtest.TenantID, "appid": simtest.AppID, "appidacr": "1", "idtyp": "app", "ver": "1.0",
		"iss": "https://sts.windows.net/" + simtest.TenantID + "/", "app_displayname": "Interlock",
	} {
		if c[name] != want {
			t.Errorf("%s = %v, want %v", name, c[name], want)
		}
	}
	roles, _ := c["roles"].([]any)
	if len(roles) != len(simtest.ReadRoles) || c["oid"] == "" || c["oid"] != c["sub"] {
		t.Errorf("roles %v, oid %v, sub %v", roles, c["oid"], c["sub"])
	}
	basic := base64.StdEncoding.EncodeToString([]byte(simtest.AppID + ":" + url.QueryEscape(simtest.Secret)))
	if a := s.Post("/contoso.example/oauth2/v2.0/token", simtest.Credentials("client_id", "", "client_secret", ""), "Authorization", "Basic "+basic); a.Status != http.StatusOK {
		t.Errorf("Basic credentials, by domain: %d %s", a.Status, a.Body)
	}
	if a := s.Post("/"+simtest.TenantID+"/oauth2/v2.0/token?client_secret="+url.QueryEscape(simtest.Secret), simtest.Credentials("client_secret", "")); a.Status != http.StatusUnauthorized {
		t.Errorf("a secret in the address is taken: %d", a.Status)
	}
}

// tokenErrors are the errors of the token endpoint that a single request can cause.
var tokenErrors = []struct {
	id     string
	tenant string
	change []string
	before func(*simtest.Sim) error
}{
	{id: "AADSTS7000215", change: []string{"client_secret", "wrong"}},
	{id: "AADSTS7000222", before: func(s *simtest.Sim) error { return s.API.ExpireSecrets(s.T.Context(), simtest.TenantID, simtest.AppID) }},
	{id: "AADSTS700016", before: func(s *simtest.Sim) error {
		return s.API.RemovePrincipal(s.T.Context(), simtest.TenantID, simtest.AppID)
	}},
	{id: "AADSTS90002", tenant: "deadbeef-0000-4000-8000-000000000000"},
	{id: "AADSTS900023", tenant: "no_such_thing"},
	{id: "AADSTS53003", before: func(s *simtest.Sim) error {
		yes := true
		return s.API.PatchApp(s.T.Context(), simtest.TenantID, simtest.AppID, graphsim.AppPatch{Blocked: &yes})
	}},
	{id: "AADSTS7000112", before: func(s *simtest.Sim) error {
		return s.API.DisableApp(s.T.Context(), simtest.TenantID, simtest.AppID, true)
	}},
	{id: "AADSTS500011", change: []string{"scope", "https://elsewhere.example/.default"}},
	{id: "AADSTS70011", change: []string{"scope", "https://graph.microsoft.com/User.Read"}},
	{id: "AADSTS7000218", change: []string{"client_secret", ""}},
	{id: "AADSTS900144", change: []string{"grant_type", ""}},
	{id: "AADSTS90055", before: func(s *simtest.Sim) error {
		_, err := s.API.AddFault(s.T.Context(), graphsim.Fault{Path: "/*/oauth2/v2.0/token", Action: graphsim.Action{Kind: graphsim.ActError, Status: 503}})
		return err
	}},
}

// TestTokenErrorsEqualTheCollectedOnes compares status and body with responses collected from
// documentation and issue reports.
func TestTokenErrorsEqualTheCollectedOnes(t *testing.T) {
	var file struct {
		Errors []struct {
			ID     string         `json:"id"`
			Status int            `json:"status"`
			Body   map[string]any `json:"body"`
		} `json:"errors"`
	}
	simtest.ReadShared(t, "examples/token-endpoint.json", &file)
	covered := map[string]bool{"AADSTS65001": true, "AADSTS700027": true} // delegated only; needs a certificate: TestCertificates
	for _, tc := range tokenErrors {
		covered[tc.id] = true
		t.Run(tc.id, func(t *testing.T) {
			i := slices.IndexFunc(file.Errors, func(e struct {
				ID     string         `json:"id"`
				Status int            `json:"status"`
				Body   map[string]any `json:"body"`
			},
			) bool {
				return e.ID == tc.id
			})
			if i < 0 {
				t.Fatal("not among the collected ones")
			}
			want := file.Errors[i]
			s := simtest.Start(t, graphsim.Config{})
			if tc.before != nil {
				if err := tc.before(s); err != nil {
					t.Fatal(err)
				}
			}
			tenant := simtest.TenantID
			if tc.tenant != "" {
				tenant = tc.tenant
			}
			correlation := uuid.NewString()
			a := s.Post("/"+tenant+"/oauth2/v2.0/token", simtest.Credentials(tc.change...), "client-request-id", correlation)
			body := a.JSON(t)
			if a.Status != want.Status {
				t.Errorf("status %d, want %d", a.Status, want.Status)
			}
			fill := strings.NewReplacer("{{appid}}", simtest.AppID, "{{appname}}", "Interlock", "{{tenant-name}}", "Contoso", "{{tenant}}", tenant,
				"{{trace-id}}", body["trace_id"].(string), "{{correlation-id}}", correlation, "{{timestamp}}", body["timestamp"].(string),
				"{{resource}}", "https://elsewhere.example", "{{scope}}", "https://graph.microsoft.com/User.Read", "https://login.microsoftonline.com", s.URL())
			for name, v := range want.Body {
				got, _ := json.Marshal(body[name])
				wanted, _ := json.Marshal(v)
				if string(got) != fill.Replace(string(wanted)) {
					t.Errorf("%s:\n got %s\nwant %s", name, got, fill.Replace(string(wanted)))
				}
			}
			if len(body) != len(want.Body) {
				t.Errorf("%d fields, want %d", len(body), len(want.Body))
			}
		})
	}
	for _, e := range file.Errors {
		if !covered[e.ID] {
			t.Errorf("%s is not tried", e.ID)
		}
	}
}

func TestConsentStates(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	ctx := t.Context()
	old := s.Token()
	if err := s.API.RevokeConsent(ctx, simtest.TenantID, simtest.AppID); err != nil {
		t.Fatal(err)
	}
	c := simtest.ClaimsOf(t, s.Token())
	if _, has := c["roles"]; has {
		t.Errorf("roles = %v after the revoke, want none at all", c["roles"])
	}
	if a := s.Get(old, "/v1.0/groups"); a.Status != http.StatusOK {
		t.Errorf("a token from before the revoke: %d, its roles are frozen", a.Status)
	}
	if a := s.Get(s.Token(), "/v1.0/groups"); a.Status != http.StatusForbidden {
		t.Errorf("a token from after the revoke: %d", a.Status)
	}
	if err := s.API.SetRoles(ctx, simtest.TenantID, simtest.AppID, "Group.Read.All"); err != nil {
		t.Fatal(err)
	}
	if a := s.Get(s.Token(), "/v1.0/groups"); a.Status != http.StatusOK {
		t.Errorf("after a new grant: %d", a.Status)
	}
	if err := s.API.RemovePrincipal(ctx, simtest.TenantID, simtest.AppID); err != nil {
		t.Fatal(err)
	}
	a := s.Get(old, "/v1.0/groups")
	if code, _ := simtest.ErrorOf(t, a); a.Status != http.StatusUnauthorized || code != "Authorization_IdentityNotFound" {
		t.Errorf("an old token without a principal: %d %s", a.Status, code)
	}
	yes := true
	if err := s.API.PatchApp(ctx, simtest.TenantID, simtest.AppID, graphsim.AppPatch{Consented: &yes, DelayMS: 60_000}); err != nil {
		t.Fatal(err)
	}
	if a := s.TokenAnswer(); a.Status != http.StatusBadRequest {
		t.Errorf("consent acts before its delay: %d", a.Status)
	}
	if err := s.API.SetClock(ctx, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Token()
	if err := s.API.SetSecret(ctx, simtest.TenantID, simtest.AppID, "another", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if a := s.TokenAnswer(); a.Status != http.StatusUnauthorized {
		t.Errorf("the replaced secret: %d", a.Status)
	}
	if a := s.TokenAnswer("client_secret", "another"); a.Status != http.StatusOK {
		t.Errorf("the new secret: %d", a.Status)
	}
	if err := s.API.SetRoles(ctx, simtest.TenantID, simtest.AppID, "Made.Up"); err == nil {
		t.Error("an unknown permission can be granted")
	}
}

func TestDiscovery(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	for path, issuer := range map[string]string{
		"/" + simtest.TenantID + "/v2.0/.well-known/openid-configuration?": s.URL() + "/" + simtest.TenantID + "/v2.0",
		"/contoso.example/v2.0/.well-known/openid-configuration":           s.URL() + "/" + simtest.TenantID + "/v2.0",
		"/" + simtest.TenantID + "/.well-known/openid-configuration":       "https://sts.windows.net/" + simtest.TenantID + "/",
		"/common/v2.0/.well-known/openid-configuration":                    s.URL() + "/{tenantid}/v2.0",
		"/organizations/v2.0/.well-known/openid-configuration":             s.URL() + "/{tenantid}/v2.0",
	} {
		m := s.Get("", path).JSON(t)
		if m["issuer"] != issuer {
			t.Errorf("%s: issuer %v, want %s", path, m["issuer"], issuer)
		}
		if a := s.Get("", m["jwks_uri"].(string)); a.Status != http.StatusOK {
			t.Errorf("%s: keys: %d", path, a.Status)
		}
	}
	for path, want := range map[string]int{
		"/deadbeef-0000-4000-8000-000000000000/v2.0/.well-known/openid-configuration": 90002,
		"/fabrikam.example/v2.0/.well-known/openid-configuration":                     90002,
		"/not_a_domain/v2.0/.well-known/openid-configuration":                         900023,
	} {
		a := s.Get("", path)
		codes, _ := a.JSON(t)["error_codes"].([]any)
		if a.Status != http.StatusBadRequest || len(codes) != 1 || codes[0] != float64(want) {
			t.Errorf("%s: %d %v", path, a.Status, codes)
		}
	}
	m := s.Get("", "/common/discovery/instance?api-version=1.1&authorization_endpoint=x").JSON(t)
	if m["tenant_discovery_endpoint"] == nil || m["metadata"] == nil {
		t.Errorf("instance discovery = %v", m)
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(s.Get("", "/common/discovery/v2.0/keys").Body, &keys); err != nil {
		t.Fatal(err)
	}
	tok, err := jwt.ParseSigned(s.Token(), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var c jwt.Claims
	if err := tok.Claims(keys.Key(tok.Headers[0].KeyID)[0].Key, &c); err != nil {
		t.Errorf("the published key does not verify the token: %v", err)
	}
	if a := s.Get("", "/"+simtest.TenantID+"/nowhere"); a.Status != http.StatusNotFound {
		t.Errorf("an unknown endpoint: %d", a.Status)
	}
	if a := s.Get("", "/"+simtest.TenantID+"/oauth2/v2.0/token"); a.Status != http.StatusBadRequest {
		t.Errorf("GET on the token endpoint: %d", a.Status)
	}
}

var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func certificate(t *testing.T, key any, public any, until time.Time) (*x509.Certificate, string) {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Interlock"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificates(t *testing.T) {
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, text := certificate(t, key, key.Public(), time.Now().Add(time.Hour))
	old, oldText := certificate(t, key, key.Public(), time.Now().Add(-time.Hour))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecCert, ecText := certificate(t, ec, ec.Public(), time.Now().Add(time.Hour))
	sp := simtest.Spec()
	sp.Apps[0].Certificates = []string{text, oldText, ecText}
	s := simtest.Start(t, graphsim.Config{}, sp)
	endpoint := s.URL() + "/" + simtest.TenantID + "/oauth2/v2.0/token"
	s256, s1, oldSum, ecSum := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw), sha256.Sum256(old.Raw), sha256.Sum256(ecCert.Raw)
	standard := base64.StdEncoding.EncodeToString(s256[:])
	type assertion struct {
		alg    jose.SignatureAlgorithm
		header map[jose.HeaderKey]string
		change func(*jwt.Claims)
	}
	named := map[jose.HeaderKey]string{"x5t#S256": standard}
	for name, tc := range map[string]struct {
		assertion
		want int // 0 is a token
	}{
		"standard base64":     {assertion{jose.PS256, named, nil}, 0},
		"base64url":           {assertion{jose.PS256, map[jose.HeaderKey]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(s256[:])}, nil}, 0},
		"RS256 and SHA-1":     {assertion{jose.RS256, map[jose.HeaderKey]string{"x5t": base64.RawURLEncoding.EncodeToString(s1[:])}, nil}, 0},
		"by domain":           {assertion{jose.PS256, named, func(c *jwt.Claims) { c.Audience = jwt.Audience{s.URL() + "/contoso.example/oauth2/v2.0/token"} }}, 0},
		"no thumbprint":       {assertion{jose.PS256, nil, nil}, 700027},
		"expired certificate": {assertion{jose.PS256, map[jose.HeaderKey]string{"x5t#S256": base64.StdEncoding.EncodeToString(oldSum[:])}, nil}, 700027},
		"EC certificate":      {assertion{jose.PS256, map[jose.HeaderKey]string{"x5t#S256": base64.StdEncoding.EncodeToString(ecSum[:])}, nil}, 700027},
		"other audience": {assertion{jose.PS256, named, func(c *jwt.Claims) {
			c.Audience = jwt.Audience{"https://login.microsoftonline.com/x/oauth2/v2.0/token"}
		}}, 700023},
		"other issuer":  {assertion{jose.PS256, named, func(c *jwt.Claims) { c.Issuer = simtest.TenantID }}, 700021},
		"other subject": {assertion{jose.PS256, named, func(c *jwt.Claims) { c.Subject = simtest.TenantID }}, 700021},
		"expired":       {assertion{jose.PS256, named, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Now().Add(-10 * time.Minute)) }}, 700024},
		"not yet":       {assertion{jose.PS256, named, func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(time.Now().Add(time.Hour)) }}, 700024},
		"no id":         {assertion{jose.PS256, named, func(c *jwt.Claims) { c.ID = "" }}, 50013},
	} {
		t.Run(name, func(t *testing.T) {
			opts := (&jose.SignerOptions{}).WithType("JWT")
			for k, v := range tc.header {
				opts = opts.WithHeader(k, v)
			}
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: tc.alg, Key: key}, opts)
			if err != nil {
				t.Fatal(err)
			}
			c := jwt.Claims{
				Issuer: simtest.AppID, Subject: simtest.AppID, Audience: jwt.Audience{endpoint}, ID: uuid.NewString(),
				NotBefore: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(10 * time.Minute)),
			}
			if tc.change != nil {
				tc.change(&c)
			}
			raw, err := jwt.Signed(signer).Claims(c).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			change := []string{"client_secret", "", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", raw}
			a := s.TokenAnswer(change...)
			if tc.want == 0 {
				if a.Status != http.StatusOK || simtest.ClaimsOf(t, a.JSON(t)["access_token"].(string))["appidacr"] != "2" {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				if a := s.TokenAnswer(change...); a.Status != http.StatusUnauthorized {
					t.Errorf("the same assertion again: %d", a.Status)
				}
				return
			}
			codes, _ := a.JSON(t)["error_codes"].([]any)
			if a.Status != http.StatusUnauthorized || len(codes) != 1 || codes[0] != float64(tc.want) {
				t.Errorf("%d %s, want %d", a.Status, a.Body, tc.want)
			}
		})
	}
	for name, change := range map[string][]string{
		"no JWT":     {"client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"other type": {"client_assertion", "x.y.z", "client_assertion_type", "saml"},
	} {
		if a := s.TokenAnswer(append(change, "client_secret", "")...); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
}

func TestAdminConsent(t *testing.T) {
	sp := simtest.Spec()
	sp.Apps[0].Consented = false
	s := simtest.Start(t, graphsim.Config{}, sp)
	base := "?client_id=" + simtest.AppID + "&state=s%26t&redirect_uri=" + url.QueryEscape("https://app.example/callback")
	scope := "&scope=" + url.QueryEscape("https://graph.microsoft.com/.default")
	location := func(a simtest.Answer) url.Values {
		t.Helper()
		u, err := url.Parse(a.Header.Get("Location"))
		if a.Status != http.StatusFound || err != nil || u.Host != "app.example" {
			t.Fatalf("%d, Location %q", a.Status, a.Header.Get("Location"))
		}
		return u.Query()
	}
	q := location(s.Get("", "/"+simtest.TenantID+"/v2.0/adminconsent"+base+scope+"&_sim=cancel"))
	if q.Get("admin_consent") != "True" || q.Get("error") != "consent_required" || q.Get("state") != "s&t" || !strings.Contains(q.Get("error_description"), "AADSTS65004") {
		t.Errorf("refused, v2: %v", q)
	}
	if q := location(s.Get("", "/"+simtest.TenantID+"/adminconsent"+base+"&_sim=cancel")); q.Get("error") != "permission_denied" || q.Has("admin_consent") {
		t.Errorf("refused, v1: %v", q)
	}
	if a := s.TokenAnswer(); a.Status != http.StatusBadRequest {
		t.Fatalf("a token before consent: %d", a.Status)
	}
	if a := s.Get("", "/"+simtest.TenantID+"/v2.0/adminconsent"+base+scope); a.Status != http.StatusOK || !strings.Contains(string(a.Body), "Group.Read.All") || !strings.Contains(string(a.Body), ">Cancel<") {
		t.Errorf("page: %d %s", a.Status, a.Body)
	}
	q = location(s.Post("/"+simtest.TenantID+"/v2.0/adminconsent"+base+scope, url.Values{"decision": {"accept"}}))
	if q.Get("admin_consent") != "True" || q.Get("tenant") != simtest.TenantID || q.Get("scope") == "" || q.Has("error") {
		t.Errorf("accepted: %v", q)
	}
	s.Token()
	for name, path := range map[string]string{
		"address":      "/" + simtest.TenantID + "/adminconsent?client_id=" + simtest.AppID + "&redirect_uri=https://evil.example/&_sim=accept",
		"app":          "/" + simtest.TenantID + "/adminconsent?client_id=" + simtest.TenantID + "&redirect_uri=https://app.example/callback&_sim=accept",
		"scope":        "/" + simtest.TenantID + "/v2.0/adminconsent" + base + "&_sim=accept&scope=User.Read",
		"html address": "/" + simtest.TenantID + "/adminconsent?client_id=" + simtest.AppID + "&redirect_uri=%3Cscript%3E&_sim=accept",
	} {
		if a := s.Get("", path); a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" || strings.Contains(string(a.Body), "<script>") {
			t.Errorf("unregistered %s: %d %q", name, a.Status, a.Header.Get("Location"))
		}
	}
	if a := s.Get("", "/organizations/v2.0/adminconsent"+base+scope); !strings.Contains(string(a.Body), "Contoso") {
		t.Errorf("organizations: no choice of directory: %s", a.Body)
	}
	if q := location(s.Post("/organizations/v2.0/adminconsent"+base+scope, url.Values{"tenant": {simtest.TenantID}, "decision": {"accept"}})); q.Get("tenant") != simtest.TenantID {
		t.Errorf("organizations: %v", q)
	}
}

func TestSignIn(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	verifier := "a-verifier-of-more-than-forty-three-characters-0123456789"
	sum := sha256.Sum256([]byte(verifier))
	authorize := "/" + simtest.TenantID + "/oauth2/v2.0/authorize?response_type=code&nonce=n1&state=s1&scope=openid&code_challenge_method=S256&code_challenge=" +
		base64.RawURLEncoding.EncodeToString(sum[:]) + "&client_id=" + simtest.AppID + "&redirect_uri=" + url.QueryEscape("https://app.example/callback")
	code := func(extra string) string {
		t.Helper()
		a := s.Get("", authorize+extra)
		u, err := url.Parse(a.Header.Get("Location"))
		if err != nil || u.Query().Get("code") == "" || u.Query().Get("state") != "s1" {
			t.Fatalf("%d %s %q", a.Status, a.Body, a.Header.Get("Location"))
		}
		return u.Query().Get("code")
	}
	redeem := func(code, verifier string) simtest.Answer {
		return s.TokenAnswer("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", "https://app.example/callback")
	}
	if a := s.Get("", authorize); !strings.Contains(string(a.Body), "@contoso.example") {
		t.Errorf("no accounts to pick: %s", a.Body)
	}
	if a := redeem(code("&_sim=accept"), "wrong"); a.Status != http.StatusBadRequest {
		t.Errorf("a wrong verifier: %d", a.Status)
	}
	first := code("&_sim=accept&login_hint=ben.becker@contoso.example")
	a := redeem(first, verifier)
	body := a.JSON(t)
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := simtest.ClaimsOf(t, body["id_token"].(string))
	if id["nonce"] != "n1" || id["aud"] != simtest.AppID || id["iss"] != s.URL()+"/"+simtest.TenantID+"/v2.0" || id["preferred_username"] != "ben.becker@contoso.example" {
		t.Errorf("ID token: %v", id)
	}
	me := s.OK(body["access_token"].(string), "/oidc/userinfo")
	if me["sub"] != id["sub"] || me["name"] != "Ben Becker" {
		t.Errorf("userinfo: %v", me)
	}
	if a := redeem(first, verifier); a.Status != http.StatusBadRequest {
		t.Errorf("a code used twice: %d", a.Status)
	}
	if a := s.Get("", authorize+"&_sim=cancel"); !strings.Contains(a.Header.Get("Location"), "access_denied") {
		t.Errorf("refused: %q", a.Header.Get("Location"))
	}
	if a := s.Get(s.Token(), "/oidc/userinfo"); a.Status != http.StatusForbidden {
		t.Errorf("userinfo for an app: %d", a.Status)
	}
}

// Tokens of another issuer are accepted if a federated credential of the app has exactly their
// issuer, subject and audience.
func TestFederatedCredentials(t *testing.T) {
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	sp := simtest.Spec()
	sp.Apps[0].Federated = []graphsim.FederatedCredential{
		{Issuer: "https://cluster.example", Subject: "another", Audiences: []string{"api://AzureADTokenExchange"}, Keys: keys},
		{Issuer: "https://cluster.example", Subject: "interlock", Audiences: []string{"api://AzureADTokenExchange"}, Keys: keys},
	}
	s := simtest.Start(t, graphsim.Config{}, sp)
	for name, tc := range map[string]struct {
		key    *rsa.PrivateKey
		kid    string
		change func(*jwt.Claims)
		want   int // 0 is a token
	}{
		"as configured":  {key, "k1", nil, 0},
		"other issuer":   {key, "k1", func(c *jwt.Claims) { c.Issuer += "/" }, 700211},
		"other subject":  {key, "k1", func(c *jwt.Claims) { c.Subject = "Interlock" }, 700213},
		"other audience": {key, "k1", func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://graph.microsoft.com"} }, 700212},
		"two audiences":  {key, "k1", func(c *jwt.Claims) { c.Audience = append(c.Audience, "x") }, 700212},
		"other key":      {other, "k1", nil, 50013},
		"unknown key":    {key, "k2", nil, 50013},
		"expired":        {key, "k1", func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Now().Add(-10 * time.Minute)) }, 700024},
		"no expiry":      {key, "k1", func(c *jwt.Claims) { c.Expiry = nil }, 700024},
		"not yet":        {key, "k1", func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(time.Now().Add(time.Hour)) }, 700024},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: tc.key, KeyID: tc.kid}}, (&jose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				t.Fatal(err)
			}
			c := jwt.Claims{
				Issuer: "https://cluster.example", Subject: "interlock", Audience: jwt.Audience{"api://AzureADTokenExchange"},
				Expiry: jwt.NewNumericDate(time.Now().Add(10 * time.Minute)),
			}
			if tc.change != nil {
				tc.change(&c)
			}
			raw, err := jwt.Signed(signer).Claims(c).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			ask := func() simtest.Answer {
				return s.TokenAnswer("client_secret", "", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", raw)
			}
			a := ask()
			if tc.want == 0 {
				if again := ask(); a.Status != http.StatusOK || again.Status != http.StatusOK { // a platform's token is used many times
					t.Errorf("%d %s, then %d", a.Status, a.Body, again.Status)
				}
				return
			}
			codes, _ := a.JSON(t)["error_codes"].([]any)
			if a.Status != http.StatusUnauthorized || len(codes) != 1 || codes[0] != float64(tc.want) {
				t.Errorf("%d %s, want %d", a.Status, a.Body, tc.want)
			}
		})
	}
}
