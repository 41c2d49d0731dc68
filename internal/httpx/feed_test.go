package httpx

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// TestFeed: a change wakes the watchers of what contains it, and of its parts.
func TestFeed(t *testing.T) {
	watches := map[string]op.Change{
		"workspace":       {Workspace: "w"},
		"tenant":          {Workspace: "w", Tenant: "t"},
		"run":             {Workspace: "w", Tenant: "t", Run: "r"},
		"other tenant":    {Workspace: "w", Tenant: "t2"},
		"other run":       {Workspace: "w", Tenant: "t", Run: "r2"},
		"other workspace": {Workspace: "w2"},
	}
	for _, c := range []struct {
		name   string
		change op.Change
		wakes  []string
	}{
		{"a run", op.Change{Workspace: "w", Tenant: "t", Run: "r"}, []string{"workspace", "tenant", "run"}},
		{"a tenant", op.Change{Workspace: "w", Tenant: "t"}, []string{"workspace", "tenant", "run", "other run"}},
		{"a workspace", op.Change{Workspace: "w"}, []string{"workspace", "tenant", "run", "other tenant", "other run"}},
		{"anything", op.Change{}, []string{"workspace", "tenant", "run", "other tenant", "other run", "other workspace"}},
		{"of nobody's interest", op.Change{Workspace: "w3"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Feed
			chans := map[string]<-chan struct{}{}
			for name, of := range watches {
				changed, stop := f.Watch(of)
				defer stop()
				chans[name] = changed
			}
			f.Changed(c.change)
			f.Changed(c.change) // one look is due for both
			want := map[string]bool{}
			for _, name := range c.wakes {
				want[name] = true
			}
			for name, changed := range chans {
				if woken := drain(changed); woken > 1 || (woken == 1) != want[name] {
					t.Errorf("who watches the %s is woken %d times", name, woken)
				}
			}
			if f.Count() != 2 {
				t.Errorf("%d changes are counted", f.Count())
			}
		})
	}
}

func drain(c <-chan struct{}) (n int) {
	for {
		select {
		case <-c:
			n++
		default:
			return n
		}
	}
}

// TestFeedAround: a watcher of the whole workspace learns whether a change was inside its own part.
func TestFeedAround(t *testing.T) {
	var f Feed
	changed, inside, stop := f.WatchAround(op.Change{Workspace: "w", Tenant: "t"})
	defer stop()
	for _, c := range []struct {
		change op.Change
		wakes  int
		inside bool
	}{
		{op.Change{Workspace: "w", Tenant: "t", Run: "r"}, 1, true},
		{op.Change{Workspace: "w", Tenant: "t2"}, 1, false},
		{op.Change{Workspace: "w"}, 1, true},
		{op.Change{Workspace: "w2"}, 0, false},
	} {
		f.Changed(c.change)
		if n, is := drain(changed), inside(); n != c.wakes || is != c.inside {
			t.Errorf("%v wakes %d times, inside: %v", c.change, n, is)
		}
	}
}

// TestFeedForgets: an ended watch is not woken and not kept.
func TestFeedForgets(t *testing.T) {
	var f Feed
	changed, stop := f.Watch(op.Change{Workspace: "w"})
	_, stopOther := f.Watch(op.Change{Workspace: "w", Run: "r"})
	stop()
	f.Changed(op.Change{Workspace: "w"})
	if drain(changed) != 0 {
		t.Error("an ended watch is woken")
	}
	stopOther()
	if len(f.watchers) != 0 {
		t.Errorf("%d workspaces are kept", len(f.watchers))
	}
}

func changeOf(workspace string) op.Change { return op.Change{Workspace: workspace} }

// shelf stores the changes that processes tell each other.
type shelf struct {
	mu   sync.Mutex
	laid []op.Change
	news []op.Change
	fail bool
}

func (s *shelf) Tell(_ context.Context, changes []op.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.laid = append(s.laid, changes...)
	return nil
}

func (s *shelf) Hear(context.Context) ([]op.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return nil, errors.New("no answer")
	}
	news := s.news
	s.news = nil
	return news, nil
}

// TestFeedAcrossProcesses: the other processes are told about a change at most once a second,
// and about many changes only by workspace. Their changes wake watchers here and are not
// told again. They are not asked while nobody watches.
func TestFeedAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		f := NewFeed(s, slog.New(slog.DiscardHandler))
		take := func() (laid []op.Change) {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			laid, s.laid = s.laid, nil
			return laid
		}
		run := op.Change{Workspace: "w", Tenant: "t", Run: "r"}
		f.Changed(run)
		if got := take(); !slices.Equal(got, []op.Change{run}) {
			t.Errorf("the others are told %v", got)
		}
		for i := range 2 * maxUntold {
			f.Changed(op.Change{Workspace: "w", Run: strconv.Itoa(i)})
			f.Changed(run)
		}
		if got := take(); len(got) != 0 {
			t.Errorf("within a second they are told %d more", len(got))
		}
		time.Sleep(exchangeEvery)
		if got := take(); !slices.Equal(got, []op.Change{{Workspace: "w"}}) {
			t.Errorf("of many changes they are told %v", got)
		}

		changed, stop := f.Watch(op.Change{Workspace: "w", Run: "r"})
		s.mu.Lock()
		s.fail = true // a database that can't be asked for a while
		s.mu.Unlock()
		time.Sleep(3 * exchangeEvery)
		s.mu.Lock()
		s.fail, s.news = false, []op.Change{{Workspace: "w", Run: "other"}, run}
		s.mu.Unlock()
		time.Sleep(2 * exchangeEvery)
		synctest.Wait()
		if n := drain(changed); n != 1 {
			t.Errorf("the watcher is woken %d times", n)
		}
		if got := take(); len(got) != 0 {
			t.Errorf("what was heard is told again: %v", got)
		}
		stop()
		time.Sleep(2 * exchangeEvery)
		s.mu.Lock()
		s.news = []op.Change{run}
		s.mu.Unlock()
		time.Sleep(2 * exchangeEvery)
		synctest.Wait()
		if len(s.news) != 1 {
			t.Error("the others are asked while nobody watches")
		}
	})
}
