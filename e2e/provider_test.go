//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// trouble is a fault of a provider, and how a run of each operation has to end with it.
type trouble struct {
	name  string
	fault graphsim.Fault // of Graph; its tenant is filled in
	// ends are the right codes, by operation.
	ends map[op.Kind]string
}

// all returns one code for every operation.
func all(code string) map[op.Kind]string {
	ends := make(map[op.Kind]string)
	for _, kind := range operations {
		ends[kind] = code
	}
	return ends
}

// lists returns a code for the operations that read lists to their end; a verification
// reads first pages only.
func lists(code string) map[op.Kind]string {
	ends := all(code)
	ends[op.ConnectionVerify] = "succeeded"
	ends["compliance.snapshot"] = "partial" // it reads its other parts, too
	return ends
}

// brief is the first code for operations that may work for less than a quarter of an
// hour, and the second for the others.
func brief(code, others string) map[op.Kind]string {
	ends := all(others)
	for _, d := range catalogue.All() {
		if d.RunLimit < 15*time.Minute && !d.Input {
			ends[d.Kind] = code
		}
	}
	return ends
}

// troubles returns all faults.
func troubles() []trouble {
	act := func(kind graphsim.ActionKind, edit ...func(*graphsim.Action)) graphsim.Fault {
		a := graphsim.Action{Kind: kind}
		for _, e := range edit {
			e(&a)
		}
		return graphsim.Fault{Action: a}
	}
	status := func(code int) func(*graphsim.Action) { return func(a *graphsim.Action) { a.Status = code } }
	after := func(v string) func(*graphsim.Action) { return func(a *graphsim.Action) { a.RetryAfter = v } }
	value := func(v string) func(*graphsim.Action) { return func(a *graphsim.Action) { a.Value = v } }
	size := func(n int) func(*graphsim.Action) { return func(a *graphsim.Action) { a.Bytes = n } }
	once := func(f graphsim.Fault) graphsim.Fault { f.Times = 1; return f }

	return []trouble{
		{"429 once, with seconds", once(act(graphsim.ActThrottle, after("1"))), all("succeeded")},
		{"429 once, without a time", once(act(graphsim.ActThrottle)), all("succeeded")},
		{"429 once, with a negative time", once(act(graphsim.ActThrottle, after("-1"))), all("succeeded")},
		{"429 once, with a date", once(act(graphsim.ActThrottle, after("date:1"))), all("succeeded")},
		{"429 for a quarter of an hour", act(graphsim.ActThrottle, after("900")), brief("failed/provider_throttled", "waiting/provider_throttled")},
		{"500", act(graphsim.ActError, status(500)), all("failed/provider_fault")},
		{"502", act(graphsim.ActError, status(502)), all("failed/provider_fault")},
		{"503 once", once(act(graphsim.ActError, status(503))), all("succeeded")},
		{"504", act(graphsim.ActError, status(504)), all("failed/provider_fault")},
		{"400", act(graphsim.ActError, status(400)), all("failed/provider_rejected")},
		{"404", act(graphsim.ActError, status(404)), all("failed/provider_rejected")},
		{"401, token expired", act(graphsim.ActUnauthorized), all("failed/provider_fault")},
		{"claims challenge", act(graphsim.ActChallenge), all("failed/provider_fault")},
		{"application removed", act(graphsim.ActNoIdentity), all("failed/provider_fault")},
		{"200 with an error inside", act(graphsim.ActErrorIn200), all("failed/provider_fault")},
		{"truncated JSON", act(graphsim.ActTruncate, size(40)), all("failed/provider_fault")},
		{"403 with a page", act(graphsim.ActPage), all("failed/provider_fault")},
		{"not the shape that was asked for", act(graphsim.ActBody, value(`{"value":null}`)), all("failed/provider_fault")},
		{"no answer", act(graphsim.ActDrop), all("failed/provider_unreachable")},
		{"reset in the middle", act(graphsim.ActReset, size(100)), all("failed/provider_unreachable")},
		{"next link to itself", act(graphsim.ActNextLink), lists("failed/provider_fault")},
		{"next link to another host", act(graphsim.ActNextLink, value("https://evil.example/v1.0/groups")), lists("failed/provider_fault")},
		{"next link to plain http", act(graphsim.ActNextLink, value("http://127.0.0.1/v1.0/groups")), lists("failed/provider_fault")},
		{"redirect", act(graphsim.ActRedirect, value("https://evil.example/")), all("failed/provider_fault")},
		{"empty page that goes on", once(act(graphsim.ActEmptyPage)), all("succeeded")},
		{"body of 40 MiB", act(graphsim.ActHugeString, size(40<<20)), all("failed/provider_fault")},
		{"nested 100,000 deep", act(graphsim.ActDeepJSON), all("failed/provider_fault")},
		{"another content type", act(graphsim.ActContentType, value("text/html")), all("succeeded")},
	}
}

// TestProviderFaults runs every operation with every fault: each run ends, in bounded
// time, and never claims a success that was none.
func TestProviderFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		// Each fault on one engine; the lane faults tries all on both.
		var mine []trouble
		for i, tr := range troubles() {
			if (i%2 == 0) == (engine == db.SQLite) {
				mine = append(mine, tr)
			}
		}
		meetTroubles(t, engine, mine)
	})
}

func meetTroubles(t *testing.T, engine db.Engine, troubles []trouble) {
	w := newWorld(t, engine)
	n := w.start("--backoff", "100ms", "--max-wait", "2s", "--workers", "100", "--streams-per-person", "1000")
	var slugs []string
	for i := range troubles {
		for j := range operations {
			slugs = append(slugs, fmt.Sprintf("t%d-%d", i, j))
		}
	}
	places := n.readyTenants(slugs...)
	var wg sync.WaitGroup
	for i, tr := range troubles {
		for j, kind := range operations {
			p := places[i*len(operations)+j]
			for _, path := range []string{"/v1.0/*", "/beta/*"} { // sign-in works
				f := tr.fault
				f.Path, f.Tenant = path, p.directory
				w.fault(f)
			}
			wg.Go(func() { meet(t, n, p, tr, kind) })
		}
	}
	wg.Wait()
	w.audit("at the end")
}

// mostCalls is more calls than a run here may make: three dispatches of a few dozen. A
// backup reads the parts of each policy as well.
func mostCalls(kind op.Kind) int {
	if kind == "policy.backup" {
		return 450
	}
	return 150
}

// meet starts one operation and checks how its run ends.
func meet(t *testing.T, n *node, p place, tr trouble, kind op.Kind) {
	ctx := t.Context()
	a, err := n.owner().Start(ctx, p.slug, client.StartRequest{Operation: kind})
	if err != nil || a.Outcome != op.Accepted {
		t.Errorf("%s, %s: start: %v %s", tr.name, kind, err, a.Code)
		return
	}
	want := tr.ends[kind]
	var r op.Run
	waiting := errors.New("it is what it has to be, and has not ended")
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = n.owner().Follow(limit, a.Run.ID, func(e client.Event) error {
		if e.Run == nil {
			return nil
		}
		if r = *e.Run; r.Words.Code == want && r.State != op.Finished {
			return waiting
		}
		return nil
	})
	if err != nil && !errors.Is(err, waiting) {
		t.Errorf("%s, %s: %v", tr.name, kind, err)
		return
	}
	t.Logf("%s, %s: %s: %s", tr.name, kind, r.Words.Code, r.Words.Why)
	if r.Words.Code != want {
		t.Errorf("%s, %s: the run is %s, want %s: %s", tr.name, kind, r.Words.Code, want, r.Words.Why)
	}
	if calls, err := n.w.control.Calls(ctx, 0, p.directory); err != nil || len(calls) > mostCalls(kind) {
		t.Errorf("%s, %s: %d calls, %v", tr.name, kind, len(calls), err)
	}
	if r.State != op.Finished { // it may wait for long; the test does not
		if r, err = n.owner().Cancel(ctx, r.ID); err != nil || r.Outcome != op.RunCancelled {
			t.Errorf("%s, %s: cancel while it waits: %v %s", tr.name, kind, err, r.Words.Code)
		}
	}
	if r.Outcome == op.RunSucceeded && kind == op.DirectoryGroupsSync {
		groups, err := n.owner().Groups(ctx, p.slug, client.DataFilter{Paging: client.Paging{Limit: 200}})
		if err != nil || len(groups.Items) != small("").Groups {
			t.Errorf("%s: succeeded with %d groups of %d, %v", tr.name, len(groups.Items), small("").Groups, err)
		}
	}
}

// page is the page size of a small directory's groups.
const page = 5

// TestProviderIsAway makes the provider unavailable in the middle of a run. The run
// ends with the counts that it had, or continues when the provider is back, and never
// hangs.
func TestProviderIsAway(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		// A lease bounds each call: a short one ends calls that never end.
		n := w.start("--lease", "3s", "--heartbeat", "500ms", "--backoff", "100ms", "--max-wait", "1s")
		names := []string{"drips", "holds", "refuses", "returns"}
		places := n.readyTenants(names...)
		for i, action := range []graphsim.Action{
			{Kind: graphsim.ActDrip, Bytes: 1, DelayMS: 1000}, {Kind: graphsim.ActHold}, {Kind: graphsim.ActDrop}, {Kind: graphsim.ActDrop},
		} {
			f := graphsim.Fault{Tenant: places[i].directory, Path: "/v1.0/groups*", Skip: 1, Action: action} // the first page comes
			if names[i] == "returns" {
				f.Times = 6
			}
			w.fault(f)
		}
		var runs []op.RunRef
		for _, p := range places {
			runs = append(runs, n.accepted(p.slug, op.DirectoryGroupsSync))
		}
		for i, run := range runs {
			r := n.ended(run.ID)
			want := "failed/provider_unreachable"
			if names[i] == "returns" {
				want = "succeeded"
			}
			if r.Words.Code != want {
				t.Errorf("%s: the run ended as %s, want %s: %s", names[i], r.Words.Code, want, r.Words.Why)
			}
			if want != "succeeded" && (r.Counts.Done != page || !strings.Contains(r.Words.Why, fmt.Sprintf("%d items completed", page))) {
				t.Errorf("%s: counts %+v, and says %q; one page of %d came", names[i], r.Counts, r.Words.Why, page)
			}
			sameEverywhere(t, n, r)
		}
		w.clear()
		for _, p := range places {
			if r, err := n.through(p.slug, op.DirectoryGroupsSync); err != nil || r.Outcome != op.RunSucceeded {
				t.Errorf("%s, when the provider is back: %v %s", p.slug, err, r.Words.Code)
			}
		}
		// Nobody listens.
		w.sim.Close()
		r, err := n.through("refuses", op.ConnectionVerify)
		if err != nil || r.Words.Code != "failed/provider_unreachable" {
			t.Errorf("with nobody there: %v %s: %s", err, r.Words.Code, r.Words.Why)
		}
		w.audit("at the end")
	})
}
