package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// root is the top of the repository, relative to this folder.
const root = "../.."

const module = "github.com/interlock-dev/interlock/"

// file is one Go file of the module.
type file struct {
	path   string // relative to the root, with slashes
	syntax *ast.File
	fset   *token.FileSet
}

func (f file) room() string { return path.Dir(f.path) }
func (f file) test() bool   { return strings.HasSuffix(f.path, "_test.go") }

// in reports whether f is in one of the folders, or below one that ends in "/...".
func (f file) in(folders ...string) bool { return inside(f.room(), folders) }

func inside(room string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		above, below := strings.CutSuffix(folder, "/...")
		return room == above || below && strings.HasPrefix(room, above+"/")
	})
}

// finding is one violation of a rule: where it is, and what to do about it.
type finding string

func (f file) finding(at ast.Node, format string, args ...any) finding {
	return finding(fmt.Sprintf("%s:%d: %s", f.path, f.fset.Position(at.Pos()).Line, fmt.Sprintf(format, args...)))
}

// rule checks all files together.
type rule func([]file) []finding

// holds fails t for everything that the rule finds in the module.
func holds(t *testing.T, r rule) {
	t.Helper()
	files, err := source()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r(files) {
		t.Error(f)
	}
}

// source parses every Go file of the module, whatever its build tags.
var source = sync.OnceValues(func() ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			base := entry.Name()
			hidden := strings.HasPrefix(base, ".") && below != "."
			if hidden || below == "tools" || base == "testdata" || base == "node_modules" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && below != "." {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(below), string(text))
		files = append(files, f)
		return err
	})
	return files, err
})

func parse(name, text string) (file, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return file{path: name, syntax: syntax, fset: fset}, err
}

// imports yields the imports of f, each with its position.
func (f file) imports() iter.Seq2[string, ast.Node] {
	return func(yield func(string, ast.Node) bool) {
		for _, spec := range f.syntax.Imports {
			if p, ok := literal(spec.Path); ok && !yield(p, spec) {
				return
			}
		}
	}
}

// texts calls see with every string literal in f. The literals of one concatenation are
// one string, in which "\n" stands for other operands. Import paths and struct tags
// don't count.
func (f file) texts(see func(at ast.Node, text string)) {
	var walk func(ast.Node) bool
	walk = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			return n.Tag == nil
		case *ast.BasicLit:
			if text, ok := literal(n); ok {
				see(n, text)
			}
		case *ast.BinaryExpr:
			if n.Op != token.ADD {
				return true
			}
			var text strings.Builder
			written := false
			for _, term := range terms(n) {
				if s, ok := literal(term); ok {
					text.WriteString(s)
					written = true
					continue
				}
				text.WriteString("\n")
				ast.Inspect(term, walk)
			}
			if written {
				see(n, text.String())
			}
			return false
		}
		return true
	}
	ast.Inspect(f.syntax, walk)
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// terms returns the operands of a concatenation from left to right; e itself if it is
// none.
func terms(e ast.Expr) []ast.Expr {
	if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		return append(terms(sum.X), terms(sum.Y)...)
	}
	return []ast.Expr{e}
}
