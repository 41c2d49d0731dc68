package archtest

import (
	"flag"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of this package into .golangci.yml")

// TestDepguard keeps the linter's rules equal to the tables here, so that an editor
// shows a wrong import while it is typed.
func TestDepguard(t *testing.T) {
	const config = root + "/.golangci.yml"
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile(`(?s)( *# begin: written by internal/archtest\n).*?( *# end: written by internal/archtest\n)`)
	if !part.Match(text) {
		t.Fatal(".golangci.yml has no part that this package writes")
	}
	want := part.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(depguard(), "$", "$$")+"${2}"))
	if string(text) == string(want) {
		return
	}
	if !*update {
		t.Fatal(".golangci.yml differs from the tables here: run go generate ./internal/archtest")
	}
	if err := os.WriteFile(config, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

func depguard() string {
	var b strings.Builder
	rule := func(name string, files ...string) {
		fmt.Fprintf(&b, "        %s:\n          list-mode: lax\n          files:\n", name)
		for _, f := range files {
			fmt.Fprintf(&b, "            - %q\n", f)
		}
	}
	list := func(key string, entries []string) {
		if len(entries) == 0 {
			return
		}
		fmt.Fprintf(&b, "          %s:\n", key)
		for _, e := range entries {
			fmt.Fprintf(&b, "            - %s\n", e)
		}
	}
	deny := func(what, why string) {
		fmt.Fprintf(&b, "          deny:\n            - pkg: %s\n              desc: %q\n", what, why)
	}
	for _, r := range rooms {
		if allowsAll(r) {
			continue
		}
		rule(strings.ReplaceAll(strings.TrimSuffix(r.path, "/..."), "/", "-"), glob(r.path), "!$test")
		deny(strings.TrimSuffix(module, "/"), r.why)
		var may []string
		for _, p := range append([]string{r.path}, r.may...) {
			may = append(may, exactly(module+p))
		}
		list("allow", may)
	}
	for _, d := range dependencies {
		files := []string{"$all"}
		if d.tests {
			files = append(files, "!$test")
		}
		for _, r := range d.rooms {
			files = append(files, "!"+glob(r))
		}
		rule("only-"+path.Base(major.ReplaceAllString(d.path, "")), files...)
		deny(d.path, d.why)
	}
	return b.String()
}

// major matches the major version at the end of a module path.
var major = regexp.MustCompile(`/v\d+$`)

func allowsAll(r room) bool { return len(r.may) == 1 && r.may[0] == "internal/..." }

// glob returns the pattern for the files of a room, or of all rooms below a folder.
func glob(p string) string {
	if above, below := strings.CutSuffix(p, "/..."); below {
		return "**/" + above + "/**"
	}
	return "**/" + p + "/*.go"
}

// exactly returns package p without the packages below it, in depguard's syntax.
func exactly(p string) string {
	if above, below := strings.CutSuffix(p, "/..."); below {
		return above
	}
	return p + "$"
}
