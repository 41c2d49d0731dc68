package odata

import (
	"crypto/aes"
	"crypto/cipher"
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
		q, err := ParseQuery(raw)
		if err != nil {
			return
		}
		for _, e := range q.Expand {
			_, _ = e.Options() // must not panic
		}
		o, err := Parse([]byte(entity))
		if err != nil {
			return
		}
		if q.Filter != nil {
			_ = q.Filter.Matches(o)
		}
		_ = PickFields(o, q.Select)
		for _, v := range q.Raw {
			back, err := url.QueryUnescape(Escape(v[0]))
			if err != nil || back != v[0] {
				t.Errorf("%q comes back as %q, %v", v[0], back, err)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		f.Fatal(err)
	}
	seal := NewSealer(aead)
	good := seal.SealCursor(Cursor{Kind: "delta", Tenant: "t", Path: "groups/delta", At: time.Now().Unix(), Round: &Round{To: 3, State: "s"}})
	f.Add(good, 0)
	f.Add(CosmosToken(good), 7)
	f.Add("", 0)
	f.Add("RFNwdA", 1)
	f.Fuzz(func(t *testing.T, token string, at int) {
		if c, err := seal.OpenCursor(token); err == nil && token != good {
			// Base64 has unused bits at its end; any other change must be refused.
			if strings.TrimRight(token, "\r\n") == "" || c.Tenant != "t" {
				t.Errorf("%q opens as %+v", token, c)
			}
		}
		if sealed, err := OpenCosmosToken(token); err == nil {
			_, _ = seal.OpenCursor(sealed)
		}
		forged := []byte(good)
		forged[min(max(at, 0), len(forged)-1)] ^= 1
		if c, err := seal.OpenCursor(string(forged)); err == nil && (c.Kind != "delta" || c.Tenant != "t" || c.Round == nil || c.Round.To != 3) {
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
	if _, err := ParseQuery("$filter=" + strings.Repeat("a", maxOptionLength+1)); err == nil {
		t.Error("an option without end passes")
	}
}

func TestObjectKeepsWhatItRead(t *testing.T) {
	const text = `{"b":1,"a":{"z":1.50,"y":"<&>"},"b2":[1,2],"é":null}`
	o, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(o.Encode()); got != text {
		t.Errorf("%s", got)
	}
	for _, bad := range []string{"", "[]", "1", `{"a"`, `{"a":}`, `{"a":1`} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	var back Object
	if err := json.Unmarshal([]byte(text), &back); err != nil || string(Raw(back)) != text {
		t.Errorf("%v %s", err, Raw(back))
	}
}
