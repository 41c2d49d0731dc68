package httpx

import "sync"

// Feed tells those who watch a run in this process that it changed. What another
// process changes it does not know: watchers look by themselves too, now and
// then. The zero Feed is ready; it is safe for concurrent use.
type Feed struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool // by run id
}

// AnyRun stands for every run, for those who watch a list.
const AnyRun = ""

// Changed wakes whoever watches the run with that id.
func (f *Feed) Changed(run string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, watched := range []string{run, AnyRun} {
		for c := range f.watchers[watched] {
			select {
			case c <- struct{}{}:
			default: // it has not looked since the last change, and will see this one too
			}
		}
	}
}

// Watch returns a channel that receives after the run with that id changed, or
// after any did with [AnyRun], and a function that ends the watch.
func (f *Feed) Watch(run string) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = make(map[string]map[chan struct{}]bool)
	}
	if f.watchers[run] == nil {
		f.watchers[run] = make(map[chan struct{}]bool)
	}
	f.watchers[run][c] = true
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers[run], c)
		if len(f.watchers[run]) == 0 {
			delete(f.watchers, run)
		}
	}
}
