package operationtest

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/provider/graph"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const (
	application = "2f7a1c44-9d1b-4f0e-8a55-3c1f6f1e60be"
	password    = "sim~s3cret"
)

// Simulated is a tenant of a simulator with a client that is quick to give up.
type Simulated struct {
	*graphsim.Control
	sim     *graphsim.Server
	hc      *http.Client
	lanes   *graph.Lanes
	timeout time.Duration // of one call
	// Patience is the timeout of a call that hangs.
	Patience time.Duration
}

// Simulate starts a simulator with one tenant, as changed by change; nil leaves it.
func Simulate(t *testing.T, change func(*graphsim.TenantSpec)) *Simulated {
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
		ID: Directory, DisplayName: "Kestrel Logistics", Domain: "kestrel.example", Intune: true,
		Groups: 60, Policies: 60, Devices: 10, MobileApps: 10, DeltaPage: 20,
		Apps: []graphsim.AppSpec{{
			AppID: application, Name: "Interlock", Consented: true,
			Secrets: []graphsim.Secret{{Value: password}}, Requested: catalogue.EveryPermission(),
		}},
	}
	if change != nil {
		change(&spec)
	}
	if err := sim.AddTenant(spec); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := durable.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	hc, err := outbound.New(outbound.Config{Hosts: []string{strings.TrimPrefix(sim.URL(), "https://")}, Loopback: true, CAFile: ca, MaxBody: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return &Simulated{Control: sim.Control(), sim: sim, hc: hc, lanes: graph.UnlimitedLanes(), timeout: time.Minute, Patience: 400 * time.Millisecond}
}

// Client returns a fresh client, as every run has.
func (s *Simulated) Client(t *testing.T) *graph.Client {
	t.Helper()
	c, err := s.Guarded(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Guarded returns a fresh client that asks before each attempt, as that of a worker does.
func (s *Simulated) Guarded(before func(context.Context) (time.Time, error)) (*graph.Client, error) {
	return graph.New(graph.Config{
		Endpoints: graph.Endpoints{Login: s.sim.URL(), Graph: s.sim.URL()},
		Directory: Directory, ClientID: application, Credential: tenancy.ClientSecret, Secret: vault.NewSecret(password),
		HTTP: s.hc, Lanes: s.lanes, Before: before, MaxWait: 20 * time.Millisecond, CallTimeout: s.timeout,
	})
}

// Fault makes calls fail from now on. Only those that hang are waited for briefly:
// a machine may be slow.
func (s *Simulated) Fault(t *testing.T, f graphsim.Fault) {
	t.Helper()
	s.lanes, s.timeout = graph.UnlimitedLanes(), time.Minute
	if f.Action.Kind == graphsim.ActHold || f.Action.Kind == graphsim.ActDrip {
		s.timeout = s.Patience
	}
	if _, err := s.AddFault(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// LastCall returns the number of the last call; 0 when there was none.
func (s *Simulated) LastCall(t *testing.T) int {
	t.Helper()
	calls, err := s.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) == 0 {
		return 0
	}
	return calls[len(calls)-1].Number
}

// Waited makes later clients forget the waits that the provider asked for, as if the time
// had passed.
func (s *Simulated) Waited() { s.lanes = graph.UnlimitedLanes() }

// Calm makes later clients patient again, after a [Simulated.Fault].
func (s *Simulated) Calm() { s.lanes, s.timeout = graph.UnlimitedLanes(), time.Minute }
