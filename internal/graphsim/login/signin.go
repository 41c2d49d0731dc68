package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// grant is the sign-in behind an authorization code.
type grant struct {
	tenant    *estate.Tenant
	appID     string
	user      int
	redirect  string
	nonce     string
	challenge string // PKCE, S256
	until     time.Time
}

// codeLife is how long an authorization code is valid.
const codeLife = 10 * time.Minute

// codeStore holds authorization codes. Each can be redeemed once.
type codeStore struct {
	mu    sync.Mutex
	codes map[string]grant
}

func (s *codeStore) put(g grant) string {
	code := "sim." + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codes == nil {
		s.codes = map[string]grant{}
	}
	s.codes[code] = g
	return code
}

func (s *codeStore) take(code string, now time.Time) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.codes[code]
	delete(s.codes, code)
	for k, old := range s.codes {
		if now.After(old.until) {
			delete(s.codes, k)
		}
	}
	return g, ok && now.Before(g.until)
}

// signInUsers is the number of users on the sign-in page.
const signInUsers = 12

// authorize signs in a generated user by authorization code with PKCE. login_hint selects
// the user; with _sim=accept there is no page.
func (s *Service) authorize(c *wire.Call) *wire.Reply {
	q := c.URL.Query()
	t, a, back, re := s.registration(c)
	if re != nil {
		return re
	}
	state := q.Get("state")
	refuse := func(code, text string) *wire.Reply {
		return backTo(back, url.Values{"error": {code}, "error_description": {text}, "state": {state}})
	}
	if q.Get("response_type") != "code" {
		return refuse("unsupported_response_type", "AADSTS700054: response_type '"+q.Get("response_type")+"' is not enabled for the application.")
	}
	if method := q.Get("code_challenge_method"); method != "" && method != "S256" {
		return refuse("invalid_request", "AADSTS501491: code_challenge_method must be S256.")
	}
	switch decision(c) {
	case "accept":
	case "cancel":
		return refuse("access_denied", "AADSTS65004: User declined to consent to access the app.")
	default:
		d := pageData{Title: "Pick an account", Text: "Sign in to " + a.Name, Choice: "login_hint", Buttons: []option{{"accept", "Sign in"}, {"cancel", "Cancel"}}}
		for n := range signInUsers {
			given, family := estate.PersonName(n)
			d.Choices = append(d.Choices, option{t.UserName(n), given + " " + family})
		}
		return pageReply(http.StatusOK, d)
	}
	hint := c.Params.Get("login_hint")
	user := 0
	for n := range estate.UserCount {
		if t.UserName(n) == strings.ToLower(hint) {
			user = n
			break
		}
	}
	code := s.codes.put(grant{
		tenant: t, appID: a.AppID, user: user, redirect: q.Get("redirect_uri"), nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), until: c.At.Add(codeLife),
	})
	return backTo(back, url.Values{"code": {code}, "state": {state}, "session_state": {c.RequestID}})
}

// redeemCode exchanges an authorization code for an ID token and an access token for userinfo.
func (s *Service) redeemCode(c *wire.Call) *wire.Reply {
	invalidGrant := func(number int, text string) *wire.Reply {
		return c.StsError(http.StatusBadRequest, "invalid_grant", number, text)
	}
	g, ok := s.codes.take(c.Params.Get("code"), c.At)
	if !ok || c.AppID != g.appID {
		return invalidGrant(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	}
	if c.Params.Get("redirect_uri") != g.redirect {
		return invalidGrant(50011, "The redirect URI specified in the request does not match the one of the authorization request.")
	}
	sum := sha256.Sum256([]byte(c.Params.Get("code_verifier")))
	if g.challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		return invalidGrant(501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	}
	t := g.tenant
	t.RLock()
	defer t.RUnlock()
	a := t.App(g.appID)
	if a == nil {
		return invalidGrant(700016, "The application is gone.")
	}
	if len(a.Secrets)+len(a.Certs) > 0 || g.challenge == "" { // a confidential client authenticates, a public client has PKCE
		if _, re := s.clientCredential(c, a); re != nil {
			return re
		}
	}
	given, family := estate.PersonName(g.user)
	id, email := t.MemberID(estate.MemberRef(g.user)), t.UserName(g.user)
	issuer := fmt.Sprintf("%s/%s/v2.0", c.Base, t.ID)
	idToken, err := s.Keys.signJWT(map[string]any{
		"iss": issuer, "aud": a.AppID, "sub": id, "oid": id, "tid": t.ID, "nonce": g.nonce, "ver": "2.0",
		"name": given + " " + family, "preferred_username": email, "email": email,
		"iat": c.At.Unix(), "nbf": c.At.Unix(), "exp": c.At.Add(tokenLife).Unix(),
	})
	if err != nil {
		return c.StsError(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	access, err := s.Keys.issue(wire.Claims{
		Audience: nationalGraph[0], AppName: a.Name, AppID: a.AppID, AuthMethod: "1", IDType: "user", ObjectID: id, Subject: id,
		Scopes: "openid profile email User.Read", Tenant: t.ID, UniqueName: email, Generation: a.Generation,
	}, c.At)
	if err != nil {
		return c.StsError(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again.")
	}
	return tokenReply(odata.Object{odata.F("scope", "openid profile email User.Read"), odata.F("access_token", access), odata.F("id_token", idToken)})
}
