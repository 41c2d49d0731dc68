package httpx

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/interlock-dev/interlock/internal/op"
)

// Budget bounds how often something may be done in a minute, for each key on its
// own. The whole minute's worth may be spent at once. It is safe for concurrent use.
type Budget struct {
	perMinute int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// Budgets bound how often a server may be asked, by whichever of its surfaces. A
// nil one bounds nothing.
type Budgets struct {
	Requests *Budget // of an address
	Starts   *Budget // of a person
	Streams  *Streams
}

// Start takes one start from those of a person. When none is left it takes nothing, and
// returns the problem that whoever asked for it is answered with, on every surface.
func (b Budgets) Start(person string) error {
	if b.Starts == nil {
		return nil
	}
	wait := b.Starts.Spend(person)
	if wait == 0 {
		return nil
	}
	return NewProblem(op.ProblemTooManyStarts, op.Args{"limit": strconv.Itoa(b.Starts.PerMinute()), "retry_after": wait.String()}).RetryAfter(wait)
}

// maxKeys bounds the memory of a budget; keys that have their whole budget again
// are forgotten first.
const maxKeys = 10_000

// NewBudget returns a budget of perMinute for each key; nil for any number, which
// is 0.
func NewBudget(perMinute int) *Budget {
	if perMinute == 0 {
		return nil
	}
	return &Budget{perMinute: perMinute, keys: make(map[string]*rate.Limiter)}
}

// PerMinute returns how often each key may spend.
func (b *Budget) PerMinute() int { return b.perMinute }

// Spend takes one from the budget of key. When nothing is left it takes nothing
// and returns how long to wait.
func (b *Budget) Spend(key string) time.Duration {
	now := time.Now()
	r := b.of(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (b *Budget) of(key string, now time.Time) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.keys[key]; ok {
		return l
	}
	if len(b.keys) >= maxKeys {
		for k, l := range b.keys {
			if l.TokensAt(now) >= float64(b.perMinute) {
				delete(b.keys, k)
			}
		}
	}
	if len(b.keys) >= maxKeys { // all of them are spending: better no memory than no limit
		clear(b.keys)
	}
	l := rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)
	b.keys[key] = l
	return l
}
