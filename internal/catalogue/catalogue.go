// Package catalogue declares the provider-backed operations, one file each. A file
// passes one [Definition] to [Register]; start routes, API enum, CLI completion,
// start buttons, capabilities, dataset lists, the manual's tables, worker dispatch
// and the test matrices derive from it.
package catalogue

import (
	"context"
	"encoding/json"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

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
	Snapshots      Snapshots
	Backups        Backups
	Report         Report
	Journal        Journal // of what it changes at the provider
	Writer         Writer
	Plans          Plans
	Now            func() time.Time
}

// Report tells what a run is doing. Each method writes with the run's fence and
// returns an error when the run no longer owns its connection; the operation
// must return at once then.
type Report interface {
	// Progress replaces the run's counts.
	Progress(ctx context.Context, c op.Counts) error
	// Item writes or replaces one line of the results by its Key.
	Item(ctx context.Context, item op.Item) error
	// NotReached names items that this try does not reach. They are reported if the run
	// ends with this try, and dropped if it is queued again.
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
	Part       string          // of a listed row: the [DatasetPart] it is in; operations leave it empty
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
	// Dataset returns the state of a dataset; the zero Dataset if it was never written.
	Dataset(ctx context.Context, name string) (Dataset, error)
	// Rows returns all rows of a dataset that readers see, by id. It is for datasets of a
	// few thousand rows: they are held in memory.
	Rows(ctx context.Context, name string) ([]Row, error)
	// Begin starts a round. A full round replaces all rows; any other round changes the
	// rows of the last commit.
	Begin(ctx context.Context, name string, full bool) (Round, error)
	// Stale stores why a dataset could not be read. Its rows stay.
	Stale(ctx context.Context, name string, why op.Reason) error
	// Learn stores the findings of a verification. The gate judges by them from then on.
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
