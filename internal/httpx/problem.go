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

// Problem is a refusal, a limit or a fault as a problem document (RFC 9457). Its
// code is the contract; title, detail and next are for people.
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

// Wrong is a field of a request that can't be used, and why.
type Wrong struct {
	Field  string `json:"field" doc:"JSON path in the body, or the name of the query parameter or header."`
	Detail string `json:"detail"`
}

// typeBase begins the type of every problem.
const typeBase = "https://interlock.dev/problems/"

// NewProblem returns the problem in the words of package op.
func NewProblem(p op.Problem, args op.Args) *Problem {
	title, why, next := p.Words(args)
	return newProblem(string(p), p.HTTPStatus(), title, why, next)
}

func newProblem(code string, status int, title, why, next string) *Problem {
	return &Problem{
		Type: typeBase + strings.ReplaceAll(code, "_", "-"), Title: title, Status: status, Detail: why, Code: code, Next: next,
	}
}

// NotFound is the answer for what does not exist and for what the caller may not
// see. It has no request id, so that all of them are equal byte for byte.
func NotFound() *Problem { return NewProblem(op.ProblemNotFound, nil) }

// Forbidden is the refusal of a member who lacks a capability.
type Forbidden struct {
	Kind       op.Kind // of the operation that was asked for; empty: it was no start
	Where      string  // name of the tenant or the workspace
	Role       string
	Capability string // in words
}

// Error says what is lacking.
func (f *Forbidden) Error() string { return "lacks the capability " + f.Capability }

// Unwrap makes it an [op.ErrForbidden].
func (f *Forbidden) Unwrap() error { return op.ErrForbidden }

func (f *Forbidden) problem() *Problem {
	p := NewProblem(op.ProblemForbidden, op.Args{
		"operation": string(f.Kind), "tenant": f.Where, "role": f.Role, "capability": f.Capability,
	})
	if f.Kind == "" {
		p.Title = "You cannot do this here"
		about := strings.LastIndex(p.Detail, ". ") // what was not queued stands in the last sentence
		p.Detail = p.Detail[:about+1] + " Nothing was changed."
	}
	return p
}

// SignInError returns err of a sign-in as its answer: there what is wrong is not
// the request's bearer secret but what was typed.
func SignInError(err error) error {
	if !errors.Is(err, access.ErrUnauthenticated) {
		return err
	}
	return newProblem("sign_in_refused", http.StatusUnauthorized, "Couldn't sign in",
		"Email or password is incorrect.", "Check both, then try again.").
		with("WWW-Authenticate", `Bearer realm="interlock"`)
}

// MethodNotAllowed is the answer for a method that an address does not have.
func MethodNotAllowed(allow ...string) *Problem {
	methods := strings.Join(allow, ", ")
	return newProblem("method_not_allowed", http.StatusMethodNotAllowed, "This address has no such method",
		"It can be asked with "+methods+". Nothing was changed.", "Send the request with one of them.").with("Allow", methods)
}

// retrySoon is after how long a client may ask again when the database gave no
// answer: the ones that pass by themselves do so within seconds.
const retrySoon = 5 * time.Second

// Explain returns the problem that err is to who asked, with requestID as the
// reference where there is something to look up. It is the one place where an
// error becomes an HTTP answer.
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
		return newProblem("outcome_unknown", http.StatusServiceUnavailable, "The outcome is not known",
			"The database fell silent while the change was being saved. It may or may not be there.",
			"Send the same request with the same key again: it is answered once, whatever became of the first.").
			referring(requestID).RetryAfter(retrySoon)
	case db.IsUnavailable(err):
		return NewProblem(op.ProblemUnavailable, op.Args{"reference": requestID}).referring(requestID).RetryAfter(retrySoon)
	case errors.Is(err, op.ErrNoAddress):
		return NewProblem(op.ProblemNoAddress, nil)
	case errors.Is(err, op.ErrConflict):
		return NewProblem(op.ProblemConflict, op.Args{"detail": op.PublicConflict(err)})
	}
	p := NewProblem(op.ProblemFault, op.Args{"reference": requestID}).referring(requestID)
	p.Title, p.Next = "Interlock could not answer this request", strings.Replace(p.Next, "Reload the page.", "Send it again.", 1)
	return p
}

// Error returns code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Naming returns p with the fields that can't be used.
func (p *Problem) Naming(fields ...Wrong) *Problem {
	p.Errors = append(p.Errors, fields...)
	return p
}

// RetryAfter returns p saying after how long the request may be sent again.
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

// GetStatus returns the HTTP status. With the next two methods a problem is an
// error that the huma framework writes as it is.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType returns the media type of problem documents.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	p.head(w, p.ContentType(""))
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client is gone
}

// head begins the answer.
func (p *Problem) head(w http.ResponseWriter, contentType string) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(p.Status)
}

// Handler is an HTTP handler that may fail; [WriteError] answers for it then.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls h.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		WriteError(w, r, err)
	}
}

// WriteError answers r with the problem that err is, and logs what is our fault.
func WriteError(w http.ResponseWriter, r *http.Request, err error) { Refuse(r.Context(), err).Write(w) }

// Refuse returns the problem that err is, and logs what is our fault. The problem
// is to be written as it is: refused again, it would be logged twice.
func Refuse(ctx context.Context, err error) *Problem {
	x := Of(ctx)
	x.Failed(ctx, err)
	return Explain(err, x.ID)
}

// Failed logs err when it is a fault of ours or of the database: what the caller
// did wrong is in the request log by its status.
func (x *Exchange) Failed(ctx context.Context, err error) {
	p := Explain(err, x.ID)
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
