// Package mutate shows that guards are guarded: it breaks the program in one place at
// a time and expects a named test to fail. Each place is a row of [Table]. Nothing is
// written into the source tree: the compiler reads the broken file from a temporary
// folder (go build -overlay).
package mutate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Mutation is one place to break, and the test that notices.
type Mutation struct {
	Name  string // unique, in lower case with hyphens
	Guard string // what the place guards, as a sentence without its full stop
	File  string // relative to the root of the repository
	Old   string // stands in File exactly once
	New   string
	Test  string // a test function of the package in Dir
	Dir   string // folder of the package; empty means that of File
}

// Folder is where the test's package lies, relative to the root of the repository.
func (m Mutation) Folder() string {
	if m.Dir != "" {
		return m.Dir
	}
	return filepath.ToSlash(filepath.Dir(m.File))
}

// Check reports rows that can't be run in the repository at root: a name that is used
// twice, a text that is not found exactly once, a test that does not exist.
func Check(root string, table []Mutation) error {
	var all []error
	seen := map[string]bool{}
	for _, m := range table {
		if seen[m.Name] {
			all = append(all, fmt.Errorf("%s: the name is used twice", m.Name))
		}
		seen[m.Name] = true
		if _, err := m.broken(root); err != nil {
			all = append(all, err)
		}
		if err := m.findTest(root); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// broken returns the text of the file with the mutation in it.
func (m Mutation) broken(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	if n := bytes.Count(text, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("%s: %s holds this text %d times, want once: %q", m.Name, m.File, n, m.Old)
	}
	if m.Old == m.New {
		return nil, fmt.Errorf("%s: changes nothing", m.Name)
	}
	return bytes.Replace(text, []byte(m.Old), []byte(m.New), 1), nil
}

func (m Mutation) findTest(root string) error {
	dir := filepath.Join(root, filepath.FromSlash(m.Folder()))
	files, err := fs.Glob(os.DirFS(dir), "*_test.go")
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == m.Test {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: %s has no test %s", m.Name, m.Folder(), m.Test)
}

// Result is what became of a mutation.
type Result struct {
	Mutation
	Caught bool   // the test failed
	Note   string // why not, or why the row could not be run
	Took   time.Duration
}

// timeout bounds one test run. A test that hangs on a mutation has noticed it.
const timeout = "5m"

// Run breaks the places whose name matches only, one after another, and calls done
// after each. It returns an error when a row can't be run: its test fails without the
// mutation, or the mutation does not compile.
func Run(ctx context.Context, root string, table []Mutation, only *regexp.Regexp, done func(Result)) error {
	if err := Check(root, table); err != nil {
		return err
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	green := map[string]error{}
	for _, m := range table {
		if !only.MatchString(m.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		key := m.Folder() + " " + m.Test
		if _, ran := green[key]; !ran {
			green[key] = goTest(ctx, root, m, "")
		}
		began := time.Now()
		if err := green[key]; err != nil {
			return fmt.Errorf("%s: %s is not green without the mutation: %w", m.Name, m.Test, err)
		}
		caught, err := m.run(ctx, root)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		done(Result{Mutation: m, Caught: caught, Took: time.Since(began)})
	}
	return nil
}

func (m Mutation) run(ctx context.Context, root string) (caught bool, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text, err := m.broken(root)
	if err != nil {
		return false, err
	}
	copied := filepath.Join(dir, filepath.Base(m.File))
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		return false, err
	}
	replace := map[string]map[string]string{"Replace": {filepath.Join(root, filepath.FromSlash(m.File)): copied}}
	overlay, err := json.Marshal(replace)
	if err != nil {
		return false, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return false, err
	}
	err = goTest(ctx, root, m, list)
	if errors.Is(err, errFailed) {
		return true, nil
	}
	return false, err
}

// errFailed marks that the test ran and failed.
var errFailed = errors.New("the test fails")

// goTest runs the test of a row. Without an overlay a result that go test has cached is good.
func goTest(ctx context.Context, root string, m Mutation, overlay string) error {
	args := []string{"test", "-json", "-vet=off", "-timeout=" + timeout, "-run=^" + m.Test + "$", "./" + m.Folder()}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = os.Environ()
	if overlay != "" { // by the environment, so that programs which a test builds are broken as well
		cmd.Env = append(cmd.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return judge(out, problems.String(), m.Test, err)
}

// judge reads what go test -json wrote.
func judge(out []byte, problems, test string, exit error) error {
	ran, failed, built := false, false, true
	var said strings.Builder
	for line := range bytes.Lines(out) {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		said.WriteString(e.Output)
		switch {
		case e.Action == "build-fail":
			built = false
		case e.Test == test && e.Action == "run":
			ran = true
		case e.Test == test && e.Action == "fail":
			failed = true
		}
	}
	switch {
	case !built:
		return fmt.Errorf("does not compile:\n%s%s", said.String(), problems)
	case failed:
		return fmt.Errorf("%w:\n%s", errFailed, said.String())
	case exit != nil:
		return fmt.Errorf("go test: %w\n%s%s", exit, said.String(), problems)
	case !ran:
		return fmt.Errorf("%s did not run", test)
	}
	return nil
}

// Markdown is the table for docs/testing.md.
func Markdown(table []Mutation) string {
	var b strings.Builder
	b.WriteString("| guard | where | test that fails without it | name |\n|---|---|---|---|\n")
	for _, m := range table {
		fmt.Fprintf(&b, "| %s | `%s` | `%s.%s` | `%s` |\n", m.Guard, m.File, strings.TrimPrefix(m.Folder(), "internal/"), m.Test, m.Name)
	}
	return b.String()
}
