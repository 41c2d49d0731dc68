package restore_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

const (
	here  = "11111111-1111-1111-1111-111111111111" // the directory that was backed up
	there = "22222222-2222-2222-2222-222222222222" // another one
)

var (
	backedUp = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	readAt   = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
)

func doc(t testing.TB, key, id, body string) policy.Document {
	t.Helper()
	d, err := policy.Normalise(policy.Item{Type: key, ID: id, Body: json.RawMessage(body)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// world is the arguments of a plan, which each test bends.
type world struct {
	set      restore.Set
	observed restore.Observed
	mappings []restore.Mapping
	opts     restore.Options
}

// newWorld is a restore into a directory: nothing is in the backup and nothing there,
// but the group g1 and the scope tag 7.
func newWorld(directory string) *world {
	return &world{
		set:      restore.Set{ID: "set1", Directory: here, AsOf: backedUp},
		observed: restore.Observed{Directory: directory, At: readAt, Known: map[policy.Kind][]restore.Object{policy.Groups: {{ID: "g1", Name: "Pilots"}}, policy.ScopeTags: {{ID: "7", Name: "Branch"}}}},
		opts:     restore.Options{Target: restore.Target{Tenant: "t1", Connection: "c1", Version: 3, Directory: directory, Root: "https://graph.example"}, Choices: map[restore.Key]restore.Choice{}},
	}
}

func (w *world) backup(t testing.TB, key, id, body string) *world {
	t.Helper()
	w.set.Items = append(w.set.Items, restore.Item{Policy: doc(t, key, id, body)})
	return w
}

func (w *world) now(t testing.TB, key, id, body string) *world {
	t.Helper()
	w.observed.Items = append(w.observed.Items, doc(t, key, id, body))
	return w
}

func (w *world) mapped(kind policy.Kind, source, target string) *world {
	w.mappings = append(w.mappings, restore.Mapping{Kind: kind, SourceDirectory: here, Source: source, TargetDirectory: w.opts.Target.Directory, Target: target})
	return w
}

func (w *world) knows(kind policy.Kind, id, name string) *world {
	w.observed.Known[kind] = append(w.observed.Known[kind], restore.Object{ID: id, Name: name})
	return w
}

func (w *world) choose(key, id string, c restore.Choice) *world {
	w.opts.Choices[restore.Key{Type: key, ID: id}] = c
	return w
}

func (w *world) plan(t testing.TB) restore.Plan {
	t.Helper()
	p, err := restore.Build(w.set, w.observed, w.mappings, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said is a step in one line: what it does, to what, why not, what it calls.
func said(s restore.Step) string {
	parts := []string{string(s.Action)}
	if s.Target != "" {
		parts = append(parts, s.Target)
	}
	for _, b := range s.Blocks {
		parts = append(parts, string(b.Code))
	}
	for _, n := range s.Notes {
		parts = append(parts, "note:"+string(n.Code))
	}
	for _, w := range s.Warnings {
		parts = append(parts, "warning:"+string(w.Code))
	}
	for _, c := range s.Calls {
		parts = append(parts, "\n  "+c.Method+" "+c.Path+" "+string(c.Body))
	}
	return strings.Join(parts, " ")
}

func include(group string) string {
	return `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"` + group + `"}}`
}

func exclude(group string) string {
	return `{"target":{"@odata.type":"#microsoft.graph.exclusionGroupAssignmentTarget","groupId":"` + group + `"}}`
}

// A custom profile, a settings catalog policy, and one of conditional access.
const (
	profiles = "deviceConfigurations"
	catalog  = "configurationPolicies"
	access   = "conditionalAccessPolicies"
)

func profile(name, rest string) string {
	return `{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"` + name + `"` + rest + `}`
}

func ca(name, state, users string) string {
	return `{"displayName":"` + name + `","state":"` + state + `","conditions":{"users":{` + users + `}}}`
}
