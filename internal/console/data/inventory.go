package data

import (
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
)

func showInventory(v *web.Visit) (web.Page, error) {
	ctx, t, q := v.R.Context(), v.Tenant.Tenant, v.R.URL.Query()
	frame, err := v.Frame("Inventory", ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = "Inventory of " + t.Name
	frame.Crumbs = v.Crumbs(v.TenantLink())
	frame.Lead = "Policies, apps and devices of " + t.Name + ", as Interlock last read them."
	frame.Tabs = ui.TenantTabs(v.Workspace(), t, "Inventory")
	l := inventoryPage{
		Workspace: v.Workspace(), Tenant: t.Slug, Type: q.Get("type"), Query: q.Get("q"), First: v.FirstPage(), Now: frame.Now,
	}
	var next string
	if l.Rows, next, err = v.Mirror.Inventory(ctx, v.Tenant, mirror.Filter{Query: l.Query, Type: l.Type, Cursor: q.Get("cursor")}); err != nil {
		return web.Page{}, err
	}
	l.Next = v.NextPage(next)
	sets, err := v.Mirror.Datasets(ctx, v.Tenant, "")
	if err != nil {
		return web.Page{}, err
	}
	for _, d := range sets {
		if key, ok := strings.CutPrefix(d.Name, "inventory/"); ok {
			l.Types = append(l.Types, inventoryType{Key: key, Count: d.Count, AsOf: d.AsOf, Stale: whyStale(d), Unreadable: op.Unreadable(d.Unreadable)})
		}
	}
	if l.Sync, l.Lacks, l.Answer, err = syncNow(v, op.InventorySync); err != nil {
		return web.Page{}, err
	}
	frame.Actions = syncButton(l.Sync, l.Lacks)
	return web.Page{Frame: frame, Body: inventoryBody(l), Parts: inventoryParts(l), About: op.Change{Tenant: t.ID}}, nil
}

// inventoryPage is the page of what a tenant's inventory holds.
type inventoryPage struct {
	Workspace, Tenant string // slugs
	Sync              ui.Start
	Lacks             string // words of the capability to sync that the reader lacks; empty: none
	Answer            *op.Answer
	Types             []inventoryType
	Type              string // key; empty: all
	Query             string
	Rows              []mirror.InventoryRecord
	First, Next       string
	Now               time.Time
}

// inventoryType is how far one type of the inventory is.
type inventoryType struct {
	Key   string
	Count int64
	AsOf  time.Time // zero: never
	Stale string    // why the last try kept the older ones; empty: it did not

	Unreadable string // how many of them could not be read; empty: none
}

func (l inventoryPage) options() []ui.Option {
	options := []ui.Option{{Text: "All types"}}
	for _, t := range l.Types {
		options = append(options, ui.Option{Value: t.Key, Text: catalogue.InventoryName(t.Key) + " (" + op.Number(t.Count) + ")"})
	}
	return options
}

// known sums up the types that are shown: how many objects, as of when the oldest
// of them was read.
func (l inventoryPage) known() (objects int64, asOf time.Time) {
	for _, t := range l.Types {
		if l.Type != "" && l.Type != t.Key || t.AsOf.IsZero() {
			continue
		}
		objects += t.Count
		if asOf.IsZero() || t.AsOf.Before(asOf) {
			asOf = t.AsOf
		}
	}
	return objects, asOf
}

// inventoryParts are what lives on the page: the list, whenever it was read anew.
func inventoryParts(l inventoryPage) []ui.Part {
	var key strings.Builder
	for _, t := range l.Types {
		key.WriteString(t.Key + " as of " + t.AsOf.String() + t.Stale + t.Unreadable + "\n")
	}
	return []ui.Part{{ID: "inventory-list", Content: inventoryList(l), Key: key.String() + "."}}
}

// day is the date of a moment as the provider wrote it; what is none stays as it is.
func day(moment string) string {
	t, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return ui.Cut(moment)
	}
	return op.Day(t)
}
