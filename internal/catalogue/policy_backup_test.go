package catalogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

const (
	filtersPath = "/beta/deviceManagement/assignmentFilters"
	catalogPath = "/beta/deviceManagement/configurationPolicies"
	settingsOf  = "/settings?$expand=settingDefinitions"
)

// policyTenant has filters and settings catalog policies by their ids. bodies answer by
// path; what is neither is a 404.
func policyTenant(filters, catalogs []string, bodies map[string]any) *fake {
	pages := map[string]provider.Page{}
	list := func(path string, ids []string) {
		var all []string
		for _, id := range ids {
			all = append(all, `{"id":"`+id+`"}`)
		}
		pages[path] = provider.Page{Items: objects(all...)}
	}
	list(filtersPath, filters)
	list(catalogPath, catalogs)
	return &fake{
		page: script(pages),
		get: func(path string) (string, error) {
			switch body := bodies[path].(type) {
			case string:
				return body, nil
			case error:
				return "", body
			}
			id := path[strings.LastIndex(path, "/")+1:]
			switch {
			case strings.HasPrefix(path, filtersPath+"/"):
				return `{"id":"` + id + `","displayName":"Filter ` + id + `", "platform":"iOS","rule":"x","lastModifiedDateTime":"2026-11-01T08:00:00Z"}`, nil
			case strings.HasSuffix(path, settingsOf), strings.HasSuffix(path, "/assignments"):
				return `{"value":[]}`, nil
			}
			return `{"id":"` + id + `","name":"Catalog ` + id + `","settingCount":0}`, nil
		},
	}
}

// backUp runs a backup of both types.
func backUp(t *testing.T, f provider.Client) (*operationtest.Report, *datatest.Backups, error) {
	t.Helper()
	kept := &datatest.Backups{}
	r, err := runWith(t, "policy.backup", f, &datatest.Memory{}, `{"types":["configurationPolicies","assignmentFilters"]}`, func(env *catalogue.Env) { env.Backups = kept })
	return r, kept, err
}

// told are a run's items, a line each.
func told(r *operationtest.Report) (all []string) {
	for _, i := range r.Items {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s | %s: %s %d/%d failed %d %s", i.Key, i.Name, i.Result, i.Counts.Done, i.Counts.Total, i.Counts.Failed, i.Reason)))
	}
	return all
}

// TestPolicyBackup: each type has an item with the number of its policies; the bytes and
// times are those of the provider; the timeline names the backup.
func TestPolicyBackup(t *testing.T) {
	t.Parallel()
	r, kept, err := backUp(t, policyTenant([]string{"a", "b"}, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"assignmentFilters | Assignment filters: done 2/2 failed 0",
		"configurationPolicies | Settings catalog: done 0/0 failed 0",
	}
	if diff := cmp.Diff(want, told(r)); diff != "" || r.Counts != (op.Counts{Done: 2, Total: 2}) {
		t.Errorf("%+v, -want +got:\n%s", r.Counts, diff)
	}
	if diff := cmp.Diff([]string{"Backing up Assignment filters", "Backing up Settings catalog", "Stored backup backup-1"}, r.Events); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b := kept.Kept[0]
	if i := b.Items[0]; string(i.Policy.Body) != `{"id":"a","displayName":"Filter a", "platform":"iOS","rule":"x","lastModifiedDateTime":"2026-11-01T08:00:00Z"}` ||
		i.Name != "Filter a" || i.ModifiedAt != "2026-11-01T08:00:00Z" || i.Hash == "" || !b.AsOf.Equal(epoch) {
		t.Errorf("kept %+v", i)
	}
	if diff := cmp.Diff([]catalogue.BackupType{{Type: "assignmentFilters", Items: 2}, {Type: "configurationPolicies"}}, b.Types); diff != "" {
		t.Errorf("types: -want +got:\n%s", diff)
	}
}

// TestPolicyBackupIncomplete: a policy that lacks a part is kept with what came, and is
// told by its name; a policy that can't be identified is told and not kept. The others
// and the other types are complete.
func TestPolicyBackupIncomplete(t *testing.T) {
	t.Parallel()
	f := policyTenant([]string{"a", "bad", "gone", "refused", strings.Repeat("x", 201)}, []string{"few", "no", "ok"}, map[string]any{
		filtersPath + "/bad":              `{"id":"bad","displayName":"1","displayName":"2"}`,
		filtersPath + "/gone":             error(&provider.Error{Reason: op.ProviderRejected, Status: 404}),
		filtersPath + "/refused":          refusal(op.AccessRefused),
		catalogPath + "/few":              `{"id":"few","name":"Few","settingCount":2}`,
		catalogPath + "/few" + settingsOf: `{"value":[{"id":"0","settingInstance":{"settingDefinitionId":"one"}}]}`,
		catalogPath + "/no/assignments":   refusal(op.AccessRefused),
		catalogPath + "/no" + settingsOf:  error(&provider.Error{Reason: op.ProviderFault, Status: 500}),
	})
	r, kept, err := backUp(t, f)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"assignmentFilters | Assignment filters: done 1/4 failed 3 list_incomplete",
		"assignmentFilters/#1 | Assignment filters: object: failed 0/0 failed 0 object_without_id",
		"assignmentFilters/bad | Assignment filters bad: object: failed 0/0 failed 0 object_incomplete",
		"assignmentFilters/refused | Assignment filters refused: object: failed 0/0 failed 0 access_refused",
		"configurationPolicies | Settings catalog: done 1/3 failed 2 list_incomplete",
		"configurationPolicies/few | Few: settings: failed 0/0 failed 0 object_incomplete",
		"configurationPolicies/no | Catalog no: settings: failed 0/0 failed 0 provider_fault",
	}
	if diff := cmp.Diff(want, told(r)); diff != "" || r.Counts != (op.Counts{Failed: 2, Total: 2}) {
		t.Errorf("%+v, -want +got:\n%s", r.Counts, diff)
	}
	var got []string
	for _, i := range kept.Kept[0].Items {
		line := i.Policy.ID + ":"
		for _, m := range i.Missing {
			line += fmt.Sprintf(" %s %s %q", m.Part, m.Reason, m.Why)
		}
		got = append(got, line)
	}
	slices.Sort(got) // types are read at the same time
	if diff := cmp.Diff([]string{
		"a:", `bad: object object_incomplete "is not valid JSON: \"displayName\" stands twice in one object"`,
		`few: settings object_incomplete "1 of 2 were read"`, `no: settings provider_fault "" assignments access_refused "no"`, "ok:", `refused: object access_refused "no"`,
	}, got); diff != "" {
		t.Errorf("kept: -want +got:\n%s", diff)
	}
	if types := kept.Kept[0].Types; types[0].Reason != op.ListIncomplete || types[0].Items != 3 || types[1].Reason != "" {
		t.Errorf("an object without a usable id is not kept, and its type not complete: %+v", types)
	}
}

// TestPolicyBackupOfTypesThatFail: a type that is refused has its reason, keeps what came
// of it, and leaves the others complete. A tenant without the service has nothing to back
// up. A refusal of the whole connection keeps no backup at all.
func TestPolicyBackupOfTypesThatFail(t *testing.T) {
	t.Parallel()
	whole := policyTenant([]string{"a"}, []string{"b"}, nil)
	failing := func(err error) *fake {
		return &fake{get: whole.get, page: func(next string) (provider.Page, error) {
			switch next {
			case catalogPath:
				return provider.Page{Items: objects(`{"id":"b"}`), Next: "more"}, nil
			case "more":
				return provider.Page{}, err
			}
			return whole.page(next)
		}}
	}
	for _, c := range []struct {
		name  string
		err   error
		lines []string
		types []catalogue.BackupType
		total op.Counts
	}{
		{
			"refused", refusal(op.AccessRefused),
			[]string{"assignmentFilters | Assignment filters: done 1/1 failed 0", "configurationPolicies | Settings catalog: failed 0/0 failed 0 access_refused"},
			[]catalogue.BackupType{{Type: "assignmentFilters", Items: 1}, {Type: "configurationPolicies", Items: 1, Reason: op.AccessRefused}},
			op.Counts{Done: 1, Failed: 1, Total: 2},
		},
		{
			"not licensed", noIntune(),
			[]string{"assignmentFilters | Assignment filters: done 1/1 failed 0", "configurationPolicies | Settings catalog: not_applicable 0/0 failed 0 not_licensed"},
			[]catalogue.BackupType{{Type: "assignmentFilters", Items: 1}, {Type: "configurationPolicies", Items: 1, Reason: op.NotLicensed, Absent: true}},
			op.Counts{Done: 1, Total: 1},
		},
	} {
		r, kept, err := backUp(t, failing(c.err))
		if err != nil || len(kept.Kept) != 1 {
			t.Fatalf("%s: %d backups, %v", c.name, len(kept.Kept), err)
		}
		if diff := cmp.Diff(c.lines, told(r)); diff != "" || r.Counts != c.total {
			t.Errorf("%s: %+v, -want +got:\n%s", c.name, r.Counts, diff)
		}
		if diff := cmp.Diff(c.types, kept.Kept[0].Types); diff != "" || len(kept.Kept[0].Items) != 2 {
			t.Errorf("%s: %d items, types -want +got:\n%s", c.name, len(kept.Kept[0].Items), diff)
		}
	}
	for name, err := range map[string]error{"throttled": throttled(), "away": away(), "expired": refusal(op.CredentialExpired)} {
		r, kept, got := backUp(t, failing(err))
		if got == nil || len(kept.Kept) != 0 {
			t.Errorf("%s: %v, %d backups, %v", name, got, len(kept.Kept), told(r))
		}
	}
}

// TestPolicyBackupOfManyIncomplete: a type has at most 20 lines for its policies; its own
// line counts all.
func TestPolicyBackupOfManyIncomplete(t *testing.T) {
	t.Parallel()
	var ids []string
	bodies := map[string]any{}
	for i := range 30 {
		ids = append(ids, fmt.Sprint(i))
		bodies[filtersPath+"/"+ids[i]] = refusal(op.AccessRefused)
	}
	r, _, err := backUp(t, policyTenant(ids, nil, bodies))
	if err != nil {
		t.Fatal(err)
	}
	if i := r.Find(t, "assignmentFilters"); len(r.Items) != 22 || i.Counts != (op.Counts{Failed: 30, Total: 30}) {
		t.Errorf("%d lines, %+v", len(r.Items), i)
	}
}

// TestPolicyBackupKeepsNames: the names that the tenant gives to settings are kept beside
// the settings, which stay as they are without them.
func TestPolicyBackupKeepsNames(t *testing.T) {
	t.Parallel()
	_, kept, err := backUp(t, policyTenant(nil, []string{"p"}, map[string]any{
		catalogPath + "/p":              `{"id":"p","name":"P","settingCount":1}`,
		catalogPath + "/p" + settingsOf: `{"value":[{"id":"0", "settingInstance":{"settingDefinitionId":"lock"},"settingDefinitions":[{"id":"lock","displayName":"Lock"}]}]}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	i := kept.Kept[0].Items[0]
	if string(i.Policy.Parts["settings"]) != `[{"id":"0", "settingInstance":{"settingDefinitionId":"lock"}}]` || i.Policy.Names["lock"] != "Lock" || len(i.Missing) > 0 {
		t.Errorf("kept %s, %v, %v", i.Policy.Parts["settings"], i.Policy.Names, i.Missing)
	}
}

// TestPolicyBackupFindsAListAgain: a policy that a list has twice is kept once.
func TestPolicyBackupFindsAListAgain(t *testing.T) {
	t.Parallel()
	r, kept, err := backUp(t, policyTenant([]string{"a", "b", "a"}, nil, nil))
	if err != nil || len(kept.Kept[0].Items) != 2 || r.Find(t, "assignmentFilters").Counts.Done != 2 {
		t.Errorf("%v, %v", told(r), err)
	}
}
