package console_test

import (
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/console"
)

// TestPolicyIsStrict: pages load nothing but their own files, run no inline script, and
// are framed by nobody.
func TestPolicyIsStrict(t *testing.T) {
	directives := map[string]string{}
	for part := range strings.SplitSeq(console.Policy, ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(part), " ")
		directives[name] = sources
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "base-uri": "'none'", "form-action": "'self'", "frame-ancestors": "'none'",
	} {
		if got := directives[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, sources := range directives {
		if s := strings.Fields(sources); len(s) != 1 || s[0] != "'self'" && s[0] != "'none'" {
			t.Errorf("%s admits more than pages' own files: %q", name, sources)
		}
	}
}
