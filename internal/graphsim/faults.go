package graphsim

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

// faultPlan is the ordered list of rules and the answers that are held.
type faultPlan struct {
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

// firedFault is a rule that acts on a call.
type firedFault struct {
	plan *faultPlan
	rule Fault
}

func (p *faultPlan) init(seed uint64) { p.rng = rand.New(rand.NewPCG(seed, 0xfa017)) }

// add appends a rule and returns it with its id.
func (p *faultPlan) add(f Fault) (Fault, error) {
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
func (p *faultPlan) remove(id string) int {
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

func (p *faultPlan) list() []FaultState {
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

// match finds the rule that acts on a call and counts it.
func (p *faultPlan) match(c *call) *firedFault {
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
		return &firedFault{plan: p, rule: r.Fault}
	}
	return nil
}

func (r *faultRule) fits(c *call) bool {
	tenantID := ""
	if c.tenant != nil {
		tenantID = c.tenant.id
	}
	return (r.Method == "" || strings.EqualFold(r.Method, c.Method)) &&
		(r.path == nil || r.path.MatchString(path.Clean(c.URL.Path))) &&
		strings.Contains(c.URL.RawQuery, r.Query) &&
		(r.Tenant == "" || strings.EqualFold(r.Tenant, tenantID)) &&
		(r.App == "" || strings.EqualFold(r.App, c.appID))
}

// answer builds the answer to a call under the rule that fired, which may be none. A nil
// answer closes the connection.
func (s *Server) answer(c *call, f *firedFault) *reply {
	if f == nil {
		return s.route(c)
	}
	a := f.rule.Action
	switch a.Kind {
	case ActThrottle:
		return retryAfter(c, a, c.throttled())
	case ActError:
		return retryAfter(c, a, c.plannedError(a))
	case ActUnauthorized:
		return c.unauthorized("InvalidAuthenticationToken", string(errTokenExpired), "")
	case ActChallenge:
		return c.challenge(c.at.Unix())
	case ActForbidden:
		if a.Message != "" {
			return c.serviceError(http.StatusForbidden, "Forbidden", a.Message)
		}
		if isIntune(c.resourcePath()) {
			return c.intuneError(http.StatusForbidden, "Forbidden", "Application is not authorized to perform this operation as called in app only context but does not have application permissions configured.")
		}
		return c.graphError(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	case ActSyncState:
		return c.syncStateNotFound()
	case ActResync:
		return c.resync()
	case ActNoIdentity:
		return c.identityNotFound()
	case ActSignIn:
		return retryAfter(c, a, s.refuseSignIn(c, a))
	case ActPage:
		status := a.Status
		if status == 0 {
			status = http.StatusForbidden
		}
		re := htmlReply(status, "<!DOCTYPE html><html><head><title>Request blocked</title></head><body>The gateway blocked this request.</body></html>")
		re.header.Set("Content-Type", "text/html")
		return re
	case ActBody:
		re := jsonReply(http.StatusOK, object{})
		if a.Status != 0 {
			re.status = a.Status
		}
		re.body = []byte(a.Value)
		return re
	case ActRedirect:
		return redirectReply(a.Value)
	case ActDrop:
		s.route(c)
		return nil
	case ActReset:
		if a.Bytes == 0 {
			return nil
		}
	case ActErrorIn200:
		re := c.serviceError(http.StatusInternalServerError, "InternalServerError", "An internal server error has occurred")
		re.status = http.StatusOK
		return re
	case ActEmptyPage:
		c.empty = true
	case ActReplay:
		c.replayed = true
	case ActHold, ActDelay, ActDrip, ActTruncate, ActContentType, ActNextLink, ActHugeString, ActDeepJSON:
	}
	return f.reshape(c, s.route(c))
}

// throttled is the 429 of the service that the call is for.
func (c *call) throttled() *reply {
	switch {
	case !c.graph:
		return c.stsError(http.StatusTooManyRequests, "temporarily_unavailable", 90055, "The server is temporarily too busy to handle the request.")
	case isIntune(c.resourcePath()):
		return c.intuneError(http.StatusTooManyRequests, "TooManyRequests", "An error has occurred")
	}
	return c.graphError(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
}

func (c *call) plannedError(a Action) *reply {
	status := a.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if !c.graph {
		message := a.Message
		if message == "" {
			message = "The server is temporarily too busy to handle the request."
		}
		return c.stsError(status, "temporarily_unavailable", 90055, message)
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
		re := htmlReply(status, "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>")
		re.header.Set("Content-Type", "text/html")
		return re
	case status == http.StatusInternalServerError:
		return c.serviceError(status, code, message)
	}
	return c.graphError(status, code, message)
}

func retryAfter(c *call, a Action, re *reply) *reply {
	v := a.RetryAfter
	if sec, ok := strings.CutPrefix(v, "date:"); ok {
		n, _ := strconv.Atoi(sec) // not a number: now
		v = c.at.Add(time.Duration(n) * time.Second).Format(http.TimeFormat)
	}
	if v != "" {
		re.header.Set("Retry-After", v)
	}
	return re
}

// reshape changes a real answer as the rule says.
func (f *firedFault) reshape(c *call, re *reply) *reply {
	a := f.rule.Action
	switch a.Kind {
	case ActTruncate:
		re.body = re.body[:min(len(re.body), atLeastOne(a.Bytes, len(re.body)/2))]
	case ActContentType:
		re.header.Set("Content-Type", a.Value)
	case ActNextLink:
		to := a.Value
		if to == "" {
			to = c.base + c.URL.RequestURI()
		}
		re.body = editObject(re.body, func(o object) object { return o.without(isLink).with("@odata.nextLink", to) })
	case ActHugeString:
		n := atLeastOne(a.Bytes, 10<<20)
		re.body = editObject(re.body, func(o object) object {
			return append(o, field{"simHuge", append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, n)...), '"')})
		})
	case ActDeepJSON:
		n := atLeastOne(a.Bytes, 100_000)
		re.body = editObject(re.body, func(o object) object {
			return append(o, field{"simDeep", append(bytes.Repeat([]byte{'['}, n), bytes.Repeat([]byte{']'}, n)...)})
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
func editObject(body []byte, edit func(object) object) []byte {
	if !json.Valid(body) {
		return body
	}
	o, err := parseObject(body)
	if err != nil {
		return body
	}
	return edit(o).encode()
}

// await waits as the rule says; false means that nobody waits for the answer any more.
func (s *Server) await(c *call, f *firedFault, entry int) bool {
	a := f.rule.Action
	if a.DelayMS > 0 && a.Kind != ActDrip {
		t := time.NewTimer(time.Duration(a.DelayMS) * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.Context().Done():
			return false
		case <-s.closing:
			return false
		}
	}
	if a.Kind != ActHold {
		return true
	}
	h := f.plan.hold(c, f.rule.ID, entry)
	defer f.plan.forget(h)
	select {
	case <-h.release:
		return true
	case <-c.Context().Done():
	case <-s.closing:
	}
	return false
}

func (p *faultPlan) hold(c *call, rule string, entry int) *heldCall {
	h := &heldCall{
		Hold:    Hold{ID: uuid.NewString()[:8], Fault: rule, Method: c.Method, Path: c.URL.Path, App: c.appID, Since: c.at, Call: entry},
		release: make(chan struct{}),
	}
	if c.tenant != nil {
		h.Tenant = c.tenant.id
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, h)
	return h
}

func (p *faultPlan) forget(h *heldCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.DeleteFunc(p.held, func(o *heldCall) bool { return o == h })
}

func (p *faultPlan) holds() []Hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Hold, 0, len(p.held))
	for _, h := range p.held {
		out = append(out, h.Hold)
	}
	return out
}

// release lets held answers go: one by its id, those of a rule, or all when both are empty.
func (p *faultPlan) release(id, rule string) int {
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

// shapesBody reports whether the rule decides how the bytes of the body are sent.
func (f *firedFault) shapesBody() bool {
	switch f.rule.Action.Kind {
	case ActReset, ActDrip, ActTruncate, ActHugeString, ActDeepJSON:
		return true
	default:
		return false
	}
}

// write sends a body as the rule says.
func (f *firedFault) write(w http.ResponseWriter, c *call, body []byte) int {
	a := f.rule.Action
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
