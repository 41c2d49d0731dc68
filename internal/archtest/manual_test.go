package archtest

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestManualTables keeps the manual's tables of operations and datasets the same as
// the catalogue. With -update it writes them.
func TestManualTables(t *testing.T) {
	const manual = root + "/docs/manual.md"
	text := read(t, "docs/manual.md")
	want := text
	for name, made := range map[string]string{"operations": operationTables(catalogue.All()), "datasets": datasetTable(catalogue.All())} {
		part := regexp.MustCompile(`(?s)(<!-- begin ` + name + `: written by internal/archtest -->\n).*?(<!-- end ` + name + ` -->)`)
		if !part.MatchString(want) {
			t.Fatalf("docs/manual.md has no part %q that this package writes", name)
		}
		want = part.ReplaceAllString(want, "${1}"+strings.ReplaceAll(made, "$", "$$")+"${2}")
	}
	if text == want {
		return
	}
	if !*update {
		t.Fatal("docs/manual.md differs from the catalogue: run go generate ./internal/archtest")
	}
	if err := os.WriteFile(manual, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// operationTables are who may start each operation, and what it needs.
func operationTables(all []*catalogue.Definition) string {
	var b strings.Builder
	b.WriteString("\n| operation, and its capability | what it does |")
	for _, r := range tenancy.Roles() {
		fmt.Fprintf(&b, " %s |", r)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(tenancy.Roles())) + "\n")
	for _, d := range all {
		fmt.Fprintf(&b, "| `%s` | %s |", d.Kind, d.Words.Does)
		for _, r := range tenancy.Roles() {
			if slices.Contains(r.Capabilities(), d.Capability) {
				b.WriteString(" x |")
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| operation | needs | and for all parts | may wait, and work | parameters |\n|---|---|---|---|---|\n")
	for _, d := range all {
		fmt.Fprintf(&b, "| %s | %s | %s | %s and %s | %s |\n", d.Words.Name,
			permissions(d.Permissions), permissions(d.Optional), hours(d.QueueLimit), hours(d.RunLimit), parameters(d.Parameters))
	}
	b.WriteString("\nA tenant is ready when ")
	var baseline []string
	for _, d := range all {
		if d.Baseline {
			baseline = append(baseline, strings.ToLower(d.Words.Name[:1])+d.Words.Name[1:])
		}
	}
	last := len(baseline) - 1
	fmt.Fprintf(&b, "%s and %s can run. Every other operation tells what it lacks itself.\n\n", strings.Join(baseline[:last], ", "), baseline[last])
	return b.String()
}

// datasetTable is what each operation reads, and where it is listed.
func datasetTable(all []*catalogue.Definition) string {
	var b strings.Builder
	b.WriteString("\n| read by | API, below `/tenants/{tenant}` | command line | `type` narrows it to |\n|---|---|---|---|\n")
	for _, d := range all {
		for _, set := range d.Datasets {
			var types []string
			for _, t := range set.Types {
				types = append(types, "`"+t.Key+"`")
			}
			for i, p := range set.Parts {
				if i == 5 {
					types = append(types, fmt.Sprintf("%d more", len(set.Parts)-i))
					break
				}
				types = append(types, "`"+p.Key+"`")
			}
			fmt.Fprintf(&b, "| %s | `/%s` | `interlock list %s` | %s |\n", d.Words.Name, set.Name, set.Name, strings.Join(types, ", "))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func permissions(needs []catalogue.Permission) string {
	names := make([]string, len(needs))
	for i, p := range needs {
		names[i] = "`" + p.AnyOf[0] + "`"
	}
	return strings.Join(names, ", ")
}

func hours(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d min", int(d.Minutes()))
}

// parameters are the fields of a parameter type, as its tags describe them.
func parameters(of any) string {
	t := reflect.TypeOf(of)
	var fields []string
	for i := range t.NumField() {
		f := t.Field(i)
		fields = append(fields, fmt.Sprintf("`%s`: %s", strings.Split(f.Tag.Get("json"), ",")[0], f.Tag.Get("doc")))
	}
	return strings.Join(fields, " ")
}
