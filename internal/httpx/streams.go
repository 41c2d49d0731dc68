package httpx

import (
	"strconv"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Streams bounds how many streams one person may hold at a time, of whichever
// surface. A nil one bounds nothing. It is safe for concurrent use.
type Streams struct {
	most int

	mu   sync.Mutex
	open map[string]int // by person
}

// NewStreams returns a bound of most streams a person; nil for any number, which is 0.
func NewStreams(most int) *Streams {
	if most == 0 {
		return nil
	}
	return &Streams{most: most, open: make(map[string]int)}
}

// streamsRetry is after how long a person with too many streams may ask again.
// Nobody knows when one of them ends.
const streamsRetry = 30 * time.Second

// Open counts one more stream of a person, until done is called; a person who
// holds as many as they may gets a problem.
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
