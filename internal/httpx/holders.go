package httpx

import (
	"context"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
)

// Holders are the people with a stream of this process. One query checks the rights of all
// of them: every few seconds, because another process may revoke a right, and immediately
// after a request to this process. The check does not count as use of a session. It is safe
// for concurrent use.
type Holders struct {
	door  *Door
	feed  *Feed
	every time.Duration
	soon  chan struct{}

	standings Shared[map[string]access.Standing]

	mu      sync.Mutex
	held    map[*Holder]bool
	running bool
}

// recheckEvery is how long it takes until a right that another process revoked, or an ended
// session, ends the streams here.
const recheckEvery = 2500 * time.Millisecond

// soonAgain is the minimum time between two queries: many requests at once cause one.
const soonAgain = 100 * time.Millisecond

// NewHolders returns holders whose streams feed wakes.
func NewHolders(door *Door, feed *Feed) *Holders {
	return &Holders{door: door, feed: feed, every: recheckEvery, soon: make(chan struct{}, 1), held: make(map[*Holder]bool)}
}

// Every sets the time between two checks, for tests.
func (h *Holders) Every(d time.Duration) { h.every = d }

// Holder is a person with a stream.
type Holder struct {
	of      *Holders
	token   string
	since   time.Time
	changed chan struct{}

	mu   sync.Mutex
	seen access.Standing
}

// Hold adds the holder of a secret, until Release.
func (h *Holders) Hold(a access.Actor) *Holder {
	one := &Holder{of: h, token: a.TokenID(), since: time.Now(), changed: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[one] = true
	if !h.running {
		h.running = true
		go h.watch()
	}
	return one
}

// Release removes the holder.
func (o *Holder) Release() {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	delete(o.of.held, o)
	if len(o.of.held) == 0 {
		o.of.Check() // the watch ends if nobody is left
	}
}

// Changed receives when the standing differs from the last result of Standing.
func (o *Holder) Changed() <-chan struct{} { return o.changed }

// Standing returns the rights of the holder after all changes known to the feed, or
// [access.ErrUnauthenticated] if the secret is no longer valid. The result may be as old as
// the time between two checks.
func (o *Holder) Standing(ctx context.Context) (access.Standing, error) {
	return o.standing(ctx, o.since)
}

// Now is Standing with a check at this moment.
func (o *Holder) Now(ctx context.Context) (access.Standing, error) {
	return o.standing(ctx, time.Now())
}

func (o *Holder) standing(ctx context.Context, since time.Time) (access.Standing, error) {
	all, err := o.of.look(ctx, since)
	if err != nil {
		return access.Standing{}, err
	}
	s, ok := all[o.token]
	if !ok {
		return access.Standing{}, access.ErrUnauthenticated
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = s
	return s, nil
}

// Check triggers a check soon: a secret or a right may have changed.
func (h *Holders) Check() {
	select {
	case h.soon <- struct{}{}:
	default:
	}
}

func (h *Holders) look(ctx context.Context, since time.Time) (map[string]access.Standing, error) {
	return h.standings.Get(ctx, h.feed, h.feed.Count(), since, func(ctx context.Context) (map[string]access.Standing, error) {
		h.mu.Lock()
		var tokens []string
		once := make(map[string]bool, len(h.held))
		for o := range h.held {
			if !once[o.token] {
				once[o.token] = true
				tokens = append(tokens, o.token)
			}
		}
		h.mu.Unlock()
		return h.door.Standings(ctx, tokens)
	})
}

// watch checks all holders until none is left.
func (h *Holders) watch() {
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.soon:
		}
		h.mu.Lock()
		if len(h.held) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		all, err := h.look(context.Background(), time.Now())
		h.mu.Lock()
		for o := range h.held {
			o.tell(all, err)
		}
		h.mu.Unlock()
		<-time.After(soonAgain) // the loop ends when no holder is left
	}
}

// tell wakes the holder if its standing changed or is unknown.
func (o *Holder) tell(all map[string]access.Standing, err error) {
	o.mu.Lock()
	same := err == nil && all[o.token] == o.seen
	o.mu.Unlock()
	if same {
		return
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}
