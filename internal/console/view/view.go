// Package view holds the components of the console's pages. They show what they
// are given: what happened, why and what next come in the words of package op,
// and addresses from its links.
package view

import (
	"context"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
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

// initials are the first letters of the first two words of a name.
func initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		if len(letters) < 2 {
			letters = append(letters, []rune(word)[0])
		}
	}
	return strings.ToUpper(string(letters))
}

// look is the tone and the icon of a state. Tones are the design kit's: go, same,
// busy, stop, calm.
type look struct{ tone, icon string }

var outcomes = map[op.Outcome]look{
	op.Accepted:  {"go", "play"},
	op.Deduped:   {"same", "rings"},
	op.ScopeBusy: {"busy", "busy"},
	op.Blocked:   {"stop", "stop"},
}

// states are by the first word of [op.RunWords.Code].
var states = map[string]look{
	string(op.Queued):       {"calm", "clock"},
	string(op.Running):      {"same", "run"},
	"waiting":               {"busy", "clock"},
	"stalled":               {"busy", "unlink"},
	string(op.Cancelling):   {"busy", "clock"},
	string(op.RunSucceeded): {"go", "check"},
	string(op.RunPartial):   {"busy", "half"},
	string(op.RunFailed):    {"stop", "cross"},
	string(op.RunBlocked):   {"stop", "stop"},
	string(op.RunCancelled): {"calm", "slash"},
	string(op.RunLost):      {"busy", "unlink"},
}

// lookOf returns how a state or an outcome looks; one that this version does not
// know looks unclear.
func lookOf(code string) (word string, l look) {
	word, _, _ = strings.Cut(code, "/")
	l, ok := states[word]
	if !ok {
		l = look{"busy", "unlink"}
	}
	return word, l
}

var results = map[op.ItemResult]look{
	op.ItemDone:      {"go", "check"},
	op.ItemUnchanged: {"go", "check"},
	op.ItemFailed:    {"stop", "cross"},
	op.ItemSkipped:   {"calm", "dash"},
	op.ItemPending:   {"calm", "clock"},
	op.ItemUnknown:   {"busy", "unlink"},

	op.ItemNotApplicable: {"calm", "dash"},
}

func lookOfItem(r op.ItemResult) look {
	if l, ok := results[r]; ok {
		return l
	}
	return results[op.ItemUnknown]
}

var readiness = map[tenancy.Readiness]struct {
	look
	words string
}{
	tenancy.ReadyToStart:   {look{"go", "check"}, "Ready"},
	tenancy.NotReady:       {look{"stop", "stop"}, "Blocked"},
	tenancy.NeedsCare:      {look{"busy", "warn"}, "Needs care"},
	tenancy.BeingOnboarded: {look{"same", "flag"}, "Onboarding"},
	tenancy.Archived:       {look{"calm", "slash"}, "Archived"},
}

// surfaces tell where a start was asked.
func surface(s op.Surface) string {
	switch s {
	case op.SurfaceWeb:
		return "Console"
	case op.SurfaceAPI:
		return "API"
	case op.SurfaceCLI:
		return "Command line"
	}
	return string(s)
}

// glyph is the icon of an operation and what its button says.
func glyph(k op.Kind) (icon, verb string) {
	icon = "play"
	if d, err := catalogue.Lookup(k); err == nil {
		icon = d.Icon
	}
	return icon, k.Start()
}

// dashed is a name as ids of elements have it.
func dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

// stamp is a time as machines read it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// htmxConfig is how the pages use htmx: only for answers in place and the pieces of
// a stream. What
// a reader has opened stays open when its surroundings are replaced.
const htmxConfig = `{"history":false,"morphIgnore":["data-htmx-powered","open"]}`
