package httpx

import (
	"strconv"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Streams limits the open streams of a person, over all surfaces. A nil Streams is no limit. It is
// safe for concurrent use.
type Streams struct {
	most int

	mu   sync.Mutex
	open map[string]int // by person
}

// NewStreams returns a limit of most streams per person, or nil if most is 0: no limit.
func NewStreams(most int) *Streams {
	if most == 0 {
		return nil
	}
	return &Streams{most: most, open: make(map[string]int)}
}

// streamsRetry is the Retry-After for a person with too many streams. It is a guess: nobody
// knows when a stream ends.
const streamsRetry = 30 * time.Second

// Open counts a stream of a person until done is called. It returns a [*Problem] if the person
// has reached the limit.
func (s *Streams) Open(person string) (done func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[person] >= s.most {
		return nil, NewProblem(op.ProblemTooManyStreams, op.Args{
			"limit": strconv.Itoa(s.most), "retry_after": streamsRetry.String(),
		}).RetryAfter(streamsRetry)
	}
	s.open[person]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[person]--; s.open[person] == 0 {
			delete(s.open, person)
		}
	}), nil
}
