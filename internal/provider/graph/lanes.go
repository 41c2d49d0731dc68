package graph

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// service is a part of the provider with a rate limit of its own.
type service string

const (
	login             service = "login"
	directory         service = "directory"
	intune            service = "intune"
	conditionalAccess service = "conditional access"
)

// Pace limits the calls of one application to one service of one tenant.
type Pace struct {
	PerSecond  float64
	Burst      int
	Concurrent int // calls at the same time
}

// paces keep one application within its limits in the smallest tenant. A bucket lets
// through its burst, and its rate on top: in 20 s at most Burst + 20 x PerSecond calls.
// docs: directory 3,500 units in 10 s at up to 5 units a call; Intune 1,000 calls in 20 s,
// reads and changes together; conditional access 1 call a second, without a Retry-After.
var paces = map[service]Pace{
	login:             {PerSecond: 5, Burst: 10, Concurrent: 4},
	directory:         {PerSecond: 40, Burst: 40, Concurrent: 4},
	intune:            {PerSecond: 20, Burst: 560, Concurrent: 8},
	conditionalAccess: {PerSecond: 1, Burst: 1, Concurrent: 1},
}

// writePaces are for changes, where the provider has a further limit for them. docs:
// Intune 100 changes in 20 s, the directory 3,000 in 150 s. Conditional access counts
// reads and changes together.
var writePaces = map[service]Pace{
	directory: {PerSecond: 10, Burst: 10, Concurrent: 2},
	intune:    {PerSecond: 4.5, Burst: 8, Concurrent: 2},
}

// callsAtOnce is how many calls one application makes in one tenant at the same time,
// over all services. No limit is documented; it keeps one large
// tenant from taking all of a process.
const callsAtOnce = 10

// maxPause is the longest time that an answer can close a lane. Real waits are under ten
// minutes; a faulty header must not lock out a tenant for days.
const maxPause = time.Hour

// Lanes keep the calls of one process within the provider's rate limits. There is one lane
// for each application, tenant and service, and another one for changes where the
// provider limits them further. All lanes of an application in a tenant share a number of
// calls under way. A closed lane delays no other. Lanes are safe for concurrent use.
type Lanes struct {
	pace  func(service, bool) Pace
	most  int // calls under way for each application and tenant
	mu    sync.Mutex
	lanes map[laneKey]*lane
	slots map[laneKey]chan struct{} // by application and tenant
}

type laneKey struct {
	app, tenant string
	service     service
	writes      bool
}

// NewLanes returns lanes at the provider's documented limits.
func NewLanes() *Lanes {
	return newLanes(callsAtOnce, func(s service, writes bool) Pace {
		if writes {
			return writePaces[s]
		}
		return paces[s]
	})
}

// UnlimitedLanes returns lanes that obey Retry-After and have no other limit, for a
// simulator.
func UnlimitedLanes() *Lanes {
	return newLanes(64, func(service, bool) Pace {
		return Pace{PerSecond: float64(rate.Inf), Burst: maxBatch, Concurrent: 64}
	})
}

func newLanes(most int, pace func(s service, writes bool) Pace) *Lanes {
	return &Lanes{pace: pace, most: most, lanes: make(map[laneKey]*lane), slots: make(map[laneKey]chan struct{})}
}

func (l *Lanes) lane(app, tenant string, s service, writes bool) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.make(laneKey{app, tenant, s, false}, nil)
	if _, apart := writePaces[s]; !writes || !apart {
		return all
	}
	return l.make(laneKey{app, tenant, s, true}, all.rate) // which counts changes, too
}

// make returns the lane of key, whose calls count in shared, too. l.mu is held.
func (l *Lanes) make(key laneKey, shared *rate.Limiter) *lane {
	if l.lanes[key] == nil {
		connection := laneKey{app: key.app, tenant: key.tenant}
		if l.slots[connection] == nil {
			l.slots[connection] = make(chan struct{}, l.most)
		}
		p := l.pace(key.service, key.writes)
		l.lanes[key] = &lane{
			rate: rate.NewLimiter(rate.Limit(p.PerSecond), p.Burst), shared: shared,
			slots: make(chan struct{}, p.Concurrent), connection: l.slots[connection],
		}
	}
	return l.lanes[key]
}

// serviceOf returns the service that a Graph URL belongs to.
func serviceOf(u *url.URL) service {
	part := strings.Split(strings.Trim(strings.ToLower(u.Path), "/"), "/")
	if len(part) < 2 {
		return directory
	}
	switch part[1] { // after the version
	case "devicemanagement", "deviceappmanagement":
		return intune
	case "identity":
		return conditionalAccess
	default:
		return directory
	}
}

// lane limits the calls to one service of one tenant.
type lane struct {
	rate       *rate.Limiter
	shared     *rate.Limiter // of the lane whose limit counts these calls, too; nil: none
	slots      chan struct{}
	connection chan struct{} // slots of all lanes of the connection

	mu    sync.Mutex
	until time.Time // the lane is closed until then
	asked time.Time // until when the provider asked to wait; may be later than until
}

// burst returns how many calls the lane ever lets through at once.
func (l *lane) burst() int { return l.rate.Burst() }

// enter waits until a call may be made that the provider counts as weight calls, and returns
// a function that leaves the lane. If the wait would be longer than most, it returns a
// provider_throttled error at once, as the provider would.
func (l *lane) enter(ctx context.Context, weight int, most time.Duration) (leave func(), err error) {
	if err := take(ctx, l.slots); err != nil {
		return nil, err
	}
	turns := []*rate.Reservation{l.rate.ReserveN(time.Now(), weight)}
	if l.shared != nil {
		turns = append(turns, l.shared.ReserveN(time.Now(), weight))
	}
	giveUp := func() {
		for _, t := range turns {
			t.Cancel()
		}
		<-l.slots
	}
	var wait time.Duration
	for _, t := range turns {
		wait = max(wait, t.Delay())
	}
	for ; ; wait = l.closed() {
		if wait > most {
			giveUp()
			return nil, l.full(wait)
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
				continue
			case <-ctx.Done():
				giveUp()
				return nil, context.Cause(ctx)
			}
		}
		// Last, so that those who wait in a closed lane hold up no other.
		if err := take(ctx, l.connection); err != nil {
			giveUp()
			return nil, err
		}
		if l.closed() <= 0 {
			return func() { <-l.connection; <-l.slots }, nil
		}
		<-l.connection
	}
}

// take takes a slot, or returns why ctx ended first.
func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// full returns the error of a call that would have to wait too long.
func (l *lane) full(wait time.Duration) error {
	note := "the provider’s documented limit is used up"
	if l.closed() > 0 {
		note = "an earlier answer asked to wait"
	}
	return &provider.Error{Reason: op.ProviderThrottled, Note: note, Temporary: true, RetryAfter: l.wanted(wait), At: time.Now()}
}

// closed returns how much longer the lane is closed; not above 0 when it is open.
func (l *lane) closed() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

// wanted returns how much longer the provider asked to wait, at least wait.
func (l *lane) wanted(wait time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(wait, time.Until(l.asked))
}

// close closes the lane for d, at most [maxPause].
func (l *lane) close(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if until := now.Add(min(d, maxPause)); until.After(l.until) {
		l.until = until
	}
	if asked := now.Add(d); asked.After(l.asked) {
		l.asked = asked
	}
}

// busy reports whether a status asks the client to slow down.
func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}
