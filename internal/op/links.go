package op

import (
	"net/url"
	"strings"
)

// page is the target of an action.
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
	toRestoreSelect        page = "restore_select"
	toRestorePreview       page = "restore_preview"
)

// Addresses of the console, as patterns of [net/http.ServeMux]. Only the functions below
// build addresses from them.
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
	LiveRoute              = "/live"    // the stream for the open pages of a browser
	ConsentRoute           = "/consent" // where the provider returns an administrator to
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
	InvitationRoute        = "/invitation"   // the target of an invitation link
	ResetRoute             = "/new-password" // the target of a password reset link
	AccountRoute           = "/account"
	AccountPasswordRoute   = AccountRoute + "/password"
	AccountJoinRoute       = AccountRoute + "/invitations" // joins a workspace with the account that is signed in
)

// Addresses for signing in and for second factors. They are outside of any workspace.
const (
	SignInRoute               = "/sign-in"
	SignInSecondRoute         = SignInRoute + "/second" // the step after the password
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

// TenantNew replaces the tenant in the address of the page that adds one. No tenant can
// have this slug.
const TenantNew = "new"

// ConnectionNew replaces the connection in the address of the page that adds one. No
// connection can have this slug.
const ConnectionNew = "new"

// ConnectionChange is the last segment of an address that changes a connection.
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

// MemberChange is the last segment of an address that changes a member.
type MemberChange string

// The changes of a member that are not made on the member's page itself.
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
	toOnboarding:           ConnectionsRoute,
	toTenantSettings:       TenantSettingsRoute,
	toConnections:          ConnectionsRoute,
	toConnectionNew:        ConnectionNewRoute,
	toConnection:           ConnectionRoute,
	toConnectionReconnect:  EditConnection.Route(),
	toConnectionCredential: RotateCredential.Route(),
	toConnectionConsent:    AskConsent.Route(),
	toConnectionVerify:     ConnectionRoute + "#start",
	toVerification:         ConnectionRoute + "#verification",
	toRestoreSelect:        TenantRoute, // restores have no pages of their own
	toRestorePreview:       TenantRoute,
}

// instead replaces pages when the answer has no connection.
var instead = map[page]page{
	toRetry:                toReload,
	toConnection:           toConnections,
	toConnectionReconnect:  toConnections,
	toConnectionCredential: toConnections,
	toConnectionConsent:    toConnections,
	toConnectionVerify:     toConnections,
	toVerification:         toConnections,
}

// place holds the slugs and codes that fill a route, by their name in the route.
type place map[string]string

// RunPath is the address of a run, by its code.
func RunPath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunRoute)
}

// RunCancelPath is the address that cancels a run, by its code.
func RunCancelPath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunCancelRoute)
}

// RunReleasePath is the address that releases the connection of a run.
func RunReleasePath(workspace, run string) string {
	return place{"workspace": workspace, "run": run}.path(RunReleaseRoute)
}

// OperationsPath is the address of the runs of a workspace.
func OperationsPath(workspace string) string {
	return place{"workspace": workspace}.path(OperationsRoute)
}

// AttemptsPath is the address of the start requests of a workspace.
func AttemptsPath(workspace string) string {
	return place{"workspace": workspace}.path(AttemptsRoute)
}

// AttemptPath is the address of one start request, by its id.
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

// InvitationsPath is the address for inviting people to a workspace.
func InvitationsPath(workspace string) string {
	return place{"workspace": workspace}.path(InvitationsRoute)
}

// InvitationRevokePath is the address that revokes an invitation, by its id.
func InvitationRevokePath(workspace, invitation string) string {
	return place{"workspace": workspace, "invitation": invitation}.path(InvitationRevokeRoute)
}

// InvitationPath is the address of an invitation link. link is its secret.
func InvitationPath(link string) string {
	return InvitationRoute + "?" + url.Values{"link": {link}}.Encode()
}

// ResetPath is the address of a password reset link. link is its secret.
func ResetPath(link string) string {
	return ResetRoute + "?" + url.Values{"link": {link}}.Encode()
}

// PolicyPath is the address of the sign-in policy of a workspace.
func PolicyPath(workspace string) string {
	return place{"workspace": workspace}.path(PolicyRoute)
}

// FactorRenamePath is the address that renames a second factor, by its id.
func FactorRenamePath(factor string) string {
	return place{"factor": factor}.path(FactorRenameRoute)
}

// FactorRemovePath is the address that removes a second factor, by its id.
func FactorRemovePath(factor string) string {
	return place{"factor": factor}.path(FactorRemoveRoute)
}

// NotificationsPath is the address of the reader's notifications.
func NotificationsPath(workspace string) string {
	return place{"workspace": workspace}.path(NotificationsRoute)
}

// NotificationsReadPath is the address that marks all notifications as read.
func NotificationsReadPath(workspace string) string {
	return place{"workspace": workspace}.path(NotificationsReadRoute)
}

// TokensPath is the address of the reader's own API tokens and sessions.
func TokensPath(workspace string) string {
	return place{"workspace": workspace}.path(TokensRoute)
}

// TokenRevokePath is the address that revokes a token or session, by its id.
func TokenRevokePath(workspace, token string) string {
	return place{"workspace": workspace, "token": token}.path(TokenRevokeRoute)
}

// TenantsPath is the address of a workspace's tenants.
func TenantsPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantsRoute)
}

// TenantChoicesPath is the address that suggests tenants for the text of a field.
func TenantChoicesPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantChoicesRoute)
}

// TenantPath is the address of a tenant, by its slug.
func TenantPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantRoute)
}

// StartPath is the address that starts an operation on a tenant.
func StartPath(workspace, tenant string, kind Kind) string {
	return place{"workspace": workspace, "tenant": tenant, "operation": string(kind)}.path(StartRoute)
}

// TenantSettingsPath is the address of a tenant's settings.
func TenantSettingsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantSettingsRoute)
}

// TenantArchivePath is the address that archives a tenant.
func TenantArchivePath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantArchiveRoute)
}

// TenantRestorePath is the address that restores a tenant from the archive.
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

// ObjectPath is the address of the page of an object, by the provider's id of it.
func ObjectPath(workspace, tenant, dataset, object string) string {
	return place{"workspace": workspace, "tenant": tenant, "object": object}.path(ObjectRoute(dataset))
}

// TenantNewPath is the address of the page that adds a tenant.
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

// ConnectionNewPath is the address of the page that adds a connection.
func ConnectionNewPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(ConnectionNewRoute)
}

// ConnectionPath is the address of a connection, by its slug.
func ConnectionPath(workspace, tenant, connection string) string {
	return place{"workspace": workspace, "tenant": tenant, "connection": connection}.path(ConnectionRoute)
}

// to returns the address of a page; "" when p lacks a part of it.
func (p place) to(to page) string {
	if p["connection"] == "" {
		if other, ok := instead[to]; ok {
			to = other
		}
	}
	return p.path(routes[to])
}

// path fills a route. It returns "" when a segment is missing.
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

// expand replaces every {name} in s with the result of value. before is the text so far.
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
