package archtest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/mutate"
)

// TestMutations keeps the table of make mutate in step: each row breaks text that is
// there, each test exists, and docs/testing.md shows the table as it is. Whether the
// tests fail, make mutate shows.
func TestMutations(t *testing.T) {
	if err := mutate.Check(root, mutate.Table); err != nil {
		t.Error(err)
	}
	const doc = root + "/docs/testing.md"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile(`(?s)(<!-- begin: written by internal/archtest -->\n).*?(<!-- end: written by internal/archtest -->\n)`)
	if !part.Match(text) {
		t.Fatal("docs/testing.md has no part that this package writes")
	}
	table := strings.ReplaceAll(mutate.Markdown(mutate.Table), "$", "$$")
	want := part.ReplaceAll(text, []byte("${1}"+table+"${2}"))
	switch {
	case string(text) == string(want):
	case *update:
		if err := os.WriteFile(doc, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/testing.md does not show the table of internal/mutate: run go generate ./internal/archtest")
	}
}
