package op

import (
	"net/url"
	"strings"
)

// page is where an action leads.
type page string

// The pages that actions lead to.
const (
	toRun                  page = "run"
	toOtherRun             page = "other_run"
	toItems                page = "items"
	toRetry                page = "retry"
	toReload               page = "reload"
	toMembers              page = "members"
	toOnboarding           page = "onboarding"
	toTenantSettings       page = "tenant_settings"
	toConnections          page = "connections"
	toConnectionNew        page = "connection_new"
	toConnection           page = "connection"
	toConnectionReconnect  page = "connection_reconnect"
	toConnectionCredential page = "connection_credential"
	toConnectionConsent    page = "connection_consent"
	toConnectionVerify     page = "connection_verify"
	toVerification         page = "verification"
)

// Addresses of the console, as patterns of [net/http.ServeMux]. No other code
// builds one: the functions below fill them.
const (
	WorkspacesRoute        = "/workspaces"
	workspaceRoute         = "/w/{workspace}"
	TenantsRoute           = workspaceRoute + "/tenants"
	TenantRoute            = TenantsRoute + "/{tenant}"
	TenantNewRoute         = TenantsRoute + "/" + TenantNew
	TenantChoicesRoute     = workspaceRoute + "/tenant-choices"
	StartRoute             = TenantRoute + "/start/{operation}"
	TenantSettingsRoute    = TenantRoute + "/settings"
	TenantArchiveRoute     = TenantSettingsRoute + "/archive"
	TenantRestoreRoute     = TenantSettingsRoute + "/restore"
	ConnectionsRoute       = TenantRoute + "/connections"
	ConnectionRoute        = ConnectionsRoute + "/{connection}"
	ConnectionNewRoute     = ConnectionsRoute + "/" + ConnectionNew
	AllConnectionsRoute    = workspaceRoute + "/connections"
	LiveRoute              = "/live"    // the stream of a browser's pages
	ConsentRoute           = "/consent" // where the provider sends an administrator back to
	OperationsRoute        = workspaceRoute + "/operations"
	RunRoute               = OperationsRoute + "/{run}"
	RunCancelRoute         = RunRoute + "/cancel"
	RunReleaseRoute        = RunRoute + "/release"
	AttemptsRoute          = OperationsRoute + "/attempts"
	AttemptRoute           = AttemptsRoute + "/{attempt}"
	NotificationsRoute     = workspaceRoute + "/notifications"
	NotificationsReadRoute = NotificationsRoute + "/read"
	TokensRoute            = workspaceRoute + "/tokens"
	TokenRevokeRoute       = TokensRoute + "/{token}/revoke"
	PolicyRoute            = workspaceRoute + "/policy"
	MembersRoute           = workspaceRoute + "/members"
	MemberRoute            = MembersRoute + "/{member}"
	InvitationsRoute       = MembersRoute + "/invitations"
	InvitationRevokeRoute  = InvitationsRoute + "/{invitation}/revoke"
	InvitationRoute        = "/invitation"   // where the link of an invitation leads
	ResetRoute             = "/new-password" // where a reset link leads
	AccountRoute           = "/account"
	AccountPasswordRoute   = AccountRoute + "/password"
	AccountJoinRoute       = AccountRoute + "/invitations" // where one joins a workspace with one's own account
)

// Addresses of signing in, and of what a person proves beside a password. None of
// them lies in a workspace.
const (
	SignInRoute               = "/sign-in"
	SignInSecondRoute         = SignInRoute + "/second" // where a sign-in goes on after the password
	SignInPasskeyRoute        = SignInRoute + "/passkey"
	SignInPasskeyFinishRoute  = SignInPasskeyRoute + "/finish"
	SecurityRoute             = "/account/security"
	AuthenticatorRoute        = SecurityRoute + "/authenticator"
	AuthenticatorConfirmRoute = AuthenticatorRoute + "/confirm"
	PasskeysRoute             = SecurityRoute + "/passkeys"
	PasskeysAddRoute          = PasskeysRoute + "/add"
	RecoveryCodesRoute        = SecurityRoute + "/recovery-codes"
	FactorRenameRoute         = SecurityRoute + "/factors/{factor}/rename"
	FactorRemoveRoute         = SecurityRoute + "/factors/{factor}/remove"
	SessionsEndRoute          = SecurityRoute + "/end-other-sessions"
)

// TenantNew stands in the place of a tenant in the address of the page that adds
// one, so that no tenant can have it for its slug.
const TenantNew = "new"

// ConnectionNew stands in the place of a connection in the address of the page
// that adds one, so that no connection can have it for its slug.
const ConnectionNew = "new"

// ConnectionChange is the last segment of the address at which a connection is
// changed.
type ConnectionChange string

// The changes of a connection.
const (
	EditConnection    ConnectionChange = "edit"
	RotateCredential  ConnectionChange = "credential"
	AskConsent        ConnectionChange = "consent"
	WithdrawConsent   ConnectionChange = "consent-withdrawn"
	EnableConnection  ConnectionChange = "enable"
	DisableConnection ConnectionChange = "disable"
	DefaultConnection ConnectionChange = "default"
	DeleteConnection  ConnectionChange = "delete"
)

// Route is the pattern of the address.
func (c ConnectionChange) Route() string { return ConnectionRoute + "/" + string(c) }

// Path is the address for one connection, by its slug.
func (c ConnectionChange) Path(workspace, tenant, connection string) string {
	return place{"workspace": workspace, "tenant": tenant, "connection": connection}.path(c.Route())
}

// MemberChange is the last segment of the address at which a member is changed.
type MemberChange string

// The changes of a member besides those on the member's own page.
const (
	RemoveMember  MemberChange = "remove"
	DisableMember MemberChange = "disable"
	EnableMember  MemberChange = "enable"
	ResetMember   MemberChange = "reset-link"
	ResetFactors  MemberChange = "reset-factors"
)

// Route is the pattern of the address.
func (c MemberChange) Route() string { return MemberRoute + "/" + string(c) }

// Path is the address for one member, by the person's id.
func (c MemberChange) Path(workspace, member string) string {
	return place{"workspace": workspace, "member": member}.path(c.Route())
}

var routes = map[page]string{
	toRun:                  RunRoute,
	toOtherRun:             OperationsRoute + "/{other_run}",
	toItems:                RunRoute + "#items",
	toRetry:                ConnectionRoute + "#start",
	toReload:               TenantRoute,
	toMembers:              MembersRoute,
	toOnboarding:           ConnectionsRoute, // its steps are done there
	toTenantSettings:       TenantSettingsRoute,
	toConnections:          ConnectionsRoute,
	toConnectionNew:        ConnectionNewRoute,
	toConnection:           ConnectionRoute,
	toConnectionReconnect:  EditConnection.Route(),
	toConnectionCredential: RotateCredential.Route(),
	toConnectionConsent:    AskConsent.Route(),
	toConnectionVerify:     ConnectionRoute + "#start",
	toVerification:         ConnectionRoute + "#verification",
}

// instead says where to go when the answer knows no connection.
var instead = map[page]page{
	toRetry:                toReload,
	toConnection:           toConnections,
	toConnectionReconnect:  toConnections,
	toConnectionCredential: toConnections,
	toConnectionConsent:    toConnections,
	toConnectionVerify:     toConnections,
	toVerification:         toConnections,
}

// place is what the links of an answer or a run are about: slugs and codes by
// the name that the routes have for them.
type place map[string]string

// RunPath is the one address of a run, by its code.
func RunPath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunRoute)
}

// RunCancelPath is where a run is asked to stop, by its code.
func RunCancelPath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunCancelRoute)
}

// RunReleasePath is where the connection of a run is taken away from it.
func RunReleasePath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunReleaseRoute)
}

// OperationsPath is the address of the runs of a workspace.
func OperationsPath(workspace string) string {
	return place{"workspace": workspace}.path(OperationsRoute)
}

// AttemptsPath is the address of the record of all presses.
func AttemptsPath(workspace string) string {
	return place{"workspace": workspace}.path(AttemptsRoute)
}

// AttemptPath is the address of the record of one press, by its id.
func AttemptPath(workspace, attempt string) string {
	return place{"workspace": workspace, "attempt": attempt}.path(AttemptRoute)
}

// MembersPath is the address of a workspace's members.
func MembersPath(workspace string) string {
	return place{"workspace": workspace}.path(MembersRoute)
}

// MemberPath is the address of a member, by the person's id.
func MemberPath(workspace, member string) string {
	return place{"workspace": workspace, "member": member}.path(MemberRoute)
}

// InvitationsPath is where somebody is invited to a workspace.
func InvitationsPath(workspace string) string {
	return place{"workspace": workspace}.path(InvitationsRoute)
}

// InvitationRevokePath is where an invitation ends, by its id.
func InvitationRevokePath(workspace, invitation string) string {
	return place{"workspace": workspace, "invitation": invitation}.path(InvitationRevokeRoute)
}

// InvitationPath is the address of an invitation, by the secret of its link.
func InvitationPath(link string) string {
	return InvitationRoute + "?" + url.Values{"link": {link}}.Encode()
}

// ResetPath is the address at which a new password is chosen, by the secret of the
// link.
func ResetPath(link string) string {
	return ResetRoute + "?" + url.Values{"link": {link}}.Encode()
}

// PolicyPath is the address of what a workspace requires of its members.
func PolicyPath(workspace string) string {
	return place{"workspace": workspace}.path(PolicyRoute)
}

// FactorRenamePath is where a second factor is renamed, by its id.
func FactorRenamePath(factor string) string {
	return place{"factor": factor}.path(FactorRenameRoute)
}

// FactorRemovePath is where a second factor is removed, by its id.
func FactorRemovePath(factor string) string {
	return place{"factor": factor}.path(FactorRemoveRoute)
}

// NotificationsPath is the address of the reader's notifications.
func NotificationsPath(workspace string) string {
	return place{"workspace": workspace}.path(NotificationsRoute)
}

// NotificationsReadPath is where all of them are marked as read.
func NotificationsReadPath(workspace string) string {
	return place{"workspace": workspace}.path(NotificationsReadRoute)
}

// TokensPath is the address of the reader's own API tokens and sessions.
func TokensPath(workspace string) string {
	return place{"workspace": workspace}.path(TokensRoute)
}

// TokenRevokePath is where a token or session is ended, by its id.
func TokenRevokePath(workspace, token string) string {
	return place{"workspace": workspace, "token": token}.path(TokenRevokeRoute)
}

// TenantsPath is the address of a workspace's tenants.
func TenantsPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantsRoute)
}

// TenantChoicesPath is where a field asks which tenants its text may mean.
func TenantChoicesPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantChoicesRoute)
}

// TenantPath is the address of a tenant, by its slug.
func TenantPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantRoute)
}

// StartPath is where a start on a tenant is asked.
func StartPath(workspace, tenant string, kind Kind) string {
	return place{"workspace": workspace, "tenant": tenant, "operation": string(kind)}.path(StartRoute)
}

// TenantSettingsPath is the address of what a tenant is.
func TenantSettingsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantSettingsRoute)
}

// TenantArchivePath is where a tenant is made read-only.
func TenantArchivePath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantArchiveRoute)
}

// TenantRestorePath is where a tenant is brought back from the archive.
func TenantRestorePath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantRestoreRoute)
}

// DatasetRoute is the route of the page of a dataset, such as "groups".
func DatasetRoute(dataset string) string { return TenantRoute + "/" + dataset }

// ObjectRoute is the route of the page of one object of a dataset.
func ObjectRoute(dataset string) string { return DatasetRoute(dataset) + "/{object}" }

// DatasetPath is the address of the page of a dataset of a tenant.
func DatasetPath(workspace, tenant, dataset string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(DatasetRoute(dataset))
}

// ObjectPath is the address of the page of an object, by the id that the provider has
// for it.
func ObjectPath(workspace, tenant, dataset, object string) string {
	return place{"workspace": workspace, "tenant": tenant, "object": object}.path(ObjectRoute(dataset))
}

// TenantNewPath is the address at which a workspace gets a tenant.
func TenantNewPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantNewRoute)
}

// ConnectionsPath is the address of a tenant's connections.
func ConnectionsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(ConnectionsRoute)
}

// AllConnectionsPath is the address of the connections of all tenants.
func AllConnectionsPath(workspace string) string {
	return place{"workspace": workspace}.path(AllConnectionsRoute)
}

// ConnectionNewPath is the address at which a tenant gets a connection.
func ConnectionNewPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(ConnectionNewRoute)
}

// ConnectionPath is the address of a connection, by its slug.
func ConnectionPath(workspace, tenant, connection string) string {
	return place{"workspace": workspace, "tenant": tenant, "connection": connection}.path(ConnectionRoute)
}

// to returns the address of a page, or "" when the place has none.
func (p place) to(to page) string {
	if p["connection"] == "" {
		if other, ok := instead[to]; ok {
			to = other
		}
	}
	return p.path(routes[to])
}

// path fills a route. It is "" when a segment is missing: a link to the wrong
// page is worse than none.
func (p place) path(route string) string {
	missing := false
	filled := expand(route, func(_, name string) string {
		missing = missing || p[name] == ""
		return url.PathEscape(p[name])
	})
	if missing {
		return ""
	}
	return filled
}

// expand replaces every {name} of s by what value returns for it. before is the
// text so far.
func expand(s string, value func(before, name string) string) string {
	var b strings.Builder
	for {
		text, rest, ok := strings.Cut(s, "{")
		b.WriteString(text)
		name, rest, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			return b.String()
		}
		b.WriteString(value(b.String(), name))
		s = rest
	}
}
