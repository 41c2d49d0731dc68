package restorechain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
)

// TestRestoreAgain (R3, R4): an accepted restore leads to its run on each surface. Once it
// has ended, nobody can start the same again: its page offers the preview that it had, as
// the command line does, and the answer to the same start says that the preview was
// executed.
func TestRestoreAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		for _, surface := range []string{onWeb, onAPI, onCLI} {
			p := w.place()
			asked := fmt.Sprintf(`{"backup":%q,"items":["assignmentFilters/f1"]}`, p.backup)
			w.start(onAPI, w.Operator, p, op.PolicyRestorePreview, "", json.RawMessage(asked))
			preview := w.Text(`SELECT id FROM runs WHERE tenant_id = $1`, p.tenant)
			w.End(preview, op.RunSucceeded, "")
			p.set("plans", `run_id = $1`, preview)
			restore := map[string]any{"plan": p.plan, "acknowledged": []string{"conditional_access", "crosses_directories"}, "confirm": "Tenant " + p.slug}
			first := w.start(surface, w.Owner, p, op.PolicyRestore, "", restore)
			code := w.Text(`SELECT code FROM runs WHERE tenant_id = $1 AND operation = 'policy.restore'`, p.tenant)
			run := w.Text(`SELECT id FROM runs WHERE code = $1`, code)
			if !strings.Contains(first.text, code) {
				t.Errorf("%s: %s does not name run %s", surface, first.text, code)
			}
			page := w.With(w.Bearer(w.Owner)).Get(op.RunPath("lattice", code)).Want(http.StatusOK)
			if n := page.Page.Find(`form[action*="/start/"]`).Length(); n != 0 {
				t.Errorf("a run that has not ended offers %d starts", n)
			}
			w.Write(func(ctx context.Context, tx db.Tx) error {
				_, err := plans.Take(ctx, tx, p.tenant, p.plan, run)
				return err
			})
			w.Working(run, 0, 1)
			w.End(run, op.RunPartial, "")

			for _, on := range []string{onWeb, onAPI, onCLI, onPreflight} {
				before := w.queued()
				if got := w.start(on, w.Owner, p, op.PolicyRestore, "", restore); !strings.Contains(got.text, "This preview was already executed. Every restore needs its own preview.") || w.queued() != before {
					t.Errorf("%s again: %s", on, got.text)
				}
			}
			if got := w.command(w.Owner, "run", code); !strings.Contains(got.text, "Review the failed items, then preview the restore again.") {
				t.Errorf("the run says %s", got.text)
			}
			page = w.With(w.Bearer(w.Owner)).Get(op.RunPath("lattice", code)).Want(http.StatusOK)
			page.Says("#run-top", "then preview the restore again.")
			action, form := page.Form(`form[action*="/start/"]`)
			if action != op.StartPath("lattice", p.slug, op.PolicyRestorePreview) || form.Get("parameters") != asked {
				t.Errorf("the run offers %s with %s, want its preview with %s", action, form, asked)
			}
			if n := w.With(w.Bearer(w.Viewer)).Get(op.RunPath("lattice", code)).Want(http.StatusOK).Page.Find(`form[action*="/start/"]`).Length(); n != 0 {
				t.Error("a viewer may start it")
			}

			// Again by its preview, on the same surface.
			switch surface {
			case onWeb:
				form.Set("key", web.NewKey(time.Now()))
				w.With(w.Bearer(w.Owner)).WithScript().Send(http.MethodPost, action, form).Want(http.StatusAccepted)
			case onCLI:
				if got := w.command(w.Owner, "restore", "preview", "--again", p.plan, "--tenant", p.slug); got.exit != 0 {
					t.Error(got.text)
				}
			default:
				var plan struct{ Parameters json.RawMessage }
				if err := json.Unmarshal(w.ask(w.Owner, http.MethodGet, "/tenants/"+p.slug+"/plans/"+p.plan, nil).body, &plan); err != nil {
					t.Fatal(err)
				}
				w.start(onAPI, w.Owner, p, op.PolicyRestorePreview, "", plan.Parameters)
			}
			if got := w.Text(`SELECT parameters FROM runs WHERE tenant_id = $1 AND state = 'queued' AND operation = 'policy.restore.preview'`, p.tenant); got != asked {
				t.Errorf("%s: previews again with %s, want %s", surface, got, asked)
			}
		}
	})
}

// TestNoWayToRestoreWithoutTheRight (R5): who may not restore finds no button for it on
// any page of the tenant, and the list of operations says so.
func TestNoWayToRestoreWithoutTheRight(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite))
	p := w.place()
	for _, by := range []access.Actor{w.Operator, w.Viewer} {
		browser := w.With(w.Bearer(by))
		for _, path := range []string{op.TenantPath("lattice", p.slug), op.ConnectionPath("lattice", p.slug, p.slug)} {
			page := browser.Get(path).Want(http.StatusOK)
			if n := page.Page.Find(`[action$="/start/policy.restore"]`).Length(); n != 0 {
				t.Errorf("%s has %d forms for %s", path, n, by.Name())
			}
		}
		if got := w.ask(by, http.MethodGet, "/operations", nil); !strings.Contains(got.text, `"capability":"policy.restore","capability_name":"Restore policies","allowed":false`) {
			t.Errorf("operations: %s", got.text)
		}
	}
}

// TestBadInput: what can't be meant is refused with the field and the limit, and nothing
// is queued or stored.
func TestBadInput(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		p := w.place()
		before, mappings := w.queued(), w.Int(`SELECT COUNT(*) FROM mappings`)
		at := "/tenants/" + p.slug
		preview := func(more map[string]any) map[string]any {
			in := map[string]any{"backup": p.backup}
			for k, v := range more {
				in[k] = v
			}
			return map[string]any{"operation": op.PolicyRestorePreview, "parameters": in}
		}
		execute := func(field string, value any) map[string]any {
			in := map[string]any{"plan": p.plan, "acknowledged": []string{}, "confirm": "Tenant " + p.slug}
			in[field] = value
			return map[string]any{"operation": op.PolicyRestore, "parameters": in}
		}
		many := strings.Split(strings.Repeat("assignmentFilters/f1 ", 5000)+"assignmentFilters/f2", " ")
		mapping := func(kind, from, source, target string) map[string]any {
			return map[string]any{"kind": kind, "source_directory": from, "source": source, "target": target}
		}
		for _, c := range []struct {
			method, path  string
			body          any
			field, detail string
		}{
			{http.MethodPost, at + "/starts", preview(map[string]any{"items": many}), "parameters.items", "has 5001 entries, at most 5000 are allowed"},
			{http.MethodPost, at + "/starts", preview(map[string]any{"items": []string{"assignmentFilters/" + strings.Repeat("x", 201)}}), "parameters.items[0]", "type/id"},
			{http.MethodPost, at + "/starts", preview(map[string]any{"mappings": []any{mapping("groups", "", strings.Repeat("x", 201), "b")}}), "parameters.mappings[0].source_directory", "is not a parameter of this operation"},
			{http.MethodPost, at + "/starts", preview(map[string]any{"mappings": []any{map[string]any{"kind": "groups", "source": strings.Repeat("x", 201), "target": "b"}}}), "parameters.mappings[0].source", "has 201 bytes, at most 200 are allowed"},
			{http.MethodPost, at + "/starts", preview(map[string]any{"choices": []any{map[string]any{"item": "f1"}}}), "parameters.choices[0].item", "type/id"},
			{http.MethodPost, at + "/starts", execute("confirm", strings.Repeat("x", 401)), "parameters.confirm", "has 401 bytes, at most 400 are allowed"},
			{http.MethodPost, at + "/starts", execute("plan", p.plan+"0"), "parameters.plan", "64 hexadecimal digits"},
			{http.MethodPost, at + "/starts", execute("plan", strings.ToUpper(p.plan)), "parameters.plan", "in lower case"},
			{http.MethodPost, at + "/starts", execute("plan", 7), "parameters.plan", ""},
			{http.MethodPost, at + "/starts", execute("force", true), "parameters.force", "is not a parameter of this operation"},
			{http.MethodPut, at + "/mappings", mapping("printers", source, "a", "b"), "kind", "must be a type of policy"},
			{http.MethodPut, at + "/mappings", mapping("groups", "here", "a", "b"), "source_directory", "GUID"},
			{http.MethodPut, at + "/mappings", mapping("groups", source, "", "b"), "source", "must be the id of an object"},
			{http.MethodPut, at + "/mappings", mapping("groups", source, "a", strings.Repeat("x", 201)), "target", "has 201 bytes, at most 200 are allowed"},
			{http.MethodGet, at + "/plans/" + p.plan + "/steps?action=delete", nil, "action", "must be one of"},
			{http.MethodGet, at + "/plans?limit=1000", nil, "limit", "must be at most 200"},
			{http.MethodPut, "/workspace/restore-policy", map[string]any{"approval": "yes"}, "approval", "must be true or false"},
		} {
			got := w.ask(w.Owner, c.method, c.path, c.body)
			var problem httpx.Problem
			if err := json.Unmarshal(got.body, &problem); err != nil || got.status != http.StatusUnprocessableEntity || len(problem.Errors) != 1 ||
				problem.Errors[0].Field != c.field || !strings.Contains(problem.Errors[0].Detail, c.detail) {
				t.Errorf("%s %s: %d %.300s, want that %s %s", c.method, c.path, got.status, got.text, c.field, c.detail)
			}
		}
		large := w.ask(w.Owner, http.MethodPost, at+"/starts", preview(map[string]any{"backup": strings.Repeat("x", 1<<20)}))
		if large.status != http.StatusRequestEntityTooLarge || !strings.Contains(large.text, "1 MiB") && !strings.Contains(large.text, "1048576") {
			t.Errorf("1 MiB: %d %.200s", large.status, large.text)
		}
		form := w.With(w.Bearer(w.Owner)).WithScript().Send(http.MethodPost, op.StartPath("lattice", p.slug, op.PolicyRestore),
			url.Values{"key": {web.NewKey(time.Now())}, "parameters": {strings.Repeat("x", 1<<20)}})
		if form.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("a form of 1 MiB: %d", form.Status)
		}

		// What isn't there can't be told from what belongs to somebody else.
		missing := w.ask(w.Owner, http.MethodGet, at+"/plans/"+strings.Repeat("0", 64), nil)
		for name, hash := range map[string]string{"of another tenant": w.place().plan, "of another workspace": w.placeIn(w.Other, w.Outsider.Person()).plan, "no hash": "latest"} {
			for _, below := range []string{"", "/steps"} {
				if got := w.ask(w.Owner, http.MethodGet, at+"/plans/"+hash+below, nil); got.status != http.StatusNotFound || told(got) != told(missing) {
					t.Errorf("%s%s: %d %s, want %s", name, below, got.status, told(got), told(missing))
				}
			}
		}
		if w.queued() != before || w.Int(`SELECT COUNT(*) FROM mappings`) != mappings+2 {
			t.Error("something that was refused was queued or stored")
		}
	})
}

// told is a problem without the id of its request.
func told(s said) string {
	var p map[string]any
	if json.Unmarshal(s.body, &p) != nil {
		return s.text
	}
	delete(p, "instance")
	delete(p, "request_id")
	return fmt.Sprint(p)
}
