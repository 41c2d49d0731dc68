package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var _ = Register(&Definition{
	Kind:    "directory.roles.sync",
	Version: 1,
	Place:   40,
	Words: op.KindWords{
		Name: "Role definitions sync", Does: "Reads Intune role definitions and assignments.",
		Start: "Start sync", Item: "list", Items: "lists",
	},
	Icon:        "role",
	Capability:  "directory.roles.sync",
	Allows:      "Sync role definitions",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Datasets:    []DatasetInfo{roles},
	Permissions: []Permission{intuneRoles.permission},
	Blockers:    AllBlockers(),
	Canonical:   NoParameters,
	Parameters:  struct{}{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    time.Hour,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Learns:      true,
	Run:         syncRoles,
})

// roles has one part for each list. A part is replaced once its whole list was read.
var roles = DatasetInfo{
	Name:  "roles",
	Title: "Intune roles",
	Tab:   "Roles",
	Lead:  "Intune roles of {tenant}, who they are assigned to, and scope tags, as Interlock last read them.",
	Icon:  "role",
	Item:  "object",
	Items: "objects",
	Columns: []Column{
		{Title: "Name"},
		{Title: "Type", Text: roleKind},
		{Title: "Description", Text: func(r Row) string { return textOf(r, "description") }},
	},
	Note: func(r Row) string { return r.ID },
	Sort: []SortKey{ByPart, ByName},
	Parts: []DatasetPart{
		{"scope-tags", "Scope tags"},
		{"definitions", "Role definitions"},
		{"assignments", "Role assignments"},
	},
	NotRead: Empty{"No roles yet", "Intune roles appear here once a sync has read them through the default connection."},
	None:    Empty{"The tenant has no roles", "The last sync found none."},
}

// assignedRole is the property that an assignment's row has beside what the provider
// sent: the role definition under which it was listed.
const assignedRole = "@interlock.roleDefinition"

// roleKind tells what a row is, and of an assignment which role it assigns.
func roleKind(r Row) string {
	var o struct {
		BuiltIn bool `json:"isBuiltIn"`
		Role    struct {
			Name string `json:"displayName"`
		} `json:"@interlock.roleDefinition"`
	}
	_ = json.Unmarshal(r.Data, &o) // what came is shown as far as it can be
	switch r.Part {
	case "definitions":
		if o.BuiltIn {
			return "Built-in role"
		}
		return "Custom role"
	case "assignments":
		return "Assignment of " + o.Role.Name
	}
	return "Scope tag"
}

// Where the lists are. docs: beta, since v1.0 lacks scope tags. An assignment tells its
// scope tags only when it is read alone, with the type named in $expand.
const (
	scopeTagsPath   = "/beta/deviceManagement/roleScopeTags"
	definitionsPath = "/beta/deviceManagement/roleDefinitions"
	assignmentsPath = "/beta/deviceManagement/roleAssignments"
	expandScopeTags = "?$expand=microsoft.graph.deviceAndAppManagementRoleAssignment/roleScopeTags"
)

// syncRoles reads the three lists one after the other. A list is replaced only if all of
// it was read; a list that failed keeps its old rows, with the reason, and the others
// continue. A refusal of the whole connection ends the run.
func syncRoles(ctx context.Context, env *Env) error {
	s := &rolesRun{env: env, counts: op.Counts{Total: int64(len(roles.Parts))}}
	if err := env.Report.Progress(ctx, s.counts); err != nil {
		return err
	}
	for i, part := range roles.Parts {
		known, err := s.read(ctx, part)
		if err != nil && endsRun(err) {
			return s.stop(ctx, roles.Parts[i:], err)
		}
		if err := s.report(ctx, part, known, err); err != nil {
			return err
		}
	}
	return nil
}

type rolesRun struct {
	env     *Env
	counts  op.Counts
	flaws   flaws // of the list that is being read
	came    map[string]bool
	kept    int   // rows of it
	defined []Row // role definitions
	missing error // why the assignments can't be read: their definitions were not
	hidden  int64 // role definitions that could not be kept
}

// read reads one list and shows it to readers.
func (s *rolesRun) read(ctx context.Context, part DatasetPart) (Dataset, error) {
	if part.Key == "assignments" && s.missing != nil || notApplicable(s.missing) {
		return Dataset{}, s.missing
	}
	if err := s.env.Report.Event(ctx, "Reading "+part.Words); err != nil {
		return Dataset{}, err
	}
	round, err := s.env.Data.Begin(ctx, roles.Stored(part.Key), true)
	if err != nil {
		return Dataset{}, err
	}
	s.flaws, s.came, s.kept = flaws{}, make(map[string]bool), 0
	switch part.Key {
	case "scope-tags":
		_, err = s.list(ctx, round, scopeTagsPath, "Scope tag")
	case "definitions":
		s.defined, err = s.list(ctx, round, definitionsPath, "Role definition")
		s.missing, s.hidden = err, s.flaws.lost
	case "assignments":
		err = s.assignments(ctx, round)
	}
	if notApplicable(err) {
		s.missing = err
	}
	if err == nil && s.kept == 0 {
		err = s.flaws.first() // nothing can be read: the old rows are worth more
		if part.Key == "assignments" && s.hidden > 0 {
			err = &provider.Error{Reason: op.ProviderFault, Note: "some role definitions can't be read, and the others have no assignments"}
		}
	}
	if err != nil {
		return Dataset{}, err
	}
	lost := s.flaws.lost
	if part.Key == "assignments" {
		lost += s.hidden // nobody can ask for their assignments
	}
	return round.Commit(ctx, Committed{Unreadable: lost})
}

// list stages the objects of a list and returns their rows.
func (s *rolesRun) list(ctx context.Context, round Round, path, what string) (all []Row, err error) {
	for page, err := range provider.Walk(ctx, s.env.Provider, path) {
		if err != nil {
			return nil, err
		}
		rows := keepable(page.Items, what, s.came, &s.flaws)
		if err := round.Put(ctx, rows); err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	s.kept = len(all)
	return all, nil
}

// assignments stages the assignments of every role definition that was read.
func (s *rolesRun) assignments(ctx context.Context, round Round) error {
	for _, role := range s.defined {
		var ids []string
		for page, err := range provider.Walk(ctx, s.env.Provider, definitionsPath+"/"+url.PathEscape(role.ID)+"/roleAssignments") {
			if err != nil {
				return err
			}
			for _, row := range keepable(page.Items, "Assignment of "+role.Name, s.came, &s.flaws) {
				ids = append(ids, row.ID)
			}
		}
		rows := make([]Row, 0, len(ids))
		for _, id := range ids {
			raw, err := s.env.Provider.Get(ctx, assignmentsPath+"/"+url.PathEscape(id)+expandScopeTags)
			if err != nil {
				return err
			}
			row, wrong := newRow(raw)
			if wrong.lost() || row.ID != id { // another object than was asked for
				s.flaws.add("Assignment of "+role.Name, id, "", flaw{reason: op.ObjectMalformed})
				continue
			}
			row.Data = under(raw, assignedRole, role)
			rows = append(rows, row)
		}
		s.kept += len(rows)
		if err := round.Put(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

// under adds to an object the row that it was listed under, as the property name.
func under(raw json.RawMessage, name string, of Row) json.RawMessage {
	var o object
	if json.Unmarshal(raw, &o) != nil {
		return raw
	}
	named, _ := json.Marshal(map[string]string{"id": of.ID, "displayName": of.Name}) // strings can't fail
	return append(o, property{name, named}).raw()
}

// report writes the line of one list, and keeps the old rows of one that failed.
func (s *rolesRun) report(ctx context.Context, part DatasetPart, now Dataset, failure error) error {
	item := op.Item{Key: part.Key, Name: part.Words, Result: op.ItemDone, Counts: op.Counts{Done: now.Count, Total: now.Count}, At: s.env.Now()}
	switch {
	case failure == nil && now.Unreadable > 0:
		s.counts.Failed++
		incomplete(&item, s.env, now.Unreadable)
	case failure == nil:
		s.counts.Done++
		if now.Count == 0 {
			item.Args = op.Args{"objects": "0"}
		}
	case notApplicable(failure):
		item.Result = op.ItemNotApplicable
		s.counts.Total--
	default:
		item.Result = op.ItemFailed
		s.counts.Failed++
	}
	if failure != nil {
		item.Counts = op.Counts{}
		item.Reason, item.Args, item.Evidence = told(s.env, failure, intuneRoles.permission)
		if err := s.env.Data.Stale(ctx, roles.Stored(part.Key), item.Reason); err != nil {
			return err
		}
	}
	for _, item := range append([]op.Item{item}, s.flaws.items(s.env, part.Key, failure == nil)...) {
		if err := s.env.Report.Item(ctx, item); err != nil {
			return err
		}
	}
	return s.env.Report.Progress(ctx, s.counts)
}

// stop ends the run early: the lists that are left keep their rows and say so.
func (s *rolesRun) stop(ctx context.Context, left []DatasetPart, why error) error {
	var pe *provider.Error
	if !errors.As(why, &pe) {
		return why // the run itself is over, and nothing of it can be written
	}
	items := make([]op.Item, len(left))
	for i, part := range left {
		if err := s.env.Data.Stale(ctx, roles.Stored(part.Key), provider.Classify(why)); err != nil {
			return err
		}
		items[i] = op.Item{Key: part.Key, Name: part.Words, Result: op.ItemSkipped, Reason: op.ItemNotReached, At: s.env.Now()}
	}
	s.env.Report.NotReached(items)
	return why
}
