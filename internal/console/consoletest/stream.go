package consoletest

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
)

// patience is how long a test waits for an event before it fails. It is long, for slow
// machines: no test measures speed.
const patience = time.Minute

// Stream is the stream of a page.
type Stream struct {
	Cancel context.CancelFunc
	Events chan string // closed when the stream ends

	t *testing.T
}

// Stream opens the stream at path.
func (b *Browser) Stream(path string) *Stream {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(b.w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.http.URL+path, nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-interlock="+b.Secret)
	resp, err := b.w.http.Client().Do(r) //nolint:bodyclose // its reader closes it
	if err != nil {
		b.w.t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		b.w.t.Fatalf("the stream answers %d with %q", resp.StatusCode, ct)
	}
	s := &Stream{t: b.w.t, Cancel: cancel, Events: make(chan string, 100)}
	b.w.t.Cleanup(cancel)
	go s.read(resp.Body)
	return s
}

func (s *Stream) read(body io.ReadCloser) {
	defer close(s.Events)
	defer body.Close() //nolint:errcheck // it was only read
	var event strings.Builder
	for lines := bufio.NewScanner(body); lines.Scan(); {
		switch data, ok := strings.CutPrefix(lines.Text(), "data: "); {
		case ok:
			event.WriteString(data + "\n")
		case lines.Text() == "" && event.Len() > 0:
			s.Events <- event.String()
			event.Reset()
		}
	}
}

// Next returns the next event, parsed as the parts that it replaces. It fails the test
// when the stream ends or is silent for ten seconds.
func (s *Stream) Next() *goquery.Document {
	s.t.Helper()
	select {
	case event, ok := <-s.Events:
		if !ok {
			s.t.Fatal("the stream ended")
		}
		page, err := goquery.NewDocumentFromReader(strings.NewReader(event))
		if err != nil {
			s.t.Fatal(err)
		}
		return page
	case <-time.After(patience):
		s.t.Fatal("the stream is silent")
	}
	return nil
}

// Until returns the next event whose part for target contains text. An empty target
// stands for any part.
func (s *Stream) Until(target, text string) *goquery.Document {
	s.t.Helper()
	piece := "hx-partial"
	if target != "" {
		piece += `[hx-target="` + target + `"]`
	}
	for range 50 {
		page := s.Next()
		if strings.Contains(strings.Join(strings.Fields(page.Find(piece).Text()), " "), text) {
			return page
		}
	}
	s.t.Fatalf("no piece for %s says %q", target, text)
	return nil
}

// Ends fails the test unless the stream ends.
func (s *Stream) Ends() {
	s.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-s.Events:
			if !ok {
				return
			}
		case <-limit:
			s.t.Fatal("the stream goes on")
		}
	}
}

// WithLive returns the address of the stream of the page at path.
func WithLive(t *testing.T, path string) string {
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

// Quick shortens the intervals of streams to fractions of a second.
func Quick(w *World) *World {
	w.Site.Intervals = web.Intervals{
		Settle: 10 * time.Millisecond, Freshest: 50 * time.Millisecond, Refresh: 50 * time.Millisecond, Beat: 200 * time.Millisecond, Pulse: time.Second,
	}
	w.Site.Holders.Every(50 * time.Millisecond)
	return w
}

// Idle lets streams refresh only on changes.
func Idle(w *World) *World {
	Quick(w)
	w.Site.Intervals.Freshest, w.Site.Intervals.Refresh = time.Hour, time.Hour
	return w
}

// Alone waits until no look is kept, which is so after the last stream has ended.
func (w *World) Alone() {
	w.t.Helper()
	tick, limit := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for w.Site.Looks() != 0 {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatal("looks are kept after the last stream has ended")
		}
	}
}
