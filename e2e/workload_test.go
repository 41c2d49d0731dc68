//go:build linux

package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestWorkloadIdentity: a server reads a tenant without a secret, by the token in its file.
// A trust that is missing blocks the next start until a sign-in works. A token that is gone
// fails the run and blocks nothing. A workspace that lost the identity can't sign in.
func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
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
	file := filepath.Join(t.TempDir(), "token")
	issue := func(subject string) string {
		raw, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: "https://cluster.example", Subject: subject, Audience: jwt.Audience{"api://AzureADTokenExchange"}, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}).Serialize()
		if err == nil {
			err = os.WriteFile(file, []byte(raw), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	raw := issue("interlock")

	w := newWorld(t, db.SQLite)
	n := w.start("--backoff", "50ms", "--federated-token-file", file, "--federated-workspaces", "lattice")
	p := n.tenant("kestrel")
	var c client.Connection
	n.must(http.MethodPost, "/tenants/kestrel/connections/primary/credential", map[string]any{"workload_identity": true}, &c)
	if c.Credential != string(tenancy.WorkloadIdentity) || c.CredentialDetails.Issuer != "https://cluster.example" || c.CredentialDetails.Subject != "interlock" {
		t.Errorf("saved %+v", c)
	}
	ends := func(n *node, want string) {
		t.Helper()
		r, err := n.through("kestrel", op.ConnectionVerify)
		if err != nil || r.Words.Code != want {
			t.Fatalf("%v, %s, want %s: %s", err, r.Words.Code, want, r.Words.Why)
		}
		if strings.Contains(r.Words.Why, raw) {
			t.Error("the run has the token")
		}
	}
	next := func(want string) {
		t.Helper()
		a, err := n.owner().Start(t.Context(), "kestrel", client.StartRequest{Operation: op.DirectoryGroupsSync})
		if err != nil || a.Code != want {
			t.Fatalf("%v, %s, want %s", err, a.Code, want)
		}
	}
	ends(n, "failed/federated_credential_missing")
	next("blocked/federated_credential_missing")

	trust := []graphsim.FederatedCredential{{Issuer: "https://cluster.example", Subject: "interlock", Audiences: []string{"api://AzureADTokenExchange"}, Keys: keys}}
	if err := w.control.PatchApp(t.Context(), p.directory, p.app, graphsim.AppPatch{Federated: trust}); err != nil {
		t.Fatal(err)
	}
	ends(n, "succeeded")
	if r, err := n.through("kestrel", op.DirectoryGroupsSync); err != nil || r.Outcome != op.RunSucceeded {
		t.Fatalf("%v %s", err, r.Words.Why)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	ends(n, "failed/workload_identity_unavailable")
	issue("interlock")
	if r, err := n.through("kestrel", op.DirectoryGroupsSync); err != nil || r.Outcome != op.RunSucceeded {
		t.Fatalf("with the token back: %v %s", err, r.Words.Why)
	}

	n.stop()
	n = n.again("--backoff", "50ms", "--federated-token-file", file, "--federated-workspaces", "another")
	ends(n, "failed/workload_identity_unavailable")
	if strings.Contains(n.log.String(), raw) {
		t.Error("the log has the token")
	}
}
