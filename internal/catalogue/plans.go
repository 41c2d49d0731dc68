package catalogue

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The operations of a restore. A preview makes the plan that a restore executes.
const (
	PolicyRestorePreview = op.PolicyRestorePreview
	PolicyRestore        = op.PolicyRestore
)

// Plans stores the plans of restores, and the mappings that they use, for a run's tenant.
// Writes compare the run's fence. It is safe for concurrent use.
type Plans interface {
	// Keep stores a plan with the bodies of its calls and returns its hash. Readers see the
	// plan once it is stored as a whole.
	Keep(ctx context.Context, p restore.Plan) (hash string, err error)
	// Plan returns a stored plan with the bodies of its calls, for execution by this run. A
	// plan is executed by one run only: for another one it is [op.ErrConflict]. A plan of
	// another tenant, and one that doesn't exist, is [op.ErrNotFound].
	Plan(ctx context.Context, hash string) (restore.Plan, error)
	// Mappings returns the recorded mappings from one directory to another, by kind and
	// source.
	Mappings(ctx context.Context, source, target string) ([]restore.Mapping, error)
	// Map records a mapping in the name of the person who started the run. It replaces an
	// earlier one of the same object.
	Map(ctx context.Context, m restore.Mapping, how MappingSource) error
}

// MappingSource says how a mapping was found.
type MappingSource string

// How mappings are found.
const (
	MappedByID      MappingSource = "same_id" // both objects have the same id
	MappedByPerson  MappingSource = "person"  // a person chose the target
	MappedByRestore MappingSource = "restore" // a restore created the target
)

// StoredPlan is what a start is judged by.
type StoredPlan struct {
	Author      string // id of the person who started the preview
	Set         string // id of the backup
	Directory   string // of the target
	Connection  string // id
	Version     int64  // of the connection
	At          time.Time
	Warnings    []restore.WarningCode
	Writes      []string  // keys of the policy types that the plan writes
	Executed    bool      // by a run that has ended
	Written     time.Time // when the last run that changed something in the tenant ended; zero: never
	Remapped    bool      // a mapping that the plan uses was changed or removed
	MustApprove bool      // the workspace requires a second person
	Approvals   []Approval
}

// Approval is a person's consent to the execution of a plan by somebody else.
type Approval struct {
	Person    op.Person
	At        time.Time
	Expires   time.Time
	Withdrawn bool // the person may no longer approve restores of the tenant
}

// MayPreview is the capability to preview a restore, and to choose the mappings that it
// uses.
const MayPreview tenancy.Capability = "policy.restore.preview"

// maxMapped limits the id of an object, in bytes.
const maxMapped = 200

// CheckMapping returns an [*op.FieldError] for a mapping that can't be meant. The target
// directory is not checked.
func CheckMapping(m restore.Mapping) error {
	if policy.Lookup(string(m.Kind)) == nil && !slices.Contains(mappedKinds, m.Kind) {
		return &op.FieldError{Field: "kind", Detail: "must be a type of policy, or one of " + words(mappedKinds)}
	}
	for _, f := range []struct{ field, value string }{{"source", m.Source}, {"target", m.Target}} {
		switch {
		case f.value == "" || strings.TrimSpace(f.value) != f.value || strings.ContainsFunc(f.value, unicode.IsControl) || !utf8.ValidString(f.value):
			return &op.FieldError{Field: f.field, Detail: "must be the id of an object"}
		case len(f.value) > maxMapped:
			return &op.FieldError{Field: f.field, Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(f.value), maxMapped)}
		}
	}
	if d := m.SourceDirectory; d != "" && (len(d) != 36 || uuidForm.FindString(d) == "") {
		return &op.FieldError{Field: "source_directory", Detail: "must be the GUID of a directory, in lower case, or empty for a backup from files"}
	}
	return nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// mappedKinds are the objects that policies refer to and that are no policies.
var mappedKinds = []policy.Kind{policy.Groups, policy.Users, policy.ServicePrincipals, policy.TermsOfUse, policy.MobileApps}

func words(kinds []policy.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
