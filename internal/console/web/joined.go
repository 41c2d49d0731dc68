package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// maxPages is how many pages one stream can serve.
const maxPages = 16

type partKey struct{}

// serveLive adds the stream that a browser uses for all its open pages.
func (s *Site) serveLive() {
	s.Handle(Route{Method: http.MethodGet, Path: op.LiveRoute, Object: Self}, s.livePages)
}

// livePages merges the streams of several pages into one. The first line of an event
// "page" is the number of the page, from 0 in the order of the request; the other lines
// are a fragment. An event "refused" has the number and the HTTP status. When the stream
// of one page ends, the merged stream ends; the script then asks for all pages again.
func (s *Site) livePages(v *Visit) error {
	pages := v.R.URL.Query()["page"]
	if len(pages) == 0 || len(pages) > maxPages {
		return BadForm("page", fmt.Sprintf("must be given 1 to %d times", maxPages))
	}
	ctx, cancel := context.WithCancel(context.WithValue(v.R.Context(), partKey{}, true))
	defer cancel()
	requests := make([]*http.Request, len(pages))
	for i, p := range pages {
		u, err := url.Parse(LocalPath(p))
		if err != nil || u.Path == "" || u.Path == op.LiveRoute {
			return BadForm("page", "must be paths of pages")
		}
		q := u.Query()
		q.Set(live, "1")
		u.RawQuery = q.Encode()
		r := v.R.Clone(httpx.Part(ctx))
		r.URL, r.RequestURI = u, u.RequestURI()
		requests[i] = r
	}
	done, err := s.budgets.Streams.Open(v.Actor.ID())
	if err != nil {
		return err
	}
	defer done()
	stream, err := httpx.OpenStream(v.W)
	if err != nil {
		return nil // the reader is gone
	}

	out := &joined{stream: stream}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	over := make(chan bool, len(requests)) // whether the stream had started
	for i, r := range requests {
		parts.Go(func() {
			p := &part{number: i, to: out, header: make(http.Header)}
			s.mux.ServeHTTP(p, r)
			if !p.streams() {
				p.refused()
			}
			over <- p.streams()
		})
	}
	pulse := time.NewTicker(s.Intervals.Pulse)
	defer pulse.Stop()
	for left := len(requests); left > 0; {
		select {
		case <-ctx.Done():
			return nil
		case begun := <-over:
			if begun {
				return nil
			}
			left--
		case <-pulse.C:
			if out.beat() != nil {
				return nil // the reader is gone
			}
		}
	}
	return nil
}

// joined is the merged stream. Its methods are safe for concurrent use.
type joined struct {
	mu     sync.Mutex
	stream *httpx.Stream
}

func (j *joined) beat() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stream.Beat()
}

func (j *joined) event(name string, page int, rest []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stream.Named(name, fmt.Appendf(nil, "data: %d\n%s", page, rest))
}

// part is the ResponseWriter of one page's stream within the merged one.
type part struct {
	number int
	to     *joined
	header http.Header
	status int
}

// Header returns the headers; none are sent.
func (p *part) Header() http.Header { return p.header }

// WriteHeader records the status.
func (p *part) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
	}
}

// streams reports whether the page answered with a stream.
func (p *part) streams() bool {
	return p.status == http.StatusOK && strings.HasPrefix(p.header.Get("Content-Type"), "text/event-stream")
}

// Write sends one event. It drops heartbeats: the merged stream has its own.
func (p *part) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if !p.streams() || !bytes.HasPrefix(b, []byte("data:")) {
		return len(b), nil
	}
	return len(b), p.to.event("page", p.number, b)
}

// FlushError does nothing: Write sends whole events.
func (p *part) FlushError() error { return nil }

func (p *part) refused() {
	status := p.status
	if status < http.StatusBadRequest { // a page without a stream
		status = http.StatusNotFound
	}
	_ = p.to.event("refused", p.number, fmt.Appendf(nil, "data: %d\n\n", status)) // the reader is gone
}
