package graph_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/graph"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const (
	tenant = "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"
	app    = "2f7a1c44-9d1b-4f0e-8a55-3c1f6f1e60be"
	secret = "sim~s3cret/with+odd=chars&"
)

// simulator starts a simulator with one tenant and returns it with its controls.
func simulator(t *testing.T, change func(*graphsim.TenantSpec)) (*graphsim.Server, *graphsim.Control) {
	t.Helper()
	sim, err := graphsim.New(graphsim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	spec := graphsim.TenantSpec{
		ID: tenant, DisplayName: "Kestrel Logistics", Domain: "kestrel.example", Intune: true,
		Groups: 30, Policies: 30, Devices: 5, MobileApps: 5, DeltaPage: 10,
		Apps: []graphsim.AppSpec{{
			AppID: app, Name: "Interlock", Consented: true,
			Secrets:   []graphsim.Secret{{Value: secret}},
			Requested: []string{"Organization.Read.All", "Group.Read.All", "DeviceManagementConfiguration.Read.All"},
		}},
	}
	change(&spec)
	if err := sim.AddTenant(spec); err != nil {
		t.Fatal(err)
	}
	return sim, sim.Control()
}

func asIs(*graphsim.TenantSpec) {}

// endpoints of a server that plays sign-in and Graph at one address.
func endpoints(base string) graph.Endpoints { return graph.Endpoints{Login: base, Graph: base} }

// transport returns an HTTP client for the endpoints, which trusts the CA.
func transport(t *testing.T, e graph.Endpoints, ca []byte, change func(*outbound.Config)) *http.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := outbound.Config{Hosts: e.Hosts(), Loopback: true, CAFile: file}
	change(&cfg)
	hc, err := outbound.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return hc
}

func limitsAsTheyAre(*outbound.Config) {}

// config is that of a quick client of the simulator.
func config(t *testing.T, sim *graphsim.Server) graph.Config {
	t.Helper()
	e := endpoints(sim.URL())
	return graph.Config{
		Endpoints: e, Directory: tenant, ClientID: app,
		Credential: tenancy.ClientSecret, Secret: vault.NewSecret(secret),
		HTTP: transport(t, e, sim.CAPEM(), limitsAsTheyAre), Lanes: graph.UnlimitedLanes(),
		MaxWait: 200 * time.Millisecond,
	}
}

func client(t *testing.T, cfg graph.Config) *graph.Client {
	t.Helper()
	c, err := graph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusal returns err as a provider's error.
func refusal(t *testing.T, err error) *provider.Error {
	t.Helper()
	var pe *provider.Error
	if !errors.As(err, &pe) {
		t.Fatalf("%v is no provider error", err)
	}
	return pe
}

func TestSignInAndRead(t *testing.T) {
	t.Parallel()
	sim, _ := simulator(t, asIs)
	c := client(t, config(t, sim))
	if err := c.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	token, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token.Directory != tenant || token.ClientID != app || len(token.Roles) != 3 || time.Until(token.ExpiresOn) < 50*time.Minute {
		t.Errorf("token %+v", token)
	}
	raw, err := c.Get(t.Context(), "/v1.0/organization?$select=id,displayName")
	if err != nil || !strings.Contains(string(raw), "Kestrel Logistics") {
		t.Errorf("organization %s, %v", raw, err)
	}
	n, delta := 0, ""
	for page, err := range provider.Walk(t.Context(), c, "/v1.0/groups/delta?$select=displayName,members") {
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Items)
		delta = page.Delta
	}
	if n < 30 || delta == "" {
		t.Errorf("%d objects, delta %q", n, delta)
	}
	page, err := c.Page(t.Context(), delta)
	if err != nil || len(page.Items) != 0 || page.Delta == "" {
		t.Errorf("nothing changed, and yet %+v, %v", page, err)
	}
}

// forms keeps the last form that was posted.
type forms struct {
	http.RoundTripper
	last url.Values
}

func (f *forms) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if f.last, err = url.ParseQuery(string(body)); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return f.RoundTripper.RoundTrip(r)
}

func TestSignInWithCertificate(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interlock"}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))

	sim, control := simulator(t, func(spec *graphsim.TenantSpec) { spec.Apps[0].Certificates = []string{certificate} })
	cfg := config(t, sim)
	cfg.Credential = tenancy.ClientCertificate
	cfg.Secret = vault.NewSecret(certificate + private)
	sent := &forms{RoundTripper: cfg.HTTP.Transport}
	cfg.HTTP = &http.Client{Transport: sent}
	if _, err := client(t, cfg).Token(t.Context()); err != nil {
		t.Error(err)
	}
	// docs: the assertion is signed PS256, and names the certificate by x5t#S256.
	assertion := sent.last.Get("client_assertion")
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(assertion, ".")[0])
	var head map[string]string
	if err != nil || json.Unmarshal(raw, &head) != nil || head["alg"] != "PS256" || head["x5t#S256"] == "" || head["x5t"] != "" {
		t.Errorf("the assertion has the header %s", raw)
	}
	// A clock that is wrong is told as such, with the difference, and proves nothing
	// about the certificate.
	if err := control.SetClock(t.Context(), 30*time.Minute); err != nil {
		t.Fatal(err)
	}
	_, err = client(t, cfg).Token(t.Context())
	if pe := refusal(t, err); pe.Reason != op.ClockSkew || pe.Proven || pe.Skew.Round(time.Minute) != 30*time.Minute || pe.Code != "AADSTS700024" {
		t.Errorf("half an hour ahead: %+v", pe)
	}
	if err := control.SetClock(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "nonsense", certificate, private} {
		cfg.Secret = vault.NewSecret(broken)
		_, err := client(t, cfg).Token(t.Context())
		if pe := refusal(t, err); pe.Reason != op.CredentialInvalid || pe.Status != 0 {
			t.Errorf("%.30q: %v", broken, err)
		}
	}
}

// Every way in which a sign-in is refused is told by the simulator's real words.
func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		tenant func(*graphsim.TenantSpec)
		config func(*graph.Config)
		reason op.Reason
		code   string
	}{
		{"wrong secret", asIs, func(c *graph.Config) { c.Secret = vault.NewSecret("wrong-secret") }, op.CredentialInvalid, "AADSTS7000215"},
		{"expired secret", func(s *graphsim.TenantSpec) { s.Apps[0].Secrets[0].Expires = time.Now().Add(-time.Hour) }, nil, op.CredentialExpired, "AADSTS7000222"},
		{"never consented", func(s *graphsim.TenantSpec) { s.Apps[0].Consented = false }, nil, op.ConsentMissing, "AADSTS700016"},
		{"unknown application", asIs, func(c *graph.Config) { c.ClientID = "00000000-9d1b-4f0e-8a55-3c1f6f1e60be" }, op.ConsentMissing, "AADSTS700016"},
		{"unknown directory", asIs, func(c *graph.Config) { c.Directory = "00000000-6a3f-4f53-9a1e-0c9d5b7e91d2" }, op.DirectoryNotFound, "AADSTS90002"},
		{"disabled", func(s *graphsim.TenantSpec) { s.Apps[0].Disabled = true }, nil, op.ApplicationDisabled, "AADSTS7000112"},
		{"blocked by conditional access", func(s *graphsim.TenantSpec) { s.Apps[0].Blocked = true }, nil, op.SignInBlocked, "AADSTS53003"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim, control := simulator(t, c.tenant)
			cfg := config(t, sim)
			if c.config != nil {
				c.config(&cfg)
			}
			cl := client(t, cfg)
			for _, ask := range []func() error{
				func() error { _, err := cl.Token(t.Context()); return err },
				func() error { _, err := cl.Page(t.Context(), "/v1.0/groups"); return err },
			} {
				pe := refusal(t, ask())
				if pe.Reason != c.reason || pe.Code != c.code || !pe.Proven || pe.Temporary || pe.ClientID == "" || pe.Message == "" || pe.At.IsZero() {
					t.Errorf("told as %+v", pe)
				}
			}
			calls, err := control.Calls(t.Context(), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range calls {
				if strings.HasPrefix(call.Path, "/v1.0/") {
					t.Errorf("read without a token: %+v", call)
				}
			}
		})
	}
}

func TestWithoutCredential(t *testing.T) {
	t.Parallel()
	sim, control := simulator(t, asIs)
	cfg := config(t, sim)
	cfg.Secret, cfg.NoCredential = vault.Secret{}, op.CredentialUnreadable
	c := client(t, cfg)
	if err := c.Discover(t.Context()); err != nil {
		t.Errorf("the authority can be asked without one: %v", err)
	}
	if err := control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Token(t.Context())
	if pe := refusal(t, err); pe.Reason != op.CredentialUnreadable {
		t.Error(err)
	}
	_, err = c.Get(t.Context(), "/v1.0/organization")
	if pe := refusal(t, err); pe.Reason != op.CredentialUnreadable {
		t.Error(err)
	}
	if calls, err := control.Calls(t.Context(), 0, ""); err != nil || len(calls) > 0 {
		t.Errorf("calls without a credential: %v, %v", calls, err)
	}
}

func TestReadRefusals(t *testing.T) {
	t.Parallel()
	const policies = "/beta/deviceManagement/configurationPolicies"
	for _, c := range []struct {
		name   string
		tenant func(*graphsim.TenantSpec)
		path   string
		want   provider.Error
	}{
		{"a directory role is missing", func(s *graphsim.TenantSpec) { s.Apps[0].Roles = []string{"DeviceManagementConfiguration.Read.All"} }, "/v1.0/groups", provider.Error{Reason: op.PermissionMissing, Status: 403}},
		{"an Intune role is missing", func(s *graphsim.TenantSpec) { s.Apps[0].Roles = []string{"DeviceManagementApps.Read.All"} }, policies, provider.Error{Reason: op.PermissionMissing, Status: 403, Permissions: []string{"DeviceManagementConfiguration.Read.All"}}},
		{"no roles, Intune", func(s *graphsim.TenantSpec) { s.Apps[0].Roles = []string{} }, policies, provider.Error{Reason: op.ConsentMissing, Status: 403}},
		{"no roles, directory", func(s *graphsim.TenantSpec) { s.Apps[0].Roles = []string{} }, "/v1.0/groups", provider.Error{Reason: op.ConsentMissing, Status: 403}},
		{"no Intune", func(s *graphsim.TenantSpec) { s.Intune = false }, policies, provider.Error{Reason: op.NotLicensed, Status: 400, Unlicensed: true}},
		{"no such collection", asIs, "/v1.0/deviceManagement/configurationPolicies", provider.Error{Reason: op.ProviderRejected, Status: 400}},
		{"no such object", asIs, "/v1.0/groups/00000000-0000-0000-0000-000000000000", provider.Error{Reason: op.ProviderRejected, Status: 404}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim, _ := simulator(t, c.tenant)
			_, err := client(t, config(t, sim)).Page(t.Context(), c.path)
			pe := refusal(t, err)
			if pe.Reason != c.want.Reason || pe.Status != c.want.Status || pe.Unlicensed != c.want.Unlicensed || pe.Temporary ||
				strings.Join(pe.Permissions, " ") != strings.Join(c.want.Permissions, " ") || pe.RequestID == "" {
				t.Errorf("told as %+v", pe)
			}
		})
	}
}

// A token that the provider suddenly refuses is replaced once: the new sign-in
// tells what is the matter.
func TestTokenRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  func(context.Context, *graphsim.Control) error
		kind   graphsim.ActionKind
		times  int
		reason op.Reason // empty: the read succeeds
	}{
		{"a passing refusal", nil, graphsim.ActUnauthorized, 1, ""},
		{"a claims challenge", nil, graphsim.ActChallenge, 1, ""},
		{"a refusal that stays", nil, graphsim.ActUnauthorized, 0, op.ProviderFault},
		{"no identity, and a sign-in that works", nil, graphsim.ActNoIdentity, 0, op.ProviderFault},
		{
			"the secret has expired",
			func(ctx context.Context, c *graphsim.Control) error { return c.ExpireSecrets(ctx, tenant, app) },
			graphsim.ActUnauthorized, 1, op.CredentialExpired,
		},
		{
			"the application was removed",
			func(ctx context.Context, c *graphsim.Control) error { return c.RemovePrincipal(ctx, tenant, app) },
			graphsim.ActNoIdentity, 1, op.ConsentMissing,
		},
		{
			"consent was withdrawn",
			func(ctx context.Context, c *graphsim.Control) error { return c.RemovePrincipal(ctx, tenant, app) },
			graphsim.ActUnauthorized, 1, op.ConsentMissing,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim, control := simulator(t, asIs)
			cl := client(t, config(t, sim))
			if _, err := cl.Get(t.Context(), "/v1.0/organization"); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				if err := c.spoil(t.Context(), control); err != nil {
					t.Fatal(err)
				}
			}
			fault := graphsim.Fault{Path: "/v1.0/organization", Times: c.times, Action: graphsim.Action{Kind: c.kind}}
			if _, err := control.AddFault(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			_, err := cl.Get(t.Context(), "/v1.0/organization")
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			// What Graph itself says of a token proves nothing; the sign-in service does.
			if pe := refusal(t, err); pe.Reason != c.reason || pe.Proven == (c.reason == op.ProviderFault) {
				t.Errorf("told as %+v", pe)
			}
		})
	}
}

// Before every attempt, of sign-ins and of repetitions too, the run is asked; it
// says until when, and its error ends the call as it is.
func TestEveryAttemptIsAsked(t *testing.T) {
	t.Parallel()
	sim, control := simulator(t, asIs)
	if err := control.LogHeaders(t.Context(), "client-request-id", "x-ms-throttle-priority"); err != nil {
		t.Fatal(err)
	}
	fault := graphsim.Fault{Path: "/v1.0/organization", Times: 2, Action: graphsim.Action{Kind: graphsim.ActError, Status: 503}}
	if _, err := control.AddFault(t.Context(), fault); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	lost := errors.New("the lease is lost")
	allowed := int64(1000)
	cfg := config(t, sim)
	cfg.Priority = graph.PriorityHigh
	cfg.Before = func(context.Context) (time.Time, error) {
		if asked.Add(1) > allowed {
			return time.Time{}, lost
		}
		return time.Now().Add(time.Minute), nil
	}
	c := client(t, cfg)
	if _, err := c.Get(t.Context(), "/v1.0/organization"); err != nil {
		t.Fatal(err)
	}
	calls, err := control.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(calls)) != asked.Load() || len(calls) != 5 { // metadata, token, and three reads
		t.Errorf("asked %d times for %d calls", asked.Load(), len(calls))
	}
	ids := make(map[string]bool)
	for _, call := range calls {
		ids[header(call, "client-request-id")] = true
		if read := strings.HasPrefix(call.Path, "/v1.0/"); read != (header(call, "x-ms-throttle-priority") == "High") {
			t.Errorf("priority of %+v", call)
		}
	}
	if len(ids) != len(calls) || ids[""] {
		t.Errorf("client request ids %v", ids)
	}

	for left := range int64(3) { // lost before the metadata, the token, the read
		allowed = asked.Load() + left
		if err := control.ClearCalls(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := client(t, cfg).Get(t.Context(), "/v1.0/organization")
		if !errors.Is(err, lost) {
			t.Errorf("%d: ended with %v", left, err)
		}
		if calls, _ := control.Calls(t.Context(), 0, ""); int64(len(calls)) != left {
			t.Errorf("%d calls after %d were allowed", len(calls), left)
		}
	}

	cfg.Before = func(context.Context) (time.Time, error) { return time.Now().Add(-time.Second), nil }
	if err := control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = client(t, cfg).Get(t.Context(), "/v1.0/organization")
	if pe := refusal(t, err); pe.Reason != op.ProviderUnreachable || !pe.Temporary {
		t.Errorf("a deadline that has passed: %+v", pe)
	}
	if calls, _ := control.Calls(t.Context(), 0, ""); len(calls) > 0 {
		t.Errorf("%d calls after the deadline", len(calls))
	}
}

// header returns a header that the call log has, whatever its spelling.
func header(call graphsim.Call, name string) string {
	for k, v := range call.Headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// A call ends with its deadline, wherever the answer hangs, and with its caller.
func TestHangingAnswers(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]graphsim.Action{
		"held": {Kind: graphsim.ActHold},
		"drip": {Kind: graphsim.ActDrip, Bytes: 1, DelayMS: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, control := simulator(t, asIs)
			if _, err := control.AddFault(t.Context(), graphsim.Fault{Path: "/v1.0/*", Action: action}); err != nil {
				t.Fatal(err)
			}
			cfg := config(t, sim)
			cfg.CallTimeout, cfg.MaxRetries = 150*time.Millisecond, -1
			_, err := client(t, cfg).Get(t.Context(), "/v1.0/organization")
			if pe := refusal(t, err); pe.Reason != op.ProviderUnreachable || !pe.Temporary || pe.Note != "no answer in time" || pe.Message != "" || pe.Call != "GET /v1.0/organization" || pe.ClientID == "" {
				t.Errorf("told as %+v", pe)
			}
			over := errors.New("the run is over")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(over) })
			cfg.CallTimeout = time.Minute
			if _, err := client(t, cfg).Get(ctx, "/v1.0/organization"); !errors.Is(err, over) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// Inside of the time that the provider asked for, nobody calls it for that tenant
// again: not this client, and no other of the process.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	const organization = "/v1.0/organization"
	for _, c := range []struct {
		header string
		status int
		wait   time.Duration // at least; 0: none was asked for
		gives  bool          // up at once, with the wait in the error
	}{
		{"1", 429, time.Second, false},
		{"0.25", 429, 250 * time.Millisecond, false},
		{"date:2", 429, time.Second, false},
		{"", 429, 0, false},
		{"-5", 429, 0, false},
		{"soon", 429, 0, false},
		{"600", 429, 10 * time.Minute, true},
		{"86400", 429, 24 * time.Hour, true},
		{"99999999999999999999", 429, 10 * 365 * 24 * time.Hour, true},
		{"1", 503, time.Second, false},
		{"600", 503, 10 * time.Minute, true},
	} {
		t.Run(fmt.Sprintf("%d %q", c.status, c.header), func(t *testing.T) {
			t.Parallel()
			sim, control := simulator(t, asIs)
			cfg := config(t, sim)
			cfg.MaxWait = 3 * time.Second
			first := client(t, cfg)
			if _, err := first.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := control.ClearCalls(t.Context()); err != nil {
				t.Fatal(err)
			}
			action := graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: c.header}
			if c.status != 429 {
				action = graphsim.Action{Kind: graphsim.ActError, Status: c.status, RetryAfter: c.header}
			}
			if _, err := control.AddFault(t.Context(), graphsim.Fault{Path: organization, Times: 1, Action: action}); err != nil {
				t.Fatal(err)
			}
			_, err := first.Get(t.Context(), organization)
			calls, _ := control.Calls(t.Context(), 0, "")
			if c.gives {
				pe := refusal(t, err)
				if pe.Reason != op.ProviderThrottled || !pe.Temporary || pe.RetryAfter != c.wait || len(calls) != 1 {
					t.Errorf("told as %+v after %d calls", pe, len(calls))
				}
				_, err = client(t, cfg).Get(t.Context(), "/v1.0/groups")
				if pe := refusal(t, err); pe.Reason != op.ProviderThrottled || pe.RetryAfter < c.wait-time.Minute {
					t.Errorf("another client was told %+v", pe)
				}
				calls, _ = control.Calls(t.Context(), calls[0].Number, "")
				for _, call := range calls {
					if strings.HasPrefix(call.Path, "/v1.0/") {
						t.Errorf("called inside of the forbidden time: %+v", call)
					}
				}
				return
			}
			if err != nil || len(calls) != 2 {
				t.Fatalf("%d calls, %v", len(calls), err)
			}
			if got := calls[1].Started.Sub(calls[0].Started); got < c.wait {
				t.Errorf("called again after %s", got)
			}
		})
	}
}

// server answers Graph calls with h, and lets everybody sign in.
func server(t *testing.T, h http.HandlerFunc) graph.Config {
	t.Helper()
	return serverFor(t, app, h)
}

// serverFor gives out tokens of the application.
func serverFor(t *testing.T, appid string, h http.HandlerFunc) graph.Config {
	t.Helper()
	return serverOf(t, false, appid, h)
}

// serverOf speaks HTTP/2 when told to.
func serverOf(t *testing.T, http2 bool, appid string, h http.HandlerFunc) graph.Config {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = http2
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		switch {
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			_ = json.NewEncoder(w).Encode(map[string]string{
				"issuer": base + "/" + tenant + "/v2.0", "authorization_endpoint": base + "/" + tenant + "/oauth2/v2.0/authorize",
				"token_endpoint": base + "/" + tenant + "/oauth2/v2.0/token",
			})
		case strings.HasSuffix(r.URL.Path, "/token"):
			claims, _ := json.Marshal(map[string]any{"tid": tenant, "appid": appid, "roles": []string{"Group.Read.All"}})
			_ = json.NewEncoder(w).Encode(map[string]any{
				"token_type": "Bearer", "expires_in": 3599,
				"access_token": "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln",
			})
		default:
			h(w, r)
		}
	})
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	e := endpoints(srv.URL)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return graph.Config{
		Endpoints: e, Directory: tenant, ClientID: app, Credential: tenancy.ClientSecret, Secret: vault.NewSecret(secret),
		HTTP: transport(t, e, ca, func(c *outbound.Config) { c.MaxBody = 1 << 20 }), Lanes: graph.UnlimitedLanes(), MaxWait: 50 * time.Millisecond,
	}
}

// A token of another application says nothing about this connection.
func TestTokenOfAnotherApplication(t *testing.T) {
	t.Parallel()
	c := client(t, serverFor(t, "00000000-9d1b-4f0e-8a55-3c1f6f1e60be", body("application/json", `{}`)))
	_, err := c.Token(t.Context())
	if pe := refusal(t, err); pe.Reason != op.ProviderFault || !strings.Contains(pe.Note, "another application") || pe.Message != "" {
		t.Errorf("told as %+v", pe)
	}
}

// Links are followed byte for byte, and to nowhere else.
func TestLinks(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	cfg := server(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.RequestURI)
		_, _ = w.Write([]byte(`{"value":[]}`))
	})
	c := client(t, cfg)
	base := cfg.Endpoints.Graph
	for _, link := range []string{
		base + "/beta/deviceManagement/configurationPolicies?$top=25&$skiptoken=%255Bcosmosdb%255D%255B%257B%2522compositeToken%2522%253A%2522a+b%2522%257D%255D",
		base + "/v1.0/groups/delta?$skiptoken=pqwSUjGYvb3jQpbwVAwEL7yuI3dU1LecfkkfLPtnIjvB7XnF_yllFsCrZJ",
		base + "/v1.0/groups('a%27%27b')/members?a=;b&c=%zz",
		base + "/V1.0/groups?x=" + strings.Repeat("y", 20<<10),
	} {
		if _, err := c.Page(t.Context(), link); err != nil {
			t.Errorf("%.80s: %v", link, err)
			continue
		}
		if want := strings.TrimPrefix(link, base); got.Load() != want {
			t.Errorf("followed as %.200s\nwant %.200s", got.Load(), want)
		}
	}
	got.Store("")
	plain := strings.Replace(base, "https://", "http://", 1)
	for _, link := range []string{
		"https://evil.example/v1.0/groups", "http://127.0.0.1:1/v1.0/groups", plain + "/v1.0/groups", "//evil.example/v1.0/groups",
		"https://user:pw@" + strings.TrimPrefix(base, "https://") + "/v1.0/groups", base + "@evil.example/v1.0/groups",
		base + ".evil.example/v1.0/groups", "groups?$skiptoken=x", "", "https:", "javascript:alert(1)", "file:///etc/passwd",
		base + "/" + tenant + "/oauth2/v2.0/token", base + "/_sim/calls", base + "/v2.0/groups", "/", "\x7f", base + "/v1.0/groups?x=" + strings.Repeat("y", 50<<10),
	} {
		_, err := c.Page(t.Context(), link)
		if pe := refusal(t, err); pe.Reason != op.ProviderFault || !errors.Is(err, provider.ErrForeignLink) || pe.Temporary {
			t.Errorf("%.80s: %+v", link, pe)
		}
		if got.Load() != "" {
			t.Errorf("%.80s was followed to %s", link, got.Load())
			got.Store("")
		}
	}
}

// Answers that make no sense end the call with a reason, in bounded time and size.
func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		reason op.Reason // empty: it is taken
		status int
		calls  int64
	}{
		{"an empty list", body("application/json", `{"value":[]}`), "", 0, 1},
		{"another content type", body("text/plain", `{"value":[{}]}`), "", 0, 1},
		{"a byte order mark", body("application/json", "\ufeff"+`{"value":[{"id":"a"}]}`), "", 0, 1},
		{"keys twice", body("application/json", `{"value":[],"value":[{"id":"a"}]}`), "", 0, 1},
		{"a deep answer", body("application/json", `{"value":[`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`]}`), "", 0, 1},
		{"too deep an answer", body("application/json", `{"value":[`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`]}`), op.ProviderFault, 200, 4},
		{"no body", body("application/json", ``), op.ProviderFault, 200, 4},
		{"a page of a gateway with 403", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<html>Blocked</html>"))
		}, op.ProviderFault, 403, 1},
		{"a page of a gateway", body("text/html", `<html>`), op.ProviderFault, 200, 4},
		{"half an answer", body("application/json", `{"value":[{"id":"a"`), op.ProviderFault, 200, 4},
		{"null", body("application/json", `null`), op.ProviderFault, 200, 1},
		{"no list", body("application/json", `{"id":"a"}`), op.ProviderFault, 200, 1},
		{"a list of another type", body("application/json", `{"value":{"a":1}}`), op.ProviderFault, 200, 1},
		{"a link of another type", body("application/json", `{"value":[],"@odata.nextLink":7}`), op.ProviderFault, 200, 1},
		{"more than fits", body("application/json", `{"value":["`+strings.Repeat("x", 2<<20)+`"]}`), op.ProviderFault, 0, 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		}, op.ProviderFault, 0, 1},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, op.ProviderUnreachable, 0, 4},
		{"an error in a success", body("application/json", `{"error":{"code":"Odd","message":"no"}}`), op.ProviderRejected, 200, 1},
		{"nothing but a status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, op.ProviderRejected, 418, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			cfg := server(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				c.answer(w, r)
			})
			_, err := client(t, cfg).Page(t.Context(), "/v1.0/groups")
			// The transport itself asks once more when a kept connection breaks.
			if got := calls.Load(); got != c.calls && (got != c.calls+1 || c.status != 0) {
				t.Errorf("%d calls, want %d", got, c.calls)
			}
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if pe := refusal(t, err); pe.Reason != c.reason || pe.Status != c.status || pe.Temporary != (c.reason == op.ProviderUnreachable || c.reason == op.ProviderFault && c.status != 0) {
				t.Errorf("told as %+v", pe)
			}
			// Only what the provider wrote is quoted as its own words.
			if pe := refusal(t, err); pe.Message != "" && pe.Message != "no" {
				t.Errorf("said %q", pe.Message)
			}
		})
	}
}

func body(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(text))
	}
}

// Bytes that are no UTF-8 are replaced: no database keeps them.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	c := client(t, server(t, body("application/json", "{\"value\":[{\"id\":\"a\xff\"}]}")))
	page, err := c.Page(t.Context(), "/v1.0/groups")
	if err != nil || len(page.Items) != 1 || string(page.Items[0]) != `{"id":"a`+"\ufffd"+`"}` {
		t.Errorf("%q, %v", page.Items, err)
	}
}

// The sign-in service says where to send the secret. Only to itself.
func TestSecretGoesNowhereElse(t *testing.T) {
	t.Parallel()
	var stolen atomic.Bool
	thief := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	t.Cleanup(thief.Close)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": base + "/" + tenant + "/v2.0", "authorization_endpoint": base + "/authorize", "token_endpoint": thief.URL + "/token",
		})
	}))
	t.Cleanup(srv.Close)
	e := endpoints(srv.URL)
	c := client(t, graph.Config{
		Endpoints: e, Directory: tenant, ClientID: app, Credential: tenancy.ClientSecret, Secret: vault.NewSecret(secret),
		HTTP: srv.Client(), Lanes: graph.UnlimitedLanes(), MaxRetries: -1, // a client that would go anywhere
	})
	if err := c.Discover(t.Context()); !errors.Is(err, provider.ErrForeignLink) {
		t.Errorf("discovery: %v", err)
	}
	_, err := c.Token(t.Context())
	if pe := refusal(t, err); pe.Reason != op.ProviderFault || !errors.Is(err, provider.ErrForeignLink) {
		t.Errorf("told as %+v", pe)
	}
	if stolen.Load() {
		t.Error("the secret was sent to another host")
	}
}

// A provider that echoes what it was sent does not get it into our errors or logs.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	var token atomic.Value
	token.Store("")
	var logged strings.Builder
	var served atomic.Int64
	echo := func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_ = r.ParseForm()
		if t := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); t != "" {
			token.Store(t)
		}
		said := fmt.Sprintf("you sent %s / %s / %s", r.PostForm.Encode(), r.PostForm.Get("client_secret"), r.Header.Get("Authorization"))
		w.Header().Set("request-id", secret)
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"error": map[string]any{"code": "Bad" + secret, "message": said}, "error_description": "AADSTS900144: " + said,
		})
	}
	cfg := server(t, echo)
	cfg.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var told []string
	_, err := client(t, cfg).Page(t.Context(), "/v1.0/groups?$skiptoken=private-link")
	told = append(told, fmt.Sprintf("%v %+v %#v", err, err, refusal(t, err)))

	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			echo(w, r)
			return
		}
		base := "https://" + r.Host
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": base + "/" + tenant + "/v2.0", "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
		})
	}))
	t.Cleanup(srv.Close)
	cfg.Endpoints, cfg.HTTP = endpoints(srv.URL), srv.Client()
	_, err = client(t, cfg).Token(t.Context())
	told = append(told, fmt.Sprintf("%v %+v %#v", err, err, refusal(t, err)))

	for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
		told = append(told, e.Error())
	}
	told = append(told, logged.String())
	if served.Load() != 2 || token.Load() == "" {
		t.Fatalf("the echo was asked %d times, token %q", served.Load(), token.Load())
	}
	for _, text := range told {
		for _, private := range []string{secret, "s3cret", "odd%3Dchars", token.Load().(string), "private-link"} {
			if strings.Contains(text, private) {
				t.Errorf("%q is in: %s", private, text)
			}
		}
	}
	if !strings.Contains(told[1], "[redacted]") {
		t.Errorf("nothing was echoed: %s", told[1])
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := graph.Config{Endpoints: endpoints("https://127.0.0.1:1"), Directory: tenant, ClientID: app, HTTP: &http.Client{}}
	if _, err := graph.New(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*graph.Config){
		"login endpoint": func(c *graph.Config) { c.Endpoints.Login = "http://127.0.0.1:1" },
		"graph endpoint": func(c *graph.Config) { c.Endpoints.Graph = "https://127.0.0.1:1/v1.0" },
		"directory":      func(c *graph.Config) { c.Directory = "a/../b" },
		"client id":      func(c *graph.Config) { c.ClientID = "" },
		"HTTP client":    func(c *graph.Config) { c.HTTP = nil },
	} {
		cfg := good
		change(&cfg)
		if _, err := graph.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestClouds(t *testing.T) {
	t.Parallel()
	for _, name := range tenancy.CloudNames() {
		e, err := graph.Cloud(name)
		if err != nil || len(e.Hosts()) != 2 {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := graph.Cloud("mars"); err == nil || !strings.Contains(err.Error(), "global, gcc, gcchigh, dod, china") {
		t.Errorf("%v", err)
	}
}

// An answer whose body is lost or too large keeps the provider's id of the call, and a body
// that is too large names the limit.
func TestRequestIDOfALostBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		reason op.Reason
		note   string
	}{
		"too large": {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 2<<20)) }, op.ProviderFault, "larger than 1 MiB"},
		"cut off": {func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"value":[`))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, op.ProviderUnreachable, ""},
	} {
		cfg := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("request-id", "4d2e0000-0000-4000-8000-000000000001")
			c.answer(w)
		})
		_, err := client(t, cfg).Get(t.Context(), "/v1.0/organization")
		pe := refusal(t, err)
		if pe.Reason != c.reason || pe.RequestID != "4d2e0000-0000-4000-8000-000000000001" || pe.ClientID == "" || !strings.Contains(pe.Note, c.note) {
			t.Errorf("%s: %+v", name, pe)
		}
		if e := pe.Evidence(); e == nil || e.RequestID != pe.RequestID {
			t.Errorf("%s: evidence %+v", name, e)
		}
	}
}
