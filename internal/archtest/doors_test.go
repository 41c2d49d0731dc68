package archtest

import (
	"go/ast"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestWorkBeginsAtTheGate (G1): only the gate writes the rows that start work. The
// rules on River and the compiler's internal folders cover the rest.
func TestWorkBeginsAtTheGate(t *testing.T) { holds(t, startsWork) }

var work = regexp.MustCompile(`(?i)\b(?:insert\s+into|update|delete\s+from)\s+(runs|run_claims|river_job)\b`)

func startsWork(files []file) []finding {
	return sql(files, work, "only the gate writes %s: ask it", "internal/gate", "internal/gate/internal/...", "internal/gate/worker", "internal/gate/gatetest", "internal/console/consoletest")
}

// TestNotificationsAreWrittenAtTheEnd (A4): surfaces and workers write no
// notifications; the end of a run does, in its transaction.
func TestNotificationsAreWrittenAtTheEnd(t *testing.T) { holds(t, notifies) }

var notification = regexp.MustCompile(`(?i)\binsert\s+into\s+(notifications)\b`)

func notifies(files []file) (found []finding) {
	found = sql(files, notification, "only internal/notify writes %s", "internal/notify", "internal/gate/gatetest", "internal/console/consoletest")
	for _, f := range files {
		if f.test() || f.in("internal/gate/internal/ending", "internal/app") {
			continue
		}
		for p, at := range f.imports() {
			if p == module+"internal/notify" {
				found = append(found, f.finding(at, "only the ending of a run notifies: see internal/gate/internal/ending"))
			}
		}
	}
	return found
}

// TestConflictPredicates: PostgreSQL infers a partial index from literal SQL only. With
// parameters a prepared statement works five times and fails at the sixth, when the
// plan becomes generic (observed on PostgreSQL 15).
func TestConflictPredicates(t *testing.T) { holds(t, conflictPredicates) }

var conflictPredicate = regexp.MustCompile(`(?is)\bon\s+conflict\s*\([^)]*\)\s*where\s[^;]*?(\$\d+).*?\bdo\b`)

func conflictPredicates(files []file) []finding {
	return sql(files, conflictPredicate, "the predicate of ON CONFLICT ... WHERE holds the parameter %s: it must be literal SQL")
}

// sql finds a pattern in the strings of files outside the rooms. The finding names the
// match of its group.
func sql(files []file, pattern *regexp.Regexp, format string, rooms ...string) (found []finding) {
	for _, f := range files {
		if f.test() || f.in(rooms...) {
			continue
		}
		f.texts(func(at ast.Node, text string) {
			if m := pattern.FindStringSubmatch(text); m != nil {
				found = append(found, f.finding(at, format, m[1]))
			}
		})
	}
	return found
}

// TestSecretsAreRevealedOnce: only a provider's client, the check of credentials and
// the plans of restores, whose calls a run makes, reveal secrets.
func TestSecretsAreRevealedOnce(t *testing.T) { holds(t, reveals) }

func reveals(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || f.in("internal/vault", "internal/provider/graph", "internal/access", "internal/plans") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" {
				found = append(found, f.finding(s, "only internal/vault, internal/provider/graph, internal/access and internal/plans reveal secrets"))
			}
			return true
		})
	}
	return found
}

// TestSealedIsChangedWithTheKeys: code that seals something stored has its column in
// internal/store/sealed.go. Otherwise the value is lost when the old root key is
// destroyed.
func TestSealedIsChangedWithTheKeys(t *testing.T) { holds(t, seals) }

// sealers are the files outside internal/vault that seal, with the place of the result.
var sealers = map[string]string{
	"internal/store/credentials.go": "credentials.sealed",
	"internal/store/sealed.go":      "server_secrets.sealed, and all columns anew",
	"internal/store/root.go":        "plan_bodies.sealed",
	"internal/access/factors.go":    "factors.sealed",
	"internal/access/ceremonies.go": "ceremonies.data, which is good for minutes",
	"internal/access/fresh.go":      "a form that waits for a sign-in, in its page: stored nowhere",
}

func seals(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || f.in("internal/vault", "internal/graphsim/...", "internal/gate/gatetest") || sealers[f.path] != "" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Seal" || s.Sel.Name == "Reseal") {
				found = append(found, f.finding(s, "give what is sealed here a row in rootColumns of internal/store/sealed.go, and this file a line in sealers"))
			}
			return true
		})
	}
	return found
}

// TestHTTPClients: a client of net/http follows redirects, dials any address and never
// times out, unless outbound created it. The Go client and the simulator's control
// client call an address that their user names; the local socket's client calls a file.
func TestHTTPClients(t *testing.T) { holds(t, httpClients) }

func httpClients(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || f.in("internal/outbound", "internal/client", "internal/graphsim/...", "internal/local", "conformance/...") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			s, ok := lit.Type.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "http" && (s.Sel.Name == "Client" || s.Sel.Name == "Transport") {
				found = append(found, f.finding(lit, "internal/outbound makes HTTP clients"))
			}
			return true
		})
	}
	return found
}

// TestFilesAreReplacedWhole: a power cut truncates a file that is written in place.
// Exceptions are SQLite's own file and its lock.
func TestFilesAreReplacedWhole(t *testing.T) { holds(t, wholeFiles) }

// A socket is moved into place as well: it holds no data. The files of internal/mutate
// are temporary.
func wholeFiles(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || f.in("internal/durable", "internal/db/...", "internal/local", "internal/mutate", "conformance/...") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains([]string{"WriteFile", "Create", "CreateTemp", "OpenFile", "Rename"}, s.Sel.Name) {
				found = append(found, f.finding(s, "internal/durable writes files"))
			}
			return true
		})
	}
	return found
}

// TestPureRooms: a plan depends only on its inputs, so that tables can test it and its
// hash identifies it.
func TestPureRooms(t *testing.T) { holds(t, pure) }

// impure are packages that do I/O, read the clock, or wait.
var impure = []string{"bufio", "context", "crypto/rand", "database/sql", "io/fs", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "path/filepath", "runtime", "sync", "syscall"}

func pure(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || !f.in("internal/policy", "internal/restore") {
			continue
		}
		for p, at := range f.imports() {
			if slices.Contains(impure, p) {
				found = append(found, f.finding(at, "%s is pure and may not import %s", f.room(), p))
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "Tick", "AfterFunc"}, s.Sel.Name) {
				found = append(found, f.finding(s, "%s is pure and has no clock: take the time as a value", f.room()))
			}
			return true
		})
	}
	return found
}

// TestOperationsNameACapability (A3): every operation names a capability of the
// registry.
func TestOperationsNameACapability(t *testing.T) {
	if len(catalogue.All()) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for _, def := range catalogue.All() {
		if !slices.Contains(tenancy.Capabilities(), def.Capability) {
			t.Errorf("%s names the capability %q, which tenancy does not know", def.Kind, def.Capability)
		}
	}
}

// TestOperationsHaveDrawings: the console shows a dot for an icon that it does not
// have.
func TestOperationsHaveDrawings(t *testing.T) {
	for _, def := range catalogue.All() {
		icons := []string{def.Icon}
		for _, set := range def.Datasets {
			icons = append(icons, set.Icon)
		}
		for _, icon := range icons {
			if assets.Icon(icon) == assets.Icon("no such drawing") {
				t.Errorf("%s names the icon %q, which is not in internal/console/assets/icons.svg", def.Kind, icon)
			}
		}
	}
}

// TestRoutesNameACapability (A3, W2): the right to view changes nothing, and there is
// one route for starts, which needs the capability of the operation.
func TestRoutesNameACapability(t *testing.T) {
	routes := api.New(api.Deps{}).Routes()
	if len(routes) == 0 {
		t.Fatal("the API has no routes")
	}
	starts := 0
	for _, r := range routes {
		known := slices.Contains(tenancy.Capabilities(), r.Needs)
		switch {
		case r.Needs == api.ByOperation:
			if r.Method != http.MethodGet {
				starts++
			}
		case r.Needs == "" && (r.Object == api.Public || r.Object == api.Self):
		case !known:
			t.Errorf("%s names the capability %q, which tenancy does not know", r.Pattern(), r.Needs)
		case r.Method != http.MethodGet && r.Needs == tenancy.View && r.Path != "/notifications/{notification}/read": // the person's own
			t.Errorf("%s changes something and needs only %q", r.Pattern(), r.Needs)
		}
	}
	if starts != 1 {
		t.Errorf("%d routes start operations, want exactly one", starts)
	}
}
