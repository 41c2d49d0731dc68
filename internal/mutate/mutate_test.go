package mutate

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// module makes a module with one guarded place, and a test that sees it or not.
func module(t *testing.T, test string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example.test/m\n\ngo 1.24\n",
		"p/p.go":         "package p\n\n// Allowed guards.\nfunc Allowed(n int) bool { return n < 10 }\n",
		"p/p_test.go":    "package p\n\nimport \"testing\"\n\nfunc TestAllowed(t *testing.T) {\n" + test + "\n}\n",
		"q/q_test.go":    "package q\n\nimport (\n\t\"testing\"\n\n\t\"example.test/m/p\"\n)\n\nfunc TestOther(t *testing.T) {\n\tif p.Allowed(11) {\n\t\tt.Error(\"allowed\")\n\t}\n}\n",
		"r/r_test.go":    "package r\n\nimport \"testing\"\n\nfunc TestOther(t *testing.T) { t.Error(\"always\") }\n",
		"r/other_doc.go": "package r\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRun(t *testing.T) {
	const seeing, blind = `if Allowed(11) { t.Error("allowed") }`, `if !Allowed(1) { t.Error("refused") }`
	guard := Mutation{Name: "guard", Guard: "Ten is the limit", File: "p/p.go", Old: "n < 10", New: "n < 1000", Test: "TestAllowed"}
	elsewhere := guard
	elsewhere.Dir, elsewhere.Test = "q", "TestOther"
	broken := guard
	broken.New = "n < "
	red := guard
	red.Dir, red.Test = "r", "TestOther"
	for name, tc := range map[string]struct {
		test   string
		m      Mutation
		caught bool
		err    string // part of it
	}{
		"a test that sees":                 {seeing, guard, true, ""},
		"a test in another package":        {blind, elsewhere, true, ""},
		"a test that does not see":         {blind, guard, false, ""},
		"a mutation that does not compile": {seeing, broken, false, "does not compile"},
		"a test that fails anyway":         {seeing, red, false, "not green without the mutation"},
		"a test that is skipped":           {`t.Skip("not today")`, guard, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := module(t, tc.test)
			var got []Result
			err := Run(t.Context(), root, []Mutation{tc.m}, regexp.MustCompile(""), func(r Result) { got = append(got, r) })
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || len(got) > 0 {
					t.Errorf("error %v and results %v, want an error with %q", err, got, tc.err)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0].Caught != tc.caught {
				t.Errorf("error %v, results %v, want caught %v", err, got, tc.caught)
			}
			if text, err := os.ReadFile(filepath.Join(root, "p/p.go")); err != nil || !strings.Contains(string(text), "n < 10 ") {
				t.Errorf("the source was changed: %v %s", err, text)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	root := module(t, "")
	good := Mutation{Name: "guard", File: "p/p.go", Old: "n < 10", New: "n < 1000", Test: "TestAllowed"}
	if err := Check(root, []Mutation{good}); err != nil {
		t.Errorf("a good row: %v", err)
	}
	for part, change := range map[string]func(*Mutation){
		"0 times":         func(m *Mutation) { m.Old = "n < 11" },
		"2 times":         func(m *Mutation) { m.Old = "Allowed" },
		"changes nothing": func(m *Mutation) { m.New = m.Old },
		"has no test":     func(m *Mutation) { m.Test = "TestNobody" },
		"no such file":    func(m *Mutation) { m.File = "p/gone.go" },
	} {
		bad := good
		bad.Name = "bad"
		change(&bad)
		if err := Check(root, []Mutation{good, bad}); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "bad: ") {
			t.Errorf("%s: error %v", part, err)
		}
	}
	if err := Check(root, []Mutation{good, good}); err == nil || !strings.Contains(err.Error(), "used twice") {
		t.Errorf("a name twice: %v", err)
	}
}

// TestJudge: a test that times out has noticed the mutation; one that did not run shows nothing.
func TestJudge(t *testing.T) {
	const run, fail = `{"Action":"run","Test":"TestX"}` + "\n", `{"Action":"fail","Test":"TestX"}` + "\n"
	exit := errors.New("exit status 1")
	if err := judge([]byte(run+fail), "", "TestX", exit); !errors.Is(err, errFailed) {
		t.Errorf("a failed test: %v", err)
	}
	if err := judge([]byte(`{"Action":"fail","Test":"TestX/part"}`+"\n"), "", "TestX", exit); err == nil || errors.Is(err, errFailed) {
		t.Errorf("another test failed: %v", err)
	}
	if err := judge(nil, "", "TestX", nil); err == nil || !strings.Contains(err.Error(), "did not run") {
		t.Errorf("no test: %v", err)
	}
	if err := judge([]byte(run), "", "TestX", nil); err != nil {
		t.Errorf("a test that passes: %v", err)
	}
}
