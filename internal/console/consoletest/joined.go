package consoletest

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// JoinedStream is the merged stream of a browser's pages.
type JoinedStream struct {
	Cancel context.CancelFunc
	Beats  chan struct{}

	t      *testing.T
	events chan [3]string // name, number of the page, and the rest
	seen   [][3]string    // since the stream began
}

// Joined opens the merged stream of pages.
func (b *Browser) Joined(pages ...string) *JoinedStream {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(b.w.t.Context())
	b.w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.w.http.URL+op.LiveRoute+"?"+url.Values{"page": pages}.Encode(), nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Cookie", "__Host-interlock="+b.Secret)
	resp, err := b.w.http.Client().Do(r) //nolint:bodyclose // the goroutine that reads it closes it
	if err != nil {
		b.w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		b.w.t.Fatalf("answered %d", resp.StatusCode)
	}
	s := &JoinedStream{t: b.w.t, Cancel: cancel, events: make(chan [3]string, 100), Beats: make(chan struct{}, 1000)}
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
				s.Beats <- struct{}{}
			case field == "" && name != "":
				s.events <- [3]string{name, data[0], strings.Join(data[1:], "\n")}
				name, data = "", nil
			}
		}
	}()
	return s
}

// Until waits for an event of that name and page that contains text.
func (s *JoinedStream) Until(name, page, text string) {
	s.t.Helper()
	is := func(e [3]string) bool { return e[0] == name && e[1] == page && strings.Contains(e[2], text) }
	for limit := time.After(patience); !slices.ContainsFunc(s.seen, is); {
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

// Ends fails the test unless the stream ends.
func (s *JoinedStream) Ends() {
	s.t.Helper()
	for limit := time.After(patience); ; {
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
