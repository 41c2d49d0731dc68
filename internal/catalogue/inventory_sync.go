package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The gate requires only the permission that most of the inventory needs. Without one
// of the optional permissions a few types fail, each with its own reason, and the rest
// is read: operators prefer a part to a refusal.
var _ = Register(&Definition{
	Kind:    op.InventorySync,
	Version: 1,
	Place:   20,
	Words: op.KindWords{
		Name: "Inventory sync", Does: "Reads policies, apps and devices from the tenant.",
		Start: "Start sync", Item: "type", Items: "types",
	},
	Icon:        "sync",
	Capability:  "inventory.sync",
	Allows:      "Sync inventory",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Datasets:    []DatasetInfo{inventory},
	Permissions: []Permission{policies.permission},
	Optional:    otherPermissions(inventoryTypes, policies),
	Baseline:    true,
	Blockers:    AllBlockers(),
	Canonical:   canonicalInventorySync,
	Parameters:  InventorySyncParameters{},
	Example:     json.RawMessage(`{"types":["configurationPolicies"]}`),
	QueueLimit:  2 * time.Hour,
	RunLimit:    readLimit,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Learns:      true,
	OnEach:      true,
	Run:         syncInventory,
})

// inventory has one part for each type. A part is replaced once all of its pages were
// read.
var inventory = DatasetInfo{
	Name:  "inventory",
	Title: "Inventory",
	Tab:   "Inventory",
	Lead:  "Policies, apps and devices of {tenant}, as Interlock last read them.",
	Icon:  "box",
	Item:  "object",
	Items: "objects",
	Columns: []Column{
		{Title: "Name"},
		{Title: "Type", Text: func(r Row) string { return InventoryName(r.Part) }},
		{Title: "Last change", Text: func(r Row) string { return day(r.ModifiedAt) }},
	},
	Note:  func(r Row) string { return r.ID },
	Sort:  []SortKey{ByPart, ByName},
	Parts: inventoryParts(),

	TypeHelp: `One type only, such as "deviceConfigurations".`,
	NotRead: Empty{
		"No inventory yet", "Policies, apps and devices appear here once a sync has read them through the default connection.",
	},
	None: Empty{"The inventory is empty", "The last sync found nothing."},
}

func inventoryParts() []DatasetPart {
	parts := make([]DatasetPart, len(inventoryTypes))
	for i, t := range inventoryTypes {
		parts[i] = DatasetPart{Key: t.key, Words: t.name}
	}
	return parts
}

// otherPermissions returns the permissions of the types' areas, without the main one.
func otherPermissions(types []inventoryType, main *area) (others []Permission) {
	seen := []*area{main}
	for _, t := range types {
		if !slices.Contains(seen, t.area) {
			seen = append(seen, t.area)
			others = append(others, t.area.permission)
		}
	}
	return others
}

// InventorySyncParameters are the parameters of inventory.sync.
type InventorySyncParameters struct {
	Types []string `json:"types" doc:"Which types to read, such as \"mobileApps\". Default: [\"all\"]." required:"false"`
}

// everyType is the canonical form of "all types", however they were named.
const everyType = "all"

func canonicalInventorySync(raw json.RawMessage) (json.RawMessage, error) {
	p := InventorySyncParameters{}
	if err := DecodeParameters(raw, &p); err != nil {
		return nil, err
	}
	types, err := canonicalTypes(p.Types, inventoryTypes)
	if err != nil {
		return nil, err
	}
	return json.Marshal(InventorySyncParameters{types})
}

// dataset is where the rows of a type are kept.
func (t inventoryType) dataset() string { return inventory.Stored(t.key) }

// typesAtOnce is how many types are read at the same time: as many as the provider's
// client makes calls at once in one tenant, and a few that wait for their turn, so that a
// slow chain of pages delays nothing else. BenchmarkInventoryReads measures it.
var typesAtOnce = 12 // changed by a benchmark only

// syncInventory reads several types at the same time and settles them in order. A type is
// replaced only if all of its pages were read; a type that failed keeps its old rows, with
// the reason, and the others continue. A refusal of the whole connection ends the run. So
// do two provider faults in a row, because the provider is then down. A later try of the
// same run skips the types that an earlier try finished.
func syncInventory(ctx context.Context, env *Env) error {
	types, err := chosenTypes(env.Parameters)
	if err != nil {
		return err
	}
	s := &inventorySyncRun{env: env, counts: op.Counts{Total: int64(len(types))}}
	if err := env.Report.Progress(ctx, s.counts); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	readings, wait := s.readAll(reading, types)
	defer wait()
	defer stop()
	faults := 0
	for i, t := range types {
		r := <-readings[i]
		if r.panicked != nil {
			panic(r.panicked)
		}
		dataset, err := s.finish(ctx, r)
		if faulty(err) {
			faults++
		} else {
			faults = 0
		}
		if err != nil && (endsRun(err) || faults == 2) {
			return s.stop(ctx, types[i:], err)
		}
		if lost := s.report(ctx, t, r, dataset, err); lost != nil {
			return lost
		}
		if s.counts.Total == 0 {
			return nil // the tenant has nothing of what was asked for
		}
	}
	return nil
}

// chosenTypes returns the types that canonical parameters name, in reading order.
func chosenTypes(canonical json.RawMessage) ([]inventoryType, error) {
	var p InventorySyncParameters
	if err := json.Unmarshal(canonical, &p); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	if slices.Contains(p.Types, everyType) {
		return inventoryTypes, nil
	}
	var chosen []inventoryType
	for _, t := range inventoryTypes {
		if slices.Contains(p.Types, t.key) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

type inventorySyncRun struct {
	env      *Env
	counts   op.Counts
	noIntune atomic.Pointer[provider.Error] // once the provider has said so
}

// reading is one type on its way: its rows are staged, or it failed.
type reading struct {
	known    Dataset
	round    Round // nil: nothing had to be read, or it could not begin
	flaws    flaws
	err      error
	panicked any // with its stack
}

// readAll begins to read the types, in their order and a few at once. Each result
// comes through the channel of its type. wait returns when nothing is read any
// more, which is soon after the end of ctx.
func (s *inventorySyncRun) readAll(ctx context.Context, types []inventoryType) (results []chan reading, wait func()) {
	results = make([]chan reading, len(types))
	for i := range results {
		results[i] = make(chan reading, 1)
	}
	few, ctx := errgroup.WithContext(ctx)
	few.SetLimit(typesAtOnce)
	var all errgroup.Group
	all.Go(func() error {
		for i, t := range types {
			begun := s.begin(ctx, t) // here, so that the timeline is in order
			few.Go(func() error {
				r := begun
				defer func() {
					if p := recover(); p != nil { // for whoever settles the type
						r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
					}
					results[i] <- r
				}()
				s.read(ctx, t, &r)
				if !r.over() {
					return nil
				}
				if ctx.Err() != nil {
					r.err = context.Cause(ctx) // what ended the first of them
				}
				return r.err // ends the others
			})
			if begun.over() {
				for _, rest := range results[i+1:] {
					rest <- reading{err: begun.err}
				}
				break
			}
		}
		return few.Wait()
	})
	return results, func() { _ = all.Wait() } // errors are in the results
}

// over reports whether the run itself has ended.
func (r *reading) over() bool {
	var pe *provider.Error
	return r.err != nil && !errors.As(r.err, &pe)
}

// begin starts the round of one type, unless an earlier try of the run has read it.
func (s *inventorySyncRun) begin(ctx context.Context, t inventoryType) (r reading) {
	if r.known, r.err = s.env.Data.Dataset(ctx, t.dataset()); r.err != nil {
		return r
	}
	if began := s.env.Run.BeganAt; began != nil && r.known.AsOf.After(*began) {
		return r
	}
	if r.err = s.env.Report.Event(ctx, "Reading "+t.name); r.err == nil {
		r.round, r.err = s.env.Data.Begin(ctx, t.dataset(), true)
	}
	return r
}

// read stages the rows of one type. Where the tenant has no Intune, its other
// parts are not asked for.
func (s *inventorySyncRun) read(ctx context.Context, t inventoryType, r *reading) {
	if r.round == nil {
		return
	}
	if r.err = context.Cause(ctx); r.err != nil {
		return
	}
	if missing := s.noIntune.Load(); missing != nil && t.area.intune {
		r.err = missing
		return
	}
	came := make(map[string]bool)
	for page, err := range provider.Walk(ctx, s.env.Provider, t.path) {
		var pe *provider.Error
		if t.area.intune && notApplicable(err) && errors.As(err, &pe) {
			s.noIntune.Store(pe)
		}
		if r.err = err; err != nil {
			return
		}
		if r.err = r.round.Put(ctx, keepable(page.Items, "Object of "+t.name, came, &r.flaws)); r.err != nil {
			return
		}
	}
	if len(came) == 0 {
		r.err = r.flaws.first() // nothing can be read: the old rows are worth more
	}
}

// finish commits what was read of one type and returns the state of its dataset.
func (s *inventorySyncRun) finish(ctx context.Context, r reading) (Dataset, error) {
	if r.err != nil || r.round == nil {
		return r.known, r.err
	}
	return r.round.Commit(ctx, Committed{Unreadable: r.flaws.lost})
}

// report writes the item of one type. A type that failed keeps its old rows.
func (s *inventorySyncRun) report(ctx context.Context, t inventoryType, r reading, now Dataset, failure error) error {
	item := op.Item{Key: t.key, Name: t.name, Result: op.ItemDone, Counts: op.Counts{Done: now.Count, Total: now.Count}, At: s.env.Now()}
	switch {
	case failure == nil && now.Unreadable > 0:
		s.counts.Failed++
		incomplete(&item, s.env, now.Unreadable)
	case failure == nil:
		s.counts.Done++
		if now.Count == 0 {
			item.Args = op.Args{"objects": "0"} // to be told from an item that counts nothing
		}
	case notApplicable(failure):
		item.Result = op.ItemNotApplicable // there is nothing to read, so it is not one of the items
		s.counts.Total--
	default:
		item.Result = op.ItemFailed
		s.counts.Failed++
	}
	if failure != nil {
		item.Counts = op.Counts{}
		item.Reason, item.Args, item.Evidence = told(s.env, failure, t.area.permission)
		if err := s.env.Data.Stale(ctx, t.dataset(), item.Reason); err != nil {
			return err
		}
	}
	for _, item := range append([]op.Item{item}, r.flaws.items(s.env, t.key, failure == nil)...) {
		if err := s.env.Report.Item(ctx, item); err != nil {
			return err
		}
	}
	return s.env.Report.Progress(ctx, s.counts)
}

// stop ends the run early. The remaining types keep their rows and are reported as not
// reached.
func (s *inventorySyncRun) stop(ctx context.Context, left []inventoryType, why error) error {
	var pe *provider.Error
	if !errors.As(why, &pe) {
		return why // the run itself is over, and nothing of it can be written
	}
	items := make([]op.Item, len(left))
	for i, t := range left {
		if err := s.env.Data.Stale(ctx, t.dataset(), provider.Classify(why)); err != nil {
			return err
		}
		items[i] = op.Item{Key: t.key, Name: t.name, Result: op.ItemSkipped, Reason: op.ItemNotReached, At: s.env.Now()}
	}
	s.env.Report.NotReached(items)
	return why
}
