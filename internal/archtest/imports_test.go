package archtest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// room is one of our packages: which of ours it may import, and why no others. A room
// is listed below the rooms that it imports.
type room struct {
	path string
	may  []string
	why  string
}

var rooms = []room{
	{"internal/op", nil, "the words and nouns of starts and runs: every surface speaks through them, so they lean on nothing"},
	{"internal/tenancy", nil, "nouns that every room shares: they lean on nothing"},
	{"internal/db", nil, "the door to the database knows nothing of what is stored behind it"},
	{"internal/durable", nil, "writes files and knows nothing of what is in them"},
	{"internal/vault", []string{"internal/durable"}, "what can open secrets sees nothing but secrets"},
	{"internal/workload", nil, "reads one token from one file: who may use it is told from outside"},
	{"internal/local", nil, "a socket for commands: what they do is not its business"},
	{"internal/checkpoint", []string{"internal/durable", "internal/vault"}, "signed lines in a file: no database, from which they are kept apart"},
	{"internal/strictjson", []string{"internal/op"}, "reads JSON of whatever it is about"},
	{"internal/outbound", nil, "the only maker of HTTP clients judges addresses, not what is said there"},
	{"internal/policy", nil, "what policies are, as data and as functions of values: every room that touches one shares it"},
	{"internal/restore", []string{"internal/policy"}, "a plan is a function of what was read: it reads nothing itself and writes nothing"},
	{"internal/graphsim/odata", nil, "reads and writes bytes: neither tenants nor calls"},
	{"internal/graphsim/model", nil, "the types that Microsoft publishes: neither tenants nor calls"},
	{"internal/graphsim/estate", []string{"internal/graphsim/odata"}, "what tenants hold, whoever asks for it"},
	{"internal/graphsim/wire", []string{"internal/graphsim/estate", "internal/graphsim/odata"}, "one call and its answer, of whichever service"},
	{"internal/graphsim/login", []string{"internal/durable", "internal/graphsim/estate", "internal/graphsim/odata", "internal/graphsim/wire"}, "one simulated service: it knows nothing of the other, nor of faults"},
	{"internal/graphsim/graph", []string{"internal/graphsim/estate", "internal/graphsim/model", "internal/graphsim/odata", "internal/graphsim/wire"}, "one simulated service: it knows nothing of the other, nor of faults"},
	{"internal/graphsim/control", []string{"internal/graphsim/estate", "internal/graphsim/graph", "internal/graphsim/login", "internal/graphsim/odata", "internal/graphsim/wire"}, "bends the answers of the services, which don't know it"},
	{"internal/graphsim/simtest", []string{"internal/graphsim"}, "runs a simulator for tests, which see it from outside"},
	{"internal/graphsim", []string{"internal/durable", "internal/graphsim/control", "internal/graphsim/estate", "internal/graphsim/graph", "internal/graphsim/login", "internal/graphsim/odata", "internal/graphsim/wire"}, "an independent simulator: were it to share code with the client, both could be wrong alike"},

	{"internal/archive", []string{"internal/policy"}, "files of policies, ours and other tools': it stores nothing, and the simulator's command reads them too"},

	{"internal/db/query", []string{"internal/db", "internal/op"}, "statements and their rows, whatever they are about"},
	{"internal/db/dbtest/cluster", nil, "starts a PostgreSQL for anybody's tests"},
	{"internal/db/dbtest/pgserver", []string{"internal/db/dbtest/cluster"}, "the cluster as a command, for the Makefile"},
	{"internal/db/dbtest", []string{"internal/db", "internal/db/dbtest/cluster"}, "fresh databases, whatever is stored in them"},

	{"internal/provider", []string{"internal/op", "internal/tenancy"}, "the port: an operation sees a provider through it and never learns which"},
	{"internal/provider/providertest", []string{"internal/op", "internal/provider"}, "a provider in memory for tests: it knows the port and nothing of who uses it"},
	{"internal/provider/policies", []string{"internal/op", "internal/policy", "internal/provider"}, "how a policy is read as a whole, the same for backup, preview and restore"},
	{"internal/provider/graph", []string{"internal/op", "internal/outbound", "internal/provider", "internal/tenancy", "internal/vault"}, "one provider's client: no database and no gate, so it can't decide anything"},
	{"internal/catalogue", []string{"internal/op", "internal/policy", "internal/provider", "internal/provider/policies", "internal/restore", "internal/strictjson", "internal/tenancy"}, "operations see a provider and a place for data, and neither database nor queue"},
	{"internal/catalogue/datatest", []string{"internal/catalogue", "internal/op", "internal/policy", "internal/restore"}, "the contract of that place for data, for whoever fulfils it"},
	{"internal/catalogue/operationtest", []string{"internal/catalogue", "internal/catalogue/datatest", "internal/durable", "internal/graphsim", "internal/op", "internal/outbound", "internal/provider", "internal/provider/graph", "internal/restore", "internal/tenancy", "internal/vault"}, "what every operation must pass, against the simulator: for tests only"},
	{"internal/catalogue/newoperation", nil, "tests only: an operation in one file, found on every surface"},

	{"internal/factor", nil, "how second factors work: it stores nothing and knows nobody"},
	{"internal/factor/factortest", nil, "second factors for tests"},
	{"internal/access", []string{"internal/db", "internal/factor", "internal/op", "internal/tenancy", "internal/vault"}, "who may see what is decided before anything else is known"},
	{"internal/page", []string{"internal/access", "internal/op"}, "sizes, cursors and search of lists, whatever they list"},
	{"internal/store", []string{"internal/access", "internal/db", "internal/db/query", "internal/op", "internal/page", "internal/tenancy", "internal/vault", "internal/workload"}, "reads and ordinary writes: it can't start work, having neither gate nor queue"},
	{"internal/plans", []string{"internal/access", "internal/catalogue", "internal/db", "internal/db/query", "internal/op", "internal/page", "internal/policy", "internal/restore", "internal/store", "internal/tenancy", "internal/vault"}, "plans of restores, with approvals and mappings: it stores what a preview made and executes nothing"},
	{"internal/backup", []string{"internal/access", "internal/archive", "internal/catalogue", "internal/db", "internal/db/query", "internal/op", "internal/page", "internal/policy", "internal/restore", "internal/tenancy"}, "backups of policies: they outlive the connections they were read through"},
	{"internal/mirror", []string{"internal/access", "internal/catalogue", "internal/db", "internal/db/query", "internal/op", "internal/page", "internal/store", "internal/tenancy"}, "what was read from directories: it asks the store whose connection it is, and starts nothing"},

	{"internal/gate/internal/ledger", []string{"internal/db", "internal/db/query", "internal/gate/internal/queue", "internal/op"}, "SQL that moves runs: callers have decided already"},
	{"internal/gate/internal/queue", []string{"internal/db"}, "the courier carries a run id and a fence and knows nothing of runs"},
	{"internal/gate/internal/journal", []string{"internal/catalogue", "internal/db", "internal/gate/internal/ledger", "internal/op", "internal/provider"}, "SQL of what runs change at a provider: it compares the fence and decides nothing"},
	{"internal/notify", []string{"internal/db", "internal/op"}, "one row in the finishing transaction: no surface and no network"},
	{"internal/gate/internal/ending", []string{"internal/access", "internal/catalogue", "internal/db", "internal/gate/internal/journal", "internal/gate/internal/ledger", "internal/gate/internal/queue", "internal/notify", "internal/op", "internal/plans"}, "the one way a run ends, whoever ends it"},
	{"internal/gate/internal/stored", []string{"internal/access", "internal/backup", "internal/catalogue", "internal/db", "internal/mirror", "internal/op", "internal/plans", "internal/tenancy"}, "stored facts as prerequisites see them, the same for the gate and the re-check"},
	{"internal/gate", []string{"internal/access", "internal/catalogue", "internal/db", "internal/gate/internal/ending", "internal/gate/internal/ledger", "internal/gate/internal/queue", "internal/gate/internal/stored", "internal/op", "internal/store", "internal/tenancy"}, "decides from stored facts: no provider, so no network at click time"},
	{"internal/gate/worker", []string{"internal/access", "internal/backup", "internal/catalogue", "internal/db", "internal/gate/internal/ending", "internal/gate/internal/journal", "internal/gate/internal/ledger", "internal/gate/internal/queue", "internal/gate/internal/stored", "internal/mirror", "internal/op", "internal/plans", "internal/provider", "internal/restore", "internal/store", "internal/tenancy", "internal/vault"}, "works runs that the gate admitted: it meets the provider by its port only and starts nothing"},

	{"internal/gate/gatetest", []string{"internal/access", "internal/catalogue", "internal/db", "internal/op", "internal/store", "internal/tenancy", "internal/vault"}, "seeds a database for tests of the gate and its surfaces; the gate itself is theirs to make"},
	{"internal/apptest", []string{"internal/access", "internal/archive", "internal/backup", "internal/catalogue", "internal/db", "internal/durable", "internal/flow", "internal/gate", "internal/gate/gatetest", "internal/httpx", "internal/mirror", "internal/op", "internal/plans", "internal/store", "internal/tenancy", "internal/workload"}, "what a surface stands on, for its tests; a surface adds itself, or its tests would import themselves"},
	{"internal/apptest/restorechain", nil, "tests only: the steps of a restore on every surface"},

	{"internal/flow", []string{"internal/access", "internal/db", "internal/db/query", "internal/gate", "internal/mirror", "internal/op", "internal/store", "internal/tenancy"}, "above the gate: it begins work by asking the gate, and changes several rooms in one transaction"},

	{"internal/httpx", []string{"internal/access", "internal/db", "internal/op", "internal/tenancy"}, "who asks, and how errors of the rooms below are answered: it starts nothing and stores nothing"},
	{"internal/api", []string{"internal/access", "internal/archive", "internal/backup", "internal/catalogue", "internal/durable", "internal/flow", "internal/gate", "internal/httpx", "internal/mirror", "internal/op", "internal/plans", "internal/policy", "internal/restore", "internal/store", "internal/strictjson", "internal/tenancy"}, "a surface: asks the gate and the store, never database, queue or provider"},
	{"internal/console/assets", nil, "files and their addresses"},
	{"internal/console/ui", []string{"internal/access", "internal/catalogue", "internal/console/assets", "internal/httpx", "internal/op", "internal/store", "internal/tenancy"}, "draws what it is given: neither gate nor database"},
	{"internal/console/web", []string{"internal/access", "internal/catalogue", "internal/console/ui", "internal/flow", "internal/gate", "internal/httpx", "internal/mirror", "internal/op", "internal/plans", "internal/store", "internal/tenancy"}, "what every page stands on: it knows no page"},
	{"internal/console/attempts", []string{"internal/console/ui", "internal/console/web", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/connections", []string{"internal/access", "internal/catalogue", "internal/console/ui", "internal/console/web", "internal/httpx", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/data", []string{"internal/catalogue", "internal/console/ui", "internal/console/web", "internal/mirror", "internal/op", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/notifications", []string{"internal/console/ui", "internal/console/web", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/people", []string{"internal/access", "internal/console/ui", "internal/console/web", "internal/factor", "internal/httpx", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/runs", []string{"internal/catalogue", "internal/console/ui", "internal/console/web", "internal/httpx", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console/tenants", []string{"internal/access", "internal/console/ui", "internal/console/web", "internal/httpx", "internal/op", "internal/store", "internal/tenancy"}, "one feature of the console: its sisters are none of its business"},
	{"internal/console", []string{"internal/console/assets", "internal/console/attempts", "internal/console/connections", "internal/console/data", "internal/console/notifications", "internal/console/people", "internal/console/runs", "internal/console/tenants", "internal/console/ui", "internal/console/web", "internal/flow", "internal/gate", "internal/httpx", "internal/mirror", "internal/plans", "internal/store"}, "puts the site together of its features"},
	{"internal/console/consoletest", []string{"internal/access", "internal/apptest", "internal/console", "internal/console/web", "internal/db", "internal/db/dbtest", "internal/gate/gatetest", "internal/mirror", "internal/op", "internal/tenancy"}, "the console on a seeded database, for tests of its pages"},
	{"internal/console/consoletest/manyoperations", nil, "tests that register operations, which no other test may see"},
	{"internal/console/browser", nil, "tests in a real browser, which know the console by its address"},
	{"internal/client", []string{"internal/op"}, "speaks HTTP from outside: nothing of the server but its words"},
	{"internal/cli", []string{"internal/client", "internal/durable", "internal/op"}, "commands on the client: what they can do, anybody's program can"},

	{"internal/doctor", []string{"internal/access", "internal/checkpoint", "internal/db", "internal/store", "internal/vault"}, "looks at what is stored, and at what was kept elsewhere; it has no surface"},
	{"internal/app", []string{"internal/..."}, "the composition root: the one place that knows every room"},
	{"internal/demo", []string{"internal/access", "internal/app", "internal/backup", "internal/catalogue", "internal/db", "internal/durable", "internal/graphsim", "internal/mirror", "internal/op", "internal/plans", "internal/store", "internal/tenancy", "internal/vault"}, "a world to look at: it uses the product as anybody would, and the simulator beside it"},
	{"cmd/interlock", []string{"internal/access", "internal/app", "internal/archive", "internal/checkpoint", "internal/cli", "internal/db", "internal/demo", "internal/doctor", "internal/graphsim", "internal/local", "internal/op", "internal/policy", "internal/store", "internal/vault"}, "flags and signals, and what an administrator does beside a server; never a start"},
	{"conformance/...", []string{"internal/graphsim"}, "independent clients meet the simulator as strangers"},
	{"e2e/...", []string{"internal/..."}, "whole scenarios"},
	{"internal/mutate", nil, "breaks files and runs go test; it knows packages by their folders only"},
	{"internal/mutate/run", []string{"internal/mutate"}, "that as a command, for the Makefile"},
	{"internal/archtest", []string{"internal/..."}, "the rules look into every room"},
	{"internal/archtest/goroutines", nil, "a rule that needs types, and takes longer"},
}

// TestImports checks the imports between our packages. Tests may import more; the
// compiler hides internal packages from them.
func TestImports(t *testing.T) { holds(t, imports) }

func imports(files []file) (found []finding) {
	for _, f := range files {
		i := slices.IndexFunc(rooms, func(r room) bool { return f.in(r.path) })
		if i < 0 {
			found = append(found, f.finding(f.syntax.Name, "package %s has no row in the table of rooms: say which of ours it may import, and why", f.room()))
			continue
		}
		if f.test() {
			continue
		}
		for p, at := range f.imports() {
			if ours, ok := strings.CutPrefix(p, module); ok && !inside(ours, append(rooms[i].may, rooms[i].path)) {
				found = append(found, f.finding(at, "%s may not import %s: %s", rooms[i].path, ours, rooms[i].why))
			}
		}
	}
	return found
}

// dependency is an external package that only some rooms may use.
type dependency struct {
	path  string // module, or package of the standard library
	rooms []string
	tests bool // all tests may use it
	why   string
}

var dependencies = []dependency{
	{"database/sql", []string{"internal/db", "internal/db/dbtest", "internal/gate/internal/queue"}, false, "one door to the database: whoever goes around db.Tx goes around its durability, retries and faults"},
	{"modernc.org/sqlite", []string{"internal/db", "internal/db/dbtest"}, false, "the driver of one engine"},
	{"github.com/jackc/pgx/v5", []string{"internal/db/...", "internal/gate/internal/queue"}, false, "the driver of the other engine"},
	{"github.com/pressly/goose/v3", []string{"internal/db"}, false, "migrations belong to the door"},
	{"software.sslmate.com/src/go-pkcs12", []string{"internal/store"}, true, "certificates as people have them"},
	{"github.com/natefinch/atomic", []string{"internal/durable"}, false, "files are replaced whole, and their folder synced, in one place"},
	{"github.com/gofrs/flock", []string{"internal/db"}, false, "one process for each SQLite file"},
	{"github.com/riverqueue/river", []string{"internal/db", "internal/gate/..."}, false, "whoever can reach the queue can start work around the gate"},
	{"github.com/klauspost/compress", []string{"internal/backup"}, true, "contents of backups are compressed in one room"},
	{"github.com/tink-crypto/tink-go/v2", []string{"internal/vault"}, false, "cryptography in one room"},
	{"github.com/alexedwards/argon2id", []string{"internal/access"}, false, "passwords in one room"},
	{"github.com/pquerna/otp", []string{"internal/factor"}, true, "second factors in one room; tests have an authenticator app of their own"},
	{"github.com/go-webauthn/webauthn", []string{"internal/factor"}, false, "second factors in one room"},
	{"github.com/boombuler/barcode", []string{"internal/factor"}, false, "second factors in one room"},
	{"github.com/descope/virtualwebauthn", []string{"internal/factor/factortest"}, true, "tests have a passkey of their own"},
	{"github.com/Azure/azure-sdk-for-go/sdk/azcore", []string{"internal/provider/graph"}, true, "only one provider's client knows its SDK"},
	{"github.com/Azure/azure-sdk-for-go/sdk/azidentity", []string{"internal/provider/graph"}, false, "only one provider's client knows its SDK"},
	{"golang.org/x/time", []string{"internal/access", "internal/httpx", "internal/provider/graph"}, false, "rates of calls, in and out"},
	{"golang.org/x/net", []string{"internal/httpx"}, false, "a listener with a limit, and nothing else of it"},
	{"golang.org/x/oauth2", []string{"conformance/..."}, true, "a stranger's client for the simulator"},
	{"github.com/coreos/go-oidc/v3", []string{"conformance/..."}, true, "a stranger's client for the simulator"},
	{"github.com/go-jose/go-jose/v4", []string{"conformance/...", "internal/graphsim/login"}, true, "the simulator signs tokens"},
	{"github.com/danielgtaylor/huma/v2", []string{"internal/api"}, false, "the framework of one surface"},
	{"github.com/a-h/templ", []string{"internal/console/..."}, false, "pages of one surface"},
	{"github.com/PuerkitoBio/goquery", []string{"internal/console/consoletest"}, true, "tests read pages"},
	{"github.com/chromedp", nil, true, "tests use pages as people do"},
	{"github.com/spf13/cobra", []string{"cmd/interlock", "internal/cli"}, false, "commands"},
	{"github.com/schollz/progressbar/v3", []string{"internal/cli"}, false, "a terminal's progress"},
	{"golang.org/x/term", []string{"cmd/interlock", "internal/cli"}, false, "a terminal's password prompt"},
	{"golang.org/x/text", []string{"internal/archive"}, false, "file names that every file system takes"},
	{"github.com/google/uuid", []string{"cmd/interlock", "internal/..."}, true, "ids that sort by time; never a secret"},
	{"golang.org/x/sync", []string{"cmd/interlock", "internal/..."}, true, "goroutines that end together"},
	{"github.com/google/go-cmp", nil, true, "differences in tests"},
	{"pgregory.net/rapid", nil, true, "properties and state machines in tests"},
	{"github.com/rogpeppe/go-internal", []string{"internal/policy"}, true, "unified diffs; scripts of the CLI in tests"},
	{"golang.org/x/tools", nil, true, "types of the whole module, for a rule of the house"},
}

// TestDependencies checks that external packages are used only where they may be.
func TestDependencies(t *testing.T) { holds(t, outside) }

func outside(files []file) (found []finding) {
	for _, f := range files {
		for p, at := range f.imports() {
			if strings.HasPrefix(p, module) {
				continue
			}
			i := slices.IndexFunc(dependencies, func(d dependency) bool { return p == d.path || strings.HasPrefix(p, d.path+"/") })
			switch {
			case i < 0 && strings.Contains(strings.Split(p, "/")[0], "."):
				found = append(found, f.finding(at, "%s has no row in the table of dependencies: say who may use it, and why", p))
			case i >= 0 && !f.in(dependencies[i].rooms...) && (!f.test() || !dependencies[i].tests):
				found = append(found, f.finding(at, "%s may not import %s: %s", f.room(), p, dependencies[i].why))
			}
		}
	}
	return found
}

// TestDependenciesAreExplained checks that every direct dependency has a row and a line
// in the decision record, and that no row is left over.
func TestDependenciesAreExplained(t *testing.T) {
	mod, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(root + "/docs/decisions/0002-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) // indirect ones have a comment
	if len(required) == 0 {
		t.Fatal("go.mod requires nothing: has its form changed?")
	}
	for _, r := range required {
		if !strings.Contains(string(record), "`"+r[1]+"`") {
			t.Errorf("docs/decisions/0002-dependencies.md does not say why %s", r[1])
		}
		if !slices.ContainsFunc(dependencies, func(d dependency) bool { return r[1] == d.path || strings.HasPrefix(r[1], d.path+"/") }) {
			t.Errorf("%s has no row in the table of dependencies", r[1])
		}
	}
	for _, d := range dependencies {
		if strings.Contains(d.path, ".") && !strings.Contains(string(mod), "\t"+d.path) {
			t.Errorf("%s is in the table of dependencies, but go.mod does not require it", d.path)
		}
	}
}

// TestPackageDocs checks that every package has a doc comment.
func TestPackageDocs(t *testing.T) { holds(t, packageDocs) }

func packageDocs(files []file) (found []finding) {
	first := make(map[string]file)
	documented := make(map[string]bool)
	for _, f := range files {
		if f.test() {
			continue
		}
		if _, ok := first[f.room()]; !ok {
			first[f.room()] = f
		}
		documented[f.room()] = documented[f.room()] || f.syntax.Doc != nil
	}
	for _, name := range slices.Sorted(maps.Keys(first)) {
		if !documented[name] {
			found = append(found, first[name].finding(first[name].syntax.Name, "package %s has no doc comment", name))
		}
	}
	return found
}
