package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Item is one policy as read from the service or from a file.
type Item struct {
	Type string          // key of the type
	ID   string          // at its source; empty: the id in the body
	Body json.RawMessage // the object

	// Parts are the parts that were read separately, by their keys, each with all of its
	// pages in one list. Other parts are taken from the body.
	Parts map[string]json.RawMessage

	// Assignments is the list of all assignments. If nil, they are taken from the body; if
	// the body has none either, they are unknown, which differs from an empty list. The
	// JSON value null is unknown too.
	Assignments json.RawMessage

	// Names are the display names of settings and choices in the policy, by their ids, as
	// far as the tenant gave them. They are no part of the policy.
	Names map[string]string
}

// maxID limits ids, in bytes. docs: most are GUIDs; the longest have two and a suffix.
const maxID = 200

// ValidID reports whether an object can be found by an id: it is not empty, has at most
// 200 bytes, and no control characters.
func ValidID(id string) bool {
	return id != "" && len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// ItemError names an item that can't be used.
type ItemError struct {
	Type, ID, Name string // as far as known
	Err            error
}

// Error names the item, by its name if that could be read, and says what is wrong.
func (e *ItemError) Error() string {
	name := e.Name
	if name == "" {
		name = e.ID
	}
	return fmt.Sprintf("%s %.200q: %v", e.Type, name, e.Err)
}

// Unwrap returns what is wrong.
func (e *ItemError) Unwrap() error { return e.Err }

// Document is a policy in its normal form, which is hashed and compared. It is
// immutable.
type Document struct {
	t     *Type
	id    string
	raw   map[string]any // as read, including parts
	tree  map[string]any // normal form, including parts and assignments
	names map[string]string
	text  []byte
}

// Normalise returns the normal form of item: without the properties and annotations that
// the service sets, with sets sorted, and with parts and assignments as properties of the
// object. Everything else is kept as it was sent; numbers keep their digits.
//
// Every error is an [*ItemError]. It wraps [ErrTooLarge], [ErrTooDeep] or [ErrInvalid]
// when the item or one of its parts can't be read as JSON within the limits.
func Normalise(item Item) (Document, error) {
	d := Document{t: Lookup(item.Type), id: item.ID, names: item.Names}
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

// Empty is an object without properties. It stands for a target that does not exist.
func Empty(t *Type) Document {
	return Document{t: t, raw: map[string]any{}, tree: map[string]any{}, text: []byte("{}")}
}

// Unread is an object of which only the id and the name are known.
func Unread(t *Type, id, name string) Document {
	d := Empty(t)
	d.id, d.raw = id, map[string]any{t.Name: name}
	return d
}

// normalise turns tree into its normal form, in place.
func (t *Type) normalise(tree map[string]any) error {
	assignments := tree["assignments"]
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
	if entity == t.Entity || slices.Contains(t.Aliases, entity) {
		delete(tree, "@odata.type") // the collection implies it, and only some answers contain it
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
	if assignments == nil || !t.Assign.Can() {
		return nil // unknown
	}
	list, err := t.assignments(assignments)
	if err != nil {
		return err
	}
	tree["assignments"] = list
	return nil
}

// annotations removes what OData adds to objects, at any depth: control information,
// links, actions and tips. @odata.type and @odata.bind stay, because they are data.
func annotations(v any) {
	objects(v, func(object map[string]any) {
		for name, value := range object {
			switch {
			case name == "@odata.type":
				if s, ok := value.(string); ok && strings.HasPrefix(s, "microsoft.graph.") {
					object[name] = "#" + s // docs: both forms mean the same
				}
			case strings.HasSuffix(name, "@odata.bind"):
			case strings.Contains(name, "@odata."), strings.HasPrefix(name, "#"), strings.HasPrefix(name, "@microsoft.graph."):
				delete(object, name)
			}
		}
	})
}

// catalogue sorts settings of the settings catalog by their definitions. A definition
// occurs once in a list of settings and once among the children of a setting.
func catalogue(tree map[string]any) {
	if list, ok := tree["settings"].([]any); ok {
		for _, e := range list {
			if setting, ok := e.(map[string]any); ok {
				delete(setting, "id") // the position in the list
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

// Type is the type of the policy.
func (d Document) Type() *Type { return d.t }

// ID is the id at the source. A policy from a file may have none.
func (d Document) ID() string { return d.id }

// Name is the name of the policy; empty if it has none.
func (d Document) Name() string {
	if d.t == nil {
		return ""
	}
	return text(d.raw, d.t.Name)
}

// Entity is the @odata.type of the object; empty if neither the object nor its type
// names one.
func (d Document) Entity() string {
	if s := text(d.tree, "@odata.type"); s != "" {
		return s
	}
	return d.t.Entity
}

// Modified is the time of the last change, as the service wrote it; empty if unknown.
func (d Document) Modified() string {
	if s := text(d.raw, "lastModifiedDateTime"); s != "" {
		return s
	}
	return text(d.raw, "modifiedDateTime")
}

// Canonical is the normal form as JSON, with names in byte order and without white
// space. The caller must not change it.
func (d Document) Canonical() []byte { return d.text }

// Hash is the SHA-256 of the type's key and the canonical form, in hex.
func (d Document) Hash() string {
	sum := sha256.Sum256(append([]byte(d.t.Key+"\n"), d.text...))
	return hex.EncodeToString(sum[:])
}

// Assigned reports whether the assignments are known. The list can be empty.
func (d Document) Assigned() bool {
	_, ok := d.tree["assignments"]
	return ok
}

// Has reports whether the policy has the top-level property.
func (d Document) Has(name string) bool {
	_, ok := d.tree[name]
	return ok
}

// Text is the string at path, such as "state"; empty if there is none.
func (d Document) Text(path string) string { return text(d.tree, path) }

// Equal reports whether two policies have the same type and normal form. Assignments are
// compared only if both are known.
func (d Document) Equal(other Document) bool {
	if d.t != other.t {
		return false
	}
	if d.Assigned() != other.Assigned() {
		d, other = d.Without("assignments"), other.Without("assignments")
	}
	return string(d.text) == string(other.text)
}

// Without returns a copy without the top-level property.
func (d Document) Without(name string) Document {
	d.tree = maps.Clone(d.tree)
	delete(d.tree, name)
	d.text = encode(d.tree)
	return d
}

// With returns a copy with the top-level property set to value.
func (d Document) With(name, value string) Document {
	d.tree = maps.Clone(d.tree)
	d.tree[name] = value
	d.text = encode(d.tree)
	return d
}

// Over returns what now becomes when it is updated to d. A PATCH keeps top-level
// properties that d does not have.
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

// Wiped lists the top-level properties of now that an update to d would silently remove,
// because the update replaces the object and d does not have them.
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

// Fixed lists the immutable properties in which d and now differ.
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
