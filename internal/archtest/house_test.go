package archtest

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/tenancy"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOneCommand (W1): the README's second command is the one that CI runs. It starts
// with format and lint, and the Makefile has every lane of it, each with a time limit.
func TestOneCommand(t *testing.T) {
	const proof = "./scripts/test-all"
	for _, name := range []string{"README.md", ".ci/run"} {
		if !strings.Contains(read(t, name), proof) {
			t.Errorf("%s does not name %s", name, proof)
		}
	}
	m := regexp.MustCompile(`lanes=\(([a-z][a-z -]+)\)`).FindStringSubmatch(read(t, "scripts/test-all"))
	if m == nil {
		t.Fatal("scripts/test-all has no list of lanes")
	}
	run := strings.Fields(m[1])
	if run[0] != "check" {
		t.Errorf("scripts/test-all begins with %s: format and lint are the quickest refusal", run[0])
	}
	makefile := read(t, "Makefile")
	targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(makefile, -1)
	for _, lane := range append(run, "contract") {
		if !slices.ContainsFunc(targets, func(m []string) bool { return m[1] == lane }) {
			t.Errorf("the Makefile has no target %s", lane)
		}
	}
	for tag, prefix := range lanes {
		if !strings.Contains(makefile, "-tags "+tag+" -run '^"+prefix+"'") {
			t.Errorf("the Makefile does not run the lane %s by its tag and its prefix %s", tag, prefix)
		}
	}
	// Go's default of ten minutes is for each package, whatever else the machine does.
	for _, line := range regexp.MustCompile(`(?m)^.*\bgo test .*$`).FindAllString(makefile, -1) {
		if !strings.Contains(line, " -timeout ") {
			t.Errorf("the Makefile sets no time limit in %q", strings.TrimSpace(line))
		}
	}
}

// TestSetUpIsTwoCommands: the README's set-up needs no third command.
func TestSetUpIsTwoCommands(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "README.md"), "\n## Set-up\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		commands = append(commands, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if want := []string{"go run ./cmd/interlock demo", "./scripts/test-all"}; !slices.Equal(commands, want) {
		t.Errorf("the README's set-up has the commands %q, want %q", commands, want)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksInDocs: links to our files lead to existing ones.
func TestLinksInDocs(t *testing.T) {
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s, which is not there", strings.TrimPrefix(name, root+"/"), m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestManual: the manual lists every setting that the code reads from the environment,
// and its table of capabilities is that of the registry.
func TestManual(t *testing.T) {
	manual := read(t, "docs/manual.md")
	files, err := source()
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`^INTERLOCK_[A-Z_]+$`)
	for _, f := range files {
		if f.test() || f.in("internal/db/dbtest/...") {
			continue
		}
		f.texts(func(at ast.Node, text string) {
			if setting.MatchString(text) && !strings.Contains(manual, "`"+text+"`") {
				t.Error(f.finding(at, "docs/manual.md does not mention %s", text))
			}
		})
	}
	for _, c := range tenancy.Capabilities() {
		cells := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(string(c)) + "` \\|[^|]*\\|(.*)\\|$").FindStringSubmatch(manual)
		if cells == nil {
			t.Errorf("docs/manual.md has no row for the capability %s", c)
			continue
		}
		for i, cell := range strings.Split(cells[1], "|") {
			role := tenancy.Roles()[i]
			if has := slices.Contains(role.Capabilities(), c); has != (strings.TrimSpace(cell) == "x") {
				t.Errorf("docs/manual.md is wrong about %s and %s: it holds %t", role, c, has)
			}
		}
	}
}
