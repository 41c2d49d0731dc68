package consoletest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Things are values for the placeholders of routes.
type Things map[string]string

var placeholder = regexp.MustCompile(`\{([a-z]+|\$)\}`)

// Path returns the route's path with its placeholders filled in.
func (x Things) Path(r web.Route) string {
	return placeholder.ReplaceAllStringFunc(r.Path, func(p string) string {
		name := strings.Trim(p, "{}")
		if value, ok := x[name]; ok || name == "$" { // which stands for the end
			return url.PathEscape(value)
		}
		return access.NewID()
	})
}

// But returns x with another value for name.
func (x Things) But(name, value string) Things {
	other := maps.Clone(x)
	other[name] = value
	return other
}

// Unsafe reports whether a route is not a GET.
func Unsafe(r web.Route) bool { return r.Method != http.MethodGet }

// Names reports whether a route has the placeholder.
func Names(r web.Route, placeholder string) bool {
	return strings.Contains(r.Path, "{"+placeholder+"}")
}

// Matrix is a world with two tenants, each with a queued run. Limited sees only the first.
type Matrix struct {
	*World
	Own, Foreign Things
	Limited      access.Actor // an operator who sees one tenant
}

// NewMatrix adds the tenants, their runs and the limited member to w.
func NewMatrix(w *World) Matrix {
	w.t.Helper()
	m := Matrix{World: w, Limited: w.Member("Lim Ited", "lim@lattice.example", tenancy.Operator)}
	kestrel, _ := w.Ready("kestrel", nil)
	w.Ready("marlow", nil)
	w.Exec(`UPDATE members SET all_tenants = FALSE WHERE user_id = $1`, m.Limited.ID())
	w.Exec(`INSERT INTO member_tenants (workspace_id, user_id, tenant_id) VALUES ($1, $2, $3)`, w.Workspace, m.Limited.ID(), kestrel)
	m.Own, m.Foreign = m.things("kestrel"), m.things("marlow")
	return m
}

// things starts a run on a tenant and returns the values for routes about it.
func (m Matrix) things(tenant string) Things {
	m.t.Helper()
	res, err := m.Gate.Start(m.t.Context(), m.Owner, op.Request{Tenant: tenant, Kind: op.InventorySync, Surface: op.SurfaceWeb})
	if err != nil || res.Outcome() != op.Accepted {
		m.t.Fatalf("%v, %v", res.Outcome(), err)
	}
	return Things{
		"workspace": "lattice", "tenant": tenant, "connection": tenant, "operation": string(op.InventorySync),
		"run": res.Run().Code, "attempt": res.Facts().Attempt, "token": m.Owner.TokenID(),
	}
}

// Comparable returns the response without what differs between any two.
func (a Answer) Comparable() string {
	h := a.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	return fmt.Sprintf("%d %v\n%s", a.Status, h, a.Body)
}
