package tenancy

import (
	"slices"
	"testing"
)

// TestGroupTypes: every group is found by its type, those with a rule also by that,
// and what is shown of it is what it was made of.
func TestGroupTypes(t *testing.T) {
	for _, plain := range append([]GroupType{""}, GroupTypes()[:4]...) {
		for _, byRule := range []bool{false, true} {
			stored := plain
			if byRule {
				stored = plain.ByRule()
			}
			if p, r := stored.Plain(); p != plain || r != byRule {
				t.Errorf("%q is %q, by rule %t", stored, p, r)
			}
			for _, asked := range GroupTypes() {
				want := asked == plain || asked == DynamicGroup && byRule
				if got := slices.Contains(asked.Covers(), stored); got != want {
					t.Errorf("%q asked for, %q found: %t", asked, stored, got)
				}
			}
		}
	}
	for _, bad := range []GroupType{"", "Security", "dynamic_security"} {
		if c := bad.Covers(); c != nil {
			t.Errorf("%q covers %q", bad, c)
		}
	}
}
