package datatest

import (
	"context"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
)

// Snapshots keeps snapshots in memory, with the rounds of a [Memory]. The zero
// Snapshots is empty and ready; it is safe for concurrent use.
type Snapshots struct {
	Now func() time.Time // nil: the clock

	mu   sync.Mutex
	kept []catalogue.Snapshot
}

var _ catalogue.Snapshots = (*Snapshots)(nil)

// Begin implements [catalogue.Snapshots].
func (s *Snapshots) Begin(ctx context.Context) (time.Time, error) {
	if s.Now != nil {
		return s.Now(), ctx.Err()
	}
	return time.Now(), ctx.Err()
}

// Keep implements [catalogue.Snapshots].
func (s *Snapshots) Keep(ctx context.Context, kept catalogue.Snapshot) (sets []catalogue.Dataset, err error) {
	for _, p := range kept.Parts {
		d, err := p.Round.Commit(ctx, catalogue.Committed{Unreadable: p.Unreadable})
		if err != nil {
			return nil, err
		}
		d.AsOf = kept.At
		sets = append(sets, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, kept)
	return sets, ctx.Err()
}

// Kept returns the snapshots, oldest first.
func (s *Snapshots) Kept() []catalogue.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]catalogue.Snapshot(nil), s.kept...)
}
