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

// session is a credential object with the pipeline that uses it. The library has no way to
// force a new token; a new session gets one.
type session struct {
	credential azcore.TokenCredential
	pipeline   runtime.Pipeline
}

// credentialOf returns a function that makes the credential object.
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
	if cfg.Credential == tenancy.WorkloadIdentity {
		return func() (azcore.TokenCredential, error) {
			return azidentity.NewClientAssertionCredential(c.directory, c.clientID, asserted(cfg.Assertion),
				&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: local})
		}
	}
	c.redactor = redact(secret)
	return func() (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(c.directory, c.clientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: local})
	}
}

// asserted returns the function that the library gets the token of the workload identity
// from. A missing token ends the call. It proves nothing about the connection.
func asserted(token func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		text, err := "", errors.New("is not set up")
		if token != nil {
			text, err = token(ctx)
		}
		if err == nil {
			return text, nil
		}
		if ctx.Err() == nil {
			err = &provider.Error{Reason: op.WorkloadUnavailable, Note: err.Error(), At: time.Now()}
		}
		if call, ok := ctx.Value(callKey{}).(*call); ok { // the library turns the error into text
			call.final = err
		}
		return "", err
	}
}

// unusable returns the error of a credential that can't work at any provider. The library's
// own error is dropped, because it may quote the credential.
func unusable(what string) error {
	return &provider.Error{Reason: op.CredentialInvalid, Proven: true, Note: "the " + what + " can’t be used to sign in", At: time.Now()}
}

// signedIn returns the session and makes it at first use.
func (c *Client) signedIn() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		return c.open()
	}
	return c.session, nil
}

// signInAnew replaces the session old, unless another goroutine has done so.
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

// Token implements [provider.Client]. The token comes from the sign-in service over TLS. Its
// signature is not checked: docs leave that to the resource.
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
