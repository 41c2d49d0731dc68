package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/op"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ body, field, says string }{
		{`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`, "", ""},
		{` [1, "two", null, {}] `, "", ""},
		{`"A"`, "", ""},
		{`{"a":1,"A":2}`, "", ""}, // two different names; the schema decides whether both are known
		{`{"a":1,"a":1}`, "a", "is given twice"},
		{`{"a":1,"\u0061":2}`, "a", "is given twice"},
		{`{"a":{"b":1,"c":2,"b":3}}`, "a.b", "is given twice"},
		{`{"a":[0,{"b":{"c":1,"c":1}}]}`, "a[1].b.c", "is given twice"},
		{`[[{"":1,"":1}]]`, "[0][0].", "is given twice"},
		{"\xef\xbb\xbf{}", "body", "byte order mark"},
		{"\xff\xfe{\x00}\x00", "body", "is not valid UTF-8"},
		{"{\"a\":\"\xff\"}", "body", "is not valid UTF-8"},
		{`{} {}`, "body", "data after"},
		{`{}x`, "body", "data after"},
		{"{}\f", "body", "data after"}, // white space of other languages, not of JSON
		{"{}\u00a0", "body", "data after"},
		{`{"a":`, "body", "is cut off"},
		{`{a:1}`, "body", "is not valid JSON"},
		{``, "body", "is missing"},
		{" \n", "body", "is missing"},
		{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "body", "is not valid JSON"},
	} {
		err := Check("body", []byte(tt.body))
		var field *op.FieldError
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%.80s: %v", tt.body, err)
		case tt.says != "" && (!errors.As(err, &field) || field.Field != tt.field || !strings.Contains(field.Detail, tt.says)):
			t.Errorf("%.80s: got %v, want %s %s", tt.body, err, tt.field, tt.says)
		}
	}
	var field *op.FieldError
	long := strings.Repeat("é", 5000)
	if err := Check("body", []byte(`{"`+long+`":1,"`+long+`":1}`)); !errors.As(err, &field) || len(field.Field) > 2*maxShown {
		t.Errorf("a long name is told in %d bytes", len(field.Field))
	}
}

func TestUnknown(t *testing.T) {
	var v struct {
		Types []string `json:"types,omitempty"`
		Full  bool     `json:"full"`
		Parts []struct {
			ID *struct {
				Name string `json:"name"`
			} `json:"id"`
		} `json:"parts"`
		Free json.RawMessage `json:"free"`
	}
	for body, want := range map[string]string{
		`{"types":[],"full":true}`: "", `{}`: "", `[]`: "",
		`{"Types":[]}`: "Types", `{"full":true,"FULL":false}`: "FULL", `{"size":1,"colour":1}`: "colour",
		`{"parts":[{"id":{"name":""}},{"id":null}],"free":{"Any":1}}`: "", `{"parts":[{},{"id":{"Name":""}}]}`: "parts[1].id.Name",
	} {
		if got := Unknown([]byte(body), &v); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// FuzzCheck: what passes has one meaning. encoding/json drops all but the last of equal
// names, so a value that it decodes and encodes must keep its number of names.
func FuzzCheck(f *testing.F) {
	for _, body := range []string{`{"a":1}`, `{"a":1,"a":2}`, `[{"a":[]},{}]`, "\xef\xbb\xbf{}", `{"a":"\ud800"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if Check("body", body) != nil {
			return
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%q was let through: %v", body, err)
		}
		dec := json.NewDecoder(strings.NewReader(string(body)))
		tokens := 0
		for _, err := dec.Token(); err == nil; _, err = dec.Token() {
			tokens++
		}
		if n := count(v); n != tokens {
			t.Errorf("%q has %d tokens, and means %d", body, tokens, n)
		}
	})
}

// count is the number of tokens of v.
func count(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		n = 2
		for _, below := range v {
			n += 1 + count(below)
		}
	case []any:
		n = 2
		for _, below := range v {
			n += count(below)
		}
	}
	return n
}
