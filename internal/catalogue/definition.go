package catalogue

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// readLimit is the time limit of operations that read a tenant. They take minutes. A
// provider that limits the request rate can make them wait for hours.
const readLimit = 4 * time.Hour

// Definition is one operation: everything that the rest of the program knows about
// it. [Register] says which fields are required.
type Definition struct {
	Kind    op.Kind
	Version int // of the parameters' canonical form; part of the fingerprint
	Place   int // where surfaces list it: in ascending order, then by kind
	Words   op.KindWords
	Icon    string // of the start button: the id of a drawing in the console's icons.svg

	// Capability is what a member needs to start it. It belongs to this operation
	// alone. Allows is its name for people, such as "Sync inventory"; Roles have it by
	// default.
	Capability tenancy.Capability
	Allows     string
	Roles      []tenancy.Role

	Datasets []DatasetInfo // that it keeps; no other operation writes them

	Permissions []Permission
	// Needs returns the permissions that it needs for these parameters beyond
	// Permissions. nil: none.
	Needs    func(canonical json.RawMessage) []Permission
	Optional []Permission // without one of these it leaves a part out, and ends partly

	// Baseline says that a tenant is ready only when this operation can run. Each
	// other operation tells its own readiness, on its start button and by preflight.
	Baseline bool
	Blockers Blockers
	// Requires returns the prerequisites that are not met, from what is stored. It
	// runs in the transaction that decides a start, and again in the one that begins
	// the run, so it must be quick. Its error is a fault and decides nothing. nil:
	// there are none. A baseline operation can't have any.
	Requires func(ctx context.Context, q Question, s Stored) ([]op.Cause, error)

	// Canonical decodes the parameters of a start and returns their canonical form:
	// defaults filled in, sets sorted, GUIDs lower-cased, nothing secret. It returns an
	// [*op.FieldError] for anything it does not understand. nil and "null" mean all
	// defaults.
	Canonical func(raw json.RawMessage) (json.RawMessage, error)
	// Parameters is a zero value of the input type. The API's document and the manual
	// show its fields by their tags json and doc.
	Parameters any
	// Input says that a start needs parameters: the defaults are not accepted. Surfaces
	// show no plain start button for such an operation. It needs an Example.
	Input bool
	// Confirm returns an [*op.FieldError] when the parameters don't confirm a start on t,
	// such as a name that was typed wrongly. It is asked at the start only. nil: nothing
	// is confirmed.
	Confirm func(canonical json.RawMessage, t tenancy.Tenant) error
	// Example are parameters of a small start. Help texts show them, and the fault
	// matrix runs with them. nil: the defaults.
	Example json.RawMessage

	QueueLimit  time.Duration // how long it may wait in the queue
	RunLimit    time.Duration // how long it may work, from its first begin
	CallLimit   time.Duration // how long one try of a call at the provider may take; each retry has as long. Less than a lease
	MaxDispatch int           // how often it is handed to a worker at most
	Recovery    Recovery

	// SignsIn says that the worker signs the connection in before Run: to the tenant's
	// own directory, with every needed permission, or the run fails with what is wrong.
	SignsIn bool
	// Interactive says that somebody waits for the run: its calls go before those of
	// others.
	Interactive bool
	// OnEach says that the list of connections offers its start on each of them.
	OnEach bool
	// Learns says that what its sign-in and its failures prove about the connection is
	// stored, so that the next start is judged by it. An operation that reports its own
	// findings by [Data.Learn] does not set it.
	Learns bool

	// Run does the work. Its error is classified; nil means that the items say how it
	// ended.
	Run func(ctx context.Context, env *Env) error
}

// Recovery says what becomes of a run whose try was cut off: its worker died, was
// stopped, or met a failure that may pass.
type Recovery string

// The recoveries.
const (
	Again  Recovery = "again"  // a new try begins from the start; for operations that only read
	Resume Recovery = "resume" // a new try continues where the run's journal ends
	Never  Recovery = "never"  // there is no new try: the run ends
)

// Blockers says which classes of blockers apply to an operation, beyond an
// existing, enabled connection of an active tenant, which every one needs.
type Blockers struct {
	Identity     bool          // the connection signs in to the tenant's own directory
	Credential   bool          // missing, expired, unreadable, refused
	Consent      bool          // missing, pending, withdrawn
	Permissions  bool          // every needed permission
	Verification bool          // was verified, and it did not fail
	MaxAge       time.Duration // of that verification; 0: any age
}

// AllBlockers are the blockers of an operation that reads or writes through a
// verified connection.
func AllBlockers() Blockers {
	return Blockers{Identity: true, Credential: true, Consent: true, Permissions: true, Verification: true, MaxAge: verificationGood}
}

// Permission is one need of an operation: any one of AnyOf satisfies it. The
// first is the one to ask for.
type Permission struct {
	AnyOf []string
	For   string // what it is needed for, such as "read groups"
}

// Needed returns every permission that d needs for canonical parameters.
func (d *Definition) Needed(canonical json.RawMessage) []Permission {
	if d.Needs == nil {
		return d.Permissions
	}
	return slices.Concat(d.Permissions, d.Needs(canonical))
}

// EveryPermission returns what to ask an administrator for, so that every operation
// can run and leaves nothing out. It is sorted.
func EveryPermission() []string {
	names := []string{organizationRead.AnyOf[0]}
	for _, d := range registered {
		for _, p := range slices.Concat(d.Needed(d.Example), d.Optional) {
			names = append(names, p.AnyOf[0])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Missing returns the permissions of needs that granted does not satisfy, by the
// name to ask for, in the order of needs.
func Missing(needs []Permission, granted []string) []string {
	have := make(map[string]bool, len(granted))
	for _, g := range granted {
		have[g] = true
	}
	var missing []string
next:
	for _, n := range needs {
		for _, p := range n.AnyOf {
			if have[p] {
				continue next
			}
		}
		missing = append(missing, n.AnyOf[0])
	}
	return missing
}
