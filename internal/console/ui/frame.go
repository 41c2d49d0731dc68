// Package ui holds the components of the console's pages. They show what they are given:
// sentences about starts and runs come from package op, and so do addresses.
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

// Frame is what surrounds the body of a page.
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
	Live    string          // address of the page's stream; empty: none
	Now     time.Time
}

// Within returns outer with inner as its children.
func Within(outer, inner templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, inner), w)
	})
}

type simulatedKey struct{}

// Simulated returns a context whose pages say that the provider is a simulator.
func Simulated(ctx context.Context) context.Context {
	return context.WithValue(ctx, simulatedKey{}, true)
}

func isSimulated(ctx context.Context) bool { return ctx.Value(simulatedKey{}) != nil }

// Part is a part of a page that updates: a stream replaces the element with its ID when
// its content changes.
type Part struct {
	ID      string
	Content templ.Component
	// Key identifies the content where other parts make up most of it; empty: the
	// content itself does.
	Key string
}

// Link is a text and an address.
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

// ActiveCount is the id of the number of active runs in the menu.
const ActiveCount = "count-active"

// entry is a line of the menu.
type entry struct {
	section Section
	icon    string
	href    string
	id      string // of its count, which updates; empty: none
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

// Initials returns the first letters of the first two words of a name.
func Initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		if len(letters) < 2 {
			letters = append(letters, []rune(word)[0])
		}
	}
	return strings.ToUpper(string(letters))
}

// htmxConfig configures htmx: it only puts answers and stream parts in place. What a
// reader has opened stays open when its surroundings are replaced.
const htmxConfig = `{"history":false,"morphIgnore":["data-htmx-powered","open"]}`
