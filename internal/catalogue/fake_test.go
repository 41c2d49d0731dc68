package catalogue_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

const directory = operationtest.Directory

// everyRole opens everything that the operations read.
var everyRole = catalogue.EveryPermission()

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

func (f *fake) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	return providertest.Batch(ctx, f, paths)
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

var epoch = operationtest.Epoch

// run runs an operation on data with the parameters, "" for the defaults.
func run(t testing.TB, kind op.Kind, f provider.Client, data *datatest.Memory, parameters string) (*operationtest.Report, error) {
	t.Helper()
	return runWith(t, kind, f, data, parameters, nil)
}

func runWith(t testing.TB, kind op.Kind, f provider.Client, data catalogue.Data, parameters string, change func(*catalogue.Env)) (*operationtest.Report, error) {
	t.Helper()
	def, err := catalogue.Lookup(kind)
	if err != nil {
		t.Fatal(err)
	}
	return operationtest.Run(t, def, f, data, parameters, change)
}
