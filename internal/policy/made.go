package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Repeatable reports whether a call of the type has the same effect if it is made twice: it
// sets properties, or replaces a whole list. Any other call adds something each time.
func (t *Type) Repeatable(c Call) bool {
	switch c.Method {
	case "PUT", "PATCH":
		return true
	}
	_, action := t.below(c.Path)
	if action == t.Assign.Action && t.Assign.Param != "" {
		return true
	}
	return action != "" && slices.ContainsFunc(t.Parts, func(p Part) bool { return p.Action == action && p.Param != "" })
}

// Creates reports whether a call creates an object of the type.
func (t *Type) Creates(c Call) bool { return c.Method == "POST" && c.Path == t.ListPath() }

// Owns reports whether a path is the collection of the type, an object in it, or something
// below an object.
func (t *Type) Owns(path string) bool {
	rest, ok := strings.CutPrefix(path, t.ListPath())
	return ok && (rest == "" || rest[0] == '/') && !strings.ContainsAny(rest, "?#") && !strings.Contains(rest, "..")
}

// Writes names the part of a policy that a call writes, such as "settings", and reports
// whether it is the assignments.
func (t *Type) Writes(c Call) (part string, assignments bool) {
	_, action := t.below(c.Path)
	if action == "" {
		return "properties", false
	}
	if action == t.Assign.Action && t.Assign.Can() {
		return "assignments", true
	}
	action, _, _ = strings.Cut(action, "/")
	for _, p := range t.Parts {
		if p.Action == action || p.Key == action {
			return p.Key, false
		}
	}
	return action, false
}

// below splits the path of a call into the object and what is below it.
func (t *Type) below(path string) (object, rest string) {
	object, rest, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, t.ListPath()), "/"), "/")
	return object, rest
}

// Lacks compares an object that was read after a call with what the call sent. It lists
// the paths that differ; none if the call was made. The object may have more properties
// than were sent, because the service fills in defaults, but not more elements in a list.
// Secrets are not compared, because the service does not return them. It returns an error
// for a call that the type does not have.
func (d Document) Lacks(c Call) ([]string, error) {
	if c.Body == nil { // it brings a deleted object back, and the object is here
		return nil, nil
	}
	v, err := parse(c.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.Method, c.Path, err)
	}
	body, ok := v.(map[string]any)
	_, action := d.t.below(c.Path)
	if !ok || !d.t.Owns(c.Path) {
		return nil, fmt.Errorf("%s %s is no call of %s", c.Method, c.Path, d.t.Key)
	}
	if action == "" {
		return d.differs(body)
	}
	if action == d.t.Assign.Action && d.t.Assign.Can() {
		return d.unassigned(body)
	}
	for _, p := range d.t.Parts {
		name, _, _ := strings.Cut(action, "/")
		switch {
		case p.Action != "" && p.Action == action && p.Param != "":
			want := map[string]any{p.Key: body[p.Param]}
			for _, name := range p.With {
				if v, ok := body[name]; ok {
					want[name] = v
				}
			}
			return d.differs(want)
		case p.Action != "" && p.Action == action:
			return d.undefined(p, body)
		case p.Key == name && (p.Create == OneByOne || p.Update == OneByOne):
			return d.without(p, []any{body})
		}
	}
	return nil, fmt.Errorf("%s %s is no call of %s", c.Method, c.Path, d.t.Key)
}

// differs lists the properties of an object as sent that d does not have.
func (d Document) differs(sent map[string]any) ([]string, error) {
	if err := d.t.normalise(sent); err != nil {
		return nil, err
	}
	delete(sent, "assignments")
	return lacks(nil, sent, d.tree), nil
}

// unassigned lists the assignments as sent that d does not have.
func (d Document) unassigned(body map[string]any) ([]string, error) {
	var list any = []any{body}
	if d.t.Assign.Param != "" {
		list = body[d.t.Assign.Param]
	}
	want, err := d.t.assignments(list)
	if err != nil {
		return nil, err
	}
	have, _ := d.tree["assignments"].([]any)
	if d.t.Assign.Param != "" {
		return lacks(&place{nil, "assignments", property}, want, have), nil
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h any) bool { return len(lacks(nil, w, h)) == 0 }) {
			return []string{"assignments"}, nil
		}
	}
	return nil, nil
}

// without lists the elements of a part as sent that d does not have.
func (d Document) without(p Part, sent []any) (missing []string, err error) {
	want := map[string]any{p.Key: sent}
	if err := d.t.normalise(want); err != nil {
		return nil, err
	}
	have, _ := d.tree[p.Key].([]any)
	for _, w := range sent {
		if !slices.ContainsFunc(have, func(h any) bool { return len(lacks(nil, w, h)) == 0 }) {
			key, _ := d.t.set(p.Key)
			missing = append(missing, p.Key+"["+keyOf(w, key)+"]")
		}
	}
	return missing, nil
}

// undefined lists the values of an administrative template as sent that d does not have,
// and those that the call removed and d still has.
func (d Document) undefined(p Part, body map[string]any) ([]string, error) {
	var sent []any
	for _, name := range []string{"added", "updated"} {
		list, _ := body[name].([]any)
		for _, v := range list {
			value, _ := v.(map[string]any)
			bound(value, "definition")
			presentations, _ := value["presentationValues"].([]any)
			for _, v := range presentations {
				presentation, _ := v.(map[string]any)
				bound(presentation, "presentation")
			}
			sent = append(sent, v)
		}
	}
	missing, err := d.without(p, sent)
	removed, _ := body["deletedIds"].([]any)
	for key, e := range d.elements(p.Key) {
		if slices.Contains(removed, any(e.id)) {
			missing = append(missing, p.Key+"["+key+"]")
		}
	}
	return missing, err
}

// bound replaces the address that a property is bound to by an object with its id.
func bound(object map[string]any, name string) {
	address, ok := object[name+"@odata.bind"].(string)
	if !ok {
		return
	}
	delete(object, name+"@odata.bind")
	if i := strings.LastIndex(address, "('"); i >= 0 {
		object[name] = map[string]any{"id": strings.TrimSuffix(address[i+2:], "')")}
	}
}

// lacks lists the places at which have does not contain want.
func lacks(at *place, want, have any) (all []string) {
	switch want := want.(type) {
	case nil:
		if !empty(have) {
			return []string{at.String()}
		}
		return nil
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			return []string{at.String()}
		}
		for _, name := range names(want) {
			if !concealing(object, name) {
				all = append(all, lacks(&place{at, name, property}, want[name], object[name])...)
			}
		}
		return all
	case []any:
		list, _ := have.([]any)
		if len(list) != len(want) {
			return []string{at.String()}
		}
		taken := make([]bool, len(list))
		for i, w := range want { // defaults of the service can change the order of a set
			j := i
			for taken[j] || len(lacks(nil, w, list[j])) > 0 {
				if j = (j + 1) % len(list); j == i {
					j = -1
					break
				}
			}
			if j < 0 {
				all = append(all, (&place{at, strconv.Itoa(i), number}).String())
				continue
			}
			taken[j] = true
		}
		return all
	}
	if compare(want, have) != 0 {
		return []string{at.String()}
	}
	return nil
}

// empty reports whether a value is what a service returns for null.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// concealing reports whether an object that was read does not show the property as it was
// sent, because it is a secret. docs: the service returns a token, asterisks or nothing.
func concealing(have map[string]any, name string) bool {
	switch {
	case text(have, "@odata.type") == secretValue:
		return name == "value" || name == "valueState"
	case hidden(have):
		return name == "value" || name == "isEncrypted" || name == "secretReferenceValueId"
	}
	return slices.Contains([]string{"preSharedKey", "sharedSecret"}, name) && (have[name] == nil || stars(have[name]))
}

// Hidden lists the paths of a body that hold no secret but its mask: sent, it would become
// the secret. It returns an error if the body is no JSON.
func (t *Type) Hidden(body json.RawMessage) (all []string, err error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	tree, _ := v.(map[string]any)
	t.secrets(tree, func(s Secret, _ map[string]any, _ string) {
		if s.Masked {
			all = append(all, s.Path)
		}
	})
	walk(v, nil, func(at *place, v any) {
		if stars(v) {
			all = append(all, at.String())
		}
	})
	return all, nil
}
