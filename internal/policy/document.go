package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Item is one policy as it was read from the service or from a file.
type Item struct {
	Type string          // key of its type
	ID   string          // as its source calls it; empty: the one in the body
	Body json.RawMessage // the object

	// Parts are what was read apart from the object, by the key of the part: all
	// pages as one list. A part that is not here is taken from the body.
	Parts map[string]json.RawMessage

	// Assignments is the list of all of them. Nil: they are taken from the body, or
	// unknown, which is not the same as none.
	Assignments json.RawMessage
}

// ItemError says which item can't be used, and why.
type ItemError struct {
	Type, ID, Name string // what is known of it
	Err            error
}

// Error names the item, by its name where that could be read.
func (e *ItemError) Error() string {
	name := e.Name
	if name == "" {
		name = e.ID
	}
	return fmt.Sprintf("%s %.200q: %v", e.Type, name, e.Err)
}

// Unwrap returns why.
func (e *ItemError) Unwrap() error { return e.Err }

// Document is a policy without what the service adds, in the one form that is
// hashed and compared. It never changes.
type Document struct {
	t    *Type
	id   string
	raw  map[string]any // as read, with its parts in it
	tree map[string]any // normalised; assignments under their own name
	text []byte
}

// Normalise reads item. Properties and annotations that the service sets are left
// out, lists whose order means nothing are sorted, parts and assignments stand in
// the object under their names. Everything else stays as it was sent, to the digit.
//
// Errors are an [*ItemError]. One of [ErrTooLarge], [ErrTooDeep] and [ErrInvalid] is
// in it when the item, or one part of it, can't be read as JSON.
func Normalise(item Item) (Document, error) {
	d := Document{t: Lookup(item.Type), id: item.ID}
	fail := func(err error) (Document, error) {
		return Document{}, &ItemError{Type: item.Type, ID: d.ID(), Name: d.Name(), Err: err}
	}
	if d.t == nil {
		return fail(fmt.Errorf("there is no policy type %.100q", item.Type))
	}
	size := len(item.Body) + len(item.Assignments)
	for _, part := range item.Parts {
		size += len(part)
	}
	if size > MaxBytes {
		return fail(ErrTooLarge)
	}
	body, err := parse(item.Body)
	if err != nil {
		return fail(err)
	}
	object, ok := body.(map[string]any)
	if !ok {
		return fail(fmt.Errorf("%w: it is not an object", ErrInvalid))
	}
	d.raw = object
	if d.id == "" {
		d.id = text(object, "id")
	}
	for _, key := range slices.Sorted(maps.Keys(item.Parts)) {
		if d.t.Part(key) == nil {
			return fail(fmt.Errorf("the type has no part %.100q", key))
		}
		if object[key], err = parse(item.Parts[key]); err != nil {
			return fail(fmt.Errorf("%s: %w", key, err))
		}
	}
	if item.Assignments != nil {
		if object["assignments"], err = parse(item.Assignments); err != nil {
			return fail(fmt.Errorf("assignments: %w", err))
		}
	}
	tree, _ := clone(object).(map[string]any)
	if err := d.t.normalise(tree); err != nil {
		return fail(err)
	}
	d.tree, d.text = tree, encode(tree)
	return d, nil
}

// Empty is an object of the type without any properties, as a target that does not
// exist.
func Empty(t *Type) Document {
	return Document{t: t, raw: map[string]any{}, tree: map[string]any{}, text: []byte("{}")}
}

// normalise changes tree into its normal form.
func (t *Type) normalise(tree map[string]any) error {
	assignments, assigned := tree["assignments"]
	delete(tree, "assignments")
	annotations(tree)
	for _, name := range Always {
		delete(tree, name)
	}
	for _, path := range t.Strip {
		remove(tree, path)
	}
	for old, replacement := range t.Superseded {
		if _, ok := tree[replacement]; ok {
			delete(tree, old)
		}
	}
	for path, keep := range t.Only {
		at(tree, path, func(parent map[string]any, name string) {
			if object, ok := parent[name].(map[string]any); ok {
				maps.DeleteFunc(object, func(k string, _ any) bool { return !slices.Contains(keep, k) })
			}
		})
	}
	for path, value := range t.Defaults {
		if get(tree, path) == value {
			remove(tree, path)
		}
	}
	entity := text(tree, "@odata.type")
	for name, only := range t.OnlyFor {
		if entity != only {
			delete(tree, name)
		}
	}
	if entity == t.Entity {
		delete(tree, "@odata.type") // the collection says it, and not every answer does
	}
	if t.Settings {
		catalogue(tree)
	}
	for _, set := range t.sets() {
		at(tree, set.Path, func(parent map[string]any, name string) {
			if list, ok := parent[name].([]any); ok {
				sortBy(list, set.Key)
			}
		})
	}
	if !assigned || !t.Assign.Can() {
		return nil
	}
	list, err := t.assignments(assignments)
	if err != nil {
		return err
	}
	tree["assignments"] = list
	return nil
}

// annotations takes away what OData adds to objects at any depth: control
// information, links, actions and tips. The type of an object stays, and so does a
// binding to another one, which is data.
func annotations(v any) {
	objects(v, func(object map[string]any) {
		for name, value := range object {
			switch {
			case name == "@odata.type":
				if s, ok := value.(string); ok && strings.HasPrefix(s, "microsoft.graph.") {
					object[name] = "#" + s // docs: both forms are the same
				}
			case strings.HasSuffix(name, "@odata.bind"):
			case strings.Contains(name, "@odata."), strings.HasPrefix(name, "#"), strings.HasPrefix(name, "@microsoft.graph."):
				delete(object, name)
			}
		}
	})
}

// catalogue puts settings of the settings catalog in order. A definition stands once
// in a list of settings, and once among the children of a setting.
func catalogue(tree map[string]any) {
	if list, ok := tree["settings"].([]any); ok {
		for _, e := range list {
			if setting, ok := e.(map[string]any); ok {
				delete(setting, "id") // its number in the list
				delete(setting, "settingDefinitions")
			}
		}
		sortBy(list, "settingInstance.settingDefinitionId")
	}
	objects(tree, func(object map[string]any) {
		if list, ok := object["children"].([]any); ok {
			sortBy(list, "settingDefinitionId")
		}
	})
}

// Type is what kind of policy it is.
func (d Document) Type() *Type { return d.t }

// ID is its id where it was read. A policy of a file may have none.
func (d Document) ID() string { return d.id }

// Name is what people call it; empty when it has none.
func (d Document) Name() string {
	if d.t == nil {
		return ""
	}
	return text(d.raw, d.t.Name)
}

// Entity is the @odata.type of the object; empty when neither it nor its type says.
func (d Document) Entity() string {
	if s := text(d.tree, "@odata.type"); s != "" {
		return s
	}
	return d.t.Entity
}

// Modified is when it was last changed, as the service wrote it; empty if it does not
// say. Compare two of one service as times.
func (d Document) Modified() string {
	if s := text(d.raw, "lastModifiedDateTime"); s != "" {
		return s
	}
	return text(d.raw, "modifiedDateTime")
}

// Canonical is the normal form as JSON: names in the order of their bytes, no white
// space. It must not be changed.
func (d Document) Canonical() []byte { return d.text }

// Hash is the SHA-256 of the type and of the canonical form, in hexadecimal.
func (d Document) Hash() string {
	sum := sha256.Sum256(append([]byte(d.t.Key+"\n"), d.text...))
	return hex.EncodeToString(sum[:])
}

// Assigned reports whether its assignments are known, even if there are none.
func (d Document) Assigned() bool {
	_, ok := d.tree["assignments"]
	return ok
}

// Has reports whether it has the property.
func (d Document) Has(name string) bool {
	_, ok := d.tree[name]
	return ok
}

// Text is the string at path, such as "state"; empty when there is none.
func (d Document) Text(path string) string { return text(d.tree, path) }

// Equal reports whether two policies of one type say the same. Assignments count when
// both know theirs.
func (d Document) Equal(other Document) bool {
	if d.t != other.t {
		return false
	}
	if d.Assigned() != other.Assigned() {
		d, other = d.Without("assignments"), other.Without("assignments")
	}
	return string(d.text) == string(other.text)
}

// Without returns the document without a property.
func (d Document) Without(name string) Document {
	d.tree = maps.Clone(d.tree)
	delete(d.tree, name)
	d.text = encode(d.tree)
	return d
}

// With returns the document with a property of that text.
func (d Document) With(name, value string) Document {
	d.tree = maps.Clone(d.tree)
	d.tree[name] = value
	d.text = encode(d.tree)
	return d
}

// Over returns the policy as an update of now leaves it: a PATCH keeps the properties
// that it does not name, at the top level.
func (d Document) Over(now Document) Document {
	if d.t.Replace {
		return d
	}
	tree := maps.Clone(d.tree)
	for name, value := range now.tree {
		if _, known := tree[name]; !known && name != "assignments" {
			tree[name] = value
		}
	}
	d.tree, d.text = tree, encode(tree)
	return d
}

// Wiped names the properties of now that an update of it would take away unseen: the
// update replaces the object, and the policy does not know them.
func (d Document) Wiped(now Document) (all []string) {
	if !d.t.Replace {
		return nil
	}
	for _, name := range names(now.tree) {
		if _, known := d.tree[name]; !known && now.tree[name] != nil && name != "assignments" && (d.t.Part(name) == nil || d.t.Part(name).Update == InBody) {
			all = append(all, name)
		}
	}
	return all
}

// Fixed names the properties that differ from those of now and that no update can
// change.
func (d Document) Fixed(now Document) (all []string) {
	for _, path := range d.t.Immutable {
		if compare(get(d.tree, path), get(now.tree, path)) != 0 {
			all = append(all, path)
		}
	}
	return all
}

// Everybody reports whether the policy applies to all users or all devices.
func (d Document) Everybody() bool {
	for _, a := range d.Assignments() {
		if a.Everybody() {
			return true
		}
	}
	everybody := false
	stringsAt(d.tree, "", "conditions.users.includeUsers[]", func(_, value string, _ func(string)) { everybody = everybody || value == "All" })
	return everybody
}
