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
	StartRoute             = TenantRoute + "/start/{operation}"
	GroupsRoute            = TenantRoute + "/groups"
	ConnectionsRoute       = TenantRoute + "/connections"
	ConnectionRoute        = ConnectionsRoute + "/{connection}"
	OperationsRoute        = workspaceRoute + "/operations"
	RunRoute               = OperationsRoute + "/{run}"
	RunCancelRoute         = RunRoute + "/cancel"
	RunReleaseRoute        = RunRoute + "/release"
	AttemptsRoute          = OperationsRoute + "/attempts"
	AttemptRoute           = AttemptsRoute + "/{attempt}"
	NotificationsRoute     = workspaceRoute + "/notifications"
	NotificationsReadRoute = NotificationsRoute + "/read"
	TokensRoute            = workspaceRoute + "/tokens"
	MembersRoute           = workspaceRoute + "/members"
)

var routes = map[page]string{
	toRun:                  RunRoute,
	toOtherRun:             OperationsRoute + "/{other_run}",
	toItems:                RunRoute + "#items",
	toRetry:                ConnectionRoute + "#start",
	toReload:               TenantRoute,
	toMembers:              MembersRoute,
	toOnboarding:           workspaceRoute + "/onboarding/{tenant}",
	toTenantSettings:       TenantRoute + "/settings",
	toConnections:          ConnectionsRoute,
	toConnectionNew:        ConnectionsRoute + "/new",
	toConnection:           ConnectionRoute,
	toConnectionReconnect:  ConnectionRoute + "/edit",
	toConnectionCredential: ConnectionRoute + "/credential",
	toConnectionConsent:    ConnectionRoute + "/consent",
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

// TenantsPath is the address of a workspace's tenants.
func TenantsPath(workspace string) string {
	return place{"workspace": workspace}.path(TenantsRoute)
}

// TenantPath is the address of a tenant, by its slug.
func TenantPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(TenantRoute)
}

// StartPath is where a start on a tenant is asked.
func StartPath(workspace, tenant string, kind Kind) string {
	return place{"workspace": workspace, "tenant": tenant, "operation": string(kind)}.path(StartRoute)
}

// GroupsPath is the address of a tenant's groups.
func GroupsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(GroupsRoute)
}

// ConnectionsPath is the address of a tenant's connections.
func ConnectionsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(ConnectionsRoute)
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
