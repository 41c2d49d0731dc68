package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// serverSet holds the properties that the service sets in objects of every type.
var serverSet = []string{
	"id", "createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "deletedDateTime", "version", "isAssigned", "settingCount",
}

// create serves POST {collection}.
func (w *write) create() error {
	if err := w.checkSent(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.how.required)) {
		if empty(w.tree[name]) {
			return bad("%s", w.how.required[name])
		}
	}
	navs := map[string][]odata.Object{}
	for _, nav := range w.col.Navs {
		raw := w.sent.Get(nav)
		if raw == nil {
			continue
		}
		if !slices.Contains(w.how.inBody, nav) { // observed for assignments
			return &refusal{status: http.StatusBadRequest, code: "BadRequest", text: "The request is invalid.", graph: true}
		}
		list, err := w.elements(nav, raw)
		if err != nil {
			return err
		}
		navs[nav] = list
	}
	w.next = w.t.New(w.col, w.kept(), navs, w.c.At)
	if w.how.builtIn.property == "isBuiltIn" {
		w.next.Body = w.next.Body.With("isBuiltIn", false)
	}
	if err := w.judge(); err != nil {
		return err
	}
	w.add.Created = 1
	w.commit()
	return w.answer(http.StatusCreated, false)
}

// update serves PATCH {collection}/{id}. A property replaces the whole property.
func (w *write) update() error {
	if err := w.checkBuiltIn(w.how.builtIn.patch); err != nil {
		return err
	}
	if err := w.checkSent(); err != nil {
		return err
	}
	only := w.how.patch
	if w.how.replace {
		only = []string{"name", "description"}
	}
	for _, f := range w.kept() {
		switch {
		case slices.Contains(w.col.Navs, f.Name): // observed
			return bad("Cannot apply PATCH to navigation property '%s' on entity type '%s'.", f.Name, w.namespace()+"."+w.col.Entity)
		case only != nil && f.Name != "@odata.type" && !slices.Contains(only, f.Name):
			return bad("Property '%s' can't be updated by PATCH.", f.Name)
		}
		w.next.Body = w.next.Body.With(f.Name, f.Raw)
	}
	return w.store(w.how.silent)
}

// replace serves PUT {collection}/{id}: what the body lacks is gone, settings too (observed).
func (w *write) replace() error {
	if err := w.checkSent(); err != nil {
		return err
	}
	if _, ok := w.tree["roleScopeTagIds"].([]any); !ok { // observed
		return bad("RoleScopeTagIds must not be null.")
	}
	if empty(w.tree["name"]) {
		return bad("%s", w.how.required["name"])
	}
	before := w.next
	body := odata.Object{}
	for _, f := range before.Body { // what the service set stays
		if slices.Contains(serverSet, f.Name) || slices.Contains(w.how.readOnly, f.Name) || slices.Contains(w.how.fixed, f.Name) {
			body = append(body, f)
		}
	}
	for _, f := range w.kept() {
		if !slices.Contains(w.col.Navs, f.Name) {
			body = body.With(f.Name, f.Raw)
		}
	}
	for _, f := range before.Body {
		if body.Index(f.Name) < 0 {
			body = append(body, odata.F(f.Name, nil))
		}
	}
	w.next.Body = body
	w.next.Navs["settings"] = []odata.Object{}
	for _, nav := range w.how.inBody {
		raw := w.sent.Get(nav)
		if raw == nil {
			continue
		}
		list, err := w.elements(nav, raw)
		if err != nil {
			return err
		}
		w.next.Navs[nav] = list
	}
	return w.store(true)
}

// store judges and commits a changed item.
func (w *write) store(silent bool) error {
	if err := w.checkFixed(); err != nil {
		return err
	}
	if settings, ok := w.next.Navs["settings"]; ok && w.next.Body.Index("settingCount") >= 0 {
		w.next.Body = w.next.Body.With("settingCount", len(settings))
	}
	if err := w.judge(); err != nil {
		return err
	}
	w.next.Body = estate.Touched(w.next.Body, w.c.At)
	w.add.Updated = 1
	w.commit()
	return w.answer(http.StatusOK, silent)
}

// remove serves DELETE {collection}/{id}.
func (w *write) remove() error {
	if err := w.checkBuiltIn(false); err != nil {
		return err
	}
	if user := w.usedBy(); user != "" {
		return bad("The object can't be deleted because %s refers to it.", user)
	}
	w.add.Deleted = 1
	if !w.c.Discard {
		if w.how.bin != "" {
			w.throwAway()
		}
		w.t.Remove(w.col, w.item, w.c.At)
	}
	return w.answer(http.StatusNoContent, true)
}

// namespace is that of the types in the texts of the service (observed for Intune).
func (w *write) namespace() string {
	if odata.IsIntune(w.col.Path) {
		return "microsoft.management.services.api"
	}
	return "microsoft.graph"
}

// checkSent compares the sent object with its type, and refuses read-only properties unless the
// tenant is lenient.
func (w *write) checkSent() error {
	named := w.sent.Text("@odata.type")
	t, err := model.Resolve(named, model.Lookup(w.col.Entity), w.namespace())
	if err != nil {
		return err
	}
	if w.item != nil && w.col.Poly && named != "" && model.Lookup(w.item.Body.Text("@odata.type")) != t {
		return bad("The type '%s' of the object can't be changed.", strings.TrimPrefix(w.item.Body.Text("@odata.type"), "#"))
	}
	if !w.t.Spec.Lenient {
		for _, f := range w.sent {
			if w.readOnly(f.Name) && !(f.Name == "id" && w.item != nil && strings.EqualFold(w.sent.Text("id"), w.item.ID)) {
				return w.readOnlyRefusal(f.Name)
			}
		}
	}
	return model.Check(t, w.tree, w.namespace())
}

func (w *write) readOnly(name string) bool {
	return slices.Contains(serverSet, name) || slices.Contains(w.how.readOnly, name)
}

// readOnlyRefusal names a property that can't be set, in the words of the service (observed for
// conditional access and the directory; assumed for Intune).
func (w *write) readOnlyRefusal(name string) error {
	switch {
	case w.how.bin != "":
		return bad("1001: '%s' is a readonly field", name)
	case !odata.IsIntune(w.col.Path):
		return &refusal{status: http.StatusBadRequest, code: "Request_BadRequest", text: "Property '" + name + "' is read-only and cannot be set."}
	}
	return bad("Property '%s' is read-only and cannot be set.", name)
}

// kept returns the sent properties that are stored: neither annotations nor what the service sets.
func (w *write) kept() odata.Object {
	return w.sent.Without(func(name string) bool {
		switch {
		case name == "@odata.type":
			return false
		case strings.HasPrefix(name, "#"), strings.Contains(name, "@odata."), strings.HasPrefix(name, "@microsoft.graph."):
			return true
		}
		return w.readOnly(name) || w.item == nil && slices.Contains(w.col.Navs, name)
	})
}

// elements returns the elements of a navigation property as they are stored.
func (w *write) elements(nav string, raw json.RawMessage) ([]odata.Object, error) {
	if string(raw) == "null" {
		return []odata.Object{}, nil
	}
	list, err := odata.ParseList(raw)
	if err != nil {
		return nil, bad("The property '%s' is not a list of objects.", nav)
	}
	for i, o := range list {
		switch nav {
		case "settings":
			list[i] = numbered(o, i)
		case "scheduledActionsForRule":
			if list[i], err = scheduled(o); err != nil {
				return nil, err
			}
		case "apps":
			list[i] = app(o)
		case "combinationConfigurations":
			list[i] = withID(o)
		}
	}
	return list, nil
}

// checkFixed refuses a new value of a property that can't change.
func (w *write) checkFixed() error {
	for _, name := range w.how.fixed {
		was, is := w.item.Body.Value(name), w.next.Body.Value(name)
		if name == "templateReference" {
			was, is = w.item.Body.Value("templateReference/templateId"), w.next.Body.Value("templateReference/templateId")
		}
		if string(odata.Raw(was)) != string(odata.Raw(is)) {
			return bad("Property '%s' can't be changed.", name)
		}
	}
	return nil
}

// checkBuiltIn refuses a change of what the service made, unless it may be changed. The texts are
// assumed.
func (w *write) checkBuiltIn(may bool) error {
	b := w.how.builtIn
	made := string(w.item.Body.Get(b.property)) == "true" || w.item.Body.Text(b.property) == "builtIn" && b.property != "" ||
		b.id != "" && w.id == b.id || b.suffix != "" && strings.Contains(w.id, b.suffix)
	if !made || may {
		return nil
	}
	if !odata.IsIntune(w.col.Path) {
		return &refusal{status: http.StatusForbidden, code: "Forbidden", text: "Built-in objects can't be changed or deleted."}
	}
	return bad("Built-in objects can't be changed or deleted.")
}

// judge applies the rules that concern other objects, and those of the type.
func (w *write) judge() error {
	for _, name := range []string{"roleScopeTagIds", "roleScopeTags"} {
		tags, _ := w.tree[name].([]any)
		for _, tag := range tags {
			id, _ := tag.(string)
			if !w.t.Has("deviceManagement/roleScopeTags", id) { // assumed
				return bad("Role scope tag '%s' does not exist.", id)
			}
		}
	}
	if w.how.check == nil {
		return nil
	}
	return w.how.check(w)
}

// empty reports whether a required value is missing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}
