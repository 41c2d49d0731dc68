package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/policy"
)

const shared = "../../../shared/graph-data/"

// pack makes a zip file of files.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unzip(data []byte) (archive.Bundle, error) {
	return archive.Zip(bytes.NewReader(data), int64(len(data)))
}

// took reads files as a zip file and as a folder, which must say the same.
func took(t testing.TB, files map[string]string) archive.Bundle {
	t.Helper()
	b, err := unzip(pack(t, files))
	if err != nil && !errors.Is(err, archive.ErrNothing) {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, content := range files {
		dir[name] = &fstest.MapFile{Data: []byte(content)}
	}
	folder, err := archive.Folder(dir)
	if err != nil && !errors.Is(err, archive.ErrNothing) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, folder); diff != "" {
		t.Errorf("-zip +folder:\n%s", diff)
	}
	return b
}

// brief is what was taken and what was not, a line each.
func brief(b archive.Bundle) (all []string) {
	for _, i := range b.Items {
		all = append(all, fmt.Sprintf("%s: %s %q", i.File, i.Type, i.Name))
	}
	for _, s := range b.Skipped {
		all = append(all, s.Path+" "+s.Why)
	}
	slices.Sort(all)
	return all
}

// add writes items and returns the zip file.
func write(t testing.TB, m archive.Meta, items ...archive.Item) []byte {
	t.Helper()
	var out bytes.Buffer
	w := archive.NewWriter(&out, m)
	for _, i := range items {
		if err := w.Add(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readShared(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(shared + name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/graph-data is absent: the public policies are read where it is present")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCorpusTypes reads each public policy under a name that says nothing. The content
// tells the type of 234 of 268. The others are no policies that Interlock backs up: apps,
// and kinds that Microsoft has given up.
func TestCorpusTypes(t *testing.T) {
	var index []struct{ File, Collection string }
	if err := json.Unmarshal(readShared(t, "policies/index.json"), &index); err != nil {
		t.Fatal(err)
	}
	if len(index) != 268 {
		t.Fatalf("%d policies are there, want 268", len(index))
	}
	// Its settings are those of a compliance policy for Linux; only the notes that it comes
	// from call it a settings catalog policy.
	mistaken := "policies/terraform-provider-microsoft365/configurationPolicies/settingsCatalog-test-2.json"
	read, why := 0, make(map[string]int)
	for _, row := range index {
		b, err := archive.Folder(fstest.MapFS{"x.json": {Data: readShared(t, row.File)}})
		if err != nil && !errors.Is(err, archive.ErrNothing) {
			t.Fatalf("%s: %v", row.File, err)
		}
		switch {
		case len(b.Items) == 1:
			read++
			if got := policy.Lookup(b.Items[0].Type).Path; got != row.Collection && row.File != mistaken {
				t.Errorf("%s is taken for %s", row.File, got)
			}
		case len(b.Items) != 0 || len(b.Skipped) != 1:
			t.Errorf("%s: %d are taken, %v", row.File, len(b.Items), b.Skipped)
		default:
			of, ok := strings.CutSuffix(strings.TrimPrefix(b.Skipped[0].Why, "has the type "), ", which Interlock does not back up")
			if !ok {
				t.Errorf("%s %s", row.File, b.Skipped[0].Why)
			}
			why[row.Collection+" "+of]++
		}
	}
	want := map[string]int{
		"deviceAppManagement/mdmWindowsInformationProtectionPolicies mdmWindowsInformationProtectionPolicy": 2,
		"deviceAppManagement/mobileApps androidStoreApp":                                                    3,
		"deviceAppManagement/mobileApps macOSMdatpApp":                                                      2,
		"deviceAppManagement/mobileApps macOSMicrosoftEdgeApp":                                              1,
		"deviceAppManagement/mobileApps macOSOfficeSuiteApp":                                                3,
		"deviceAppManagement/mobileApps officeSuiteApp":                                                     5,
		"deviceAppManagement/mobileApps webApp":                                                             1,
		"deviceAppManagement/mobileApps winGetApp":                                                          14,
		"deviceAppManagement/windowsInformationProtectionPolicies windowsInformationProtectionPolicy":       2,
		"deviceManagement/termsAndConditions termsAndConditions":                                            1,
	}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("not read: -want +got\n%s", diff)
	}
	if read != 234 {
		t.Errorf("%d are read, want 234", read)
	}
}

// TestTypesByEntity compares what an @odata.type stands for with the types that Microsoft
// publishes: every derived type of a collection, and no other type.
func TestTypesByEntity(t *testing.T) {
	var schema struct {
		Types map[string]struct{ Base string }
	}
	if err := json.Unmarshal(readShared(t, "schema/beta-types.json"), &schema); err != nil {
		t.Fatal(err)
	}
	bases := map[string]string{
		"DeviceConfiguration": "deviceConfigurations", "DeviceCompliancePolicy": "deviceCompliancePolicies",
		"ManagedDeviceMobileAppConfiguration": "mobileAppConfigurations", "DeviceEnrollmentConfiguration": "deviceEnrollmentConfigurations",
		"NamedLocation": "namedLocations", "WindowsAutopilotDeploymentProfile": "windowsAutopilotDeploymentProfiles",
	}
	loose := []string{"DeviceEnrollmentConfiguration", "DeviceEnrollmentPlatformRestriction"} // templates name them: the plan says that they can't be restored
	complex := []string{"AppleVpnAlwaysOnConfiguration", "WindowsKioskAppConfiguration"}      // parts of objects, never objects
	seen := 0
	for name := range schema.Types {
		want := ""
		for base := schema.Types[name].Base; base != ""; base = schema.Types[base].Base {
			if key, ok := bases[base]; ok {
				want = key
			}
		}
		if want != "" {
			seen++
		}
		entity := "#microsoft.graph." + strings.ToLower(name[:1]) + name[1:]
		b, err := archive.Folder(fstest.MapFS{"x.json": {Data: []byte(`{"@odata.type":"` + entity + `","displayName":"x"}`)}})
		if err != nil && !errors.Is(err, archive.ErrNothing) {
			t.Fatal(err)
		}
		got := ""
		if len(b.Items) == 1 {
			got = b.Items[0].Type
		}
		exact := got != "" && policy.Lookup(got).Entity == entity || slices.Contains(policy.Lookup("roleDefinitions").Aliases, entity)
		if got != want && !exact && !slices.Contains(complex, name) && !slices.Contains(loose, name) {
			t.Errorf("%s is taken for %q, want %q", entity, got, want)
		}
	}
	if seen < 150 {
		t.Errorf("only %d derived types are there", seen)
	}
}

// items are policies with all that a set can hold: parts, assignments, names that file
// systems confuse, and properties that the object has already.
func items() []archive.Item {
	item := func(key, id, name, body string) archive.Item {
		return archive.Item{Item: policy.Item{Type: key, ID: id, Body: json.RawMessage(body)}, Name: name}
	}
	full := item("configurationPolicies", "c1", "A/B", ` { "id":"c1", "name" : "A/B","platforms":"windows10", "x" : 1.50 } `)
	full.Parts = map[string]json.RawMessage{"settings": json.RawMessage(`[ {"id":"0","settingInstance":{"settingDefinitionId":"s\u00e9"}} ]`)}
	full.Assignments = json.RawMessage(`[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]`)
	other := item("configurationPolicies", "c2", "A:B", `{"id":"c2","name":"A:B","settings":null,"assignments": [ ] }`)
	other.Parts = map[string]json.RawMessage{"settings": json.RawMessage(`[]`)}
	other.Assignments = json.RawMessage(`[]`)
	other.Missing = []string{"settings: 0 of 3 were read"}
	return []archive.Item{
		full, other,
		item("roleScopeTags", "7", "CON", `{"id":"7","displayName":"CON"}`),
		item("roleScopeTags", "8", "con", `{"id":"8","displayName":"con"}`),
		item("roleScopeTags", "9", "Cafe\u0301", `{"id":"9","displayName":"Cafe\u0301"}`),
		item("roleScopeTags", "10", "Caf\u00c9", `{"id":"10","displayName":"Caf\u00c9"}`),
		item("deviceCompliancePolicies", "d1", "same", `{"id":"d1","displayName":"same","@odata.type":"#microsoft.graph.iosCompliancePolicy"}`),
		item("compliancePolicies", "d1", "same", `{"id":"d1","name":"same"}`),
	}
}

var meta = archive.Meta{
	Set: "s1", Tenant: "Kestrel", Directory: "11111111-1111-1111-1111-111111111111", AsOf: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), Complete: true,
	Types: []archive.TypeMeta{{Type: "configurationPolicies", Complete: true}, {Type: "intents", Why: "no permission"}},
}

// TestRoundTripZip writes a set and reads it: every byte is the same. Nothing depends on
// the folder that people pack it in.
func TestRoundTripZip(t *testing.T) {
	want := items()
	data := write(t, meta, want...)
	if string(data) != string(write(t, meta, want...)) {
		t.Error("the same set makes another file")
	}
	b, err := unzip(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(meta, b.Meta); diff != "" || b.Tool != archive.Interlock || b.Layout != archive.Layout || len(b.Skipped) > 0 {
		t.Errorf("%s layout %d, skipped %v\n%s", b.Tool, b.Layout, b.Skipped, diff)
	}
	same(t, want, b.Items)
	again := write(t, meta, b.Items...)
	if b, err = unzip(again); err != nil {
		t.Fatal(err)
	}
	same(t, want, b.Items)

	wrapped := make(map[string]string)
	for name, content := range unpacked(t, data) {
		wrapped["my backup/"+name] = content
	}
	same(t, want, took(t, wrapped).Items)
}

// same compares items by type and id, without their files.
func same(t *testing.T, want, got []archive.Item) {
	t.Helper()
	sorted := func(all []archive.Item) []archive.Item {
		all = slices.Clone(all)
		for i := range all {
			all[i].File = ""
		}
		slices.SortFunc(all, func(a, b archive.Item) int { return strings.Compare(a.Type+" "+a.ID, b.Type+" "+b.ID) })
		return all
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// unpacked is the files of a zip file.
func unpacked(t testing.TB, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(content)
	}
	return all
}

// TestWhatABackupLacks: a policy without a body has no file, and one that can't be read is
// its bytes. Both are named when the archive is read, and their types are incomplete, as is
// a type whose file somebody took out.
func TestWhatABackupLacks(t *testing.T) {
	item := func(key, id, body string, missing ...string) archive.Item {
		return archive.Item{Item: policy.Item{Type: key, ID: id, Body: json.RawMessage(body)}, Name: id, Missing: missing}
	}
	m := meta
	m.Types = []archive.TypeMeta{{Type: "roleScopeTags", Complete: true}, {Type: "assignmentFilters", Complete: true}, {Type: "roleDefinitions", Complete: true}}
	data := write(t, m,
		item("roleScopeTags", "good", `{"id":"good","displayName":"good"}`), item("roleScopeTags", "refused", "", "object: no"),
		item("assignmentFilters", "list", `[1]`, "object: is not valid JSON"), item("intents", "gone", `{"id":"gone","displayName":"gone"}`),
		item("roleDefinitions", "whole", `{"id":"whole","displayName":"whole"}`),
	)
	files := unpacked(t, data)
	if files["Filters/list.json"] != "[1]" {
		t.Errorf("the bytes of an unreadable policy are %q", files["Filters/list.json"])
	}
	delete(files, "Management Intents/gone.json")
	b := took(t, files)
	want := []string{
		"Filters/list.json is not valid JSON: it is not an object", "Management Intents/gone.json is listed in the manifest and not in the archive",
		`Roles/whole.json: roleDefinitions "whole"`, `Scope Tags/good.json: roleScopeTags "good"`,
		"interlock-backup.json#roleScopeTags/refused lists a policy that the backup could not read: object: no",
	}
	if diff := cmp.Diff(want, brief(b)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	types := []archive.TypeMeta{{Type: "roleScopeTags"}, {Type: "assignmentFilters"}, {Type: "roleDefinitions", Complete: true}, {Type: "intents"}}
	if diff := cmp.Diff(types, b.Types); diff != "" || b.Complete {
		t.Errorf("complete: %t, -want +got:\n%s", b.Complete, diff)
	}
}

// TestManifestOfOthers: what a manifest says of the directory counts if it is an id.
func TestManifestOfOthers(t *testing.T) {
	for said, want := range map[string]string{meta.Directory: meta.Directory, "contoso": "", "{AAAAAAAA-1111-1111-1111-111111111111}": "aaaaaaaa-1111-1111-1111-111111111111"} {
		m := meta
		m.Directory = said
		if b, err := unzip(write(t, m, items()...)); err != nil || b.Directory != want {
			t.Errorf("%q is taken for %q, %v", said, b.Directory, err)
		}
	}
}

// TestRoundTripCorpus writes all public policies that are read, with parts apart, and
// reads them: every byte is the same.
func TestRoundTripCorpus(t *testing.T) {
	readShared(t, "policies/index.json")
	b, err := archive.Folder(os.DirFS(filepath.FromSlash(shared + "policies")))
	if err != nil {
		t.Fatal(err)
	}
	versions := slices.DeleteFunc(b.Skipped, func(s archive.Skipped) bool { return !strings.HasPrefix(s.Why, "is another version of ") })
	if len(versions) != 19 {
		t.Errorf("%d are other versions of one that is taken, want 19", len(versions))
	}
	for i := range b.Items {
		b.Items[i].Assignments = json.RawMessage(`[ ]`)
	}
	data := write(t, meta, b.Items...)
	again, err := unzip(data)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.Items, again.Items)
	if len(again.Items) != 215 {
		t.Errorf("%d policies, want 234 less 19 versions of others", len(again.Items))
	}
}

// TestFilesAreForOtherTools shows that each file is the whole policy, with its parts where
// IntuneCD and IntuneManagement look for them, in the folders that IntuneCD reads.
func TestFilesAreForOtherTools(t *testing.T) {
	files := unpacked(t, write(t, meta, items()...))
	var names []string
	for name, content := range files {
		names = append(names, name)
		var object map[string]any
		if err := json.Unmarshal([]byte(content), &object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	slices.Sort(names)
	want := []string{
		"Compliance Policies/Policies/same.json", "Compliance Policies/Policies/same__d1.json",
		"Scope Tags/Caf\u00c9__10.json", "Scope Tags/Caf\u00e9.json", "Scope Tags/_CON.json", "Scope Tags/_con__8.json",
		"Settings Catalog/A_B.json", "Settings Catalog/A_B__c2.json", "interlock-backup.json",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantFile := ` { "id":"c1", "name" : "A/B","platforms":"windows10", "x" : 1.50,"settings":[ {"id":"0","settingInstance":{"settingDefinitionId":"s\u00e9"}} ],` +
		`"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}] } `
	if got := files["Settings Catalog/A_B.json"]; got != wantFile {
		t.Errorf("got  %s\nwant %s", got, wantFile)
	}
}

// TestEditedFiles shows that a file that somebody changed since counts as it is now, one
// that was added is read like any other, and one that is gone is named.
func TestEditedFiles(t *testing.T) {
	files := unpacked(t, write(t, meta, items()...))
	files["Settings Catalog/A_B.json"] = strings.Replace(files["Settings Catalog/A_B.json"], `"A/B"`, `"renamed"`, 1)
	delete(files, "Scope Tags/_CON.json")
	files["more/Filter.json"] = `{"displayName":"F","platform":"iOS","rule":"(device.model -eq \"x\")"}`
	b := took(t, files)
	i := slices.IndexFunc(b.Items, func(i archive.Item) bool { return i.ID == "c1" })
	if i < 0 || b.Items[i].Name != "renamed" || b.Items[i].Parts != nil || !strings.Contains(string(b.Items[i].Body), "allDevices") {
		t.Errorf("the changed file was read as %+v", b.Items)
	}
	want := []archive.Skipped{{Path: "Scope Tags/_CON.json", Why: "is listed in the manifest and not in the archive"}}
	if diff := cmp.Diff(want, b.Skipped); diff != "" || len(b.Items) != 8 {
		t.Errorf("%d items\n%s", len(b.Items), diff)
	}
}
