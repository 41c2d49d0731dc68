package op

import "testing"

func TestPaths(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{RunPath("lattice", "K7QM2X"), "/w/lattice/operations/K7QM2X"},
		{RunPath("lattice", ""), ""},
		{RunPath("", "K7QM2X"), ""},
		{RunPath("a/b", "../x?y#z"), "/w/a%2Fb/operations/..%2Fx%3Fy%23z"},
		{AttemptPath("lattice", "01k4"), "/w/lattice/operations/attempts/01k4"},
		{MembersPath("lattice"), "/w/lattice/members"},
		{TenantsPath("lattice"), "/w/lattice/tenants"},
		{OperationsPath("lattice"), "/w/lattice/operations"},
		{AttemptsPath("lattice"), "/w/lattice/operations/attempts"},
		{NotificationsPath("lattice"), "/w/lattice/notifications"},
		{NotificationsReadPath("lattice"), "/w/lattice/notifications/read"},
		{TokensPath("lattice"), "/w/lattice/tokens"},
		{RunCancelPath("lattice", "K7QM2X"), "/w/lattice/operations/K7QM2X/cancel"},
		{RunReleasePath("lattice", "K7QM2X"), "/w/lattice/operations/K7QM2X/release"},
		{StartPath("lattice", "kestrel", InventorySync), "/w/lattice/tenants/kestrel/start/inventory.sync"},
		{DatasetPath("lattice", "kestrel", "groups"), "/w/lattice/tenants/kestrel/groups"},
		{TenantPath("lattice", "kestrel"), "/w/lattice/tenants/kestrel"},
		{ConnectionsPath("lattice", "kestrel"), "/w/lattice/tenants/kestrel/connections"},
		{ConnectionPath("lattice", "kestrel", "primary"), "/w/lattice/tenants/kestrel/connections/primary"},
	} {
		if c.got != c.want {
			t.Errorf("path is %q, want %q", c.got, c.want)
		}
	}
}

// TestEveryPageHasAnAddress: an action leads somewhere, also when no connection could be resolved.
func TestEveryPageHasAnAddress(t *testing.T) {
	full := place{"workspace": "w", "tenant": "t", "connection": "c", "run": "r", "other_run": "o"}
	for _, to := range constants(t, "page") {
		if full.to(page(to)) == "" {
			t.Errorf("%s has no address", to)
		}
	}
	bare := place{"workspace": "w", "tenant": "t", "run": "r", "other_run": "o"}
	for _, to := range constants(t, "page") {
		if bare.to(page(to)) == "" {
			t.Errorf("%s has no address without a connection", to)
		}
	}
}
