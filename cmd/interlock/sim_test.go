package main

import (
	"archive/zip"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
	"github.com/interlock-dev/interlock/internal/policy"
)

// exported holds files as tools write them: a Graph export with parts and assignments, one in
// UTF-16, a template with JSON in a string, and files that are no policies.
var exported = map[string]string{
	"Settings Catalog/BitLocker.json": `{"id":"0f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11","@odata.type":"#microsoft.graph.deviceManagementConfigurationPolicy","name":"BitLocker","platforms":"windows10",
		"technologies":"mdm","roleScopeTagIds":["0"],"settings":[{"id":"0","settingInstance":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
		"settingDefinitionId":"device_vendor_msft_bitlocker_requiredeviceencryption","choiceSettingValue":{"value":"device_vendor_msft_bitlocker_requiredeviceencryption_1","children":[]}}}],
		"assignments":[{"id":"a1","target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"6c1d77a5-66b3-4f0e-9f4e-0d2f6a7c1d03"}}]}`,
	"Device Configurations/ios.json": utf16LE(`{"@odata.type":"#microsoft.graph.iosGeneralDeviceConfiguration","displayName":"Phones","cameraBlocked":true}`),
	"notes.txt":                      "not a policy",
	"broken.json":                    `{"displayName":`,
}

func utf16LE(s string) string {
	out := []byte{0xff, 0xfe}
	for _, c := range []byte(s) {
		out = append(out, c, 0)
	}
	return string(out)
}

func writeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeZip(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for name, text := range files {
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSimDataReadsFoldersAndZipFiles(t *testing.T) {
	for form, path := range map[string]string{"folder": writeFolder(t, exported), "zip": writeZip(t, exported)} {
		t.Run(form, func(t *testing.T) {
			data, _, err := simData(path)
			if err != nil {
				t.Fatal(err)
			}
			left := map[string]bool{}
			for _, l := range data.LeftOut {
				left[l.File] = l.Reason != ""
			}
			if len(data.Documents) != 2 || !left["notes.txt"] || !left["broken.json"] {
				t.Fatalf("%d documents, left out %v", len(data.Documents), data.LeftOut)
			}
			s, err := graphsim.New(graphsim.Config{Data: data})
			if err != nil {
				t.Fatal(err)
			}
			if d := s.Data(); d.Policies != 2 || d.Groups != 1 || len(d.LeftOut) != 2 || d.Folder != path {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestControlLoadsZipFiles(t *testing.T) {
	file, err := os.ReadFile(writeZip(t, exported))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := unpack(file); err != nil || len(data.Documents) != 2 || len(data.LeftOut) != 2 {
		t.Errorf("%v %+v", err, data)
	}
	if _, err := unpack([]byte("no zip")); err == nil {
		t.Error("text passes as a zip file")
	}
}

func TestSimDataRefuses(t *testing.T) {
	noZip := filepath.Join(writeFolder(t, map[string]string{"a.zip": "no zip"}), "a.zip")
	for name, path := range map[string]string{
		"a folder without policies": writeFolder(t, map[string]string{"notes.txt": "x"}),
		"a file that is no zip":     noZip,
		"a path that is not there":  filepath.Join(t.TempDir(), "none"),
	} {
		if _, _, err := simData(path); err == nil || !strings.Contains(err.Error(), "--data "+path+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	id := "no guid"
	if err := simTenant(&graphsim.Config{}, &id); err == nil || !strings.Contains(err.Error(), "--tenant") {
		t.Errorf("%v", err)
	}
}

func TestSimDataLeavesAnIndexToTheSimulator(t *testing.T) {
	dir := writeFolder(t, map[string]string{"policies/index.json": "[]"})
	if data, _, err := simData(dir); data != nil || err != nil {
		t.Errorf("%v, %v", data, err)
	}
}

// TestSimulatorWritesEveryTypeThatIsRestored sends an empty change of each type of policy that a
// restore writes: the simulator knows how to create it, and how to assign it.
func TestSimulatorWritesEveryTypeThatIsRestored(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	tok := s.Token()
	tried := 0
	for _, typ := range policy.Types() {
		path := "/" + typ.Version + "/" + typ.Path
		if a := s.Get(tok, path+"?$top=1"); a.Status != http.StatusOK {
			t.Errorf("%s can't be read: %d %s", path, a.Status, a.Body)
		}
		if typ.Backup != "" {
			continue
		}
		tried++
		if a := s.Send(tok, http.MethodPost, path, "{"); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "Unable to read JSON") {
			t.Errorf("%s can't be created: %d %s", path, a.Status, a.Body)
		}
		if typ.Assign.Action != "" {
			if a := s.Send(tok, http.MethodPost, path+"/x/"+typ.Assign.Action, "{}"); a.Status != http.StatusNotFound {
				t.Errorf("%s can't be assigned: %d %s", path, a.Status, a.Body)
			}
		}
		for _, part := range typ.Parts {
			if part.Action == "" {
				continue
			}
			if a := s.Send(tok, http.MethodPost, path+"/x/"+part.Action, "{}"); a.Status != http.StatusNotFound {
				t.Errorf("%s has no action %s: %d %s", path, part.Action, a.Status, a.Body)
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d types are restored", tried)
	}
}
