package httpx

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Shared is a value that is made once for all who want it equally new. The zero
// Shared is ready; it is safe for concurrent use.
type Shared[T any] struct {
	mu     sync.Mutex
	newest *making[T]
}

// making is a value that is being made, or was.
type making[T any] struct {
	count uint64
	begun time.Time
	done  chan struct{} // closed when it was made
	value T
	err   error
}

var errPanicked = errors.New("what made the value panicked")

// Get returns a value whose making began after the feed had counted count changes,
// and not before since. If there is none, build makes it, here and for everyone who
// asks meanwhile. It is not cut off when the caller leaves.
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
