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

// Addresses of the console. No other code builds one.
const (
	runRoute         = "/w/{workspace}/operations/{run}"
	attemptRoute     = "/w/{workspace}/operations/attempts/{attempt}"
	membersRoute     = "/w/{workspace}/members"
	tenantRoute      = "/w/{workspace}/tenants/{tenant}"
	connectionsRoute = tenantRoute + "/connections"
	connectionRoute  = connectionsRoute + "/{connection}"
)

var routes = map[page]string{
	toRun:                  runRoute,
	toOtherRun:             "/w/{workspace}/operations/{other_run}",
	toItems:                runRoute + "#items",
	toRetry:                connectionRoute + "#start",
	toReload:               tenantRoute,
	toMembers:              membersRoute,
	toOnboarding:           "/w/{workspace}/onboarding/{tenant}",
	toTenantSettings:       tenantRoute + "/settings",
	toConnections:          connectionsRoute,
	toConnectionNew:        connectionsRoute + "/new",
	toConnection:           connectionRoute,
	toConnectionReconnect:  connectionRoute + "/edit",
	toConnectionCredential: connectionRoute + "/credential",
	toConnectionConsent:    connectionRoute + "/consent",
	toConnectionVerify:     connectionRoute + "#start",
	toVerification:         connectionRoute + "#verification",
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
	return place{"workspace": workspace, "run": run}.path(runRoute)
}

// AttemptPath is the address of the record of one press, by its id.
func AttemptPath(workspace, attempt string) string {
	return place{"workspace": workspace, "attempt": attempt}.path(attemptRoute)
}

// MembersPath is the address of a workspace's members.
func MembersPath(workspace string) string {
	return place{"workspace": workspace}.path(membersRoute)
}

// TenantPath is the address of a tenant, by its slug.
func TenantPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(tenantRoute)
}

// ConnectionsPath is the address of a tenant's connections.
func ConnectionsPath(workspace, tenant string) string {
	return place{"workspace": workspace, "tenant": tenant}.path(connectionsRoute)
}

// ConnectionPath is the address of a connection, by its slug.
func ConnectionPath(workspace, tenant, connection string) string {
	return place{"workspace": workspace, "tenant": tenant, "connection": connection}.path(connectionRoute)
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
