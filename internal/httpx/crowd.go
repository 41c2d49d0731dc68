package httpx

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/interlock-dev/interlock/internal/op"
)

// Crowd limits the connections of a server. A connection above the limit gets a 503 and is
// closed. There is room for a few of these; further connections wait to be accepted.
type Crowd struct {
	most int64
	open atomic.Int64
}

// crowdRetry is the Retry-After of a full server.
const crowdRetry = 5 * time.Second

type crowdedKey struct{}

// Bound limits srv to most connections; 0 is no limit. It returns the listener to serve.
func Bound(srv *http.Server, ln net.Listener, most int) net.Listener {
	if most == 0 {
		return ln
	}
	c := &Crowd{most: int64(most)}
	srv.ConnContext = c.accepted
	srv.ConnState = c.moved
	srv.Handler = c.wrap(srv.Handler)
	return netutil.LimitListener(ln, most+most/10+16)
}

func (c *Crowd) accepted(ctx context.Context, conn net.Conn) context.Context {
	if c.open.Add(1) <= c.most {
		return ctx
	}
	return context.WithValue(ctx, crowdedKey{}, true)
}

func (c *Crowd) moved(_ net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		c.open.Add(-1)
	}
}

func (c *Crowd) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(crowdedKey{}) == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		NewProblem(op.ProblemCrowded, op.Args{"retry_after": crowdRetry.String()}).RetryAfter(crowdRetry).answer(w, r)
	})
}
