package goroutines

import (
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestFatalOnTheTestsGoroutine: FailNow, Fatal and Skip end the goroutine that calls
// them. If this is not the test's own, the test continues and waits for what never
// comes. Call Error and return instead.
//
// docs: testing.T.FailNow "must be called from the goroutine running the test".
func TestFatalOnTheTestsGoroutine(t *testing.T) {
	for _, f := range check(load(t, "../../../...", nil)) {
		t.Error(f)
	}
}

// TestStraysAreSeen: the rule finds each marked line of the sample, and no other.
func TestStraysAreSeen(t *testing.T) {
	text, err := os.ReadFile("testdata/sample.go.txt") // not .go: other tools must ignore it
	if err != nil {
		t.Fatal(err)
	}
	loaded := load(t, "./testdata/sample", map[string][]byte{filepath.Join(root, "internal/archtest/goroutines/testdata/sample/sample_test.go"): text})
	found := check(loaded)
	var want []string
	for _, p := range loaded {
		for _, f := range p.Syntax {
			for _, group := range f.Comments {
				for _, c := range group.List {
					if strings.HasPrefix(c.Text, "// stray") {
						want = append(want, fmt.Sprintf("sample_test.go:%d:", p.Fset.Position(c.Pos()).Line))
					}
				}
			}
		}
	}
	if len(want) < 5 || len(found) != len(want) {
		t.Errorf("found %d strays, want %d:\n%s", len(found), len(want), strings.Join(found, "\n"))
	}
	for _, w := range want {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, w) }) {
			t.Errorf("%s is not found", w)
		}
	}
}

// load loads packages with their tests, in all lanes. The files of the overlay count as
// if they were on disk.
func load(t *testing.T, pattern string, overlay map[string][]byte) []*packages.Package {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode:       packages.NeedName | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
		Tests:      true,
		BuildFlags: []string{"-tags=faults,browser"},
		Overlay:    overlay,
		Context:    t.Context(),
	}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, err := range p.Errors {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
	if t.Failed() || len(loaded) == 0 {
		t.Fatalf("%s: %d packages could be loaded", pattern, len(loaded))
	}
	return loaded
}

// root is the top of the repository.
var root, _ = filepath.Abs("../../..") // fails only without a working folder

// rule is the state of a check.
type rule struct {
	p     *packages.Package
	ends  map[string]bool // full names of functions that may end their goroutine
	found map[string]bool
}

// check returns the places where a test may end on another goroutine.
func check(loaded []*packages.Package) []string {
	ends := map[string]bool{}
	for before := -1; before != len(ends); { // until no function is added
		before = len(ends)
		for _, p := range loaded {
			r := rule{p: p, ends: ends}
			for _, f := range p.Syntax {
				for _, d := range f.Decls {
					if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && r.endsIn(fn.Body) {
						if of, ok := p.TypesInfo.Defs[fn.Name].(*types.Func); ok {
							ends[of.FullName()] = true
						}
					}
				}
			}
		}
	}
	found := map[string]bool{}
	for _, p := range loaded {
		r := rule{p: p, ends: ends, found: found}
		for _, f := range p.Syntax {
			ast.Inspect(f, r.look)
		}
	}
	var list []string
	for f := range found {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// endsIn reports whether body may end the goroutine that runs it. Functions that it
// runs on other goroutines don't count.
func (r rule) endsIn(body ast.Node) (yes bool) {
	r.calls(body, func(call *ast.CallExpr) { yes = yes || r.ending(call.Fun) })
	return yes
}

// calls visits the calls of body that run on the same goroutine.
func (r rule) calls(body ast.Node, visit func(*ast.CallExpr)) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			for _, a := range n.Call.Args { // evaluated here
				r.calls(a, visit)
			}
			return false
		case *ast.CallExpr:
			visit(n)
			if r.elsewhere(n) || r.test(n) {
				for _, a := range n.Args {
					if _, ok := a.(*ast.FuncLit); !ok {
						r.calls(a, visit)
					}
				}
				return false
			}
		}
		return true
	})
}

// look checks what a node runs on another goroutine.
func (r rule) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		r.judge(n.Call.Fun)
	case *ast.CallExpr:
		if r.elsewhere(n) {
			for _, a := range n.Args {
				r.judge(a)
			}
		}
	}
	return true
}

// judge records what may end the goroutine that runs the function e.
func (r rule) judge(e ast.Expr) {
	note := func(at ast.Node, what string) {
		pos := r.p.Fset.Position(at.Pos())
		below := strings.TrimPrefix(pos.Filename, root+"/")
		r.found[fmt.Sprintf("%s:%d: %s may end a goroutine that is not the test's: use Error and return", below, pos.Line, what)] = true
	}
	if lit, ok := e.(*ast.FuncLit); ok {
		r.calls(lit.Body, func(call *ast.CallExpr) {
			if r.ending(call.Fun) {
				note(call, types.ExprString(call.Fun))
			}
		})
	} else if r.ending(e) {
		note(e, types.ExprString(e))
	}
}

// function returns the function that e names; nil if it names none.
func (r rule) function(e ast.Expr) *types.Func {
	switch e := e.(type) {
	case *ast.Ident:
		f, _ := r.p.TypesInfo.Uses[e].(*types.Func)
		return f
	case *ast.SelectorExpr:
		f, _ := r.p.TypesInfo.Uses[e.Sel].(*types.Func)
		return f
	case *ast.IndexExpr: // of a generic function
		return r.function(e.X)
	case *ast.ParenExpr:
		return r.function(e.X)
	}
	return nil
}

// ending reports whether the function that e names may end its goroutine.
func (r rule) ending(e ast.Expr) bool {
	f := r.function(e)
	if f == nil {
		return false
	}
	if f = f.Origin(); f.Pkg() != nil && f.Pkg().Path() == "testing" {
		return slices.Contains([]string{"FailNow", "Fatal", "Fatalf", "Skip", "SkipNow", "Skipf"}, f.Name())
	}
	return r.ends[f.FullName()]
}

// elsewhere reports whether a call runs its function arguments on another goroutine, or
// may do so.
func (r rule) elsewhere(call *ast.CallExpr) bool {
	switch types.ExprString(call.Fun) {
	case "http.HandlerFunc", "time.AfterFunc", "context.AfterFunc":
		return true
	}
	f := r.function(call.Fun)
	return f != nil && slices.Contains([]string{
		"(*sync.WaitGroup).Go", "(*golang.org/x/sync/errgroup.Group).Go", "(*net/http.ServeMux).HandleFunc", "(*testing.B).RunParallel",
	}, f.FullName())
}

// test reports whether a call runs its function arguments as tests, each on its own
// goroutine.
func (r rule) test(call *ast.CallExpr) bool {
	f := r.function(call.Fun)
	return f != nil && slices.Contains([]string{
		"(*testing.T).Run", "(*testing.B).Run", "(*testing.F).Fuzz", "testing/synctest.Test", "pgregory.net/rapid.Check",
	}, f.FullName())
}
