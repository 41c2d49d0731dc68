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

// stream keeps an open page up to date: it sends every part first, then the parts that
// change. A change in what the page shows wakes it. Readers with the same rights share
// one look at the page, see [looks]. Before each look it compares the reader's session
// and rights with those they arrived with, and ends when they lose access.
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
	// Only the first look says what to watch. This look picks up what changed in
	// between; without a change it is the same look.
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
		case <-refresh.C: // "2 minutes ago" gets out of date, more slowly the older it is
			again = min(2*again, site.Intervals.Refresh)
			refresh.Reset(again)
			err = s.wake(ctx, aged)
		}
		if err != nil {
			return s.gone(ctx, err)
		}
	}
}

// openStream counts the stream towards the reader's limit, unless it is part of a merged
// stream, which is counted already.
func (v *Visit) openStream() (done func(), err error) {
	if v.R.Context().Value(partKey{}) != nil {
		return func() {}, nil
	}
	return v.site.budgets.Streams.Open(v.Actor.ID())
}

// errReaderGone is returned when the browser has closed the stream.
var errReaderGone = errors.New("the reader is gone")

// streaming is the state of one stream.
type streaming struct {
	visit  *Visit // of the last admission
	build  func(*Visit) (Page, error)
	holder *httpx.Holder
	out    *httpx.Stream

	stands  access.Standing // of the reader
	pages   *sharing        // looks at the page, shared by readers with the same rights
	frames  *sharing        // looks at the frame
	page    *look
	active  string // the current count in the frame
	unread  int64
	inbox   string // version of the inbox that unread was read from
	ended   string // run whose notification is marked as read
	greeted bool   // unread has been sent once

	seen   map[string]string // key of each part as last sent, by its id
	status string
	heard  time.Time // when the reader last got anything
}

// scope is how much of a page is looked at again.
type scope int

const (
	onlyReader scope = iota // the reader's rights and notifications
	onlyFrame               // and the frame
	aged                    // and the page, unless somebody just looked
	everything              // and the page
)

// settled waits briefly, so that fast changes are sent at most twice a second. It reports
// whether the reader is still there.
func (s *streaming) settled(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(s.visit.site.Intervals.Settle):
		return true
	}
}

// wake looks again at what and sends what changed.
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

// send sends the parts that changed since they were last sent.
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

// sign updates the "Live" line when nothing was sent for a while.
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

// own adds what only this reader sees: the number of unread notifications, and notices
// of runs that they started and that have ended. The page's own run gets no notice.
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

// maxNotices is how many notices are shown at once; the bell has all of them.
const maxNotices = 3

// gone ends the stream after an error. A browser that reconnects gets a stream, or the
// reason why not.
func (s *streaming) gone(ctx context.Context, err error) error {
	if ctx.Err() == nil && !errors.Is(err, errReaderGone) {
		_ = httpx.Refuse(ctx, err) // only for the log: the answer has begun
	}
	return nil
}
