package estate

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file has the definitions of the settings catalogue. Which ids exist follows from the
// policies of the tenant and from the generator; the names follow from the ids.

const (
	catalogueKey   = "devicemanagement/configurationpolicies"
	complianceV2   = "devicemanagement/compliancepolicies"
	instanceSuffix = "Instance"
)

// settingNode is a setting instance at any depth: its definition, its form, and its value if
// that is one of several options.
type settingNode struct{ id, form, option string }

// settingNodes returns the setting instances of a value, outer ones first.
func settingNodes(raw json.RawMessage) (nodes []settingNode) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			kind, _ := v["@odata.type"].(string)
			id, _ := v["settingDefinitionId"].(string)
			if form, ok := strings.CutSuffix(strings.TrimPrefix(kind, "#microsoft.graph.deviceManagementConfiguration"), instanceSuffix); ok && id != "" {
				option := ""
				if choice, ok := v["choiceSettingValue"].(map[string]any); ok {
					option, _ = choice["value"].(string)
				}
				nodes = append(nodes, settingNode{id, form, option})
			}
			names := make([]string, 0, len(v))
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				walk(v[name])
			}
		}
	}
	walk(v)
	return nodes
}

// definitionOf returns a definition. Options of a choice have numbers at the end of their ids.
func definitionOf(n settingNode) odata.Object {
	kind := map[string]string{
		"ChoiceSetting": "ChoiceSettingDefinition", "ChoiceSettingCollection": "ChoiceSettingCollectionDefinition",
		"SimpleSetting": "SimpleSettingDefinition", "SimpleSettingCollection": "SimpleSettingCollectionDefinition",
		"GroupSetting": "SettingGroupDefinition", "GroupSettingCollection": "SettingGroupCollectionDefinition",
	}[n.form]
	if kind == "" {
		kind = "SettingDefinition"
	}
	o := odata.Object{
		odata.F("@odata.type", "#microsoft.graph.deviceManagementConfiguration"+kind),
		odata.F("id", n.id), odata.F("name", lastPart(n.id)), odata.F("displayName", readable(lastPart(n.id))), described(""), odata.F("helpText", rawEmpty),
		odata.F("accessTypes", "add,delete,get,replace"), odata.F("keywords", []string{}), odata.F("infoUrls", []string{}),
		odata.F("baseUri", rawEmpty), odata.F("offsetUri", rawEmpty), odata.F("rootDefinitionId", n.id), odata.F("settingUsage", "configuration"),
		odata.F("uxBehavior", "default"), odata.F("visibility", "settingsCatalog,template"), odata.F("version", "1"),
	}
	if strings.HasPrefix(kind, "Choice") {
		var options []odata.Object
		add := func(id, name string) {
			options = append(options, odata.Object{odata.F("itemId", id), odata.F("name", name), odata.F("displayName", name), odata.F("description", rawNull), odata.F("helpText", rawNull)})
		}
		for i, name := range []string{"Not configured", "Enabled", "Audit"} {
			add(n.id+"_"+string(rune('0'+i)), name)
		}
		if n.option != "" && !slices.ContainsFunc(options, func(o odata.Object) bool { return o.Text("itemId") == n.option }) {
			add(n.option, readable(strings.TrimPrefix(strings.TrimPrefix(n.option, n.id), "_")))
		}
		o = append(o, odata.F("defaultOptionId", n.id+"_0"), odata.F("options", options))
	}
	return o
}

// lastPart returns what follows the last underscore of an id that is not a number.
func lastPart(id string) string {
	parts := strings.Split(id, "_")
	for _, p := range slices.Backward(parts) {
		if strings.ContainsFunc(p, unicode.IsLetter) {
			return p
		}
	}
	return id
}

// words are those that the names of generated settings consist of, longer ones first.
var words = strings.Fields("virtualization configuration authentication administrator notification deployment encryption protection monitoring antivirus bitlocker directory microsoft realtime unattended telemetry download delivery backup battery cortana defender profile windows firewall security warning account service update status timeout allow block cloud level other based guest shell smart screen sleep active hours drive group hello local policy private public domain require device enable disk mode user end for on in of")

// readable returns a name for people: "allowrealtimemonitoring" becomes "Allow realtime monitoring".
func readable(name string) string {
	var parts []string
	rest := strings.ToLower(name)
	for rest != "" {
		i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(rest, w) })
		if i >= 0 {
			parts, rest = append(parts, words[i]), rest[len(words[i]):]
			continue
		}
		end := len(rest)
		for _, w := range words {
			if at := strings.Index(rest, w); at > 2 && at < end && len(w) > 3 {
				end = at
			}
		}
		parts, rest = append(parts, rest[:end]), rest[end:]
	}
	text := strings.Join(parts, " ")
	if text == "" {
		return name
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// SettingDefinitions returns the definitions of all instances in a setting, or that of a
// template of a setting.
func SettingDefinitions(setting odata.Object) []odata.Object {
	out := []odata.Object{}
	if id, ok := setting.Value("settingInstanceTemplate/settingDefinitionId").(string); ok {
		return append(out, definitionOf(settingNode{id: id, form: "ChoiceSetting"}))
	}
	seen := map[string]bool{}
	for _, n := range settingNodes(setting.Get("settingInstance")) {
		if !seen[n.id] {
			seen[n.id] = true
			out = append(out, definitionOf(n))
		}
	}
	return out
}

// definitions returns the definitions that the tenant's policies use and those of the generator,
// as items, sorted by id. The caller holds the tenant's lock.
func (t *Tenant) definitions() []*Item {
	found := map[string]settingNode{}
	for _, id := range definition {
		found[id] = settingNode{id: id, form: "ChoiceSetting"}
	}
	for _, key := range []string{catalogueKey, complianceV2} {
		for _, it := range t.World.shelves[key].all() {
			for _, s := range it.navs["settings"] {
				for _, n := range settingNodes(s.Get("settingInstance")) {
					if _, ok := found[n.id]; !ok {
						found[n.id] = n
					}
				}
			}
		}
	}
	out := make([]*Item, 0, len(found))
	for id, n := range found {
		out = append(out, &Item{ID: id, seed: &seed{name: id, Body: definitionOf(n)}})
	}
	slices.SortFunc(out, func(a, b *Item) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// PlainText returns the plain text of an encrypted value of an OMA setting, and whether a policy
// has a value with that reference. The text follows from the reference.
func (t *Tenant) PlainText(it *Item, reference string) (string, bool) {
	settings, _ := it.Body.Value("omaSettings").([]any)
	for _, s := range settings {
		s, _ := s.(map[string]any)
		if ref, _ := s["secretReferenceValueId"].(string); ref != "" && strings.EqualFold(ref, reference) {
			return "secret-" + t.Derive("omaSecret", ref)[:13], true
		}
	}
	return "", false
}

// Administrative returns the definition of a value of an administrative template, or the
// presentation of a value of a presentation. Where a policy holds only its id, it is looked up.
// The caller holds the tenant's lock.
func (t *Tenant) Administrative(name string, value odata.Object) odata.Object {
	stored, err := odata.Parse(value.Get(name))
	if err != nil {
		return nil
	}
	if len(stored) > 1 {
		return stored
	}
	for _, it := range t.World.shelves["devicemanagement/grouppolicydefinitions"].all() {
		if strings.EqualFold(it.ID, stored.Text("id")) {
			return it.Body.With("id", it.ID)
		}
		for _, p := range it.navs["presentations"] {
			if strings.EqualFold(p.Text("id"), stored.Text("id")) {
				return p
			}
		}
	}
	return stored
}
