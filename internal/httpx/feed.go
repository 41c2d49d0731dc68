package httpx

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Feed tells the streams of this process about changes: immediately about its own, and within
// two seconds about those of other processes on the same database. The zero Feed is ready
// to use and knows no other processes. It is safe for concurrent use.
type Feed struct {
	others Others
	log    *slog.Logger
	count  atomic.Uint64 // of changes so far

	mu       sync.Mutex
	watchers map[string]map[*watcher]bool // by workspace
	untold   map[op.Change]bool           // changes not yet told to the others
	telling  bool
	hearing  bool
}

// Others are the other processes on the database. Feed does not call Tell or Hear
// concurrently.
type Others interface {
	Tell(ctx context.Context, changes []op.Change) error
	// Hear returns what the others told since the last call, or slightly before it.
	Hear(ctx context.Context) ([]op.Change, error)
}

// How often Tell and Hear are called, one small statement each, and their timeout. Hear is
// called only while somebody watches.
const (
	exchangeEvery  = time.Second
	exchangeWithin = 5 * time.Second
)

// maxUntold is the largest number of changes told one by one. Of more, only the workspaces
// are told.
const maxUntold = 64

// NewFeed returns a feed that exchanges changes with others.
func NewFeed(others Others, log *slog.Logger) *Feed { return &Feed{others: others, log: log} }

type watcher struct {
	of     op.Change
	around bool // changes of the whole workspace wake it
	inside atomic.Bool
	c      chan struct{}
}

// Changed wakes the watchers of a change. Call it after the commit.
func (f *Feed) Changed(c op.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake(c)
	if f.others == nil {
		return
	}
	if f.untold == nil {
		f.untold = make(map[op.Change]bool)
	}
	f.untold[c] = true
	if !f.telling {
		f.telling = true
		go f.tell()
	}
}

// wake wakes the watchers of a change. The caller holds the lock.
func (f *Feed) wake(c op.Change) {
	f.count.Add(1)
	for workspace, watchers := range f.watchers {
		if c.Workspace != "" && c.Workspace != workspace {
			continue
		}
		for w := range watchers {
			is := overlap(c.Tenant, w.of.Tenant) && overlap(c.Run, w.of.Run)
			if is {
				w.inside.Store(true) // before the wake-up: the watcher reads it
			}
			if is || w.around {
				w.wake()
			}
		}
	}
}

// tell tells the others about changes until there are none left.
func (f *Feed) tell() {
	for {
		f.mu.Lock()
		changes := f.untold
		f.untold = make(map[op.Change]bool)
		f.telling = len(changes) > 0
		f.mu.Unlock()
		if len(changes) == 0 {
			return
		}
		if len(changes) > maxUntold {
			workspaces := make(map[op.Change]bool)
			for c := range changes {
				workspaces[op.Change{Workspace: c.Workspace}] = true
			}
			changes = workspaces
		}
		ctx, cancel := context.WithTimeout(context.Background(), exchangeWithin)
		if err := f.others.Tell(ctx, slices.Collect(maps.Keys(changes))); err != nil {
			// Their pages also look from time to time, and will see it.
			f.log.WarnContext(ctx, "could not tell other servers of changes", "error", err)
		}
		cancel()
		<-time.After(exchangeEvery) // the loop ends when nothing is left to do
	}
}

// hear wakes watchers about changes of the others, as long as somebody watches.
func (f *Feed) hear() {
	for {
		f.mu.Lock()
		f.hearing = len(f.watchers) > 0
		on := f.hearing
		f.mu.Unlock()
		if !on {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), exchangeWithin)
		changes, err := f.others.Hear(ctx)
		if err != nil {
			f.log.WarnContext(ctx, "could not hear of changes by other servers", "error", err)
		}
		cancel()
		f.mu.Lock()
		for _, c := range changes {
			f.wake(c)
		}
		f.mu.Unlock()
		<-time.After(exchangeEvery) // the loop ends when nothing is left to do
	}
}

// overlap reports whether two ids can be the same thing. An empty id stands for any.
func overlap(a, b string) bool { return a == "" || b == "" || a == b }

func (w *watcher) wake() {
	select {
	case w.c <- struct{}{}:
	default: // it has not looked since the last change and will see this one too
	}
}

// Count returns the number of changes so far. Data read after the call includes them.
func (f *Feed) Count() uint64 { return f.count.Load() }

// Watch returns a channel that receives after a change in of, and a function that ends the
// watch. of is a workspace, and optionally a tenant or a run of it.
func (f *Feed) Watch(of op.Change) (changed <-chan struct{}, stop func()) {
	w := &watcher{of: of, c: make(chan struct{}, 1)}
	return w.c, f.add(w)
}

// WatchAround is Watch for every change in the workspace. inside reports whether there was a
// change in of since its last call.
func (f *Feed) WatchAround(of op.Change) (changed <-chan struct{}, inside func() bool, stop func()) {
	w := &watcher{of: of, around: true, c: make(chan struct{}, 1)}
	return w.c, func() bool { return w.inside.Swap(false) }, f.add(w)
}

func (f *Feed) add(w *watcher) (stop func()) {
	of := w.of
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = make(map[string]map[*watcher]bool)
	}
	if f.watchers[of.Workspace] == nil {
		f.watchers[of.Workspace] = make(map[*watcher]bool)
	}
	f.watchers[of.Workspace][w] = true
	if f.others != nil && !f.hearing {
		f.hearing = true
		go f.hear()
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers[of.Workspace], w)
		if len(f.watchers[of.Workspace]) == 0 {
			delete(f.watchers, of.Workspace)
		}
	}
}
