package worker

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/durable"
)

var update = flag.Bool("update", false, "write docs/faults.md anew; for TestFaultsTable, with -tags faults")

const faultDocument = "../../../docs/faults.md"

// faultRows fills the rows of a column, by fault: what a run does that meets it once, and
// at every call. tried says which rows are filled.
func faultRows(t *testing.T, d *db.DB, c faultColumn, tried func(int, operationtest.Fault) bool) map[string][2]string {
	l := newFaultLab(t, d, c)
	if parameters := l.ready(); l.runs(l.kind, parameters).Outcome != "succeeded" {
		t.Fatalf("%s does not succeed without a fault", c.title)
	}
	rows := map[string][2]string{}
	for i, f := range c.faults() {
		if tried(i, f) {
			rows[f.Name] = [2]string{l.meets(f, 1), l.meets(f, 0)}
		}
	}
	return rows
}

// documented returns the rows of docs/faults.md by column and fault.
func documented(t *testing.T) map[string]map[string][2]string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(faultDocument))
	if err != nil {
		t.Fatal(err)
	}
	tables, title := map[string]map[string][2]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			title = name
			tables[title] = map[string][2]string{}
		} else if parts := strings.Split(line, " | "); title != "" && len(parts) == 3 && !strings.HasPrefix(line, "| fault") {
			tables[title][strings.TrimPrefix(parts[0], "| ")] = [2]string{parts[1], strings.TrimSuffix(parts[2], " |")}
		}
	}
	return tables
}

// compareFaults compares rows with the document.
func compareFaults(t *testing.T, want map[string][2]string, rows map[string][2]string) {
	t.Helper()
	for name, row := range rows {
		if want[name] != row {
			t.Errorf("%s:\n%q, and docs/faults.md says\n%q", name, row, want[name])
		}
	}
}

// TestFaultTable runs every operation with faults of the provider, by gate and worker,
// against the simulator. How each run ends, with which items and how many calls, is what
// docs/faults.md says; what it keeps is what it read, and its sentences say what is stored.
// Each column tries some of the faults, and none with waits of hours; TestFaultsTable
// tries them all.
func TestFaultTable(t *testing.T) {
	tables := documented(t)
	for i, c := range faultColumns {
		engine := []db.Engine{db.SQLite, db.Postgres}[i%2]
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			some := func(n int, f operationtest.Fault) bool { return n%10 == i%10 && f.Action.RetryAfter == "" }
			compareFaults(t, tables[c.title], faultRows(t, dbtest.New(t, engine), c, some))
		})
	}
}

// writeFaultTable writes docs/faults.md.
func writeFaultTable(t *testing.T, tables map[string]map[string][2]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString(faultIntroduction)
	for _, c := range faultColumns {
		fmt.Fprintf(&b, "\n## %s\n\n| fault | meets it once | meets it at every call |\n|---|---|---|\n", c.title)
		for _, f := range c.faults() {
			row := tables[c.title][f.Name]
			fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Name, row[0], row[1])
		}
	}
	if err := durable.WriteFile(filepath.FromSlash(faultDocument), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const faultIntroduction = `# What a fault of the provider does to an operation

` + "`go test -tags faults -run TestFaultsTable ./internal/gate/worker -update`" + ` writes this page. Each section is one call of an operation, and each row is
a fault that this call meets: once, or at every try. A cell says how the run ends, what its items say, how many calls of Microsoft Graph it made, and in how
many tries, if there was more than one. Waits are virtual; clients wait 20 ms at most before a try is given back (20 s in the
product), and a run waits 4 minutes at least before its next try (15 s).

For every cell the test also checks:

- **Nothing is lost.** Lists that could not be read keep their rows and say that they are older. A backup that lacks something says that it is
  incomplete. A preview is stored as a whole or not at all.
- **Nothing is doubled.** After a restore no policy is in the tenant twice.
- **No sentence contradicts a stored fact.** An item that is created or updated is in the tenant as it was sent; one that failed is not. The numbers in the
  sentences are the stored ones. A run that succeeded has no bad item.

The tenant has a device configuration (for backups two), a filter, a script, two settings catalog policies, four groups and three devices. The restore
creates the filter, changes the configuration, and creates and assigns the script, in this order.
`
