package graph

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

func TestLaneKeepsOutWhileTheProviderSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lanes := UnlimitedLanes()
		mine, other := lanes.lane("app", "tenant", directory, false), lanes.lane("app", "other", directory, false)
		began := time.Now()
		mine.close(10 * time.Second)
		mine.close(3 * time.Second) // a shorter wait does not shorten the longer one
		leave, err := other.enter(t.Context(), 1, time.Second)
		if err != nil || time.Since(began) != 0 {
			t.Fatalf("another tenant waited %s: %v", time.Since(began), err)
		}
		leave()
		_, err = mine.enter(t.Context(), 1, 9*time.Second)
		var pe *provider.Error
		if !errors.As(err, &pe) || pe.Reason != op.ProviderThrottled || pe.RetryAfter != 10*time.Second || !pe.Temporary {
			t.Errorf("a wait that is too long: %v", err)
		}
		leave, err = mine.enter(t.Context(), 1, 20*time.Second)
		if err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("let in after %s: %v", time.Since(began), err)
		}
		leave()
	})
}

func TestLaneIsClosedUnderThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := UnlimitedLanes().lane("app", "tenant", directory, false)
		began := time.Now()
		l.close(2 * time.Second)
		go func() {
			time.Sleep(time.Second)
			l.close(5 * time.Second)
		}()
		leave, err := l.enter(t.Context(), 1, time.Minute)
		if err != nil || time.Since(began) != 6*time.Second {
			t.Fatalf("let in after %s: %v", time.Since(began), err)
		}
		leave()
	})
}

func TestLanePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLanes().lane("app", "tenant", conditionalAccess, false)
		began := time.Now()
		var calls sync.WaitGroup
		var mu sync.Mutex
		inside, most := 0, 0
		for range 5 {
			calls.Go(func() {
				leave, err := l.enter(t.Context(), 1, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				defer leave()
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
				mu.Lock()
				inside--
				mu.Unlock()
			})
		}
		calls.Wait()
		if took := time.Since(began); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("five calls took %s at one a second", took)
		}
		if most != 1 {
			t.Errorf("%d calls at once", most)
		}
	})
}

func TestLaneGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLanes().lane("app", "tenant", conditionalAccess, false)
		over := errors.New("the run is over")
		for _, prepare := range []func(){
			func() { l.close(time.Minute) },
			func() { l.slots <- struct{}{} },
		} {
			prepare()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(over) })
			if _, err := l.enter(ctx, 1, time.Hour); !errors.Is(err, over) {
				t.Errorf("ended with %v", err)
			}
		}
		<-l.slots
		leave, err := l.enter(t.Context(), 1, time.Hour)
		if err != nil {
			t.Fatal(err) // nothing is held by those who left
		}
		leave()
	})
}

func TestServiceOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]service{
		"/v1.0/groups/delta":                        directory,
		"/v1.0/organization":                        directory,
		"/Beta/DeviceManagement/intents":            intune,
		"/beta/deviceAppManagement/mobileApps":      intune,
		"/v1.0/identity/conditionalAccess/policies": conditionalAccess,
		"/v1.0": directory,
		"/":     directory,
	} {
		if got := serviceOf(&url.URL{Path: path}); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// All services of a tenant share a number of calls under way, and those who wait in a
// closed lane are none of them.
func TestCallsAtOnceOfAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lanes := newLanes(3, func(service, bool) Pace { return Pace{PerSecond: 1000, Burst: 1000, Concurrent: 3} })
		closed := lanes.lane("app", "tenant", login, false)
		closed.close(time.Minute)
		for range 3 {
			go func() {
				if leave, err := closed.enter(t.Context(), 1, time.Hour); err == nil {
					leave()
				}
			}()
		}
		synctest.Wait()
		most, inside := 0, 0
		var mu sync.Mutex
		var calls sync.WaitGroup
		began := time.Now()
		for _, s := range []service{directory, intune, conditionalAccess} {
			for range 4 {
				calls.Go(func() {
					leave, err := lanes.lane("app", "tenant", s, s == intune).enter(t.Context(), 1, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					inside--
					mu.Unlock()
					leave()
				})
			}
		}
		calls.Wait()
		if took := time.Since(began); most != 3 || took != 4*time.Second {
			t.Errorf("%d calls at once, and 12 of them took %s; want 3, and 4 s", most, took)
		}
		time.Sleep(time.Minute)
	})
}

// However a window of 20 s lies, no more calls go out than the documentation allows,
// changes included, and not many fewer.
func TestBudgetsOfIntune(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		reads, writes int // callers that make one call after the other
		weight        int // of a read
		calls, most   int // in the densest window: at least and at most
		changes       int // at least
	}{
		{"reads", 8, 0, 1, 900, 1000, 0},
		{"batches", 8, 0, maxBatch, 900, 1000, 0},
		{"changes", 0, 8, 1, 90, 100, 90},
		{"both", 8, 8, maxBatch, 900, 1000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lanes := NewLanes()
				ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
				defer stop()
				var mu sync.Mutex
				var calls, changes []time.Time
				var all sync.WaitGroup
				press := func(callers, weight int, write bool) {
					for range callers {
						all.Go(func() {
							for {
								leave, err := lanes.lane("app", "tenant", intune, write).enter(ctx, weight, time.Hour)
								if err != nil {
									return
								}
								mu.Lock()
								for range weight {
									calls = append(calls, time.Now())
								}
								if write {
									changes = append(changes, time.Now())
								}
								mu.Unlock()
								leave()
							}
						})
					}
				}
				press(c.reads, c.weight, false)
				press(c.writes, 1, true)
				all.Wait()
				if n := densest(calls); n < c.calls || n > c.most {
					t.Errorf("%d calls in 20 s, want %d to %d", n, c.calls, c.most)
				}
				if n := densest(changes); n < c.changes || n > 100 {
					t.Errorf("%d changes in 20 s, want %d to 100", n, c.changes)
				}
			})
		})
	}
}

// densest returns the most calls in any 20 s.
func densest(at []time.Time) int {
	most, from := 0, 0
	for i := range at {
		for at[i].Sub(at[from]) >= 20*time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// Changes have a lane of their own where the provider counts them apart, and no other
// where it does not.
func TestLanesOfChanges(t *testing.T) {
	t.Parallel()
	l := NewLanes()
	for service, apart := range map[service]bool{directory: true, intune: true, conditionalAccess: false, login: false} {
		reads, writes := l.lane("app", "tenant", service, false), l.lane("app", "tenant", service, true)
		if (reads != writes) != apart {
			t.Errorf("%s: a lane of its own for changes: %v, want %v", service, reads != writes, apart)
		}
		if writes.rate.Limit() > reads.rate.Limit() || writes.rate.Limit() <= 0 || cap(writes.slots) == 0 {
			t.Errorf("%s: changes at %v a second, reads at %v", service, writes.rate.Limit(), reads.rate.Limit())
		}
	}
}

// A faulty header does not lock a tenant out for days. The run is told all of the wait.
func TestLaneOpensAfterAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := UnlimitedLanes().lane("app", "tenant", directory, false)
		l.close(48 * time.Hour)
		_, err := l.enter(t.Context(), 1, time.Minute)
		var pe *provider.Error
		if !errors.As(err, &pe) || pe.RetryAfter != 48*time.Hour {
			t.Errorf("told %v", err)
		}
		time.Sleep(time.Hour)
		leave, err := l.enter(t.Context(), 1, 0)
		if err != nil {
			t.Fatal("after an hour:", err)
		}
		leave()
	})
}
