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

// look is what the holders of the same rights see of a page at one moment. Nothing
// in it is of one reader: keys of start forms are put in when it is sent, and what
// is the reader's own does not come from here.
type look struct {
	parts  []lookPart
	active string // the count in the frame
	status string
	about  op.Change
	ended  op.Run
}

// lookPart is a piece of a page. Two that have the same key look the same.
type lookPart struct {
	id, key string
	html    func() (string, error)
}

func asIs(id, html string) lookPart {
	return lookPart{id, html, func() (string, error) { return html, nil }}
}

// lookKey tells who may share a look.
type lookKey struct {
	address string // of the page; empty: the frame of any
	rights  string // see [access.Standing]
	person  string // for pages that show a reader their own; empty: whoever has the rights
}

// sharing are the looks of those with the same key.
type sharing struct {
	httpx.Shared[*look]
	key  lookKey
	with int
}

// looks holds what the open streams share.
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

// rendered renders what of a page lives and may be shared.
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
		if part.Key != "" { // who has seen it needs no text
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

// looked lets the reader in anew and takes a look that others share: it goes on when
// the reader leaves, and has places for the keys of start forms.
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

// keyPlace stands in a look for the key of a start form. It is chance, so that no
// text of a page can be taken for it.
var keyPlace = "key-" + rand.Text()

// withKeys puts a new key into each place for one. A piece is sent only when it
// looks different, so that a form that did not change keeps its key.
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
