package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// registered are the operations, in the order in which surfaces list them.
var registered []*Definition

// Register adds an operation. It panics when the definition is incomplete or names
// something that another operation has: such a program must not start. Call it once
// from the operation's file, while the program initialises: it is not safe for
// concurrent use.
func Register(d *Definition) *Definition {
	if err := d.add(); err != nil {
		panic("catalogue: " + err.Error())
	}
	return d
}

func (d *Definition) add() error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := errors.Join(op.RegisterKind(d.Kind, d.Words), tenancy.RegisterCapability(d.Capability, d.Allows, d.Roles)); err != nil {
		return err
	}
	registered = append(registered, d)
	slices.SortFunc(registered, func(a, b *Definition) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	return nil
}

var (
	kindForm    = regexp.MustCompile(`^[a-z]+(\.[a-z]+)+$`)
	datasetForm = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
)

// Check returns an error for each thing that d lacks, and for each that another
// operation has already.
func (d *Definition) Check() error {
	var wrong []error
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("operation %s: "+format, append([]any{d.Kind}, args...)...))
	}
	if !kindForm.MatchString(string(d.Kind)) {
		say("Kind must be lower-case words with dots between them")
	}
	for _, err := range []error{d.Words.Check(d.Kind), tenancy.CheckCapability(d.Capability, d.Allows, d.Roles)} {
		if err != nil {
			say("%w", err)
		}
	}
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Version", d.Version < 1},
		{"Place", d.Place < 1},
		{"Icon", d.Icon == ""},
		{"Canonical", d.Canonical == nil},
		{"Parameters", d.Parameters == nil},
		{"QueueLimit", d.QueueLimit <= 0},
		{"RunLimit", d.RunLimit <= 0},
		{"CallLimit", d.CallLimit <= 0},
		{"MaxDispatch", d.MaxDispatch < 1},
		{"Recovery", d.Recovery == ""},
		{"Run", d.Run == nil},
	} {
		if f.missing {
			say("%s is missing", f.name)
		}
	}
	if !slices.Contains([]Recovery{"", Again, Resume, Never}, d.Recovery) {
		say("Recovery is %q, which is none of %s, %s and %s", d.Recovery, Again, Resume, Never)
	}
	if d.Recovery == Never && d.MaxDispatch > 1 {
		say("MaxDispatch is %d, but there is no new try", d.MaxDispatch)
	}
	if d.Baseline && d.Requires != nil {
		say("a baseline operation can't have Requires: readiness is judged by tenant and connection alone")
	}
	if (len(d.Permissions) > 0 || d.Needs != nil) && !d.SignsIn {
		say("it needs permissions, so SignsIn must be set: nothing else holds the token against them")
	}
	for _, p := range slices.Concat(d.Permissions, d.Optional) {
		if len(p.AnyOf) == 0 || p.For == "" {
			say("a permission lacks AnyOf or For")
		}
	}
	if d.Input && d.Example == nil {
		say("Example is missing: a start needs parameters")
	}
	if d.Canonical != nil {
		if _, err := d.Canonical(d.Example); err != nil {
			say("Example is not accepted: %w", err)
		}
	}
	names := make(map[string]bool)
	for _, other := range registered {
		if other.Kind == d.Kind {
			say("it is registered already")
		}
		for _, set := range other.Datasets {
			names[set.Name] = true
		}
	}
	for i := range d.Datasets {
		set := &d.Datasets[i]
		for _, lack := range set.lacks() {
			say("dataset %s: %s", set.Name, lack)
		}
		if names[set.Name] {
			say("dataset %s belongs to another operation", set.Name)
		}
		names[set.Name] = true
	}
	return errors.Join(wrong...)
}

// lacks says what a description of a dataset lacks.
func (d *DatasetInfo) lacks() (lacks []string) {
	if !datasetForm.MatchString(d.Name) {
		lacks = append(lacks, "Name must be lower-case words with hyphens between them")
	}
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Title", d.Title == ""},
		{"Tab", d.Tab == ""},
		{"Lead", d.Lead == ""},
		{"Icon", d.Icon == ""},
		{"Item", d.Item == ""},
		{"Items", d.Items == ""},
		{"Columns", len(d.Columns) == 0},
		{"Sort", len(d.Sort) == 0},
		{"NotRead", d.NotRead == Empty{} || d.NotRead.Title == "" || d.NotRead.Text == ""},
		{"None", d.None.Title == "" || d.None.Text == ""},
	} {
		if f.missing {
			lacks = append(lacks, f.name+" is missing")
		}
	}
	if len(d.Types) > 0 && len(d.Parts) > 0 {
		lacks = append(lacks, "Types and Parts can't both be set: each is the list's filter")
	}
	if len(d.Parts) == 0 && slices.Contains(d.Sort, ByPart) {
		lacks = append(lacks, "Sort names the part, but there are no Parts")
	}
	for i, c := range d.Columns {
		if c.Title == "" || i > 0 && c.Text == nil && !c.Count {
			lacks = append(lacks, fmt.Sprintf("column %d lacks Title, Text or Count", i+1))
		}
	}
	for _, t := range d.Types {
		if t.Key == "" || t.Words == "" || len(t.Covers) == 0 {
			lacks = append(lacks, fmt.Sprintf("type %q lacks Key, Words or Covers", t.Key))
		}
	}
	return lacks
}

// All returns every operation, in the order in which surfaces list them.
func All() []*Definition { return slices.Clone(registered) }

// Lookup returns the operation of that kind, or [op.ErrNotFound].
func Lookup(kind op.Kind) (*Definition, error) {
	for _, d := range registered {
		if d.Kind == kind {
			return d, nil
		}
	}
	return nil, fmt.Errorf("operation %q: %w", kind, op.ErrNotFound)
}

// Datasets returns the datasets of every operation, in the order of [All].
func Datasets() []*DatasetInfo {
	var sets []*DatasetInfo
	for _, d := range registered {
		for i := range d.Datasets {
			sets = append(sets, &d.Datasets[i])
		}
	}
	return sets
}

// LookupDataset returns the dataset of that name with the operation that keeps it,
// or [op.ErrNotFound].
func LookupDataset(name string) (*DatasetInfo, *Definition, error) {
	for _, d := range registered {
		for i := range d.Datasets {
			if d.Datasets[i].Name == name {
				return &d.Datasets[i], d, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("dataset %q: %w", name, op.ErrNotFound)
}
