package operationtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

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
	{"429 with a date", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "date:900"}, op.ProviderThrottled, op.ProviderThrottled},
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
	{"400", graphsim.Action{Kind: graphsim.ActError, Status: 400, Code: "BadRequest"}, op.ProviderRejected, op.ProviderRejected},
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

// Fault is a fault of one call, by its name.
type Fault struct {
	Name   string
	Action graphsim.Action
}

// CallFaults are the faults that each call can meet, and ListFaults those of lists.
func CallFaults() []Fault { return named(faults) }

// ListFaults are the faults that only lists can have.
func ListFaults() []Fault { return named(listFaults) }

func named(all []fault) []Fault {
	out := make([]Fault, len(all))
	for i, f := range all {
		out[i] = Fault{f.name, f.action}
	}
	return out
}

// ending is the reason a run ended with: its own, or that of the first item that
// failed. What a run calls withdrawn and a verification missing is one thing.
func ending(r *Report, err error) op.Reason {
	var reason op.Reason
	if err != nil {
		reason = provider.Classify(err)
	}
	for _, item := range r.Items {
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
		reason, _ = catalogue.Refusal(err, []catalogue.Permission{{AnyOf: catalogue.EveryPermission()}}, false)
	}
	return reason
}

// first notes the first call that a run makes once it is signed in.
type first struct {
	provider.Client
	once sync.Once
	path string
	list bool
}

func (f *first) note(path string, list bool) {
	f.once.Do(func() { f.path, f.list = path, list })
}

// Get implements [provider.Client].
func (f *first) Get(ctx context.Context, path string) (json.RawMessage, error) {
	f.note(path, false)
	return f.Client.Get(ctx, path)
}

// Page implements [provider.Client].
func (f *first) Page(ctx context.Context, next string) (provider.Page, error) {
	f.note(next, true)
	return f.Client.Page(ctx, next)
}

// Batch implements [provider.Client].
func (f *first) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	if len(paths) > 0 {
		f.note(paths[0], true)
	}
	return f.Client.Batch(ctx, paths)
}

// State is everything that readers see of data.
func State(t *testing.T, data *datatest.Memory) string {
	t.Helper()
	var b strings.Builder
	for _, name := range data.Names() {
		rows, _ := data.Rows(t.Context(), name)
		members, _ := data.Members(t.Context(), name)
		fmt.Fprintf(&b, "%s\n%+v\n%+v\n", name, rows, members)
	}
	return b.String()
}

// Faults holds d, run with its example, against everything that the provider can
// answer to the first call of a run, once and always. Whatever it answers, the run
// ends after a bounded number of calls, each bounded in time and size, with the right
// reason; what it could not read completely stays as it was, and it never claims a
// success that was none.
func Faults(t *testing.T, d *catalogue.Definition) {
	t.Helper()
	s := Simulate(t, nil)
	data := &datatest.Memory{}
	call := &first{Client: s.Client(t)}
	if _, err := Run(t, d, call, data, string(d.Example), nil); err != nil {
		t.Fatal(err)
	}
	if call.path == "" {
		t.Fatalf("%s calls nothing: there is nothing that can fail", d.Kind)
	}
	path, _, _ := strings.Cut(call.path, "?")
	delta := strings.HasSuffix(path, "/delta")
	if delta {
		path += "*"
	}
	calls, err := s.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	calm, budget := State(t, data), 5*len(calls)+600 // 500 is what a list without end costs
	all := faults
	if call.list {
		all = slices.Concat(faults, listFaults)
	}
	for _, f := range all {
		for times, want := range map[int]op.Reason{1: f.once, 0: f.always} {
			switch f.action.Kind {
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
				s.Fault(t, graphsim.Fault{Path: path, Times: times, Action: f.action})
				before := s.LastCall(t)
				r, err := Run(t, d, s.Client(t), data, string(d.Example), nil)
				if got := ending(r, err); got != want {
					t.Errorf("ended with %q (%v, %+v), want %q", got, err, r.Items, want)
				}
				if State(t, data) != calm {
					t.Error("what readers see has changed")
				}
				if n := s.LastCall(t) - before; n > budget {
					t.Errorf("%d calls, %d are the budget", n, budget)
				}
				if err := s.ClearFaults(t.Context(), ""); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// SignInFaults holds d against a sign-in service that fails: the run ends with a
// reason before anything is read.
func SignInFaults(t *testing.T, d *catalogue.Definition) {
	t.Helper()
	for _, f := range []fault{
		{"busy", graphsim.Action{Kind: graphsim.ActThrottle}, "", op.ProviderThrottled},
		{"busy for long", graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "900"}, op.ProviderThrottled, op.ProviderThrottled},
		{"502", graphsim.Action{Kind: graphsim.ActError, Status: 502}, "", op.ProviderThrottled},
		{"no connection", graphsim.Action{Kind: graphsim.ActReset}, "", op.ProviderUnreachable},
		{"half an answer", graphsim.Action{Kind: graphsim.ActTruncate}, "", op.ProviderFault},
		{"an answer that does not come", graphsim.Action{Kind: graphsim.ActHold}, "", op.ProviderUnreachable},
	} {
		for times, want := range map[int]op.Reason{1: f.once, 0: f.always} {
			t.Run(fmt.Sprintf("%s, %d", f.name, times), func(t *testing.T) {
				s := Simulate(t, nil) // of its own: no earlier run uses up the fault
				s.Fault(t, graphsim.Fault{Path: "/*/oauth2/v2.0/token", Times: times, Action: f.action})
				client, r := s.Client(t), &Report{}
				var err error
				if d.SignsIn { // as the worker does, before the operation reads several lists at once
					_, err = client.Token(t.Context())
				}
				if err == nil {
					r, err = Run(t, d, client, &datatest.Memory{}, defaults(d), nil)
				}
				if got := ending(r, err); got != want {
					t.Errorf("ended with %q (%v), want %q", got, err, want)
				}
			})
		}
	}
}

// LostRuns makes runs of d lose their connection at each of their first 30 reports:
// they stop at once and write nothing more. late is how many reports may be on their
// way then.
func LostRuns(t *testing.T, d *catalogue.Definition, c func() provider.Client, late int) {
	t.Helper()
	for left := range 30 {
		data := &datatest.Memory{}
		r, err := Run(t, d, c(), data, defaults(d), func(env *catalogue.Env) { env.Report.(*Report).Left = left })
		if !errors.Is(err, ErrLost) {
			if err != nil {
				t.Errorf("%s (%d): %v", d.Kind, left, err)
			}
			continue
		}
		if r.Refused < 1 || r.Refused > 1+late {
			t.Errorf("%s reported %d times after it was lost (%d)", d.Kind, r.Refused-1, left)
		}
		if len(data.Learnt()) > 0 {
			t.Errorf("%s learnt after it was lost (%d)", d.Kind, left)
		}
	}
}
