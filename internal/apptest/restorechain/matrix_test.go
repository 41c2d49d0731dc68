package restorechain_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// cell is a start of a restore, or of its preview, that lacks something. There is one for
// each step and prerequisite; it is asked for on each surface.
type cell struct {
	lacks string
	bend  func(*press) // nil: nothing is missing
	want  string       // the code of the answer, or of the problem and the field that it names
}

// press is a start that a cell bends.
type press struct {
	*place
	by         access.Actor
	connection string
	in         map[string]any
}

// anywhere are the prerequisites of a preview and of its execution.
func anywhere() []cell {
	return []cell{
		{"nothing", nil, "accepted"},
		{"membership", func(p *press) { p.by = p.w.Outsider }, "not_found"},
		{"the role", func(p *press) { p.by = p.w.Viewer }, "forbidden"},
		{"parameters", func(p *press) { clear(p.in) }, ""},
		{"known parameters", func(p *press) { p.in["force"] = true }, "field parameters.force"},
		{"a connection", func(p *press) { p.set("connections", `deleted_at = interlock_now(), is_default = FALSE`) }, "blocked/connection_missing"},
		{"an enabled connection", func(p *press) { p.set("connections", `enabled = FALSE`) }, "blocked/connection_disabled"},
		{"consent", func(p *press) { p.set("connections", `consent = 'missing'`) }, "blocked/consent_missing"},
		{"a verification", func(p *press) { p.set("connections", `verification = 'missing'`) }, "blocked/verification_missing"},
		{"a free connection", func(p *press) {
			p.w.Start(p.w.Operator, p.slug, op.InventorySync)
		}, "scope_busy/other_operation_active"},
		{"an active tenant", func(p *press) {
			p.w.Exec(`UPDATE tenants SET status = 'archived', archived_at = interlock_now() WHERE id = $1`, p.tenant)
		}, "blocked/tenant_archived"},
		{"the backup", func(p *press) { p.set("backup_sets", `state = 'removed'`) }, "blocked/backup_missing"},
		{"a backup of this workspace", func(p *press) { p.set("backup_sets", `workspace_id = $1`, p.w.Other) }, "blocked/backup_missing"},
	}
}

// TestMatrix (R1, R2, R4, R5): a preview and its execution, on each surface, without each
// of their prerequisites. Each surface gives the same answer in the same words, nothing is
// queued, and nothing else changes. Without anything missing, the start is accepted.
func TestMatrix(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		for _, c := range append(anywhere(), []cell{
			{"an id of a backup", func(p *press) { p.in["backup"] = "latest" }, "field parameters.backup"},
			{"a backup", func(p *press) { p.in["backup"] = access.NewID() }, "blocked/backup_missing"},
			{"sight of the backup's tenant", func(p *press) {
				p.by = p.w.Add(p.w.Workspace, gatetest.Person{Name: "Ida Holm", Email: p.slug + "@lattice.example", Role: tenancy.Operator, Tenants: []string{p.slug}})
				p.w.SignIn()
				p.w.Exec(`UPDATE backup_sets SET tenant_id = $2 WHERE id = $1`, p.backup, p.w.place().tenant)
			}, "blocked/backup_missing"},
			{"a known type", func(p *press) { p.in["items"] = []string{"filters/f1"} }, "field parameters.items[0]"},
			{"a known choice", func(p *press) {
				p.in["choices"] = []any{map[string]any{"item": "assignmentFilters/f1", "replace": true}}
			}, "field parameters.choices[0].replace"},
			{"one choice for an item", func(p *press) {
				choice := map[string]any{"item": "assignmentFilters/f1", "new": true}
				p.in["choices"] = []any{choice, choice}
			}, "field parameters.choices[1].item"},
			{"a known kind", func(p *press) {
				p.in["mappings"] = []any{map[string]any{"kind": "printers", "source": "a", "target": "b"}}
			}, "field parameters.mappings[0].kind"},
		}...) {
			if c.want == "" {
				c.want = "field parameters.backup"
			}
			t.Run("preview without "+c.lacks, func(t *testing.T) {
				w.t = t
				c.check(w, op.PolicyRestorePreview, w.Operator, func(p *place) map[string]any { return map[string]any{"backup": p.backup} })
			})
		}
		acknowledged := []string{"conditional_access", "crosses_directories"}
		hour := time.Now().Add(time.Hour)
		second := func(bend func(*press)) func(*press) {
			return func(p *press) {
				p.w.require(true)
				if bend != nil {
					bend(p)
				}
			}
		}
		for _, c := range append(anywhere(), []cell{
			{"the right to restore", func(p *press) { p.by = p.w.Operator }, "forbidden"},
			{"a hash", func(p *press) { p.in["plan"] = "latest" }, "field parameters.plan"},
			{"a preview", func(p *press) { p.in["plan"] = strings.Repeat("0", 64) }, "blocked/preview_missing"},
			{"a preview of this tenant", func(p *press) { p.in["plan"] = p.w.place().plan }, "blocked/preview_missing"},
			{"a preview of this workspace", func(p *press) { p.in["plan"] = p.w.placeIn(p.w.Other, p.w.Outsider.Person()).plan }, "blocked/preview_missing"},
			{"a whole preview", func(p *press) { p.set("plans", `ready = FALSE`) }, "blocked/preview_missing"},
			{"a young preview", func(p *press) { p.set("plans", `observed_at = observed_at - $1`, (31 * time.Minute).Microseconds()) }, "blocked/preview_stale expired"},
			{"the connection as it was", func(p *press) { p.set("connections", `version = version + 1`) }, "blocked/preview_stale connection_changed"},
			{"the same connection", func(p *press) {
				p.connection = p.w.Connection(p.w.Workspace, p.tenant, p.slug+"-other", func(c *tenancy.Connection) { c.Default = false })
			}, "blocked/preview_stale connection_changed"},
			{"the same directory", func(p *press) { p.set("connections", `directory_id = $1, actual_directory_id = $1`, source) }, "blocked/preview_stale directory_changed"},
			{"the mapping as it was", func(p *press) {
				p.w.Exec(`UPDATE mappings SET target = 'another' WHERE target_directory = $1`, gatetest.Directory(p.slug))
			}, "blocked/preview_stale mapping_changed"},
			{"its mapping", func(p *press) {
				p.w.Exec(`DELETE FROM mappings WHERE target_directory = $1`, gatetest.Directory(p.slug))
			}, "blocked/preview_stale mapping_changed"},
			{"an unchanged tenant", func(p *press) {
				p.w.Exec(`INSERT INTO tenant_writes (tenant_id, run_id, at) VALUES ($1, 'r', interlock_now())`, p.tenant)
			}, "blocked/preview_stale tenant_written"},
			{"a preview of its own", func(p *press) { p.set("plans", `executed_by = 'an earlier run'`) }, "blocked/preview_stale executed"},
			{"acknowledgement", func(p *press) { p.in["acknowledged"] = []string{} }, "blocked/warnings_open"},
			{"acknowledgement of each warning", func(p *press) { p.in["acknowledged"] = acknowledged[:1] }, "blocked/warnings_open"},
			{"a known warning", func(p *press) { p.in["acknowledged"] = []string{"everything"} }, "field parameters.acknowledged[0]"},
			{"the name of the tenant", func(p *press) { p.in["confirm"] = "" }, "field parameters.confirm"},
			{"the right name", func(p *press) { p.in["confirm"] = "tenant " + p.slug }, "field parameters.confirm"},
			{"permission to write", func(p *press) { p.set("connections", `permissions = '["DeviceManagementConfiguration.Read.All"]'`) }, "blocked/permission_missing"},
			{"an approval", second(nil), "blocked/approval_missing"},
			{"an approval by someone else", second(func(p *press) { p.approve(p.w.Owner, hour) }), "blocked/approval_missing"},
			{"an approval by someone who did not preview", second(func(p *press) {
				p.set("plans", `author_id = $1`, p.w.second.ID())
				p.approve(p.w.second, hour)
			}), "blocked/approval_missing"},
			{"an approval that is valid", second(func(p *press) { p.approve(p.w.second, time.Now().Add(-time.Second)) }), "blocked/approval_missing"},
			{"an approval by someone who may", second(func(p *press) { p.approve(p.w.Second, hour) }), "blocked/approval_missing"},
			{"nothing, with an approval", second(func(p *press) { p.approve(p.w.second, hour) }), "accepted"},
		}...) {
			if c.want == "" {
				c.want = "field parameters.plan"
			}
			t.Run("execute without "+c.lacks, func(t *testing.T) {
				w.t = t
				c.check(w, op.PolicyRestore, w.Owner, func(p *place) map[string]any {
					return map[string]any{"plan": p.plan, "acknowledged": acknowledged, "confirm": "Tenant " + p.slug}
				})
			})
		}
		if wrong := w.Audit(); len(wrong) > 0 {
			t.Error(strings.Join(wrong, "; "))
		}
	})
}

// check presses the start of a cell on each surface.
func (c cell) check(w *world, kind op.Kind, by access.Actor, in func(*place) map[string]any) {
	w.t.Helper()
	defer w.require(false)
	code, more, _ := strings.Cut(c.want, " ")
	outcome, _, _ := strings.Cut(code, "/")
	var p *press
	var before int64
	place := func() {
		base := w.place()
		p = &press{place: base, by: by, in: in(base)}
		if c.bend != nil {
			c.bend(p)
		}
		before = w.queued()
	}
	place()
	first := w.start(onAPI, p.by, p.place, kind, p.connection, p.in)
	var words []string // that every surface must say
	switch outcome {
	case "accepted", "scope_busy", "blocked":
		var a op.Answer
		if err := json.Unmarshal(first.body, &a); err != nil || a.Code != code {
			w.t.Fatalf("the API answers %d %s, want %s", first.status, first.text, code)
		}
		if first.status != a.Outcome.HTTPStatus() {
			w.t.Errorf("the API answers %d", first.status)
		}
		reason := a.Reasons[0]
		if stale := op.Stale(more, nil); more != "" && !strings.HasPrefix(reason.Detail, stale[:min(len(stale), 24)]) {
			w.t.Errorf("it is out of date because %q, want %s", reason.Detail, more)
		}
		if a.Outcome != op.Accepted {
			words = append(words, a.Title, reason.Title+". "+reason.Detail, reason.Next, a.Code)
		}
	default:
		var problem httpx.Problem
		if err := json.Unmarshal(first.body, &problem); err != nil || problem.Code != code || first.status != op.Problem(code).HTTPStatus() {
			w.t.Fatalf("the API answers %d %s, want %s", first.status, first.text, code)
		}
		if more != "" && (len(problem.Errors) != 1 || problem.Errors[0].Field != more) {
			w.t.Errorf("it names %+v, want %s", problem.Errors, more)
		}
		words = append(words, problem.Detail)
		if code != "not_found" { // a page has a title of its own for it
			words = append(words, problem.Title)
		}
	}
	for _, surface := range []string{onAPI, onWeb, onPreflight, onCLI} {
		got := first
		if surface != onAPI {
			if outcome == "accepted" { // each start is one of its own
				if queued := w.queued(); queued != before+2 {
					w.t.Errorf("%d runs and jobs were added, want one of each", queued-before)
				}
				place()
			}
			got = w.start(surface, p.by, p.place, kind, p.connection, p.in)
		}
		wantStatus, wantExit := first.status, -1
		switch {
		case surface == onPreflight && op.Outcome(outcome).Label() != "":
			wantStatus = http.StatusOK
			if !strings.Contains(got.text, `"outcome":"`+outcome+`"`) {
				w.t.Errorf("the preflight says %s", got.text)
			}
			if outcome == "accepted" {
				before -= 2 // it queues nothing
			}
		case surface == onCLI && op.Outcome(outcome).Label() != "":
			wantStatus, wantExit = 0, op.Outcome(outcome).ExitCode()
		case surface == onCLI:
			wantStatus, wantExit = 0, op.Problem(code).ExitCode()
		}
		if got.status != wantStatus || got.exit != wantExit {
			w.t.Errorf("%s: status %d, exit code %d, want %d and %d: %s", surface, got.status, got.exit, wantStatus, wantExit, got.text)
		}
		if surface != onWeb && surface != onCLI {
			continue
		}
		for _, sentence := range words {
			if !strings.Contains(got.text, line(sentence)) {
				w.t.Errorf("%s does not say %q:\n%s", surface, line(sentence), got.text)
			}
		}
	}
	if outcome == "accepted" {
		return
	}
	if n := w.queued(); n != before {
		w.t.Errorf("%d runs and jobs were added", n-before)
	}
	if n := w.Int(`SELECT COUNT(*) FROM plans WHERE tenant_id = $1 AND executed_by NOT IN ('', 'an earlier run')`, p.tenant); n != 0 {
		w.t.Error("the preview counts as executed")
	}
}

// TestExecutionNeedsEverythingAtOnce: of several missing prerequisites each is told: the
// first as the reason, the others beside it.
func TestExecutionNeedsEverythingAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		p := w.place()
		w.require(true)
		p.set("connections", `consent = 'missing'`)
		p.set("backup_sets", `state = 'removed'`)
		p.set("plans", `executed_by = 'an earlier run'`)
		got := w.start(onAPI, w.Owner, p, op.PolicyRestore, "", catalogue.RestoreParameters{Plan: p.plan, Confirm: "Tenant " + p.slug})
		var a op.Answer
		if err := json.Unmarshal(got.body, &a); err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, r := range a.Reasons {
			codes = append(codes, string(r.Code))
		}
		if want := "consent_missing backup_missing preview_stale warnings_open approval_missing"; strings.Join(codes, " ") != want {
			t.Errorf("the reasons are %v, want %s", codes, want)
		}
		if next := a.Reasons[len(a.Reasons)-1].Next; next != "Ask Ola Berg to approve the preview, then start again." {
			t.Errorf("next: %s", next)
		}
	})
}
