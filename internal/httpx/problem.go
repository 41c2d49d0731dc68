package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// Problem is a problem document (RFC 9457) for a refusal, a limit or a fault. The code is
// stable for programs; title, detail and next are for people.
type Problem struct {
	Type      string   `json:"type" format:"uri" doc:"Names the kind of problem. It is stable, and equal for equal codes."`
	Title     string   `json:"title" doc:"What happened."`
	Status    int      `json:"status" doc:"The HTTP status."`
	Detail    string   `json:"detail" doc:"Why."`
	Code      string   `json:"code" doc:"The kind of problem, for programs."`
	Next      string   `json:"next" doc:"What to do next."`
	RequestID string   `json:"request_id,omitempty" doc:"What to send to support. The header X-Request-Id always has it."`
	Fields    []string `json:"fields,omitempty" doc:"The values that differ, when a key came before with other ones."`
	Errors    []Wrong  `json:"errors,omitempty" doc:"Every field that can't be used."`

	header http.Header
}

// Wrong is an invalid field of a request, with the reason.
type Wrong struct {
	Field  string `json:"field" doc:"JSON path in the body, or the name of the query parameter or header."`
	Detail string `json:"detail"`
}

// typeBase is the prefix of the type of every problem.
const typeBase = "https://interlock.dev/problems/"

// NewProblem returns a problem with the words of package op.
func NewProblem(p op.Problem, args op.Args) *Problem {
	title, why, next := p.Words(args)
	return newProblem(string(p), p.HTTPStatus(), title, why, next)
}

func newProblem(code string, status int, title, why, next string) *Problem {
	return &Problem{
		Type: typeBase + strings.ReplaceAll(code, "_", "-"), Title: title, Status: status, Detail: why, Code: code, Next: next,
	}
}

// NotFound is the response for what does not exist and for what the caller may not see. It has
// no request id, so that the two are equal byte for byte.
func NotFound() *Problem { return NewProblem(op.ProblemNotFound, nil) }

// Forbidden is the error for a member who lacks a capability.
type Forbidden struct {
	Kind       op.Kind // of the operation to start; empty: not a start
	Where      string  // name of the tenant or workspace
	Role       string
	Capability string // in words
}

// Error names the missing capability.
func (f *Forbidden) Error() string { return "lacks the capability " + f.Capability }

// Unwrap returns [op.ErrForbidden].
func (f *Forbidden) Unwrap() error { return op.ErrForbidden }

func (f *Forbidden) problem() *Problem {
	return NewProblem(op.ProblemForbidden, op.Args{
		"operation": string(f.Kind), "tenant": f.Where, "role": f.Role, "capability": f.Capability,
	})
}

// SignInError returns the problem for an error of a sign-in. There an authentication error is
// about the typed values, not about the bearer secret.
func SignInError(err error) error {
	if !errors.Is(err, access.ErrUnauthenticated) {
		return err
	}
	return newProblem("sign_in_refused", http.StatusUnauthorized, "Couldn't sign in",
		"Email or password is incorrect.", "Check both, then try again.").
		with("WWW-Authenticate", `Bearer realm="interlock"`)
}

// MethodNotAllowed is the response for a method that a path does not have.
func MethodNotAllowed(allow ...string) *Problem {
	methods := strings.Join(allow, ", ")
	return newProblem("method_not_allowed", http.StatusMethodNotAllowed, "Method not allowed",
		"This address accepts "+methods+". Nothing was changed.", "Send the request with one of these methods.").with("Allow", methods)
}

// retrySoon is the Retry-After when the database is unavailable: short outages end within
// seconds.
const retrySoon = 5 * time.Second

// Explain returns the problem for err, with requestID as the reference if there is something
// to look up. It is the only place where an error becomes an HTTP response.
func Explain(err error, requestID string) *Problem {
	var (
		problem   *Problem
		forbidden *Forbidden
		beyond    *access.BeyondError
		field     *op.FieldError
		tries     *access.LimitError
		second    *access.SecondFactorError
		large     *http.MaxBytesError
	)
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.Is(err, op.ErrNotFound):
		return NotFound()
	case errors.As(err, &beyond):
		return NewProblem(op.ProblemBeyondAccess, op.Args{"detail": beyond.Words()})
	case errors.Is(err, access.ErrLink):
		return NewProblem(op.ProblemLink, nil)
	case errors.As(err, &forbidden):
		return forbidden.problem()
	case errors.Is(err, op.ErrForbidden):
		return (&Forbidden{}).problem()
	case errors.Is(err, access.ErrUnauthenticated):
		return NewProblem(op.ProblemSignedOut, nil).with("WWW-Authenticate", `Bearer realm="interlock"`)
	case errors.Is(err, access.ErrNotFresh):
		return NewProblem(op.ProblemNotFresh, nil)
	case errors.Is(err, access.ErrFactorRequired):
		return NewProblem(op.ProblemFactorMissing, nil)
	case errors.As(err, &second):
		return NewProblem(op.ProblemSecondFactor, nil).with("WWW-Authenticate", `Bearer realm="interlock"`)
	case errors.Is(err, access.ErrSignInOver):
		return NewProblem(op.ProblemSignInOver, nil).with("WWW-Authenticate", `Bearer realm="interlock"`)
	case errors.Is(err, access.ErrNoPasskeys):
		return NewProblem(op.ProblemNoPasskeys, nil)
	case errors.Is(err, access.ErrNoSession):
		return NewProblem(op.ProblemSessionOnly, nil)
	case errors.As(err, &tries):
		return NewProblem(op.ProblemTooManyTries, op.Args{"retry_after": tries.RetryAfter.Round(time.Second).String()}).RetryAfter(tries.RetryAfter)
	case errors.As(err, &field):
		return NewProblem(op.ProblemField, op.Args{"field": field.Field, "detail": field.Detail}).
			Naming(Wrong{Field: field.Field, Detail: field.Detail})
	case errors.As(err, &large):
		return NewProblem(op.ProblemTooLarge, op.Args{"limit": bytesInWords(large.Limit)})
	case errors.Is(err, db.ErrOutcomeUnknown):
		return newProblem("outcome_unknown", http.StatusServiceUnavailable, "The result is not known",
			"The database stopped responding while the change was being saved. It may or may not be saved.",
			"Send the same request with the same key again. It takes effect only once.").
			referring(requestID).RetryAfter(retrySoon)
	case db.IsUnavailable(err):
		return NewProblem(op.ProblemUnavailable, op.Args{"reference": requestID}).referring(requestID).RetryAfter(retrySoon)
	case errors.Is(err, op.ErrNoAddress):
		return NewProblem(op.ProblemNoAddress, nil)
	case errors.Is(err, op.ErrConflict):
		return NewProblem(op.ProblemConflict, op.Args{"detail": op.PublicConflict(err), "next": op.NextAfterConflict(err)})
	}
	return NewProblem(op.ProblemFault, op.Args{"reference": requestID}).referring(requestID)
}

// ForPage returns p with the words of a page of its own.
func (p *Problem) ForPage() *Problem {
	kind := op.Problem(p.Code)
	if kind != op.ProblemNotFound && kind != op.ProblemFault {
		return p // its words fit a page, too
	}
	page := *p
	page.Title, page.Detail, page.Next = kind.PageWords(op.Args{"reference": p.RequestID})
	return &page
}

// Error returns code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Naming returns p with the invalid fields.
func (p *Problem) Naming(fields ...Wrong) *Problem {
	p.Errors = append(p.Errors, fields...)
	return p
}

// RetryAfter returns p with the header Retry-After, in whole seconds, at least 1.
func (p *Problem) RetryAfter(d time.Duration) *Problem {
	return p.with("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}

func (p *Problem) referring(requestID string) *Problem {
	p.RequestID = requestID
	return p
}

func (p *Problem) with(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// GetStatus returns the HTTP status. With the next two methods a problem is an error that the
// huma framework writes unchanged.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers of the problem.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType returns the media type of problem documents.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Write writes the problem as the response.
func (p *Problem) Write(w http.ResponseWriter) {
	p.head(w, p.ContentType(""))
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client may have disconnected
}

// head writes the headers of the response.
func (p *Problem) head(w http.ResponseWriter, contentType string) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(p.Status)
}

// Handler is an HTTP handler that may return an error, which [WriteError] writes.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls h.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		WriteError(w, r, err)
	}
}

// WriteError writes the problem for err, and logs it if it is a server fault.
func WriteError(w http.ResponseWriter, r *http.Request, err error) { Refuse(r.Context(), err).Write(w) }

// Refuse returns the problem for err, and logs it if it is a server fault. Write the problem
// unchanged: passed to Refuse again, it would be logged twice.
func Refuse(ctx context.Context, err error) *Problem {
	x := Of(ctx)
	p := Explain(err, x.ID)
	x.Failed(ctx, p, err)
	return p
}

// Failed logs err, which is answered with p, if p is a fault of the server or the database.
// Errors of the caller are in the request log, by their status.
func (x *Exchange) Failed(ctx context.Context, p *Problem, err error) {
	if p.Status < http.StatusInternalServerError || ctx.Err() != nil {
		return
	}
	x.logger().LogAttrs(ctx, slog.LevelError, "request failed",
		slog.String("request_id", x.ID), slog.String("route", x.Route), slog.String("problem", p.Code), slog.Any("error", err))
}

func bytesInWords(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
