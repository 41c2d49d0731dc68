// Package policy knows the policies of Microsoft Intune and Microsoft Entra: which
// types there are, where each is read and written, what the service adds to an
// object, and how two objects are compared. It is pure: values in, values out, no
// clock, no network, no files. What it knows is data in one table, so that backup,
// restore, inventory and comparison share it.
//
// Sources, named beside the facts: docs is Microsoft's documentation of Graph,
// observed is what a tenant answered or what authors of other tools report from
// one.
package policy

import (
	"net/url"
	"slices"
)

// Type is one kind of policy: where it is, how it is written, and what in its
// objects is the service's own. Paths of properties are as in "rules[].id".
type Type struct {
	Key      string // such as "configurationPolicies"; never changes, it is stored
	Singular string // such as "Settings catalog policy"
	Plural   string // such as "Settings catalog"

	Version string // of the API: "v1.0" or "beta"
	Path    string // of the collection, below the version
	Entity  string // the @odata.type of its objects; empty when the collection holds several
	Name    string // the property that holds the name
	Order   int    // restore goes from low to high; what others refer to is lower

	Parts  []Part // what is read or written apart from the object
	Assign Assign

	Replace bool // an update is a PUT of the whole object: what is missing is wiped

	Strip      []string            // paths of what the service sets, besides [Always]
	Immutable  []string            // paths that an update can't change
	Superseded map[string]string   // old property: the one that replaced it; both are returned, the new one is sent
	Only       map[string][]string // path of an object: its properties that are the policy's own
	OnlyFor    map[string]string   // property: the one @odata.type that takes it
	Defaults   map[string]any      // path: the value that means the same as none

	Sets     []Set       // lists whose order means nothing
	Settings bool        // has settings of the settings catalog
	Refs     []Ref       // ids of other objects
	Secrets  []string    // properties that hold a secret
	Switches []string    // properties that turn the policy on or off
	Required []Required  // what a create can't do without
	BuiltIn  BuiltIn     // objects that the service made
	Backup   string      // why the type is backed up and not restored; empty when it is restored
	Subtypes []Subtype   // of a collection with several types, where not all can be restored
	Deleted  DeletedItem // where the service keeps what was deleted
}

// Part is something of an object that is read apart from it, or written apart, or
// both.
type Part struct {
	Key    string // the property that holds it, which is the path below the object too
	Read   Read
	Expand string // the value of $expand in the query that reads it
	Each   *Part  // what is read apart for each element

	Create, Update Write
	Action         string   // for [ByAction] and [ByDelta]: the action below the object
	Param          string   // the property of the action's body
	With           []string // other properties of the object that the action takes
}

// Read is how a part is read.
type Read int

// How parts are read.
const (
	WithObject Read = iota // it is in the object as read
	ByPath                 // GET {object}/{part}, in pages: follow @odata.nextLink
	ByExpand               // GET {object}?$expand={expand}
)

// Write is how a part is written.
type Write int

// How parts are written.
const (
	InBody   Write = iota // in the body of the object
	ByAction              // POST {object}/{action}, which replaces all of it
	ByDelta               // POST {object}/{action} of what is added, updated and removed
	OneByOne              // POST {object}/{part} for each element that is missing, PATCH for one that differs
)

// Assign is how a type is assigned. The zero Assign can't be.
type Assign struct {
	Action     string // POST {object}/{action}
	Param      string // the property of its body; empty: one assignment a call, and none is replaced
	Keep       []string
	GroupsOnly bool // neither all devices nor all users
	Expand     bool // readable by $expand only
}

// Can reports whether the type is assigned.
func (a Assign) Can() bool { return a.Action != "" }

// Set is a list whose order means nothing. An element is told by the values at
// Key, paths with "+" between them; without Key by the whole element.
type Set struct{ Path, Key string }

// Ref is where the id of another object stands.
type Ref struct {
	Path     string // of a string, or with "[]" of each string of a list
	Kind     Kind
	Excluded bool     // who stands here is left out of the policy: a gap widens it
	Words    []string // values that are no ids
}

// Required is something without which the service refuses a create.
type Required struct {
	For  string // the @odata.type it is about; empty: all
	Path string
	Why  string
}

// BuiltIn tells objects that the service made. It refuses to create or delete them.
type BuiltIn struct {
	Property string // true or "builtIn" in an object of the service
	ID       string // id of such an object
	Suffix   string // in ids of such objects
	Update   bool   // an update is possible
}

// Subtype is what can't be restored of a collection.
type Subtype struct{ Entity, Why string }

// DeletedItem is the collection that keeps deleted objects for 30 days.
type DeletedItem struct{ Version, Path string }

// Always is what the service sets in objects of every type, at the top level.
var Always = []string{
	"id", "createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "deletedDateTime",
	"version", "isAssigned", "supportsScopeTags",
}

// Types returns all types in the order in which they are restored.
func Types() []*Type { return slices.Clone(types) }

// Lookup returns the type of that key, or nil.
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

// ListPath is the path of the collection, with the version: a GET lists it, a POST
// creates an object.
func (t *Type) ListPath() string { return "/" + t.Version + "/" + t.Path }

// ItemPath is the path of one object. Any id is safe in it.
func (t *Type) ItemPath(id string) string { return t.ListPath() + "/" + url.PathEscape(id) }

// UndeletePath is where a POST brings a deleted object back; empty when the service
// keeps none of this type.
func (t *Type) UndeletePath(id string) string {
	if t.Deleted.Path == "" {
		return ""
	}
	return "/" + t.Deleted.Version + "/" + t.Deleted.Path + "/" + url.PathEscape(id) + "/restore"
}

// PartPath is where the part of an object is read, with its query. A part that is read
// [WithObject] has the object's own path.
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

// EachPath is where p.Each is read for one element of the part p.
func (t *Type) EachPath(id string, p Part, element string) string {
	path := t.ItemPath(id) + "/" + p.Key + "/" + url.PathEscape(element) + "/" + p.Each.Key
	if p.Each.Expand != "" {
		path += "?$expand=" + p.Each.Expand
	}
	return path
}

// AssignmentsPath is where the assignments of an object are read, with its query; empty
// for a type that has none.
func (t *Type) AssignmentsPath(id string) string {
	switch {
	case !t.Assign.Can():
		return ""
	case t.Assign.Expand:
		return t.ItemPath(id) + "?$expand=assignments"
	}
	return t.ItemPath(id) + "/assignments"
}

// Part returns the part of that key, or nil.
func (t *Type) Part(key string) *Part {
	i := slices.IndexFunc(t.Parts, func(p Part) bool { return p.Key == key })
	if i < 0 {
		return nil
	}
	return &t.Parts[i]
}

// set returns the key by which elements of the list at a path are told, if their
// order means nothing.
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
