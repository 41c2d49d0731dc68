// Package restore plans the restore of policies. A plan is built from a backup set, the
// observed state of the target, recorded mappings and an operator's choices. For each
// policy it lists the calls to make, in order, or the reasons why none are made. Whoever
// executes a plan makes these calls and no others.
//
// The package is pure: it has no clock, no network and no files.
//
// A plan never deletes an object, never creates a group, never enables conditional
// access and never sends a masked secret.
package restore

import (
	"encoding/json"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Key identifies a policy in a backup set.
type Key struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Set is a backup set. The ids of its items are unique within a type.
type Set struct {
	ID        string
	Directory string // GUID of its source; empty if unknown, as for an uploaded template
	AsOf      time.Time
	Items     []Item
}

// Item is one policy of a backup set.
type Item struct {
	Policy     policy.Document
	Incomplete []string // parts that the backup could not read, with reasons
}

// Key is the item's type and id.
func (i Item) Key() Key { return Key{i.Policy.Type().Key, i.Policy.ID()} }

// Observed is the current state of the target.
type Observed struct {
	Directory string
	At        time.Time         // when reading started
	Items     []policy.Document // read completely, with parts and assignments
	Unread    map[string]string // keys of types that could not be read, with reasons

	// Known lists all objects that policies can refer to, and all policies of the types
	// that are restored.
	Known map[policy.Kind][]Object

	Deleted        []Deleted // deleted objects that the service still keeps
	Administrators []string  // ids of users, groups and roles that include administrators
	Approval       []string  // keys of types that Microsoft's multi admin approval covers
}

// Object is an object in the target.
type Object struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Deleted is a deleted object that the service can restore.
type Deleted struct {
	Type, ID, Name string
	State          string // of a conditional access policy
}

// Mapping records that an object in the target directory corresponds to an object in the
// source directory.
type Mapping struct {
	Kind            policy.Kind `json:"kind"`
	SourceDirectory string      `json:"source_directory"`
	Source          string      `json:"source"`
	TargetDirectory string      `json:"target_directory"`
	Target          string      `json:"target"`
}

// Target is where a plan is executed.
type Target struct {
	Tenant     string `json:"tenant"`
	Connection string `json:"connection"`
	Version    int64  `json:"version"` // of the connection
	Directory  string `json:"directory"`
	Root       string `json:"root"` // address of the service, such as "https://graph.microsoft.com"
}

// Options are the target and the operator's choices.
type Options struct {
	Target    Target
	Selection []Key // nil for the whole set
	Choices   map[Key]Choice
}

// Choice is an operator's decision about one policy. The zero Choice decides nothing. At
// most one of Target, New and Undelete is set.
type Choice struct {
	Target     string `json:"target,omitempty"`     // id of the candidate to update
	New        bool   `json:"new,omitempty"`        // create a new object despite the candidates
	Undelete   string `json:"undelete,omitempty"`   // id of the deleted object to restore and update
	Overwrite  bool   `json:"overwrite,omitempty"`  // remove properties that the backup does not have
	Unassigned bool   `json:"unassigned,omitempty"` // leave the assignments out if a group is missing
}

// Plan lists what a restore will do. It is immutable; [Plan.Hash] identifies it.
type Plan struct {
	Set             string    `json:"set"`
	SourceDirectory string    `json:"source_directory"`
	AsOf            time.Time `json:"as_of"`
	Target          Target    `json:"target"`
	At              time.Time `json:"at"` // when reading the target started

	Mappings []Mapping     `json:"mappings"` // those that were used
	Choices  []Chosen      `json:"choices"`
	Steps    []Step        `json:"steps"`
	Warnings []WarningCode `json:"warnings"` // to be acknowledged before execution
	Unread   []Unread      `json:"unread"`   // types of the target that could not be read
}

// Unread is a type that could not be read, with the reason.
type Unread struct {
	Type string `json:"type"`
	Why  string `json:"why"`
}

// Chosen is a choice and the policy it is about.
type Chosen struct {
	Key
	Choice
}

// Complete reports whether the whole target could be read.
func (p Plan) Complete() bool { return len(p.Unread) == 0 }

// Applicable reports whether the plan changes anything.
func (p Plan) Applicable() bool { return p.Count(Create)+p.Count(Update) > 0 }

// Count is how many steps have the action.
func (p Plan) Count(a Action) (n int) {
	for _, s := range p.Steps {
		if s.Action == a {
			n++
		}
	}
	return n
}

// Step is the part of a plan for one policy.
type Step struct {
	N      int    `json:"n"` // from 1, in the order of execution
	Type   string `json:"type"`
	Source string `json:"source"` // id of the policy in the backup set
	Name   string `json:"name"`

	Action   Action   `json:"action"`
	Target   string   `json:"target,omitempty"`   // id of the object to update or undelete
	Observed string   `json:"observed,omitempty"` // hash of that object when it was read; empty if there was none
	Beside   []string `json:"beside,omitempty"`   // ids of other objects with the name of a new one

	Calls []Call `json:"calls,omitempty"` // in order
	Needs []Need `json:"needs,omitempty"` // objects that earlier steps create and the calls refer to

	Diff       []policy.Change `json:"diff,omitempty"` // from the observed object to the result
	Warnings   []Warning       `json:"warnings,omitempty"`
	Blocks     []Block         `json:"blocks,omitempty"` // why there are no calls
	Notes      []Note          `json:"notes,omitempty"`
	Candidates []Object        `json:"candidates,omitempty"` // objects that the operator can choose from
}

// Call is one request of a step. The body can contain secrets, so that the canonical form
// of a plan contains its hash only.
type Call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Hash   string          `json:"hash,omitempty"` // SHA-256 of the body
	Body   json.RawMessage `json:"-"`
}

// Need is an object that an earlier step creates, so that its id is not known yet.
type Need struct {
	Kind   policy.Kind `json:"kind"`
	Source string      `json:"source"`
}

// Action is what a step does.
type Action string

// The actions. Only Create and Update call anything.
const (
	Create       Action = "create"
	Update       Action = "update"
	Unchanged    Action = "unchanged"
	Conflict     Action = "conflict"      // the operator has to choose
	Unresolvable Action = "unresolvable"  // a referenced object has no counterpart in the target
	NotSupported Action = "not_supported" // the policy can't be restored
)

// Writes reports whether steps with the action make calls.
func (a Action) Writes() bool { return a == Create || a == Update }

// Block is a reason why a step makes no calls.
type Block struct {
	Code      BlockCode         `json:"code"`
	Detail    string            `json:"detail"`
	Reference *policy.Reference `json:"reference,omitempty"` // the unresolved reference
}

// BlockCode is the kind of a block: one of these, or a [policy.ObstacleCode].
type BlockCode string

// Blocks that depend on the target.
const (
	NameTaken         BlockCode = "name_taken"         // the target has objects with that name
	DeletedThere      BlockCode = "deleted_there"      // the service can restore a deleted object
	TargetTaken       BlockCode = "target_taken"       // another step has the same target
	WouldWipe         BlockCode = "would_wipe"         // the update removes properties that the backup does not have
	TargetUnread      BlockCode = "target_unread"      // the target was not read completely
	Immutable         BlockCode = "immutable"          // an immutable property differs
	NoDefault         BlockCode = "no_default"         // the target has no such default
	ReferenceMissing  BlockCode = "reference_missing"  // a referenced object has no counterpart
	ExcludedMissing   BlockCode = "excluded_missing"   // an excluded principal has no counterpart
	ScopeTagMissing   BlockCode = "scope_tag_missing"  // a scope tag has no counterpart
	MappingGone       BlockCode = "mapping_gone"       // the mapped object no longer exists
	AssignmentMissing BlockCode = "assignment_missing" // an assigned group has no counterpart
)

// Warning is an effect that the operator must acknowledge before execution.
type Warning struct {
	Code   WarningCode `json:"code"`
	Detail string      `json:"detail,omitempty"`
}

// WarningCode is the kind of a warning.
type WarningCode string

// The warnings.
const (
	WidensAudience        WarningCode = "widens_audience"
	RemovesAssignments    WarningCode = "removes_assignments" // all of them
	SwitchesOnOrOff       WarningCode = "switches_on_or_off"
	ConditionalAccess     WarningCode = "conditional_access"
	AffectsAdministrators WarningCode = "affects_administrators" // the policy applies to them before or after
	MicrosoftApproval     WarningCode = "microsoft_approval"
	BackupOlder           WarningCode = "backup_older"
	CrossesDirectories    WarningCode = "crosses_directories"
)

// Note is a fact about a step that needs no decision.
type Note struct {
	Code   NoteCode `json:"code"`
	Detail string   `json:"detail,omitempty"`
}

// NoteCode is the kind of a note.
type NoteCode string

// The notes.
const (
	StaysDisabled NoteCode = "stays_disabled" // the policy will be disabled, not in its state of the backup; an enabled target is turned off
	NotAssigned   NoteCode = "not_assigned"   // assignments are not changed
	Kept          NoteCode = "kept"           // only a DELETE could remove it, so it stays
	Undeleted     NoteCode = "undeleted"      // the first call restores the deleted object
)
