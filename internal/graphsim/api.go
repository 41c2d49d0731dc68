package graphsim

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/graphsim/control"
	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/login"
)

// What callers of a simulator need of its rooms, under one name.
type (
	// TenantSpec describes a tenant as it is when it is added.
	TenantSpec = estate.TenantSpec
	// AppSpec is an app registration with its service principal.
	AppSpec = estate.AppSpec
	// Secret is a client secret.
	Secret = estate.Secret
	// TenantPatch changes a tenant.
	TenantPatch = estate.TenantPatch
	// AppPatch changes an app.
	AppPatch = estate.AppPatch
	// TenantState is what the control API tells about a tenant.
	TenantState = estate.TenantState
	// AppState is what the control API tells about an app.
	AppState = estate.AppState
	// GroupChange is a change to one group.
	GroupChange = estate.GroupChange
	// GroupOp names a change to a group.
	GroupOp = estate.GroupOp
	// Member is a member of a group.
	Member = estate.Member
	// DataSummary tells what became of every file of a data folder.
	DataSummary = estate.DataSummary
	// LeftOut is a file of a data folder that is not served.
	LeftOut = estate.LeftOut

	// Control is a client of the control API.
	Control = control.Client
	// Fault is a rule of the fault plan.
	Fault = control.Fault
	// FaultState is a rule with what it has done so far.
	FaultState = control.FaultState
	// Action is what a rule does to a call.
	Action = control.Action
	// ActionKind names an action.
	ActionKind = control.ActionKind
	// Hold is an answer that waits to be released.
	Hold = control.Hold
	// Call is an entry of the call log.
	Call = control.Call

	// SignInRefusal is how the sign-in service refuses with one of its numbers.
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
)

// NewControl makes a client for the simulator at base. hc must trust its certificate.
func NewControl(base, token string, hc *http.Client) *Control {
	return control.NewClient(base, token, hc)
}

// SignInRefusals returns the refusals whose answers are known, by number.
func SignInRefusals() []SignInRefusal { return login.SignInRefusals() }
