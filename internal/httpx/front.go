// Package httpx holds what the HTTP surfaces of Interlock share: what every
// request passes before it is looked at, who is let in, how an error becomes an
// answer, and how a stream of events is written.
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

// Front is what every request passes first: it gets an id, the address of who
// sent it, security headers, a line in the log, and an answer even when the
// handler panics.
type Front struct {
	Logger *slog.Logger // nil: the default one
	// Proxies are whose X-Forwarded-For is believed. None: the address is the one
	// that the connection came from.
	Proxies []netip.Prefix
	// Requests bounds how often an address, as [access.Network] counts it, may ask. nil: it doesn't.
	Requests *Budget
	// Patience is how long a reader may take for each piece of an answer; 0: 30 s. A
	// reader that stands still longer is gone.
	Patience time.Duration
	// Piece answers the script of a page with the problem, in the place that the script
	// has for the answer. nil: with a piece that fits anywhere.
	Piece func(http.ResponseWriter, *http.Request, *Problem)
}

// refuse answers with a problem that no surface was asked about.
func (f Front) refuse(w http.ResponseWriter, r *http.Request, p *Problem) {
	if f.Piece != nil && r.Header.Get("HX-Request") != "" {
		f.Piece(w, r, p)
		return
	}
	p.answer(w, r)
}

// patience is how long a piece of an answer may take to be read, by default. With
// pieces of [piece] bytes a reader needs 2 KiB a second at the least.
const (
	patience = 30 * time.Second
	piece    = 64 << 10
)

// Exchange is what is known of one request while it is answered.
type Exchange struct {
	ID     string // in the header X-Request-Id of the answer
	Remote string // address of the client, without its port
	Route  string // pattern of the route; empty: there is none
	Actor  string // id of who asked; empty: nobody is known

	log *slog.Logger
}

func (x *Exchange) logger() *slog.Logger {
	if x.log == nil {
		return slog.Default()
	}
	return x.log
}

type exchangeKey struct{}

// Of returns the exchange that ctx belongs to. Outside of one it is empty.
func Of(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{}
}

// Wrap returns next behind f.
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
			out.extend() // what the server still has of the answer
			x.logger().LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("request_id", x.ID), slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.String("route", x.Route), slog.Int("status", out.status), slog.Int64("bytes", out.bytes),
				slog.Duration("took", time.Since(began)), slog.String("remote", x.Remote), slog.String("actor", x.Actor))
		}()
		if f.Requests != nil {
			if wait := f.Requests.Spend(access.Network(x.Remote)); wait > 0 {
				wait = (wait + time.Second - 1).Truncate(time.Second) // what is said and Retry-After are the same
				f.refuse(out, r, NewProblem(op.ProblemTooManyRequests, op.Args{"retry_after": wait.String()}).RetryAfter(wait))
				return
			}
		}
		next.ServeHTTP(out, r)
	})
}

// recovered answers a request whose handler panicked, when that is still
// possible; else the connection is cut, so that a half answer can't pass for a
// whole one.
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

// secure sets the headers that every answer has. Nothing of an API is a page:
// a surface with pages replaces the content policy by its own.
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

// requestID takes over the id that a caller gave, when it can do no harm in logs.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); saneID.MatchString(id) {
		return id
	}
	return rand.Text()
}

// remote returns the client's address: the nearest one that no trusted proxy
// vouches for as its own.
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

// Part returns ctx for a part of its exchange that goes on by itself: what becomes
// known of the part is not written into the exchange.
func Part(ctx context.Context) context.Context {
	x := *Of(ctx)
	return context.WithValue(ctx, exchangeKey{}, &x)
}

// response remembers what was answered, and gives the reader of each piece of it
// only so long.
type response struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	status   int
	bytes    int64
}

// extend moves the deadline for the reader.
func (w *response) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience)) // a writer of a test has none
}

// WriteHeader remembers the first status that is no informational one.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts, and writes long answers in pieces: what moves may take as long as
// it needs.
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
