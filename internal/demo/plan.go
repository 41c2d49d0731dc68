package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// person is someone who can sign in to the demo.
type person struct {
	Name, Email, Role string
	Workspace         string // slug
	role              tenancy.Role
}

// people has one person for each role, a second owner, and one of another workspace.
var people = []person{
	{Name: "Mei Tan", Email: "mei.tan@lattice.example", Role: "owner", Workspace: lattice, role: tenancy.Owner},
	{Name: "Ana Ruiz", Email: "ana.ruiz@lattice.example", Role: "operator", Workspace: lattice, role: tenancy.Operator},
	{Name: "Jonas Lind", Email: "jonas.lind@lattice.example", Role: "viewer", Workspace: lattice, role: tenancy.Viewer},
	{Name: "Priya Nair", Email: "priya.nair@lattice.example", Role: "owner", Workspace: lattice, role: tenancy.Owner}, // approves what the other owner restores
	{Name: "Nora Field", Email: "nora.field@northgate.example", Role: "outsider", Workspace: northgate, role: tenancy.Owner},
}

const (
	lattice   = "lattice"
	northgate = "northgate"
)

// state is what a demo tenant shows.
type state string

const (
	ready             state = "ready"
	consentMissing    state = "consent missing"
	consentRevoked    state = "consent withdrawn"
	credentialExpired state = "credential expired"
	permissionMissing state = "permission missing"
	noDefault         state = "no default connection"
	disabled          state = "connection disabled"
	longSync          state = "a long sync running"
	onboarding        state = "onboarding"
	archived          state = "archived"
	lived             state = "a history of snapshots, backups and restores"
)

// place is a demo tenant.
type place struct {
	Slug, Name, Domain string
	Workspace          string
	Short              string // of the connection
	State              state
}

// places are the tenants of every demo; --tenants adds more that are ready.
var places = []place{
	{"kestrel", "Kestrel Logistics", "kestrel.example", lattice, "Kestrel primary", ready},
	{"alder-street", "Alder Street Clinics", "alderstreet.example", lattice, "Alder primary", ready},
	{"marlow", "Marlow Foods", "marlowfoods.example", lattice, "Marlow primary", ready},
	{"fenwick", "Fenwick Freight", "fenwickfreight.example", lattice, "Fenwick primary", ready},
	{"juniper", "Juniper Veterinary Group", "junipervets.example", lattice, "Juniper Graph", consentMissing},
	{"bright-quay", "Bright Quay Architects", "brightquay.example", lattice, "Bright Quay Graph", consentRevoked},
	{"saltmarsh", "Saltmarsh Hotels", "saltmarshhotels.example", lattice, "Saltmarsh primary", credentialExpired},
	{"copperfield", "Copperfield Print Works", "copperfieldprint.example", lattice, "Copperfield read only", permissionMissing},
	{"harbour-pine", "Harbour and Pine Dental", "harbourpine.example", lattice, "Harbour main", noDefault},
	{"larkspur", "Larkspur Law", "larkspurlaw.example", lattice, "Larkspur primary", disabled},
	{"tern-bay", "Tern Bay Schools", "ternbay.example", lattice, "Tern Bay primary", longSync},
	{"wren-hollow", "Wren Hollow Farms", "wrenhollow.example", lattice, "Wren Hollow primary", onboarding},
	{"rowan-hill", "Rowan Hill Housing", "rowanhill.example", lattice, "Rowan Hill primary", lived},
	{"old-mill", "Old Mill Brewery", "oldmill.example", lattice, "Old Mill primary", archived},
	{"northgate-academy", "Northgate Academy", "northgateacademy.example", northgate, "Academy primary", ready},
}

// places returns the tenants of this demo.
func (k kept) places() []place {
	all := slices.Clone(places)
	for i := range k.Tenants {
		all = append(all, more(i+1))
	}
	return all
}

// more returns the i-th additional tenant, from 1.
func more(i int) place {
	n := fmt.Sprintf("%04d", i)
	return place{"load-" + n, "Load Tenant " + n, "load-" + n + ".example", lattice, "Load " + n + " primary", ready}
}

// stable derives an id from a name, so that the simulator and the database agree in
// every process.
func stable(parts ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://interlock.dev/demo/"+strings.Join(parts, "/"))).String()
}

// credentialLife returns the remaining lifetime of a credential, by what the tenant
// shows.
func credentialLife(s state, slug string) time.Duration {
	switch {
	case s == credentialExpired:
		return -3 * 24 * time.Hour
	case slug == "marlow":
		return 9 * 24 * time.Hour // expires soon
	}
	return 100 * 24 * time.Hour
}

// trimmed is a consent that covers almost none of what operations need.
var trimmed = []string{"Organization.Read.All", "Policy.Read.All"}

// failedReason returns the result of the last verification of a tenant in the state.
func failedReason(s state) op.Reason {
	switch s {
	case consentMissing:
		return op.ConsentMissing
	case consentRevoked:
		return op.ConsentRevoked
	}
	return ""
}

// Permissions returns the permissions that Interlock requests from an administrator, so
// that every operation can run.
func Permissions() []string { return catalogue.EveryPermission() }
