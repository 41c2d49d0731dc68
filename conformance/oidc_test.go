package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

const (
	tenantID = "5b1c2f6e-8f4e-4c1b-9b7e-0d6f3a2b1c02"
	appID    = "c0ffee00-1111-4222-8333-444455556667"
	secret   = "conformance~secret & more"
)

// stranger starts a simulator and returns its address and a context whose HTTP client trusts it.
func stranger(t *testing.T) (context.Context, string) {
	t.Helper()
	s, err := graphsim.New(graphsim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.AddTenant(graphsim.TenantSpec{
		ID: tenantID, DisplayName: "Conformance", Groups: 5,
		Apps: []graphsim.AppSpec{{AppID: appID, Secrets: []graphsim.Secret{{Value: secret}}, Consented: true, Requested: []string{"Group.Read.All"}, RedirectURIs: []string{"https://app.example/callback"}}},
	}); err != nil {
		t.Fatal(err)
	}
	tr := s.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	return oidc.ClientContext(t.Context(), &http.Client{Transport: tr}), s.URL()
}

// TestDiscoveryClientCredentialsAndKeys goes the way of a strict OpenID Connect client:
// discovery with its check of the issuer, a token by client credentials, its signature by
// the published keys, a call with it.
func TestDiscoveryClientCredentialsAndKeys(t *testing.T) {
	for name, style := range map[string]oauth2.AuthStyle{"secret in the form": oauth2.AuthStyleInParams, "secret in the header": oauth2.AuthStyleInHeader} {
		t.Run(name, func(t *testing.T) {
			ctx, base := stranger(t)
			provider, err := oidc.NewProvider(ctx, base+"/"+tenantID+"/v2.0")
			if err != nil {
				t.Fatal(err)
			}
			cfg := clientcredentials.Config{
				ClientID: appID, ClientSecret: secret, TokenURL: provider.Endpoint().TokenURL, AuthStyle: style,
				Scopes: []string{"https://graph.microsoft.com/.default"},
			}
			tok, err := cfg.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct {
				Keys string `json:"jwks_uri"`
			}
			if err := provider.Claims(&doc); err != nil {
				t.Fatal(err)
			}
			payload, err := oidc.NewRemoteKeySet(ctx, doc.Keys).VerifySignature(ctx, tok.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Tenant string   `json:"tid"`
				App    string   `json:"appid"`
				Roles  []string `json:"roles"`
			}
			if err := json.Unmarshal(payload, &claims); err != nil || claims.Tenant != tenantID || claims.App != appID || len(claims.Roles) != 1 {
				t.Errorf("%v, claims %+v", err, claims)
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1.0/groups", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := cfg.Client(ctx).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if res.StatusCode != http.StatusOK {
				t.Errorf("groups: %s", res.Status)
			}
		})
	}
}

func TestErrorsReachTheClient(t *testing.T) {
	ctx, base := stranger(t)
	cfg := clientcredentials.Config{ClientID: appID, ClientSecret: "wrong", TokenURL: base + "/" + tenantID + "/oauth2/v2.0/token", Scopes: []string{"https://graph.microsoft.com/.default"}}
	_, err := cfg.Token(ctx)
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) || re.ErrorCode != "invalid_client" || re.Response.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong secret: %v", err)
	}
	for _, path := range []string{"/common/v2.0", "/deadbeef-0000-4000-8000-000000000000/v2.0"} {
		if _, err := oidc.NewProvider(ctx, base+path); err == nil {
			t.Errorf("%s: a strict client takes it", path)
		}
	}
}

// TestSignInWithIDToken exchanges an authorization code and verifies the ID token, with nonce and PKCE.
func TestSignInWithIDToken(t *testing.T) {
	ctx, base := stranger(t)
	provider, err := oidc.NewProvider(ctx, base+"/"+tenantID+"/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := oauth2.Config{ClientID: appID, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: "https://app.example/callback", Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}
	verifier := oauth2.GenerateVerifier()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.AuthCodeURL("state", oidc.Nonce("nonce"), oauth2.S256ChallengeOption(verifier))+"&_sim=accept", nil)
	if err != nil {
		t.Fatal(err)
	}
	hc, _ := ctx.Value(oauth2.HTTPClient).(*http.Client)
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("%s, %v", res.Status, err)
	}
	tok, err := cfg.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tok.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: appID}).Verify(ctx, raw)
	if err != nil || id.Nonce != "nonce" {
		t.Fatalf("%v, %+v", err, id)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tok))
	if err != nil || info.Subject != id.Subject || info.Email == "" {
		t.Errorf("%v, %+v", err, info)
	}
}
