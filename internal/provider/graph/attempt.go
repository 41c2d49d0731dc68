package graph

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// call is the state of one call in a pipeline. It travels in the context, because the
// sign-in library turns every error below it into text.
type call struct {
	final error   // an error that ends the call and is returned unchanged
	last  *answer // of the last attempt; nil: it got none
	name  string  // of the last attempt: method and path
	id    string  // of the last attempt: its client-request-id
	asked string  // request-id of the last attempt's answer, even if its body was lost
	cause error   // why the last attempt got no usable answer

	service service // that its parts belong to; empty: that of its address
	weight  int     // how many calls the provider counts it as; 0: one

	writes bool // the call makes a change
	doubt  bool // an attempt may have made the change, and no later one succeeded
}

// made reports whether the last attempt got a usable success.
func (c *call) made() bool {
	return c.last != nil && c.last.status < 300 && !c.last.refused && (len(c.last.body) == 0 || json.Valid(c.last.body))
}

// open reports whether the last attempt, which was sent, leaves open if the change was
// made. Only a success and a 4xx answer don't; and a 408 does, because gateways answer
// it for requests that they have passed on.
func (c *call) open() bool {
	refused := c.last != nil && c.last.status >= 400 && c.last.status < 500 && c.last.status != http.StatusRequestTimeout
	return !c.made() && !refused
}

type callKey struct{}

// errUnreadable is a successful answer that is not JSON.
var errUnreadable = errors.New("the answer is not JSON")

// errNotOurs is a request to an address outside the connection's endpoints.
var errNotOurs = errors.New("the address is none of the connection's")

// permanent is an error that the retry policy does not retry.
type permanent struct{ error }

func (permanent) NonRetriable()   {}
func (p permanent) Unwrap() error { return p.error }

// attempt is the last policy of every pipeline, including the sign-in library's. It checks
// the address, waits in the lane, asks Config.Before, and sets deadline and id.
type attempt struct{ c *Client }

// Do implements [policy.Policy].
func (a attempt) Do(req *policy.Request) (*http.Response, error) {
	ctx := req.Raw().Context()
	call := ctx.Value(callKey{}).(*call)
	call.last, call.cause, call.asked = nil, nil, ""
	resp, err := a.try(ctx, call, req)
	if err != nil {
		call.cause = err
	}
	return resp, err
}

func (a attempt) try(ctx context.Context, call *call, req *policy.Request) (*http.Response, error) {
	u := req.Raw().URL
	service, ours := a.c.service(u)
	if !ours {
		return nil, permanent{errNotOurs}
	}
	weight := 1
	if service != login && call.weight > 0 { // the call may sign in first
		service, weight = call.service, call.weight
	}
	change := call.writes && service != login
	lane := a.c.lanes.lane(a.c.clientID, a.c.directory, service, change)
	leave, err := lane.enter(ctx, weight, a.c.retry.MaxRetryDelay)
	if err != nil {
		call.final = err
		return nil, permanent{err}
	}
	defer leave()
	deadline, err := a.c.before(ctx)
	if err != nil {
		call.final = err
		return nil, permanent{err}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var sent atomic.Bool
	if change {
		// From when there is a connection, the provider may get the request.
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
		defer func() { call.doubt = call.doubt && !call.made() || (sent.Load() || call.last != nil) && call.open() }()
	}
	req = req.Clone(ctx)
	if change {
		req.Raw().GetBody = nil // otherwise the transport may send it a second time
		if body := req.Raw().Body; body != nil {
			req.Raw().Body = timely{body, deadline}
		}
	}
	id := uuid.NewString()
	req.Raw().Header.Set("client-request-id", id)
	call.name, call.id = provider.CallName(req.Raw().Method, u.Path), id

	began := time.Now()
	a.c.asked(began)
	resp, err := req.Next() // with its body
	if resp != nil {
		call.asked = cmp.Or(resp.Header.Get("request-id"), resp.Header.Get("x-ms-request-id"))
	}
	if err != nil {
		a.c.log.LogAttrs(ctx, slog.LevelDebug, "provider call failed",
			slog.String("service", string(service)), slog.String("path", u.Path), slog.Duration("took", time.Since(began)),
			slog.String("client_request_id", id), slog.String("error", a.c.redactor.text(err.Error())))
		return nil, err
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	call.last = &answer{
		service: service, call: call.name, status: resp.StatusCode, header: resp.Header,
		body: bytes.TrimPrefix(body, []byte("\ufeff")), clientID: id, at: now,
	}
	call.last.refused = resp.StatusCode >= 300 || errorInside(call.last.body)
	a.c.log.LogAttrs(ctx, slog.LevelDebug, "provider call",
		slog.String("service", string(service)), slog.String("path", u.Path), slog.Int("status", resp.StatusCode),
		slog.Duration("took", now.Sub(began)), slog.String("client_request_id", id),
		slog.String("request_id", a.c.redactor.text(resp.Header.Get("request-id"))))
	wait := retryAfter(resp.Header, now)
	if wait > 0 && busy(resp.StatusCode) {
		lane.close(wait)
	}
	putRetryAfter(resp.Header, wait)
	if resp.StatusCode < 300 && !json.Valid(call.last.body) && !(change && len(call.last.body) == 0) {
		a.c.answered()
		return nil, errUnreadable
	}
	a.c.answered()
	return resp, nil
}

// timely is the body of a change. It can't be read after the deadline. A process that
// stood still would otherwise send what it was about to send, before the timer of its
// context fires. observed: it did.
type timely struct {
	io.ReadCloser
	deadline time.Time
}

// Read implements [io.Reader].
func (b timely) Read(p []byte) (int, error) {
	// By the wall clock, too: the other one may stand still with the machine.
	if now := time.Now(); now.After(b.deadline) || now.Round(0).After(b.deadline.Round(0)) {
		return 0, context.DeadlineExceeded
	}
	return b.ReadCloser.Read(p)
}

// asked notes the start of an attempt, and answered that one got an answer, even a refusal.
// In between the provider counts as silent.
func (c *Client) asked(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.vain.IsZero() {
		c.vain = at
	}
}

func (c *Client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vain = time.Time{}
}

// putRetryAfter writes a wait in the one form that the retry policy reads correctly: it
// ignores fractions of seconds, and overflows on large values.
func putRetryAfter(h http.Header, wait time.Duration) {
	for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		h.Del(name)
	}
	if wait > 0 {
		h.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	}
}

// failure returns the error of a call that did not succeed.
func (c *Client) failure(ctx context.Context, call *call, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case call.final != nil:
		return call.final
	case call.last != nil && call.last.status >= 300:
		return c.told(classify(*call.last))
	case call.cause != nil:
		err = call.cause
	}
	e := unanswered(call.last, err)
	e.Call, e.ClientID, e.RequestID = call.name, call.id, call.asked
	return c.told(e)
}

// told redacts secrets in the provider's texts, sets the time of silence, and logs the
// failed call. It returns e.
func (c *Client) told(e *provider.Error) *provider.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Reason == op.ProviderUnreachable && !c.vain.IsZero() {
		e.Silence = time.Since(c.vain)
	}
	for _, text := range []*string{&e.Message, &e.Note, &e.Code, &e.RequestID, &e.CorrelationID, &e.Call} {
		*text = c.redactor.text(*text)
	}
	c.log.LogAttrs(context.Background(), slog.LevelWarn, "provider refused a call",
		slog.String("call", e.Call), slog.String("reason", string(e.Reason)), slog.Int("status", e.Status), slog.String("code", e.Code),
		slog.String("text", e.Message), slog.String("found", e.Note), slog.String("request_id", e.RequestID),
		slog.String("client_request_id", e.ClientID), slog.String("correlation_id", e.CorrelationID))
	return e
}
