package restorechain_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// agreement is an approval that a cell bends.
type agreement struct {
	*place
	by   access.Actor
	hash string
}

// TestApproveMatrix (R1, R4): an approval by API and command line, without each of its
// prerequisites. Both refuse it with the same words, and nothing is stored.
func TestApproveMatrix(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		old := w.Member("Ulf Dahl", "ulf.dahl@lattice.example", tenancy.Owner)
		w.SignIn()
		w.Exec(`UPDATE tokens SET proved_at = interlock_now() - $2 WHERE user_id = $1`, old.ID(), access.FreshFor.Microseconds())
		program := w.Member("Pia Lund", "pia.lund@lattice.example", tenancy.Owner) // has a token
		for _, c := range []struct {
			lacks string
			bend  func(*agreement)
			want  op.Problem // empty: it is stored
		}{
			{"nothing", func(*agreement) {}, ""},
			{"membership", func(a *agreement) { a.by = w.Outsider }, op.ProblemNotFound},
			{"the role", func(a *agreement) { a.by = w.Operator }, op.ProblemForbidden},
			{"a sign-in", func(a *agreement) { a.by = program }, op.ProblemSessionOnly},
			{"a fresh sign-in", func(a *agreement) { a.by = old }, op.ProblemNotFresh},
			{"a hash", func(a *agreement) { a.hash = "latest" }, op.ProblemNotFound},
			{"a preview", func(a *agreement) { a.hash = strings.Repeat("0", 64) }, op.ProblemNotFound},
			{"a preview of this tenant", func(a *agreement) { a.hash = w.place().plan }, op.ProblemNotFound},
			{"a preview of this workspace", func(a *agreement) { a.hash = w.placeIn(w.Other, w.Outsider.Person()).plan }, op.ProblemNotFound},
			{"a whole preview", func(a *agreement) { a.set("plans", `ready = FALSE`) }, op.ProblemNotFound},
			{"someone else's preview", func(a *agreement) { a.set("plans", `author_id = $1`, w.Owner.ID()) }, op.ProblemConflict},
			{"a young preview", func(a *agreement) {
				a.set("plans", `observed_at = observed_at - $1`, (31 * time.Minute).Microseconds())
			}, op.ProblemConflict},
			{"the connection as it was", func(a *agreement) { a.set("connections", `version = version + 1`) }, op.ProblemConflict},
			{"the connection", func(a *agreement) { a.set("connections", `deleted_at = interlock_now(), is_default = FALSE`) }, op.ProblemConflict},
			{"its mapping", func(a *agreement) { w.Exec(`DELETE FROM mappings`) }, op.ProblemConflict},
			{"a preview of its own", func(a *agreement) { a.set("plans", `executed_by = 'an earlier run'`) }, op.ProblemConflict},
		} {
			t.Run("approve without "+c.lacks, func(t *testing.T) {
				w.t = t
				a := &agreement{place: w.place(), by: w.Owner}
				a.hash = a.plan
				c.bend(a)
				before := w.Int(`SELECT COUNT(*) FROM plan_approvals`)
				audited := w.Int(`SELECT COUNT(*) FROM audit_log`)
				onAPI := w.ask(a.by, http.MethodPost, "/tenants/"+a.slug+"/plans/"+a.hash+"/approve", nil)
				onCLI := w.command(a.by, "restore", "approve", a.hash, "--tenant", a.slug)
				stored := w.Int(`SELECT COUNT(*) FROM plan_approvals`) - before
				if c.want == "" {
					if onAPI.status != http.StatusOK || onCLI.exit != 0 || stored != 1 || !strings.Contains(onCLI.text, "Approved by Mei Tan, until ") {
						t.Errorf("%d %s, %d %s, %d are stored", onAPI.status, onAPI.text, onCLI.exit, onCLI.text, stored)
					}
					return
				}
				var p httpx.Problem
				if err := json.Unmarshal(onAPI.body, &p); err != nil || p.Code != string(c.want) || onAPI.status != c.want.HTTPStatus() {
					t.Errorf("the API answers %d %s, want %s", onAPI.status, onAPI.text, c.want)
				}
				next := "Preview the restore again."
				if c.lacks == "someone else's preview" {
					next = "Ask another owner to approve it."
				}
				if c.want == op.ProblemConflict && (p.Next != next || !strings.Contains(onCLI.text, next)) {
					t.Errorf("the API says %q next, the command %s; want %q", p.Next, onCLI.text, next)
				}
				if onCLI.exit != c.want.ExitCode() || c.want != op.ProblemNotFresh && !strings.Contains(onCLI.text, line(p.Detail)) { // one is asked for the password
					t.Errorf("the command ends with %d: %s", onCLI.exit, onCLI.text)
				}
				if stored != 0 || w.Int(`SELECT COUNT(*) FROM audit_log`) != audited {
					t.Errorf("%d approvals are stored", stored)
				}
			})
		}
	})
}

// TestSecondPerson (R1): owners require a second person with a fresh sign-in, on the
// record. It counts for previews that exist already, on and off. The refusal names who can
// approve; one's own approval doesn't count for oneself.
func TestSecondPerson(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		program := w.Member("Pia Lund", "pia.lund@lattice.example", tenancy.Owner) // has a token
		policy := func(by access.Actor, approval bool) int {
			return w.ask(by, http.MethodPut, "/workspace/restore-policy", map[string]bool{"approval": approval}).status
		}
		p := w.place()
		start := func(by access.Actor, want string) said {
			t.Helper()
			got := w.start(onAPI, by, p, op.PolicyRestore, "", map[string]any{
				"plan": p.plan, "acknowledged": []string{"conditional_access", "crosses_directories"}, "confirm": "Tenant " + p.slug,
			})
			var a op.Answer
			if err := json.Unmarshal(got.body, &a); err != nil || a.Code != want {
				t.Fatalf("%d %s, want %s", got.status, got.text, want)
			}
			return got
		}
		for name, by := range map[string]access.Actor{"an operator": w.Operator, "a viewer": w.Viewer, "a token": program} {
			if got := policy(by, true); got != http.StatusForbidden {
				t.Errorf("%s changes the policy: %d", name, got)
			}
		}
		if got := w.command(w.Owner, "restore", "policy", "--approval=true"); got.exit != 0 || !strings.Contains(got.text, "Approval by a second person: required") {
			t.Fatalf("%d %s", got.exit, got.text)
		}
		if got := policy(w.Owner, true); got != http.StatusOK {
			t.Fatal(got)
		}
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'workspace.restore_policy'`); n != 1 {
			t.Errorf("%d changes are on record, want the one that changed something", n)
		}
		w.Exec(`UPDATE users SET disabled_at = interlock_now() WHERE id = $1`, program.ID())
		if got := start(w.Owner, "blocked/approval_missing"); !strings.Contains(got.text, "Ask Ola Berg to approve the preview, then start again.") {
			t.Errorf("it does not say who can: %s", got.text)
		}
		approve := func(by access.Actor) {
			t.Helper()
			if got := w.command(by, "restore", "approve", p.plan, "--tenant", p.slug); got.exit != 0 {
				t.Fatal(got.text)
			}
		}
		approve(w.Owner) // of the operator's preview, for whoever else starts it
		start(w.Owner, "blocked/approval_missing")
		approve(w.second)
		w.Exec(`UPDATE members SET role = 'operator' WHERE user_id = $1`, w.second.ID())
		if got := start(w.Owner, "blocked/approval_missing"); !strings.Contains(got.text, "someone who can approve restores") {
			t.Errorf("nobody can, and it says %s", got.text)
		}
		if got := w.ask(w.Owner, http.MethodGet, "/tenants/"+p.slug+"/plans/"+p.plan, nil); !strings.Contains(got.text, `"name":"Ola Berg"}`) || strings.Count(got.text, `"void":true`) != 1 {
			t.Errorf("the plan is shown as %s", got.text)
		}
		w.Exec(`UPDATE members SET role = 'owner' WHERE user_id = $1`, w.second.ID())
		w.Exec(`DELETE FROM plan_approvals`)
		start(w.Owner, "blocked/approval_missing")
		if got := policy(w.Owner, false); got != http.StatusOK {
			t.Fatal(got)
		}
		start(w.Owner, "accepted")
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'workspace.restore_policy'`); n != 2 {
			t.Errorf("%d changes are on record", n)
		}
	})
}
