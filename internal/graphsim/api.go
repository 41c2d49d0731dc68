package graphsim

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/graphsim/control"
	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/login"
)

// The types that callers of a simulator use.
type (
	// TenantSpec describes a tenant to add.
	TenantSpec = estate.TenantSpec
	// AppSpec is an app registration with its service principal.
	AppSpec = estate.AppSpec
	// Secret is a client secret.
	Secret = estate.Secret
	// FederatedCredential trusts the tokens of another issuer.
	FederatedCredential = estate.FederatedCredential
	// TenantPatch changes a tenant.
	TenantPatch = estate.TenantPatch
	// AppPatch changes an app.
	AppPatch = estate.AppPatch
	// TenantState is the state of a tenant.
	TenantState = estate.TenantState
	// AppState is the state of an app.
	AppState = estate.AppState
	// GroupChange changes one group.
	GroupChange = estate.GroupChange
	// GroupOp is the kind of a [GroupChange].
	GroupOp = estate.GroupOp
	// Member is a member of a group.
	Member = estate.Member
	// DataSummary reports which files of a data folder are served.
	DataSummary = estate.DataSummary
	// Data are policies for every tenant.
	Data = estate.Data
	// Document is a policy as a tool exported it.
	Document = estate.Document
	// LeftOut is a file of a data folder that is not served.
	LeftOut = estate.LeftOut

	// Control is a client of the control API.
	Control = control.Client
	// Fault is a rule of the fault plan.
	Fault = control.Fault
	// FaultState is a rule with its counters.
	FaultState = control.FaultState
	// Action is what a rule does to a call.
	Action = control.Action
	// ActionKind is the kind of an [Action].
	ActionKind = control.ActionKind
	// Hold is a response that is held back until it is released.
	Hold = control.Hold
	// Call is an entry of the call log.
	Call = control.Call

	// ThrottleState is the scale of the service limits, and what is used of them.
	ThrottleState = control.ThrottleState
	// Writes counts what was written to a collection.
	Writes = estate.Writes
	// Lag is how long a collection takes to show a write.
	Lag = estate.Lag

	// SignInRefusal is the response to a refused sign-in with an AADSTS number.
	SignInRefusal = login.SignInRefusal
)

// The changes to groups.
const (
	GroupAdd           = estate.GroupAdd
	GroupUpdate        = estate.GroupUpdate
	GroupDelete        = estate.GroupDelete
	GroupRestore       = estate.GroupRestore
	GroupPurge         = estate.GroupPurge
	GroupAddMembers    = estate.GroupAddMembers
	GroupRemoveMembers = estate.GroupRemoveMembers
)

// The actions of faults; see [control] for what each does.
const (
	ActThrottle     = control.ActThrottle
	ActError        = control.ActError
	ActUnauthorized = control.ActUnauthorized
	ActChallenge    = control.ActChallenge
	ActForbidden    = control.ActForbidden
	ActSyncState    = control.ActSyncState
	ActResync       = control.ActResync
	ActHold         = control.ActHold
	ActDelay        = control.ActDelay
	ActDrop         = control.ActDrop
	ActReset        = control.ActReset
	ActDrip         = control.ActDrip
	ActTruncate     = control.ActTruncate
	ActContentType  = control.ActContentType
	ActErrorIn200   = control.ActErrorIn200
	ActRedirect     = control.ActRedirect
	ActNextLink     = control.ActNextLink
	ActEmptyPage    = control.ActEmptyPage
	ActReplay       = control.ActReplay
	ActHugeString   = control.ActHugeString
	ActDeepJSON     = control.ActDeepJSON
	ActNoIdentity   = control.ActNoIdentity
	ActSignIn       = control.ActSignIn
	ActPage         = control.ActPage
	ActBody         = control.ActBody
	ActErrorAfter   = control.ActErrorAfter
	ActAccepted     = control.ActAccepted
	ActDiscard      = control.ActDiscard
)

// NewControl returns a control client for the simulator at base. hc must trust its certificate.
func NewControl(base, token string, hc *http.Client) *Control {
	return control.NewClient(base, token, hc)
}

// SignInRefusals returns the refusals whose responses are known, ordered by number.
func SignInRefusals() []SignInRefusal { return login.SignInRefusals() }
