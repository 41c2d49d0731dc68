package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// stream keeps a page that is open as it would be if it were loaded now: first
// all of its parts, then those that changed. It wakes when something changed in
// what the page shows. What holders of the same rights see is looked at once for
// all of them; see [looks]. Before every look the reader's session and rights are
// compared with those that they came with, and the stream ends when they may no
// longer read.
func (v *Visit) stream(build func(*Visit) (Page, error)) error {
	ctx, site := v.R.Context(), v.site
	done, err := v.openStream()
	if err != nil {
		return err
	}
	defer done()
	s := &streaming{visit: v, build: build, holder: site.Holders.Hold(v.Actor), seen: make(map[string]string)}
	defer s.holder.Release()
	defer s.drop()

	if err := s.admit(ctx); err != nil {
		return err
	}
	if err := s.look(ctx, time.Now().Add(-site.Intervals.Settle)); err != nil {
		return err
	}
	about := s.page.about
	about.Workspace = v.Actor.WorkspaceID()
	changed, inside, stop := site.feed.WatchAround(about)
	defer stop()
	// Only the look says what there is to watch. What changed meanwhile is looked at
	// now; if nothing did, this is the same look.
	if err := s.look(ctx, time.Time{}); err != nil {
		return err
	}
	s.status = s.page.status
	if s.out, err = httpx.OpenStream(v.W); err != nil {
		return nil // the reader is gone
	}
	if err := s.send(ctx); err != nil {
		return s.gone(ctx, err)
	}

	beat, pulse := time.NewTicker(site.Intervals.Beat), time.NewTicker(site.Intervals.Pulse)
	defer beat.Stop()
	defer pulse.Stop()
	again := site.Intervals.Freshest
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
				what, again = everything, site.Intervals.Freshest
				refresh.Reset(again)
			}
			err = s.wake(ctx, what)
		case <-refresh.C: // words such as "2 minutes ago" grow old, the more slowly the older they are
			again = min(2*again, site.Intervals.Refresh)
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
func (v *Visit) openStream() (done func(), err error) {
	if v.R.Context().Value(partKey{}) != nil {
		return func() {}, nil
	}
	return v.site.budgets.Streams.Open(v.Actor.ID())
}

// errReaderGone is returned by a stream whose reader takes nothing more.
var errReaderGone = errors.New("the reader is gone")

// streaming is a stream: what it looks at, and what it has sent.
type streaming struct {
	visit  *Visit // as the reader was let in last
	build  func(*Visit) (Page, error)
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
	case <-time.After(s.visit.site.Intervals.Settle):
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
		err = s.look(ctx, since.Add(-s.visit.site.Intervals.Freshest/2))
	case everything:
		err = s.look(ctx, since.Add(-time.Hour))
	}
	if err != nil {
		return err
	}
	return s.send(ctx)
}

// send tells what is new.
func (s *streaming) send(ctx context.Context) error {
	var b bytes.Buffer
	if err := s.own(ctx, &b); err != nil {
		return err
	}
	for _, part := range append([]lookPart{asIs(ui.ActiveCount, s.active)}, s.page.parts...) {
		if s.seen[part.id] == part.key {
			continue
		}
		s.seen[part.id] = part.key
		html, err := part.html()
		if err != nil {
			return err
		}
		if err := ui.Within(ui.Partial(part.id), templ.Raw(withKeys(html))).Render(ctx, &b); err != nil {
			return err
		}
	}
	if s.page.status != s.status {
		s.status = s.page.status
		if err := ui.Announcement(s.status).Render(ctx, &b); err != nil {
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
	if time.Since(s.heard) < s.visit.site.Intervals.Beat/2 {
		return nil
	}
	return s.fragment(ctx, new(bytes.Buffer))
}

func (s *streaming) fragment(ctx context.Context, b *bytes.Buffer) error {
	s.heard = time.Now()
	if err := ui.Within(ui.Partial("live"), ui.Live(s.heard, true)).Render(ctx, b); err != nil {
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
	unread, err := v.Store.UnreadNotifications(ctx, v.Actor)
	if err != nil {
		return err
	}
	if read, err := v.readEnd(s.page.ended, unread); err != nil {
		return err
	} else if read {
		if unread, err = v.Store.UnreadNotifications(ctx, v.Actor); err != nil {
			return err
		}
	}
	before, first := s.unread, !s.greeted
	s.inbox, s.ended, s.unread, s.greeted = s.stands.Inbox, s.page.ended.ID, unread, true
	if first || before != unread {
		if err := ui.Within(ui.Partial("bell"), ui.Bell(ui.Frame{Reader: v.Actor, Glance: store.Glance{Unread: unread}})).Render(ctx, b); err != nil {
			return err
		}
	}
	fresh := unread - before
	if first || fresh <= 0 {
		return nil
	}
	list, _, err := v.Store.Notifications(ctx, v.Actor, store.NotificationFilter{Unread: true, Limit: int(min(fresh, maxNotices))})
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(list) {
		if n.Run.ID == s.page.about.Run {
			continue
		}
		r := v.Described(n.Run)
		notice := ui.Ended(op.DescribeNotice(n.ID, r, n.CreatedAt, n.ReadAt), r)
		if err := ui.Within(ui.Notice(), notice).Render(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// maxNotices are shown at a time; all of them are behind the bell.
const maxNotices = 3

// gone ends the stream. A reader who may come back does so, and is told if not why.
func (s *streaming) gone(ctx context.Context, err error) error {
	if ctx.Err() == nil && !errors.Is(err, errReaderGone) {
		httpx.Of(ctx).Failed(ctx, err)
	}
	return nil
}
