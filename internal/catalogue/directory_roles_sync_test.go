package catalogue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

const rolesSync op.Kind = "directory.roles.sync"

const (
	tagsList        = "/beta/deviceManagement/roleScopeTags"
	definitionsList = "/beta/deviceManagement/roleDefinitions"
)

// rolesTenant is a tenant with two roles, one of them on two pages, one assignment,
// and the default scope tag.
func rolesTenant() *fake {
	return &fake{
		page: script(map[string]provider.Page{
			tagsList:        {Items: objects(`{"id":"0","displayName":"Default"}`)},
			definitionsList: {Items: objects(`{"id":"r1","displayName":"Help Desk Operator","isBuiltIn":true,"description":"Helps."}`), Next: "more"},
			"more":          {Items: objects(`{"id":"r/2","displayName":"Depot","isBuiltIn":false}`)},

			definitionsList + "/r1/roleAssignments":    {Items: objects(`{"id":"a1","displayName":"Service desk"}`)},
			definitionsList + "/r%2F2/roleAssignments": {},
		}),
		get: func(path string) (string, error) {
			if !strings.HasPrefix(path, "/beta/deviceManagement/roleAssignments/a1?$expand=microsoft.graph.") {
				return "", &provider.Error{Reason: op.ProviderRejected, Status: 404}
			}
			return `{"id":"a1","displayName":"Service desk","members":["g1"], "roleScopeTags":[{"id":"0"}]}`, nil
		},
	}
}

// TestRolesSync: the three lists come whole, each assignment with its scope tags and
// the role that it assigns, every other byte as the provider wrote it.
func TestRolesSync(t *testing.T) {
	t.Parallel()
	data := &datatest.Memory{}
	r, err := run(t, rolesSync, rolesTenant(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Results(), "done 3, unchanged 0, failed 0, skipped 0, unknown 0"; got != want || r.Counts != (op.Counts{Done: 3, Total: 3}) {
		t.Errorf("%s, %+v; want %s", got, r.Counts, want)
	}
	for dataset, want := range map[string]string{
		"roles/scope-tags": "0 Default", "roles/definitions": "r/2 Depot, r1 Help Desk Operator", "roles/assignments": "a1 Service desk",
	} {
		if got := names(t, data, dataset); got != want {
			t.Errorf("%s has %q, want %q", dataset, got, want)
		}
	}
	rows, _ := data.Rows(t.Context(), "roles/assignments")
	const want = `{"id":"a1","displayName":"Service desk","members":["g1"],"roleScopeTags":[{"id":"0"}],"@interlock.roleDefinition":{"displayName":"Help Desk Operator","id":"r1"}}`
	if got := string(rows[0].Data); got != want {
		t.Errorf("the assignment is kept as\n%s, want\n%s", got, want)
	}

	info, def, err := catalogue.LookupDataset("roles")
	if err != nil || def.Kind != rolesSync {
		t.Fatal(def, err)
	}
	shown := func(part string) (all []string) {
		rows, _ := data.Rows(t.Context(), info.Stored(part))
		for _, row := range rows {
			row.Part = part
			all = append(all, info.Columns[1].Text(row)+"|"+info.Columns[2].Text(row))
		}
		return all
	}
	if got := strings.Join(append(shown("definitions"), append(shown("assignments"), shown("scope-tags")...)...), ", "); got != "Custom role|, Built-in role|Helps., Assignment of Help Desk Operator|, Scope tag|" {
		t.Errorf("the list shows %s", got)
	}
}

// TestRolesSyncKeepsTheRest: a list that fails keeps its old rows and the others go on;
// without role definitions nobody asks for their assignments.
func TestRolesSyncKeepsTheRest(t *testing.T) {
	t.Parallel()
	refused := &provider.Error{Reason: op.ProviderRejected, Status: 400, Message: "No."}
	for _, c := range []struct {
		name, path string
		err        error
		results    string
		item       string // that failed
		stale      string // datasets with a reason
		reason     op.Reason
		ends       op.Reason // of the run
	}{
		{"scope tags", tagsList, refused, "done 2, unchanged 0, failed 1, skipped 0, unknown 0", "scope-tags", "roles/scope-tags", op.ItemRefused, ""},
		{"definitions", definitionsList, refused, "done 1, unchanged 0, failed 2, skipped 0, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemRefused, ""},
		{"a later page", "more", refused, "done 1, unchanged 0, failed 2, skipped 0, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemRefused, ""},
		{"assignments", definitionsList + "/r1/roleAssignments", refused, "done 2, unchanged 0, failed 1, skipped 0, unknown 0", "assignments", "roles/assignments", op.ItemRefused, ""},
		{"one assignment", "a1", refused, "done 2, unchanged 0, failed 1, skipped 0, unknown 0", "assignments", "roles/assignments", op.ItemRefused, ""},
		{"another assignment", "a1", nil, "done 2, unchanged 0, failed 2, skipped 0, unknown 0", "assignments", "roles/assignments", op.ProviderFault, ""},
		{"no Intune", tagsList, noIntune(), "done 0, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 3", "scope-tags", "roles/scope-tags roles/definitions roles/assignments", op.NotLicensed, ""},
		{"away", definitionsList, away(), "done 1, unchanged 0, failed 0, skipped 2, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemNotReached, op.ProviderUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data, f := &datatest.Memory{}, rolesTenant()
			if _, err := run(t, rolesSync, f, data, ""); err != nil {
				t.Fatal(err)
			}
			before := map[string]string{}
			for _, name := range data.Names() {
				before[name] = names(t, data, name)
			}
			page, get := f.page, f.get
			f.page = func(next string) (provider.Page, error) {
				if next == c.path {
					return provider.Page{}, c.err
				}
				return page(next)
			}
			f.get = func(path string) (string, error) {
				switch {
				case c.path == "a1" && c.err == nil:
					return `{"id":"a2","displayName":"Another"}`, nil
				case c.path == "a1":
					return "", c.err
				}
				return get(path)
			}
			r, err := run(t, rolesSync, f, data, "")
			if got := reasonOf(err); got != c.ends {
				t.Errorf("ended with %q (%v), want %q", got, err, c.ends)
			}
			if got := r.Results(); got != c.results {
				t.Errorf("%s, want %s", got, c.results)
			}
			if got := r.Find(t, c.item).Reason; got != c.reason {
				t.Errorf("%s has the reason %q, want %q", c.item, got, c.reason)
			}
			for _, name := range data.Names() {
				if got := names(t, data, name); got != before[name] {
					t.Errorf("%s has %q, want the old %q", name, got, before[name])
				}
				if got := data.StaleReason(name) != ""; got != strings.Contains(" "+c.stale+" ", " "+name+" ") {
					t.Errorf("%s is stale: %t", name, got)
				}
			}
			var pe *provider.Error
			if errors.As(c.err, &pe) && pe.Unlicensed && r.Counts != (op.Counts{}) {
				t.Errorf("counts %+v of a tenant without Intune", r.Counts)
			}
		})
	}
}

// TestRolesSyncOfARoleThatCannotBeRead: nobody can ask for the assignments of a role
// without an id. If the other roles have none, the list keeps its old rows and
// says why.
func TestRolesSyncOfARoleThatCannotBeRead(t *testing.T) {
	t.Parallel()
	data, f := &datatest.Memory{}, rolesTenant()
	if _, err := run(t, rolesSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	page := f.page
	f.page = func(next string) (provider.Page, error) {
		if next == definitionsList {
			return provider.Page{Items: objects(`{"id":null,"displayName":"Help Desk Operator"}`), Next: "more"}, nil
		}
		return page(next)
	}
	r, err := run(t, rolesSync, f, data, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, data, "roles/definitions"), "r/2 Depot"; got != want {
		t.Errorf("the definitions are %q, want %q", got, want)
	}
	if got, want := names(t, data, "roles/assignments"), "a1 Service desk"; got != want {
		t.Errorf("the assignments are %q, want the old %q", got, want)
	}
	item := r.Find(t, "assignments")
	if item.Result != op.ItemFailed || item.Reason != op.ProviderFault || data.StaleReason("roles/assignments") != item.Reason {
		t.Errorf("assignments: %s, %q, stale %q", item.Result, item.Reason, data.StaleReason("roles/assignments"))
	}
	if r.Counts != (op.Counts{Done: 1, Failed: 2, Total: 3}) {
		t.Errorf("counts %+v", r.Counts)
	}
}

// TestRolesSyncAgainstTheSimulator: what it reads there is complete.
func TestRolesSyncAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	data := &datatest.Memory{}
	r, err := run(t, rolesSync, s.Client(t), data, "")
	if err != nil || r.Counts.Done != 3 {
		t.Fatal(r.Items, err)
	}
	definitions, _ := data.Rows(t.Context(), "roles/definitions")
	assignments, _ := data.Rows(t.Context(), "roles/assignments")
	if len(definitions) < 7 || len(assignments) != 3 {
		t.Errorf("%d role definitions and %d assignments", len(definitions), len(assignments))
	}
	for _, a := range assignments {
		if !strings.Contains(string(a.Data), `"roleScopeTags":[{`) || !strings.Contains(string(a.Data), `"@interlock.roleDefinition":{"displayName":"`) {
			t.Errorf("an assignment came as %s", a.Data)
		}
	}
}
