// Package ui holds the components that the pages of the console are made of. They
// show what they are given: what happened, why and what next come in the words of
// package op, and addresses from its links.
package ui

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Frame is what stands around the body of a page.
type Frame struct {
	Title   string // of the window
	Reader  access.Actor
	Glance  store.Glance
	Section Section // of the menu
	Crumbs  []Link
	Heading string
	State   templ.Component // pills beside the heading; nil: none
	Lead    string
	Actions templ.Component // at the right of the heading; nil: none
	Tabs    templ.Component // nil: none
	Live    string          // path by which a stream knows the page; empty: it has none
	Now     time.Time
}

// Within is a component with content inside.
func Within(outer, inner templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, inner), w)
	})
}

type simulatedKey struct{}

// Simulated returns a context whose pages say that a simulator stands in for the
// provider.
func Simulated(ctx context.Context) context.Context {
	return context.WithValue(ctx, simulatedKey{}, true)
}

func isSimulated(ctx context.Context) bool { return ctx.Value(simulatedKey{}) != nil }

// Part is a piece of a page that lives: a stream replaces the element with its id
// whenever the piece looks different than before.
type Part struct {
	ID      string
	Content templ.Component
	// Key stands for how the piece looks, where most of it is made of other parts;
	// empty: its text does.
	Key string
}

// Link is a name and where it leads.
type Link struct{ Text, Href string }

// Section is an entry of the menu.
type Section string

// The entries of the menu.
const (
	Tenants     Section = "Tenants"
	Connections Section = "Connections"
	Operations  Section = "Operations"
	Attempts    Section = "Start attempts"
	Members     Section = "Members"
	Policy      Section = "Policy"
	Tokens      Section = "API tokens"
)

// ActiveCount is the id of the number of runs on their way, which lives in the menu.
const ActiveCount = "count-active"

// entry is a line of the menu.
type entry struct {
	section Section
	icon    string
	href    string
	id      string // of its count, which lives; empty: it has none
	count   int64
}

type group struct {
	name    string
	entries []entry
}

func (f Frame) menu() []group {
	ws := f.Reader.WorkspaceSlug()
	workspace := []entry{{section: Tokens, icon: "key", href: op.TokensPath(ws)}}
	if f.Reader.Grants().Has(tenancy.ManageMembers) {
		workspace = append([]entry{
			{section: Members, icon: "users", href: op.MembersPath(ws)},
			{section: Policy, icon: "shield", href: op.PolicyPath(ws)},
		}, workspace...)
	}
	return []group{
		{"Tenants", []entry{
			{section: Tenants, icon: "home", href: op.TenantsPath(ws)},
			{section: Connections, icon: "plug", href: op.AllConnectionsPath(ws)},
		}},
		{"Monitoring", []entry{
			{section: Operations, icon: "list", href: op.OperationsPath(ws), id: ActiveCount, count: f.Glance.Active},
			{section: Attempts, icon: "shield", href: op.AttemptsPath(ws)},
		}},
		{"Workspace", workspace},
	}
}

// Initials are the first letters of the first two words of a name.
func Initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		if len(letters) < 2 {
			letters = append(letters, []rune(word)[0])
		}
	}
	return strings.ToUpper(string(letters))
}

// htmxConfig is how the pages use htmx: only for answers in place and the pieces of
// a stream. What
// a reader has opened stays open when its surroundings are replaced.
const htmxConfig = `{"history":false,"morphIgnore":["data-htmx-powered","open"]}`
