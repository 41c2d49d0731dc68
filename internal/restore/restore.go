// Package restore plans the restore of policies. A plan is a function of a backup
// set, of what is in the target now, of recorded mappings and of a person's choices;
// it says of every policy what will be called, in order, or why nothing will. It is
// pure: no clock, no network, no files. What executes a plan calls what the plan says
// and nothing else.
//
// A plan never deletes, never creates a group, never turns conditional access on, and
// never sends what the service shows in place of a secret.
package restore

import (
	"encoding/json"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Key names a policy in a backup set.
type Key struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Set is the backup set that is restored from.
type Set struct {
	ID        string
	Directory string // GUID of where it was read; empty: unknown, as of an uploaded template
	AsOf      time.Time
	Items     []Item
}

// Item is one policy of a backup set.
type Item struct {
	Policy     policy.Document
	Incomplete []string // parts that the backup could not read, and why
}

// Key is the item's type and id.
func (i Item) Key() Key { return Key{i.Policy.Type().Key, i.Policy.ID()} }

// Observed is what is in the target now.
type Observed struct {
	Directory string
	At        time.Time         // when reading began
	Items     []policy.Document // read whole, with parts and assignments
	Unread    map[string]string // types that could not be read, and why

	// Known is what a policy may refer to, with names, and all policies of the types
	// that are restored: names only suggest, but a name that is taken is told.
	Known map[policy.Kind][]Object

	Deleted        []Deleted // what the service keeps of deleted objects
	Administrators []string  // ids of users, groups and roles that hold administrators
	Approval       []string  // keys of types whose changes need a second administrator at Microsoft
}

// Object is something in the target by its name.
type Object struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Deleted is an object that the service can bring back.
type Deleted struct {
	Type, ID, Name string
	State          string // of conditional access: as it would come back
}

// Mapping is a recorded counterpart: what an object of the source directory is in the
// target directory.
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
	Root       string `json:"root"` // of the service, such as "https://graph.microsoft.com"
}

// Options are what a person chose.
type Options struct {
	Target    Target
	Selection []Key // nil: everything in the set
	Choices   map[Key]Choice
}

// Choice is a person's decision about one policy. The zero Choice decides nothing.
type Choice struct {
	Target     string `json:"target,omitempty"`     // update this candidate
	New        bool   `json:"new,omitempty"`        // create another one beside the candidates
	Undelete   string `json:"undelete,omitempty"`   // bring this deleted object back and update it
	Overwrite  bool   `json:"overwrite,omitempty"`  // wipe properties that the backup does not know
	Unassigned bool   `json:"unassigned,omitempty"` // restore without assignments, because a group is gone
}

// Plan says what a restore will do. It does not change; its hash stands for it.
type Plan struct {
	Set             string    `json:"set"`
	SourceDirectory string    `json:"source_directory"`
	AsOf            time.Time `json:"as_of"`
	Target          Target    `json:"target"`
	At              time.Time `json:"at"` // when the target was read

	Mappings []Mapping     `json:"mappings"` // those that were used
	Choices  []Chosen      `json:"choices"`
	Steps    []Step        `json:"steps"`
	Warnings []WarningCode `json:"warnings"` // all that need to be acknowledged
	Unread   []Unread      `json:"unread"`   // what could not be read: the plan is not complete
}

// Unread is a type that could not be read, and why.
type Unread struct {
	Type string `json:"type"`
	Why  string `json:"why"`
}

// Chosen is a choice with what it is about.
type Chosen struct {
	Key
	Choice
}

// Complete reports whether everything that the plan looks at could be read.
func (p Plan) Complete() bool { return len(p.Unread) == 0 }

// Applicable reports whether the plan has something to do.
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

// Step is what a plan does about one policy.
type Step struct {
	N      int    `json:"n"` // from 1, in the order of execution
	Type   string `json:"type"`
	Source string `json:"source"` // id in the backup set
	Name   string `json:"name"`

	Action   Action `json:"action"`
	Target   string `json:"target,omitempty"`   // id of what is updated, or brought back
	Observed string `json:"observed,omitempty"` // hash of it as it was read; empty: nothing was there

	Calls []Call `json:"calls,omitempty"` // in order
	Needs []Need `json:"needs,omitempty"` // what earlier steps create and the calls refer to

	Diff       []policy.Change `json:"diff,omitempty"` // from what is there to what will be
	Warnings   []Warning       `json:"warnings,omitempty"`
	Blocks     []Block         `json:"blocks,omitempty"` // why nothing is called
	Notes      []Note          `json:"notes,omitempty"`
	Candidates []Object        `json:"candidates,omitempty"` // of a conflict: whom it may be
}

// Call is one request of a step. Its body may hold secrets, and is not part of the
// plan's canonical form: the hash of the body is.
type Call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Hash   string          `json:"hash,omitempty"` // SHA-256 of the body
	Body   json.RawMessage `json:"-"`
}

// Need is an object that an earlier step creates. Its id is not known yet.
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
	Conflict     Action = "conflict"      // a person has to choose
	Unresolvable Action = "unresolvable"  // something it refers to has no counterpart
	NotSupported Action = "not_supported" // it can't be restored
)

// Writes reports whether steps with the action call anything.
func (a Action) Writes() bool { return a == Create || a == Update }

// Block is why a step calls nothing.
type Block struct {
	Code      BlockCode         `json:"code"`
	Detail    string            `json:"detail"`
	Reference *policy.Reference `json:"reference,omitempty"` // of Unresolvable
}

// BlockCode is the kind of a block: one of these, or a [policy.ObstacleCode].
type BlockCode string

// Blocks that depend on the target.
const (
	NameTaken         BlockCode = "name_taken"         // objects of that name are there
	DeletedThere      BlockCode = "deleted_there"      // the service can bring it back
	WouldWipe         BlockCode = "would_wipe"         // properties that the backup does not know
	TargetUnread      BlockCode = "target_unread"      // what is there could not be read whole
	Immutable         BlockCode = "immutable"          // a property that no update can change differs
	NoDefault         BlockCode = "no_default"         // the default that it would change is not there
	ReferenceMissing  BlockCode = "reference_missing"  // something it refers to has no counterpart
	ExcludedMissing   BlockCode = "excluded_missing"   // somebody it leaves out has no counterpart
	ScopeTagMissing   BlockCode = "scope_tag_missing"  // a scope tag has no counterpart
	MappingGone       BlockCode = "mapping_gone"       // the recorded counterpart is gone
	AssignmentMissing BlockCode = "assignment_missing" // a group it is assigned to has no counterpart
)

// Warning is what a person acknowledges before a step may write.
type Warning struct {
	Code   WarningCode `json:"code"`
	Detail string      `json:"detail,omitempty"`
}

// WarningCode is the kind of a warning.
type WarningCode string

// The warnings.
const (
	WidensAudience        WarningCode = "widens_audience"
	SwitchesOnOrOff       WarningCode = "switches_on_or_off"
	ConditionalAccess     WarningCode = "conditional_access"
	AffectsAdministrators WarningCode = "affects_administrators"
	MicrosoftApproval     WarningCode = "microsoft_approval"
	BackupOlder           WarningCode = "backup_older"
	CrossesDirectories    WarningCode = "crosses_directories"
)

// Note is something about a step that needs no decision.
type Note struct {
	Code   NoteCode `json:"code"`
	Detail string   `json:"detail,omitempty"`
}

// NoteCode is the kind of a note.
type NoteCode string

// The notes.
const (
	StaysDisabled NoteCode = "stays_disabled" // conditional access is restored disabled
	NotAssigned   NoteCode = "not_assigned"   // assignments are left as they are, or none are made
	Kept          NoteCode = "kept"           // only a DELETE would take it away, and there is none
	Undeleted     NoteCode = "undeleted"      // the first call brings a deleted object back
)
