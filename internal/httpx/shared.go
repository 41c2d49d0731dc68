package httpx

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Shared is a value that is built once for all callers that need it equally fresh. The zero
// Shared is ready to use. It is safe for concurrent use.
type Shared[T any] struct {
	mu     sync.Mutex
	newest *making[T]
}

// making is a value that is being built or was built.
type making[T any] struct {
	count uint64
	begun time.Time
	done  chan struct{} // closed when it was built
	value T
	err   error
}

var errPanicked = errors.New("what made the value panicked")

// Get returns a value whose build began after the feed counted count changes, and not before
// since. If there is none, it calls build, for this caller and for all that ask meanwhile. The
// build continues if the caller's context ends.
func (s *Shared[T]) Get(ctx context.Context, feed *Feed, count uint64, since time.Time, build func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	m := s.newest
	if m != nil && m.count >= count && !m.begun.Before(since) {
		s.mu.Unlock()
		select {
		case <-m.done:
			return m.value, m.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	m = &making[T]{count: feed.Count(), begun: time.Now(), done: make(chan struct{}), err: errPanicked}
	s.newest = m
	s.mu.Unlock()
	defer close(m.done)
	m.value, m.err = build(context.WithoutCancel(ctx))
	return m.value, m.err
}
