package graph

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// oneBlock checks the actions of a compliance policy (observed).
func oneBlock(rules []odata.Object) error {
	blocks := 0
	for _, rule := range rules {
		actions, _ := odata.ParseList(rule.Get("scheduledActionConfigurations"))
		for _, a := range actions {
			if a.Text("actionType") == "block" {
				blocks++
			}
		}
	}
	if blocks != 1 {
		return bad("Compliance policy must have one and only one block scheduled action")
	}
	return nil
}

// checkCompliance requires one block action, and that the script exists (observed: IntuneManagement#353).
func checkCompliance(w *write) error {
	script, _ := w.next.Body.Value("deviceCompliancePolicyScript/deviceComplianceScriptId").(string)
	if script != "" && script != noFilter && !w.t.Has("deviceManagement/deviceComplianceScripts", script) {
		return bad("Device compliance script '%s' does not exist.", script)
	}
	return oneBlock(w.next.Navs["scheduledActionsForRule"])
}

// checkCatalogue requires that the reusable settings exist that settings refer to.
func checkCatalogue(w *write) error {
	var missing string
	walk(w.tree, func(o map[string]any) {
		if o["@odata.type"] != "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue" {
			return
		}
		if id, _ := o["value"].(string); id != "" && !w.t.Has("deviceManagement/reusablePolicySettings", id) {
			missing = id
		}
	})
	if missing != "" {
		return bad("Reusable setting '%s' does not exist.", missing)
	}
	return nil
}

// walk calls visit for every object in v.
func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, e := range v {
			walk(e, visit)
		}
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

// checkTemplate refuses what a notification template takes from its messages. observed
// (IntuneBackupAndRestore#94): a create with one of them is refused.
func checkTemplate(w *write) error {
	for _, name := range []string{"defaultLocale", "description"} {
		if w.item == nil && w.sent.Index(name) >= 0 {
			return bad("Property '%s' can't be set when a notification template is created.", name)
		}
	}
	if w.item == nil {
		w.next.Body = w.next.Body.With("defaultLocale", nil)
	}
	return nil
}

// checkStrength sets what the service computes of an authentication strength.
func checkStrength(w *write) error {
	if empty(w.tree["allowedCombinations"]) && w.item == nil {
		return bad("The property 'allowedCombinations' must not be empty.")
	}
	if w.item == nil {
		w.next.Body = w.next.Body.With("policyType", "custom").With("requirementsSatisfied", "mfa")
	}
	return nil
}

// usedBy names the kind of object that refers to the item and keeps it from being deleted (docs);
// empty: none.
func (w *write) usedBy() string {
	holders := map[string][]string{
		"deviceManagement/reusablePolicySettings":                    {"deviceManagement/configurationPolicies"},
		"identity/conditionalAccess/namedLocations":                  {"identity/conditionalAccess/policies"},
		"identity/conditionalAccess/authenticationStrength/policies": {"identity/conditionalAccess/policies"},
	}
	for _, path := range holders[w.col.Path] {
		col := estate.Collections[strings.ToLower(path)]
		for _, it := range w.t.Find(col, &odata.Query{}) {
			held := it.Body.Encode()
			held = append(held, odata.Raw(w.t.Nav(col, it, "settings"))...)
			if strings.Contains(string(held), `"`+w.id+`"`) {
				return "an object of " + path
			}
		}
	}
	return ""
}

// ids returns the strings at a path of the sent object.
func (w *write) ids(path ...string) (out []string) {
	var v any = w.tree
	for _, name := range path {
		o, _ := v.(map[string]any)
		v = o[name]
	}
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
