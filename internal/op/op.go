// Package op holds the vocabulary of Interlock: the kinds of operations, the answers of
// the start gate, the states of a run and the reasons for all of them, and the one
// presenter that turns them into the sentences of every surface. It imports only the
// standard library, so that the gate, the API, the CLI and the console can all use it.
package op

import (
	"encoding/json"
	"errors"
	"time"
)

// Errors that all packages share. The HTTP surfaces turn them into 404, 403 and 409.
// Other errors are a 500, or a 503 when the database is unavailable.
var (
	// ErrNotFound is returned for what doesn't exist and for what the caller may not
	// see. Callers can't tell the two apart.
	ErrNotFound = errors.New("not found")
	// ErrForbidden is returned to a member who lacks the capability.
	ErrForbidden = errors.New("forbidden")
	// ErrConflict is returned when the current state doesn't allow the change.
	ErrConflict = errors.New("conflict")
	// ErrBadCursor is returned for a cursor that is not from this list. It is a 400 on
	// HTTP surfaces.
	ErrBadCursor = errors.New("the cursor does not belong to this list")
	// ErrNoAddress is returned when a link needs the server's public address, which is
	// not configured.
	ErrNoAddress = errors.New("the address that browsers reach this server at is not set")
)

// FieldError says which field of a request can't be used, and why. It is a 422 on HTTP
// surfaces.
type FieldError struct {
	Field  string // JSON path, such as "parameters.types[2]"
	Detail string // what follows the field's name in a sentence, such as "must be a list"
}

// Error returns the field and the detail.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Surface is where a start was requested.
type Surface string

// The surfaces.
const (
	SurfaceWeb Surface = "web"
	SurfaceAPI Surface = "api"
	SurfaceCLI Surface = "cli"
)

// Outcome is the answer of the gate to a start.
type Outcome string

// The four answers of the gate.
const (
	Accepted  Outcome = "accepted"
	Deduped   Outcome = "deduped"
	ScopeBusy Outcome = "scope_busy"
	Blocked   Outcome = "blocked"
)

// State is the state of a run.
type State string

// The states of a run. A run holds its connection until it is finished.
const (
	Queued     State = "queued"
	Running    State = "running"
	Cancelling State = "cancelling"
	Finished   State = "finished"
)

// RunOutcome is how a finished run ended. It is empty until then.
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

// Reason is why something did not start, or ended as it did. Starts, runs and
// notifications share the type, on every surface.
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
	FederationMissing        Reason = "federated_credential_missing" // the app registration does not trust the workload identity
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
	BackupMissing            Reason = "backup_missing"
	PreviewMissing           Reason = "preview_missing"
	PreviewStale             Reason = "preview_stale"
	WarningsOpen             Reason = "warnings_open"
	ApprovalMissing          Reason = "approval_missing"
	PrecheckUnavailable      Reason = "precheck_unavailable"
)

// Reasons of the answers that refer to another run.
const (
	SameOperationActive              Reason = "same_operation_active"
	OtherOperationActive             Reason = "other_operation_active"
	SameOperationDifferentParameters Reason = "same_operation_different_parameters"
	HolderCancelling                 Reason = "holder_cancelling"
	HolderStalled                    Reason = "holder_stalled"
	ScopeQuarantined                 Reason = "scope_quarantined"
	ScopeInconsistent                Reason = "scope_inconsistent"
	Replayed                         Reason = "replayed" // the request was already answered
)

// Reasons that only a run can have.
const (
	AuthorizationLost   Reason = "authorization_lost"
	ConnectionChanged   Reason = "connection_changed"
	ConnectionRemoved   Reason = "connection_removed"
	ExpiredInQueue      Reason = "expired_in_queue"
	ProviderUnreachable Reason = "provider_unreachable"
	ProviderThrottled   Reason = "provider_throttled"
	ProviderFault       Reason = "provider_fault"                // its answer was an error of its own, or can't be used
	ProviderRejected    Reason = "provider_rejected"             // it refused a request for a reason of its own
	AccessRefused       Reason = "access_refused"                // it denied access that the permissions of the token allow
	SignInRefused       Reason = "sign_in_refused"               // with an error number that this version doesn't know
	WorkloadUnavailable Reason = "workload_identity_unavailable" // the token of this server can't be read or used
	ConsentSettling     Reason = "consent_settling"              // consent was granted but is not active yet
	ClockSkew           Reason = "clock_skew"                    // the clocks of provider and server differ too much to sign in
	TimeLimit           Reason = "time_limit"
	InternalFault       Reason = "internal_fault"
	RestoreRefused      Reason = "restore_refused" // a selection or choice that can't be meant
	NothingWritten      Reason = "nothing_written" // none of the changes of a run was made
)

// Reasons of one item of a run.
const (
	ItemRefused    Reason = "item_refused"
	NotLicensed    Reason = "not_licensed" // the tenant doesn't have the service; not a failure
	ItemNotReached Reason = "item_not_reached"
	WriteInDoubt   Reason = "write_in_doubt" // it was sent, and nobody knows whether it was made

	// Of one policy of a restore.
	ChangedSincePreview Reason = "changed_since_preview" // the target is not as the plan shows it
	LeftOutOfPlan       Reason = "left_out_of_plan"      // the plan makes no call for it, and says why
	DependencyMissing   Reason = "dependency_missing"    // it refers to a policy that was not restored
	NotAssigned         Reason = "not_assigned"          // it was written, and its assignments were not
	PartNotWritten      Reason = "part_not_written"      // it was written, and a part of it was not
	NotAsSent           Reason = "not_as_sent"           // the provider accepted it, and returns something else
	ApprovalWanted      Reason = "approval_wanted"       // another administrator has to approve it at the provider

	// Of one object that differs from the provider's documentation. The first two are
	// not stored.
	ObjectMalformed   Reason = "object_malformed"
	ObjectWithoutID   Reason = "object_without_id"
	ObjectWithoutName Reason = "object_without_name"
	ObjectTwice       Reason = "object_twice"
	ObjectIncomplete  Reason = "object_incomplete" // kept with what came of it
	// Of one object that differs from the last sync.
	ObjectAdded   Reason = "object_added"
	ObjectChanged Reason = "object_changed"
	ObjectRemoved Reason = "object_removed"
	// Of a list with objects that could not be stored.
	ListIncomplete Reason = "list_incomplete"
)

// Args are the facts for a reason's sentences, by placeholder name. Times are RFC 3339
// in UTC; the presenter renders them by the suffix of the placeholder (_at, _on, _ago,
// last_seen). Args are stored with the run or the attempt and shown to people, so they
// must never hold a secret.
type Args map[string]string

// Cause is one reason with its facts, before [Describe] puts it into words.
type Cause struct {
	Code     Reason    `json:"code"`
	Phase    Phase     `json:"phase"`
	Args     Args      `json:"args,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"` // of a failed run: the call that ended it
}

// Person is a person as others see them.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Tenant identifies a tenant in runs and answers.
type Tenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Target is the connection of a start as it was at that time. Later changes of the
// connection don't change it.
type Target struct {
	ConnectionID string `json:"connection_id"`
	Slug         string `json:"connection"` // unique in the tenant
	Version      int64  `json:"version"`    // grows by one with every edit of the connection
	Provider     string `json:"provider"`   // such as "Microsoft 365"
	Short        string `json:"short_name"` // such as "Kestrel primary"
	Name         string `json:"name"`       // Provider · Short
	Directory    string `json:"directory"`  // the directory's GUID
}

// RunRef refers to a run that the reader may see.
type RunRef struct {
	ID            string     `json:"id"`
	Code          string     `json:"code"` // six characters of Crockford base32, unique in the workspace
	Operation     Kind       `json:"operation"`
	State         State      `json:"state"`
	Outcome       RunOutcome `json:"outcome,omitempty"`
	Initiator     Person     `json:"initiator"`
	StartedAt     time.Time  `json:"started_at"` // when it was accepted
	LastHeartbeat *time.Time `json:"last_heartbeat,omitempty"`
	ReleaseAt     *time.Time `json:"expected_release,omitempty"` // set once the holder's lease has expired
	WaitingUntil  *time.Time `json:"waiting_until,omitempty"`    // when it may call the provider again
	Href          string     `json:"href"`
}

// Change says where something changed: in a run, in a tenant outside its runs, or in a
// workspace outside its tenants. An empty field stands for any.
type Change struct{ Workspace, Tenant, Run string } // ids

// Counts are the items of a run.
type Counts struct {
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
	Total  int64 `json:"total"` // 0 while unknown
}

// Run is one run as its readers see it, before [DescribeRun] adds its words.
type Run struct {
	ID           string          `json:"id"`
	Code         string          `json:"code"`
	Workspace    string          `json:"workspace"` // slug
	Tenant       Tenant          `json:"tenant"`
	Operation    Kind            `json:"operation"`
	Surface      Surface         `json:"surface"`
	State        State           `json:"state"`
	Outcome      RunOutcome      `json:"outcome,omitempty"`
	Stalled      bool            `json:"stalled"` // it responds, but makes no progress
	Cause        *Cause          `json:"-"`
	Target       Target          `json:"target"`
	Initiator    Person          `json:"initiator"`
	Parameters   json.RawMessage `json:"parameters"` // canonical, without secrets
	Counts       Counts          `json:"counts"`
	Dispatch     int64           `json:"dispatch"` // how often it was given to a worker, from 1
	Fence        int64           `json:"fence"`
	AcceptedAt   time.Time       `json:"accepted_at"`
	BeganAt      *time.Time      `json:"began_at"`
	EndedAt      *time.Time      `json:"ended_at"`
	LastSeenAt   *time.Time      `json:"last_seen_at"`     // last heartbeat
	ProgressAt   *time.Time      `json:"last_progress_at"` // last change of the counts
	WaitingUntil *time.Time      `json:"waiting_until"`    // when it may call the provider again
	WaitingFor   Reason          `json:"waiting_for,omitempty"`
	Evidence     *Evidence       `json:"evidence,omitempty"` // of a failed run: the call that ended it
	Ended        *Ending         `json:"-"`
	MayMend      bool            `json:"-"` // whether the reader may change connections here
	Words        RunWords        `json:"words"`
}

// Ending says how a run was cancelled or lost.
type Ending struct {
	By    string // the person who cancelled or released it; empty: nobody
	Note  string // that person's note
	Begun bool   // whether the run had started
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
	Detail string     `json:"detail"` // the reason in words, or what it brought
	At     time.Time  `json:"at"`

	Evidence *Evidence `json:"evidence,omitempty"` // the call that failed; nil when none did
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
	ItemPending   ItemResult = "pending" // it waits for somebody at the provider

	// Of a policy of a restore.
	ItemCreated      ItemResult = "created"
	ItemUpdated      ItemResult = "updated"
	ItemConflict     ItemResult = "conflict"      // not written: the target is not what the plan needs
	ItemUnresolvable ItemResult = "unresolvable"  // not written: it refers to something that the target does not have
	ItemNotSupported ItemResult = "not_supported" // not written: it can't be restored

	// ItemNotApplicable: the tenant doesn't have the service. The item did not fail and
	// is not counted.
	ItemNotApplicable ItemResult = "not_applicable"
)

// Request is a request to start an operation.
type Request struct {
	Tenant     string          // id or slug
	Connection string          // id or slug; empty: the tenant's default
	Kind       Kind            //
	Parameters json.RawMessage // nil: the operation's defaults
	Key        string          // idempotency key; empty: none
	Surface    Surface         //
	RequestID  string          // of the HTTP request
	// ShownConnection and ShownVersion are the connection that the page showed. Zero:
	// none.
	ShownConnection string
	ShownVersion    int64
}
