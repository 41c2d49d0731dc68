// Package login simulates the Entra login service: discovery, signing keys, the token
// endpoint, admin consent and sign-in. It also holds the simulator's keys.
package login

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

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Service serves calls to the login service. It is safe for concurrent use.
type Service struct {
	Keys   *Keyring
	Estate *estate.Estate

	codes codeStore
	jtis  replayGuard
}

// Answer serves a call. The first path segment is the tenant.
func (s *Service) Answer(c *wire.Call) *wire.Reply {
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
		return wire.HTMLReply(http.StatusNotFound, "<html><body>404 - File or directory not found.</body></html>")
	}
	if strings.HasSuffix(rest, "/keys") || rest == "discovery/keys" {
		return s.jwks(c) // the keys are the same for every tenant, even an unknown one
	}
	shared := name == "common" || name == "organizations" || name == "consumers"
	if c.Tenant == nil && !shared {
		return unknownTenant(c, name)
	}
	post := rest == "oauth2/v2.0/token"
	consent := strings.HasSuffix(rest, "adminconsent") || strings.HasSuffix(rest, "authorize")
	switch {
	case post && c.Method != http.MethodPost:
		return c.StsError(http.StatusBadRequest, "invalid_request", 900561,
			"The endpoint only accepts POST requests. Received a "+c.Method+" request.")
	case !post && c.Method != http.MethodGet && (!consent || c.Method != http.MethodPost):
		return wire.HTMLReply(http.StatusMethodNotAllowed, "<html><body>405 - Method not allowed.</body></html>")
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

func unknownTenant(c *wire.Call, name string) *wire.Reply {
	if _, err := uuid.Parse(name); err != nil && !estate.DomainName.MatchString(strings.ToLower(name)) {
		return c.StsError(http.StatusBadRequest, "invalid_request", 900023,
			fmt.Sprintf("Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.", name))
	}
	return c.StsError(http.StatusBadRequest, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found. "+
		"Check to make sure you have the correct tenant ID and are signing into the correct cloud. "+
		"Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", name))
}

func (s *Service) instanceDiscovery(c *wire.Call) *wire.Reply {
	host := c.Host
	return wire.JSONReplyUTF8(http.StatusOK, odata.Object{
		odata.F("tenant_discovery_endpoint", c.Base+"/common/v2.0/.well-known/openid-configuration"),
		odata.F("api-version", "1.1"),
		odata.F("metadata", []odata.Object{{
			odata.F("preferred_network", host), odata.F("preferred_cache", host), odata.F("aliases", []string{host}),
		}}),
	})
}

func (s *Service) openIDConfiguration(c *wire.Call, name string, v2 bool) *wire.Reply {
	tid := name
	issuerTenant := "{tenantid}" // common and organizations return the template, which strict OIDC clients reject
	if c.Tenant != nil {
		tid, issuerTenant = c.Tenant.ID, c.Tenant.ID
	}
	root := c.Base + "/" + tid
	issuer, oauth, keys := c.Base+"/"+issuerTenant+"/v2.0", root+"/oauth2/v2.0", root+"/discovery/v2.0/keys"
	if !v2 {
		issuer, oauth, keys = "https://sts.windows.net/"+issuerTenant+"/", root+"/oauth2", root+"/discovery/keys"
		if c.Tenant == nil {
			issuer = "https://sts.windows.net/{tenantid}/"
		}
	}
	return wire.JSONReplyUTF8(http.StatusOK, odata.Object{
		odata.F("token_endpoint", oauth+"/token"),
		odata.F("token_endpoint_auth_methods_supported", []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}),
		odata.F("jwks_uri", keys),
		odata.F("response_modes_supported", []string{"query", "fragment", "form_post"}),
		odata.F("subject_types_supported", []string{"pairwise"}),
		odata.F("id_token_signing_alg_values_supported", []string{"RS256"}),
		odata.F("response_types_supported", []string{"code", "id_token", "code id_token", "id_token token"}),
		odata.F("scopes_supported", []string{"openid", "profile", "email", "offline_access"}),
		odata.F("issuer", issuer),
		odata.F("request_uri_parameter_supported", false),
		odata.F("userinfo_endpoint", c.Base+"/oidc/userinfo"),
		odata.F("authorization_endpoint", oauth+"/authorize"),
		odata.F("device_authorization_endpoint", oauth+"/devicecode"),
		odata.F("http_logout_supported", true),
		odata.F("frontchannel_logout_supported", true),
		odata.F("end_session_endpoint", oauth+"/logout"),
		odata.F("claims_supported", []string{
			"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp",
			"iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
		}),
		odata.F("tenant_region_scope", "EU"),
		odata.F("cloud_instance_name", "microsoftonline.com"),
		odata.F("cloud_graph_host_name", "graph.windows.net"),
		odata.F("msgraph_host", c.Host),
		odata.F("rbac_url", "https://pas.windows.net"),
	})
}

func (s *Service) jwks(c *wire.Call) *wire.Reply {
	pub := s.Keys.sign.PublicKey
	b64 := base64.RawURLEncoding.EncodeToString
	key := odata.Object{
		odata.F("kty", "RSA"),
		odata.F("use", "sig"),
		odata.F("alg", "RS256"),
		odata.F("kid", s.Keys.kid),
		odata.F("x5t", s.Keys.kid),
		odata.F("n", b64(pub.N.Bytes())),
		odata.F("e", b64(big.NewInt(int64(pub.E)).Bytes())),
	}
	if c.Tenant != nil {
		key = append(key, odata.F("issuer", c.Base+"/"+c.Tenant.ID+"/v2.0"))
	}
	return wire.JSONReplyUTF8(http.StatusOK, odata.Object{odata.F("keys", []odata.Object{key})})
}

// token serves the token endpoint: client credentials and authorization codes.
func (s *Service) token(c *wire.Call, shared bool) *wire.Reply {
	form := c.Params
	switch form.Get("grant_type") {
	case "":
		return missingParameter(c, "grant_type")
	case "client_credentials":
	case "authorization_code":
		return s.redeemCode(c)
	default:
		return c.StsError(http.StatusBadRequest, "unsupported_grant_type", 70003,
			fmt.Sprintf("The app requested an unsupported grant type '%s'.", form.Get("grant_type")))
	}
	if shared {
		return c.StsError(http.StatusBadRequest, "invalid_request", 50059,
			"No tenant-identifying information found in either the request or implied by any provided credentials.")
	}
	if c.AppID == "" {
		return missingParameter(c, "client_id")
	}
	if form.Get("scope") == "" {
		return missingParameter(c, "scope")
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	a := t.App(c.AppID)
	if re := scopeError(c, form.Get("scope")); re != nil {
		return re
	}
	// The real service checks the app before the credential.
	if a == nil || !a.Principal(c.At) {
		return c.StsError(http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. "+
			"This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "+
			"You may have sent your authentication request to the wrong tenant.", c.AppID, t.Spec.DisplayName))
	}
	acr, re := s.clientCredential(c, a)
	if re != nil {
		return re
	}
	if re := principalError(c, a); re != nil {
		return re
	}
	audience := strings.TrimSuffix(graphScope(form.Get("scope")), "/.default")
	raw, err := s.Keys.issue(wire.Claims{
		Audience: audience, AppName: a.Name, AppID: a.AppID, AuthMethod: acr, IDType: "app",
		ObjectID: a.ObjectID, Subject: a.ObjectID, Roles: slices.Clone(a.Roles), Tenant: t.ID, Generation: a.Generation,
	}, c.At)
	if err != nil {
		return c.StsError(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	return tokenReply(odata.Object{odata.F("access_token", raw)})
}

func tokenReply(extra odata.Object) *wire.Reply {
	life := int(tokenLife/time.Second) - 1
	return wire.JSONReplyUTF8(http.StatusOK, append(odata.Object{
		odata.F("token_type", "Bearer"), odata.F("expires_in", life), odata.F("ext_expires_in", life),
	}, extra...))
}

func missingParameter(c *wire.Call, name string) *wire.Reply {
	return c.StsError(http.StatusBadRequest, "invalid_request", 900144,
		"The request body must contain the following parameter: '"+name+"'.")
}

func principalError(c *wire.Call, a *estate.App) *wire.Reply {
	switch {
	case a.Disabled:
		return c.StsError(http.StatusBadRequest, "unauthorized_client", 7000112,
			fmt.Sprintf("Application '%s'(%s) is disabled.", a.AppID, a.Name))
	case a.Blocked:
		return c.StsError(http.StatusBadRequest, "invalid_grant", 53003,
			"Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")
	}
	return nil
}

// graphScope returns the resource scope of a list, which may also hold OpenID scopes: azidentity
// adds them (observed).
func graphScope(scope string) string {
	for _, s := range strings.Fields(scope) {
		if strings.HasSuffix(s, "/.default") {
			return s
		}
	}
	return ""
}

var nationalGraph = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://microsoftgraph.chinacloudapi.cn", wire.GraphAppID,
}

// GraphAudience reports whether aud is Microsoft Graph, in any cloud or in this simulator.
func GraphAudience(c *wire.Call, aud string) bool {
	aud = strings.TrimSuffix(aud, "/")
	return aud == c.Base || slices.Contains(nationalGraph, aud)
}

func scopeError(c *wire.Call, scope string) *wire.Reply {
	resource := strings.TrimSuffix(graphScope(scope), "/.default")
	others := slices.DeleteFunc(strings.Fields(scope), func(s string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile", "email"}, s)
	})
	if len(others) != 1 || resource == "" {
		return c.StsError(http.StatusBadRequest, "invalid_scope", 70011,
			"The provided value for the input parameter 'scope' is not valid. The scope "+scope+" is not valid.")
	}
	if !GraphAudience(c, resource) {
		return c.StsError(http.StatusBadRequest, "invalid_resource", 500011,
			fmt.Sprintf("The resource principal named %s was not found in the tenant named %s.", resource, c.Tenant.Spec.DisplayName))
	}
	return nil
}

// clientCredential checks the secret or the assertion. It returns the appidacr claim, "1" for a
// secret and "2" for a certificate, or the error response.
func (s *Service) clientCredential(c *wire.Call, a *estate.App) (string, *wire.Reply) {
	if c.Params.Get("client_assertion") != "" || c.Params.Get("client_assertion_type") != "" {
		return "2", s.checkAssertion(c, a)
	}
	secret := c.Params.Get("client_secret")
	if _, pass, ok := c.BasicAuth(); ok {
		secret = FormDecode(pass)
	}
	if secret == "" {
		return "", c.StsError(http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
	for _, known := range a.Secrets {
		if subtle.ConstantTimeCompare([]byte(known.Value), []byte(secret)) != 1 {
			continue
		}
		if !known.Expires.IsZero() && !c.At.Before(known.Expires) {
			return "", c.StsError(http.StatusUnauthorized, "invalid_client", 7000222, fmt.Sprintf("The provided client secret keys for app '%s' are expired. "+
				"Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, "+
				"or consider using certificate credentials for added security: https://aka.ms/certCreds.", a.AppID))
		}
		return "1", nil
	}
	return "", c.StsError(http.StatusUnauthorized, "invalid_client", 7000215, fmt.Sprintf("Invalid client secret provided. "+
		"Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", a.AppID))
}

// FormDecode decodes Basic credentials, which RFC 6749 section 2.3.1 form-encodes. Credentials
// that are not encoded stay as they are.
func FormDecode(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

var tokenEndpoint = regexp.MustCompile(`^(https?://[^/]+)/([^/]+)/(?:oauth2/v2\.0/token|oauth2/token|v2\.0/?)$`)

// ownEndpoint reports whether aud is the token endpoint or issuer of the call's tenant.
func (s *Service) ownEndpoint(c *wire.Call, aud string) bool {
	m := tokenEndpoint.FindStringSubmatch(aud)
	return m != nil && strings.EqualFold(m[1], c.Base) && s.Estate.Find(m[2]) == c.Tenant
}
