package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// decoded returns an object as a tree whose numbers are json.Number.
func decoded(o odata.Object) (tree map[string]any, err error) {
	dec := json.NewDecoder(bytes.NewReader(o.Encode()))
	dec.UseNumber()
	return tree, dec.Decode(&tree)
}

// typed compares an element with a type, or with one that is derived from it.
func (w *write) typed(o odata.Object, entity string) error {
	t, err := model.Resolve(o.Text("@odata.type"), model.Lookup(entity), w.namespace())
	if err != nil {
		return err
	}
	tree, err := decoded(o)
	if err != nil {
		return bad("Unable to read JSON request payload.")
	}
	return model.Check(t, tree, w.namespace())
}

// parameter returns the elements of a parameter of an action.
func (w *write) parameter(name string) ([]odata.Object, error) {
	raw := w.sent.Get(name)
	if raw == nil {
		return []odata.Object{}, nil
	}
	list, err := odata.ParseList(raw)
	if err != nil || string(raw) == "null" {
		return nil, bad("The parameter '%s' is not a list of objects.", name)
	}
	return list, nil
}

// changed commits a changed part; the response is 204.
func (w *write) changed() error {
	w.next.Body = estate.Touched(w.next.Body, w.c.At)
	w.add.Updated = 1
	w.commit()
	return w.answer(http.StatusNoContent, true)
}

// targetApps replaces the apps of an app policy. observed: without apps it is refused.
func targetApps(w *write) error {
	if w.sent.Get("apps") == nil || string(w.sent.Get("apps")) == "null" {
		return bad("The parameter 'apps' must be specified.")
	}
	apps, err := w.parameter("apps")
	if err != nil {
		return err
	}
	for i, o := range apps {
		if err := w.typed(o, "managedMobileApp"); err != nil {
			return err
		}
		apps[i] = app(o)
	}
	w.next.Navs["apps"] = apps
	if group := w.sent.Text("appGroupType"); group != "" {
		w.next.Body = w.next.Body.With("appGroupType", group)
	}
	return w.changed()
}

// app returns an app of an app policy with its id and version.
func app(o odata.Object) odata.Object {
	identifier, err := odata.Parse(o.Get("mobileAppIdentifier"))
	if err != nil {
		identifier = odata.Object{}
	}
	id := strings.ToLower(identifier.Text("bundleId") + identifier.Text("packageId") + identifier.Text("windowsAppId"))
	return o.Without(func(n string) bool { return strings.Contains(n, "@odata.") }).With("id", id).With("version", "0")
}

// changeSettings replaces the settings of an app configuration (docs).
func changeSettings(w *write) error {
	settings, err := w.parameter("settings")
	if err != nil {
		return err
	}
	for i, o := range settings {
		if err := w.typed(o, "deviceManagementConfigurationSetting"); err != nil {
			return err
		}
		settings[i] = numbered(o, i)
	}
	w.next.Navs["settings"] = settings
	return w.changed()
}

// numbered returns a setting with its position as its id (recorded).
func numbered(o odata.Object, i int) odata.Object {
	o = o.Without(func(n string) bool { return n == "id" || strings.Contains(n, "@odata.") || n == "settingDefinitions" })
	return append(odata.Object{odata.F("id", fmt.Sprint(i))}, o...)
}

// withID returns an element with a new id.
func withID(o odata.Object) odata.Object {
	return append(odata.Object{odata.F("id", uuid.NewString())}, o.Without(func(n string) bool { return n == "id" })...)
}

// scheduled returns a rule of a compliance policy with the ids of the rule and of its actions.
func scheduled(o odata.Object) (odata.Object, error) {
	actions, err := odata.ParseList(o.Get("scheduledActionConfigurations"))
	if err != nil {
		return nil, bad("The scheduled actions of a rule are not a list of objects.")
	}
	for i := range actions {
		actions[i] = withID(actions[i])
	}
	if o.Index("ruleName") < 0 {
		o = o.With("ruleName", nil)
	}
	return withID(o).With("scheduledActionConfigurations", actions), nil
}

// scheduleActionsForRules replaces the actions for noncompliance (docs).
func scheduleActionsForRules(w *write) error {
	return w.schedule("deviceComplianceScheduledActionForRules", "deviceComplianceScheduledActionForRule")
}

// setScheduledActions does the same for compliance policies of the settings catalog (docs).
func setScheduledActions(w *write) error {
	return w.schedule("scheduledActions", "deviceManagementComplianceScheduledActionForRule")
}

func (w *write) schedule(param, entity string) error {
	sent, err := w.parameter(param)
	if err != nil {
		return err
	}
	for _, o := range sent {
		if err := w.typed(o, entity); err != nil {
			return err
		}
	}
	rules, err := w.elements("scheduledActionsForRule", odata.Raw(sent))
	if err != nil {
		return err
	}
	w.next.Navs["scheduledActionsForRule"] = rules
	if err := oneBlock(rules); err != nil && w.col.Entity == "deviceCompliancePolicy" {
		return err
	}
	return w.changed()
}

// setPriority moves an enrollment configuration. The default ones, with priority 0, can't be moved
// (docs).
func setPriority(w *write) error {
	n, ok := w.tree["priority"].(json.Number)
	priority, err := n.Int64()
	if !ok || err != nil || priority < 1 || priority > 1000 {
		return bad("The priority must be a positive number.")
	}
	if strings.Contains(w.id, w.how.builtIn.suffix) {
		return bad("The priority of a default configuration can't be changed.")
	}
	w.next.Body = w.next.Body.With("priority", priority)
	w.next.Body = estate.Touched(w.next.Body, w.c.At)
	w.add.Updated = 1
	w.commit()
	w.done = func() *wire.Reply { return nothing(http.StatusOK) }
	return nil
}

// updateAllowedCombinations replaces the combinations of an authentication strength (docs).
func updateAllowedCombinations(w *write) error {
	if err := w.checkBuiltIn(false); err != nil {
		return err
	}
	t := model.Lookup(w.col.Entity)
	if err := model.Check(t, map[string]any{"allowedCombinations": w.tree["allowedCombinations"]}, w.namespace()); err != nil {
		return err
	}
	if empty(w.tree["allowedCombinations"]) {
		return bad("The parameter 'allowedCombinations' must not be empty.")
	}
	before := w.next.Body.Get("allowedCombinations")
	w.next.Body = estate.Touched(w.next.Body.With("allowedCombinations", w.sent.Get("allowedCombinations")), w.c.At)
	w.add.Updated = 1
	w.commit()
	w.done = func() *wire.Reply {
		return w.c.Entity(odata.Object{
			odata.F("@odata.context", w.c.Base+"/"+w.c.Version()+"/$metadata#microsoft.graph.updateAllowedCombinationsResult"),
			odata.F("additionalInformation", ""), odata.F("conditionalAccessReferences", []string{}),
			odata.F("currentCombinations", w.sent.Get("allowedCombinations")), odata.F("previousCombinations", before),
		})
	}
	return nil
}

// bound matches the addresses that bind a definition and a presentation of an administrative
// template (docs).
var bound = regexp.MustCompile(`(?i)/groupPolicyDefinitions\('([^']+)'\)(?:/presentations\('([^']+)'\))?$`)

// updateDefinitionValues adds, changes and removes the values of an administrative template (docs).
// The definition and the presentations stay inside of the value; reads leave them out unless they
// are expanded.
func updateDefinitionValues(w *write) error {
	values := slices.Clone(w.next.Navs["definitionValues"])
	var gone []string
	if raw := w.sent.Get("deletedIds"); raw != nil && json.Unmarshal(raw, &gone) != nil {
		return bad("The parameter 'deletedIds' is not a list of ids.")
	}
	find := func(id string) int {
		return slices.IndexFunc(values, func(o odata.Object) bool { return strings.EqualFold(o.Text("id"), id) })
	}
	updated, err := w.parameter("updated")
	if err != nil {
		return err
	}
	for _, o := range updated {
		i := find(o.Text("id"))
		if i < 0 {
			return bad("The definition value '%s' does not exist.", o.Text("id"))
		}
		if values[i], err = w.definitionValue(o, values[i]); err != nil {
			return err
		}
	}
	for _, id := range gone {
		i := find(id)
		if i < 0 {
			return bad("The definition value '%s' does not exist.", id)
		}
		values = slices.Delete(values, i, i+1)
	}
	added, err := w.parameter("added")
	if err != nil {
		return err
	}
	for _, o := range added {
		v, err := w.definitionValue(o, nil)
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	seen := map[string]bool{}
	for _, v := range values {
		id, _ := v.Value("definition/id").(string)
		if id != "" && seen[id] {
			return bad("The definition '%s' is configured more than once.", id)
		}
		seen[id] = true
	}
	w.next.Navs["definitionValues"] = values
	return w.changed()
}

// definitionValue returns a sent value as it is stored, over the value before.
func (w *write) definitionValue(sent, before odata.Object) (odata.Object, error) {
	if err := w.typed(sent, "groupPolicyDefinitionValue"); err != nil {
		return nil, err
	}
	at := w.next.Body.Get("lastModifiedDateTime")
	v := before
	if v == nil {
		v = odata.Object{
			odata.F("createdDateTime", at), odata.F("enabled", false), odata.F("configurationType", "policy"),
			odata.F("id", uuid.NewString()), odata.F("lastModifiedDateTime", at),
		}
	}
	if raw := sent.Get("enabled"); raw != nil {
		v = v.With("enabled", raw)
	}
	if raw := sent.Get("configurationType"); raw != nil {
		v = v.With("configurationType", raw)
	}
	if address := sent.Text("definition@odata.bind"); address != "" || before == nil {
		m := bound.FindStringSubmatch(address)
		if m == nil || m[2] != "" {
			return nil, bad("The definition value is not bound to a definition (definition@odata.bind).")
		}
		v = v.With("definition", odata.Object{odata.F("id", m[1])})
	}
	raw := sent.Get("presentationValues")
	if raw == nil || string(raw) == "null" {
		return v, nil
	}
	list, err := odata.ParseList(raw)
	if err != nil {
		return nil, bad("The property 'presentationValues' is not a list of objects.")
	}
	for i, p := range list {
		m := bound.FindStringSubmatch(p.Text("presentation@odata.bind"))
		if m == nil || m[2] == "" {
			return nil, bad("The presentation value is not bound to a presentation (presentation@odata.bind).")
		}
		p = withID(p.Without(func(n string) bool { return strings.HasSuffix(n, "@odata.bind") || n == "presentation" }))
		list[i] = append(p, odata.F("createdDateTime", at), odata.F("lastModifiedDateTime", at), odata.F("presentation", odata.Object{odata.F("id", m[2])}))
	}
	return v.With("presentationValues", list), nil
}

// addChild serves POST {id}/{navigation}: one more element.
func (w *write) addChild(nav string, kind children) error {
	list := slices.Clone(w.next.Navs[nav])
	var child odata.Object
	if nav == "assignments" {
		a, err := w.assignment(w.sent, list)
		if err != nil {
			return err
		}
		child, w.add.Assigned = a, 1
	} else {
		if err := w.checkBuiltIn(false); err != nil {
			return err
		}
		if err := w.typed(w.sent, kind.entity); err != nil {
			return err
		}
		if kind.key != "" && (w.sent.Text(kind.key) == "" || slices.ContainsFunc(list, func(o odata.Object) bool { return strings.EqualFold(o.Text(kind.key), w.sent.Text(kind.key)) })) {
			return bad("The %s '%s' is empty or exists already.", kind.key, w.sent.Text(kind.key))
		}
		child, w.add.Updated = withID(w.kept()), 1
		if kind.key == "locale" {
			child = child.With("lastModifiedDateTime", estate.WrittenAt(w.c.At))
		}
	}
	w.next.Navs[nav] = append(list, child)
	w.afterChild(nav, child)
	w.commit()
	w.done = func() *wire.Reply {
		re := w.c.Entity(append(odata.Object{odata.F("@odata.context", w.c.Base+"/"+w.c.Version()+"/$metadata#"+w.col.Path+"('"+w.id+"')/"+nav+"/$entity")}, child...))
		re.Status = http.StatusCreated
		return re
	}
	return nil
}

// changeChild serves PATCH and DELETE {id}/{navigation}/{child}.
func (w *write) changeChild(nav string, kind children, id string) error {
	if err := w.checkBuiltIn(false); err != nil {
		return err
	}
	list := slices.Clone(w.next.Navs[nav])
	i := slices.IndexFunc(list, func(o odata.Object) bool { return strings.EqualFold(o.Text("id"), id) })
	if i < 0 {
		return &refusal{status: http.StatusNotFound, code: "ResourceNotFound", text: nav + " not found: " + id}
	}
	w.add.Updated = 1
	if nav == "assignments" {
		w.add = estate.Writes{Assigned: 1}
	}
	if w.c.Method == http.MethodDelete {
		w.next.Navs[nav] = slices.Delete(list, i, i+1)
		w.commit()
		return w.answer(http.StatusNoContent, true)
	}
	sent := w.sent
	if sent.Index("@odata.type") < 0 && list[i].Index("@odata.type") >= 0 {
		sent = sent.With("@odata.type", list[i].Get("@odata.type"))
	}
	if err := w.typed(sent, kind.entity); err != nil {
		return err
	}
	child := list[i]
	for _, f := range w.kept() {
		if f.Name == kind.key && !strings.EqualFold(child.Text(kind.key), w.sent.Text(kind.key)) {
			return bad("Property '%s' can't be changed.", kind.key)
		}
		child = child.With(f.Name, f.Raw)
	}
	if child.Index("lastModifiedDateTime") >= 0 {
		child = estate.Touched(child, w.c.At)
	}
	list[i], w.next.Navs[nav] = child, list
	w.afterChild(nav, child)
	w.commit()
	re := w.c.Entity(append(odata.Object{odata.F("@odata.context", w.c.Base+"/"+w.c.Version()+"/$metadata#"+w.col.Path+"('"+w.id+"')/"+nav+"/$entity")}, child...))
	w.done = func() *wire.Reply { return re }
	return nil
}

// afterChild makes the last default message that was written the only one (docs).
func (w *write) afterChild(nav string, child odata.Object) {
	if nav != "localizedNotificationMessages" || string(child.Get("isDefault")) != "true" {
		return
	}
	list := w.next.Navs[nav]
	for i, o := range list {
		if o.Text("id") != child.Text("id") {
			list[i] = o.With("isDefault", false)
		}
	}
	w.next.Body = w.next.Body.With("defaultLocale", child.Text("locale"))
}
