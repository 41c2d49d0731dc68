package catalogue_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/provider/graph"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const (
	application = "2f7a1c44-9d1b-4f0e-8a55-3c1f6f1e60be"
	password    = "sim~s3cret"
)

// simulated is a tenant of a simulator with a client that is quick to give up.
type simulated struct {
	*graphsim.Control
	sim     *graphsim.Server
	hc      *http.Client
	lanes   *graph.Lanes
	timeout time.Duration // of one call
}

func simulate(t *testing.T, change func(*graphsim.TenantSpec)) *simulated {
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
		ID: directory, DisplayName: "Kestrel Logistics", Domain: "kestrel.example", Intune: true,
		Groups: 60, Policies: 60, Devices: 10, MobileApps: 10, DeltaPage: 20,
		Apps: []graphsim.AppSpec{{
			AppID: application, Name: "Interlock", Consented: true,
			Secrets: []graphsim.Secret{{Value: password}}, Requested: everyRole,
		}},
	}
	change(&spec)
	if err := sim.AddTenant(spec); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, sim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	hc, err := outbound.New(outbound.Config{Hosts: []string{strings.TrimPrefix(sim.URL(), "https://")}, Loopback: true, CAFile: ca, MaxBody: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return &simulated{Control: sim.Control(), sim: sim, hc: hc, lanes: graph.UnlimitedLanes(), timeout: time.Minute}
}

func asIs(*graphsim.TenantSpec) {}

// client returns a fresh one, as every run has.
func (s *simulated) client(t *testing.T) *graph.Client {
	t.Helper()
	c, err := graph.New(graph.Config{
		Endpoints: graph.Endpoints{Login: s.sim.URL(), Graph: s.sim.URL()},
		Directory: directory, ClientID: application, Credential: tenancy.ClientSecret, Secret: vault.NewSecret(password),
		HTTP: s.hc, Lanes: s.lanes, MaxWait: 20 * time.Millisecond, CallTimeout: s.timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fault makes calls fail from now on. Only those that hang are waited for briefly:
// a machine may be slow.
func (s *simulated) fault(t *testing.T, f graphsim.Fault) {
	t.Helper()
	s.lanes, s.timeout = graph.UnlimitedLanes(), time.Minute
	if f.Action.Kind == graphsim.ActHold || f.Action.Kind == graphsim.ActDrip {
		s.timeout = 400 * time.Millisecond
	}
	if _, err := s.AddFault(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func TestOperationsAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	s := simulate(t, asIs)
	data := &datatest.Memory{}
	for _, kind := range []op.Kind{op.ConnectionVerify, op.DirectoryGroupsSync, op.InventorySync} {
		r, err := run(t, kind, s.client(t), data, "")
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, item := range r.items {
			if item.Result != op.ItemDone {
				t.Errorf("%s: %+v", kind, item)
			}
		}
		if r.counts.Done != r.counts.Total || r.counts.Total == 0 {
			t.Errorf("%s: %+v", kind, r.counts)
		}
	}
	facts := data.Learnt()[0]
	if facts.Verdict != tenancy.VerificationOK || deref(facts.Consent) != tenancy.ConsentGranted || len(deref(facts.Permissions)) != len(everyRole) {
		t.Errorf("learnt %+v", facts)
	}

	groups, _ := data.Rows(t.Context(), catalogue.Groups)
	if len(groups) != 60 {
		t.Fatalf("%d groups", len(groups))
	}
	before := shown(t, data)
	r, err := run(t, op.DirectoryGroupsSync, s.client(t), data, "")
	if err != nil || r.item(t, "groups").Result != op.ItemUnchanged || shown(t, data) != before {
		t.Errorf("nothing changed, and yet %+v, %v", r.items, err)
	}

	_, err = s.ChangeGroups(t.Context(), directory,
		graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: "New starters", Count: 300},
		graphsim.GroupChange{Op: graphsim.GroupDelete, ID: groups[0].ID},
		graphsim.GroupChange{Op: graphsim.GroupUpdate, ID: groups[1].ID, DisplayName: "Renamed"},
		graphsim.GroupChange{Op: graphsim.GroupAddMembers, ID: groups[2].ID, Count: 7},
		graphsim.GroupChange{Op: graphsim.GroupRemoveMembers, ID: groups[3].ID, Count: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, op.DirectoryGroupsSync, s.client(t), data, ""); err != nil {
		t.Fatal(err)
	}
	incremental := shown(t, data)
	if !strings.Contains(incremental, "New starters") || strings.Contains(incremental, groups[0].ID) {
		t.Error("the changes did not come")
	}
	if _, err := run(t, op.DirectoryGroupsSync, s.client(t), data, `{"full":true}`); err != nil {
		t.Fatal(err)
	}
	if full := shown(t, data); full != incremental {
		t.Errorf("a full sync shows\n%s\nthe incremental one\n%s", full, incremental)
	}
}

// fault is one thing that can go wrong on the provider's side, and how a run is to
// end that meets it once, or at every call.
type fault struct {
	name         string
	action       graphsim.Action
	once, always op.Reason // empty: the run absorbs it
}

// faults of one call. Those that a run absorbs must leave no trace in what it read.
var faults = []fault{
	{"429", graphsim.Action{Kind: graphsim.ActThrottle}, "", op.ProviderThrottled},
	{"429 for a moment", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "0.01"}, "", op.ProviderThrottled},
	{"429 with a date", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "date:60"}, op.ProviderThrottled, op.ProviderThrottled},
	{"429 for long", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "900"}, op.ProviderThrottled, op.ProviderThrottled},
	{"429 forever", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "999999999999999999999"}, op.ProviderThrottled, op.ProviderThrottled},
	{"429 before now", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "-60"}, "", op.ProviderThrottled},
	{"429 soon", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "soon"}, "", op.ProviderThrottled},
	{"500", graphsim.Action{Kind: graphsim.ActError, Status: 500}, "", op.ProviderFault},
	{"502", graphsim.Action{Kind: graphsim.ActError, Status: 502}, "", op.ProviderFault},
	{"503", graphsim.Action{Kind: graphsim.ActError, Status: 503}, "", op.ProviderFault},
	{"503 for long", graphsim.Action{Kind: graphsim.ActError, Status: 503, RetryAfter: "900"}, op.ProviderThrottled, op.ProviderThrottled},
	{"504", graphsim.Action{Kind: graphsim.ActError, Status: 504}, "", op.ProviderFault},
	{"509", graphsim.Action{Kind: graphsim.ActError, Status: 509}, "", op.ProviderFault},
	{"404", graphsim.Action{Kind: graphsim.ActError, Status: 404, Code: "ResourceNotFound"}, op.ProviderRejected, op.ProviderRejected},
	{"409", graphsim.Action{Kind: graphsim.ActError, Status: 409, Code: "Conflict"}, op.ProviderRejected, op.ProviderRejected},
	{"412", graphsim.Action{Kind: graphsim.ActError, Status: 412, Code: "resourceModified"}, op.ProviderRejected, op.ProviderRejected},
	{"an error in a success", graphsim.Action{Kind: graphsim.ActErrorIn200}, op.ProviderFault, op.ProviderFault},
	{"no connection", graphsim.Action{Kind: graphsim.ActReset}, "", op.ProviderUnreachable},
	{"a connection that breaks", graphsim.Action{Kind: graphsim.ActReset, Bytes: 40}, "", op.ProviderUnreachable},
	{"half an answer", graphsim.Action{Kind: graphsim.ActTruncate}, "", op.ProviderFault},
	{"an answer that does not come", graphsim.Action{Kind: graphsim.ActHold}, "", op.ProviderUnreachable},
	{"an answer drop by drop", graphsim.Action{Kind: graphsim.ActDrip, Bytes: 1, DelayMS: 50}, "", op.ProviderUnreachable},
	{"a slow answer", graphsim.Action{Kind: graphsim.ActDelay, DelayMS: 20}, "", ""},
	{"another content type", graphsim.Action{Kind: graphsim.ActContentType, Value: "text/html"}, "", ""},
	{"a redirect", graphsim.Action{Kind: graphsim.ActRedirect, Value: "https://evil.example/"}, op.ProviderFault, op.ProviderFault},
	{"a string of 10 MiB", graphsim.Action{Kind: graphsim.ActHugeString}, op.ProviderFault, op.ProviderFault},
	{"a depth of 100,000", graphsim.Action{Kind: graphsim.ActDeepJSON}, "", op.ProviderFault},
	{"401", graphsim.Action{Kind: graphsim.ActUnauthorized}, "", op.ProviderFault},
	{"a claims challenge", graphsim.Action{Kind: graphsim.ActChallenge}, "", op.ProviderFault},
	{"no identity", graphsim.Action{Kind: graphsim.ActNoIdentity}, "", op.ProviderFault},
	{"403", graphsim.Action{Kind: graphsim.ActForbidden, Message: "Application must have one of the following scopes: A.Read.All"}, op.AccessRefused, op.AccessRefused},
	{"403 with a page", graphsim.Action{Kind: graphsim.ActPage}, op.ProviderFault, op.ProviderFault},
	{"another shape of JSON", graphsim.Action{Kind: graphsim.ActBody, Value: `{"value":null}`}, op.ProviderFault, op.ProviderFault},
}

// listFaults are those that only lists can have.
var listFaults = []fault{
	{"a link to the same page", graphsim.Action{Kind: graphsim.ActNextLink}, "", op.ProviderFault},
	{"a link to another host", graphsim.Action{Kind: graphsim.ActNextLink, Value: "https://evil.example/v1.0/groups"}, op.ProviderFault, op.ProviderFault},
	{"a link without TLS", graphsim.Action{Kind: graphsim.ActNextLink, Value: "http://127.0.0.1/v1.0/groups"}, op.ProviderFault, op.ProviderFault},
	{"a relative link", graphsim.Action{Kind: graphsim.ActNextLink, Value: "groups"}, op.ProviderFault, op.ProviderFault},
	{"a link of 50 KiB", graphsim.Action{Kind: graphsim.ActNextLink, Value: "https://127.0.0.1/" + strings.Repeat("x", 50<<10)}, op.ProviderFault, op.ProviderFault},
	{"an empty page that goes on", graphsim.Action{Kind: graphsim.ActEmptyPage}, "", op.ProviderFault},
	{"objects twice", graphsim.Action{Kind: graphsim.ActReplay}, "", ""},
	{"a lost place", graphsim.Action{Kind: graphsim.ActSyncState}, "", op.ProviderRejected},
	{"a reset", graphsim.Action{Kind: graphsim.ActResync}, "", op.ProviderRejected},
}

// ending is the reason a run ended with: its own, or that of the one type that
// failed. What a run calls withdrawn and a verification missing is one thing.
func ending(r *report, err error) op.Reason {
	reason := reasonOf(err)
	for _, item := range r.items {
		if err == nil && item.Result != op.ItemDone && item.Result != op.ItemUnchanged {
			reason = item.Reason
			break
		}
	}
	switch reason { //nolint:exhaustive // what a run and its items call by different names
	case op.ItemRefused:
		return op.ProviderRejected
	case op.ConsentRevoked:
		return op.ConsentMissing
	case op.PermissionMissing: // which the worker holds against what the operation needs
		reason, _ = catalogue.Refusal(err, []catalogue.Permission{{AnyOf: everyRole}}, false)
	}
	return reason
}

// Whatever the provider answers, a run ends after a bounded number of calls, each
// bounded in time and size, with the right reason; what it could not read
// completely stays as it was, and it never claims a success that was none.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind       op.Kind
		path       string // of the call that fails
		parameters string
		list       bool
	}{
		{op.ConnectionVerify, "/v1.0/organization", "", false},
		{op.DirectoryGroupsSync, "/v1.0/groups/delta*", `{"full":true}`, true},
		{op.InventorySync, "/beta/deviceManagement/configurationPolicies", `{"types":["configurationPolicies"]}`, true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			s := simulate(t, asIs)
			data := &datatest.Memory{}
			state := func() string {
				return shown(t, data) + names(t, data, "inventory/configurationPolicies")
			}
			if _, err := run(t, c.kind, s.client(t), data, c.parameters); err != nil {
				t.Fatal(err)
			}
			calls, err := s.Calls(t.Context(), 0, "")
			if err != nil {
				t.Fatal(err)
			}
			calm, budget := state(), 5*len(calls)+600 // 500 is what a list without end costs
			all := faults
			if c.list {
				all = slices.Concat(faults, listFaults)
			}
			for _, f := range all {
				for times, want := range map[int]op.Reason{1: f.once, 0: f.always} {
					switch delta := c.kind == op.DirectoryGroupsSync; f.action.Kind {
					case graphsim.ActSyncState, graphsim.ActResync:
						if !delta {
							want = op.ProviderRejected // only a delta round has a place to lose
						}
					case graphsim.ActNextLink:
						if delta && times == 1 {
							want = "" // it begins anew
						}
					}
					t.Run(fmt.Sprintf("%s, %s", f.name, map[int]string{1: "once", 0: "always"}[times]), func(t *testing.T) {
						s.fault(t, graphsim.Fault{Path: c.path, Times: times, Action: f.action})
						before := lastCall(t, s)
						r, err := run(t, c.kind, s.client(t), data, c.parameters)
						if got := ending(r, err); got != want {
							t.Errorf("ended with %q (%v, %+v), want %q", got, err, r.items, want)
						}
						if state() != calm {
							t.Error("what readers see has changed")
						}
						if n := lastCall(t, s) - before; n > budget {
							t.Errorf("%d calls, %d are the budget", n, budget)
						}
						if err := s.ClearFaults(t.Context(), ""); err != nil {
							t.Fatal(err)
						}
					})
				}
			}
		})
	}
}

// A sign-in that fails ends every operation, with a reason, before anything is read.
func TestSignInFaults(t *testing.T) {
	t.Parallel()
	s := simulate(t, asIs)
	for _, f := range []fault{
		{"busy", graphsim.Action{Kind: graphsim.ActThrottle}, "", op.ProviderThrottled},
		{"busy for long", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "900"}, op.ProviderThrottled, op.ProviderThrottled},
		{"502", graphsim.Action{Kind: graphsim.ActError, Status: 502}, "", op.ProviderThrottled},
		{"no connection", graphsim.Action{Kind: graphsim.ActReset}, "", op.ProviderUnreachable},
		{"half an answer", graphsim.Action{Kind: graphsim.ActTruncate}, "", op.ProviderFault},
		{"an answer that does not come", graphsim.Action{Kind: graphsim.ActHold}, "", op.ProviderUnreachable},
	} {
		for times, want := range map[int]op.Reason{1: f.once, 0: f.always} {
			for _, d := range catalogue.All() {
				t.Run(fmt.Sprintf("%s, %d, %s", f.name, times, d.Kind), func(t *testing.T) {
					s.fault(t, graphsim.Fault{Path: "/*/oauth2/v2.0/token", Times: times, Action: f.action})
					r, err := run(t, d.Kind, s.client(t), &datatest.Memory{}, "")
					if got := ending(r, err); got != want {
						t.Errorf("ended with %q (%v), want %q", got, err, want)
					}
					if err := s.ClearFaults(t.Context(), ""); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}

func lastCall(t *testing.T, s *simulated) int {
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
