package tenancy

import "slices"

// Capability is one thing a member may be allowed to do. This file is the one
// registry: every route, operation and button names its capability from here.
type Capability string

// The capabilities.
const (
	View               Capability = "view"                  // see tenants, connections, runs and data
	VerifyConnections  Capability = "connection.verify"     //
	SyncInventory      Capability = "inventory.sync"        //
	SyncGroups         Capability = "directory.groups.sync" //
	CancelRuns         Capability = "runs.cancel"           //
	ReleaseConnections Capability = "runs.release"          // force release, with a reason
	ManageConnections  Capability = "connections.manage"    // create, edit, enable, disable, default, credential, consent, delete
	ManageMembers      Capability = "members.manage"        //
	ManageTenants      Capability = "tenants.manage"        //
	ViewAudit          Capability = "audit.view"            //
	ManageOwnTokens    Capability = "tokens.manage"         // one's own API tokens
)

// Words names each capability as pages and refusals say it: Needs “Sync inventory”.
var words = map[Capability]string{
	View:               "View the workspace",
	VerifyConnections:  "Verify connections",
	SyncInventory:      "Sync inventory",
	SyncGroups:         "Sync directory groups",
	CancelRuns:         "Cancel runs",
	ReleaseConnections: "Release connections",
	ManageConnections:  "Manage connections",
	ManageMembers:      "Manage members",
	ManageTenants:      "Manage tenants",
	ViewAudit:          "View the audit trail",
	ManageOwnTokens:    "Manage own API tokens",
}

// Words returns the capability's name for people; the key itself when it is unknown.
func (c Capability) Words() string {
	if w, ok := words[c]; ok {
		return w
	}
	return string(c)
}

// Capabilities returns every capability, sorted.
func Capabilities() []Capability {
	all := make([]Capability, 0, len(words))
	for c := range words {
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}

// Role is a named set of capabilities.
type Role string

// The roles of a workspace.
const (
	Owner    Role = "owner"
	Operator Role = "operator"
	Viewer   Role = "viewer"
)

// Roles returns the roles, the mightiest first.
func Roles() []Role { return []Role{Owner, Operator, Viewer} }

// Capabilities returns what the role may do; nil for an unknown role.
func (r Role) Capabilities() []Capability {
	switch r {
	case Owner:
		return Capabilities()
	case Operator:
		return []Capability{View, VerifyConnections, SyncInventory, SyncGroups, CancelRuns, ManageOwnTokens}
	case Viewer:
		return []Capability{View, ManageOwnTokens}
	}
	return nil
}

// Grants is the set of capabilities that someone holds: those of the role, less
// the ones denied to the person, less those that a token leaves out. The zero
// Grants holds none.
type Grants struct{ set map[Capability]bool }

// NewGrants returns what a member with the role holds, less denied; when only is
// not empty, nothing outside it.
func NewGrants(role Role, denied, only []Capability) Grants {
	set := make(map[Capability]bool)
	for _, c := range role.Capabilities() {
		if slices.Contains(denied, c) || len(only) > 0 && !slices.Contains(only, c) {
			continue
		}
		set[c] = true
	}
	return Grants{set: set}
}

// Has reports whether c is held.
func (g Grants) Has(c Capability) bool { return g.set[c] }

// Beyond returns what g has and h lacks, sorted.
func (g Grants) Beyond(h Grants) (missing []Capability) {
	for _, c := range g.List() {
		if !h.Has(c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// List returns the held capabilities, sorted.
func (g Grants) List() []Capability {
	var held []Capability
	for _, c := range Capabilities() {
		if g.set[c] {
			held = append(held, c)
		}
	}
	return held
}
