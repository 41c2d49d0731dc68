package api

import (
	"bufio"
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
)

// patience is how long a test waits for an event before it fails. It is long, for slow
// machines: no test measures speed.
const patience = time.Minute

// event is one event of a stream. Keep-alives have no name.
type event struct{ id, name, data string }

// reader reads a stream.
type reader struct {
	t      *testing.T
	resp   *http.Response
	events chan event
}

func (w *world) follow(a access.Actor, run, last string) *reader {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.http.URL+Base+"/runs/"+run+"/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Bearer(a))
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := w.http.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	f := &reader{w.t, resp, make(chan event, 1000)}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	go func() {
		defer close(f.events)
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case lines.Text() == ":":
				f.events <- event{}
			case lines.Text() == "" && e.name != "":
				f.events <- e
				e = event{}
			case name == "id":
				e.id = value
			case name == "event":
				e.name = value
			case name == "data":
				e.data = value
			}
		}
	}()
	return f
}

// next returns the next event that is no keep-alive, and fails if the stream ends.
func (r *reader) next(want string, into any) event {
	r.t.Helper()
	for {
		select {
		case e, ok := <-r.events:
			switch {
			case !ok:
				r.t.Fatalf("the stream ended, want %s", want)
			case e.name == "":
				continue
			case e.name != want:
				r.t.Fatalf("the event is %s %s, want %s", e.name, e.data, want)
			}
			if err := json.Unmarshal([]byte(e.data), into); err != nil {
				r.t.Fatal(err)
			}
			return e
		case <-time.After(patience):
			r.t.Fatalf("no %s came", want)
		}
	}
}

// rests waits for a keep-alive: the stream has sent everything.
func (r *reader) rests() {
	r.t.Helper()
	select {
	case e := <-r.events:
		if e.name != "" {
			r.t.Fatalf("the event is %s %s, want a beat", e.name, e.data)
		}
	case <-time.After(patience):
		r.t.Fatal("no beat came")
	}
}

// closed waits for the end of the stream; only keep-alives may precede it.
func (r *reader) closed() {
	r.t.Helper()
	for {
		select {
		case e, ok := <-r.events:
			if !ok {
				return
			}
			if e.name != "" {
				r.t.Fatalf("another event came: %s", e.name)
			}
		case <-time.After(patience):
			r.t.Fatal("the stream goes on")
		}
	}
}

func TestFollowARun(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.server.poll, w.server.beat = time.Hour, 20*time.Millisecond // no poll between two statements of the test
		w.ready("kestrel")
		ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
		f := w.follow(w.Viewer, ref.Code, "")
		if ct := f.resp.Header.Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("Content-Type is %q", ct)
		}
		var run op.Run
		var item op.Item
		var line struct{ Text string }
		f.next("state", &run)
		if run.State != op.Queued || run.Words.Title == "" {
			t.Errorf("the first state is %+v", run)
		}
		f.next("timeline", &line) // that it was accepted
		f.rests()
		w.line(ref.ID, "Reading apps")
		w.item(ref.ID, 1, "mobileApps", op.ItemDone)
		w.works(ref.ID, 1, 2)
		f.next("timeline", &line)
		last := f.next("item", &item)
		if line.Text != "Reading apps" || item.Key != "mobileApps" || item.Detail == "" {
			t.Errorf("got %+v and %+v", line, item)
		}
		f.next("state", &run)
		if run.State != op.Running || run.Counts.Done != 1 {
			t.Errorf("the second state is %+v", run)
		}

		// A reader that reconnects gets the state, and what it has not seen.
		w.item(ref.ID, 2, "managedDevices", op.ItemDone)
		again := w.follow(w.Viewer, ref.ID, last.id)
		again.next("state", &run)
		again.next("item", &item)
		if item.Key != "managedDevices" {
			t.Errorf("who came back is told of %s first", item.Key)
		}
		w.Feed.Changed(op.Change{Run: ref.ID})
		f.next("item", &item)

		w.item(ref.ID, 1, "mobileApps", op.ItemFailed) // a line that is written again
		w.ends(ref.ID, op.RunPartial, "")
		for _, r := range []*reader{f, again} {
			r.next("item", &item)
			if item.Key != "mobileApps" || item.Result != op.ItemFailed {
				t.Errorf("the changed line is %+v", item)
			}
			r.next("end", &run)
			if run.Outcome != op.RunPartial {
				t.Errorf("the end is %+v", run)
			}
			r.closed()
		}
		late := w.follow(w.Viewer, ref.ID, "made up")
		late.next("state", &run)
		late.next("timeline", &line)
		late.next("timeline", &line)
		late.next("item", &item)
		late.next("item", &item)
		late.next("end", &run)
		late.closed()
	})
}

// TestFollowEndsWithTheRight: a stream ends when its reader loses the right to read it.
func TestFollowEndsWithTheRight(t *testing.T) {
	for what, sql := range map[string]string{
		"a revoked token":       `UPDATE tokens SET revoked_at = interlock_now() WHERE user_id = $1`,
		"a removed member":      `DELETE FROM members WHERE user_id = $1`,
		"a disabled account":    `UPDATE users SET disabled_at = interlock_now() WHERE id = $1`,
		"a tenant out of sight": `UPDATE members SET all_tenants = FALSE WHERE user_id = $1`,
		"a denied view":         `UPDATE members SET denied = '["view"]' WHERE user_id = $1`,
	} {
		t.Run(what, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.server.beat = 20 * time.Millisecond
				w.server.holders.Every(50 * time.Millisecond)
				w.ready("kestrel")
				ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
				f := w.follow(w.Viewer, ref.ID, "")
				var run op.Run
				f.next("state", &run)
				f.next("timeline", &struct{}{})
				if e := <-f.events; e.name != "" {
					t.Fatalf("%s came in place of a beat", e.name)
				}
				w.Exec(sql, w.Viewer.ID())
				f.closed()
			})
		})
	}
}

// TestFollowShowsLife: the command line treats 45 s of silence as the end.
func TestFollowShowsLife(t *testing.T) {
	if s := newServer(Deps{}); s.beat > 15*time.Second {
		t.Errorf("a sign of life comes every %s", s.beat)
	}
}

// TestFollowingIsNoUse: neither an open stream nor a reconnect keeps an idle session
// alive.
func TestFollowingIsNoUse(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.server.poll, w.server.beat = 20*time.Millisecond, 20*time.Millisecond
		w.server.holders.Every(20 * time.Millisecond)
		w.ready("kestrel")
		ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
		w.Exec(`UPDATE tokens SET last_used_at = last_used_at - 600000000`)
		used := func() int64 { return w.Int(`SELECT last_used_at FROM tokens WHERE user_id = $1`, w.Viewer.ID()) }
		before := used()
		for range 2 {
			f := w.follow(w.Viewer, ref.ID, "")
			f.next("state", &struct{}{})
			f.next("timeline", &struct{}{})
			f.rests()
			f.rests()
		}
		if used() != before {
			t.Error("a stream counts as use of the secret")
		}
		w.get(w.Viewer, "/runs/"+ref.ID)
		if used() == before {
			t.Error("a request that someone made does not count as use")
		}
	})
}

// TestFollowIsBounded: the number of a person's streams is limited, until one ends.
func TestFollowIsBounded(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite), httpx.Budgets{}, access.Limits{})
	w.server.streams = httpx.NewStreams(2)
	w.ready("kestrel")
	ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
	first := w.follow(w.Viewer, ref.ID, "")
	w.follow(w.Viewer, ref.ID, "")
	a := w.get(w.Viewer, "/runs/"+ref.ID+"/events")
	if a.problem(http.StatusTooManyRequests, "too_many_streams"); a.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	w.follow(w.Operator, ref.ID, "") // of someone else
	_ = first.resp.Body.Close()
	for range 100 {
		if done, err := w.server.streams.Open(w.Viewer.ID()); err == nil {
			done()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a stream that ended still counts")
}

// A change by another process that dies before it tells anyone is seen all the same.
func TestFollowSeesOtherProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.server.poll = 20 * time.Millisecond
		w.ready("kestrel")
		ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
		f := w.follow(w.Viewer, ref.ID, "")
		var run op.Run
		f.next("state", &run)
		f.next("timeline", &struct{}{})
		w.Exec(`UPDATE runs SET done = 3, total = 9 WHERE id = $1`, ref.ID)
		if f.next("state", &run); run.Counts.Done != 3 {
			t.Errorf("the state is %+v", run.Counts)
		}
	})
}

func TestManyChangesAreToldInFew(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.server.settle = 100 * time.Millisecond
		w.ready("kestrel")
		ref := w.accepted(w.Operator, "kestrel", op.InventorySync)
		f := w.follow(w.Viewer, ref.ID, "")
		var run op.Run
		f.next("state", &run)
		for i := range 40 {
			w.works(ref.ID, i, 40)
		}
		w.ends(ref.ID, op.RunSucceeded, "")
		states := 0
		for e := range f.events {
			if e.name == "state" {
				states++
			}
			if e.name == "end" {
				break
			}
		}
		if states >= 40 {
			t.Errorf("%d states were told of 40 changes", states)
		}
	})
}
