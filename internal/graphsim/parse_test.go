package graphsim

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"$select=id,displayName&$top=5", "$filter=displayName%20eq%20'it''s'", "$filter=groupTypes/any(c:c eq 'Unified') and not(startswith(a,'b'))",
		"$filter=isof('microsoft.graph.iosStoreApp') or a/b in ('x',1,true,null)", "$expand=settings,scheduledActionsForRule($expand=scheduledActionConfigurations;$top=1)",
		"$orderby=a desc,b&$skip=3&$count=true", "$filter=((((((a eq 1))))))", "$filter=createdDateTime ge 2020-01-01T00:00:00Z", "$deltatoken=&$skiptoken=x", "$filter=not not not a eq 1",
		"$filter=a/any(x:x/any(y:y eq 1))", "%zz", "$filter='", "$filter=id eq", "$filter=a eq microsoft.graph.kind'b'",
	} {
		f.Add(q, `{"id": "x", "displayName": "it's", "groupTypes": ["Unified", {"a": 1}], "a": {"b": [1]}, "createdDateTime": "2021-01-01T00:00:00Z"}`)
	}
	f.Fuzz(func(t *testing.T, raw, entity string) {
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		for _, e := range q.expand {
			_, _ = e.options() // must only not panic
		}
		o, err := parseObject([]byte(entity))
		if err != nil {
			return
		}
		if q.filter != nil {
			_ = q.filter.matches(o)
		}
		_ = pickFields(o, q.sel)
		for _, v := range q.raw {
			back, err := url.QueryUnescape(escape(v[0]))
			if err != nil || back != v[0] {
				t.Errorf("%q comes back as %q, %v", v[0], back, err)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	keys, err := memoryKeys()
	if err != nil {
		f.Fatal(err)
	}
	good := keys.sealCursor(cursor{Kind: "delta", Tenant: "t", Path: "groups/delta", At: time.Now().Unix(), Round: &round{To: 3, State: "s"}})
	f.Add(good, 0)
	f.Add(cosmosToken(good), 7)
	f.Add("", 0)
	f.Add("RFNwdA", 1)
	f.Fuzz(func(t *testing.T, token string, at int) {
		if c, err := keys.openCursor(token); err == nil && token != good {
			// Base64 has spare bits at its end; nothing else may pass.
			if strings.TrimRight(token, "\r\n") == "" || c.Tenant != "t" {
				t.Errorf("%q opens as %+v", token, c)
			}
		}
		if sealed, err := openCosmosToken(token); err == nil {
			_, _ = keys.openCursor(sealed)
		}
		forged := []byte(good)
		forged[min(max(at, 0), len(forged)-1)] ^= 1
		if c, err := keys.openCursor(string(forged)); err == nil && (c.Kind != "delta" || c.Tenant != "t" || c.Round == nil || c.Round.To != 3) {
			t.Errorf("a forged token opens as %+v", c)
		}
	})
}

func TestFilterDepthIsBounded(t *testing.T) {
	for _, src := range []string{strings.Repeat("(", 10_000) + "a eq 1", strings.Repeat("not ", 4000) + "a eq 1", strings.Repeat("a/any(x:", 2000)} {
		if _, err := parseFilter(src); err == nil {
			t.Errorf("a filter of %d characters passes", len(src))
		}
	}
	if _, err := parseQuery("$filter=" + strings.Repeat("a", maxOptionLength+1)); err == nil {
		t.Error("an option without end passes")
	}
}

func TestObjectKeepsWhatItRead(t *testing.T) {
	const text = `{"b":1,"a":{"z":1.50,"y":"<&>"},"b2":[1,2],"é":null}`
	o, err := parseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.encode()); got != text {
		t.Errorf("%s", got)
	}
	for _, bad := range []string{"", "[]", "1", `{"a"`, `{"a":}`, `{"a":1`} {
		if _, err := parseObject([]byte(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	var back object
	if err := json.Unmarshal([]byte(text), &back); err != nil || string(rawJSON(back)) != text {
		t.Errorf("%v %s", err, rawJSON(back))
	}
}

// TestGeneratedSizes holds the generator to what the demo promises.
func TestGeneratedSizes(t *testing.T) {
	s, err := newSeeds(0, "")
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
		if collections[strings.ToLower(k.path)] == nil {
			t.Errorf("%s is not served", k.path)
		}
	}
	if sum != 100 {
		t.Errorf("weights add up to %d", sum)
	}
}

// BenchmarkTenants adds 300 tenants, as a demo under load does.
func BenchmarkTenants(b *testing.B) {
	for b.Loop() {
		s, err := New(Config{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range 300 {
			id := "00000000-0000-4000-8000-" + strings.Repeat("0", 9) + string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
			if err := s.AddTenant(TenantSpec{ID: id, DisplayName: id, Intune: true}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkWorld builds the groups of a default tenant.
func BenchmarkWorld(b *testing.B) {
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t, err := newTenant(s, TenantSpec{ID: "00000000-0000-4000-8000-000000000001", DisplayName: "x"})
		if err != nil {
			b.Fatal(err)
		}
		t.touch()
	}
}
