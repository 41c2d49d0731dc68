package graph_test

import (
	"fmt"
	"net/http"
	"os"
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
	if v == nil || strings.TrimSuffix(typ, "[]") == "any" {
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

// readTypes returns the published library, with the types of newer.txt.
func readTypes(t *testing.T) *betaTypes {
	t.Helper()
	types := betaTypes{unknown: map[string]int{}}
	simtest.ReadShared(t, "schema/beta-types.json", &types)
	text, err := os.ReadFile("../model/newer.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "enum":
			types.Enums[words[1]] = words[2:]
		case len(words) > 2 && words[0] == "type":
			added := types.Types[words[1]]
			added.Base = words[2]
			added.Properties = map[string]struct {
				Type string `json:"type"`
			}{}
			for _, w := range words[3:] {
				name, typ, _ := strings.Cut(w, ":")
				p := added.Properties[name]
				p.Type = typ
				added.Properties[name] = p
			}
			types.Types[words[1]] = added
		}
	}
	return &types
}

// TestWriteAnswersFitThePublishedTypes checks the answers to creates, changes, assignments and
// actions of each collection that can be written.
func TestWriteAnswersFitThePublishedTypes(t *testing.T) {
	types := readTypes(t)
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	tok := s.Token()
	group := simtest.Values(s.OK(tok, "/v1.0/groups?$top=1"))[0]["id"].(string)
	checked := 0
	send := func(method, path, body, typ string) map[string]any {
		t.Helper()
		a := s.Send(tok, method, path, body)
		if a.Status >= 300 {
			t.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
			return map[string]any{}
		}
		if len(a.Body) == 0 {
			return nil
		}
		o := a.JSON(t)
		list := []map[string]any{o}
		if o["value"] != nil {
			list = simtest.Values(o)
		}
		for _, e := range list {
			checked++
			for _, bad := range types.check(method+" "+path, typ, e) {
				t.Error(bad)
			}
		}
		return o
	}
	for path, c := range writableTypes {
		_, name, _ := strings.Cut(path[1:], "/")
		entity := pascal(estate.Collections[strings.ToLower(name)].Entity)
		id, _ := send(http.MethodPost, path, c.body, entity)["id"].(string)
		one := path + "/" + id
		send(http.MethodPatch, one, named(c.body)+`"description":"B"}`, entity)
		list, _ := types.property(entity, "assignments")
		target := `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + group + `"}}`
		if c.assign != "" {
			send(http.MethodPost, one+"/assign", `{"`+c.assign+`":[`+target+`]}`, strings.TrimSuffix(list, "[]"))
		}
		switch name[strings.LastIndexByte(name, '/')+1:] {
		case "windowsAutopilotDeploymentProfiles":
			send(http.MethodPost, one+"/assignments", target, strings.TrimSuffix(list, "[]"))
		case "notificationMessageTemplates":
			o := send(http.MethodPost, one+"/localizedNotificationMessages", `{"locale":"en-us","subject":"a","messageTemplate":"b","isDefault":true}`, "LocalizedNotificationMessage")
			message, _ := o["id"].(string)
			send(http.MethodPatch, one+"/localizedNotificationMessages/"+message, `{"subject":"c"}`, "LocalizedNotificationMessage")
		case "deviceCompliancePolicies":
			send(http.MethodPost, one+"/scheduleActionsForRules", `{"deviceComplianceScheduledActionForRules":[`+strings.TrimSuffix(strings.TrimPrefix(block, `"scheduledActionsForRule":[`), "]")+`]}`, entity)
		}
		if strings.HasSuffix(name, "authenticationStrength/policies") {
			send(http.MethodPost, one+"/updateAllowedCombinations", `{"allowedCombinations":["fido2","windowsHelloForBusiness"]}`, "UpdateAllowedCombinationsResult")
			send(http.MethodPost, one+"/combinationConfigurations", `{"@odata.type":"#microsoft.graph.fido2CombinationConfiguration","appliesToCombinations":["fido2"],"allowedAAGUIDs":["de1e552d-db1d-4423-a619-566b625cdc84"]}`, "Fido2CombinationConfiguration")
		}
	}
	if checked < 45 || len(types.unknown) != 0 {
		t.Errorf("%d answers checked; the library lacks %v", checked, types.unknown)
	}
}

// TestAnswersFitThePublishedTypes reads every collection, list and single items with all
// navigation properties, and checks names and types against the published library.
func TestAnswersFitThePublishedTypes(t *testing.T) {
	types := readTypes(t)
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
			policy := "" // one that devices report about
			for _, p := range simtest.Values(s.OK(tok, "/v1.0/deviceManagement/deviceCompliancePolicies")) {
				if id := p["id"].(string); len(simtest.Values(s.OK(tok, "/beta/deviceManagement/deviceCompliancePolicies/"+id+"/deviceStatuses"))) > 0 {
					policy = id
				}
			}
			device := simtest.Values(s.OK(tok, "/v1.0/deviceManagement/managedDevices"))[0]["id"].(string)
			for path, typ := range map[string]string{
				"/v1.0/organization": "Organization", "/v1.0/groups?$top=999": "Group", "/v1.0/servicePrincipals": "ServicePrincipal",
				"/beta/deviceManagement/deviceCompliancePolicies/" + policy + "/deviceStatusOverview": "DeviceComplianceDeviceOverview",
				"/beta/deviceManagement/deviceCompliancePolicies/" + policy + "/deviceStatuses":       "DeviceComplianceDeviceStatus",
				"/beta/deviceManagement/managedDevices/" + device + "/deviceCompliancePolicyStates":   "DeviceCompliancePolicyState",
			} {
				o := s.OK(tok, path)
				list := simtest.Values(o)
				if o["value"] == nil {
					list = append(list, o)
				}
				if len(list) == 0 {
					t.Errorf("%s is empty", path)
				}
				for i, o := range list {
					for _, bad := range types.check(fmt.Sprintf("%s[%d]", path, i), typ, o) {
						t.Error(bad)
					}
				}
			}
			if items < 300 {
				t.Errorf("only %d items were checked", items)
			}
			if !types.lenient && len(types.unknown) != 0 {
				t.Errorf("generated objects have types that the library lacks: %v", types.unknown)
			}
			t.Logf("%d items checked; the library lacks %v", items, types.unknown)
		})
	}
}
