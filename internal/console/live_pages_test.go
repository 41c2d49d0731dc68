package console

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// joinedStream is the one stream of a browser.
type joinedStream struct {
	t      *testing.T
	cancel context.CancelFunc
	events chan [3]string // name, number of the page, and the rest
	seen   [][3]string    // since the stream began
	beats  chan struct{}
}

func (b *browser) joined(pages ...string) *joinedStream {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(b.w.t.Context())
	b.w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.http.URL+op.LiveRoute+"?"+url.Values{"page": pages}.Encode(), nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-interlock="+b.secret)
	resp, err := b.w.http.Client().Do(r) //nolint:bodyclose // the goroutine that reads it closes it
	if err != nil {
		b.w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		b.w.t.Fatalf("answered %d", resp.StatusCode)
	}
	s := &joinedStream{t: b.w.t, cancel: cancel, events: make(chan [3]string, 100), beats: make(chan struct{}, 1000)}
	go func() {
		defer close(s.events)
		defer func() { _ = resp.Body.Close() }()
		var name string
		var data []string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); {
			case field == "event":
				name = value
			case field == "data":
				data = append(data, value)
			case field == ":":
				s.beats <- struct{}{}
			case field == "" && name != "":
				s.events <- [3]string{name, data[0], strings.Join(data[1:], "\n")}
				name, data = "", nil
			}
		}
	}()
	return s
}

// until waits for an event of that name for that page that has the text.
func (s *joinedStream) until(name, page, text string) {
	s.t.Helper()
	is := func(e [3]string) bool { return e[0] == name && e[1] == page && strings.Contains(e[2], text) }
	for limit := time.After(10 * time.Second); !slices.ContainsFunc(s.seen, is); {
		select {
		case e, ok := <-s.events:
			if !ok {
				s.t.Fatalf("the stream ended before %s of page %s", name, page)
			}
			s.seen = append(s.seen, e)
		case <-limit:
			s.t.Fatalf("no %s of page %s has %q", name, page, text)
		}
	}
}

func (s *joinedStream) ends() {
	s.t.Helper()
	for limit := time.After(10 * time.Second); ; {
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

// TestPagesShareAStream: one stream keeps all pages of a browser; who may not read
// one of them goes on reading the others.
func TestPagesShareAStream(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		quick(w)
		m := newMatrix(w)
		lim := w.browser(m.limited)
		s := lim.joined("/w/lattice/operations?state=queued", "/w/lattice/operations/"+m.foreign["run"], "/w/lattice/tenants", "/sign-in", "/no/such/page", "/w/lattice/operations/"+m.own["run"])
		s.until("page", "0", m.own["run"])
		s.until("refused", "1", "404")
		s.until("page", "2", "Kestrel")
		again := lim.joined("/sign-in", "/no/such/page", "/w/northgate/tenants")
		for _, page := range []string{"0", "1", "2"} {
			again.until("refused", page, "40")
		}
		again.ends() // nothing is left to tell
		w.working(w.text(`SELECT id FROM runs WHERE code = $1`, m.own["run"]), 1, 4)
		w.feed.Changed(op.Change{Workspace: w.Workspace})
		s.until("page", "5", "Running")
		<-s.beats

		lim.press(lim.get("/w/lattice/tenants"), "form[action='/sign-out']")
		s.ends()
	})
}

// TestPagesOfAStream: what can't be the pages of a stream is refused, without a word
// of any page.
func TestPagesOfAStream(t *testing.T) {
	w := onOne(t, Deps{})
	mei := w.browser(w.Owner)
	many := url.Values{}
	for range 17 {
		many.Add("page", "/w/lattice/tenants")
	}
	for _, query := range []string{"", "page=", "page=https://elsewhere.example/", "page=//elsewhere.example/", "page=" + url.QueryEscape(op.LiveRoute+"?page=/"), many.Encode()} {
		mei.get(op.LiveRoute + "?" + query).want(http.StatusUnprocessableEntity)
	}
	w.stranger().get(op.LiveRoute + "?page=/w/lattice/tenants").want(http.StatusUnauthorized)
}

// TestStreamsOfAPersonAreBounded: a person holds so many streams, each for as many
// pages as it has, and is told when it is one too many.
func TestStreamsOfAPersonAreBounded(t *testing.T) {
	streams := httpx.NewStreams(2)
	w := quick(onOne(t, Deps{Budgets: httpx.Budgets{Streams: streams}}))
	mei := w.browser(w.Owner)
	first := mei.joined("/w/lattice/tenants", "/w/lattice/operations", "/w/lattice/connections")
	first.until("page", "2", "")
	mei.joined("/w/lattice/tenants")
	a := mei.get(op.LiveRoute + "?page=/w/lattice/tenants").want(http.StatusTooManyRequests)
	a.says("h1", "Too many live streams")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	w.browser(w.Viewer).joined("/w/lattice/tenants") // someone else
	first.cancel()
	for range 200 {
		if done, err := streams.Open(w.Owner.ID()); err == nil {
			done()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a stream that ended still counts")
}
