package graphsim

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// graphAppID is the application id of Microsoft Graph itself, in every cloud.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// tokenLife is what the token endpoint grants; expires_in says one second less, as observed.
const tokenLife = time.Hour

// login routes a call to the identity endpoints. The first segment is the tenant.
func (s *Server) login(c *call) *reply {
	name, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	rest = strings.ToLower(strings.TrimSuffix(rest, "/"))
	if rest == "discovery/instance" {
		return s.instanceDiscovery(c)
	}
	switch rest {
	case ".well-known/openid-configuration", "v2.0/.well-known/openid-configuration",
		"discovery/keys", "discovery/v2.0/keys", "oauth2/v2.0/token",
		"adminconsent", "v2.0/adminconsent", "oauth2/v2.0/authorize":
	default:
		return htmlReply(http.StatusNotFound, "<html><body>404 - File or directory not found.</body></html>")
	}
	if strings.HasSuffix(rest, "/keys") || rest == "discovery/keys" {
		return s.jwks(c) // keys are the same for every tenant, known or not
	}
	shared := name == "common" || name == "organizations" || name == "consumers"
	if c.tenant == nil && !shared {
		return c.unknownTenant(name)
	}
	post := rest == "oauth2/v2.0/token"
	consent := strings.HasSuffix(rest, "adminconsent") || strings.HasSuffix(rest, "authorize")
	switch {
	case post && c.Method != http.MethodPost:
		return c.stsError(http.StatusBadRequest, "invalid_request", 900561,
			"The endpoint only accepts POST requests. Received a "+c.Method+" request.")
	case !post && c.Method != http.MethodGet && (!consent || c.Method != http.MethodPost):
		return htmlReply(http.StatusMethodNotAllowed, "<html><body>405 - Method not allowed.</body></html>")
	}
	switch rest {
	case "oauth2/v2.0/token":
		return s.token(c, shared)
	case "adminconsent", "v2.0/adminconsent":
		return s.adminConsent(c, strings.HasPrefix(rest, "v2.0"))
	case "oauth2/v2.0/authorize":
		return s.authorize(c)
	default:
		return s.openIDConfiguration(c, name, strings.HasPrefix(rest, "v2.0"))
	}
}

func (c *call) unknownTenant(name string) *reply {
	if _, err := uuid.Parse(name); err != nil && !domainName.MatchString(strings.ToLower(name)) {
		return c.stsError(http.StatusBadRequest, "invalid_request", 900023,
			fmt.Sprintf("Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.", name))
	}
	return c.stsError(http.StatusBadRequest, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found. "+
		"Check to make sure you have the correct tenant ID and are signing into the correct cloud. "+
		"Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", name))
}

// stsError is an error of the token service. Its description carries the trace lines of the real one.
func (c *call) stsError(status int, code string, number int, text string) *reply {
	correlation := c.clientRequestID
	at := c.at.Format("2006-01-02 15:04:05Z")
	return jsonReplyUTF8(status, object{
		{"error", rawJSON(code)},
		{"error_description", rawJSON(fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", number, text, c.requestID, correlation, at))},
		{"error_codes", rawJSON([]int{number})},
		{"timestamp", rawJSON(at)},
		{"trace_id", rawJSON(c.requestID)},
		{"correlation_id", rawJSON(correlation)},
		{"error_uri", rawJSON(fmt.Sprintf("%s/error?code=%d", c.base, number))},
	})
}

func jsonReplyUTF8(status int, v any) *reply {
	re := jsonReply(status, v)
	re.header.Set("Content-Type", "application/json; charset=utf-8")
	return re
}

func (s *Server) instanceDiscovery(c *call) *reply {
	host := c.Host
	return jsonReplyUTF8(http.StatusOK, object{
		{"tenant_discovery_endpoint", rawJSON(c.base + "/common/v2.0/.well-known/openid-configuration")},
		{"api-version", rawJSON("1.1")},
		{"metadata", rawJSON([]object{{
			{"preferred_network", rawJSON(host)}, {"preferred_cache", rawJSON(host)}, {"aliases", rawJSON([]string{host})},
		}})},
	})
}

func (s *Server) openIDConfiguration(c *call, name string, v2 bool) *reply {
	tid := name
	issuerTenant := "{tenantid}" // common and organizations answer the template, which strict OIDC clients reject
	if c.tenant != nil {
		tid, issuerTenant = c.tenant.id, c.tenant.id
	}
	root := c.base + "/" + tid
	issuer, oauth, keys := c.base+"/"+issuerTenant+"/v2.0", root+"/oauth2/v2.0", root+"/discovery/v2.0/keys"
	if !v2 {
		issuer, oauth, keys = "https://sts.windows.net/"+issuerTenant+"/", root+"/oauth2", root+"/discovery/keys"
		if c.tenant == nil {
			issuer = "https://sts.windows.net/{tenantid}/"
		}
	}
	return jsonReplyUTF8(http.StatusOK, object{
		{"token_endpoint", rawJSON(oauth + "/token")},
		{"token_endpoint_auth_methods_supported", rawJSON([]string{"client_secret_post", "private_key_jwt", "client_secret_basic"})},
		{"jwks_uri", rawJSON(keys)},
		{"response_modes_supported", rawJSON([]string{"query", "fragment", "form_post"})},
		{"subject_types_supported", rawJSON([]string{"pairwise"})},
		{"id_token_signing_alg_values_supported", rawJSON([]string{"RS256"})},
		{"response_types_supported", rawJSON([]string{"code", "id_token", "code id_token", "id_token token"})},
		{"scopes_supported", rawJSON([]string{"openid", "profile", "email", "offline_access"})},
		{"issuer", rawJSON(issuer)},
		{"request_uri_parameter_supported", rawJSON(false)},
		{"userinfo_endpoint", rawJSON(c.base + "/oidc/userinfo")},
		{"authorization_endpoint", rawJSON(oauth + "/authorize")},
		{"device_authorization_endpoint", rawJSON(oauth + "/devicecode")},
		{"http_logout_supported", rawJSON(true)},
		{"frontchannel_logout_supported", rawJSON(true)},
		{"end_session_endpoint", rawJSON(oauth + "/logout")},
		{"claims_supported", rawJSON([]string{
			"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp",
			"iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
		})},
		{"tenant_region_scope", rawJSON("EU")},
		{"cloud_instance_name", rawJSON("microsoftonline.com")},
		{"cloud_graph_host_name", rawJSON("graph.windows.net")},
		{"msgraph_host", rawJSON(c.Host)},
		{"rbac_url", rawJSON("https://pas.windows.net")},
	})
}

func (s *Server) jwks(c *call) *reply {
	pub := s.keys.sign.PublicKey
	b64 := base64.RawURLEncoding.EncodeToString
	key := object{
		{"kty", rawJSON("RSA")},
		{"use", rawJSON("sig")},
		{"alg", rawJSON("RS256")},
		{"kid", rawJSON(s.keys.kid)},
		{"x5t", rawJSON(s.keys.kid)},
		{"n", rawJSON(b64(pub.N.Bytes()))},
		{"e", rawJSON(b64(big.NewInt(int64(pub.E)).Bytes()))},
	}
	if c.tenant != nil {
		key = append(key, field{"issuer", rawJSON(c.base + "/" + c.tenant.id + "/v2.0")})
	}
	return jsonReplyUTF8(http.StatusOK, object{{"keys", rawJSON([]object{key})}})
}

// token answers the token endpoint: client credentials, and the code of a sign-in.
func (s *Server) token(c *call, shared bool) *reply {
	form := c.form
	switch form.Get("grant_type") {
	case "":
		return c.missingParameter("grant_type")
	case "client_credentials":
	case "authorization_code":
		return s.redeemCode(c)
	default:
		return c.stsError(http.StatusBadRequest, "unsupported_grant_type", 70003,
			fmt.Sprintf("The app requested an unsupported grant type '%s'.", form.Get("grant_type")))
	}
	if shared {
		return c.stsError(http.StatusBadRequest, "invalid_request", 50059,
			"No tenant-identifying information found in either the request or implied by any provided credentials.")
	}
	if c.appID == "" {
		return c.missingParameter("client_id")
	}
	if form.Get("scope") == "" {
		return c.missingParameter("scope")
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	a := t.app(c.appID)
	if re := c.scopeError(form.Get("scope")); re != nil {
		return re
	}
	// The real service names the missing app before it judges the credential.
	if a == nil || !a.principal(c.at) {
		return c.stsError(http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. "+
			"This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "+
			"You may have sent your authentication request to the wrong tenant.", c.appID, t.spec.DisplayName))
	}
	acr, re := s.clientCredential(c, a)
	if re != nil {
		return re
	}
	if re := c.principalError(a); re != nil {
		return re
	}
	audience := strings.TrimSuffix(graphScope(form.Get("scope")), "/.default")
	raw, err := s.keys.issue(claims{
		Audience: audience, AppName: a.Name, AppID: a.AppID, AuthMethod: acr, IDType: "app",
		ObjectID: a.objectID, Subject: a.objectID, Roles: slices.Clone(a.Roles), Tenant: t.id, Generation: a.generation,
	}, c.at)
	if err != nil {
		return c.stsError(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	return tokenReply(object{{"access_token", rawJSON(raw)}})
}

func tokenReply(extra object) *reply {
	life := int(tokenLife/time.Second) - 1
	return jsonReplyUTF8(http.StatusOK, append(object{
		{"token_type", rawJSON("Bearer")}, {"expires_in", rawJSON(life)}, {"ext_expires_in", rawJSON(life)},
	}, extra...))
}

func (c *call) missingParameter(name string) *reply {
	return c.stsError(http.StatusBadRequest, "invalid_request", 900144,
		"The request body must contain the following parameter: '"+name+"'.")
}

func (c *call) principalError(a *app) *reply {
	switch {
	case a.Disabled:
		return c.stsError(http.StatusBadRequest, "unauthorized_client", 7000112,
			fmt.Sprintf("Application '%s'(%s) is disabled.", a.AppID, a.Name))
	case a.Blocked:
		return c.stsError(http.StatusBadRequest, "invalid_grant", 53003,
			"Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
	}
	return nil
}

// graphScope picks the resource out of a scope list, past the OpenID scopes that azidentity adds (observed).
func graphScope(scope string) string {
	for _, s := range strings.Fields(scope) {
		if strings.HasSuffix(s, "/.default") {
			return s
		}
	}
	return ""
}

var nationalGraph = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn", graphAppID,
}

func (c *call) graphAudience(aud string) bool {
	aud = strings.TrimSuffix(aud, "/")
	return aud == c.base || slices.Contains(nationalGraph, aud)
}

func (c *call) scopeError(scope string) *reply {
	resource := strings.TrimSuffix(graphScope(scope), "/.default")
	others := slices.DeleteFunc(strings.Fields(scope), func(s string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile", "email"}, s)
	})
	if len(others) != 1 || resource == "" {
		return c.stsError(http.StatusBadRequest, "invalid_scope", 70011,
			"The provided value for the input parameter 'scope' is not valid. The scope "+scope+" is not valid.")
	}
	if !c.graphAudience(resource) {
		return c.stsError(http.StatusBadRequest, "invalid_resource", 500011,
			fmt.Sprintf("The resource principal named %s was not found in the tenant named %s.", resource, c.tenant.spec.DisplayName))
	}
	return nil
}

// clientCredential checks the secret or the assertion; it returns the appidacr claim: "1" secret, "2" certificate.
func (s *Server) clientCredential(c *call, a *app) (string, *reply) {
	if c.form.Get("client_assertion") != "" || c.form.Get("client_assertion_type") != "" {
		return "2", s.checkAssertion(c, a)
	}
	secret := c.form.Get("client_secret")
	if _, pass, ok := c.BasicAuth(); ok {
		secret = formDecode(pass)
	}
	if secret == "" {
		return "", c.stsError(http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
	for _, known := range a.Secrets {
		if subtle.ConstantTimeCompare([]byte(known.Value), []byte(secret)) != 1 {
			continue
		}
		if !known.Expires.IsZero() && !c.at.Before(known.Expires) {
			return "", c.stsError(http.StatusUnauthorized, "invalid_client", 7000222, fmt.Sprintf("The provided client secret keys for app '%s' are expired. "+
				"Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, "+
				"or consider using certificate credentials for added security: https://aka.ms/certCreds.", a.AppID))
		}
		return "1", nil
	}
	return "", c.stsError(http.StatusUnauthorized, "invalid_client", 7000215, fmt.Sprintf("Invalid client secret provided. "+
		"Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", a.AppID))
}

// formDecode undoes the form encoding that RFC 6749 section 2.3.1 asks of Basic credentials; clients that skip it pass too.
func formDecode(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

var tokenEndpoint = regexp.MustCompile(`^(https?://[^/]+)/([^/]+)/(?:oauth2/v2\.0/token|oauth2/token|v2\.0/?)$`)

// ownEndpoint reports whether aud is the token endpoint (or issuer) of this tenant, by any of its names.
func (c *call) ownEndpoint(aud string) bool {
	m := tokenEndpoint.FindStringSubmatch(aud)
	return m != nil && strings.EqualFold(m[1], c.base) && c.srv.tenant(m[2]) == c.tenant
}
