package catalogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// collection answers every list with two pages of one object each, named after
// the collection.
func collection(next string) (provider.Page, error) {
	if strings.HasPrefix(next, "next ") {
		return provider.Page{Items: objects(fmt.Sprintf(`{"id":"2","displayName":"second of %s"}`, next[5:]))}, nil
	}
	return provider.Page{Items: objects(fmt.Sprintf(`{"id":"1","displayName":"first of %s"}`, next)), Next: "next " + next}, nil
}

// refusing is collection, but with an error for the pages of some collections.
func refusing(failures map[string]error) func(string) (provider.Page, error) {
	return func(next string) (provider.Page, error) {
		for part, err := range failures {
			if strings.Contains(next+"$", part) {
				return provider.Page{}, err
			}
		}
		return collection(next)
	}
}

func names(t testing.TB, data *datatest.Memory, dataset string) string {
	t.Helper()
	rows, err := data.Rows(t.Context(), dataset)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows {
		all = append(all, r.ID+" "+r.Name)
	}
	return strings.Join(all, ", ")
}

func TestInventorySyncReadsEveryType(t *testing.T) {
	t.Parallel()
	data := &datatest.Memory{}
	r, err := run(t, op.InventorySync, &fake{page: collection}, data, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Results(), "done 35, unchanged 0, failed 0, skipped 0, unknown 0"; got != want {
		t.Errorf("items: %s; want %s", got, want)
	}
	if r.Counts != (op.Counts{Done: 35, Total: 35}) {
		t.Errorf("progress %+v", r.Counts)
	}
	if got, want := names(t, data, "inventory/intents"), "1 first of /beta/deviceManagement/intents, 2 second of /beta/deviceManagement/intents"; got != want {
		t.Errorf("intents: %s; want %s", got, want)
	}
	if got := r.Find(t, "intents").Counts; got != (op.Counts{Done: 2, Total: 2}) {
		t.Errorf("counts of intents: %+v", got)
	}
}

// In a tenant without Intune, the answers for the first types hold for the others.
func TestInventorySyncAsksOnceForIntune(t *testing.T) {
	t.Parallel()
	f := &fake{page: refusing(map[string]error{"/deviceManagement/": noIntune(), "/deviceAppManagement/": noIntune()})}
	r, err := run(t, op.InventorySync, f, &datatest.Memory{}, "")
	if err != nil {
		t.Fatal(err)
	}
	intune := slices.DeleteFunc(f.calls, func(call string) bool { return strings.Contains(call, "conditionalAccess") })
	if len(intune) > 4 {
		t.Errorf("%d calls to a service that the tenant does not have: %v", len(intune), intune)
	}
	for _, it := range r.Items {
		if strings.HasPrefix(it.Key, "device") && (it.Result != op.ItemNotApplicable || it.Reason != op.NotLicensed) {
			t.Errorf("%s is %s, %s", it.Key, it.Result, it.Reason)
		}
	}
}

func TestInventorySyncReadsChosenTypes(t *testing.T) {
	t.Parallel()
	f := &fake{page: collection}
	r, err := run(t, op.InventorySync, f, &datatest.Memory{}, `{"types":["policySets","mobileApps"]}`)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(f.calls) // the two are read at the same time
	if got := strings.Join(f.calls, " | "); got != "/beta/deviceAppManagement/policySets | /v1.0/deviceAppManagement/mobileApps | "+
		"next /beta/deviceAppManagement/policySets | next /v1.0/deviceAppManagement/mobileApps" {
		t.Errorf("calls: %s", got)
	}
	if r.Counts != (op.Counts{Done: 2, Total: 2}) {
		t.Errorf("progress %+v", r.Counts)
	}
}

func TestInventorySyncKeepsWhatFailed(t *testing.T) {
	t.Parallel()
	without := map[string]error{"/deviceManagement/": noIntune(), "/deviceAppManagement/": noIntune()}
	for _, c := range []struct {
		name     string
		failures map[string]error // by a part of the link, of which $ is the end
		reason   op.Reason        // of the run; empty: none
		results  string
		items    map[string]op.Reason // the items that have one, but those not reached
		counts   op.Counts
	}{
		{
			name:     "one type is refused",
			failures: map[string]error{"/intents$": refusal(op.ProviderRejected)},
			results:  "done 34, unchanged 0, failed 1, skipped 0, unknown 0",
			items:    map[string]op.Reason{"intents": op.ItemRefused},
			counts:   op.Counts{Done: 34, Failed: 1, Total: 35},
		},
		{
			name:     "the second page of a type does not come",
			failures: map[string]error{"next /beta/deviceManagement/intents$": faulty()},
			results:  "done 34, unchanged 0, failed 1, skipped 0, unknown 0",
			items:    map[string]op.Reason{"intents": op.ProviderFault},
			counts:   op.Counts{Done: 34, Failed: 1, Total: 35},
		},
		{
			name: "permissions of two areas are missing",
			failures: map[string]error{
				"namedLocations$": refusal(op.PermissionMissing), "conditionalAccess/policies$": refusal(op.PermissionMissing),
				"mobileApps$": &provider.Error{Reason: op.PermissionMissing, Permissions: []string{"DeviceManagementApps.Read.All", "X.Read"}},
			},
			results: "done 32, unchanged 0, failed 3, skipped 0, unknown 0",
			items: map[string]op.Reason{
				"namedLocations": op.PermissionMissing, "conditionalAccessPolicies": op.PermissionMissing, "mobileApps": op.PermissionMissing,
			},
			counts: op.Counts{Done: 32, Failed: 3, Total: 35},
		},
		{
			name:     "a tenant without Intune",
			failures: without,
			results:  "done 4, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 31",
			counts:   op.Counts{Done: 4, Total: 4},
		},
		{
			name:     "a tenant without anything",
			failures: map[string]error{"": noIntune()},
			results:  "done 0, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 35",
		},
		{
			name:     "two types in a row fail on the provider's side",
			failures: map[string]error{"/intents$": faulty(), "deviceManagementScripts$": faulty()},
			reason:   op.ProviderFault,
			results:  "done 15, unchanged 0, failed 1, skipped 19, unknown 0",
			items:    map[string]op.Reason{"intents": op.ProviderFault},
			counts:   op.Counts{Done: 15, Failed: 1, Total: 35},
		},
		{
			name:     "two that are not in a row",
			failures: map[string]error{"/intents$": faulty(), "deviceShellScripts$": faulty()},
			results:  "done 33, unchanged 0, failed 2, skipped 0, unknown 0",
			items:    map[string]op.Reason{"intents": op.ProviderFault, "deviceShellScripts": op.ProviderFault},
			counts:   op.Counts{Done: 33, Failed: 2, Total: 35},
		},
		{
			name:     "the provider is away",
			failures: map[string]error{"/intents$": away()},
			reason:   op.ProviderUnreachable,
			results:  "done 15, unchanged 0, failed 0, skipped 20, unknown 0",
			counts:   op.Counts{Done: 15, Total: 35},
		},
		{
			name:     "a long wait",
			failures: map[string]error{"mobileApps$": throttled()},
			reason:   op.ProviderThrottled,
			results:  "done 1, unchanged 0, failed 0, skipped 34, unknown 0",
			counts:   op.Counts{Done: 1, Total: 35},
		},
		{
			name:     "consent is withdrawn",
			failures: map[string]error{"/intents$": refusal(op.ConsentMissing)},
			reason:   op.ConsentMissing,
			results:  "done 15, unchanged 0, failed 0, skipped 20, unknown 0",
			counts:   op.Counts{Done: 15, Total: 35},
		},
		{
			name:     "the credential is refused",
			failures: map[string]error{"managedDevices$": refusal(op.CredentialInvalid)},
			reason:   op.CredentialInvalid,
			results:  "done 0, unchanged 0, failed 0, skipped 35, unknown 0",
			counts:   op.Counts{Total: 35},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := &datatest.Memory{}
			if _, err := run(t, op.InventorySync, &fake{page: func(next string) (provider.Page, error) {
				return provider.Page{Items: objects(`{"id":"old","name":"old"}`)}, nil
			}}, data, ""); err != nil {
				t.Fatal(err)
			}
			r, err := run(t, op.InventorySync, &fake{page: refusing(c.failures)}, data, "")
			if got := reasonOf(err); got != c.reason {
				t.Errorf("ended with %q (%v), want %q", got, err, c.reason)
			}
			if got := r.Results(); got != c.results {
				t.Errorf("items: %s; want %s", got, c.results)
			}
			if r.Counts != c.counts {
				t.Errorf("progress %+v, want %+v", r.Counts, c.counts)
			}
			told := make(map[string]op.Reason)
			for _, item := range r.Items {
				dataset := "inventory/" + item.Key
				old := names(t, data, dataset) == "old old"
				stale := data.StaleReason(dataset)
				if done := item.Result == op.ItemDone; done == old || done != (stale == "") {
					t.Errorf("%s is %s, has old rows: %t, is stale for %q", item.Key, item.Result, old, stale)
				}
				switch {
				case item.Reason == op.ItemNotReached:
					if stale != c.reason {
						t.Errorf("%s was not reached, and is stale for %q", item.Key, stale)
					}
				case item.Result == op.ItemNotApplicable:
					if item.Reason != op.NotLicensed || item.Evidence == nil || item.Evidence.Text == "" {
						t.Errorf("%s is not applicable without a word: %+v", item.Key, item)
					}
				case item.Reason != "":
					told[item.Key] = item.Reason
					if item.Reason == op.PermissionMissing && item.Args["permissions"] == "" {
						t.Errorf("%s does not say which permission", item.Key)
					}
				}
			}
			if !maps.Equal(told, c.items) {
				t.Errorf("reasons %v, want %v", told, c.items)
			}
		})
	}
}

// A later try of the same run continues where the first one stopped.
func TestInventorySyncGoesOn(t *testing.T) {
	t.Parallel()
	began := epoch
	data := &datatest.Memory{Now: func() time.Time { return epoch.Add(1) }}
	sameRun := func(env *catalogue.Env) { env.Run.BeganAt = &began }
	first, err := runWith(t, op.InventorySync, &fake{page: refusing(map[string]error{"/intents$": throttled()})}, data, "", sameRun)
	if reasonOf(err) != op.ProviderThrottled {
		t.Fatal(err)
	}
	r, err := runWith(t, op.InventorySync, &fake{page: collection}, data, "", sameRun)
	if err != nil {
		t.Fatal(err)
	}
	var rest []string
	for _, item := range r.Items {
		if first.Find(t, item.Key).Result != op.ItemDone {
			rest = append(rest, "Reading "+item.Name)
		}
	}
	if len(rest) == 0 || len(rest) == len(r.Items) || !slices.Equal(r.Events, rest) {
		t.Errorf("the second try says %q; the first left %q", r.Events, rest)
	}
	if got, want := r.Results(), "done 35, unchanged 0, failed 0, skipped 0, unknown 0"; got != want {
		t.Errorf("items: %s; want %s", got, want)
	}
	if got := r.Find(t, "managedDevices").Counts.Done; got != 2 {
		t.Errorf("%d devices", got)
	}
}

// Recorded answers of a real tenant go in as they are.
func TestInventorySyncTakesRecordedAnswers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/graph-data/examples/recorded/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded answers in ../shared/graph-data are not here")
	}
	recorded := make(map[string]provider.Page)
	want := make(map[string]int)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Body struct {
				Value []json.RawMessage `json:"value"`
			} `json:"body"`
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		path := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".json"), "-", "/")
		recorded["/beta/"+path], recorded["/v1.0/"+path] = provider.Page{Items: r.Body.Value}, provider.Page{Items: r.Body.Value}
		want[path[strings.LastIndex(path, "/")+1:]] = len(r.Body.Value)
	}
	delete(want, "managedAppPolicies") // the same policies come by type
	data := &datatest.Memory{}
	types, _ := json.Marshal(map[string][]string{"types": slices.Collect(maps.Keys(want))})
	if _, err := run(t, op.InventorySync, &fake{page: script(recorded)}, data, string(types)); err != nil {
		t.Fatal(err)
	}
	for name, n := range want {
		rows, _ := data.Rows(t.Context(), "inventory/"+name)
		if len(rows) != n {
			t.Errorf("%s: %d rows of %d", name, len(rows), n)
		}
		for _, row := range rows {
			if row.Name == "" {
				t.Errorf("%s: %s has no name", name, row.ID)
			}
		}
	}
}

// Types are read at the same time, and settled in their order: whatever comes
// first, items, counts and timeline are the same.
func TestInventorySyncIsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chance := rand.New(rand.NewPCG(1, 2))
		var first []op.Item
		var firstEvents []string
		for round := range 5 {
			var mu sync.Mutex
			var now, most int
			f := &fake{page: func(next string) (provider.Page, error) {
				mu.Lock()
				now++
				most = max(most, now)
				wait := time.Duration(chance.IntN(1000)) * time.Millisecond
				mu.Unlock()
				time.Sleep(wait)
				mu.Lock()
				now--
				mu.Unlock()
				return refusing(map[string]error{"/intents$": refusal(op.AccessRefused), "namedLocations$": noIntune()})(next)
			}}
			r, err := run(t, op.InventorySync, f, &datatest.Memory{}, "")
			if err != nil {
				t.Fatal(err)
			}
			if most != 12 {
				t.Errorf("%d calls at the same time, want 12", most)
			}
			if round == 0 {
				first, firstEvents = r.Items, r.Events
				continue
			}
			if diff := cmp.Diff(first, r.Items); diff != "" {
				t.Errorf("round %d: %s", round, diff)
			}
			if !slices.Equal(firstEvents, r.Events) || len(r.Events) != 35 {
				t.Errorf("round %d: the timeline is %q", round, r.Events)
			}
		}
	})
}

// A run that is stopped leaves no read behind.
func TestInventorySyncStopsItsReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails for a goroutine that is left
		stop := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		client := &waiting{}
		time.AfterFunc(time.Second, func() { cancel(stop) })
		def, err := catalogue.Lookup(op.InventorySync)
		if err != nil {
			t.Fatal(err)
		}
		parameters, err := def.Canonical(nil)
		if err != nil {
			t.Fatal(err)
		}
		err = def.Run(ctx, &catalogue.Env{
			Directory: directory, Parameters: parameters, Provider: client, Data: &datatest.Memory{},
			Report: &operationtest.Report{Left: -1}, Now: func() time.Time { return epoch },
		})
		if !errors.Is(err, stop) {
			t.Errorf("ended with %v", err)
		}
		if len(client.calls) != 12 {
			t.Errorf("%d calls were begun, want 12", len(client.calls))
		}
	})
}

// A refusal that ends the run ends the other reads first, so that no call is under
// way for a run that has ended.
func TestInventorySyncEndsAfterItsReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &waiting{refused: "managedDevices"}
		_, err := run(t, op.InventorySync, client, &datatest.Memory{}, "")
		if reasonOf(err) != op.ConsentMissing {
			t.Errorf("ended with %v", err)
		}
		if n := client.under.Load(); n != 0 {
			t.Errorf("%d calls are still under way", n)
		}
	})
}

// waiting is a provider that answers one list with a refusal, and the others only
// a while after the context has ended.
type waiting struct {
	fake
	refused string
	under   atomic.Int64 // calls under way
}

func (w *waiting) Page(ctx context.Context, next string) (provider.Page, error) {
	w.called(next)
	w.under.Add(1)
	defer w.under.Add(-1)
	if w.refused != "" && strings.Contains(next, w.refused) {
		return provider.Page{}, refusal(op.ConsentMissing)
	}
	<-ctx.Done()
	time.Sleep(time.Second)
	return provider.Page{}, context.Cause(ctx)
}

// A fault of ours in one of the reads is that of the run, as anywhere else.
func TestInventorySyncPanicsWhereItIsCaught(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "a bug") || !strings.Contains(fmt.Sprint(p), "goroutine") {
			t.Errorf("recovered %v, want the panic and its stack", p)
		}
	}()
	_, _ = run(t, op.InventorySync, &fake{page: func(next string) (provider.Page, error) {
		if strings.Contains(next, "intents") {
			panic("a bug")
		}
		return collection(next)
	}}, &datatest.Memory{}, "")
	t.Error("the panic was swallowed")
}

// BenchmarkInventoryReads reads 35 lists that take 100 ms each.
func BenchmarkInventoryReads(b *testing.B) {
	f := &fake{page: func(next string) (provider.Page, error) {
		time.Sleep(100 * time.Millisecond)
		return provider.Page{Items: objects(`{"id":"1","displayName":"One"}`)}, nil
	}}
	for _, n := range []int{1, 4, 8, 12} {
		b.Run(fmt.Sprint(n, " at once"), func(b *testing.B) {
			catalogue.ReadAtOnce(b, n)
			for b.Loop() {
				if _, err := run(b, op.InventorySync, f, &datatest.Memory{}, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
