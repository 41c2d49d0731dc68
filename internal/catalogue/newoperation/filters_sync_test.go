package newoperation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// filtersSync is a whole operation: it reads the assignment filters of Intune. In the
// product this file would be internal/catalogue/filters_sync.go, and nothing else
// would change, but for a bad object: there, it is an item with a reason and does not
// end the run.
var filtersSync = catalogue.Register(&catalogue.Definition{
	Kind:    "filters.sync",
	Version: 1,
	Place:   90,
	Words: op.KindWords{
		Name: "Filters sync", Does: "Reads the assignment filters of Intune.",
		Start: "Read filters", Item: "filter", Items: "filters",
	},
	Icon:       "flag",
	Capability: "filters.sync",
	Allows:     "Sync assignment filters",
	Roles:      []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Datasets: []catalogue.DatasetInfo{{
		Name:  "filters",
		Title: "Assignment filters",
		Tab:   "Filters",
		Lead:  "Assignment filters of {tenant}, as Interlock last read them.",
		Icon:  "list",
		Item:  "filter",
		Items: "filters",
		Columns: []catalogue.Column{
			{Title: "Filter"},
			{Title: "Platform", Text: func(r catalogue.Row) string { return r.Type }},
		},
		Sort:     []catalogue.SortKey{catalogue.ByName},
		Types:    []catalogue.RowType{{Key: "windows", Words: "Windows", Covers: []string{"windows10AndLater"}}},
		TypeHelp: "One platform only.",
		NotRead:  catalogue.Empty{Title: "No filters yet", Text: "Assignment filters appear here after the first sync."},
		None:     catalogue.Empty{Title: "The tenant has no filters", Text: "The last sync found no assignment filters."},
	}},
	Permissions: []catalogue.Permission{{AnyOf: []string{"DeviceManagementConfiguration.Read.All"}, For: "read assignment filters"}},
	Needs:       filtersNeed,
	Requires:    filtersRequire,
	Blockers:    catalogue.AllBlockers(),
	Canonical:   canonicalFilters,
	Parameters:  filtersParameters{},
	QueueLimit:  time.Hour,
	RunLimit:    10 * time.Minute,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    catalogue.Again,
	SignsIn:     true,
	Learns:      true,
	Run:         syncFilters,
})

type filtersParameters struct {
	Groups bool `json:"groups" doc:"Only when the groups of the tenant were read." required:"false"`
}

func canonicalFilters(raw json.RawMessage) (json.RawMessage, error) {
	var p filtersParameters
	if err := catalogue.DecodeParameters(raw, &p); err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// withGroups reports whether canonical parameters ask for groups; nil are the defaults.
func withGroups(canonical json.RawMessage) bool {
	return strings.Contains(string(canonical), `"groups":true`)
}

func filtersNeed(canonical json.RawMessage) []catalogue.Permission {
	if !withGroups(canonical) {
		return nil
	}
	return []catalogue.Permission{{AnyOf: []string{"Group.Read.All"}, For: "name groups"}}
}

// groupsUnread is a reason that only this operation has. In the product it would have
// its words in package op.
const groupsUnread op.Reason = "groups_unread"

func filtersRequire(ctx context.Context, q catalogue.Question, s catalogue.Stored) ([]op.Cause, error) {
	if !withGroups(q.Parameters) {
		return nil, nil
	}
	groups, err := s.Dataset(ctx, catalogue.Groups)
	if err != nil || !groups.AsOf.IsZero() {
		return nil, err
	}
	return []op.Cause{{Code: groupsUnread}}, nil
}

// filtersList is where the filters are. docs: beta; v1.0 lacks them.
const filtersList = "/beta/deviceManagement/assignmentFilters"

func syncFilters(ctx context.Context, env *catalogue.Env) error {
	if err := env.Report.Event(ctx, "Reading filters"); err != nil {
		return err
	}
	round, err := env.Data.Begin(ctx, "filters", true)
	if err != nil {
		return err
	}
	for page, err := range provider.Walk(ctx, env.Provider, filtersList) {
		if err != nil {
			return err
		}
		rows := make([]catalogue.Row, 0, len(page.Items))
		for _, raw := range page.Items {
			var f struct {
				ID       string `json:"id"`
				Name     string `json:"displayName"`
				Platform string `json:"platform"`
			}
			if err := json.Unmarshal(raw, &f); err != nil || f.ID == "" {
				return &provider.Error{Reason: op.ProviderFault, Note: fmt.Sprintf("a filter can't be read: %v", err), At: env.Now()}
			}
			rows = append(rows, catalogue.Row{ID: f.ID, Name: f.Name, Type: f.Platform, Data: raw})
		}
		if err := round.Put(ctx, rows); err != nil {
			return err
		}
	}
	known, err := round.Commit(ctx, catalogue.Committed{})
	if err != nil {
		return err
	}
	counts := op.Counts{Done: known.Count, Total: known.Count}
	if err := env.Report.Item(ctx, op.Item{Key: "filters", Name: "Filters", Result: op.ItemDone, Counts: counts, At: env.Now()}); err != nil {
		return err
	}
	return env.Report.Progress(ctx, counts)
}
