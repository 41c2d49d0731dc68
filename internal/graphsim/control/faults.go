package control

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Fault is a rule of the fault plan. The first rule that matches a call fires; a rule that has
// fired Times times no longer matches. All given conditions must hold.
type Fault struct {
	ID string `json:"id"` // empty: generated

	Method string `json:"method,omitempty"` // exact, in any case
	// Path matches the whole path without the query, in any case. A * matches any characters,
	// including slashes: /v1.0/groups* is a prefix, /*/oauth2/v2.0/token any tenant's.
	Path   string `json:"path,omitempty"`
	Query  string `json:"query,omitempty"`  // part of the query as sent, such as skiptoken
	Tenant string `json:"tenant,omitempty"` // directory id
	App    string `json:"app,omitempty"`    // client id

	// Skip is the number of matching calls before the rule fires. Times is how often it fires; 0 is
	// without limit.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// Probability is the chance that the rule fires on a matching call, drawn from the server's seed;
	// 0 means always.
	Probability float64 `json:"probability,omitempty"`

	Action Action `json:"action"`
}

// Action is what a rule does to a call.
type Action struct {
	Kind ActionKind `json:"kind"`
	// Number is the AADSTS number of [ActSignIn], such as 7000229; 0 is a refusal without a number.
	Number int `json:"number,omitempty"`
	// Status, Code and Message are those of [ActError]; their defaults depend on the status. They
	// replace the known values of a Number.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// RetryAfter is sent as is: "5", "2.128", "-1", "900", "soon". "date:30" becomes the HTTP date
	// 30 seconds ahead. Empty sends no header.
	RetryAfter string `json:"retryAfter,omitempty"`
	// DelayMS is a delay before the response, with every kind, in milliseconds from the arrival of
	// the call. The parts of a batch wait side by side.
	DelayMS int `json:"delayMs,omitempty"`
	// Bytes is the length of a reset or truncated body, the chunk size of a slow body, or the length
	// of a huge string.
	Bytes int `json:"bytes,omitempty"`
	// Value is the target of a redirect or next link, the content type, or the body of [ActBody].
	Value string `json:"value,omitempty"`
}

// ActionKind is the kind of an [Action].
type ActionKind string

// The actions.
const (
	ActThrottle     ActionKind = "throttle"     // 429 with RetryAfter
	ActError        ActionKind = "error"        // Status, in the error format of the service; 502 is HTML
	ActUnauthorized ActionKind = "unauthorized" // 401, the token is expired
	ActChallenge    ActionKind = "challenge"    // 401 with a claims challenge (continuous access evaluation)
	ActForbidden    ActionKind = "forbidden"    // 403; Message may list the missing scopes
	ActSyncState    ActionKind = "sync_state"   // 400 syncStateNotFound
	ActResync       ActionKind = "resync"       // 410 with the Location of a full round
	ActHold         ActionKind = "hold"         // the call takes effect; its response is held until the control API releases it
	ActDelay        ActionKind = "delay"        // the response is delayed by DelayMS
	ActDrop         ActionKind = "drop"         // the call takes effect; the connection closes without a response
	ActReset        ActionKind = "reset"        // the connection closes after Bytes of the body
	ActDrip         ActionKind = "drip"         // the body comes in chunks of Bytes, DelayMS apart
	ActTruncate     ActionKind = "truncate"     // a complete response whose JSON ends after Bytes
	ActContentType  ActionKind = "content_type" // the content type is Value
	ActErrorIn200   ActionKind = "error_in_200" // status 200 with an error body
	ActRedirect     ActionKind = "redirect"     // 302 to Value
	ActNextLink     ActionKind = "next_link"    // @odata.nextLink becomes Value; empty means the same page
	ActEmptyPage    ActionKind = "empty_page"   // a list returns an empty page with a next link
	ActReplay       ActionKind = "replay"       // a delta page has an object twice
	ActHugeString   ActionKind = "huge_string"  // a property of Bytes (10 MiB) is added
	ActDeepJSON     ActionKind = "deep_json"    // a property nested Bytes (100,000) deep is added
	ActNoIdentity   ActionKind = "no_identity"  // 401 Authorization_IdentityNotFound
	ActSignIn       ActionKind = "sign_in"      // the sign-in is refused with Number
	ActPage         ActionKind = "page"         // Status (403) with a web page, as from a gateway
	ActBody         ActionKind = "body"         // Status (200) with Value as the body
	ActErrorAfter   ActionKind = "error_after"  // the call takes effect; its response is an error like that of ActError (504)
	ActAccepted     ActionKind = "accepted"     // 202 without a body; the call takes effect after DelayMS, or when the control API releases it
	ActDiscard      ActionKind = "discard"      // a write changes nothing, although its response says that it did
)

// actionKinds holds the known kinds; others are refused.
var actionKinds = []ActionKind{
	ActThrottle, ActError, ActUnauthorized, ActChallenge, ActForbidden, ActSyncState, ActResync, ActHold, ActDelay, ActDrop, ActReset, ActDrip,
	ActTruncate, ActContentType, ActErrorIn200, ActRedirect, ActNextLink, ActEmptyPage, ActReplay, ActHugeString, ActDeepJSON, ActNoIdentity,
	ActSignIn, ActPage, ActBody, ActErrorAfter, ActAccepted, ActDiscard,
}

// Plan is the ordered list of rules, with the responses that are held. It is safe for concurrent use.
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
	late    func() // of an accepted call: lets it take effect
}

// Hold is a response that is held back until it is released, or an accepted call that has not
// taken effect yet.
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

// Fired is a rule that fired on a call.
type Fired struct {
	plan *Plan
	Rule Fault
	late func() // of an accepted call, see [ActAccepted]
}

// NewPlan returns an empty plan. seed determines when rules with a probability fire.
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

// remove removes a rule, or all if id is empty, and releases what they hold. It returns how many.
func (p *Plan) remove(id string) int {
	p.mu.Lock()
	before := len(p.rules)
	p.rules = slices.DeleteFunc(p.rules, func(r *faultRule) bool { return id == "" || r.ID == id })
	removed := before - len(p.rules)
	p.mu.Unlock()
	p.release("", id)
	return removed
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

// FaultState is a rule with its counters.
type FaultState struct {
	Fault
	Matched int `json:"matched"` // calls that matched
	Fired   int `json:"fired"`   // calls that it fired on
}

// Match returns the rule that fires on a call and counts it, or nil.
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
