package archtest

import (
	"go/ast"
	"go/build/constraint"
	"slices"
	"strings"
	"testing"
)

// lanes are the build tags of tests that are too slow, or need too much, for every run.
// The Makefile selects them by the prefix of their names. All other tests are the
// default lane: fast, and on both engines.
var lanes = map[string]string{
	"faults":  "TestFaults",
	"browser": "TestBrowser",
}

// platforms may be in a build constraint of any test.
var platforms = []string{"unix", "linux", "darwin", "windows", "race"}

// TestLanes (W2): each test file belongs to one lane.
func TestLanes(t *testing.T) { holds(t, inLanes) }

func inLanes(files []file) (found []finding) {
	for _, f := range files {
		if !f.test() {
			continue
		}
		var mine []string
		for _, tag := range tags(f) {
			if _, ok := lanes[tag]; ok {
				mine = append(mine, tag)
			} else if !slices.Contains(platforms, tag) {
				found = append(found, f.finding(f.syntax.Name, "build tag %q is no lane", tag))
			}
		}
		if len(mine) > 1 {
			found = append(found, f.finding(f.syntax.Name, "belongs to the lanes %s: one file, one lane", strings.Join(mine, " and ")))
		}
		for _, test := range tests(f) {
			name := test.Name.Name
			for lane, prefix := range lanes {
				named, tagged := strings.HasPrefix(name, prefix), slices.Contains(mine, lane)
				if tagged && !named && name != "TestMain" {
					found = append(found, f.finding(test, "%s is in the lane %s: its name begins with %s, or make %s would not run it", name, lane, prefix, lane))
				}
				if named && !tagged {
					found = append(found, f.finding(test, "%s has a name of the lane %s, but its file lacks that build tag", name, lane))
				}
			}
		}
	}
	return found
}

// tags returns the names in f's build constraint.
func tags(f file) (all []string) {
	for _, group := range f.syntax.Comments {
		if group.Pos() > f.syntax.Package {
			break
		}
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil && constraint.IsGoBuild(c.Text) {
				expr.Eval(func(tag string) bool {
					all = append(all, tag)
					return false
				})
			}
		}
	}
	return all
}

// tests returns the functions of f that go test runs as tests.
func tests(f file) (all []*ast.FuncDecl) {
	for _, decl := range f.syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && f.test() && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
			all = append(all, fn)
		}
	}
	return all
}

// TestSkips: a test that skips proves nothing. A test may skip only without reference
// data beside the repository, and a power cut only without root; the message says so.
// (rapid draws again after a skipped draw.)
func TestSkips(t *testing.T) { holds(t, skips) }

func skips(files []file) (found []finding) {
	for _, f := range files {
		draws := make(map[string]bool) // names of parameters of type *rapid.T
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && isRapid(field.Type) {
				for _, name := range field.Names {
					draws[name.Name] = true
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok || !skip(call) {
				return true
			}
			on, _ := call.Fun.(*ast.SelectorExpr).X.(*ast.Ident)
			if !saysWhy(call) && (on == nil || !draws[on.Name]) {
				found = append(found, f.finding(call, "skips: the only reasons for that are data in ../shared that is absent and a user who is not root, and the message says so"))
			}
			return true
		})
	}
	return found
}

func isRapid(t ast.Expr) bool {
	star, ok := t.(*ast.StarExpr)
	if !ok {
		return false
	}
	s, ok := star.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "rapid"
}

func skip(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name)
}

func saysWhy(call *ast.CallExpr) (says bool) {
	for _, arg := range call.Args {
		ast.Inspect(arg, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				s, _ := literal(e)
				says = says || strings.Contains(s, "../shared") || strings.Contains(s, "root")
			}
			return true
		})
	}
	return says
}
