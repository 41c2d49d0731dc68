// Package httpx is shared by the HTTP surfaces of Interlock: the middleware of every request,
// authentication and authorization, error responses, rate limits, and event streams.
package httpx

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
)

// Front is the middleware of every request: it sets a request id, the client's address and
// security headers, writes a log line, and responds even if the handler panics.
type Front struct {
	Logger *slog.Logger // nil: slog.Default()
	// Proxies are the trusted proxies, whose X-Forwarded-For is used. Without any, the client's
	// address is that of the connection.
	Proxies []netip.Prefix
	// Requests limits the requests of an address, as [access.Network] counts it. nil: no limit.
	Requests *Budget
	// Patience is how long a client may take to read each part of a response; 0: 30 s. After
	// that its connection is closed.
	Patience time.Duration
	// Piece writes a problem for the script of a page, in the place where the script expects the
	// response. nil: a part that fits anywhere.
	Piece func(http.ResponseWriter, *http.Request, *Problem)
}

// refuse writes a problem before a surface is reached.
func (f Front) refuse(w http.ResponseWriter, r *http.Request, p *Problem) {
	if f.Piece != nil && r.Header.Get("HX-Request") != "" {
		f.Piece(w, r, p)
		return
	}
	p.answer(w, r)
}

// patience is the default of [Front.Patience]. With parts of [piece] bytes a client must read
// at least 2 KiB/s.
const (
	patience = 30 * time.Second
	piece    = 64 << 10
)

// Exchange holds what is known about a request while it is served.
type Exchange struct {
	ID     string // in the response header X-Request-Id
	Remote string // client address without port
	Route  string // pattern of the route; empty: none
	Actor  string // id of the caller; empty: unknown

	log *slog.Logger
}

func (x *Exchange) logger() *slog.Logger {
	if x.log == nil {
		return slog.Default()
	}
	return x.log
}

type exchangeKey struct{}

// Of returns the exchange of ctx, or an empty one.
func Of(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{}
}

// Wrap returns next with f in front of it.
func (f Front) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		x := &Exchange{ID: requestID(r), Remote: f.remote(r), log: f.Logger}
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		out := &response{ResponseWriter: w, control: http.NewResponseController(w), patience: cmp.Or(f.Patience, patience)}
		out.extend()
		secure(out.Header(), r)
		out.Header().Set("X-Request-Id", x.ID)
		defer func() {
			if fault := recover(); fault != nil {
				f.recovered(out, r, x, fault)
			}
			out.extend() // for the buffered rest of the response
			x.logger().LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("request_id", x.ID), slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.String("route", x.Route), slog.Int("status", out.status), slog.Int64("bytes", out.bytes),
				slog.Duration("took", time.Since(began)), slog.String("remote", x.Remote), slog.String("actor", x.Actor))
		}()
		if f.Requests != nil {
			if wait := f.Requests.Spend(access.Network(x.Remote)); wait > 0 {
				wait = (wait + time.Second - 1).Truncate(time.Second) // the text and Retry-After say the same
				f.refuse(out, r, NewProblem(op.ProblemTooManyRequests, op.Args{"retry_after": wait.String()}).RetryAfter(wait))
				return
			}
		}
		next.ServeHTTP(out, r)
	})
}

// recovered responds to a request whose handler panicked. If the response has begun, it
// closes the connection, so that the client does not take a part for the whole.
func (f Front) recovered(out *response, r *http.Request, x *Exchange, fault any) {
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault)
	}
	x.logger().LogAttrs(r.Context(), slog.LevelError, "handler panicked", slog.String("request_id", x.ID),
		slog.String("route", x.Route), slog.Any("fault", fault), slog.String("stack", string(debug.Stack())))
	if out.status != 0 {
		panic(http.ErrAbortHandler)
	}
	f.refuse(out, r, Explain(errors.New("panic"), x.ID))
}

// secure sets the security headers of every response. A surface with pages replaces the
// content security policy.
func secure(h http.Header, r *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

var saneID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID returns the id that the caller sent, if it is harmless in logs, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); saneID.MatchString(id) {
		return id
	}
	return rand.Text()
}

// remote returns the client's address: the nearest address that is not a trusted proxy's.
func (f Front) remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil || !f.trusts(host) {
			break
		}
		host = next.Unmap().String()
	}
	return host
}

func (f Front) trusts(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(f.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// Part returns ctx for an independent part of its exchange, which gets a copy of the exchange.
func Part(ctx context.Context) context.Context {
	x := *Of(ctx)
	return context.WithValue(ctx, exchangeKey{}, &x)
}

// response records status and size, and limits the time to read each part.
type response struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	status   int
	bytes    int64
}

// extend moves the write deadline.
func (w *response) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience)) // writers of tests have no deadline
}

// WriteHeader records the first status that is not informational.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes long responses in parts, each with its own deadline: a slow client that keeps
// reading is not cut off.
func (w *response) Write(b []byte) (n int, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	for {
		w.extend()
		m, err := w.ResponseWriter.Write(b[n:min(n+piece, len(b))])
		n += m
		w.bytes += int64(m)
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
