package estate

import (
	"strings"
	"testing"
	"time"
)

// TestGeneratedSizes checks the numbers of generated things that the demo promises.
func TestGeneratedSizes(t *testing.T) {
	s, err := newSeeds(0, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for ask, want := range map[int]int{0: defaultPolicies, 40: 40, 700: 700, -1: 0} {
		n := 0
		for _, list := range s.policies(ask) {
			n += len(list)
		}
		for _, list := range s.fixed {
			n -= len(list)
		}
		if n != want {
			t.Errorf("asked for %d policies, got %d, want %d", ask, n, want)
		}
	}
	types := 0
	for _, list := range s.policies(40) {
		if len(list) > 0 {
			types++
		}
	}
	if types < 12 {
		t.Errorf("40 policies are of %d types only", types)
	}
	sum := 0
	for _, k := range policyKinds {
		sum += k.weight
		if Collections[strings.ToLower(k.path)] == nil {
			t.Errorf("%s is not served", k.path)
		}
	}
	if sum != 100 {
		t.Errorf("weights add up to %d", sum)
	}
}

// BenchmarkTenants adds 300 tenants, as a loaded demo does.
func BenchmarkTenants(b *testing.B) {
	for b.Loop() {
		s, err := New(0, "", nil, time.Now)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 300 {
			id := "00000000-0000-4000-8000-" + strings.Repeat("0", 9) + string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
			if err := s.Add(TenantSpec{ID: id, DisplayName: id, Intune: true}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkWorld generates the groups of a default tenant.
func BenchmarkWorld(b *testing.B) {
	s, err := New(0, "", nil, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t, err := newTenant(s, TenantSpec{ID: "00000000-0000-4000-8000-000000000001", DisplayName: "x"})
		if err != nil {
			b.Fatal(err)
		}
		t.Touch()
	}
}
