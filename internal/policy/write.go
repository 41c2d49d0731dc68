package policy

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Call is one writing request.
type Call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"` // with the version; may contain [NewID]
	Body   json.RawMessage `json:"body"`
}

// NewID stands in a path for the id that the create before it returns.
const NewID = "{id}"

// Create returns the calls that create the policy, in order: the object, its parts, and
// its assignments if it has any. root is the address of the service, such as
// "https://graph.microsoft.com"; some bodies contain addresses.
func (d Document) Create(root string) []Call {
	t := d.t
	calls := []Call{t.call("POST", t.ListPath(), d.body(func(p Part) Write { return p.Create }))}
	for _, p := range t.Parts {
		if d.Has(p.Key) && d.tree[p.Key] != nil {
			calls = append(calls, d.writePart(p, p.Create, root, NewID, Empty(t))...)
		}
	}
	if d.Assigned() && len(d.Assignments()) > 0 {
		calls = append(calls, d.assign(NewID, Empty(t))...)
	}
	return calls
}

// Update returns the calls that change the object with that id from now to d, in order.
// It calls only what differs, and nothing if only differences remain that would need a
// DELETE; [Document.Kept] lists those. root is as in [Document.Create].
func (d Document) Update(root, id string, now Document) []Call {
	t := d.t
	var calls []Call
	how := func(p Part) Write { return p.Update }
	if compare(d.Over(now).body(how), now.body(how)) != 0 {
		want := d.body(how)
		if t.Replace {
			if want["roleScopeTagIds"] == nil {
				want["roleScopeTagIds"] = []any{} // observed: must not be null in a PUT
			}
			calls = append(calls, t.call("PUT", t.ItemPath(id), want))
		} else {
			for _, path := range t.Immutable {
				remove(want, path)
			}
			calls = append(calls, t.call("PATCH", t.ItemPath(id), want))
		}
	}
	for _, p := range t.Parts {
		if d.Has(p.Key) && p.Update != InBody && compare(d.tree[p.Key], now.tree[p.Key]) != 0 {
			calls = append(calls, d.writePart(p, p.Update, root, id, now)...)
		}
	}
	if d.Assigned() && compare(d.tree["assignments"], now.tree["assignments"]) != 0 {
		calls = append(calls, d.assign(id, now)...)
	}
	return calls
}

// body is the object as sent, without the parts that are written separately.
func (d Document) body(how func(Part) Write) map[string]any {
	body, _ := clone(d.tree).(map[string]any)
	delete(body, "assignments")
	for _, p := range d.t.Parts {
		if how(p) != InBody {
			delete(body, p.Key)
		}
	}
	return body
}

// call adds the @odata.type that the normal form leaves out. An object of another type
// than its collection's keeps it.
func (t *Type) call(method, path string, body map[string]any) Call {
	if t.Entity != "" && body["@odata.type"] == nil {
		body["@odata.type"] = t.Entity
	}
	return Call{method, path, encode(body)}
}

func (d Document) writePart(p Part, how Write, root, id string, now Document) []Call {
	at := d.t.ListPath() + "/" + id
	if id != NewID {
		at = d.t.ItemPath(id)
	}
	switch how {
	case ByAction:
		body := map[string]any{p.Param: d.tree[p.Key]}
		for _, name := range p.With {
			if v, ok := d.tree[name]; ok {
				body[name] = v
			}
		}
		return []Call{{"POST", at + "/" + p.Action, encode(body)}}
	case ByDelta:
		return []Call{{"POST", at + "/" + p.Action, encode(d.definitions(root, now))}}
	case OneByOne:
		var calls []Call
		have := now.elements(p.Key)
		for _, key := range names(d.elements(p.Key)) {
			element := d.elements(p.Key)[key]
			was, there := have[key]
			switch {
			case !there:
				calls = append(calls, Call{"POST", at + "/" + p.Key, encode(element.value)})
			case compare(element.value, was.value) != 0:
				calls = append(calls, Call{"PATCH", at + "/" + p.Key + "/" + url.PathEscape(was.id), encode(element.value)})
			}
		}
		return calls
	case InBody:
	}
	return nil
}

// element is one element of a part: its normal form and its id at the source.
type element struct {
	value any
	id    string
}

// elements are the elements of a part, by their keys.
func (d Document) elements(part string) map[string]element {
	key, _ := d.t.set(part)
	ids := make(map[string]string)
	raw, _ := d.raw[part].([]any)
	for _, v := range raw {
		v = clone(v)
		annotations(v) // as in the normal form
		ids[keyOf(v, key)] = text(v, "id")
	}
	all := make(map[string]element)
	list, _ := d.tree[part].([]any)
	for _, v := range list {
		k := keyOf(v, key)
		all[k] = element{v, ids[k]}
	}
	return all
}

// Kept lists the elements and assignments of now that d does not have and that an update
// keeps, because only a DELETE could remove them.
func (d Document) Kept(now Document) (all []string) {
	for _, p := range d.t.Parts {
		if p.Update != OneByOne || !d.Has(p.Key) {
			continue
		}
		want := d.elements(p.Key)
		for _, key := range names(now.elements(p.Key)) {
			if _, ok := want[key]; !ok {
				all = append(all, p.Key+"["+key+"]")
			}
		}
	}
	if d.t.Assign.Can() && d.t.Assign.Param == "" && d.Assigned() {
		want := d.Assignments()
		for _, a := range now.Assignments() {
			if !slices.Contains(want, a) {
				all = append(all, "assignments["+strings.TrimPrefix(a.Target+" "+a.Group, "#microsoft.graph.")+"]")
			}
		}
	}
	return all
}

// assign replaces all assignments in one call, or adds missing ones if the type has no
// such call.
func (d Document) assign(id string, now Document) []Call {
	at := d.t.ListPath() + "/" + id
	if id != NewID {
		at = d.t.ItemPath(id)
	}
	a := d.t.Assign
	if a.Param != "" {
		return []Call{{"POST", at + "/" + a.Action, encode(map[string]any{a.Param: d.tree["assignments"]})}}
	}
	var calls []Call
	have, _ := now.tree["assignments"].([]any)
	list, _ := d.tree["assignments"].([]any)
	for _, v := range list {
		if !slices.ContainsFunc(have, func(h any) bool { return compare(h, v) == 0 }) {
			calls = append(calls, Call{"POST", at + "/" + a.Action, encode(v)})
		}
	}
	return calls
}

// definitions is the body of updateDefinitionValues. docs: definitions and presentations
// are bound by their addresses, existing values are named by id.
func (d Document) definitions(root string, now Document) map[string]any {
	const part = "definitionValues"
	added, updated, removed := []any{}, []any{}, []any{}
	have, want := now.elements(part), d.elements(part)
	for _, key := range names(want) {
		was, there := have[key]
		if there && compare(was.value, want[key].value) == 0 {
			continue
		}
		value, ok := clone(want[key].value).(map[string]any)
		if !ok {
			continue // Missing lists it
		}
		definition := root + "/beta/deviceManagement/groupPolicyDefinitions(" + quoted(text(value, "definition.id")) + ")"
		delete(value, "definition")
		value["definition@odata.bind"] = definition
		if presentations, ok := value["presentationValues"].([]any); ok {
			for _, p := range presentations {
				if p, ok := p.(map[string]any); ok {
					p["presentation@odata.bind"] = definition + "/presentations(" + quoted(text(p, "presentation.id")) + ")"
					delete(p, "presentation")
				}
			}
		}
		if there {
			value["id"] = was.id
			updated = append(updated, value)
		} else {
			added = append(added, value)
		}
	}
	for _, key := range names(have) {
		if _, ok := want[key]; !ok {
			removed = append(removed, have[key].id)
		}
	}
	return map[string]any{"added": added, "updated": updated, "deletedIds": removed}
}

// quoted is a string literal of OData in an address.
func quoted(s string) string {
	return "'" + url.PathEscape(strings.ReplaceAll(s, "'", "''")) + "'"
}
