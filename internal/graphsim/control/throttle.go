package control

import (
	"math"
	"net/http"
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
	// Older published limit: one a second, and no Retry-After.
	{name: "ConditionalAccess", amount: 1, window: time.Second, silent: true, applies: isConditionalAccess},
}

func isConditionalAccess(path string) bool {
	return strings.HasPrefix(strings.ToLower(path), "identity/conditionalaccess/")
}

func isDirectory(path string) bool { return !odata.IsIntune(path) && !isConditionalAccess(path) }

// Throttle counts calls in fixed windows. It is safe for concurrent use.
type Throttle struct {
	scale   float64
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	window int64 // number of the window
	used   float64
}

// NewThrottle returns a throttle. A scale of 1 is the published limits, 0 is no limit.
func NewThrottle(scale float64) *Throttle {
	return &Throttle{scale: scale, buckets: map[string]bucket{}}
}

// Check counts a call against all limits that apply. It returns nil, or the 429 of the first limit
// exceeded.
func (t *Throttle) Check(c *wire.Call) *wire.Reply {
	if t.scale == 0 || c.Tenant == nil {
		return nil
	}
	path := c.ResourcePath()
	cost := 1.0
	if isDirectory(path) {
		if q, err := odata.ParseQuery(c.URL.RawQuery); err == nil {
			cost = float64(graph.ResourceUnits(odata.Segments(path), q))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range limits {
		if !l.applies(path) || l.writes && c.Method == http.MethodGet {
			continue
		}
		key := strconv.Itoa(i) + c.Tenant.ID
		if l.perApp {
			key += c.AppID
		}
		window := c.At.UnixNano() / int64(l.window)
		b := t.buckets[key]
		if b.window != window {
			b = bucket{window: window}
		}
		allowed := math.Max(1, l.amount*t.scale)
		if b.used+cost > allowed {
			return limited(c, l, time.Unix(0, (window+1)*int64(l.window)).Sub(c.At))
		}
		b.used += cost
		t.buckets[key] = b
	}
	return nil
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
