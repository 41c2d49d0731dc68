package catalogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

const directory = "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"

// everyRole opens everything that the operations read.
var everyRole = []string{
	"Organization.Read.All", "Group.Read.All", "DeviceManagementManagedDevices.Read.All",
	"DeviceManagementConfiguration.Read.All", "DeviceManagementApps.Read.All", "DeviceManagementServiceConfig.Read.All",
	"DeviceManagementScripts.Read.All", "DeviceManagementRBAC.Read.All", "Policy.Read.All",
}

// fake is a provider that answers from functions. A nil one answers as a healthy,
// empty tenant does.
type fake struct {
	discover func() error
	token    func() (provider.Token, error)
	get      func(path string) (string, error)
	page     func(next string) (provider.Page, error)
	calls    []string
}

// calling guards calls: an operation may make several at once.
var calling sync.Mutex

func (f *fake) called(what string) {
	calling.Lock()
	defer calling.Unlock()
	f.calls = append(f.calls, what)
}

func (f *fake) Discover(ctx context.Context) error {
	f.called("discover")
	if f.discover != nil {
		return f.discover()
	}
	return ctx.Err()
}

func (f *fake) Token(ctx context.Context) (provider.Token, error) {
	f.called("token")
	if f.token != nil {
		return f.token()
	}
	return provider.Token{Directory: directory, ClientID: "app", Roles: everyRole}, ctx.Err()
}

func (f *fake) Get(ctx context.Context, path string) (json.RawMessage, error) {
	f.called(path)
	if f.get != nil {
		body, err := f.get(path)
		return json.RawMessage(body), err
	}
	return json.RawMessage(`{"value":[{"id":"` + directory + `","displayName":"Kestrel Logistics"}]}`), ctx.Err()
}

func (f *fake) Page(ctx context.Context, next string) (provider.Page, error) {
	f.called(next)
	if err := ctx.Err(); err != nil {
		return provider.Page{}, err
	}
	if f.page != nil {
		return f.page(next)
	}
	return provider.Page{}, nil
}

// script answers pages by their link; a link that is not in it is a 404.
func script(pages map[string]provider.Page) func(string) (provider.Page, error) {
	return func(next string) (provider.Page, error) {
		if p, ok := pages[next]; ok {
			return p, nil
		}
		return provider.Page{}, &provider.Error{Reason: op.ProviderRejected, Status: 404, Message: "no " + next}
	}
}

func objects(bodies ...string) []json.RawMessage {
	list := make([]json.RawMessage, len(bodies))
	for i, b := range bodies {
		list[i] = json.RawMessage(b)
	}
	return list
}

// The refusals that runs meet.
func throttled() error {
	return &provider.Error{Reason: op.ProviderThrottled, Status: 429, RetryAfter: time.Minute, Temporary: true, At: epoch}
}

func away() error {
	return &provider.Error{Reason: op.ProviderUnreachable, Temporary: true, Note: "connection refused"}
}

func faulty() error {
	return &provider.Error{Reason: op.ProviderFault, Status: 503, Temporary: true}
}

func refusal(r op.Reason) error {
	return &provider.Error{Reason: r, Status: 403, Message: "no", Proven: r != op.PermissionMissing && r != op.ProviderRejected}
}

func noIntune() error {
	return &provider.Error{Reason: op.NotLicensed, Status: 400, Unlicensed: true, Message: "Request not applicable to target tenant."}
}

var epoch = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

var errLost = errors.New("the run no longer owns its connection")

// report keeps what a run tells.
type report struct {
	items  []op.Item
	counts op.Counts
	done   []int64 // of each progress that was told
	events []string
	left   int // calls until the run loses its connection; negative: never

	refused int // calls after that
	mu      sync.Mutex
}

func (r *report) spend() error {
	if r.left == 0 {
		r.refused++
		return errLost
	}
	r.left--
	return nil
}

func (r *report) Progress(ctx context.Context, c op.Counts) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts, r.done = c, append(r.done, c.Done)
	return errors.Join(ctx.Err(), r.spend())
}

func (r *report) Item(ctx context.Context, item op.Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.items, func(old op.Item) bool { return old.Key == item.Key })
	if i < 0 {
		r.items = append(r.items, item)
	} else {
		r.items[i] = item
	}
	return errors.Join(ctx.Err(), r.spend())
}

func (r *report) NotReached(items []op.Item) { r.items = append(r.items, items...) }

func (r *report) Event(ctx context.Context, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, text)
	return errors.Join(ctx.Err(), r.spend())
}

func (r *report) item(t testing.TB, key string) op.Item {
	t.Helper()
	for _, item := range r.items {
		if item.Key == key {
			return item
		}
	}
	t.Fatalf("there is no item %q in %+v", key, r.items)
	return op.Item{}
}

// results counts the items by their result.
func (r *report) results() string {
	counts := make(map[op.ItemResult]int)
	for _, item := range r.items {
		counts[item.Result]++
	}
	text := fmt.Sprintf("done %d, unchanged %d, failed %d, skipped %d, unknown %d",
		counts[op.ItemDone], counts[op.ItemUnchanged], counts[op.ItemFailed], counts[op.ItemSkipped], counts[op.ItemUnknown])
	if n := counts[op.ItemNotApplicable]; n > 0 {
		text += fmt.Sprintf(", not applicable %d", n)
	}
	return text
}

// run runs an operation on data with the parameters, "" for the defaults.
func run(t testing.TB, kind op.Kind, f provider.Client, data *datatest.Memory, parameters string) (*report, error) {
	t.Helper()
	return runWith(t, kind, f, data, parameters, func(*catalogue.Env) {})
}

func runWith(t testing.TB, kind op.Kind, f provider.Client, data catalogue.Data, parameters string, change func(*catalogue.Env)) (*report, error) {
	t.Helper()
	def, err := catalogue.Lookup(kind)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := def.Canonical(json.RawMessage(parameters))
	if err != nil {
		t.Fatal(err)
	}
	r := &report{left: -1}
	env := &catalogue.Env{
		Run: op.Run{
			Operation: kind,
			Tenant:    op.Tenant{Name: "Kestrel Logistics"},
			Target:    op.Target{Provider: "Microsoft 365", Short: "Kestrel primary"},
		},
		Directory:  directory,
		Domain:     "kestrel.example",
		Parameters: canonical,
		Provider:   f,
		Data:       data,
		Report:     r,
		Now:        func() time.Time { return epoch },
	}
	change(env)
	return r, def.Run(t.Context(), env)
}
