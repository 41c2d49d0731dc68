package httpx

import "testing"

func TestFeedOfAnyRun(t *testing.T) {
	var f Feed
	woken := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	one, stop := f.Watch("one")
	all, stopAll := f.Watch(AnyRun)
	f.Changed("two")
	if woken(one) || !woken(all) {
		t.Error("a change of another run wakes its own watchers and those of any run")
	}
	f.Changed("one")
	f.Changed("one")
	if !woken(one) || woken(one) || !woken(all) {
		t.Error("changes that were not looked at yet are one")
	}
	stop()
	stopAll()
	f.Changed("one")
	if woken(one) || woken(all) || len(f.watchers) != 0 {
		t.Error("an ended watch wakes or is kept")
	}
}
