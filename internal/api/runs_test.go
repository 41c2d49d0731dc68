package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// accepted starts an operation and returns its run.
func (w *world) accepted(a access.Actor, tenant string, kind op.Kind) op.RunRef {
	w.t.Helper()
	var got op.Answer
	w.start(a, tenant, access.NewID(), map[string]any{"operation": kind}).want(http.StatusAccepted, &got)
	return *got.Run
}

// works makes a run look as if a worker had begun it.
func (w *world) works(run string, done, total int) {
	w.t.Helper()
	w.Exec(`UPDATE runs SET state = 'running', began_at = interlock_now(), seen_at = interlock_now(), progress_at = interlock_now(), done = $2, total = $3 WHERE id = $1`, run, done, total)
	w.Exec(`UPDATE run_claims SET lease_until = interlock_now() + 60000000, boot_id = 'b' WHERE run_id = $1`, run)
	w.Feed.Changed(op.Change{Run: run})
}

// item makes a run look as if it had written a line of its results.
func (w *world) item(run string, seq int, key string, result op.ItemResult) {
	w.t.Helper()
	w.Exec(`INSERT INTO run_items (run_id, key, seq, name, result, done, failed, total, reason, args, at) VALUES ($1, $2, $3, $2, $4, 7, 0, 7, '', '{}', interlock_now())
		ON CONFLICT (run_id, key) DO UPDATE SET result = excluded.result, at = excluded.at`, run, key, seq, string(result))
}

// line adds a line to a run's timeline.
func (w *world) line(run, text string) {
	w.t.Helper()
	w.Exec(`INSERT INTO run_events (run_id, seq, at, kind, text, fence)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, interlock_now(), 'note', $2, 1 FROM run_events WHERE run_id = $1`, run, text)
}

// ends makes a run look as if a worker had ended it.
func (w *world) ends(run string, outcome op.RunOutcome, cause string) {
	w.t.Helper()
	w.Exec(`DELETE FROM run_claims WHERE run_id = $1`, run)
	w.Exec(`UPDATE runs SET state = 'finished', outcome = $2, cause = $3, ended_at = interlock_now() WHERE id = $1`, run, string(outcome), cause)
	w.Exec(`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at)
		SELECT $2, workspace_id, tenant_id, initiator_id, id, interlock_now() FROM runs WHERE id = $1`, run, access.NewID())
	w.Feed.Changed(op.Change{Run: run})
}

func TestRunList(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var want []string
		for i := range 5 {
			slug := fmt.Sprintf("tenant-%d", i)
			w.ready(slug)
			by := w.Operator
			if i%2 == 1 {
				by = w.Second
			}
			want = append(want, w.accepted(by, slug, op.InventorySync).ID)
		}
		slices.Reverse(want)
		w.ends(want[0], op.RunFailed, `{"code":"consent_revoked","phase":"execution"}`)

		var got []string
		for cursor, pages := "", 0; ; pages++ {
			var p Page[op.Run]
			w.get(w.Viewer, "/runs?limit=2&cursor="+url.QueryEscape(cursor)).want(http.StatusOK, &p)
			for _, r := range p.Items {
				got = append(got, r.ID)
				if r.Words.Title == "" || r.Words.Pill == "" || r.Target.Name == "" || r.Tenant.Name == "" {
					t.Errorf("run without words: %+v", r)
				}
			}
			if p.Next == nil {
				if pages != 2 {
					t.Errorf("%d pages, want 3", pages+1)
				}
				break
			}
			cursor = *p.Next
		}
		if !slices.Equal(got, want) {
			t.Errorf("runs are %v, want %v", got, want)
		}

		for query, count := range map[string]int{
			"":                             5,
			"?active=true":                 4,
			"?outcome=failed":              1,
			"?state=finished":              1,
			"?state=queued":                4,
			"?attention=true":              1,
			"?tenant=tenant-3":             1,
			"?operation=connection.verify": 0,
			"?initiator=" + w.Second.ID():  2,
			"?initiator=me":                0, // of the viewer
			"?since=2020-01-01T00:00:00Z":  5,
			"?until=2020-01-01T00:00:00Z":  0,
		} {
			var p Page[op.Run]
			w.get(w.Viewer, "/runs"+query).want(http.StatusOK, &p)
			if len(p.Items) != count {
				t.Errorf("/runs%s shows %d runs, want %d", query, len(p.Items), count)
			}
		}
		for query, field := range map[string]string{
			"?limit=0": "limit", "?limit=201": "limit", "?limit=x": "limit", "?state=gone": "state", "?outcome=gone": "outcome",
			"?operation=gone": "operation", "?since=yesterday": "since", "?colour=red": "colour", "?active=perhaps": "active",
			"?connection=primary": "connection",
		} {
			p := w.get(w.Viewer, "/runs"+query).problem(http.StatusUnprocessableEntity, "field")
			if len(p.Errors) != 1 || p.Errors[0].Field != field {
				t.Errorf("/runs%s is told about %v, want %s", query, p.Errors, field)
			}
		}
		for _, path := range []string{
			"/runs?cursor=x", "/attempts?cursor=" + url.QueryEscape("=="), "/tenants?cursor=x", "/audit?cursor=x",
			"/tenants/tenant-0/groups?cursor=x", "/tenants/tenant-0/inventory?cursor=x", "/tenants/tenant-0/connections?cursor=x",
		} {
			w.get(w.Owner, path).problem(http.StatusBadRequest, "cursor")
		}
		var runs Page[op.Run]
		w.get(w.Owner, "/runs?limit=1").want(http.StatusOK, &runs)
		w.get(w.Owner, "/attempts?cursor="+*runs.Next).problem(http.StatusBadRequest, "cursor")
	})
}

// TestRunDetail (M2): everything about a run is in one place, and the same words
// stand in the list, in the run and in the notification of its end.
func TestRunDetail(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, connection := w.ready("kestrel")
		ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
		w.start(w.Second, "kestrel", "k", map[string]any{"operation": op.InventorySync}).want(http.StatusOK)
		w.works(ref.ID, 212, 530)
		w.line(ref.ID, "Reading apps")
		w.line(ref.ID, "Reading devices")
		w.item(ref.ID, 1, "mobileApps", op.ItemDone)
		w.item(ref.ID, 2, "managedDevices", op.ItemFailed)
		w.ends(ref.ID, op.RunFailed, `{"code":"consent_revoked","phase":"execution"}`)

		var run op.Run
		w.get(w.Viewer, "/runs/"+strings.ToLower(ref.Code)).want(http.StatusOK, &run)
		if run.ID != ref.ID || run.Target.ConnectionID != connection || run.Initiator.ID != w.Operator.ID() ||
			run.Surface != op.SurfaceAPI || run.BeganAt == nil || run.EndedAt == nil || run.Counts.Total != 530 {
			t.Errorf("run is %+v", run)
		}
		want := op.DescribeRun(run, time.Now())
		if run.Words.Title != "Inventory sync failed" || run.Words.Reason != "Admin consent was withdrawn" || run.Words.Code != "failed/consent_revoked" {
			t.Errorf("words are %+v, made from the answer they would be %+v", run.Words, want)
		}

		var list Page[op.Run]
		w.get(w.Operator, "/runs").want(http.StatusOK, &list)
		var notes Page[op.Notice]
		w.get(w.Operator, "/notifications").want(http.StatusOK, &notes)
		if list.Items[0].Words.Reason != run.Words.Reason || len(notes.Items) != 1 ||
			notes.Items[0].Title != run.Words.Title || notes.Items[0].Text != run.Words.Reason+". "+run.Words.Why || notes.Items[0].Next != run.Words.Next {
			t.Errorf("the list says %+v, the notification %+v, the run %+v", list.Items[0].Words, notes.Items, run.Words)
		}
		for _, a := range []access.Actor{w.Second, w.Owner} { // it goes to who started it
			w.get(a, "/notifications").want(http.StatusOK, &notes)
			if len(notes.Items) != 0 {
				t.Errorf("%s is notified of %v", a.Name(), notes.Items)
			}
		}

		var items Page[op.Item]
		w.get(w.Viewer, "/runs/"+ref.ID+"/items?limit=1").want(http.StatusOK, &items)
		if len(items.Items) != 1 || items.Items[0].Key != "mobileApps" || items.Items[0].Detail == "" || items.Next == nil {
			t.Errorf("items are %+v", items)
		}
		var joined Page[Attempted]
		w.get(w.Viewer, "/runs/"+ref.ID+"/attempts").want(http.StatusOK, &joined)
		if len(joined.Items) != 1 || joined.Items[0].Actor.ID != w.Second.ID() || joined.Items[0].Answer.Outcome != op.Deduped {
			t.Errorf("joined by %+v", joined)
		}
		var lines Page[store.RunEvent]
		w.get(w.Viewer, "/runs/"+ref.ID+"/timeline?after=2").want(http.StatusOK, &lines)
		if len(lines.Items) != 1 || lines.Items[0].Text != "Reading devices" {
			t.Errorf("the timeline is %+v", lines)
		}
	})
}

func TestReadNotification(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		w.ends(w.accepted(w.Operator, "kestrel", op.InventorySync).ID, op.RunSucceeded, "")
		var notes Page[op.Notice]
		w.get(w.Operator, "/notifications?unread=true").want(http.StatusOK, &notes)
		read := "/notifications/" + notes.Items[0].ID + "/read"
		w.post(w.Second, read, nil).problem(http.StatusNotFound, "not_found")
		w.post(w.Operator, read, nil).want(http.StatusNoContent)
		w.get(w.Operator, "/notifications?unread=true").want(http.StatusOK, &notes)
		if len(notes.Items) != 0 {
			t.Errorf("unread are %v", notes.Items)
		}
	})
}

func TestCancelAndRelease(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		var run op.Run

		queued := w.accepted(w.Operator, "kestrel", op.InventorySync)
		w.post(w.Second, "/runs/"+queued.Code+"/cancel", nil).want(http.StatusOK, &run)
		if run.State != op.Finished || run.Outcome != op.RunCancelled || !strings.Contains(run.Words.Reason, w.Second.Name()) {
			t.Errorf("cancelled in line: %+v", run)
		}
		again := w.post(w.Operator, "/runs/"+queued.Code+"/cancel", nil).problem(http.StatusConflict, "conflict")
		if !strings.Contains(again.Detail, w.Second.Name()+" cancelled this run on ") {
			t.Errorf("a cancel of a run that somebody cancelled is told %q", again.Detail)
		}

		working := w.accepted(w.Operator, "kestrel", op.InventorySync)
		w.works(working.ID, 1, 2)
		w.post(w.Operator, "/runs/"+working.ID+"/cancel", nil).want(http.StatusOK, &run)
		if run.State != op.Cancelling {
			t.Errorf("cancelled at work: %+v", run)
		}
		p := w.post(w.Operator, "/runs/"+working.ID+"/release", map[string]string{"note": "it hangs"}).problem(http.StatusForbidden, "forbidden")
		if !strings.Contains(p.Detail, tenancy.ReleaseConnections.Words()) || !strings.Contains(p.Detail, "operator") || p.Title != "You don't have permission to do this" {
			t.Errorf("the refusal is %+v", p)
		}
		for note, field := range map[string]string{``: "note", `{"note":"x"}`: "note", `{"note":"` + strings.Repeat("x", 301) + `"}`: "note", `{"note":5}`: "note", `{}`: "note"} {
			if note == "" {
				field = "body"
			}
			p := w.post(w.Owner, "/runs/"+working.ID+"/release", note).problem(http.StatusUnprocessableEntity, "field")
			if p.Errors[0].Field != field {
				t.Errorf("%s is told about %v", note, p.Errors)
			}
		}
		w.post(w.Owner, "/runs/"+working.ID+"/release", map[string]string{"note": "the worker hangs"}).want(http.StatusOK, &run)
		// The answer to the second of two releases names who was first, and nothing changes.
		late := w.post(w.Owner, "/runs/"+working.ID+"/release", map[string]string{"note": "a second note"}).problem(http.StatusConflict, "conflict")
		if !strings.Contains(late.Detail, w.Owner.Name()+" released this run on ") || !strings.Contains(late.Detail, " UTC") {
			t.Errorf("the second release is told %q", late.Detail)
		}
		w.post(w.Operator, "/runs/"+working.ID+"/cancel", nil).want(http.StatusOK, &run) // it is stopping already
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action IN ('run.released', 'run.cancelled') AND object = $1`, working.ID); n != 2 {
			t.Errorf("a cancel and a release are on record %d times", n)
		}
		if n := w.Int(`SELECT COUNT(*) FROM runs WHERE id = $1 AND cancel_note = 'the worker hangs'`, working.ID); n != 1 {
			t.Error("the second note overwrote the first")
		}
	})
}

// TestAttempts (M4): what queued nothing is kept, and can be looked up.
func TestAttempts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel")
		w.Tenant(w.Workspace, "wren", "Wren")
		run := w.accepted(w.Operator, "kestrel", op.InventorySync)
		var busy, blocked op.Answer
		w.start(w.Second, "kestrel", "k1", map[string]any{"operation": op.DirectoryGroupsSync}).want(http.StatusConflict, &busy)
		for _, key := range []string{"k2", "k3"} {
			w.start(w.Second, "wren", key, map[string]any{"operation": op.InventorySync}).want(http.StatusUnprocessableEntity, &blocked)
		}
		var list Page[Attempted]
		w.get(w.Viewer, "/attempts").want(http.StatusOK, &list)
		var outcomes []op.Outcome
		for _, a := range list.Items {
			outcomes = append(outcomes, a.Answer.Outcome)
		}
		if !slices.Equal(outcomes, []op.Outcome{op.Blocked, op.ScopeBusy, op.Accepted}) || list.Items[0].Presses != 2 {
			t.Fatalf("attempts are %v", list.Items)
		}
		if held := list.Items[1].Answer.Holder; held == nil || held.ID != run.ID {
			t.Errorf("the busy one was held by %+v", held)
		}
		var one Attempted
		w.get(w.Second, "/attempts/"+busy.AttemptID).want(http.StatusOK, &one)
		if one.Answer.Title != busy.Title || one.Answer.Reasons[0].Detail != busy.Reasons[0].Detail || *one.Answer.Reasons[0].Fix != *busy.Reasons[0].Fix || one.Answer.Code != busy.Code {
			t.Errorf("answered %+v,\nlooked up %+v", busy, one.Answer)
		}
		for query, count := range map[string]int{"?outcome=blocked": 1, "?tenant=kestrel": 2, "?actor=me": 0, "?run=" + run.Code: 1, "?operation=directory.groups.sync": 1} {
			w.get(w.Viewer, "/attempts"+query).want(http.StatusOK, &list)
			if len(list.Items) != count {
				t.Errorf("/attempts%s shows %d, want %d", query, len(list.Items), count)
			}
		}
	})
}
