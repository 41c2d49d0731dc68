package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// betaTypes is the published type library of the beta version.
type betaTypes struct {
	Types map[string]struct {
		Base       string `json:"base"`
		Properties map[string]struct {
			Type string `json:"type"`
		} `json:"properties"`
	} `json:"types"`
	Enums map[string][]string `json:"enums"`

	unknown map[string]int // types and properties that the library lacks
	lenient bool           // exports carry properties that are newer than the library, templates some that never were
}

func pascal(name string) string {
	name = strings.TrimPrefix(name, "#microsoft.graph.")
	return strings.ToUpper(name[:1]) + name[1:]
}

// property returns the type of a property, also of base types.
func (b *betaTypes) property(typ, name string) (string, bool) {
	for typ != "" {
		t, ok := b.Types[typ]
		if !ok {
			return "", false
		}
		for n, p := range t.Properties {
			if strings.EqualFold(n, name) {
				return p.Type, true
			}
		}
		typ = t.Base
	}
	return "", false
}

// check returns the differences between a value and its type.
func (b *betaTypes) check(where, typ string, v any) []string {
	if v == nil {
		return nil
	}
	if elem, ok := strings.CutSuffix(typ, "[]"); ok {
		list, ok := v.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want a list of %s", where, v, elem)}
		}
		var bad []string
		for i, e := range list {
			bad = append(bad, b.check(fmt.Sprintf("%s[%d]", where, i), elem, e)...)
		}
		return bad
	}
	want := ""
	switch v.(type) {
	case string:
		want = "string"
	case float64:
		want = "number"
	case bool:
		want = "boolean"
	case []any:
		return []string{fmt.Sprintf("%s is a list, want %s", where, typ)}
	}
	if values, ok := b.Enums[typ]; ok {
		if typ == "EnrollmentNotificationTemplateType" && v == "0" {
			return nil // recorded like this
		}
		s, ok := v.(string)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want one of %v", where, v, values)}
		}
		for _, part := range strings.Split(s, ",") {
			if !slices.ContainsFunc(values, func(e string) bool { return strings.EqualFold(e, strings.TrimSpace(part)) }) {
				return []string{fmt.Sprintf("%s is %q, want one of %s %v", where, s, typ, values)}
			}
		}
		return nil
	}
	o, ok := v.(map[string]any)
	switch {
	case typ == "string" || typ == "number" || typ == "boolean":
		if want != typ {
			return []string{fmt.Sprintf("%s is %T, want %s", where, v, typ)}
		}
		return nil
	case !ok:
		if _, known := b.Types[typ]; known {
			return []string{fmt.Sprintf("%s is %T, want %s", where, v, typ)}
		}
		b.unknown["type "+typ]++
		return nil
	}
	if t, ok := o["@odata.type"].(string); ok {
		typ = pascal(t)
	}
	if _, known := b.Types[typ]; !known {
		b.unknown["type "+typ]++
		return nil
	}
	var bad []string
	for name, e := range o {
		if strings.Contains(name, "@odata.") {
			continue
		}
		p, ok := b.property(typ, name)
		if !ok && b.lenient {
			b.unknown[typ+"."+name]++
			continue
		}
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: %s has no property %q", where, typ, name))
			continue
		}
		bad = append(bad, b.check(where+"."+name, p, e)...)
	}
	return bad
}

// TestAnswersFitThePublishedTypes reads every collection, list and single items with all
// navigation properties, and checks names and types against the published library.
func TestAnswersFitThePublishedTypes(t *testing.T) {
	var types betaTypes
	simtest.ReadShared(t, "schema/beta-types.json", &types)
	types.unknown = map[string]int{}
	for _, source := range []string{"generated", "loaded"} {
		t.Run(source, func(t *testing.T) {
			cfg, sp := graphsim.Config{}, simtest.Spec()
			sp.Policies, sp.MobileApps = 0, 0
			if types.lenient = source == "loaded"; types.lenient {
				cfg.DataDir = simtest.SharedData
			}
			s := simtest.Start(t, cfg, sp)
			tok := s.Token()
			items := 0
			for _, col := range estate.CollectionList {
				expand := ""
				if len(col.Navs) > 0 {
					expand = "&$expand=" + strings.Join(col.Navs, ",")
					expand = strings.Replace(expand, "scheduledActionsForRule", "scheduledActionsForRule($expand=scheduledActionConfigurations)", 1)
				}
				list, _ := s.All(tok, "/beta/"+col.Path+"?$top=100"+expand)
				items += len(list)
				for i, it := range list {
					for _, bad := range types.check(fmt.Sprintf("%s[%d]", col.Path, i), pascal(col.Entity), it) {
						t.Error(bad)
					}
				}
				if len(list) > 0 {
					one := s.OK(tok, "/beta/"+col.Path+"/"+list[0]["id"].(string))
					for _, bad := range types.check(col.Path+" single", pascal(col.Entity), one) {
						t.Error(bad)
					}
				}
			}
			for path, typ := range map[string]string{"/v1.0/organization": "Organization", "/v1.0/groups?$top=999": "Group", "/v1.0/servicePrincipals": "ServicePrincipal"} {
				for i, o := range simtest.Values(s.OK(tok, path)) {
					for _, bad := range types.check(fmt.Sprintf("%s[%d]", path, i), typ, o) {
						t.Error(bad)
					}
				}
			}
			if items < 300 {
				t.Errorf("only %d items were checked", items)
			}
			t.Logf("%d items checked; the library lacks %v", items, types.unknown)
		})
	}
}
