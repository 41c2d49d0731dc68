package control

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/graph"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// limit is a published service limit: an amount per window, for an app in a tenant or for a tenant.
type limit struct {
	name    string
	amount  float64
	window  time.Duration
	perApp  bool
	writes  bool // counts writes only
	silent  bool // the 429 has no Retry-After
	applies func(path string) bool
}

// limits holds the published limits (docs: Microsoft Graph service-specific throttling limits).
// Directory calls cost resource units, other calls cost one. The directory limit is that of a
// mid-sized tenant.
var limits = []limit{
	{name: "Intune", amount: 1000, window: 20 * time.Second, perApp: true, applies: odata.IsIntune},
	{name: "Intune", amount: 2000, window: 20 * time.Second, applies: odata.IsIntune},
	{name: "Intune", amount: 100, window: 20 * time.Second, perApp: true, writes: true, applies: odata.IsIntune},
	{name: "Intune", amount: 200, window: 20 * time.Second, writes: true, applies: odata.IsIntune},
	{name: "Directory", amount: 5000, window: 10 * time.Second, perApp: true, applies: isDirectory},
	{name: "Directory", amount: 3000, window: 150 * time.Second, perApp: true, writes: true, applies: isDirectory},
	{name: "Directory", amount: 18000, window: 300 * time.Second, writes: true, applies: isDirectory},
	// Older published limit: one a second, and no Retry-After.
	{name: "ConditionalAccess", amount: 1, window: time.Second, silent: true, applies: isConditionalAccess},
}

func isConditionalAccess(path string) bool {
	return strings.HasPrefix(strings.ToLower(path), "identity/conditionalaccess/")
}

func isDirectory(path string) bool { return !odata.IsIntune(path) && !isConditionalAccess(path) }

// Throttle counts calls in fixed windows. It is safe for concurrent use.
type Throttle struct {
	mu      sync.Mutex
	scale   float64
	buckets map[bucketKey]bucket
}

type bucketKey struct {
	limit       int // index in limits
	tenant, app string
}

type bucket struct {
	window int64 // number of the window
	used   float64
}

// Usage is what calls have used of a limit in its current window.
type Usage struct {
	Limit    string  `json:"limit"`
	Tenant   string  `json:"tenant"`        // directory id
	App      string  `json:"app,omitempty"` // client id; empty: the limit is that of the tenant
	Writes   bool    `json:"writes"`        // the limit counts writes only
	Used     float64 `json:"used"`
	Allowed  float64 `json:"allowed"`
	WindowMS int64   `json:"windowMs"`
	LeftMS   int64   `json:"leftMs"` // until the next window
}

// ThrottleState is the scale of the limits, and what is used of them.
type ThrottleState struct {
	Scale float64 `json:"scale"`
	Usage []Usage `json:"usage,omitempty"` // of limits that calls counted against in their current window
}

// NewThrottle returns a throttle. A scale of 1 is the published limits, 0 is no limit.
func NewThrottle(scale float64) *Throttle {
	return &Throttle{scale: scale, buckets: map[bucketKey]bucket{}}
}

// setScale changes the scale. What was used in the current windows still counts.
func (t *Throttle) setScale(scale float64) error {
	if scale < 0 {
		return fmt.Errorf("scale: %v is negative", scale)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scale = scale
	return nil
}

// state returns the scale and what is used at a time.
func (t *Throttle) state(now time.Time) ThrottleState {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := ThrottleState{Scale: t.scale}
	for key, b := range t.buckets {
		l := limits[key.limit]
		if b.window != l.at(now) {
			continue
		}
		st.Usage = append(st.Usage, Usage{
			Limit: l.name, Tenant: key.tenant, App: key.app, Writes: l.writes, Used: b.used, Allowed: t.allowed(l),
			WindowMS: l.window.Milliseconds(), LeftMS: l.left(now).Milliseconds(),
		})
	}
	slices.SortFunc(st.Usage, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.App, b.App), cmp.Compare(a.Allowed, b.Allowed))
	})
	return st
}

// at returns the number of the window at a time, left how long it still lasts.
func (l limit) at(now time.Time) int64 { return now.UnixNano() / int64(l.window) }

func (l limit) left(now time.Time) time.Duration {
	return time.Unix(0, (l.at(now)+1)*int64(l.window)).Sub(now)
}

func (t *Throttle) allowed(l limit) float64 { return math.Max(1, l.amount*t.scale) }

// Check counts a call against all limits that apply. It returns nil, or the 429 of the first limit
// exceeded. A batch counts by its parts (docs).
func (t *Throttle) Check(c *wire.Call) *wire.Reply {
	path := c.ResourcePath()
	if c.Tenant == nil || strings.EqualFold(path, "$batch") {
		return nil
	}
	cost := 1.0
	if isDirectory(path) {
		if q, err := odata.ParseQuery(c.URL.RawQuery); err == nil {
			cost = float64(graph.ResourceUnits(odata.Segments(path), q))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.scale == 0 {
		return nil
	}
	for i, l := range limits {
		if !l.applies(path) || l.writes && !writes(c, path) {
			continue
		}
		key := bucketKey{limit: i, tenant: c.Tenant.ID}
		if l.perApp {
			key.app = c.AppID
		}
		b := t.buckets[key]
		if window := l.at(c.At); b.window != window {
			b = bucket{window: window}
		}
		if b.used+cost > t.allowed(l) {
			return limited(c, l, l.left(c.At))
		}
		b.used += cost
		t.buckets[key] = b
	}
	return nil
}

// writes reports whether a call changes something. Some reads are POST.
func writes(c *wire.Call, path string) bool {
	return c.Method != http.MethodGet && !strings.HasSuffix(strings.ToLower(path), "/getbyids")
}

func limited(c *wire.Call, l limit, wait time.Duration) *wire.Reply {
	re := c.Throttled()
	if l.silent {
		return re
	}
	re.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	scope, info := "Tenant", "ResourceUnitLimitExceeded"
	if l.perApp {
		scope = "Tenant_Application"
	}
	if l.writes {
		info = "WriteLimitExceeded"
	}
	if l.name == "Directory" {
		re.Header.Set("x-ms-throttle-scope", scope+"/ReadWrite/"+c.AppID+"/"+c.Tenant.ID)
		re.Header.Set("x-ms-throttle-information", info)
	}
	return re
}
