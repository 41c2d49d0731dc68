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
		leave, err := other.enter(t.Context(), time.Second)
		if err != nil || time.Since(began) != 0 {
			t.Fatalf("another tenant waited %s: %v", time.Since(began), err)
		}
		leave()
		_, err = mine.enter(t.Context(), 9*time.Second)
		var pe *provider.Error
		if !errors.As(err, &pe) || pe.Reason != op.ProviderThrottled || pe.RetryAfter != 10*time.Second || !pe.Temporary {
			t.Errorf("a wait that is too long: %v", err)
		}
		leave, err = mine.enter(t.Context(), 20*time.Second)
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
		leave, err := l.enter(t.Context(), time.Minute)
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
				leave, err := l.enter(t.Context(), time.Minute)
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
			if _, err := l.enter(ctx, time.Hour); !errors.Is(err, over) {
				t.Errorf("ended with %v", err)
			}
		}
		<-l.slots
		leave, err := l.enter(t.Context(), time.Hour)
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
