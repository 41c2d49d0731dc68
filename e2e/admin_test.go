//go:build linux

package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestTamperingShows changes single rows of a real audit trail, as somebody with access
// to the database could. The commands that verify it report the change.
func TestTamperingShows(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		n.readyTenants("kestrel")
		n.must(http.MethodPost, "/tenants/kestrel/connections/primary/disable", nil, nil)
		n.stop()
		if head := w.admin("", "audit", "verify"); !strings.HasPrefix(head, workspace+"\t") {
			t.Fatalf("the trail as it is: %q", head)
		}
		for what, change := range map[string][2]string{
			"another actor":   {`UPDATE audit_log SET actor = 'Somebody Else' WHERE seq = 3`, `UPDATE audit_log SET actor = 'Mei Tan' WHERE seq = 3`},
			"another time":    {`UPDATE audit_log SET at = at + 1 WHERE seq = 2`, `UPDATE audit_log SET at = at - 1 WHERE seq = 2`},
			"another outcome": {`UPDATE audit_log SET data = data || ' ' WHERE seq = 4`, `UPDATE audit_log SET data = substr(data, 1, length(data) - 1) WHERE seq = 4`},
			"a gap":           {`UPDATE audit_log SET seq = 1000 WHERE seq = 3`, `UPDATE audit_log SET seq = 3 WHERE seq = 1000`},
		} {
			w.sql(change[0])
			for _, command := range [][]string{{"audit", "verify"}, {"doctor"}} {
				if r := w.try(command...); r.code != 1 || !strings.Contains(r.stderr, "workspace "+workspace) {
					t.Errorf("%s: %s exits with %d and says %q", what, strings.Join(command, " "), r.code, r.stderr)
				}
			}
			w.sql(change[1])
		}
		if r := w.try("audit", "verify"); r.code != 0 {
			t.Errorf("with everything put back: %s", r.stderr)
		}
	})
}

// sql changes the database of an installation in which nothing runs.
func (w *world) sql(statement string) {
	w.t.Helper()
	d := openDatabase(w.t, w.database)
	defer d.Close() //nolint:errcheck // what was written is committed
	err := d.Write(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		changed, err := tx.Exec(ctx, statement)
		if err == nil && changed != 1 {
			err = fmt.Errorf("%d rows", changed)
		}
		return err
	})
	if err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

func (w *world) try(args ...string) result {
	w.t.Helper()
	return command(w.t, nil, "", program, w.onDatabase(args...)...)
}

// TestPeopleFromTheServer: an administrator on the server creates a second workspace
// and invites its owner, who may have an account or not, and resets accounts that no
// owner can reset. Passwords are known to their people only.
func TestPeopleFromTheServer(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		secret := func(printed string) string {
			u, err := url.Parse(strings.TrimSpace(printed))
			if err != nil || u.Host != "interlock.example" || u.Query().Get("link") == "" {
				t.Fatalf("%q is no link: %v", printed, err)
			}
			return u.Query().Get("link")
		}
		public := []string{"--public-url", "https://interlock.example/"}
		quay := w.admin("", append([]string{"workspace", "create", "quayside", "--name", "Quayside", "--owner", w.owner.email}, public...)...)
		north := w.admin("", append([]string{"workspace", "create", "northgate", "--name", "Northgate", "--owner", "nora@northgate.example"}, public...)...)
		again := w.admin("", append([]string{"workspace", "invite-owner", "northgate", "nora@northgate.example"}, public...)...)
		if list := w.admin("", "workspace", "list"); !strings.Contains(list, "quayside") || !strings.Contains(list, "Northgate") {
			t.Errorf("workspaces are %s", list)
		}
		for says, args := range map[string][]string{
			"workspace: is in use":    {"workspace", "create", "quayside", "--name", "Again", "--owner", w.owner.email},
			"no workspace nowhere":    {"workspace", "invite-owner", "nowhere", w.owner.email},
			"no account has":          {"user", "reset", "nobody@lattice.example"},
			"must be an e-mail":       {"workspace", "invite-owner", "quayside", "nobody"},
			`flag(s) "owner" not set`: {"workspace", "create", "x", "--name", "X"},
		} {
			if r := w.try(args...); r.code == 0 || !strings.Contains(r.stderr, says) {
				t.Errorf("%q exits with %d and says %q, want %q", args, r.code, r.stderr, says)
			}
		}
		reset := w.admin("", append([]string{"user", "reset", w.owner.email}, public...)...)

		n := w.start()
		accept := func(link, name, password string) error {
			_, err := n.as("").AcceptInvitation(t.Context(), link, name, password)
			return err
		}
		if err := accept(secret(north), "Nora Field", "nora-"+w.owner.password); err == nil {
			t.Error("a link that was replaced lets somebody in")
		}
		if err := accept(secret(again), "Nora Field", "nora-"+w.owner.password); err != nil {
			t.Error(err)
		}
		if err := accept(secret(quay), "", w.owner.password); err != nil {
			t.Error(err)
		}
		const password = "chosen by herself"
		if err := n.as("").ResetPassword(t.Context(), secret(reset), password); err != nil {
			t.Error(err)
		}
		if _, err := n.owner().Me(t.Context()); err == nil {
			t.Error("a session of before the reset is still good")
		}
		for _, workspace := range []string{workspace, "quayside"} {
			s, err := n.as("").SignIn(t.Context(), w.owner.email, password, workspace)
			if err != nil || s.Person.Role != "owner" || s.Person.Workspace.Slug != workspace {
				t.Errorf("%+v, %v", s.Person, err)
			}
		}
		n.stop()
		if list := w.admin("", "user", "list"); !strings.Contains(list, "lattice, quayside") || !strings.Contains(list, "nora@northgate.example") {
			t.Errorf("accounts are %s", list)
		}
		if r := w.try("audit", "verify"); r.code != 0 {
			t.Error(r.stderr)
		}
	})
}

// TestBadInput sends invalid input. Each answer names the field, has the right status,
// and leaves nothing behind.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start()
	n.readyTenants("kestrel")
	verify := map[string]any{"operation": op.ConnectionVerify}
	with := func(name string, value any) map[string]any {
		return map[string]any{"operation": op.InventorySync, name: value}
	}
	for _, tt := range []struct {
		name, method, path string
		body               any
		key                bool
		status             int
		says               string
	}{
		{"unknown operation", http.MethodPost, "/tenants/kestrel/starts", map[string]any{"operation": "no.such"}, true, 404, "not_found"},
		{"unknown tenant", http.MethodPost, "/tenants/nowhere/starts", verify, true, 404, "not_found"},
		{"unknown connection", http.MethodPost, "/tenants/kestrel/starts", with("connection", "nothing"), true, 404, "not_found"},
		{"no key", http.MethodPost, "/tenants/kestrel/starts", verify, false, 422, "Idempotency-Key"},
		{"no operation", http.MethodPost, "/tenants/kestrel/starts", map[string]any{}, true, 422, "operation"},
		{"unknown field", http.MethodPost, "/tenants/kestrel/starts", with("colour", "red"), true, 422, "colour"},
		{"malformed field", http.MethodPost, "/tenants/kestrel/starts", with("connection", 7), true, 422, "connection"},
		{"unknown parameter", http.MethodPost, "/tenants/kestrel/starts", with("parameters", map[string]any{"colour": 1}), true, 422, "colour"},
		{"malformed parameter", http.MethodPost, "/tenants/kestrel/starts", with("parameters", map[string]any{"types": []string{"nonsense"}}), true, 422, "types[0]"},
		{"no JSON", http.MethodPost, "/tenants/kestrel/starts", "{", true, 422, "body"},
		{"body over 1 MiB", http.MethodPost, "/tenants/kestrel/starts", with("parameters", strings.Repeat("x", 1<<20)), true, 413, "1 MiB"},
		{"bad cursor", http.MethodGet, "/runs?cursor=%21%21", nil, false, 400, "cursor"},
		{"bad limit", http.MethodGet, "/runs?limit=0", nil, false, 422, "limit"},
		{"unknown run", http.MethodGet, "/runs/ZZZZZZ", nil, false, 404, "not_found"},
	} {
		var header []string
		if tt.key {
			header = []string{"Idempotency-Key", key()}
		}
		r, err := ask(t.Context(), n.url, w.owner.token, tt.method, tt.path, tt.body, header...)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != tt.status || !strings.Contains(string(r.body), tt.says) || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d, %s, want %d and a problem that names %s", tt.name, r.status, r.body, tt.status, tt.says)
		}
	}
	w.inspect(func(d *db.DB) {
		if left := made(t, d); left != [3]int64{1, 1, 1} { // of the earlier verification
			t.Errorf("runs, jobs and accepted attempts are %v, want one of each", left)
		}
		if left := number(t, d, `SELECT COUNT(*) FROM start_attempts`); left != 1 {
			t.Errorf("%d attempts are on record; what can't be used is none", left)
		}
	})
}

// TestSimulatorAlone starts the simulator with its command. What it prints is enough to
// sign in, and its secrets are random, unlike its ids.
func TestSimulatorAlone(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, program, "sim", "--plain-http")
	var sim struct {
		URL          string
		Tenant       string
		Domain       string
		ControlToken string `json:"control_token"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(p.await(p.out, "client_secret")), &sim); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"client secret": sim.ClientSecret, "control token": sim.ControlToken} {
		if uuid.Validate(secret) == nil || len(secret) < len(rand.Text()) {
			t.Errorf("the %s is %q, want 128 bits of chance", name, secret)
		}
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {sim.ClientID}, "client_secret": {sim.ClientSecret}, "scope": {sim.URL + "/.default"}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.URL+"/"+sim.Tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := direct.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // its status is all that counts
	if resp.StatusCode != http.StatusOK {
		t.Errorf("signing in with what it prints: %s", resp.Status)
	}
}
