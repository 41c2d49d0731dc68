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

// paces are well below the limits of one application in the smallest tenant, which leaves
// room for other applications. docs: directory 3,500 units in 10 s at up to 5 units a
// call; Intune 1,000 calls in 20 s; conditional access 1 call a second, without a
// Retry-After.
var paces = map[service]Pace{
	login:             {PerSecond: 5, Burst: 10, Concurrent: 4},
	directory:         {PerSecond: 40, Burst: 40, Concurrent: 4},
	intune:            {PerSecond: 20, Burst: 40, Concurrent: 4},
	conditionalAccess: {PerSecond: 1, Burst: 1, Concurrent: 1},
}

// writePaces are for changes, where the provider has a separate limit for them. docs:
// Intune 100 changes in 20 s, the directory 3,000 in 150 s. Conditional access counts
// reads and changes together.
var writePaces = map[service]Pace{
	directory: {PerSecond: 10, Burst: 10, Concurrent: 2},
	intune:    {PerSecond: 4, Burst: 10, Concurrent: 2},
}

// maxPause is the longest time that an answer can close a lane. Real waits are under ten
// minutes; a faulty header must not lock out a tenant for days.
const maxPause = time.Hour

// Lanes keep the calls of one process within the provider's rate limits. There is one lane
// for each application, tenant and service, and another one for changes where the
// provider limits them separately. A closed lane delays no other. Lanes are safe for
// concurrent use.
type Lanes struct {
	pace  func(service, bool) Pace
	mu    sync.Mutex
	lanes map[laneKey]*lane
}

type laneKey struct {
	app, tenant string
	service     service
	writes      bool
}

// NewLanes returns lanes at the provider's documented limits.
func NewLanes() *Lanes {
	return newLanes(func(s service, writes bool) Pace {
		if writes {
			return writePaces[s]
		}
		return paces[s]
	})
}

// UnlimitedLanes returns lanes that obey Retry-After and have no other limit, for a
// simulator.
func UnlimitedLanes() *Lanes {
	return newLanes(func(service, bool) Pace { return Pace{PerSecond: float64(rate.Inf), Burst: 1, Concurrent: 64} })
}

func newLanes(pace func(s service, writes bool) Pace) *Lanes {
	return &Lanes{pace: pace, lanes: make(map[laneKey]*lane)}
}

func (l *Lanes) lane(app, tenant string, s service, writes bool) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, apart := writePaces[s]
	key := laneKey{app, tenant, s, writes && apart}
	if l.lanes[key] == nil {
		p := l.pace(s, key.writes)
		l.lanes[key] = &lane{rate: rate.NewLimiter(rate.Limit(p.PerSecond), p.Burst), slots: make(chan struct{}, p.Concurrent)}
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
	rate  *rate.Limiter
	slots chan struct{}

	mu    sync.Mutex
	until time.Time // the lane is closed until then
	asked time.Time // until when the provider asked to wait; may be later than until
}

// enter waits until a call may be made and returns a function that leaves the lane. If the
// wait would be longer than most, it returns a provider_throttled error at once, as the
// provider would.
func (l *lane) enter(ctx context.Context, most time.Duration) (leave func(), err error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave = func() { <-l.slots }
	turn := l.rate.Reserve()
	for wait := turn.Delay(); ; wait = l.closed() {
		wait = max(wait, l.closed())
		if wait <= 0 {
			return leave, nil
		}
		if wait > most {
			turn.Cancel()
			leave()
			return nil, &provider.Error{
				Reason: op.ProviderThrottled, Note: "an earlier answer asked to wait", Temporary: true, RetryAfter: l.wanted(wait), At: time.Now(),
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			turn.Cancel()
			leave()
			return nil, context.Cause(ctx)
		}
	}
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
