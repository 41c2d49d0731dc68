package catalogue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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
		{"scope tags", tagsList, refused, "done 0, unchanged 2, failed 1, skipped 0, unknown 0", "scope-tags", "roles/scope-tags", op.ItemRefused, ""},
		{"definitions", definitionsList, refused, "done 0, unchanged 1, failed 2, skipped 0, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemRefused, ""},
		{"a later page", "more", refused, "done 0, unchanged 1, failed 2, skipped 0, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemRefused, ""},
		{"assignments", definitionsList + "/r1/roleAssignments", refused, "done 0, unchanged 2, failed 1, skipped 0, unknown 0", "assignments", "roles/assignments", op.ItemRefused, ""},
		{"one assignment", "a1", refused, "done 0, unchanged 2, failed 1, skipped 0, unknown 0", "assignments", "roles/assignments", op.ItemRefused, ""},
		{"another assignment", "a1", nil, "done 0, unchanged 2, failed 2, skipped 0, unknown 0", "assignments", "roles/assignments", op.ProviderFault, ""},
		{"no Intune", tagsList, noIntune(), "done 0, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 3", "scope-tags", "roles/scope-tags roles/definitions roles/assignments", op.NotLicensed, ""},
		{"away", definitionsList, away(), "done 0, unchanged 1, failed 0, skipped 2, unknown 0", "definitions", "roles/definitions roles/assignments", op.ItemNotReached, op.ProviderUnreachable},
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

// TestRolesSyncCarriesAssignments: the assignments of a role that can't be read any more
// stay, as of the sync that read them, beside those of the other roles.
func TestRolesSyncCarriesAssignments(t *testing.T) {
	t.Parallel()
	data, f := &datatest.Memory{Now: func() time.Time { return epoch }}, rolesTenant()
	page, get := f.page, f.get
	hidden := false
	f.page = func(next string) (provider.Page, error) {
		p, err := page(next)
		switch {
		case next == definitionsList && hidden:
			p.Items = objects(`{"id":null,"displayName":"Help Desk Operator"}`)
		case strings.HasSuffix(next, "r%2F2/roleAssignments"):
			p.Items = objects(`{"id":"a2","displayName":"Depot staff"}`)
		}
		return p, err
	}
	f.get = func(path string) (string, error) {
		if strings.Contains(path, "/a2?") {
			return `{"id":"a2","displayName":"Depot staff"}`, nil
		}
		return get(path)
	}
	if _, err := run(t, rolesSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	info, _, err := catalogue.LookupDataset("roles")
	if err != nil {
		t.Fatal(err)
	}
	hidden = true
	for range 2 { // what was carried is carried again, as of the same time
		data.Now = func() time.Time { return epoch.Add(48 * time.Hour) }
		r, err := run(t, rolesSync, f, data, "")
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		rows, _ := data.Rows(t.Context(), "roles/assignments")
		for _, row := range rows {
			row.Part = "assignments"
			shown = append(shown, row.Name+": "+info.Columns[1].Text(row))
		}
		if got, want := strings.Join(shown, "; "), "Service desk: Assignment of Help Desk Operator, as of 22 Nov 2026; Depot staff: Assignment of Depot"; got != want {
			t.Errorf("the list shows %s, want %s", got, want)
		}
		if item := r.Find(t, "assignments"); item.Reason != op.ListIncomplete || item.Counts.Failed != 1 {
			t.Errorf("the item is %+v", item)
		}
		for _, item := range r.Items {
			if item.Reason == op.ObjectRemoved {
				t.Errorf("%s is told to be removed", item.Name)
			}
		}
	}
}

// TestRolesSyncTellsWhatChanged: each list tells how many objects were added, changed and
// removed since the last sync, and names them.
func TestRolesSyncTellsWhatChanged(t *testing.T) {
	t.Parallel()
	data, f := &datatest.Memory{}, rolesTenant()
	first, err := run(t, rolesSync, f, data, "")
	if err != nil || len(first.Items) != 3 {
		t.Fatalf("the first sync tells %+v, %v", first.Items, err)
	}
	page, get := f.page, f.get
	f.page = func(next string) (provider.Page, error) {
		p, err := page(next)
		switch next {
		case tagsList:
			p.Items = objects(`{"id":"1","displayName":"Berlin"}`, `{"displayName":"Default", "id":"0"}`)
		case definitionsList:
			p.Items = objects(`{"id":"r1","displayName":"Help Desk","isBuiltIn":true,"description":"Helps."}`)
		case "more":
			p.Items = nil
		}
		return p, err
	}
	f.get = func(path string) (string, error) {
		body, err := get(path)
		return strings.Replace(body, `"members":["g1"]`, `"members":["g1","g2"]`, 1), err
	}
	r, err := run(t, rolesSync, f, data, "")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, item := range r.Items {
		told = append(told, fmt.Sprintf("%s %s: %s %s", item.Key, item.Name, item.Label(), op.DescribeItem(item).Detail))
	}
	if got, want := strings.Join(told, "\n"), strings.Join([]string{
		"scope-tags Scope tags: Done 2 of 2, 1 added, 0 changed, 0 removed",
		"scope-tags/id/1 Berlin: Added New since the last sync.",
		"definitions Role definitions: Done 1 of 1, 0 added, 1 changed, 1 removed",
		"definitions/id/r1 Help Desk: Changed Changed since the last sync.",
		"definitions/id/r/2 Depot: Removed No longer there.",
		"assignments Role assignments: Done 1 of 1, 0 added, 1 changed, 0 removed",
		"assignments/id/a1 Service desk: Changed Changed since the last sync.",
	}, "\n"); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	again, err := run(t, rolesSync, f, data, "")
	if err != nil || again.Results() != "done 0, unchanged 3, failed 0, skipped 0, unknown 0" || again.Counts != (op.Counts{Done: 3, Total: 3}) {
		t.Errorf("nothing changed, and yet %+v, %v", again.Items, err)
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf(`{"id":"t%d","displayName":"Tag %d"}`, i, i))
	}
	f.page = func(next string) (provider.Page, error) {
		p, err := page(next)
		if next == tagsList {
			p.Items = objects(many...)
		}
		return p, err
	}
	full, err := run(t, rolesSync, f, data, "")
	if item := full.Find(t, "scope-tags"); err != nil || item.Args["added"] != "60" || item.Args["removed"] != "2" {
		t.Errorf("many changes are told as %+v, %v", item, err)
	}
	named := 0
	for _, item := range full.Items {
		if strings.HasPrefix(item.Key, "scope-tags/") {
			named++
		}
	}
	if named != 50 {
		t.Errorf("%d changes are named", named)
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
