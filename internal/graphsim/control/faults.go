package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/login"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Fault is a rule of the fault plan. The first rule in order that fits a call acts on
// it; a rule without an effect left is passed over. All conditions given must hold.
type Fault struct {
	ID string `json:"id"` // made up when empty

	Method string `json:"method,omitempty"` // exact, any case
	// Path is matched against the whole path, without the query, in any case. A * stands for any
	// run of characters, slashes included: /v1.0/groups* is a prefix, /*/oauth2/v2.0/token a glob.
	Path   string `json:"path,omitempty"`
	Query  string `json:"query,omitempty"`  // substring of the query as sent, such as skiptoken
	Tenant string `json:"tenant,omitempty"` // directory id
	App    string `json:"app,omitempty"`    // client id

	// Skip lets so many fitting calls pass first. Times ends the rule after so many effects, 0 is never.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// Probability is the chance of each fitting call, drawn from the seed of the server; 0 means always.
	Probability float64 `json:"probability,omitempty"`

	Action Action `json:"action"`
}

// Action is what a rule does to a call.
type Action struct {
	Kind ActionKind `json:"kind"`
	// Number is what [ActSignIn] refuses with, such as 7000229; 0 is a refusal without one.
	Number int `json:"number,omitempty"`
	// Status, Code and Message are those of [ActError]; defaults follow from the status. They go
	// before what is known of a Number.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is sent as it is: "5", "2.128", "-1", "900", "soon". "date:30" becomes the HTTP date
	// 30 seconds ahead. Empty sends no header.
	RetryAfter string `json:"retryAfter,omitempty"`
	// DelayMS waits before the answer is sent, with every kind, in milliseconds.
	DelayMS int `json:"delayMs,omitempty"`
	// Bytes is where a reset or truncated body ends, the size of a chunk of a slow one, or the length
	// of a huge string.
	Bytes int `json:"bytes,omitempty"`
	// Value is the target of a redirect or next link, the content type to claim, or the body of [ActBody].
	Value string `json:"value,omitempty"`
}

// ActionKind names an action.
type ActionKind string

// The actions.
const (
	ActThrottle     ActionKind = "throttle"     // 429 with RetryAfter
	ActError        ActionKind = "error"        // Status, in the error form of the service; 502 is HTML
	ActUnauthorized ActionKind = "unauthorized" // 401, the token is expired
	ActChallenge    ActionKind = "challenge"    // 401 with a claims challenge (continuous access evaluation)
	ActForbidden    ActionKind = "forbidden"    // 403; Message may list the missing scopes
	ActSyncState    ActionKind = "sync_state"   // 400 syncStateNotFound
	ActResync       ActionKind = "resync"       // 410 with a Location for a full round
	ActHold         ActionKind = "hold"         // the call takes effect, its answer waits for the control API
	ActDelay        ActionKind = "delay"        // the answer waits DelayMS
	ActDrop         ActionKind = "drop"         // the call takes effect, the connection closes without an answer
	ActReset        ActionKind = "reset"        // the connection closes after Bytes of the body
	ActDrip         ActionKind = "drip"         // the body comes in chunks of Bytes, DelayMS apart
	ActTruncate     ActionKind = "truncate"     // a complete answer whose JSON ends after Bytes
	ActContentType  ActionKind = "content_type" // claims the content type Value
	ActErrorIn200   ActionKind = "error_in_200" // status 200 around an error body
	ActRedirect     ActionKind = "redirect"     // 302 to Value
	ActNextLink     ActionKind = "next_link"    // @odata.nextLink becomes Value; empty means this very page
	ActEmptyPage    ActionKind = "empty_page"   // a list answers an empty page that goes on
	ActReplay       ActionKind = "replay"       // a delta page shows an object twice
	ActHugeString   ActionKind = "huge_string"  // a property of Bytes (10 MiB) is added
	ActDeepJSON     ActionKind = "deep_json"    // a property nested Bytes (100,000) deep is added
	ActNoIdentity   ActionKind = "no_identity"  // 401 Authorization_IdentityNotFound
	ActSignIn       ActionKind = "sign_in"      // the sign-in service refuses with Number, whatever it is
	ActPage         ActionKind = "page"         // Status (403) with a web page, as gateways send it
	ActBody         ActionKind = "body"         // Status (200) with Value for its body
)

// actionKinds are the known ones, to refuse others.
var actionKinds = []ActionKind{
	ActThrottle, ActError, ActUnauthorized, ActChallenge, ActForbidden, ActSyncState, ActResync, ActHold, ActDelay, ActDrop, ActReset, ActDrip,
	ActTruncate, ActContentType, ActErrorIn200, ActRedirect, ActNextLink, ActEmptyPage, ActReplay, ActHugeString, ActDeepJSON, ActNoIdentity,
	ActSignIn, ActPage, ActBody,
}

// Plan is the ordered list of rules and the answers that are held.
type Plan struct {
	mu    sync.Mutex
	rng   *rand.Rand
	rules []*faultRule
	held  []*heldCall
}

type faultRule struct {
	Fault
	path    *regexp.Regexp
	matched int
	fired   int
}

type heldCall struct {
	Hold
	release chan struct{}
}

// Hold is an answer that waits to be released.
type Hold struct {
	ID     string    `json:"id"`
	Fault  string    `json:"fault"` // the rule that holds it
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Tenant string    `json:"tenant"`
	App    string    `json:"app"`
	Since  time.Time `json:"since"`
	Call   int       `json:"call"` // its number in the call log
}

// Fired is a rule that acts on a call.
type Fired struct {
	plan *Plan
	Rule Fault
}

// NewPlan makes an empty plan. seed fixes which calls a rule with a probability acts on.
func NewPlan(seed uint64) *Plan {
	return &Plan{rng: rand.New(rand.NewPCG(seed, 0xfa017))}
}

// add appends a rule and returns it with its id.
func (p *Plan) add(f Fault) (Fault, error) {
	if !slices.Contains(actionKinds, f.Action.Kind) {
		return f, fmt.Errorf("action.kind: %q is not one of %v", f.Action.Kind, actionKinds)
	}
	if f.Probability < 0 || f.Probability > 1 {
		return f, fmt.Errorf("probability: %v is not between 0 and 1", f.Probability)
	}
	if f.Skip < 0 || f.Times < 0 || f.Action.DelayMS < 0 || f.Action.Bytes < 0 {
		return f, errors.New("skip, times, action.delayMs and action.bytes must not be negative")
	}
	if n := f.Action.Number; n < 0 || n > 999_999_999 {
		return f, fmt.Errorf("action.number: %d is not between 0 and 999999999", n)
	}
	if f.Action.Kind == ActSignIn && f.Action.Number == 0 && f.Action.Code == "" {
		return f, errors.New("action.number: a refused sign-in needs a number, or action.code for one without a number")
	}
	if s := f.Action.Status; s != 0 && (s < 200 || s > 599) {
		return f, fmt.Errorf("action.status: %d is not between 200 and 599", s)
	}
	if f.ID == "" {
		f.ID = uuid.NewString()[:8]
	}
	r := &faultRule{Fault: f}
	if f.Path != "" {
		r.path = regexp.MustCompile("(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(f.Path), `\*`, ".*") + "$")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.ContainsFunc(p.rules, func(r *faultRule) bool { return r.ID == f.ID }) {
		return f, fmt.Errorf("id: a fault %q exists", f.ID)
	}
	p.rules = append(p.rules, r)
	return f, nil
}

// remove takes rules out, all of them when id is empty, and releases what they hold.
func (p *Plan) remove(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.rules)
	p.rules = slices.DeleteFunc(p.rules, func(r *faultRule) bool { return id == "" || r.ID == id })
	for _, h := range p.held {
		if id == "" || h.Fault == id {
			close(h.release)
		}
	}
	p.held = slices.DeleteFunc(p.held, func(h *heldCall) bool { return id == "" || h.Fault == id })
	return before - len(p.rules)
}

func (p *Plan) list() []FaultState {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]FaultState, 0, len(p.rules))
	for _, r := range p.rules {
		out = append(out, FaultState{Fault: r.Fault, Matched: r.matched, Fired: r.fired})
	}
	return out
}

// FaultState is a rule with what it has done so far.
type FaultState struct {
	Fault
	Matched int `json:"matched"` // calls that fitted
	Fired   int `json:"fired"`   // calls that it acted on
}

// Match finds the rule that acts on a call and counts it.
func (p *Plan) Match(c *wire.Call) *Fired {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if !r.fits(c) || r.Times > 0 && r.fired >= r.Times {
			continue
		}
		r.matched++
		if r.matched <= r.Skip || r.Probability > 0 && p.rng.Float64() >= r.Probability {
			continue
		}
		r.fired++
		return &Fired{plan: p, Rule: r.Fault}
	}
	return nil
}

func (r *faultRule) fits(c *wire.Call) bool {
	tenantID := ""
	if c.Tenant != nil {
		tenantID = c.Tenant.ID
	}
	return (r.Method == "" || strings.EqualFold(r.Method, c.Method)) &&
		(r.path == nil || r.path.MatchString(path.Clean(c.URL.Path))) &&
		strings.Contains(c.URL.RawQuery, r.Query) &&
		(r.Tenant == "" || strings.EqualFold(r.Tenant, tenantID)) &&
		(r.App == "" || strings.EqualFold(r.App, c.AppID))
}

// Answer builds the answer to a call under the rule that fired. A nil answer closes the
// connection. route makes the true answer, refuse that of a refused sign-in.
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
		n, _ := strconv.Atoi(sec) // not a number: now
		v = c.At.Add(time.Duration(n) * time.Second).Format(http.TimeFormat)
	}
	if v != "" {
		re.Header.Set("Retry-After", v)
	}
	return re
}

// reshape changes a real answer as the rule says.
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
	default: // the others change how the answer is sent, or have acted already
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

// editObject changes a JSON object body and leaves any other body alone.
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

// Await waits as the rule says, at most until closing is closed; entry is the call's number in the log. False means that nobody waits for the answer any more.
func (f *Fired) Await(c *wire.Call, entry int, closing <-chan struct{}) bool {
	a := f.Rule.Action
	if a.DelayMS > 0 && a.Kind != ActDrip {
		t := time.NewTimer(time.Duration(a.DelayMS) * time.Millisecond)
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
	h := f.plan.hold(c, f.Rule.ID, entry)
	defer f.plan.forget(h)
	select {
	case <-h.release:
		return true
	case <-c.Context().Done():
	case <-closing:
	}
	return false
}

func (p *Plan) hold(c *wire.Call, rule string, entry int) *heldCall {
	h := &heldCall{
		Hold:    Hold{ID: uuid.NewString()[:8], Fault: rule, Method: c.Method, Path: c.URL.Path, App: c.AppID, Since: c.At, Call: entry},
		release: make(chan struct{}),
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

// release lets held answers go: one by its id, those of a rule, or all when both are empty.
func (p *Plan) release(id, rule string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	goes := func(h *heldCall) bool { return (id == "" || h.ID == id) && (rule == "" || h.Fault == rule) }
	n := 0
	for _, h := range p.held {
		if goes(h) {
			close(h.release)
			n++
		}
	}
	p.held = slices.DeleteFunc(p.held, goes)
	return n
}

// ShapesBody reports whether the rule decides how the bytes of the body are sent.
func (f *Fired) ShapesBody() bool {
	switch f.Rule.Action.Kind {
	case ActReset, ActDrip, ActTruncate, ActHugeString, ActDeepJSON:
		return true
	default:
		return false
	}
}

// Write sends a body as the rule says.
func (f *Fired) Write(w http.ResponseWriter, c *wire.Call, body []byte) int {
	a := f.Rule.Action
	flush := http.NewResponseController(w)
	switch a.Kind {
	case ActReset:
		_, _ = w.Write(body[:min(len(body), a.Bytes)])
		_ = flush.Flush()
		panic(http.ErrAbortHandler) // the way to break a connection off with net/http
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
