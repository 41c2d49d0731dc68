package web

import (
	"context"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
)

// admit admits the reader again, and joins the readers who now have the same rights.
func (s *streaming) admit(ctx context.Context) error {
	before, err := s.holder.Now(ctx)
	for range maxMoves {
		if err != nil {
			return err
		}
		var next *Visit
		if next, err = s.visit.again(); err != nil {
			return err
		}
		var after access.Standing
		after, err = s.holder.Now(ctx)
		if err == nil && after.Rights == before.Rights {
			s.drop()
			s.visit, s.stands = next, after
			person := ""
			if next.Route.Own {
				person = next.Actor.ID()
			}
			site := next.site
			s.pages = site.looks.join(lookKey{next.address(), after.Rights, person})
			s.frames = site.looks.join(lookKey{rights: after.Rights})
			return nil
		}
		before = after
	}
	return errMoving
}

// maxMoves is how often admit retries while the reader's rights keep changing.
const maxMoves = 5

var errMoving = errors.New("the reader's rights keep changing")

// drop leaves the shared looks.
func (s *streaming) drop() {
	s.visit.site.looks.leave(s.pages)
	s.visit.site.looks.leave(s.frames)
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
	l, err := s.shared(ctx, s.frames, since, func(v *Visit) (Page, error) {
		frame, err := v.Frame("", "")
		return Page{Frame: frame}, err
	})
	if err == nil {
		s.active = l.active
	}
	return err
}

// shared returns a look that is built by one of the readers with the same rights. A look
// whose builder's rights changed meanwhile is discarded.
func (s *streaming) shared(ctx context.Context, with *sharing, since time.Time, build func(*Visit) (Page, error)) (*look, error) {
	feed := s.visit.site.feed
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
