// Package operationtest holds what every operation must pass, whatever it does: it
// runs one against the simulator and makes the provider fail in each known way. Its
// users are tests.
package operationtest

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
	"github.com/interlock-dev/interlock/internal/restore"
)

// Directory is the directory of the tenant that operations run for.
const Directory = "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"

// Epoch is the time of every run.
var Epoch = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

// ErrLost is what a [Report] answers once its run has lost the connection.
var ErrLost = errors.New("the run no longer owns its connection")

// Report keeps what a run reports. It is a [catalogue.Report].
type Report struct {
	Items  []op.Item
	Counts op.Counts
	Done   []int64 // of each progress, in order
	Events []string
	Left   int // calls until the run loses its connection; negative: never

	Refused int // calls after that
	mu      sync.Mutex
}

func (r *Report) spend() error {
	if r.Left == 0 {
		r.Refused++
		return ErrLost
	}
	r.Left--
	return nil
}

// Progress implements [catalogue.Report].
func (r *Report) Progress(ctx context.Context, c op.Counts) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Counts, r.Done = c, append(r.Done, c.Done)
	return errors.Join(ctx.Err(), r.spend())
}

// Item implements [catalogue.Report].
func (r *Report) Item(ctx context.Context, item op.Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.Items, func(old op.Item) bool { return old.Key == item.Key })
	if i < 0 {
		r.Items = append(r.Items, item)
	} else {
		r.Items[i] = item
	}
	return errors.Join(ctx.Err(), r.spend())
}

// NotReached implements [catalogue.Report].
func (r *Report) NotReached(items []op.Item) { r.Items = append(r.Items, items...) }

// Event implements [catalogue.Report].
func (r *Report) Event(ctx context.Context, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Events = append(r.Events, text)
	return errors.Join(ctx.Err(), r.spend())
}

// Find returns the item with the key and fails the test when there is none.
func (r *Report) Find(t testing.TB, key string) op.Item {
	t.Helper()
	for _, item := range r.Items {
		if item.Key == key {
			return item
		}
	}
	t.Fatalf("there is no item %q in %+v", key, r.Items)
	return op.Item{}
}

// Results counts the items by their result.
func (r *Report) Results() string {
	counts := make(map[op.ItemResult]int)
	for _, item := range r.Items {
		counts[item.Result]++
	}
	text := fmt.Sprintf("done %d, unchanged %d, failed %d, skipped %d, unknown %d",
		counts[op.ItemDone], counts[op.ItemUnchanged], counts[op.ItemFailed], counts[op.ItemSkipped], counts[op.ItemUnknown])
	if n := counts[op.ItemNotApplicable]; n > 0 {
		text += fmt.Sprintf(", not applicable %d", n)
	}
	return text
}

// Run runs d on data with the parameters, "" for the defaults. change may alter the
// environment before; nil leaves it.
func Run(t testing.TB, d *catalogue.Definition, c provider.Client, data catalogue.Data, parameters string, change func(*catalogue.Env)) (*Report, error) {
	t.Helper()
	canonical, err := d.Canonical(json.RawMessage(parameters))
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Left: -1}
	env := &catalogue.Env{
		Run: op.Run{
			Operation: d.Kind,
			Tenant:    op.Tenant{Name: "Kestrel Logistics"},
			Target:    op.Target{Provider: "Microsoft 365", Short: "Kestrel primary"},
		},
		Directory:  Directory,
		Domain:     "kestrel.example",
		Parameters: canonical,
		Provider:   c,
		Data:       data,
		Snapshots:  &datatest.Snapshots{},
		Report:     r,
		Plans:      noPlans{},
		Backups:    noBackups{&datatest.Backups{}},
		Journal:    noJournal{},
		Now:        func() time.Time { return Epoch },
	}
	if change != nil {
		change(env)
	}
	return r, d.Run(t.Context(), env)
}

// defaults are the parameters of a plain start: none, or the example of an operation that
// needs some.
func defaults(d *catalogue.Definition) string {
	if d.Input {
		return string(d.Example)
	}
	return ""
}

// noPlans holds one plan, which has no steps and is for the tenant of every run.
type noPlans struct{ catalogue.Plans }

// Plan implements [catalogue.Plans].
func (noPlans) Plan(context.Context, string) (restore.Plan, error) {
	return restore.Plan{Target: restore.Target{Directory: Directory}}, nil
}

// Mappings implements [catalogue.Plans].
func (noPlans) Mappings(context.Context, string, string) ([]restore.Mapping, error) { return nil, nil }

// Keep implements [catalogue.Plans].
func (noPlans) Keep(_ context.Context, p restore.Plan) (string, error) { return p.Hash(), nil }

// noBackups finds one backup, which has no policies, and keeps others.
type noBackups struct{ *datatest.Backups }

// Set implements [catalogue.Backups].
func (noBackups) Set(_ context.Context, id string) (restore.Set, error) {
	return restore.Set{ID: id, Directory: Directory, AsOf: Epoch}, nil
}

// noJournal is the journal of a run that has changed nothing.
type noJournal struct{ catalogue.Journal }

// Steps implements [catalogue.Journal].
func (noJournal) Steps(context.Context) ([]catalogue.Recorded, error) { return nil, nil }
