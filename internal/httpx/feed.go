package httpx

import (
	"sync"
	"sync/atomic"

	"github.com/interlock-dev/interlock/internal/op"
)

// Feed tells the streams of this process what changed. The zero Feed is ready; it
// is safe for concurrent use.
type Feed struct {
	count atomic.Uint64 // of changes so far

	mu       sync.Mutex
	watchers map[string]map[*watcher]bool // by workspace
}

type watcher struct {
	of op.Change
	c  chan struct{}
}

// Changed wakes whoever watches what changed. It comes after the commit.
func (f *Feed) Changed(c op.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count.Add(1)
	for workspace, watchers := range f.watchers {
		if c.Workspace != "" && c.Workspace != workspace {
			continue
		}
		for w := range watchers {
			if overlap(c.Tenant, w.of.Tenant) && overlap(c.Run, w.of.Run) {
				w.wake()
			}
		}
	}
}

// overlap reports whether two ids, of which an empty one stands for any, can be
// of the same thing.
func overlap(a, b string) bool { return a == "" || b == "" || a == b }

func (w *watcher) wake() {
	select {
	case w.c <- struct{}{}:
	default: // it has not looked since the last change, and will see this one too
	}
}

// Count is how many changes there were so far. What is read after Count was is
// at least as new as these.
func (f *Feed) Count() uint64 { return f.count.Load() }

// Watch returns a channel that receives after something changed in of, and a
// function that ends the watch. of names a workspace, and a tenant or a run of it
// or neither.
func (f *Feed) Watch(of op.Change) (changed <-chan struct{}, stop func()) {
	w := &watcher{of, make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = make(map[string]map[*watcher]bool)
	}
	if f.watchers[of.Workspace] == nil {
		f.watchers[of.Workspace] = make(map[*watcher]bool)
	}
	f.watchers[of.Workspace][w] = true
	return w.c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers[of.Workspace], w)
		if len(f.watchers[of.Workspace]) == 0 {
			delete(f.watchers, of.Workspace)
		}
	}
}
