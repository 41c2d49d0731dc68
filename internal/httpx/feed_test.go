package httpx

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/op"
)

// TestFeed: a change wakes those who watch what it is part of, or a part of it.
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

// TestFeedForgets: an ended watch is neither woken nor kept.
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
