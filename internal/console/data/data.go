// Package data holds the pages of what was read from tenants: groups with their members,
// and the inventory.
package data

import (
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages to the site.
func Serve(s *web.Site) {
	s.Page(web.Route{Path: op.GroupsRoute, Object: web.Tenant, Needs: tenancy.View}, showGroups)
	s.Page(web.Route{Path: op.GroupRoute, Object: web.Tenant, Needs: tenancy.View}, showGroup)
	s.Page(web.Route{Path: op.InventoryRoute, Object: web.Tenant, Needs: tenancy.View}, showInventory)
}
