package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The gate asks only for the permission that opens most of the inventory.
// Without one of the others a few types fail, each with its own reason, and the
// rest is read: a part is worth more to an operator than a refusal.
var inventorySync = &Definition{
	Kind:        op.InventorySync,
	Version:     1,
	Capability:  tenancy.SyncInventory,
	Permissions: []Permission{policies.permission},
	Optional:    otherPermissions(inventoryTypes, policies),
	Blockers:    Blockers{Identity: true, Credential: true, Consent: true, Permissions: true, Verification: true, MaxAge: verificationGood},
	Canonical:   canonicalInventorySync,
	Parameters:  InventorySyncParameters{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    time.Hour,
	CallLimit:   30 * time.Second,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         syncInventory,
}

// otherPermissions are those of the areas of types, without the main one.
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
	if err := decodeStrict(raw, &p); err != nil {
		return nil, err
	}
	if p.Types == nil {
		p.Types = []string{everyType}
	}
	if len(p.Types) == 0 {
		return nil, &op.FieldError{Field: "parameters.types", Detail: "must name at least one type, or be left out for all of them"}
	}
	known := make([]string, len(inventoryTypes))
	for i, t := range inventoryTypes {
		known[i] = t.key
	}
	for i, name := range p.Types {
		if name != everyType && !slices.Contains(known, name) {
			return nil, &op.FieldError{
				Field:  fmt.Sprintf("parameters.types[%d]", i),
				Detail: fmt.Sprintf("%.60q is not a type; the types are %s, %s", name, everyType, strings.Join(known, ", ")),
			}
		}
	}
	slices.Sort(p.Types)
	p.Types = slices.Compact(p.Types)
	if slices.Contains(p.Types, everyType) || len(p.Types) == len(known) {
		p.Types = []string{everyType}
	}
	return json.Marshal(p)
}

// dataset is where the rows of a type are kept.
func (t inventoryType) dataset() string { return "inventory/" + t.key }

// syncInventory reads type by type. A type is replaced only when all of its pages
// came; one that failed keeps its old rows, with the reason, and the others go
// on. What refuses the connection as a whole ends the run, and so do two types in
// a row that the provider answers with a fault of its own: it is down then. A
// later try of the same run does not read again what an earlier one finished.
func syncInventory(ctx context.Context, env *Env) error {
	types, err := chosenTypes(env.Parameters)
	if err != nil {
		return err
	}
	s := &inventorySyncRun{env: env, counts: op.Counts{Total: int64(len(types))}}
	if err := env.Report.Progress(ctx, s.counts); err != nil {
		return err
	}
	faults := 0
	for i, t := range types {
		rows, err := s.read(ctx, t)
		if provider.Classify(err) == op.ProviderUnreachable {
			faults++
		} else {
			faults = 0
		}
		if err != nil && (endsRun(err) || faults == 2) {
			return s.stop(ctx, types[i:], err)
		}
		if lost := s.report(ctx, t, rows, err); lost != nil {
			return lost
		}
		if s.counts.Total == 0 {
			return err // the tenant has nothing of what was asked for
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
	env    *Env
	counts op.Counts
}

// read replaces the rows of one type and returns how many there are.
func (s *inventorySyncRun) read(ctx context.Context, t inventoryType) (int64, error) {
	known, err := s.env.Data.Dataset(ctx, t.dataset())
	if err != nil {
		return 0, err
	}
	if began := s.env.Run.BeganAt; began != nil && known.AsOf.After(*began) {
		return known.Count, nil
	}
	if err := s.env.Report.Event(ctx, "Reading "+t.name); err != nil {
		return 0, err
	}
	round, err := s.env.Data.Begin(ctx, t.dataset(), true)
	if err != nil {
		return 0, err
	}
	for page, err := range provider.Walk(ctx, s.env.Provider, t.path) {
		if err != nil {
			return 0, err
		}
		rows := make([]Row, len(page.Items))
		for i, raw := range page.Items {
			if rows[i], err = newRow(raw); err != nil {
				return 0, err
			}
		}
		if err := round.Put(ctx, rows); err != nil {
			return 0, err
		}
	}
	return round.Commit(ctx, "")
}

// report writes the line of one type, and keeps the old rows of one that failed.
func (s *inventorySyncRun) report(ctx context.Context, t inventoryType, rows int64, failure error) error {
	item := op.Item{Key: t.key, Name: t.name, Result: op.ItemDone, Counts: op.Counts{Done: rows, Total: rows}, At: s.env.Now()}
	switch {
	case failure == nil:
		s.counts.Done++
	case unlicensed(failure):
		item.Result = op.ItemSkipped // there is nothing to read, so it is not one of the items
		s.counts.Total--
	default:
		item.Result = op.ItemFailed
		s.counts.Failed++
	}
	if failure == nil && rows == 0 {
		item.Args = op.Args{"objects": "0"} // to be told from an item that counts nothing
	}
	if failure != nil {
		item.Counts = op.Counts{}
		item.Reason, item.Args = told(s.env, failure, t.area.permission)
		if err := s.env.Data.Stale(ctx, t.dataset(), item.Reason); err != nil {
			return err
		}
	}
	if err := s.env.Report.Item(ctx, item); err != nil {
		return err
	}
	return s.env.Report.Progress(ctx, s.counts)
}

// stop ends the run early: the types that are left keep their rows and say so.
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
