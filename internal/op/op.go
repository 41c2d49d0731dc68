// Package op holds the words of Interlock: the kinds of provider-backed
// operations, the answers of the start gate, the states a run goes through, the
// reasons for all of them, and the one presenter that turns them into the
// sentences every surface shows. It imports the standard library only, so that
// the gate, the API, the CLI and the console can all speak through it.
package op

import (
	"encoding/json"
	"errors"
	"time"
)

// Errors that every room understands. The HTTP surfaces turn them into 404,
// 403 and 409; everything else is a 500, or a 503 when the store says so.
var (
	// ErrNotFound is returned for what does not exist and for what the caller may
	// not see. The two cannot be told apart by anyone who receives it.
	ErrNotFound = errors.New("not found")
	// ErrForbidden is returned to a member who lacks the capability.
	ErrForbidden = errors.New("forbidden")
	// ErrConflict is returned when the state of a thing does not allow the change.
	ErrConflict = errors.New("conflict")
	// ErrBadCursor is returned for a cursor that the list did not give out. It is 400
	// on HTTP surfaces.
	ErrBadCursor = errors.New("the cursor does not belong to this list")
	// ErrNoAddress is returned by a server that would have to name the address that
	// browsers reach it at, and was not told it.
	ErrNoAddress = errors.New("the address that browsers reach this server at is not set")
)

// FieldError names the field of a request that can't be used, and why. It is
// 422 on HTTP surfaces.
type FieldError struct {
	Field  string // JSON path, such as "parameters.types[2]"
	Detail string // a sentence without the field's name
}

// Error returns the field and the detail.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Surface is where a start was asked.
type Surface string

// The surfaces.
const (
	SurfaceWeb Surface = "web"
	SurfaceAPI Surface = "api"
	SurfaceCLI Surface = "cli"
)

// Outcome is what the gate answered.
type Outcome string

// The four answers of the gate; there is no fifth.
const (
	Accepted  Outcome = "accepted"
	Deduped   Outcome = "deduped"
	ScopeBusy Outcome = "scope_busy"
	Blocked   Outcome = "blocked"
)

// State is where a run is on its way.
type State string

// The states of a run. A run holds its connection exactly while it is not finished.
const (
	Queued     State = "queued"
	Running    State = "running"
	Cancelling State = "cancelling"
	Finished   State = "finished"
)

// RunOutcome is how a finished run ended. It is empty while the run lives.
type RunOutcome string

// How runs end.
const (
	RunSucceeded RunOutcome = "succeeded"
	RunPartial   RunOutcome = "partial"
	RunFailed    RunOutcome = "failed"
	RunBlocked   RunOutcome = "blocked"
	RunCancelled RunOutcome = "cancelled"
	RunLost      RunOutcome = "lost"
)

// Phase says when a reason was found.
type Phase string

// The phases of a reason.
const (
	Admission Phase = "admission"
	Execution Phase = "execution"
)

// Reason is why something did not start, or ended as it did. It is one type at
// the click, in the run, in the notification, in API and CLI.
type Reason string

// Reasons, in the order in which the gate reports blockers.
const (
	ConnectionMissing        Reason = "connection_missing"
	ConnectionDefaultMissing Reason = "connection_default_missing"
	ConnectionDisabled       Reason = "connection_disabled"
	TargetChanged            Reason = "target_changed"
	TenantArchived           Reason = "tenant_archived"
	TenantNotActive          Reason = "tenant_not_active"
	TenantMismatch           Reason = "tenant_mismatch"
	CredentialMissing        Reason = "credential_missing"
	CredentialExpired        Reason = "credential_expired"
	CredentialUnreadable     Reason = "credential_unreadable"
	CredentialInvalid        Reason = "credential_invalid"
	CertificateNotRegistered Reason = "certificate_not_registered"
	ApplicationDisabled      Reason = "application_disabled"
	SignInBlocked            Reason = "sign_in_blocked"
	ResourceNotFound         Reason = "resource_not_found"
	DirectoryNotFound        Reason = "directory_not_found"
	DirectoryUnavailable     Reason = "directory_unavailable"
	ConsentMissing           Reason = "consent_missing"
	ConsentPending           Reason = "consent_pending"
	ConsentRevoked           Reason = "consent_revoked"
	PermissionMissing        Reason = "permission_missing"
	VerificationMissing      Reason = "verification_missing"
	VerificationFailed       Reason = "verification_failed"
	VerificationStale        Reason = "verification_stale"
	PrecheckUnavailable      Reason = "precheck_unavailable"
)

// Reasons of the answers that point at another run.
const (
	SameOperationActive              Reason = "same_operation_active"
	OtherOperationActive             Reason = "other_operation_active"
	SameOperationDifferentParameters Reason = "same_operation_different_parameters"
	HolderCancelling                 Reason = "holder_cancelling"
	HolderStalled                    Reason = "holder_stalled"
	ScopeQuarantined                 Reason = "scope_quarantined"
	ScopeInconsistent                Reason = "scope_inconsistent"
	Replayed                         Reason = "replayed" // the press had arrived before
)

// Reasons that only a run can have.
const (
	AuthorizationLost   Reason = "authorization_lost"
	ConnectionChanged   Reason = "connection_changed"
	ConnectionRemoved   Reason = "connection_removed"
	ExpiredInQueue      Reason = "expired_in_queue"
	ProviderUnreachable Reason = "provider_unreachable"
	ProviderThrottled   Reason = "provider_throttled"
	ProviderFault       Reason = "provider_fault"    // it answered, with a fault of its own or with nothing that can be used
	ProviderRejected    Reason = "provider_rejected" // it refused a request for a reason of its own
	AccessRefused       Reason = "access_refused"    // it refused access that the permissions of the token allow
	SignInRefused       Reason = "sign_in_refused"   // with a number that this version does not know
	ConsentSettling     Reason = "consent_settling"  // consent was given and has not taken effect yet
	ClockSkew           Reason = "clock_skew"        // the provider's clock and ours differ too much to sign in
	TimeLimit           Reason = "time_limit"
	InternalFault       Reason = "internal_fault"
)

// Reasons of one item of a run.
const (
	ItemRefused    Reason = "item_refused"
	NotLicensed    Reason = "not_licensed" // the tenant does not have the service: nothing failed
	ItemNotReached Reason = "item_not_reached"
	WriteInDoubt   Reason = "write_in_doubt" // it was sent, and nobody knows whether it was made

	// Of one object that is not as the provider documents it. The first two could
	// not be kept.
	ObjectMalformed   Reason = "object_malformed"
	ObjectWithoutID   Reason = "object_without_id"
	ObjectWithoutName Reason = "object_without_name"
	ObjectTwice       Reason = "object_twice"
	// Of a list of which some objects could not be kept.
	ListIncomplete Reason = "list_incomplete"
)

// Args are the facts that a reason's sentence is filled with, by placeholder
// name. Times are RFC 3339 in UTC; the presenter renders them by the suffix of
// the placeholder (_at, _on, _ago, last_seen). Args are stored with the run or
// the attempt and shown to people: they never hold a secret.
type Args map[string]string

// Cause is one reason with its facts, before it is put into words.
type Cause struct {
	Code     Reason    `json:"code"`
	Phase    Phase     `json:"phase"`
	Args     Args      `json:"args,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"` // of a failed run: the call that ended it
}

// Person is someone as others see them.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Tenant is a tenant as runs and answers name it.
type Tenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Target is the connection that was chosen at the click, frozen: later changes
// of the connection do not change it.
type Target struct {
	ConnectionID string `json:"connection_id"`
	Slug         string `json:"connection"` // unique in the tenant
	Version      int64  `json:"version"`    // grows by one with every edit of the connection
	Provider     string `json:"provider"`   // such as "Microsoft 365"
	Short        string `json:"short_name"` // such as "Kestrel primary"
	Name         string `json:"name"`       // Provider · Short
	Directory    string `json:"directory"`  // the directory's GUID
}

// RunRef names a run to someone who may open it.
type RunRef struct {
	ID            string     `json:"id"`
	Code          string     `json:"code"` // six characters of Crockford base32, unique in the workspace
	Operation     Kind       `json:"operation"`
	State         State      `json:"state"`
	Outcome       RunOutcome `json:"outcome,omitempty"`
	Initiator     Person     `json:"initiator"`
	StartedAt     time.Time  `json:"started_at"` // when it was accepted
	LastHeartbeat *time.Time `json:"last_heartbeat,omitempty"`
	ReleaseAt     *time.Time `json:"expected_release,omitempty"` // set when the holder's lease has run out
	WaitingUntil  *time.Time `json:"waiting_until,omitempty"`    // the provider asked it to come back then
	Href          string     `json:"href"`
}

// Change says where something changed: in a run, in a tenant beyond its runs, or
// in a workspace beyond its tenants. What is empty may be any.
type Change struct{ Workspace, Tenant, Run string } // ids

// Counts are the items of a run.
type Counts struct {
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
	Total  int64 `json:"total"` // 0 while it is not known
}

// Run is one run as its readers see it, before it is put into words.
type Run struct {
	ID           string          `json:"id"`
	Code         string          `json:"code"`
	Workspace    string          `json:"workspace"` // slug
	Tenant       Tenant          `json:"tenant"`
	Operation    Kind            `json:"operation"`
	Surface      Surface         `json:"surface"`
	State        State           `json:"state"`
	Outcome      RunOutcome      `json:"outcome,omitempty"`
	Stalled      bool            `json:"stalled"` // it still answers, but makes no progress
	Cause        *Cause          `json:"-"`
	Target       Target          `json:"target"`
	Initiator    Person          `json:"initiator"`
	Parameters   json.RawMessage `json:"parameters"` // canonical, without secrets
	Counts       Counts          `json:"counts"`
	Dispatch     int64           `json:"dispatch"` // how often it was handed to a worker, from 1
	Fence        int64           `json:"fence"`
	AcceptedAt   time.Time       `json:"accepted_at"`
	BeganAt      *time.Time      `json:"began_at"`
	EndedAt      *time.Time      `json:"ended_at"`
	LastSeenAt   *time.Time      `json:"last_seen_at"`     // last heartbeat
	ProgressAt   *time.Time      `json:"last_progress_at"` // last change of the counts
	WaitingUntil *time.Time      `json:"waiting_until"`    // the provider asked to come back then
	WaitingFor   Reason          `json:"waiting_for,omitempty"`
	Evidence     *Evidence       `json:"evidence,omitempty"` // of a failed run: the call that ended it
	Ended        *Ending         `json:"-"`
	MayMend      bool            `json:"-"` // whether the reader may change connections here
	Words        RunWords        `json:"words"`
}

// Ending tells the variants of how a run was cancelled or lost.
type Ending struct {
	By    string // the person who cancelled or released it; empty: nobody
	Note  string // what they wrote
	Begun bool   // whether it had begun
}

// Item is one line of a run's results.
type Item struct {
	Seq    int64      `json:"seq"`
	Key    string     `json:"key"`    // stable within the operation, such as "deviceConfigurations"
	Name   string     `json:"name"`   // as shown
	Result ItemResult `json:"result"` //
	Counts Counts     `json:"counts"`
	Reason Reason     `json:"reason,omitempty"`
	Args   Args       `json:"-"`
	Detail string     `json:"detail"` // the reason in words, or what came
	At     time.Time  `json:"at"`

	Evidence *Evidence `json:"evidence,omitempty"` // the call that failed, when one did
}

// ItemResult is how one item ended.
type ItemResult string

// The results of an item.
const (
	ItemDone      ItemResult = "done"
	ItemUnchanged ItemResult = "unchanged"
	ItemFailed    ItemResult = "failed"
	ItemSkipped   ItemResult = "skipped"
	ItemUnknown   ItemResult = "unknown"
	ItemPending   ItemResult = "pending"

	// ItemNotApplicable: the tenant does not have what the item is about. Nothing
	// failed, and the item is not counted.
	ItemNotApplicable ItemResult = "not_applicable"
)

// Request is one press: what someone asks the gate to start.
type Request struct {
	Tenant     string          // id or slug
	Connection string          // id or slug; empty: the tenant's default
	Kind       Kind            //
	Parameters json.RawMessage // nil: the operation's defaults
	Key        string          // idempotency key; empty: none was sent
	Surface    Surface         //
	RequestID  string          // of the HTTP request, for the record
	// ShownConnection and ShownVersion are what the page showed when it was
	// rendered. Zero: nothing was shown.
	ShownConnection string
	ShownVersion    int64
}
