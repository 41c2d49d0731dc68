package login

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionSkew is the clock skew that the token service accepts.
const assertionSkew = 5 * time.Minute

// checkAssertion checks a client assertion: one signed with a certificate of the app, or the token
// of an issuer that the app trusts. It returns nil, or the error response.
func (s *Service) checkAssertion(c *wire.Call, a *estate.App) *wire.Reply {
	fail := func(number int, text string) *wire.Reply {
		return c.StsError(http.StatusUnauthorized, "invalid_client", number, text)
	}
	unregistered := func(reason string) *wire.Reply {
		return fail(700027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - "+reason+"]")
	}
	if c.Params.Get("client_assertion_type") != assertionType {
		return fail(50027, "JWT token is invalid or malformed: client_assertion_type must be '"+assertionType+"'.")
	}
	tok, err := jwt.ParseSigned(c.Params.Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256, jose.RS256})
	if err != nil || len(tok.Headers) != 1 {
		return fail(50027, "JWT token is invalid or malformed.")
	}
	var says jwt.Claims
	if err := tok.UnsafeClaimsWithoutVerification(&says); err == nil && says.Issuer != "" && !strings.EqualFold(says.Issuer, a.AppID) && len(thumbprints(tok.Headers[0].ExtraHeaders)) == 0 {
		return federated(c, a, tok, says)
	}
	cert := certificate(a, tok.Headers[0].ExtraHeaders)
	if cert == nil {
		return unregistered("The key was not found.")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return unregistered("The key is not an RSA key.")
	}
	var cl jwt.Claims
	if err := tok.Claims(key, &cl); err != nil {
		return unregistered("The provided signature value did not match the expected signature value.")
	}
	if c.At.Before(cert.NotBefore) || c.At.After(cert.NotAfter) {
		return unregistered("The key used is expired.")
	}
	if !strings.EqualFold(cl.Issuer, a.AppID) || !strings.EqualFold(cl.Subject, a.AppID) {
		return fail(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
	}
	if len(cl.Audience) != 1 || !s.ownEndpoint(c, cl.Audience[0]) {
		return fail(700023, "Client assertion audience claim does not match Realm issuer.")
	}
	if cl.Expiry == nil || c.At.After(cl.Expiry.Time().Add(assertionSkew)) ||
		cl.NotBefore != nil && c.At.Add(assertionSkew).Before(cl.NotBefore.Time()) {
		return fail(700024, "Client assertion is not within its valid time range.")
	}
	if cl.ID == "" || !s.jtis.first(a.AppID+"\x00"+cl.ID, cl.Expiry.Time().Add(assertionSkew), c.At) {
		return fail(50013, "Assertion failed validation. [Reason - The assertion has no 'jti' claim, or one that was used before.]")
	}
	return nil
}

// certificate returns the certificate whose thumbprint is in the header, or nil. MSAL for Go 1.10
// writes x5t#S256 in standard base64 with padding (observed), the documentation says base64url.
// Both are accepted.
func certificate(a *estate.App, extra map[jose.HeaderKey]any) *x509.Certificate {
	named := thumbprints(extra)
	match := func(name jose.HeaderKey, sum []byte) bool {
		return named[name] == base64.RawURLEncoding.EncodeToString(sum)
	}
	for _, cert := range a.Certs {
		s256, s1 := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw)
		if match("x5t#S256", s256[:]) || match("x5t", s1[:]) {
			return cert
		}
	}
	return nil
}

// thumbprints returns the thumbprints of a header, in base64url.
func thumbprints(extra map[jose.HeaderKey]any) map[jose.HeaderKey]string {
	named := make(map[jose.HeaderKey]string)
	for _, name := range []jose.HeaderKey{"x5t#S256", "x5t"} {
		if s, ok := extra[name].(string); ok {
			named[name] = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
		}
	}
	return named
}

// federated checks the token of another issuer against the app's federated credentials. It
// returns nil, or the error response. observed: the numbers and texts, each with 401 (public
// reports of azure/login and azure-workload-identity).
func federated(c *wire.Call, a *estate.App, tok *jwt.JSONWebToken, says jwt.Claims) *wire.Reply {
	fail := func(number int, text string) *wire.Reply {
		return c.StsError(http.StatusUnauthorized, "invalid_client", number, text)
	}
	const check = " Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	noMatch := func(number int, what, value string) *wire.Reply {
		return fail(number, "No matching federated identity record found for presented assertion "+what+" '"+value+"'."+check)
	}
	var match *estate.FederatedCredential
	number, what, value := 700211, "issuer", says.Issuer
	for i, f := range a.Federated {
		switch {
		case f.Issuer != says.Issuer:
		case f.Subject != says.Subject:
			number, what, value = 700213, "subject", says.Subject
		case len(says.Audience) != 1 || !slices.Contains(f.Audiences, says.Audience[0]):
			number, what, value = 700212, "audience", strings.Join(says.Audience, ", ")
		default:
			match = &a.Federated[i]
		}
	}
	if match == nil {
		return noMatch(number, what, value)
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(match.Keys, &keys); err != nil {
		return fail(50166, "The request to the external OIDC endpoint of the issuer failed.")
	}
	if err := tok.Claims(keys, &jwt.Claims{}); err != nil {
		return fail(50013, "Assertion failed signature validation. [Reason - The key was not found.]")
	}
	if says.Expiry == nil || c.At.After(says.Expiry.Time().Add(assertionSkew)) ||
		says.NotBefore != nil && c.At.Add(assertionSkew).Before(says.NotBefore.Time()) {
		return fail(700024, "Client assertion is not within its valid time range.")
	}
	return nil
}

// replayGuard remembers assertion ids until they expire.
type replayGuard struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// first reports whether id is new, and remembers it until expiry.
func (g *replayGuard) first(id string, expiry, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, until := range g.seen {
		if now.After(until) {
			delete(g.seen, k)
		}
	}
	if _, used := g.seen[id]; used {
		return false
	}
	if g.seen == nil {
		g.seen = map[string]time.Time{}
	}
	g.seen[id] = expiry
	return true
}
