package console

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// live is the query parameter that asks for the stream of a page.
const live = "live"

// page is a page, and what of it lives.
type page struct {
	frame  view.Frame
	body   templ.Component
	parts  []view.Part
	status string          // read aloud when it changes
	about  op.Change       // what it shows: a run, a tenant, or anything of the workspace
	panel  templ.Component // how it opens beside another page; nil: it does not
}

// frame begins a page.
func (v *visit) frame(title string, section view.Section) (view.Frame, error) {
	g, err := v.console.store.Glance(v.r.Context(), v.actor)
	if err != nil {
		return view.Frame{}, err
	}
	q := v.r.URL.Query()
	q.Del("attempt") // an answer stays as it was
	q.Set(live, "1")
	return view.Frame{
		Title: title, Heading: title, Reader: v.actor, Glance: g, Section: section, Now: time.Now(),
		Live: (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String(),
	}, nil
}

// show answers with the page.
func (v *visit) show(p page) error {
	if v.htmx() && p.panel != nil {
		return v.write(http.StatusOK, p.panel)
	}
	if len(p.parts) == 0 {
		p.frame.Live = ""
	}
	return v.write(http.StatusOK, within(view.Page(p.frame), p.body))
}

// within is a component with content inside.
func within(outer, inner templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, inner), w)
	})
}

// stream keeps a page that is open as it would be if it were loaded now: first
// all of its parts, then those that changed. The person is let in anew for every
// look, so that the stream ends when they no longer may read.
func (v *visit) stream(build func(*visit) (page, error)) error {
	p, err := build(v)
	if err != nil {
		return err
	}
	out, err := httpx.OpenStream(v.w)
	if err != nil {
		return nil // the reader is gone
	}
	changed, stop := v.console.feed.Watch(op.Change{Workspace: v.actor.WorkspaceID(), Tenant: p.about.Tenant, Run: p.about.Run})
	defer stop()
	recheck := time.NewTicker(v.console.recheck)
	defer recheck.Stop()
	s := &streaming{out: out, seen: make(map[string]string), status: p.status, unread: p.frame.Glance.Unread}
	for ctx := v.r.Context(); ; {
		if err := s.send(v, p); err != nil {
			return nil // the reader is gone
		}
		select { // what changes fast is told a few times a second
		case <-ctx.Done():
			return nil
		case <-time.After(v.console.settle):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-recheck.C:
		}
		next, err := v.again()
		if err == nil {
			v = next
			p, err = build(v)
		}
		if err != nil {
			if ctx.Err() == nil {
				httpx.Of(ctx).Failed(ctx, err)
			}
			return nil // the reader comes back, and is told why not
		}
	}
}

// streaming is what a stream has sent.
type streaming struct {
	out    *httpx.Stream
	seen   map[string]string // by id of the part: how it looked
	status string
	unread int64
	beat   time.Time
}

// send tells what is new, and every now and then that nothing is.
func (s *streaming) send(v *visit, p page) error {
	var b bytes.Buffer
	ctx := v.r.Context()
	for _, part := range append(view.FrameParts(p.frame), p.parts...) {
		key := part.Key
		if key == "" {
			var text bytes.Buffer
			if err := part.Content.Render(ctx, &text); err != nil {
				return err
			}
			key = text.String()
			part.Content = templ.Raw(key)
		}
		if s.seen[part.ID] == key {
			continue
		}
		s.seen[part.ID] = key
		if err := within(view.Partial(part.ID), part.Content).Render(ctx, &b); err != nil {
			return err
		}
	}
	if p.status != s.status {
		s.status = p.status
		if err := view.Announcement(p.status).Render(ctx, &b); err != nil {
			return err
		}
	}
	if err := s.notices(v, p, &b); err != nil {
		return err
	}
	if b.Len() == 0 && time.Since(s.beat) < v.console.beat {
		return nil
	}
	s.beat = time.Now()
	if err := within(view.Partial("live"), view.Live(s.beat, true)).Render(ctx, &b); err != nil {
		return err
	}
	return s.out.Fragment(b.Bytes())
}

// notices shows the ends of runs that the person started, as they come. The end
// of the run that the page is about can be seen there.
func (s *streaming) notices(v *visit, p page, b *bytes.Buffer) error {
	fresh := p.frame.Glance.Unread - s.unread
	s.unread = p.frame.Glance.Unread
	if fresh <= 0 {
		return nil
	}
	list, _, err := v.console.store.Notifications(v.r.Context(), v.actor, store.NotificationFilter{Unread: true, Limit: int(min(fresh, maxNotices))})
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(list) {
		if n.Run.ID == p.about.Run {
			continue
		}
		r := v.described(n.Run)
		notice := view.Ended(op.DescribeNotice(n.ID, r, n.CreatedAt, n.ReadAt), r)
		if err := within(view.Notice(), notice).Render(v.r.Context(), b); err != nil {
			return err
		}
	}
	return nil
}

// maxNotices are shown at a time; all of them are behind the bell.
const maxNotices = 3
