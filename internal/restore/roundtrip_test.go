package restore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// service is a provider as far as plans call it: it keeps what is sent to it, and adds
// what a service adds. It knows parts and assignments by the table.
type service struct {
	objects map[string]map[string]map[string]any // type, id
	last    int
}

func newService() *service { return &service{objects: make(map[string]map[string]map[string]any)} }

// call does what a call of a plan asks for, and returns the id of what it created.
func (s *service) call(c policy.Call) (id string, err error) {
	var body map[string]any
	if err := json.Unmarshal(c.Body, &body); err != nil {
		return "", fmt.Errorf("%s %s: %w", c.Method, c.Path, err)
	}
	for _, t := range policy.Types() {
		rest, ok := strings.CutPrefix(c.Path, t.ListPath())
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		id, below, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		switch {
		case c.Method == "POST" && id == "":
			return s.create(t, body), nil
		case s.objects[t.Key][id] == nil:
			return "", fmt.Errorf("%s %s: not found", c.Method, c.Path)
		case below == "" && c.Method == "PATCH":
			maps.Copy(s.objects[t.Key][id], body)
		case below == "" && c.Method == "PUT":
			body["assignments"], body["id"] = s.objects[t.Key][id]["assignments"], id
			s.objects[t.Key][id] = body
		default:
			return "", s.action(t, s.objects[t.Key][id], c, below, body)
		}
		return "", nil
	}
	return "", fmt.Errorf("%s %s: no such path", c.Method, c.Path)
}

func (s *service) create(t *policy.Type, body map[string]any) string {
	s.last++
	id := fmt.Sprintf("new-%03d", s.last)
	body["id"], body["version"], body["createdDateTime"] = id, s.last, "2026-11-20T08:00:00Z"
	for _, p := range t.Parts {
		if body[p.Key] == nil && p.Read == policy.ByPath {
			body[p.Key] = []any{}
		}
	}
	if t.Assign.Can() {
		body["assignments"] = []any{}
	}
	if s.objects[t.Key] == nil {
		s.objects[t.Key] = make(map[string]map[string]any)
	}
	s.objects[t.Key][id] = body
	return id
}

func (s *service) action(t *policy.Type, object map[string]any, c policy.Call, below string, body map[string]any) error {
	if below == t.Assign.Action && t.Assign.Can() {
		list, _ := body[t.Assign.Param].([]any)
		if t.Assign.Param == "" {
			old, _ := object["assignments"].([]any)
			list = append(old, body)
		}
		for i, a := range list {
			if a, ok := a.(map[string]any); ok {
				a["id"], a["source"] = fmt.Sprint("assignment", i), "direct"
			}
		}
		object["assignments"] = list
		return nil
	}
	for _, p := range t.Parts {
		list, _ := object[p.Key].([]any)
		switch {
		case p.Action != "" && below == p.Action && p.Param != "":
			object[p.Key] = body[p.Param]
			return nil
		case p.Action != "" && below == p.Action: // administrative templates
			added, _ := body["added"].([]any)
			for i, v := range added {
				value, _ := v.(map[string]any)
				value["id"] = fmt.Sprint("value", len(list)+i)
				value["definition"] = map[string]any{"id": between(value["definition@odata.bind"])}
			}
			object[p.Key] = append(list, added...)
			return nil
		case below == p.Key && c.Method == "POST":
			body["id"] = fmt.Sprint("part", len(list))
			object[p.Key] = append(list, body)
			return nil
		}
	}
	return fmt.Errorf("%s %s: no such action", c.Method, c.Path)
}

// between is the id in an address that ends in ('id').
func between(v any) string {
	_, rest, _ := strings.Cut(fmt.Sprint(v), "('")
	id, _, _ := strings.Cut(rest, "')")
	return id
}

// read returns all objects as a backup would read them.
func (s *service) read(t *testing.T) (all []policy.Document) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		for _, id := range slices.Sorted(maps.Keys(s.objects[key])) {
			body, err := json.Marshal(s.objects[key][id])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, doc(t, key, id, string(body)))
		}
	}
	return all
}

// shows fails the test unless the object has what each call of a step sent.
func (s *service) shows(t *testing.T, step restore.Step, id string, created map[restore.Need]string) {
	t.Helper()
	if len(step.Calls) == 0 {
		return
	}
	body, err := json.Marshal(s.objects[step.Type][id])
	if err != nil {
		t.Fatal(err)
	}
	now := doc(t, step.Type, id, string(body))
	for i := range step.Calls {
		call, err := step.Ready(i, id, created)
		if err != nil {
			t.Fatal(err)
		}
		if lacks, err := now.Lacks(call); err != nil || len(lacks) > 0 {
			t.Errorf("%s %s, %s: lacks %q: %v", step.Type, step.Name, call.Path, lacks, err)
		}
	}
}

// execute calls what a plan says, step by step. The plan must be one that may be executed.
func (s *service) execute(t *testing.T, p restore.Plan) map[restore.Need]string {
	t.Helper()
	if err := p.Allowed(); err != nil {
		t.Error(err)
	}
	created := make(map[restore.Need]string)
	for _, step := range p.Steps {
		id := step.Target
		for i := range step.Calls {
			call, err := step.Ready(i, id, created)
			if err != nil {
				t.Fatalf("%s: %v", step.Name, err)
			}
			made, err := s.call(call)
			if err != nil {
				t.Fatalf("%s: %v", step.Name, err)
			}
			if made != "" {
				id = made
				created[restore.Need{Kind: policy.Kind(step.Type), Source: step.Source}] = id
			}
		}
		s.shows(t, step, id, created)
	}
	return created
}

// TestRoundTripPlan restores every public policy that can be restored into an empty
// directory, reads it back, and plans again: nothing is left to do.
func TestRoundTripPlan(t *testing.T) {
	w := newWorld(there)
	for i, body := range corpus(t) {
		d, err := policy.Normalise(body)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Obstacles()) > 0 {
			continue
		}
		if d.Type().Assign.Can() { // the files have none
			target := []string{include("g1"), include("g1") + "," + exclude("g2"), ""}[i%3]
			body.Assignments = json.RawMessage("[" + target + "]")
			d = doc2(t, body)
		}
		w.set.Items = append(w.set.Items, restore.Item{Policy: d})
		for _, r := range d.References() { // everything that it refers to is there
			if !policy.Everywhere(r.Kind, r.ID) && !slices.ContainsFunc(w.observed.Known[r.Kind], func(o restore.Object) bool { return o.ID == r.ID }) {
				w.knows(r.Kind, r.ID, "known "+r.ID)
			}
			if !slices.ContainsFunc(w.mappings, func(m restore.Mapping) bool { return m.Kind == r.Kind && m.Source == r.ID }) {
				w.mapped(r.Kind, r.ID, r.ID)
			}
		}
	}
	first := w.plan(t)
	if first.Count(restore.Create) != 222 || len(first.Steps) != 222 {
		for _, s := range first.Steps {
			if s.Action != restore.Create {
				t.Errorf("%s %s: %s", s.Type, s.Name, said(s))
			}
		}
		t.Fatalf("%d of %d are created, want all 222", first.Count(restore.Create), len(first.Steps))
	}

	target := newService()
	for need, id := range target.execute(t, first) {
		w.mapped(need.Kind, need.Source, id)
	}
	w.observed.Items = target.read(t)
	second := w.plan(t)
	for _, s := range second.Steps {
		if s.Action != restore.Unchanged {
			t.Errorf("%s %s is %s after its restore:\n%s", s.Type, s.Name, s.Action, policy.Text(s.Diff))
		}
	}
	if second.Applicable() || len(target.read(t)) != 222 {
		t.Errorf("the second plan has something to do; %d objects are there", len(target.read(t)))
	}

	// What somebody changed since is what a third plan brings back, and no more.
	for key, policies := range target.objects {
		for _, id := range slices.Sorted(maps.Keys(policies))[:1] {
			policies[id][policy.Lookup(key).Name] = "changed by somebody"
		}
	}
	w.observed.Items = target.read(t)
	third := w.plan(t)
	if got := third.Count(restore.Update); got != len(target.objects) {
		t.Errorf("%d are updated, want one of each of %d types", got, len(target.objects))
	}
	target.execute(t, third)
	w.observed.Items = target.read(t)
	if last := w.plan(t); last.Applicable() {
		for _, s := range last.Steps {
			if s.Action != restore.Unchanged {
				t.Errorf("%s %s is %s after its update:\n%s", s.Type, s.Name, s.Action, policy.Text(s.Diff))
			}
		}
	}
}

func doc2(t *testing.T, item policy.Item) policy.Document {
	t.Helper()
	d, err := policy.Normalise(item)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// corpus reads the public policies of the types that the product knows. Each has its
// file as its id.
func corpus(t *testing.T) (all []policy.Item) {
	t.Helper()
	const shared = "../../../shared/graph-data/"
	data, err := os.ReadFile(filepath.FromSlash(shared + "policies/index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/graph-data is absent: the public policies are restored where it is present")
	}
	var index []struct{ File, Collection string }
	if err := errors.Join(err, json.Unmarshal(data, &index)); err != nil {
		t.Fatal(err)
	}
	for _, row := range index {
		i := slices.IndexFunc(policy.Types(), func(t *policy.Type) bool { return t.Path == row.Collection })
		if i < 0 {
			continue
		}
		body, err := os.ReadFile(filepath.FromSlash(shared + row.File))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, policy.Item{Type: policy.Types()[i].Key, ID: row.File, Body: bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))})
	}
	return all
}
