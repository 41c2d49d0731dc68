// Package data holds the pages of what was read from tenants. A page follows the
// description of its dataset in the catalogue: no dataset has a page of its own here.
package data

import (
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages of every dataset to the site.
func Serve(s *web.Site) {
	for _, d := range catalogue.Datasets() {
		set := dataset{d}
		s.Page(web.Route{Path: op.DatasetRoute(d.Name), Object: web.Tenant, Needs: tenancy.View}, set.showList)
		if d.Members {
			s.Page(web.Route{Path: op.ObjectRoute(d.Name), Object: web.Tenant, Needs: tenancy.View}, set.showObject)
		}
	}
}

// dataset is the pages of one dataset.
type dataset struct{ *catalogue.DatasetInfo }

// list is the page of a dataset.
type list struct {
	dataset
	Workspace, Tenant string // slugs
	Sync              ui.Start
	Lacks             string // capability that the reader lacks for a sync, in words; empty: none
	Answer            *op.Answer
	Known             []known // parts that are stored
	Query, Type       string
	Rows              []catalogue.Row
	Sizes             map[string]int64 // members of a row, by its id
	First, Next       string
	Now               time.Time
}

// known is what is known of a dataset, or of one part of it.
type known struct {
	Part  string // empty: the dataset has no parts
	Count int64
	AsOf  time.Time // zero: never read

	Stale      string // why the last sync kept the older rows; empty: it did not
	Unreadable string // how many objects could not be kept; empty: none
}

func (d dataset) showList(v *web.Visit) (web.Page, error) {
	ctx, t, q := v.R.Context(), v.Tenant.Tenant, v.R.URL.Query()
	frame, err := v.Frame(d.Title, ui.Tenants)
	if err != nil {
		return web.Page{}, err
	}
	frame.Title = d.Title + " of " + t.Name
	frame.Crumbs = v.Crumbs(v.TenantLink())
	frame.Lead = d.LeadOf(t.Name)
	frame.Tabs = ui.TenantTabs(v.Workspace(), t, d.Tab)
	l := list{dataset: d, Workspace: v.Workspace(), Tenant: t.Slug, Query: q.Get("q"), Type: q.Get("type"), First: v.FirstPage(), Now: frame.Now}
	records, next, err := v.Mirror.List(ctx, v.Tenant, d.DatasetInfo, mirror.Filter{Query: l.Query, Type: l.Type, Cursor: q.Get("cursor")})
	if err != nil {
		return web.Page{}, err
	}
	l.Next = v.NextPage(next)
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
		l.Rows = append(l.Rows, rowOf(r))
	}
	if d.Members {
		if l.Sizes, err = v.Mirror.MemberCounts(ctx, v.Tenant, d.DatasetInfo, "", ids); err != nil {
			return web.Page{}, err
		}
	}
	if l.Known, err = d.known(v); err != nil {
		return web.Page{}, err
	}
	if err := l.sync(v); err != nil {
		return web.Page{}, err
	}
	frame.Actions = syncButton(l.Sync, l.Lacks)
	return web.Page{Frame: frame, Body: listBody(l), Parts: l.parts(), About: op.Change{Tenant: t.ID}}, nil
}

// known tells how far each stored part of the dataset is, in the order of their names.
func (d dataset) known(v *web.Visit) (list []known, err error) {
	stored, err := v.Mirror.Datasets(v.R.Context(), v.Tenant, "")
	for _, s := range stored {
		part, ok := d.PartOf(s.Name)
		if !ok {
			continue
		}
		k := known{Part: part, Count: s.Count, AsOf: s.AsOf, Unreadable: op.Unreadable(s.Unreadable)}
		if s.Stale != "" {
			k.Stale = op.DescribeItem(op.Item{Reason: s.Stale, At: s.AsOf}).Detail
		}
		list = append(list, k)
	}
	return list, err
}

// sync fills in the start of the operation that keeps the dataset, on the tenant's
// default connection, and the answer to the press that led to the page.
func (l *list) sync(v *web.Visit) error {
	_, def, err := catalogue.LookupDataset(l.Name)
	if err != nil {
		return err
	}
	t, err := v.Store.Tenant(v.R.Context(), v.Tenant)
	if err != nil {
		return err
	}
	l.Sync = v.StartOf(t.Slug, def.Kind, "")
	l.Sync.Label, l.Sync.Main, l.Sync.Top = "Sync now", true, true
	if t.Default != nil {
		l.Sync.Shown, l.Sync.Version = t.Default.ID, t.Default.Version
	}
	if !v.May(def.Capability) {
		l.Lacks = def.Capability.Words()
	}
	answer, err := v.Attempted(t.Tenant)
	if answer != nil && answer.Operation == def.Kind {
		l.Answer = answer
	}
	return err
}

// parts are what lives on the page: the list, whenever it was read anew.
func (l list) parts() []ui.Part {
	var key strings.Builder
	for _, k := range l.Known {
		key.WriteString(k.Part + " as of " + k.AsOf.String() + k.Stale + k.Unreadable + "\n")
	}
	return []ui.Part{{ID: l.id(), Content: listing(l), Key: key.String() + "."}}
}

// id is that of the element that lives.
func (l list) id() string { return l.Name + "-list" }

func (l list) path() string { return op.DatasetPath(l.Workspace, l.Tenant, l.Name) }

// shown are the parts that the list is narrowed to.
func (l list) shown() (shown []known) {
	for _, k := range l.Known {
		if len(l.Parts) == 0 || l.Type == "" || l.Type == k.Part {
			shown = append(shown, k)
		}
	}
	return shown
}

// total sums up the parts that are shown: how many rows there are, and when the one
// that was read longest ago was read.
func (l list) total() (rows int64, asOf time.Time) {
	for _, k := range l.shown() {
		if k.AsOf.IsZero() {
			continue
		}
		rows += k.Count
		if asOf.IsZero() || k.AsOf.Before(asOf) {
			asOf = k.AsOf
		}
	}
	return rows, asOf
}

// read reports whether the dataset was ever read.
func (l list) read() bool {
	return slices.ContainsFunc(l.Known, func(k known) bool { return !k.AsOf.IsZero() })
}

// options are what the list can be narrowed to; nil: it has no such filter.
func (l list) options() []ui.Option {
	options := []ui.Option{{Text: "All types"}}
	for _, t := range l.Types {
		options = append(options, ui.Option{Value: t.Key, Text: t.Words})
	}
	if len(l.Parts) > 0 {
		for _, k := range l.Known {
			options = append(options, ui.Option{Value: k.Part, Text: l.PartWords(k.Part) + " (" + op.Number(k.Count) + ")"})
		}
	}
	if len(l.Types)+len(l.Parts) == 0 {
		return nil
	}
	return options
}

// called names a part in a sentence.
func (l list) called(k known) string {
	if k.Part == "" {
		return l.Items
	}
	return l.PartWords(k.Part)
}

// columns are the titles of the list's columns.
func (d dataset) columns() []string {
	titles := make([]string, len(d.Columns))
	for i, c := range d.Columns {
		titles[i] = c.Title
	}
	return titles
}

func rowOf(r mirror.Record) catalogue.Row {
	return catalogue.Row{ID: r.ID, Name: r.Name, Type: r.Type, ModifiedAt: r.ModifiedAt, Data: r.Data, Part: r.Part}
}

// named is the name of a row, or its id when it came without one.
func named(r catalogue.Row) string {
	if r.Name == "" {
		return r.ID
	}
	return r.Name
}
