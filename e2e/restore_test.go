//go:build linux

package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

const (
	kiosks     = "deviceManagement/deviceConfigurations"
	kioskCount = 100
)

// emptied is a tenant that had 100 policies with assignments. They were backed up and
// deleted, and a preview plans to restore them.
type emptied struct {
	place
	plan client.Plan
}

// emptied creates the tenant. Its backup and its preview are runs on n.
func (n *node) emptied(slug string) emptied {
	n.t.Helper()
	e := emptied{place: n.readyTenants(slug)[0]}
	var ids, items []string
	for i := range kioskCount {
		body := fmt.Sprintf(`{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"Kiosk %03d","description":"","omaSettings":[],"roleScopeTagIds":["0"],
			"assignments":[{"id":"a%d","target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`, i, i)
		id, err := n.w.control.PutItem(n.t.Context(), e.directory, kiosks, json.RawMessage(body))
		if err != nil {
			n.t.Fatal(err)
		}
		ids, items = append(ids, id), append(items, "deviceConfigurations/"+id)
	}
	backup := n.succeeds(slug, "policy.backup", map[string]any{"types": []string{"deviceConfigurations"}})
	for _, id := range ids {
		if err := n.w.control.DeleteItem(n.t.Context(), e.directory, kiosks, id); err != nil {
			n.t.Fatal(err)
		}
	}
	var set string
	n.w.inspect(func(d *db.DB) { set = texts(n.t, d, `SELECT id FROM backup_sets WHERE run_id = $1`, backup.ID)[0] })
	preview := n.succeeds(slug, op.PolicyRestorePreview, map[string]any{"backup": set, "items": items})
	plans, err := n.owner().Plans(n.t.Context(), slug, preview.Code, client.Paging{Limit: 1})
	if err != nil || len(plans.Items) != 1 || plans.Items[0].Counts["create"] != kioskCount {
		n.t.Fatalf("the preview: %v %+v", err, plans.Items)
	}
	e.plan = plans.Items[0]
	return e
}

// succeeds starts an operation and waits for its success.
func (n *node) succeeds(tenant string, kind op.Kind, parameters any) op.Run {
	n.t.Helper()
	in, err := json.Marshal(parameters)
	if err != nil {
		n.t.Fatal(err)
	}
	a, err := n.owner().Start(n.t.Context(), tenant, client.StartRequest{Operation: kind, Parameters: in})
	if err != nil || a.Outcome != op.Accepted {
		n.t.Fatalf("%s on %s: %v %s", kind, tenant, err, a.Code)
	}
	r := n.ended(a.Run.ID)
	if r.Outcome != op.RunSucceeded {
		n.t.Fatalf("%s on %s ended as %s: %s", kind, tenant, r.Words.Code, r.Words.Why)
	}
	return r
}

// confirmed are the parameters that confirm the plan, and the same for a command.
func (e emptied) confirmed(t *testing.T) (parameters json.RawMessage, command []string) {
	t.Helper()
	codes := []string{}
	command = []string{"restore", "execute", e.plan.Hash, "--tenant", e.slug, "--confirm", e.slug}
	for _, w := range e.plan.Warnings {
		codes = append(codes, w.Code)
		command = append(command, "--acknowledge", w.Code)
	}
	parameters, err := json.Marshal(map[string]any{"plan": e.plan.Hash, "acknowledged": codes, "confirm": e.slug})
	if err != nil {
		t.Fatal(err)
	}
	return parameters, command
}

// once fails the test unless the provider made each policy once: by its counter and by
// its list.
func (w *world) once(e emptied) {
	w.t.Helper()
	state, err := w.control.Tenant(w.t.Context(), e.directory)
	if err != nil {
		w.t.Fatal(err)
	}
	if made := state.Writes[kiosks]; made.Created != kioskCount || made.Assigned != kioskCount || made.Updated != 0 || made.Deleted != 0 {
		w.t.Errorf("the provider counts %+v, want %d created and assigned", made, kioskCount)
	}
	n := w.nodes[len(w.nodes)-1]
	n.succeeds(e.slug, op.InventorySync, struct{}{})
	all, err := n.owner().Inventory(w.t.Context(), e.slug, client.DataFilter{Paging: client.Paging{Limit: 200}})
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, r := range all.Items {
		if strings.HasPrefix(r.Name, "Kiosk ") {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	if len(names) != kioskCount || len(slices.Compact(names)) != kioskCount {
		w.t.Errorf("the tenant has %d policies, want %d", len(names), kioskCount)
	}
}

// colleague is another owner of the workspace.
func (n *node) colleague(email string) (token string) {
	n.t.Helper()
	invited, err := ask(n.t.Context(), n.url, n.w.owner.token, http.MethodPost, "/invitations", map[string]any{"email": email, "role": "owner"})
	if err != nil || invited.status >= 300 {
		n.t.Fatalf("invite: %v %d %s", err, invited.status, invited.body)
	}
	who := account{name: "Ann Baker", email: email, password: "e2e-" + rand.Text()}
	if _, err := n.as("").AcceptInvitation(n.t.Context(), linkOf(n.t, invited), who.name, who.password); err != nil {
		n.t.Fatal(err)
	}
	return n.signIn(who)
}

// TestRestorePressedByManyAtOnce: two people execute the preview of 100 policies at the
// same moment, on two nodes, by API and by command, twice each. One run makes 100
// policies, counted at the provider.
func TestRestorePressedByManyAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		nodes := []*node{w.start()}
		if engine == db.Postgres {
			nodes = append(nodes, w.start())
		}
		e := nodes[0].emptied("kestrel")
		parameters, command := e.confirmed(t)
		people := []string{w.owner.token, nodes[0].colleague("ann.baker@lattice.example")}

		var pressing sync.WaitGroup
		var mu sync.Mutex
		runs, outcomes := map[string]bool{}, map[string]int{}
		note := func(outcome, run string) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome]++
			if run != "" {
				runs[run] = true
			}
		}
		for i := range 4 {
			n, token := nodes[i%len(nodes)], people[i/2]
			c := n.as(token)
			for range 2 {
				pressing.Go(func() {
					a, err := c.Start(t.Context(), e.slug, client.StartRequest{Operation: op.PolicyRestore, Parameters: parameters})
					if err != nil || a.Run == nil {
						t.Errorf("by API: %v %s", err, a.Code)
						return
					}
					note(string(a.Outcome), a.Run.Code)
				})
			}
			pressing.Go(func() {
				r, err := execute(t.Context(), []string{"INTERLOCK_URL=" + n.url, "INTERLOCK_TOKEN=" + token, "XDG_CONFIG_HOME=" + t.TempDir()}, "", program, command...)
				if err != nil || strings.TrimSpace(r.out) == "" {
					t.Errorf("by command: %v, exit code %d\n%s%s", err, r.code, r.out, r.stderr)
					return
				}
				note("by command", strings.TrimSpace(r.out))
			})
		}
		pressing.Wait()
		if len(runs) != 1 || outcomes["by command"] != 4 || outcomes[string(op.Accepted)] > 1 {
			t.Fatalf("runs %v, outcomes %v", runs, outcomes)
		}
		var id string
		w.inspect(func(d *db.DB) {
			id = texts(t, d, `SELECT id FROM runs WHERE operation = 'policy.restore'`)[0]
			if n := number(t, d, `SELECT COUNT(*) FROM start_attempts WHERE operation = 'policy.restore' AND outcome = 'accepted'`); n != 1 {
				t.Errorf("%d starts were accepted, want 1", n)
			}
		})
		if r := nodes[0].ended(id); r.Outcome != op.RunSucceeded {
			t.Errorf("the restore ended as %s: %s", r.Words.Code, r.Words.Why)
		}
		w.once(e)
		// The plan is used up, on every surface.
		a, err := nodes[0].owner().Start(t.Context(), e.slug, client.StartRequest{Operation: op.PolicyRestore, Parameters: parameters})
		if err != nil || a.Outcome != op.Blocked {
			t.Errorf("pressed again: %v %s", err, a.Code)
		}
		w.audit("at the end")
	})
}

// TestRestoreOutlivesItsNode stops the node of a restore past its lease while the answers
// to changes are under way. Another node finishes the restore. When the first one
// continues, with those answers, it makes no call; and each policy was made once.
func TestRestoreOutlivesItsNode(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*node){"stands still": func(n *node) { n.pause() }, "is killed": func(n *node) { n.kill() }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, db.Postgres)
			first := w.start(short...)
			e := first.emptied("kestrel")
			parameters, _ := e.confirmed(t)
			// The changes are made; their answers don't come.
			w.fault(graphsim.Fault{Tenant: e.directory, Method: http.MethodPost, Path: "/beta/" + kiosks, Skip: 30, Action: graphsim.Action{Kind: graphsim.ActHold}})
			a, err := first.owner().Start(t.Context(), e.slug, client.StartRequest{Operation: op.PolicyRestore, Parameters: parameters})
			if err != nil || a.Outcome != op.Accepted {
				t.Fatalf("%v %s", err, a.Code)
			}
			w.held(e.place)
			stop(first)
			w.clear()
			heir := w.start(short...)
			r := heir.ended(a.Run.ID)
			if r.Outcome != op.RunSucceeded || r.Dispatch < 2 {
				t.Errorf("the restore ended as %s in dispatch %d: %s", r.Words.Code, r.Dispatch, r.Words.Why)
			}
			w.once(e)
			last := 0
			for _, c := range w.calls(0, e.place) {
				last = c.Number
			}
			if name == "stands still" {
				first.resume()
				eventually(t, "the node that continues gives the run up", func() bool {
					lines, err := heir.owner().Timeline(t.Context(), a.Run.ID)
					return err == nil && slices.ContainsFunc(lines.Items, func(l client.Line) bool { return l.Kind == "late" })
				})
				for _, c := range w.calls(last, e.place) {
					t.Errorf("the node that continued called %s %s", c.Method, c.Path)
				}
			}
			w.audit("at the end")
		})
	}
}
