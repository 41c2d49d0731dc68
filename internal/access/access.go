// Package access authenticates people, decides what they may see and do, and keeps the
// audit trail. Its answers are sealed values: an [Actor] comes from [Authenticate]
// only, a [Scope] from [Authorize], [AuthorizeWorkspace] and [ForRun] only. Their zero
// values see nothing.
package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// ErrUnauthenticated is returned for every invalid bearer secret and every failed
// sign-in. It is the same for all causes, because telling them apart would help guessing.
var ErrUnauthenticated = errors.New("not signed in")

// Actor is a person in one workspace, authenticated by a bearer secret. The zero Actor
// is nobody.
type Actor struct {
	token     string
	kind      TokenKind
	expires   time.Time
	id        string
	name      string
	email     string
	workspace tenancy.Workspace
	role      tenancy.Role
	grants    tenancy.Grants
	narrowed  bool // by the token
}

// ID returns the person's id.
func (a Actor) ID() string { return a.id }

// Name returns the person's name.
func (a Actor) Name() string { return a.name }

// Email returns the address that the person signs in with.
func (a Actor) Email() string { return a.email }

// WorkspaceID returns the id of the workspace that the secret is for.
func (a Actor) WorkspaceID() string { return a.workspace.ID }

// WorkspaceSlug returns that workspace's slug.
func (a Actor) WorkspaceSlug() string { return a.workspace.Slug }

// WorkspaceName returns that workspace's name.
func (a Actor) WorkspaceName() string { return a.workspace.Name }

// Role returns the role that the person had when they were authenticated.
func (a Actor) Role() tenancy.Role { return a.role }

// Grants returns what the person could do when they were authenticated. It is
// for showing; [Authorize] reads it anew.
func (a Actor) Grants() tenancy.Grants { return a.grants }

// ExpiresAt returns the latest time at which the actor's secret expires.
func (a Actor) ExpiresAt() time.Time { return a.expires }

// TokenID returns the id of the actor's token or session.
func (a Actor) TokenID() string { return a.token }

// Person returns the actor's id and name.
func (a Actor) Person() op.Person { return op.Person{ID: a.id, Name: a.name} }

// NewID returns a new UUIDv7. Ids sort by the time of their creation, and are never
// secrets.
func NewID() string {
	return uuid.Must(uuid.NewV7()).String() // never fails: crypto/rand ends the program instead
}

// FirstID is smaller than every id that was created at t or later, so that a range of
// ids is a range of time. The clock is that of the process that created the id.
func FirstID(t time.Time) string {
	ms := max(0, t.UnixMilli())
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16&0xffffffff, ms&0xffff)
}

// maxSlug is the limit of a slug in bytes: it fits a DNS label.
const maxSlug = 63

var slugShape = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// CheckSlug returns an [*op.FieldError] for an invalid slug. A slug never looks like an
// id, so that a reference is one or the other.
func CheckSlug(field, slug string) error {
	switch {
	case len(slug) > maxSlug:
		return &op.FieldError{Field: field, Detail: fmt.Sprintf("has %d characters, at most %d are allowed", len(slug), maxSlug)}
	case !slugShape.MatchString(slug):
		return &op.FieldError{Field: field, Detail: "must be lower-case letters and digits in groups that are joined by single hyphens"}
	case uuid.Validate(slug) == nil:
		return &op.FieldError{Field: field, Detail: "must not look like an id"}
	}
	return nil
}

// CheckName returns an [*op.FieldError] for a name that is empty, has more than limit
// characters, begins or ends with a space, or has control characters.
func CheckName(field, name string, limit int) error {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return &op.FieldError{Field: field, Detail: "must be text without control characters"}
	case strings.TrimSpace(name) == "":
		return &op.FieldError{Field: field, Detail: "must not be empty"}
	case strings.TrimSpace(name) != name:
		return &op.FieldError{Field: field, Detail: "must not begin or end with a space"}
	case n > limit:
		return &op.FieldError{Field: field, Detail: fmt.Sprintf("has %d characters, at most %d are allowed", n, limit)}
	}
	return nil
}

// Ref returns the column that a reference is compared with, "id" or "slug", and the
// value to look for. A ref that is neither becomes a slug that nothing has, so that
// the same statement runs and finds nothing.
func Ref(ref string) (column, value string) {
	ref = strings.ToLower(ref)
	if len(ref) == 36 && uuid.Validate(ref) == nil {
		return "id", ref
	}
	if CheckSlug("", ref) != nil {
		ref = ""
	}
	return "slug", ref
}

// capabilities decodes a stored list.
func capabilities(text string) ([]tenancy.Capability, error) {
	var list []tenancy.Capability
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("stored capabilities: %w", err)
	}
	return list, nil
}

// grants returns what a member with that role and those stored exceptions may do.
func grants(role, denied, only string) (tenancy.Grants, error) {
	no, err := capabilities(denied)
	if err != nil {
		return tenancy.Grants{}, err
	}
	just, err := capabilities(only)
	if err != nil {
		return tenancy.Grants{}, err
	}
	return tenancy.NewGrants(tenancy.Role(role), no, just), nil
}
