package graphsim

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// limit is a published service limit: so much in a window, for an app in a tenant or for a tenant.
type limit struct {
	name    string
	amount  float64
	window  time.Duration
	perApp  bool
	writes  bool // counts writes only
	silent  bool // answers without Retry-After
	applies func(path string) bool
}

// limits are those of docs: Microsoft Graph service-specific throttling limits. Directory
// calls cost resource units, everything else counts one; the directory limit is that of a mid-sized tenant.
var limits = []limit{
	{name: "Intune", amount: 1000, window: 20 * time.Second, perApp: true, applies: isIntune},
	{name: "Intune", amount: 2000, window: 20 * time.Second, applies: isIntune},
	{name: "Intune", amount: 100, window: 20 * time.Second, perApp: true, writes: true, applies: isIntune},
	{name: "Intune", amount: 200, window: 20 * time.Second, writes: true, applies: isIntune},
	{name: "Directory", amount: 5000, window: 10 * time.Second, perApp: true, applies: isDirectory},
	{name: "Directory", amount: 3000, window: 150 * time.Second, perApp: true, writes: true, applies: isDirectory},
	// Older published limit: one a second, and no Retry-After.
	{name: "ConditionalAccess", amount: 1, window: time.Second, silent: true, applies: isConditionalAccess},
}

func isConditionalAccess(path string) bool {
	return strings.HasPrefix(strings.ToLower(path), "identity/conditionalaccess/")
}

func isDirectory(path string) bool { return !isIntune(path) && !isConditionalAccess(path) }

// throttle counts calls in fixed windows. A scale of 0 is off.
type throttle struct {
	scale   float64
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	window int64 // number of the window
	used   float64
}

func newThrottle(scale float64) *throttle {
	return &throttle{scale: scale, buckets: map[string]bucket{}}
}

// check counts a call against every limit that applies, and answers the first that it breaks.
func (t *throttle) check(c *call) *reply {
	if t.scale == 0 || c.tenant == nil {
		return nil
	}
	path := c.resourcePath()
	cost := 1.0
	if isDirectory(path) {
		if q, err := parseQuery(c.URL.RawQuery); err == nil {
			cost = float64(resourceUnits(segments(path), q))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range limits {
		if !l.applies(path) || l.writes && c.Method == http.MethodGet {
			continue
		}
		key := strconv.Itoa(i) + c.tenant.id
		if l.perApp {
			key += c.appID
		}
		window := c.at.UnixNano() / int64(l.window)
		b := t.buckets[key]
		if b.window != window {
			b = bucket{window: window}
		}
		allowed := math.Max(1, l.amount*t.scale)
		if b.used+cost > allowed {
			return c.limited(l, time.Unix(0, (window+1)*int64(l.window)).Sub(c.at))
		}
		b.used += cost
		t.buckets[key] = b
	}
	return nil
}

func (c *call) limited(l limit, wait time.Duration) *reply {
	re := c.throttled()
	if l.silent {
		return re
	}
	re.header.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	scope, info := "Tenant", "ResourceUnitLimitExceeded"
	if l.perApp {
		scope = "Tenant_Application"
	}
	if l.writes {
		info = "WriteLimitExceeded"
	}
	if l.name == "Directory" {
		re.header.Set("x-ms-throttle-scope", scope+"/ReadWrite/"+c.appID+"/"+c.tenant.id)
		re.header.Set("x-ms-throttle-information", info)
	}
	return re
}
