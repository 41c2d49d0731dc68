// Package access decides who someone is, what they may see and do, and keeps
// the record of who changed what. Everything else receives its answers as
// sealed values: an [Actor] comes from [Authenticate] only, a [Scope] from
// [Authorize], [AuthorizeWorkspace] and [ForRun] only, and the zero of either
// sees nothing.
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

// ErrUnauthenticated is returned for every bearer secret and every sign-in that
// is no good, whatever the cause: telling causes apart would help guessing.
var ErrUnauthenticated = errors.New("not signed in")

// Actor is a person as one bearer secret proved them, in one workspace. The
// zero Actor is nobody.
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

// WorkspaceID returns the id of the workspace that the secret is good for.
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

// ExpiresAt returns when the secret that proved the person ends at the latest.
func (a Actor) ExpiresAt() time.Time { return a.expires }

// TokenID returns the id of the token or session that proved the person.
func (a Actor) TokenID() string { return a.token }

// Person returns the actor as others see them.
func (a Actor) Person() op.Person { return op.Person{ID: a.id, Name: a.name} }

// NewID returns a new id: a UUIDv7, so that ids sort by the time they were made.
// Ids are names, never secrets.
func NewID() string {
	return uuid.Must(uuid.NewV7()).String() // never fails: crypto/rand ends the program instead
}

// FirstID is smaller than every id that was made at t or later: ids sort by time,
// so a range of them is a range of time without an index of its own. The clock is
// that of whoever made the id.
func FirstID(t time.Time) string {
	ms := max(0, t.UnixMilli())
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16&0xffffffff, ms&0xffff)
}

// maxSlug is the limit of a slug in bytes: it fits a DNS label.
const maxSlug = 63

var slugShape = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// CheckSlug returns an [*op.FieldError] for what can't be a slug. A slug never
// looks like an id, so that a reference is one or the other.
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

// CheckName returns an [*op.FieldError] for what can't be the name of something:
// empty, longer than limit characters, or with control characters in it.
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

// Ref splits a reference to a thing into the column that it names and the value
// to look for. What can be neither id nor slug becomes a slug that nothing has,
// so that it runs the same statement and is just not found.
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

// grants decodes what a member may do.
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
