package graph_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// issuer issues tokens of a workload identity.
type issuer struct {
	t      *testing.T
	signer jose.Signer
	keys   json.RawMessage
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{t, signer, keys}
}

func (i issuer) token(subject, audience string) string {
	i.t.Helper()
	raw, err := jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: "https://cluster.example", Subject: subject, Audience: jwt.Audience{audience}, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return raw
}

// A connection signs in with the token of the workload identity as it is at that moment.
// What is wrong with the trust is proof about the connection; a token that can't be read is
// not, and no call is made.
func TestSignInWithWorkloadIdentity(t *testing.T) {
	t.Parallel()
	const audience = "api://AzureADTokenExchange"
	i := newIssuer(t)
	sim, control := simulator(t, func(s *graphsim.TenantSpec) {
		s.Apps[0].Federated = []graphsim.FederatedCredential{{Issuer: "https://cluster.example", Subject: "interlock", Audiences: []string{audience}, Keys: i.keys}}
	})
	cfg := config(t, sim)
	cfg.Credential, cfg.Secret = tenancy.WorkloadIdentity, vault.Secret{}
	token := i.token("interlock", audience)
	var wrong error
	cfg.Assertion = func(context.Context) (string, error) { return token, wrong }
	if got, err := client(t, cfg).Token(t.Context()); err != nil || len(got.Roles) == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range []struct{ name, token, code string }{
		{"subject", i.token("another", audience), "AADSTS700213"},
		{"audience", i.token("interlock", "x"), "AADSTS700212"},
	} {
		token = c.token
		_, err := client(t, cfg).Get(t.Context(), "/v1.0/organization")
		pe := refusal(t, err)
		if pe.Reason != op.FederationMissing || !pe.Proven || pe.Temporary || pe.Code != c.code || pe.RequestID == "" {
			t.Errorf("%s: %+v", c.name, pe)
		}
		if strings.Contains(pe.Error(), c.token) {
			t.Errorf("%s: the error has the token", c.name)
		}
	}
	if err := control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrong = errors.New("can’t be read from its file")
	for _, none := range []bool{false, true} {
		if none {
			cfg.Assertion, wrong = nil, errors.New("is not set up")
		}
		c := client(t, cfg)
		_, asked := c.Token(t.Context())
		_, read := c.Get(t.Context(), "/v1.0/organization")
		_, batched := c.Batch(t.Context(), []string{"/v1.0/organization", "/v1.0/groups"})
		for _, err := range []error{asked, read, batched} {
			if pe := refusal(t, err); pe.Reason != op.WorkloadUnavailable || pe.Proven || pe.Temporary || pe.Note != wrong.Error() || pe.Status != 0 {
				t.Errorf("without a token: %+v", pe)
			}
		}
	}
	calls, err := control.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		if strings.HasSuffix(call.Path, "/token") || strings.HasPrefix(call.Path, "/v1.0") {
			t.Errorf("without a token, and it calls %s", call.Path)
		}
	}
}
