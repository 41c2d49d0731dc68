//go:build linux

package e2e_test

import (
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestBadObjects (F12, P8): a list with malformed objects is stored without them. Each
// of them has an item with its reason, and the type is marked incomplete on every
// surface.
func TestBadObjects(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		places := n.readyTenants("apps", "groups")
		body := func(p place, path, value string) {
			w.fault(graphsim.Fault{Tenant: p.directory, Path: path, Action: graphsim.Action{Kind: graphsim.ActBody, Value: value}})
		}
		body(places[0], "/v1.0/deviceAppManagement/mobileApps*", `{"value":[
			{"id":"a1","displayName":"Company portal"}, {"displayName":"No id"}, null, {"id":"a2","displayName":7},
			{"id":"a3"}, {"id":"a1","displayName":"Company portal, again"}]}`)
		body(places[1], "/v1.0/groups/delta*", `{"value":[
			{"id":"g1","displayName":"Drivers","securityEnabled":true,"members@delta":[{"id":"m1","@odata.type":"#microsoft.graph.user"},{"id":7},null,{"id":"m2"}]},
			{"displayName":"No id"}, null], "@odata.deltaLink":"`+w.sim.URL()+`/v1.0/groups/delta?$deltatoken=x"}`)

		run := n.ended(n.accepted("apps", op.InventorySync).ID)
		if run.Outcome != op.RunPartial || run.Counts.Failed != 1 || run.Counts.Done != run.Counts.Total-1 {
			t.Errorf("the inventory ended as %s with %+v: %s", run.Words.Code, run.Counts, run.Words.Why)
		}
		n.says(run, "mobileApps", op.ItemDone, "Incomplete", "2 of 5 objects could not be read.")
		for key, want := range map[string]string{
			"mobileApps/1": "without a usable ID", "mobileApps/2": "not an object", "mobileApps/3": "without a usable name",
			"mobileApps/4": "without a usable name", "mobileApps/5": "more than once",
		} {
			n.says(run, key, "", "", want)
		}
		objects, err := n.owner().Inventory(t.Context(), "apps", client.DataFilter{Type: "mobileApps"})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, o := range objects.Items {
			names = append(names, o.ID+" "+o.Name)
		}
		if got := strings.Join(names, ", "); got != "a2 , a3 , a1 Company portal, again" {
			t.Errorf("kept %q", got)
		}
		types, err := n.owner().InventoryTypes(t.Context(), "apps", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range types.Items {
			if want := map[bool]int64{true: 2}[of.Type == "mobileApps"]; of.Unreadable != want || of.AsOf == nil {
				t.Errorf("%s has %d objects that could not be read, want %d; as of %v", of.Type, of.Unreadable, want, of.AsOf)
			}
		}

		run = n.ended(n.accepted("groups", op.DirectoryGroupsSync).ID)
		if run.Outcome != op.RunPartial {
			t.Errorf("the groups ended as %s: %s", run.Words.Code, run.Words.Why)
		}
		n.says(run, "groups", op.ItemDone, "Incomplete", "2 of 3 objects could not be read.")
		n.says(run, "members", op.ItemDone, "Incomplete", "2 of 4 objects could not be read.")
		members, err := n.owner().GroupMembers(t.Context(), "groups", "g1", client.DataFilter{})
		if err != nil || len(members.Items) != 2 {
			t.Errorf("members: %+v, %v", members.Items, err)
		}

		// After a correct answer nothing of it is left.
		w.clear()
		run = n.ended(n.accepted("apps", op.InventorySync).ID)
		if run.Outcome != op.RunSucceeded {
			t.Errorf("afterwards the inventory ended as %s: %s", run.Words.Code, run.Words.Why)
		}
		// The provider does not know the stored link, so a full round follows.
		run = n.ended(n.accepted("groups", op.DirectoryGroupsSync).ID)
		if run.Outcome != op.RunSucceeded {
			t.Errorf("afterwards the groups ended as %s: %s", run.Words.Code, run.Words.Why)
		}
		n.timeline(run, "The provider can't go on from the last sync", "Reading all groups and members")
		w.audit("at the end")
	})
}

// TestRefusedDeltaLink (P3): if the provider refuses a stored delta link, by whatever
// error, the same run does a full round, and the timeline says so.
func TestRefusedDeltaLink(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		actions := map[string]graphsim.Action{
			"malformed":  {Kind: graphsim.ActError, Status: 400, Code: "Request_BadRequest", Message: "Badly formed token."},
			"gone":       {Kind: graphsim.ActError, Status: 410, Code: "Gone"},
			"resync":     {Kind: graphsim.ActResync},
			"sync-state": {Kind: graphsim.ActSyncState},
		}
		var slugs []string
		for slug := range actions {
			slugs = append(slugs, slug)
		}
		for _, p := range n.readyTenants(slugs...) {
			if r, err := n.through(p.slug, op.DirectoryGroupsSync); err != nil || r.Outcome != op.RunSucceeded {
				t.Fatalf("%s: the first sync: %v %s", p.slug, err, r.Words.Code)
			}
			w.fault(graphsim.Fault{Tenant: p.directory, Path: "/v1.0/groups/delta*", Times: 1, Action: actions[p.slug]})
			run := n.ended(n.accepted(p.slug, op.DirectoryGroupsSync).ID)
			if run.Outcome != op.RunSucceeded {
				t.Errorf("%s: ended as %s: %s", p.slug, run.Words.Code, run.Words.Why)
			}
			n.timeline(run, "Reading the changes since the last sync", "The provider can't go on from the last sync", "Reading all groups and members")
			groups, err := n.owner().Groups(t.Context(), p.slug, client.DataFilter{Paging: client.Paging{Limit: 200}})
			if err != nil || len(groups.Items) != small("").Groups {
				t.Errorf("%s: %d groups of %d, %v", p.slug, len(groups.Items), small("").Groups, err)
			}
		}
		w.audit("at the end")
	})
}

// says checks one item of a run: its result, its label, and part of its detail. An
// empty result or label is not checked.
func (n *node) says(r op.Run, key string, result op.ItemResult, label, detail string) {
	n.t.Helper()
	items, err := n.owner().RunItems(n.t.Context(), r.ID, client.Paging{Limit: 200})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, it := range items.Items {
		if it.Key != key {
			continue
		}
		if result != "" && it.Result != result || label != "" && it.Label() != label || !strings.Contains(it.Detail, detail) {
			n.t.Errorf("%s is %s, %q: %q; want %s, %q: %q", key, it.Result, it.Label(), it.Detail, result, label, detail)
		}
		return
	}
	n.t.Errorf("there is no line %s", key)
}

// timeline checks that a run's timeline holds lines with these texts, in this order.
func (n *node) timeline(r op.Run, want ...string) {
	n.t.Helper()
	lines, err := n.owner().Timeline(n.t.Context(), r.ID)
	if err != nil {
		n.t.Fatal(err)
	}
	var all []string
	for _, l := range lines.Items {
		all = append(all, l.Text)
		if len(want) > 0 && strings.Contains(l.Text, want[0]) {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		n.t.Errorf("the timeline lacks %q after the others: %q", want[0], all)
	}
}
