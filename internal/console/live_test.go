package console

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
)

// streamed is a page's stream as a browser reads it.
type streamed struct {
	t      *testing.T
	cancel context.CancelFunc
	events chan string // closed when the stream ends
}

func (b *browser) stream(path string) *streamed {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(b.w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.http.URL+path, nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-interlock="+b.secret)
	resp, err := b.w.http.Client().Do(r) //nolint:bodyclose // whoever reads it closes it
	if err != nil {
		b.w.t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		b.w.t.Fatalf("the stream answers %d with %q", resp.StatusCode, ct)
	}
	s := &streamed{t: b.w.t, cancel: cancel, events: make(chan string, 100)}
	b.w.t.Cleanup(cancel)
	go s.read(resp.Body)
	return s
}

func (s *streamed) read(body io.ReadCloser) {
	defer close(s.events)
	defer body.Close() //nolint:errcheck // it was only read
	var event strings.Builder
	for lines := bufio.NewScanner(body); lines.Scan(); {
		switch data, ok := strings.CutPrefix(lines.Text(), "data: "); {
		case ok:
			event.WriteString(data + "\n")
		case lines.Text() == "" && event.Len() > 0:
			s.events <- event.String()
			event.Reset()
		}
	}
}

// next is the next event, as the pieces of a page that it replaces. A stream that
// says nothing for ten seconds, or ends, fails the test.
func (s *streamed) next() *goquery.Document {
	s.t.Helper()
	select {
	case event, ok := <-s.events:
		if !ok {
			s.t.Fatal("the stream ended")
		}
		page, err := goquery.NewDocumentFromReader(strings.NewReader(event))
		if err != nil {
			s.t.Fatal(err)
		}
		return page
	case <-time.After(10 * time.Second):
		s.t.Fatal("the stream is silent")
	}
	return nil
}

// until returns the first event whose piece for the target, or any piece for an
// empty one, has the text.
func (s *streamed) until(target, text string) *goquery.Document {
	s.t.Helper()
	piece := "hx-partial"
	if target != "" {
		piece += `[hx-target="` + target + `"]`
	}
	for range 50 {
		page := s.next()
		if strings.Contains(strings.Join(strings.Fields(page.Find(piece).Text()), " "), text) {
			return page
		}
	}
	s.t.Fatalf("no piece for %s says %q", target, text)
	return nil
}

// ends fails the test unless the stream ends within ten seconds.
func (s *streamed) ends() {
	s.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-s.events:
			if !ok {
				return
			}
		case <-limit:
			s.t.Fatal("the stream goes on")
		}
	}
}

// withLive is the address of the stream of the page at path.
func withLive(t *testing.T, path string) string {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("live", "1")
	u.RawQuery = q.Encode()
	return u.String()
}

// quick makes streams look often.
func quick(w *world) *world {
	w.console.site.Intervals = web.Intervals{
		Settle: 10 * time.Millisecond, Freshest: 50 * time.Millisecond, Refresh: 50 * time.Millisecond, Beat: 200 * time.Millisecond, Pulse: time.Second,
	}
	w.console.site.Holders.Every(50 * time.Millisecond)
	return w
}

// TestRunLives: the stream of a run's page tells its whole state first, then what
// changes, and in the end how it ended.
func TestRunLives(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		quick(w)
		w.ready("kestrel", nil)
		run, code := w.start(w.Operator, "kestrel", op.InventorySync)
		ana := w.browser(w.Operator)
		path := "/w/lattice/operations/" + code
		s := ana.stream(path + "?live=1")

		first := s.next()
		for _, part := range []string{"#run-state", "#run-actions", "#run-top", "#items", "#timeline", "#run-facts", "#joined", "#bell", "#count-active", "#live"} {
			if first.Find(`hx-partial[hx-target="`+part+`"]`).Length() != 1 {
				t.Errorf("the first event lacks %s", part)
			}
		}
		if first.Find(`hx-partial[hx-target="#announce"]`).Length() != 0 {
			t.Error("a page that was just opened is read aloud")
		}

		w.working(run, 1, 4)
		w.feed.Changed(op.Change{Run: run})
		page := s.until("#run-state", "Running")
		if got := page.Find(`[hx-target="#announce"]`).Text(); got != "Inventory sync is running" {
			t.Errorf("read aloud: %q", got)
		}
		w.Exec(`UPDATE runs SET done = 2 WHERE id = $1`, run) // by another process: nobody says so
		page = s.until("#run-top", "2 of 4 types")
		if page.Find(`[hx-target="#announce"], [hx-target="#joined"]`).Length() != 0 {
			t.Error("what did not change is sent, or numbers are read aloud")
		}

		w.ended(run, op.RunFailed, `{"code":"consent_revoked","phase":"execution","args":{}}`)
		page = s.until("#run-top", "Admin consent was withdrawn.")
		if got := page.Find(`[hx-target="#announce"]`).Text(); got != "Inventory sync failed" {
			t.Errorf("read aloud: %q", got)
		}
		if page.Find(`[hx-target="#notices"]`).Length() != 0 {
			t.Error("a notice tells of the end of the run that the page is about")
		}
	})
}

// TestListLives: new runs come into the list, and the end of one's own run is
// told on whatever page one is.
func TestListLives(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		quick(w)
		w.ready("kestrel", nil)
		ana, mei := w.browser(w.Operator).stream("/w/lattice/operations?live=1"), w.browser(w.Owner).stream("/w/lattice/tenants?live=1")
		ana.next()
		mei.next()
		run, code := w.start(w.Operator, "kestrel", op.InventorySync)
		ana.until("#run-list", "Run "+code)
		mei.until("#count-active", "1")
		w.working(run, 1, 2)
		w.feed.Changed(op.Change{Run: run})
		if page := ana.until("#run-"+code, "Running"); page.Find(`[hx-target="#run-list"]`).Length() != 0 {
			t.Error("the whole list is sent for one run of it")
		}
		w.ended(run, op.RunSucceeded, "")
		ana.until("#notices", "Inventory sync succeeded")
		page := mei.until("#count-active", "0")
		if page.Find(`[hx-target="#notices"]`).Length() != 0 {
			t.Error("someone else is told of the end of a run")
		}
	})
}

// TestStreamEnds: who may no longer read a page does not go on reading it.
func TestStreamEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		quick(w)
		m := newMatrix(w)
		for name, end := range map[string]func(b *browser){
			"signed out": func(b *browser) { b.press(b.get("/w/lattice/tenants"), "form[action='/sign-out']") },
			"the tenant was taken away": func(*browser) {
				w.Exec(`DELETE FROM member_tenants WHERE user_id = $1`, m.limited.ID())
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := w.browser(m.limited)
				s := b.stream("/w/lattice/operations/" + m.own["run"] + "?live=1")
				s.next()
				end(b)
				s.ends()
				if a := b.get("/w/lattice/operations/" + m.own["run"] + "?live=1"); a.status != http.StatusUnauthorized && a.status != http.StatusNotFound {
					t.Errorf("coming back is answered %d", a.status)
				}
				w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) SELECT workspace_id, $1, id FROM tenants WHERE slug = 'kestrel'
					ON CONFLICT (workspace_id, user_id, tenant_id) DO NOTHING`, m.limited.ID())
			})
		}
	})
}

// TestStreamEndsAtOnce: what a request to this server takes away ends streams
// without a wait for the next look at everyone's rights.
func TestStreamEndsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		idle(w).console.site.Holders.Every(time.Hour)
		one, other := w.browser(w.Operator), w.browser(w.Operator)
		gone, stays := one.stream("/w/lattice/tenants?live=1"), other.stream("/w/lattice/tenants?live=1")
		gone.next()
		stays.next()
		one.press(one.get("/w/lattice/tenants"), "form[action='/sign-out']")
		gone.ends()
		stays.next() // a sign of life: it goes on
	})
}

// TestStreamIsNotLedElsewhere: a stream that comes back from a page of another
// session or workspace is refused, where a person would be led on.
func TestStreamIsNotLedElsewhere(t *testing.T) {
	w := onOne(t, Deps{})
	w.stranger().get("/w/lattice/tenants?live=1").want(http.StatusUnauthorized)
	w.Exec(`INSERT INTO members (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)`, w.Other, w.Operator.ID())
	ana := w.browser(w.Operator)
	ana.get("/w/northgate/tenants").leads("/workspaces?in=northgate")
	ana.get("/w/northgate/tenants?live=1").want(http.StatusBadRequest)
}

// TestBeat: a stream that has nothing to tell says that it is there.
func TestBeat(t *testing.T) {
	w := quick(onOne(t, Deps{}))
	s := w.browser(w.Owner).stream("/w/lattice/tenants?live=1")
	s.next()
	page := s.next()
	if page.Find("hx-partial").Length() != 1 {
		t.Errorf("a beat replaces more than the time: %s", page.Text())
	}
	on, off := page.Find("#live [data-live=on]").Text(), page.Find("#live [data-live=off]")
	if !strings.HasPrefix(on, "Live · updated ") || !strings.HasPrefix(off.Text(), "Live updates are paused.") {
		t.Errorf("a beat says %q and %q", on, off.Text())
	}
	if _, hidden := off.Attr("hidden"); !hidden {
		t.Error("both are shown")
	}
}

// TestOpenPageKeepsNoSession: what a page asks by itself is no use of the session.
func TestOpenPageKeepsNoSession(t *testing.T) {
	w := quick(onOne(t, Deps{}))
	mei := w.browser(w.Owner)
	const used = `SELECT last_used_at FROM tokens WHERE kind = 'session'`
	w.Exec(`UPDATE tokens SET last_used_at = last_used_at - 600000000 WHERE kind = 'session'`)
	before := w.Int(used)
	s := mei.stream("/w/lattice/tenants?live=1")
	s.next()
	s.next()
	if after := w.Int(used); after != before {
		t.Error("the stream of a page counts as use")
	}
	mei.get("/w/lattice/tenants").want(http.StatusOK)
	if after := w.Int(used); after == before {
		t.Error("a page that someone asked for does not count as use")
	}
}
