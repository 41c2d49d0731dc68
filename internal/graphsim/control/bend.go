package control

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/login"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Answer builds the response to a call under the rule that fired. nil closes the connection
// without a response. route builds the normal response, refuse that of a refused sign-in.
func (f *Fired) Answer(c *wire.Call, route func(*wire.Call) *wire.Reply, refuse func(*wire.Call, login.SignInRefusal) *wire.Reply) *wire.Reply {
	a := f.Rule.Action
	switch a.Kind {
	case ActThrottle:
		return retryAfter(c, a, c.Throttled())
	case ActError:
		return retryAfter(c, a, plannedError(c, a))
	case ActUnauthorized:
		return c.Unauthorized("InvalidAuthenticationToken", string(wire.ErrTokenExpired), "")
	case ActChallenge:
		return c.Challenge(c.At.Unix())
	case ActForbidden:
		if a.Message != "" {
			return c.ServiceError(http.StatusForbidden, "Forbidden", a.Message)
		}
		if odata.IsIntune(c.ResourcePath()) {
			return c.IntuneError(http.StatusForbidden, "Forbidden", "Application is not authorized to perform this operation as called in app only context but does not have application permissions configured.")
		}
		return c.GraphError(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	case ActSyncState:
		return c.SyncStateNotFound()
	case ActResync:
		return c.Resync()
	case ActNoIdentity:
		return c.IdentityNotFound()
	case ActSignIn:
		return retryAfter(c, a, refuse(c, login.SignInRefusal{Number: a.Number, Status: a.Status, Error: a.Code, Text: a.Message}))
	case ActPage:
		status := a.Status
		if status == 0 {
			status = http.StatusForbidden
		}
		re := wire.HTMLReply(status, "<!DOCTYPE html><html><head><title>Request blocked</title></head><body>The gateway blocked this request.</body></html>")
		re.Header.Set("Content-Type", "text/html")
		return re
	case ActBody:
		re := wire.JSONReply(http.StatusOK, odata.Object{})
		if a.Status != 0 {
			re.Status = a.Status
		}
		re.Body = []byte(a.Value)
		return re
	case ActRedirect:
		return wire.RedirectReply(a.Value)
	case ActDrop:
		route(c)
		return nil
	case ActReset:
		if a.Bytes == 0 {
			return nil
		}
	case ActErrorAfter:
		route(c)
		if a.Status == 0 {
			a.Status = http.StatusGatewayTimeout
		}
		return retryAfter(c, a, plannedError(c, a))
	case ActAccepted:
		f.late = func() { route(c) }
		return &wire.Reply{Status: http.StatusAccepted, Header: http.Header{}}
	case ActDiscard:
		c.Discard = true
	case ActErrorIn200:
		re := c.ServiceError(http.StatusInternalServerError, "InternalServerError", "An internal server error has occurred")
		re.Status = http.StatusOK
		return re
	case ActEmptyPage:
		c.Empty = true
	case ActReplay:
		c.Replayed = true
	case ActHold, ActDelay, ActDrip, ActTruncate, ActContentType, ActNextLink, ActHugeString, ActDeepJSON:
	}
	return f.reshape(c, route(c))
}

func plannedError(c *wire.Call, a Action) *wire.Reply {
	status := a.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if !c.IsGraph {
		message := a.Message
		if message == "" {
			message = "The server is temporarily too busy to handle the request."
		}
		return c.StsError(status, "temporarily_unavailable", 90055, message)
	}
	code, message := "UnknownError", ""
	switch status {
	case http.StatusInternalServerError:
		code, message = "InternalServerError", "An internal server error has occurred"
	case http.StatusServiceUnavailable:
		code, message = "ServiceUnavailable", "The service is temporarily unavailable for maintenance or is overloaded."
	}
	if a.Code != "" {
		code = a.Code
	}
	if a.Message != "" {
		message = a.Message
	}
	switch {
	case status == http.StatusBadGateway && a.Code == "" && a.Message == "":
		re := wire.HTMLReply(status, "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>")
		re.Header.Set("Content-Type", "text/html")
		return re
	case status == http.StatusInternalServerError:
		return c.ServiceError(status, code, message)
	}
	return c.GraphError(status, code, message)
}

func retryAfter(c *wire.Call, a Action, re *wire.Reply) *wire.Reply {
	v := a.RetryAfter
	if sec, ok := strings.CutPrefix(v, "date:"); ok {
		n, _ := strconv.Atoi(sec) // not a number: 0
		v = c.At.Add(time.Duration(n) * time.Second).Format(http.TimeFormat)
	}
	if v != "" {
		re.Header.Set("Retry-After", v)
	}
	return re
}

// reshape changes a normal response by the rule.
func (f *Fired) reshape(c *wire.Call, re *wire.Reply) *wire.Reply {
	a := f.Rule.Action
	switch a.Kind {
	case ActTruncate:
		re.Body = re.Body[:min(len(re.Body), atLeastOne(a.Bytes, len(re.Body)/2))]
	case ActContentType:
		re.Header.Set("Content-Type", a.Value)
	case ActNextLink:
		to := a.Value
		if to == "" {
			to = c.Base + c.URL.RequestURI()
		}
		re.Body = editObject(re.Body, func(o odata.Object) odata.Object { return o.Without(isLink).With("@odata.nextLink", to) })
	case ActHugeString:
		n := atLeastOne(a.Bytes, 10<<20)
		re.Body = editObject(re.Body, func(o odata.Object) odata.Object {
			return append(o, odata.Field{Name: "simHuge", Raw: append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, n)...), '"')})
		})
	case ActDeepJSON:
		n := atLeastOne(a.Bytes, 100_000)
		re.Body = editObject(re.Body, func(o odata.Object) odata.Object {
			return append(o, odata.Field{Name: "simDeep", Raw: append(bytes.Repeat([]byte{'['}, n), bytes.Repeat([]byte{']'}, n)...)})
		})
	default: // the others change how the response is sent, or have acted already
	}
	return re
}

func isLink(name string) bool { return name == "@odata.nextLink" || name == "@odata.deltaLink" }

func atLeastOne(n, standard int) int {
	if n > 0 {
		return n
	}
	return max(standard, 1)
}

// editObject changes a body that is a JSON object. It returns any other body unchanged.
func editObject(body []byte, edit func(odata.Object) odata.Object) []byte {
	if !json.Valid(body) {
		return body
	}
	o, err := odata.Parse(body)
	if err != nil {
		return body
	}
	return edit(o).Encode()
}

// Await delays or holds the response by the rule. entry is the number of the call in the log. It
// returns false if the client disconnected or closing was closed.
func (f *Fired) Await(c *wire.Call, entry int, closing <-chan struct{}) bool {
	a := f.Rule.Action
	delay := time.Duration(a.DelayMS) * time.Millisecond
	if f.late != nil {
		h := f.plan.hold(c, f.Rule.ID, entry, f.late)
		if delay > 0 {
			go f.plan.releaseAfter(delay, h, closing)
		}
		return true
	}
	if delay > 0 && a.Kind != ActDrip {
		t := time.NewTimer(time.Until(c.Began.Add(delay)))
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.Context().Done():
			return false
		case <-closing:
			return false
		}
	}
	if a.Kind != ActHold {
		return true
	}
	h := f.plan.hold(c, f.Rule.ID, entry, nil)
	defer f.plan.forget(h)
	select {
	case <-h.release:
		return true
	case <-c.Context().Done():
	case <-closing:
	}
	return false
}

// releaseAfter releases an accepted call after a delay, unless the simulator stops or it has been
// released before.
func (p *Plan) releaseAfter(delay time.Duration, h *heldCall, closing <-chan struct{}) {
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		p.release(h.ID, "")
	case <-h.release:
	case <-closing:
	}
}

func (p *Plan) hold(c *wire.Call, rule string, entry int, late func()) *heldCall {
	h := &heldCall{
		Hold:    Hold{ID: uuid.NewString()[:8], Fault: rule, Method: c.Method, Path: c.URL.Path, App: c.AppID, Since: c.At, Call: entry},
		release: make(chan struct{}),
		late:    late,
	}
	if c.Tenant != nil {
		h.Tenant = c.Tenant.ID
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, h)
	return h
}

func (p *Plan) forget(h *heldCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.DeleteFunc(p.held, func(o *heldCall) bool { return o == h })
}

func (p *Plan) holds() []Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Hold, 0, len(p.held))
	for _, h := range p.held {
		out = append(out, h.Hold)
	}
	return out
}

// release releases what is held: one by its id, those of a rule, or all if both are empty. It
// returns how many. Accepted calls have taken effect when it returns.
func (p *Plan) release(id, rule string) int {
	p.mu.Lock()
	goes := func(h *heldCall) bool { return (id == "" || h.ID == id) && (rule == "" || h.Fault == rule) }
	var late []func()
	n := 0
	for _, h := range p.held {
		if goes(h) {
			close(h.release)
			n++
			if h.late != nil {
				late = append(late, h.late)
			}
		}
	}
	p.held = slices.DeleteFunc(p.held, goes)
	p.mu.Unlock()
	for _, take := range late {
		take()
	}
	return n
}

// ShapesBody reports whether the rule controls how the body is sent.
func (f *Fired) ShapesBody() bool {
	switch f.Rule.Action.Kind {
	case ActReset, ActDrip, ActTruncate, ActHugeString, ActDeepJSON:
		return true
	default:
		return false
	}
}

// Write sends a body by the rule and returns the number of bytes sent. It panics with
// http.ErrAbortHandler to reset the connection.
func (f *Fired) Write(w http.ResponseWriter, c *wire.Call, body []byte) int {
	a := f.Rule.Action
	flush := http.NewResponseController(w)
	switch a.Kind {
	case ActReset:
		_, _ = w.Write(body[:min(len(body), a.Bytes)])
		_ = flush.Flush()
		panic(http.ErrAbortHandler) // net/http then resets the connection
	case ActDrip:
		return drip(c.Context(), w, flush, body, atLeastOne(a.Bytes, 1024), time.Duration(a.DelayMS)*time.Millisecond)
	default:
		n, _ := w.Write(body)
		return n
	}
}

func drip(ctx context.Context, w http.ResponseWriter, flush *http.ResponseController, body []byte, chunk int, pause time.Duration) int {
	sent := 0
	for len(body) > 0 {
		n, err := w.Write(body[:min(chunk, len(body))])
		sent += n
		if err != nil || flush.Flush() != nil {
			return sent
		}
		body = body[n:]
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return sent
		}
	}
	return sent
}
