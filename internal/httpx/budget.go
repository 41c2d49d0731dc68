package httpx

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/interlock-dev/interlock/internal/op"
)

// Budget limits how often something may be done per minute, for each key separately. The
// budget of a minute may be spent at once. It is safe for concurrent use.
type Budget struct {
	perMinute int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
}

// Budgets are the rate limits of a server, shared by all its surfaces. A nil budget is
// no limit.
type Budgets struct {
	Requests *Budget // per client address
	Starts   *Budget // per person
	Streams  *Streams
}

// Start spends one start of a person. If none is left it spends nothing and returns the problem
// to respond with.
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

// maxKeys limits the memory of a budget. Keys with a full budget are dropped first.
const maxKeys = 10_000

// NewBudget returns a budget of perMinute for each key, or nil if perMinute is 0: no limit.
func NewBudget(perMinute int) *Budget {
	if perMinute == 0 {
		return nil
	}
	return &Budget{perMinute: perMinute, keys: make(map[string]*rate.Limiter)}
}

// PerMinute returns the budget of each key.
func (b *Budget) PerMinute() int { return b.perMinute }

// Spend spends one from the budget of key. If nothing is left it spends nothing and returns
// how long to wait.
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
	if len(b.keys) >= maxKeys { // all keys are in use: dropping them keeps the memory limit
		clear(b.keys)
	}
	l := rate.NewLimiter(rate.Limit(float64(b.perMinute)/60), b.perMinute)
	b.keys[key] = l
	return l
}
