package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// look is a page at one moment, as readers with the same rights see it. It holds nothing
// of one reader: keys of start forms are filled in when it is sent.
type look struct {
	parts  []lookPart
	active string // the count in the frame
	status string
	about  op.Change
	ended  op.Run
}

// lookPart is one part of a page. Parts with the same key look the same.
type lookPart struct {
	id, key string
	html    func() (string, error)
}

func asIs(id, html string) lookPart {
	return lookPart{id, html, func() (string, error) { return html, nil }}
}

// lookKey identifies the readers who can share a look.
type lookKey struct {
	address string // of the page; empty: the frame of any page
	rights  string // see [access.Standing]
	person  string // for pages that show the reader's own; else empty
}

// sharing are the looks of one key.
type sharing struct {
	httpx.Shared[*look]
	key  lookKey
	with int
}

// looks holds the looks that open streams share. It is safe for concurrent use.
type looks struct {
	mu   sync.Mutex
	open map[lookKey]*sharing
}

func (l *looks) join(k lookKey) *sharing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[lookKey]*sharing)
	}
	s := l.open[k]
	if s == nil {
		s = &sharing{key: k}
		l.open[k] = s
	}
	s.with++
	return s
}

func (l *looks) leave(s *sharing) {
	if s == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.with--; s.with == 0 {
		delete(l.open, s.key)
	}
}

func (l *looks) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// rendered renders the shared parts of a page.
func rendered(ctx context.Context, p Page) (*look, error) {
	l := &look{status: p.Status, about: p.About, ended: p.Ended}
	var b bytes.Buffer
	if err := ui.Count(ui.ActiveCount, p.Frame.Glance.Active).Render(ctx, &b); err != nil {
		return nil, err
	}
	l.active = b.String()
	for _, part := range p.Parts {
		text := sync.OnceValues(func() (string, error) {
			var b strings.Builder
			err := part.Content.Render(ctx, &b)
			return b.String(), err
		})
		if part.Key != "" { // rendered only for readers who have not seen it
			l.parts = append(l.parts, lookPart{part.ID, part.Key, text})
			continue
		}
		html, err := text()
		if err != nil {
			return nil, err
		}
		l.parts = append(l.parts, asIs(part.ID, html))
	}
	return l, nil
}

// looked admits the reader again and builds a look for all who share it. It continues
// when the reader leaves, and has placeholders for the keys of start forms.
func (v *Visit) looked(ctx context.Context, build func(*Visit) (Page, error)) (*look, error) {
	next := v.site.visit(v.W, v.R.WithContext(ctx), v.Route)
	next.shared = true
	if err := next.enter(); err != nil {
		return nil, err
	}
	p, err := build(next)
	if err != nil {
		return nil, err
	}
	return rendered(ctx, p)
}

// keyPlace is the placeholder of a start form's key in a look. It is random, so that no
// text on a page can equal it.
var keyPlace = "key-" + rand.Text()

// withKeys replaces each placeholder with a new key. A part is sent only when it changes,
// so an unchanged form keeps its key.
func withKeys(html string) string {
	n := strings.Count(html, keyPlace)
	if n == 0 {
		return html
	}
	var b strings.Builder
	for range n {
		before, after, _ := strings.Cut(html, keyPlace)
		b.WriteString(before)
		b.WriteString(NewKey(time.Now()))
		html = after
	}
	b.WriteString(html)
	return b.String()
}
