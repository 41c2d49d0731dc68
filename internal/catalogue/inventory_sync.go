package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
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
	Blockers:    Blockers{Identity: true, Credential: true, Consent: true, Permissions: true, Verification: true},
	Canonical:   canonicalInventorySync,
	Parameters:  InventorySyncParameters{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    time.Hour,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         syncInventory,
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

// inventoryType is one collection of the provider.
type inventoryType struct {
	key  string // the last part of the path where that is unique
	name string
	path string
	area *area
}

func syncInventory(_ context.Context, env *Env) error {
	return fmt.Errorf("%s can't run yet", env.Run.Operation)
}
