package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promises are the ids of the acceptance list: the number of entries for each letter.
var promises = map[string]int{"G": 12, "V": 5, "T": 2, "P": 4, "R": 5, "O": 6, "M": 5, "A": 4, "S": 1, "W": 2}

// TestAcceptance checks docs/acceptance.md: every promise names tests that exist and
// run, or says that it is open.
func TestAcceptance(t *testing.T) {
	table, err := os.ReadFile(root + "/docs/acceptance.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := source()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range acceptance(string(table), files) {
		t.Error(f)
	}
}

// A row of the table, the tests that it names (package below internal/ or the root,
// name, and perhaps a case), and what it calls not proven yet.
var (
	row  = regexp.MustCompile(`(?m)^\| ((?:rel-)?[A-Z]\d+) \|(.*)\|$`)
	test = regexp.MustCompile("`([a-z0-9_/]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]*)(?:/([^`]+))?`")
	open = regexp.MustCompile(`open: *([^;|]*)`)
)

func acceptance(table string, files []file) (found []finding) {
	say := func(id, format string, args ...any) {
		found = append(found, finding("docs/acceptance.md: "+id+": "+fmt.Sprintf(format, args...)))
	}
	functions := make(map[string]*ast.FuncDecl)
	said := make(map[string]string) // all strings in a package's tests, and its scripts
	for _, f := range files {
		if !f.test() {
			continue
		}
		room := strings.TrimPrefix(f.room(), "internal/")
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				functions[room+"."+fn.Name.Name] = fn
			}
		}
		f.texts(func(_ ast.Node, text string) { said[room] += text + "\n" })
	}

	rows := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		id, cells := m[1], m[2]
		if rows[id] {
			say(id, "has two rows")
		}
		rows[id] = true
		tests := test.FindAllStringSubmatch(cells, -1)
		for _, named := range tests {
			name := named[1] + "." + named[2]
			fn, ok := functions[name]
			switch {
			case !ok:
				say(id, "%s does not exist", name)
			case alwaysSkips(fn):
				say(id, "%s skips", name)
			case named[3] != "" && !strings.Contains(said[named[1]], named[3]) && !scriptExists(named[1], named[3]):
				say(id, "%s has no case %q", name, named[3])
			}
		}
		marks := open.FindAllStringSubmatch(cells, -1)
		if len(tests) == 0 && len(marks) == 0 {
			say(id, "names no test and is not marked open: ...")
		}
		for _, mark := range marks {
			if strings.TrimSpace(mark[1]) == "" {
				say(id, "is open without a word why")
			}
		}
	}
	for _, letter := range slices.Sorted(maps.Keys(promises)) {
		for n := range promises[letter] {
			if id := fmt.Sprintf("%s%d", letter, n+1); !rows[id] {
				say(id, "has no row")
			}
		}
	}
	return found
}

// alwaysSkips reports whether fn skips unconditionally.
func alwaysSkips(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Body.List, func(s ast.Stmt) bool {
		e, ok := s.(*ast.ExprStmt)
		if !ok {
			return false
		}
		call, ok := e.X.(*ast.CallExpr)
		return ok && skip(call)
	})
}

func scriptExists(room, name string) bool {
	for _, folder := range []string{room, path.Join("internal", room)} {
		for _, below := range []string{"", "testdata", "testdata/script"} {
			if _, err := os.Stat(path.Join(root, folder, below, name+".txtar")); err == nil {
				return true
			}
		}
	}
	return false
}

// TestAcceptanceSees: the check finds every kind of wrong row.
func TestAcceptanceSees(t *testing.T) {
	tests, err := parse("internal/gate/gate_test.go", `package gate
func TestReal(t *testing.T) { t.Run("a case", nil); if absent { t.Skip("no ../shared") } }
func TestSkipped(t *testing.T) { t.Skip("later") }`)
	if err != nil {
		t.Fatal(err)
	}
	full := ""
	for letter, count := range promises {
		for n := range count {
			full += fmt.Sprintf("| %s%d | a promise | `gate.TestReal` |\n", letter, n+1)
		}
	}
	for _, tt := range []struct{ name, row, want string }{
		{"nothing wrong", "| rel-R1 | promise | `gate.TestReal`, `gate.TestReal/a case`; open: the rest |\n", ""},
		{"no such test", "| rel-R1 | promise | `gate.TestGone` |\n", "rel-R1: gate.TestGone does not exist"},
		{"no such package", "| rel-R1 | promise | `gates.TestReal` |\n", "gates.TestReal does not exist"},
		{"no such case", "| rel-R1 | promise | `gate.TestReal/no case` |\n", `has no case "no case"`},
		{"a test that skips", "| rel-R1 | promise | `gate.TestSkipped` |\n", "gate.TestSkipped skips"},
		{"nothing named", "| rel-R1 | promise | soon |\n", "names no test"},
		{"open for no reason", "| rel-R1 | promise | open:  |\n", "without a word why"},
		{"twice", "| G1 | promise | open: soon |\n", "G1: has two rows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, acceptance(full+tt.row, []file{tests}), tt.want)
		})
	}
	t.Run("a promise without a row", func(t *testing.T) {
		check(t, acceptance(strings.ReplaceAll(full, "| W2 |", "| W3 |"), []file{tests}), "W2: has no row")
	})
}

// TestAcceptanceListIsWhole compares the ids with the list of promises beside the
// repository.
func TestAcceptanceListIsWhole(t *testing.T) {
	const list = root + "/../shared/spec/acceptance.md"
	text, err := os.ReadFile(list)
	if err != nil {
		t.Skip("../shared/spec/acceptance.md is absent: the ids are compared where it is present")
	}
	there := make(map[string]int)
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z])\d+ \|`).FindAllStringSubmatch(string(text), -1) {
		there[m[1]]++
	}
	if !maps.Equal(there, promises) {
		t.Errorf("the list has %v, promises has %v", there, promises)
	}
}
