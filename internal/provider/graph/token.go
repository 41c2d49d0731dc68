package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// session is one credential object with the pipeline that signs with it. The
// library can't be told to fetch a fresh token; a new session does.
type session struct {
	credential azcore.TokenCredential
	pipeline   runtime.Pipeline
}

// credentialOf returns how to make the credential object of a configuration.
func (c *Client) credentialOf(cfg Config) func() (azcore.TokenCredential, error) {
	if cfg.NoCredential != "" {
		return func() (azcore.TokenCredential, error) {
			return nil, &provider.Error{Reason: cfg.NoCredential, Proven: true, At: time.Now()}
		}
	}
	secret := cfg.Secret.Reveal()
	options := *c.options()
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: cfg.Endpoints.Login + "/"}
	local := !cfg.Endpoints.microsoft()
	if cfg.Credential == tenancy.ClientCertificate {
		return func() (azcore.TokenCredential, error) {
			certificates, key, err := azidentity.ParseCertificates([]byte(secret), nil)
			if err != nil {
				return nil, unusable("certificate")
			}
			return azidentity.NewClientCertificateCredential(c.directory, c.clientID, certificates, key,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: local})
		}
	}
	c.redactor = redact(secret)
	return func() (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(c.directory, c.clientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: local})
	}
}

// unusable is the error of a credential that is none, whatever the provider would
// say to it. The library's own words may quote it.
func unusable(what string) error {
	return &provider.Error{Reason: op.CredentialInvalid, Proven: true, Note: "the " + what + " can’t be used to sign in", At: time.Now()}
}

// signedIn returns the session, made at the first use.
func (c *Client) signedIn() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return c.open()
	}
	return c.session, nil
}

// signInAnew replaces old, unless somebody has already.
func (c *Client) signInAnew(old *session) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == old {
		return c.open()
	}
	return c.session, nil
}

// open makes a session. c.mu is held.
func (c *Client) open() (*session, error) {
	credential, err := c.credential()
	if err != nil {
		var pe *provider.Error
		if errors.As(err, &pe) {
			return nil, err
		}
		return nil, unusable("credential")
	}
	bearer := runtime.NewBearerTokenPolicy(credential, []string{c.scope()}, nil)
	c.session = &session{
		credential: credential,
		pipeline:   runtime.NewPipeline("interlock", "v1", runtime.PipelineOptions{PerRetry: []policy.Policy{bearer}}, c.options()),
	}
	return c.session, nil
}

func (c *Client) scope() string { return c.endpoints.Graph + "/.default" }

// Token implements [provider.Client]. The token comes straight from the authority
// over TLS; what it says is read without checking its signature, as docs tell
// clients to leave to the resource.
func (c *Client) Token(ctx context.Context) (provider.Token, error) {
	s, err := c.signedIn()
	if err != nil {
		return provider.Token{}, err
	}
	call := &call{}
	token, err := s.credential.GetToken(context.WithValue(ctx, callKey{}, call),
		policy.TokenRequestOptions{Scopes: []string{c.scope()}, EnableCAE: true})
	if err != nil {
		return provider.Token{}, c.failure(ctx, call, err)
	}
	claims, err := claimsOf(token.Token)
	if err == nil && !strings.EqualFold(claims.ClientID, c.clientID) {
		err = errors.New("the token is for another application")
	}
	if err != nil {
		return provider.Token{}, c.told(&provider.Error{Reason: op.ProviderFault, Note: err.Error(), At: time.Now()})
	}
	return provider.Token{
		Directory: strings.ToLower(claims.Directory),
		ClientID:  claims.ClientID,
		Roles:     claims.Roles,
		ExpiresOn: token.ExpiresOn,
	}, nil
}

type claims struct {
	Directory string   `json:"tid"`
	ClientID  string   `json:"appid"`
	Roles     []string `json:"roles"`
}

func claimsOf(token string) (claims, error) {
	part := strings.Split(token, ".")
	if len(part) != 3 {
		return claims{}, errors.New("the token is not a signed one")
	}
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return claims{}, fmt.Errorf("the token can’t be read: %w", err)
	}
	var c claims
	if err := json.Unmarshal(raw, &c); err != nil {
		return claims{}, fmt.Errorf("the token can’t be read: %w", err)
	}
	return c, nil
}
