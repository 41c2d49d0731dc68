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
