// Package catalogue declares the provider-backed operations: one file each, and
// [All]. Route, API enum, CLI verb, capability row, worker dispatch and the test
// matrix derive from a [Definition]; adding an operation is one file and its
// line in All.
package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/strictjson"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Blockers says which classes of blockers apply to an operation, beyond an
// existing, enabled connection of an active tenant, which every one needs.
type Blockers struct {
	Identity     bool          // the connection signs in to the tenant's own directory
	Credential   bool          // missing, expired, unreadable, refused
	Consent      bool          // missing, pending, withdrawn
	Permissions  bool          // every one of Definition.Permissions
	Verification bool          // was verified, and it did not fail
	MaxAge       time.Duration // of that verification; 0: any age
}

// Permission is one need of an operation: any one of AnyOf satisfies it. The
// first is the one to ask for.
type Permission struct {
	AnyOf []string
	For   string // what it is needed for, such as "Read groups"
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

// Definition is one operation.
type Definition struct {
	Kind        op.Kind
	Version     int // of the input's canonical form; part of the fingerprint
	Capability  tenancy.Capability
	Permissions []Permission
	Optional    []Permission // without one of these it leaves a part out, and ends partly
	Blockers    Blockers
	// Canonical decodes the parameters of a start and returns their canonical
	// form: defaults filled in, sets sorted, GUIDs lower-cased, nothing secret. It
	// returns an [*op.FieldError] for anything it does not understand. nil and
	// "null" mean all defaults.
	Canonical func(raw json.RawMessage) (json.RawMessage, error)
	// Parameters is a zero value of the input type, for the API's document.
	Parameters  any
	QueueLimit  time.Duration // how long it may wait in the queue
	RunLimit    time.Duration // how long it may work, from its first begin
	CallLimit   time.Duration // how long one call at the provider may take; less than a lease
	RetrySafe   bool          // a try that was cut off can be made again from the start
	MaxDispatch int           // how often it is handed to a worker at most
	// Run does the work. Its error is classified; nil means that the items say how it
	// ended. Where Blockers.Credential applies, the connection has been signed in
	// already: to the tenant's own directory, with every one of Permissions.
	Run func(ctx context.Context, env *Env) error
}

// Env is what a running operation may touch.
type Env struct {
	Run       op.Run
	Directory string // GUID of the directory that the tenant is
	Domain    string // the tenant's domain
	Consented bool   // consent had been given when the run began
	// CredentialKind is what the connection signs in with, as sentences name it.
	CredentialKind string
	Parameters     json.RawMessage // canonical
	Provider       provider.Client
	Data           Data
	Report         Report
	Now            func() time.Time
}

// Report tells what a run is doing. Each method writes with the run's fence and
// returns an error when the run no longer owns its connection; the operation
// must return at once then.
type Report interface {
	// Progress replaces the counts.
	Progress(ctx context.Context, c op.Counts) error
	// Item writes or replaces one line of the results by its Key.
	Item(ctx context.Context, item op.Item) error
	// NotReached names items that this try does not come to. They are told when the
	// run ends with it, and forgotten when it goes back in line: the next try may
	// reach them.
	NotReached(items []op.Item)
	// Event adds a line to the timeline, such as "Reading apps".
	Event(ctx context.Context, text string) error
}

// Row is one object of a dataset.
type Row struct {
	ID         string          // unique in its dataset
	Name       string          //
	Type       string          // of a group, a [tenancy.GroupType]; else the @odata.type
	ModifiedAt string          // as the provider wrote it; may be empty
	Data       json.RawMessage // byte-faithful
}

// Member is an object in a group.
type Member struct {
	Group, ID string
	Type      string // the @odata.type; may be empty
}

// Round is one pass over a dataset. The rows of a full round are written out of
// sight of readers and take the place of the old ones at Commit, all at once; one
// that is never committed changes nothing that readers see.
//
// An incremental round changes the rows that readers see, in small steps, and
// takes the token away until Commit sets the next one: after a round that was cut
// off there is no token to go on from. So it begins only when it has read what it
// needs.
//
// Rows and members may come in any number; they are written in transactions that
// hold up nobody.
type Round interface {
	// Put writes rows. The same row put again replaces the earlier one.
	Put(ctx context.Context, rows []Row) error
	// Remove takes away rows, and the members of those that are groups. Ids that are
	// not there are no error.
	Remove(ctx context.Context, ids []string) error
	// PutMembers writes members of groups. One that is there already stays.
	PutMembers(ctx context.Context, members []Member) error
	// RemoveMembers takes members away. Those that are not there are no error.
	RemoveMembers(ctx context.Context, members []Member) error
	// Commit shows the round to readers and returns the dataset as it is then.
	Commit(ctx context.Context, end Committed) (Dataset, error)
}

// Committed is how a round ends.
type Committed struct {
	Delta      string // token to go on from next time; empty: none
	Unreadable int64  // objects of the round that could not be kept
}

// Dataset is what is known of one dataset of a connection.
type Dataset struct {
	AsOf       time.Time // of the last commit; zero when there never was one
	Count      int64     // rows, without the members of groups
	Members    int64     // of groups
	Unreadable int64     // objects that came and could not be kept, since the last full round
	Delta      string    // token to go on from; empty: read everything
	DeltaAt    time.Time // when that token was given out
}

// Data is where an operation keeps what it read.
type Data interface {
	// Dataset tells how far the dataset is.
	Dataset(ctx context.Context, name string) (Dataset, error)
	// Begin starts a round. full: the round's rows are all there are. Otherwise they
	// change the ones of the last commit.
	Begin(ctx context.Context, name string, full bool) (Round, error)
	// Stale keeps a dataset's old rows and notes why they could not be read anew.
	Stale(ctx context.Context, name string, why op.Reason) error
	// Learn stores what a verification found out about the connection. The gate
	// judges by it from then on.
	Learn(ctx context.Context, f Facts) error
}

// Check is one step of a connection verification.
type Check struct {
	Key    string      `json:"key"`
	Name   string      `json:"name"`
	Result CheckResult `json:"result"`
	Reason op.Reason   `json:"reason,omitempty"`
	Detail string      `json:"detail"`
	Args   op.Args     `json:"args,omitempty"`

	Evidence *op.Evidence `json:"evidence,omitempty"` // the call that failed, when one did
}

// CheckResult is how a check ended.
type CheckResult string

// The results of a check.
const (
	CheckOK           CheckResult = "ok"
	CheckFailed       CheckResult = "failed"
	CheckInconclusive CheckResult = "inconclusive" // throttled or timed out: the last good verdict stays
	CheckNotReached   CheckResult = "not_reached"

	// CheckNotApplicable: the tenant does not have what is checked. Nothing failed.
	CheckNotApplicable CheckResult = "not_applicable"
)

// Facts are what one verification learnt. A nil field was not learnt and leaves
// what was known before.
type Facts struct {
	Checks      []Check
	Verdict     tenancy.Verification // "missing" means inconclusive: the last good verdict stays
	Reason      op.Reason            // of a failed verdict
	Consent     *tenancy.Consent     // "missing" is stored as "revoked" where consent had been granted before
	Credential  *tenancy.CredentialState
	SignIn      *op.Reason // why the provider refuses to sign the connection in; empty: it does not
	Directory   *string    // tid of the token, or of whatever else was not the tenant's own
	Permissions *[]string  // roles of the token
}

// Groups is the dataset of the directory's groups and their members. Package
// store's readers know it by that name.
const Groups = "groups"

// definitions by kind, in the order in which surfaces list them.
var all = []*Definition{connectionVerify, inventorySync, directoryGroupsSync}

// All returns every operation, in the order in which surfaces list them.
func All() []*Definition { return all }

// Lookup returns the operation of that kind, or [op.ErrNotFound].
func Lookup(kind op.Kind) (*Definition, error) {
	for _, d := range all {
		if d.Kind == kind {
			return d, nil
		}
	}
	return nil, fmt.Errorf("operation %q: %w", kind, op.ErrNotFound)
}

// decodeStrict decodes parameters into in and names any field it does not know.
func decodeStrict(raw json.RawMessage, in any) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if raw[0] != '{' {
		return &op.FieldError{Field: "parameters", Detail: "must be an object"}
	}
	if err := strictjson.Check("parameters", raw); err != nil {
		var field *op.FieldError
		if errors.As(err, &field) && field.Field != "parameters" {
			field.Field = "parameters." + field.Field
		}
		return err
	}
	if name := strictjson.Unknown(raw, in); name != "" {
		return &op.FieldError{Field: "parameters." + name, Detail: "is not a parameter of this operation"}
	}
	if err := json.Unmarshal(raw, in); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return &op.FieldError{Field: "parameters." + te.Field, Detail: "must be " + jsonWords(te.Type) + ", not a " + te.Value}
		}
		return &op.FieldError{Field: "parameters", Detail: "is not valid JSON"}
	}
	return nil
}

// jsonWords says in people's words what JSON the type takes.
func jsonWords(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the kinds that parameters are made of
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list of " + jsonWords(t.Elem())
	default:
		return "a " + t.String()
	}
}
