package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	RunLimit:    readLimit,
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

// assignedAsOf is the property of an assignment that an earlier sync read: when that was.
const assignedAsOf = "@interlock.asOf"

// assignment is what Interlock adds to a role assignment.
type assignment struct {
	Role struct {
		ID   string `json:"id"`
		Name string `json:"displayName"`
	} `json:"@interlock.roleDefinition"`
	AsOf string `json:"@interlock.asOf"`
}

func assignmentOf(r Row) (a assignment) {
	_ = json.Unmarshal(r.Data, &a) // what came is shown as far as it can be
	return a
}

// roleKind tells what a row is, and of an assignment which role it assigns.
func roleKind(r Row) string {
	switch r.Part {
	case "definitions":
		var o struct {
			BuiltIn bool `json:"isBuiltIn"`
		}
		if _ = json.Unmarshal(r.Data, &o); o.BuiltIn { // what came is shown as far as it can be
			return "Built-in role"
		}
		return "Custom role"
	case "assignments":
		a := assignmentOf(r)
		if a.AsOf != "" {
			return "Assignment of " + a.Role.Name + ", as of " + day(a.AsOf)
		}
		return "Assignment of " + a.Role.Name
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
	rows    []Row   // of it, as they were read
	changes changes // of it, since the last sync
	defined []Row   // role definitions
	missing error   // why the assignments can't be read: their definitions were not
	hidden  int64   // role definitions that could not be kept
}

// read reads one list and shows it to readers.
func (s *rolesRun) read(ctx context.Context, part DatasetPart) (Dataset, error) {
	s.changes = changes{}
	if part.Key == "assignments" && s.missing != nil || notApplicable(s.missing) {
		return Dataset{}, s.missing
	}
	if err := s.env.Report.Event(ctx, "Reading "+part.Words); err != nil {
		return Dataset{}, err
	}
	known, err := s.env.Data.Dataset(ctx, roles.Stored(part.Key))
	if err != nil {
		return Dataset{}, err
	}
	old, err := s.env.Data.Rows(ctx, roles.Stored(part.Key))
	if err != nil {
		return Dataset{}, err
	}
	round, err := s.env.Data.Begin(ctx, roles.Stored(part.Key), true)
	if err != nil {
		return Dataset{}, err
	}
	s.flaws, s.came, s.rows = flaws{}, make(map[string]bool), nil
	switch part.Key {
	case "scope-tags":
		err = s.list(ctx, round, scopeTagsPath, "Scope tag")
	case "definitions":
		err = s.list(ctx, round, definitionsPath, "Role definition")
		s.defined, s.missing, s.hidden = s.rows, err, s.flaws.lost
	case "assignments":
		err = s.assignments(ctx, round)
	}
	if notApplicable(err) {
		s.missing = err
	}
	if err == nil && len(s.rows) == 0 {
		err = s.flaws.first() // nothing can be read: the old rows are worth more
		if part.Key == "assignments" && s.hidden > 0 {
			err = &provider.Error{Reason: op.ProviderFault, Note: "some role definitions can't be read, and the others have no assignments"}
		}
	}
	if err != nil {
		return Dataset{}, err
	}
	lost := s.flaws.lost
	if part.Key == "assignments" && s.hidden > 0 {
		lost += s.hidden // nobody can ask for their assignments
		if err := s.carry(ctx, round, old, known.AsOf); err != nil {
			return Dataset{}, err
		}
	}
	if !known.AsOf.IsZero() {
		s.changes = compare(old, s.rows)
		if lost > 0 {
			s.changes.removed = nil // they may be among those that can't be read
		}
	}
	return round.Commit(ctx, Committed{Unreadable: lost})
}

// list stages the objects of a list.
func (s *rolesRun) list(ctx context.Context, round Round, path, what string) error {
	for page, err := range provider.Walk(ctx, s.env.Provider, path) {
		if err != nil {
			return err
		}
		rows := keepable(page.Items, what, s.came, &s.flaws)
		if err := round.Put(ctx, rows); err != nil {
			return err
		}
		s.rows = append(s.rows, rows...)
	}
	return nil
}

// carry keeps the earlier assignments of roles that were not read, and notes in each
// as of when it is: some role definitions can't be read, and nobody can ask for their
// assignments.
func (s *rolesRun) carry(ctx context.Context, round Round, old []Row, asOf time.Time) error {
	read := make(map[string]bool, len(s.defined))
	for _, role := range s.defined {
		read[role.ID] = true
	}
	var kept []Row
	for _, row := range old {
		if a := assignmentOf(row); read[a.Role.ID] || s.came[row.ID] {
			continue
		} else if a.AsOf == "" {
			var o object
			if err := json.Unmarshal(row.Data, &o); err != nil {
				return fmt.Errorf("the stored assignment %s: %w", row.ID, err)
			}
			text, _ := json.Marshal(asOf.UTC().Format(time.RFC3339)) // a string can't fail
			row.Data = append(o, property{assignedAsOf, text}).raw()
		}
		kept = append(kept, row)
	}
	s.rows = append(s.rows, kept...)
	return round.Put(ctx, kept)
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
		s.rows = append(s.rows, rows...)
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
		s.changes.tell(&item)
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
	items := append([]op.Item{item}, s.flaws.items(s.env, part.Key, failure == nil)...)
	if failure == nil {
		items = append(items, s.changes.items(s.env, part.Key)...)
	}
	for _, item := range items {
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
