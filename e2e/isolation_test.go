//go:build linux

package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestWorkspacesSeeNothingOfEachOther puts unique words into everything that a
// workspace has, then reads everything as each person of the other workspace, also with
// the foreign names and ids. None of the words is returned.
func TestWorkspacesSeeNothingOfEachOther(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		args := []string{"--database", dbtest.URL(t, engine)}
		if engine == db.SQLite {
			args = []string{"--data-dir", t.TempDir()}
		}
		d := startDemo(t, args...)
		theirs := d.inhabit(t, "outsider", "zanzibar")
		ours := d.inhabit(t, "owner", "quetzal")
		all := map[string][]string{}
		for _, half := range []inhabited{theirs, ours} {
			for name, vs := range half.values {
				all[name] = append(all[name], vs...)
			}
		}
		for _, role := range []string{"owner", "operator", "viewer"} {
			if hits := found(textOf(crawl(t, d.URL, d.user(role).Token, all)), theirs.words); len(hits) > 0 {
				t.Errorf("the %s reads of the other workspace: %q", role, hits)
			}
		}
		if hits := found(textOf(crawl(t, d.URL, d.user("outsider").Token, all)), ours.words); len(hits) > 0 {
			t.Errorf("the outsider reads of our workspace: %q", hits)
		}
		// Their own people read the words: the search can find them.
		for role, half := range map[string]inhabited{"outsider": theirs, "owner": ours} {
			hits := found(textOf(crawl(t, d.URL, d.user(role).Token, half.values)), half.words)
			if len(hits) != len(half.words) {
				t.Errorf("the %s reads %d of the own words %q, want all of %q", role, len(hits), hits, half.words)
			}
		}
	})
}

// inhabited is what was put into a workspace: its unique words, and its names and ids.
type inhabited struct {
	words  []string
	values map[string][]string
}

func (d *show) inhabit(t *testing.T, role, canary string) inhabited {
	t.Helper()
	token := d.session(t, role)
	send := func(method, path string, body, into any, header ...string) {
		t.Helper()
		r, err := ask(t.Context(), d.URL, token, method, path, body, header...)
		if err != nil || r.status >= 300 && r.status != http.StatusUnprocessableEntity {
			t.Fatalf("%s %s: %v %d %s", method, path, err, r.status, r.body)
		}
		if into != nil {
			if err := json.Unmarshal(r.body, into); err != nil {
				t.Fatal(err)
			}
		}
	}
	var me client.Me
	var tenant, connection, member struct{ ID string }
	var pending struct{ Invitation struct{ ID string } }
	var made client.NewToken
	send(http.MethodGet, "/me", nil, &me)
	directory := uuid.NewString()
	slug := canary + "-slug"
	send(http.MethodPost, "/tenants", map[string]any{"name": canary + " tenant", "slug": slug, "domain": canary + "-domain.example", "directory_id": directory, "owner": canary + " keeper"}, &tenant)
	send(http.MethodPost, "/tenants/"+slug+"/connections", map[string]any{"name": canary + " connection", "slug": canary + "-conn", "client_id": uuid.NewString()}, &connection)
	send(http.MethodPost, "/tenants/"+slug+"/connections/"+canary+"-conn/credential", map[string]any{"secret": canary + "-secret"}, nil)
	invited, err := ask(t.Context(), d.URL, token, http.MethodPost, "/invitations", map[string]any{"email": canary + "@member.example", "role": "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPost, "/join", map[string]any{"link": linkOf(t, invited), "name": canary + " member", "password": canary + "-password"}, nil)
	var members client.Page[struct{ ID, Email string }]
	send(http.MethodGet, "/members", nil, &members)
	member.ID = members.Items[slices.IndexFunc(members.Items, func(m struct{ ID, Email string }) bool { return m.Email == canary+"@member.example" })].ID
	send(http.MethodPost, "/invitations", map[string]any{"email": canary + "@invited.example", "role": "viewer"}, &pending)
	send(http.MethodPost, "/tokens", map[string]any{"name": canary + " token"}, &made)
	var verify, blocked op.Answer
	send(http.MethodPost, "/tenants/"+slug+"/starts", map[string]any{"operation": op.ConnectionVerify}, &verify, "Idempotency-Key", key())
	send(http.MethodPost, "/tenants/"+slug+"/starts", map[string]any{"operation": op.InventorySync}, &blocked, "Idempotency-Key", key())
	c, err := client.New(d.URL, token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var run op.Run
	eventually(t, "the run has ended", func() bool {
		run, err = c.Run(t.Context(), verify.Run.ID)
		return err == nil && run.State == op.Finished
	})
	kept, err := c.UploadBackup(t.Context(), slug, policyZip(t, canary+"-policy", canary+" filter"), false)
	if err != nil {
		t.Fatal(err)
	}
	return inhabited{
		words: []string{
			kept.ID, canary + " filter", canary + "-policy",
			canary + " tenant", slug, canary + "-domain", canary + " connection", canary + "-conn", canary + "@member", canary + "@invited", pending.Invitation.ID, canary + " member", canary + " token",
			directory, run.Code, run.ID, tenant.ID, connection.ID, member.ID, verify.AttemptID, blocked.AttemptID,
		},
		values: map[string][]string{
			"tenant": {slug, tenant.ID}, "connection": {canary + "-conn", connection.ID}, "run": {run.ID, run.Code, strings.ToLower(run.Code)},
			"attempt": {verify.AttemptID, blocked.AttemptID}, "member": {member.ID, me.ID}, "invitation": {pending.Invitation.ID}, "group": {uuid.NewString()}, "token": {made.Token.ID},
			"backup": {kept.ID}, "other": {kept.ID}, "type": {"assignmentFilters"}, "object": {canary + "-policy"},
			"q": {canary}, "operation": {string(op.ConnectionVerify), string(op.InventorySync)}, "actor": {me.ID, "me"}, "initiator": {me.ID, "me"},
		},
	}
}
