package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Capability is one thing a member may be allowed to do. The constants here are
// those of routes and buttons; an operation brings its own, see
// [RegisterCapability].
type Capability string

// The capabilities that belong to no operation.
const (
	View               Capability = "view"               // see tenants, connections, runs and data
	CancelRuns         Capability = "runs.cancel"        //
	ReleaseConnections Capability = "runs.release"       // force release, with a reason
	ManageConnections  Capability = "connections.manage" // create, edit, enable, disable, default, credential, consent, delete
	ManageMembers      Capability = "members.manage"     //
	ManageTenants      Capability = "tenants.manage"     //
	ViewAudit          Capability = "audit.view"         //
	ManageOwnTokens    Capability = "tokens.manage"      // one's own API tokens
	ViewBackups        Capability = "backups.view"       // see backups and previews of restores; secrets are masked
	ExportBackups      Capability = "backups.export"     // download backups with their secrets, and upload files as backups
	ApproveRestores    Capability = "restore.approve"    // agree to a restore that somebody else starts
)

// words names each capability as pages and refusals say it: Needs “Sync inventory”.
var words = map[Capability]string{
	View:               "View the workspace",
	CancelRuns:         "Cancel runs",
	ReleaseConnections: "Release connections",
	ManageConnections:  "Manage connections",
	ManageMembers:      "Manage members",
	ManageTenants:      "Manage tenants",
	ViewAudit:          "View the audit trail",
	ManageOwnTokens:    "Manage own API tokens",
	ViewBackups:        "View backups",
	ExportBackups:      "Download and upload backups",
	ApproveRestores:    "Approve restores",
}

// byOperation are the roles that have the capability of an operation by default.
var byOperation = make(map[Capability][]Role)

// RegisterCapability adds the capability of an operation: its name for people, and
// the roles that have it by default. It returns the error of [CheckCapability]. Call
// it while the program initialises: it is not safe for concurrent use.
func RegisterCapability(c Capability, name string, roles []Role) error {
	if err := CheckCapability(c, name, roles); err != nil {
		return err
	}
	words[c], byOperation[c] = name, slices.Clone(roles)
	return nil
}

// CheckCapability returns an error that says what is missing or unknown, or that c
// is taken. Owners have every capability, so roles must name [Owner].
func CheckCapability(c Capability, name string, roles []Role) error {
	switch {
	case c == "":
		return errors.New("the capability is missing")
	case words[c] != "":
		return fmt.Errorf("the capability %s is taken", c)
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("the capability %s has no name", c)
	case !slices.Contains(roles, Owner):
		return fmt.Errorf("the roles of the capability %s don't name %s, who has every capability", c, Owner)
	}
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("the capability %s names the unknown role %q", c, r)
		}
	}
	return nil
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
		return r.with(View, CancelRuns, ManageOwnTokens, ViewBackups)
	case Viewer:
		return r.with(View, ManageOwnTokens, ViewBackups)
	}
	return nil
}

// with returns own with the capabilities of operations that r has by default, sorted.
func (r Role) with(own ...Capability) []Capability {
	for c, roles := range byOperation {
		if slices.Contains(roles, r) {
			own = append(own, c)
		}
	}
	slices.Sort(own)
	return own
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
