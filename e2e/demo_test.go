//go:build linux

package e2e_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/op"
)

// show is a demo, started by its command.
type show struct {
	*process
	demo.Info
}

func startDemo(t *testing.T, args ...string) *show {
	t.Helper()
	d := &show{process: launch(t, nil, program, append([]string{"demo", "--json", "--history=false", "--addr", "127.0.0.1:0"}, args...)...)}
	if err := json.Unmarshal([]byte(d.await(d.out, "{")), &d.Info); err != nil {
		t.Fatal(err)
	}
	return d
}

// user returns the person with a role.
func (d *show) user(role string) demo.User {
	d.t.Helper()
	i := slices.IndexFunc(d.Users, func(u demo.User) bool { return u.Role == role })
	if i < 0 {
		d.t.Fatalf("the demo has no %s", role)
	}
	return d.Users[i]
}

// session signs in a person and returns the session's secret.
func (d *show) session(t *testing.T, role string) string {
	t.Helper()
	u := d.user(role)
	c, err := client.New(d.URL, "", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.SignIn(t.Context(), u.Email, u.Password, u.Workspace)
	if err != nil {
		t.Fatal(err)
	}
	return s.Token
}

func (d *show) as(role string) *client.Client {
	d.t.Helper()
	c, err := client.New(d.URL, d.user(role).Token, client.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// cli runs a client command as the person with a role.
func (d *show) cli(role string, args ...string) result {
	d.t.Helper()
	return command(d.t, cliEnv(d.URL, d.user(role).Token), "", program, args...)
}

func cliEnv(url, token string) []string {
	return []string{"INTERLOCK_URL=" + url, "INTERLOCK_TOKEN=" + token, "INTERLOCK_CONFIG=/nowhere/config.json"}
}

// TestDemo starts every operation on every tenant of the demo, by API and by command.
// Each tenant's state gets the right answer, and refused starts leave no work behind.
func TestDemo(t *testing.T) {
	verify, groups, inventory := op.ConnectionVerify, op.DirectoryGroupsSync, op.InventorySync
	tests := []struct {
		tenant string
		kind   op.Kind
		code   string // of the answer; empty if the start is accepted
	}{
		{"kestrel", verify, ""},
		{"alder-street", groups, ""},
		{"marlow", inventory, ""},
		{"fenwick", verify, ""},
		{"juniper", groups, "blocked/consent_missing"},
		{"juniper", inventory, "blocked/consent_missing"},
		{"bright-quay", groups, "blocked/consent_revoked"},
		{"bright-quay", inventory, "blocked/consent_revoked"},
		{"saltmarsh", groups, "blocked/credential_expired"},
		{"saltmarsh", inventory, "blocked/credential_expired"},
		{"copperfield", groups, "blocked/permission_missing"},
		{"copperfield", inventory, "blocked/permission_missing"},
		{"harbour-pine", verify, "blocked/connection_default_missing"},
		{"harbour-pine", groups, "blocked/connection_default_missing"},
		{"larkspur", verify, "blocked/connection_disabled"},
		{"larkspur", inventory, "blocked/connection_disabled"},
		{"tern-bay", verify, "scope_busy/other_operation_active"},
		{"tern-bay", groups, "scope_busy/other_operation_active"},
		{"tern-bay", inventory, "deduped"},
		{"wren-hollow", groups, "blocked/tenant_not_active"},
		{"wren-hollow", inventory, "blocked/tenant_not_active"},
		{"old-mill", verify, "blocked/tenant_archived"},
		{"old-mill", inventory, "blocked/tenant_archived"},
	}
	onBoth(t, func(t *testing.T, engine db.Engine) {
		args := []string{"--database", dbtest.URL(t, engine)}
		if engine == db.SQLite {
			args = []string{"--data-dir", t.TempDir()}
		}
		d := startDemo(t, args...)
		if d.user("outsider").Workspace == d.user("owner").Workspace {
			t.Error("the outsider is of the same workspace")
		}
		api := d.as("operator")
		made := map[string]bool{}
		for _, r := range allRuns(t, api) { // the demo itself keeps a connection busy
			made[r.ID] = true
		}
		for _, tt := range tests {
			before, err := api.Preflight(t.Context(), tt.tenant, client.StartRequest{Operation: tt.kind})
			if err != nil {
				t.Fatal(err)
			}
			if want := cmp.Or(tt.code, "accepted"); before.Code != want {
				t.Errorf("%s of %s: preflight %s, want %s", tt.kind, tt.tenant, before.Code, want)
			}
			p, err := rawStart(t.Context(), d.URL, d.user("operator").Token, tt.tenant, key(), map[string]any{"operation": tt.kind})
			if err != nil {
				t.Fatal(err)
			}
			if tt.code != "" {
				if p.answer.Code != tt.code || p.answer.Outcome.HTTPStatus() != p.status {
					t.Errorf("%s of %s: status %d, %s, want %s", tt.kind, tt.tenant, p.status, p.answer.Code, tt.code)
				}
				r := d.cli("operator", "start", string(tt.kind), "--tenant", tt.tenant)
				if r.code != p.answer.Outcome.ExitCode() {
					t.Errorf("%s of %s: the command exits with %d, want %d\n%s", tt.kind, tt.tenant, r.code, p.answer.Outcome.ExitCode(), r.stderr)
				}
				continue
			}
			if p.status != http.StatusAccepted {
				t.Errorf("%s of %s: status %d, %s, want 202", tt.kind, tt.tenant, p.status, p.answer.Code)
				continue
			}
			made[p.answer.Run.ID] = true
			if r, err := api.Follow(t.Context(), p.answer.Run.ID, func(client.Event) error { return nil }); err != nil || r.Outcome != op.RunSucceeded {
				t.Errorf("%s of %s: %v, ended as %s, want succeeded: %s", tt.kind, tt.tenant, err, r.Outcome, r.Words.Why)
			}
		}
		for _, r := range allRuns(t, api) {
			if !made[r.ID] {
				t.Errorf("run %s of %s exists, and no answer made it", r.Code, r.Tenant.Slug)
			}
		}
		// A command that waits sees the same end.
		if r := d.cli("operator", "start", "connection.verify", "--tenant", "kestrel", "--wait"); r.code != 0 {
			t.Errorf("start --wait: exit code %d\n%s", r.code, r.stderr)
		}
		d.stop()
	})
}

func allRuns(t *testing.T, c *client.Client) []op.Run {
	t.Helper()
	runs, err := c.Runs(t.Context(), client.RunFilter{Paging: client.Paging{Limit: 200}})
	if err != nil {
		t.Fatal(err)
	}
	return runs.Items
}

// TestDemoGoesOn restarts a demo on its folder, and starts a copy of the folder beside
// it.
func TestDemoGoesOn(t *testing.T) {
	t.Parallel()
	folder, copied := t.TempDir(), t.TempDir()
	d := startDemo(t, "--data-dir", folder)
	run, err := d.as("owner").Start(t.Context(), "kestrel", client.StartRequest{Operation: op.ConnectionVerify})
	if err != nil {
		t.Fatal(err)
	}
	token := d.user("owner").Token
	d.kill()
	must(t, nil, "", "cp", "-a", folder+"/.", copied)

	first, second := startDemo(t, "--data-dir", folder), startDemo(t, "--data-dir", copied)
	if first.URL == second.URL {
		t.Errorf("the copy listens at the address of the original, %s", first.URL)
	}
	for _, d := range []*show{first, second} {
		if d.user("owner").Token != token {
			t.Error("the sign-ins are other ones")
		}
		if r, err := d.as("owner").Run(t.Context(), run.Run.ID); err != nil || r.Code != run.Run.Code {
			t.Errorf("the run of before: %v", err)
		}
	}
}
