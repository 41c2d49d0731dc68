package view

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// GroupList is the page of a tenant's directory groups.
type GroupList struct {
	Workspace, Tenant string // slugs
	Sync              Start
	Lacks             string // words of the capability to sync that the reader lacks; empty: none
	Answer            *op.Answer
	Known             store.Dataset // how far the groups are
	Stale             string        // why the last sync kept the older ones; empty: it did not
	Query             string
	Type              tenancy.GroupType // empty: all
	Rows              []store.Record
	Sizes             map[string]int64 // members, by group
	First, Next       string
	Now               time.Time
}

// GroupParts are what lives on the page: the list, whenever it was read anew.
func GroupParts(l GroupList) []Part {
	return []Part{{ID: "group-list", Content: groupList(l), Key: "as of " + l.Known.AsOf.String() + l.Stale}}
}

// GroupPage is one group.
type GroupPage struct {
	Workspace, Tenant string // slugs
	Group             store.Record
	Query             string
	Members           []store.Record
	First, Next       string
}

// groupTypes are the choices of the filter.
func groupTypes() []Option {
	options := []Option{{"", "All types"}}
	for _, t := range tenancy.GroupTypes() {
		options = append(options, Option{string(t), t.Words()})
	}
	return options
}

// groupType is the type of a group, and how members come into it.
func groupType(r store.Record) (words, membership string) {
	t, byRule := tenancy.GroupType(r.Type).Plain()
	if byRule {
		return t.Words(), "Dynamic"
	}
	return t.Words(), "Assigned"
}

// properties are what else is shown of a group. docs: the group resource type.
type properties struct {
	Description    string `json:"description"`
	MembershipRule string `json:"membershipRule"`
}

// propertiesOf reads a group's properties; those that can't be read are left out.
func propertiesOf(r store.Record) (g properties) {
	_ = json.Unmarshal(r.Data, &g) // what came is shown as far as it can be
	return g
}

// typeWords names the type of an object, such as "#microsoft.graph.servicePrincipal".
func typeWords(r store.Record) string {
	name := r.Type[strings.LastIndex(r.Type, ".")+1:]
	switch name {
	case "":
		return "Not known"
	case "servicePrincipal":
		return "Service principal"
	case "orgContact":
		return "Contact"
	}
	return upper(name)
}

// named is the name of an object, or its id when it came without one.
func named(r store.Record) string {
	if r.Name == "" {
		return r.ID
	}
	return r.Name
}

// cut shortens a long text of the provider's.
func cut(text string) string {
	const limit = 120
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
