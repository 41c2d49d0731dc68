// Package policy describes the policies of Microsoft Intune and Microsoft Entra: the
// types, where each is read and written, which properties the service sets, and how two
// policies are compared. One table holds these facts, so that inventory, backup,
// comparison and restore share them.
//
// The package is pure: its functions depend on their arguments only. It has no clock, no
// network and no files. The table and all documents are immutable.
//
// Facts about the service name their source: "docs" is Microsoft's Graph documentation;
// "observed" is an answer of a real tenant, own or reported by authors of other tools.
package policy

import (
	"net/url"
	"slices"
)

// Type describes one type of policy. Paths name properties as in "rules[].id", where
// "[]" stands for every element of a list.
type Type struct {
	Key      string // such as "configurationPolicies"; it is stored and never changes
	Singular string // such as "Settings catalog policy"
	Plural   string // such as "Settings catalog"

	Version string   // of the API: "v1.0" or "beta"
	Path    string   // of the collection, without the version
	Entity  string   // @odata.type of the objects; empty if the collection holds several types
	Aliases []string // other @odata.types that mean the same as Entity
	Name    string   // property that holds the name
	Order   int      // restore order, ascending; a type refers only to types with a lower order

	Whole  bool   // a list returns whole objects, so that none is read by itself
	Parts  []Part // read or written separately from the object
	Assign Assign

	Replace bool // an update is a PUT of the whole object and wipes missing properties

	Strip      []string            // paths that the service sets, in addition to [Always]
	Immutable  []string            // paths that an update can't change
	Superseded map[string]string   // deprecated property to its replacement; the service returns both
	Only       map[string][]string // path of an object to the properties that belong to the policy
	OnlyFor    map[string]string   // property to the only @odata.type that accepts it
	Defaults   map[string]any      // path to the value that means the same as no value

	Sets     []Set       // lists without a meaningful order
	Settings bool        // has settings of the settings catalog
	Refs     []Ref       // ids of other objects
	Switches []string    // paths of values that turn the policy on or off
	Required []Required  // properties that a create needs
	BuiltIn  BuiltIn     // how to recognise objects that the service made
	Backup   string      // why the type is backed up but not restored; empty if it is restored
	Subtypes []Subtype   // all @odata.types of the collection, if some can't be restored
	Deleted  DeletedItem // where the service keeps deleted objects
}

// Part is a property that is read or written separately from its object.
type Part struct {
	Key    string // name of the property, and of its path below the object
	Read   Read
	Expand string // value of $expand in the query that reads it
	Each   *Part  // read separately for each element

	Create, Update Write
	Action         string   // action below the object, for [ByAction] and [ByDelta]
	Param          string   // property of the action's body
	With           []string // other properties of the object that the action needs
}

// Read is how a part is read.
type Read int

// How parts are read.
const (
	WithObject Read = iota // the object contains it
	ByPath                 // GET {object}/{part}, in pages: follow @odata.nextLink
	ByExpand               // GET {object}?$expand={expand}
)

// Write is how a part is written.
type Write int

// How parts are written.
const (
	InBody   Write = iota // in the body of the object
	ByAction              // POST {object}/{action} replaces the whole part
	ByDelta               // POST {object}/{action} with the added, updated and removed elements
	OneByOne              // POST {object}/{part} for each new element, PATCH for each changed one
)

// Assign describes how a type is assigned. A type with the zero Assign can't be assigned.
type Assign struct {
	Action     string   // POST {object}/{action}
	Param      string   // property of its body, which replaces all; empty: each call adds one assignment
	Keep       []string // properties of an assignment that count besides its target
	GroupsOnly bool     // no assignment to all devices or all users
	Expand     bool     // assignments can be read with $expand only
}

// Can reports whether the type can be assigned.
func (a Assign) Can() bool { return a.Action != "" }

// Set is a list without a meaningful order. Key names the values that identify an
// element, as paths joined by "+". Without a key, the whole element identifies itself.
type Set struct{ Path, Key string }

// Ref is a path that holds ids of other objects.
type Ref struct {
	Path     string // ends in "[]" for a list of ids
	Kind     Kind
	Excluded bool     // the policy excludes these objects
	Words    []string // values that are not ids, such as "All"
}

// Required is a property that the service requires in a create.
type Required struct {
	For  string // @odata.type; empty: all types
	Path string
	Why  string // what is wrong without it
}

// BuiltIn recognises objects that the service made. They can't be created or deleted.
type BuiltIn struct {
	Property string // is true or "builtIn" in such an object
	ID       string // of the only such object
	Suffix   string // part of their ids
	Update   bool   // they can be updated
}

// Subtype is one @odata.type of a collection. Why says why it can't be restored; it is
// empty if it can.
type Subtype struct{ Entity, Why string }

// DeletedItem is the collection that keeps deleted objects. docs: for 30 days.
type DeletedItem struct{ Version, Path string }

// Always are the top-level properties that the service sets in objects of all types.
var Always = []string{
	"id", "createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "deletedDateTime",
	"version", "isAssigned", "supportsScopeTags",
}

// Types returns all types in restore order.
func Types() []*Type { return slices.Clone(types) }

// Lookup returns the type with that key, or nil.
func Lookup(key string) *Type { return byKey[key] }

var types, byKey = func() ([]*Type, map[string]*Type) {
	sorted := slices.Clone(table)
	slices.SortStableFunc(sorted, func(a, b *Type) int { return a.Order - b.Order })
	keys := make(map[string]*Type, len(sorted))
	for _, t := range sorted {
		keys[t.Key] = t
	}
	return sorted, keys
}()

// ListPath is the path of the collection, including the version. GET lists the objects
// and POST creates one.
func (t *Type) ListPath() string { return "/" + t.Version + "/" + t.Path }

// ItemPath is the path of one object. The id is escaped.
func (t *Type) ItemPath(id string) string { return t.ListPath() + "/" + url.PathEscape(id) }

// UndeletePath is the path that a POST restores a deleted object with; empty if the
// service keeps no deleted objects of this type.
func (t *Type) UndeletePath(id string) string {
	if t.Deleted.Path == "" {
		return ""
	}
	return "/" + t.Deleted.Version + "/" + t.Deleted.Path + "/" + url.PathEscape(id) + "/restore"
}

// PartPath is the path, with query, that a part of an object is read from. For a part
// that is read [WithObject] it is the path of the object.
func (t *Type) PartPath(id string, p Part) string {
	path := t.ItemPath(id)
	if p.Read == ByPath {
		path += "/" + p.Key
	}
	if p.Expand != "" {
		path += "?$expand=" + p.Expand
	}
	return path
}

// EachPath is the path, with query, that p.Each of one element of the part p is read
// from.
func (t *Type) EachPath(id string, p Part, element string) string {
	path := t.ItemPath(id) + "/" + p.Key + "/" + url.PathEscape(element) + "/" + p.Each.Key
	if p.Each.Expand != "" {
		path += "?$expand=" + p.Each.Expand
	}
	return path
}

// AssignmentsPath is the path, with query, that the assignments of an object are read
// from; empty for a type that can't be assigned.
func (t *Type) AssignmentsPath(id string) string {
	switch {
	case !t.Assign.Can():
		return ""
	case t.Assign.Expand:
		return t.ItemPath(id) + "?$expand=assignments"
	}
	return t.ItemPath(id) + "/assignments"
}

// Part returns the part with that key, or nil.
func (t *Type) Part(key string) *Part {
	i := slices.IndexFunc(t.Parts, func(p Part) bool { return p.Key == key })
	if i < 0 {
		return nil
	}
	return &t.Parts[i]
}

// set returns the key of the set at a path, and whether the list there is a set.
func (t *Type) set(path string) (key string, ok bool) {
	for _, s := range t.sets() {
		if s.Path == path {
			return s.Key, true
		}
	}
	return "", false
}

func (t *Type) sets() []Set { return append(commonSets, t.Sets...) }

var commonSets = []Set{{Path: "roleScopeTagIds"}, {Path: "roleScopeTags"}}
