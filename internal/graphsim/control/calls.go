package control

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Call is an entry of the call log. It is added when the call arrives; Status and Ended
// are set when the response is sent or dropped.
type Call struct {
	Number          int               `json:"number"` // from 1, never reused
	Started         time.Time         `json:"started"`
	Ended           time.Time         `json:"ended,omitzero"`
	Method          string            `json:"method"`
	Path            string            `json:"path"`
	Query           string            `json:"query,omitempty"`
	Tenant          string            `json:"tenant,omitempty"` // directory id
	App             string            `json:"app,omitempty"`    // client id
	Status          int               `json:"status"`           // 0 while open, and if the connection was closed without a response
	Bytes           int               `json:"bytes"`            // of the body, as sent
	RequestID       string            `json:"requestId"`
	ClientRequestID string            `json:"clientRequestId"`
	Fault           string            `json:"fault,omitempty"` // id of the rule that fired, and its action
	Action          ActionKind        `json:"action,omitempty"`
	Headers         map[string]string `json:"headers,omitempty"` // those that are recorded
}

// callLogSize is the largest number of calls kept. Older calls are dropped.
const callLogSize = 20_000

// Log is the call log. The zero Log is ready to use. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	headers []string
	first   int // number of calls[0]
	calls   []Call
}

// SetHeaders names the request headers to record from now on.
func (l *Log) SetHeaders(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.headers = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.EqualFold(n, "Authorization") })
}

// Begin adds a call and returns its number.
func (l *Log) Begin(c *wire.Call) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == 0 {
		l.first = 1
	}
	e := Call{
		Number: l.first + len(l.calls), Started: c.At, Method: c.Method, Path: c.URL.Path, Query: c.URL.RawQuery,
		App: c.AppID, RequestID: c.RequestID, ClientRequestID: c.ClientRequestID,
	}
	if c.Tenant != nil {
		e.Tenant = c.Tenant.ID
	}
	for _, name := range l.headers {
		if v := c.Header.Get(name); v != "" {
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[http.CanonicalHeaderKey(name)] = v
		}
	}
	l.calls = append(l.calls, e)
	if len(l.calls) > callLogSize {
		drop := callLogSize / 4
		l.calls = slices.Delete(l.calls, 0, drop)
		l.first += drop
	}
	return e.Number
}

// at returns an entry to change, or nil if it was dropped. The caller holds l.mu.
func (l *Log) at(number int) *Call {
	if i := number - l.first; i >= 0 && i < len(l.calls) {
		return &l.calls[i]
	}
	return nil
}

// Fault records the rule that fired on a call.
func (l *Log) Fault(number int, rule string, kind ActionKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.at(number); e != nil {
		e.Fault, e.Action = rule, kind
	}
}

// End records how a call ended: re is nil if there was no response; sent is the number of body
// bytes sent.
func (l *Log) End(number int, re *wire.Reply, sent int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.at(number); e != nil {
		e.Ended, e.Bytes = now, sent
		if re != nil {
			e.Status = re.Status
		}
	}
}

// since returns the calls after a number; of one tenant, or of all if tenantID is empty.
func (l *Log) since(number int, tenantID string) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Call{}
	for _, e := range l.calls {
		if e.Number > number && (tenantID == "" || e.Tenant == tenantID) {
			out = append(out, e)
		}
	}
	return out
}

// clear removes all calls. Numbering continues.
func (l *Log) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = max(l.first, 1) + len(l.calls)
	l.calls = nil
}
