package catalogue_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
)

func TestEveryOperationIsDeclaredInFull(t *testing.T) {
	t.Parallel()
	seen := make(map[op.Kind]bool)
	for _, d := range catalogue.All() {
		if seen[d.Kind] {
			t.Errorf("%s is declared twice", d.Kind)
		}
		seen[d.Kind] = true
		if d.Version < 1 || d.Capability == "" || d.Canonical == nil || d.Parameters == nil || d.Run == nil ||
			d.QueueLimit <= 0 || d.RunLimit <= 0 || d.MaxDispatch < 1 {
			t.Errorf("%s lacks something: %+v", d.Kind, d)
		}
		if found, err := catalogue.Lookup(d.Kind); err != nil || found != d {
			t.Errorf("Lookup(%s) = %v, %v", d.Kind, found, err)
		}
		if d.Input {
			var field *op.FieldError
			if _, err := d.Canonical(nil); !errors.As(err, &field) {
				t.Errorf("%s needs parameters and takes none: %v", d.Kind, err)
			}
			continue
		}
		for _, none := range []string{"", "null", "{}", " \n"} {
			first, err := d.Canonical(nil)
			if err != nil {
				t.Fatalf("%s: %v", d.Kind, err)
			}
			got, err := d.Canonical(json.RawMessage(none))
			if err != nil || string(got) != string(first) {
				t.Errorf("%s: %q = %s, %v; want the defaults %s", d.Kind, none, got, err, first)
			}
		}
	}
	if _, err := catalogue.Lookup("no.such"); !errors.Is(err, op.ErrNotFound) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind      op.Kind
		raw, want string // want: the canonical form, or the beginning of the error
	}{
		{op.ConnectionVerify, `{}`, `{}`},
		{op.ConnectionVerify, `{"deep":true}`, `parameters.deep: is not a parameter`},
		{op.ConnectionVerify, `[]`, `parameters: must be an object`},
		{op.ConnectionVerify, `{} {}`, `parameters: has data after the JSON value`},
		{op.ConnectionVerify, `{`, `parameters: is cut off`},

		{op.DirectoryGroupsSync, `{}`, `{"full":false}`},
		{op.DirectoryGroupsSync, `{"full":null}`, `{"full":false}`},
		{op.DirectoryGroupsSync, `{"full":true}`, `{"full":true}`},
		{op.DirectoryGroupsSync, `{"full":"yes"}`, `parameters.full: must be true or false, not a string`},
		{op.DirectoryGroupsSync, `{"full":true,"since":1}`, `parameters.since: is not a parameter`},

		{op.DirectoryGroupsSync, `{"Full":true}`, `parameters.Full: is not a parameter`},
		{op.DirectoryGroupsSync, `{"full":true,"full":false}`, `parameters.full: is given twice`},

		{op.InventorySync, `{}`, `{"types":["all"]}`},
		{op.InventorySync, `{"types":null}`, `{"types":["all"]}`},
		{op.InventorySync, `{"types":["all"]}`, `{"types":["all"]}`},
		{op.InventorySync, `{"types":["mobileApps","all"]}`, `{"types":["all"]}`},
		{op.InventorySync, `{"types":["mobileApps","intents","mobileApps"]}`, `{"types":["intents","mobileApps"]}`},
		{op.InventorySync, `{"types":[]}`, `parameters.types: must name at least one type`},
		{op.PolicyRestorePreview, `{"backup":"b","choices":{}}`, `parameters.choices: must be a list of objects, not an object`},
		{op.PolicyRestorePreview, `{"backup":"b","choices":["a"]}`, `parameters.choices: must be an object, not a string`},
		{op.PolicyRestorePreview, `{"backup":"b","choices":[{"item":["a"]}]}`, `parameters.choices.item: must be text, not a list`},
		{op.PolicyRestorePreview, `{"backup":"b","choices":[{"item":true}]}`, `parameters.choices.item: must be text, not true or false`},
		{op.InventorySync, `{"types":"mobileApps"}`, `parameters.types: must be a list of text, not a string`},
		{op.InventorySync, `{"types":["mobileApps",7]}`, `parameters.types: must be text, not a number`},
		{op.InventorySync, `{"types":["mobileApps","MobileApps"]}`, `parameters.types[1]: "MobileApps" is not a type; the types are all, managedDevices, mobileApps,`},
	} {
		d, err := catalogue.Lookup(c.kind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Canonical(json.RawMessage(c.raw))
		if err != nil {
			var field *op.FieldError
			if !errors.As(err, &field) {
				t.Errorf("%s %s: %v is not a FieldError", c.kind, c.raw, err)
			}
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s %s: %v; want %s", c.kind, c.raw, err, c.want)
			}
			continue
		}
		if string(got) != c.want {
			t.Errorf("%s %s = %s; want %s", c.kind, c.raw, got, c.want)
		}
		if again, err := d.Canonical(got); err != nil || string(again) != string(got) {
			t.Errorf("%s: the canonical form of %s is %s, %v", c.kind, got, again, err)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	needs := []catalogue.Permission{{AnyOf: []string{"A.Read", "A.ReadWrite"}}, {AnyOf: []string{"B.Read"}}}
	for granted, want := range map[string]string{
		"":                   "A.Read,B.Read",
		"A.ReadWrite":        "B.Read",
		"B.Read,A.Read":      "",
		"B.Read,C.ReadWrite": "A.Read",
	} {
		if got := strings.Join(catalogue.Missing(needs, strings.Split(granted, ",")), ","); got != want {
			t.Errorf("granted %q: missing %q, want %q", granted, got, want)
		}
	}
}
