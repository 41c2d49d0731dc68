package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
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
	ended  op.Run          // the run whose end the page tells; zero: none
	panel  templ.Component // how it opens beside another page; nil: it does not
}

// frame begins a page.
func (v *visit) frame(title string, section view.Section) (view.Frame, error) {
	g, err := v.console.store.Glance(v.r.Context(), v.actor)
	if err != nil {
		return view.Frame{}, err
	}
	return view.Frame{
		Title: title, Heading: title, Reader: v.actor, Glance: g, Section: section, Now: time.Now(),
		Live: v.address(),
	}, nil
}

// address is that of the page, without what belongs to one answer or one stream.
func (v *visit) address() string {
	q := v.r.URL.Query()
	q.Del("attempt") // an answer stays as it was
	q.Del(live)
	return (&url.URL{Path: v.r.URL.Path, RawQuery: q.Encode()}).String()
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

// readEnd marks the notification of the end that the page tells as read, when it
// is the reader's. It reports whether there may have been one.
func (v *visit) readEnd(ended op.Run, unread int64) (bool, error) {
	if unread == 0 || ended.ID == "" || ended.Initiator.ID != v.actor.ID() {
		return false, nil
	}
	return true, v.console.store.ReadNotificationOf(v.r.Context(), v.actor, ended.ID)
}

// within is a component with content inside.
func within(outer, inner templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, inner), w)
	})
}

// stream keeps a page that is open as it would be if it were loaded now: first
// all of its parts, then those that changed. It wakes when something changed in
// what the page shows. What holders of the same rights see is looked at once for
// all of them; see [looks]. Before every look the reader's session and rights are
// compared with those that they came with, and the stream ends when they may no
// longer read.
func (v *visit) stream(build func(*visit) (page, error)) error {
	ctx, c := v.r.Context(), v.console
	done, err := v.openStream()
	if err != nil {
		return err
	}
	defer done()
	s := &streaming{visit: v, build: build, holder: c.holders.Hold(v.actor), seen: make(map[string]string)}
	defer s.holder.Release()
	defer s.drop()

	if err := s.admit(ctx); err != nil {
		return err
	}
	if err := s.look(ctx, time.Now().Add(-c.settle)); err != nil {
		return err
	}
	about := s.page.about
	about.Workspace = v.actor.WorkspaceID()
	changed, inside, stop := c.feed.WatchAround(about)
	defer stop()
	// Only the look says what there is to watch. What changed meanwhile is looked at
	// now; if nothing did, this is the same look.
	if err := s.look(ctx, time.Time{}); err != nil {
		return err
	}
	s.status = s.page.status
	if s.out, err = httpx.OpenStream(v.w); err != nil {
		return nil // the reader is gone
	}
	if err := s.send(ctx); err != nil {
		return s.gone(ctx, err)
	}

	beat, pulse := time.NewTicker(c.beat), time.NewTicker(c.pulse)
	defer beat.Stop()
	defer pulse.Stop()
	again := c.freshest
	refresh := time.NewTimer(again)
	defer refresh.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-pulse.C:
			if s.out.Beat() != nil {
				return nil // the reader is gone
			}
		case <-beat.C:
			err = s.sign(ctx)
		case <-s.holder.Changed():
			err = s.wake(ctx, onlyReader)
		case <-changed:
			if !s.settled(ctx) {
				return nil
			}
			what := onlyFrame
			if inside() {
				what, again = everything, c.freshest
				refresh.Reset(again)
			}
			err = s.wake(ctx, what)
		case <-refresh.C: // words such as "2 minutes ago" grow old, the more slowly the older they are
			again = min(2*again, c.refresh)
			refresh.Reset(again)
			err = s.wake(ctx, aged)
		}
		if err != nil {
			return s.gone(ctx, err)
		}
	}
}

// openStream counts the stream among those of the person, unless it is a part of
// one that was counted.
func (v *visit) openStream() (done func(), err error) {
	if v.r.Context().Value(partKey{}) != nil {
		return func() {}, nil
	}
	return v.console.streams.Open(v.actor.ID())
}

// errReaderGone is returned by a stream whose reader takes nothing more.
var errReaderGone = errors.New("the reader is gone")

// streaming is a stream: what it looks at, and what it has sent.
type streaming struct {
	visit  *visit // as the reader was let in last
	build  func(*visit) (page, error)
	holder *httpx.Holder
	out    *httpx.Stream

	stands  access.Standing // of the reader
	pages   *sharing        // of the page, with those who have the same rights
	frames  *sharing        // of its frame
	page    *look
	active  string // the count in the frame, as it is now
	unread  int64
	inbox   string // the standing's, when unread was read
	ended   string // the run whose end was read by then
	greeted bool   // the reader was told of it once

	seen   map[string]string // by id of the part: how it looked
	status string
	heard  time.Time // when the reader was last told that the stream lives
}

// What of a page is looked at anew.
type scope int

const (
	onlyReader scope = iota // what is the reader's own, and whether they still may read
	onlyFrame               // and what stands around every page
	aged                    // and the page, if nobody just did
	everything              // and the page
)

// settled waits a little, so that what changes fast is told a few times a second.
// It reports whether the reader is still there.
func (s *streaming) settled(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(s.visit.console.settle):
		return true
	}
}

// wake looks at what may have changed and sends what did.
func (s *streaming) wake(ctx context.Context, what scope) error {
	now, err := s.holder.Standing(ctx)
	if err != nil {
		return err
	}
	if now.Rights != s.stands.Rights {
		if err := s.admit(ctx); err != nil {
			return err
		}
		what = everything
	} else {
		s.stands = now
	}
	switch since := time.Now(); what {
	case onlyReader:
	case onlyFrame:
		err = s.lookAround(ctx, since.Add(-time.Hour))
	case aged:
		err = s.look(ctx, since.Add(-s.visit.console.freshest/2))
	case everything:
		err = s.look(ctx, since.Add(-time.Hour))
	}
	if err != nil {
		return err
	}
	return s.send(ctx)
}

// admit lets the reader in anew, and joins those who have the same rights by now.
func (s *streaming) admit(ctx context.Context) error {
	before, err := s.holder.Now(ctx)
	for range maxMoves {
		if err != nil {
			return err
		}
		var next *visit
		if next, err = s.visit.again(); err != nil {
			return err
		}
		var after access.Standing
		after, err = s.holder.Now(ctx)
		if err == nil && after.Rights == before.Rights {
			s.drop()
			s.visit, s.stands = next, after
			person := ""
			if next.route.Own {
				person = next.actor.ID()
			}
			c := next.console
			s.pages = c.looks.join(lookKey{next.address(), after.Rights, person})
			s.frames = c.looks.join(lookKey{rights: after.Rights})
			return nil
		}
		before = after
	}
	return errMoving
}

// maxMoves bounds how often a reader whose rights change meanwhile is let in anew.
const maxMoves = 5

var errMoving = errors.New("the reader's rights keep changing")

// drop leaves those whom the looks are shared with.
func (s *streaming) drop() {
	s.visit.console.looks.leave(s.pages)
	s.visit.console.looks.leave(s.frames)
	s.pages, s.frames = nil, nil
}

// look looks at the page.
func (s *streaming) look(ctx context.Context, since time.Time) error {
	l, err := s.shared(ctx, s.pages, since, s.build)
	if err == nil {
		s.page, s.active = l, l.active
	}
	return err
}

// lookAround looks at the frame only.
func (s *streaming) lookAround(ctx context.Context, since time.Time) error {
	l, err := s.shared(ctx, s.frames, since, func(v *visit) (page, error) {
		frame, err := v.frame("", "")
		return page{frame: frame}, err
	})
	if err == nil {
		s.active = l.active
	}
	return err
}

// shared takes part in a look. Whoever builds it is one of those who have the same
// rights; if theirs changed meanwhile nobody sees it.
func (s *streaming) shared(ctx context.Context, with *sharing, since time.Time, build func(*visit) (page, error)) (*look, error) {
	feed := s.visit.console.feed
	for range maxMoves {
		l, err := with.Get(ctx, feed, feed.Count(), since, func(ctx context.Context) (*look, error) {
			l, err := s.visit.looked(ctx, build)
			if now, lost := s.holder.Now(ctx); lost != nil || now.Rights != with.key.rights {
				return nil, errMoved
			}
			return l, err
		})
		if !errors.Is(err, errMoved) {
			return l, err
		}
		since = time.Now()
		now, err := s.holder.Standing(ctx)
		if err != nil {
			return nil, err
		}
		if now.Rights != s.stands.Rights { // it was this reader
			if err := s.admit(ctx); err != nil {
				return nil, err
			}
			with = s.pages
			build = s.build
		}
	}
	return nil, errMoving
}

var errMoved = errors.New("the rights changed during the look")

// gone ends the stream. A reader who may come back does so, and is told if not why.
func (s *streaming) gone(ctx context.Context, err error) error {
	if ctx.Err() == nil && !errors.Is(err, errReaderGone) {
		httpx.Of(ctx).Failed(ctx, err)
	}
	return nil
}

// send tells what is new.
func (s *streaming) send(ctx context.Context) error {
	var b bytes.Buffer
	if err := s.own(ctx, &b); err != nil {
		return err
	}
	for _, part := range append([]lookPart{asIs(view.ActiveCount, s.active)}, s.page.parts...) {
		if s.seen[part.id] == part.key {
			continue
		}
		s.seen[part.id] = part.key
		html, err := part.html()
		if err != nil {
			return err
		}
		if err := within(view.Partial(part.id), templ.Raw(withKeys(html))).Render(ctx, &b); err != nil {
			return err
		}
	}
	if s.page.status != s.status {
		s.status = s.page.status
		if err := view.Announcement(s.status).Render(ctx, &b); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return s.fragment(ctx, &b)
}

// sign tells when the stream last lived, when it had nothing to tell for long.
func (s *streaming) sign(ctx context.Context) error {
	if time.Since(s.heard) < s.visit.console.beat/2 {
		return nil
	}
	return s.fragment(ctx, new(bytes.Buffer))
}

func (s *streaming) fragment(ctx context.Context, b *bytes.Buffer) error {
	s.heard = time.Now()
	if err := within(view.Partial("live"), view.Live(s.heard, true)).Render(ctx, b); err != nil {
		return err
	}
	if err := s.out.Fragment(b.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", errReaderGone, err)
	}
	return nil
}

// own tells what is the reader's alone: how many notifications are unread, and the
// ends of runs that they started, as they come. The end of the run that the page
// is about can be seen there.
func (s *streaming) own(ctx context.Context, b *bytes.Buffer) error {
	v := s.visit
	if s.greeted && s.inbox == s.stands.Inbox && s.page.ended.ID == s.ended {
		return nil
	}
	unread, err := v.console.store.UnreadNotifications(ctx, v.actor)
	if err != nil {
		return err
	}
	if read, err := v.readEnd(s.page.ended, unread); err != nil {
		return err
	} else if read {
		if unread, err = v.console.store.UnreadNotifications(ctx, v.actor); err != nil {
			return err
		}
	}
	before, first := s.unread, !s.greeted
	s.inbox, s.ended, s.unread, s.greeted = s.stands.Inbox, s.page.ended.ID, unread, true
	if first || before != unread {
		if err := within(view.Partial("bell"), view.Bell(view.Frame{Reader: v.actor, Glance: store.Glance{Unread: unread}})).Render(ctx, b); err != nil {
			return err
		}
	}
	fresh := unread - before
	if first || fresh <= 0 {
		return nil
	}
	list, _, err := v.console.store.Notifications(ctx, v.actor, store.NotificationFilter{Unread: true, Limit: int(min(fresh, maxNotices))})
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(list) {
		if n.Run.ID == s.page.about.Run {
			continue
		}
		r := v.described(n.Run)
		notice := view.Ended(op.DescribeNotice(n.ID, r, n.CreatedAt, n.ReadAt), r)
		if err := within(view.Notice(), notice).Render(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// maxNotices are shown at a time; all of them are behind the bell.
const maxNotices = 3
