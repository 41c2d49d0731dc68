package catalogue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// lines renders the items of bad objects: key, result and reason.
func lines(r *operationtest.Report) string {
	var all []string
	for _, it := range r.Items {
		if strings.Contains(it.Key, "/") {
			all = append(all, fmt.Sprintf("%s %s %s", it.Key, it.Result, it.Reason))
		}
	}
	return strings.Join(all, "\n")
}

// One bad object is an item with its reason, and the rest of the list is kept.
func TestInventorySyncKeepsTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, objects string // of mobileApps
		kept          string
		lines         string
		unreadable    int64
		reason        op.Reason // of the type
		old           bool      // rows stay
	}{
		{"as documented", `{"id":"a","displayName":"A"}`, "a A", "", 0, "", false},
		{"without an id", `{"displayName":"x"}|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_without_id", 1, op.ListIncomplete, false},
		{"an empty id", `{"id":"","displayName":"x"}|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_without_id", 1, op.ListIncomplete, false},
		{"a number as its id", `{"id":7,"displayName":"x"}|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_without_id", 1, op.ListIncomplete, false},
		{"an id that no database keeps", `{"id":"a\u0000b"}|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_without_id", 1, op.ListIncomplete, false},
		{"an id that is too long", `{"id":"` + strings.Repeat("x", 257) + `"}|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_without_id", 1, op.ListIncomplete, false},
		{"null", `null|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_malformed", 1, op.ListIncomplete, false},
		{"no object", `7|["x"]|"y"|{"id":"a","displayName":"A"}`, "a A", "mobileApps/1 failed object_malformed\nmobileApps/2 failed object_malformed\nmobileApps/3 failed object_malformed", 3, op.ListIncomplete, false},
		{"without a name", `{"id":"a"}`, "a ", "mobileApps/1 done object_without_name", 0, "", false},
		{"a number as its name", `{"id":"a","displayName":7}`, "a ", "mobileApps/1 done object_without_name", 0, "", false},
		{"other properties of another type", `{"id":"a","displayName":"A","@odata.type":[],"lastModifiedDateTime":{}}`, "a A", "", 0, "", false},
		{"doubled", `{"id":"a","displayName":"A"}|{"id":"a","displayName":"B"}`, "a B", "mobileApps/1 done object_twice", 0, "", false},
		{"nothing that can be read", `null|{}`, "old old", "mobileApps/1 failed object_malformed\nmobileApps/2 failed object_without_id", 0, op.ProviderFault, true},
		{"more than are told", strings.Repeat("null|", 30) + `{"id":"a","displayName":"A"}`, "a A", "", 30, op.ListIncomplete, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := &datatest.Memory{}
			answer := `{"id":"old","displayName":"old"}`
			f := &fake{page: func(string) (provider.Page, error) {
				return provider.Page{Items: objects(strings.Split(answer, "|")...)}, nil
			}}
			if _, err := run(t, op.InventorySync, f, data, `{"types":["mobileApps"]}`); err != nil {
				t.Fatal(err)
			}
			answer = c.objects
			r, err := run(t, op.InventorySync, f, data, `{"types":["mobileApps"]}`)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, data, "inventory/mobileApps"); got != c.kept {
				t.Errorf("kept %q, want %q", got, c.kept)
			}
			switch got := lines(r); {
			case strings.HasPrefix(c.name, "more"):
				if n := strings.Count(got, "\n") + 1; n != 20 {
					t.Errorf("%d objects are told one by one, want 20", n)
				}
			case got != c.lines:
				t.Errorf("told\n%s\nwant\n%s", got, c.lines)
			}
			if d, _ := data.Dataset(t.Context(), "inventory/mobileApps"); d.Unreadable != c.unreadable {
				t.Errorf("%d are unreadable, want %d", d.Unreadable, c.unreadable)
			}
			item := r.Find(t, "mobileApps")
			if item.Reason != c.reason || (item.Result == op.ItemFailed) != c.old || item.Counts.Failed != c.unreadable {
				t.Errorf("the line of the type is %+v", item)
			}
			if (data.StaleReason("inventory/mobileApps") != "") != c.old || (r.Counts.Failed == 1) != (c.reason != "") {
				t.Errorf("stale for %q, progress %+v", data.StaleReason("inventory/mobileApps"), r.Counts)
			}
		})
	}
}

func TestGroupsSyncKeepsTheRest(t *testing.T) {
	t.Parallel()
	const d = `{"id":"d","displayName":"Delta"}`
	for _, c := range []struct {
		name, objects, want, lines string
		groups, members            int64 // unreadable ones
	}{
		{"no group", `null|7|` + d, "d Delta:", "groups/1 failed object_malformed\ngroups/2 failed object_malformed", 2, 0},
		{
			"no id", `{"displayName":"x"}|{"id":7}|{"id":"a\u0000b"}|{"@removed":{"reason":"deleted"}}|` + d, "d Delta:",
			"groups/1 failed object_without_id\ngroups/2 failed object_without_id\ngroups/3 failed object_without_id\ngroups/4 failed object_without_id", 4, 0,
		},
		{
			"no name", `{"id":"e","description":"x"}|{"id":"f","displayName":7}|{"id":"g"}|` + d, "d Delta:\ne :\nf :\ng :",
			"groups/1 done object_without_name\ngroups/2 done object_without_name", 0, 0,
		},
		{"twice is no fault of a round", d + "|" + d, "d Delta:", "", 0, 0},
		{
			"members", `{"id":"d","displayName":"Delta","members@delta":[{"id":"1"},{},null,{"id":7},7,{"id":"2","@odata.type":7},{"id":"3"}]}`, "d Delta: 1 2 3",
			"members/1 failed object_without_id\nmembers/2 failed object_malformed\nmembers/3 failed object_without_id\nmembers/4 failed object_malformed", 0, 4,
		},
		{"members that are no list", `{"id":"d","displayName":"Delta","members@delta":{}}`, "d Delta:", "members/1 failed object_malformed", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := &datatest.Memory{}
			f := &fake{page: script(map[string]provider.Page{initial: {Items: objects(strings.Split(c.objects, "|")...), Delta: "d1"}})}
			r, err := run(t, op.DirectoryGroupsSync, f, data, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(t, data); got != strings.ReplaceAll(c.want, " :", ":") && got != c.want {
				t.Errorf("readers see\n%s\nwant\n%s", got, c.want)
			}
			if got := lines(r); got != c.lines {
				t.Errorf("told\n%s\nwant\n%s", got, c.lines)
			}
			groups, members := r.Find(t, "groups"), r.Find(t, "members")
			if groups.Counts.Failed != c.groups || members.Counts.Failed != c.members ||
				(groups.Reason == op.ListIncomplete) != (c.groups > 0) || (members.Reason == op.ListIncomplete) != (c.members > 0) {
				t.Errorf("%+v\n%+v", groups, members)
			}
			if d, _ := data.Dataset(t.Context(), catalogue.Groups); d.Unreadable != c.groups+c.members || d.Delta != "d1" {
				t.Errorf("%+v", d)
			}
		})
	}
	// Of a full round nothing can be read: the old rows stay.
	data := had(t)
	_, err := run(t, op.DirectoryGroupsSync, &fake{page: script(map[string]provider.Page{initial: {Items: objects(`null`), Delta: "d2"}})}, data, `{"full":true}`)
	if reasonOf(err) != op.ProviderFault {
		t.Errorf("ended with %v", err)
	}
	if got := shown(t, data); got != "a Alpha: 1 2\nb Beta:" {
		t.Errorf("readers see %q", got)
	}
}

// FuzzObjects: whatever an object is, the list around it is kept.
func FuzzObjects(f *testing.F) {
	for _, seed := range []string{`null`, `{}`, `{"id":7}`, `{"id":"x","displayName":null}`, `{"id":"x","members@delta":[{"id":7},null]}`, `[]`, `{"id":"x","id":7}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		items := objects(raw, `{"id":"kept","displayName":"Kept","status":"error"}`)
		for _, d := range catalogue.All() {
			data, f := &datatest.Memory{}, fake{page: func(string) (provider.Page, error) { return provider.Page{Items: items, Delta: "d"}, nil }}
			f.get = func(path string) (string, error) {
				if strings.HasPrefix(path, "/v1.0/organization") {
					return `{"value":[{"id":"` + directory + `","displayName":"Kestrel Logistics"}]}`, nil
				}
				return `{"id":"kept","displayName":"Kept","compliantDeviceCount":1,"nonCompliantDeviceCount":1,"successCount":1,"failedCount":1}`, nil
			}
			if _, err := run(t, d.Kind, &f, data, string(d.Example)); err != nil {
				t.Fatalf("%s: %v", d.Kind, err)
			}
			if len(data.Names()) < len(d.Datasets) {
				t.Fatalf("%s wrote only %q", d.Kind, data.Names())
			}
			for _, dataset := range data.Names() {
				if got := names(t, data, dataset); !strings.Contains(got, "kept Kept") {
					t.Errorf("%s kept %q of %s", d.Kind, got, dataset)
				}
			}
		}
	})
}
