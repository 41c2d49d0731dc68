package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestFourAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		var first, second, busy, blocked op.Answer

		a := w.start(w.Operator, "kestrel", "k-1", map[string]any{"operation": "inventory.sync"}).want(http.StatusAccepted, &first)
		if want := Base + "/runs/" + first.Run.ID; a.header.Get("Location") != want {
			t.Errorf("Location is %q, want %q", a.header.Get("Location"), want)
		}
		w.start(w.Second, "kestrel", "k-1", map[string]any{"operation": "inventory.sync"}).want(http.StatusOK, &second)
		if second.Outcome != op.Deduped || second.Run.ID != first.Run.ID {
			t.Errorf("the same again is %s of run %v", second.Outcome, second.Run)
		}
		w.start(w.Second, "kestrel", "k-2", map[string]any{"operation": "directory.groups.sync"}).want(http.StatusConflict, &busy)
		if busy.Outcome != op.ScopeBusy || busy.Holder == nil || busy.Holder.ID != first.Run.ID {
			t.Errorf("another operation is %s, held by %v", busy.Outcome, busy.Holder)
		}
		w.Tenant(w.Workspace, "wren", "Wren")
		w.start(w.Operator, "wren", "k-3", map[string]any{"operation": "inventory.sync"}).want(http.StatusUnprocessableEntity, &blocked)
		if blocked.Outcome != op.Blocked || blocked.Reasons[0].Code != op.ConnectionMissing {
			t.Errorf("without a connection it is %s, %s", blocked.Outcome, blocked.Code)
		}
		if got := w.Int(`SELECT COUNT(*) FROM runs`); got != 1 {
			t.Errorf("there are %d runs, want 1", got)
		}
		if wrong := w.Audit(); len(wrong) > 0 {
			t.Error(strings.Join(wrong, "; "))
		}
	})
}

func TestPreflightIsTheSameAnswerAndWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		var would op.Answer
		w.get(w.Operator, "/tenants/kestrel/preflight?operation=inventory.sync").want(http.StatusOK, &would)
		if would.Outcome != op.Accepted || would.Run != nil || would.AttemptID != "" {
			t.Errorf("preflight of a ready tenant is %+v", would)
		}
		w.start(w.Operator, "kestrel", "k-1", map[string]any{"operation": "connection.verify"}).want(http.StatusAccepted)
		w.get(w.Operator, "/tenants/kestrel/preflight?operation=inventory.sync").want(http.StatusOK, &would)
		if would.Outcome != op.ScopeBusy || would.Holder == nil {
			t.Errorf("preflight of a busy tenant is %+v", would)
		}
		if got := w.Int(`SELECT COUNT(*) FROM start_attempts`); got != 1 {
			t.Errorf("there are %d attempts, want the start's one", got)
		}
	})
}

func TestKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		sync := map[string]any{"operation": "inventory.sync"}
		var first, again op.Answer
		w.start(w.Operator, "kestrel", "k-1", sync).want(http.StatusAccepted, &first)
		w.start(w.Operator, "kestrel", "k-1", sync).want(http.StatusAccepted, &again)
		if !again.Replayed || again.Run.ID != first.Run.ID || again.AttemptID != first.AttemptID {
			t.Errorf("the same key is answered with %+v", again)
		}
		p := w.start(w.Operator, "kestrel", "k-1", map[string]any{"operation": "connection.verify"}).
			problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
		if p.Type != "https://interlock.dev/problems/idempotency-key-reused" || !slices.Contains(p.Fields, "operation") {
			t.Errorf("the problem is %+v", p)
		}
		// Someone else's key is another key.
		w.start(w.Second, "kestrel", "k-1", sync).want(http.StatusOK)
	})
}

func TestShapeOfAStart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		for name, c := range map[string]struct {
			body   any
			key    string
			status int
			field  string
		}{
			"no key":                {`{"operation":"inventory.sync"}`, "", 422, "Idempotency-Key"},
			"a long key":            {`{"operation":"inventory.sync"}`, strings.Repeat("k", 201), 422, "Idempotency-Key"},
			"no operation":          {`{}`, "k", 422, "operation"},
			"a wrong type":          {`{"operation":5}`, "k", 422, "operation"},
			"an unknown field":      {`{"operation":"inventory.sync","force":true}`, "k", 422, "force"},
			"an unknown parameter":  {`{"operation":"inventory.sync","parameters":{"deep":1}}`, "k", 422, "parameters.deep"},
			"a bad parameter":       {`{"operation":"inventory.sync","parameters":{"types":["nope"]}}`, "k", 422, "parameters.types[0]"},
			"no JSON":               {`{"operation":`, "k", 422, "body"},
			"a list":                {`[]`, "k", 422, "body"},
			"no body":               {``, "k", 422, "body"},
			"an unknown operation":  {`{"operation":"policy.remove"}`, "k", 404, ""},
			"an unknown connection": {`{"operation":"inventory.sync","connection":"other"}`, "k", 404, ""},
			"too much":              {`{"operation":"` + strings.Repeat("x", 1<<20) + `"}`, "k", 413, ""},
		} {
			t.Run(name, func(t *testing.T) {
				a := w.start(w.Operator, "kestrel", c.key, c.body)
				a.t = t
				if c.field == "" {
					a.want(c.status)
					return
				}
				p := a.problem(c.status, "field")
				if len(p.Errors) == 0 || p.Errors[0].Field != c.field {
					t.Errorf("the problem names %v, want %s", p.Errors, c.field)
				}
			})
		}
		if got := w.Int(`SELECT COUNT(*) FROM start_attempts`); got != 0 {
			t.Errorf("%d attempts were recorded", got)
		}
	})
}

// TestShownTarget presses as an open page does whose connection is not what it was:
// the answer tells an edit of the connection from another connection, also when
// the two presses are a moment apart, and its record says the same.
func TestShownTarget(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, first := w.ready("kestrel")
		second := w.Connection(w.Workspace, tenant, "backup", func(c *tenancy.Connection) { c.Default = false })
		press := func(shown string, version int64, want string) {
			t.Helper()
			r, err := w.server.gate.Start(t.Context(), w.Operator, op.Request{
				Tenant: tenant, Kind: op.InventorySync, Surface: op.SurfaceWeb, ShownConnection: shown, ShownVersion: version,
			})
			if err != nil {
				t.Fatal(err)
			}
			said := op.Describe(r)
			if said.Code != "blocked/target_changed" || said.Reasons[0].Detail != want {
				t.Errorf("%s: %q\nwant %q", said.Code, said.Reasons[0].Detail, want)
			}
			var record Attempted
			w.get(w.Operator, "/attempts/"+said.AttemptID).want(http.StatusOK, &record)
			if got := record.Answer.Reasons[0].Detail; got != want {
				t.Errorf("on record it is %q\nwant %q", got, want)
			}
		}
		change := func(connection string, name string) {
			t.Helper()
			w.ask(w.Bearer(w.Owner), http.MethodPatch, "/tenants/kestrel/connections/"+connection, map[string]string{"name": name}).want(http.StatusOK)
		}
		change(first, "Another app")
		press(first, 1, "Another app was edited after the page loaded.")
		press(second, 1, "The page showed backup primary, but the start would now use Another app.")
		change(first, "A third app")
		press(first, 1, "A third app was edited after the page loaded.")
		change(second, "A third app") // names need not differ
		press(second, 1, "The page showed another connection, but the start would now use A third app.")
		w.post(w.Owner, "/tenants/kestrel/connections/"+second+"/default", nil).want(http.StatusOK)
		change(first, "The old one")
		press(first, 3, "The page showed The old one, but the start would now use A third app.")
		w.ask(w.Bearer(w.Owner), http.MethodDelete, "/tenants/kestrel/connections/"+first, nil).want(http.StatusNoContent)
		press(first, 3, "The page showed another connection, but the start would now use A third app.")
		if n := w.Int(`SELECT COUNT(*) FROM runs`); n != 0 {
			t.Errorf("%d runs were started", n)
		}
	})
}
